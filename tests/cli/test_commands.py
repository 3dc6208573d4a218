"""The commands as real processes: exit codes, sentences, and JSON that is nothing but JSON."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app import __version__
from app.ownership import own

UNPRIVILEGED = 65_534  # nobody
END_S = 600.0  # a backstop, not a threshold
NO_JOB = "00000000-0000-0000-0000-000000000000"
SUBMIT = ("submit", "--model-type", "cnn", "--size", "tiny")


@pytest.fixture
def job_id(trainwatt):
    return json.loads(trainwatt(*SUBMIT, "--json").stdout)["id"]


def sentence(done):
    """The one line on standard error; nothing is on standard output, and nothing is a traceback."""
    (line,) = done.stderr.splitlines()
    assert done.stdout == ""
    assert line.startswith("trainwatt: ")
    return line


def test_a_job_is_submitted_shown_and_listed_for_a_person(trainwatt):
    submitted = trainwatt(*SUBMIT, "--tag", "team=vision")
    assert (submitted.returncode, submitted.stderr) == (0, "")
    job_id = submitted.stdout.split()[1]
    assert "cnn tiny on mnist5k, 3 epochs" in submitted.stdout
    assert "queued, position" in trainwatt("show", job_id).stdout
    listed = trainwatt("list", "--tag", "team=vision")
    assert listed.stdout.splitlines()[0].split()[:3] == ["Job", "Status", "Model"]
    assert "cnn tiny" in next(ln for ln in listed.stdout.splitlines() if ln.startswith(job_id))
    assert job_id not in trainwatt("list", "--model-type", "rnn").stdout


def test_json_is_the_api_s_own(trainwatt, job_id):
    job = json.loads(trainwatt("show", job_id, "--json").stdout)
    assert job["links"]["report"] == f"/v1/jobs/{job_id}/report"
    page = json.loads(trainwatt("list", "--limit", "1", "--json").stdout)
    assert page["items"] == [job]
    cancelled = json.loads(trainwatt("cancel", job_id, "--json").stdout)
    assert cancelled["status"] == "cancelled"
    report = json.loads(trainwatt("report", job_id, "--json").stdout)
    assert report["energy"]["total_j"] is None
    options = ("--country", "SWE", "--region", "SE3", "--pue", "1.5", "--assumptions", "codecarbon")
    emissions = json.loads(trainwatt("report", job_id, *options, "--json").stdout)["emissions"]
    assert (emissions["intensity_g_per_kwh"], emissions["pue"]) == (27.0, 1.5)
    given = json.loads(trainwatt("report", job_id, "--intensity", "4.5", "--json").stdout)
    assert given["emissions"]["intensity_g_per_kwh"] == 4.5


def test_a_list_of_nothing_says_so(trainwatt):
    assert trainwatt("list", "--tag", "team=none").stdout == "No jobs.\n"


@pytest.mark.parametrize("command", [("workloads",), ("list",), ("show",), ("report",)])
def test_no_line_of_a_file_ends_in_blanks(trainwatt, job_id, command):
    trainwatt("cancel", job_id)
    told = trainwatt(*command, *[job_id] * (command[0] in {"show", "report"})).stdout
    assert told.endswith("\n")
    assert [line for line in told.split("\n") if line != line.rstrip()] == []


def test_a_list_of_what_can_be_trained_is_80_columns_wide(trainwatt):
    assert max(map(len, trainwatt("workloads").stdout.splitlines())) <= 80


def test_the_version(trainwatt):
    assert trainwatt("--version").stdout == f"trainwatt {__version__}\n"


def test_a_label_that_no_known_worker_takes(trainwatt):
    job_id = json.loads(trainwatt(*SUBMIT, "--label", "gpu", "--json").stdout)["id"]
    assert "no known worker takes the label gpu" in trainwatt("show", job_id).stdout


def test_what_has_ended_cannot_be_cancelled(trainwatt, job_id):
    trainwatt("cancel", job_id)
    again = trainwatt("cancel", job_id)
    assert again.returncode == 2
    assert sentence(again) == f"trainwatt: job {job_id} has already ended (cancelled)"


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        (">&-", 2, "standard output is closed"),
        ("> /dev/full", 2, "cannot be written (No space left on device)"),
        ("| { exec <&-; sleep 0.1; }; exit ${PIPESTATUS[0]}", 141, ""),
    ],
)
@pytest.mark.parametrize("options", ["workloads", "workloads --json"])
def test_output_that_cannot_be_written(api_url, options, redirection, code, words):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m app.cli {options} {redirection}"],
        env=os.environ | {"TRAINWATT_URL": api_url},
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert done.returncode == code
    if words:
        assert words in sentence(done)
    else:
        assert done.stderr == ""


def test_an_output_of_few_characters_has_question_marks(trainwatt):
    done = trainwatt("workloads", environment={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "28 ? 28" in done.stdout


@pytest.mark.parametrize(
    "environment",
    [
        {"TRAINWATT_URL": "http://[::1"},
        {"TRAINWATT_API_KEY": "\u00e9"},
        {"TRAINWATT_API_KEY": "a\nb"},
    ],
)
def test_an_address_or_a_key_that_cannot_be_sent(trainwatt, environment):
    done = trainwatt("list", environment=environment)
    assert done.returncode == 2
    assert next(iter(environment)) in sentence(done)


@pytest.mark.parametrize("after_s", [0.05, 0.3])
def test_ctrl_c_while_it_is_imported_is_quiet(after_s):
    code = "import time, threading, os, signal, sys; import app.cli; main = app.cli.main\n"
    code += f"threading.Timer({after_s}, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
    code += (
        "sys.argv = ['trainwatt', 'run', '--model-type', 'cnn', '--throwaway']; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=END_S, check=False
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_hosts_and_workloads(trainwatt):
    assert trainwatt("hosts").stdout.split()[:2] == ["Host", "Hardware"]
    assert json.loads(trainwatt("hosts", "--json").stdout) == {"items": []}
    assert "225,034" in trainwatt("workloads").stdout
    assert json.loads(trainwatt("workloads", "--json").stdout)["model_types"]


def test_a_job_that_was_cancelled_is_watched_to_exit_code_1(trainwatt, job_id):
    assert trainwatt("cancel", job_id).stdout == "cancelled\n"
    watched = trainwatt("watch", job_id)
    assert watched.returncode == 1
    assert watched.stdout.splitlines()[0] == "cancelled"
    as_json = trainwatt("watch", job_id, "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["status"] == "cancelled"
    report = trainwatt("report", job_id)
    assert report.returncode == 0
    assert "the job never ran" in report.stdout


def test_ctrl_c_stops_watching_and_not_the_job(trainwatt, api_url):
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *SUBMIT, "--wait"],
        env=os.environ | {"TRAINWATT_URL": api_url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline().startswith("queued")
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 130
        said = process.stderr.read()
    assert said.startswith("trainwatt: stopped watching; the job goes on")
    job_id = said.split()[-1].rstrip(")")
    assert json.loads(trainwatt("show", job_id, "--json").stdout)["status"] == "queued"


def test_a_spec_from_standard_input(trainwatt):
    spec = '{"model_type": "rnn", "epochs": 1}'
    done = trainwatt("submit", "--spec", "-", "--epochs", "2", "--json", input=spec)
    assert json.loads(done.stdout)["spec"]["epochs"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", NO_JOB), NO_JOB),
        (("show", "../workloads"), ""),
        ((*SUBMIT, "--epochs", "0"), "epochs: expected an integer ≥ 1 and ≤ 10000, received 0"),
        ((*SUBMIT, "--country", "ATL"), "carbon.country_iso_code"),
        ((*SUBMIT, "--pue", "0.5"), "carbon.pue"),
        (("submit",), "expected --model-type (trainwatt workloads lists them) or --spec"),
        (("submit", "--spec", "none.json"), "--spec: none.json cannot be read"),
        (("list", "--cursor", "none"), "cursor"),
        (("submit", "--architecture", __file__), f"--architecture {__file__}: expected JSON ("),
        (("run", "--model-type", "lstm"), "model_type"),
        (("serve", "--port", "70000"), "TRAINWATT_PORT"),
        (("run", "--model-type", "cnn", "--throwaway", "--data-dir", "x"), "leave --data-dir out"),
        (("run", "--model-type", "cnn", "--throwaway", "--label", "gpu"), "takes no label gpu"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(trainwatt, arguments, words):
    done = trainwatt(*arguments)
    assert done.returncode == 2
    assert words in sentence(done)


def test_every_wrong_field_has_its_line(trainwatt):
    done = trainwatt(*SUBMIT, "--epochs", "0", "--batch-size", "0")
    assert [line.split()[1] for line in done.stderr.splitlines()] == ["epochs:", "batch_size:"]


def test_a_report_in_another_ones_format(trainwatt, job_id):
    early = trainwatt("export", job_id, "--format", "statement")
    assert (early.returncode, early.stdout) == (2, "")
    trainwatt("cancel", job_id)
    told = trainwatt("export", job_id, "--format", "statement")
    assert told.returncode == 0
    assert told.stdout.startswith("# Energy statement\n")
    found = trainwatt("export", job_id, "--format", "sci", "--unit", "epoch", "--embodied-g", "5")
    assert json.loads(found.stdout)["embodied"]["value"] == 5
    unknown = trainwatt("export", job_id, "--format", "pdf")
    assert unknown.returncode == 2
    assert "codecarbon, model-card, sci, statement" in unknown.stderr


def test_a_price_that_cannot_be_had_is_wrong_use(trainwatt, job_id):
    trainwatt("cancel", job_id)
    done = trainwatt("report", job_id, "--country", "XXX")
    assert done.returncode == 2
    assert sentence(done).startswith("trainwatt: country_iso_code: expected one of the 213")


def test_a_report_before_the_end_is_wrong_use(trainwatt, job_id):
    done = trainwatt("report", job_id)
    assert done.returncode == 2
    assert "queued" in sentence(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--foo",),
        ("nonsense",),
        ("serve", "--data-dir", ""),
        (*SUBMIT, "--tag", "team"),
        (*SUBMIT, "--size", "width=2"),
    ],
)
def test_bad_options_are_wrong_use(trainwatt, arguments):
    done = trainwatt(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


@pytest.mark.parametrize("command", ["list", "hosts", "workloads"])
def test_nothing_that_answers_is_exit_code_3(trainwatt, command):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = trainwatt(command, environment={"TRAINWATT_URL": url})
    assert done.returncode == 3
    assert "trainwatt serve" in sentence(done)


def test_a_port_in_use(trainwatt, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = trainwatt("serve", "--port", port, "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert f"port {port}" in sentence(done)


def test_an_occupied_data_directory_names_its_owner(trainwatt, tmp_path):
    with own(tmp_path, "http://127.0.0.1:8123"):
        done = trainwatt("serve", "--port", "0", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert f"process {os.getpid()}, http://127.0.0.1:8123" in sentence(done)


def test_the_same_service_twice_is_told_as_such(trainwatt, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with own(tmp_path, f"http://127.0.0.1:{port}"):
            done = trainwatt("serve", "--port", str(port), "--data-dir", str(tmp_path))
    assert f"belongs to a running service (process {os.getpid()}" in sentence(done)


AS_NOBODY = """
import encodings.idna, os, sys  # while we may read them: the interpreter may lie in a closed home
import app.cli.commands, app.supervisor
from app.cli import main
if os.geteuid() == 0:
    os.setgid(int(sys.argv[1]))
    os.setuid(int(sys.argv[1]))
