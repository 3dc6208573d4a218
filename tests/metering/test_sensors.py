"""codecarbon on a simulated RAPL tree and a simulated NVML: joules, sources, and blind devices."""

import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.readings import Method, Readings, Sensor
from app.metering.host import host_facts
from app.metering.sensors import (
    GPU_MOST_W,
    LATE_S,
    PACKAGE_MOST_W,
    Cumulative,
    Step,
    step_of,
)
from app.worker.budget import Budget

STEP_S = 0.002
TOLERANCE = 0.005  # of the truth, from 0.3 s up
RANGE_UJ = 262_143_328_850  # as Intel's counters: they wrap there


class Counter:
    """Microjoules of one device at constant power, from a start value."""

    def __init__(self, watts, start_uj):
        self.watts, self.start_uj, self.drawn_j = watts, start_uj, 0.0

    @property
    def shown_uj(self):
        return int(self.start_uj + self.drawn_j * 1e6)


class Clock:
    """Advances counters in fine steps from a thread, and shows them to whoever has files of them.

    The truth is what the counters have drawn, so that a thread that is late changes nothing.
    """

    def __init__(self, counters, publish=lambda: None):
        self.counters, self._publish = counters, publish
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._publish()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()

    def _run(self):
        last_s = time.perf_counter()
        while not self._ends.wait(STEP_S):
            now_s = time.perf_counter()
            with self._lock:
                for counter in self.counters:
                    counter.drawn_j += counter.watts * (now_s - last_s)
                self._publish()
            last_s = now_s

    def drawn_j(self):
        with self._lock:
            return sum(counter.drawn_j for counter in self.counters)


class Window:
    """What a meter counted, between the least and the most that was drawn meanwhile."""

    def __init__(self, first, last):
        (self.before_first, self.first, self.after_first) = first
        (self.before_last, self.last, self.after_last) = last

    def holds(self, component):
        joules = getattr(self.last, component) - getattr(self.first, component)
        least = (self.before_last - self.after_first) * (1 - TOLERANCE)
        most = (self.after_last - self.before_first) * (1 + TOLERANCE)
        assert 0 < least <= joules <= most


def _looks(meter, truth_j, pauses_s):
    """Readings with the truth right before and after each."""
    found = [(truth_j(), meter.read(), truth_j())]
    for pause_s in pauses_s:
        time.sleep(pause_s)
        found.append((truth_j(), meter.read(), truth_j()))
    return found


@pytest.fixture
def rapl(powercap):
    """Two sockets of 60 and 35 W; the second wraps in the first second."""
    sockets = [Counter(60, 5_000_000), Counter(35, RANGE_UJ - 20_000_000)]
    for socket in sockets:
        powercap.add(socket.shown_uj, range_uj=RANGE_UJ)

    def publish():
        for number, socket in enumerate(sockets):
            powercap.show(number, socket.shown_uj % RANGE_UJ)

    with Clock(sockets, publish) as clock:
        yield clock


def test_two_rapl_sockets_are_read_within_half_a_percent(rapl, meter_of):
    meter = meter_of()
    assert (meter.facts.cpu.method, meter.facts.cpu.source) == (
        Method.MEASURED,
        "codecarbon intel_rapl",
    )
    assert meter.facts.cpu.tdp_w is None
    looks = _looks(meter, rapl.drawn_j, [0.3, 0.3, 3.0])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("cpu_j")
    Window(looks[0], looks[-1]).holds("cpu_j")
    assert rapl.counters[1].shown_uj > RANGE_UJ  # it did wrap on the way


def test_a_gpu_with_a_counter(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter, "power_w": 500, "limit_w": 700})
    with Clock([counter]) as clock:
        meter = meter_of()
        assert (meter.facts.gpu.method, meter.facts.gpu.source) == (
            Method.MEASURED,
            "codecarbon gpu energy counter",
        )
        looks = _looks(meter, clock.drawn_j, [0.3, 1.0])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("gpu_j")


