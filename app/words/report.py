"""An energy report in words, a sentence each, for every place where a person reads one."""

from collections.abc import Iterator

from app.domain.external import EXTERNAL
from app.domain.quantities import joules_from_kwh
from app.domain.readings import Method, Phase
from app.domain.reports import Component, EnergyReport, PhaseReport, Quality, Trained
from app.words.jobs import epochs, named, on_data
from app.words.units import NONE, duration, interval, per_cent, quantity, significant

DEFAULT = "codecarbon"  # the set of assumptions that a report has without asking
NOTABLE_SETUP = 0.1  # a larger share says that longer runs cost less a sample
INTERVALS = {
    "published_models": "range of the published models",
    "sensor_error": "stated error of the sensor",
    None: "no interval",
}


def rows(report: EnergyReport) -> Iterator[tuple[str, str]]:
    """What a report says first, a name and a sentence each; one that goes on has no name."""
    if report.trained is not None:
        yield "Training", _training(report.trained)
    yield "Energy", energy(report)
    if (share := _setup_share(report)) > NOTABLE_SETUP:
        yield "", f"of which setup {per_cent(share)}"
    yield "Above idle", _net(report)
    yield "Power", power(report)
    yield "CO2e", emissions(report)
    yield "Per sample", per_sample(report)
    if (speed := _speed(report)) is not None:
        yield "Speed", speed
    yield "Accuracy", accuracy(report)
    if report.quality.stopped_by == "early_stopping":
        after = quantity(report.efficiency.j_after_best_epoch, "J")
        yield "Stopped", f"early, with {after} of training after the best epoch"
    if (reached := report.quality.target_reached) is not None:
        yield "Target", _target(report) if reached else "not reached"
    yield "Trust", f"grade {report.trust.grade}"
    for reason in report.trust.reasons:
        yield "", f"- {reason.message}"
    if (cost := _instrument(report)) is not None:
        yield "Measuring", cost
    if (waited_s := report.trust.waited_for_quiet_s) is not None and waited_s >= 1:
        yield "Waited", f"{duration(waited_s)} before the run, for a quiet host or its idle power"
    yield "At the plug", _wall(report)
    yield "codecarbon", _stock(report)
    if (assumptions := _assumptions(report)) is not None:
        yield "Assumptions", assumptions
    if ran_before(report):
        yield "Spent", f"{quantity(report.energy.spent_j, 'J')} in all attempts together"


def _training(trained: Trained) -> str:
    model = named(trained.model_type, trained.size, trained.model_name)
    samples = "" if trained.dataset_samples is None else f" ({trained.dataset_samples:,} samples)"
    seed = None if trained.seed is None else f"seed {trained.seed}"
    told = [f"{on_data(model, trained.dataset)}{samples}", epochs(trained.epochs), seed]
    return ", ".join(filter(None, told))


def told(report: EnergyReport) -> bool:
    """Whether samples, accuracy and FLOPs are the word of a script outside of the service."""
    return report.trained is not None and report.trained.model_type == EXTERNAL


def ran_before(report: EnergyReport) -> bool:
    """Whether there are attempts beside the one that the report is of."""
    return len(report.attempts) > (0 if report.readings_sha256 is None else 1)


def _target(report: EnergyReport) -> str:
    return f"reached, with {quantity(report.efficiency.j_to_target, 'J')} of training"


def energy(report: EnergyReport) -> str:
    """The total with its interval, and what the interval is; or why there is none."""
    used = report.energy
    if used.total_j is None:
        return f"{NONE} ({_why_no_energy(report)})"
    least = "" if used.complete else "at least "
    kinds = dict.fromkeys(INTERVALS[part.interval] for _, part in parts(report) if part.energy_j)
    span = interval(used.low_j, used.high_j, "J", of=used.total_j)
    return f"{least}{quantity(used.total_j, 'J')} ({'; '.join([span, *kinds])})"


def _net(report: EnergyReport) -> str:
    """What the job used above idle power, and how that is known."""
    energy, baseline = report.energy, report.energy.baseline
    if energy.net_j is None:
        unknown = (
            "idle power is not known" if energy.total_j is not None else _why_no_energy(report)
        )
        return f"{NONE} ({unknown})"
    span = interval(energy.net_low_j, energy.net_high_j, "J", of=energy.net_j)
    how = f"{baseline.method.value} by its model"
    if baseline.window_s is not None:
        how = f"{baseline.method.value} over {duration(baseline.window_s)}"
    idle = f"idle power {quantity(baseline.power_w, 'W')}, {how}"
    return f"{quantity(energy.net_j, 'J')} ({span}); {idle}"


def _instrument(report: EnergyReport) -> str | None:
    """What measuring cost at most: all of the worker's process; null where it is not known."""
    trust = report.trust
    if trust.instrument_cpu_s is None:
        return None
    joules = "" if trust.instrument_j is None else f", about {quantity(trust.instrument_j, 'J')}"
    return (
        f"at most {quantity(trust.instrument_cpu_s, 's')} of CPU time{joules}, in the energy above"
    )


def _assumptions(report: EnergyReport) -> str | None:
    """The set where it is not the default, and what the user knew better; null: neither."""
    used = report.assumptions
    known = [f"{name} = {_plain(value)}" for name, value in used.overrides.items()]
    if used.set != DEFAULT:
        known = [f"set {used.set} {used.version}", *known]
    return "; ".join(known) or None


