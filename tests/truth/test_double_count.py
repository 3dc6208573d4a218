"""No joule is counted twice or lost in 1,000 lengths around the sampling period.

The clock is ours. It moves on a little whenever codecarbon looks at it or at the RAM, and whatever
is due goes off right then, also in the middle of a measurement: codecarbon's timers, the worker's
readings, the end of the run. That is what threads do to each other, and the race that counts
estimated energy twice. The last test shows that the same clock catches codecarbon's own schedulers
at it, so that the others could fail.
"""

import math
import random
import tempfile
from types import SimpleNamespace

import pytest

from app.metering.meter import CodecarbonMeter
from tests.simulated.traces import Trace, bursts

LENGTHS, STOCK_RUNS = 1_000, 150
PERIOD_S = 1.0  # of sampling
LOOK_S = 1e-6  # that a look at the clock takes
SLACK_S = 1e-4  # looks within one reading, and one of them on either side of it
JOULES_PER_KWH = 3.6e6
UNIT = 2e-6  # codecarbon's kilowatt-hour has six digits
START_J = 5.0


class Clock:
    """Moves when it is looked at and when it is told to; timers go off when it passes them."""

    def __init__(self):
        self.now_s, self.armed = 1_000.0, []

    def look(self):
        self.to(self.now_s + LOOK_S)
        return self.now_s

    def glance(self):
        """A look under a lock: others wait."""
        self.now_s += LOOK_S
        return self.now_s

    def to(self, moment_s):
        while self.armed:
            timer = min(self.armed, key=lambda timer: timer.due_s)
            if timer.due_s > max(moment_s, self.now_s):
                break
            self.now_s = max(self.now_s, timer.due_s)
            self.armed.remove(timer)
            timer.function()
        self.now_s = max(self.now_s, moment_s)

    def do(self, moment_s, action):
        """Go to a moment and do something there, in the middle of whatever else happens then."""
        timer = self.timer(moment_s - self.now_s, action)
        timer.start()
        self.to(moment_s)

    def timer(self, interval_s, function):
        timer = SimpleNamespace(due_s=self.now_s + interval_s, function=function, daemon=True)
        timer.start = lambda: self.armed.append(timer)
        timer.cancel = lambda: timer in self.armed and self.armed.remove(timer)
        return timer


def _lengths(seed):
    """Most lie close to a multiple of the period, before and after it; some anywhere."""
    chance = random.Random(seed)
    for number in range(LENGTHS):
        if number % 5 == 0:
            yield chance.uniform(0.03, 10.0)
        else:
            multiple = chance.randint(1, 5) * PERIOD_S
            yield multiple + chance.choice([0, 1e-6, 1e-5, 1e-3, 0.02]) * chance.uniform(-1, 1)


@pytest.fixture
def clock(monkeypatch):
    """codecarbon on a clock of ours, with nothing remembered of the hardware."""
    from codecarbon import emissions_tracker
    from codecarbon.core import hardware_cache
    from codecarbon.external import hardware, ram, scheduler

    hardware_cache.clear_cache()
    ours = Clock()
    for module, look in ((emissions_tracker, ours.look), (hardware, ours.glance)):
        seen = SimpleNamespace(**vars(module.time) | {"perf_counter": look})
        monkeypatch.setattr(module, "time", seen)
    power = ram.RAM.total_power
    monkeypatch.setattr(ram.RAM, "total_power", lambda ram: ours.look() and power(ram))
    monkeypatch.setattr(scheduler, "Timer", ours.timer)
    yield ours
    monkeypatch.undo()
    hardware_cache.clear_cache()


@pytest.fixture
def estimated(clock, monkeypatch):
    """A host without sensors at half load: the model's power is the same always."""
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    monkeypatch.setattr(cpu, "is_rapl_available", lambda *_: False)
    monkeypatch.setattr("app.metering.powercap.denied", lambda: None)
    monkeypatch.setattr(hardware.SystemCPULoadMeter, "percent", lambda *_: 50.0)


