"""`trainwatt datasets` as real processes against a real API."""

import json

import numpy as np
import pytest


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "gestures.npz"
    np.savez(path, x_train=np.zeros((120, 28, 28), np.uint8), y_train=np.arange(120) % 2)
    return path


def sentence(done):
    (line,) = done.stderr.splitlines()
    assert done.stdout == ""
    assert line.startswith("trainwatt: ")
    return line


def test_upload_list_train_and_delete(trainwatt, npz):
    assert "No data sets of your own" in trainwatt("datasets").stdout
    made = trainwatt("datasets", "upload", str(npz))
    assert (made.returncode, made.stderr) == (0, "")
    header, line = made.stdout.splitlines()
    assert header.split()[:3] == ["Data", "set", "Shape"]
    assert line.startswith("gestures")
    assert "96 / 12 / 12" in line
    named = json.loads(trainwatt("datasets", "upload", str(npz), "--name", "b", "--json").stdout)
    assert named["name"] == "b"
    listed = json.loads(trainwatt("datasets", "--json").stdout)
    assert [item["name"] for item in listed["items"]] == ["b", "gestures"]
    assert json.loads(trainwatt("datasets", "list", "--json").stdout) == listed
    for command in (("datasets",), ("datasets", "list")):
        assert "gestures" in trainwatt(*command).stdout
    assert "gestures" in trainwatt("workloads").stdout
    job = trainwatt("submit", "--model-type", "cnn", "--dataset", "gestures", "--json")
    assert json.loads(job.stdout)["spec"]["dataset"]["uploaded"]["classes"] == 2
    kept = trainwatt("datasets", "delete", "gestures")
    assert kept.returncode == 2
    assert "which is queued" in sentence(kept)
    assert trainwatt("datasets", "delete", "b").stdout == "The data set b is deleted.\n"
    trainwatt("datasets", "upload", str(npz), "--name", "c")
    deleted = trainwatt("datasets", "delete", "c", "--json")
    assert json.loads(deleted.stdout)["name"] == "c"
    assert sentence(trainwatt("datasets", "delete", "c", "--json")).count("no data set 'c'") == 1


def test_what_cannot_be_is_one_sentence(trainwatt, npz, tmp_path):
    spoilt = tmp_path / "spoilt.npz"
    spoilt.write_bytes(b"x")
    for arguments, words in [
        (("upload", str(tmp_path / "none.npz")), "none.npz cannot be read"),
        (("upload", str(tmp_path)), "cannot be read"),
        (("upload", str(spoilt)), "body: expected an .npz file of numpy"),
        (("upload", str(npz), "--name", "digits"), "name: expected a name other than"),
        (("upload", str(npz), "--name", "../x"), "name: expected text matching"),
        (("delete", "none"), "no data set 'none'"),
    ]:
        done = trainwatt("datasets", *arguments)
        assert done.returncode == 2
        assert words in sentence(done)
