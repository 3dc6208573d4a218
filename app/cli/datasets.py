"""`trainwatt datasets`: list, upload and delete the data sets of users."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from app.cli.tables import table
from app.client import Client
from app.client.models import parse
from app.domain.datasets import UploadedDataset
from app.words.jobs import ago
from app.words.units import quantity

Show = Callable[[Callable[[Console], RenderableType]], None]

AsJson = Annotated[bool, typer.Option("--json", help="The API's own JSON, nothing else.")]
Deleted = Annotated[bool, typer.Option("--json", help="The API's own JSON of what is deleted.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The data set's name.")]
NpzFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="An .npz with x_train, y_train (x_test, y_test).")
]
NewName = Annotated[
    str | None, typer.Option("--name", help="What specs will call it (default: the file's name).")
]


def commands(
    open_client: Callable[[], AbstractContextManager[Client]],
    show: Show,
    show_json: Callable[[Any], None],
    say: Callable[[str], None],
) -> typer.Typer:
    """The commands of the group; without one of them the data sets are listed.

    Args:
        open_client: speaks to the service that the settings name.
        show: puts a table on standard output.
        show_json: puts JSON there.
        say: puts a line there.
    """
    group = typer.Typer(rich_markup_mode=None)

    @group.callback(invoke_without_command=True)
    def datasets(context: typer.Context, as_json: AsJson = False) -> None:
        """List, upload or delete data sets of your own."""
        if context.invoked_subcommand is None:
            list_datasets(as_json=as_json)

    @group.command("list")
    def list_datasets(as_json: AsJson = False) -> None:
        """List data sets of your own, as without a command."""
        with open_client() as client:
            data = client.call("GET", "/v1/datasets")
        found = [parse(UploadedDataset, item) for item in data["items"]]
        if as_json:
            show_json(data)
        elif found:
            show(lambda _: listed(found))
        else:
            say("No data sets of your own: upload one with `trainwatt datasets upload FILE`.")

    @group.command()
    def upload(file: NpzFile, name: NewName = None, as_json: AsJson = False) -> None:
        """Keep an .npz file as a data set."""
        with open_client() as client:
            data = client.call_with_file(file, name or file.stem)
        if as_json:
            show_json(data)
        else:
            show(lambda _: listed([parse(UploadedDataset, data)]))

    @group.command()
    def delete(name: Name, as_json: Deleted = False) -> None:
        """Delete a data set of your own."""
        with open_client() as client:
            path = f"/v1/datasets/{quote(name, safe='')}"
            data = client.call("GET", path) if as_json else None
            client.delete_dataset(name)
        if as_json:
            show_json(data)
        else:
            say(f"The data set {name} is deleted.")

    return group


def listed(items: list[UploadedDataset]) -> Table:
    """A line a data set."""
    made = table("Data set", "Shape", "Classes", "Training/validation/test", "File", "Uploaded")
    for item in items:
        parts = (item.training_samples, item.validation_samples, item.test_samples)
        made.add_row(
            item.name,
            " × ".join(map(str, item.shape)),
            str(item.classes),
            " / ".join(f"{part:,}" for part in parts),
            quantity(item.size_bytes, "B"),
            ago(item.created_at),
        )
    return made
