"""What holds of a report whatever the readings are: sums, cuts, prices, and no odd quantity."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounting import processors
from app.accounting.assumptions import DEFAULT, GENERATIONS, SETS
from app.accounting.components import parts
from app.accounting.trust import REASONS
from app.domain.jobs import JobStatus
from app.domain.readings import KnownFacts, Method, Phase, Quiet, Reading, Readings, Sensor
from app.domain.reports import AttemptEnergy
from tests.accounting.grade_by_hand import codes as by_hand

EXAMPLES = settings(max_examples=150, deadline=None)
EXACT = 1e-9  # relative: what is left of adding up in another order
NAMES = ("cpu", "gpu", "ram")

FINITE = st.floats(0, 1e18, allow_subnormal=False)
PAUSES_S = st.sampled_from([0.0, 1e-12, 0.01, 0.25, 0.5, 1.0, 1.003, 2.5, 40.0, 1e6])
RISES = st.sampled_from([0.0, 0.0, 1e-12, 0.3, 8.0, 8.0, 120.0, 1e9, 1e18])
FALLS = st.sampled_from([-1e-9, -1.0, -1e9])
FACTS = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(10**20), 10**20),
    st.just(10**400),
    st.floats(0, 1),
    st.integers(1, 5000),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)
KNOWN = ("samples", "loss", "train_accuracy", "validation_accuracy", "validation_loss")
KNOWN += ("test_accuracy", "test_loss", "tensorflow", "threads", "jit_compile")
ENDED = st.dictionaries(st.one_of(st.sampled_from(KNOWN), st.text(max_size=4)), FACTS, max_size=5)
CPUS = ("AMD EPYC", "AMD EPYC 7B12", "Intel(R) Xeon(R) Platinum 8481C", "Intel Xeon", "odd", None)


@st.composite
def counters(draw, length, changes=RISES):
    """A cumulative counter: it rises, stands, and may miss values; some fall."""
    if draw(st.integers(0, 9)) == 0:
        return [None] * length
    value, values = draw(st.sampled_from([0.0, 1000.0, 1e15])), []
    faulty = draw(st.integers(0, 7)) == 0
    gaps = draw(st.booleans())
    for _ in range(length):
        value = max(0.0, value + draw(FALLS if faulty and draw(st.booleans()) else changes))
        values.append(None if gaps and draw(st.integers(0, 3)) == 0 else value)
    return values


CHOSEN = st.sampled_from(sorted(SETS))
KNOWN_FACTS = st.builds(
    KnownFacts,
    cpu_tdp_w=st.sampled_from([None, 0.5, 45.0, 240.0, 2000.0]),
    socket_threads=st.sampled_from([None, 1, 2, 128, 4096]),
    cpu_generation=st.sampled_from([None, *GENERATIONS]),
    vcpu_is_core=st.sampled_from([None, True, False]),
    wall_factor=st.sampled_from([None, 1.0, 1.2, 3.0]),
)


@st.composite
def hosts(draw, make):
    host_cpus = draw(st.sampled_from([1, 2, 8, 128, 512]))
    return make.host(
        cpu_vendor=draw(st.sampled_from(["AuthenticAMD", "GenuineIntel", None])),
        cpu_model=draw(st.sampled_from(CPUS)),
        cpu_family=draw(st.sampled_from([6, 23, 25, 26, None])),
        cpu_model_number=draw(st.sampled_from([0, 17, 49, 0x8F, None])),
        host_cpus=host_cpus,
        memory_gib=draw(st.sampled_from([0.25, 24, 6144])),
        virtual_machine=draw(st.booleans()),
        gpus=draw(st.sampled_from([(), ("NVIDIA H100",), ("odd",)])),
        known=draw(KNOWN_FACTS),
    )


@st.composite
def meters(draw, make):
    def component():
        return make.component(
            method=draw(st.sampled_from(list(Method))),
            source=draw(st.sampled_from(["codecarbon cpu_load", "codecarbon gpu power samples"])),
            tdp_w=draw(st.sampled_from([None, 0.5, 8.0, 240.0, 480.0])),
            tdp_guessed=draw(st.booleans()),
            sockets=draw(st.sampled_from([None, 1, 2, 8])),
            constant_w=draw(st.sampled_from([None, 0.0, 20.0])),
        )

    sensors = st.builds(
        Sensor,
        name=st.just("sensor"),
        component=st.sampled_from(["cpu", "gpu"]),
        range_j=st.sampled_from([None, 262_143.0]),
    )
    return make.meter(
        cpu=component(),
        gpu=component(),
        ram=component(),
        sensors=tuple(draw(st.lists(sensors, max_size=2))),
        left_out=draw(st.sampled_from([(), ("package-1",)])),
    )


@st.composite
def attempts(draw, make, changes=RISES):
    """An attempt's readings as no meter should leave them, and as some do."""
    length = draw(st.integers(1, 14))
    columns = {f"{name}_j": draw(counters(length, changes)) for name in NAMES}
    for name in ("host_busy", "host_steal", "job_cpu", "service_cpu", "instrument_cpu"):
        columns[f"{name}_s"] = draw(counters(length, changes))
    sensors = list(zip(*[draw(counters(length, changes)) for _ in range(2)], strict=True))
    sensed = draw(st.booleans())
    t_s, taken, epoch = 0.0, [], 0
    for n in range(length):
        t_s += draw(PAUSES_S) if n else 0.0
        begins = Phase.SETUP if n == 0 else draw(st.sampled_from([None, None, *Phase]))
        epoch += begins is Phase.EPOCH
        taken.append(
            Reading(
                t_s=t_s,
                begins=begins,
                index=max(0, epoch - 1) if begins in {Phase.EPOCH, Phase.VALIDATION} else None,
                ended=draw(ENDED),
                sensors_j=sensors[n] if sensed else (),
                **{name: column[n] for name, column in columns.items()},
            )
        )
    idle_w = st.sampled_from([None, 0.0, 5.0, 1e5])
    idle = make.idle(cpu_w=draw(idle_w), gpu_w=draw(idle_w)) if draw(st.booleans()) else None
    return make.attempt(host=draw(hosts(make)), meter=draw(meters(make))).model_copy(
        update={"readings": tuple(taken), "idle": idle}
    )


