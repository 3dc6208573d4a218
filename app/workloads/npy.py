"""The header of a `.npy` file, read as text: nothing in it is evaluated, nothing is allocated.

The format is numpy's (NEP 1, 2007; `numpy.lib.format`): a magic string, a version, the length of
the header, and the header as a Python dictionary of three entries. What is taken here is what numpy
and other writers put there for a plain array of numbers, and nothing that numpy would not read.
"""

import re
from dataclasses import dataclass
from math import prod

MAGIC = b"\x93NUMPY"
PREFIX_BYTES = 12  # enough for the longest of the three versions
MAX_HEADER_BYTES = 1024  # those of numpy's plain arrays of four axes have 128
LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}

KINDS = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}
NUMBERS = "float16, 32 or 64, an integer of 8 to 64 bits, or bool"
NO_NUMBERS = {"U": "text", "S": "text", "O": "Python objects", "c": "complex numbers"}
MAX_SHOWN = 80  # characters of a header that a sentence repeats

LONG_TO = 2  # the last version in which Python 2 wrote whole numbers that end in L

_BLANK = r"[ \t\n]*+"  # no others: Python refuses most of what `\s` matches
_ENTRY = re.compile(
    rf"""{_BLANK}(['"])(?P<key>descr|fortran_order|shape)\1{_BLANK}:{_BLANK}"""
    rf"""(?P<value>(['"])[^'"]*+\4|True|False|\([0-9L, \t\n]*+\)){_BLANK}(?:,|\Z)"""
)
_SIDE = rf"{_BLANK}(?:0|[1-9][0-9]{{0,17}})L?{_BLANK}"
_SHAPE = re.compile(rf"\({_BLANK}\)|\((?:{_SIDE},)+(?:{_SIDE}|{_BLANK})\)")
_BEGINS = {"descr": "'\"", "fortran_order": "TF", "shape": "("}  # how the value of each begins


class NpyError(ValueError):
    """The bytes are no header of a plain array; the text says what was expected and received."""


class DtypeError(NpyError):
    """The bytes are a header, but of an array of something else than numbers."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """A plain array of numbers, as its header describes it.

    Attributes:
        kind: `f`, `i`, `u` or `b`, as numpy has them.
        item_bytes: of one value.
        big_endian: whether the first byte of a value is the most significant one.
        shape: sides, the samples first; Fortran order does not change it.
        data_at: where the values begin, in bytes.
    """

    kind: str
    item_bytes: int
    big_endian: bool
    shape: tuple[int, ...]
    data_at: int

    @property
    def data_bytes(self) -> int:
        """All the values, in bytes."""
        return self.item_bytes * prod(self.shape)

    @property
    def dtype(self) -> str:
        """As people write it: `float32`, `uint8`, `bool`."""
        names = {"f": "float", "i": "int", "u": "uint"}
        return "bool" if self.kind == "b" else f"{names[self.kind]}{8 * self.item_bytes}"


def header_ends(prefix: bytes) -> tuple[int, int]:
    """Where the header's text begins and ends, from the first `PREFIX_BYTES`.

    Raises:
        NpyError: they begin no `.npy` file, or its header is too long.
    """
    version = tuple(prefix[6:8])
    if not prefix.startswith(MAGIC) or version not in LENGTH_BYTES:
        raise NpyError(f"expected a .npy file of version 1 to 3, received {prefix[:8]!r}")
    begin = 8 + LENGTH_BYTES[version]
    if len(prefix) < begin:
        raise NpyError(f"expected a header, received {len(prefix)} bytes")
    length = int.from_bytes(prefix[8:begin], "little")
    if length > MAX_HEADER_BYTES:
        raise NpyError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, received {length}")
    return begin, begin + length


def read_header(start: bytes) -> Header:
    """The header at the start of a `.npy` file.

    Args:
        start: the file up to the end of its header, or more of it.

    Raises:
        NpyError: there is no header of a plain array of numbers.
    """
    begin, end = header_ends(start)
    if len(start) < end:
        raise NpyError(f"expected a header of {end} bytes, received {len(start)}")
    text = start[begin:end].decode("latin-1")
    found = _entries(text)
    kind, item_bytes, order = _dtype(found["descr"][1:-1])
    return Header(
        kind=kind,
        item_bytes=item_bytes,
        big_endian=order == ">",
        shape=_shape(found["shape"], version=start[6]),
        data_at=end,
    )


def _entries(text: str) -> dict[str, str]:
    """The three entries of the dictionary, in any order."""
    whole = text.rstrip("\n").strip(" \t")
    inner = whole[1:-1].strip(" \t\n")
    entries = list(_ENTRY.finditer(inner))
    found = {e["key"]: e["value"] for e in entries if e["value"][0] in _BEGINS[e["key"]]}
    plain = whole == f"{{{whole[1:-1]}}}" and inner == "".join(e[0] for e in entries)
    if not plain or len(entries) != len(_BEGINS) or len(found) != len(_BEGINS):
        raise NpyError(
            "expected the header of a plain array, {'descr': …, 'fortran_order': …, 'shape': …}, "
            f"received {whole[:MAX_SHOWN]!r}"
        )
    return found


def _shape(text: str, *, version: int) -> tuple[int, ...]:
    if not _SHAPE.fullmatch(text) or ("L" in text and version > LONG_TO):
        raise NpyError(
            "expected a shape of whole numbers as Python writes it, (240, 8) or (240,), "
            f"received {text[:MAX_SHOWN]!r}"
        )
    return tuple(map(int, re.findall("[0-9]+", text)))


def _dtype(descr: str) -> tuple[str, int, str]:
    known = re.fullmatch(r"([<>|=]?)([fiub])([1248])", descr)
    if known is None or int(known[3]) not in KINDS[known[2]]:
        raise DtypeError(f"expected a dtype of {NUMBERS}, received {_worded(descr)}")
    order, kind, item_bytes = known[1], known[2], int(known[3])
    if order not in {"<", ">"} and item_bytes > 1:
        raise NpyError(f"expected a dtype that says its byte order, received {descr!r}")
    return kind, item_bytes, order


def _worded(descr: str) -> str:
    """A dtype that is not taken, and in words where many people have it."""
    word = NO_NUMBERS.get(descr.lstrip("<>|=")[:1])
    shown = repr(descr[:MAX_SHOWN])
    return f"{word} ({shown})" if word else shown
