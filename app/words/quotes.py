"""A quote in words: what is expected, how sure that is, and from what it is known."""

from app.domain.errors import FieldError
from app.domain.quotes import Quote, TrackRecord
from app.domain.specs import Limits
from app.words.units import duration, interval, per_cent, quantity

BASIS = {
    "same_work": "from {n} runs of the same training",
    "like_jobs": "from {n} jobs like it",
    "pilot": "from a pilot of a few steps",
}


def sentence(quote: Quote) -> str:
    """As `About 560 J (480–650 J) and 20.0 s (18.0 s to 23.0 s) on box, from 14 jobs like it.`."""
    if quote.basis == "none":
        return _without(quote)
    known = BASIS[quote.basis].format(n=quote.like_jobs)
    parts = [_part(quote.energy_j, quote.energy_low_j, quote.energy_high_j, "J")]
    if quote.co2e_g is not None:
        parts.append(_part(quote.co2e_g, quote.co2e_low_g, quote.co2e_high_g, "g") + " CO2e")
    return f"About {', '.join(parts)} and {_seconds(quote)} on {quote.host}, {known}."


def _part(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    return f"{quantity(value, unit)} ({interval(low, high, unit, of=value)})"


def _seconds(quote: Quote) -> str:
    assert quote.duration_s is not None
    assert quote.duration_low_s is not None
    assert quote.duration_high_s is not None
    ends = f"{duration(quote.duration_low_s)} to {duration(quote.duration_high_s)}"
    return f"{duration(quote.duration_s)} ({ends})"


def _without(quote: Quote) -> str:
    if quote.reason == "pilot_failed":
        return f"No quote: the pilot {quote.pilot_job} did not succeed, and says why."
    if quote.reason == "no_energy":
        return f"No quote: the pilot {quote.pilot_job} has no energy for every phase."
    if quote.pilot_job is not None:
        return f"No quote yet: the pilot {quote.pilot_job} waits or runs; ask again when it ended."
    if quote.reason == "no_host":
        return "No quote: no worker that takes such a job has announced itself."
    there = {0: "no job like it has", 1: "1 job like it has"}.get(
        quote.like_jobs, f"{quote.like_jobs} jobs like it have"
    )
    pilot = (
        "A pilot would tell nothing: the job is hardly longer than one, or its model has no steps."
        if quote.reason == "no_pilot"
        else 'A pilot of a few steps would tell: ask for one (--pilot, or "pilot": true).'
    )
    return (
        f"No quote: {there} run on {quote.host}, and it takes 10 of about this size, or 3 of the "
        f"same training. {pilot}"
    )


def held(found: TrackRecord) -> str:
    """How quotes have held over all, in a sentence."""
    if found.overall is None:
        return "No quote has been put to the test yet: none of a job that succeeded had figures."
    one = found.overall
    jobs = "1 job" if one.jobs == 1 else f"{one.jobs} jobs"
    return (
        f"Over {jobs} the energy was off by {per_cent(one.energy_error_median)} (median), and "
        f"{per_cent(one.energy_coverage)} ended within their 90 % interval."
    )


def excess(limits: Limits, quote: Quote) -> tuple[FieldError, str] | None:
    """The limit that a job would not keep, and that in a sentence; null where it may keep all."""
    for limit, low, unit, name in (
        (limits.energy_j, quote.energy_low_j, "J", "limits.energy_j"),
        (limits.emissions_g, quote.co2e_low_g, "g", "limits.emissions_g"),
    ):
        if limit is not None and low is not None and low > limit:
            return FieldError(field=name, expected=f"a number ≥ {low:.6g}", received=limit), (
                f"{name} is {quantity(limit, unit)}, and this job is expected to use at least "
                f"{quantity(low, unit)}: raise the limit, make the job smaller, or force it "
                f"(force=true). {sentence(quote)}"
            )
    return None
