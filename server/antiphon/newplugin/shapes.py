"""The shapes, and what a processor of each looks like. NAME and CLASS stand for the plugin's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PluginShape:
    """doc: of the processor.  processor, test: their files' text.  files: what `antiphon run` wants after its name."""

    name: str
    doc: str
    processor: str
    test: str
    files: str = "IN.wav OUT.wav"


_SOUND = '''"""`NAME`: sound in, sound out."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.params import Param
from antiphon.contract.processor import IO, Processor


class CLASS(Processor):
    """Multiplies by a factor that moves smoothly: put what you are after in its place."""

    params = (Param("by", default=0.5, low=0.0, high=2.0, smooth=0.005, doc="1 leaves the sound as it is."),)

    def prepare(self, spec: StreamSpec) -> None:
        """Buffers are made here: `process` must not make any."""

    def process(self, io: IO) -> None:
        np.multiply(io.audio_in[0], io.curve("by"), out=io.audio_out[0])
'''
_SOUND_TEST = '''"""What `NAME` does, by rendering it."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.harness import run_processor
from NAME.processor import CLASS

SPEC = StreamSpec(48000, 256, 2)
NOISE = np.random.default_rng(1).standard_normal((2, 4800)).astype(np.float32) * 0.1


def test_it_multiplies():
    np.testing.assert_allclose(run_processor(CLASS(), SPEC, NOISE, {"by": 0.25}), NOISE * 0.25, atol=1e-7)


def test_any_split_of_blocks_gives_the_same_samples():
    whole = run_processor(CLASS(), SPEC, NOISE)
    np.testing.assert_array_equal(run_processor(CLASS(), SPEC, NOISE, blocks=[64, 1, 191]), whole)
'''
_TO_NOTES = '''"""`NAME`: sound in, notes out."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.params import Param
from antiphon.contract.ports import AUDIO_IN, EVENTS_OUT
from antiphon.contract.processor import IO, Event, Processor


class CLASS(Processor):
    """A note while the sound is loud: put what you are after in its place."""

    inputs = (AUDIO_IN,)
    outputs = (EVENTS_OUT,)
    params = (
        Param("threshold", default=0.1, low=0.001, high=1.0, warp="log", doc="Louder than this is a note."),
        Param("note", "int", 60, 0, 127, doc="Which note."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self.level = np.zeros(spec.block, np.float32)
        self.hold = spec.rate // 50  # frames: every wave goes through zero, again and again
        self.quiet = 0
        self.sounding = -1

    def reset(self) -> None:
        self.quiet = 0
        self.sounding = -1

    def process(self, io: IO) -> None:
        level = self.level[: io.frames]
        np.max(np.abs(io.audio_in[0]), axis=0, out=level)
        loud = level > float(io.value("threshold"))
        for at in range(io.frames):
            self.quiet = 0 if loud[at] else self.quiet + 1
            if loud[at] and self.sounding < 0:
                self.sounding = int(io.at("note", at))
                io.emit(Event("on", at, self.sounding, min(1.0, float(level[at]))))
            elif self.quiet >= self.hold and self.sounding >= 0:
                io.emit(Event("off", at, self.sounding))
                self.sounding = -1
'''
_TO_NOTES_TEST = '''"""What `NAME` hears, to the sample."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.harness import render
from NAME.processor import CLASS

SPEC = StreamSpec(48000, 256, 2)


def heard(blocks=None):
    sound = np.zeros((2, 2000), np.float32)
    sound[:, 300:900] = 0.5
    return [(e.kind, e.offset, e.number) for e in render(CLASS(), SPEC, sound, blocks=blocks).events]


def test_a_note_begins_with_the_sound_and_ends_20_ms_after_it():
    assert heard() == [("on", 300, 60), ("off", 900 + 960 - 1, 60)]


def test_any_split_of_blocks_gives_the_same_notes():
    assert heard([64, 1, 191]) == heard()
'''
_NOTES = '''"""`NAME`: notes in, notes out."""

from __future__ import annotations

from antiphon.contract.params import Param
from antiphon.contract.ports import EVENTS_IN, EVENTS_OUT
from antiphon.contract.processor import IO, Event, Processor


class CLASS(Processor):
    """Adds a note above each: put what you are after in its place."""

    inputs = (EVENTS_IN,)
    outputs = (EVENTS_OUT,)
    params = (Param("interval", "int", 7, -24, 24, unit="semitones", doc="How far away the other note is."),)

    def __init__(self) -> None:
        super().__init__()
        self.added: dict[int, int] = {}

    def reset(self) -> None:
        self.added.clear()

    def process(self, io: IO) -> None:
        for event in io.events_in:
            io.emit(event)
            if event.kind == "on":
                other = min(127, max(0, event.number + int(io.at("interval", event.offset))))
                self.added[event.number] = other
                io.emit(Event("on", event.offset, other, event.value, event.channel))
            elif event.kind == "off" and event.number in self.added:
                # the one that was begun, wherever the interval is now
                io.emit(Event("off", event.offset, self.added.pop(event.number), 0.0, event.channel))
'''
_NOTES_TEST = '''"""What `NAME` plays."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.contract.harness import render
from antiphon.contract.processor import Event
from NAME.processor import CLASS

SPEC = StreamSpec(48000, 256, 2)
SILENCE = np.zeros((2, 1000), np.float32)


def test_every_note_that_is_begun_is_ended():
    notes = [Event("on", 10, 60, 0.8), Event("off", 700, 60)]
    played = [(e.kind, e.offset, e.number) for e in render(CLASS(), SPEC, SILENCE, notes=notes).events]
    assert played == [("on", 10, 60), ("on", 10, 67), ("off", 700, 60), ("off", 700, 67)]
'''
_SOURCE = '''"""`NAME`: a sound of the library, on the clock."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import Samples, StreamSpec
from antiphon.io.audiofile import read
from antiphon.contract.params import Param
from antiphon.contract.ports import AUDIO_OUT
from antiphon.contract.processor import IO, Processor


class CLASS(Processor):
    """Plays a file from its start at every so many beats: put what you are after in its place."""

    inputs = ()
    outputs = (AUDIO_OUT,)
    needs = ("sound",)
    params = (
        Param("sound", "file", "", doc="A name in the library; on the command line any path."),
        Param("every", default=4.0, low=0.25, high=64.0, unit="beats", doc="How often it begins."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        path = str(self.settings["sound"])
        # decoded here, off the block path
        found: Samples = read(path, rate=spec.rate).samples if path else np.zeros((1, 1), np.float32)
        self.sound = np.zeros((spec.channels, found.shape[1]), np.float32)
        self.sound[: found.shape[0]] = found[: spec.channels]
        if found.shape[0] == 1:
            self.sound[:] = found
        self.frames_a_minute = spec.rate * 60.0

    def process(self, io: IO) -> None:
        out = io.audio_out[0]
        out.fill(0.0)
        if not io.time.playing:
            return
        beat = self.frames_a_minute / io.time.tempo
        every = float(io.value("every"))
        at = round((io.time.beat % every) * beat)
        done = 0
        while done < io.frames:
            length = max(1, round(every * beat))
            count = min(io.frames - done, length - at % length)
            part = self.sound[:, at % length : at % length + count]
            out[:, done : done + part.shape[1]] = part
            done += count
            at += count
'''
_SOURCE_TEST = '''"""When `NAME` begins its sound."""

from __future__ import annotations

import numpy as np
import soundfile

from antiphon.contract.block import StreamSpec
from antiphon.contract.harness import render
from NAME.processor import CLASS

SPEC = StreamSpec(48000, 256, 2)


def test_it_plays_the_file_from_its_start(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(100, 0.5, np.float32), 48000, "FLOAT")
    silence = np.zeros((2, 1000), np.float32)
    out = render(CLASS(), SPEC, silence, {"sound": str(tmp_path / "a.wav")}).audio[0]
    assert out[0, :100].min() == 0.5


def test_without_a_file_it_is_silent():
    assert not render(CLASS(), SPEC, np.zeros((2, 1000), np.float32)).audio[0].any()
'''
_REFERENCE = '''"""`NAME`: sound in, sound out, like another sound."""

from __future__ import annotations

import numpy as np

from antiphon.contract.block import StreamSpec
from antiphon.io.audiofile import read
from antiphon.contract.params import Param
from antiphon.contract.processor import IO, Processor


class CLASS(Processor):
    """As loud as the reference is on average: put what you are after in its place."""

    needs = ("reference",)
    params = (
        Param("reference", "file", "", doc="A name in the library; on the command line any path."),
        Param("seconds", default=0.4, low=0.01, high=10.0, unit="s", restart=True, doc="How slowly it follows."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        path = str(self.settings["reference"])
        sound = read(path, rate=spec.rate).samples if path else None
        self.wanted = float(np.sqrt(np.mean(np.square(sound)))) if sound is not None and sound.size else 0.0
        self.keep = float(np.exp(-1.0 / (float(self.settings["seconds"]) * spec.rate)))
        self.gain = np.zeros(spec.block, np.float32)
        self.power = 0.0

    def reset(self) -> None:
        self.power = 0.0

    def process(self, io: IO) -> None:
        x, gain = io.audio_in[0], self.gain[: io.frames]
        if not self.wanted:
            io.audio_out[0][:] = x
            return
        power = self.power
        for at in range(io.frames):
            power = self.keep * power + (1.0 - self.keep) * float(np.dot(x[:, at], x[:, at])) / len(x)
            gain[at] = min(8.0, self.wanted / max(1e-4, power**0.5))
        self.power = power
        np.multiply(x, gain, out=io.audio_out[0])
'''
_REFERENCE_TEST = '''"""Whether `NAME` follows its reference."""

from __future__ import annotations

import numpy as np
import soundfile

from antiphon.contract.block import StreamSpec
from antiphon.contract.harness import run_processor
from NAME.processor import CLASS

SPEC = StreamSpec(48000, 256, 2)
QUIET = np.random.default_rng(1).standard_normal((2, 48000)).astype(np.float32) * 0.02


def test_it_becomes_as_loud_as_its_reference(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.random.default_rng(2).standard_normal(48000) * 0.1, 48000)
    settings = {"reference": str(tmp_path / "loud.wav"), "seconds": 0.05}
    out = run_processor(CLASS(), SPEC, QUIET, settings)
    assert 0.08 < np.sqrt(np.mean(np.square(out[:, 24000:]))) < 0.12


def test_without_a_reference_nothing_changes():
    np.testing.assert_array_equal(run_processor(CLASS(), SPEC, QUIET), QUIET)
'''
SHAPES = {
    shape.name: shape
    for shape in (
        PluginShape("sound-sound", "Multiplies its sound.", _SOUND, _SOUND_TEST),
        PluginShape(
            "sound-notes", "Plays a note while its sound is loud.", _TO_NOTES, _TO_NOTES_TEST, "IN.wav OUT.mid"
        ),
        PluginShape("notes-notes", "Adds a note to each.", _NOTES, _NOTES_TEST, "IN.mid OUT.mid"),
        PluginShape(
            "library-sound", "Plays a file on the clock.", _SOURCE, _SOURCE_TEST, "IN.wav OUT.wav -p sound=FILE.wav"
        ),
        PluginShape(
            "sound-reference",
            "Becomes as loud as another sound.",
            _REFERENCE,
            _REFERENCE_TEST,
            "IN.wav OUT.wav -p reference=FILE.wav",
        ),
    )
}