def test_a_gpu_with_power_alone(nvml, meter_of):
    nvml({"power_w": 40, "limit_w": 70})
    meter = meter_of()
    assert (meter.facts.gpu.method, meter.facts.gpu.source) == (
        Method.MEASURED,
        "codecarbon gpu power samples",
    )
    looks = _looks(meter, lambda: 40 * time.perf_counter(), [0.3, 0.5])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("gpu_j")


def test_a_counter_beside_power_alone_adds_up(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter}, {"power_w": 40})
    with Clock([counter]) as clock:
        meter = meter_of()
        assert meter.facts.gpu.source == "codecarbon gpu power samples"
        looks = _looks(meter, lambda: clock.drawn_j() + 40 * time.perf_counter(), [0.5])
    Window(*looks).holds("gpu_j")


@pytest.mark.parametrize("power_w", [None, 0])
def test_a_gpu_without_any_sensor_is_not_measured_as_nothing(nvml, meter_of, power_w):
    nvml({"power_w": power_w, "limit_w": 300})
    meter = meter_of()
    gpu = meter.facts.gpu
    assert (gpu.method, gpu.tdp_w, gpu.source) == (Method.ASSUMED, 300.0, None)
    assert "GPU 0 (Simulated 0): neither an energy counter nor power" in gpu.reason
    assert meter.read().gpu_j is None


def test_a_gpu_without_sensor_and_limit_is_unavailable(nvml, meter_of):
    nvml({"limit_w": 300}, {})
    meter = meter_of()
    assert meter.facts.gpu.method is Method.UNAVAILABLE
    assert "GPU 1 (Simulated 1)" in meter.facts.gpu.reason
    assert meter.read().gpu_j is None


def test_a_gpu_without_sensor_beside_one_with_a_counter(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter, "limit_w": 700}, {"limit_w": 300})
    with Clock([counter]) as clock:
        meter = meter_of()
        gpu = meter.facts.gpu
        assert (gpu.method, gpu.tdp_w) == (Method.ASSUMED, 300.0)
        assert gpu.source == "codecarbon gpu energy counter"
        looks = _looks(meter, clock.drawn_j, [0.3])
    Window(*looks).holds("gpu_j")


def test_a_driver_without_devices_is_unavailable(nvml, meter_of):
    nvml()
    assert meter_of().facts.gpu.method is Method.UNAVAILABLE


def test_every_sensor_is_counted_on_its_own(rapl, nvml, meter_of):
    nvml({"power_w": 40})
    meter = meter_of()
    names = [(sensor.name, sensor.component) for sensor in meter.facts.sensors]
    assert names == [("package-0", "cpu"), ("package-1", "cpu"), ("GPU 0", "gpu")]
    assert meter.facts.sensors[0].range_j == pytest.approx(RANGE_UJ / 1e6, rel=1e-5)
    assert meter.facts.sensors[2] == Sensor(name="GPU 0", component="gpu", range_j=None)
    first = meter.read()
    time.sleep(0.5)
    last = meter.read()
    one_j, two_j, gpu_j = (b - a for a, b in zip(first.sensors_j, last.sensors_j, strict=True))
    assert one_j / two_j == pytest.approx(60 / 35, rel=0.05)
    assert last.cpu_j - first.cpu_j == pytest.approx(one_j + two_j)
    assert last.gpu_j - first.gpu_j == pytest.approx(gpu_j)


def test_the_sum_of_the_sensors_is_codecarbons_own(rapl, nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter}, {"power_w": 40})
    meter = meter_of()
    tracker, first = meter._tracker, meter.read()
    before_kwh = tracker._total_cpu_energy.kWh, tracker._total_gpu_energy.kWh
    counter.drawn_j += 30
    time.sleep(0.3)
    last = meter.read()
    after_kwh = tracker._total_cpu_energy.kWh, tracker._total_gpu_energy.kWh
    cpu_kwh, gpu_kwh = (b - a for a, b in zip(before_kwh, after_kwh, strict=True))
    assert last.cpu_j - first.cpu_j == pytest.approx(cpu_kwh * 3.6e6)
    assert last.gpu_j - first.gpu_j == pytest.approx(gpu_kwh * 3.6e6)


