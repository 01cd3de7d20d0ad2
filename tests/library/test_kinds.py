"""The kind of a sound by what analyses state of it."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.library.kinds import findings


@pytest.mark.parametrize(
    ("values", "kind", "confidence"),
    [
        # real speech that the labels of `tags` miss, and that is a voice by `instruments`
        ({"tags": [("solo", 0.63)], "instruments": [("voice", 0.95), ("bass", 0.89)]}, "speech", 0.95),
        ({"tags": [("speech", 0.6)], "instruments": [("voice", 0.3)]}, "speech", 0.6),
        ({"tags": [("animal", 0.6)], "instruments": [("voice", 0.89)]}, "ambience", 1.0),
        ({"tags": [], "instruments": [("voice", 0.99)], "key_confidence": 0.4}, "song", 0.4),
    ],
)
def test_a_voice_is_speech_unless_it_is_a_song(values: dict[str, Any], kind: str, confidence: float) -> None:
    found = findings(25.0, values)
    assert (found["kind"], found["kind_confidence"]) == (kind, confidence)
