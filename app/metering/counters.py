"""CPU-seconds of the host, of the job's process and of the service, as cumulative counters."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import psutil

from app.domain.quantities import Frozen

CPUACCT = Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")
CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")
OWN, ENDED_CHILDREN = slice(0, 2), slice(2, 4)  # of psutil's cpu_times: user and system
SERVICE_PERIOD_S = 0.9  # between two looks at every process of the service, each a file to read
AGREE = (0.8, 1.25)  # a root counter within these factors of /proc/stat counts the whole host


class CpuSeconds(Frozen):
    """Cumulative CPU-seconds at one moment; null where they cannot be read."""

    host_busy_s: float | None
    host_steal_s: float | None
    job_cpu_s: float | None
    service_cpu_s: float | None
    instrument_cpu_s: float | None


class HostCounters:
    """The counters of the whole host."""

    def __init__(self) -> None:
        """Find the one that counts the host, and not a container alone."""
        self._source = host_busy_source()

    def busy_s(self) -> float | None:
        """CPU-seconds of everything on the host."""
        return _busy_s(self._source)

    @staticmethod
    def steal_s() -> float | None:
        """CPU-seconds that the hypervisor took."""
        return _steal_s()


class Counters(Protocol):
    """What an attempt counts CPU-seconds with."""

    def read(self, job: int | None, /) -> CpuSeconds:
        """All counters now; `job` is the process that trains, null before it starts."""


class CpuCounters:
    """The counters of one attempt.

    Args:
        fork_server: the parent of the job's process; the CPU-seconds of a child that has ended
            are found in it.
        service: processes of the service beside the caller: API, database, supervisor.
    """

    def __init__(self, fork_server: int | None, service: Iterable[psutil.Process]) -> None:
        """Remember the processes, and what their ended children had used before."""
        self._fork_server = _process(fork_server)
        self._ended_before_s = _cpu_s(self._fork_server, ENDED_CHILDREN)
        self._service = {process: 0.0 for process in service}
        self._service_due_s = 0.0  # of the monotonic clock
        self._host = HostCounters()

    def read(self, job: int | None) -> CpuSeconds:
        """All counters now; `job` is the process that trains, null before it starts."""
        instrument_s = time.process_time()
        return CpuSeconds(
            host_busy_s=self._host.busy_s(),
            host_steal_s=self._host.steal_s(),
            job_cpu_s=self._job_s(job),
            service_cpu_s=instrument_s + self._service_s(at_once=job is None),
            instrument_cpu_s=instrument_s,
        )

    def _job_s(self, job: int | None) -> float | None:
        alive = _cpu_s(_process(job), OWN) or 0.0
        ended = _cpu_s(self._fork_server, ENDED_CHILDREN)
        if ended is None or self._ended_before_s is None:
            return alive or None
        return alive + ended - self._ended_before_s

    def _service_s(self, *, at_once: bool) -> float:
        """The sum over the service; a process that has ended keeps its last value.

        Of each its own seconds alone: what an ended child had used, its parent gains at once.
        Looked at once a second, and at the ends of the run, where the window is judged.
        """
        now_s = time.monotonic()
        if not at_once and now_s < self._service_due_s:
            return (_cpu_s(self._fork_server, OWN) or 0.0) + sum(self._service.values())
        self._service_due_s = now_s + SERVICE_PERIOD_S
        for process in self._service:
            seconds = _cpu_s(process, OWN)
            if seconds is not None:
                self._service[process] = seconds
        return (_cpu_s(self._fork_server, OWN) or 0.0) + sum(self._service.values())


def host_busy_source() -> Path | None:
    """The root control group's counter where it counts the whole host, else null for /proc/stat.

    The control group counts in nanoseconds, /proc/stat in ticks on some kernels. Inside a
    container the same path counts the container alone, which the comparison shows.
    """
    stat_s = _proc_stat_busy_s()
    for path in (CPUACCT, CPU_STAT):
        if not path.exists() or not stat_s:
            continue
        if AGREE[0] < _cgroup_s(path) / stat_s < AGREE[1]:
            return path
    return None


def _busy_s(source: Path | None) -> float | None:
    return _cgroup_s(source) if source else _proc_stat_busy_s()


def _cgroup_s(path: Path) -> float:
    text = path.read_text()
    if path == CPUACCT:
        return int(text) / 1e9
    return int(text.split("usage_usec", 1)[1].split()[0]) / 1e6


def _proc_stat_busy_s() -> float:
    times = psutil.cpu_times()
    waits = getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - times.idle - waits - guests)


def _steal_s() -> float | None:
    steal = getattr(psutil.cpu_times(), "steal", None)
    return None if steal is None else float(steal)


def _process(pid: int | None) -> psutil.Process | None:
    if pid is None:
        return None
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _cpu_s(process: psutil.Process | None, which: slice) -> float | None:
    """User and system seconds of a process or of its ended children; null once it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process is not None and process.is_running():  # and not another one of its number
            return float(sum(tuple(process.cpu_times())[which]))
    return None


def service_processes(*, supervised: bool) -> tuple[psutil.Process, ...]:
    """The supervisor of this process and all that it started, but not this process's own.

    Without a supervisor there are none: a database that is given counts among the others.
    """
    if not supervised:
        return ()
    try:
        supervisor = psutil.Process(os.getppid())
        mine = {child.pid for child in psutil.Process().children(recursive=True)}
        family = [supervisor, *supervisor.children(recursive=True)]
    except psutil.NoSuchProcess:
        return ()
    return tuple(p for p in family if p.pid not in mine | {os.getpid()})
