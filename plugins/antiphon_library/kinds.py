"""What kind of sound a file is, its tempo and its key, by the analyses `music`, `loop` and `genre`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = ("loop", "one-shot", "song", "excerpt", "voice", "speech", "ambience")
"""An excerpt is music too short for a song, or without a tempo and a key; a voice is one alone that sings."""
QUANTITIES = (
    "tempo",
    "tempo_confidence",
    "key",
    "key_confidence",
    "loop_bpm",
    "loop_tempo_sure",
    "loop_key",
    "loop_key_sure",
    "loop_confidence",
    "loop_ending",
    "no_loop",
    "content",
    "content_sure",
)
LIKELY, LIKELY_LOOP, LIKELY_KEY = 0.5, 0.3, 0.25
"""Confidence from which something is so: a tempo, a loop, a song's key. The card of the plugin `listen` has the
figures."""
SHOWN = {"tempo": 0.3, "key": 0.5}
"""Confidence below which a tempo or key is not stated: of those above it four in five and more are right."""
SHORTEST_LOOP, LONGEST_LOOP, LONGEST_SHOT, SHORTEST_SONG = 1.0, 60.0, 12.0, 20.0
"""Seconds."""
DECAYED, NO_LOOP = -12.0, -20.0
"""dB of the last quarter of a sound, of the loudest 0: below the one what is no loop has faded, below the other nothing
is a loop."""


def findings(duration: float | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """kind, one of `KINDS`, tempo (bpm) and key ("A minor") of a sound, and of each its confidence, 0 to 1.

    None where it is not known or below `SHOWN`; a kind is known where all has been found that decides it. A loop's
    tempo and key are those of `loop`, whose length is whole bars.

    `duration`: seconds; None for a bad file. `values` are those that analyses state, by quantity.
    """
    kind, certain = _kind(duration, values)
    tempo, key = ((values.get(name), values.get(f"{name}_confidence")) for name in ("tempo", "key"))
    if kind == "loop":
        tempo = values.get("loop_bpm"), min(certain or 0.0, values.get("loop_tempo_sure") or 0.0)
        key = (values.get("loop_key"), values.get("loop_key_sure")) if values.get("loop_key") else key
    found: dict[str, Any] = {}
    for name, (value, confidence) in {"tempo": tempo, "key": key, "kind": (kind, certain)}.items():
        if (confidence or 0.0) < SHOWN.get(name, 0.0):
            value = None
        found |= {name: value, f"{name}_confidence": None if value is None else confidence}
    return found


def _kind(duration: float | None, values: Mapping[str, Any]) -> tuple[str | None, float | None]:
    known = {name for name, value in values.items() if value is not None}
    if duration is None or (duration <= LONGEST_LOOP and not known & {"loop_confidence", "no_loop"}):
        return None, None
    loop, tempo, key = (values.get(f"{name}_confidence") or 0.0 for name in ("loop", "tempo", "key"))
    ending, content, sure = (values.get(name) for name in ("loop_ending", "content", "content_sure"))
    if (ending is not None and ending < NO_LOOP) or content in ("speech", "voice"):
        loop = 0.0
    if loop >= LIKELY_LOOP:
        return "loop", loop
    if ending is not None and (duration < SHORTEST_LOOP or (duration <= LONGEST_SHOT and ending < DECAYED)):
        return "one-shot", round(1.0 - loop, 4)
    if content in ("speech", "voice"):
        return content, sure
    if duration >= SHORTEST_SONG:
        if tempo >= LIKELY or key >= LIKELY_KEY:
            return "song", max(tempo, key)
        if "tempo_confidence" not in known:
            return None, None
    if not known >= {"tempo_confidence", "content"}:  # of silence there are none
        return None, None
    return ("excerpt", sure) if content == "music" else ("ambience", round(1.0 - max(loop, tempo, key), 4))
