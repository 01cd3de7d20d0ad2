"""Transcribes a whole sound: by the streaming tracker, or by the network over many hops at once."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, IO, BlockTime, Event, Samples, StreamSpec, UsageError, Value
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.models import OfflineChords, StreamedChords
from antiphon.api.backends.rendering import prepare_processor
from antiphon.api.backends.signal import HIGHEST
from antiphon_hum import learned, struck
from antiphon_hum.chords import LEAST_SHARE
from antiphon_hum.learned import model_tracker
from antiphon_hum.learned.decode import SECONDS, LeadVoice
from antiphon_hum.learned.file_decoder import PathCosts, decode_file
from antiphon_hum.learned.model_tracker import SENSITIVITY_LOG_ODDS
from antiphon_hum.processor import BEND_RANGE, MIDDLE_VELOCITY, Hum, available_mode, velocity
from antiphon_hum.quantise import KEYS, SCALES, FrameNote, KeyFinder, nearest_number_in_scale, on_grid, timing
from antiphon_hum.struck import MIN_PURE_SHARE, PureTones, StruckLine

# ---- Several notes at once in files: the network's frames to notes
# A peak of the network's onsets begins a note, which lasts while its pitch sounds.

ONSET, SOUNDING = 0.65, 0.4
"""Thresholds of an onset peak at a sensitivity of 0.5, and of a sustained pitch. Chosen on six excerpts of three songs;
.5 and .3, the package's own, find as many notes and half as many more that were not played."""
SENSITIVITY_RANGE = 0.4
"""Change of `ONSET` over the whole range of `sensitivity`."""
CLEAR, NEAR = 0.8, 5
"""Reference strength of the surest pitch within `NEAR` frames. If none reaches it, as in a distorted chord, `SOUNDING`
is lowered in proportion, down to `LEAST_SHARE`."""
OVERTONES, FAINT, TOGETHER = (12, 19, 24, 28), 0.7, 3
"""Semitones from a note to its overtones, the share of its strength below which a note there counts as one, and the
maximum number of frames between their onsets."""
LONG, BLUR, BEFORE = 16, 0.2, 4
"""Minimum frames of a note whose onset may be weaker by `BLUR`, and previous frames in which its onset is sought."""
LATE = 180
"""Median delay in samples of an onset's frame after the strike, over songs, guitars and a piano."""
GAP, LEAST_FRAMES = 11, 9
"""Number of frames for which a pitch may be too weak without ending, and minimum length of a note: 128 and 104 ms."""


def decode(sounding: F32, onsets: F32, sensitivity: float = 0.5) -> list[tuple[int, int, int, float]]:
    """Notes as (first frame, end, MIDI number, strength 0 to 1), in order of their start."""
    least = ONSET - SENSITIVITY_RANGE * (sensitivity - 0.5)
    near = np.pad(sounding.max(axis=1), NEAR)
    surest = np.lib.stride_tricks.sliding_window_view(near, 2 * NEAR + 1).max(axis=1)
    strong = sounding >= (SOUNDING * np.clip(surest / CLEAR, LEAST_SHARE, 1.0))[:, None]
    notes = []
    for pitch in range(sounding.shape[1]):
        begun = np.pad(onsets[:, pitch], 1)
        peaks = np.flatnonzero((begun[1:-1] > least) & (begun[1:-1] >= begun[:-2]) & (begun[1:-1] > begun[2:]))
        left = strong[:, pitch].copy()
        for start, stop in itertools.pairwise([*peaks.tolist(), len(sounding)]):
            held = start + np.flatnonzero(strong[start:stop, pitch])
            breaks = np.flatnonzero(np.diff(held, prepend=start) > GAP)
            held = held[: breaks[0]] if len(breaks) else held
            if len(held) and held[-1] + 1 - start >= LEAST_FRAMES and not _is_overtone(sounding, onsets, start, pitch):
                notes.append((start, int(held[-1]) + 1, pitch))
                left[max(0, start - BEFORE) : held[-1] + 1 + GAP] = False
        for start, end in _find_blurred_notes(left, sounding[:, pitch], onsets[:, pitch], least):
            if not _is_overtone(sounding, onsets, start, pitch):
                notes.append((start, end, pitch))
    return [(a, b, StreamedChords.lowest + pitch, float(sounding[a:b, pitch].mean())) for a, b, pitch in sorted(notes)]


