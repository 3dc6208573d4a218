"""A database with so many finished jobs and their reports, made in SQL."""

from datetime import UTC, datetime

import psycopg

from app.accounting.report import empty_report
from app.accounting.rows import row
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
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
TOTALS = """
INSERT INTO totals (status, jobs, energy_j)
SELECT status, count(*), coalesce(sum(energy_total_j), 0)
FROM reports GROUP BY status
"""


def fill(url: str, jobs: int) -> None:
    """Bring the database to the schema of now, and put this many finished jobs into it."""
    migrate(url)
    values = {"jobs": jobs, **_texts()}
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SET session_replication_role = replica")  # nobody has to be notified
        for statement in (DRAWN, JOBS, REPORTS, TOTALS):
            connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # as autovacuum would have


def _texts() -> dict[str, str]:
    spec = JobSpec.model_validate({"model_type": "cnn", "size": "base", "epochs": 3})
    report = empty_report(
        job_id="THE-JOB",
        spec=spec,
        status=JobStatus.SUCCEEDED,
        work=catalogue.facts(spec),
        intensity=UNPRICED,
        finished_at=MOMENT,
        earlier=(),
    )
    flat = row(report, spec=spec, created_at=MOMENT)
    return {
        "spec": spec.model_dump_json(),
        "body": report.model_dump_json(),
        "row": flat.model_dump_json(),
    }
