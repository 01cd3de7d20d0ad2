"""Chords of a recording as a file's text: lines, as most annotations are, or JAMS (Humphrey et al., ISMIR 2014)."""

from __future__ import annotations

import json
from collections.abc import Sequence

SUFFIXES = (".lab", ".txt", ".jams")
"""Endings of files of chords, the last of JAMS."""


def chord_text(suffix: str, spans: Sequence[tuple[float, float, str]], seconds: float, title: str, tool: str) -> str:
    """Text of a file of chords.

    Args:
        suffix: One of `SUFFIXES`.
        spans: (start s, end s, label in Harte's syntax), in order.
        seconds: Length of the recording.
        title: Its name.
        tool: What found the chords.
    """
    if suffix != ".jams":
        return "".join(f"{start:.6f} {end:.6f} {label}\n" for start, end, label in spans)
    data = [
        {"time": round(start, 6), "duration": round(end - start, 6), "value": label, "confidence": None}
        for start, end, label in spans
    ]
    unknown = dict.fromkeys(("version", "corpus", "annotation_rules", "validation"), "")
    said = {"curator": {"name": "", "email": ""}, "annotator": {}, "annotation_tools": tool, "data_source": "program"}
    annotation = {
        "namespace": "chord",
        "time": 0.0,
        "duration": round(seconds, 6),
        "annotation_metadata": {**unknown, **said},
        "data": data,
        "sandbox": {},
    }
    names = {"title": title, "artist": "", "release": "", "identifiers": {}, "jams_version": "0.3.4"}
    file = {**names, "duration": round(seconds, 6)}
    return json.dumps({"annotations": [annotation], "file_metadata": file, "sandbox": {}}, indent=1) + "\n"