def _is_overtone(sounding: F32, onsets: F32, start: int, pitch: int) -> bool:
    """Whether this pitch is an overtone of a much surer note that begins at the same time."""
    first = sounding[start : start + GAP + 1].max(axis=0)
    begun = onsets[max(0, start - TOGETHER) : start + TOGETHER + 1].max(axis=0)
    lower = [pitch - up for up in OVERTONES if pitch >= up]
    return any(begun[low] > ONSET and first[pitch] < FAINT * first[low] for low in lower)


def _find_blurred_notes(left: NDArray[np.bool_], sounding: F32, onsets: F32, least: float) -> Iterator[tuple[int, int]]:
    """First frames and ends of long notes without a clear onset, blurred by tremolo or a slur."""
    places = np.flatnonzero(left)
    for run in np.split(places, np.flatnonzero(np.diff(places) > GAP) + 1):
        if len(run) >= LONG and sounding[run].max() >= SOUNDING:
            first = max(0, int(run[0]) - BEFORE)
            start = first + int(onsets[first : run[0] + 2 * BEFORE].argmax())
            if onsets[start] > least - BLUR:
                yield start, int(run[-1]) + 1


BLOCK = 2048
STRUCK_THRESHOLD = 0.1
"""Mean probability of several voices above which a file is tested for struck notes; singing has .01."""
LOWEST_RATE = 22050
"""Lowest rate in Hz. Sound below it is resampled to `RESAMPLED_RATE`, so that hops are as short as in other sounds."""
RESAMPLED_RATE = 48000
Play = Callable[[int, Callable[[Samples], None]], None]
"""Playback function: called with a rate (0 for the sound's own) and a consumer of float32 `[channels, n]` blocks."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """Notes of a sound of `frames` frames, in order of their start.

    `key`: tonic 0 to 11 and scale of the quantised pitches; `bpm`, `beat`: tempo, and first line in seconds, of the
    grid of the quantised times; `left`: number of notes left out because their line and the next were taken; `many`:
    mean probability that several voices sound at once; `cancelled`: as `ListeningMix.cancelled`; `pure`: whether they
    are pure tones, found by yin; `struck`: whether they are a plucked or struck line, found by attacks.
    """

    notes: tuple[FrameNote, ...]
    frames: int
    key: tuple[int, str] | None = None
    bpm: float | None = None
    beat: float = 0.0
    many: float = 0.0
    left: int = 0
    pure: bool = False
    struck: bool = False
    cancelled: bool = False


def notes_of(
    samples: Samples, rate: int, settings: Mapping[str, Value] | None = None, live: bool = False
) -> list[FrameNote]:
    """The notes in float32 `[channels, frames]` or `[frames]`; with `live` in one causal pass, not as `transcribe`."""
    sound = np.atleast_2d(np.asarray(samples, np.float32))
    if live:
        transcriber = StreamTranscriber(rate, sound.shape[0], settings)
        transcriber.feed(sound)
        return transcriber.notes()

    def play(at: int, feed: Callable[[Samples], None]) -> None:
        if at not in (0, rate):
            import soxr

            feed(np.ascontiguousarray(np.asarray(soxr.resample(sound.T, rate, at), np.float32).T))
        else:
            feed(sound)

    return list(transcribe(play, rate, settings or {}).notes)


def transcribe(play: Play, rate: int, settings: Mapping[str, Value]) -> Transcription:
    """Returns the notes of the sound of `play`, in one or more passes.

    Key and tempo are estimated if they are requested and not given. Raises ParamError: a parameter is unknown or out of
    range. Raises UsageError: the settings do not go together.
    """
    mixes: list[ListeningMix] = []

    def mono(at: int, feed: Callable[[Samples], None]) -> None:
        mixes.append(mix := ListeningMix())
        play(at, lambda block: feed(mix.take(block)[None]))

    found = _transcribe(mono, rate, settings)
    return replace(found, cancelled=mixes[0].cancelled)


def _transcribe(play: Play, rate: int, settings: Mapping[str, Value]) -> Transcription:
    hum = Hum()
    prepare_processor(hum, StreamSpec(max(rate, LOWEST_RATE), BLOCK, 1), {**settings, "mode": "yin"})
    first = {p.name: p.default for p in Hum.params}
    mode = str({**first, **settings}["mode"])
    if mode == "chords" and str(hum.settings["quantise"]) != "off":
        raise UsageError(f"quantise moves one voice; leave it out with mode={mode}")
    mode = available_mode(mode)
    at = resampling_rate(mode) or (rate if rate >= LOWEST_RATE else RESAMPLED_RATE)
    if mode == "chords":
        found = _run_chord_pass(play, settings, hum)
    elif mode == "learned":
        found = _network_pass(play, hum)
        if not found.notes:
            found = _pure_tone_notes(play, at, settings, hum) or found
        if found.many > STRUCK_THRESHOLD and not hum.settings["lead"]:
            found = _struck_notes(play, at, found, hum) or found
    else:
        found = _tracker_pass(play, at, {**settings, "mode": mode}, hum)
    if at != rate:
        frames = [0]

        def count(block: Samples) -> None:
            frames[0] += block.shape[1]

        play(0, count)
        found = _rescaled(found, rate / at, frames[0])
    quantise = str(hum.settings["quantise"])
    if quantise == "off" or not found.notes:
        return found
    bpm, beat = timing([n.start / rate for n in found.notes], quantise, float(hum.settings["bpm"]))
    moved = tuple(on_grid(found.notes, rate, quantise, bpm, beat, found.frames))
    return replace(found, notes=moved, bpm=bpm, beat=beat, left=len(found.notes) - len(moved))


def resampling_rate(mode: str) -> int:
    """Hz that files are resampled to in a mode with a network; 0 for the other modes."""
    if mode == "chords":
        return OfflineChords.rate
    return model_tracker.RATE if mode == "learned" else 0


def _rescaled(found: Transcription, by: float, frames: int) -> Transcription:
    """Transcription scaled to `by` times the rate, `frames` long."""
    moved = (replace(n, start=round(n.start * by), end=min(frames, round(n.end * by))) for n in found.notes)
    return replace(found, notes=tuple(n for n in moved if n.end > n.start), frames=frames)


def _key(notes: Iterable[FrameNote], rate: int, hum: Hum) -> tuple[int, str] | None:
    """Tonic and scale, if a scale is requested and there are enough notes to find it."""
    if hum.settings["scale"] == "off":
        return None
    finder = KeyFinder(fade=1.0)
    for note in notes:
        finder.add(note.number, (note.end - note.start) / rate)
    tonic, scale = finder.resolve(str(hum.settings["key"]), str(hum.settings["scale"]))
    return None if scale == "off" else (tonic, scale)


def _snap(notes: list[FrameNote], rate: int, hum: Hum) -> tuple[list[FrameNote], tuple[int, str] | None]:
    """The notes, moved to the scale that is requested or found, and its tonic and name."""
    key = _key(notes, rate, hum)
    if key is None:
        return notes, None
    return [replace(n, number=nearest_number_in_scale(n.pitch, key[0], SCALES[key[1]])) for n in notes], key


def _pure_tone_notes(play: Play, at: int, settings: Mapping[str, Value], hum: Hum) -> Transcription | None:
    """Returns the notes of pure tones, by yin; None for other sounds, or if yin's notes explain too little."""
    tones = PureTones(at)
    play(at, tones.feed)
    if tones.pure_share() < MIN_PURE_SHARE:
        return None
    found = _tracker_pass(
        play, at, {**settings, "mode": "yin"}, hum, lambda x: tones.explained_share(x) >= MIN_PURE_SHARE
    )
    return replace(found, pure=True) if found.notes else None


