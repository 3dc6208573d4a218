"""Results as JSON, with the host and the commit that they were measured on."""

import json
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.metering.host import host_facts

RESULTS = Path(__file__).parent / "results"


def write(name: str, figures: dict[str, object]) -> Path:
    """Write the figures of one bench; its file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    host = host_facts("bench").model_dump(
        include={"os", "python", "cpu_model", "logical_cpus", "memory_gib", "virtual_machine"}
    )
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    body = {"measured_at": measured_at, "commit": commit(), "host": host, **figures}
    path.write_text(json.dumps(body, indent=2) + "\n")
    return path


def commit() -> str:
    """The commit, marked where the tree has changes beyond it and beyond older results."""
    changed = _git("status", "--porcelain", "--", ".", ":!bench/results")
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    command = ["git", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Smallest, median and largest, to four digits."""
    return {
        "n": len(values),
        "min": _short(min(values)),
        "median": _short(statistics.median(values)),
        "max": _short(max(values)),
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
