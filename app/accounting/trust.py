"""How far a report can be trusted: conditions of the run, reason codes, and the grade they allow.

| grade | worst that it stands for |
|---|---|
| A | measured by sensors, on a quiet host, long enough, in steady conditions |
| B | a minor part rests on an assumption, or a condition was not watched or not steady |
| C | the main figure is modelled from facts of the host, or a condition disturbed it or its net |
| D | the main figure rests on a guess, or others used a good part of the host |
| E | a part is missing or known to be wrong: a lower or an upper bound |
| F | there is no figure |

What each code is read off, so that the grade can be worked out from the report alone (README.md has
it in words):

| from the report | code |
|---|---|
| `readings_sha256` is null | `never_started`, `not_run_again`, `no_readings`, by `attempts` |
| `energy.total_j` is null, and nothing was too short | `no_figure` |
| a component's `method` is unavailable | its cause: `too_short`, `…_unavailable`, `counter_…` |
| a measured component has a `reason` | `sensor_left_out` |
| `energy.cpu.method` is estimated or assumed | `cpu_power_guessed`, `…_modelled`, `…_unknown` |
| a modelled CPU has a `reason` | `socket_share_unknown` |
| `energy.gpu.method`, `energy.ram.method` is assumed | `gpu_power_assumed`, `ram_power_assumed` |
| `trust.contention_share` > 0.05, or `trust.others_over_job` > 0.5 | `contention` |
| `trust.contention_share` is null | `contention_unknown` |
| `trust.service_share` > 0.05 | `service_busy` |
| `trust.quiet_at_start` is false | `not_quiet` |
| `trust.swapped_mib` > 16 | `swapping` |
| `trust.steal_s` > 0.01 × `duration_s` × `environment.host_cpus` | `steal` |
| `trust.largest_sample_gap_s` > 2 × `environment.sample_interval_s` | `sample_gap` |
| `trust.temperature_drift_c` > 10 | `temperature_drift` |
| `trust.governor` is not null and not performance | `governor` |
| `duration_s` < 60 | `short_run` |
| `status` is not succeeded | `not_finished` |
| some of `attempts` have `energy_j`, and some have not | `spent_incomplete` |
| `energy.total_j` is there, and `energy.baseline.power_w` is null | `no_baseline` |
| a share or the `gpu_utilization` of `energy.baseline` > 0.05 | `baseline_disturbed` |

`counter_wrapped` alone needs the readings: gaps between them, and `meter.sensors` with `range_j`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting import conditions, series
from app.accounting.conditions import BUSY_SHARE
from app.accounting.parts import Parts
from app.domain.jobs import JobStatus
from app.domain.readings import Readings
from app.domain.reports import AttemptEnergy, Baseline, Grade, Trust, TrustReason

SHORT_RUN_S = 60.0  # MLPerf Power (2024): under 60 s a run is indicative
OTHERS_OVER_JOB = 0.5  # CPU-seconds of others over the job's: a third of what both used
STEAL_SHARE = 0.01  # of the host's CPU-seconds, taken by the hypervisor
SAMPLE_GAP_INTERVALS = 2.0  # of the sampling interval: one reading was missed
SWAPPED_MIB = 16.0  # in and out during the run: less is housekeeping
DRIFT_C = 10.0  # after the first minute: a chip that is throttled soon, or was cold
STEADY_GOVERNOR = "performance"


@dataclass(frozen=True)
class Reason:
    """What a reason code means for a person: the best grade it allows, and what to do."""

    grade: Grade
    meaning: str
    what_to_do: str

    @property
    def message(self) -> str:
        """Both sentences."""
        return f"{self.meaning} {self.what_to_do}"


REASONS: dict[str, Reason] = {
    "never_started": Reason(
        "F",
        "The job ended before it ran, so nothing was measured.",
        "Submit it again if you need its figures.",
    ),
    "not_run_again": Reason(
        "F",
        "The job ended while it waited to run again, so the report has no run of its own.",
        "See `spent_j` and the attempts for what the earlier runs used.",
    ),
    "no_readings": Reason(
        "F",
        "Nothing is known of the last attempt: its worker was lost before the first reading was "
        "stored, or no report could be computed from its readings.",
        "Look at the worker's log, and submit it again if you need its figures.",
    ),
    "no_figure": Reason(
        "F",
        "No component's energy could be read, so there is no figure.",
        "See the components' reasons, which name the cure.",
    ),
    "too_short": Reason(
        "F",
        "The run took less than 0.3 s, which is too short for an energy figure.",
        "Train more epochs or more samples.",
    ),
    "cpu_unavailable": Reason(
        "E",
        "The CPU's energy could not be read, so the total is a lower bound.",
        "See the component's reason, which names the cure.",
    ),
    "gpu_unavailable": Reason(
        "E",
        "The GPU's energy could not be read, so the total is a lower bound.",
        "Install the GPU's driver and let this user read its sensors.",
    ),
    "ram_unavailable": Reason(
        "E",
        "The RAM's energy could not be read, so the total is a lower bound.",
        "See the component's reason, which names the cure.",
    ),
    "counter_lost": Reason(
        "E",
        "An energy counter gave no value at the start or the end, or began anew after a time "
        "without one, or a power that is added up could not be read in between, so its component "
        "is left out.",
        "Run the job again; if it stays, look at the worker's log.",
    ),
    "counter_jumped": Reason(
        "E",
        "An energy counter went backwards during the run, or further than its sensor can draw, so "
        "its component is left out.",
        "Run the job again; a reset of the sensor or a sleep of the host causes this.",
    ),
    "counter_stopped": Reason(
        "E",
        "An energy counter stood still for over 2 s in the run, so its component is left out.",
        "Check that the files of the sensor, which the component's reason names, stay readable.",
    ),
    "counter_wrapped": Reason(
        "E",
        "No reading was taken for so long that an energy counter may have gone round once unseen, "
        "so the total may be too low.",
        "Leave the worker some CPU time, and run the job again.",
    ),
    "sensor_left_out": Reason(
        "E",
        "A CPU socket's counter stood as another's at the worker's start and is taken for the "
        "same, so the total is a lower bound.",
        "Start the worker again.",
    ),
    "socket_share_unknown": Reason(
        "E",
        "This virtual machine is billed for a whole CPU socket, so the CPU's figure is too high.",
        "Set `TRAINWATT_SOCKET_THREADS` if you know it, or read the low end of the interval.",
    ),
    "cpu_power_guessed": Reason(
        "D",
        "The CPU has no readable power sensor and its rated power is not known: codecarbon's "
        "figure rests on a guess of 4 W a thread.",
        "Use the interval, not the figure; set `TRAINWATT_CPU_TDP_W` if you know it (in a virtual "
        "machine `TRAINWATT_SOCKET_THREADS` too), or run on a host with a readable sensor (RAPL).",
    ),
    "cpu_generation_unknown": Reason(
        "D",
        "The CPU has no readable power sensor and its generation is not known: the figure is that "
        "of servers in general.",
        "Use the interval, not the figure; set `TRAINWATT_CPU_GENERATION` if you know it, or run "
        "on a host with a readable sensor (RAPL).",
    ),
    "gpu_power_assumed": Reason(
        "D",
        "The GPU has no readable power sensor: its figure is a share of its rated power.",
        "Use the interval, or run on a host whose GPU has a power sensor.",
    ),
    "cpu_power_modelled": Reason(
        "C",
        "The CPU has no readable power sensor: its energy is modelled from its kind and its load.",
        "Use the interval, or run on a host with a readable sensor (RAPL).",
    ),
    "contention": Reason(
        "D",
        "Other programs used more than 5 % of the host's CPU time, or more than half of what the "
        "job itself used, and their energy is in the total.",
        "Run again on a quiet host.",
    ),
    "service_busy": Reason(
        "C",
        "This service itself used more than 5 % of the host's CPU time, and that energy is in the "
        "total.",
        "Ask it for less during a run, or run the worker on a host of its own.",
    ),
    "not_quiet": Reason(
        "C",
        "The host was busy when the run began, after the wait for a quiet one if there was any.",
        "Run again on a quiet host.",
    ),
    "swapping": Reason(
        "C",
        "The host swapped more than 16 MiB during the run, which slows it down.",
        "Free memory, or train a smaller model or batch.",
    ),
    "baseline_disturbed": Reason(
        "C",
        "Other programs or this service used more than 5 % of the CPU time, or others more than "
        "5 % of the GPU, while idle power was "
        "measured, so the baseline is too high and the net energy too low.",
        "Run `trainwatt calibrate` on a quiet host; the total is not touched.",
    ),
    "steal": Reason(
        "C",
        "The hypervisor took more than 1 % of the CPU time, so the run was slowed down by "
        "neighbours.",
        "Run again at a quieter time, or on a host of your own.",
    ),
    "sample_gap": Reason(
        "C",
        "No reading was taken for more than twice the sampling interval, so a short event could "
        "have been missed.",
        "Leave the worker some CPU time, or train with fewer threads.",
    ),
    "spent_incomplete": Reason(
        "C",
        "The energy of an attempt is not known, so `spent_j` is a lower bound.",
        "Look at the attempts: those without energy were lost before it could be told.",
    ),
    "not_finished": Reason(
        "C",
        "The run was cut, so the figures hold for its first part only.",
        "Compare it with finished runs by energy per sample, not by total.",
    ),
    "short_run": Reason(
        "C",
        "The run took less than 60 s: its figures are indicative.",
        "Train for a minute or longer before you compare.",
    ),
    "contention_unknown": Reason(
        "B",
        "What other programs used of the CPU could not be read for most of the run.",
        "Make sure yourself that the host was quiet.",
    ),
    "no_baseline": Reason(
        "B",
        "The idle power of a component in the total is not known, so there is no net energy.",
        "Where a sensor measures, run `trainwatt calibrate` on a quiet host; a GPU that is known "
        "by its rated power alone has no idle power; the total is not touched.",
    ),
    "temperature_drift": Reason(
        "B",
        "CPU or GPU got more than 10 °C warmer after the first minute, and warmer chips draw more.",
        "Compare with runs that began as warm, or train longer.",
    ),
    "governor": Reason(
        "B",
        "The CPU's frequency governor is not `performance`, so that its speed and power vary.",
        "Compare with runs under the same governor, or set `performance`.",
    ),
    "ram_power_assumed": Reason(
        "B",
        "RAM has no energy counter: its power is a flat figure by its size.",
        "Use the interval; a shared error cancels between runs on one host.",
    ),
}


def trust(
    readings: Readings,
    parts: Parts,
    baseline: Baseline,
    status: JobStatus,
    attempts: Sequence[AttemptEnergy],
) -> Trust:
    """The grade with its reasons, and the conditions that it was read from.

    Args:
        readings: of the attempt that the report is of.
        parts: its components.
        baseline: what the host would have used without it.
        status: how the job ended.
        attempts: all attempts of the job, this one too.
    """
    seen = _seen(readings, parts.cpu.component.energy_j)
    found = _part_codes(parts) | _spent_codes(attempts)
    found |= _run_codes(series.times(readings)[-1], status)
    found |= _load_codes(readings, seen) | _condition_codes(readings, seen)
    return _graded(seen, found | _baseline_codes(parts, baseline))


def _seen(readings: Readings, cpu_j: float | None) -> Trust:
    """The conditions of the run, without a grade yet; `cpu_j`: the CPU's joules."""
    quiet = readings.quiet
    return Trust(
        grade="A",
        reasons=(),
        contention_share=conditions.contention_share(readings),
        steal_s=conditions.steal_s(readings),
        largest_sample_gap_s=conditions.largest_gap_s(readings),
        instrument_cpu_s=conditions.instrument_s(readings),
        instrument_j=conditions.instrument_j(readings, cpu_j),
        service_share=conditions.service_share(readings),
        others_over_job=conditions.others_over_job(readings),
        waited_for_quiet_s=None if quiet is None else quiet.waited_s,
        quiet_at_start=None if quiet is None else quiet.quiet,
        swapped_mib=conditions.swapped_mib(readings),
        temperature_drift_c=conditions.drift_c(readings),
        governor=readings.governor,
    )


