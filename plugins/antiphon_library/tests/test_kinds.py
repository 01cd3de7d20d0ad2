"""The kind of a sound by what analyses state of it."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon_library.kinds import findings

NO_LOOP = {"loop_confidence": 0.1, "loop_ending": -1.0}
NO_MUSIC = {"tempo_confidence": 0.0, "key_confidence": 0.0}
NO_LABELS: dict[str, Any] = {"tags": [], "instruments": []}


@pytest.mark.parametrize(
    ("values", "kind", "confidence"),
    [
        # real speech that the labels of `tags` miss, and that is a voice by `instruments`
        ({"tags": [("solo", 0.63)], "instruments": [("voice", 0.95), ("bass", 0.89)]}, "speech", 0.95),
        ({"tags": [("speech", 0.6)], "instruments": [("voice", 0.3)]}, "speech", 0.6),
        ({"tags": [("animal", 0.6)], "instruments": [("voice", 0.89)]}, "ambience", 0.9),
        ({"tags": [], "instruments": [("voice", 0.99)], "key_confidence": 0.4}, "song", 0.4),
    ],
)
def test_a_voice_is_speech_unless_it_is_a_song(values: dict[str, Any], kind: str, confidence: float) -> None:
    found = findings(25.0, {**NO_LOOP, **NO_MUSIC, **values})
    assert (found["kind"], found["kind_confidence"]) == (kind, confidence)


@pytest.mark.parametrize(
    ("duration", "values", "kind"),
    [
        (1.75, {"tempo_confidence": 0.0, "key_confidence": 0.0}, None),  # the analysis `music` of a drum loop
        (25.0, {"tempo_confidence": 0.9, "key_confidence": 0.9}, None),  # it may be a loop
        (61.0, {"tempo_confidence": 0.9, "key_confidence": 0.9}, "song"),
        (5.0, NO_LOOP, None),
        (5.0, {**NO_LOOP, **NO_LABELS}, None),
        (5.0, {**NO_LOOP, **NO_MUSIC, "tags": []}, None),
        (5.0, {**NO_LOOP, **NO_MUSIC, **NO_LABELS}, "ambience"),
        (5.0, {"tags": [("speech", 0.9)]}, None),
        (5.0, {**NO_LOOP, "tags": [("speech", 0.9)]}, "speech"),
        (25.0, {**NO_LOOP, "tags": [("speech", 0.9)]}, None),  # it may be a song
        (5.0, {"loop_confidence": 0.8}, "loop"),
        (5.0, {"loop_confidence": 0.1, "loop_ending": -15.0}, "one-shot"),
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


@pytest.mark.parametrize(
    ("values", "tempo", "key"),
    [
        ({"tempo": 120.0, "tempo_confidence": 0.6, "key": "A minor", "key_confidence": 0.6}, 120.0, "A minor"),
        ({"tempo": 120.0, "tempo_confidence": 0.2, "key": "A minor", "key_confidence": 0.4}, None, None),
        ({"loop_confidence": 0.5, "loop_bpm": 151.0, "loop_tempo_sure": 0.0}, None, None),
    ],
)
def test_an_uncertain_tempo_or_key_is_not_stated(values: dict[str, Any], tempo: float | None, key: str | None) -> None:
    found = findings(49.0, values)
    assert (found["tempo"], found["key"]) == (tempo, key)
    assert (found["tempo_confidence"] is None) == (tempo is None)
