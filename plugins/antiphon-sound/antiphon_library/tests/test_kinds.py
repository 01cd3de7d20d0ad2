"""The kind of a sound by what analyses state of it; names of keys."""

from typing import Any

import pytest
from tests import accepted
from tests.each import each

from antiphon.kernel.errors import UsageError
from antiphon_library.records import findings
from antiphon_library.searching import key_named


@each(
    "texts, key",
    [
        (("Am", "a", "A minor", "a MINOR", "AMIN", "amoll", "a-Moll", "A:min", " A_m "), "A minor"),
        (("Hmoll", "h", "Bm", "b", "b minor", "H-moll"), "B minor"),
        (("B-dur", "Bb", "bb major", "A#", "Hes maj", "B♭"), "Bb major"),
        (("C", "CM", "C-Dur", "c maj"), "C major"),
        (("fis-Moll", "F#m", "f♯", "gbm"), "F# minor"),
        (("Es-Dur", "Eb", "EbM", "D#maj"), "Eb major"),
        (("As", "Ab", "as dur", "4B", "9d"), "Ab major"),
        (("8A", "8a", "1m", "am"), "A minor"),
        (("8B", "1d"), "C major"),
        (("12A", "5m"), "C# minor"),
        (("1B", "6d"), "B major"),
    ],
)
def test_each_name_of_a_key_is_understood(texts: tuple[str, ...], key: str) -> None:
    assert {text: key_named(text) for text in texts} == dict.fromkeys(texts, key)


@each("text", ["", "X", "A mixolydian", "Am7", "13A", "0B", "8C", "minor", "\n", "A" * 5000])
def test_what_is_no_key_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match='a key is written as "A minor", "Am", "a"') as refused:
        key_named(text)
    assert len(str(refused.value)) < 300


NO_LOOP = {"loop_confidence": 0.1, "loop_ending": -1.0}
NO_MUSIC = {"tempo_confidence": 0.0, "key_confidence": 0.0}
UNFELT = {"speechiness": None, "instrumentalness": None}
"""What `character` states of less than 3 s."""
NOISE = {"content": "noise", "content_sure": 0.9, **UNFELT}
SPEECH = {"content": "speech", "content_sure": 0.7, **UNFELT}
VOICE = {"content": "voice", "content_sure": 0.8, **UNFELT}
MUSIC = {"content": "music", "content_sure": 0.6}
LOOP = {"loop_confidence": 0.99, "loop_bpm": 90.0, "loop_key": "C major", "loop_key_sure": 0.6}
TEMPI = {**LOOP, "tempo": 120.0, "tempo_confidence": 1.0, "key": "A minor", "key_confidence": 0.9}


def kind(duration: float | None, values: dict[str, Any]) -> str:
    found = findings(duration, values)
    assert (found["kind_confidence"] is None) == (found["kind"] is None)
    return f"{found['kind']}, {found['kind_confidence']}"


def tempo_and_key(values: dict[str, Any], duration: float = 12.0) -> str:
    found = findings(duration, values)
    assert (found["tempo_confidence"] is None) == (found["tempo"] is None)
    return f"{found['tempo']}, {found['key']}"


WHOLE = {**TEMPI, **MUSIC, "loop_bpm": 120.0, "loop_seconds": 40.0, "loop_tempo_sure": 0.9}
"""Twenty bars of four at 120."""


def test_kinds_tempi_and_keys_by_what_is_heard() -> None:
    accepted.compare_calls(__file__, **globals())


@each("confidence, shown", [(0.0, None), (0.29, None), (0.31, 120.0), (None, None)])
def test_a_tempo_of_no_confidence_is_none(confidence: float | None, shown: float | None) -> None:
    found = findings(90.0, {"tempo": 120.0, "tempo_confidence": confidence})
    assert found["tempo"] == shown
    assert found["tempo_confidence"] == (confidence if shown else None)
