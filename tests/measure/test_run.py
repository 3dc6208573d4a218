"""A training in a script of one's own: phases, report, end by an error, and where it is kept."""

import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from app.bootstrap import make_api
from app.client import Client
from app.domain.errors import MeterError, SpecError, UnavailableError, UsageError
from app.domain.posted import PostedReport
from app.domain.readings import Phase
from app.locks import try_lock
from app.measure import measure
from app.measure import run as module
from app.settings import Settings


def _train(run):
    for epoch in range(2):
        with run.epoch(samples=1000) as facts:
            time.sleep(0.2)
            facts.loss, facts.accuracy = np.float32(1 / (epoch + 1)), 0.5
        with run.validation() as facts:
            time.sleep(0.1)
            facts.accuracy = 0.6 + epoch / 10
    with run.evaluation() as facts:
        facts.loss, facts.accuracy = 0.4, np.float64(0.65)


def test_the_report_is_that_of_a_job(steady):
    with measure("my net", dataset="mine", country_iso_code="FRA", store=False) as run:
        _train(run)
    report = run.report
    epochs = [phase for phase in report.phases if phase.name is Phase.EPOCH]
    assert [(e.index, e.samples, e.loss) for e in epochs] == [(0, 1000, 1.0), (1, 1000, 0.5)]
    assert [e.validation_accuracy for e in epochs] == [0.6, 0.7]
    assert (report.quality.test_accuracy, report.quality.best_epoch) == (0.65, 1)
    assert report.energy.total_j == pytest.approx(100 * report.duration_s, rel=1e-2)
    assert report.work.samples == 2000
    assert report.trained.model_name == "my net"
    assert report.emissions.country_iso_code == "FRA"
    assert report.trust.instrument_cpu_s > 0
    assert (run.stored, steady.closed) == (False, True)
    assert "my net" in report._repr_html_()


def test_a_country_of_the_settings_prices_it(steady, monkeypatch):
    monkeypatch.setenv("TRAINWATT_COUNTRY_ISO_CODE", "SWE")
    with measure("n", store=False) as run:
        pass
    assert run.report.emissions.country_iso_code == "SWE"


def test_an_error_of_the_training_goes_on_and_is_in_the_report(steady, tmp_path):
    run = measure("n", store=False)
    with pytest.raises(ValueError, match="no data"), run, run.epoch():
        raise ValueError("no data")
    assert (run.report.status, steady.closed) == ("failed", True)
    run.write(tmp_path / "run.json")
    posted = PostedReport.model_validate_json((tmp_path / "run.json").read_bytes())
    assert posted.ended.error.message == "ValueError: no data"
    assert (posted.problems(), posted.job_id) == ((), run.report.job_id)


def test_an_interrupted_training_is_cancelled(steady):
    run = measure("n", store=False)
    with pytest.raises(KeyboardInterrupt), run:
        raise KeyboardInterrupt
    assert run.report.status == "cancelled"


@pytest.mark.parametrize(("code", "status"), [(None, "succeeded"), (0, "succeeded"), (3, "failed")])
def test_an_exit_ends_it_as_its_code_says(steady, code, status):
    run = measure("n", store=False)
    with pytest.raises(SystemExit), run:
        sys.exit(code)
    assert run.report.status == status


def test_after_its_end_nothing_more_is_taken(steady):
    with measure("n", store=False) as run:
        pass
    with pytest.raises(UsageError, match="inside"), run.epoch():
        pass
    with pytest.raises(UsageError, match="inside"):
        run.tell(loss=1.0)


def test_a_module_that_is_no_module_costs_no_report(steady, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(__version__="0.9\n<b>"))
    with measure("n", store=False) as run:
        pass
    assert "jax 0.9<b>" in run.report.environment.execution["framework"]


def test_a_forked_child_does_not_keep_the_host(steady):
    with measure("n", store=False):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with measure("m", store=False) as run:
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert run.report.status == "succeeded"


