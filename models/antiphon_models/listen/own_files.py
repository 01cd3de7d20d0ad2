"""`antiphon evaluate chords`, `key` and `tempo`: measures renders, or the user's sounds with annotations."""

import os
import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import soxr

from antiphon.api import FileError, UsageError
from antiphon.api.backends.analysis import listening_mono
from antiphon.api.backends.files import READ_SUFFIXES, read_sound
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue, metric_values
from antiphon_models.listen.evaluation import SONGS, SYSTEMS, ListenEvaluation, MusicEstimate, score_estimate
from antiphon_models.listen.songs import RATE, SOUNDFONTS, TEST, ListenedSong, key_named, read_song
from antiphon_models.material.sounds import songs

_MIN_TEMPO, _MAX_TEMPO = 20.0, 400.0
_KEY = re.compile(r"([A-Ga-g][#b]?)[ :]*([Mm]ajor|[Mm]inor|[Mm]aj|[Mm]in|m|)", re.ASCII)
_NAMED = 5
"""Maximum number of annotations without a sound that are named."""
_NOTHING = ListenedSong("", np.zeros(0, np.float32), np.zeros(0), np.zeros(0), (), "", 1)


class _OneQuantity(Evaluation):
    """Base of evaluations of one quantity by systems of `SYSTEMS`.

    Attributes:
        truth: Suffix of the annotation file beside a sound.
    """

    truth: ClassVar[str] = ""
    folders = ("pop909",)

    def files_in(self, data: Path, say: Callable[[str], None] = print) -> tuple[Path, ...]:
        truths = [path for path in sorted(data.rglob("*")) if path.suffix.lower() == self.truth and path.is_file()]
        sounds = {truth: _beside(truth, READ_SUFFIXES) for truth in truths}
        alone = [str(truth.relative_to(data)) for truth in truths if not sounds[truth]]
        found = tuple(dict.fromkeys(sound for truth in truths for sound in sounds[truth]))
        if found and alone:
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            say(f"no sound of that name is beside {', '.join(alone[:_NAMED])}{more}")
        return found

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        names = {measure.name for measure in self.measures}
        systems = ask.select({system.name: SYSTEMS[system.name] for system in self.systems})
        for group, song in self._songs(ask):
            found = {name: self.part(run(song.sound)) for name, run in systems.items()}
            if ask.files:
                answers = ", ".join(f"{name} {self.answer(song, one)}" for name, one in found.items())
                ask.say(f"{song.name}: {self.answer(song, None)}; {answers}")
            for name, one in found.items():
                measured = ((measure, value) for measure, value in score_estimate(song, one) if measure in names)
                yield from metric_values(name, song.name, measured, group)

    def _songs(self, ask: EvaluationRequest) -> Iterator[tuple[str, ListenedSong]]:
        base = os.path.commonpath([path.absolute().parent for path in ask.files]) if ask.files else ""
        for path, truth in [(path, self._truth(path)) for path in ask.files[: ask.limit]]:
            name = path.absolute().relative_to(base).as_posix()
            try:
                sound = read_sound(path)
            except (FileError, UsageError) as error:
                ask.say(f"{name} is left out: {error}")
                continue
            mono = np.asarray(soxr.resample(listening_mono(sound.samples), sound.rate, RATE), np.float32)
            yield "", replace(truth, name=name, sound=mono)
        for soundfont in () if ask.files else SOUNDFONTS:
            for folder in songs(ask.data, TEST, ask.limit or SONGS):
                yield soundfont, read_song(folder, ask.work, soundfont)

    def _truth(self, path: Path) -> ListenedSong:
        """Reads the annotation beside a sound, but not the sound."""
        truth = next(iter(_beside(path, (self.truth,))), None)
        if truth is None:
            wanted = path.with_suffix(self.truth).name
            raise UsageError(f"{path.name} has no {wanted} beside it; wanted are {self.files_doc}")
        try:
            return self.read(truth.read_text("utf-8").strip())
        except (OSError, ValueError) as error:
            raise UsageError(f"{truth.name} cannot be read: {error}; wanted are {self.files_doc}") from None

    @abstractmethod
    def read(self, text: str) -> ListenedSong:
        """Parses an annotation. Raises `ValueError`: it is invalid."""

    @abstractmethod
    def part(self, found: MusicEstimate) -> MusicEstimate:
        """The estimate reduced to the measured quantity."""

    @abstractmethod
    def answer(self, song: ListenedSong, found: MusicEstimate | None) -> str:
        """A system's estimate for the user's sound, in a word; for None the truth."""


