"""The host's peak: kept where it is better, measured again until the host was quiet before."""

import asyncio

import pytest

from app.settings import Settings
from app.worker import peak, process
from app.worker.peak import Peak


class Loads:
    """Shares of others, one after the other; the last one stays."""

    def __init__(self, *shares):
        self._shares = list(shares)

    def look(self):
        if len(self._shares) > 1:
            self._shares.pop(0)

    def others_share(self):
        return self._shares[0]


@pytest.fixture
def measured(monkeypatch):
    """What a product reaches, one after the other, and how many were asked for."""
    given, asked = [], []

    def measure():
        asked.append(True)
        return {"float32": given.pop(0)}

    monkeypatch.setattr(process, "matmul_flops_per_s", measure)
    monkeypatch.setattr(peak, "AGAIN_S", 0.001)
    given.append(asked)
    return given


@pytest.fixture
def make(tmp_path, measured):
    def made(load, *figures, busy=lambda: False):
        asked = measured.pop(0)
        measured.extend(figures)
        best = {}
        settings = Settings(data_dir=tmp_path, host_lock=tmp_path / "lock")
        return Peak(settings, load, best, busy), best, asked

    return made


async def test_on_a_quiet_host_one_measurement_is_enough(make):
    found, best, asked = make(Loads(None, 0.0), 5.0)
    await found.measure()
    await asyncio.wait_for(found.settle(), 5)
    assert best == {"float32": 5.0}
    assert len(asked) == 1


async def test_after_a_busy_start_it_is_measured_again_once_the_host_is_quiet(make):
    found, best, asked = make(Loads(None, 0.6, 0.5, 0.0), 5.0, 9.0)
    await found.measure()
    assert best == {"float32": 5.0}
    await asyncio.wait_for(found.settle(), 5)
    assert best == {"float32": 9.0}
    assert len(asked) == 2


async def test_a_worse_figure_replaces_no_better_one(make):
    found, best, _ = make(Loads(None, 0.6, 0.0), 5.0, 3.0)
    await found.measure()
    await found.settle()
    assert best == {"float32": 5.0}


async def test_nothing_is_measured_beside_a_job(make):
    looks = iter([True, True, False])
    found, _, asked = make(Loads(None, 0.6, 0.0), 5.0, 9.0, busy=lambda: next(looks))
    await found.measure()
    await found.settle()
    assert len(asked) == 2
    assert next(looks, "used up") == "used up"


async def test_a_host_that_shows_no_counters_is_never_quiet(make):
    found, _, asked = make(Loads(None), 5.0)
    await found.measure()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(found.settle(), 0.1)
    assert len(asked) == 1
