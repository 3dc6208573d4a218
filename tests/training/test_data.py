"""The parts are disjoint, stratified and seeded; synthetic data carry a signal and noise."""

import io
import os
import threading
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from app.domain.specs import JobSpec
from app.service.npz import inspect
from app.training import data
from app.workloads import catalogue


def spec(dataset, *, model_type="rnn", seed=0):
    return JobSpec.model_validate({"model_type": model_type, "dataset": dataset, "seed": seed})


def load(asked, cache_dir):
    return data.load(asked, catalogue.facts(asked), cache_dir)


def parts(loaded):
    return loaded.training, loaded.validation, loaded.test


def rows(part):
    return [x.tobytes() for x in part.x]


@pytest.mark.parametrize(
    ("name", "sizes"), [("mnist5k", (4000, 500, 500)), ("digits", (1437, 180, 180))]
)
def test_the_parts_of_real_data_are_all_of_them_and_disjoint(name, sizes, cache_dir):
    loaded = load(spec({"name": name}), cache_dir)
    images, _ = data.cached(name, cache_dir)
    assert tuple(len(part.x) for part in parts(loaded)) == sizes
    everything = [row for part in parts(loaded) for row in rows(part)]
    scaled = (images / np.float32(255)).astype(np.float32)
    assert sorted(everything) == sorted(x.tobytes() for x in scaled)


@pytest.mark.parametrize("name", ["mnist5k", "digits", "synthetic"])
def test_every_class_is_in_each_part_in_its_proportion(name, cache_dir):
    loaded = load(spec({"name": name}), cache_dir)
    whole = np.bincount(np.concatenate([part.y for part in parts(loaded)]))
    for part in parts(loaded):
        assert np.abs(np.bincount(part.y) - whole * len(part.y) / whole.sum()).max() <= 1


@pytest.mark.parametrize("name", ["mnist5k", "digits", "synthetic"])
def test_the_seed_decides_the_split(name, cache_dir):
    one, again = load(spec({"name": name}), cache_dir), load(spec({"name": name}), cache_dir)
    other = load(spec({"name": name}, seed=1), cache_dir)
    for a, b, c in zip(parts(one), parts(again), parts(other), strict=True):
        assert np.array_equal(a.x, b.x)
        assert np.array_equal(a.y, b.y)
        assert not np.array_equal(a.x, c.x)


@pytest.mark.parametrize("name", ["mnist5k", "digits", "synthetic"])
def test_samples_leave_validation_and_test_whole(name, cache_dir):
    full = load(spec({"name": name}), cache_dir)
    few = load(spec({"name": name, "samples": 100}), cache_dir)
    assert np.bincount(few.training.y).min() >= 9
    assert len(few.training.x) == 100
    assert set(rows(few.training)) <= set(rows(full.training))
    assert np.array_equal(few.validation.x, full.validation.x)
    assert np.array_equal(few.test.x, full.test.x)


@pytest.mark.parametrize("name", ["mnist5k", "digits"])
@pytest.mark.parametrize(("model_type", "shape"), [("cnn", (28, 28, 1)), ("rnn", (28, 28))])
def test_real_data_come_in_the_models_shape_from_0_to_1(name, model_type, shape, cache_dir):
    x = load(spec({"name": name}, model_type=model_type), cache_dir).training.x
    assert x.shape[1:] == shape
    assert x.dtype == np.float32
    assert (x.min(), x.max()) == (0, 1)


def test_digits_are_enlarged_by_three_and_padded_by_two(cache_dir):
    from sklearn.datasets import load_digits

    images, labels = data.cached("digits", cache_dir)
    original = load_digits()
    assert np.array_equal(labels, original.target)
    assert images[:, :2].max() == images[:, -2:].max() == 0
    assert images[:, :, :2].max() == images[:, :, -2:].max() == 0
    inner = images[:, 2:-2, 2:-2]
    for row in range(3):
        for column in range(3):
            small = inner[:, row::3, column::3]
            assert np.allclose(small * (16 / 255), original.images, atol=0.04)