def evaluated(make, readings, **changes):
    return make.evaluate(readings, **changes)


def wrong(value, path=""):
    """Each quantity that is not finite, or below 0 where it may not be."""
    if isinstance(value, dict):
        inner = {k: v for k, v in value.items() if k != "execution"}  # facts, not quantities
        return [found for k, v in inner.items() for found in wrong(v, f"{path}.{k}")]
    if isinstance(value, list | tuple):
        return [found for n, item in enumerate(value) for found in wrong(item, f"{path}.{n}")]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    may_be_below_0 = path.endswith("loss")
    good = math.isfinite(value) and (value >= 0 or may_be_below_0)
    return [] if good else [(path, value)]


@EXAMPLES
@given(data=st.data(), status=st.sampled_from(sorted(JobStatus)))
def test_no_quantity_is_negative_or_no_number(make, data, status):
    found = evaluated(make, data.draw(attempts(make)), status=status)
    assert wrong(found.model_dump()) == []
    for accuracy in [p.train_accuracy for p in found.phases] + [found.quality.test_accuracy]:
        assert accuracy is None or accuracy <= 1


@EXAMPLES
@given(data=st.data(), chosen=CHOSEN)
def test_every_figure_lies_in_its_interval(make, data, chosen):
    energy = evaluated(make, data.draw(attempts(make)), assumptions=SETS[chosen]).energy
    for part in (energy.cpu, energy.gpu, energy.ram, energy.wall):
        assert (part.low_j is None) == (part.energy_j is None) == (part.high_j is None)
        assert part.energy_j is None or part.low_j <= part.energy_j <= part.high_j
    assert energy.total_j is None or energy.low_j <= energy.total_j <= energy.high_j
    known = energy.net_j is not None
    assert [energy.net_low_j is not None, energy.net_high_j is not None] == [known, known]
    assert not known or energy.net_low_j <= energy.net_j <= energy.net_high_j
    assert not known or energy.net_j <= energy.total_j
    assert known == (energy.baseline.energy_j is not None and energy.total_j is not None)


