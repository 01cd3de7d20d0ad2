"""`antiphon run extend IN OUT -p seconds=4`: a recording, and some seconds more by a model of tokens.

Frames of 43 a second are quantised, 32 bands in two steps (residual vector quantisation), and a recurrent network that
has read the recording's tokens draws the next ones, as Jukebox (2020) and AudioLM (2022) do on a far larger scale. They
are heard by frames of the recording itself that are nearest to them and go on from each other.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from antiphon.api import F32, F64, IO, FileError, FileUse, Param, Processor, StreamSpec, UsageError
from antiphon.api.arrays import Gru, Linear, find_array
from antiphon.api.files import AudioWriter, printable_path, read_sound, stream_sound
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon.api.models import ModelError, read_weights
from antiphon_transfer.features import BANDS, TimbreDescriber
from antiphon_transfer.stream import Framing, hann

MODEL = "transfer-tokens"
CODES, UNITS, EMBEDDED = 192, 192, 96
RATE, SIZE, HOP = 22050, 2048, 512
FLOOR = -11.0
"""Natural logarithm of magnitude below which bands count as silent."""
READ = 20.0
"""Seconds of the recording's end that the network reads."""
SHORTEST, LONGEST = 0.5, 600.0
CONTINUES = 1.5
"""What a frame gains that follows the one before."""
GRAIN = 4
"""Frames that sound from one choice to the next."""
JOINT = 0.02
"""Seconds of the recording's end that are crossfaded with what follows."""
RECENT = 1.0
"""Seconds before the end from which nothing is taken, for it has nothing to go on with."""


