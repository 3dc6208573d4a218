"""Settings from the environment and from arguments."""

import pytest
from pydantic import ValidationError

from app import settings
from app.domain.errors import UsageError


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
