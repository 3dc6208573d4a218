"""The client against the real API over real HTTP, and against servers that answer badly."""

import socket
from contextlib import contextmanager

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.client import Client
from app.domain.errors import (
    IdempotencyError,
    NameTakenError,
    NotFoundError,
    QueueFullError,
    SpecError,
    StateError,
    UnavailableError,
    UsageError,
)
from app.domain.events import PowerSample, Standing
from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec

SPEC = JobSpec(model_type="cnn", size="tiny", tags={"team": "vision"})


def test_a_job_is_queued_shown_listed_and_cancelled(client):
    job = client.submit(SPEC)
    assert (job.status, job.spec, job.queue_position) == (JobStatus.QUEUED, SPEC, 1)
    assert client.get(job.id) == job
    assert client.list(status=JobStatus.QUEUED, tag=("team", "vision")).items == (job,)
    assert client.list(model_type="rnn").items == ()
    assert client.cancel(job.id).status is JobStatus.CANCELLED
    report = client.report(job.id)
    assert (report.status, report.duration_s, report.energy.total_j) == ("cancelled", 0, None)
    swedish = client.report(job.id, country_iso_code="SWE", region="SE3", pue=1.5)
    assert (swedish.emissions.intensity_g_per_kwh, swedish.emissions.pue) == (27.0, 1.5)
    given = client.report(job.id, assumptions="codecarbon", intensity_g_per_kwh=4.5)
    assert given.emissions.intensity_g_per_kwh == 4.5
    with pytest.raises(SpecError, match="pue: expected a finite number ≥ 1"):
        client.report(job.id, pue=0.5)


def test_pages_follow_one_another(client):
    first, second = client.submit(SPEC), client.submit({"model_type": "rnn"})
    page = client.list(limit=1)
    assert page.items[0].id == second.id
    last = client.list(limit=1, cursor=page.next_cursor)
    assert (last.items[0].id, last.next_cursor) == (first.id, None)


def test_rows_of_reports_page_by_page(client):
    for model_type in ("cnn", "rnn"):
        client.cancel(client.submit({"model_type": model_type, "size": "tiny"}).id)
    first = client.reports(limit=1, status=JobStatus.CANCELLED)
    last = client.reports(limit=1, status=JobStatus.CANCELLED, cursor=first.next_cursor)
    assert [row.model_type for row in (*first.items, *last.items)] == ["rnn", "cnn"]
    assert last.next_cursor is None
    assert client.reports(sort="co2e_g", model_type="cnn").items == last.items
    with pytest.raises(SpecError, match="cursor"):
        client.reports(sort="co2e_g", cursor=first.next_cursor)
    with pytest.raises(NotFoundError):
        client.readings(last.items[0].job_id, attempt=1)


def test_a_training_outside_of_the_service_is_kept_once(client, make_posted):
    posted = make_posted()
    report = client.post_report(posted)
    assert client.post_report(posted) == report == client.report(posted.job_id)
    assert client.get(posted.job_id).external == posted.training
    assert [job.spec for job in client.list(model_type="external").items] == [None]
    assert client.readings(posted.job_id) == posted.readings
    wrong = posted.model_copy(
        update={"readings": posted.readings.model_copy(update={"attempt": 2})}
    )
    with pytest.raises(SpecError, match=r"readings\.attempt"):
        client.post_report(wrong)


def test_a_report_in_another_ones_format(client):
    job = client.submit(SPEC)
    with pytest.raises(StateError):
        client.export(job.id, "statement")
    client.cancel(job.id)
    assert client.export(job.id, "statement").startswith("# Energy statement")
    assert '"functional_unit": "epoch"' in client.export(job.id, "sci", unit="epoch")
    with pytest.raises(SpecError):
        client.export(job.id, "sci", unit="mile")
    with pytest.raises(NotFoundError):
        client.export(job.id, "pdf")


def test_the_catalogue_hosts_and_readiness(client):
    assert {item["name"] for item in client.workloads()["model_types"]} >= {"cnn", "rnn"}
    assert client.hosts() == ()
    assert client.ready()


def test_a_refused_spec_names_its_fields(client):
    with pytest.raises(SpecError) as caught:
        client.submit({"model_type": "cnn", "epochs": float("nan"), "size": "huge"})
    assert {error.field for error in caught.value.errors} == {"epochs", "size"}


def test_an_unknown_job_is_not_found(client):
    for ask in (client.get, client.report, client.readings, client.cancel):
        with pytest.raises(NotFoundError):
            ask("00000000-0000-0000-0000-000000000000")
    with pytest.raises(NotFoundError):
        client.get("../../readyz")