def _struck_notes(play: Play, at: int, heard: Transcription, hum: Hum) -> Transcription | None:
    """Notes of a plucked or struck line, in frames at `at`; None for other sounds."""
    line = StruckLine()
    play(struck.RATE, line.feed)
    low, high = sorted((int(hum.settings["lowest"]), int(hum.settings["highest"])))
    high = 127 if high == HIGHEST else high  # whistles are higher than voices
    scale = at / struck.RATE
    notes = [replace(n, start=round(n.start * scale), end=round(n.end * scale)) for n in line.notes(low, high)]
    notes, key = _snap(notes, at, hum)
    return replace(heard, notes=tuple(notes), key=key, struck=True) if notes else None


def _tracker_pass(
    play: Play,
    at: int,
    settings: Mapping[str, Value],
    hum: Hum,
    accept: Callable[[Sequence[FrameNote]], bool] = lambda notes: True,
) -> Transcription:
    """Runs one pass, and a second one to snap notes to a detected key; returns no notes if they are not accepted."""
    plain: dict[str, Value] = {**settings, "quantise": "off", "scale": "off"}
    first = StreamTranscriber(at, 1, plain)
    play(at, first.feed)
    if not accept(first.notes()):
        return Transcription((), first.frames)
    key = _key(first.notes(), at, hum)
    if key is None:
        return Transcription(tuple(first.notes()), first.frames)
    second = StreamTranscriber(at, 1, plain | {"key": KEYS[key[0] + 1], "scale": key[1]})
    play(at, second.feed)
    return Transcription(tuple(second.notes()), second.frames, key)


