"""Flat rows of reports with what they are sorted by, totals, idempotency keys, and notices.

A row is made here from the stored JSON alone, so that later changes of reports and rows do not
change what this revision does.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.domain.errors import UsageError

revision = "0002"
down_revision = "0001"

# Who listens to `trainwatt_jobs` hears of every change of a job, whoever makes it: its
# identifier, after the commit. A reading is stored with a write of its job, so it is heard too.
BEFORE = """
ALTER TABLE reports
    ADD COLUMN row json,
    ADD COLUMN status text,
    ADD COLUMN model_type text,
    ADD COLUMN host text,
    ADD COLUMN finished_at timestamptz,
    ADD COLUMN energy_total_j double precision,
    ADD COLUMN co2e_g double precision,
    ADD COLUMN test_accuracy double precision,
    ADD COLUMN j_per_sample double precision;

CREATE TABLE totals (
    status text PRIMARY KEY,
    jobs bigint NOT NULL,
    energy_j double precision NOT NULL
);

CREATE TABLE idempotency_keys (
    key text PRIMARY KEY,
    spec_sha256 text NOT NULL,
    job_id text NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job_id);

CREATE FUNCTION trainwatt_notify_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trainwatt_jobs', NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER trainwatt_notify_job AFTER INSERT OR UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION trainwatt_notify_job();
"""

# Each index is an order to walk along. What rows are filtered by stands behind it, so that those
# of other hosts are passed over without a look at the table; in the usual order it stands before.
AFTER = """
ALTER TABLE reports
    ALTER COLUMN row SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN model_type SET NOT NULL,
    ALTER COLUMN finished_at SET NOT NULL;
CREATE INDEX reports_by_time ON reports (finished_at, job_id, status, model_type, host);
CREATE INDEX reports_by_status ON reports (status, finished_at, job_id);
CREATE INDEX reports_by_model_type ON reports (model_type, finished_at, job_id);
CREATE INDEX reports_by_host ON reports (host, finished_at, job_id);
CREATE INDEX reports_by_energy ON reports (energy_total_j, job_id, status, model_type, host);
CREATE INDEX reports_by_emissions ON reports (co2e_g, job_id, status, model_type, host);
CREATE INDEX reports_by_accuracy ON reports (test_accuracy, job_id, status, model_type, host);
CREATE INDEX reports_by_energy_per_sample
    ON reports (j_per_sample, job_id, status, model_type, host);

INSERT INTO totals (status, jobs, energy_j)
SELECT status, count(*), coalesce(sum((row ->> 'energy_spent_j')::double precision), 0)
FROM reports GROUP BY status;
"""

BATCH = 500  # reports that are held in memory at once
OLD = sa.text("""
SELECT job_id, body, spec::text, spec_sha256, jobs.status, jobs.model_type, jobs.host,
    jobs.created_at, coalesce(jobs.finished_at, now()) AS finished_at
FROM reports JOIN jobs ON jobs.id = job_id
WHERE job_id > :after ORDER BY job_id LIMIT :batch
""")
FILL = sa.text("""
UPDATE reports SET row = CAST(:row AS json), status = :status, model_type = :model_type,
    host = :host, finished_at = :finished_at,
    energy_total_j = :energy_total_j, co2e_g = :co2e_g, test_accuracy = :test_accuracy,
    j_per_sample = :j_per_sample
