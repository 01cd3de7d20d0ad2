"""Converts lines of session logs of version 1 to the present version.

Version 1 had five columns for all actions, cell, number, ramp, token and node, each with a meaning of its own for each
op; version 2 names every field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.engine.recording.journal import VERSION

VERSIONS = (1, VERSION)
"""Versions of logs that can be read."""
_NOTE = {"node": "node", "cell": "note", "number": "velocity", "token": "channel"}
_COLUMNS = {
    "set": {"node": "node", "cell": "cell", "number": "number", "ramp": "ramp"},
    "reset": {"node": "node"},
    "tempo": {"number": "bpm", "ramp": "beats"},
    "transport": {"cell": "playing", "number": "beat"},
    "sync": {"token": "token"},
    "note_on": _NOTE,
    "note_off": {key: name for key, name in _NOTE.items() if name != "velocity"},
    "control": {"node": "node", "cell": "number", "number": "value", "token": "channel"},
    "bend": {"node": "node", "number": "value", "token": "channel"},
}
"""Columns of version 1 by field, for each op; other columns are unused."""
_LEFT_OUT = {"node": 0, "cell": 0}
"""Columns that were left out where they were 0; of a ramp and a channel the record's own default is meant."""
_EVENTS = ("note_on", "note_off", "control", "bend")
_PLAYING = {-1: None, 0: False, 1: True}


def convert(line: Mapping[str, Any]) -> dict[str, Any]:
    """Converts an action's line from version 1 to 2. An unknown op is returned unchanged, and refused later."""
    op = str(line["op"])
    columns = _COLUMNS.get(op, {})
    record = {"sample": line["sample"], "op": line["op"]}
    for column, name in columns.items():
        if column in line or column in _LEFT_OUT:
            record[name] = line.get(column, _LEFT_OUT.get(column))
    if op == "transport":
        playing = record["playing"]
        if type(playing) is int and playing in _PLAYING:
            record["playing"] = _PLAYING[playing]
    if op in _EVENTS and line.get("ramp") == 1.0:
        record["live"] = True
    return record