def _gained_j(readings, sensor):
    first, last = readings[0].sensors_j[sensor], readings[-1].sensors_j[sensor]
    return pytest.approx(last - first, rel=1e-5)


@pytest.fixture
def two_sockets(powercap, meter_of):
    """A meter of two packages, of which each draws 10 and 20 J between readings."""
    powercap.add(5_000_000, range_uj=RANGE_UJ)
    powercap.add(900_000_000, range_uj=RANGE_UJ)
    meter = meter_of()

    def tick(first_j=10, second_j=20):
        powercap.draw(0, first_j)
        powercap.draw(1, second_j)

    return meter, tick


def test_one_of_two_sockets_that_stands_still_is_seen_behind_a_sum_that_rises(
    two_sockets, attempt_of
):
    meter, tick = two_sockets
    attempt = attempt_of(meter, [tick] * 2 + [lambda: tick(second_j=0)] * 4)
    sums = [reading.cpu_j for reading in attempt.readings]
    assert all(two > one for one, two in zip(sums, sums[1:], strict=False))
    assert _gained_j(attempt.readings, 0) == 60
    assert _gained_j(attempt.readings, 1) == 40
    assert attempt.cpu.codes == ("counter_stopped",)
    assert "package-1" in attempt.cpu.component.reason


def test_a_socket_that_cannot_be_read_any_more_leaves_no_sum_without_it(
    two_sockets, powercap, attempt_of
):
    meter, tick = two_sockets
    attempt = attempt_of(meter, [tick, lambda: (tick(), powercap.take_away(1)), tick])
    first, second, third, fourth = attempt.readings
    assert second.cpu_j is not None
    assert (third.cpu_j, third.sensors_j[1], fourth.cpu_j) == (None, None, None)
    assert _gained_j(attempt.readings, 0) == 30
    assert attempt.cpu.component.energy_j is None
    assert attempt.cpu.codes == ("counter_lost",)


def test_a_socket_that_comes_back_is_no_figure_and_the_next_run_is_right(
    two_sockets, powercap, attempt_of
):
    meter, tick = two_sockets
    lost = [lambda: powercap.take_away(1), lambda: (tick(), powercap.give_back(1))]
    attempt = attempt_of(meter, [tick, *lost, tick, lambda: tick(1_000, 1_000)])
    assert attempt.readings[-1].cpu_j is not None
    assert attempt.cpu.component.energy_j is None
    assert attempt.cpu.codes == ("counter_lost",)
    again = attempt_of(meter, [tick, tick])
    assert again.cpu.component.energy_j == pytest.approx(60, rel=1e-5)


def test_a_socket_lost_between_two_runs_harms_neither(two_sockets, powercap, attempt_of):
    meter, tick = two_sockets
    attempt_of(meter, [tick])
    powercap.take_away(1)
    meter.read()
    powercap.give_back(1)
    attempt = attempt_of(meter, [tick, tick])
    assert attempt.cpu.component.energy_j == pytest.approx(60, rel=1e-5)


def test_a_wrap_is_counted_through(two_sockets, powercap, attempt_of):
    meter, tick = two_sockets
    powercap.show(0, RANGE_UJ - 15_000_000)
    meter.read()
    attempt = attempt_of(meter, [tick, lambda: (tick(), powercap.show(0, 5_000_000))])
    assert attempt.cpu.component.energy_j == pytest.approx(60, rel=1e-5)


def test_a_counter_of_no_known_range_that_goes_back_has_jumped(powercap, meter_of, attempt_of):
    powercap.add(500_000_000, range_uj=None)
    meter = meter_of()
    assert meter.facts.sensors[0].range_j is None
    attempt = attempt_of(
        meter,
        [
            lambda: powercap.draw(0, 10),
            lambda: powercap.show(0, 1_000_000),
            lambda: powercap.draw(0, 900),
        ],
    )
    assert attempt.cpu.codes == ("counter_jumped",)


