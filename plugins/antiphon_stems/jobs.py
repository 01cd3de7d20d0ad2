"""The file job `antiphon run stems SONG --out-dir D`, or OUT with one stem, or without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from antiphon.api import Samples
from antiphon.api.files import AudioWriter, printable_path, stream_sound
from antiphon.api.jobs import FileJob, Written
from antiphon.api.models import ModelError, read_weights, say_instead
from antiphon_stems.grids import FILE, STEMS
from antiphon_stems.hpss import Medians
from antiphon_stems.network import FileNetwork
from antiphon_stems.processor import BY_MEDIANS
from antiphon_stems.spec import FILE_WEIGHTS
from antiphon_stems.splitting import Shares, Splitter

log = logging.getLogger("antiphon.stems")
_AT_ONCE = 1 << 16

QUIET = 1e-4
"""Share of the energy of IN below which a part is said to be silent: -40 dB."""
ABSENT = "silent: below -40 dB of IN"


def run(job: FileJob) -> tuple[Written, ...]:
    """Takes a sound file apart.

    Args:
        job: `stems` are files of all stems; without them `target` gets the one that `given` names as "only", or the
            others than the one that it names as "without".

    Raises:
        FileError: A file cannot be read or written.
    """
    gains = np.array([float(job.settings.get(name, 1.0)) for name in STEMS], np.float32)
    solo = str(job.settings.get("solo", "none"))
    if solo != "none":
        gains *= np.array([name == solo for name in STEMS], np.float32)
    with stream_sound(job.source) as (sound, blocks), ExitStack() as stack:
        paths = job.stems or {_part(job): job.target}
        splitter = Splitter(sound.rate, sound.channels, shares_of(str(job.settings.get("mode", "learned"))))
        writers = [
            stack.enter_context(AudioWriter(path, sound.rate, sound.channels, sound.subtype, job.rate))
            for path in paths.values()
        ]
        done, whole, energies = 0, 0.0, [0.0] * len(writers)
        for stems in splitter.split(_whole(blocks)):
            whole += _energy(stems.sum(axis=0))
            stems *= gains[:, None, None]
            for n, (part, writer) in enumerate(zip(paths, writers, strict=True)):
                chosen = _chosen(stems, part)
                energies[n] += _energy(chosen)
                writer.write(chosen)
            done += stems.shape[2]
            if sound.frames:
                job.progress(done / sound.frames)
    name = printable_path(job.source.name)
    return tuple(
        Written.sound(
            writer, f"{name}, {part}", found=(ABSENT,) if energy < QUIET * whole and not writer.silent else ()
        )
        for part, writer, energy in zip(paths, writers, energies, strict=True)
    )


def _energy(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def shares_of(mode: str) -> Shares:
    """What divides: the network of files, or medians where that is asked for or its weights are missing."""
    if mode == "learned":
        try:
            weights = read_weights(FILE_WEIGHTS)
            return FileNetwork({name: np.asarray(array, np.float32) for name, array in weights.items()}).shares
        except ModelError as error:
            say_instead(log, f"stems has no mode learned here: {error}. {BY_MEDIANS}")
    return Medians(FILE).shares


def _part(job: FileJob) -> str:
    """What OUT holds: "voice", "without voice", or the sum of all."""
    if "only" in job.given:
        return job.given["only"]
    return f"without {job.given['without']}" if "without" in job.given else "all"


def _chosen(stems: Samples, part: str) -> Samples:
    if part in STEMS:
        return np.asarray(stems[STEMS.index(part)], np.float32)
    left = [n for n, name in enumerate(STEMS) if part != f"without {name}"]
    return np.asarray(stems[left].sum(axis=0), np.float32)


def _whole(blocks: Iterator[Samples]) -> Iterator[Samples]:
    """Blocks of some thousand frames, copied."""
    held: list[Samples] = []
    for block in blocks:
        held.append(np.array(block, np.float32))
        if sum(piece.shape[1] for piece in held) >= _AT_ONCE:
            yield np.concatenate(held, axis=1)
            held.clear()
    if held:
        yield np.concatenate(held, axis=1)
