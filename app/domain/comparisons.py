"""How the energy of some jobs stands to that of others, and whether the ranking survives."""

from typing import Literal

from app.domain.quantities import Frozen

Side = Literal["a", "b"]
Holds = Literal["in_all", "in_some", "cannot_tell"]
SHOWN = 10  # scenarios that are listed by name


class Scenario(Frozen):
    """One way to know the energy of both sides: a model or an end of it for each component."""

    name: str
    ratio: float  # of B's energy over A's


class Comparison(Frozen):
    """Two sides, A and B, each of one job or of several runs of one variant.

    `ratio` is B's energy over A's (geometric means where a side has several). `low` and `high` are
    its ends over all `scenarios`: each sets both sides by the same models where their errors are
    shared (`cancels`), and against one another by the ends of their intervals where they are not.
    They say nothing of how much runs of the same job differ: `runs_low` and `runs_high` do, the
    ratio's 95 % interval where each side has two runs or more. Where 1 is in it, nobody can tell.
    """

    a: tuple[str, ...]  # identifiers of jobs
    b: tuple[str, ...]
    energy_a_j: float | None
    energy_b_j: float | None
    ratio: float | None
    low: float | None
    high: float | None
    less: Side | None  # which uses less energy, by the central figures; null: neither, or unknown
    holds: Holds  # whether that ranking is the same in every scenario
    cancels: bool
    scenarios: int  # how many
    agreeing: int  # in how many of them the ranking is that of `less`
    against: tuple[Scenario, ...]  # those of the others that are furthest off
    sets: dict[str, float]  # the ratio under each set of assumptions
    sentences: tuple[str, ...] = ()
    runs_low: float | None = None
    runs_high: float | None = None
