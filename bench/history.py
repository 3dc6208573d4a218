"""A database with so many finished jobs and their reports, made in SQL."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from app.accounting.report import empty_report, report
from app.accounting.rows import row
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, HostFacts, MeterFacts, Method, Reading, Readings
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.migrate import migrate
from app.workloads import catalogue

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
UNPRICED = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)

SPEC = JobSpec.model_validate({"model_type": "cnn", "size": "base", "epochs": 3})
RUN_S = 60  # of the run that a whole report is of, with a reading a second
HOST = HostFacts(
    name="host-3",
    boot_id=None,
    os="Linux",
    python="3.11.2",
    cpu_vendor="AuthenticAMD",
    cpu_model="AMD EPYC",
    cpu_family=25,
    cpu_model_number=17,
    logical_cpus=2,
    host_cpus=2,
    memory_gib=24,
    virtual_machine=True,
)
METER = MeterFacts(
    cpu=ComponentFacts(
        method=Method.ASSUMED, source="codecarbon cpu_load", tdp_w=8, tdp_guessed=True
    ),
    gpu=ComponentFacts(method=Method.ABSENT),
    ram=ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20),
    codecarbon="3.3.2",
)

# A job every 20 s. The draws are hashes of the job's number, so that every database holds the
# same jobs: hosts and model types of unequal shares, nine in ten succeeded, a team and an
# experiment as tags, and no figures for those that were cancelled while queued.
DRAWN = """
CREATE TEMP TABLE drawn AS
SELECT md5('job' || n) AS id, n,
    timestamptz '2026-01-01 00:00:00Z' + n * interval '20 seconds' AS created_at,
    h %% 1000 AS a, (h / 1000) %% 1000 AS b, (h / 1000000) %% 1000 AS c,
    abs(hashint4(-n::int))::bigint %% 1000 AS d
FROM (SELECT n, abs(hashint4(n::int))::bigint AS h FROM generate_series(1, %(jobs)s) AS n) AS s
"""
JOBS = """
INSERT INTO jobs (id, status, spec, spec_sha256, model_type, priority, tags, host, attempt,
    created_at, started_at, finished_at)
SELECT id,
    CASE WHEN a < 900 THEN 'succeeded' WHEN a < 940 THEN 'failed' WHEN a < 980 THEN 'cancelled'
        WHEN a < 990 THEN 'timed_out' ELSE 'budget_exhausted' END,
    %(spec)s::json, md5('spec' || n / 5),
    CASE WHEN b < 600 THEN 'cnn' WHEN b < 900 THEN 'rnn' ELSE 'attention' END,
    0,
    jsonb_build_object('team', 'team-' || c %% 8, 'experiment', 'e' || n / 100),
    CASE WHEN a BETWEEN 940 AND 959 THEN NULL ELSE 'host-' || floor(sqrt(d / 10.0))::int END,
    1, created_at, created_at + interval '1 second', created_at + interval '15 seconds'
FROM drawn
"""
REPORTS = """
INSERT INTO reports (job_id, status, model_type, host, body, row, finished_at, energy_total_j,
    co2e_g, test_accuracy, j_per_sample)
SELECT id, status, model_type, host, convert_to(replace(%(body)s, 'THE-JOB', id), 'UTF8'),
    replace(%(row)s, 'THE-JOB', id)::json, drawn.created_at + interval '15 seconds',
    CASE WHEN a BETWEEN 940 AND 959 THEN NULL ELSE 50 + b + c / 1000.0 END,
    CASE WHEN b < 100 OR a BETWEEN 940 AND 959 THEN NULL ELSE (50 + b) / 64000.0 END,
    CASE WHEN a < 900 THEN 0.5 + c / 2000.0 ELSE NULL END,
    CASE WHEN a < 900 THEN (50 + b) / 12000.0 ELSE NULL END
