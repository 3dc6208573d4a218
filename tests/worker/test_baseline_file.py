"""The idle power in its file: taken by who it is of, and ignored by everybody else."""

import json
import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.readings import IdlePower
from app.metering.host import host_facts
from app.worker import baseline_file
from app.worker.baseline_file import File

HOUR_S = 3600.0


@pytest.fixture
def host():
    return host_facts("here").model_copy(update={"boot_id": "this start"})


def idle(*, age_s=0.0, cpu_w=12.5):
    return IdlePower(
        taken_at=datetime.now(UTC) - timedelta(seconds=age_s),
        window_s=60.0,
        cpu_w=cpu_w,
        gpu_w=None,
        others_share=0.01,
        service_share=0.0,
    )


def test_what_was_written_is_read_once(tmp_path, host, meter):
    baseline_file.write(tmp_path / "new", host, meter.facts, found := idle())
    file = File(tmp_path / "new", host, meter.facts, HOUR_S)
    assert file.news() == found
    assert file.news() is None
    baseline_file.write(tmp_path / "new", host, meter.facts, newer := idle(cpu_w=13.0))
    assert file.news() == newer
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["baseline.json"]


def test_there_may_be_none(tmp_path, host, meter, caplog):
    assert File(tmp_path, host, meter.facts, HOUR_S).news() is None
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"boot_id": "another start"}, "started"),
        ({"boot_id": None}, "started"),
        ({"host_cpus": 640}, "other hardware"),
        ({"cpu_model": "another"}, "other hardware"),
    ],
)
def test_that_of_another_host_or_start_is_ignored(tmp_path, host, meter, caplog, *, fields, why):
    baseline_file.write(tmp_path, host.model_copy(update=fields), meter.facts, idle())
    with caplog.at_level(logging.INFO):
        assert File(tmp_path, host, meter.facts, HOUR_S).news() is None
    assert why in caplog.text


def test_that_of_other_sensors_is_ignored(tmp_path, host, meter):
    cpu = meter.facts.cpu.model_copy(update={"source": "another"})
    baseline_file.write(tmp_path, host, meter.facts.model_copy(update={"cpu": cpu}), idle())
    assert File(tmp_path, host, meter.facts, HOUR_S).news() is None


@pytest.mark.parametrize("age_s", [HOUR_S + 60, -60])
def test_that_is_too_old_or_of_the_future_is_ignored(tmp_path, host, meter, caplog, age_s):
    baseline_file.write(tmp_path, host, meter.facts, idle(age_s=age_s))
    with caplog.at_level(logging.INFO):
        assert File(tmp_path, host, meter.facts, HOUR_S).news() is None
    assert "TRAINWATT_BASELINE_MAX_AGE_S" in caplog.text


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"idle": 3}', b"\xff\xfe", b"[]", b" " * 65_537, b"[" * 60_000]
)
def test_an_unreadable_file_is_ignored_with_one_line(tmp_path, host, meter, caplog, text):
    (tmp_path / "baseline.json").write_bytes(text)
    file = File(tmp_path, host, meter.facts, HOUR_S)
    assert (file.news(), file.news()) == (None, None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    baseline_file.write(tmp_path, host, meter.facts, found := idle())
    assert file.news() == found


@pytest.mark.parametrize(
    "fields",
    [
        {"taken_at": "2026-11-29T16:00:00"},
        {"taken_at": "2026-11-29"},
        {"cpu_w": -5.0},
        {"cpu_w": 1e300},
        {"gpu_w": 100_001.0},
        {"window_s": 0.0},
        {"window_s": -3.0},
        {"others_share": -0.1},
        {"service_share": 1.1},
        {"gpu_utilization": 5.0},
    ],
)
def test_an_idle_power_that_cannot_be_is_ignored(tmp_path, host, meter, caplog, fields):
    baseline_file.write(tmp_path, host, meter.facts, idle())
    path = tmp_path / "baseline.json"
    content = json.loads(path.read_text())
    content["idle"] |= fields
    path.write_text(json.dumps(content))
    assert File(tmp_path, host, meter.facts, HOUR_S).news() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("taken_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_time_are_ignored(tmp_path, host, meter, taken_at):
    found = idle().model_copy(update={"taken_at": datetime.fromisoformat(taken_at)})
    baseline_file.write(tmp_path, host, meter.facts, found)
    assert File(tmp_path, host, meter.facts, HOUR_S).news() is None


@pytest.mark.parametrize("make_one", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_ignored_at_once(tmp_path, host, meter, caplog, make_one):
    make_one(tmp_path / "baseline.json")
    file = File(tmp_path, host, meter.facts, HOUR_S)
    assert (file.news(), file.news()) == (None, None)
    (record,) = caplog.records
    assert "expected a regular file" in record.getMessage()


def test_whether_it_can_be_kept_is_known_before(tmp_path, host, meter, monkeypatch):
    baseline_file.check(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "new" / "baseline.json").mkdir()
    with pytest.raises(IsADirectoryError):
        baseline_file.check(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        baseline_file.check(tmp_path / "file")


def test_a_folder_that_cannot_be_written_leaves_no_half_a_file(tmp_path, host, meter, monkeypatch):
    baseline_file.write(tmp_path, host, meter.facts, found := idle())

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(baseline_file.Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        baseline_file.write(tmp_path, host, meter.facts, idle(cpu_w=99.0))
    assert File(tmp_path, host, meter.facts, HOUR_S).news() == found
    assert [path.name for path in tmp_path.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize(("share", "read"), [(1.0002, 1.0), (0.4, 0.4)])
def test_a_share_that_two_clocks_gave_may_be_a_little_above_one(share, read):
    taken_at = "2026-11-29T12:00:00Z"
    given = {"window_s": 60, "cpu_w": 20, "gpu_w": None, "service_share": 0, "others_share": share}
    assert IdlePower.model_validate(given | {"taken_at": taken_at}).others_share == read