def test_a_state_that_does_not_allow_it_is_told(client):
    job = client.submit(SPEC)
    with pytest.raises(StateError) as caught:
        client.report(job.id)
    assert caught.value.status == "queued"
    with pytest.raises(StateError):
        client.readings(job.id)
    client.cancel(job.id)
    with pytest.raises(StateError) as caught:
        client.cancel(job.id)
    assert caught.value.status == "cancelled"


def test_a_full_queue_is_told(client):
    client.submit(SPEC)
    client.submit(SPEC)
    with pytest.raises(QueueFullError):
        client.submit(SPEC)


def test_a_bad_cursor_is_a_wrong_field(client):
    with pytest.raises(SpecError, match="cursor"):
        client.list(cursor="none of ours")


def test_nothing_that_listens_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(UnavailableError, match="trainwatt serve.*TRAINWATT_URL"):
            client.list()
        assert not client.ready()


def test_silence_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            Client(url, timeout=0.1) as client,
            pytest.raises(UnavailableError, match=r"within 0\.1 s"),
        ):
            client.list()


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (500, UnavailableError, "detail of it.*request r1"),
        (503, UnavailableError, "detail of it"),
        (401, UsageError, "TRAINWATT_API_KEY"),
        (403, UsageError, "TRAINWATT_API_KEY"),
        (413, UsageError, "detail of it"),
        (422, UsageError, "detail of it"),
    ],
)
def test_problems_become_domain_errors(status, error, words, serving):
    def answer(_):
        return JSONResponse({"detail": "detail of it", "request_id": "r1"}, status_code=status)

    with (
        serving(Starlette(routes=[Route("/v1/hosts", answer)])) as url,
        Client(url) as client,
        pytest.raises(error, match=words),
    ):
        client.hosts()


def test_another_service_at_the_address_is_recognised(serving):
    app = Starlette(routes=[Route("/v1/hosts", lambda _: PlainTextResponse("hello"))])
    with (
        serving(app) as url,
        Client(url) as client,
        pytest.raises(UnavailableError, match="does not speak as trainwatt"),
    ):
        client.hosts()


def test_fields_of_a_newer_service_are_ignored(client, serving):
    job = client.submit(SPEC)
    data = client.call("GET", f"/v1/jobs/{job.id}")
    newer = data | {"colour": "red", "spec": data["spec"] | {"shape_of_things": "e1"}}
    app = Starlette(routes=[Route("/v1/jobs/{id}", lambda _: JSONResponse(newer))])
    with serving(app) as url, Client(url) as other:
        assert other.get(job.id) == job


def test_the_key_is_sent_as_a_bearer_token(serving):
    def answer(request):
        return JSONResponse({"seen": request.headers.get("authorization")})

    with serving(Starlette(routes=[Route("/", answer)])) as url:
        with Client(url, "k1") as client:
            assert client.call("GET", "/") == {"seen": "Bearer k1"}
        with Client(url) as client:
            assert client.call("GET", "/") == {"seen": None}


def test_no_proxy_stands_before_a_loopback_address(monkeypatch, client):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(client.url) as direct:
        assert direct.hosts() == ()


def test_a_proxy_stands_before_other_addresses(monkeypatch, serving):
    seen = []

    async def proxy(scope, receive, send):
        seen.append(scope["raw_path"])
        await JSONResponse({"items": []})(scope, receive, send)

    with serving(proxy_app(proxy)) as url:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with Client("http://energy.example") as client:
            assert client.hosts() == ()
    assert seen


