"""`antiphon train hum`: trains the network for pitch, onsets and notes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from antiphon.api import F64
from antiphon_hum import learned
from antiphon_hum.learned import BINS, FAR, HOP, LOWEST, NEAR, PER_SEMITONE, RATE
from antiphon_hum.learned.decode import Live, NoteDecoder
from antiphon_hum.learned.file_decoder import decode_file
from antiphon_models.hum import corpus
from antiphon_models.hum.corpus import NOTE_KINDS, STEP, TrainingClip
from antiphon_models.hum.matching import note_f1
from antiphon_models.hum.network import PitchNetwork
from antiphon_models.learning.recipe import Figures, Loss, Recipe, TrainingJob

# ---- Training batches: excerpts of clips transposed, filtered, reverberated and mixed with noise, with truth per hop

ROWS, HOPS = 16, 300
FRAMES = HOPS * HOP
FFT = 65536
SECONDS = HOP / RATE
SHARES = {
    "sung": 0.22, "untrained": 0.26, "hummed": 0.11, "whistled": 0.04, "wind": 0.14, "speech": 0.08, "noise": 0.05,
    "many": 0.04, "two": 0.03, "none": 0.03,
}  # fmt: skip
RELEASE = 0.2
"""Seconds after the end of a wind's note in which voicing is unknown."""


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """Ground truth of frames 10 ms apart; NaN where unknown.

    `pitch`: MIDI number of the sound; `key`: of the note; `age`: seconds since its onset; the others: 0 to 1.
    """

    pitch: F64
    key: F64
    voiced: F64
    note: F64
    onset: F64
    many: F64
    age: F64


def truth(clip: TrainingClip, start: float, ratio: float, frames: int) -> FrameTruth:
    """Truth at `start + n * SECONDS * ratio` of a clip at `ratio` times its speed."""
    t = start + np.arange(frames) * SECONDS * ratio
    up = 12.0 * np.log2(ratio)
    nothing = np.full(frames, np.nan)
    zeros = np.zeros(frames)
    if clip.kind not in NOTE_KINDS:
        return FrameTruth(nothing, nothing, nothing, zeros, zeros, zeros + (clip.kind == "many"), nothing)
    place = np.round(t / STEP).astype(int)
    inside = (place >= 0) & (place < len(clip.pitch))
    cents = np.where(inside, clip.pitch[np.clip(place, 0, len(clip.pitch) - 1)], 0)
    voiced = (cents > 0).astype(float)
    pitch = np.where(cents > 0, cents / 100.0 + up, np.nan)
    starts, ends = clip.notes[:, 0].astype(float), clip.notes[:, 1].astype(float)
    n = np.clip(np.searchsorted(starts, t, "right") - 1, 0, len(starts) - 1)
    note = ((t >= starts[n]) & (t < ends[n])).astype(float)
    key = np.where(note > 0, clip.notes[n, 2] + up, np.nan)
    if clip.kind == "wind":
        after = (note == 0) & (t >= ends[n]) & (t < ends[n] + RELEASE)
        voiced = np.where(after, np.nan, voiced)
    age = np.where(note > 0, (t - starts[n]) / ratio, np.nan)
    apart = np.abs(t[:, None] - starts[None, :]).min(1) / ratio
    onset = np.exp(-((apart / 0.011) ** 2))
    return FrameTruth(pitch, key, voiced, note, np.where(onset > 0.05, onset, 0.0), zeros, age)


def both(one: FrameTruth, two: FrameTruth) -> FrameTruth:
    """Truth of two simultaneous melodies: no note where both sound, unknown where one does."""
    together = (one.note > 0) & (two.note > 0)
    alone = np.where(together, 0.0, np.nan)
    nothing = np.full(len(alone), np.nan)
    return FrameTruth(nothing, nothing, nothing, alone, alone, np.where(together, 1.0, np.nan), nothing)


