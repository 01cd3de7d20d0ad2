"""The kind of a sound by what analyses state of it; names of keys."""

from typing import Any

import pytest
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
        (("As", "Ab", "as dur"), "Ab major"),
    ],
)
def test_each_name_of_a_key_is_understood(texts: tuple[str, ...], key: str) -> None:
    assert {text: key_named(text) for text in texts} == dict.fromkeys(texts, key)


@each("text", ["", "X", "A mixolydian", "Am7", "8A", "minor", "\n", "A" * 5000])
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


@each(
    "duration, values, kind, confidence",
    [
        (25.0, {**NO_LOOP, **NO_MUSIC, **SPEECH}, "speech", 0.7),
        (25.0, {**NO_LOOP, **NO_MUSIC, **SPEECH, "key_confidence": 0.4}, "speech", 0.7),
        (8.0, {**NO_LOOP, **NO_MUSIC, **SPEECH, "loop_confidence": 0.9}, "speech", 0.7),
        (8.0, {**NO_LOOP, **NO_MUSIC, **VOICE, "loop_confidence": 0.9}, "voice", 0.8),
        (8.0, {**NO_LOOP, **NO_MUSIC, **MUSIC}, "excerpt", 0.6),
        (25.0, {**NO_LOOP, **NO_MUSIC, **MUSIC}, "excerpt", 0.6),
        (25.0, {**NO_LOOP, **NO_MUSIC, **MUSIC, "key_confidence": 0.4}, "song", 0.4),
        (25.0, {**NO_LOOP, **NO_MUSIC, **NOISE}, "ambience", 0.9),
        (6.0, {**NO_LOOP, **NO_MUSIC, **NOISE, "speechiness": 0.95}, "speech", 0.95),
        (6.0, {**NO_LOOP, **NO_MUSIC, **NOISE, "speechiness": 0.5}, "ambience", 0.9),
        (5.0, {**NO_LOOP, **NO_MUSIC, **VOICE, "instrumentalness": 1.0}, "ambience", 0.9),
        (2.2, {**NO_LOOP, **SPEECH, "loop_ending": -22.0}, "speech", 0.7),
    ],
)
def test_a_kind_by_what_is_heard(duration: float, values: dict[str, Any], kind: str, confidence: float) -> None:
    found = findings(duration, values)
    assert (found["kind"], found["kind_confidence"]) == (kind, confidence)


@each("confidence, shown", [(0.0, None), (0.29, None), (0.31, 120.0), (None, None)])
def test_a_tempo_of_no_confidence_is_none(confidence: float | None, shown: float | None) -> None:
    found = findings(90.0, {"tempo": 120.0, "tempo_confidence": confidence})
    assert found["tempo"] == shown
    assert found["tempo_confidence"] == (confidence if shown else None)


@each(
    "duration, values, kind",
    [
        (1.75, {"tempo_confidence": 0.0, "key_confidence": 0.0}, None),  # the analysis `music` of a drum loop
        (25.0, {"tempo_confidence": 0.9, "key_confidence": 0.9}, None),  # it may be a loop
        (61.0, {"tempo_confidence": 0.9, "key_confidence": 0.9}, None),  # it may be a voice
        (61.0, {"tempo_confidence": 0.9, "key_confidence": 0.9, **MUSIC}, "song"),
        (5.0, NO_LOOP, None),
        (5.0, {**NO_LOOP, **NO_MUSIC, "content": "noise"}, None),  # it may be speech
        (5.0, {**NO_LOOP, **NO_MUSIC, "content": "voice"}, None),  # it may be played
        (5.0, {**NO_LOOP, **NOISE}, None),
        (5.0, {**NO_LOOP, **NO_MUSIC}, None),
        (5.0, {**NO_LOOP, **NO_MUSIC, **NOISE}, "ambience"),
        (5.0, SPEECH, None),
        (5.0, {**NO_LOOP, **SPEECH}, "speech"),
        (5.0, {"loop_confidence": 0.8}, None),
        (5.0, {"loop_confidence": 0.8, "content": None}, "loop"),
        (5.0, {"loop_confidence": 0.1, "loop_ending": -15.0, **MUSIC}, "one-shot"),
        (0.2, {"no_loop": "it is 0.2 s long", "loop_ending": -3.0}, "one-shot"),
        (5.0, {"no_loop": "it is silent"}, None),
        (None, {}, None),
    ],
)
def test_a_kind_is_said_only_by_all_that_decides_it(
    duration: float | None, values: dict[str, Any], kind: str | None
) -> None:
    found = findings(duration, values)
    assert found["kind"] == kind
    assert (found["kind_confidence"] is None) == (kind is None)


@each(
    "values, tempo, key",
    [
        ({"tempo": 120.0, "tempo_confidence": 0.6, "key": "A minor", "key_confidence": 0.6}, 120.0, "A minor"),
        ({"tempo": 120.0, "tempo_confidence": 0.2, "key": "A minor", "key_confidence": 0.4}, None, None),
        ({"loop_confidence": 0.5, "loop_bpm": 151.0, "loop_tempo_sure": 0.0}, None, None),
        ({**TEMPI, "loop_tempo_sure": 0.08}, 120.0, "A minor"),
        ({**TEMPI, "loop_tempo_sure": 0.08, **MUSIC}, None, "C major"),
        ({**TEMPI, "loop_tempo_sure": 0.9, "tempo_confidence": 0.8}, 90.0, "A minor"),
        ({**TEMPI, **MUSIC, "tempo": 179.6, "loop_tempo_sure": 0.24}, 180.0, "C major"),
        ({**TEMPI, **MUSIC, "tempo": 45.1, "loop_tempo_sure": 0.45, "tempo_confidence": 0.8}, 45.0, "C major"),
        ({**TEMPI, **MUSIC, "tempo": 179.6, "loop_tempo_sure": 0.74}, 90.0, "C major"),
        ({**TEMPI, **MUSIC, "tempo": 179.6, "loop_tempo_sure": 0.4, "tempo_confidence": 0.6}, 90.0, "C major"),
    ],
)
def test_an_uncertain_tempo_or_key_is_not_stated(values: dict[str, Any], tempo: float | None, key: str | None) -> None:
    found = findings(49.0, values)
    assert (found["tempo"], found["key"]) == (tempo, key)
    assert (found["tempo_confidence"] is None) == (tempo is None)
