"""The page on accuracy shows what was recorded last."""

from bench.accuracy import PAGE, page


def test_the_tables_are_those_of_the_recorded_figures() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run `python -m bench.accuracy`"
