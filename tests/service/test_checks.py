"""What is checked before a job is queued."""

from datetime import UTC, datetime

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings


def _spec(**fields):
    return JobSpec.model_validate({"model_type": "cnn", **fields})


class HostStore:
    """Hosts alone."""

    def __init__(self, *hosts):
        self._hosts = hosts

    async def hosts(self):
        return self._hosts


async def _refused(spec, *hosts, settings=None):
    with pytest.raises(SpecError) as caught:
        await Service(HostStore(*hosts), settings or Settings()).check(spec)
    return {error.field: error for error in caught.value.errors}


async def _allowed(spec, *hosts):
    return await Service(HostStore(*hosts), Settings()).check(spec)


async def test_check_gives_the_facts(make_host):
    facts = await _allowed(_spec(), make_host())
    assert (facts.parameters, facts.training_samples) == (225_034, 4000)


async def test_a_model_that_fits_no_known_host_is_refused_by_its_size(make_host):
    facts = await _allowed(_spec(size="large"))  # no host is known: one may come
    needed_gib = facts.memory_bytes / 2**30
    small = make_host("small", memory_gib=needed_gib / 4)
    middle = make_host("middle", memory_gib=needed_gib / 2)
    error = (await _refused(_spec(size="large"), small, middle))["size"]
    assert error.received == "large"
    assert f"{needed_gib / 2:.1f} GiB" in error.expected
    assert f"{needed_gib:.1f} GiB" in error.expected
    assert await _allowed(_spec(size="large"), small, make_host(memory_gib=needed_gib)) == facts


async def test_a_limit_in_grams_needs_a_price():
    limits = {"limits": {"emissions_g": 5}}
    error = (await _refused(_spec(**limits)))["limits.emissions_g"]
    assert error.received == 5
    assert "TRAINWATT_COUNTRY_ISO_CODE" in error.expected
    await _allowed(_spec(**limits, carbon={"country_iso_code": "FRA"}))
    await _allowed(_spec(**limits, carbon={"intensity_g_per_kwh": 50}))
    here = Settings(country_iso_code="FRA")
    await Service(HostStore(), here).check(_spec(**limits))


async def test_more_threads_than_any_known_host_has_are_refused(make_host):
    hosts = make_host("a", logical_cpus=2), make_host("b", logical_cpus=4)
    error = (await _refused(_spec(execution={"threads": 5}), *hosts))["execution.threads"]
    assert error.received == 5
    assert "at most 4" in error.expected
    await _allowed(_spec(execution={"threads": 4}), *hosts)
    await _allowed(_spec(execution={"threads": 5}))
    await _allowed(_spec(), *hosts)


async def test_a_host_whose_worker_is_gone_does_not_count(make_host):
    gone = make_host("gone", logical_cpus=64, last_seen=datetime(2020, 1, 1, tzinfo=UTC))
    spec = _spec(execution={"threads": 4})
    with pytest.raises(SpecError, match="at most 2"):
        await _allowed(spec, gone, make_host("here", logical_cpus=2, last_seen=datetime.now(UTC)))
    await _allowed(spec, gone)  # none lives: it may come back


async def test_only_the_hosts_that_listen_to_the_label_count(make_host):
    hosts = make_host("a", logical_cpus=2, labels=("gpu",)), make_host("b", logical_cpus=8)
    for label in ("gpu", "host:a"):
        spec = _spec(execution={"threads": 4}, placement={"labels": [label]})
        assert "at most 2" in (await _refused(spec, *hosts))["execution.threads"].expected
    await _allowed(_spec(execution={"threads": 4}, placement={"labels": ["host:b"]}), *hosts)


async def test_a_label_that_no_host_has_waits_for_one(make_host):
    spec = _spec(execution={"threads": 4}, placement={"labels": ["tpu"]})
    await _allowed(spec, make_host(logical_cpus=8))
    assert "execution.threads" in await _refused(spec, make_host(logical_cpus=2))


async def test_every_field_that_does_not_hold_is_named_at_once():
    spec = _spec(model_type="svm2", carbon={"country_iso_code": "XXX"}, tags={"a": "\0"})
    assert set(await _refused(spec)) == {"model_type", "carbon.country_iso_code", "tags.a"}


async def test_the_settings_country_is_checked_too():
    settings = Settings(country_iso_code="XXX")
    assert await _refused(_spec(), settings=settings)