def test_a_gpu_that_shows_no_power_any_more_is_null_and_not_zero(nvml, meter_of, attempt_of):
    blind, other = {"power_w": 40}, {"power_w": 70}
    nvml(blind, other)
    meter = meter_of()
    attempt = attempt_of(meter, [lambda: None, lambda: blind.update(power_w=None)])
    assert attempt.readings[1].gpu_j is not None
    assert attempt.readings[2].gpu_j is None
    assert attempt.readings[2].sensors_j[0] is None
    assert attempt.readings[2].sensors_j[1] > attempt.readings[1].sensors_j[1]
    assert attempt.gpu.codes == ("counter_lost",)


@pytest.mark.parametrize("nothing", [None, 0])
def test_what_a_gpu_drew_while_it_showed_no_power_is_not_left_out_silently(
    nvml, meter_of, attempt_of, nothing
):
    device = {"power_w": 40}
    nvml(device)
    meter = meter_of()
    outage = [lambda: device.update(power_w=nothing), lambda: device.update(power_w=4000)]
    attempt = attempt_of(meter, [lambda: None, *outage, lambda: time.sleep(0.05)])
    assert attempt.readings[3].gpu_j < attempt.readings[1].gpu_j
    assert attempt.gpu.component.energy_j is None
    again = attempt_of(meter, [lambda: time.sleep(0.05)])
    assert again.gpu.component.energy_j >= 4000 * 0.05


def test_a_gpus_counter_has_counted_on_while_it_could_not_be_read(nvml, meter_of, attempt_of):
    counter = Counter(0, 9_000_000)
    device = {"counter": counter, "power_w": 77_000}
    nvml(device)
    meter = meter_of()

    def draw(**change):
        counter.drawn_j += 100
        device.update(change)

    attempt = attempt_of(meter, [draw, lambda: draw(counter=None), lambda: draw(counter=counter)])
    assert attempt.readings[2].gpu_j is None
    assert attempt.gpu.component.energy_j == pytest.approx(300, rel=1e-5)


def test_a_gpus_counter_that_was_reset_has_jumped(nvml, meter_of, attempt_of):
    device = {"counter": Counter(0, 9_000_000_000), "power_w": 50}
    nvml(device)
    meter = meter_of()
    new = Counter(0, 1_000_000)

    def draw():
        new.drawn_j += 1_000

    attempt = attempt_of(meter, [lambda: None, lambda: device.update(counter=new), draw, draw])
    assert None not in [reading.gpu_j for reading in attempt.readings]
    assert attempt.gpu.codes == ("counter_jumped",)


@pytest.mark.parametrize("joules", [-5, 1_000_000])
def test_a_gpus_counter_that_is_set_elsewhere_has_jumped(nvml, meter_of, attempt_of, joules):
    counter = Counter(0, 9_000_000_000)
    nvml({"counter": counter, "power_w": 50})
    meter = meter_of()

    def draw(drawn_j=100):
        counter.drawn_j += drawn_j

    attempt = attempt_of(meter, [draw, lambda: draw(joules), draw, draw])
    assert attempt.gpu.codes == ("counter_jumped",)
    again = attempt_of(meter, [draw, draw])
    assert again.gpu.component.energy_j == pytest.approx(200, rel=1e-4)


def test_what_a_gpu_drew_in_a_long_outage_of_its_counter_is_no_jump(nvml, meter_of):
    counter = Counter(0, 9_000_000)
    device = {"counter": counter, "power_w": 50}
    nvml(device)
    meter = meter_of()
    probe = meter._devices._probes[0]
    begin_j = meter.read().gpu_j
    device.update(counter=None)
    meter._tracker._measure_power_and_energy()
    probe.step(100.0)  # seconds that this outage lasts for the probe
    counter.drawn_j += 100_000
    device.update(counter=counter)
    assert meter.read().gpu_j - begin_j == pytest.approx(100_000, rel=1e-5)


@pytest.mark.parametrize("to_uj", [0, 5_000_000, 142_000_000_000])
def test_a_reset_of_a_package_is_no_energy_of_a_whole_range(
    two_sockets, powercap, attempt_of, to_uj
):
    meter, tick = two_sockets
    powercap.show(0, 162_000_000_000)
    meter.read()  # a jump too, before the run
    attempt = attempt_of(meter, [tick, lambda: (tick(), powercap.show(0, to_uj)), tick, tick])
    assert (attempt.cpu.codes, attempt.cpu.component.energy_j) == (("counter_jumped",), None)
    assert "package-0" in attempt.cpu.component.reason
    again = attempt_of(meter, [tick, tick])
    assert again.cpu.component.energy_j == pytest.approx(60, rel=1e-5)


