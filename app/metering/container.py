"""What a container or a control group allows: CPUs and memory, by cgroup v1 or v2."""

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"), Path("/run/secrets/kubernetes.io"))
NO_LIMIT_BYTES = 1 << 60  # v1 says "no limit" with a number near 2^63


def in_container(marks: tuple[Path, ...] = MARKS) -> bool:
    """Whether a container runtime left its mark (Docker, Podman, Kubernetes)."""
    return any(mark.exists() for mark in marks)


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> float | None:
    """CPUs' worth of time that this process may use; null where nothing limits it.

    A quota holds for everything below it, so the smallest on the way to the root counts.
    """
    quotas = [_quota_v2(folder) for folder in _folders(root, own, "")]
    quotas += [_quota_v1(folder) for folder in _folders(root / "cpu", own, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> int | None:
    """Bytes of memory that this process may use; null where nothing limits it."""
    limits = [_bytes(folder / "memory.max") for folder in _folders(root, own, "")]
    limits += [
        _bytes(folder / "memory.limit_in_bytes")
        for folder in _folders(root / "memory", own, "memory")
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's group and its parents; in a container, often the root alone."""
    group = _group(own, controller).strip("/")
    folder = root / group
    while folder != root:
        if folder.is_dir():
            yield folder
        folder = folder.parent
    if root.is_dir():
        yield root


def _group(own: Path, controller: str) -> str:
    """The path of this process's group under a v1 controller, or under v2 for an empty name."""
    if not own.exists():
        return ""
    for line in own.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return ""


def _quota_v2(folder: Path) -> float | None:
    path = folder / "cpu.max"
    if not path.exists():
        return None
    quota, period = path.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    path = folder / "cpu.cfs_quota_us"
    if not path.exists():
        return None
    quota = int(path.read_text())
    return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())


def _bytes(path: Path) -> int | None:
    text = path.read_text().strip() if path.exists() else "max"
    return None if text == "max" or int(text) >= NO_LIMIT_BYTES else int(text)
