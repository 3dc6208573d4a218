"""Which reports the bench of requests a second asks for."""

import pytest

from bench.history import whole_report
from bench.throughput import check_sizes


def test_some_reports_stay_in_memory_and_the_others_never_do() -> None:
    check_sizes(len(whole_report().model_dump_json()))
    for body_bytes in (500, 40_000):
        with pytest.raises(RuntimeError, match="change KEPT_JOBS"):
            check_sizes(body_bytes)
