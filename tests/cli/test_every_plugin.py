"""The contract of `antiphon run`, over every processor that the registry lists: what a file keeps, and what its plugin
declares that it changes (`FileUse.changes`). Nothing here is listed by hand."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.cli.conftest import Command

from antiphon.files.scores import midifile
from antiphon.files.scores.midi_song import MidiControlChange, MidiNote, MidiTrack
from antiphon.jobs.process import perform
from antiphon.jobs.request import make_request, run_task
from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.file_use import NOTHING
from antiphon.kernel.plugins import loader
from antiphon.offline.file_job import needed
from antiphon.testing import sound as audio
from antiphon_model.tests.exports import onnx_gain

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plugins_read_once")]
SECONDS, CLICKS, TONE = 1.2, (0.103, 0.217, 0.351), (0.45, 1.15)
HERTZ, NOTE = 440.0, 69
WIDE = 5
"""Frames of a click, so that what holds samples holds one of them."""
VOICE = (-12.0, -18.0, -22.0, -26.0)
"""dB of the tone's harmonics."""
STEP = -2.0
"""dB from each channel to the next."""


@dataclass(frozen=True)
class Kind:
    """A sort of sound file."""

    rate: int
    channels: int
    suffix: str

    @property
    def spread(self) -> float:
        """Seconds by which a coder may move what happens."""
        return 0.002 if self.suffix in ("mp3", "ogg") else 0.0001


KINDS = (
    Kind(44100, 2, "mp3"),
    Kind(48000, 6, "flac"),
    Kind(96000, 1, "wav"),
    Kind(16000, 2, "ogg"),
    Kind(44100, 6, "wav"),
    Kind(16000, 1, "mp3"),
    Kind(48000, 1, "ogg"),
    Kind(96000, 2, "flac"),
)
"""Every rate, number of channels and format. Each plugin gets the next."""


@cache
def loaded() -> loader.Loaded:
    return loader.load(check=False)


INFOS = tuple(loaded().catalog.types.values())
THROUGH = [i for i in INFOS if i.first("audio", "in") and i.first("audio", "out")]
FROM_NOTES = [i for i in INFOS if not i.first("audio", "in") and i.first("events", "in")]
TO_NOTES = [
    i
    for i in INFOS
    if i.first("audio", "in") and not i.first("audio", "out") and i.first("events", "out") and i.type != "follow"
]
SPLITTING = [i for i in INFOS if i.on_files.splits]
SILENT = [i for i in INFOS if not i.first("audio", "out") and not i.first("events", "out")]


def probe(rate: int, channels: int) -> NDArray[np.float32]:
    """Three clicks of some frames, then a tone as of a voice, softer from channel to channel."""
    made = audio.clicks([round(at * rate) + n for at in CLICKS for n in range(WIDE)], round(SECONDS * rate))
    first, last = (round(at * rate) for at in TONE)
    tone = sum(audio.sine(HERTZ * n, (last - first) / rate, rate, level) for n, level in enumerate(VOICE, 1))
    made[:, first:last] = tone[:, : last - first] * np.minimum(1.0, np.arange(last - first)[::-1] / (0.02 * rate))
    return made * (10.0 ** (STEP * np.arange(channels) / 20.0)).astype(np.float32)[:, None]


def needs(info: ProcessorInfo, folder: Path, rate: int = 48000) -> Iterator[str]:
    """The options for what it needs: a file is a click, of a model one that passes sound, a choice its only one."""
    for param in needed(info):
        if info.type == "model":
            made = folder / "through.onnx"
            made.write_bytes(onnx_gain(1.0))
        else:
            made = audio.write(folder / "click.wav", audio.clicks([0], 4800, height=1.0), rate)
        yield from ("-p", f"{param.name}={made if param.kind == 'file' else param.default}")
    if info.type in ("answer", "continue"):  # with which the job makes sound of sound
        yield from ("-p", "audio=on")


def same(info: ProcessorInfo, kind: Kind, source: Path, target: Path) -> None:
    """OUT is IN in everything that the plugin does not declare to change."""
    changes = info.on_files.changes
    head = soundfile.info(str(target))
    y, rate = audio.read(target)
    x, _ = audio.read(source)
    assert (rate, y.shape[0]) == (kind.rate, kind.channels)
    assert head.frames == y.shape[1], "the header promises another length"
    assert np.isfinite(y).all()
    slack = 2400 if kind.suffix == "mp3" else 0
    if "length" not in changes:
        assert y.shape[1] >= x.shape[1] - slack
        assert info.on_files.tail or y.shape[1] <= x.shape[1] + slack
    if info.first("audio", "in") is None:
        return
    steady = slice(round((TONE[0] + 0.2) * rate), round((TONE[1] - 0.1) * rate))
    if "pitch" not in changes:
        assert in_tune(y[0, steady], rate)
    if "time" not in changes:
        around = round(0.01 * rate)
        for at in CLICKS:
            middle = round(at * rate)
            near = np.abs(y[0, middle - around : middle + 4 * around])
            assert abs(int(np.argmax(near)) - around) / rate <= kind.spread + 0.0005, f"the click at {at} s"
    if "length" in changes:
        return
    moved = [audio.level(b[None, steady]) - audio.level(a[None, steady]) for a, b in zip(x, y, strict=True)]
    if "level" not in changes:
        assert max(map(abs, moved)) < 3.0
    if "channels" not in changes:
        assert max(moved) - min(moved) < 1.5


