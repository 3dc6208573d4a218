"""Settings from the environment and from arguments."""

import pytest
from pydantic import ValidationError

from app import settings
from app.domain.errors import UsageError
from app.domain.readings import KnownFacts


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("TRAINWATT_PORT", "9000")
    monkeypatch.setenv("TRAINWATT_LABELS", "gpu, fast")
    loaded = settings.load()
    assert loaded.port == 9000
    assert loaded.labels == ("gpu", "fast")
    assert loaded.loopback


def test_an_argument_wins(monkeypatch):
    monkeypatch.setenv("TRAINWATT_PORT", "9000")
    assert settings.load(port=9001, host=None).port == 9001


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "99999"), ("PORT", "http"), ("COUNTRY_ISO_CODE", "France")]
)
def test_a_bad_value_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"TRAINWATT_{name}", value)
    with pytest.raises(UsageError, match=f"TRAINWATT_{name}.*{value}"):
        settings.load()


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        settings.load().port = 1


def test_another_host_is_not_loopback():
    assert not settings.load(host="0.0.0.0").loopback


@pytest.mark.parametrize(("heartbeat_s", "lease_s"), [(5, 9.9), (16, None)])
def test_a_lease_outlasts_two_heartbeats(heartbeat_s, lease_s):
    with pytest.raises(UsageError, match=r"TRAINWATT_LEASE_S.*TRAINWATT_HEARTBEAT_S"):
        settings.load(heartbeat_s=heartbeat_s, lease_s=lease_s)
    assert settings.load(heartbeat_s=5, lease_s=10).lease_s == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CPU_TDP_W", "0"),
        ("CPU_TDP_W", "0.9"),
        ("SOCKET_THREADS", "0"),
        ("VCPU_IS_CORE", "maybe"),
        ("WALL_FACTOR", "0.9"),
    ],
)
def test_a_fact_that_cannot_be_is_refused_with_what_to_do(monkeypatch, name, value):
    monkeypatch.setenv(f"TRAINWATT_{name}", value)
    with pytest.raises(UsageError, match=f"TRAINWATT_{name}.*received '{value}'; unset it"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [("QUIET_WAIT_S", "11"), ("BASELINE_WINDOW_S", "0"), ("BASELINE_SHORT_S", "0")],
)
def test_a_wait_or_a_window_out_of_range_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"TRAINWATT_{name}", value)
    with pytest.raises(UsageError, match=f"TRAINWATT_{name}.*received '{value}'"):
        settings.load()


def test_an_empty_fact_is_none(monkeypatch):
    monkeypatch.setenv("TRAINWATT_CPU_TDP_W", "")
    monkeypatch.setenv("TRAINWATT_CPU_GENERATION", " ")
    assert settings.load().known_facts() == KnownFacts()


def test_a_short_window_fits_into_the_whole_one():
    with pytest.raises(UsageError, match=r"TRAINWATT_BASELINE_SHORT_S.*BASELINE_WINDOW_S \(4 s\)"):
        settings.load(baseline_window_s=4, baseline_short_s=4.5)
    assert settings.load(baseline_window_s=4, baseline_short_s=4).baseline_short_s == 4


@pytest.mark.parametrize(("window_s", "short_s"), [("2", 2), ("5", 5), ("300", 5), (None, 5)])
def test_the_short_window_is_five_seconds_or_the_whole_one(monkeypatch, window_s, short_s):
    if window_s:
        monkeypatch.setenv("TRAINWATT_BASELINE_WINDOW_S", window_s)
    assert settings.load().baseline_short_s == short_s


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "name", ["CPU_TDP_W", "WALL_FACTOR", "QUIET_WAIT_S", "BASELINE_MAX_AGE_S", "LEASE_S"]
)
def test_what_is_no_finite_number_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"TRAINWATT_{name}", value)
    with pytest.raises(UsageError, match=f"TRAINWATT_{name}: expected a finite number.*{value}"):
        settings.load()


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("name", ["HOST_LOCK", "HOST_NAME"])
def test_an_empty_name_or_lock_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"TRAINWATT_{name}", value)
    with pytest.raises(UsageError, match=f"TRAINWATT_{name}.*not empty"):
        settings.load()


def test_a_generation_is_one_of_the_list_in_any_case(monkeypatch):
    monkeypatch.setenv("TRAINWATT_CPU_GENERATION", "Genoa")
    assert settings.load().known_facts().cpu_generation == "genoa"
    monkeypatch.setenv("TRAINWATT_CPU_GENERATION", "zen4")
    with pytest.raises(UsageError, match="TRAINWATT_CPU_GENERATION.*'naples', 'rome'.*'zen4'"):
        settings.load()
