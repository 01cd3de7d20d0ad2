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
    NotePitch,
    NotePressure,
    NoteTimbre,
    Now,
    NudgeBeat,
    Panic,
    ProgramChange,
    ResetNode,
    Sample,
    SetParam,
    SetSwing,
    SetTempo,
    SetTransport,
    Sync,
    When,
)
from antiphon.session.play import BEGIN as VALUES_BEGIN
from antiphon.session.play import FIRST as FIRST_VALUE
from antiphon.session.play import note_params, plays, value_number, value_place, word_number
from antiphon.session.play import read as play_commands

__all__ = [
    "FIRST_VALUE",
    "NOW",
    "VALUES_BEGIN",
    "Beat",
    "Bend",
    "ClearSchedule",
    "Command",
    "Control",
    "Note",
    "NoteOff",
    "NoteOn",
    "NotePitch",
    "NotePressure",
    "NoteTimbre",
    "Now",
    "NudgeBeat",
    "Panic",
    "ProgramChange",
    "ResetNode",
    "Sample",
    "SetParam",
    "SetSwing",
    "SetTempo",
    "SetTransport",
    "Sync",
    "When",
    "note_params",
    "play_commands",
    "plays",
    "value_number",
    "value_place",
    "word_number",
]
