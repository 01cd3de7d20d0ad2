"""Values in messages are cut to a length."""

from antiphon.kernel.runtime.shortening import shorten


def test_a_text_is_cut_where_it_is_too_long_and_nowhere_else():
    assert shorten("x" * 40) == "x" * 40
    assert shorten("x" * 41) == "x" * 37 + "..."
    assert len(shorten("x" * 500, 60)) == 60