def test_phases_follow_one_another(steady):
    with (
        measure("n", store=False) as run,
        run.epoch(),
        pytest.raises(UsageError, match="validation begins within epoch"),
        run.validation(),
    ):
        pass


def test_one_at_a_time_and_each_once(steady):
    run = measure("n", store=False)
    with run, pytest.raises(UsageError, match="measures already"), measure("m", store=False):
        pass
    with pytest.raises(UsageError, match="once"), run:
        pass
    with measure("m", store=False) as another:
        pass
    assert another.report is not None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"epochs": 0}, "epochs"),
        ({"country_iso_code": "XXX"}, "country_iso_code"),
        ({"country_iso_code": "France"}, "country_iso_code"),
        ({"pue": 0.1}, "pue"),
        ({"tags": {"a b": "c"}}, "tags"),
    ],
)
def test_what_does_not_hold_is_said_before_anything_runs(steady, wrong, field):
    with pytest.raises(SpecError, match=field):
        measure(**{"name": "n", **wrong})


@pytest.mark.parametrize("interval_s", [0, -1, 61, float("nan")])
def test_an_interval_out_of_range(steady, interval_s):
    with pytest.raises(UsageError, match="sample_interval_s"):
        measure("n", sample_interval_s=interval_s)


def test_an_accuracy_in_per_cent_is_told_and_left_out(steady):
    with (
        measure("n", store=False) as run,
        pytest.warns(UserWarning, match="share from 0 to 1"),
        run.evaluation() as facts,
    ):
        facts.accuracy = 97.5
        time.sleep(0.01)
    assert run.report.quality.test_accuracy is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss", "x"),
        ("loss", 10**400),
        ("loss", 1j),
        ("loss", np.zeros(3)),
        ("samples", "x"),
        ("samples", -1),
        ("samples", 2.5),
        ("samples", 1e300),
        ("samples", 10**400),
    ],
)
def test_an_odd_value_is_told_and_left_out(steady, name, value):
    with (
        pytest.warns(UserWarning, match="left out"),
        measure("n", store=False) as run,
        run.epoch() as facts,
    ):
        setattr(facts, name, value)
    assert run.report.work.samples == 0
    assert run._posted.problems() == ()


class _UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def test_an_error_without_words_is_the_one_that_goes_on(steady):
    run = measure("n", store=False)
    with pytest.raises(_UnspeakableError), run:
        raise _UnspeakableError
    assert run._posted.ended.error.message == "_UnspeakableError"


def test_ctrl_c_at_the_end_waits_until_the_report_is_there(steady, monkeypatch):
    run = measure("n", store=False)
    account = module.account

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        return account(*arguments)

    monkeypatch.setattr(module, "account", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), run:
        pass
    assert (run.report.status, signal.getsignal(signal.SIGINT)) == ("succeeded", before)


@pytest.mark.parametrize("answer", ["[1, 2]", '"hello"', "{}", "null"])
def test_what_is_no_trainwatt_keeps_no_report(steady, serving, answer):
    async def app(scope, receive, send):
        assert scope["type"] in {"http", "lifespan"}
        if scope["type"] == "http":
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer.encode()})

    with serving(app) as url, pytest.raises(UnavailableError), measure("n", url=url):
        pytest.fail("it began")


def test_a_loss_that_is_no_number_is_left_out(steady):
    with measure("n", store=False) as run, run.epoch(samples=1) as facts:
        facts.loss = float("nan")
        time.sleep(0.01)
    assert run.report.phases[-1].loss is None
    assert run._posted.problems() == ()


def test_a_meter_that_cannot_start_leaves_nothing_held(steady, monkeypatch):
    def broken():
        raise MeterError("no hardware")

    monkeypatch.setattr(module, "CodecarbonMeter", broken)
    with pytest.raises(MeterError), measure("n", store=False):
        pass
    monkeypatch.setattr(module, "CodecarbonMeter", lambda: steady)
    with measure("n", store=False) as run:
        pass
    assert run.report is not None


