"""What kind of sound a file is, its tempo and its key, by what the analyses `music`, `loop` and `tags` state of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = ("loop", "one-shot", "song", "speech", "ambience")
QUANTITIES = (
    "tempo", "tempo_confidence", "key", "key_confidence", "loop_bpm", "loop_tempo_sure", "loop_key", "loop_key_sure",
    "loop_confidence", "loop_ending", "no_loop", "tags",
)  # fmt: skip
SPEECH = ("speech", "female voice", "male voice")
LIKELY, LIKELY_LOOP = 0.5, 0.3
"""Confidence from which something is taken to be so. A loop has a limit of its own: as the card of `loops` says, few
sounds that are none reach it."""
SHORTEST_LOOP, LONGEST_SHOT, SHORTEST_SONG = 1.0, 12.0, 20.0
"""Seconds."""
DECAYED = -12.0
"""dB of the last quarter of a sound, of the loudest 0, below which it is one stroke that has faded."""


def findings(duration: float | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of a sound, its tempo and its key.

    Args:
        duration: Seconds; None for a bad file.
        values: By quantity what analyses state; those that are missing say nothing.

    Returns:
        kind, one of `KINDS`, tempo (bpm) and key ("A minor"), and of each its confidence, 0 to 1; None where it is not
        known. A loop's tempo and key are those of `loop`, whose length is whole bars.
    """
    kind, certain = _kind(duration, values)
    tempo, key = ((values.get(name), values.get(f"{name}_confidence")) for name in ("tempo", "key"))
    if kind == "loop":
        tempo = values.get("loop_bpm"), min(certain or 0.0, values.get("loop_tempo_sure") or 0.0)
        key = (values.get("loop_key"), values.get("loop_key_sure")) if values.get("loop_key") else key
    found: dict[str, Any] = {}
    for name, (value, confidence) in {"tempo": tempo, "key": key, "kind": (kind, certain)}.items():
        found |= {name: value, f"{name}_confidence": None if value is None else confidence}
    return found


def _kind(duration: float | None, values: Mapping[str, Any]) -> tuple[str | None, float | None]:
    if duration is None or not values.keys() & {"loop_confidence", "no_loop", "tags", "tempo_confidence"}:
        return None, None
    loop, tempo = values.get("loop_confidence") or 0.0, values.get("tempo_confidence") or 0.0
    ending = values.get("loop_ending")
    speech = max((p for label, p in values.get("tags") or () if label in SPEECH), default=0.0)
    if loop >= LIKELY_LOOP:
        return "loop", loop
    if ending is not None and (duration < SHORTEST_LOOP or (duration <= LONGEST_SHOT and ending < DECAYED)):
        return "one-shot", round(1.0 - loop, 4)
    if tempo >= LIKELY and duration >= SHORTEST_SONG:
        return "song", tempo
    if speech >= LIKELY:
        return "speech", speech
    return "ambience", round(1.0 - max(loop, speech, tempo), 4)
