"""Test performance of each shipped patch: one render per patch.

A performance is a phrase of a few seconds, played once with the patch as it begins, and once more in each scene.
Sounds that come in are made here, by code; each has an integrated loudness of `LEVEL`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.demo import BAND, HUM
from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.params import Value
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins.loader import Loaded
from antiphon.kernel.runtime import resources
from antiphon.kernel.session.commands import Command, Play, Sample, SetParam, SetTransport
from antiphon.offline.player import FilePlayer
from antiphon.signal.loudness import LoudnessMeter
from antiphon.signal.pitch import frequency

GALLERY = (Path(__file__).resolve().parents[2] / "docs" / "gallery.md").read_text(encoding="utf-8")
RATE = 48000
LOOP_BEAT = RATE * 60 // 90
"""Frames of a beat of the loops."""
SPEC = StreamSpec(48000, 1024, 2)
LEVEL = -18.0
"""Loudness in LUFS of the input, and approximately of the output: 12 dB of headroom for peaks."""
LEAD = 0.1
"""Seconds of a phrase before its first note, so that a scene changes between two notes."""

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a phrase.

    Attributes:
        at: Seconds from the phrase's beginning.
        note: MIDI number.
        lasts: Seconds.
        velocity: 1 to 127.
    """

    at: float
    note: int
    lasts: float
    velocity: int = 90


