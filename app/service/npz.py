"""An `.npz` file of a stranger, looked through in bounded pieces: no pickle, nothing kept whole.

First what the archive says of itself, then the headers of its arrays, and only then their values, a
megabyte at a time. numpy is not needed, so the API does not import it.
"""

import struct
import sys
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, BinaryIO

from app.domain.errors import FieldError, SpecError
from app.workloads.datasets import MIN_OF_A_CLASS, Split, split
from app.workloads.npy import (
    MAGIC,
    MAX_HEADER_BYTES,
    PREFIX_BYTES,
    DtypeError,
    Header,
    NpyError,
    read_header,
)

TRAINING = ("x_train", "y_train")
TEST = ("x_test", "y_test")
SUFFIX = ".npy"  # which numpy gives to an array's name in the archive
ARRAYS = "the arrays x_train and y_train and, for a test part of its own, x_test and y_test"
NPZ = "an .npz file of numpy, as np.savez_compressed(file, x_train=…, y_train=…) writes it"
LABELS = "one integer a sample, its class from 0 on"
NUMBERED = f"{LABELS}: np.unique(y, return_inverse=True)[1] numbers classes of any kind"
BEGIN = b"PK\x03\x04"
OTHERS = {  # what else is sent for an .npz, by its first bytes
    MAGIC: "a single .npy array",
    b"\x89HDF\r\n": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a file packed by gzip",
    b"\x80": "a pickle",
    b"PK\x05\x06": "a zip without a file",
}

UNPACKED_TIMES = 4  # how much longer than the longest upload all arrays together may be
CHUNK_BYTES = 2**20
MAX_READ_BYTES = CHUNK_BYTES + 2**16  # more than what zipfile asks for at once in a sound file
MAX_SAMPLES = 10_000_000
MAX_SIDE = 4096
MAX_CLASSES = 1000
FLOAT32_MAX = float.fromhex("0x1.fffffep+127")

# What zipfile and zlib raise at what is no sound archive; what the disk raises is no part of it.
UNSOUND = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    RuntimeError,  # encrypted, or NotImplementedError: a method that is not known
    EOFError,
    ValueError,
    OverflowError,
)
FLOATS = {2: "e", 4: "f", 8: "d"}  # as struct has them
# First bytes of values that are finite and in float32's range for certain, by the bytes of a value.
ORDINARY = {
    size: bytes(byte for byte in range(256) if byte & 0x7F < limit)
    for size, limit in {2: 0x7C, 4: 0x7F, 8: 0x47}.items()
}
# The bits of the largest value that is finite and that float32 holds, by the bytes of a value.
LARGEST = {2: 0x7BFF, 4: 0x7F7F_FFFF, 8: 0x47EF_FFFF_E000_0000}
PIECE_BYTES = 2**16  # of values that are compared at once
INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}  # as array has them


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a data set holds.

    Attributes:
        shape: of one sample.
        dtype: of the samples, as it is written.
        classes: 0 to classes - 1; each of them is in every part.
        samples: in all.
        split: how many go into each part.
    """

    shape: tuple[int, ...]
    dtype: str
    classes: int
    samples: int
    split: Split


def inspect(file: BinaryIO, *, max_bytes: int) -> Content:
    """Look through an `.npz` file.

    Args:
        file: as it was uploaded; left open.
        max_bytes: the longest upload; all arrays together may be `UNPACKED_TIMES` as long.

    Raises:
        SpecError: it is no data set that can be trained on; the field is `body`, or the array.
    """
    if not (begin := _begin(file)).startswith(BEGIN):
        raise _refused("body", NPZ, _other(begin))
    with _sound("body", NPZ), zipfile.ZipFile(_Bounded(file)) as archive:
        infos = _members(archive, UNPACKED_TIMES * max_bytes)
        headers = {name: _header(archive, info) for name, info in infos.items()}
        _check_shapes(headers)
        for name, header in headers.items():
            if name in {TRAINING[0], TEST[0]}:
                _check_samples(archive, infos[name], header)
        counts = {
            name: _labels(archive, infos[name], headers[name])
            for name in (TRAINING[1], TEST[1])
            if name in headers
        }
        return _content(headers, counts)


class _Bounded:
    """A file of which nobody reads more than `MAX_READ_BYTES` at once, nor beyond its ends.

    zipfile reads the whole list of members before anybody can count them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self.tell, self.seekable = file.tell, file.seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0 and not 0 <= offset <= self._size:
            raise zipfile.BadZipFile("something lies beyond the ends of the file")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        wanted = self._size - self._file.tell() if size < 0 else size
        if wanted > MAX_READ_BYTES:
            raise zipfile.BadZipFile("its list of members is too long")
        return self._file.read(wanted)


