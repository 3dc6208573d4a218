"""codecarbon's RAPL packages: which it reads, and which it leaves out for mirrors of others.

It takes a package for a mirror whose counter stands within 1 J of another's at its start, and asks
again after the first interval: that is its first measurement, milliseconds later, in which two
packages that count on their own are within 1 J too. So the second is dropped for good, unless the
two have drifted apart by the next start.
"""

from pathlib import Path
from typing import Any

from app.metering.sensors import Package

COUNTED = "Processor Energy Delta"  # codecarbon adds up the files of this name alone
APART_J = 0.5  # a mirror lies between two looks at its original, but for a step of the counters


def packages(interface: Any) -> tuple[Package, ...]:
    """The packages that codecarbon's IntelRAPL adds up now."""
    return tuple(
        Package(file, _name(file)) for file in _kept(interface) if file.name.startswith(COUNTED)
    )


def suspects(interface: Any) -> tuple[Any, ...]:
    """Files that codecarbon lists and does not add up now: it takes them for mirrors."""
    kept = {file.path for file in _kept(interface)}
    listed = type(interface)(rapl_dir=interface._lin_rapl_dir)._rapl_files
    return tuple(file for file in listed if file.path not in kept)


def left_out(interface: Any) -> tuple[str, ...]:
    """Names of the suspects that count on their own, as they stand now."""
    kept = _kept(interface)
    return tuple(
        _name(suspect)
        for suspect in suspects(interface)
        if all(_apart(suspect, file) for file in kept)
    )


def _kept(interface: Any) -> tuple[Any, ...]:
    pending = interface._mirrored_candidates
    return tuple(file for file in interface._rapl_files if file.path not in pending)


def _apart(suspect: Any, original: Any) -> bool:
    """Whether a counter is none that another shows too, read right before and right after it."""
    before_j, joules, after_j = (_joules(file) for file in (original, suspect, original))
    if before_j is None or joules is None or after_j is None:
        return False  # `powercap.missing` names it
    return not before_j - APART_J <= joules <= after_j + APART_J


def _joules(file: Any) -> float | None:
    try:
        return float(Path(file.path).read_text()) / 1e6
    except (OSError, ValueError):
        return None


def _name(file: Any) -> str:
    """As the kernel calls the package."""
    folder = Path(file.path).parent
    label = folder / "name"
    return label.read_text().strip() if label.exists() else folder.name
