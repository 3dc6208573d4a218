"""Server-Sent Events as they come in pieces: whole lines, whole events."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from app.client.models import parse
from app.domain.errors import UnavailableError
from app.domain.events import JobEvent, PowerSample, Standing
from app.domain.jobs import Progress

MEDIA_TYPE = "text/event-stream"
SILENCE_S = 30.0  # an event stream says something every five seconds
AGAIN_S = 1.0  # after a stream broke
PATIENCE_S = 60.0  # how long a service whose stream broke may be away
KINDS: dict[str, type[Standing | Progress | PowerSample]] = {
    "status": Standing,
    "progress": Progress,
    "power": PowerSample,
}


class OverError(Exception):
    """A service has nothing more to say of a job."""


def headers(after: str | None) -> dict[str, str]:
    """Of a request for events; those after this one, where one is given."""
    return {"Accept": MEDIA_TYPE} | ({"Last-Event-ID": after} if after else {})


def is_stream(response: httpx.Response) -> bool:
    """Whether events come."""
    return str(response.headers.get("content-type", "")).startswith(MEDIA_TYPE)


@contextmanager
def understood(url: str) -> Iterator[None]:
    """Turn what cannot be understood into a sentence.

    Raises:
        UnavailableError: what comes are no events of ours.
    """
    try:
        yield
    except ValueError as error:
        raise UnavailableError(f"the events of {url} cannot be understood: {error}") from error


class Decoder:
    """Takes the pieces of a stream, in their order."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._rest = b""
        self._fields: dict[str, str] = {}

    def take(self, piece: bytes) -> Iterator[JobEvent | None]:
        """The events that end in a piece; null for a comment, and for a kind not known yet.

        Raises:
            ValueError: what came is no event of a job.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")  # only here a line ends
        for line in lines:
            if text := line.decode().removesuffix("\r"):
                name, _, value = text.partition(":")
                self._fields[name] = value.removeprefix(" ")
                continue
            yield self._event()
            self._fields = {}

    def _event(self) -> JobEvent | None:
        kind = KINDS.get(self._fields.get("event", ""))
        if kind is None or "data" not in self._fields:
            return None
        data = parse(kind, json.loads(self._fields["data"]))
        return JobEvent(id=self._fields.get("id", ""), data=data)


def is_last(event: JobEvent) -> bool:
    """Whether nothing follows an event."""
    return isinstance(event.data, Standing) and event.data.status.final
