"""The routes of reports and readings."""

import io
import json
from datetime import UTC, datetime

import httpx
import pandas
import pytest
from pyarrow import parquet as pq

from app.api.routes.views import ReportPageView
from app.bootstrap import make_api
from app.domain.errors import UnavailableError
from app.domain.jobs import JobFilter, JobStatus
from app.domain.readings import Readings
from app.settings import Settings
from app.storage.reports import RowPage

PARQUET = "application/vnd.apache.parquet"
LEAST = {"model_type": "cnn", "size": "tiny", "epochs": 1}


@pytest.mark.parametrize("path", ["/v1/jobs/{}", "/v1/jobs/{}/report", "/v1/jobs/{}/readings"])
@pytest.mark.parametrize("job_id", ["nothing", "a%00b", "x" * 200, "..%2f"])
async def test_an_unknown_job_is_404(client, path, job_id):
    answer = await client.get(path.format(job_id))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_report_of_a_running_job_is_409_with_its_status(client, memory, submitted):
    job = await submitted()
    memory.start(job["id"])
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "running")
    assert answer.json()["status"] == 409


async def test_report_bytes_go_out_as_they_are_stored(client, memory, submitted):
    job = await submitted()
    memory.reports[job["id"]] = b'{"not":   "parsed"}'
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert answer.content == b'{"not":   "parsed"}'
    assert answer.headers["content-type"] == "application/json"


async def test_readings_of_an_attempt(client, memory, submitted):
    job = await submitted()
    memory.start(job["id"])
    for path in ("readings", "readings?attempt=1"):
        answer = await client.get(f"/v1/jobs/{job['id']}/{path}")
        readings = Readings.model_validate_json(answer.content)
        assert (answer.status_code, readings.attempt) == (200, 1)
        assert answer.headers["content-type"] == "application/json"
        assert readings.to_bytes() == answer.content


async def test_readings_go_out_as_they_are_stored(client, memory, submitted, monkeypatch):
    job = await submitted()

    async def stored(job_id, attempt):
        return b'{"not":   "parsed"}'

    monkeypatch.setattr(memory, "readings_json", stored)
    answer = await client.get(f"/v1/jobs/{job['id']}/readings")
    assert answer.content == b'{"not":   "parsed"}'


async def test_readings_that_are_not_there(client, memory, submitted):
    job = await submitted()
    path = f"/v1/jobs/{job['id']}/readings"
    queued = await client.get(path)
    assert (queued.status_code, queued.json()["job_status"]) == (409, "queued")
    memory.start(job["id"])
    assert (await client.get(f"{path}?attempt=2")).status_code == 404
    assert (await client.get(f"{path}?attempt=0")).status_code == 422


async def test_readings_as_parquet(client, memory, submitted):
    job = await submitted()
    memory.start(job["id"])
    path = f"/v1/jobs/{job['id']}/readings"
    answer = await client.get(path, headers={"Accept": PARQUET})
    assert answer.headers["content-type"] == PARQUET
    name = f"trainwatt-{job['id']}-attempt-1.parquet"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    table = pq.read_table(io.BytesIO(answer.content))
    plain = (await client.get(path)).json()
    assert table.num_rows == len(plain["readings"])
    about = json.loads(table.schema.metadata[b"trainwatt"])
    assert about == {name: value for name, value in plain.items() if name != "readings"}


