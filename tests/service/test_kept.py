"""Reports that are kept in memory: within bounds, the longest unasked goes first."""

from app.service.kept import OVERHEAD_BYTES, KeptReports

SIZE = 100 + OVERHEAD_BYTES


def test_the_longest_unasked_goes_first():
    kept = KeptReports(3 * SIZE)
    for name in "abc":
        kept.keep(name, name.encode() * 100)
    assert kept.get("a") == b"a" * 100
    kept.keep("d", b"d" * 100)
    assert [bool(kept.get(name)) for name in "abcd"] == [True, False, True, True]


def test_the_bytes_stay_within_bounds():
    kept = KeptReports(3 * SIZE)
    for n in range(50):
        kept.keep(str(n), b"x" * 100)
        kept.keep(str(n), b"x" * 100)  # twice: counted once
    assert [n for n in range(50) if kept.get(str(n))] == [47, 48, 49]
    kept.keep("large", b"x" * (SIZE + 100))
    assert [n for n in range(50) if kept.get(str(n))] == [49]


def test_what_is_too_large_drives_nothing_out():
    kept = KeptReports(3 * SIZE)
    kept.keep("a", b"a" * 100)
    kept.keep("huge", b"x" * 4 * SIZE)
    assert (kept.get("huge"), kept.get("a")) == (None, b"a" * 100)
