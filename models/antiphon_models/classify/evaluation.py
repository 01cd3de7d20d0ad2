"""`antiphon evaluate genre FOLDER`: measures recordings in folders named by genre, or the tests of GTZAN and FMA.

Without a folder it uses recordings of the data whose source tells their genre, and sounds other than music.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import AntiphonError, FileError, UsageError
from antiphon.api.backends.files import READ_SUFFIXES
from antiphon_classify.labels import GENRES, UNKNOWN
from antiphon_models.datasets.layouts import layout_of
from antiphon_models.datasets.records import TEST, Item
from antiphon_models.learning.evaluation import Evaluation, EvaluationRequest, MetricValue
from antiphon_models.learning.user_commands import analysis_of_file
from antiphon_models.material.sounds import evenly_spaced_items

OURS, MAJORITY = "genre", "most frequent"
GENRE_ALIASES: Mapping[str, tuple[str, ...]] = {
    "rap": ("hip hop",),
    "rb": ("funk/soul",), "rnb": ("funk/soul",), "soul": ("funk/soul",), "funk": ("funk/soul",),
    "soulfunk": ("funk/soul",), "soulrnb": ("funk/soul", "pop"),
    "reggae": ("world",), "international": ("world",), "latin": ("world",), "bossanova": ("world", "jazz"),
    "electronic": ("electronic", "house"), "techno": ("electronic", "house"), "ambient": ("electronic",),
    "dance": ("electronic", "house"), "drumandbass": ("electronic",), "punk": ("rock",), "hardrock": ("rock", "metal"),
    "singersongwriter": ("folk",), "orchestral": ("classical",), "opera": ("classical",),
}  # fmt: skip
"""Our genres accepted for each foreign genre name; an empty or unmatched name counts as unknown."""

_SOURCES = {
    "tracks/hungarian_dance_strings": "classical", "tracks/lets_go_fishin_country_vocal": "country",
    "tracks/vibe_ace_jazz": "jazz", "debian/wesnoth-1.16-music": "classical", "debian/singularity-music": "electronic",
    "esc10": "noise", "singing": "a voice alone", "tracks/speech_librispeech": "speech",
}  # fmt: skip
"""Genres of recordings, by folder in the data or by file name without suffix."""
_OF_A_SOURCE = 8
"""Maximum recordings of one source, taken at even distances."""


@dataclass(frozen=True, slots=True)
class LabeledRecording:
    """A recording with the genre given by its folder or data set."""

    path: Path
    name: str
    genre: str

    @property
    def right(self) -> tuple[str, ...]:
        """Our genres accepted as correct; empty for a genre without a counterpart."""
        plain = _plain(self.genre)
        return GENRE_ALIASES.get(plain, tuple(name for name in GENRES if _plain(name) == plain))


class GenreEvaluation(Evaluation):
    """Measures accuracy over items and over genres, and how often items without a genre of ours are left unknown."""

    trivial = MAJORITY
    ours = OURS
    columns = "accuracy; macro; top 3; strangers unknown"
    files_doc = "one folder, whose folders are named by genre"
    takes_folder = True
    note = "unknown counts as wrong. macro: of each genre, its n is theirs. top 3: among the three likeliest"
    road = "`antiphon library analyse FILE --only genre --json`"

    def scores(self, ask: EvaluationRequest) -> Iterator[MetricValue]:
        if len(ask.files) > 1 or any(not path.is_dir() for path in ask.files):
            raise UsageError(f"genre is measured on {self.files_doc}; name one folder")
        root = ask.files[0] if ask.files else ask.data
        found, group = recordings(root), f"recordings of {root.absolute().name}"
        if not ask.files and not any(one.right for one in found):
            found, group = known_recordings(root), "recordings of the data"
        if not any(one.right for one in found):
            raise UsageError(
                f"{root} has no folder that is named by a genre ({', '.join(GENRES[:3])}, …), and is not GTZAN or FMA: "
                "`antiphon evaluate genre FOLDER` takes recordings in such folders"
            )
        found = found[:: -(-len(found) // ask.limit)] if ask.limit else found
        strange = sorted({one.genre for one in found if not one.right})
        last = f"; strangers are {', '.join(strange)}" if strange else ""
        ask.say(f"{len(found)} recordings of {root}{last}")
        yield from _scores(found, ask, group)


def recordings(root: Path) -> list[LabeledRecording]:
    """Recordings of the test split of GTZAN or FMA, or of a folder with one subfolder per genre."""
    for layout in ("gtzan", "fma", "folder"):
        try:
            items: Sequence[Item] = layout_of(layout).listing(root).items
        except FileError:
            continue
        if layout != "folder":
            items = [item for item in items if item.split == TEST and not item.fault]
        found = [LabeledRecording(root / item.files[0], item.name, item.labels[0]) for item in items if item.labels]
        if found := [one for one in found if one.path.is_file()]:
            return found
    return []


def known_recordings(data: Path) -> list[LabeledRecording]:
    """Recordings of the data whose genre is known; those other than music have a genre outside ours."""
    found = []
    for source, genre in _SOURCES.items():
        place = data / source
        paths = place.rglob("*") if place.is_dir() else place.parent.glob(f"{place.name}.*")
        sounds = sorted(path for path in paths if path.suffix in READ_SUFFIXES)
        chosen = evenly_spaced_items(sounds, _OF_A_SOURCE)
        found += [LabeledRecording(path, path.relative_to(data).as_posix(), genre) for path in chosen]
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _scores(found: Sequence[LabeledRecording], ask: EvaluationRequest, group: str) -> Iterator[MetricValue]:
    rows: list[tuple[LabeledRecording, str, list[str]]] = []
    for one in found:
        try:
            values = analysis_of_file(one.path, "genre")
        except AntiphonError as error:
            ask.say(f"{one.name} is left out: {error}")
            continue
        if values["genre"] is None:
            ask.say(f"{one.name} is left out: it is silent")
            continue
        rows.append((one, values["genre"], [label for label, _ in values["genres"]]))
        if ask.wants(OURS):
            yield from _of(OURS, *rows[-1], group)
    most = [genre for genre, _ in Counter(one.right[0] for one, *_ in rows if one.right).most_common(3)]
    if not most:  # all of them are silent, or none has a genre of ours
        return
    trivial = [(one, most[0], most) for one, *_ in rows]
    if ask.wants(MAJORITY):
        yield from (value for row in trivial for value in _of(MAJORITY, *row, group))
    for system, answers in ((OURS, rows), (MAJORITY, trivial)):
        for genre in sorted({one.genre for one, *_ in rows if one.right and ask.wants(system)}):
            right = [named in one.right for one, named, _ in answers if one.genre == genre]
            yield MetricValue(system, "macro", f"{genre}, {len(right)} recordings", float(np.mean(right)), group)


def _of(system: str, one: LabeledRecording, named: str, top: Sequence[str], group: str) -> Iterator[MetricValue]:
    if not one.right:
        yield MetricValue(system, "strangers unknown", one.name, float(named == UNKNOWN), group)
        return
    yield MetricValue(system, "accuracy", one.name, float(named in one.right), group)
    yield MetricValue(system, "top 3", one.name, float(any(label in one.right for label in top)), group)