@pytest.fixture
def sensor(clock, monkeypatch, tmp_path):
    """One socket whose counter is an exact integral over the clock; the trace to compare with."""
    from codecarbon.core import cpu, rapl
    from codecarbon.external import hardware

    trace = Trace(((0.0, bursts(15, 200, every_s=0.7, burst_s=0.05)),))
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    (folder / "name").write_text("package-0\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    counter = folder / "energy_uj"
    counter.write_text("1\n")
    real_open = open

    def open_(path, *rest, **more):
        if str(path) == str(counter):
            counter.write_text(f"{int((START_J + trace.energy_j(clock.now_s)) * 1e6)}\n")
        return real_open(path, *rest, **more)

    start = hardware.CPU.__init__
    default = "/sys/class/powercap/intel-rapl/subsystem"
    given = tuple(str(tmp_path) if d == default else d for d in start.__defaults__)
    monkeypatch.setattr(start, "__defaults__", given)
    monkeypatch.setattr(cpu, "is_rapl_available", lambda *_: True)
    monkeypatch.setattr(rapl, "open", open_, raising=False)
    return trace


@pytest.fixture
def meter_of():
    made = []

    def make():
        made.append(CodecarbonMeter())
        return made[-1]

    yield make
    for meter in made:
        meter.close()


def _attempt(clock, meter, length_s):
    """Readings as a worker takes them: at the start, once a period, and at the end.

    Returns:
        The moments and joules of the first and of the last.
    """
    taken = []

    def read():
        at_s = clock.now_s
        taken.append((at_s, meter.read()))

    begun_s = clock.now_s
    ticks = range(1, math.ceil(length_s / PERIOD_S))
    for after_s in (0.0, *(tick * PERIOD_S for tick in ticks), length_s):
        clock.do(begun_s + after_s, read)
    clock.to(clock.now_s + 0.25)
    return taken[0], taken[-1]


def test_nothing_of_codecarbon_waits_to_measure_beside_us(clock, meter_of):
    meter_of()
    assert clock.armed == []


def test_an_estimate_is_power_times_length_in_1000_lengths(clock, estimated, meter_of):
    meter = meter_of()
    assert meter.facts.cpu.source == "codecarbon cpu_load"
    cpu_w = meter.facts.cpu.tdp_w * (0.1 + 0.9 * 0.5**3)
    ram_w = meter.facts.ram.constant_w
    for length_s in _lengths(seed=6):
        (begun_s, first), (ended_s, last) = _attempt(clock, meter, length_s)
        for gained_j, watts in (
            (last.cpu_j - first.cpu_j, cpu_w),
            (last.ram_j - first.ram_j, ram_w),
        ):
            truth_j = watts * (ended_s - begun_s)
            assert gained_j == pytest.approx(truth_j, rel=UNIT, abs=watts * SLACK_S)


def test_a_sensor_gives_its_own_difference_in_1000_lengths(clock, sensor, meter_of):
    meter = meter_of()
    assert meter.facts.cpu.source == "codecarbon intel_rapl"
    for length_s in _lengths(seed=7):
        (begun_s, first), (ended_s, last) = _attempt(clock, meter, length_s)
        truth_j = sensor.between_j(begun_s, ended_s)
        assert last.cpu_j - first.cpu_j == pytest.approx(truth_j, rel=UNIT, abs=200 * SLACK_S)


def test_the_same_clock_catches_codecarbons_own_timers(clock, estimated):
    from codecarbon import OfflineEmissionsTracker

    doubled = runs = 0
    for length_s in _lengths(seed=8):
        if abs(length_s - round(length_s)) > 1e-4:
            continue
        if runs == STOCK_RUNS:
            break
        tracker = OfflineEmissionsTracker(
            measure_power_secs=PERIOD_S,
            country_iso_code="FRA",
            output_methods=[],
            output_dir=tempfile.gettempdir(),
            log_level="critical",
            allow_multiple_runs=True,
        )
        tracker.start()
        cpu = next(item for item in tracker._hardware if type(item).__name__ == "CPU")
        clock.do(tracker._start_time + length_s, tracker.stop)
        truth_j = cpu._tdp * (0.1 + 0.9 * 0.5**3) * length_s
        counted_j = tracker._total_cpu_energy.kWh * JOULES_PER_KWH
        runs += 1
        doubled += counted_j > 1.1 * truth_j
    assert 0 < doubled < runs