def without_readings(attempts: Sequence[AttemptEnergy], *, lost: bool) -> Trust:
    """The trust of a report on nothing.

    Args:
        attempts: all attempts of the job.
        lost: whether the last of them began, and left no reading.
    """
    unrun = "not_run_again" if attempts else "never_started"
    nothing = Trust(
        grade="A",
        reasons=(),
        contention_share=None,
        steal_s=None,
        largest_sample_gap_s=None,
        instrument_cpu_s=None,
    )
    return _graded(nothing, _spent_codes(attempts) | {"no_readings" if lost else unrun})


def _graded(seen: Trust, codes: set[str]) -> Trust:
    """The grade is the worst that a reason allows; A without one."""
    reasons = {code: reason for code, reason in REASONS.items() if code in codes}
    grades: list[Grade] = [reason.grade for reason in reasons.values()]
    told = tuple(TrustReason(code=c, message=r.message) for c, r in reasons.items())
    return seen.model_copy(update={"grade": max(grades, default="A"), "reasons": told})


def _part_codes(parts: Parts) -> set[str]:
    """What the components say, and that none of them has a figure where that has another cause."""
    found = {code for part in parts.all for code in part.codes}
    return found if parts.known or "too_short" in found else found | {"no_figure"}


def _spent_codes(attempts: Sequence[AttemptEnergy]) -> set[str]:
    """Whether the sum over the attempts leaves one out; where none is known, there is no sum."""
    known = {attempt.energy_j is not None for attempt in attempts}
    return {"spent_incomplete"} if known == {True, False} else set()


