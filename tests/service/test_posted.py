"""Reports that were sent: what is refused with which field, and what prices them."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.errors import SpecError
from app.service import posted as room
from app.service.posted import Posted
from app.settings import Settings


class _Store:
    def __init__(self):
        self.kept = []

    async def add_external(self, posted, report):
        self.kept.append(report)
        return True


@pytest.fixture
def kept():
    return _Store()


@pytest.fixture
def service(kept):
    return Posted(kept, Settings(country_iso_code="FRA"))


def _with(posted, **readings):
    return posted.model_copy(update={"readings": posted.readings.model_copy(update=readings)})


async def test_it_is_priced_as_its_training_says_or_as_the_settings_do(service, kept, make_posted):
    made, new = await service.keep_posted(make_posted())
    assert (made.emissions.country_iso_code, new) == ("FRA", True)
    made, _ = await service.keep_posted(make_posted(carbon={"country_iso_code": "SWE"}))
    assert made.emissions.country_iso_code == "SWE"
    assert kept.kept[1] == made


async def _refused(service, posted):
    with pytest.raises(SpecError) as caught:
        await service.keep_posted(posted)
    return {error.field for error in caught.value.errors}


async def test_what_does_not_hold_is_named_and_nothing_is_kept(service, kept, make_posted):
    posted = make_posted()
    assert await _refused(service, _with(posted, attempt=3)) == {"readings.attempt"}
    nowhere = make_posted(carbon={"country_iso_code": "XXX"})
    assert await _refused(service, nowhere) == {"training.carbon.country_iso_code"}
    future = datetime.now(UTC) + timedelta(days=2)
    assert await _refused(service, _with(posted, started_at=future)) == {"readings"}
    assert kept.kept == []


async def test_what_cannot_be_accounted_for_is_refused(service, kept, make_posted, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(room, "account", broken)
    with pytest.raises(SpecError, match="nothing to divide by"):
        await service.keep_posted(make_posted())
    assert kept.kept == []


@pytest.mark.parametrize("t_s", [1e9, 1e300])
async def test_a_run_that_takes_for_ever_is_refused(service, make_posted, t_s):
    posted = make_posted()
    items = posted.readings.readings
    late = items[-1].model_copy(update={"t_s": t_s})
    assert await _refused(service, _with(posted, readings=(*items[:-1], late))) == {"readings"}
