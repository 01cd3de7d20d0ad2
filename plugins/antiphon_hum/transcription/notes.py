"""The notes of a whole sound: heard by the streaming code, or by the network many hops at once, and moved if asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from antiphon.api import IO, BlockTime, Event, Samples, StreamSpec, Value
from antiphon.api.jobs import prepare_processor
from antiphon_hum.learned import spec
from antiphon_hum.learned.decode import SECONDS, PathCosts, filed
from antiphon_hum.learned.model_tracker import MODELS, REACH
from antiphon_hum.learned.template_decoder import notes_of_painting
from antiphon_hum.processor import Hum, possible, velocity
from antiphon_hum.scale_snap import KEYS, SCALES, KeyFinder, in_scale
from antiphon_hum.tracking.note_classifier import Said, backwards
from antiphon_hum.transcription.note import Note
from antiphon_hum.transcription.quantise import on_grid, timing

BLOCK = 2048
LOWEST_RATE = 22050
"""Hz: what is sampled more slowly is heard at `HEARD_RATE`, so that a hop is as short as in other sounds."""
HEARD_RATE = 48000
Play = Callable[[int, Callable[[Samples], None]], None]
"""Plays the sound: is given a rate, 0 for its own, and what takes it, float32 `[channels, n]` after another."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """What is in a file.  frames: how long it is.  key: tonic 0 to 11 and scale its notes were moved to.  bpm, beat:
    of the grid they were moved to, and seconds of its first line.  many: how surely several voices sound at once.
    left: notes left out, for their line and the next were taken.
    """

    notes: tuple[Note, ...]
    frames: int
    key: tuple[int, str] | None = None
    bpm: float | None = None
    beat: float = 0.0
    many: float = 0.0
    left: int = 0


def notes_of(
    samples: Samples, rate: int, settings: Mapping[str, Value] | None = None, live: bool = False
) -> list[Note]:
    """The notes in float32 `[channels, frames]` or `[frames]`; see `heard`. live: heard once, knowing no more than
    what has been; else as files are.
    """
    sound = np.atleast_2d(np.asarray(samples, np.float32))
    if live:
        listener = NoteCollector(rate, sound.shape[0], settings)
        listener.hear(sound)
        return listener.notes()

    def play(at: int, hear: Callable[[Samples], None]) -> None:
        hear(sound if at in (0, rate) else _resampled(sound, rate, at))

    return list(heard(play, rate, sound.shape[0], settings or {}).notes)


def heard(play: Play, rate: int, channels: int, settings: Mapping[str, Value]) -> Transcription:
    """What is in the sound that `play` plays, at its own `rate` and `channels`. settings: parameters of `hum`.

    One key and one constant tempo are found where they are asked for and not told. Raises `ParamError` and
    `UsageError` for settings `hum` does not take.
    """
    asked = Hum()
    prepare_processor(asked, StreamSpec(max(rate, LOWEST_RATE), BLOCK, channels), {**settings, "mode": "yin"})
    first = {p.name: p.default for p in Hum.params}
    mode = possible(str({**first, **settings}["mode"]))
    at = whole_rate(mode) or (rate if rate >= LOWEST_RATE else HEARD_RATE)
    made = _by_network(play, mode, asked) if mode in MODELS else _by_tracker(play, at, channels, settings, mode, asked)
    if at != rate:
        frames = [0]

        def count(block: Samples) -> None:
            frames[0] += block.shape[1]

        play(0, count)
        made = _at(made, rate / at, frames[0])
    quantise = str(asked.settings["quantise"])
    if quantise == "off" or not made.notes:
        return made
    bpm, beat = timing([n.start / rate for n in made.notes], quantise, float(asked.settings["bpm"]))
    moved = tuple(on_grid(made.notes, rate, quantise, bpm, beat, made.frames))
    return replace(made, notes=moved, bpm=bpm, beat=beat, left=len(made.notes) - len(moved))


def whole_rate(mode: str) -> int:
    """Hz that files are heard at in a mode with a network; 0 in the others."""
    return 3 * spec.RATE if mode in MODELS else 0


def _at(made: Transcription, by: float, frames: int) -> Transcription:
    """The same in a sound of `frames` at `by` times the rate."""
    moved = (replace(n, start=round(n.start * by), end=min(frames, round(n.end * by))) for n in made.notes)
    return replace(made, notes=tuple(n for n in moved if n.end > n.start), frames=frames)


def _key(notes: Iterable[Note], rate: int, asked: Hum) -> tuple[int, str] | None:
    """Tonic and scale, where a scale is asked for and there are enough notes to tell."""
    if asked.settings["scale"] == "off":
        return None
    finder = KeyFinder(fade=1.0)
    for note in notes:
        finder.add(note.number, (note.end - note.start) / rate)
    tonic, scale = finder.found(str(asked.settings["key"]), str(asked.settings["scale"]))
    return None if scale == "off" else (tonic, scale)


def _by_tracker(
    play: Play, at: int, channels: int, settings: Mapping[str, Value], mode: str, asked: Hum
) -> Transcription:  # fmt: skip
    """Heard twice: what comes is known the second time."""
    plain: dict[str, Value] = {**settings, "mode": mode, "quantise": "off", "scale": "off"}
    first = NoteCollector(at, channels, plain)
    play(at, first.hear)
    ahead = first.beliefs()
    key = _key(first.notes(), at, asked)
    if key is not None:
        plain |= {"key": KEYS[key[0] + 1], "scale": key[1]}
    second = NoteCollector(at, channels, plain, ahead)
    play(at, second.hear)
    return Transcription(tuple(second.notes()), second.frames, key)


def _by_network(play: Play, mode: str, asked: Hum) -> Transcription:
    """One pass of the network over the whole sound."""
    # imports torch, which nobody needs who asks for the other modes
    from antiphon_hum.learned import offline_model

    said = asked.settings
    odds = REACH * (float(said["sensitivity"]) - 0.5)
    listener = offline_model.OfflineModel(mode)
    play(offline_model.RATE, listener.hear)
    frames = listener.frames
    answers, levels = listener.end()
    learned = mode == "learned"
    found = filed(answers, PathCosts(bias=odds)) if learned else notes_of_painting(answers, odds)
    late = spec.FAR if learned else spec.PLAIN_LATE
    low, high = sorted((float(said["lowest"]), float(said["highest"])))
    notes = []
    for start, end, number in found:
        first = max(0, round(start / SECONDS))
        last = max(first + 1, round(end / SECONDS))
        level = float(levels[first : min(last, first + 25)].max(initial=-90.0))
        pitch = _sung(answers[first + late : last + late], number) if learned else float(number)
        begin, close = (min(frames, max(0, hop * listener.hop - listener.lag)) for hop in (first, last))
        if close > begin and level > float(said["threshold"]) and low - 0.5 <= pitch < high + 0.5:
            notes.append(Note(begin, close, number, velocity(level, float(said["dynamics"])), pitch))
    key = _key(notes, offline_model.RATE, asked)
    if key is not None:
        notes = [replace(n, number=in_scale(n.pitch, key[0], SCALES[key[1]])) for n in notes]
    loud = levels > float(said["threshold"])
    many = float(answers[loud, spec.MANY].mean()) if learned and loud.any() else 0.0
    return Transcription(tuple(notes), frames, key, many=many)


def _sung(answers: Samples, number: int) -> float:
    """The pitch of a note as it was sung, where that is within a semitone of it."""
    pitches = spec.LOWEST + spec.SEMITONES * answers[:, spec.FAR_KEY]
    near = pitches[np.abs(pitches - number) < 0.75]
    return float(np.median(near)) if len(near) else float(number)


def _resampled(sound: Samples, rate: int, to: int) -> Samples:
    import soxr

    return np.ascontiguousarray(np.asarray(soxr.resample(sound.T, rate, to), np.float32).T)


class NoteCollector:
    """Takes a sound piece by piece and has its notes at the end, the latency taken out.

    frames: heard so far.
    """

    def __init__(
        self, rate: int, channels: int, settings: Mapping[str, Value] | None = None, ahead: Sequence[float] = ()
    ) -> None:
        """settings: parameters of `hum`; its `bpm` is the clock that `quantise` goes by, with a beat at frame 0.
        ahead: `beliefs` of a listener that has heard the same sound.  Raises `ParamError` and `UsageError` for
        settings `hum` does not take.
        """
        self._processor = Hum()
        self._cells = prepare_processor(self._processor, StreamSpec(rate, BLOCK, channels), settings or {})
        self._tempo = float(self._processor.settings["bpm"]) or 120.0
        self._io = IO([], [], self._cells, BlockTime(tempo=self._tempo))
        self._told: list[Said] = []
        self._processor.foresee(ahead, self._told)
        self._rate, self._channels = rate, channels
        self._events: list[Event] = []
        self._at = self.frames = 0
        self._ended = False

    def hear(self, sound: Samples) -> None:
        """float32 `[channels, n]` more of it."""
        self.frames += sound.shape[1]
        for at in range(0, sound.shape[1], BLOCK):
            self._block(sound[:, at : at + BLOCK])

    @property
    def latency(self) -> int:
        """Frames, as the processor says."""
        return self._processor.latency

    def beliefs(self) -> list[float]:
        """What a second listener is to know ahead. Nothing more is heard afterwards."""
        self._end()
        return backwards(self._told)

    def notes(self) -> list[Note]:
        """In order of their start, within the sound. Nothing more is heard afterwards."""
        self._end()
        return list(_notes(self._events, self._processor.latency, self.frames))

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        silence = np.zeros((self._channels, BLOCK), np.float32)
        for _ in range(0, self._processor.latency + BLOCK, BLOCK):
            self._block(silence)
        self._processor.close()

    def _block(self, sound: Samples) -> None:
        io, at, frames = self._io, self._at, sound.shape[1]
        for cell in self._cells.values():
            cell.render(at, frames)
        io.audio_in, io.frames = [sound], frames
        io.time.sample, io.time.beat = at, at / self._rate * self._tempo / 60.0
        self._processor.process(io)
        for cell in self._cells.values():
            cell.settle(at + frames)
        self._events += [Event(e.kind, at + e.offset, e.number, e.value) for e in io.events_out]
        io.events_out.clear()
        self._at += frames


def _notes(events: Iterable[Event], latency: int, frames: int) -> Iterator[Note]:
    """Events by frame of the stream as notes by frame of the sound; what has no length is left out."""
    held: Event | None = None
    for event in [*events, Event("off", latency + frames)]:
        if held is not None:
            start, end = (min(max(0, e.offset - latency), frames) for e in (held, event))
            if end > start:
                yield Note(start, end, held.number, held.value)
        held = event if event.kind == "on" else None
