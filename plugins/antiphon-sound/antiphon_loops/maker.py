"""Renders a plan to playable sound: decodes, stretches, shifts and levels each loop, and sets the mix gain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from antiphon.api import F32, FileError
from antiphon.api.backends.analysis import listening_mono, onset_frames
from antiphon_loops.analysis.reading import sound_of, true_peak
from antiphon_loops.arrange import Arrangement, LoopChoice, LoopRequest, arrange
from antiphon_loops.record import Loop
from antiphon_loops.rules import Rules

_CONTEXT_SECONDS = 0.4
"""Seconds of the loop that are stretched before and after it, so that its ends meet."""
_LEAD = 0.003
"""Crossfade in seconds before an onset from one slice to the next."""
_SEAM = 0.004
_LOOK_BACK = range(2, 11)
"""Number of pieces (4 to 20 ms) before an onset that its level must exceed."""


def fit_loop(sound: F32, frames: int, rate: int, shift: int = 0, struck: bool = False) -> F32:
    """Stretches a loop, float32 `[2, n]`, to `frames` circular frames, `shift` semitones higher.

    `struck`: whether to slice it at its onsets, unless it is shifted.
    """
    given = sound.shape[1]
    if shift == 0 and abs(given - frames) <= 2:
        out = np.zeros((sound.shape[0], frames), np.float32)
        n = min(frames, sound.shape[1])
        out[:, :n] = sound[:, :n]
        return out
    places = onsets(sound, rate) if struck and shift == 0 else []
    if len(places) > 1:
        return _place_slices(sound, frames, rate, places)
    return _stretched(sound, frames, rate, shift)


def _stretched(sound: F32, frames: int, rate: int, shift: int) -> F32:
    from python_stretch.Signalsmith import Stretch

    given = sound.shape[1]
    speed = given / frames
    # whole output frames for the context before
    ahead = max(1, round(_CONTEXT_SECONDS * rate / speed))
    before = round(ahead * speed)
    places = np.arange(-before, given + before)
    stretch = Stretch(1)
    stretch.preset(sound.shape[0], float(rate))
    stretch.setTimeFactor(speed)
    stretch.setTransposeSemitones(float(shift), 8000.0 / rate)
    out = np.asarray(stretch.process(np.ascontiguousarray(np.take(sound, places, axis=1, mode="wrap"))), np.float32)
    start = round(before / speed)
    output = np.zeros((sound.shape[0], frames), np.float32)
    piece = out[:, start : start + frames]
    output[:, : piece.shape[1]] = piece
    # crossfades the sound after the end into the beginning, to close the loop
    seam = min(round(_SEAM * rate), start, frames)
    fade = np.linspace(0.0, 1.0, seam, dtype=np.float32)
    output[:, frames - seam :] = output[:, frames - seam :] * (1 - fade) + out[:, start - seam : start] * fade
    return output


def onsets(sound: F32, rate: int) -> list[int]:
    """Onset frames: where the level of 2 ms pieces rises over the preceding ones."""
    return onset_frames(listening_mono(sound), rate, _LOOK_BACK, circular=True)


def _place_slices(sound: F32, frames: int, rate: int, places: list[int]) -> F32:
    """Puts slices, from onset to onset, with unchanged samples at the stretched positions.

    A slice that must be longer repeats its tail back and forth, fading from its final level.
    """
    given = sound.shape[1]
    slower, lead = frames / given, max(2, round(_LEAD * rate))
    up = np.linspace(0.0, 1.0, lead, dtype=np.float32)
    out = np.zeros((sound.shape[0], frames), np.float32)
    starts = [round(p * slower) for p in places]
    for n, place in enumerate(places):
        last = n + 1 == len(places)
        length = places[0] + given - place if last else places[n + 1] - place
        room = starts[0] + frames - starts[n] if last else starts[n + 1] - starts[n]
        count = min(length, room)
        piece = np.take(sound, np.arange(place - lead, place - lead + count), axis=1, mode="wrap")
        if room > count:
            piece = np.concatenate([piece, _extend_slice(piece, room - count, rate)], axis=1)
        after = np.take(sound, np.arange(place - lead + count, place + count), axis=1, mode="wrap")
        if room > count:
            after = _extend_slice(piece, lead, rate)
        piece = np.concatenate([piece, after], axis=1)
        piece[:, :lead] *= up
        piece[:, room : room + lead] *= 1.0 - up
        out[:, (starts[n] - lead + np.arange(piece.shape[1])) % frames] += piece
    return out


def _extend_slice(piece: F32, frames: int, rate: int) -> F32:
    """Extension of a slice by `frames`."""
    size = max(1, min(round(0.6 * piece.shape[1]), round(0.2 * rate)))
    tail = piece[:, -size:]
    width = max(1, min(size, round(0.008 * rate)))
    level = np.sqrt(np.convolve((tail**2).mean(axis=0), np.ones(width) / width, "same")) + 1e-6
    even = tail * np.minimum(1.0, level[-width // 2 - 1] / level).astype(np.float32)
    turns = -(-frames // size)
    more = np.concatenate([even[:, :: -1 if n % 2 == 0 else 1] for n in range(turns)], axis=1)[:, :frames]
    return np.asarray(more * np.linspace(1.0, 0.4, frames, dtype=np.float32), np.float32)


def set_level(sound: F32, rate: int, gain: float) -> F32:
    """Amplifies a loop by `gain` dB, at most 40; peaks above 0.5 are attenuated for 5 ms."""
    output = np.asarray(sound * np.float32(10 ** (min(40.0, gain) / 20)), np.float32)
    return _limit_peaks(output, rate, 0.5 * 0.93) if true_peak(output, rate) > 0.5 else output


def _limit_peaks(sound: F32, rate: int, ceiling: float) -> F32:
    """Applies a circular look-ahead limiter: minimum gain within 5 ms, smoothed as long; no peak exceeds `ceiling`."""
    reach = round(0.005 * rate)
    need = np.minimum(1.0, ceiling / np.maximum(np.abs(sound).max(axis=0), 1e-9))
    wrapped = np.take(need, np.arange(-2 * reach, len(need) + 2 * reach), mode="wrap")
    least = wrapped.copy()
    width = 1
    while width < 2 * reach + 1:
        by = min(width, 2 * reach + 1 - width)
        least[: len(least) - by] = np.minimum(least[: len(least) - by], least[by:])
        width += by
    least = least[: len(wrapped) - 2 * reach]
    kernel = np.hanning(2 * reach + 3)[1:-1]
    smooth = np.convolve(least, kernel / kernel.sum(), "valid")
    return np.asarray(sound * smooth[: sound.shape[1]], np.float32)


T = TypeVar("T")
PAD = 16
"""Frames repeated on both sides of a circular track, for interpolation."""
_CEILING = 0.8
_MAX_SAMPLES = 1 << 25
"""Maximum cached samples of files, and of tracks."""


@dataclass(frozen=True, slots=True)
class LoopTrack:
    """A loop ready for circular playback."""

    sound: F32  # float32 `[2, PAD + frames + PAD]`
    frames: int  # length without padding
    bars: int  # the same in bars


@dataclass(frozen=True, slots=True)
class LoopMaterial:
    """Arrangement with its samples."""

    plan: Arrangement
    tracks: tuple[LoopTrack, ...]
    gain: float  # gain of the sum, 1 or less, so that no peak is clipped


class MaterialMaker:
    """Creates material from one library. Files and tracks common to consecutive requests are cached."""

    def __init__(self, folder: Path, loops: Sequence[Loop], rules: Rules, rate: int) -> None:
        self._folder, self._loops, self._rules, self.rate = folder, list(loops), rules, rate
        self._tracks: dict[tuple[str, int, int, float], LoopTrack] = {}
        self._sounds: dict[str, F32] = {}
        self.unreadable: list[str] = []

    def make(self, request: LoopRequest, progress: Callable[[float], None] | None = None) -> LoopMaterial:
        """Creates the material of a request. An unreadable loop is removed and the plan repeated.

        Raises FileError: None of the loops can be read.
        """
        loops, self.unreadable = self._loops, []
        while True:
            plan = arrange(loops, request, self._rules)
            if self.unreadable and not plan.choices:
                raise FileError(f"no loop of {self._folder.name[:80]!r} can be read any more; {self.unreadable[0]}")
            try:
                tracks = []
                for n, choice in enumerate(plan.choices):
                    tracks.append(self._track(choice, request.bpm))
                    if progress is not None:
                        progress((n + 1) / len(plan.choices))
                return LoopMaterial(plan, tuple(tracks), _gain(plan, tracks))
            except FileError as error:
                self.unreadable.append(str(error))
                loops = [x for x in loops if x != choice.loop]

    def _track(self, choice: LoopChoice, bpm: float) -> LoopTrack:
        frames = max(1, round(choice.bars * 240.0 / bpm * self.rate))
        loudness = self._rules.loudness[choice.role]
        key = (choice.loop.file, frames, choice.shift, loudness)
        track = self._tracks.pop(key, None)
        if track is None:
            sound = self._sound(choice.loop)
            fitted_sound = fit_loop(sound, frames, self.rate, choice.shift, choice.role == "drums")
            # stretching does not change the loudness
            fitted_sound = set_level(fitted_sound, self.rate, loudness - choice.loop.lufs)
            around = np.take(fitted_sound, np.arange(-PAD, frames + PAD), axis=1, mode="wrap")
            track = LoopTrack(np.ascontiguousarray(around, np.float32), frames, choice.bars)
        self._tracks[key] = track  # newest last
        _forget(self._tracks, lambda entry: entry.sound.size)
        return track

    def _sound(self, loop: Loop) -> F32:
        """Sound of the loop, float32 stereo at the playback rate."""
        sound = self._sounds.pop(loop.file, None)
        if sound is None:
            samples, _ = sound_of(self._folder / loop.file, loop.file, self.rate)
            first = round(loop.start * self.rate)
            samples = np.ascontiguousarray(samples[:, first : first + round(loop.seconds * self.rate)])
            sound = np.repeat(samples, 2, axis=0) if samples.shape[0] == 1 else samples
        self._sounds[loop.file] = sound
        _forget(self._sounds, lambda entry: entry.size)
        return sound


def _forget(cache: dict[Any, T], size: Callable[[T], int]) -> None:
    """Evicts the oldest entries, never the newest, until at most `_MAX_SAMPLES` samples are left."""
    total = sum(map(size, cache.values()))
    while total > _MAX_SAMPLES and len(cache) > 1:
        total -= size(cache.pop(next(iter(cache))))


def _gain(plan: Arrangement, tracks: Sequence[LoopTrack]) -> float:
    """Gain, at most 1, at which no bar exceeds `_CEILING` at any intensity."""
    peak, seen = 1e-9, set()
    for bar, layers in enumerate(plan.bars):
        signs = tuple(
            (x.choice, (bar + x.turn) % tracks[x.choice].bars) for x in sorted(layers, key=lambda x: x.enters)
        )
        if signs in seen or not signs:
            continue
        seen.add(signs)
        first = tracks[signs[0][0]]
        frames = round(first.frames / first.bars)
        total = np.zeros((2, frames), np.float32)
        for choice, turn in signs:
            track = tracks[choice]
            start = PAD + round(turn * track.frames / track.bars)
            piece = track.sound[:, start : start + frames]
            total[:, : piece.shape[1]] += piece
            peak = max(peak, float(np.abs(total).max()))
    return min(1.0, _CEILING / peak)
