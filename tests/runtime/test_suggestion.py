"""What a refusal offers instead of a name that nobody has."""

import pytest

from antiphon.kernel.runtime.suggestion import MOST, instead, list_names, near


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("denose", "denoise"),
        ("Denoise", "denoise"),
        ("anser", "answer"),
        ("fedback", "feedback"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_offered_first(name: str, found: str) -> None:
    assert (near(name, ("answer", "denoise", "feedback", "gain")) or ("",))[0] == found


def test_a_long_list_is_cut_and_counted() -> None:
    names = [f"name-{n}" for n in range(1000)]
    text = list_names(names)
    shown = text.partition(", and ")[0].split(", ")
    assert len(text) < MOST + 30
    assert text.endswith(f", and {1000 - len(shown)} more")
    assert shown == names[: len(shown)]
    assert "did you mean name-999" in instead("nam-999", names)


def test_a_name_of_a_stranger_that_is_longer_than_any_is_compared_with_none() -> None:
    assert near("a" * 65, ["a" * 64]) == ()