def in_tune(x: NDArray[np.float32], rate: int) -> bool:
    """Whether its strongest frequency is a harmonic of the tone, and the tone itself is in it."""
    size = 1 << 17
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), size))
    strongest = float(np.argmax(power)) * rate / size / HERTZ
    own = power[round(0.99 * HERTZ * size / rate) : round(1.01 * HERTZ * size / rate)].max()
    return round(strongest) >= 1 and abs(strongest - round(strongest)) < 0.01 and own > 0.03 * power.max()


def by_place(infos: list[ProcessorInfo]) -> list[tuple[ProcessorInfo, Kind]]:
    return [(info, KINDS[n % len(KINDS)]) for n, info in enumerate(infos)]


def named(value: object) -> str:
    return value.type if isinstance(value, ProcessorInfo) else f"{value.rate}-{value.channels}-{value.suffix}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("info", "kind"), by_place(THROUGH), ids=named)
def test_sound_keeps_what_the_plugin_does_not_change(
    antiphon: Command, tmp_path: Path, info: ProcessorInfo, kind: Kind
) -> None:
    source = audio.write(tmp_path / f"in.{kind.suffix}", probe(kind.rate, kind.channels), kind.rate)
    done = antiphon("run", info.type, source.name, f"out.{kind.suffix}", *needs(info, tmp_path, kind.rate))
    assert done.code == 0, done.err
    same(info, kind, source, tmp_path / f"out.{kind.suffix}")


WAYS = [
    (info, f"{param.name}={choice}")
    for info in (*THROUGH, *TO_NOTES)
    for param in info.params
    if param.kind == "choice" and param.restart
    for choice in param.choices
    if choice != param.default
]
"""Choices that `prepare` reads: each is another way to work."""


@pytest.mark.parametrize(("info", "setting"), WAYS, ids=lambda value: value if isinstance(value, str) else value.type)
def test_each_way_to_work_plays_a_file(antiphon: Command, tmp_path: Path, info: ProcessorInfo, setting: str) -> None:
    kind = Kind(44100, 2, "wav")
    source = audio.write(tmp_path / "in.wav", probe(kind.rate, kind.channels), kind.rate)
    out = "out.wav" if info in THROUGH else "out.mid"
    if info.type == "follow":
        pytest.skip("in so short a sound no beat is sure: plugins/antiphon-companion/antiphon_follow/tests")
    done = antiphon("run", info.type, source.name, out, *needs(info, tmp_path), "-p", setting)
    if "which is not installed: pip install" in done.err:
        pytest.skip(done.complaint)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    if info in THROUGH:
        y, rate = audio.read(tmp_path / out)
        assert (rate, y.shape[0]) == (kind.rate, kind.channels)
        assert "length" in info.on_files.changes or y.shape[1] >= round(SECONDS * rate)
        assert audio.level(y) > -80.0  # a network of speech takes most of a tone


