"""Jobs, hosts and workloads as tables."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from app.cli import tables
from app.domain.comparisons import Comparison
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.readings import ComponentFacts, HostFacts, MeterFacts, Method
from app.domain.reports import Baseline
from app.domain.specs import ExplicitSize, JobSpec
from app.workloads import catalogue

NOW = datetime.now(UTC)
JOB = Job(
    id="3c4ea9a2-1c06-4a5e-9ef6-b8e4d44a4a3b",
    status=JobStatus.SUCCEEDED,
    stage=None,
    spec=JobSpec(
        model_type="cnn", size=ExplicitSize(width=1.5, depth=2), tags={"team": "[vision]"}
    ),
    spec_sha256="00",
    progress=None,
    queue_position=None,
    host="h1",
    attempt=1,
    created_at=NOW - timedelta(hours=2, minutes=30),
    started_at=NOW,
    finished_at=NOW,
    error=None,
)
HOST = Host(
    name="h1",
    facts=HostFacts(
        name="h1",
        boot_id=None,
        os="Linux",
        python="3.11",
        cpu_vendor=None,
        cpu_model="EPYC",
        cpu_family=None,
        cpu_model_number=None,
        logical_cpus=2,
        host_cpus=2,
        memory_gib=23.6,
    ),
    meter=MeterFacts(
        cpu=ComponentFacts(method=Method.UNAVAILABLE, reason="no permission"),
        gpu=ComponentFacts(method=Method.ABSENT),
        ram=ComponentFacts(method=Method.ASSUMED),
        codecarbon="3.3.2",
    ),
    labels=(),
    ready=True,
    baseline=None,
    started_at=NOW,
    last_seen=NOW,
    current_job=None,
)


def shown(what, width=160):
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_job_is_one_line():
    line = f"{JOB.id} succeeded cnn width=1.5,depth=2 mnist5k 3 h1 2 h ago"
    assert listed(160) == [line]


def listed(width):
    console = Console(file=io.StringIO(), width=width)
    return shown(tables.jobs([JOB], console), width)[1:]


def test_a_narrow_terminal_goes_without_host_and_data_set():
    assert listed(80)[0].startswith(f"{JOB.id} succeeded cnn ")
    assert "h1" not in listed(80)[0]


def test_an_identifier_is_never_broken():
    for width in (60, 80, 100):
        assert any(line.startswith(JOB.id) for line in listed(width))


def test_one_epoch_is_no_plural():
    once = JOB.model_copy(update={"spec": JOB.spec.model_copy(update={"epochs": 1})})
    assert any("1 epoch, " in line for line in shown(tables.job(once)))


def test_a_job_says_what_to_do_next():
    lines = shown(tables.job(JOB))
    assert f"Next trainwatt report {JOB.id}" in lines
    assert "Tags team=[vision]" in lines
    running = JOB.model_copy(update={"status": JobStatus.RUNNING, "finished_at": None})
    lines = shown(tables.job(running))
    assert f"Next trainwatt watch {JOB.id}" in lines
    assert not any(line.startswith("Finished") for line in lines)


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, "ready"), ({"ready": False}, "not ready"), ({"current_job": "j1"}, "runs j1")],
)
def test_a_host_says_how_its_energy_is_read_and_what_it_does(changes, state):
    line = shown(tables.hosts([HOST.model_copy(update=changes)]))[1]
    assert "CPU unavailable (no permission), GPU absent, RAM assumed" in line
    assert f" {state} " in line
    assert "EPYC, 2 CPUs, 24 GiB" in line


def test_a_host_without_a_meter_has_a_dash():
    assert " — " in shown(tables.hosts([HOST.model_copy(update={"meter": None})]))[1]


def test_a_model_of_a_user_s_is_listed_without_a_size_and_its_name_is_no_markup():
    named = {"config": {"name": "[bold]x"}}
    spec = JobSpec(model_type="keras", architecture=named)
    one = JOB.model_copy(update={"spec": spec})
    console = Console(file=io.StringIO(), width=160)
    assert " keras ([bold]x) mnist5k " in shown(tables.jobs([one], console))[1]
    without = one.model_copy(update={"spec": JobSpec(model_type="keras")})
    assert " keras mnist5k " in shown(tables.jobs([without], console))[1]


def block(lines, name):
    """The lines of one model type."""
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{name}: "))
    return lines[start : lines.index("", start)]


def test_the_catalogue_shows_every_model_type_with_its_words_sizes_and_data():
    listing = catalogue.listing()
    lines = shown(tables.workloads(listing), width=80)
    for model in listing["model_types"]:
        told = block(lines, model["name"])
        assert told[0] == f"{model['name']}: {model['title']}"
        assert model["description"] in " ".join(told)
        assert "Data sets: mnist5k, digits, synthetic." in told
        assert all(any(line.startswith(f"{size} ") for line in told) for size in model["sizes"])
    assert "base 1 × 1 225,034 15.4 MFLOP 490 MB" in block(lines, "cnn")
    assert "large 4 × 6 18,934,282 3.20 GFLOP 1.24 GB" in block(lines, "transformer")
    assert any("--architecture FILE" in line for line in block(lines, "keras"))
    assert any(line.startswith("mnist5k 28 × 28 10 4,000 5,000 images") for line in lines)


def test_the_catalogue_says_on_which_data_its_figures_are_and_why_some_are_none():
    lines = shown(tables.workloads(catalogue.listing()), width=80)
    assert "those on mnist5k, the default data set" in lines[0]
    assert "base 1 × 1 — — 374 MB" in block(lines, "random_forest")
    assert any(line.startswith("No FLOPs: growing") for line in block(lines, "random_forest"))
    assert any(line.startswith("No parameters: the") for line in block(lines, "random_forest"))


def test_a_model_type_that_does_not_take_the_default_data_set_is_in_the_catalogue():
    listing = catalogue.listing()
    (cnn,) = (item for item in listing["model_types"] if item["name"] == "cnn")
    cnn |= {"sizes": {}, "datasets": ["gestures"], "title": "[bold]"}
    told = block(shown(tables.workloads(listing), width=80), "cnn")
    assert told[0] == "cnn: [bold]"
    assert told[-2:] == ["Data sets: gestures.", "Its sizes cannot be worked out on mnist5k."]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"method": "measured", "window_s": 60.0}, "20.8 W measured over 60 s"),
        ({"method": "estimated", "window_s": None}, "20.8 W estimated"),
        ({"method": "unavailable", "window_s": None, "power_w": None}, " — "),
    ],
)
def test_the_idle_power_of_a_host_is_shown(fields, told):
    baseline = Baseline(**{"power_w": 20.8, "energy_j": None} | fields)
    assert told in shown(tables.hosts([HOST.model_copy(update={"baseline": baseline})]))[1]


def test_a_comparison_says_its_verdict_first_then_figures_and_what_stands_between():
    found = Comparison(
        a=("one",),
        b=("two",),
        energy_a_j=100.0,
        energy_b_j=80.0,
        ratio=0.8,
        low=0.7,
        high=0.9,
        less="b",
        holds="in_all",
        cancels=True,
        scenarios=45,
        agreeing=45,
        against=(),
        sets={"specpower": 0.75},
        sentences=("B used less.", "One [run] each."),
    )
    assert shown(tables.comparison(found)) == [
        "B used less.",
        "",
        "A 100 J, job one",
        "B 80.0 J, job two",
        "B / A 0.800 (0.700 to 0.900, 45 ways)",
        "0.750 under the set specpower",
        "",
        "- One [run] each.",
    ]
    unknown = found.model_copy(
        update={"ratio": None, "low": None, "high": None, "energy_a_j": None, "sets": {}}
    )
    assert shown(tables.comparison(unknown))[2:4] == ["A —, job one", "B 80.0 J, job two"]