sys.path[:] = []  # and no more, whoever runs this
sys.argv = ["trainwatt", *sys.argv[2:]]
sys.exit(main())
"""


def test_an_unwritable_data_directory(short_dir):
    short_dir.chmod(0o555)
    serve = ["serve", "--port", "0", "--data-dir", str(short_dir / "data")]
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(UNPRIVILEGED), *serve],
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    short_dir.chmod(0o755)
    assert done.returncode == 2
    assert f"{short_dir / 'data'} cannot be used (Permission denied)" in sentence(done)


@pytest.mark.parametrize(("asked", "drain"), [(True, "1"), (False, None)])
def test_a_worker_that_drains_is_told_so(monkeypatch, asked, drain):
    from app.cli import commands

    monkeypatch.setenv("TRAINWATT_DRAIN", "")
    monkeypatch.delenv("TRAINWATT_DRAIN")
    told = []

    def execute(_, words):
        told.append((words[-1], os.environ.get("TRAINWATT_DRAIN")))

    monkeypatch.setattr(commands.os, "execv", execute)
    commands.worker(healthcheck=False, drain=asked)
    assert told == [("app.worker", drain)]


def test_a_worker_alone_needs_a_database(trainwatt, tmp_path):
    done = trainwatt("worker", environment={"TRAINWATT_DATA_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert "TRAINWATT_DATABASE_URL" in done.stderr


def test_run_submits_to_the_service_that_owns_the_data_directory(trainwatt, tmp_path, api_url):
    run = [sys.executable, "-m", "app.cli", "run", "--model-type", "cnn"]
    with (
        own(tmp_path, api_url),
        subprocess.Popen(
            [*run, "--data-dir", str(tmp_path)],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout.readline().startswith("queued")
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 130
        assert f"(process {os.getpid()}, {api_url})" in process.stderr.readline()
        assert "the job goes on" in process.stderr.readline()


def test_run_of_a_service_that_cannot_start(trainwatt, tmp_path):
    environment = {"TRAINWATT_DATABASE_URL": "postgresql://127.0.0.1:9/none"}
    run = ("run", "--model-type", "cnn", "--throwaway")
    done = trainwatt(*run, environment=environment | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 3
    assert "the service did not start" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_prints_the_report_and_leaves_nothing(trainwatt, short_dir):
    options = ("--samples", "500", "--epochs", "1", "--country", "FRA", "--throwaway", "--json")
    environment = {"TMPDIR": str(short_dir), "TRAINWATT_HOST_LOCK": str(short_dir / "lock")}
    done = trainwatt("run", "--model-type", "cnn", *options, environment=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["energy"]["total_j"] > 0
    lines = done.stderr.splitlines()
    assert lines[0] == "starting a service for this job"
    assert lines[-1].startswith("succeeded after")
    assert [path.name for path in short_dir.iterdir()] == ["lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(number, short_dir):
    run = ["run", "--model-type", "cnn", "--size", "large", "--epochs", "50", "--throwaway"]
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", *run],
        env=os.environ
        | {
            "TMPDIR": str(short_dir),
            "TRAINWATT_HOST_LOCK": str(short_dir / "lock"),
            "TRAINWATT_QUIET_WAIT_S": "0",
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until_line(process.stdout, "training, epoch 1")
        below = psutil.Process(process.pid).children(recursive=True)
        clusters = [Path(p.cwd()) for p in below if p.name() == "postgres"]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(END_S)
        else:
            assert process.wait(END_S) == 130
            assert process.stderr.read() == "trainwatt: interrupted\n"
    assert below
    assert clusters
    _, alive = psutil.wait_procs(below, timeout=END_S)
    assert alive == []
    assert [path.name for path in short_dir.iterdir()] == ["lock"]
    assert not any(cluster.exists() for cluster in clusters)


@pytest.mark.parametrize("after_s", [0.6, 1.5, 3.0])
def test_a_run_that_is_interrupted_early_and_twice_leaves_nothing(after_s, short_dir):
    run = ["run", "--model-type", "cnn", "--throwaway"]
    environment = {"TMPDIR": str(short_dir), "TRAINWATT_HOST_LOCK": str(short_dir / "lock")}
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", *run],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 130
        assert "Traceback" not in process.stderr.read()
    assert {path.name for path in short_dir.iterdir()} <= {"lock"}


def until_line(stream, start):
    for line in stream:
        if line.startswith(start):
            return
    raise AssertionError(f"no line starts with {start!r}")


def test_a_submission_with_a_key_is_made_once(trainwatt):
    first = trainwatt(*SUBMIT, "--json", "--idempotency-key", "once")
    again = trainwatt(*SUBMIT, "--json", "--idempotency-key", "once")
    assert json.loads(again.stdout)["id"] == json.loads(first.stdout)["id"]
    other = trainwatt(*SUBMIT, "--seed", "7", "--idempotency-key", "once")
    assert (other.returncode, other.stdout) == (2, "")
    assert json.loads(first.stdout)["id"] in other.stderr
    wrong = trainwatt(*SUBMIT, "--idempotency-key", "")
    assert (wrong.returncode, "Idempotency-Key" in wrong.stderr) == (2, True)