@pytest.mark.parametrize("path", ["/v1/jobs/{}/readings", "/v1/reports"])
async def test_what_cannot_be_had_in_the_wanted_format(client, memory, submitted, path):
    job = await submitted()
    memory.start(job["id"])
    answer = await client.get(path.format(job["id"]), headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert "application/json" in answer.json()["detail"]


async def test_a_report_that_the_client_has_is_not_sent_again(client, memory, submitted):
    job = await submitted()
    memory.reports[job["id"]] = b"{}"
    path = f"/v1/jobs/{job['id']}/report"
    tag = (await client.get(path)).headers["etag"]
    for known in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        answer = await client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    for other in ('"a"', "a", ""):
        answer = await client.get(path, headers={"If-None-Match": other})
        assert (answer.status_code, answer.content) == (200, b"{}")
    memory.fails = UnavailableError("The database does not answer.")
    assert (await client.get(path)).content == b"{}"  # it is final: nobody has to be asked


@pytest.fixture
def listed(memory, monkeypatch):
    """The store answers every list with two rows and a next page; what it was asked for."""
    asked = {}

    async def report_rows(wanted, **page):
        memory._may_fail()
        asked.update(wanted=wanted, **page)
        return RowPage(rows=('{"seed":   1}', '{"seed": 2}'), next_cursor="a=")

    monkeypatch.setattr(memory, "report_rows", report_rows, raising=False)
    return asked


async def test_rows_go_out_as_they_are_stored(client, listed):
    answer = await client.get("/v1/reports")
    assert answer.content == b'{"items":[{"seed":   1},{"seed": 2}],"next_cursor":"a="}'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["link"] == '</v1/reports?cursor=a%3D>; rel="next"'
    assert listed == {"wanted": JobFilter(), "sort": "-finished_at", "limit": 50, "cursor": None}


async def test_rows_as_csv_by_format_or_by_accept(client, listed):
    by_format = await client.get("/v1/reports?format=csv")
    by_accept = await client.get("/v1/reports", headers={"Accept": "text/csv"})
    assert by_format.text == by_accept.text
    assert by_format.headers["content-type"] == "text/csv; charset=utf-8"
    assert listed["limit"] == 10_000
    assert by_accept.headers["link"] == '</v1/reports?format=csv&cursor=a%3D>; rel="next"'
    plain = await client.get("/v1/reports?format=json", headers={"Accept": "text/csv"})
    assert plain.headers["content-type"] == "application/json"


async def test_every_parameter_is_passed_on(client, listed):
    query = "status=failed&model_type=cnn&host=h1&tag=team:a:b&sort=co2e_g&limit=7&cursor=abc"
    answer = await client.get(f"/v1/reports?{query}")
    meant = JobFilter(status=JobStatus.FAILED, model_type="cnn", host="h1", tag=("team", "a:b"))
    assert listed == {"wanted": meant, "sort": "co2e_g", "limit": 7, "cursor": "abc"}
    link = answer.headers["link"]
    assert "tag=team%3Aa%3Ab" in link
    assert "cursor=a%3D" in link
    assert "abc" not in link


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=name", "sort"),
        ("sort=--co2e_g", "sort"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("format=xml", "format"),
        ("cursor=", "cursor"),
        ("status=done", "status"),
        ("sorted=co2e_g", "sorted"),
    ],
)
async def test_parameters_that_do_not_hold_are_refused(client, listed, query, field):
    answer = await client.get(f"/v1/reports?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert listed == {}


@pytest.fixture
def url(database_url, tmp_path, serving):
    settings = Settings(database_url=database_url, data_dir=tmp_path)
    with serving(make_api(settings)) as url:
        yield url


def test_pandas_loads_the_table_from_its_address(url):
    with httpx.Client(base_url=url, trust_env=False) as http:
        empty = pandas.read_csv(f"{url}/v1/reports?format=csv")
        made = []
        for n in range(3):
            job = http.post("/v1/jobs", json=LEAST | {"seed": n, "tags": {"n": str(n)}}).json()
            made.append(job["id"])
            http.post(f"{job['links']['self']}/cancel").raise_for_status()
        table = pandas.read_csv(
            f"{url}/v1/reports?format=csv&sort=finished_at",
            parse_dates=["created_at", "finished_at"],
        )
        page = ReportPageView.model_validate(http.get("/v1/reports?sort=finished_at").json())
        parquet = pandas.read_parquet(f"{url}/v1/reports?format=parquet&sort=finished_at")
        asked = http.get("/v1/reports?limit=1", headers={"Accept": PARQUET})
    assert list(parquet.columns) == list(table.columns)
    assert parquet["job_id"].tolist() == made
    assert parquet["created_at"][0] == page.items[0].created_at
    assert asked.headers["content-type"] == PARQUET
    assert "format=parquet" in asked.headers["link"]
    assert list(empty.columns) == list(table.columns) == list(type(page.items[0]).model_fields)
    assert (len(empty), table["job_id"].tolist()) == (0, made)
    assert table["seed"].dtype == table["epochs"].dtype == "int64"
    assert table["complete"].dtype == "bool"
    assert table["learning_rate"].dtype == table["pue"].dtype == "float64"
    assert table["energy_total_j"].dtype == "float64"
    assert table["energy_total_j"].isna().all()
    assert (table["status"] == "cancelled").all()
    assert [json.loads(tags) for tags in table["tags"]] == [{"n": str(n)} for n in range(3)]
    first = table.iloc[0]
    assert first["created_at"] == page.items[0].created_at
    assert first["created_at"] <= datetime.now(UTC)
    assert first["parameters"] == page.items[0].parameters


def test_links_lead_through_all_pages(url):
    with httpx.Client(base_url=url, trust_env=False) as http:
        for _ in range(5):
            job = http.post("/v1/jobs", json=LEAST).json()
            http.post(f"{job['links']['self']}/cancel").raise_for_status()
        seen, link = [], "/v1/reports?limit=2&sort=energy_total_j&format=csv"
        while link:
            answer = http.get(link).raise_for_status()
            seen += pandas.read_csv(io.StringIO(answer.text))["job_id"].tolist()
            link = answer.links.get("next", {}).get("url")
        listed = http.get("/v1/reports?sort=energy_total_j").json()
        assert seen == [row["job_id"] for row in listed["items"]]
        assert len(seen) == 5
        assert listed["next_cursor"] is None
        assert http.get("/v1/reports?cursor=nonsense").status_code == 422
        metrics = http.get("/metrics").raise_for_status().text
    assert 'trainwatt_jobs_finished_total{status="cancelled"} 5.0' in metrics


async def test_the_short_way_to_a_report_takes_nothing_else(client, memory, submitted):
    job = await submitted()
    memory.reports[job["id"]] = b"{}"
    path = f"/v1/jobs/{job['id']}/report"
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        assert (await client.request(method, path)).status_code == 405
    assert (await client.get(f"{path}?wait=1")).status_code == 422
    assert (await client.get(f"{path}/")).status_code == 404
    assert (await client.get(f"{path}?")).content == b"{}"


@pytest.fixture
async def real(database_url, tmp_path):
    """The whole API on a database."""
    app = make_api(Settings(database_url=database_url, data_dir=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
            yield opened


async def test_a_report_that_is_sent_is_a_job_as_any_other(real, make_posted):
    posted = make_posted(tags={"team": "vision"})
    body = posted.model_dump_json(exclude_defaults=True)
    headers = {"Content-Type": "application/json"}
    answer = await real.post("/v1/reports", content=body, headers=headers)
    here = answer.headers["location"]
    assert (answer.status_code, here) == (201, f"/v1/jobs/{posted.job_id}")
    again = await real.post("/v1/reports", content=body, headers=headers)
    assert (again.status_code, again.content) == (200, answer.content)
    job = (await real.get(here)).json()
    assert (job["spec"], job["model_type"], job["external"]["name"]) == (None, "external", "my net")
    (listed,) = (await real.get("/v1/jobs?model_type=external")).json()["items"]
    assert listed == job
    assert (await real.get(f"{here}/report")).content == answer.content
    (row,) = (await real.get("/v1/reports?tag=team:vision")).json()["items"]
    assert (row["model_type"], row["model_name"]) == ("external", "my net")
    swedish = await real.get(f"{here}/report?country_iso_code=SWE&assumptions=specpower")
    assert (swedish.status_code, swedish.json()["emissions"]["country_iso_code"]) == (200, "SWE")
    assert (await real.get(f"{here}/readings")).content == posted.readings.to_bytes()
    for name in ("codecarbon", "model-card", "sci", "statement"):
        assert (await real.get(f"{here}/exports/{name}")).status_code == 200
    csv = (await real.get("/v1/reports?format=csv")).text
    assert pandas.read_csv(io.StringIO(csv)).model_name.tolist() == ["my net"]
    events = (await real.get(f"{here}/events")).text
    assert "succeeded" in events
    assert (await real.post(f"{here}/cancel")).status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"training": {"name": 3}}, "training.name"),
        ({"training": {"name": "n", "model_type": "cnn"}}, "training.model_type"),
        ({"readings": None}, "readings.readings"),
        ({"readings": {"readings": [{}]}}, "readings.readings[0].t_s"),
        ({"more": 1}, "more"),
        ({"ended": {"status": "running"}}, "ended.status"),
    ],
)
async def test_a_report_that_does_not_hold_is_refused(real, make_posted, change, field):
    body = json.loads(make_posted().model_dump_json()) | change
    answer = await real.post("/v1/reports", json=body)
    assert answer.status_code == 422
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert (await real.get("/v1/jobs")).json()["items"] == []