def _network_pass(play: Play, hum: Hum) -> Transcription:
    settings = hum.settings
    odds = SENSITIVITY_LOG_ODDS * (float(settings["sensitivity"]) - 0.5)
    transcriber = model_tracker.OfflineModel()
    play(model_tracker.RATE, transcriber.feed)
    frames = transcriber.frames
    answers, levels = transcriber.end()
    followed = LeadVoice().filter_answers(answers) if settings["lead"] else answers
    found = decode_file(followed, PathCosts(sure=PathCosts().sure - 2.0 * odds))
    low, high = sorted((float(settings["lowest"]), float(settings["highest"])))
    notes = []
    for start, end, pitch in found:
        at, until = start / SECONDS, end / SECONDS
        first = max(0, round(at))
        level = float(levels[first : min(max(first + 1, round(until)), first + 25)].max(initial=-90.0))
        begin, close = (min(frames, max(0, round(hop * transcriber.hop) - transcriber.lag)) for hop in (at, until))
        if close > begin and level > float(settings["threshold"]) and low - 0.5 <= pitch < high + 0.5:
            number = min(127, max(0, round(pitch)))
            notes.append(FrameNote(begin, close, number, velocity(level, float(settings["dynamics"])), pitch))
    notes, key = _snap(notes, model_tracker.RATE, hum)
    loud = levels > float(settings["threshold"])
    many = float(answers[loud, learned.MANY].mean()) if loud.any() else 0.0
    return Transcription(tuple(notes), frames, key, many=many)


def _run_chord_pass(play: Play, settings: Mapping[str, Value], hum: Hum) -> Transcription:
    """Runs one pass of the network for several notes; velocities follow the certainty of a pitch."""
    model = OfflineChords()
    play(OfflineChords.rate, model.feed)
    # the parameters' defaults are a voice's range, narrower than a piano's
    low, high = sorted((int(settings.get("lowest", 0)), int(settings.get("highest", 127))))
    dynamics = float(hum.settings["dynamics"])
    notes = []
    for start, end, number, strength in decode(*model.end(), float(hum.settings["sensitivity"])):
        begin, close = (min(model.frames, max(0, frame * StreamedChords.hop - LATE)) for frame in (start, end))
        if close > begin and low <= number <= high:
            loud = MIDDLE_VELOCITY + (strength - MIDDLE_VELOCITY) * dynamics
            notes.append(FrameNote(begin, close, number, loud, float(number)))
    notes, key = _snap(notes, OfflineChords.rate, hum)
    return Transcription(tuple(notes if key is None else end_at_repeats(notes)), model.frames, key)


