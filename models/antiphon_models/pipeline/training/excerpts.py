"""Builds the training set: the shards' spectrograms as one memory-mapped file, and excerpts of them.

All frameworks receive the same excerpts in the same order, which depend only on the seed and the epoch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, FileError
from antiphon.api.backends.files import make_folder, reason_of_os_error, temporary_beside, write_atomic
from antiphon_models.datasets.layouts.rules import split_of
from antiphon_models.datasets.records import SPLITS, TEST, TRAIN, VALID
from antiphon_models.pipeline.settings import SEVERAL_LABELS, TrainSettings
from antiphon_models.pipeline.shards import SourceItem, spectrograms

# ---- Splits of training data: a share for the test, or folds, by group and stratified by label

GroupedLabels = Sequence[tuple[str, str]]
"""Group and label of each sound; the first label if it has several."""


def shares_of(sounds: GroupedLabels, test: float, valid: float) -> dict[str, str]:
    """Split of each group, stratified by label, with at least one group per label to train on.

    `test`, `valid`: shares of the groups. Returns "train", "valid" or "test" by group.
    """
    split: dict[str, str] = {}
    for groups in _by_label(sounds).values():
        count = sum(size for _, size in groups)
        taken: Counter[str] = Counter()
        for left, (group, size) in zip(range(len(groups) - 1, -1, -1), groups, strict=True):
            wanted = TRAIN
            if left or taken[TRAIN]:
                wanted = next(
                    (s for s, share in ((TEST, test), (VALID, valid)) if taken[s] < round(share * count)), TRAIN
                )
            split[group] = wanted
            taken[wanted] += size
    return split


def folds_of(sounds: GroupedLabels, folds: int) -> dict[str, int]:
    """Fold of each group, from 0, stratified by label. Raises `FileError`: there are fewer groups than folds."""
    fold: dict[str, int] = {}
    total: Counter[int] = Counter()
    for groups in _by_label(sounds).values():
        held: Counter[int] = Counter()
        for group, size in groups:
            number = min(range(folds), key=lambda n: (held[n], total[n], n))
            fold[group] = number
            held[number] += size
            total[number] += size
    if len(fold) < folds:
        raise FileError(f"train.folds is {folds}, and there are only {len(fold)} groups of sounds: lower it")
    return fold


def _by_label(sounds: GroupedLabels) -> dict[str, list[tuple[str, int]]]:
    """Groups of each label in digest order, with the number of their sounds; a group has its first label."""
    sizes = Counter(group for group, _ in sounds)
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for group, label in dict(reversed(sounds)).items():
        found[label].append((group, sizes[group]))
    for groups in found.values():
        groups.sort(key=lambda pair: hashlib.blake2b(pair[0].encode("utf-8", "surrogateescape")).digest())
    return dict(sorted(found.items()))


FOLDER, FRAMES, SOUNDS = "training", "frames.npy", "sounds.json"
VERSION = 2
"""Format version of the files; changing it rewrites them."""
MIN_DEVIATION = 1e-3
"""Minimum deviation in dB of a constant band."""
BATCH_SIZE = 256
"""Excerpts per batch of answers."""


_Row = tuple[str, str, str, tuple[str, ...], int, int]
"""Name, split, group and labels of a sound, its first frame and its number of frames."""


@dataclass(frozen=True, slots=True)
class SoundFrames:
    """Range of a sound in the file.

    `split`: "train", "valid" or "test". `group`: the value it shares with related sounds. `labels`: indices of its
    labels; a single one if each sound has one. `start`: its first frame in the file.
    """

    name: str
    split: str
    group: str
    labels: tuple[int, ...]
    start: int
    frames: int


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Sounds with their spectrograms.

    Attributes:
        mel: float16 `[frames of all, bands]` in dB, memory-mapped.
        mean: float32 `[bands]`, of the training split's frames.
        omitted: Number of omitted sounds: with several labels or none, or a label missing from the training split.
    """

    labels: tuple[str, ...]
    sounds: tuple[SoundFrames, ...]
    mel: NDArray[np.float16]
    mean: F32
    deviation: F32
    shards: str
    omitted: int
    several: bool = False

    def targets(self, sounds: Sequence[SoundFrames]) -> NDArray[Any]:
        """Targets: int64 `[n]`, the label index of each; with several labels float32 `[n, labels]` of 0 and 1."""
        if not self.several:
            return np.array([sound.labels[0] for sound in sounds], np.int64)
        marks = np.zeros((len(sounds), len(self.labels)), np.float32)
        for row, sound in zip(marks, sounds, strict=True):
            row[list(sound.labels)] = 1
        return marks

    def fold(self, number: int, folds: int) -> TrainingSet:
        """The same sounds: one fold for the test, the next for validation (none if two folds), the rest trains."""
        sounds = self._assign_fold_splits(number, folds)
        measured = _BandStatistics(len(self.mean))
        for sound in sounds:
            if sound.split == TRAIN:
                measured.add(self.mel[sound.start : sound.start + sound.frames].astype(np.float32))
        return replace(self, sounds=sounds, mean=measured.mean, deviation=measured.deviation)

    def check_folds(self, folds: int) -> None:
        """Raises `FileError` where a fold would leave fewer than two labels to train on."""
        for number in range(folds):
            if (
                len(
                    {
                        label
                        for sound in self._assign_fold_splits(number, folds)
                        if sound.split == TRAIN
                        for label in sound.labels
                    }
                )
                < 2
            ):
                groups = len({sound.group for sound in self.sounds})
                raise FileError(
                    f"train.folds is {folds}, and fold {number + 1} leaves fewer than two labels to train on: there "
                    f"are only {groups} groups of sounds; lower it, or set it to 0 for no folds"
                )

    def _assign_fold_splits(self, number: int, folds: int) -> tuple[SoundFrames, ...]:
        first = [self.labels[sound.labels[0]] if sound.labels else "" for sound in self.sounds]
        places = folds_of([(sound.group, label) for sound, label in zip(self.sounds, first, strict=True)], folds)
        names = {number: TEST, **({(number + 1) % folds: VALID} if folds > 2 else {})}
        return tuple(replace(sound, split=names.get(places[sound.group], TRAIN)) for sound in self.sounds)

    def check_test(self, out: Path, share: float) -> None:
        """Raises `FileError` if the test split is empty; `share` is its share in the settings."""
        if share and not self.split(TEST):
            raise FileError(
                f"train.test is {share:g}, and no label of {out} has enough groups of sounds to give one: raise it, "
                "or add sounds"
            )
        if not self.split(TEST):
            several = f'; train.labels = "{SEVERAL_LABELS}" takes the {self.omitted:,} left out' if self.omitted else ""
            raise FileError(f"{out} has no sound in its test split: write train.test = 0.2{several}")

    def split(self, name: str) -> list[SoundFrames]:
        return [sound for sound in self.sounds if sound.split == name]

    def excerpt(self, sound: SoundFrames, start: int, frames: int) -> F32:
        """Excerpt float32 `[frames, bands]` of a sound, from a frame on; a short sound is repeated."""
        if sound.frames < frames:
            places = sound.start + np.arange(frames) % sound.frames
            return self.mel[places].astype(np.float32)
        return self.mel[sound.start + start : sound.start + start + frames].astype(np.float32)

    def whole(self, sounds: Sequence[SoundFrames], frames: int) -> Iterator[tuple[F32, NDArray[np.int64]]]:
        """All consecutive excerpts of sounds: `[n, frames, bands]`, and for each its sound's index in `sounds`."""
        places = [(n, k * frames) for n, sound in enumerate(sounds) for k in range(max(1, sound.frames // frames))]
        for first in range(0, len(places), BATCH_SIZE):
            some = places[first : first + BATCH_SIZE]
            excerpts = np.stack([self.excerpt(sounds[n], start, frames) for n, start in some])
            yield excerpts, np.array([n for n, _ in some])


class EpochBatches(Sequence[tuple[F32, NDArray[Any]]]):
    """Batches of an epoch: random excerpts of each training sound, as many as fit into its length.

    `frames`: frames of an excerpt. `size`: excerpts of a batch; the last batch may have fewer. `epoch`: counted from 0.
    """

    def __init__(self, training: TrainingSet, frames: int, size: int, seed: int, epoch: int) -> None:
        self._training, self._frames, self._size = training, frames, size
        rng = np.random.default_rng((seed, epoch))
        sounds = training.split(TRAIN)
        excerpts = [
            (sound, int(start))
            for sound in sounds
            for start in rng.integers(0, max(1, sound.frames - frames + 1), size=max(1, sound.frames // frames))
        ]
        self._excerpts = [excerpts[n] for n in rng.permutation(len(excerpts))]

    def __len__(self) -> int:
        return -(-len(self._excerpts) // self._size)

    def __getitem__(self, number: int) -> tuple[F32, NDArray[Any]]:  # type: ignore[override]
        """Excerpts `[n, frames, bands]` with their targets, see `TrainingSet.targets`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        some = self._excerpts[number * self._size : (number + 1) * self._size]
        mel = np.stack([self._training.excerpt(sound, start, self._frames) for sound, start in some])
        return mel, self._training.targets([sound for sound, _ in some])


def make_set(
    out: Path, items: Sequence[SourceItem], shards: Sequence[Path], bands: int, settings: TrainSettings
) -> TrainingSet:
    """Returns the training set of these shards, written if missing.

    Raises `FileError`: there are fewer than two labels to learn, a shard is damaged, or the files cannot be written.
    """
    digest = _digest(items, shards, [settings.labels, settings.test, settings.valid])
    with_files = read_set(out)
    if with_files is not None and with_files.shards == digest:
        return with_files
    folder = make_folder(out / FOLDER)
    sums = _BandStatistics(bands)
    frames, part = folder / FRAMES, temporary_beside(folder / FRAMES)
    several = _several(items, settings)
    splits = _splits(items, settings, several=several)
    groups = {item.name: (splits[item.name], item.group or item.name) for item in items}
    try:
        with open(part, "wb") as file:
            rows, omitted = _write_frames(file, shards, groups, sums, bands, several=several)
        known = sorted({label for _, split, _, labels, _, _ in rows if split == TRAIN for label in labels})
        if len(known) < 2:
            each = "" if several else " with one label each"
            hint = (
                f'; where sounds have more, write train.labels = "{SEVERAL_LABELS}"' if omitted and not several else ""
            )
            raise FileError(
                f"{out} has {len(known)} labels in its training split, of {len(rows)} sounds{each}; at least two are "
                f"needed: see `antiphon dataset check`{hint}"
            )
        # sounds of before are not those of the new frames
        (folder / SOUNDS).unlink(missing_ok=True)
        part.replace(frames)
    except OSError as error:
        raise FileError(f"cannot write {frames}: {reason_of_os_error(error)}") from None
    finally:
        part.unlink(missing_ok=True)
    number = {label: n for n, label in enumerate(known)}
    sounds = [
        SoundFrames(name, split, group, tuple(number[label] for label in labels if label in number), at, size)
        for name, split, group, labels, at, size in rows
        if several or labels[0] in number
    ]
    about = {
        "several": several,
        "version": VERSION,
        "shards": digest,
        "labels": known,
        "omitted": omitted + len(rows) - len(sounds),
        "mean": sums.mean.tolist(),
        "deviation": sums.deviation.tolist(),
        "sounds": [list(asdict(s).values()) for s in sounds],
    }
    write_atomic(folder / SOUNDS, json.dumps(about).encode())
    made = read_set(out)
    assert made is not None
    return made


def _write_frames(
    file: BinaryIO, shards: Sequence[Path], groups: Mapping[str, tuple[str, str]], sums: _BandStatistics, bands: int, *,
    several: bool,
) -> tuple[list[_Row], int]:  # fmt: skip
    """Writes the frames of all sounds with a split and a group; returns their rows, and the number of others."""
    rows: list[_Row] = []
    count = omitted = 0
    _head(file, 0, bands)
    for shard in shards:
        for name, _, labels, mel in spectrograms(shard):
            if name not in groups or not (several or len(labels) == 1):
                omitted += 1
                continue
            split, group = groups[name]
            rows.append((name, split, group, labels, count, len(mel)))
            file.write(mel.astype("<f2").tobytes())
            count += len(mel)
            if split == TRAIN:
                sums.add(mel)
    file.seek(0)
    _head(file, count, bands)
    file.flush()
    os.fsync(file.fileno())
    return rows, omitted


def read_set(out: Path) -> TrainingSet | None:
    """Reads the training set in a pipeline's folder; None where it is missing or damaged."""
    try:
        about = json.loads((out / FOLDER / SOUNDS).read_bytes())
        if about["version"] != VERSION:
            return None
        mel = np.load(out / FOLDER / FRAMES, mmap_mode="r", allow_pickle=False)
        sounds = tuple(
            SoundFrames(name, split, group, tuple(numbers), start, frames)
            for name, split, group, numbers, start, frames in about["sounds"]
        )
        if max(sound.start + sound.frames for sound in sounds) > len(mel):
            return None
        return TrainingSet(
            tuple(about["labels"]),
            sounds,
            mel,
            np.array(about["mean"], np.float32),
            np.array(about["deviation"], np.float32),
            about["shards"],
            about["omitted"],
            about["several"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def class_counts(items: Sequence[SourceItem], settings: TrainSettings) -> dict[str, dict[str, int]]:
    """Number of sounds by label and split of the training."""
    several = _several(items, settings)
    splits = _splits(items, settings, several=several)
    counts = {label: dict.fromkeys(SPLITS, 0) for label in sorted({label for item in items for label in item.labels})}
    for item in items:
        for label in item.labels if several or len(item.labels) == 1 else ():
            counts[label][splits[item.name]] += 1
    return counts


def _several(items: Sequence[SourceItem], settings: TrainSettings) -> bool:
    """Whether a sound may have several labels: by the settings, else if most sounds do not have exactly one."""
    if settings.labels:
        return settings.labels == SEVERAL_LABELS
    return sum(len(item.labels) != 1 for item in items) * 2 > len(items)


def _splits(items: Sequence[SourceItem], settings: TrainSettings, *, several: bool) -> dict[str, str]:
    """Split of each sound by name: the data set's own, or by the requested shares."""
    if not settings.test:
        return {i.name: i.split if i.split in (TRAIN, VALID, TEST) else split_of(i.group or i.name) for i in items}
    used = [item for item in items if several or len(item.labels) == 1]
    grouped = [(item.group or item.name, item.labels[0] if item.labels else "") for item in used]
    splits = shares_of(grouped, settings.test, settings.valid)
    return {item.name: splits[group] for item, (group, _) in zip(used, grouped, strict=True)}


class _BandStatistics:
    """Running mean and deviation of each band."""

    def __init__(self, bands: int) -> None:
        self._count, self._sum, self._squares = 0, np.zeros(bands), np.zeros(bands)

    def add(self, mel: F32) -> None:
        self._count += len(mel)
        self._sum += mel.sum(axis=0, dtype=np.float64)
        self._squares += np.square(mel, dtype=np.float64).sum(axis=0)

    @property
    def mean(self) -> F32:
        return (self._sum / self._count).astype(np.float32)

    @property
    def deviation(self) -> F32:
        variance = np.maximum(0.0, self._squares / self._count - (self._sum / self._count) ** 2)
        return np.maximum(np.sqrt(variance), MIN_DEVIATION).astype(np.float32)


def _head(file: BinaryIO, count: int, bands: int) -> None:
    """Header of a .npy file. Its length does not depend on the number of frames, as numpy reserves room for it."""
    about = {"descr": "<f2", "fortran_order": False, "shape": (count, bands)}
    np.lib.format.write_array_header_1_0(file, about)


def _digest(items: Sequence[SourceItem], shards: Sequence[Path], settings: Sequence[Any]) -> str:
    """Hash of shard files and settings."""
    whole = hashlib.blake2b(json.dumps([settings, *map(asdict, items)]).encode(), digest_size=20)
    for path in shards:
        try:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20))
        except OSError as error:
            raise FileError(f"cannot read {path}: {reason_of_os_error(error)}") from None
        whole.update(content.digest())
    return whole.hexdigest()
