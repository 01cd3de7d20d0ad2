"""What a performer asks for, as data with a time: what a transport hands to the server."""

from __future__ import annotations

from antiphon.kernel.session.commands import (
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
from antiphon.kernel.session.play import (
    BEGIN as VALUES_BEGIN,
    FIRST as FIRST_VALUE,
    note_params,
    plays,
    read as play_commands,
    value_number,
    value_place,
    word_number,
)
