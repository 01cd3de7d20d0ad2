"""Initial corpus of an improviser, a folder of melodies, and its parameters."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from antiphon.api import FileError, Value
from antiphon.api.backends.files import MIDI_SUFFIXES
from antiphon_answer.improviser import Improviser
from antiphon_answer.melody_file import read
from antiphon_answer.memory import ROWS
from antiphon_answer.prior import KEYS

MAX_FILES = 200
"""Maximum files of a corpus."""


def wish(improviser: Improviser, settings: Mapping[str, Value]) -> None:
    """Applies the parameters of `Answer`."""
    wishes = improviser.wishes
    wishes.originality, wishes.register, wishes.seed = (
        int(settings[name]) for name in ("originality", "register", "seed")
    )
    wishes.density, wishes.forget = float(settings["density"]), float(settings["forget"])
    improviser.fixed = KEYS.index(str(settings["key"])) if settings["key"] != "auto" else -1
    if improviser.fixed >= 0:
        improviser.key = improviser.fixed


def read_corpus(improviser: Improviser, folder: str) -> None:
    """Learns the melodies of a folder of MIDI files permanently, without unreadable ones.

    Raises FileError: there is no such folder, or no MIDI file in it.
    """
    if not folder:
        return
    files = list(_midi_files(Path(folder)))
    if not files:
        raise FileError(f"{folder} holds no MIDI files; `corpus` is a folder of them")
    for path in files:
        if improviser.memory.count > ROWS // 2:
            break  # the rest of the memory is the player's
        try:
            given = read(path)
        except FileError:
            continue
        improviser.wishes.bar = given.bar
        for n, note in enumerate(given.notes):
            improviser.learn(note.slot, note.pitch, note.velocity, first=n == 0, late=note.late)
            improviser.memory.lengths[improviser.memory.count - 1] = min(64.0, note.length)
    improviser.keep()


def _midi_files(folder: Path) -> Iterable[Path]:
    if folder.is_dir():
        found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in MIDI_SUFFIXES)
        yield from (path for _, path in zip(range(MAX_FILES), found, strict=False))