def test_a_reset_of_a_package_does_not_use_up_an_energy_limit(two_sockets, powercap, attempt_of):
    meter, tick = two_sockets
    powercap.show(0, 162_000_000_000)
    meter.read()
    attempt = attempt_of(meter, [tick, lambda: powercap.show(0, 0), tick])
    limit = Budget(limit_j=1_000, limit_g=None, g_per_kwh=None, pue=1.0, spent_j=0.0)
    record = Readings(
        attempt=1,
        started_at=datetime.now(UTC),
        host=host_facts("here"),
        meter=meter.facts,
        readings=attempt.readings,
    )
    for last in record.readings[1:]:
        ends = record.model_copy(update={"readings": (record.readings[0], last)})
        assert limit.overrun(ends) is None


@given(
    joules=st.floats(0, 1e6),
    span_s=st.floats(0, 1e4),
    most_w=st.sampled_from([PACKAGE_MOST_W, GPU_MOST_W]),
)
def test_what_a_sensor_may_have_drawn_counts_and_more_is_a_jump(joules, span_s, most_w):
    step = step_of(joules, most_w, span_s)
    assert step.known
    assert step.lost == (joules > most_w * (span_s + LATE_S))
    assert step.gained_j == (0 if step.lost else joules)
    assert step_of(-joules - 1e-9, most_w, span_s).lost


def test_a_device_that_takes_all_others_out_of_codecarbons_sum(nvml, meter_of, attempt_of):
    counter, device = Counter(0, 9_000_000), {"power_w": 40}
    nvml({"counter": counter}, device)
    meter = meter_of()

    def broken():
        counter.drawn_j += 100
        device["raises"] = True  # codecarbon swallows it and counts no device at all

    attempt = attempt_of(meter, [broken])
    assert attempt.readings[1].gpu_j is None
    assert attempt.readings[1].sensors_j[1] is None
    assert _gained_j(attempt.readings, 0) == 100


def test_a_loss_takes_a_counter_below_everything_before():
    counter = Cumulative()
    gained, nothing = Step(5.0, known=True, lost=False), Step(0.0, known=False, lost=True)
    shown = [counter.add([step]) for step in (gained, nothing, gained, gained, nothing, gained)]
    assert shown == [5.0, None, -1.0, 4.0, None, -2.0]


def test_a_loss_at_the_very_start_is_seen_too():
    counter = Cumulative()
    steps = [Step(0.0, known=True, lost=False), Step(0.0, known=True, lost=True)]
    assert [counter.add([step]) for step in steps] == [0.0, -1.0]


@pytest.fixture
def unknown_cpu(codecarbon):
    """A CPU that codecarbon's table does not have, in a machine that shows so many sockets."""
    from codecarbon import emissions_tracker

    def install(sockets, model="No such CPU"):
        codecarbon.patch(codecarbon.cpu, "is_rapl_available", lambda *_: False)
        codecarbon.patch(codecarbon.cpu, "detect_cpu_model", lambda: model)
        codecarbon.patch(codecarbon.cpu, "count_cpus", lambda: 16)
        codecarbon.patch(emissions_tracker, "count_physical_cpus", lambda: sockets)
        codecarbon.patch("app.metering.powercap.denied", lambda: None)

    return install


def test_a_guess_says_for_how_many_sockets_it_was_billed(unknown_cpu, meter_of):
    unknown_cpu(16)
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (4.0 * 16 * 16, True, 16)


def test_the_guess_of_a_whole_cpu_is_not_multiplied(unknown_cpu, meter_of):
    unknown_cpu(16, model=None)
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (85.0, True, None)


def test_a_tdp_of_the_table_has_no_guess_to_correct(unknown_cpu, meter_of):
    unknown_cpu(2, model="AMD EPYC 7B12")
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (480.0, False, 2)
