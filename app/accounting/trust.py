"""How far a report can be trusted: conditions of the run, reason codes, and the grade they allow.

| grade | worst that it stands for |
|---|---|
| A | measured by sensors, on a quiet host, long enough |
| B | a minor part rests on an assumption, or a condition was not watched |
| C | the main figure is modelled from facts of the host, or a condition disturbed it |
| D | the main figure rests on a guess, or others used a good part of the host |
| E | a part is missing or known to be wrong: a lower or an upper bound |
| F | there is no figure |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting import series
from app.accounting.components import Parts
from app.domain.jobs import JobStatus
from app.domain.readings import Reading, Readings
from app.domain.reports import AttemptEnergy, Grade, Trust, TrustReason

SHORT_RUN_S = 60.0  # MLPerf Power (2024): under 60 s a run is indicative
CONTENTION_SHARE = 0.05  # of the host's CPU-seconds, used by others
STEAL_SHARE = 0.01  # of the host's CPU-seconds, taken by the hypervisor
SAMPLE_GAP_INTERVALS = 2.0  # of the sampling interval: one reading was missed
WATCHED_SHARE = 0.5  # of the run that CPU-seconds must cover to say something of it


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
        "An energy counter gave no value at the start or the end, so its component is left out.",
        "Run the job again; if it stays, look at the worker's log.",
    ),
    "counter_jumped": Reason(
        "E",
        "An energy counter went backwards during the run, so its component is left out.",
        "Run the job again; a reset of the sensor or a sleep of the host causes this.",
    ),
    "counter_stopped": Reason(
        "E",
        "An energy counter stood still during the run, so its component is left out.",
        "Check that the sensor's files stay readable during a run.",
    ),
    "socket_share_unknown": Reason(
        "E",
        "This virtual machine is billed for a whole CPU socket, so the CPU's figure is too high.",
        "Run on a host with a power sensor, or read the low end of the interval.",
    ),
    "cpu_power_guessed": Reason(
        "D",
        "The CPU has no readable power sensor and its rated power is not known: codecarbon's "
        "figure rests on a guess of 4 W a thread.",
        "Use the interval, not the figure, or run on a host with a readable sensor (RAPL).",
    ),
    "gpu_power_assumed": Reason(
        "D",
        "The GPU has no readable power sensor: its figure is a share of its rated power.",
        "Use the interval, or run on a host whose GPU has a power sensor.",
    ),
    "cpu_power_modelled": Reason(
        "C",
        "The CPU has no readable power sensor: its energy is modelled from rated power and load.",
        "Use the interval, or make RAPL readable on this host.",
    ),
    "contention": Reason(
        "D",
        "Other programs used more than 5 % of the host's CPU time, and their energy is in the "
        "total.",
        "Run again on a quiet host.",
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
    "ram_power_assumed": Reason(
        "B",
        "RAM has no energy counter: its power is a flat figure by its size.",
        "Use the interval; a shared error cancels between runs on one host.",
    ),
}


def trust(
    readings: Readings, parts: Parts, status: JobStatus, attempts: Sequence[AttemptEnergy]
) -> Trust:
    """The grade with its reasons, and the conditions that it was read from.

    Args:
        readings: of the attempt that the report is of.
        parts: its components.
        status: how the job ended.
        attempts: all attempts of the job, this one too.
    """
    contention = contention_share(readings)
    steal_s = series.difference([r.host_steal_s for r in readings.readings])
    gap_s = _largest_gap_s(readings)
    found = _part_codes(parts) | _spent_codes(attempts)
    found |= _run_codes(series.times(readings)[-1], status)
    found |= _condition_codes(readings, contention, steal_s, gap_s)
    return _graded(
        found,
        contention=contention,
        steal_s=None if steal_s is None else max(0.0, steal_s),
        gap_s=gap_s,
        instrument_s=series.difference([r.instrument_cpu_s for r in readings.readings]),
    )


def without_readings(attempts: Sequence[AttemptEnergy], *, lost: bool) -> Trust:
    """The trust of a report on nothing.

    Args:
        attempts: all attempts of the job.
        lost: whether the last of them began, and left no reading.
    """
    unrun = "not_run_again" if attempts else "never_started"
    found = _spent_codes(attempts) | {"no_readings" if lost else unrun}
    return _graded(found, contention=None, steal_s=None, gap_s=None, instrument_s=None)


def _graded(
    codes: set[str],
    *,
    contention: float | None,
    steal_s: float | None,
    gap_s: float | None,
    instrument_s: float | None,
) -> Trust:
    """The grade is the worst that a reason allows; A without one."""
    reasons = {code: reason for code, reason in REASONS.items() if code in codes}
    grades: list[Grade] = [reason.grade for reason in reasons.values()]
    return Trust(
        grade=max(grades, default="A"),
        reasons=tuple(TrustReason(code=c, message=r.message) for c, r in reasons.items()),
        contention_share=contention,
        steal_s=steal_s,
        largest_sample_gap_s=gap_s,
        instrument_cpu_s=None if instrument_s is None else max(0.0, instrument_s),
    )


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


def _condition_codes(
    readings: Readings, contention: float | None, steal_s: float | None, gap_s: float | None
) -> set[str]:
    host_cpu_s = series.times(readings)[-1] * readings.host.host_cpus
    codes = set()
    if contention is None:
        codes.add("contention_unknown")
    elif contention > CONTENTION_SHARE:
        codes.add("contention")
    if steal_s is not None and steal_s > STEAL_SHARE * host_cpu_s:
        codes.add("steal")
    if gap_s is not None and gap_s > SAMPLE_GAP_INTERVALS * readings.sample_interval_s:
        codes.add("sample_gap")
    return codes


def contention_share(readings: Readings) -> float | None:
    """CPU-seconds of others over the host's, within the readings that have all three counters.

    The job's process is gone at the last reading and may not be there at the first. Null where
    the readings with everything cover less than half of the run. The worker's process, and with it
    the meter, belongs to the service's CPU-seconds.
    """
    known = [reading for reading in readings.readings if _others_s(reading) is not None]
    duration_s = series.times(readings)[-1]
    window_s = known[-1].t_s - known[0].t_s if known else 0.0
    if window_s <= 0 or window_s < WATCHED_SHARE * duration_s:
        return None
    others_s = (_others_s(known[-1]) or 0.0) - (_others_s(known[0]) or 0.0)
    return max(0.0, others_s) / (window_s * max(1, readings.host.host_cpus))


def _others_s(reading: Reading) -> float | None:
    """Cumulative CPU-seconds of everything but the job and the service."""
    busy_s, job_s, service_s = reading.host_busy_s, reading.job_cpu_s, reading.service_cpu_s
    if busy_s is None or job_s is None or service_s is None:
        return None
    return busy_s - job_s - service_s


def _largest_gap_s(readings: Readings) -> float | None:
    t_s = series.times(readings)
    return max((b - a for a, b in zip(t_s, t_s[1:], strict=False)), default=None)
