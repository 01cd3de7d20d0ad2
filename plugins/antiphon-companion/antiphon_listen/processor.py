"""Processors `summary` and `compact`: parts of a song on files.

Live, with an unknown end of the song, they pass audio through.
"""

import numpy as np

from antiphon.api import IO, FileUse, Param, Processor

SHORTEST, LONGEST = 1.0, 3600.0
"""Range of a summary's length in seconds."""


class Summary(Processor):
    """Plays a song's chorus, verse and remarkable parts, in its order."""

    on_files = FileUse(
        "antiphon_listen.chord_notes:write_summary", beside=("report", "picture"), changes=("length", "time")
    )
    params = (
        Param("seconds", default=30.0, low=SHORTEST, high=LONGEST, unit="s", doc="Length; at most a bar is missing."),
    )

    def process(self, io: IO) -> None:
        np.copyto(io.audio_out[0], io.audio_in[0])


class Compact(Processor):
    """Plays every part of a song once."""

    on_files = FileUse(
        "antiphon_listen.chord_notes:write_compact", beside=("report", "picture"), changes=("length", "time")
    )

    def process(self, io: IO) -> None:
        np.copyto(io.audio_out[0], io.audio_in[0])
