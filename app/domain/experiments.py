"""An experiment: variants of one job, run repeatedly in turn, and what came of it."""

import copy
import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.domain.errors import FieldError, SpecError
from app.domain.json_values import storable
from app.domain.quantities import Frozen
from app.domain.specs import JobSpec, SpecPart

MOST_VARIANTS = 50
MOST_REPEATS = 1000
PATH = r"^[a-z_]+(\.[a-z_]+)*$"

Ended = Literal["complete", "ratio_within", "budget", "cancelled"]
Value = Annotated[Any, AfterValidator(storable)]
Path = Annotated[str, Field(pattern=PATH, max_length=64)]


class Repeats(SpecPart):
    """How often each variant is run: at least, and at most where a stop rule may end it before."""

    min: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 3
    max: Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 10


class Constraint(SpecPart):
    """What a variant has to achieve to be advised."""

    min_accuracy: Annotated[
        float | None, Field(gt=0, le=1, description="mean accuracy on the test set")
    ] = None


class Stop(SpecPart):
    """When enough is known."""

    ratio_within: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="ends it where every ratio's interval is within this share of the ratio",
        ),
    ] = None


class Budget(SpecPart):
    """What the whole experiment may use: it ends after the job that reaches one of these."""

    energy_j: Annotated[float | None, Field(gt=0, le=10**12)] = None
    seconds: Annotated[float | None, Field(gt=0, le=10**8, description="of trainings")] = None
    emissions_g: Annotated[float | None, Field(gt=0, le=10**9, description="of CO2e")] = None


class ExperimentSpec(SpecPart):
    """A base job and its variations: a grid (`vary`) or a list (`variants`) of changed fields.

    `{"base": {"model_type": "cnn"}, "vary": {"batch_size": [32, 128]}}` is enough.
    """

    name: Annotated[str | None, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")] = (
        None
    )
    base: JobSpec
    vary: Annotated[
        dict[Path, Annotated[list[Value], Field(min_length=1, max_length=MOST_VARIANTS)]],
        Field(max_length=8, description="values by field, each combination being a variant"),
    ] = {}
    variants: Annotated[
        list[dict[Path, Value]],
        Field(max_length=MOST_VARIANTS, description="changed fields of each variant"),
    ] = []
    repeats: Repeats | Annotated[int, Field(ge=1, le=MOST_REPEATS)] = 5
    order: Annotated[
        Literal["blocks", "sequential"],
        Field(description="every variant once a block in random order, or one after the other"),
    ] = "blocks"
    order_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    vary_seed: Annotated[
        bool, Field(description="each block trains with a seed of its own: base.seed + block")
    ] = True
    constraint: Constraint = Constraint()
    stop: Stop = Stop()
    budget: Budget = Budget()

    @property
    def least(self) -> int:
        """Repeats of each variant at least."""
        return self.repeats.min if isinstance(self.repeats, Repeats) else self.repeats

    @property
    def most(self) -> int:
        """Repeats of each variant at most."""
        return self.repeats.max if isinstance(self.repeats, Repeats) else self.repeats

    def changes(self) -> tuple[dict[str, Any], ...]:
        """The changed fields of each variant, in order.

        Raises:
            SpecError: both or neither of `vary` and `variants` are given, there are too many,
                `repeats.min` is above `repeats.max`, or the stop rule could never end it.
        """
        if bool(self.vary) is bool(self.variants):
            raise _refused("vary", "a grid in vary or a list in variants, one of both", "not so")
        if self.least > self.most:
            raise _refused("repeats.min", f"at most repeats.max, {self.most}", self.least)
        if self.stop.ratio_within is not None and (
            self.order != "blocks" or self.least == self.most
        ):
            expected = "order blocks and repeats.min below repeats.max, between which it may end"
            raise _refused("stop.ratio_within", expected, self.stop.ratio_within)
        if self.variants:
            return tuple(self.variants)
        count = 1
        for values in self.vary.values():
            count *= len(values)
        if count > MOST_VARIANTS:
            raise _refused("vary", f"at most {MOST_VARIANTS} combinations", count)
        names = list(self.vary)
        combined = itertools.product(*self.vary.values())
        return tuple(dict(zip(names, values, strict=True)) for values in combined)

    def bodies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Where each variant stands in this spec, and its job spec as JSON, not yet checked."""
        base = self.base.model_dump(mode="json")
        for number, changed in enumerate(self.changes()):
            body = copy.deepcopy(base)
            for path, value in changed.items():
                _put(body, path.split("."), value)
            place = f"variants[{number}]" if self.variants else f"vary[{label(changed)}]"
            yield place, body


def _put(body: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a field, making the parts above it where they are null; a wrong one is refused later."""
    *above, name = path
    for part in above:
        inside = body.get(part)
        body[part] = inside = dict(inside) if isinstance(inside, dict) else {}
        body = inside
    body[name] = value


