"""What answers look like where it is more than the domain's own models, and for the OpenAPI."""

from pydantic import BaseModel

from app.domain.datasets import UploadedDataset
from app.domain.hosts import Host
from app.domain.jobs import Job
from app.domain.report_rows import ReportRow


class Links(BaseModel):
    """Where to go from a job."""

    self: str
    report: str
    events: str


class JobView(Job):
    """A job with its model type and its links."""

    model_type: str

    links: Links


class JobPageView(BaseModel):
    """A page of jobs, newest first. `next_cursor` is null on the last one."""

    items: list[JobView]
    next_cursor: str | None


class ReportPageView(BaseModel):
    """A page of flat rows, a report each. `next_cursor` is null on the last one."""

    items: list[ReportRow]
    next_cursor: str | None


class HostsView(BaseModel):
    """Every host whose worker has announced itself."""

    items: list[Host]


class SizeView(BaseModel):
    """One size of a model type on its default data set; FLOPs are forward and backward."""

    width: float
    depth: int
    parameters: int | None
    parameters_reason: str | None
    layers: int
    flops_per_sample: int | None
    flops_reason: str | None
    memory_bytes: int


class ModelTypeView(BaseModel):
    """What can be trained."""

    name: str
    title: str
    description: str
    concept: str
    datasets: list[str]
    default_dataset: str
    sizes: dict[str, SizeView]


class DatasetView(BaseModel):
    """What to train on; the shape is that of one sample."""

    name: str
    title: str
    shape: list[int]
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    max_training_samples: int


class UploadedDatasetsView(BaseModel):
    """Every data set of a user's, by name."""

    items: list[UploadedDataset]


class WorkloadsView(BaseModel):
    """The catalogue: model types with their sizes, and data sets."""

    model_types: list[ModelTypeView]
    datasets: list[DatasetView]


class StateView(BaseModel):
    """That the service lives, or is ready."""

    status: str
