"""The form of a job: its fields, and a spec from what was filled in."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from app.api.validation import validated
from app.domain.errors import FieldError, SpecError
from app.domain.specs import JobSpec

Kind = Literal["choice", "number", "text", "tags", "labels"]
BY_HAND = "by hand"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: `name` is that of the spec, with dots; what is left empty is the default."""

    name: str
    label: str
    kind: Kind = "number"
    choices: tuple[str, ...] = ()
    default: str = ""
    hint: str = ""


AUTO_BOOL = ("auto", "true", "false")
MORE = (
    Field(name="dataset.samples", label="Training samples", hint="all"),
    Field(name="batch_size", label="Batch size", default="32"),
    Field(name="learning_rate", label="Learning rate", default="0.001"),
    Field(name="seed", label="Seed", default="0"),
    Field(name="target_accuracy", label="Target accuracy", hint="0 to 1, on validation"),
    Field(name="early_stopping.patience", label="Early stopping, patience", hint="epochs"),
    Field(name="dataset.label_noise", label="Label noise", hint="0 to 1"),
    Field(name="size.width", label="Width", hint="factor, with size “by hand”"),
    Field(name="size.depth", label="Depth", hint="blocks, with size “by hand”"),
)
EXECUTION = (
    Field(
        name="execution.precision",
        label="Precision",
        kind="choice",
        choices=("float32", "mixed_bfloat16", "auto"),
        default="float32",
    ),
    Field(name="execution.mode", label="Mode", kind="choice", choices=("graph", "keras_fit")),
    Field(name="execution.jit_compile", label="XLA", kind="choice", choices=AUTO_BOOL),
    Field(name="execution.steps_per_execution", label="Steps per execution", hint="auto"),
    Field(
        name="execution.input_pipeline",
        label="Input pipeline",
        kind="choice",
        choices=("auto", "memory", "tf_data"),
    ),
    Field(name="execution.threads", label="Threads", hint="auto"),
)
PLACE = (
    Field(name="limits.timeout_s", label="Time limit (s)", default="3600"),
    Field(name="limits.energy_j", label="Energy limit (J)", hint="none"),
    Field(name="limits.emissions_g", label="CO2e limit (g)", hint="none"),
    Field(name="placement.labels", label="Host label", kind="labels", hint="any host"),
    Field(name="priority", label="Priority", default="0"),
    Field(name="tags", label="Tags", kind="tags", hint="team=vision, run=3"),
)
PRICE = (
    Field(name="carbon.country_iso_code", label="Country", kind="text", hint="FRA"),
    Field(name="carbon.region", label="Region", kind="text"),
    Field(name="carbon.intensity_g_per_kwh", label="Intensity (g/kWh)", hint="of the country"),
    Field(name="carbon.pue", label="PUE", default="1"),
)
GROUPS = {
    "Data and training": MORE,
    "Execution": EXECUTION,
    "Limits, place and tags": PLACE,
    "Prices only: they do not change the run": PRICE,
}
KINDS: dict[str, Kind] = {
    "model_type": "text",
    "size": "text",
    "dataset.name": "text",
    "epochs": "number",
    **{field.name: field.kind for group in GROUPS.values() for field in group},
}


def spec_of(given: dict[str, str]) -> JobSpec:
    """The spec that a form describes.

    Args:
        given: the fields that were filled in, by name.

    Raises:
        SpecError: a field does not hold, or there is no such field.
    """
    body: dict[str, Any] = {}
    for name, text in sorted(given.items()):  # a size before its width
        if name not in KINDS:
            raise SpecError(FieldError(field=name, expected="a field of the form", received=text))
        _put(body, name, _value(KINDS[name], text))
    if body.get("size") == BY_HAND:
        raise SpecError(
            FieldError(field="size", expected="a width and a depth with it", received=BY_HAND)
        )
    return validated(JobSpec, body)


def _put(body: dict[str, Any], name: str, value: Any) -> None:
    """At its place; a size by hand takes the place of a named one."""
    *above, last = name.split(".")
    for part in above:
        if not isinstance(body.get(part), dict):
            body[part] = {}
        body = body[part]
    body[last] = value


def _value(kind: Kind, text: str) -> Any:
    if kind == "text":
        return text
    if kind == "labels":
        return [text]
    if kind == "tags":
        return _tags(text)
    return _number(text)


def _number(text: str) -> Any:
    """A number, true or false; whatever is none stays text, for the spec to refuse by name."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | bool) else text


def _tags(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if wrong := next((key for key, equals, _ in pairs if not equals), None):
        raise SpecError(
            FieldError(field="tags", expected="key=value, parted by commas", received=wrong)
        )
    return {key.strip(): value.strip() for key, _, value in pairs}
