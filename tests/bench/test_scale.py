"""What the comparison of sizes asks for."""

from bench.scale import ROUNDS, WARM_UP, one_a_round


def test_no_report_is_asked_for_twice_so_that_none_comes_from_memory() -> None:
    for jobs in (1_000, 1_000_000):
        asked = list(one_a_round(jobs, "/report"))
        assert len(asked) == len(set(asked)) == WARM_UP + ROUNDS