def _run_codes(duration_s: float, status: JobStatus) -> set[str]:
    codes = set()
    if duration_s < SHORT_RUN_S:
        codes.add("short_run")
    if status is not JobStatus.SUCCEEDED:
        codes.add("not_finished")
    return codes


def _load_codes(readings: Readings, seen: Trust) -> set[str]:
    """Who used the CPU beside the job, and whether the meter had its turn."""
    host_cpu_s = series.times(readings)[-1] * readings.host.host_cpus
    gap_s, allowed_s = seen.largest_sample_gap_s, SAMPLE_GAP_INTERVALS * readings.sample_interval_s
    codes = set()
    if seen.contention_share is None:
        codes.add("contention_unknown")
    elif seen.contention_share > BUSY_SHARE or (seen.others_over_job or 0.0) > OTHERS_OVER_JOB:
        codes.add("contention")
    if seen.service_share is not None and seen.service_share > BUSY_SHARE:
        codes.add("service_busy")
    if seen.steal_s is not None and seen.steal_s > STEAL_SHARE * host_cpu_s:
        codes.add("steal")
    if gap_s is not None and gap_s > allowed_s:
        codes.add("sample_gap")
    return codes


def _condition_codes(readings: Readings, seen: Trust) -> set[str]:
    """What else was not as it should be; what was not watched has no code here."""
    swapped_mib, drift_c = seen.swapped_mib, seen.temperature_drift_c
    found = {
        "not_quiet": seen.quiet_at_start is False,
        "swapping": swapped_mib is not None and swapped_mib > SWAPPED_MIB,
        "temperature_drift": drift_c is not None and drift_c > DRIFT_C,
        "governor": seen.governor not in {None, STEADY_GOVERNOR},
        "counter_wrapped": conditions.wrapped(readings),
    }
    return {code for code, holds in found.items() if holds}


def _baseline_codes(parts: Parts, baseline: Baseline) -> set[str]:
    """Whether the idle power of what is in the total is known, and was taken on a quiet host."""
    if not parts.known:
        return set()
    if baseline.power_w is None:
        return {"no_baseline"}
    shares = (baseline.others_share, baseline.service_share, baseline.gpu_utilization)
    disturbed = any(share is not None and share > BUSY_SHARE for share in shares)
    return {"baseline_disturbed"} if disturbed else set()
