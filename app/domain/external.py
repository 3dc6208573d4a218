"""A training that ran outside of the service, in the words of whoever ran it."""

import hashlib
import json
from typing import Annotated

from pydantic import Field

from app.domain.specs import Carbon, JobSpec, SpecPart, Tags, WorkloadFacts

EXTERNAL = "external"  # the model type of every such training
NOT_TOLD = "not told by the training script"

Count = Annotated[int | None, Field(ge=0, le=10**18)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ExternalTraining(SpecPart):
    """What is known of it beside its readings; null where nothing was said.

    FLOPs are those of one training sample, forward and backward, 2 per multiply-add.
    """

    name: Annotated[Name, Field(description="of the model, as people know it")]
    dataset: Name | None = None
    epochs: Annotated[int | None, Field(ge=1, le=10**9)] = None
    batch_size: Annotated[int | None, Field(ge=1, le=10**9)] = None
    learning_rate: Annotated[float | None, Field(gt=0, le=10**6)] = None
    seed: Annotated[int | None, Field(ge=0, le=2**63 - 1)] = None
    framework: Annotated[Name | None, Field(description="with its version, as torch 2.9.1")] = None
    parameters: Annotated[Count, Field(description="trainable weights")] = None
    layers: Count = None
    flops_per_sample: Count = None
    target_accuracy: Annotated[float | None, Field(gt=0, le=1)] = None
    tags: Tags = {}
    carbon: Carbon = Carbon()

    def sha256(self) -> str:
        """The identity of the training, as hexadecimal: all but how it is priced and tagged."""
        body = self.model_dump(mode="json", exclude={"carbon", "tags"}, exclude_none=True)
        text = json.dumps({EXTERNAL: body}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def facts(self) -> WorkloadFacts:
        """What the report says of the model."""
        return WorkloadFacts(
            parameters=self.parameters,
            layers=self.layers,
            flops_per_sample=self.flops_per_sample,
            flops_reason=NOT_TOLD if self.flops_per_sample is None else None,
            parameters_reason=NOT_TOLD if self.parameters is None else None,
            input_shape=(),
            classes=0,
            training_samples=0,
            validation_samples=0,
            test_samples=0,
            memory_bytes=0,
        )


Asked = JobSpec | ExternalTraining
"""What was trained: as it was asked for here, or as it was told."""
