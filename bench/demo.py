"""`make demo` from nothing, and the second time, in a clone of the committed tree."""

import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run() -> dict[str, object]:
    """Wall seconds of both; the first one installs everything."""
    with tempfile.TemporaryDirectory(prefix="trainwatt-demo-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        first_s, second_s = _demo(clone), _demo(clone)
    return {
        "what": "make demo, wall seconds; the first includes environment and downloads",
        "from_nothing_s": round(first_s, 1),
        "second_time_s": round(second_s, 1),
    }


def _demo(clone: Path) -> float:
    began_s = time.perf_counter()
    subprocess.run(["make", "demo"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s
