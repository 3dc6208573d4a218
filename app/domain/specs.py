"""The job spec: what a user asks to be trained, and the facts that follow from it by arithmetic."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from app.domain.json_values import storable
from app.domain.quantities import Frozen

ADDED_LATER = (
    "execution.mode",
    "dataset.label_noise",
    "early_stopping",
    "dataset.uploaded",
    "architecture",
    "experiment_id",
)

OWN_MODEL = "keras"  # the model type that has an architecture, and no size
MAX_MODEL_NAME = 40  # characters

SizeName = Literal["tiny", "small", "base", "medium", "large"]


class SpecPart(Frozen):
    """A part of a spec: unknown fields are refused, and "3" or true is not the number 3 or 1."""

    model_config = ConfigDict(strict=True)


class ExplicitSize(SpecPart):
    """A size given by hand: a factor on the base width, and the number of repeated blocks."""

    width: Annotated[float, Field(gt=0, le=16, description="factor on the base width")]
    depth: Annotated[int, Field(ge=1, le=8, description="number of repeated blocks")]


def _size_tag(value: Any) -> str:
    return "size-name" if isinstance(value, str) else "size-object"


Size = Annotated[
    Annotated[SizeName, Tag("size-name")] | Annotated[ExplicitSize, Tag("size-object")],
    Discriminator(_size_tag),
]


SampleShape = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...],
    Field(min_length=1, max_length=3, strict=False),
]


class UploadedData(SpecPart):
    """What the service knows of a data set of a user's: what it holds, and how it is split."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    shape: SampleShape
    classes: Annotated[int, Field(ge=2, le=1000)]
    training_samples: Annotated[int, Field(ge=1)]
    validation_samples: Annotated[int, Field(ge=1)]
    test_samples: Annotated[int, Field(ge=1)]
    min_training_samples: Annotated[int, Field(ge=1)]


