"""Charts as data for the templates, which draw them as SVG: places in per cent of the drawing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.words.units import NONE, duration, interval, quantity, significant

MOST_POINTS = 400  # of a line: more than a screen has pixels for does not show
HEADROOM = 1.15  # above the highest value, so that a flat line is seen as one

Number = float | int | None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart; it is broken where a value is not known.

    Attributes:
        name: in the legend.
        kind: what gives it its colour: a class of the style sheet.
        pieces: each the points of an SVG polyline, in a drawing of 1000 × 100.
        says: the smallest and largest value, in words.
    """

    name: str
    kind: str
    pieces: tuple[str, ...]
    says: str


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Lines over a common axis, which begins at 0 upwards."""

    title: str
    lines: tuple[Line, ...]
    top: str
    begin: str
    end: str

    @property
    def says(self) -> str:
        """The chart in words, for who does not see it."""
        ranges = "; ".join(f"{line.name} {line.says}" for line in self.lines)
        return f"{self.title}, from {self.begin} to {self.end}: {ranges}"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A figure with its interval; what is not known has no place."""

    name: str
    kind: str
    text: str
    interval: str
    width: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A job in a scatter chart."""

    x: float
    y: float
    title: str
    link: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Jobs by two figures, and the line of those that no other one beats in both."""

    dots: tuple[Dot, ...]
    front: tuple[tuple[float, float, float, float], ...]  # x1, y1, x2, y2 of each piece
    x_ends: tuple[str, str]
    y_ends: tuple[str, str]


def power(t_s: Sequence[float], watts: Mapping[str, Sequence[Number]], end_s: float) -> LineChart:
    """Mean power over time, a line each component that has one.

    Args:
        t_s: where each interval begins, in seconds.
        watts: by component; null where it is not known.
        end_s: where the last interval ends.
    """
    known = {name: line for name, line in watts.items() if any(w is not None for w in line)}
    top_w = max((w for line in known.values() for w in line if w is not None), default=0) or 1.0
    top_w *= HEADROOM
    begin_s = t_s[0] if t_s else 0.0
    span_s = max(end_s - begin_s, 1e-9)
    xs = [(t - begin_s) / span_s for t in t_s] + [1.0]
    return LineChart(
        title="Power",
        lines=tuple(
            Line(
                name=name.upper(),
                kind=name,
                pieces=tuple(_steps(xs, [None if w is None else w / top_w for w in line])),
                says=_range(line, "W"),
            )
            for name, line in known.items()
        ),
        top=quantity(top_w, "W"),
        begin=duration(begin_s) if begin_s else "0 s",
        end=duration(end_s),
    )


def epochs(
    title: str, lines: Mapping[str, Sequence[Number]], *, top: float | None = None
) -> LineChart:
    """Something of every epoch, which are counted from 1.

    Args:
        title: what it is.
        lines: by name, a value each epoch; null where there is none.
        top: the end of the axis; null: above the highest value.
    """
    highest = max((v for line in lines.values() for v in line if v is not None), default=0) or 1.0
    end = top or highest * HEADROOM
    count = max(map(len, lines.values()), default=0)
    return LineChart(
        title=title,
        lines=tuple(
            Line(
                name=name,
                kind=name.replace(" ", "-"),
                pieces=tuple(_points(line, count, end)),
                says=_range(line, ""),
            )
            for name, line in lines.items()
        ),
        top=significant(end),
        begin="epoch 1",
        end=f"epoch {count}",
    )


def bars(rows: Iterable[tuple[str, str, Number, Number, Number]], unit: str) -> tuple[Bar, ...]:
    """Figures with intervals on one scale: each a name, a kind, the figure, its low and high."""
    given = list(rows)
    top = max((v for _, _, *values in given for v in values if v is not None), default=0) or 1.0

    def share(value: Number) -> float | None:
        return None if value is None else round(100 * value / top, 3)

    return tuple(
        Bar(
            name=name,
            kind=kind,
            text=quantity(value, unit),
            interval=interval(low, high, unit, of=value),
            width=share(value),
            low=share(low),
            high=share(high),
        )
        for name, kind, value, low, high in given
    )