async def test_a_report_that_is_too_long_is_refused(real, monkeypatch):
    monkeypatch.setattr("app.api.routes.reports.MAX_POSTED_BYTES", 2**20)
    answer = await real.post("/v1/reports", json={"training": "x" * 2**20})
    assert answer.status_code == 413
    assert "1 MiB" in answer.json()["detail"]


@pytest.mark.parametrize("readings", [{}, None, {"readings": None}, {"readings": "x"}, [], 7])
async def test_readings_of_no_shape_are_refused(real, make_posted, readings):
    body = json.loads(make_posted().model_dump_json()) | {"readings": readings}
    answer = await real.post("/v1/reports", json=body)
    assert answer.status_code == 422
    assert "a list of 2 to 50,000" in answer.json()["errors"][0]["expected"]


@pytest.mark.parametrize("item", [b"{}", b"1", b"[]"])
async def test_more_than_any_training_has_is_refused_before_it_is_parsed(real, monkeypatch, item):
    def never(_):
        pytest.fail("it was parsed")

    monkeypatch.setattr("app.api.routes.reports.json_object", never)
    many = b",".join([item] * 4_000_000)
    body = b'{"training": {"name": "n"}, "readings": {"readings": [' + many + b"]}}"
    headers = {"Content-Type": "application/json"}
    answer = await real.post("/v1/reports", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


async def test_evaluated_again_it_still_says_its_framework(real, make_posted):
    posted = make_posted(framework="torch 2.9.1")
    await real.post("/v1/reports", json=posted.model_dump(mode="json"))
    answer = await real.get(f"/v1/jobs/{posted.job_id}/report?pue=1.5")
    assert answer.json()["environment"]["execution"] == {"framework": "torch 2.9.1"}


async def test_the_table_of_reports_stays_whole_as_parquet(real, make_posted):
    posted = make_posted(flops_per_sample=2 * 10**15, parameters=10**18)
    answer = await real.post("/v1/reports", json=posted.model_dump(mode="json"))
    assert answer.status_code == 201
    table = await real.get("/v1/reports?format=parquet")
    assert pq.read_table(io.BytesIO(table.content))["flops"].to_pylist() == [8 * 10**18]