WHERE job_id = :job_id
""")

# The columns of a row in their order: where each is found in {job, spec, report}, its type, and
# what stands there where the report has nothing of this type.
Column = tuple[str, str, type, Any]


def _component(name: str) -> tuple[Column, ...]:
    place = f"report.energy.{name}"
    return (
        (f"energy_{name}_j", f"{place}.energy_j", float, None),
        (f"energy_{name}_low_j", f"{place}.low_j", float, None),
        (f"energy_{name}_high_j", f"{place}.high_j", float, None),
        (f"energy_{name}_method", f"{place}.method", str, "unavailable"),
    )


COLUMNS: tuple[Column, ...] = (
    ("job_id", "job.job_id", str, ""),
    ("status", "job.status", str, ""),
    ("created_at", "job.created_at", str, ""),
    ("started_at", "report.started_at", str, None),
    ("finished_at", "report.finished_at", str, None),
    ("host", "report.environment.host", str, None),
    ("attempts", "job.attempts", int, 0),
    ("model_type", "job.model_type", str, ""),
    ("size", "job.size", str, ""),
    ("epochs", "spec.epochs", int, 0),
    ("batch_size", "spec.batch_size", int, 0),
    ("learning_rate", "spec.learning_rate", float, 0.0),
    ("seed", "spec.seed", int, 0),
    ("dataset", "spec.dataset.name", str, ""),
    ("dataset_samples", "spec.dataset.samples", int, None),
    ("precision", "spec.execution.precision", str, ""),
    ("tags", "job.tags", str, "{}"),
    ("spec_sha256", "job.spec_sha256", str, ""),
    ("duration_s", "report.duration_s", float, 0.0),
    ("mean_power_w", "report.mean_power_w", float, None),
    *_component("cpu"),
    *_component("gpu"),
    *_component("ram"),
    ("energy_total_j", "report.energy.total_j", float, None),
    ("energy_total_low_j", "report.energy.low_j", float, None),
    ("energy_total_high_j", "report.energy.high_j", float, None),
    ("complete", "report.energy.complete", bool, False),
    ("energy_baseline_j", "report.energy.baseline.energy_j", float, None),
    ("energy_net_j", "report.energy.net_j", float, None),
    ("energy_wall_j", "report.energy.wall.energy_j", float, None),
    ("energy_wall_low_j", "report.energy.wall.low_j", float, None),
    ("energy_wall_high_j", "report.energy.wall.high_j", float, None),
    ("energy_spent_j", "report.energy.spent_j", float, None),
    ("codecarbon_kwh", "report.stock_codecarbon.total_kwh", float, None),
    ("co2e_g", "report.emissions.co2e_g", float, None),
    ("co2e_low_g", "report.emissions.low_g", float, None),
    ("co2e_high_g", "report.emissions.high_g", float, None),
    ("intensity_g_per_kwh", "report.emissions.intensity_g_per_kwh", float, None),
    ("country_iso_code", "report.emissions.country_iso_code", str, None),
    ("region", "report.emissions.region", str, None),
    ("pue", "report.emissions.pue", float, 1.0),
    ("parameters", "report.work.parameters", int, 0),
    ("layers", "report.work.layers", int, 0),
    ("flops_per_sample", "report.work.flops_per_sample", int, None),
    ("samples", "report.work.samples", int, 0),
    ("flops", "report.work.flops", int, None),
    ("training_s", "report.work.training_s", float, 0.0),
    ("achieved_flops_per_s", "report.work.achieved_flops_per_s", float, None),
    ("test_accuracy", "report.quality.test_accuracy", float, None),
    ("test_loss", "report.quality.test_loss", float, None),
    ("best_epoch", "report.quality.best_epoch", int, None),
    ("training_j", "report.efficiency.training_j", float, None),
    ("j_per_sample", "report.efficiency.j_per_sample", float, None),
    ("j_per_epoch", "report.efficiency.j_per_epoch", float, None),
    ("flops_per_j", "report.efficiency.flops_per_j", float, None),
    ("j_to_target", "report.efficiency.j_to_target", float, None),
    ("j_after_best_epoch", "report.efficiency.j_after_best_epoch", float, None),
    ("grade", "report.trust.grade", str, "F"),
    ("reasons", "job.reasons", str, ""),
    ("contention_share", "report.trust.contention_share", float, None),
    ("steal_s", "report.trust.steal_s", float, None),
    ("threads", "report.environment.threads", int, None),
    ("assumptions", "report.assumptions.set", str, ""),
    ("readings_sha256", "report.readings_sha256", str, None),
    ("target_accuracy", "spec.target_accuracy", float, None),
    ("target_reached", "report.quality.target_reached", bool, None),
)


def upgrade() -> None:
    """Make the columns and tables, and fill them from the reports that are there."""
    connection = op.get_bind()
    raw = connection.execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql(BEFORE)
    after = ""
    while old := connection.execute(OLD, {"after": after, "batch": BATCH}).all():
        connection.execute(FILL, [_filled(report) for report in old])
        after = old[-1].job_id
    raw.exec_driver_sql(AFTER)


def _filled(old: sa.Row[Any]) -> dict[str, Any]:
    flat = row(old)
    return {
        "job_id": old.job_id,
        "row": json.dumps(flat, ensure_ascii=False, separators=(",", ":")),
        "status": old.status,
        "model_type": old.model_type,
        "host": old.host,
        "finished_at": _moment(flat["finished_at"]) or old.finished_at,
        "energy_total_j": flat["energy_total_j"],
        "co2e_g": flat["co2e_g"],
        "test_accuracy": flat["test_accuracy"],
        "j_per_sample": flat["j_per_sample"],
    }


def row(old: Any) -> dict[str, Any]:
    """The flat row of a row of `OLD`.

    Raises:
        UsageError: the report is no JSON object.
    """
    report, spec = _report(old.job_id, bytes(old.body)), _loaded(old.spec)
    found = {"job": _gathered(old, spec, report), "spec": spec, "report": report}
    return {name: _typed(_at(found, place), kind, other) for name, place, kind, other in COLUMNS}


def _report(job_id: str, body: bytes) -> dict[str, Any]:
    try:
        report = _loaded(body)
    except (ValueError, RecursionError) as error:
        raise _no_report(job_id, str(error)) from error
    if not isinstance(report, dict):
        raise _no_report(job_id, f"it is of type {type(report).__name__}")
    return report


def _loaded(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=lambda _: None)


def _no_report(job_id: str, why: str) -> UsageError:
    return UsageError(
        f"the stored report of job {job_id} is no JSON object ({why}), so the database cannot be "
        "brought to this version, and is as it was: delete that job, or put its report right"
    )


def _gathered(old: Any, spec: Any, report: dict[str, Any]) -> dict[str, Any]:
    """What is known of the job, and what of its spec and report is put together."""
    return {
        "job_id": old.job_id,
        "status": old.status,
        "model_type": old.model_type,
        "spec_sha256": old.spec_sha256,
        "created_at": old.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "attempts": len(_list(report.get("attempts"))),
        "size": _size(_at(spec, "size")),
        "tags": json.dumps(_at(spec, "tags") or {}, sort_keys=True, ensure_ascii=False),
        "reasons": " ".join(
            _typed(_at(reason, "code"), str, "?") for reason in _list(_at(report, "trust.reasons"))
        ),
    }


def _size(size: Any) -> Any:
    width, depth = (_typed(_at(size, name), float, None) for name in ("width", "depth"))
    return size if width is None or depth is None else f"width={width:g},depth={depth}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(value: Any, place: str) -> Any:
    """What stands at a place like `energy.cpu.low_j`; null where there is none."""
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _typed(value: Any, kind: type, other: Any) -> Any:
    """The value, where it is one of this type that the database can hold."""
    if kind is str and isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "")
    if isinstance(value, bool) or kind in {str, bool}:
        return value if type(value) is kind else other
    known = isinstance(value, int if kind is int else int | float)
    return value if known and abs(value) <= sys.float_info.max else other


def _moment(value: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
