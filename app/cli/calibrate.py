"""`trainwatt calibrate`: measure the host's idle power now, and keep it for the worker."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from app.accounting.conditions import BUSY_SHARE
from app.accounting.processors import contradiction
from app.domain.errors import UsageError
from app.domain.readings import HostFacts, IdlePower, MeterFacts
from app.metering.conditions import Conditions
from app.metering.counters import CpuCounters
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter, EnergyMeter
from app.settings import Settings
from app.worker import baseline_file
from app.worker.gate import host_gate
from app.worker.idle import SLACK_S, Window, has_sensor, lacking
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
        UsageError: the lock file or the data directory cannot be used, or a setting contradicts the
            host.
        MeterError: the meter gave no reading.
    """
    meter = CodecarbonMeter()
    try:
        host = host_facts(settings.host_name, known=settings.known_facts())
        if told := contradiction(host, meter.facts):
            raise UsageError(told)
        if not has_sensor(meter.facts):
            raise UncalibratedError(_without_sensor(meter.facts))
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
    with _writable(settings.data_dir):
        baseline_file.check(settings.data_dir)
    async with host_gate(
        settings.host_lock, lambda: say("a job runs on this host: waiting for its end")
    ):
        say(f"measuring for {window_s:g} s: leave the host alone meanwhile")
        idle = await measure(host, meter, window_s)
        with _writable(settings.data_dir):
            baseline_file.write(settings.data_dir, host, meter.facts, idle)
        say(f"kept in {settings.data_dir / baseline_file.FILE}")
        return idle


@contextlib.contextmanager
def _writable(data_dir: Path) -> Iterator[None]:
    """Say what to do where the idle power cannot be kept.

    Raises:
        UsageError: it cannot.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in baseline_file.FULL
        cure = "free space there" if full else "calibrate as the user that the worker runs as"
        raise UsageError(
            f"{data_dir / baseline_file.FILE} cannot be written ({error.strerror}): {cure}, "
            "or set TRAINWATT_DATA_DIR"
        ) from error


async def measure(host: HostFacts, meter: EnergyMeter, window_s: float) -> IdlePower:
    """The idle power over a window that begins now.

    The meter is read by the event loop's own thread: between readings Ctrl-C ends it at once, and
    nothing waits for another thread then.

    Raises:
        UncalibratedError: others were busy, the window was cut, or a sensor has no figure.
        MeterError: the meter gave no reading.
    """
    counters = CpuCounters(None, ())
    looks: list[Look] = []
    used: list[float] = []
    load = LoadMonitor(host.host_cpus, lambda: counters)
    window, conditions = Window(meter.facts, load, window_s), Conditions()
    begin_s = time.monotonic()
    for due_s in [*_steps(window_s), window_s]:
        await asyncio.sleep(max(0.0, begin_s + due_s - time.monotonic()))
        look = load.look()
        if look is None:
            raise UncalibratedError(
                "the CPU-seconds of the host cannot be read, so nobody can say that it is idle"
            )
        looks.append(look)
        energies, utilization = meter.read(), conditions.read(None).gpu_utilization
        window.add(look, energies, utilization)
        used.append(utilization or 0.0)
        _check_quiet(load, looks, used, window_s)
    return _whole(meter.facts, window, window_s).model_copy(update={"calibrated": True})


def _whole(meter: MeterFacts, window: Window, window_s: float) -> IdlePower:
    """The idle power over the whole window.

    Raises:
        UncalibratedError: there is less of it, or a sensor has no figure.
    """
    if window.span_s < window_s - SLACK_S:
        raise UncalibratedError(
            f"expected a window of {window_s:g} s, received {window.span_s:.1f} s without a gap: "
            "this process or the host was stopped meanwhile; calibrate again"
        )
    idle = window.idle(window.span_s, disturbed=True)
    missing = lacking(meter, idle)
    if idle is None or missing:
        raise UncalibratedError(
            f"a counter of the {' and of the '.join(missing)} has not risen all the time: it stood "
            "still, jumped or could not be read; see `trainwatt hosts` for what can be read, or "
            "choose a longer --window"
        )
    return idle


def _check_quiet(
    load: LoadMonitor, looks: Sequence[Look], used: Sequence[float], window_s: float
) -> None:
    """See that others have not used more already than they may in the whole window.

    Args:
        load: whose looks these are.
        looks: at the CPU-seconds, since the begin of the window.
        used: the GPUs' use at each of them, from 0 to 1.
        window_s: length of the whole window.

    Raises:
        UncalibratedError: they have.
    """
    so_far_s = looks[-1].t_s - looks[0].t_s
    if not so_far_s:
        return
    shares = {
        "host is {} busy with other programs": load.shares(looks[0], looks[-1])[0],
        "GPU is {} busy with other programs": fmean(used),
    }
    for sentence, share in shares.items():
        if share * so_far_s > BUSY_SHARE * window_s:
            told = sentence.format(f"{100 * share:.0f} %")
            raise UncalibratedError(f"the {told}: stop them and calibrate again")


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