def end_at_repeats(notes: Iterable[FrameNote]) -> list[FrameNote]:
    """Ends each note where the next of the same number begins."""
    found, last = list[FrameNote](), dict[int, int]()
    for note in sorted(notes, key=lambda note: note.start):
        at = last.get(note.number)
        if at is not None and found[at].end > note.start:
            if found[at].start == note.start:
                found[at] = replace(found[at], end=max(found[at].end, note.end))
                continue
            found[at] = replace(found[at], end=note.start)
        last[note.number] = len(found)
        found.append(note)
    return found


class StreamTranscriber:
    """Runs the processor over a streamed sound, `frames` so far, and compensates its latency."""

    def __init__(self, rate: int, channels: int, settings: Mapping[str, Value] | None = None) -> None:
        """Prepares the processor with parameters of `hum`; `bpm`: tempo for `quantise`, with a beat at frame 0.

        Raises ParamError: a parameter is unknown or out of range. Raises UsageError: the settings do not go together.
        """
        self._processor = Hum()
        self._cells = prepare_processor(self._processor, StreamSpec(rate, BLOCK, channels), settings or {})
        self._tempo = float(self._processor.settings["bpm"]) or 120.0
        self._io = IO([], [], self._cells, BlockTime(tempo=self._tempo))
        self._rate, self._channels = rate, channels
        self._events: list[Event] = []
        self._rescaled = self.frames = 0
        self._ended = False

    def feed(self, sound: Samples) -> None:
        """Takes the next float32 `[channels, n]` of the sound."""
        self.frames += sound.shape[1]
        for at in range(0, sound.shape[1], BLOCK):
            self._block(sound[:, at : at + BLOCK])

    @property
    def latency(self) -> int:
        """Frames of latency that the processor declares."""
        return self._processor.latency

    def notes(self) -> list[FrameNote]:
        """Ends the sound; returns its notes in order of their start."""
        self._end()
        return _notes(self._events, self._processor.latency, self.frames)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        silence = np.zeros((self._channels, BLOCK), np.float32)
        for _ in range(0, self._processor.latency + BLOCK, BLOCK):
            self._block(silence)
        self._processor.close()

    def _block(self, sound: Samples) -> None:
        io, at, frames = self._io, self._rescaled, sound.shape[1]
        self._cells.render(at, frames)
        io.audio_in, io.frames = [sound], frames
        io.time.sample, io.time.beat = at, at / self._rate * self._tempo / 60.0
        self._processor.process(io)
        self._cells.settle(at + frames)
        self._events += [Event(e.kind, at + e.offset, e.number, e.value) for e in io.events_out]
        io.events_out.clear()
        self._rescaled += frames


def _notes(events: Iterable[Event], latency: int, frames: int) -> list[FrameNote]:
    """Converts events by frame of the stream to notes by frame of the sound; notes without length are left out."""
    held: dict[int, Event] = {}
    found: list[FrameNote] = []
    bent = 0

    def end(number: int, offset: int) -> None:
        event = held.pop(number)
        first, last = (min(max(0, at - latency), frames) for at in (event.offset, offset))
        if last > first:
            found.append(FrameNote(first, last, number + bent, event.value))

    for event in events:
        if event.kind == "bend":
            bent = round(BEND_RANGE * event.value) if held else bent
        if event.kind not in ("on", "off"):
            continue
        if event.number in held:
            end(event.number, event.offset)
        bent = 0
        if event.kind == "on":
            held[event.number] = event
    for number in list(held):
        end(number, latency + frames)
    return sorted(found, key=lambda note: (note.start, note.number))