def _beside(path: Path, suffixes: Collection[str]) -> list[Path]:
    """Files with the stem of `path` and one of `suffixes`; ignores case if no exact match exists."""
    named = (each for each in sorted(path.parent.iterdir()) if each.suffix.lower() in suffixes)
    found = [each for each in named if each.stem.casefold() == path.stem.casefold() and each.is_file()]
    return [each for each in found if each.stem == path.stem] or found


class Chords(_OneQuantity):
    """Evaluation of chords."""

    peer = "templates; crema"
    ours = "listen"
    columns = "majmin; sevenths; mirex; no chord ↓"
    note = "majmin, sevenths, mirex: mir_eval; no chord: its share of the time. crema: its network alone."
    road = "`antiphon library analyse FILE --only music --json`"
    truth = ".lab"
    files_doc = "your sounds, each with its chords beside it, NAME.lab: lines of start, end in seconds, chord"

    def read(self, text: str) -> ListenedSong:
        import mir_eval

        rows = [line.split() for line in text.splitlines() if line.strip()]
        if not rows or any(len(row) != 3 for row in rows):
            raise ValueError("a line is not start, end and chord")
        chords = tuple((float(start), float(end), label) for start, end, label in rows)
        for start, end, label in chords:
            if not 0.0 <= start < end:
                raise ValueError(f"{label} ends before it begins")
            try:
                mir_eval.chord.encode(label)
            except mir_eval.chord.InvalidChordException:
                raise ValueError(f"there is no chord {label!r}") from None
        return replace(_NOTHING, chords=chords)

    def part(self, found: MusicEstimate) -> MusicEstimate:
        return MusicEstimate(chords=found.chords)

    def answer(self, song: ListenedSong, found: MusicEstimate | None) -> str:
        if found is None:
            return f"{len(song.chords)} chords, majmin"
        return f"{dict(score_estimate(song, found)).get('majmin', 0.0):.2f}"


class Keys(_OneQuantity):
    """Evaluation of keys; one below the display threshold counts as none."""

    peer = "Krumhansl"
    ours = "listen; listen, live"
    columns = "key; key or relative; key, weighted; shown"
    note = (
        "of the keys that are shown: the right one; or its relative; weighted as MIREX. shown: of all songs. "
        "live: the key last named."
    )
    road = ListenEvaluation.road
    truth = ".key"
    files_doc = 'your sounds, each with its key beside it, NAME.key: "A minor"'

    def read(self, text: str) -> ListenedSong:
        if not (found := _KEY.fullmatch(text)):
            raise ValueError(f"there is no key {text[:40]!r}")
        mode = "minor" if found[2] == "m" or found[2].lower().startswith("min") else "major"
        return replace(_NOTHING, key=key_named(f"{found[1].capitalize()} {mode}"))

    def part(self, found: MusicEstimate) -> MusicEstimate:
        return MusicEstimate(key=found.key)

    def answer(self, song: ListenedSong, found: MusicEstimate | None) -> str:
        return song.key if found is None else found.key or "none"


class Tempi(_OneQuantity):
    """Evaluation of tempos; an unlikely one counts as none."""

    peer = "librosa beats"
    ours = "listen; listen, live"
    columns = "tempo; half or double; tempo shown"
    note = "of the tempos that are shown: those within 4 %; half or double counts those too. shown: of all songs."
    road = ListenEvaluation.road
    truth = ".bpm"
    files_doc = "your sounds, each with its tempo beside it, NAME.bpm: 120.5"

    def read(self, text: str) -> ListenedSong:
        try:
            tempo = float(text.replace(",", "."))
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no number") from None
        if not _MIN_TEMPO <= tempo <= _MAX_TEMPO:
            raise ValueError(f"a tempo is {_MIN_TEMPO:g} to {_MAX_TEMPO:g} bpm, not {tempo:g}")
        return replace(_NOTHING, beats=60.0 / tempo * np.arange(64, dtype=np.float64))

    def part(self, found: MusicEstimate) -> MusicEstimate:
        return MusicEstimate(tempo=found.tempo)

    def answer(self, song: ListenedSong, found: MusicEstimate | None) -> str:
        tempo = 60.0 / float(song.beats[1]) if found is None else found.tempo
        return f"{tempo:.1f}" if tempo else "none"