class Dataset(SpecPart):
    """What to train on. `shape` and `classes` belong to the data set `synthetic` alone.

    `uploaded` is filled in by the service where the name is of a user's data set.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)] = "mnist5k"
    samples: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="training samples; null: all")
    ] = None
    shape: SampleShape | None = None
    classes: Annotated[int | None, Field(ge=2, le=1000)] = None
    label_noise: Annotated[
        float,
        Field(ge=0, le=1, description="share of the training labels that are made wrong, seeded"),
    ] = 0.0
    uploaded: Annotated[UploadedData | None, Field(description="null: the service fills it in")] = (
        None
    )


class Execution(SpecPart):
    """How the training is run; `auto` lets the service choose, and the report says what it chose.

    `mode` `graph` runs chunks of steps as one graph; `keras_fit` is a plain `model.fit` on arrays,
    for comparison, where `auto` is what Keras does by itself.
    """

    mode: Literal["graph", "keras_fit"] = "graph"
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    jit_compile: Literal["auto"] | bool = "auto"
    steps_per_execution: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = "auto"
    input_pipeline: Annotated[
        Literal["auto", "memory", "tf_data"],
        Field(description="samples gathered from memory, or batches from tf.data"),
    ] = "auto"
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"


class EarlyStopping(SpecPart):
    """Ends the training where validation accuracy has not risen for `patience` epochs."""

    patience: Annotated[int, Field(ge=1, le=10_000)]


class Limits(SpecPart):
    """Where a run is stopped: seconds from `starting`, joules and grams of all its attempts."""

    timeout_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600
    energy_j: Annotated[float | None, Field(gt=0, le=10**12)] = None
    emissions_g: Annotated[float | None, Field(gt=0, le=10**9, description="of CO2e")] = None


LABEL = r"^[A-Za-z0-9._:-]{1,64}$"


class Placement(SpecPart):
    """Where a job may run: at most one label of a worker (`gpu`, `host:NAME`, …)."""

    labels: Annotated[
        tuple[Annotated[str, Field(pattern=LABEL)], ...],
        Field(max_length=1, strict=False),
    ] = ()


class Carbon(SpecPart):
    """How a run is priced in CO2e; it does not change the run."""

    country_iso_code: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    region: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    intensity_g_per_kwh: Annotated[float | None, Field(ge=0, le=10_000)] = None
    pue: Annotated[float, Field(ge=1, le=10)] = 1.0


Tags = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")],
        Annotated[str, Field(max_length=256)],
    ],
    Field(max_length=32),
]


class JobSpec(SpecPart):
    """One training job. The least that works: `{"model_type": "cnn", "size": "base", "epochs": 3}`.

    Whether model type, data set, shapes, country and memory fit together is checked by the
    service, which knows the catalogue and the hosts; here stand the types and their ranges.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model_type": "cnn", "size": "base", "epochs": 3}]}
    )

    model_type: Annotated[str, Field(min_length=1, max_length=64, examples=["cnn"])]
    architecture: Annotated[
        dict[str, Any] | None,
        AfterValidator(storable),
        Field(description="of the model type keras: what json.loads(model.to_json()) gives"),
    ] = None
    size: Size = "base"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 3
    dataset: Dataset = Dataset()
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    execution: Execution = Execution()
    target_accuracy: Annotated[
        float | None, Field(gt=0, le=1, description="on validation: ends at that epoch's end")
    ] = None
    early_stopping: EarlyStopping | None = None
    limits: Limits = Limits()
    placement: Placement = Placement()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    tags: Tags = {}
    carbon: Carbon = Carbon()
    experiment_id: Annotated[
        str | None,
        Field(max_length=64, description="null: the service fills it in for an experiment's jobs"),
    ] = None

    def as_before(self) -> dict[str, Any]:
        """The spec as JSON, without those of the fields added later that are at their defaults."""
        body = self.model_dump(mode="json")
        given = self.model_dump(mode="json", exclude_defaults=True)
        for *above, name in (field.split(".") for field in ADDED_LATER):
            part, given_part = _at(body, above), _at(given, above)
            if name not in given_part:
                del part[name]
        return body

    def sha256(self) -> str:
        """The identity of the run, as hexadecimal: all but how it is priced, placed and named.

        Two specs with the same hash train the same model on the same data in the same way.
        `carbon`, `tags`, `priority`, `placement` and `experiment_id` do not change the run and are
        left out, and so
        are the fields that were added later where they are at their defaults, so that they change
        no hash that is stored.
        """
        body = self.as_before()
        for name in ("carbon", "tags", "priority", "placement", "experiment_id"):
            body.pop(name, None)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def model_name(self) -> str | None:
        """The name of a user's own model, printable; null where there is none."""
        config = (self.architecture or {}).get("config")
        name = config.get("name") if isinstance(config, dict) else None
        if not isinstance(name, str):
            return None
        return "".join(filter(str.isprintable, name)).strip()[:MAX_MODEL_NAME] or None

    @property
    def size_name(self) -> str | None:
        """The size as it is typed: `base`, or `width=1.5,depth=2`; null for a user's own model."""
        if self.model_type == OWN_MODEL:
            return None
        if isinstance(self.size, ExplicitSize):
            return f"width={self.size.width:g},depth={self.size.depth}"
        return self.size


def _at(body: dict[str, Any], path: list[str]) -> dict[str, Any]:
    for name in path:
        body = body.get(name, {})
    return body


class WorkloadFacts(Frozen):
    """What is known of a spec's training by arithmetic alone, before anything runs.

    FLOPs count 2 per multiply-add of matrix products and convolutions, forward and backward,
    for one training sample. Where they or the parameters are not defined, a reason says why.
    """

    parameters: int | None
    layers: int | None  # null: not told of a training that ran outside of the service
    flops_per_sample: int | None
    flops_reason: str | None = None
    parameters_reason: str | None = None
    input_shape: tuple[int, ...]
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    memory_bytes: int