def label(changed: dict[str, Any]) -> str:
    """A variant in words: `batch_size=128, execution.precision=mixed_bfloat16`."""
    return ", ".join(f"{path}={_short(value)}" for path, value in changed.items()) or "base"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={_short(item)}" for key, item in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(field: str, expected: str, received: Any) -> SpecError:
    return SpecError(FieldError(field=field, expected=expected, received=received))


class Variant(Frozen):
    """One variant: its number from 0, what it changes, and the identity of its job."""

    number: int
    label: str
    spec_sha256: str  # with the base's seed


class Spread(Frozen):
    """Several runs' figure: mean, standard deviation, and the mean's 95 % interval by Student's t.

    Deviation and interval are null where there are fewer than two runs.
    """

    runs: int
    mean: float
    standard_deviation: float | None
    low: float | None
    high: float | None


class VariantResult(Frozen):
    """What came of one variant; null figures where no run has them."""

    number: int
    label: str
    succeeded: int
    failed: int  # ended in any other way, but by the end of the experiment
    energy_j: Spread | None
    co2e_g: Spread | None
    duration_s: Spread | None
    test_accuracy: Spread | None
    spent_j: float  # of all its jobs and their attempts
    meets_constraint: bool | None  # null: there is none, or nothing to judge by
    dominated_by: int | None  # another variant that is as accurate or better, and needs less energy


class PairResult(Frozen):
    """B's energy over A's: the ratio of geometric means with its interval.

    The intervals of all pairs hold together in 95 % of experiments (Bonferroni).
    """

    a: int
    b: int
    blocks: int  # in which both succeeded; 0: compared without pairing
    ratio: float
    low: float | None
    high: float | None
    less: Literal["a", "b"] | None  # null: the interval holds 1, or there is none
    accuracy_difference: float | None  # mean of B less mean of A
    accuracy_low: float | None
    accuracy_high: float | None


class ExperimentResult(Frozen):
    """What is known so far."""

    variants: tuple[VariantResult, ...]
    pairs: tuple[PairResult, ...]
    front_accuracy: tuple[int, ...]  # variants that no other beats in energy and accuracy
    front_duration: tuple[int, ...]  # and in energy and duration
    dominated_j: float  # joules that the dominated variants cost
    best: int | None  # least mean energy of those that meet the constraint
    sentences: tuple[str, ...] = ()


class Experiment(Frozen):
    """An experiment as it stands; times in UTC."""

    id: str
    name: str | None
    spec: ExperimentSpec
    variants: tuple[Variant, ...]
    jobs: dict[str, int]  # how many by status
    ended: Ended | None  # by what; null: it goes on
    created_at: datetime
    ended_at: datetime | None

    def public(self) -> dict[str, Any]:
        """As HTTP and the command line show it, with its links."""
        here = f"/v1/experiments/{self.id}"
        links = {
            "self": here,
            "events": f"{here}/events",
            "jobs": f"/v1/jobs?experiment={self.id}",
        }
        return {**self.model_dump(mode="json"), "links": links}
