"""What holds of every spec and of every way that a job may go."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.jobs import FINAL_STATUSES, TRANSITIONS, JobStatus
from app.domain.quantities import Frozen
from app.domain.specs import JobSpec

EXAMPLES = settings(max_examples=200, deadline=None)

TEXT = st.text(min_size=1, max_size=8)
LABEL = st.from_regex(r"\A[A-Za-z0-9._:-]{1,12}\Z")


def between(low, high):
    """Numbers above `low`, at most `high`."""
    return st.floats(low, high, exclude_min=True)


def one_of(*values):
    return st.sampled_from(values)


# Every field by its path. What does not change the run: how it is priced, placed and named.
UPLOADED = st.fixed_dictionaries(
    {
        "sha256": st.from_regex(r"\A[0-9a-f]{64}\Z"),
        "shape": st.lists(st.integers(1, 4096), min_size=1, max_size=3),
        "classes": st.integers(2, 1000),
        **{
            f"{part}_samples": st.integers(1, 10_000_000)
            for part in ("training", "validation", "test", "min_training")
        },
    }
)
OF_THE_RUN = {
    "model_type": TEXT,
    "architecture": st.one_of(
        st.none(), st.dictionaries(st.from_regex(r"\A[a-z]{1,4}\Z"), st.integers(0, 9), max_size=3)
    ),
    "size": st.one_of(
        one_of("tiny", "small", "base", "medium", "large"),
        st.fixed_dictionaries({"width": between(0, 16), "depth": st.integers(1, 8)}),
    ),
    "epochs": st.integers(1, 10_000),
    "dataset.name": TEXT,
    "dataset.samples": st.one_of(st.none(), st.integers(1, 10_000_000)),
    "dataset.shape": st.one_of(
        st.none(), st.lists(st.integers(1, 4096), min_size=1, max_size=3)
    ),
    "dataset.classes": st.one_of(st.none(), st.integers(2, 1000)),
    "batch_size": st.integers(1, 1_000_000),
    "learning_rate": between(0, 10),
    "seed": st.integers(0, 2**31 - 1),
    "dataset.label_noise": st.floats(0, 1),
    "dataset.uploaded": st.one_of(st.none(), UPLOADED),
    "execution.mode": one_of("graph", "keras_fit"),
    "execution.precision": one_of("auto", "float32", "mixed_bfloat16"),
    "execution.jit_compile": one_of("auto", False, True),
    "execution.steps_per_execution": st.one_of(one_of("auto"), st.integers(1, 1000)),
    "execution.input_pipeline": one_of("auto", "memory", "tf_data"),
    "execution.threads": st.one_of(one_of("auto"), st.integers(1, 1024)),
    "target_accuracy": st.one_of(st.none(), between(0, 1)),
    "early_stopping": st.one_of(
        st.none(), st.fixed_dictionaries({"patience": st.integers(1, 10_000)})
    ),
    "limits.timeout_s": between(0, 7 * 86_400),
    "limits.energy_j": st.one_of(st.none(), between(0, 10**12)),
    "limits.emissions_g": st.one_of(st.none(), between(0, 10**9)),
}  # fmt: skip
BESIDE_THE_RUN = {
    "placement.labels": st.lists(LABEL, max_size=1),
    "priority": st.integers(-100, 100),
    "tags": st.dictionaries(st.from_regex(r"\A[A-Za-z0-9._-]{1,8}\Z"), TEXT, max_size=3),
    "carbon.country_iso_code": st.one_of(st.none(), st.from_regex(r"\A[A-Z]{3}\Z")),
    "carbon.region": st.one_of(st.none(), TEXT),
    "carbon.intensity_g_per_kwh": st.one_of(st.none(), st.floats(0, 10_000)),
    "carbon.pue": st.floats(1, 10),
    "experiment_id": st.one_of(st.none(), st.from_regex(r"\A[a-z0-9-]{1,36}\Z")),
}


def nested(fields):
    """{"a.b": 1} as {"a": {"b": 1}}."""
    found = {}
    for path, value in fields.items():
        *above, last = path.split(".")
        place = found
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return found


FIELDS = st.fixed_dictionaries({}, optional=OF_THE_RUN | BESIDE_THE_RUN)


def spec_of(fields):
    return JobSpec.model_validate(nested({"model_type": "cnn"} | fields))


def paths(model, above=""):
    """Every field of a model by its path, those of its parts too."""
    for name, field in model.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, Frozen):
            yield from paths(part, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_every_field_of_a_spec_is_tried_here():
    assert sorted(paths(JobSpec)) == sorted(OF_THE_RUN | BESIDE_THE_RUN)


@EXAMPLES
@given(fields=FIELDS)
def test_a_spec_goes_to_json_and_back(fields):
    spec = spec_of(fields)
    text = spec.model_dump_json()
    back = JobSpec.model_validate_json(text)
    assert back == spec
    assert back.model_dump_json() == text
    assert back.sha256() == spec.sha256()
    again = JobSpec.model_validate(json.loads(text))
    assert (again, again.sha256()) == (spec, spec.sha256())


@EXAMPLES
@given(fields=FIELDS, data=st.data())
def test_the_hash_is_of_the_run_and_nothing_else(fields, data):
    spec = spec_of(fields)
    beside = data.draw(st.fixed_dictionaries(BESIDE_THE_RUN))
    assert spec_of(fields | beside).sha256() == spec.sha256()


@EXAMPLES
@given(fields=FIELDS, path=st.sampled_from(sorted(OF_THE_RUN)), data=st.data())
def test_another_run_has_another_hash(fields, path, data):
    spec = spec_of(fields)
    other = spec_of(fields | {path: data.draw(OF_THE_RUN[path])})
    assert (other.sha256() == spec.sha256()) == (other.model_dump() == spec.model_dump())


@EXAMPLES
@given(fields=FIELDS, path=st.sampled_from(sorted(OF_THE_RUN | BESIDE_THE_RUN)))
def test_no_number_is_no_value(fields, path):
    """Neither NaN nor infinity is taken anywhere."""
    for value in (math.nan, math.inf, -math.inf):
        try:
            spec_of(fields | {path: value})
        except ValueError:
            continue
        raise AssertionError(path)


@EXAMPLES
@given(choices=st.lists(st.integers(0, 10), max_size=20))
def test_a_job_ends_once_and_only_a_running_one_succeeds(choices):
    """Any walk over the legal transitions."""
    walk = [JobStatus.QUEUED]
    for choice in choices:
        ways = sorted(TRANSITIONS[walk[-1]])
        if not ways:
            break
        walk.append(ways[choice % len(ways)])
    assert all(not status.final for status in walk[:-1])
    assert walk[-1].final == (walk[-1] in FINAL_STATUSES)
    unrun = {JobStatus.QUEUED, JobStatus.CANCELLED, JobStatus.FAILED}
    for before, after in zip(walk, walk[1:], strict=False):
        assert before is JobStatus.RUNNING or after in {JobStatus.RUNNING, *unrun}
        assert after is not JobStatus.QUEUED or before is JobStatus.RUNNING


def test_every_status_can_be_reached_and_left_or_is_final():
    reached = {JobStatus.QUEUED, *(after for ways in TRANSITIONS.values() for after in ways)}
    assert reached == set(JobStatus) == set(TRANSITIONS)
    assert {status for status in JobStatus if status.final} == FINAL_STATUSES
