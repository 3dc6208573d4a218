"""A job as it is typed: what stands there makes the same job."""

import ast
import json
import shlex

import pytest

from app.domain.specs import JobSpec
from app.web.snippets import snippets

SPEC = JobSpec.model_validate(
    {
        "model_type": "rnn",
        "size": {"width": 1.5, "depth": 2},
        "tags": {"who": 'O\'Brien; $(rm -rf /) `x` "q"'},
        "early_stopping": {"patience": 2},
    }
)
URL = "http://127.0.0.1:8000"


@pytest.mark.parametrize("key", [False, True])
def test_curl_sends_this_spec(key):
    words = shlex.split(snippets(SPEC, URL, key=key)["curl"].replace("\\\n", " "))
    assert words[:3] == ["curl", "-s", f"{URL}/v1/jobs"]
    assert JobSpec.model_validate_json(words[-1]) == SPEC
    assert ("Authorization: Bearer $TRAINWATT_API_KEY" in words) is key


@pytest.mark.parametrize("key", [False, True])
def test_the_python_is_python_with_this_spec(key):
    tree = ast.parse(snippets(SPEC, URL, key=key)["Python"])
    (spec,) = [ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign)]
    assert JobSpec.model_validate(spec) == SPEC


def test_the_command_reads_this_spec():
    first, *body, last = snippets(SPEC, URL, key=False)["command line"].splitlines()
    assert (first, last) == ("trainwatt submit --wait --spec - <<'SPEC'", "SPEC")
    assert JobSpec.model_validate(json.loads("\n".join(body))) == SPEC


def test_what_the_service_filled_in_is_not_repeated():
    uploaded = {
        "sha256": "0" * 64,
        "shape": [2],
        "classes": 2,
        "training_samples": 10,
        "validation_samples": 2,
        "test_samples": 2,
        "min_training_samples": 2,
    }
    spec = JobSpec.model_validate(
        {"model_type": "mlp", "dataset": {"name": "mine", "uploaded": uploaded}}
    )
    assert "sha256" not in "".join(snippets(spec, URL, key=False).values())