@EXAMPLES
@given(data=st.data(), chosen=CHOSEN)
def test_components_phases_and_power_add_up(make, data, chosen):
    found = evaluated(make, data.draw(attempts(make)), assumptions=SETS[chosen])
    energy = found.energy
    components = {name: getattr(energy, name).energy_j for name in NAMES}
    known = [joules for joules in components.values() if joules is not None]
    assert energy.total_j == (sum(known) if known else None)
    ends_s = [*found.power.t_s[1:], found.duration_s]
    for name, joules in components.items():
        watts = getattr(found.power, f"{name}_w")
        assert len(watts) == len(found.power.t_s)
        assert all((w is None) == (joules is None) for w in watts)
        if joules is not None:
            spans = zip(watts, found.power.t_s, ends_s, strict=True)
            total_j = math.fsum(w * (end - start) for w, start, end in spans)
            assert total_j == pytest.approx(joules, rel=1e-6, abs=1e-9)
    phases = [phase.energy_j for phase in found.phases]
    assert sum(p.duration_s for p in found.phases) == pytest.approx(found.duration_s, rel=EXACT)
    assert all((joules is None) == (not known) for joules in phases)
    if known:
        assert math.fsum(phases) == pytest.approx(energy.total_j, rel=EXACT, abs=EXACT)
        assert found.mean_power_w == energy.total_j / found.duration_s


@EXAMPLES
@given(data=st.data())
def test_a_cut_run_never_has_more_than_the_whole(make, data):
    whole = data.draw(attempts(make))
    last = data.draw(st.integers(1, len(whole.readings)))
    cut = whole.model_copy(update={"readings": whole.readings[:last]})
    all_of_it, first = evaluated(make, whole), evaluated(make, cut)
    assert first.duration_s <= all_of_it.duration_s
    known = [parts(readings, DEFAULT) for readings in (whole, cut)]
    for name in NAMES:
        one, two = (getattr(report.energy, name).energy_j for report in (first, all_of_it))
        assert one is None or two is None or one <= two
    if [part.joules is None for part in known[0].all] == [p.joules is None for p in known[1].all]:
        for one, two in zip(first.phases, all_of_it.phases, strict=False):
            assert (one.name, one.start_s) == (two.name, two.start_s)
            if one.energy_j is not None:
                assert one.energy_j <= two.energy_j * (1 + EXACT) + EXACT


@EXAMPLES
@given(data=st.data(), g_per_kwh=st.floats(0, 1e4), pue=st.floats(1, 10), factor=st.floats(0, 1))
def test_an_evaluation_is_linear_in_intensity_and_pue(make, data, g_per_kwh, pue, factor):
    readings = data.draw(attempts(make))
    one = evaluated(make, readings, intensity=make.intensity(g_per_kwh=g_per_kwh, pue=pue))
    assert (one.emissions.co2e_g is None) == (one.energy.total_j is None)
    cheaper = make.intensity(g_per_kwh=g_per_kwh * factor, pue=pue)
    leaner = make.intensity(g_per_kwh=g_per_kwh, pue=pue * factor)
    for price in (cheaper, leaner):
        other = evaluated(make, readings, intensity=price)
        for name in ("co2e_g", "low_g", "high_g"):
            was, now = getattr(one.emissions, name), getattr(other.emissions, name)
            assert (was is None and now is None) or now == pytest.approx(was * factor)
        stock, stock_then = other.stock_codecarbon.emissions_kg, one.stock_codecarbon.emissions_kg
        assert stock is None or stock == pytest.approx(stock_then * factor)
        assert other.energy == one.energy


@EXAMPLES
@given(data=st.data())
def test_what_was_stored_gives_the_same_bytes(make, data):
    readings = data.draw(attempts(make))
    stored = Readings.model_validate_json(readings.to_bytes())
    assert stored.to_bytes() == readings.to_bytes()
    now, again = evaluated(make, readings), evaluated(make, stored)
    assert now.model_dump_json() == again.model_dump_json()


@EXAMPLES
@given(data=st.data(), joules=st.lists(st.one_of(st.none(), FINITE), max_size=4))
def test_all_attempts_add_up(make, data, joules):
    readings = data.draw(attempts(make))
    earlier = [
        AttemptEnergy(attempt=n + 1, ended="lost", energy_j=used) for n, used in enumerate(joules)
    ]
    found = evaluated(make, readings, earlier=tuple(earlier))
    known = [a.energy_j for a in found.attempts if a.energy_j is not None]
    assert found.attempts[-1].energy_j == found.energy.total_j
    assert found.energy.spent_j == (pytest.approx(math.fsum(known)) if known else None)
    codes = {reason.code for reason in found.trust.reasons}
    assert ("spent_incomplete" in codes) == (0 < len(known) < len(found.attempts))


