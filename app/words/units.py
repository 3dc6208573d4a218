"""Numbers for a person: three significant digits, a unit with its prefix, intervals, nulls."""

import math

NONE = "—"
PREFIXES = {-6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


def significant(value: float | None, digits: int = 3) -> str:
    """A number in so many significant digits, never in powers of ten between 0.0001 and 10⁶."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, digits - 1 - exponent)}f}"


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit in a readable prefix: `560 J`, `1.20 kJ`, `41.8 mJ`; null: —."""
    if value is None:
        return NONE
    exponent = _prefix(value)
    return f"{significant(value / 10**exponent)} {PREFIXES[exponent]}{unit}"


def interval(low: float | None, high: float | None, unit: str, *, of: float | None) -> str:
    """Two ends in the prefix of the figure between them: `81.2–1,010 J` of 642 J; null: —."""
    if low is None or high is None:
        return NONE
    exponent = _prefix(high if of is None else of)
    ends = (significant(end / 10**exponent) for end in (low, high))
    return f"{'–'.join(ends)} {PREFIXES[exponent]}{unit}"


def per_cent(share: float | None) -> str:
    """A share of one in per cent with one decimal; null: —."""
    return NONE if share is None else f"{100 * share:.1f} %"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `20.1 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 100:
        return quantity(seconds, "s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _prefix(value: float) -> int:
    """The power of ten of the prefix, so that 999.6 J is already 1.00 kJ."""
    if value == 0:
        return 0
    rounded = abs(float(f"{value:.2e}"))
    exponent = 3 * math.floor(math.log10(rounded) / 3 + 1e-12)
    return max(min(PREFIXES), min(max(PREFIXES), exponent))
