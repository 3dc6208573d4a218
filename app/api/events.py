"""What lasts while a job goes on: its events as a stream, and requests that wait for its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.stopping import Stopping
from app.domain.errors import UnavailableError
from app.domain.events import JobEvent
from app.domain.jobs import Job
from app.service import Service
from app.service.events import Following

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 5.0  # a notice may be lost; a client that is gone may not have said so
PIECE = 100  # events that are sent at once
RECONNECT_MS = 1000  # how soon a client whose stream broke may come again


class EventStream(StreamingResponse):
    """Server-Sent Events; whoever makes them is closed as soon as the client is gone."""

    media_type = "text/event-stream"

    def __init__(self, content: Any = (), **more: Any) -> None:
        """Stream this; nobody on the way may keep or gather it."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=headers, **more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end, or until the client is gone."""
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().__call__(scope, receive, send)


async def stream(
    service: Service, following: Following, stopping: Stopping
) -> AsyncIterator[bytes]:
    """The news of a job until it is final or the server stops; a comment where there is none."""
    yield format_sse_event(retry=RECONNECT_MS)
    with service.news(following.job_id) as news, stopping.wakes(news.wake):
        while not stopping.begun:
            async with aclosing(_pieces(following)) as pieces:
                async for piece in pieces:
                    yield piece
                    await asyncio.sleep(0)  # a client that takes all, or is gone, lets others work
            if following.over:
                return
            if not await news.wait(LOOK_AGAIN_S):
                yield KEEPALIVE_COMMENT


async def _pieces(following: Following) -> AsyncGenerator[bytes]:
    """What is new, many events at once where many wait."""
    piece: list[bytes] = []
    async with aclosing(_patiently(following)) as events:
        async for event in events:
            piece.append(_encoded(event))
            if len(piece) == PIECE:
                yield b"".join(piece)
                piece.clear()
    if piece:
        yield b"".join(piece)


async def _patiently(following: Following) -> AsyncGenerator[JobEvent]:
    """What is new; nothing while the database is away: the stream outlives its restart."""
    try:
        async for event in following.news():
            yield event
    except UnavailableError as error:
        logger.warning("the events of job %s stand still: %s", following.job_id, error)


def _encoded(event: JobEvent) -> bytes:
    return format_sse_event(data_str=event.data.model_dump_json(), event=event.name, id=event.id)


async def until_final(
    request: Request, service: Service, job: Job, stopping: Stopping, wait_s: float
) -> Job:
    """The job once it is final, or as it is after so many seconds.

    Earlier where the client goes away or the server stops. The job is kept, so a database that is
    away is no error: it is waited for, and the job is answered as it was known.
    """
    await _wait(request, service, job.id, stopping, wait_s)
    try:
        return await service.get(job.id)
    except UnavailableError as error:
        logger.warning("job %s is answered as it was: %s", job.id, error)
        return job


async def _wait(
    request: Request, service: Service, job_id: str, stopping: Stopping, wait_s: float
) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + wait_s
    with service.news(job_id) as news, stopping.wakes(news.wake), _gone(request, news.wake) as gone:
        while not await _is_final(service, job_id):
            left_s = deadline_s - loop.time()
            if left_s <= 0 or stopping.begun or gone.done():
                return
            await news.wait(min(left_s, LOOK_AGAIN_S))


async def _is_final(service: Service, job_id: str) -> bool:
    try:
        return await service.is_final(job_id)
    except UnavailableError as error:
        logger.warning("job %s is waited for: %s", job_id, error)
        return False


@contextmanager
def _gone(request: Request, tell: Callable[[], None]) -> Iterator[asyncio.Task[None]]:
    """A task that ends when the client of a request, whose body was read, goes away."""

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(listen())
    task.add_done_callback(lambda _: tell())
    try:
        yield task
    finally:
        task.cancel()
