"""A job as it is typed: with curl, in Python, on the command line."""

import json
import pprint
import shlex
from typing import Any

from app.domain.specs import JobSpec


def asked(spec: JobSpec) -> dict[str, Any]:
    """The spec as JSON without what is at its default, and what the service itself filled in."""
    body = spec.model_dump(mode="json", exclude_defaults=True)
    body.get("dataset", {}).pop("uploaded", None)
    body.pop("experiment_id", None)
    return {**body, "size": spec.model_dump(mode="json")["size"], "epochs": spec.epochs}


def snippets(spec: JobSpec, url: str, *, key: bool) -> dict[str, str]:
    """How the same job is submitted, by the name of the way.

    Args:
        spec: the job.
        url: of the service.
        key: whether it asks for one.
    """
    body = asked(spec)
    return {
        "curl": _curl(body, url, key=key),
        "Python": _python(body, url, key=key),
        "command line": _command(body),
    }


def _curl(body: dict[str, Any], url: str, *, key: bool) -> str:
    words = [f"curl -s {url}/v1/jobs -H 'Content-Type: application/json'"]
    if key:
        words.append('-H "Authorization: Bearer $TRAINWATT_API_KEY"')
    words.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(words)


def _python(body: dict[str, Any], url: str, *, key: bool) -> str:
    given = ', api_key=os.environ["TRAINWATT_API_KEY"]' if key else ""
    imports = ["import os", ""] if key else []
    return "\n".join(
        [
            *imports,
            "from app.client import Client",
            "",
            f"spec = {pprint.pformat(body, sort_dicts=False, width=88)}",
            f'with Client("{url}"{given}) as client:',
            "    job = client.submit(spec, wait=300)",
            "    print(client.report(job.id).energy.total_j)",
        ]
    )


def _command(body: dict[str, Any]) -> str:
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return f"trainwatt submit --wait --spec - <<'SPEC'\n{text}\nSPEC"