def _plain(value: float | int | bool | str) -> str:
    """A setting's value as it is given: 360, true, genoa."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"


def _setup_share(report: EnergyReport) -> float:
    """What loading, building and tracing took of the energy; 0 where a script told no epoch."""
    if told(report) and all(part.name is not Phase.EPOCH for part in report.phases):
        return 0.0
    setup = sum(part.energy_j or 0 for part in report.phases if part.name is Phase.SETUP)
    return setup / report.energy.total_j if report.energy.total_j else 0.0


def _why_no_energy(report: EnergyReport) -> str:
    if report.started_at is None or report.duration_s == 0:
        return "it waited to run again" if report.attempts else "the job never ran"
    reasons = [part.reason for _, part in parts(report) if part.reason]
    return "; ".join(reasons) or "no component could be read"


def power(report: EnergyReport) -> str:
    """The mean power, and over how long."""
    if report.mean_power_w is None:
        return f"{NONE} (over {duration(report.duration_s)})"
    return f"{quantity(report.mean_power_w, 'W')} on average over {duration(report.duration_s)}"


def now_w(report: EnergyReport) -> float | None:
    """The power between the two newest readings, of the components that are known, in watts."""
    series = report.power
    newest = [line[-1] for line in (series.cpu_w, series.gpu_w, series.ram_w) if line]
    known = [watts for watts in newest if watts is not None]
    return sum(known) if known else None


def emissions(report: EnergyReport) -> str:
    """CO2e with its interval, and at which intensity; or why there is none."""
    priced = report.emissions
    if priced.reason == "no_country":
        return "no country set"
    if priced.co2e_g is None or priced.intensity_g_per_kwh is None:
        return f"{NONE} ({_why_no_energy(report)})"
    place = " ".join(filter(None, [priced.country_iso_code, priced.region]))
    year = str(priced.intensity_year or "")
    source = ", ".join(filter(None, [place, priced.intensity_source, year]))
    pue = f", PUE {significant(priced.pue)}" if priced.pue != 1 else ""
    span = interval(priced.low_g, priced.high_g, "g", of=priced.co2e_g)
    return (
        f"{quantity(priced.co2e_g, 'g')} ({span}) at "
        f"{significant(priced.intensity_g_per_kwh)} g/kWh ({source}{pue})"
    )


def per_sample(report: EnergyReport) -> str:
    """Joules of a trained sample."""
    per_sample = report.efficiency.j_per_sample
    if per_sample is None:
        none = "no samples were told" if told(report) else "no training phase was finished"
        return f"{NONE} ({none})" if not report.work.samples else NONE
    return f"{quantity(per_sample, 'J')} ({report.work.samples:,} samples trained)"


def _speed(report: EnergyReport) -> str | None:
    """FLOP/s of the epochs, and their share of the host's peak; null where FLOPs are not known."""
    work = report.work
    if work.achieved_flops_per_s is None:
        return None
    speed = quantity(work.achieved_flops_per_s, "FLOP/s")
    if work.matmul_share is None:
        return speed
    peak = quantity(work.matmul_flops_per_s, "FLOP/s")
    return f"{speed}, {per_cent(work.matmul_share)} of this host's matrix product ({peak})"


def accuracy(report: EnergyReport) -> str:
    """What came of it, on the test set."""
    quality = report.quality
    if quality.test_accuracy is None:
        none = "no test accuracy was told" if told(report) else "the test set was not reached"
        return f"{NONE} ({none}){_best(quality)}"
    loss = f", loss {significant(quality.test_loss)}" if quality.test_loss is not None else ""
    return f"{per_cent(quality.test_accuracy)} on the test set{loss}{_best(quality)}"


def _best(quality: Quality) -> str:
    if quality.best_epoch is None:
        return ""
    best = f"; best epoch {quality.best_epoch + 1}"
    if quality.test_accuracy is not None or quality.best_validation_accuracy is None:
        return best
    return f"{best}, validated at {per_cent(quality.best_validation_accuracy)}"


def _wall(report: EnergyReport) -> str:
    wall = report.energy.wall
    if wall.energy_j is None:
        return f"{NONE} ({_why_no_energy(report)})"
    span = interval(wall.low_j, wall.high_j, "J", of=wall.energy_j)
    return f"about {quantity(wall.energy_j, 'J')} ({span}; {wall.method.value})"


def _stock(report: EnergyReport) -> str:
    stock = report.stock_codecarbon
    if stock.total_kwh is None:
        return f"{NONE} ({_why_no_energy(report)})"
    energy = f"{quantity(joules_from_kwh(stock.total_kwh), 'J')} by its own accounting"
    if stock.emissions_kg is None:
        return energy
    return f"{energy}, {quantity(stock.emissions_kg * 1000, 'g')} CO2e"


def parts(report: EnergyReport) -> list[tuple[str, Component]]:
    """The components by name, those that are absent too."""
    used = report.energy
    return [("CPU", used.cpu), ("GPU", used.gpu), ("RAM", used.ram)]


def notes(report: EnergyReport) -> Iterator[str]:
    """What is to be known of the components beside their figures, a sentence each."""
    for name, part in parts(report):
        for correction in part.corrections:
            yield f"{name} corrected × {significant(correction.factor)}: {correction.message}"
        if part.method is Method.MEASURED and part.reason:
            yield f"{name} is not complete: {part.reason}"
        if part.method is Method.UNAVAILABLE and part.reason and part.source:
            yield f"{name} cannot be read: {part.reason}"
        if part.method is Method.ASSUMED and part.reason:
            yield f"{name} is assumed: {part.reason}"


def phase_name(phase: PhaseReport) -> str:
    """The name of a phase, counted from 1: `epoch 1`."""
    return phase.name.value if phase.index is None else f"{phase.name.value} {phase.index + 1}"


def phase_accuracy(phase: PhaseReport) -> str:
    """The accuracies that a phase said at its end."""
    known = {"train": phase.train_accuracy, "validation": phase.validation_accuracy}
    return ", ".join(f"{name} {per_cent(v)}" for name, v in known.items() if v is not None)