@dataclass(frozen=True, slots=True)
class Performance:
    """Performance of a patch: phrase, notes and scenes.

    Attributes:
        sound: Name of what comes in, a key of `SOUNDS`, or "" for silence.
        node: The node that plays them; "" for each whose notes no wire brings.
        turns: (seconds from the beginning, node, parameter, value) of what else is done.
        before: Seconds of the beginning that are not measured: a loop is recorded, a tune is found.
    """

    sound: str = ""
    notes: tuple[Note, ...] = ()
    node: str = ""
    seconds: float = 3.0
    turns: tuple[tuple[float, str, str, Value], ...] = ()
    before: float = 0.0
    rests: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rendered performance.

    Attributes:
        sound: Float32 `[2, frames]` at `RATE`.
        scenes: Frame at which each scene was recalled, by its number.
        phrase: Frames of a phrase.
        before: Frames of the beginning that are not measured.
    """

    sound: F32
    scenes: Mapping[int, int]
    phrase: int
    before: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def change(self, number: int) -> tuple[float, float]:
        """Largest second difference just after a scene recall, and in the surrounding quarters of a second, as
        magnitudes: a click is a step, rich in high frequencies."""
        bent = np.abs(np.diff(self.sound, 2, axis=1)).max(axis=0)
        at, quarter, here = self.scenes[number], RATE // 4, RATE // 24
        beside = max(bent[at - quarter : at - 200].max(), bent[at + here + 400 : at + here + quarter].max(initial=0.0))
        return float(bent[at - 10 : at + here].max()), float(beside)

    def first(self) -> F32:
        """Sound before the first scene, without its beginning."""
        return self.sound[:, self.before : self.before + self.phrase]

    def scene(self, number: int) -> F32:
        """Sound of a scene."""
        start = self.scenes[number]
        return self.sound[:, start : start + self.phrase]


def render(name: str, loaded: Loaded, without: Sequence[str] | None = None) -> Rendered:
    """Renders the performance of a shipped patch by the live code.

    `without`: nodes that are muted, in a render without the scenes.
    """
    performance = PERFORMANCES[name]
    played = patch.load(resources.patches() / f"{name}.toml", loaded.catalog, trusted=True)
    phrase, before = round(performance.seconds * RATE), round(performance.before * RATE)
    recalled = sorted(played.scenes) if without is None else ()
    scenes = {number: before + (1 + place) * phrase for place, number in enumerate(recalled)}
    frames = before + (1 + len(scenes)) * phrase
    commands: list[Command] = [SetTransport(True, None, Sample(0))]  # in its own time
    commands += [SetParam(node, "mute", True, when=Sample(0)) for node in without or ()]
    for number, at in scenes.items():
        commands += [
            SetParam(*key.split("."), value, when=Sample(at))  # type: ignore[arg-type]
            for key, value in played.scenes[number].items()
            if "." in key  # not its name
        ]
    for at, node, param, value in performance.turns:
        commands.append(SetParam(node, param, value, when=Sample(round(at * RATE))))
    for start in range(before % phrase if before else 0, frames, phrase):
        for note in performance.notes:
            on = start + round((LEAD + note.at) * RATE)
            off = on + round(note.lasts * RATE)
            commands.append(Play(performance.node, Event("on", 0, note.note, note.velocity / 127.0), Sample(on)))
            commands.append(Play(performance.node, Event("off", 0, note.note), Sample(off)))
    commands.sort(key=lambda command: command.when.n if isinstance(command.when, Sample) else 0)
    player = FilePlayer(played.graph, loaded.catalog, loaded.make, SPEC, played.tempo, commands)
    sound = player.sound([input_sound(performance, frames, phrase)])
    return Rendered(sound, scenes, phrase, before, player.failures)


def cells(sound: F32) -> F64:
    """Level in dB of 16 bands, 60 Hz to 14 kHz, in frames of some 43 ms: `[16, frames]`."""
    size, hop = 4096, 2048
    mono = sound.mean(axis=0, dtype=np.float64)
    frames = np.stack([mono[at : at + size] * np.hanning(size) for at in range(0, mono.size - size, hop)])
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = (np.geomspace(60.0, 14000.0, 17) * size / RATE).astype(int)
    rows = [power[:, low : max(low + 1, high)].sum(axis=1) for low, high in pairwise(edges)]
    return 10.0 * np.log10(np.stack(rows) + 1e-9)


def difference(a: F32, b: F32, floor: float = 50.0) -> float:
    """Spectral distance of two sounds of equal length: mean absolute difference of their cells, dB.

    What is `floor` dB below the louder sound's loudest cell is as good as silent.
    """
    first, second = cells(a), cells(b)
    least = max(first.max(), second.max()) - floor
    return float(np.abs(np.maximum(first, least) - np.maximum(second, least)).mean())


def input_sound(performance: Performance, frames: int, phrase: int) -> F32:
    """Input sound: the phrase, looped."""
    if not performance.sound:
        return np.zeros((2, frames), np.float32)
    once = np.zeros((2, phrase), np.float32)
    made = SOUNDS[performance.sound]()[:, : phrase - round(LEAD * RATE)]
    once[:, round(LEAD * RATE) : round(LEAD * RATE) + made.shape[1]] = made
    whole = np.tile(once, (1, -(-frames // phrase)))
    whole = np.ascontiguousarray(whole[:, -frames:])
    if performance.rests:
        whole[:, round(performance.before * RATE) :] = 0.0
    return whole


# ---- what comes in


def _levelled(sound: F64) -> F32:
    stereo = np.ascontiguousarray(np.atleast_2d(sound) * np.ones((2, 1)), np.float32)
    return stereo * np.float32(10.0 ** ((LEVEL - LoudnessMeter.of(stereo, RATE)) / 20.0))


def _loop(path: Path) -> F64:
    """A loop that `antiphon play` hears without a microphone, `[2, frames]`."""
    return np.ascontiguousarray(soundfile.read(path, dtype="float64")[0].T)


def _faded(sound: F64, seconds: float = 0.02) -> F64:
    edge = np.linspace(0.0, 1.0, round(seconds * RATE))
    sound[..., : edge.size] *= edge
    sound[..., -edge.size :] *= edge[::-1]
    return sound


@cache
def voice() -> F32:
    """Three seconds of singing with words."""
    return _levelled(_faded(_loop(HUM)[0, 8 * LOOP_BEAT : 8 * LOOP_BEAT + 3 * RATE]))


@cache
def rough_voice() -> F32:
    """The voice with noise of a cheap microphone: hiss at -30 dB, mains hum, and a thump of the stand."""
    sung = voice()[0].astype(np.float64)
    t = np.arange(sung.size) / RATE
    hiss = np.random.default_rng(3).standard_normal(sung.size) * 10.0 ** ((LEVEL - 30.0) / 20.0)
    hum = 10.0 ** ((LEVEL - 26.0) / 20.0) * (np.sin(2 * np.pi * 50.0 * t) + 0.5 * np.sin(2 * np.pi * 150.0 * t))
    thump = 0.25 * np.sin(2 * np.pi * 35.0 * t) * np.exp(-np.square((t - 2.4) / 0.08))
    return _levelled(sung + hiss + hum + thump)


def string(note: int, velocity: int, seconds: float) -> F64:
    """Electric guitar string: partials through its pickup's comb, brighter at higher velocity."""
    t, hertz, hard = np.arange(round(seconds * RATE)) / RATE, frequency(note), velocity / 127.0
    tone = np.zeros_like(t)
    for k in range(1, 40):
        partial = hertz * k * math.sqrt(1.0 + 1e-4 * k * k)
        if partial > 9000.0:
            break
        height = math.sin(math.pi * k * 0.13) * abs(math.sin(math.pi * k * 0.21) + 0.2) / k**0.5
        dull = math.exp(-partial / (1200.0 + 2500.0 * hard))
        tone += height * dull * np.exp(-t * (0.9 + 0.35 * k)) * np.sin(2.0 * math.pi * partial * t)
    edge = np.minimum(1.0, np.minimum(t / 0.002, (t[-1] - t) / 0.03 + 1e-9))
    return tone * edge * hard**1.5


