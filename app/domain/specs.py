"""The job spec: what a user asks to be trained, and the facts that follow from it by arithmetic."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from app.domain.quantities import Frozen

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


class Dataset(SpecPart):
    """What to train on. `shape` and `classes` belong to the data set `synthetic` alone."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = "mnist5k"
    samples: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="training samples; null: all")
    ] = None
    shape: (
        Annotated[
            tuple[Annotated[int, Field(ge=1, le=4096)], ...],
            Field(min_length=1, max_length=3, strict=False),
        ]
        | None
    ) = None
    classes: Annotated[int | None, Field(ge=2, le=1000)] = None


class Execution(SpecPart):
    """How the training is run; `auto` lets the service choose, and the report says what it chose.

    What is not honoured yet is not in the types, and so is refused.
    """

    precision: Literal["float32"] = "float32"
    jit_compile: Literal["auto", False] = "auto"
    steps_per_execution: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = "auto"
    input_pipeline: Literal["auto"] = "auto"
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"


class Limits(SpecPart):
    """Where a run is stopped: seconds from `starting`, joules and grams of all its attempts."""

    timeout_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600
    energy_j: Annotated[float | None, Field(gt=0, le=10**12)] = None
    emissions_g: Annotated[float | None, Field(gt=0, le=10**9, description="of CO2e")] = None


class Placement(SpecPart):
    """Where a job may run: at most one label of a worker (`gpu`, `host:NAME`, …)."""

    labels: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")], ...],
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
    limits: Limits = Limits()
    placement: Placement = Placement()
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    tags: Tags = {}
    carbon: Carbon = Carbon()

    def sha256(self) -> str:
        """The identity of the run, as hexadecimal: all but how it is priced, placed and named.

        Two specs with the same hash train the same model on the same data in the same way.
        `carbon`, `tags`, `priority` and `placement` do not change the run and are left out.
        """
        body = self.model_dump(mode="json", exclude={"carbon", "tags", "priority", "placement"})
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class WorkloadFacts(Frozen):
    """What is known of a spec's training by arithmetic alone, before anything runs.

    FLOPs count 2 per multiply-add of matrix products and convolutions, forward and backward,
    for one training sample.
    """

    parameters: int
    layers: int
    flops_per_sample: int | None
    input_shape: tuple[int, ...]
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    memory_bytes: int
