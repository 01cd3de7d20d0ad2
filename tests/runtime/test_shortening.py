"""Values in messages are cut to a length."""

from antiphon.kernel.runtime.shortening import short_repr, shorten


def test_a_text_is_cut_where_it_is_too_long_and_nowhere_else():
    assert shorten("x" * 40) == "x" * 40
    assert shorten("x" * 41) == "x" * 37 + "..."
    assert len(shorten("x" * 500, 60)) == 60


def test_a_value_is_written_as_python_does():
    assert short_repr("a'b") == '"a\'b"'
    assert short_repr("y" * 100) == "'" + "y" * 36 + "..."
    assert short_repr(1 << 20_000) == "a number of thousands of digits"
