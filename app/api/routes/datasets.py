"""Data sets of users: upload, list, show, delete."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.problems import HTTP_KINDS, KINDS
from app.api.routes.requests import NoQueryHere, Query, Serving, query
from app.api.routes.views import UploadedDatasetsView
from app.domain.datasets import NAME, UploadedDataset
from app.domain.errors import NameTakenError, QueueFullError
from app.service.datasets import TooLongError, too_long

MEDIA = ("application/octet-stream", "application/zip", "application/x-npz")
SILENCE_S = 60.0  # for which a body that has begun may pause
# Four clients that send a byte now and then would hold every place for as long as they like. A slow
# line has more: ADSL's upward 1 Mbit/s are 122 KiB/s. At this rate 256 MiB take 68 minutes.
MIN_BYTES_PER_S = 64 * 2**10

router = APIRouter(tags=["datasets"])

NPZ = """An `.npz` file as `numpy.savez` or `numpy.savez_compressed` writes it, with the arrays
`x_train` and `y_train` and, for a test part of its own, `x_test` and `y_test`: samples of 1 to 3
axes of numbers, and their classes from 0 on as integers. There are no pickles in it."""


class UploadQuery(Query):
    """Under which name a data set is kept."""

    name: Annotated[str, Field(pattern=NAME, description="what `dataset.name` of a spec will say")]


def _upload_query(request: Request) -> UploadQuery:
    return query(request, UploadQuery)


UPLOAD = {
    "parameters": [
        parameter | {"required": True} for parameter in docs.query(UploadQuery)["parameters"]
    ],
    "requestBody": {
        "required": True,
        "description": NPZ,
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA},
    },
}
TAKEN = (KINDS[NameTakenError], "The name stands for other data: delete those first")
TOO_LONG = (
    HTTP_KINDS[413],
    "The file is longer than `TRAINWATT_MAX_DATASET_MIB` allows, or all data sets with it are "
    "longer than `TRAINWATT_MAX_DATASETS_TOTAL_MIB` allows: delete one first",
)
OTHER_MEDIA = (HTTP_KINDS[415], f"The body is not sent as {', '.join(MEDIA)}")
SLOW = (
    HTTP_KINDS[408],
    f"Nothing more of the body came for {SILENCE_S:g} s, or in more than {SILENCE_S:g} s less than "
    f"{MIN_BYTES_PER_S // 2**10} KiB/s of it",
)
MANY = (KINDS[QueueFullError], "Too many data sets are being uploaded; see `Retry-After`")

DatasetName = Annotated[str, Path(pattern=NAME, description="the data set's `name`")]


@router.post(
    "/v1/datasets",
    operation_id="upload_dataset",
    status_code=201,
    response_model=UploadedDataset,
    responses=docs.problems(503)
    | {200: {"model": UploadedDataset, "description": "The same bytes have this name already"}}
    | {
        kind.status: docs.documented(kind, words)
        for kind, words in (SLOW, TAKEN, TOO_LONG, OTHER_MEDIA, MANY)
    },
    openapi_extra=UPLOAD,
)
async def upload_dataset(
    request: Request,
    service: Serving,
    asked: Annotated[UploadQuery, Depends(_upload_query)],
) -> Response:
    """Keep a data set under a name, which then stands for these bytes until it is deleted.

    `Location` is where it is shown. It is split by class and by each spec's seed: without a test
    part of its own a tenth is tested on; a tenth is validated on. Samples of uint8 are scaled to
    0..1; others are taken as they are, in float32.
    """
    _check_media(request)
    announced = request.headers.get("content-length", "")
    try:
        if announced.isdecimal() and int(announced[:20]) > service.max_dataset_bytes:
            raise too_long(service.max_dataset_bytes)  # without waiting for it
        made, new = await service.upload(asked.name, _chunks(request))
    except TooLongError as error:
        raise HTTPException(413, str(error)) from error
    return JSONResponse(
        made.model_dump(mode="json"),
        status_code=201 if new else 200,
        headers={"Location": f"/v1/datasets/{made.name}"},
    )


@router.get(
    "/v1/datasets",
    operation_id="list_datasets",
    response_model=UploadedDatasetsView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def list_datasets(service: Serving) -> Response:
    """The data sets of users, by name; those built in are in `/v1/workloads`."""
    found = await service.datasets()
    return JSONResponse({"items": [made.model_dump(mode="json") for made in found]})


@router.get(
    "/v1/datasets/{name}",
    operation_id="get_dataset",
    response_model=UploadedDataset,
    responses=docs.problems(404, 503),
    dependencies=[NoQueryHere],
)
async def get_dataset(service: Serving, name: DatasetName) -> Response:
    """One data set of a user's: what it holds, and the hash of its bytes."""
    return JSONResponse((await service.dataset(name)).model_dump(mode="json"))


@router.delete(
    "/v1/datasets/{name}",
    operation_id="delete_dataset",
    status_code=204,
    response_class=Response,
    responses=docs.problems(404, 409, 503),
    dependencies=[NoQueryHere],
)
async def delete_dataset(service: Serving, name: DatasetName) -> Response:
    """Delete a data set of a user's, unless a job that is queued or runs asks for it."""
    await service.delete_dataset(name)
    return Response(status_code=204)


def _check_media(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA:
        got = f"not as {media[:64]}" if media else "with the header Content-Type"
        raise HTTPException(415, f"Send the file as {MEDIA[0]}, {got}.")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        HTTPException: nothing more of it has come for `SILENCE_S`, or all of it comes too slowly
            (408).
    """
    stream, received_bytes, waited_s = request.stream(), 0, 0.0
    while True:
        left_s = SILENCE_S + received_bytes / MIN_BYTES_PER_S - waited_s
        since_s = time.monotonic()
        try:
            async with asyncio.timeout(min(SILENCE_S, left_s)):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise HTTPException(408, _late(received_bytes, left_s, waited_s)) from None
        waited_s += time.monotonic() - since_s  # for the client, not for our disk
        if chunk is None:
            return
        received_bytes += len(chunk)
        yield chunk


def _late(received_bytes: int, left_s: float, waited_s: float) -> str:
    if left_s >= SILENCE_S:
        return f"Nothing more of the file came for {SILENCE_S:g} s."
    return (
        f"The file comes too slowly: expected {MIN_BYTES_PER_S // 2**10} KiB/s or more after "
        f"{SILENCE_S:g} s, received {received_bytes:,} bytes in {waited_s + max(0, left_s):.0f} s."
    )
