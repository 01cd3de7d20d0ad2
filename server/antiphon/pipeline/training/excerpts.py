"""What is trained on: the shards' spectrograms as one file that is mapped into memory, and excerpts of them.

All frameworks are given the same excerpts in the same order: they depend on the seed and the epoch alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.datasets.records import TEST, TRAIN, VALID
from antiphon.datasets.splitting import split_of
from antiphon.errors import FileError
from antiphon.pipeline.gathering import SourceItem
from antiphon.pipeline.shards import spectrograms
from antiphon.runtime.paths import make_folder, temporary_beside, why, write_atomic

F32 = NDArray[np.float32]
FOLDER, FRAMES, SOUNDS = "training", "frames.npy", "sounds.json"
VERSION = 1
"""Of what is in the files: another one writes them anew."""
LEAST_DEVIATION = 1e-3
"""dB of a band that is the same everywhere."""
TOGETHER = 256
"""Excerpts that are answered at once."""


@dataclass(frozen=True, slots=True)
class SoundFrames:
    """A sound's place in the file.

    Attributes:
        name: Of the sound.
        split: "train", "valid" or "test".
        label: The number of its label.
        start: Its first frame in the file.
        frames: How many.
    """

    name: str
    split: str
    label: int
    start: int
    frames: int


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The sounds and their spectrograms.

    Attributes:
        labels: Names, in the order of their numbers: those that the training split has.
        sounds: All of them.
        mel: float16 `[frames of all, bands]` in dB, mapped.
        mean: float32 `[bands]`, of the training split's frames.
        deviation: The same.
        shards: Digest of the shards that they are from.
        omitted: Sounds that are not among them: with several labels or none, or one that the training split lacks.
    """

    labels: tuple[str, ...]
    sounds: tuple[SoundFrames, ...]
    mel: NDArray[np.float16]
    mean: F32
    deviation: F32
    shards: str
    omitted: int

    def split(self, name: str) -> list[SoundFrames]:
        """The sounds of a split."""
        return [sound for sound in self.sounds if sound.split == name]

    def excerpt(self, sound: SoundFrames, start: int, frames: int) -> F32:
        """float32 `[frames, bands]` of a sound, from a frame of it on; a sound that is too short is repeated."""
        if sound.frames < frames:
            places = sound.start + np.arange(frames) % sound.frames
            return self.mel[places].astype(np.float32)
        return self.mel[sound.start + start : sound.start + start + frames].astype(np.float32)

    def whole(self, sounds: Sequence[SoundFrames], frames: int) -> Iterator[tuple[F32, NDArray[np.int64]]]:
        """All excerpts of sounds, one after another: `[n, frames, bands]`, and of each which of `sounds` it is of."""
        places = [(n, k * frames) for n, sound in enumerate(sounds) for k in range(max(1, sound.frames // frames))]
        for first in range(0, len(places), TOGETHER):
            some = places[first : first + TOGETHER]
            excerpts = np.stack([self.excerpt(sounds[n], start, frames) for n, start in some])
            yield excerpts, np.array([n for n, _ in some])


class EpochBatches(Sequence[tuple[F32, NDArray[np.int64]]]):
    """The batches of an epoch: as many excerpts of each training sound as it has room for, from anywhere in it.

    Args:
        training: The sounds.
        frames: Of an excerpt.
        size: Excerpts of a batch; the last one may have fewer.
        seed: Of the training.
        epoch: From 0.
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

    def __getitem__(self, number: int) -> tuple[F32, NDArray[np.int64]]:  # type: ignore[override]
        """`[n, frames, bands]` and labels `[n]`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        some = self._excerpts[number * self._size : (number + 1) * self._size]
        mel = np.stack([self._training.excerpt(sound, start, self._frames) for sound, start in some])
        return mel, np.array([sound.label for sound, _ in some], np.int64)


def make_set(out: Path, items: Sequence[SourceItem], shards: Sequence[Path], bands: int) -> TrainingSet:
    """The training set of these shards, which is written if it is not there.

    Args:
        out: The pipeline's folder.
        items: Its list.
        shards: All that there are.
        bands: Of the spectrograms.

    Returns:
        The set.

    Raises:
        FileError: There are fewer than two labels to learn, a shard is damaged, or the files cannot be written.
    """
    digest = _digest(items, shards)
    with_files = read_set(out)
    if with_files is not None and with_files.shards == digest:
        return with_files
    folder = make_folder(out / FOLDER)
    by_name = {item.name: item for item in items}
    counted = _Frames(folder / FRAMES, bands)
    rows: list[tuple[str, str, str, int, int]] = []
    omitted = 0
    try:
        for shard in shards:
            for name, _, labels, mel in spectrograms(shard):
                item = by_name.get(name)
                if item is None or len(labels) != 1:
                    omitted += 1
                    continue
                split = item.split if item.split in (TRAIN, VALID, TEST) else split_of(item.group)
                rows.append((name, split, labels[0], counted.add(mel, measured=split == TRAIN), len(mel)))
        known = sorted({label for _, split, label, _, _ in rows if split == TRAIN})
        if len(known) < 2:
            raise FileError(
                f"{out} has {len(known)} labels in its training split, of {len(rows)} sounds with one label each; at "
                "least two are needed: see `antiphon dataset check`"
            )
        # sounds of before are not those of the new frames
        (folder / SOUNDS).unlink(missing_ok=True)
        counted.close()
    finally:
        counted.discard()
    number = {label: n for n, label in enumerate(known)}
    sounds = [SoundFrames(n, split, number[label], at, size) for n, split, label, at, size in rows if label in number]
    mean, deviation = counted.statistics()
    about = {
        "version": VERSION, "shards": digest, "labels": known, "omitted": omitted + len(rows) - len(sounds),
        "mean": mean.tolist(), "deviation": deviation.tolist(), "sounds": [list(asdict(s).values()) for s in sounds],
    }  # fmt: skip
    write_atomic(folder / SOUNDS, json.dumps(about).encode())
    made = read_set(out)
    assert made is not None
    return made


def read_set(out: Path) -> TrainingSet | None:
    """The training set in a pipeline's folder; None where it is missing or damaged."""
    try:
        about = json.loads((out / FOLDER / SOUNDS).read_bytes())
        if about["version"] != VERSION:
            return None
        mel = np.load(out / FOLDER / FRAMES, mmap_mode="r", allow_pickle=False)
        sounds = tuple(SoundFrames(*row) for row in about["sounds"])
        if max(sound.start + sound.frames for sound in sounds) > len(mel):
            return None
        return TrainingSet(
            tuple(about["labels"]), sounds, mel, np.array(about["mean"], np.float32),
            np.array(about["deviation"], np.float32), about["shards"], about["omitted"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


class _Frames:
    """Writes spectrograms one after another to a .npy file, which is there when it is complete; measures them."""

    def __init__(self, path: Path, bands: int) -> None:
        self._path, self._part = path, temporary_beside(path)
        self._bands, self._count, self._measured = bands, 0, 0
        self._sum, self._squares = np.zeros(bands), np.zeros(bands)
        self._file = open(self._part, "wb")  # noqa: SIM115 - closed by close or discard
        self._head()

    def add(self, mel: F32, *, measured: bool) -> int:
        """Adds a spectrogram. Returns its first frame's number."""
        start = self._count
        try:
            self._file.write(mel.astype("<f2").tobytes())
        except OSError as error:
            raise FileError(f"cannot write {self._path}: {why(error)}") from None
        self._count += len(mel)
        if measured:
            self._measured += len(mel)
            self._sum += mel.sum(axis=0, dtype=np.float64)
            self._squares += np.square(mel, dtype=np.float64).sum(axis=0)
        return start

    def close(self) -> None:
        try:
            self._file.seek(0)
            self._head()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
        except OSError as error:
            raise FileError(f"cannot write {self._path}: {why(error)}") from None

    def discard(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def statistics(self) -> tuple[F32, F32]:
        mean = self._sum / self._measured
        variance = np.maximum(0.0, self._squares / self._measured - mean**2)
        return mean.astype(np.float32), np.maximum(np.sqrt(variance), LEAST_DEVIATION).astype(np.float32)

    def _head(self) -> None:
        # numpy leaves room for a longer first number, so the head is as long at the end as at the beginning
        about = {"descr": "<f2", "fortran_order": False, "shape": (self._count, self._bands)}
        np.lib.format.write_array_header_1_0(self._file, about)


def _digest(items: Sequence[SourceItem], shards: Sequence[Path]) -> str:
    """Of the shards' files, and of what else the set depends on."""
    whole = hashlib.blake2b(json.dumps([asdict(item) for item in items]).encode(), digest_size=20)
    for path in shards:
        try:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20))
        except OSError as error:
            raise FileError(f"cannot read {path}: {why(error)}") from None
        whole.update(content.digest())
    return whole.hexdigest()