def _one_decimal(share: float) -> str:
    return f"{100 * share:.1f} %"


def scatter(
    points: Sequence[tuple[float, float, str, str]],
    *,
    shown: Callable[[float], str] = _one_decimal,
    less_is_better: bool = False,
) -> Scatter | None:
    """Energy (joules, to the right) against another figure (upwards); null for fewer than two.

    Args:
        points: energy, the other figure, title and link of each.
        shown: puts the other figure in words.
        less_is_better: of the other figure, as of durations.
    """
    if len(points) < 2:
        return None
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    place_x, place_y = _placed(xs), _placed(ys)
    best = front(points, less_is_better=less_is_better)
    dots = tuple(
        Dot(x=place_x(x), y=100 - place_y(y), title=title, link=link, best=n in best)
        for n, (x, y, title, link) in enumerate(points)
    )
    line = sorted((dots[n] for n in best), key=lambda dot: dot.x)
    return Scatter(
        dots=dots,
        front=tuple((a.x, a.y, b.x, b.y) for a, b in zip(line, line[1:], strict=False)),
        x_ends=(quantity(min(xs), "J"), quantity(max(xs), "J")),
        y_ends=(shown(min(ys)), shown(max(ys))),
    )


def front(
    points: Sequence[tuple[float, float, str, str]], *, less_is_better: bool = False
) -> set[int]:
    """Those on the Pareto front: no other one has less energy and is as good in the other."""
    sign = -1 if less_is_better else 1
    best: set[int] = set()
    highest = float("-inf")
    for n in sorted(range(len(points)), key=lambda n: (points[n][0], -sign * points[n][1])):
        if sign * points[n][1] > highest:
            best.add(n)
            highest = sign * points[n][1]
    return best


def _placed(values: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies, in per cent, with room at both ends."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return lambda value: round(5 + 90 * (value - low) / span, 2) if high > low else 50.0


def _steps(xs: Sequence[float], ys: Sequence[Number]) -> Iterable[str]:
    """A line that keeps each value over its interval; means of several where there are many."""
    every = -(-len(ys) // MOST_POINTS) or 1
    begins = [*range(0, len(ys), every), len(ys)]
    spans = list(zip(begins, begins[1:], strict=False))
    means = [_mean(xs[begin : end + 1], ys[begin:end]) for begin, end in spans]
    for run in _runs(means):
        yield " ".join(_point(xs[place], y) for n, y in run for place in spans[n])


def _mean(xs: Sequence[float], ys: Sequence[Number]) -> float | None:
    """The mean over time of what is known; null where nothing is."""
    known = [(b - a, y) for a, b, y in zip(xs, xs[1:], ys, strict=False) if y is not None]
    whole = sum(width for width, _ in known)
    if not known or whole <= 0:
        return None
    return sum(width * y for width, y in known) / whole


def _points(line: Sequence[Number], count: int, top: float) -> Iterable[str]:
    """A line from value to value; one that stands alone is a dot, a line to itself."""
    for run in _runs(line):
        points = [_point(n / (count - 1) if count > 1 else 0.5, min(y / top, 1.0)) for n, y in run]
        yield " ".join(points if len(points) > 1 else points * 2)


def _runs(values: Sequence[Number]) -> Iterable[list[tuple[int, float]]]:
    """The values that follow each other without a gap, with their places."""
    run: list[tuple[int, float]] = []
    for n, value in enumerate([*values, None]):
        if value is not None:
            run.append((n, value))
        elif run:
            yield run
            run = []


def _point(x: float, y: float) -> str:
    return f"{1000 * x:.1f},{100 - 100 * y:.2f}"


def _range(values: Sequence[Number], unit: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NONE
    ends = dict.fromkeys(
        quantity(v, unit) if unit else significant(v) for v in (min(known), max(known))
    )
    return " to ".join(ends)
