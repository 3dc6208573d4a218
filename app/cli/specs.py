"""A job spec from the options of `submit` and `run`, on top of a file where one is given."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from app.api.validation import json_object, validated
from app.domain.errors import SpecError, UsageError
from app.domain.specs import JobSpec, SizeName
from app.workloads import own_model

Body = dict[str, Any]

SIZES: tuple[str, ...] = get_args(SizeName)


def _number_or_auto(text: str) -> int | str:
    if text.lower() == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"expected auto or a whole number, received {text!r}") from None


def _switch(text: str) -> bool | str:
    known: dict[str, bool | str] = {"true": True, "false": False, "auto": "auto"}
    try:
        return known[text.lower()]
    except KeyError:
        raise typer.BadParameter(f"expected true, false or auto, received {text!r}") from None


def _size(text: str) -> str | Body:
    """`base`, or `width=1.5,depth=2`; the check has the ranges."""
    if text in SIZES:
        return text
    try:
        parts: Body = dict(part.split("=", 1) for part in text.split(","))
        return {"width": float(parts.pop("width")), "depth": int(parts.pop("depth")), **parts}
    except (KeyError, ValueError):
        raise typer.BadParameter(
            f"expected {', '.join(SIZES)}, or both width and depth, as width=1.5,depth=2 (width: "
            f"a number above 0, at most 16; depth: a whole number, 1 to 8), received {text!r}"
        ) from None


def _shape(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"expected 100,10, received {text!r}") from None


def _tag(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"expected key=value, received {text!r}")
    return name, value


def spec_body(
    *,
    model_type: Annotated[
        str | None, typer.Option(help="See `trainwatt workloads`: cnn, rnn, …")
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What model.to_json() wrote; the model type is keras."),
    ] = None,
    size: Annotated[
        Any,
        typer.Option(
            parser=_size,
            metavar="SIZE",
            help=f"{', '.join(SIZES)}, or width=1.5,depth=2 (default: base).",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training data (default: 3).")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="mnist5k, digits, synthetic, or one of your own (default: mnist5k)."),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples (default: all).")] = None,
    shape: Annotated[
        Any,
        typer.Option(
            parser=_shape,
            metavar="N,N",
            help="Of a sample of the data set synthetic (default: 100,10).",
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Of the data set synthetic (default: 10).")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a step (default: 32).")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Step size of the optimizer: Adam, or the svm's SGD (default: 0.001)."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of data, weights and order (default: 0).")
    ] = None,
    country: Annotated[
        str | None, typer.Option(metavar="ISO3", help="Prices the run in CO2e: FRA, DEU, …")
    ] = None,
    region: Annotated[str | None, typer.Option(help="A region of the country.")] = None,
    intensity: Annotated[
        float | None, typer.Option(metavar="G_PER_KWH", help="Carbon intensity, in g CO2e/kWh.")
    ] = None,
    pue: Annotated[
        float | None, typer.Option(help="Power usage effectiveness (default: 1.0).")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="graph, our own loop, or keras_fit, a plain model.fit (default: graph)."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of matrix products: float32, mixed_bfloat16, or auto: the service chooses "
            "(default: float32)."
        ),
    ] = None,
    jit_compile: Annotated[
        Any,
        typer.Option(
            parser=_switch,
            metavar="true|false|auto",
            help="Compile the training step by XLA (default: auto).",
        ),
    ] = None,
    input_pipeline: Annotated[
        str | None,
        typer.Option(
            help="memory, samples gathered there, tf_data, batches from tf.data, or auto "
            "(default: auto)."
        ),
    ] = None,
    threads: Annotated[
        Any,
        typer.Option(
            parser=_number_or_auto,
            metavar="N|auto",
            help="CPU threads of the training (default: auto).",
        ),
    ] = None,
    steps_per_execution: Annotated[
        Any,
        typer.Option(
            parser=_number_or_auto,
            metavar="N|auto",
            help="Training steps that one call runs (default: auto).",
        ),
    ] = None,
    label_noise: Annotated[
        float | None,
        typer.Option(help="Share of training labels that are made wrong (default: 0.0)."),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after epochs without a better validation.")
    ] = None,
    target_accuracy: Annotated[
        float | None, typer.Option(help="Stop once an epoch validates at it.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(help="Stop the run after seconds (default: 3600).")
    ] = None,
    energy_j: Annotated[float | None, typer.Option(help="Stop the job after joules.")] = None,
    emissions_g: Annotated[
        float | None, typer.Option(help="Stop the job after grams of CO2e.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Run on a worker with this label.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher runs earlier (default: 0).")] = None,
    tag: Annotated[
        list[Any] | None,
        typer.Option(parser=_tag, metavar="KEY=VALUE", help="A tag; can be repeated."),
    ] = None,
    spec: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A spec as JSON (-: standard input); options on top."),
    ] = None,
) -> Body:
    """The body of a submission: the file's fields, with every option that was given on top.

    Raises:
        UsageError: a file cannot be read, or no model type is given.
        SpecError: a file holds no JSON object.
    """
    options: dict[str, Any] = {
        "model_type": model_type,
        "architecture": _json("--architecture", architecture) if architecture else None,
        "size": size,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "priority": priority,
        "target_accuracy": target_accuracy,
        "early_stopping": {"patience": patience},
        "dataset": {
            "name": dataset,
            "samples": samples,
            "shape": shape,
            "classes": classes,
            "label_noise": label_noise,
        },
        "execution": {
            "mode": mode,
            "precision": precision,
            "jit_compile": jit_compile,
            "input_pipeline": input_pipeline,
            "threads": threads,
            "steps_per_execution": steps_per_execution,
        },
        "limits": {"timeout_s": timeout_s, "energy_j": energy_j, "emissions_g": emissions_g},
        "placement": {"labels": [label] if label else None},
        "carbon": {
            "country_iso_code": country,
            "region": region,
            "intensity_g_per_kwh": intensity,
            "pue": pue,
        },
        "tags": dict(tag or []),
    }
    return _with_model_type(_on_top(_json("--spec", spec) if spec else {}, options), architecture)


def takes_spec(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `(body, *, …)` the options of `spec_body` in place of its first argument."""
    own = inspect.signature(command).parameters
    spec = inspect.signature(spec_body).parameters

    def with_options(**given: Any) -> None:
        body = spec_body(**{name: given.pop(name) for name in spec})
        command(body, **given)

    kept = [p.replace(kind=p.KEYWORD_ONLY) for name, p in own.items() if name != "body"]
    with_options.__name__ = command.__name__
    with_options.__doc__ = command.__doc__
    with_options.__signature__ = inspect.Signature([*spec.values(), *kept])  # type: ignore[attr-defined]
    hints = get_type_hints(spec_body, include_extras=True) | get_type_hints(
        command, include_extras=True
    )
    with_options.__annotations__ = {name: hints[name] for name in [*spec, *own] if name != "body"}
    return with_options


