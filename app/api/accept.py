"""Content negotiation: which of our media types an `Accept` header wants most (RFC 9110)."""

from collections.abc import Sequence

from starlette.requests import Request


def preferred(request: Request, offered: Sequence[str]) -> str | None:
    """The media type that the request wants most; the first of equals, null if it wants none."""
    header = ",".join(request.headers.getlist("accept"))
    if not header.strip():
        return offered[0]
    ranges = [_range(part) for part in header.split(",") if part.strip()]
    wanted = {media: _quality(ranges, media) for media in offered}
    best = max(offered, key=lambda media: wanted[media])
    return best if wanted[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    """A media range without parameters, and its weight; one that is no number weighs 1."""
    media, *parameters = (text.strip().lower() for text in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media, _weight(value.strip())
    return media, 1.0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0


def _quality(ranges: Sequence[tuple[str, float]], media: str) -> float:
    """The weight of the most specific range that the media type is in."""
    kind = f"{media.partition('/')[0]}/*"
    for name in (media, kind, "*/*"):
        weights = [weight for given, weight in ranges if given == name]
        if weights:
            return max(weights)
    return 0.0