class Batcher:
    """Makes the batch of a step from clips, as a function of seed and step alone."""

    def __init__(self, clips: list[TrainingClip], seed: int, device: torch.device) -> None:
        self._clips = clips
        self._kinds = {kind: [n for n, c in enumerate(clips) if c.kind == kind] for kind in {c.kind for c in clips}}
        self._sounds = [torch.from_numpy((c.sound * 32767).astype(np.int16)).to(device) for c in clips]
        self._seed, self._device = seed, device
        shape = torch.arange(FFT // 2 + 1, dtype=torch.float32) * RATE / FFT
        self._hertz = shape.clamp_min(20.0).to(device)

    def batch(self, step: int) -> tuple[Tensor, list[FrameTruth]]:
        """Sound `[rows, FRAMES]`, and the truth of every row, which begins `FAR` hops before the sound."""
        rng = np.random.default_rng((self._seed, step))
        chance = torch.Generator(self._device).manual_seed(int(rng.integers(1 << 40)))
        kinds = list(rng.choice(list(SHARES), ROWS, p=np.array(list(SHARES.values())) / sum(SHARES.values())))
        sounds, truths = zip(*(self._row(str(kind), rng) for kind in kinds), strict=True)
        sound = self._degrade_sound(torch.stack(sounds), kinds, rng, chance)
        return sound, list(truths)

    def _row(self, kind: str, rng: np.random.Generator) -> tuple[Tensor, FrameTruth]:
        if kind == "none":
            return torch.zeros(FRAMES, device=self._device), _none()
        if kind == "two":
            parts = [self._piece(str(rng.choice(["sung", "wind", "hummed"])), rng) for _ in range(2)]
            return parts[0][0] + float(rng.uniform(0.6, 1.4)) * parts[1][0], both(parts[0][1], parts[1][1])
        return self._piece(kind, rng)

    def _piece(self, kind: str, rng: np.random.Generator) -> tuple[Tensor, FrameTruth]:
        clip_at = int(rng.choice(self._kinds[kind]))
        clip = self._clips[clip_at]
        ratio = float(2.0 ** (rng.uniform(-6.0, 6.0) / 12.0))
        if len(clip.notes):
            # what is beyond the range in which pitch is looked for is turned back
            low, high = float(clip.notes[:, 2].min()), float(clip.notes[:, 2].max())
            ratio = float(
                2.0 ** (np.clip(12 * np.log2(ratio), min(0.0, LOWEST + 1.5 - low), max(0.0, 95.5 - high)) / 12)
            )
        taken = round(FRAMES * ratio / HOP) * HOP
        ratio = taken / FRAMES
        spare = len(clip.sound) - taken
        start = int(rng.integers(-RATE // 4, max(1, spare + RATE // 4)))
        source = self._sounds[clip_at]
        piece = torch.zeros(taken, device=self._device)
        first, last = max(0, start), min(len(source), start + taken)
        if last > first:
            piece[first - start : last - start] = source[first:last].float() / 32767.0
        spectrum = torch.fft.rfft(piece)
        bins = FRAMES // 2 + 1
        if len(spectrum) >= bins:
            spectrum = spectrum[:bins]
        else:
            spectrum = torch.nn.functional.pad(spectrum, (0, bins - len(spectrum)))
        sound = torch.fft.irfft(spectrum, FRAMES) * (FRAMES / taken)
        return sound, truth(clip, (start / RATE) - FAR * SECONDS * ratio, ratio, HOPS + FAR)

    def _degrade_sound(
        self, sound: Tensor, kinds: list[str], rng: np.random.Generator, chance: torch.Generator
    ) -> Tensor:
        """Applies a random equaliser, room, noise and gain."""
        rows = len(sound)
        power = sound.square().mean(1, keepdim=True)
        spectrum = torch.fft.rfft(sound, FFT) * self._equaliser(rng, rows) * self._rooms(rng, rows, chance)
        sound = torch.fft.irfft(spectrum, FFT)[:, :FRAMES]
        sound = sound * (power / sound.square().mean(1, keepdim=True).clamp_min(1e-12)).sqrt()
        noise = self._noise(rng, rows, chance)
        noise = noise / noise.square().mean(1, keepdim=True).clamp_min(1e-12).sqrt()
        level = torch.where(power > 1e-9, power.sqrt(), torch.full_like(power, 0.05))
        ratio = np.where(rng.random(rows) < 0.75, rng.uniform(-2.0, 35.0, rows), rng.uniform(45.0, 90.0, rows))
        ratio = np.where(rng.random(rows) < 0.1, 200.0, ratio)
        sound = sound + noise * level * _column(10.0 ** (-ratio / 20.0), self._device)
        gain = _column(10.0 ** (rng.uniform(-30.0, 8.0, rows) / 20.0), self._device)
        return (sound * gain).clamp(-1.0, 1.0)

    def _equaliser(self, rng: np.random.Generator, rows: int) -> Tensor:
        """Random spectral tilt, high-pass, low-pass and peak or dip; a third of the rows are unchanged."""
        f = self._hertz
        tilt = _column(rng.uniform(-6.0, 6.0, rows), self._device) * torch.log2(f / 500.0) / 6.02
        high = _column(np.where(rng.random(rows) < 0.4, rng.uniform(60, 180, rows), 10.0), self._device)
        low = _column(np.where(rng.random(rows) < 0.3, rng.uniform(2500, 7000, rows), 2e4), self._device)
        centre = _column(2.0 ** rng.uniform(7.5, 12, rows), self._device)
        peak = (
            _column(rng.uniform(-10, 10, rows), self._device) * torch.exp(-torch.log2(f / centre).square() * 4) / 6.02
        )
        gain = 2.0 ** (tilt / 2 + peak) / (1 + (high / f) ** 4).sqrt() / (1 + (f / low) ** 6).sqrt()
        kept = _column((rng.random(rows) < 0.33).astype(float), self._device)
        return kept + (1.0 - kept) * gain

    def _rooms(self, rng: np.random.Generator, rows: int, chance: torch.Generator) -> Tensor:
        """Spectra of a direct sound and a decaying tail, in 35 of 100 rows."""
        t = torch.arange(RATE, device=self._device) / RATE
        decay = _column(rng.uniform(0.12, 0.9, rows), self._device)
        tail = torch.randn(rows, RATE, generator=chance, device=self._device) * torch.exp(-6.9 * t / decay)
        tail[:, : int(0.004 * RATE)] = 0.0
        tail = tail / tail.square().sum(1, keepdim=True).sqrt()
        wet = np.where(rng.random(rows) < 0.35, 10.0 ** (rng.uniform(-18.0, -1.0, rows) / 20.0), 0.0)
        tail = tail * _column(wet, self._device)
        tail[:, 0] = 1.0
        spectrum: Tensor = torch.fft.rfft(tail, FFT)
        return spectrum

    def _noise(self, rng: np.random.Generator, rows: int, chance: torch.Generator) -> Tensor:
        """Noise: coloured, recorded, babble, or mains hum."""
        white = torch.fft.rfft(torch.randn(rows, FFT, generator=chance, device=self._device))
        slope = _column(rng.uniform(0.0, 1.1, rows), self._device)
        noise: Tensor = torch.fft.irfft(white * self._hertz**-slope, FFT)[:, :FRAMES]
        noise = noise / noise.square().mean(1, keepdim=True).sqrt()
        t = torch.arange(FRAMES, device=self._device) / RATE
        for n, kind in enumerate(rng.choice(["colour", "recorded", "babble", "mains"], rows, p=[0.62, 0.2, 0.08, 0.1])):
            if kind == "recorded":
                noise[n] = self._piece("noise", rng)[0]
            elif kind == "babble":
                noise[n] = sum(self._piece("speech", rng)[0] for _ in range(4))
            elif kind == "mains":
                base = float(rng.choice([50.0, 60.0]))
                gains = rng.uniform(0, 1, 8) / np.arange(1, 9)
                hum = sum(float(g) * torch.sin(2 * np.pi * base * k * t + k) for k, g in enumerate(gains, 1))
                noise[n] = hum + 0.05 * noise[n]
        return noise


def _none() -> FrameTruth:
    zeros, nothing = np.zeros(HOPS + FAR), np.full(HOPS + FAR, np.nan)
    return FrameTruth(nothing, nothing, zeros, zeros, zeros, zeros, nothing)


def frame_targets(true: FrameTruth) -> F64:
    """The targets of the network, `[HOPS, 10]`, NaN where unknown; hop k ends at frame k + 1 of the sound.

    Columns: pitch, key, voiced, note, onset `NEAR` hops ago; key, voiced, note, onset `FAR` hops ago; many.
    """
    near = slice(FAR + 1 - NEAR, FAR + 1 - NEAR + HOPS)
    far = slice(1, 1 + HOPS)
    rows = [
        true.pitch[near], true.key[near], true.voiced[near], true.note[near], true.onset[near],
        true.key[far], true.voiced[far], true.note[far], true.onset[far], true.many[near],
    ]  # fmt: skip
    return np.stack(rows, -1)


def _column(values: F64, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32)).to(device)[:, None]


TARGET_DEVIATION = 0.8
"""Standard deviation in bins of the target distribution of pitch, about the network's resolution."""
VALIDATION_SECONDS = 8.0
"""Seconds of each clip used for validation."""
WEIGHTS = {"pitch": 1.0, "key": 0.5, "far_key": 0.7, "voiced": 0.6, "note": 1.0, "onset": 4.0, "many": 0.3}


def places(pitch: Tensor) -> Tensor:
    """MIDI numbers as positions on the network's bins."""
    return (pitch - learned.LOWEST) * PER_SEMITONE + 1.0


def pitch_loss(logits: Tensor, pitch: Tensor) -> Tensor:
    """Cross-entropy of pitch logits `[…, BINS]`, averaged over the frames whose MIDI number is not NaN."""
    known = torch.isfinite(pitch)
    target = places(torch.where(known, pitch, torch.full_like(pitch, 60.0)))
    bins = torch.arange(BINS, device=logits.device)
    bell = torch.exp(-0.5 * ((bins - target[..., None]) / TARGET_DEVIATION) ** 2)
    bell = bell / bell.sum(-1, keepdim=True).clamp_min(1e-6)
    losses = -(bell * functional.log_softmax(logits, -1)).sum(-1)
    return (losses * known).sum() / known.sum().clamp_min(1)


def masked_bce(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the frames whose truth is not NaN."""
    known = torch.isfinite(truth)
    losses = functional.binary_cross_entropy_with_logits(
        logits, torch.where(known, truth, torch.zeros_like(truth)), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp_min(1)


class HumRecipe(Recipe):
    """Recipe of `hum`, validated by note F1 on songs, voices and sentences outside the training set."""

    name = "hum"
    weights = "hum-learned"
    plugin = "hum"
    module = PitchNetwork
    steps = 6000
    trained_on = (
        "POP909 melodies sung by espeak-ng voices resynthesised by WORLD, hummed and whistled by "
        "sines, played by TimGM6mb; ESC-10 folds 1 and 2; espeak-ng speech; JSB chorales"
    )

    def prepare(self, job: TrainingJob) -> None:
        self.job = job
        corpus.complete(job.data, job.material, job.seed, job.say)
        self._batcher = Batcher(corpus.load(job.material, "train"), job.seed, job.device)
        self._valid = corpus.load(job.material, "valid")

    def batch(self, step: int) -> tuple[Tensor, ...]:
        sound, truths = self._batcher.batch(step)
        rows = np.stack([frame_targets(truth) for truth in truths]).astype(np.float32)
        return sound, torch.from_numpy(rows).to(sound.device)

    def loss(self, network: torch.nn.Module, batch: tuple[Tensor, ...]) -> Loss:
        assert isinstance(network, PitchNetwork)
        sound, truth = batch
        pitch, head_logits = network.logits(sound)
        parts = {
            "pitch": pitch_loss(pitch[:, :, 0], truth[..., 0]),
            "key": pitch_loss(pitch[:, :, 1], truth[..., 1]),
            "far_key": pitch_loss(pitch[:, :, 2], truth[..., 5]),
            "voiced": masked_bce(head_logits[..., 0], truth[..., 2]) + masked_bce(head_logits[..., 3], truth[..., 6]),
            "note": masked_bce(head_logits[..., 1], truth[..., 3]) + masked_bce(head_logits[..., 4], truth[..., 7]),
            "onset": masked_bce(head_logits[..., 2], truth[..., 4]) + masked_bce(head_logits[..., 5], truth[..., 8]),
            "many": masked_bce(head_logits[..., 6], truth[..., 9]),
        }
        total = sum((WEIGHTS[name] * value for name, value in parts.items()), torch.zeros((), device=sound.device))
        return total, {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def validate(self, network: torch.nn.Module) -> Figures:
        assert isinstance(network, PitchNetwork)
        found: dict[str, list[float]] = {}
        seconds = false = 0.0
        for n, clip in enumerate(self._valid):
            clip = clip.first(VALIDATION_SECONDS)
            for noise in (0.0, 10.0) if len(clip.notes) and n % 2 else (0.0,):
                live, files = self._notes(network, _add_pink_noise(clip.sound, noise, n))
                if not len(clip.notes):
                    seconds, false = seconds + len(clip.sound) / corpus.RATE, false + len(live)
                    found.setdefault("false, file", []).append(float(len(files)))
                    continue
                found.setdefault("f1", []).append(0.5 * (note_f1(clip.notes, live) + note_f1(clip.notes, files)))
                kind = clip.kind if not noise else f"{clip.kind}, noise"
                found.setdefault(f"{kind}, live", []).append(note_f1(clip.notes, live))
                found.setdefault(f"{kind}, file", []).append(note_f1(clip.notes, files))
        result = {name: float(np.mean(values)) for name, values in found.items()}
        if seconds:
            result["false, live"] = 10.0 * false / seconds
            result["false, file"] = 10.0 * float(np.sum(found["false, file"])) / seconds
        return result

    def _notes(self, network: PitchNetwork, sound: np.ndarray) -> tuple[list[tuple[float, float, float]], ...]:
        padded = np.concatenate(
            [sound, np.zeros((1 + learned.FAR) * learned.HOP - len(sound) % learned.HOP, np.float32)]
        )
        x = torch.from_numpy(padded).to(self.job.device)[None]
        answers = network.answers(*network.logits(x))[0].cpu().numpy()
        decoder = NoteDecoder(Live())
        return decoder.decode_answers(answers), decode_file(answers)


def _add_pink_noise(sound: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    """Adds pink noise `ratio` dB below the sound; 0 adds none."""
    if not ratio:
        return sound
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), len(sound))
    loud = np.sqrt(np.mean(sound**2)) * 10 ** (-ratio / 20)
    return np.asarray(sound + noise * loud / noise.std(), np.float32)
