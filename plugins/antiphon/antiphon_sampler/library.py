"""Sound library of a folder: FOLDER/NAME/*.wav, sorted, as in Dirt-Samples, with velocity layers; and its packs.

No decoding takes place here. A pack is a folder NAME/SOUND/FILE in the performer's library, added by `antiphon sounds
add`.
"""

import itertools
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.api import PluginError
from antiphon.api.backends.files import (
    SOUND_FORMATS,
    built_in_folder,
    folder_in_library,
    printable_path,
)
from antiphon.api.backends.runtime import composed

MAX_FILES = 20000
"""Maximum files of one library."""
_LAYER = re.compile(r"^(.*)_v([0-9]{1,3})$|^(.*(?:^|[^A-Za-z0-9#])[A-Ga-g][#b]?-?[0-9])v([0-9]{1,3})$")
"""Matches a velocity layer of a sample: kick_v2, or of a note: A3v8."""
_LAYER_FOLDER = re.compile(r"^v([0-9]{1,3})$")
_VELOCITY_DIGITS = 3
"""Digits of a layer named by its recorded velocity."""
_LOUDEST = 127
"""MIDI's highest velocity."""


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Files of one sample, or of several velocity layers."""

    name: str  # its folder's name, a slash, and the file's without suffix and layer
    layers: tuple[Path, ...]
    softest: tuple[float, ...] = (0.0,)  # the velocity, 0 to 1, from which each of them sounds; the first 0

    def layer(self, velocity: float) -> int:
        """Index of the layer for a velocity of 0 to 1."""
        return bisect_right(self.softest, velocity) - 1


@dataclass(frozen=True, slots=True)
class Listing:
    """Sounds of a folder.

    `names`: the sample folders, sorted, in Unicode NFC; a sound file beside them is a sound by itself, under its name.
    """

    folder: Path
    names: tuple[str, ...]
    samples: tuple[tuple[SampleFiles, ...], ...]  # for each name its samples, sorted by file name
    problems: tuple[str, ...]

    @property
    def files(self) -> int:
        return sum(len(sample.layers) for row in self.samples for sample in row)


def nearest_sampled(note: int, sampled: Sequence[int]) -> tuple[int, float]:
    """Index of the note, of those sampled at equal steps, that plays a note, and its speed."""
    index = round((min(max(note, sampled[0]), sampled[-1]) - sampled[0]) / (sampled[1] - sampled[0]))
    return index, 2.0 ** ((note - sampled[index]) / 12.0)


def folder_of(name: str) -> Path:
    """Folder of a path, a name in the library, or "" for the shipped kit. Raises PluginError: there is none."""
    if not name:
        return built_in_folder("library") / "kit"
    return folder_in_library(name, "sounds", PluginError)


def add_packs(listing: Listing, folders: Iterable[Path]) -> Listing:
    """Adds the sounds of packs to a listing; they replace its own sounds of the same names."""
    rows, problems = dict(zip(listing.names, listing.samples, strict=True)), list(listing.problems)
    for folder in folders:
        try:
            pack = list_folder(folder)
        except PluginError as error:
            problems.append(str(error))
        else:
            rows |= zip(pack.names, pack.samples, strict=True)
            problems += pack.problems
    names = sorted(rows)
    return Listing(listing.folder, tuple(names), tuple(rows[name] for name in names), tuple(problems))


def list_folder(folder: Path) -> Listing:
    """Lists a folder, the folders in it, and the folders `v1`, `v2` … of layers in those.

    Links are followed only inside the folder. Hidden files are left out, and files after the first `MAX_FILES`. Raises
    PluginError: it cannot be read, or holds no sound.
    """
    problems: list[str] = []
    try:
        root = folder.resolve()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PluginError(f"cannot read the folder {printable_path(folder.name)}: {_reason(error)}") from None
    rows: dict[str, tuple[SampleFiles, ...]] = {}
    count = 0
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        # only links are followed: to do so for each of 10,000 files takes seconds
        if entry.is_symlink() and not _inside(path, root):
            problems.append(f"{printable_path(entry.name)} is a link that leads out of the folder; copy it in instead")
            continue
        files = [path] if _is_sound(path.name) else []
        if entry.is_dir():
            files = _files(path, root, problems)
        if count + len(files) > MAX_FILES:
            problems.append(
                f"{printable_path(folder.name)} holds more than {MAX_FILES} sounds; those after "
                f"{printable_path(entry.name)} are left out: make several folders of it"
            )
            files = files[: MAX_FILES - count]
        count += len(files)
        if files:
            name = composed(entry.name if entry.is_dir() else path.stem)
            rows.setdefault(name, _samples(name, files))
    if not rows:
        why = problems[0] if problems else f"it needs folders of files whose names end in {', '.join(SOUND_FORMATS)}"
        raise PluginError(f"there is no sound in the folder {printable_path(folder.name)[:80]!r}: {why}")
    return Listing(folder, tuple(rows), tuple(rows.values()), tuple(problems))


def sample_name(path: Path) -> str:
    """File name for a message: folder and file, with the layer's folder in between."""
    names = path.parts[-3:] if _LAYER_FOLDER.match(path.parent.name) else path.parts[-2:]
    return printable_path("/".join(names))


