"""Reports of trainings that ran outside of the service: accounted here from what they sent."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from app import reference
from app.accounting.posted import account
from app.domain.errors import FieldError, SpecError
from app.domain.posted import PostedReport
from app.domain.quantities import CarbonIntensity
from app.domain.reports import EnergyReport
from app.service.core import Core

logger = logging.getLogger(__name__)

CLOCKS_APART = timedelta(days=1)  # by which another host's clock may be ahead


class Posted(Core):
    """What others measured. Every method may raise UnavailableError."""

    async def keep_posted(self, posted: PostedReport) -> tuple[EnergyReport, bool]:
        """Account for readings and keep them as a final job; the report, and whether it is new.

        The same content sent again is the same job, and changes nothing.

        Raises:
            SpecError: a field does not hold, or the readings cannot be accounted for.
        """
        made = await asyncio.to_thread(self._account, posted)
        return made, await self._store.add_external(posted, made)

    def _account(self, posted: PostedReport) -> EnergyReport:
        if errors := posted.problems():
            raise SpecError(*errors)
        price = self._price(posted)
        try:
            made = account(posted, price)
        except Exception as fault:
            logger.exception("readings that were sent cannot be accounted for")
            raise _refused(f"readings that can be accounted for ({fault})") from fault
        if made.finished_at is None or made.finished_at > datetime.now(UTC) + CLOCKS_APART:
            raise _refused("a training that has ended", at=made.finished_at)
        return made

    def _price(self, posted: PostedReport) -> CarbonIntensity:
        try:
            return reference.intensity(
                posted.training.carbon,
                default_country=self._settings.country_iso_code,
                default_region=self._settings.region,
            )
        except SpecError as error:
            raise error.within("training") from error


def _refused(expected: str, at: datetime | None = None) -> SpecError:
    received = "others" if at is None else f"an end at {at.isoformat()}"
    return SpecError(FieldError(field="readings", expected=expected, received=received))
