"""Analysis is right about loops whose truth is known, and about sounds whose measures are."""

import numpy as np
import pytest

from antiphon_loops.analysis import tempo
from antiphon_loops.analysis.analyse import analyse
from antiphon_loops.analysis.catalogued import LoopAnalysis
from antiphon_loops.analysis.loudness import integrated_loudness, true_peak
from antiphon_loops.record import Loop
from antiphon_models.loops.corpus import render_loops
from antiphon_models.loops.midifile import why_not

missing = why_not()


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


def test_candidates_are_whole_bars_of_likely_tempo():
    assert tempo.candidates(8.0) == [2, 3, 4, 5, 6]
    assert tempo.candidates(1.1) == [1]
    assert all(n >= 1 for n in tempo.candidates(170.0))


def test_loudness_and_peak_of_a_sine():
    t = np.arange(48000 * 3) / 48000
    sine = np.stack([np.sin(2 * np.pi * 997 * t)] * 2).astype(np.float32) * 0.1
    assert integrated_loudness(sine, 48000) == pytest.approx(-20.0, abs=0.1)
    assert integrated_loudness(sine[:1], 48000) == pytest.approx(-23.0, abs=0.1)
    assert integrated_loudness(np.zeros((2, 48000), np.float32), 48000) == -70.0
    # at a quarter of the rate and an eighth of a turn off, samples miss the top by 3 dB
    odd = np.sin(2 * np.pi * 12000 * t + np.pi / 4).astype(np.float32)[None]
    assert np.abs(odd).max() < 0.75
    assert true_peak(odd, 48000) == pytest.approx(1.0, abs=0.03)


def test_a_record_comes_back_from_json():
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, (2, 100000)).astype(np.float32)
    found = analyse(noise, 44100, "n.wav")
    assert Loop.from_json(found.to_json()) == found
    with pytest.raises((TypeError, KeyError)):
        Loop.from_json({"file": "n.wav"})


@pytest.mark.parametrize("kind", ["phase", "dc", "loud", "odd"])
def test_strange_sounds_are_analysed(kind: str):
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (2, 80000)).astype(np.float32)
    match kind:
        case "phase":
            x[1] = -x[0]
        case "dc":
            x = 0.5 + 0.1 * x
        case "loud":
            x *= 1000.0
        case "odd":
            x[:, 1000:] = 0.0
    found = analyse(x, 44100, "x.wav")
    numbers = [found.bpm, found.lufs, found.peak, found.danceability, *found.pattern, *found.levels, *found.mfcc]
    assert np.isfinite(numbers).all()