def _files(folder: Path, root: Path, problems: list[str]) -> list[Path]:
    """Sound files of a folder, then those of its folders `v1`, `v2` …"""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append(f"cannot read the folder {printable_path(folder.name)}: {_reason(error)}")
        return []
    found: list[Path] = []
    inner: list[Path] = []
    for entry in entries:
        layer = _LAYER_FOLDER.match(entry.name) is not None and not _LAYER_FOLDER.match(folder.name)
        if entry.name.startswith(".") or not (layer or _is_sound(entry.name)):
            continue
        if entry.is_symlink() and not _inside(Path(entry.path), root):
            shown = printable_path(f"{folder.name}/{entry.name}")
            problems.append(f"{shown} is a link that leads out of the folder; copy the file in instead")
        elif not layer:
            found.append(folder / entry.name)
        elif entry.is_dir():
            inner += _files(folder / entry.name, root, problems)
    return found + inner


def _samples(name: str, files: list[Path]) -> tuple[SampleFiles, ...]:
    """Groups the layers of each sample at its first layer's position: NAME_v1, NAME_v2 …, or v1/NAME, v2/NAME …"""
    groups: dict[str, list[tuple[str, Path]]] = {}
    for path in files:
        inner, found = _LAYER_FOLDER.match(path.parent.name), _LAYER.match(path.stem)
        if inner and path.parent.name != name:
            stem, layer = path.stem, inner[1]
        else:
            stem, layer = (found[1] or found[3], found[2] or found[4]) if found else (path.stem + path.suffix, "0")
        groups.setdefault(stem, []).append((layer, path))
    return tuple(_build_layered_sample(f"{name}/{stem}", layers) for stem, layers in groups.items())


def _build_layered_sample(name: str, layers: list[tuple[str, Path]]) -> SampleFiles:
    """Builds a sample of layers with equal velocity ranges, or with ranges by the velocities in their names."""
    rising = sorted(layers, key=lambda layer: (int(layer[0]), layer[1]))
    numbers = [int(number) for number, _ in rising]
    count = len(rising)
    if all(len(number) == _VELOCITY_DIGITS for number, _ in rising) and 1 <= numbers[0] <= numbers[-1] <= _LOUDEST:
        # of two equally near layers the louder one is played
        softest = [(low + high) / (2.0 * _LOUDEST) for low, high in itertools.pairwise(numbers)]
    else:
        softest = [n / count for n in range(1, count)]
    return SampleFiles(name, tuple(path for _, path in rising), (0.0, *softest))


def _is_sound(name: str) -> bool:
    return name.lower().endswith(tuple(SOUND_FORMATS))


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