def bands_of(mono: F32) -> F32:
    """`[frames, BANDS]` of sound at `RATE`, relative to its loudest frame."""
    framing = Framing(SIZE, RATE)
    describer = TimbreDescriber(framing)
    padded, window = np.pad(mono, SIZE // 2), hann(SIZE)
    found = []
    for at in range(0, len(mono), HOP):
        part = np.zeros(SIZE, np.float32)
        piece = padded[at : at + SIZE]
        part[: len(piece)] = piece
        found.append(describer.measure(np.fft.rfft(part * window)[None].astype(np.complex64)).bands[:BANDS].copy())
    bands = np.array(found, np.float32)
    return np.asarray(np.maximum(bands - bands.max(), FLOOR), np.float32)


def nearest(rows: F32, codes: F32) -> np.ndarray:
    """Which of the codes is nearest to each row."""
    found: np.ndarray = (np.square(codes).sum(axis=1) - 2.0 * rows @ codes.T).argmin(axis=1)
    return found


def tokens_of(bands: F32, coarse: F32, fine: F32) -> np.ndarray:
    """Tokens `[frames, 2]`."""
    first = nearest(bands, coarse)
    return np.stack([first, nearest(bands - coarse[first], fine)], axis=1)


class TokenModel:
    """Draws tokens one after another."""

    def __init__(self, seed: int) -> None:
        """Reads the weights. Raises `ModelError` where they are missing or do not fit."""
        arrays = {name: array.astype(np.float32) for name, array in read_weights(MODEL).items()}
        self.coarse, self.fine = (find_array(arrays, name, CODES, BANDS) for name in ("coarse", "fine"))
        self._first = find_array(arrays, "first.weight", CODES, EMBEDDED)
        self._second = find_array(arrays, "second.weight", CODES, EMBEDDED)
        self._gru = Gru.of(arrays, "gru", 2 * EMBEDDED, UNITS)
        self._next = Linear.of(arrays, "next", CODES, UNITS)
        self._then = Linear.of(arrays, "then", CODES, UNITS + EMBEDDED)
        self._rng = np.random.default_rng(seed)
        self._gru.start()

    def read(self, first: int, second: int) -> None:
        """Takes a frame's tokens."""
        self._gru(np.concatenate([self._first[first], self._second[second]]))

    def draw(self, temperature: float) -> tuple[int, int]:
        """The next frame's tokens, which are read as well."""
        first = self._drawn(self._next(self._gru.state), temperature)
        second = self._drawn(self._then(np.concatenate([self._gru.state, self._first[first]])), temperature)
        self.read(first, second)
        return first, second

    def _drawn(self, logits: F32, temperature: float) -> int:
        scaled = (logits - logits.max()).astype(np.float64) / max(0.05, temperature)
        shares = np.exp(scaled)
        return int(self._rng.choice(CODES, p=shares / shares.sum()))


def choose_frames(mono: F32, frames: int, seed: int, temperature: float) -> F64:
    """Where in the sound, in frames of `HOP`, each of the next `frames` frames is taken from."""
    model = TokenModel(seed)
    bands = bands_of(mono)
    tokens = tokens_of(bands, model.coarse, model.fine)
    for first, second in tokens[-round(READ * RATE / HOP) :]:
        model.read(int(first), int(second))
    last = max(GRAIN + 1, len(bands) - round(RECENT * RATE / HOP))
    places, place = [], len(bands)
    for _ in range(-(-frames // GRAIN)):
        wanted = np.array([model.coarse[a] + model.fine[b] for a, b in (model.draw(temperature) for _ in range(GRAIN))])
        views = np.lib.stride_tricks.sliding_window_view(bands[: last + GRAIN], GRAIN, axis=0).transpose(0, 2, 1)
        cost = np.sqrt(np.square(views - wanted).mean(axis=(1, 2)))
        if place < len(cost):
            cost[place] -= CONTINUES * 0.1 * float(cost.mean())
        best = int(cost.argmin())
        places += [best + n for n in range(GRAIN)]
        place = best + GRAIN
    return np.array(places[:frames], np.float64)


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes IN with its continuation.

    Raises:
        UsageError: IN is too long.
        FileError: IN is too short or silent, the model is missing, or a file cannot be read or written.
    """
    import soxr

    given, name = read_sound(job.source), printable_path(job.source)
    sound, rate = given.samples, given.rate
    length = sound.shape[1] / rate
    if length > LONGEST:
        raise UsageError(f"{name} is longer than {LONGEST / 60:g} minutes; give its end")
    if length < SHORTEST or float(np.abs(sound).max()) < 1e-4:
        raise FileError(f"{name} is too short or silent; give at least {SHORTEST:g} s of sound")
    seconds = float(job.settings.get("seconds", 4.0))
    mono = np.asarray(soxr.resample(sound.mean(axis=0), rate, RATE), np.float32)
    try:
        places = choose_frames(
            mono,
            round(seconds * RATE / HOP) + 1,
            int(job.settings.get("seed", 1)),
            float(job.settings.get("temperature", 0.8)),
        )
    except ModelError as error:
        raise FileError(f"extend has no model here: {error}") from None
    job.progress(0.8)
    hop, count, short = HOP * rate / RATE, round(seconds * rate), round(JOINT * rate)
    half = round(GRAIN * hop)
    fade = hann(2 * half)
    starts = [round(places[n] * hop) for n in range(0, len(places), GRAIN)]
    tail = np.zeros((len(sound), (len(starts) + 1) * half + short), np.float32)
    padded = np.pad(sound, ((0, 0), (short, 2 * half)))
    for n, start in enumerate(starts):
        weights = fade.copy()
        if n == 0:
            weights[:half] = 1.0
        tail[:, short + n * half : short + (n + 2) * half] += weights * padded[:, short + start :][:, : 2 * half]
    # what is before the first grain is crossfaded with the end of the recording
    rise = np.linspace(0.0, 1.0, short, dtype=np.float32)
    tail[:, :short] = rise * padded[:, starts[0] : starts[0] + short] + (1.0 - rise) * sound[:, -short:]
    made = np.concatenate([sound[:, :-short], tail], axis=1)[:, : sound.shape[1] + count]
    with stream_sound(job.source) as (info, _):
        subtype = info.subtype
    with AudioWriter(job.target, rate, len(made), subtype, job.rate) as writer:
        whole = np.pad(made, ((0, 0), (0, sound.shape[1] + count - made.shape[1])))
        for block in fade_out([whole], rate, job.fade):
            writer.write(block)
    return (Written.sound(writer, name, (f"{seconds:g} s more",)),)


class Extend(Processor):
    """A recording and some seconds more; on files alone."""

    on_files = FileUse("antiphon_transfer.extend:run", changes=("length",))
    params: ClassVar[tuple[Param, ...]] = (
        Param("seconds", default=4.0, low=0.5, high=60.0, unit="s", doc="How much is added."),
        Param("temperature", default=0.8, low=0.05, high=2.0, doc="Lower repeats, higher wanders."),
        Param("seed", "int", 1, 0, 1 << 30, doc="Another one draws another continuation."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Nothing: the file job does the work."""

    def process(self, io: IO) -> None:
        io.audio_out[0][:] = io.audio_in[0]
