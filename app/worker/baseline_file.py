"""The host's idle power in a file of the data directory, for a worker that is started again."""

import contextlib
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from app.domain.quantities import Frozen
from app.domain.readings import HostFacts, IdlePower, MeterFacts

logger = logging.getLogger(__name__)

FILE = "baseline.json"


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
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Kept(belongs=belongs(host, meter), idle=idle).model_dump_json(indent=2)
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=data_dir)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(data_dir / FILE)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


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
            kept = Kept.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            logger.warning("%s cannot be read and is ignored: %s", self._path, error)
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