@pytest.mark.parametrize("info", [i for i in THROUGH if i.on_files.job], ids=named)
def test_a_sound_that_goes_on_to_its_end_is_faded_out(antiphon: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    if info in SPLITTING:
        pytest.skip("its parts add up to IN, whose end they keep")
    # half as loud every beat of half a second, so that there are beats
    shape = 0.5 + 0.5 * (np.arange(4 * 48000) % 24000 < 2000)
    source = audio.write(tmp_path / "in.wav", audio.sine(HERTZ, 4.0, 48000, -12.0) * shape.astype(np.float32), 48000)
    done = antiphon("run", info.type, source.name, "out.wav", *needs(info, tmp_path))
    assert done.code == 0, done.err
    own, end = (audio.read(path)[0][:, -48:] for path in (source, tmp_path / "out.wav"))
    # what is short is its own summary, and ends as it does
    assert np.abs(end).max() < 0.01 or np.array_equal(own, end)


@pytest.mark.parametrize(("info", "kind"), by_place(SPLITTING), ids=named)
def test_parts_have_the_length_of_a_sound_and_add_up_to_it(
    antiphon: Command, tmp_path: Path, info: ProcessorInfo, kind: Kind
) -> None:
    source = audio.write(tmp_path / f"in.{kind.suffix}", probe(kind.rate, kind.channels), kind.rate)
    done = antiphon("run", info.type, source.name, "--out-dir", "parts")
    assert done.code == 0, done.err
    x, _ = audio.read(source)
    total = np.zeros_like(x)
    for part in info.on_files.splits:
        y, rate = audio.read(tmp_path / "parts" / f"{part}.wav")
        assert (rate, y.shape) == (kind.rate, x.shape), part
        total += y
    assert np.abs(total - x).max() < 1e-3


def song(path: Path) -> Path:
    """Eight notes at 120 bpm, of half a second each."""
    notes = tuple(MidiNote(n, 1.0, NOTE + n % 3) for n in range(8))
    midifile.write(path, [MidiTrack("", notes)])
    return path


@pytest.mark.parametrize("info", FROM_NOTES, ids=named)
def test_notes_become_sound_or_notes_of_their_length(antiphon: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    song(tmp_path / "in.mid")
    if info.first("audio", "out") is None:
        source = () if info.on_files.default_source == NOTHING else ("in.mid",)
        done = antiphon("run", info.type, *source, "out.mid")
        assert done.code == 0, done.err
        written = midifile.read(tmp_path / "out.mid")
        starts = [{round(n.start, 2) for n in track.notes} for track in written.tracks]
        assert any(starts)
        kept = any(found >= set(range(8)) for found in starts)
        assert kept or "time" in info.on_files.changes, "the melody is kept"
        return
    tail = () if info.on_files.job else ("--tail", "0")
    done = antiphon("run", info.type, "in.mid", "out.wav", *tail)
    assert done.code == 0, done.err
    y, rate = audio.read(tmp_path / "out.wav")
    assert (rate, len(y), y.shape[1] // rate) == (48000, 2, 4)


@pytest.mark.parametrize("info", [i for i in FROM_NOTES if any(p.name == "bend" for p in i.params)], ids=named)
def test_a_file_states_the_range_of_its_bends(antiphon: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    bend = MidiControlChange(0.0, "bend", 0, 1.0)
    stated = [MidiControlChange(0.0, "control", n, value / 127) for n, value in ((101, 0), (100, 0), (6, 7))]
    made = []
    for name, controls, options in (("stated", (*stated, bend), ()), ("own", (bend,), ("-p", "bend=7"))):
        track = MidiTrack("", (MidiNote(0.0, 1.0, 60),), None, controls)
        midifile.write(tmp_path / f"{name}.mid", [track])
        tail = () if info.on_files.job else ("--tail", "0")
        given = (*needs(info, tmp_path), *options, *tail)
        done = antiphon("run", info.type, f"{name}.mid", f"{name}.wav", *given)
        assert done.code == 0, done.err
        made.append(audio.read(tmp_path / f"{name}.wav")[0])
    assert np.abs(made[1]).max() > 0.001
    assert np.abs(made[0] - made[1]).max() < 1e-4


@pytest.mark.parametrize("info", TO_NOTES, ids=named)
def test_sound_becomes_notes_at_its_pitch(antiphon: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    audio.write(tmp_path / "in.wav", probe(44100, 2), 44100)
    done = antiphon("run", info.type, "in.wav", "out.mid")
    assert done.code == 0, done.err
    notes = [n for track in midifile.read(tmp_path / "out.mid").tracks for n in track.notes]
    if "pitch" not in info.on_files.changes:
        assert {n.number for n in notes} == {NOTE}


@pytest.mark.parametrize("info", SILENT, ids=named)
def test_what_gives_neither_sound_nor_notes_says_so(antiphon: Command, tmp_path: Path, info: ProcessorInfo) -> None:
    audio.write(tmp_path / "in.wav", probe(16000, 1), 16000)
    done = antiphon("run", info.type, "in.wav", "out.wav")
    assert (done.code, "nothing to write" in done.complaint) == (2, True)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("plugin", ["gain", "summary", "stretch", "delay"])
def test_a_job_of_http_is_the_same_command(tmp_path: Path, plugin: str) -> None:
    info, kind = loaded().catalog[plugin], Kind(44100, 2, "flac")
    source = audio.write(tmp_path / "in.flac", probe(kind.rate, kind.channels), kind.rate)
    task = run_task(loaded().catalog, plugin, {"file": "aa"}, lambda key: source)
    done = asyncio.run(perform(("run", json.dumps(make_request(task, source, tmp_path)))))
    assert done.status == 0, done.complaint
    same(info, kind, source, tmp_path / "out.flac")
