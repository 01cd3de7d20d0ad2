"""What a performer asks for, as data with a time: what a transport hands to the server."""

from __future__ import annotations

from antiphon.session.commands import (
    NOW,
    Beat,
    Bend,
    ClearSchedule,
    Command,
    Control,
    Note,
    NoteOff,
    NoteOn,
    Now,
    NudgeBeat,
    Panic,
    ResetNode,
    Sample,
    SetParam,
    SetTempo,
    SetTransport,
    Sync,
    When,
)

__all__ = [
    "NOW",
    "Beat",
    "Bend",
    "ClearSchedule",
    "Command",
    "Control",
    "Note",
    "NoteOff",
    "NoteOn",
    "Now",
    "NudgeBeat",
    "Panic",
    "ResetNode",
    "Sample",
    "SetParam",
    "SetTempo",
    "SetTransport",
    "Sync",
    "When",
]
