"""`python -m tests.simulated FOLDER`: the product's worker, on a host with simulated sensors."""

import os
import sys
from pathlib import Path

from tests.simulated.install import install
from tests.simulated.sensors import MARKS


def run(folder: Path) -> int:
    """The worker as `python -m app.worker` runs it, after the sensors were put under codecarbon."""
    os.environ["CODECARBON_LOG_LEVEL"] = "ERROR"
    install(folder)
    from app import bootstrap
    from app.worker import child
    from tests.simulated import marks

    os.environ[marks.FOLDER] = str(folder / MARKS)
    child.main = marks.main
    return bootstrap.run_worker()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
