"""Whether the kernel's powercap tree (RAPL) is there and may not be read, or is masked."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
CURE = "chmod o+r {counter} as root (see the README on power sensors)"
MASKED = (
    "the container runtime masks this host's RAPL counters: start the container with "
    "--security-opt systempaths=unconfined (see the README on power sensors in a container)"
)


def denied(root: Path = POWERCAP) -> str | None:
    """Why RAPL counters that exist cannot be read, with the cure; null where that is not so.

    Since 2020 the counters are readable by root only (CVE-2020-8694), and newer container
    runtimes lay an empty folder over the devices, so that the links to them lead nowhere.
    """
    if any(link.is_symlink() and not link.exists() for link in root.glob("intel-rapl*")):
        return MASKED
    troubles = (_trouble(counter) for counter in sorted(root.glob("intel-rapl:*/energy_uj")))
    return next((trouble for trouble in troubles if trouble), None)


def missing(root: Path) -> str | None:
    """Why a package's counter cannot be read, with the cure; null where every one can.

    codecarbon leaves out without a word what it cannot read, and the sum of the others would pass
    for the whole. A package that two interfaces show (MSR, MMIO) needs one that can be read.
    """
    troubles: dict[str, str | None] = {}
    for label in sorted(root.glob("intel-rapl*:*/name")):
        package = label.read_text().strip()
        if "package" in package.lower() and troubles.get(package, "") is not None:
            troubles[package] = _trouble(label.parent / "energy_uj")
    return next((trouble for trouble in troubles.values() if trouble), None)


def _trouble(counter: Path) -> str | None:
    """Why one counter cannot be read; null where it can."""
    try:
        float(counter.read_text())
    except PermissionError:
        return f"no permission to read {counter}: " + CURE.format(counter=counter)
    except OSError as error:
        return f"{counter} cannot be read: {error.strerror}"
    except ValueError:
        return f"{counter} cannot be read: it holds no number"
    return None
