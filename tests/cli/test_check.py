"""`trainwatt check` against a stand-in whose jobs have run at once, with given joules."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from app.accounting.report import empty_report, report
from app.accounting.rows import row
from app.cli import commands
from app.domain.external import ExternalTraining
from app.domain.jobs import JobError, JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.reports import TrustReason
from app.domain.specs import JobSpec
from app.workloads import catalogue
from tests.conftest import MOMENT

END_S = 600.0  # a backstop, not a threshold
ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
MODELLED = ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=65)
PRICE = CarbonIntensity(
    g_per_kwh=100, source="s", year=2023, country_iso_code="FRA", region=None, pue=1, reason=None
)
STEADY = (99.0, 100.0, 101.0)
SPEC = ("--model-type", "cnn", "--size", "tiny", "--epochs", "1")


class Service:
    """Jobs that have run as soon as they are submitted, each with the next of its joules."""

    def __init__(self, make_job, make_host):
        self.make_job, self.make_host = make_job, make_host
        self.numbers = itertools.count(1)
        self.jobs, self.reports = {}, {}
        self.asked_for, self.cancelled = [], []
        self.energies = itertools.cycle(STEADY)
        self.status, self.host, self.cpu = JobStatus.SUCCEEDED, "h1", MEASURED
        self.accuracy, self.reasons = 0.9, ()

    def add(self, energy_j, spec=None, **fields):
        """One more job; its id."""
        name = f"job-{next(self.numbers)}"
        spec = spec or JobSpec(model_type="cnn")
        status = self.status
        ended = {"started_at": MOMENT, "finished_at": MOMENT + timedelta(seconds=10)}
        error = JobError(code="out_of_memory", message="the memory was full")
        job = {
            "id": name,
            "status": status,
            "queue_position": None,
            "error": error if status is JobStatus.FAILED else None,
            **(ended if status.final else {}),
        }
        self.jobs[name] = self.make_job(spec, **job)
        if status.final:
            self.reports[name] = self.made(name, spec, energy_j).model_copy(update=fields)
        return name

    def made(self, name, spec, energy_j):
        given = {"job_id": name, "spec": spec, "status": self.status, "intensity": PRICE}
        given["work"] = catalogue.facts(spec)
        if energy_j is None:
            return empty_report(**given, finished_at=MOMENT)
        found = report(
            Readings(
                attempt=1,
                started_at=MOMENT,
                host=self.make_host(self.host).facts,
                meter=MeterFacts(cpu=self.cpu, gpu=ABSENT, ram=ABSENT, codecarbon="3.3.2"),
                readings=(
                    Reading(t_s=0, cpu_j=0, gpu_j=None, ram_j=None, begins=Phase.SETUP),
                    Reading(t_s=10, cpu_j=energy_j, gpu_j=None, ram_j=None),
                ),
            ),
            **given,
        )
        reasons = tuple(TrustReason(code=code, message=code) for code in self.reasons)
        quality = found.quality.model_copy(update={"test_accuracy": self.accuracy})
        trust = found.trust.model_copy(update={"reasons": reasons})
        return found.model_copy(update={"quality": quality, "trust": trust})

    def page(self, energies, **fields):
        """What GET /v1/reports would answer of jobs with these joules."""
        names = [self.add(energy_j, **fields) for energy_j in energies]
        rows = [
            row(self.reports[name], spec=self.jobs[name].asked, created_at=MOMENT) for name in names
        ]
        return {"items": [one.model_dump(mode="json") for one in rows], "next_cursor": None}

    def app(self):
        return Starlette(
            routes=[
                Route("/v1/hosts", self.hosts),
                Route("/v1/jobs", self.submit, methods=["POST"]),
                Route("/v1/jobs/{name}", self.get),
                Route("/v1/jobs/{name}/report", self.report),
                Route("/v1/jobs/{name}/cancel", self.cancel, methods=["POST"]),
            ]
        )

    async def hosts(self, _):
        return JSONResponse({"items": []})

    async def submit(self, request):
        name = self.add(next(self.energies), JobSpec.model_validate(await request.json()))
        return JSONResponse(self.jobs[name].public(), 202)

    async def get(self, request):
        self.asked_for.append(request.path_params["name"])
        job = self.jobs.get(request.path_params["name"])
        return JSONResponse(job.public()) if job else JSONResponse({"detail": "no such job"}, 404)

    async def report(self, request):
        return JSONResponse(self.reports[request.path_params["name"]].model_dump(mode="json"))

    async def cancel(self, request):
        name = request.path_params["name"]
        self.cancelled.append(name)
        self.jobs[name] = self.jobs[name].model_copy(update={"status": JobStatus.CANCELLED})
        return JSONResponse(self.jobs[name].public(), 202)


@pytest.fixture
def service(make_job, make_host):
    return Service(make_job, make_host)


@pytest.fixture
def url(service, serving):
    with serving(service.app()) as served:
        yield served


@pytest.fixture
def check(url, monkeypatch, capsys):
    """Runs the command in this process: its exit code, and both outputs."""

    def run(*arguments):
        monkeypatch.setenv("TRAINWATT_URL", url)
        monkeypatch.setattr(sys, "argv", ["trainwatt", "check", *map(str, arguments)])
        try:
            code = commands.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def baseline(service, tmp_path):
    """The file of a baseline of three steady runs."""
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps(service.page(STEADY)))
    return path


def told(check, *arguments):
    code, out, _ = check(*arguments, "--json")
    return code, json.loads(out)


def test_runs_are_saved_and_compared_with(service, check, tmp_path):
    path = tmp_path / "baseline.json"
    code, out, err = check(*SPEC, "--repeats", "3", "--save", path)
    assert (code, out) == (0, f"Kept 3 runs as a baseline in {path}.\n")
    assert [line.split(":")[0] for line in err.splitlines()] == [f"run {n} of 3" for n in (1, 2, 3)]
    assert "99.0 J, accuracy 90.0 %, grade C (job job-1)" in err
    code, out, err = check(*SPEC, "--repeats", "3", "--against", path)
    assert code == 0
    first, *more = out.splitlines()
    assert first.startswith("Uses 0.0 % more energy than the baseline (-2.2 to +2.3 %, 3 runs ")
    assert first.endswith("against 3): within the 5 % allowed.")
    assert more == [
        "Energy: 100 J in the baseline, 100 J now (geometric means).",
        "Test accuracy: 90.0 % in the baseline, 90.0 % now (means).",
    ]


def test_more_energy_is_exit_code_1(service, check, baseline):
    service.energies = itertools.cycle([v * 1.2 for v in STEADY])
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 1
    assert out.startswith("Uses 20.0 % more energy than the baseline (+17.3 to +22.8 %, 3 runs")
    assert "more than the 5 % allowed" in out
    assert check(*SPEC, "--against", baseline, "--max-increase", "30%")[0] == 0
    assert check(*SPEC, "--against", baseline, "--max-increase", "30")[0] == 0


def test_less_energy_at_a_lower_accuracy_is_said(service, check, baseline):
    service.energies, service.accuracy = itertools.cycle([v / 2 for v in STEADY]), 0.8
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 0
    assert out.startswith("Uses 50.0 % less energy than the baseline (-51.")
    assert "90.0 % in the baseline, 80.0 % now (means). Energy saved at a lower accuracy" in out


def test_noise_is_exit_code_4_with_the_runs_that_would_tell(service, check, baseline):
    service.energies = itertools.cycle([90.0, 100.0, 110.0])
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 4
    first = out.splitlines()[0]
    assert first.startswith("Cannot tell whether it uses over 5 % more energy than the baseline: ")
    assert "the figure is -0.3 %, the interval -22." in first
    assert "About 32 runs each would tell." in first
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline, "--max-increase", "0%")
    assert code == 4
    assert "More than 100 runs each would be needed" in out


def test_json_is_the_verdict_and_nothing_else(service, check, baseline):
    service.energies = itertools.cycle([v * 1.2 for v in STEADY])
    code, answer = told(check, *SPEC, "--repeats", "3", "--against", baseline)
    assert (code, answer["verdict"]) == (1, "more")
    assert answer["ratio"] == pytest.approx(1.2)
    assert 1.05 == answer["allowed"] < answer["low"] < answer["ratio"] < answer["high"]
    assert answer["runs"] == {"baseline": 3, "now": 3}
    assert answer["sentences"][0].startswith("Uses 20.0 % more")


def test_jobs_that_have_run_already(service, check, baseline, tmp_path):
    jobs = [("--job", service.add(energy_j)) for energy_j in STEADY]
    code, out, err = check(*itertools.chain(*jobs), "--against", baseline)
    assert (code, err) == (0, "")
    assert "The trainings differ" not in out
    kept = tmp_path / "kept.json"
    assert check(*itertools.chain(*jobs), "--save", kept)[0] == 0
    assert len(json.loads(kept.read_text())["items"]) == 3


def test_jobs_of_an_own_training_script(service, check, tmp_path):
    jobs = [service.add(energy_j) for energy_j in STEADY]
    for name in jobs:
        own = {"spec": None, "external": ExternalTraining(name="net", framework="torch 2.9.1")}
        service.jobs[name] = service.jobs[name].model_copy(update=own)
    named = list(itertools.chain(*(("--job", name) for name in jobs)))
    path = tmp_path / "own.json"
    assert check(*named, "--save", path)[0] == 0
    (model_type,) = {item["model_type"] for item in json.loads(path.read_text())["items"]}
    assert model_type == "external"
    _, out, _ = check(*SPEC, "--repeats", "3", "--against", path)
    assert "The trainings differ: model_type is external in the baseline and cnn now" in out


def test_another_training_is_named(service, check, baseline):
    _, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert "The trainings differ: size is base in the baseline and tiny now; epochs is 3 in" in out
    jobs = [
        ("--job", service.add(100.0, JobSpec(model_type="cnn", execution={"threads": 1})))
        for _ in range(3)
    ]
    _, out, _ = check(*itertools.chain(*jobs), "--against", baseline)
    assert "The trainings differ: the specs differ in a field that rows do not show." in out


def test_runs_without_a_seed_in_common_are_one_training(service, check, baseline):
    jobs = [("--job", service.add(100.0, JobSpec(model_type="cnn", seed=n))) for n in (1, 2, 3)]
    code, out, _ = check(*itertools.chain(*jobs), "--against", baseline)
    assert (code, "differ" in out) == (0, False)


def test_only_the_tags_that_were_given_are_set(service, check, tmp_path):
    check(*SPEC, "--repeats", "2", "--tag", "branch=main", "--save", tmp_path / "b.json")
    assert [job.spec.tags for job in service.jobs.values()] == [{"branch": "main"}] * 2


def test_another_host_is_no_verdict_unless_it_is_accepted(service, check, baseline):
    service.host = "h2"
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 4
    assert out.startswith("Cannot tell: the host is h1 in the baseline and h2 now; run on the same")
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline, "--any-host")
    assert code == 0
    assert "a difference may be the hosts', not the training's" in out


def test_other_methods_and_assumptions_are_no_verdict(service, check, baseline):
    service.cpu = MODELLED
    code, answer = told(check, *SPEC, "--repeats", "3", "--against", baseline)
    assert (code, answer["verdict"]) == (4, "cannot_tell")
    assert answer["sentences"][0].startswith(
        "Cannot tell: the energy of the CPU is measured in the baseline and estimated now; make "
        "the baseline anew"
    )
    page = json.loads(baseline.read_text())
    for item in page["items"]:
        item["assumptions"] = "specpower"
        item["overrides"] = '{"cpu_tdp_w": 65}'
    baseline.write_text(json.dumps(page))
    _, answer = told(check, *SPEC, "--repeats", "3", "--against", baseline)
    assert answer["sentences"][1].startswith(
        "Also: the set of assumptions is specpower in the baseline and codecarbon now"
    )
    assert "`assumptions.overrides`" in answer["sentences"][2]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("energy_cpu_method", "estimated", "the CPU is estimated, measured in the baseline"),
        ("host", "h2", "the host is h1, h2 in the baseline and h1 now"),
        ("batch_size", 64, "rows of the baseline are of different trainings (batch_size: 32, 64)"),
        ("spec_sha256", "0" * 64, "of different trainings (the specs differ in a field"),
    ],
)
def test_a_baseline_of_mixed_runs_is_no_verdict(check, baseline, column, value, words):
    page = json.loads(baseline.read_text())
    page["items"][1][column] = value
    baseline.write_text(json.dumps(page))
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 4
    assert words in out.splitlines()[0]


def test_jobs_of_mixed_trainings_are_no_verdict(service, check, baseline):
    jobs = [("--job", service.add(100.0, JobSpec(model_type="cnn", epochs=n))) for n in (1, 2)]
    code, out, _ = check(*itertools.chain(*jobs), "--against", baseline)
    assert code == 4
    assert "the jobs named now are of different trainings (epochs: 1, 2)" in out


def test_what_disturbs_a_comparison_is_said(service, check, baseline):
    page = json.loads(baseline.read_text())
    for item in page["items"]:
        item["energy_cpu_method"], item["complete"] = "estimated", False
    page["items"][0]["reasons"] = "short_run contention"
    baseline.write_text(json.dumps(page))
    service.cpu, service.reasons = MODELLED, ("steal", "contention")
    code, out, _ = check(*SPEC, "--repeats", "2", "--against", baseline)
    assert code in {0, 4}
    assert "Disturbed in the baseline: contention in 1 of 3; run them again" in out
    assert "Disturbed in the runs now: contention in 2 of 2, steal in 2 of 2; run them" in out
    assert "this compares lower bounds" in out
    assert "compares durations more than energy" in out
    assert "The sides have 3 and 2 runs" in out


def test_rows_without_a_figure_are_left_out_and_unknown_fields_too(service, check, baseline):
    page = json.loads(baseline.read_text())
    service.status = JobStatus.FAILED
    page["items"] += service.page([50.0])["items"]
    service.status = JobStatus.SUCCEEDED
    page["items"] += service.page([None])["items"]
    for item in page["items"]:
        item["added_later"] = 1
    baseline.write_text(json.dumps({**page, "more": None}))
    code, out, _ = check(*SPEC, "--repeats", "3", "--against", baseline)
    assert code == 0
    assert "Left out of the baseline: 2 of its rows" in out


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT])
def test_a_job_that_does_not_succeed_ends_the_check(service, check, baseline, status):
    service.status = status
    before = len(service.jobs)
    code, out, err = check(*SPEC, "--against", baseline)
    assert (code, out) == (1, "")
    assert err.startswith("trainwatt: job job-4 is no run to compare: ")
    assert status.value.replace("_", " ") in err
    assert len(service.jobs) == before + 1
    code, answer = told(check, "--job", "job-4", "--job", "job-4", "--against", baseline)
    assert (code, answer["verdict"], answer["ratio"]) == (1, "failed", None)


def test_a_job_without_a_figure_ends_the_check(service, check, baseline):
    service.energies = itertools.repeat(None)
    code, out, err = check(*SPEC, "--against", baseline)
    assert (code, out) == (1, "")
    assert "has no energy figure to compare: `trainwatt report job-4` says why" in err


def test_a_label_that_no_worker_takes_is_said(check, tmp_path):
    _, _, err = check(*SPEC, "--label", "gpu", "--repeats", "2", "--save", tmp_path / "b.json")
    assert err.startswith("trainwatt: no known worker takes the label gpu\n")


@pytest.mark.parametrize("text", ["-1%", "nan", "inf%", "five", "", "%"])
def test_an_increase_that_is_none_is_wrong_use(check, baseline, text):
    code, _, err = check(*SPEC, "--against", baseline, "--max-increase", text)
    assert code == 2
    words = " ".join(err.replace("│", " ").split())
    assert (
        f"expected per cent, 0 or more, as 5% (or 5, which is the same), received {text!r}" in words
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*SPEC,), "expected --against FILE to compare with, or --save FILE"),
        ((*SPEC, "--save", "x", "--max-increase", "5"), "add --against FILE"),
        (("--against", "{baseline}"), "expected --model-type"),
        ((*SPEC, "--against", "{baseline}", "--save", "{baseline}"), "name another file"),
        ((*SPEC, "--against", "{folder}/none"), "none cannot be read (No such file"),
        ((*SPEC, "--against", "{folder}"), "cannot be read (Is a directory)"),
        ((*SPEC, "--save", "{folder}"), "cannot be written (Is a directory)"),
        ((*SPEC, "--save", "{baseline}/x"), "cannot be written (Not a directory)"),
        ((*SPEC, "--save", "{folder}/none/x"), "cannot be written (No such file"),
        ((*SPEC, "--epochs", "0", "--against", "{baseline}"), "epochs: expected an integer"),
        (("--job", "a", "--against", "{baseline}"), "expected 2 or more jobs, received one"),
        (("--job", "a", "--job", "b", "--against", "{baseline}"), "no such job"),
        (("--job", "a", "--epochs", "1", "--save", "x"), "leave --epochs out"),
        (("--job", "a", "--repeats", "2", "--save", "x"), "leave --repeats out"),
        (
            ("--job", "job-1", "--job", "job-2", "--against", "{baseline}"),
            "the baseline together with --job has job job-1 more than once",
        ),
        (
            ("--job", "job-1", "--job", "job-1", "--against", "{baseline}"),
            "--job has job job-1 more than once",
        ),
        ((*SPEC, "--against", "{baseline}", "--url", "ftp://x"), "TRAINWATT_URL"),
    ],
)
def test_wrong_use_is_one_sentence(service, check, baseline, arguments, words):
    places = {"baseline": baseline, "folder": baseline.parent}
    code, out, err = check(*[text.format(**places) for text in arguments])
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith("trainwatt: ")
    assert words in line
    assert len(service.jobs) == 3
    assert json.loads(baseline.read_text())["items"]


def test_a_repeat_is_none(check, baseline):
    assert check(*SPEC, "--repeats", "1", "--against", baseline)[0] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "received something else than JSON ("),
        ("[]", "received something else than an object"),
        ("[" * 10_000, "nested"),
        ("{}", "received no list of items"),
        ('{"items": 3}', "received no list of items"),
        ('{"items": [3]}', "received a row whose"),
        ('{"items": [{"job_id": "a"}]}', "received a row whose status is not right"),
        ('{"items": []}', "2 or more jobs"),
    ],
)
def test_a_file_that_is_no_baseline(service, check, baseline, text, words):
    baseline.write_text(text)
    code, out, err = check(*SPEC, "--against", baseline)
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert words in line
    assert len(service.jobs) == 3


def test_a_baseline_that_counts_a_run_twice(check, baseline):
    page = json.loads(baseline.read_text())
    page["items"].append(page["items"][0])
    baseline.write_text(json.dumps(page))
    code, _, err = check(*SPEC, "--against", baseline)
    assert (code, "has job job-1 more than once" in err) == (2, True)


def test_a_file_that_cannot_be_written_after_all_names_the_jobs(check, tmp_path, monkeypatch):
    path = tmp_path / "b.json"
    monkeypatch.setattr("app.cli.check._try_to_write", lambda _: path.mkdir())
    code, _, err = check(*SPEC, "--repeats", "2", "--save", path)
    assert code == 2
    assert "`trainwatt check --job job-1 --job job-2 --save FILE` keeps these runs" in err


def test_a_try_to_write_leaves_things_as_they_were(service, check, tmp_path):
    service.status = JobStatus.FAILED
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("as it was")
    for path in (new, old):
        assert check(*SPEC, "--save", path)[0] == 1
    assert not new.exists()
    assert old.read_text() == "as it was"


def test_nothing_that_answers_is_exit_code_3(check, baseline):
    code, out, err = check(*SPEC, "--against", baseline, "--url", "http://127.0.0.1:9")
    assert (code, out) == (3, "")
    assert "no service can be reached at http://127.0.0.1:9" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_cancels_the_job_that_runs(service, url, baseline, number):
    service.status = JobStatus.RUNNING
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "check", *SPEC, "--against", str(baseline)],
        env=os.environ | {"TRAINWATT_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while "job-4" not in service.asked_for and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(END_S) == 130
        assert process.stderr.read() == "trainwatt: interrupted\n"
    assert service.cancelled == ["job-4"]