@cache
def guitar() -> F32:
    """A riff in E, 3 s: soft notes, hard notes, a chord."""
    riff = (
        (0.0, 40, 60),
        (0.25, 43, 70),
        (0.5, 45, 110),
        (0.75, 40, 50),
        (1.0, 47, 120),
        (1.25, 45, 70),
        (1.5, 40, 100),
        (1.5, 47, 90),
        (1.5, 52, 90),
        (1.5, 56, 80),
        (2.25, 55, 60),
        (2.5, 52, 110),
    )
    sound = np.zeros(3 * RATE)
    for at, note, velocity in riff:
        tone = string(note, velocity, min(1.2, 2.9 - at))
        sound[round(at * RATE) : round(at * RATE) + tone.size] += tone
    return _levelled(sound)


@cache
def band() -> F32:
    """Plucked strings, bass and hats: eight beats at 90 bpm."""
    return _levelled(_faded(_loop(BAND)[:, : 8 * LOOP_BEAT]))


@cache
def song() -> F32:
    """Sum of band and voice."""
    length = max(band().shape[1], voice().shape[1])
    both = [np.tile(x, -(-length // x.shape[1]))[:, :length].astype(np.float64) for x in (band(), voice())]
    return _levelled(both[0] + both[1])


SOUNDS: Mapping[str, Callable[[], F32]] = {
    "voice": voice,
    "rough voice": rough_voice,
    "guitar": guitar,
    "band": band,
    "song": song,
}


# ---- what is played


def _chord(at: float, lasts: float, *notes: int, velocity: int = 80) -> tuple[Note, ...]:
    return tuple(Note(at, note, lasts, velocity) for note in notes)


def _line(step: float, *notes: int, lasts: float = 0.9, velocity: int = 90) -> tuple[Note, ...]:
    return tuple(Note(n * step, note, lasts * step, velocity) for n, note in enumerate(notes) if note)


CHORDS = (*_chord(0.0, 1.3, 57, 60, 64, 69), *_chord(1.5, 1.3, 53, 57, 60, 65))
TUNE = _line(0.375, 72, 74, 76, 79, 77, 76, 74, 72)
STAND = (*_chord(0.0, 2.9, 48, 52, 55, 59), *TUNE)
BEAT = _line(0.25, 36, 42, 38, 42, 36, 36, 38, 46, 36, 42, 38, 39, velocity=100)

ODE = _line(0.6, 76, 76, 77, 79, 79)

ODE_ON = Performance(notes=_line(0.6, 76, 76, 77, 79, 79, 77, 76, 74, 72, 72, 74, 76), seconds=7.2)
"""More of the tune, which goes on as the score does."""
TUNE_ON = Performance(notes=_line(0.375, *(72, 74, 76, 79, 77, 76, 74, 72) * 4), before=3.0, seconds=12.0)
"""The tune four times."""
BASS = tuple(
    Note(n * 0.25, note, 0.2, (115, 60, 90, 50)[n % 4])
    for n, note in enumerate((33, 33, 45, 36, 33, 40, 43, 33, 31, 43, 38, 36))
)
SLICES = _line(0.3, 36, 37, 38, 40, 44, 44, 40, 42, 36, velocity=110)
HELD = _chord(0.0, 3.9, 45, 57, 60, 64, 69)
ARP = _line(0.25, 57, 60, 64, 69, 64, 60, 53, 57, 60, 65, 60, 57)
PERFORMANCES: Mapping[str, Performance] = {
    "amp": Performance("guitar"),
    "answer": Performance("voice", before=3.0),
    "ballad": Performance(notes=CHORDS),
    "band": Performance(notes=ARP, node="pluck"),
    "bandstand": Performance(notes=STAND, before=3.0),
    "bed": Performance(seconds=4.8, before=0.2),
    "cast": Performance("voice"),
    "chapel": Performance(
        "guitar",
        turns=((0.0, "loop", "pedal", True), (3.0, "loop", "pedal", True), (3.01, "loop", "pedal", True)),
        before=6.0,
    ),
    "chop": Performance(notes=SLICES),
    "click": Performance(turns=((0.5, "click", "fire", True), (2.0, "click", "fire", True))),
    "cloud": Performance("guitar"),
    "concerto": Performance(notes=ODE, before=3.0),
    "demo": Performance("voice"),
    "desk": Performance(seconds=4.0 * 60.0 / 76.0, before=0.2),
    "drift": Performance(notes=CHORDS, node="pad"),
    "drone": Performance(before=4.5),
    "dub": Performance("voice"),
    "duo": Performance(notes=TUNE, before=3.0),
    "garden": Performance(seconds=4.0 * 60.0 / 84.0, before=8.0 * 60.0 / 84.0),
    "glass": Performance(notes=HELD),
    "karaoke": Performance("song"),
    "keys": Performance(notes=CHORDS),
    "layers": Performance(
        "band", seconds=2.4, turns=((0.0, "loop", "pedal", True), (2.5, "loop", "pedal", True)), before=4.85, rests=True
    ),
    "pads": Performance(notes=BEAT),
    "pump": Performance(notes=HELD, node="pad", seconds=8.0 * 60.0 / 112.0, before=0.2),
    "quilt": Performance("voice"),
    "radio": Performance("rough voice"),
    "rain": Performance(notes=ARP),
    "remix": Performance("song"),
    "shadow": Performance("band", seconds=6.0 * 60.0 / 90.0, before=8.0),
    "songband": Performance(notes=TUNE, before=3.0),
    "soundcheck": Performance(),
    "squelch": Performance(notes=BASS),
    "sway": Performance("band"),
    "swell": Performance("guitar"),
    "talk": Performance("voice", CHORDS, "keys"),
    "tape": Performance(notes=CHORDS),
    "throw": Performance("voice"),
    "trade": Performance("voice", before=3.2),
    "tidal": Performance(notes=BEAT, node="orbit0"),
    "trio": Performance(notes=CHORDS),
    "tune": Performance("voice"),
    "unmix": Performance(seconds=4.8, before=0.2),
    "vocal": Performance("voice"),
    "voice": Performance("rough voice"),
    "wah": Performance("guitar"),
}
