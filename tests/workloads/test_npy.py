"""Headers of `.npy` files: numpy's own are understood as numpy does, and nothing else is taken."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as numpy_format

from app.workloads import npy
from app.workloads.npy import Header, NpyError, read_header

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]


def start(header, version=b"\x01\x00"):
    text = header.encode("latin-1")
    return npy.MAGIC + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text


def plain(descr="'<f4'", order="False", shape="(2, 3)", **how):
    return start(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n", **how)


TEXT = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}"


def by_numpy(content):
    """The array as numpy reads it, which warns of an L, and whether that took every byte."""
    file = io.BytesIO(content)
    with warnings.catch_warnings(action="ignore"):
        array = numpy_format.read_array(file)
    return array, not file.read()


@given(
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    shape=st.lists(st.integers(0, 4), max_size=4),
    fortran=st.booleans(),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(dtype, order, shape, fortran, version):
    array = np.zeros(shape, np.dtype(dtype).newbyteorder(order), order="F" if fortran else "C")
    file = io.BytesIO()
    numpy_format.write_array(file, array, version=version)
    header = read_header(file.getvalue())
    assert header.shape == array.shape
    assert header.dtype == array.dtype.name
    assert header.data_bytes == array.nbytes == len(file.getvalue()) - header.data_at
    assert header.big_endian == (order == ">" and array.itemsize > 1)


WRITTEN = [
    '{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}',
    "{'shape': (2L, 3L), 'descr': '<f4', 'fortran_order': False}",
    "{'descr':'<f4','fortran_order':True,'shape':(2,3,)}   \n",
]


@pytest.mark.parametrize("header", WRITTEN)
def test_what_other_writers_write(header):
    read = read_header(start(header))
    assert (read.kind, read.item_bytes, read.shape) == ("f", 4, (2, 3))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "expected a .npy file of version 1 to 3"),
        (b"\x80\x04\x95", "expected a .npy file of version 1 to 3"),
        (npy.MAGIC + b"\x01", "expected a .npy file of version 1 to 3"),
        (npy.MAGIC + b"\x09\x00", "expected a .npy file of version 1 to 3"),
        (npy.MAGIC + b"\x02\x00\x01", "expected a header, received 9 bytes"),
        (npy.MAGIC + b"\x01\x00\xff\xff", "at most 1024 bytes, received 65535"),
        (npy.MAGIC + b"\x02\x00\xff\xff\xff\xff", "at most 1024 bytes, received 4294967295"),
        (plain()[:40], "expected a header of"),
        (plain(descr="'|O'"), r"expected a dtype of float16.*Python objects \('\|O'\)"),
        (plain(descr="'<U9'"), r"text \('<U9'\)"),
        (plain(descr="'|S3'"), r"text \('\|S3'\)"),
        (plain(descr="'<c8'"), r"complex numbers \('<c8'\)"),
        (plain(descr="'<f16'"), "'<f16'"),
        (plain(descr="'<M8[s]'"), "M8"),
        (plain(descr="'f4'"), "says its byte order"),
        (plain(descr="'=f4'"), "says its byte order"),
        (plain(descr="[('a', '<f4')]"), "a plain array"),
        (plain(shape="(2, -3)"), "a plain array"),
        (plain(shape="(2, 3.5)"), "a plain array"),
        (plain(shape="(2 3)"), "a shape of whole numbers"),
        (plain(shape="(2,, 3)"), "a shape of whole numbers"),
        (plain(shape="(,)"), "a shape of whole numbers"),
        (plain(shape="(240)"), r"as Python writes it.*received '\(240\)'"),
        (plain(shape="(0240, 8, 4)"), "a shape of whole numbers"),
        (plain(shape="(240LL, 8)"), "a shape of whole numbers"),
        (plain(shape="(240L, 8L)", version=b"\x03\x00"), "a shape of whole numbers"),
        (plain(shape="(2,\xa03)"), "a plain array"),
        (plain(order="\xa0False"), "a plain array"),
        (plain(order="False\x1d"), "a plain array"),
        (start("\xa0" + TEXT), "a plain array"),
        (start(TEXT + "\n "), "a plain array"),
        (start(TEXT.replace("'descr'", "'descr\"")), "a plain array"),
        (start(TEXT.replace("'<f4'", "\"<f4'")), "a plain array"),
        (plain(shape="(" + "9" * 19 + ",)"), "a shape of whole numbers"),
        (plain(shape="[2, 3]"), "a plain array"),
        (plain(shape="'(2, 3)'"), "a plain array"),
        (plain(order="0"), "a plain array"),
        (plain(descr="__import__('os').system('true')"), "a plain array"),
        (start("{'descr': '<f4', 'fortran_order': False}"), "a plain array"),
        (start("{'descr': '<f4', 'descr': '<f4', 'shape': (1,)}"), "a plain array"),
        (start("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 'y'}"), "plain"),
        (start("['descr', 'fortran_order', 'shape']"), "a plain array"),
        (start("(" * 1000), "a plain array"),
        (start("{" + " " * 1000), "a plain array"),
        (start(""), "a plain array"),
    ],
)
def test_what_is_refused_says_what_was_expected(header, words):
    with pytest.raises(NpyError, match=words):
        read_header(header)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: npy.MAGIC + t.encode()))
def test_random_bytes_are_refused_in_words(noise):
    with pytest.raises(NpyError, match="expected"):
        read_header(noise)


@given(st.text("{}()[]'\":,<>|=fiubdescrshapetornL_ TrueFalse0123456789\\", max_size=200))
def test_random_headers_are_refused_or_plain(text):
    try:
        header = read_header(start(text))
    except NpyError as error:
        assert "expected" in str(error)
    else:
        assert isinstance(header, Header)


@given(st.data())
def test_a_header_with_a_changed_byte_is_refused_or_plain(data):
    whole = bytearray(plain())
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(whole))
    except NpyError as error:
        assert "expected" in str(error)
    else:
        assert header.kind in npy.KINDS


PARTS = [
    *"{}()'\"",
    " ",
    "\n",
    "\t",
    "\r",
    "\f",
    "\xa0",
    "\x1c",
    "\\",
    "L",
    "0",
    "1",
    "2",
    ",",
    ":",
]
VERSIONS = [b"\x01\x00", b"\x02\x00", b"\x03\x00"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
@given(st.data(), st.sampled_from(VERSIONS))
@settings(max_examples=2000, deadline=None)
def test_what_is_taken_is_what_numpy_reads(data, version):
    text = data.draw(st.sampled_from(WRITTEN))
    for _ in range(data.draw(st.integers(1, 3))):
        at, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 1))
        text = text[:at] + data.draw(st.sampled_from(["", *PARTS])) + text[at + cut :]
    content = start(text, version)
    try:
        header = read_header(content)
    except NpyError:
        return
    array, whole = by_numpy(content + bytes(header.data_bytes))
    assert (header.shape, header.dtype, whole) == (array.shape, array.dtype.name, True)
