"""Whether the kernel's powercap tree (RAPL) is there and may not be read."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
CURE = "chmod o+r {counter} as root (see the README on RAPL)"


def denied(root: Path = POWERCAP) -> str | None:
    """Why RAPL counters that exist cannot be read, with the cure; null where that is not so.

    Since 2020 the counters are readable by root only (CVE-2020-8694).
    """
    for counter in sorted(root.glob("intel-rapl:*/energy_uj")):
        try:
            counter.read_text()
        except PermissionError:
            return f"no permission to read {counter}: " + CURE.format(counter=counter)
        except OSError as error:
            return f"{counter} cannot be read: {error.strerror}"
    return None
