"""The names of keys."""

from __future__ import annotations

import pytest

from antiphon.kernel.errors import UsageError
from antiphon_library.searching import key_named


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        (("Am", "a", "A minor", "a MINOR", "AMIN", "amoll", "a-Moll", "A:min", " A_m "), "A minor"),
        (("Hmoll", "h", "Bm", "b", "b minor", "H-moll"), "B minor"),
        (("B-dur", "Bb", "bb major", "A#", "Hes maj", "B♭"), "A# major"),
        (("C", "CM", "C-Dur", "c maj"), "C major"),
        (("fis-Moll", "F#m", "f♯", "gbm"), "F# minor"),
        (("Es-Dur", "Eb", "EbM", "D#maj"), "D# major"),
        (("As", "Ab", "as dur"), "G# major"),
    ],
)
def test_each_name_of_a_key_is_understood(texts: tuple[str, ...], key: str) -> None:
    assert {text: key_named(text) for text in texts} == dict.fromkeys(texts, key)


@pytest.mark.parametrize("text", ["", "X", "A mixolydian", "Am7", "8A", "minor", "\n", "A" * 5000])
def test_what_is_no_key_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match='a key is written as "A minor", "Am", "a"') as refused:
        key_named(text)
    assert len(str(refused.value)) < 300