@EXAMPLES
@given(data=st.data())
def test_the_interval_holds_what_is_central_in_every_set(make, data):
    readings = data.draw(attempts(make))
    found = [evaluated(make, readings, assumptions=chosen).energy for chosen in SETS.values()]
    for name in NAMES:
        one, two = (getattr(energy, name) for energy in found)
        assert (one.low_j, one.high_j, one.models) == (two.low_j, two.high_j, two.models)
        for part in (one, two):
            assert part.energy_j is None or one.low_j <= part.energy_j <= one.high_j


@st.composite
def conditions(draw, make):
    """Readings with what an attempt's conditions may be, at and around their bounds."""
    readings = draw(attempts(make))
    swapped_mib, drift_c = draw(st.sampled_from([(0, 0), (16, 10), (17, 11), (99, -50)]))
    last_s = readings.readings[-1].t_s
    taken = make.changed(
        readings,
        lambda r: {
            "swapped_mib": swapped_mib * (r.t_s == last_s),
            "cpu_temperature_c": 50 + drift_c * (r.t_s > last_s / 2),
        },
    )
    share = st.sampled_from([None, 0.0, 0.05, 0.051, 1.0])
    window = {"others_share": draw(share), "service_share": draw(share)}
    quiet = Quiet(waited_s=1.0, others_share=0.0, quiet=draw(st.booleans()))
    return taken.model_copy(
        update={
            "governor": draw(st.sampled_from([None, "performance", "powersave"])),
            "idle": readings.idle and readings.idle.model_copy(update=window),
            "quiet": draw(st.sampled_from([None, quiet])),
            "sample_interval_s": draw(st.sampled_from([0.25, 1.0, 10.0])),
        }
    )


@EXAMPLES
@given(data=st.data(), chosen=CHOSEN, status=st.sampled_from(sorted(JobStatus)))
def test_the_grade_can_be_worked_out_from_the_report_alone(make, data, chosen, status):
    readings = data.draw(conditions(make))
    found = evaluated(make, readings, assumptions=SETS[chosen], status=status)
    told = {reason.code for reason in found.trust.reasons}
    assert by_hand(json.loads(found.model_dump_json())) == told - {"counter_wrapped"}
    assert found.trust.grade == max((REASONS[code].grade for code in told), default="A")


def _found(host, meter):
    """What the host shows, as a user would say it: nothing where it shows nothing."""
    slugs = {label: slug for slug, label in GENERATIONS.items()}
    generation = processors.generation(host)
    billed = meter.cpu.tdp_w if not meter.cpu.tdp_guessed else None
    return KnownFacts(
        cpu_tdp_w=None if billed is None else billed / processors.billed_sockets(host, meter.cpu),
        socket_threads=processors.socket_threads(host),
        cpu_generation=None if generation is None else slugs[generation],
    )


@EXAMPLES
@given(data=st.data())
def test_saying_what_was_found_changes_no_figure(make, data):
    drawn = data.draw(attempts(make))
    plain = drawn.model_copy(update={"host": drawn.host.model_copy(update={"known": KnownFacts()})})
    said = plain.host.model_copy(update={"known": _found(plain.host, plain.meter)})
    one = evaluated(make, plain)
    two = evaluated(make, plain.model_copy(update={"host": said}))
    assert two.assumptions.overrides == said.known.model_dump(exclude_none=True)
    for field in ("energy", "power", "phases", "trust", "efficiency"):
        assert getattr(one, field) == getattr(two, field)


@EXAMPLES
@given(data=st.data(), factor=st.floats(1, 3))
def test_a_known_wall_factor_has_no_range_of_its_own(make, data, factor):
    drawn = data.draw(attempts(make))
    known = drawn.host.known.model_copy(update={"wall_factor": factor})
    host = drawn.host.model_copy(update={"known": known})
    energy = evaluated(make, drawn.model_copy(update={"host": host})).energy
    if energy.total_j is not None:
        assert (energy.wall.low_j, energy.wall.energy_j, energy.wall.high_j) == (
            energy.low_j * factor,
            energy.total_j * factor,
            energy.high_j * factor,
        )