def proxy_app(answer):
    """An app without routes: a proxy is asked for whole URLs."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answer(scope, receive, send)

    return app


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_a_url_that_is_none_is_wrong_use(url):
    with pytest.raises(UsageError, match="TRAINWATT_URL"):
        Client(url)


def test_a_submission_waits_and_is_made_once(client):
    job = client.submit(SPEC, wait=0.1, idempotency_key="k1")
    assert client.submit(SPEC, idempotency_key="k1") == job
    with pytest.raises(IdempotencyError, match=job.id):
        client.submit({"model_type": "rnn"}, idempotency_key="k1")
    for wrong in ("é", "a\nb", "", "x" * 256):
        with pytest.raises(SpecError, match="Idempotency-Key"):
            client.submit(SPEC, idempotency_key=wrong)
    with pytest.raises(SpecError, match="wait"):
        client.submit(SPEC, wait=301)


def test_a_wait_may_take_longer_than_a_call(client):
    with Client(client.url, timeout=0.5) as hasty:
        assert hasty.submit(SPEC, wait=1.0).status is JobStatus.QUEUED


def test_events_are_typed_and_end_with_the_job(client):
    job = client.submit(SPEC)
    events = client.events(job.id)
    first = next(events)
    assert first.data == Standing(status=JobStatus.QUEUED, stage=None, attempt=0)
    client.cancel(job.id)
    (last,) = events
    assert (last.name, last.data.status) == ("status", JobStatus.CANCELLED)
    assert list(client.events(job.id, after=last.id)) == []
    assert list(client.events(job.id, after="of nobody")) == [last]
    with pytest.raises(NotFoundError):
        next(client.events("none"))


SPOKEN = (
    b"retry: 1000\n\n: ping\n\nevent: colour\ndata: 1\nid: 0\n\n"
    b'event: status\ndata: {"status":"running","stage":null,"attempt":1,"shade":"\xe2\x80\xa8"}\n'
    b"id: 1\n\n"
)
POWER = b'event: power\ndata: {"attempt":1,"t_s":0,"cpu_w":1,"gpu_w":null,"ram_w":2}\nid: 2\n\n'
ENDED = b'event: status\ndata: {"status":"failed","stage":null,"attempt":1}\nid: 3\n\n'


@pytest.fixture
def streaming(serving, monkeypatch):
    """A service whose streams are known beforehand, and what each was asked to go on after."""
    monkeypatch.setattr("app.client.stream.AGAIN_S", 0.01)
    asked = []

    @contextmanager
    def serve(*answers):
        left = iter(answers)

        def answer(request):
            asked.append(request.headers.get("last-event-id"))
            given = next(left)
            if isinstance(given, bytes):
                return Response(given, media_type="text/event-stream")
            return JSONResponse({"detail": "not now"}, status_code=given)

        app = Starlette(routes=[Route("/v1/jobs/{id}/events", answer)])
        with serving(app) as url, Client(url) as client:
            yield client, asked

    return serve


def test_a_stream_that_breaks_goes_on_where_it_was(streaming):
    with streaming(SPOKEN, POWER[:-20], 503, b"", POWER, ENDED) as (client, asked):
        events = list(client.events("j"))
    assert [(event.name, event.id) for event in events] == [
        ("status", "1"),
        ("power", "2"),
        ("status", "3"),
    ]
    assert events[1].data == PowerSample(attempt=1, t_s=0, cpu_w=1, gpu_w=None, ram_w=2)
    assert asked == [None, "1", "1", "1", "1", "2"]


def test_a_service_that_stays_away_ends_the_events(streaming):
    with (
        streaming(503, 503) as (client, _),
        pytest.raises(UnavailableError, match="not now"),
    ):
        next(client.events("j", patience_s=0.0))


@pytest.mark.parametrize("spoken", [b"event: power\ndata: x\n\n", b"event: power\ndata: {}\n\n"])
def test_events_that_are_none_are_told(streaming, spoken):
    with (
        streaming(spoken) as (client, _),
        pytest.raises(UnavailableError, match="understood"),
    ):
        next(client.events("j", patience_s=0.0))


def test_a_data_set_is_uploaded_used_and_deleted(client, tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=np.zeros((40, 28, 28), np.uint8), y_train=np.arange(40) % 2)
    made = client.upload_dataset(path, "mine")
    assert (made.name, made.training_samples) == ("mine", 32)
    assert client.upload_dataset(path, "mine") == made
    assert client.datasets() == (made,)
    job = client.submit({"model_type": "cnn", "batch_size": 8, "dataset": {"name": "mine"}})
    assert job.spec.dataset.uploaded == made.in_a_spec()
    with pytest.raises(StateError, match="queued") as caught:
        client.delete_dataset("mine")
    assert caught.value.status == "queued"
    client.cancel(job.id)
    np.savez(path, x_train=np.zeros((50, 28, 28), np.uint8), y_train=np.arange(50) % 2)
    with pytest.raises(NameTakenError, match="stands for other data"):
        client.upload_dataset(path, "mine")
    client.delete_dataset("mine")
    with pytest.raises(NotFoundError):
        client.delete_dataset("mine")
    path.write_bytes(b"x")
    with pytest.raises(SpecError, match=r"body: expected an \.npz file"):
        client.upload_dataset(path, "mine")
    with pytest.raises(UsageError, match=r"none\.npz cannot be read"):
        client.upload_dataset(tmp_path / "none.npz", "mine")
