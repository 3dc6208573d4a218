"""`trainwatt calibrate`: measure the host's idle power now, and keep it for the worker."""

import asyncio
import time
from collections.abc import Callable

from app.accounting.conditions import BUSY_SHARE
from app.domain.errors import UsageError
from app.domain.readings import HostFacts, IdlePower, MeterFacts
from app.metering.counters import CpuCounters
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter, EnergyMeter
from app.settings import Settings
from app.worker import baseline_file
from app.worker.gate import host_gate
from app.worker.idle import Window, has_sensor
from app.worker.load_monitor import LoadMonitor, Look

PERIOD_S = 1.0


class UncalibratedError(UsageError):
    """The idle power could not be measured; the text says why and what to do."""


def calibrate(settings: Settings, window_s: float, say: Callable[[str], None]) -> IdlePower:
    """Measure the idle power while no job runs, and keep it.

    Args:
        settings: the host's lock, and the data directory of the worker.
        window_s: how long to measure.
        say: told in a sentence what it waits for.

    Raises:
        UncalibratedError: no sensor can be read, or the host was not idle.
        UsageError: the lock file or the data directory cannot be used.
        MeterError: the meter gave no reading.
    """
    meter = CodecarbonMeter()
    try:
        if not has_sensor(meter.facts):
            raise UncalibratedError(_without_sensor(meter.facts))
        host = host_facts(settings.host_name, known=settings.known_facts())
        return asyncio.run(_alone(settings, window_s, host, meter, say))
    finally:
        meter.close()


async def _alone(
    settings: Settings,
    window_s: float,
    host: HostFacts,
    meter: EnergyMeter,
    say: Callable[[str], None],
) -> IdlePower:
    async with host_gate(
        settings.host_lock, lambda: say("a job runs on this host: waiting for its end")
    ):
        say(f"measuring for {window_s:g} s: leave the host alone meanwhile")
        idle = await asyncio.to_thread(measure, host, meter, window_s)
        try:
            baseline_file.write(settings.data_dir, host, meter.facts, idle)
        except OSError as error:
            raise UsageError(
                f"{settings.data_dir / baseline_file.FILE} cannot be written ({error.strerror}): "
                "calibrate as the user that the worker runs as, or set TRAINWATT_DATA_DIR"
            ) from error
        say(f"kept in {settings.data_dir / baseline_file.FILE}")
        return idle


def measure(host: HostFacts, meter: EnergyMeter, window_s: float) -> IdlePower:
    """The idle power over a window that begins now.

    Raises:
        UncalibratedError: other programs were busy, or no counter of a sensor has risen.
        MeterError: the meter gave no reading.
    """
    counters = CpuCounters(None, ())
    first: Look | None = None
    load = LoadMonitor(host.host_cpus, lambda: counters)
    window = Window(meter.facts, load, window_s)
    begin_s = time.monotonic()
    for due_s in [*_steps(window_s), window_s]:
        time.sleep(max(0.0, begin_s + due_s - time.monotonic()))
        look = load.look()
        if look is None:
            raise UncalibratedError(
                "the CPU-seconds of the host cannot be read, so nobody can say that it is idle"
            )
        window.add(look, meter.read())
        first = first or look
        _check_quiet(load, first, look, window_s)
    idle = window.idle(window.span_s, disturbed=True)
    if idle is None:
        raise UncalibratedError(
            "no counter of a sensor has risen: see `trainwatt hosts` for what can be read, or "
            "choose a longer --window"
        )
    return idle.model_copy(update={"calibrated": True})


def _check_quiet(load: LoadMonitor, first: Look, last: Look, window_s: float) -> None:
    """See that others have not used more already than they may in the whole window.

    Raises:
        UncalibratedError: they have.
    """
    so_far_s = last.t_s - first.t_s
    share = load.shares(first, last)[0] if so_far_s else 0.0
    if share * so_far_s > BUSY_SHARE * window_s:
        raise UncalibratedError(
            f"the host is {100 * share:.0f} % busy with other programs: "
            "stop them and calibrate again"
        )


def _steps(window_s: float) -> list[float]:
    """Seconds from the begin at which the meter is read before the end."""
    return [step * PERIOD_S for step in range(int(window_s / PERIOD_S - 0.5) + 1)]


def _without_sensor(meter: MeterFacts) -> str:
    reason = "; ".join(filter(None, [meter.cpu.reason, meter.gpu.reason]))
    cure = reason or "it shows no RAPL counter and no GPU counter (see the README on power sensors)"
    return (
        "no sensor of this host can be read, so there is nothing to calibrate and reports take "
        f"the idle figure of the model: {cure}"
    )
