"""`antiphon evaluate hum` on the user's sounds: files, or a folder of them, each with its notes beside it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from antiphon_models.hum import testset
from antiphon_models.hum.matching import ENDS, note_f1, offset_of, tuning_of
from antiphon_models.hum.peers import Found
from antiphon_models.hum.systems import Result, System
from antiphon_models.hum.testset import Clip
from antiphon_models.learning.evaluation import MetricValue

SOUNDS = (".wav", ".ogg", ".flac", ".mp3", ".aiff")


def files_in(folder: Path) -> tuple[Path, ...]:
    """Sounds of a folder with notes beside them, by name; empty without any."""
    if not folder.is_dir():
        return ()
    return tuple(
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SOUNDS and any(path.with_suffix(suffix).is_file() for suffix in testset.NOTES)
    )


def own_scores(files: Sequence[Path], systems: Mapping[str, System]) -> Iterator[MetricValue]:
    """Figures of the systems on the files.

    Of each live system one constant offset, the median over all notes, is taken out. The pitch that counts is the one
    a system reports with its fraction; `F1 of MIDI numbers` is of the nearest whole number, which is what a synth is
    sent. `F1, tuning out` is what remains after the median deviation of pitch over the file.
    """
    clips = [testset.own_clip(path) for path in files]
    for name, system in systems.items():
        late: list[float] = []
        results: list[tuple[Clip, Result]] = []
        for clip in clips:
            result = system(clip)
            results.append((clip, result))
            if result.late is not None:
                late += offset_of(clip.notes, result.notes)
            else:
                yield from _figures(name, clip, result.notes)
        if late:
            offset = float(np.median(late))
            for clip, result in results:
                yield from _figures(name, clip, [(a - offset, b - offset, p) for a, b, p in result.notes])


def _figures(name: str, clip: Clip, notes: Found) -> Iterator[MetricValue]:
    whole = [(a, b, float(round(pitch))) for a, b, pitch in notes]
    tuned = clip.notes.copy()
    tuned[:, 2] += tuning_of(clip.notes, notes)
    yield MetricValue(name, "F1", clip.name, note_f1(clip.notes, notes))
    yield MetricValue(name, "F1 with offsets", clip.name, note_f1(clip.notes, notes, ENDS))
    yield MetricValue(name, "F1 of MIDI numbers", clip.name, note_f1(clip.notes, whole))
    yield MetricValue(name, "F1, tuning out", clip.name, note_f1(tuned, notes))
    yield MetricValue(name, "notes found", clip.name, 100.0 * len(notes) / max(1, len(clip.notes)))
