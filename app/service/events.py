"""Jobs followed as they go on: news as events, each with an id to go on from after it.

The id says what was sent up to its event: of which attempt, how many readings, which status and
which progress. So nothing is kept of who follows, and any process can go on for another.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from app.accounting.live import LivePower
from app.domain.events import JobEvent, PowerSample, Standing
from app.domain.jobs import Progress
from app.domain.readings import Reading
from app.service.core import Core
from app.service.together import Together
from app.settings import Settings

if TYPE_CHECKING:
    from app.storage.notices import News
    from app.storage.store import Store

Answer = TypeVar("Answer")

BATCH = 500  # readings that are read at once
DIGEST = 12  # hexadecimal digits
NOTHING = "0" * DIGEST
PLACE = re.compile(r"([0-9a-f]{12})-(\d{1,9})-(\d{1,9})-([0-9a-f]{12})-([0-9a-f]{12})", re.ASCII)


class Events(Core):
    """The news of jobs. Every method may raise UnavailableError."""

    def __init__(self, store: "Store", settings: Settings) -> None:
        """Serve what this store holds."""
        super().__init__(store, settings)
        self._together = Together()

    async def follow(self, job_id: str, after: str | None = None) -> "Following":
        """Follow a job from its beginning, or from after the event with this id.

        An id that is none of this job's is as none.

        Raises:
            NotFoundError: there is no such job.
        """
        standing, _ = await self._store.standing(job_id)
        place = Place.read(job_id, after or "")
        if place is None or place.attempt > standing.attempt:
            return Following(self._store, self._together, job_id, Place(attempt=standing.attempt))
        over = standing.status.final and place.status == _digest(standing.model_dump_json())
        return Following(self._store, self._together, job_id, place, over=over)

    def news(self, job_id: str) -> AbstractContextManager["News"]:
        """Hear of every change of a job while a block runs."""
        return self._store.news(job_id)

    async def is_final(self, job_id: str) -> bool:
        """Whether a job has ended; NotFoundError where there is none."""
        standing, _ = await self._store.standing(job_id)
        return standing.status.final


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a job was followed: readings of an attempt, and digests of what was told last."""

    attempt: int
    readings: int = 0
    status: str = NOTHING
    progress: str = NOTHING

    def written(self, job_id: str) -> str:
        """The place as an event's id."""
        return f"{_digest(job_id)}-{self.attempt}-{self.readings}-{self.status}-{self.progress}"

    @classmethod
    def read(cls, job_id: str, text: str) -> "Place | None":
        """The place that an id says; null where it is none of this job's."""
        found = PLACE.fullmatch(text)
        if found is None or found[1] != _digest(job_id):
            return None
        return cls(
            attempt=int(found[2]), readings=int(found[3]), status=found[4], progress=found[5]
        )


class Following:
    """One job, followed by one client.

    Attributes:
        over: whether the final status was told: nothing more will come.
    """

    def __init__(
        self, store: "Store", together: Together, job_id: str, place: Place, *, over: bool = False
    ) -> None:
        """Go on from a place; what others ask of the job too is asked together."""
        self.job_id = job_id
        self.over = over
        self._store = store
        self._together = together
        self._place = place
        self._begin()

    def _begin(self) -> None:
        """What is known of the attempt at this place: nothing yet."""
        self._power: LivePower | None = None
        self._before: Reading | None = None
        self._last_id: int | None = None
        self._whole = False

    async def news(self) -> AsyncIterator[JobEvent]:
        """Everything that is new since the last time; the final status comes last of all.

        Raises:
            NotFoundError: the job is gone.
            UnavailableError: the database does not answer; nothing is lost by trying again.
        """
        standing, progress = await self._ask(partial(self._store.standing, self.job_id))
        for attempt in range(max(1, self._place.attempt), standing.attempt):
            async for event in self._power_of(attempt):
                yield event
        if not standing.status.final and (told := self._tell_status(standing)):
            yield told
        if progress is not None and (told := self._tell_progress(progress)):
            yield told
        if standing.attempt:
            async for event in self._power_of(standing.attempt):
                yield event
        if standing.status.final:
            if told := self._tell_status(standing):
                yield told
            self.over = True

    def _tell_status(self, standing: Standing) -> JobEvent | None:
        digest = _digest(standing.model_dump_json())
        if digest == self._place.status:
            return None
        self._place = replace(self._place, status=digest)
        return self._event(standing)

    def _tell_progress(self, progress: Progress) -> JobEvent | None:
        digest = _digest(progress.model_dump_json())
        if digest == self._place.progress:
            return None
        self._place = replace(self._place, progress=digest)
        return self._event(progress)

    async def _power_of(self, attempt: int) -> AsyncIterator[JobEvent]:
        if attempt != self._place.attempt:
            self._place = replace(self._place, attempt=attempt, readings=0)
            self._begin()
        if self._power is None:
            head = await self._ask(partial(self._store.attempt_head, self.job_id, attempt))
            if head is None:
                return
            self._power = LivePower(head)
        more = not self._whole
        while more:
            readings, more = await self._fresh(attempt)
            for reading in readings:
                if event := self._take(reading):
                    yield event

    async def _fresh(self, attempt: int) -> tuple[tuple[Reading, ...], bool]:
        """Further readings, and whether more may wait.

        The last one that was counted is read again where it is not known any more.
        """
        again = self._before is None and self._place.readings > 0
        known = self._place.readings - again
        fresh = await self._ask(
            partial(
                self._store.fresh_readings,
                self.job_id,
                attempt,
                known=known,
                after_id=self._last_id,
                limit=BATCH,
            )
        )
        self._last_id, self._whole = fresh.last_id, fresh.whole
        if again and not fresh.readings:  # no such reading: a made up id
            self._place = replace(self._place, readings=0)
            return await self._fresh(attempt)
        more = len(fresh.readings) == BATCH and not fresh.whole
        if again:
            self._before = fresh.readings[0]
        return fresh.readings[again:], more

    async def _ask(self, look: "partial[Coroutine[Any, Any, Answer]]") -> Answer:
        key = (look.func.__name__, look.args, tuple(look.keywords.items()))
        return await self._together.ask(key, look)

    def _take(self, reading: Reading) -> JobEvent | None:
        """Count a reading; its event, where time has passed since the one before."""
        before = self._before
        self._place = replace(self._place, readings=self._place.readings + 1)
        if before is None:
            self._before = reading
        if before is None or self._power is None or reading.t_s <= before.t_s:
            return None
        self._before = reading
        return self._event(self._power.sample(before, reading))

    def _event(self, data: Standing | Progress | PowerSample) -> JobEvent:
        return JobEvent(id=self._place.written(self.job_id), data=data)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST]
