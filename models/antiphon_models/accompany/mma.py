"""The peer: MMA, Musical MIDI Accompaniment, with the same chords, where it is installed (Debian's package `mma`)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from antiphon.api.files import read_midi
from antiphon_accompany.band.notes import BeatNote
from antiphon_accompany.harmony.chords import triad_chord
from antiphon_models.accompany.songs import AnnotatedSong

GROOVES = ("PopBallad", "BasicRock", "Swing", "BossaNova", "Arpeggio44", "Hymn")
"""Its styles that ours are named like. All are of four beats."""
_PARTS = {"bass": "bass", "walk": "bass", "chord": "piano", "arpeggio": "guitar"}
_SECONDS = 60


def bands(song: AnnotatedSong, grooves: Sequence[str] = GROOVES) -> Iterator[list[BeatNote]]:
    """What it plays on a song's annotated chords, by each groove; nothing where it is not installed.

    Parts are called as ours where it names them so, and otherwise by the track.
    """
    program = shutil.which("mma")
    if program is None or song.meter not in (3, 4):
        return
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "song.mma", Path(folder) / "song.mid"
        for groove in grooves if song.meter == 4 or grooves != GROOVES else ():
            source.write_text(_text(song, groove))
            done = subprocess.run([program, "-f", target, source], cwd=folder, capture_output=True, timeout=_SECONDS)
            if done.returncode == 0 and target.is_file():
                yield _read(target, song.first, song.meter)
                target.unlink()


def _text(song: AnnotatedSong, groove: str) -> str:
    """The song as MMA's source: a line for each bar, a chord or its repetition for each beat."""
    meter = song.meter
    chords = [*[-1] * (-song.first % meter), *(int(c) for c in song.chords)]
    lines = [f"Time {meter}", f"Tempo {song.tempo:.0f}", f"Groove {groove}"]
    for bar in range(0, len(chords), meter):
        words = [triad_chord(c).name if c >= 0 else "z" for c in chords[bar : bar + meter]]
        lines.append(f"{bar // meter + 1} {' '.join(words)}")
    return "\n".join(lines) + "\n"


def _read(path: Path, first: int, meter: int) -> list[BeatNote]:
    start = -first % meter
    notes: list[BeatNote] = []
    for track in read_midi(path).tracks:
        name = track.name.lower()
        part = next((ours for theirs, ours in _PARTS.items() if name.startswith(theirs)), name)
        notes += [
            BeatNote(n.start - start, n.end - start, n.number, n.velocity, "drums" if n.channel == 10 else part)
            for n in track.notes
        ]
    return sorted(notes)