def test_what_is_not_known_yet(steady, tmp_path):
    run = measure("n", store=False)
    for early in (run.keep, lambda: run.write(tmp_path / "x"), lambda: run.tell(loss=1.0)):
        with pytest.raises(UsageError):
            early()


def _hold(path, held, release):
    with open(path, "w") as file:
        assert try_lock(file.fileno())
        held.set()
        release.wait(30)


def test_it_waits_for_another_training_of_the_host(steady, tmp_path, caplog):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path / "host.lock"), held, release))
    holder.start()
    assert held.wait(60)
    entered = threading.Event()

    def measured():
        with measure("n", store=False):
            entered.set()

    thread = threading.Thread(target=measured)
    with caplog.at_level(logging.WARNING, "app.measure.run"):
        thread.start()
        assert not entered.wait(0.5)
        release.set()
        assert entered.wait(30)
    thread.join()
    holder.join()
    assert "waits for its end" in caplog.text


@pytest.fixture
def url(database_url, tmp_path, serving):
    settings = Settings(database_url=database_url, data_dir=tmp_path / "service")
    with serving(make_api(settings)) as served:
        yield served


def test_a_service_keeps_it_under_the_same_number(steady, url):
    with measure("my net", tags={"team": "vision"}, country_iso_code="FRA", url=url) as run:
        _train(run)
    assert run.stored
    with Client(url) as client:
        (job,) = client.list(model_type="external", tag=("team", "vision")).items
        assert (job.id, job.spec, job.external.name) == (run.report.job_id, None, "my net")
        assert client.report(job.id) == run.report
        assert run.keep().job_id == job.id
        assert len(client.list().items) == 1


def test_a_service_that_was_named_has_to_answer_before_the_training(steady):
    for how in ({"store": True}, {"url": "http://127.0.0.1:9"}):
        with pytest.raises(UnavailableError, match="127.0.0.1:9"), measure("n", **how):
            pytest.fail("it began")


def test_where_no_service_was_named_none_is_needed(steady, monkeypatch):
    monkeypatch.delenv("TRAINWATT_URL")
    asked = []

    class Nobody:
        def __init__(self, url, *_, **__):
            asked.append(url)
            raise UnavailableError("nobody is there")

    monkeypatch.setattr(module, "Client", Nobody)
    with measure("n") as run:
        pass
    assert (run.stored, run.report is None, asked) == (False, False, ["http://127.0.0.1:8000"])


def test_a_service_that_goes_away_costs_the_report_its_place_and_nothing_else(
    steady, url, monkeypatch
):
    run = measure("n", url=url)
    with pytest.warns(UserWarning, match="could not be stored"), run:
        monkeypatch.setattr(
            Client, "post_report", lambda *_: (_ for _ in ()).throw(UnavailableError("gone"))
        )
    assert (run.stored, run.report.status) == (False, "succeeded")
    monkeypatch.undo()
    assert run.keep(url).job_id == run.report.job_id
    assert run.stored


def test_readings_that_cannot_be_accounted_for_do_not_end_the_training(
    steady, monkeypatch, tmp_path
):
    monkeypatch.setattr(module, "account", lambda *_: 1 / 0)
    run = measure("n", store=False)
    with pytest.warns(UserWarning, match="no report could be computed"), run:
        pass
    assert run.report is None
    run.write(tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["training"]["name"] == "n"


def test_the_hosts_own_meter(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINWATT_HOST_LOCK", str(tmp_path / "host.lock"))
    with measure("n", store=False, sample_interval_s=0.2) as run, run.epoch(samples=10):
        time.sleep(0.7)
    report = run.report
    assert report.duration_s >= 0.7
    assert report.energy.ram.energy_j > 0
    assert report.trust.quiet_at_start is not None
    assert report.environment.codecarbon == "3.3.2"