FROM drawn JOIN jobs USING (id)
"""
# Made once at the end, they take seconds; kept up to date row by row, minutes for a million jobs.
INDICES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid IN ('jobs'::regclass, 'reports'::regclass) AND NOT indisunique
"""
TOTALS = """
INSERT INTO totals (status, jobs, energy_j)
SELECT status, count(*), coalesce(sum(energy_total_j), 0)
FROM reports GROUP BY status
"""


def fill(url: str, jobs: int, *, whole: bool = False) -> None:
    """Bring the database to the schema of now, and put this many finished jobs into it.

    Args:
        url: of an empty database.
        jobs: how many.
        whole: with the report of a run of a minute each, else with one that no run is in.
    """
    migrate(url)
    values = {"jobs": jobs, **_texts(whole_report() if whole else _short_report())}
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SET session_replication_role = replica")  # nobody has to be notified
        connection.execute("SET maintenance_work_mem = '256MB'")
        indices = connection.execute(INDICES).fetchall()
        for name, _ in indices:
            connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        for statement in (DRAWN, JOBS, REPORTS, TOTALS):
            connection.execute(statement, values)
        for _, definition in indices:
            connection.execute(definition)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # as autovacuum would have


def job_id(number: int) -> str:
    """The identifier of one of the jobs that `fill` makes, from 1."""
    return hashlib.md5(f"job{number}".encode(), usedforsecurity=False).hexdigest()


def whole_report() -> EnergyReport:
    """What a run of a minute leaves: three epochs, and a power series with a point a second."""
    return report(
        _readings(),
        job_id="THE-JOB",
        spec=SPEC,
        status=JobStatus.SUCCEEDED,
        work=catalogue.facts(SPEC),
        intensity=UNPRICED,
    )


def _short_report() -> EnergyReport:
    return empty_report(
        job_id="THE-JOB",
        spec=SPEC,
        status=JobStatus.SUCCEEDED,
        work=catalogue.facts(SPEC),
        intensity=UNPRICED,
        finished_at=MOMENT,
        earlier=(),
    )


def _readings() -> Readings:
    """A reading a second under a load that goes up and down, so that no two figures are alike."""
    marks = _marks()
    taken, busy_s, cpu_j = [], 0.0, 0.0
    for second in range(RUN_S + 1):
        taken.append(
            Reading(
                t_s=second + 0.001 * (second % 7),
                cpu_j=cpu_j,
                gpu_j=None,
                ram_j=20.0 * second,
                host_busy_s=busy_s,
                host_steal_s=0.01 * second,
                job_cpu_s=0.95 * busy_s,
                service_cpu_s=0.02 * second,
                instrument_cpu_s=0.003 * second,
                **marks.get(second, {}),
            )
        )
        load = 0.7 + 0.3 * ((second * 37) % 101) / 101
        busy_s, cpu_j = busy_s + 2 * load, cpu_j + 8 * load
    return Readings(attempt=1, started_at=MOMENT, host=HOST, meter=METER, readings=tuple(taken))


def _marks() -> dict[int, dict[str, Any]]:
    """What begins and ends at which second."""
    trained = {"samples": 4000, "loss": 0.41234567, "train_accuracy": 0.8765432}
    validated = {"validation_accuracy": 0.9012345, "validation_loss": 0.3456789}
    setup = {"tensorflow": "2.21.0", "threads": 2, "jit_compile": False}
    marks: dict[int, dict[str, Any]] = {
        0: {"begins": "setup"},
        54: {"begins": "evaluation", "ended": validated},
        58: {"begins": "end", "ended": {"test_accuracy": 0.9123456, "test_loss": 0.3012345}},
    }
    for epoch in range(SPEC.epochs):
        start = 6 + 16 * epoch
        ended = validated if epoch else setup
        marks[start] = {"begins": "epoch", "index": epoch, "ended": ended}
        marks[start + 14] = {"begins": "validation", "index": epoch, "ended": trained}
    return marks


def _texts(one: EnergyReport) -> dict[str, str]:
    flat = row(one, spec=SPEC, created_at=MOMENT)
    return {
        "spec": SPEC.model_dump_json(),
        "body": one.model_dump_json(),
        "row": flat.model_dump_json(),
    }
