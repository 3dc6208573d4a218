"""The host's idle power in a file of the data directory, for a worker that is started again."""

import contextlib
import errno
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.domain.quantities import Frozen
from app.domain.readings import HostFacts, IdlePower, MeterFacts

logger = logging.getLogger(__name__)

FILE = "baseline.json"
MOST_BYTES = 65_536  # ours has under 2 KiB; nobody waits for a file that is no such thing
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Belongs(Frozen):
    """What an idle power is of: one start of one machine, read by these sensors."""

    boot_id: str | None
    cpu_model: str | None
    host_cpus: int
    memory_gib: float
    gpus: tuple[str, ...]
    cpu_source: str | None
    gpu_source: str | None
    sensors: tuple[str, ...]


class Kept(Frozen):
    """The content of the file."""

    belongs: Belongs
    idle: IdlePower


def belongs(host: HostFacts, meter: MeterFacts) -> Belongs:
    """What an idle power that is measured here and now is of."""
    return Belongs(
        boot_id=host.boot_id,
        cpu_model=host.cpu_model,
        host_cpus=host.host_cpus,
        memory_gib=host.memory_gib,
        gpus=host.gpus,
        cpu_source=meter.cpu.source,
        gpu_source=meter.gpu.source,
        sensors=tuple(sensor.name for sensor in meter.sensors),
    )


def write(data_dir: Path, host: HostFacts, meter: MeterFacts, idle: IdlePower) -> None:
    """Keep an idle power: whoever reads meanwhile has the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    text = Kept(belongs=belongs(host, meter), idle=idle).model_dump_json(indent=2)
    with _beside(data_dir, text) as new:
        new.chmod(0o644)
        new.replace(data_dir / FILE)


def check(data_dir: Path) -> None:
    """See that an idle power can be kept, before it is measured.

    Raises:
        OSError: the file cannot be written.
    """
    if (data_dir / FILE).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(data_dir / FILE))
    with _beside(data_dir, " " * MOST_BYTES):
        pass


@contextlib.contextmanager
def _beside(data_dir: Path, text: str) -> Iterator[Path]:
    """A new file with this text beside ours; it is gone after the block, unless it was renamed."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=data_dir)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


class File:
    """The file as one process sees it: it is read again where it has changed."""

    def __init__(
        self, data_dir: Path, host: HostFacts, meter: MeterFacts, max_age_s: float
    ) -> None:
        """Read nothing yet."""
        self._path, self._belongs, self._max_age_s = (
            data_dir / FILE,
            belongs(host, meter),
            max_age_s,
        )
        self._seen: tuple[int, int] | None = None  # which version of it was read

    def news(self) -> IdlePower | None:
        """The idle power of a file that has not been read yet, and is of this host as it is now.

        What is too old, foreign or unreadable is ignored, with a line in the log.
        """
        try:
            status = self._path.stat()
            version = status.st_mtime_ns, status.st_ino
            if version == self._seen:
                return None
            self._seen = version
            kept = Kept.model_validate_json(_content(self._path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # a ValidationError is a ValueError
            told = " ".join(str(error).split())  # pydantic's takes several lines
            logger.warning("%s cannot be read and is ignored: %s", self._path, told)
            return None
        if reason := self._unfit(kept):
            logger.info("%s is ignored: %s", self._path, reason)
            return None
        return kept.idle

    def _unfit(self, kept: Kept) -> str | None:
        if kept.belongs.boot_id != self._belongs.boot_id:
            return "it was measured before the host was started the last time"
        if kept.belongs != self._belongs:
            return "it was measured with other hardware or other sensors"
        age_s = (datetime.now(UTC) - kept.idle.taken_at).total_seconds()
        if not 0 <= age_s <= self._max_age_s:
            return f"it was measured {age_s:.0f} s ago, see TRAINWATT_BASELINE_MAX_AGE_S"
        return None


def _content(path: Path) -> bytes:
    """The bytes of the file, without waiting for anybody: a FIFO has a writer, or none.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no regular file, or too large to be ours.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"expected a regular file, received {stat.filemode(status.st_mode)}")
        if status.st_size > MOST_BYTES:
            raise ValueError(f"expected {MOST_BYTES} bytes at most, received {status.st_size}")
        return os.read(descriptor, MOST_BYTES)
    finally:
        os.close(descriptor)