@contextmanager
def _sound(field: str, expected: str) -> Iterator[None]:
    """What is no sound archive is refused in words."""
    try:
        yield
    except UNSOUND as error:
        raise _refused(field, expected, str(error) or type(error).__name__) from error


def _begin(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(max(map(len, OTHERS)))


def _other(begin: bytes) -> str:
    known = (words for magic, words in OTHERS.items() if begin.startswith(magic))
    return next(known, f"a file that begins with {begin[:4]!r}" if begin else "nothing")


def _members(archive: zipfile.ZipFile, max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The members by their arrays' names, as far as the list of the archive tells."""
    infos = archive.infolist()
    files = [info.orig_filename for info in infos]
    names = [_array(file) for file in files]
    known = sorted(names) in (sorted(TRAINING), sorted(TRAINING + TEST))
    if not known or files != [info.filename for info in infos]:
        raise _refused("body", f"{ARRAYS}, each once", names[:9])
    for info in infos:
        if info.flag_bits & 0x1:
            raise _refused(_array(info.filename), "no encryption", "an encrypted member")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            method = f"compression method {info.compress_type}"
            expected = "a member that is stored or deflated"
            raise _refused(_array(info.filename), expected, method)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > max_bytes:
        expected = f"at most {max_bytes:,} bytes of arrays once they are unpacked"
        raise _refused("body", expected, unpacked)
    return dict(zip(names, infos, strict=True))


def _array(file: str) -> str:
    """What the user calls the array that lies in a file of the archive."""
    return file.removesuffix(SUFFIX) if file.endswith(SUFFIX) else f"{file} (no {SUFFIX} file)"


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    name = _array(info.filename)
    with _opened(archive, info) as member:
        start = member.read(PREFIX_BYTES + MAX_HEADER_BYTES)
    try:
        header = read_header(start)
    except NpyError as error:
        expected, _, received = str(error).removeprefix("expected ").partition(", received ")
        if isinstance(error, DtypeError) and name in {TRAINING[1], TEST[1]}:
            expected = NUMBERED
        raise _refused(name, expected, received) from error
    long = header.data_at + header.data_bytes
    if long != info.file_size:
        expected = f"{long:,} bytes for {header.dtype} of shape {_by(header.shape)}"
        raise _refused(name, expected, info.file_size)
    return header


@contextmanager
def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    with _sound(_array(info.filename), "a sound member of a zip"), archive.open(info) as member:
        yield member


def _check_shapes(headers: dict[str, Header]) -> None:
    for x, y in (TRAINING, TEST):
        if x in headers:
            _check_pair(x, headers[x], y, headers[y])
    first, other = headers[TRAINING[0]], headers.get(TEST[0], headers[TRAINING[0]])
    if (other.shape[1:], other.dtype) != (first.shape[1:], first.dtype):
        expected = f"samples of {_by(first.shape[1:])} of {first.dtype}, as in {TRAINING[0]}"
        raise _refused(TEST[0], expected, f"{_by(other.shape[1:])} of {other.dtype}")


def _check_pair(x: str, samples: Header, y: str, labels: Header) -> None:
    sides = samples.shape[1:]
    if not 1 <= len(sides) <= 3 or not all(1 <= side <= MAX_SIDE for side in sides):
        expected = f"samples of 1 to 3 axes, each of 1 to {MAX_SIDE}, the samples' own axis first"
        raise _refused(x, expected, list(samples.shape))
    if not 1 <= samples.shape[0] <= MAX_SAMPLES:
        raise _refused(x, f"1 to {MAX_SAMPLES:,} samples", samples.shape[0])
    if labels.kind not in "iu" or len(labels.shape) != 1:
        expected = NUMBERED if len(labels.shape) == 1 else LABELS
        raise _refused(y, expected, f"{labels.dtype} of shape {_by(labels.shape)}")
    if labels.shape[0] != samples.shape[0]:
        raise _refused(y, f"{samples.shape[0]:,} labels, one a sample", labels.shape[0])


def _check_samples(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> None:
    expected = "finite values that float32 can hold" if header.kind == "f" else "0 or 1 in a bool"
    for data in _values(archive, info, header):
        if (odd := _odd(header, data)) is not None:
            raise _refused(_array(info.filename), expected, odd)


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> Iterator[bytes]:
    """The values of an array in chunks, to its very end: the checksum is seen there."""
    left = header.data_bytes
    with _opened(archive, info) as member:
        member.read(header.data_at)
        while left:
            data = member.read(min(CHUNK_BYTES, left))
            if not data or len(data) % header.item_bytes:
                raise EOFError("it ends too early")
            left -= len(data)
            yield data
        member.read(1)


def _odd(header: Header, data: bytes) -> str | None:
    """A value that cannot be trained on; null where there is none."""
    if header.kind == "b":
        others = data.translate(None, b"\0\1")
        return str(others[0]) if others else None
    if header.kind == "f" and not _ordinary(header, data):
        for at in range(0, len(data), PIECE_BYTES):
            if _beyond(header, data[at : at + PIECE_BYTES]):
                return _first_beyond(header, data[at : at + PIECE_BYTES])
    return None


def _ordinary(header: Header, data: bytes) -> bool:
    """Whether the bytes with the signs and exponents tell already that all values can be held."""
    first = 0 if header.big_endian else header.item_bytes - 1
    return not data[first :: header.item_bytes].translate(None, ORDINARY[header.item_bytes])


def _beyond(header: Header, piece: bytes) -> bool:
    """Whether a value is not finite, or beyond float32's range.

    Without its sign a float is ordered as the whole number of its bits is. So the piece is taken as
    one long number of such numbers, and to each is added what the largest lacks to the bit of its
    sign: that bit is set where a value was larger.
    """
    sign = 1 << 8 * header.item_bytes - 1
    values = int.from_bytes(piece, "big" if header.big_endian else "little")
    sizes = values & _repeated(sign - 1, header.item_bytes)
    lacking = _repeated(sign - 1 - LARGEST[header.item_bytes], header.item_bytes)
    return (sizes + lacking) & _repeated(sign, header.item_bytes) != 0


@cache
def _repeated(bits: int, item_bytes: int) -> int:
    """The same bits for every value of a piece."""
    return int.from_bytes(bits.to_bytes(item_bytes) * (PIECE_BYTES // item_bytes))


def _first_beyond(header: Header, piece: bytes) -> str:
    code = f"{'>' if header.big_endian else '<'}{FLOATS[header.item_bytes]}"
    values = (value for (value,) in struct.iter_unpack(code, piece))
    return next(str(value) for value in values if not abs(value) <= FLOAT32_MAX)


def _numbers(code: str, header: Header, data: bytes) -> "array[Any]":
    values: array[Any] = array(code, data)
    if header.big_endian != (sys.byteorder == "big") and header.item_bytes > 1:
        values.byteswap()
    return values


def _labels(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> Counter[int]:
    """How many samples each class has."""
    code = INTEGERS[header.item_bytes]
    counts: Counter[int] = Counter()
    for data in _values(archive, info, header):
        labels = _numbers(code if header.kind == "i" else code.upper(), header, data)
        least, most = min(labels), max(labels)
        if least < 0 or most >= MAX_CLASSES:
            odd = least if least < 0 else most
            raise _refused(
                _array(info.filename), f"classes from 0 to at most {MAX_CLASSES - 1}", odd
            )
        counts.update(labels)
    return counts


def _content(headers: dict[str, Header], counts: dict[str, Counter[int]]) -> Content:
    training, test = counts[TRAINING[1]], counts.get(TEST[1])
    classes = max(training) + 1
    if classes < 2:
        raise _refused(TRAINING[1], "two classes or more, from 0 on", f"{len(training)} class")
    for label in range(classes):
        if training[label] < MIN_OF_A_CLASS:
            expected = f"{MIN_OF_A_CLASS} samples or more of every class from 0 to {classes - 1}"
            raise _refused(TRAINING[1], expected, f"{training[label]} of class {label}")
    if test is not None and sorted(test) != list(range(classes)):
        expected = f"a sample of every class from 0 to {classes - 1}, and of no other"
        odd = next(n for n in range(MAX_CLASSES) if (n in test) != (n < classes))
        raise _refused(TEST[1], expected, f"{test[odd]} of class {odd}")
    x = headers[TRAINING[0]]
    own = headers[TEST[0]].shape[0] if test is not None else None
    return Content(
        shape=x.shape[1:],
        dtype=x.dtype,
        classes=classes,
        samples=x.shape[0] + (own or 0),
        split=split([training[label] for label in range(classes)], own),
    )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "none"


def _refused(field: str, expected: str, received: Any) -> SpecError:
    return SpecError(FieldError(field=field, expected=expected, received=received))
