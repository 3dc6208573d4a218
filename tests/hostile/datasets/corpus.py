"""Uploads that must not become data sets: how each is made, and what must be said of it.

Each is shorter than the megabyte that the service takes which they are sent to; unpacked it takes
four.
"""

import gzip
import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
from numpy.lib import format as numpy_format

X = np.linspace(0, 1, 40 * 6, dtype=np.float32).reshape(40, 2, 3)
Y = np.arange(40) % 2
MIB = 2**20


def npy(array, **how):
    file = io.BytesIO()
    numpy_format.write_array(file, np.asarray(array), **how)
    return file.getvalue()


def header(text, version=b"\x01\x00", data=b""):
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + text + data


def archive(*members, method=zipfile.ZIP_DEFLATED):
    """A zip of (name, bytes), as they come."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def npz(x=X, y=Y, *more, **renamed):
    """A sound data set but for what is given: arrays, or bytes as they are."""
    given = {"x_train": x, "y_train": y, **dict(more), **renamed}
    return archive(
        *(
            (f"{name}.npy", content if isinstance(content, bytes) else npy(content))
            for name, content in given.items()
        )
    )


def named(name):
    """A sound data set whose samples lie under another name of as many bytes or more."""
    return archive((name, npy(X)), ("y_train.npy", npy(Y)))


def patched(whole, *changes):
    """Bytes changed in every header of the first member: (local offset, central offset, bytes)."""
    made = bytearray(whole)
    central = whole.index(b"PK\x01\x02")
    for local_at, central_at, content in changes:
        made[local_at : local_at + len(content)] = content
        made[central + central_at : central + central_at + len(content)] = content
    return bytes(made)


def encrypted():
    return patched(npz(), (6, 8, b"\x01\x00"))


def size_too_small():
    """The first member says that it is shorter than it is."""
    return patched(npz(), (22, 24, struct.pack("<I", 200)))


def overlapping():
    """Both names of the list stand for the same bytes."""
    made = bytearray(npz())
    first = made.index(b"PK\x01\x02")
    second = made.index(b"PK\x01\x02", first + 4)
    made[second + 42 : second + 46] = made[first + 42 : first + 46]
    return bytes(made)


def quoted_list_too_long():
    """The end of the archive says that its list has four gigabytes."""
    made = bytearray(npz())
    end = made.index(b"PK\x05\x06")
    made[end + 12 : end + 16] = b"\xfe\xff\xff\xff"
    return bytes(made)


def corrupt():
    made = bytearray(npz())
    made[200] ^= 0xFF
    return bytes(made)


def wrong_checksum():
    return patched(npz(), (14, 16, b"\0\0\0\0"))


def claims_exabytes():
    """A list of members in zip64, whose first one says 2 EiB."""
    name, content = b"x_train.npy", zlib.compress(npy(X))[2:-4]
    extra = struct.pack("<HHQQ", 1, 16, 2**61, len(content))
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, 11, 20)
    listed = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        *(b"PK\1\2", 45, 45, 0, 8, 0, 0, 0, 2**32 - 1, 2**32 - 1, 11, 20, 0, 0, 0, 0, 0),
    )
    y = npy(Y)
    second_at = len(local) + 11 + 20 + len(content)
    second = struct.pack(
        "<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 0, zlib.crc32(y), len(y), len(y), 11, 0
    )
    second_listed = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        *(b"PK\1\2", 20, 20, 0, 0, 0, 0, zlib.crc32(y), len(y), len(y), 11, 0, 0, 0, 0, 0),
        second_at,
    )
    body = local + name + extra + content + second + b"y_train.npy" + y
    directory = listed + name + extra + second_listed + b"y_train.npy"
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, len(directory), len(body), 0)
    return body + directory + end


def claims_shape(shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return header(text.ljust(118) + b"\n", data=b"\0" * 8)


def written(text, version=b"\x01\x00"):
    """Sound samples behind a header that numpy itself does not read."""
    return npz(header(text.ljust(117).encode("latin-1") + b"\n", version, X.tobytes()))


def with_value(value, dtype=np.float32):
    x = X.astype(dtype)
    x[17, 1, 2] = value
    return npz(x)


class Runs:
    """Unpickled, it would raise, and so be seen."""

    def __reduce__(self):
        return (eval, ("1/0",))


def pickled():
    objects = np.empty(40, object)
    objects[:] = Runs()
    return npz(npy(objects, allow_pickle=True))


def code_as_header():
    return npz(header(b"{'descr': __import__('os').abort(), 'shape': (1,)}"))


ARRAYS = "the arrays x_train and y_train"
PLAIN = "the header of a plain array"
NPZ = "an .npz file of numpy"
SOUND = "a sound member of a zip"
X_TRAIN, Y_TRAIN, X_TEST, Y_TEST = "x_train", "y_train", "x_test", "y_test"
FINITE = "finite values that float32 can hold"
AXES = "samples of 1 to 3 axes, each of 1 to 4096"

# name: (the upload, the field that is named, what was expected, what was received)
CASES = {
    # no archive
    "nothing": (lambda: b"", "body", NPZ, "nothing"),
    "text": (lambda: b"x,y\n1,2\n", "body", NPZ, "begins with b'x,y\\n'"),
    "pickle": (lambda: pickle.dumps(Runs()), "body", NPZ, "a pickle"),
    "bare_array": (lambda: npy(X), "body", NPZ, "a single .npy array"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(88), "body", NPZ, "an HDF5 file"),
    "parquet": (lambda: b"PAR1" + bytes(8) + b"PAR1", "body", NPZ, "a Parquet file"),
    "gzip": (lambda: gzip.compress(npz()), "body", NPZ, "a file packed by gzip"),
    "empty_archive": (archive, "body", NPZ, "a zip without a file"),
    "behind_another_file": (lambda: b"GIF89a" + npz(), "body", NPZ, "begins with b'GIF8'"),
    "cut_short": (lambda: npz()[:-30], "body", NPZ, "not a zip file"),
    "only_its_begin": (lambda: b"PK\x03\x04" * 40, "body", NPZ, "not a zip file"),
    "list_too_long": (quoted_list_too_long, "body", NPZ, "Bad offset"),
    "nine_thousand_members": (
        lambda: archive(*((f"{n}", b"") for n in range(9000)), method=zipfile.ZIP_STORED),
        "body",
        ARRAYS,
        "'7 (no .npy file)', '…'",
    ),
    # bombs
    "bomb": (
        lambda: npz(np.zeros((5 * MIB, 1), np.uint8), np.arange(5 * MIB, dtype=np.uint8) % 2),
        "body",
        "at most 4,194,304 bytes of arrays once they are unpacked",
        "10486016",
    ),
    "claims_exabytes": (claims_exabytes, "body", "at most 4,194,304 bytes", "230584300921369"),
    "size_too_small": (size_too_small, X_TRAIN, SOUND, "Bad CRC-32"),
    "overlapping": (overlapping, Y_TRAIN, SOUND, "differ"),
    # members
    "path_upwards": (lambda: named("../x_train.npy"), "body", ARRAYS, "../x_train"),
    "path_absolute": (lambda: named("/x_train.npy"), "body", ARRAYS, "/x_train"),
    "path_of_windows": (lambda: named("C:\\x_train.npy"), "body", ARRAYS, "C:\\\\x_train"),
    "folder": (lambda: named("x_train.npy/"), "body", ARRAYS, "x_train.npy/"),
    "nul_in_a_name": (
        lambda: named("x_train.npyQ.exe").replace(b"npyQ.exe", b"npy\0.exe"),
        "body",
        ARRAYS,
        "x_train.npy",
    ),
    "cyrillic_name": (lambda: named("х_train.npy"), "body", ARRAYS, "х_train"),  # noqa: RUF001
    "upper_case_name": (lambda: named("X_TRAIN.NPY"), "body", ARRAYS, "X_TRAIN.NPY"),
    "further_member": (lambda: npz(x_more=X), "body", ARRAYS, "'x_more'"),
    "twice": (
        lambda: npz().replace(b"y_train", b"x_train"),
        "body",
        ARRAYS,
        "['x_train', 'x_train']",
    ),
    "no_labels": (lambda: archive(("x_train.npy", npy(X))), "body", ARRAYS, "['x_train']"),
    "not_named_by_numpy": (lambda: named("x_train"), "body", ARRAYS, "x_train (no .npy file)"),
    "test_without_labels": (lambda: npz(x_test=X), "body", ARRAYS, "'x_test'"),
    "encrypted": (encrypted, X_TRAIN, "no encryption", "an encrypted member"),
    "bzip2": (
        lambda: archive(("x_train.npy", npy(X)), ("y_train.npy", npy(Y)), method=zipfile.ZIP_BZIP2),
        X_TRAIN,
        "stored or deflated",
        "compression method 12",
    ),
    "lzma": (
        lambda: archive(("x_train.npy", npy(X)), ("y_train.npy", npy(Y)), method=zipfile.ZIP_LZMA),
        X_TRAIN,
        "stored or deflated",
        "compression method 14",
    ),
    "unknown_method": (
        lambda: patched(npz(), (8, 10, b"\x63\x00")),
        X_TRAIN,
        "stored or deflated",
        "compression method 99",
    ),
    "corrupt": (corrupt, X_TRAIN, SOUND, "decompressing"),
    "wrong_checksum": (wrong_checksum, X_TRAIN, SOUND, "Bad CRC-32"),
    # headers
    "objects": (pickled, X_TRAIN, "a dtype of float16, 32 or 64", "Python objects ('|O')"),
    "pickle_as_a_member": (
        lambda: npz(pickle.dumps(Runs())),
        X_TRAIN,
        "a .npy file of version 1 to 3",
        "x80",
    ),
    "code_as_header": (code_as_header, X_TRAIN, PLAIN, "__import__"),
    "structured": (
        lambda: npz(np.zeros(40, [("a", "f4"), ("b", "f4")])),
        X_TRAIN,
        PLAIN,
        "('a', '<f4')",
    ),
    "text_array": (lambda: npz(np.array(["a"] * 40)), X_TRAIN, "a dtype of", "text ('<U1')"),
    "complex": (
        lambda: npz(X.astype(np.complex64)),
        X_TRAIN,
        "a dtype of",
        "complex numbers ('<c8')",
    ),
    "moments": (lambda: npz(np.zeros((40, 2), "M8[s]")), X_TRAIN, "a dtype of", "<M8[s]"),
    "long_double": (lambda: npz(X.astype(np.longdouble)), X_TRAIN, "a dtype of", "<f16"),
    "version_9": (
        lambda: npz(header(b"{}", version=b"\x09\x00")),
        X_TRAIN,
        "a .npy file of version 1 to 3",
        "NUMPY",
    ),
    "header_of_gigabytes": (
        lambda: npz(header(b"", version=b"\x02\x00")[:8] + b"\xff\xff\xff\x7f"),
        X_TRAIN,
        "a header of at most 1024 bytes",
        "2147483647",
    ),
    "header_nested": (lambda: npz(header(b"(" * 1000)), X_TRAIN, PLAIN, "((("),
    "shape_huge": (
        lambda: npz(claims_shape("(100000000000, 1000, 1000)")),
        X_TRAIN,
        "bytes for float32",
        "137",
    ),
    "shape_overflowing": (
        lambda: npz(claims_shape("(4294967296, 4294967296, 4294967296)")),
        X_TRAIN,
        "bytes for float32",
        "137",
    ),
    "shape_that_is_no_tuple": (
        lambda: written("{'descr': '<f4', 'fortran_order': False, 'shape': (240)}"),
        X_TRAIN,
        "a shape of whole numbers as Python writes it, (240, 8) or (240,)",
        "'(240)'",
    ),
    "shape_with_a_leading_zero": (
        lambda: written("{'descr': '<f4', 'fortran_order': False, 'shape': (040, 2, 3)}"),
        X_TRAIN,
        "a shape of whole numbers",
        "'(040, 2, 3)'",
    ),
    "shape_of_python_2_in_version_3": (
        lambda: written(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (40L, 2L, 3L)}", b"\x03\x00"
        ),
        X_TRAIN,
        "a shape of whole numbers",
        "'(40L, 2L, 3L)'",
    ),
    "blank_that_is_none": (
        lambda: written("{'descr': '<f4',\xa0'fortran_order': False, 'shape': (40, 2, 3)}"),
        X_TRAIN,
        PLAIN,
        "xa0",
    ),
    "mixed_quotes": (
        lambda: written("{'descr\": '<f4', 'fortran_order': False, 'shape': (40, 2, 3)}"),
        X_TRAIN,
        PLAIN,
        "descr",
    ),
    "shape_negative": (lambda: npz(claims_shape("(-40, 6)")), X_TRAIN, PLAIN, "-40"),
    "shape_of_text": (lambda: npz(claims_shape("'40'")), X_TRAIN, PLAIN, "'40'"),
    "shape_too_small": (lambda: npz(claims_shape("(1, 1)")), X_TRAIN, "133 bytes", "137"),
    # shapes
    "no_axis": (lambda: npz(np.zeros(40, np.float32)), X_TRAIN, AXES, "[40]"),
    "no_array": (lambda: npz(np.float32(1)), X_TRAIN, AXES, "[]"),
    "four_axes": (lambda: npz(np.zeros((40, 2, 2, 2, 2), np.uint8)), X_TRAIN, AXES, "2, 2"),
    "side_of_0": (lambda: npz(np.zeros((40, 0), np.uint8)), X_TRAIN, AXES, "[40, 0]"),
    "side_of_5000": (lambda: npz(np.zeros((40, 5000), np.uint8)), X_TRAIN, AXES, "5000"),
    "no_sample": (lambda: npz(X[:0], Y[:0]), X_TRAIN, "1 to 10,000,000 samples", "0"),
    "fewer_labels": (lambda: npz(X, Y[:39]), Y_TRAIN, "40 labels, one a sample", "39"),
    "labels_in_columns": (
        lambda: npz(X, np.eye(2, dtype=np.uint8)[Y]),
        Y_TRAIN,
        "one integer a sample, its class",
        "uint8 of shape 40 × 2",  # noqa: RUF001
    ),
    "labels_as_text": (
        lambda: npz(X, np.array(["cat", "dog"])[Y]),
        Y_TRAIN,
        "one integer a sample, its class from 0 on: np.unique(y, return_inverse=True)[1] numbers",
        "text ('<U3')",
    ),
    "labels_as_objects_in_the_test": (
        lambda: npz(x_test=X, y_test=npy(Y.astype(object), allow_pickle=True)),
        Y_TEST,
        "one integer a sample, its class from 0 on",
        "Python objects ('|O')",
    ),
    "labels_as_bools": (
        lambda: npz(X, Y.astype(bool)),
        Y_TRAIN,
        "one integer a sample, its class from 0 on: np.unique",
        "bool of shape 40",
    ),
    "labels_as_floats": (
        lambda: npz(X, Y.astype(float)),
        Y_TRAIN,
        "one integer a sample, its class from 0 on: np.unique",
        "float64 of shape 40",
    ),
    "test_of_another_shape": (
        lambda: npz(x_test=X.reshape(40, 6), y_test=Y),
        X_TEST,
        "samples of 2 × 3 of float32, as in x_train",  # noqa: RUF001
        "6 of float32",
    ),
    "test_of_another_dtype": (
        lambda: npz(x_test=X.astype(np.uint8), y_test=Y),
        X_TEST,
        "of float32, as in x_train",
        "of uint8",
    ),
    # values
    "nan": (lambda: with_value(np.nan), X_TRAIN, FINITE, "nan"),
    "infinity": (lambda: with_value(-np.inf), X_TRAIN, FINITE, "-inf"),
    "nan_of_16_bits": (lambda: with_value(np.nan, np.float16), X_TRAIN, FINITE, "nan"),
    "infinity_of_64_bits": (lambda: with_value(np.inf, np.float64), X_TRAIN, FINITE, "inf"),
    "beyond_float32": (lambda: with_value(1e39, np.float64), X_TRAIN, FINITE, "1e+39"),
    "nan_of_big_endian": (lambda: with_value(np.nan, ">f4"), X_TRAIN, FINITE, "nan"),
    "nan_in_the_test": (
        lambda: npz(x_test=np.full_like(X, np.nan), y_test=Y),
        X_TEST,
        FINITE,
        "nan",
    ),
    "bool_of_2": (
        lambda: npz(npy(np.zeros((40, 2), bool))[:-1] + b"\2"),
        X_TRAIN,
        "0 or 1 in a bool",
        "2",
    ),
    # labels
    "one_class": (lambda: npz(X, Y * 0), Y_TRAIN, "two classes or more", "1 class"),
    "negative_label": (lambda: npz(X, Y - 1), Y_TRAIN, "classes from 0 to at most 999", "-1"),
    "label_1000": (lambda: npz(X, Y * 1000), Y_TRAIN, "classes from 0 to at most 999", "1000"),
    "label_of_64_bits": (
        lambda: npz(X, Y.astype(np.uint64) * (2**64 - 1)),
        Y_TRAIN,
        "classes from 0 to at most 999",
        "18446744073709551615",
    ),
    "class_left_out": (
        lambda: npz(X, Y * 2),
        Y_TRAIN,
        "12 samples or more of every class from 0 to 2",
        "0 of class 1",
    ),
    "few_of_a_class": (
        lambda: npz(X, (np.arange(40) >= 29).astype(int)),
        Y_TRAIN,
        "12 samples or more of every class from 0 to 1",
        "11 of class 1",
    ),
    "class_left_out_of_the_test": (
        lambda: npz(x_test=X, y_test=Y * 0),
        Y_TEST,
        "a sample of every class from 0 to 1",
        "0 of class 1",
    ),
    "other_class_in_the_test": (
        lambda: npz(x_test=X, y_test=np.arange(40) % 3),
        Y_TEST,
        "a sample of every class from 0 to 1",
        "13 of class 2",
    ),
}