def checked(body: Body) -> JobSpec:
    """The spec that a body describes, with the ranges of every field checked.

    Raises:
        SpecError: each field that does not hold.
    """
    return validated(JobSpec, body)


def _on_top(body: Body, options: dict[str, Any]) -> Body:
    """Options that were given replace the fields of the body, level by level.

    A part of the body that is no object stays as it is: the check names it.
    """
    merged = dict(body)
    for name, value in options.items():
        if isinstance(value, dict) and name not in {"size", "architecture"}:
            part = merged.get(name, {})
            inner = _on_top(part, value) if isinstance(part, dict) else part
            if inner or name in body:
                merged[name] = inner
        elif value is not None:
            merged[name] = value
    return merged


def _with_model_type(body: Body, architecture: str | None) -> Body:
    if body.get("model_type") is not None:
        return body
    if architecture:
        return {**body, "model_type": own_model.NAME}
    raise UsageError(
        "expected --model-type (trainwatt workloads lists them) or --spec with a model_type, "
        "received neither"
    )


def _json(option: str, name: str) -> Body:
    """The JSON object of a file, or of standard input where its name is a dash."""
    try:
        return json_object(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except OSError as error:
        raise UsageError(f"{option}: {name} cannot be read ({error.strerror})") from error
    except SpecError as error:
        (found,) = error.errors
        inside = "" if found.field == "body" else f": {found.field}"
        raise SpecError(replace(found, field=f"{option} {name}{inside}")) from error
