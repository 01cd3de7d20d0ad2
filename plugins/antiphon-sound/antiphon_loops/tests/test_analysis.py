"""Analysis of loops whose truth is known: measures, the part of a file that is the loop, and whose word counts."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import accepted
from tests.each import each

from antiphon.api.backends.analysis import analyse_file as analyse_catalogued
from antiphon_loops.analysis import tables
from antiphon_loops.analysis.analyse import analyse, analyse_file
from antiphon_loops.analysis.catalogued import LoopAnalysis
from antiphon_loops.analysis.reading import TempoLabel, number_in, read_tempo_label, tempo_in
from antiphon_loops.library import analyse as analyse_folder
from antiphon_loops.record import Loop
from antiphon_loops.rules import Rules
from antiphon_loops.tests.conftest import RATE, bass, chords, drums, render, seven, tune
from antiphon_models.loops.corpus import missing_renderer_reason, render_loops

missing = missing_renderer_reason()


@pytest.mark.skipif(bool(missing), reason=f"loops cannot be rendered: {missing}")
@pytest.mark.parametrize("soundfont", ["fluidr3", "timgm6mb"])
def test_rendered_loops(soundfont: str):
    right = {"bars": 0, "family": 0, "key": 0, "keyless": 0, "loop": 0}
    keyed = 0
    for known in render_loops(18, soundfont, 990):
        found = analyse(known.samples, 44100)
        assert found.bpm == pytest.approx(240 * found.bars / (known.samples.shape[1] / 44100), rel=1e-5)
        right["loop"] += found.confidence > 0.3
        right["bars"] += found.bars == known.bars
        right["family"] += found.instrument == known.family
        right["key" if known.key else "keyless"] += found.key == known.key
        keyed += known.key is not None
    assert right["bars"] >= 13
    assert right["loop"] >= 14
    assert right["family"] >= 16
    assert right["keyless"] >= 5
    assert right["key"] >= 0.5 * keyed


DRUMS = drums(104.0, 2, 0)


def test_one_stroke_and_noise_are_no_loops_and_what_fades_says_so():
    rng, seconds = np.random.default_rng(2), np.arange(3 * 22050) / 22050
    stroke = (np.sin(2 * np.pi * 180.0 * seconds) * np.exp(-4.0 * seconds)).astype(np.float32)
    noise = rng.normal(0.0, 0.1, len(seconds)).astype(np.float32)
    results = []
    for sound in (stroke, noise, stroke[:9000], np.zeros(30000, np.float32)):
        run = LoopAnalysis().begin(22050, 1)
        run.feed(sound[None])
        results.append(run.result())
    assert [row["loop_confidence"] is not None and row["loop_confidence"] > 0.1 for row in results] == [False] * 4
    assert results[0]["loop_ending"] < -20.0
    assert results[1]["loop_ending"] > -3.0
    assert results[2]["loop_ending"] is not None
    assert results[2]["no_loop"].startswith("it is 0.408 s long")
    assert results[3]["loop_ending"] is None


def test_confidence_of_bars_with_a_decayed_end_is_0():
    played = stereo(np.concatenate([DRUMS, np.zeros(2 * RATE)]))
    assert analyse(stereo(DRUMS), RATE).confidence > 0.9
    assert analyse(played, RATE).confidence == 0.0
    stated = TempoLabel(104.0, True, "name")
    assert analyse(played, RATE, label=stated).confidence > 0.9, "a file that says so is a loop"


@each("bpm, pitch", [(120.0, 1000.0), (60.0, 440.0)])
def test_the_key_of_clicks_has_no_confidence(bpm: float, pitch: float):
    times = np.arange(8 * RATE) / RATE % (60.0 / bpm)
    assert analyse(stereo(np.sin(2 * np.pi * pitch * times) * np.exp(-60.0 * times)), RATE).key_sure == 0.0


@each("bars, beats, likely", [(12, 0.0, True), (12, 0.5, True), (12, 0.25, False), (12, 3.25, False), (8, 0.25, True)])
def test_a_long_sound_cut_between_eighths_is_no_loop(bars: int, beats: float, likely: bool):
    cut = np.roll(drums(104.0, bars, 0), -round(beats * 60.0 / 104.0 * RATE))
    found = analyse(stereo(cut), RATE).confidence
    assert found > 0.9 if likely else found == 0.0


def test_a_record_comes_back_from_json():
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, (2, 100000)).astype(np.float32)
    found = analyse(noise, 44100, "n.wav")
    assert Loop.from_json(found.to_json()) == found
    with pytest.raises((TypeError, KeyError)):
        Loop.from_json({"file": "n.wav"})


NOISE = np.random.default_rng(2).uniform(-1, 1, (2, 80000)).astype(np.float32)


@each("x", [np.stack([NOISE[0], -NOISE[0]]), 0.5 + 0.1 * NOISE, 1000.0 * NOISE, NOISE * (np.arange(80000) < 1000)])
def test_strange_sounds_are_analysed(x: np.ndarray):
    found = analyse(x.astype(np.float32), 44100, "x.wav")
    numbers = [found.bpm, found.lufs, found.peak, found.danceability, *found.pattern, *found.levels, *found.mfcc]
    assert np.isfinite(numbers).all()


def late(sound: np.ndarray, seconds: float) -> np.ndarray:
    return np.concatenate([np.zeros(round(seconds * RATE)), sound])


def stereo(sound: np.ndarray) -> np.ndarray:
    return np.stack([sound, sound]).astype(np.float32)


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def write_with(path: Path, sound: np.ndarray, *chunks: bytes) -> Path:
    """A WAV file with further chunks behind its sound."""
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    data = path.read_bytes() + b"".join(chunks)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


def acid(bpm: float, beats: int, flags: int = 2) -> bytes:
    return chunk(b"acid", struct.pack("<IHHfIHHf", flags, 60, 0x8000, 0.0, beats, 4, 4, bpm))


def smpl(first: int, last: int) -> bytes:
    head = struct.pack("<9I", 0, 0, 22675, 60, 0, 0, 0, 1, 0)
    return chunk(b"smpl", head + struct.pack("<6I", 0, 0, first, last, 0, 0))


@each("seconds", [0.2, 0.7, 1.1])
def test_silence_at_the_beginning_is_no_part_of_the_loop(seconds: float):
    found = analyse(stereo(late(DRUMS, seconds)), RATE)
    assert found.start == pytest.approx(seconds, abs=0.011)
    assert (found.bars, found.bpm) == (2, pytest.approx(104.0, rel=0.005))


@each("gap", [0.08, 0.3])
def test_a_loop_of_half_seconds_whose_first_note_is_late_keeps_its_bars(gap: float):
    for sound in (bass(120.0, 4, 0), chords(120.0, 4, 0)):
        found = analyse(stereo(late(sound, gap)[: len(sound)]), RATE)
        assert (found.start, found.bpm) == (0.0, 120.0)


def test_no_hole_is_played_where_the_silence_was(tmp_path: Path):
    soundfile.write(tmp_path / "late.wav", late(DRUMS, 0.7), RATE)
    sound = np.abs(render(tmp_path, {"bars": 4, "bpm": 104.0}, RATE)).max(axis=0)
    step = RATE // 20
    levels = sound[: len(sound) // step * step].reshape(-1, step).max(axis=1)
    silent = "".join("0" if level < 0.003 else "1" for level in levels)
    assert max(len(run) for run in silent.split("1")) * 0.05 < 0.3


@each("bpm", [97.0, 93.37])
def test_a_rest_belongs_to_the_loop(bpm: float):
    for first in (0.5, 1.0):
        notes = [(s / 2, 0.5, 45 + (0, 3, 7, 10)[s % 4]) for s in range(int(2 * first), 16)]
        found = analyse(stereo(tune(bpm, 4, notes, 5, 0.5)), RATE)
        assert (found.start, found.bars) == (0.0, 4)
        assert found.bpm == pytest.approx(bpm, rel=1e-3)


def test_the_loop_points_of_a_file_are_its_loop(tmp_path: Path):
    sound = np.concatenate([np.full(4000, 0.2), DRUMS, np.full(7000, 0.2)])
    path = write_with(tmp_path / "x.wav", sound, smpl(4000, 4000 + len(DRUMS) - 1))
    found = analyse_file(path, "x.wav")
    assert (found.start, found.seconds) == (
        pytest.approx(4000 / RATE, abs=1e-5),
        pytest.approx(len(DRUMS) / RATE, abs=1e-5),
    )
    short = write_with(tmp_path / "short.wav", DRUMS, smpl(100, 900))
    assert analyse_file(short, "short.wav").seconds == pytest.approx(len(DRUMS) / RATE, abs=1e-5)


def test_a_chunk_says_the_tempo(tmp_path: Path):
    # 2 bars at 104 bpm are 4 at 208 and 1 at 52: the sound alone cannot tell a file that is meant otherwise
    path = write_with(tmp_path / "x.wav", DRUMS, acid(52.0, 4))
    found = analyse_file(path, "x.wav")
    assert (found.bars, found.tempo_from, found.tempo_sure) == (1, "file", 1.0)
    assert found.bpm == pytest.approx(52.0, rel=1e-3)


def test_the_catalogue_has_the_tempo_that_a_file_states(tmp_path: Path):
    write_with(tmp_path / "chunk.wav", DRUMS, acid(52.0, 4))
    write_with(tmp_path / "drums-208bpm.wav", DRUMS)
    late_end = np.concatenate([DRUMS, np.zeros(RATE // 2, np.float32)])
    write_with(tmp_path / "points.wav", late_end, smpl(0, len(DRUMS) - 1))
    found = {}
    for path in tmp_path.glob("*.wav"):
        values = analyse_catalogued(os.fsencode(path), ["loop"])["loop"][1]
        found[path.name] = round(values["loop_bpm"], 1), values["loop_tempo_from"]
    assert found == {"chunk.wav": (52.0, "file"), "drums-208bpm.wav": (208.0, "name"), "points.wav": (104.0, "sound")}


USELESS = [acid(120.0, 0), acid(120.0, 8, 1), acid(float("nan"), 8), acid(1e9, 8), chunk(b"acid", b"xx")]


@each("extra", [*USELESS, b"acid\xff\xff\xff\xff", chunk(b"smpl", b"\xff" * 60), smpl(9, 3)])
def test_a_chunk_that_says_nothing_of_use_is_passed_over(tmp_path: Path, extra: bytes):
    path = write_with(tmp_path / "x.wav", DRUMS, extra)
    label = read_tempo_label(path, "x.wav")
    assert label.bpm is None
    found = analyse_file(path, "x.wav")
    assert (found.start, found.bars, found.tempo_from) == (0.0, 2, "sound")


def test_names_say_a_tempo():
    accepted.compare(__file__, lambda name: f"tempo {tempo_in(name)}, number {number_in(name)}")


def test_a_stated_tempo_leaves_out_what_is_behind_its_bars(tmp_path: Path):
    path = tmp_path / "kit-104bpm.wav"
    soundfile.write(path, late(np.concatenate([DRUMS, 0.05 * DRUMS[:40000]]), 0.3), RATE)
    found = analyse_file(path, path.name)
    assert (found.bars, found.tempo_from) == (2, "name")
    assert found.start == pytest.approx(0.3, abs=0.011)
    assert found.seconds == pytest.approx(len(DRUMS) / RATE, abs=1e-4)


def test_a_number_counts_where_the_sound_is_uncertain(tmp_path: Path):
    for name, origin in (("x 92.7.wav", "number"), ("x 83.wav", "sound"), ("x.wav", "sound")):
        soundfile.write(tmp_path / name, seven(), RATE)
        found = analyse_file(tmp_path / name, name)
        assert (found.tempo_from, Rules().leaves_out(found)) == (origin, origin == "sound")
    clear = tmp_path / "clear 52.wav"
    soundfile.write(clear, DRUMS, RATE)
    assert analyse_file(clear, clear.name).tempo_from == "sound"


def test_a_new_name_is_a_new_analysis(tmp_path: Path):
    soundfile.write(tmp_path / "x.wav", seven(), RATE)
    assert [x.tempo_from for x in analyse_folder(tmp_path).loops] == ["sound"]
    for name, origin in (("x-92.7bpm.wav", "name"), ("x 92.7.wav", "number"), ("y.wav", "sound")):
        next(tmp_path.glob("*.wav")).rename(tmp_path / name)
        assert [x.tempo_from for x in analyse_folder(tmp_path).loops] == [origin]


def test_key_features_begin_and_end_are_an_eighth_each():
    notes = np.zeros((12, 64))
    notes[0, :4] = notes[2, 4:8] = notes[9, 8:56] = notes[4, 56:60] = notes[7, 60:] = 1.0
    rows = tables.key_features(notes)
    pitches = [sorted((np.flatnonzero(rows[at]) - tables.LOWEST) % 12) for at in (4, 6)]
    assert pitches == [[0, 2], [4, 7]]
