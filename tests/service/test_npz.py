"""What an upload is looked through for: sound ones are understood, and no other error escapes."""

import io
import struct
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import SpecError
from app.service import npz
from app.service.npz import Content, inspect

MIB = 2**20
DTYPES = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "|i1", "<i2", ">i8", "|u1", "<u4", "|b1"]


def saved(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def sound(samples=40, classes=2, shape=(3, 2), dtype="<f4", **how):
    x = np.random.default_rng(0).integers(0, 2, (samples, *shape)).astype(dtype)
    return saved(x_train=x, y_train=np.arange(samples) % classes, **how)


def look(content, max_bytes=MIB):
    return inspect(io.BytesIO(content), max_bytes=max_bytes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_number_is_taken(dtype, compressed):
    found = look(sound(dtype=dtype, compressed=compressed))
    assert (found.shape, found.classes, found.samples) == ((3, 2), 2, 40)
    assert found.dtype == np.dtype(dtype).name


@pytest.mark.parametrize("dtype", ["u1", "i1", ">u2", "<i4", ">i8", "u8"])
def test_every_integer_is_a_label(dtype):
    y = (np.arange(120) % 10).astype(dtype)
    assert look(saved(x_train=np.zeros((120, 4), "u1"), y_train=y)).classes == 10


def test_fortran_order_changes_nothing():
    x = np.asfortranarray(np.zeros((40, 3, 2)))
    assert look(saved(x_train=x, y_train=np.arange(40) % 2)) == look(sound(dtype="f8"))


def test_the_split_is_a_tenth_a_tenth_and_the_rest():
    split = look(sound(samples=1797)).split
    parts = (split.training_samples, split.validation_samples, split.test_samples)
    assert parts == (1437, 180, 180)


def test_a_test_part_of_its_own():
    x, y = np.zeros((100, 5), "u1"), np.arange(100) % 2
    found = look(saved(x_train=x, y_train=y, x_test=x[:7], y_test=y[:7]))
    assert found.samples == 107
    parts = found.split.training_samples, found.split.validation_samples, found.split.test_samples
    assert parts == (90, 10, 7)


@pytest.mark.parametrize("value", [2.0**127 * 1.5, -3.4028234663852886e38, 1e300])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f8"])
def test_what_float32_can_hold_is_taken_to_its_last_value(value, dtype):
    x = np.zeros((40, 2), dtype)
    with np.errstate(over="ignore"):
        x[-1, -1] = value
    content = saved(x_train=x, y_train=np.arange(40) % 2)
    if abs(value) <= float(np.finfo("f4").max):
        assert look(content).samples == 40
    else:
        with pytest.raises(SpecError, match="that float32 can hold"):
            look(content)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_one_value_that_is_not_finite_is_found_wherever_it_stands(dtype, data):
    x = np.zeros((40, 9), data.draw(st.sampled_from("<>")) + dtype)
    x.flat[data.draw(st.integers(0, x.size - 1))] = data.draw(
        st.sampled_from([np.nan, np.inf, -np.inf])
    )
    with pytest.raises(SpecError, match="finite values"):
        look(saved(x_train=x, y_train=np.arange(40) % 2))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_values_next_to_the_largest_are_taken_up_to_it(dtype, data):
    order, size = data.draw(st.sampled_from("<>")), int(dtype[1])
    largest = np.array(npz.LARGEST[size], f"u{size}").view(dtype)
    assert largest == (np.finfo("f2") if size == 2 else np.finfo("f4")).max
    near = st.integers(npz.LARGEST[size] - 3, npz.LARGEST[size] + 3)
    signs = st.sampled_from([0, 1 << 8 * size - 1])
    bits = data.draw(st.lists(st.builds(int.__or__, near, signs), min_size=1, max_size=40))
    values = np.array(bits, f"u{size}").astype(f"{order}u{size}").view(order + dtype)
    x = np.zeros((40, len(values)), order + dtype)
    x[data.draw(st.integers(0, 39))] = values
    content = saved(x_train=x, y_train=np.arange(40) % 2)
    beyond = [value for value in values.tolist() if not abs(value) <= largest]
    if beyond:
        with pytest.raises(SpecError) as caught:
            look(content)
        assert caught.value.errors[0].received == str(beyond[0])
    else:
        assert look(content).samples == 40


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f4", ">f8"])
def test_large_values_are_unpacked_one_by_one_only_where_one_is_beyond(dtype, monkeypatch):
    unpacked = []

    def iter_unpack(code, piece):
        unpacked.append(len(piece))
        return struct.iter_unpack(code, piece)

    monkeypatch.setattr(npz, "struct", SimpleNamespace(iter_unpack=iter_unpack, error=struct.error))
    x = np.full((1000, 100), npz.FLOAT32_MAX if dtype != "<f2" else 65504, dtype)
    y = np.arange(1000) % 2
    assert look(saved(x_train=x, y_train=y)).samples == 1000
    assert unpacked == []
    x[-1, -1] = np.inf
    with pytest.raises(SpecError, match="received 'inf'"):
        look(saved(x_train=x, y_train=y))
    assert len(unpacked) == 1
    assert unpacked[0] <= npz.PIECE_BYTES


def test_values_are_looked_at_in_every_chunk(monkeypatch):
    monkeypatch.setattr(npz, "CHUNK_BYTES", 64)
    monkeypatch.setattr(npz, "PIECE_BYTES", 16)
    monkeypatch.setattr(npz, "_repeated", npz._repeated.__wrapped__)
    assert look(sound()).samples == 40
    x = np.zeros((40, 6), "f4")
    x[-1, -1] = np.nan
    with pytest.raises(SpecError, match="finite values"):
        look(saved(x_train=x, y_train=np.arange(40) % 2))


def test_a_list_of_members_that_would_take_memory_is_not_read():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for number in range(15_000):
            made.writestr(f"{number:>40}", b"")
    with pytest.raises(SpecError, match="list of members is too long"):
        inspect(file, max_bytes=256 * MIB)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_in_words(noise):
    for content in (
        noise,
        b"PK\x03\x04" + noise,
        b"PK\x03\x04" + noise + b"PK\x05\x06" + bytes(18),
    ):
        with pytest.raises(SpecError, match="expected"):
            look(content)


WHOLE = {compressed: sound(compressed=compressed) for compressed in (False, True)}


@given(st.booleans(), st.data())
@settings(deadline=None, max_examples=500)
def test_a_sound_file_with_changed_bytes_is_refused_or_understood(compressed, data):
    made = bytearray(WHOLE[compressed])
    places = st.integers(0, len(made) - 1)
    if data.draw(st.booleans()):  # the list of members, which is most of what can go wrong
        places = st.integers(made.index(b"PK\x01\x02"), len(made) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(places)] = data.draw(st.integers(0, 255))
    try:
        found = look(bytes(made))
    except SpecError as error:
        assert "expected" in str(error)
    else:
        assert isinstance(found, Content)


@given(st.booleans(), st.data())
def test_a_part_of_a_sound_file_is_refused(compressed, data):
    whole = WHOLE[compressed]
    with pytest.raises(SpecError, match="expected"):
        look(whole[: data.draw(st.integers(0, len(whole) - 1))])
