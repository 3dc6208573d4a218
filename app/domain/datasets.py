"""A data set that a user has uploaded: its name, what it holds, and the hash of its bytes."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.domain.quantities import Frozen
from app.domain.specs import UploadedData

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

DatasetName = Annotated[str, Field(pattern=NAME)]


class UploadedDataset(Frozen):
    """A data set of a user's. A name never changes its meaning: its bytes are what they were."""

    name: Annotated[DatasetName, Field(examples=["gestures"])]
    title: str
    sha256: Annotated[str, Field(description="of the file as it was uploaded, hexadecimal")]
    size_bytes: Annotated[int, Field(description="of the file as it was uploaded")]
    shape: Annotated[tuple[int, ...], Field(description="of one sample")]
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    min_training_samples: Annotated[
        int, Field(description="the fewest of `dataset.samples` that hold every class")
    ]
    created_at: datetime

    def in_a_spec(self) -> UploadedData:
        """What of it follows a spec to the worker, as `dataset.uploaded`."""
        return UploadedData(**{name: getattr(self, name) for name in UploadedData.model_fields})
