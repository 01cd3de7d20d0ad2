"""Job of `antiphon run` for a plugin that is not sound in, sound out: notes, MIDI, a library."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from antiphon.files.sound_finish import PLAIN, SoundFinish
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import say
from antiphon.kernel.runtime.sound_formats import READ_SUFFIXES

FADE = 0.02
"""Fade-out in seconds of a sound that has not ended by itself."""
Named: TypeAlias = tuple[str, str | os.PathLike[str]]
"""A file's name on the command line (IN, --midi-out), and its path."""


@dataclass(frozen=True, slots=True)
class FileJob:
    """One output file: argument of the function named by `FileUse.job`.

    The function writes `target` and returns what it wrote, as `Written`. It refuses invalid requests with a
    `UsageError`.

    Attributes:
        source: A sound file, a MIDI file or a folder.
        fires: Those of `FileUse.fires` that fire, each with its seconds.
        block: Frames of a block.
        midi_out: A further MIDI file that was asked for, or None.
        analysis: A further file with an analysis that was asked for, or None.
        stems: Further sound files that were asked for, by the names in `FileUse.stems`; or, instead of the target, all
            those in `FileUse.splits`.
        beside: Further files that were asked for, by the names in `FileUse.beside`.
        given: Texts, or names of files, that were given by options of their own: "chords", and "only" and "without",
            which are names of parts with commas between them.
        fade: Seconds in which a sound that has not ended is faded out.
        finish: Of the sounds to be written, `AudioWriter`'s.
        progress: Takes the part that is done, 0 to 1.
        ask: Puts a question to that person and returns the answer; "" where no terminal is connected.
    """

    plugin: str
    source: Path
    target: Path
    settings: Mapping[str, Value] = field(default_factory=dict)
    block: int = 256
    midi_out: Path | None = None
    analysis: Path | None = None
    stems: Mapping[str, Path] = field(default_factory=dict)
    beside: Mapping[str, Path] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    fade: float = FADE
    finish: SoundFinish = PLAIN
    progress: Callable[[float], None] = lambda part: None
    complain: Callable[[str], None] = say
    ask: Callable[[str], str] = lambda question: ""
    fires: tuple[tuple[str, float], ...] = ()

    def uses(self, *names: str, where: str = "on files") -> None:
        """Says which of the given settings have no effect: those that are not named here."""
        idle = sorted(self.settings.keys() - set(names))
        if idle:
            self.complain(f"{', '.join(idle)} of {self.plugin} {'has' if len(idle) == 1 else 'have'} no effect {where}")


def check_distinct(read: Iterable[Named], written: Iterable[Named], mend: str = "") -> None:
    """Checks that no output file is an input file, or another output file.

    `read`: what each file that is read is called on the command line, and its path. A folder stands for what is in it.
    `mend`: what to do where it is OUT; "" for giving it another name. Raises UsageError: two of them are the same file.
    """
    from antiphon.files.decode import path_text

    outs = [(what, path, paths.file_identity(path)) for what, path in written]
    folders = any(os.path.exists(path) for _, path, _ in outs)
    known: dict[object, str] = {}
    for what, path in read:
        known.setdefault(paths.file_identity(path), what)
        if folders:
            for inner in _inside(path):
                known.setdefault(paths.file_identity(inner), what)
    for what, path, existing in outs:
        if existing in known:
            both = f"two of {what}" if known[existing] == what else f"{known[existing]} and {what}"
            advice = mend if mend and what == "OUT" else f"give {what} a name of its own"
            raise UsageError(f"{both} are the same file, {path_text(path)}; {advice}")
        known[existing] = what


def free(written: Iterable[Named], *, force: bool) -> None:
    """Raises UsageError if an output file exists without `--force`."""
    from antiphon.files.decode import path_text

    for what, path in written:
        # a path that is no regular file is refused, with the reason, by the function that writes it
        if not force and os.path.isfile(path):
            raise UsageError(
                f"{path_text(path)} is there already; give {what} another name, or --force to write over it"
            )


def _inside(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Sound files, and their rules, in a folder and below it; empty if it is no folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            if os.path.splitext(name)[1].lower() in (*READ_SUFFIXES, ".toml"):
                yield Path(place) / name