@pytest.mark.parametrize(
    ("shape", "classes", "samples"),
    [([100, 10], 10, None), ([28, 28], 10, 1000), ([5, 3], 4, 400), ([100, 10], 2, None)],
)
def test_a_linear_model_learns_synthetic_data_but_not_wholly(shape, classes, samples, cache_dir):
    asked = spec({"name": "synthetic", "shape": shape, "classes": classes, "samples": samples})
    training, _, test = parts(load(asked, cache_dir))
    model = LogisticRegression(max_iter=500).fit(
        training.x.reshape(len(training.x), -1), training.y
    )
    score = model.score(test.x.reshape(len(test.x), -1), test.y)
    assert 1 / classes + 0.2 < score < 1


def test_synthetic_images_have_their_channels(cache_dir):
    asked = spec({"name": "synthetic", "shape": [12, 11, 3]}, model_type="cnn")
    assert load(asked, cache_dir).training.x.shape == (4000, 12, 11, 3)


def test_the_file_is_read_and_the_package_not_asked_again(cache_dir, monkeypatch):
    first = data.cached("digits", cache_dir)
    monkeypatch.setitem(data.LOADERS, "digits", lambda: pytest.fail("loaded again"))
    again = data.cached("digits", cache_dir)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


def test_two_that_come_at_once_both_get_whole_data(tmp_path, monkeypatch):
    images, labels = np.full((50, 28, 28), 7, np.uint8), np.arange(50, dtype=np.uint8)
    both_missed = threading.Barrier(2)

    def loader():
        both_missed.wait(timeout=10)
        return images, labels

    monkeypatch.setitem(data.LOADERS, "digits", loader)
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(data.cached("digits", tmp_path)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [np.array_equal(a, images) and np.array_equal(b, labels) for a, b in got] == [True] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["digits.npz"]


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setitem(data.LOADERS, "digits", lambda: (np.zeros((1, 28, 28), np.uint8), "y"))

    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(data.np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        data.cached("digits", tmp_path)
    assert list(tmp_path.iterdir()) == []


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def _flip(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)


def _other(path):
    np.savez(path, images=np.zeros((3, 8, 8), np.uint8), labels=np.zeros(3, np.uint8))


def _without_labels(path):
    np.savez(path, images=np.zeros((3, 28, 28), np.uint8))


@pytest.mark.parametrize(
    "spoil",
    [
        _cut,
        _flip,
        _other,
        _without_labels,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a file of numpy"),
    ],
)
def test_a_broken_file_is_made_again(tmp_path, spoil):
    images, labels = data.cached("digits", tmp_path)
    path = tmp_path / "digits.npz"
    good = path.stat().st_size
    spoil(path)
    again = data.cached("digits", tmp_path)
    assert np.array_equal(again[0], images)
    assert np.array_equal(again[1], labels)
    assert path.stat().st_size == good
    assert [p.name for p in tmp_path.iterdir()] == ["digits.npz"]


def test_what_a_killed_process_left_is_removed_and_what_is_written_now_is_not(tmp_path):
    old, new = tmp_path / "old.tmp", tmp_path / "new.tmp"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    data.cached("digits", tmp_path)
    assert not old.exists()
    assert new.exists()


@given(
    classes=st.integers(2, 20),
    samples=st.integers(1, 300),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_label_noise_makes_just_its_share_wrong(classes, samples, share, seed):
    y = (np.arange(samples) % classes).astype(np.int32)
    spoilt = data.noisy(y, classes, share, seed)
    assert spoilt.dtype == np.int32
    assert (spoilt != y).sum() == round(share * samples)
    assert ((spoilt >= 0) & (spoilt < classes)).all()
    more = data.noisy(y, classes, 1.0, seed)
    assert (spoilt[spoilt != y] == more[spoilt != y]).all()


def test_label_noise_leaves_validation_and_test_as_they_are(cache_dir):
    clean, noisy = (
        load(spec({"name": "digits", "samples": 100, "label_noise": noise}), cache_dir)
        for noise in (0.0, 0.25)
    )
    assert (clean.training.y != noisy.training.y).sum() == 25
    assert np.array_equal(clean.training.x, noisy.training.x)
    for part in ("validation", "test"):
        assert np.array_equal(getattr(clean, part).y, getattr(noisy, part).y)


def kept(cache_dir, *, x=None, y=None, **more):
    """The data set of a user's in the cache, as the service has looked it through."""
    x = np.random.default_rng(0).integers(0, 256, (300, 5, 4), np.uint8) if x is None else x
    y = np.arange(len(x)) % 3 if y is None else y
    file = io.BytesIO()
    np.savez(file, x_train=x, y_train=y, **more)
    found = inspect(file, max_bytes=2**20)
    uploaded = {"sha256": "a" * 64, "shape": found.shape, "classes": found.classes}
    (cache_dir / f"{'a' * 64}.npz").write_bytes(file.getvalue())
    return {"name": "mine", "uploaded": uploaded | asdict(found.split)}


def test_a_user_s_data_are_split_as_the_service_has_said(tmp_path):
    x = np.random.default_rng(0).standard_normal((301, 5, 4))
    y = np.minimum(np.arange(301) // 12, 2)  # 12, 12 and 277 samples
    asked = spec(kept(tmp_path, x=x, y=y))
    loaded = load(asked, tmp_path)
    facts = catalogue.facts(asked)
    sizes = [len(part.y) for part in parts(loaded)]
    assert sizes == [facts.training_samples, facts.validation_samples, facts.test_samples]
    assert sizes == [239, 31, 31]
    everything = sorted(row for part in parts(loaded) for row in rows(part))
    assert everything == sorted(sample.tobytes() for sample in x.astype(np.float32))
    assert all(set(part.y) == {0, 1, 2} for part in parts(loaded))
    few = asked.dataset.model_copy(update={"samples": asked.dataset.uploaded.min_training_samples})
    fewest = load(asked.model_copy(update={"dataset": few, "batch_size": 1}), tmp_path)
    assert set(fewest.training.y) == {0, 1, 2}
    assert np.array_equal(fewest.test.x, loaded.test.x)


def test_the_seed_decides_the_split_of_a_user_s_data(tmp_path):
    dataset = kept(tmp_path)
    one, again, other = (load(spec(dataset, seed=seed), tmp_path) for seed in (0, 0, 1))
    assert rows(one.test) == rows(again.test) != rows(other.test)


def test_a_test_part_of_a_user_s_own_is_left_as_it_is(tmp_path):
    x_test = np.full((7, 5, 4), 51, np.uint8)
    y_test = np.arange(7) % 3
    loaded = load(spec(kept(tmp_path, x_test=x_test, y_test=y_test)), tmp_path)
    assert np.array_equal(loaded.test.y, y_test)
    assert np.array_equal(loaded.test.x, np.full((7, 5, 4), 51 / 255, np.float32))
    assert (len(loaded.training.y), len(loaded.validation.y)) == (270, 30)


@pytest.mark.parametrize(
    ("dtype", "value", "read"),
    [("u1", 255, 1.0), ("<i2", 255, 255.0), (">f8", -2.5, -2.5), ("f2", 0.5, 0.5), ("?", 1, 1.0)],
)
def test_only_bytes_are_scaled(dtype, value, read, tmp_path):
    x = np.full((300, 5, 4), value, dtype, order="F")
    training = load(spec(kept(tmp_path, x=x)), tmp_path).training.x
    assert training.dtype == np.float32
    assert training.flags.c_contiguous
    assert (training == read).all()


def test_a_user_s_images_come_in_the_model_s_shape(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (300, 12, 11, 3), np.uint8)
    dataset = kept(tmp_path, x=np.asfortranarray(x))
    training = load(spec(dataset, model_type="cnn"), tmp_path).training
    assert training.x.shape == (240, 12, 11, 3)
    assert set(rows(training)) <= {(image / np.float32(255)).tobytes() for image in x}
