"""The line that a command prints for each written file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from antiphon.kernel.runtime.terms import path_text

if TYPE_CHECKING:
    from antiphon.files.audiowrite import AudioWriter
    from antiphon.kernel.runtime.notices import Notices

_CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class Written:
    """Summary of a written file, for the line `wrote out.wav: 1:09.8, 48 kHz, stereo, from in.wav`.

    `seconds`: None without a length. `rate`: Hz; 0 for notes, like `channels`. `notes`: number of notes; None for
    sound. `over`: a sentence on samples beyond full scale; empty for none. `carried`: what the file has of its source
    besides the sound, by `Notice.what`, one each.
    """

    path: str | os.PathLike[str]
    source: str
    seconds: float | None = None
    rate: int = 0
    channels: int = 0
    notes: int | None = None
    found: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    over: str = ""
    carried: tuple[str, ...] = ()

    @classmethod
    def sound(
        cls, writer: AudioWriter, source: str, found: tuple[str, ...] = (), parts: tuple[str, ...] = ()
    ) -> Written:
        """Summary of a writer's sound.

        It has the writer's path, length, rate, channels, conversions for the format, "silent" if applicable, and the
        remark on full scale.
        """
        found = (*writer.conversions, *(("silent",) if writer.silent else ()), *found)
        at = writer.seconds, writer.rate, writer.channels
        return cls(writer.path, source, *at, found=found, parts=parts, over=writer.over, carried=writer.carried_tags)

    def noticed(self, notices: Notices) -> Written:
        """The summary, with the notices of the files that were read for it."""
        return replace(self, found=(*self.found, *notices.take(self.source, self.carried)))

    def __str__(self) -> str:
        words = [] if self.seconds is None else [duration(self.seconds)]
        if self.rate:
            words += [f"{self.rate / 1000:g} kHz", _CHANNELS.get(self.channels, f"{self.channels} channels")]
        if self.notes is not None:
            words.append("1 note" if self.notes == 1 else f"{self.notes} notes")
        words += [f"from {self.source}", *self.found]
        parts = f": {', '.join(self.parts)}" if self.parts else ""
        return f"wrote {path_text(self.path)}: {', '.join(words)}{parts}"


def duration(seconds: float) -> str:
    """Minutes, seconds and tenths, `1:09.8`; with hours if needed."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
