"""What a hazard is: an edit that takes a guard away, and the test that must fail then."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """An edit of one file that takes a guard away, and the test that has to notice.

    Attributes:
        name: as in docs/hazards.md.
        file: what is edited.
        old: text that the file has exactly once.
        new: what stands there without the guard.
        test: file::function.
        signs: how the test notices. A `failure` is one of its own; an `error` is one of a fixture
            or its teardown, and a `hang` that the run does not end: each could as well be chance,
            so they count only where they are what must come without the guard.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    signs: tuple[str, ...] = ("failure",)
