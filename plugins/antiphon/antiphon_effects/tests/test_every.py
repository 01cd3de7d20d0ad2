"""What holds for every effect: any blocks, reset, silence, broken input, no clicks, all declared."""

import numpy as np
import pytest
from tests.audio import write
from tests.each import each

from antiphon.api import StreamSpec
from antiphon.api.testing import run_processor
from antiphon.kernel.runtime.importing import resolve
from antiphon_effects import antiphon_processors
from antiphon_effects.tests.measure import RATE, SPEC, noise, roughness, sine

FACTORIES = {}
antiphon_processors(lambda name, factory, doc="": FACTORIES.__setitem__(name, resolve(factory)))

IMPULSE = "an impulse of 300 ms, which the fixture writes"


@pytest.fixture(autouse=True)
def impulse_file(tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "impulse.wav"
    if not path.exists():
        frames = np.arange(round(0.3 * RATE))
        write(path, noise(0.3, level=0.1) * np.exp(-frames / 2000.0).astype(np.float32))
    CASES["convolution"][0]["impulse"] = str(path)


# settings, and changes of parameters within the first 3,000 frames
CASES = {
    "compressor": ({"attack": 0.001}, [(100, "threshold", -40.0), (600, "ratio", 20.0), (900, "detector", "side")]),
    "gate": ({"threshold": -12.0, "hold": 0.001}, [(200, "range", -20.0), (700, "release", 0.001)]),
    "eq": (
        {"gain3": 12.0, "gain7": -9.0},
        [(90, "freq3", 900.0), (301, "kind1", "lowcut"), (555, "gain2", 6.0), (700, "kind3", "notch")],
    ),
    "reverb": ({"decay": 0.4, "size": 0.3}, [(100, "size", 1.5), (500, "decay", 3.0), (800, "predelay", 0.05)]),
    "drive": ({"drive": 20.0}, [(100, "drive", 36.0), (301, "curve", "hard"), (600, "tone", 900.0)]),
    "bitcrush": ({}, [(100, "bits", 3.0), (700, "rate", 3000.0)]),
    "tremolo": ({"spread": 0.7}, [(100, "rate", 20.0), (400, "shape", "square"), (800, "depth", 1.0)]),
    "ringmod": ({}, [(100, "frequency", 5000.0), (500, "source", "carrier")]),
    "width": ({}, [(100, "width", 2.0), (500, "bass", 200.0)]),
    "chorus": ({"rate": 5.0}, [(100, "depth", 0.02), (400, "delay", 0.03), (700, "mix", 1.0)]),
    "flanger": ({"rate": 5.0}, [(100, "delay", 0.004), (400, "feedback", -0.9)]),
    "phaser": ({"rate": 5.0}, [(100, "stages", 12), (400, "feedback", -0.9), (700, "centre", 3000.0)]),
    "pingpong": ({"beats": 0.0, "time": 0.01, "flutter": 1.0}, [(300, "time", 0.02), (700, "cross", 0.2)]),
    "convolution": ({"impulse": IMPULSE}, [(100, "level", -12.0)]),
    "transient": ({"sustain": -12.0}, [(100, "attack", 24.0), (700, "sustain", 12.0)]),
    "pitch": (
        {"semitones": 5.0, "window": "short"},
        [(700, "semitones", -7.0), (900, "mix", 0.5), (1500, "formants", True)],
    ),
    "stretch": ({"factor": 2.0}, [(900, "factor", 0.5), (1500, "now", 1.0), (2000, "buffer", 0.5)]),
    "freeze": ({"hold": True}, [(300, "hold", False), (1500, "hold", True), (2000, "through", 0.2)]),
    "granular": (
        {"position": 0.01, "size": 0.01, "density": 100.0, "jitter": 0.005},
        [(900, "pitch", 7.0), (1500, "freeze", True), (2000, "detune", 3.0), (2500, "density", 20.0)],
    ),
    "stutter": ({"beats": 0.03125}, [(1000, "on", True), (2300, "decay", 0.5), (2700, "on", False)]),
    "resonator": ({}, [(100, "frequency", 880.0), (700, "decay", 0.1), (1500, "damping", 0.9)]),
    "vocoder": ({}, [(100, "frequency", 300.0), (400, "source", "carrier"), (700, "release", 0.2)]),
}
# a parameter that jumps over the whole of its range in the middle of a tone, and how much steeper than the tone itself
# the sound may then be
JUMPS = {
    "compressor": [("threshold", -60.0, 0.0), ("makeup", 0.0, 24.0), ("ratio", 1.0, 100.0)],
    "gate": [("threshold", -30.0, 0.0), ("range", 0.0, -90.0)],
    "eq": [("gain3", -24.0, 24.0), ("freq2", 20.0, 20000.0), ("q3", 0.1, 20.0), ("kind1", "off", "lowcut")],
    "reverb": [("decay", 0.2, 30.0), ("damping", 0.0, 1.0), ("size", 0.3, 2.0), ("predelay", 0.0, 0.2)],
    "drive": [("drive", 0.0, 24.0), ("level", -48.0, 0.0), ("tone", 200.0, 20000.0)],
    # its steps are the effect
    "bitcrush": [],
    "tremolo": [("depth", 0.0, 1.0), ("rate", 0.05, 40.0), ("shape", "triangle", "square"), ("spread", 0.0, 1.0)],
    "ringmod": [("frequency", 0.5, 900.0), ("source", "sine", "carrier")],
    "width": [("width", 0.0, 2.0), ("bass", 0.0, 500.0)],
    "chorus": [
        ("delay", 0.005, 0.05),
        ("depth", 0.0, 0.02),
        ("mix", 0.0, 1.0),
        ("spread", 0.0, 1.0),
        ("beats", 0.0, 7.0),
    ],
    "flanger": [("delay", 0.0001, 0.01), ("feedback", -0.9, 0.9), ("mix", 0.0, 1.0), ("beats", 0.0, 3.0)],
    "phaser": [("centre", 50.0, 8000.0), ("feedback", -0.8, 0.8), ("stages", 2, 12), ("depth", 0.0, 4.0)],
    "pingpong": [("beats", 0.1, 0.5), ("feedback", 0.0, 0.9), ("cross", 0.0, 1.0), ("highcut", 200.0, 20000.0)],
    "convolution": [("level", -60.0, 0.0)],
    "transient": [("attack", -24.0, 24.0), ("sustain", -24.0, 24.0)],
    "pitch": [("semitones", -12.0, 12.0), ("cents", -100.0, 100.0), ("mix", 0.0, 1.0)],
    "stretch": [("factor", 0.25, 8.0), ("buffer", 0.5, 20.0)],
    "freeze": [("level", 0.0, 1.0), ("through", 0.0, 1.0), ("hold", False, True)],
    "granular": [("position", 0.05, 0.5), ("pitch", 0.0, 12.0), ("size", 0.1, 0.2), ("freeze", False, True)],
    "stutter": [("on", False, True), ("mix", 0.0, 1.0), ("beats", 0.1, 0.5)],
    "resonator": [("frequency", 200.0, 400.0), ("decay", 0.5, 0.05), ("damping", 0.0, 0.5)],
    "vocoder": [
        ("frequency", 20.0, 200.0),
        ("source", "carrier", "saw"),
        ("attack", 0.001, 0.5),
        ("breath", 0.0, 0.01),
    ],
}
BENDS = {("chorus", "delay"), ("chorus", "beats"), ("flanger", "beats"), ("pingpong", "beats")}
JUMP_SETTINGS = {
    "tremolo": {"rate": 4.0},
    "width": {"width": 0.0},
    "eq": {"gain2": 12.0, "gain3": 12.0, "freq1": 500.0},
    "gate": {"release": 0.02, "attack": 0.02},
}


def sound(name, x):
    ports = [port.name for port in FACTORIES[name]().inputs if port.kind == "audio"]
    return {port: x if n == 0 else x[:, ::-1].copy() for n, port in enumerate(ports)}


def test_every_effect_is_tried():
    assert set(CASES) == set(FACTORIES) == set(JUMPS)


@pytest.mark.parametrize("name", sorted(CASES))
@each("channels, blocks", [(1, [64]), (2, [1, 7, 100, 256]), (3, [37])])
def test_any_split_gives_the_same_samples(name, channels, blocks):
    settings, changes = CASES[name]
    spec = StreamSpec(RATE, 256, channels)
    args = spec, sound(name, noise(3000 / RATE, channels=channels)), settings, changes
    whole = run_processor(FACTORIES[name](), *args)
    assert whole.any()
    np.testing.assert_array_equal(run_processor(FACTORIES[name](), *args, blocks=blocks), whole)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_server_of_other_blocks_gives_the_same_sound(name):
    settings, changes = CASES[name]
    x = sound(name, noise(3000 / RATE))
    one, two = FACTORIES[name](), FACTORIES[name]()
    wide = run_processor(one, StreamSpec(RATE, 256, 2), x, settings, changes)[:, one.latency :]
    narrow = run_processor(two, StreamSpec(RATE, 64, 2), x, settings, changes)[:, two.latency :]
    if one.latency != two.latency:
        pytest.skip("its latency is a block, and so is what a change of a parameter meets")
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("name", sorted(CASES))
def test_reset_is_a_fresh_start(name):
    settings, _ = CASES[name]
    x = sound(name, noise(4000 / RATE, level=0.9))
    processor = FACTORIES[name]()
    fresh = run_processor(processor, SPEC, x, settings)
    processor.prepare = lambda spec: processor.reset()
    np.testing.assert_array_equal(run_processor(processor, SPEC, x, settings), fresh)


@pytest.mark.parametrize("name", sorted(CASES))
def test_silence_stays_silence_and_sound_dies_away(name):
    settings, _ = CASES[name]
    quiet = np.zeros((2, 5000), np.float32)
    assert not run_processor(FACTORIES[name](), SPEC, sound(name, quiet), settings).any()
    x = np.zeros((2, 2 * RATE), np.float32)
    x[:, :2000] = noise(2000 / RATE)
    y = run_processor(FACTORIES[name](), SPEC, sound(name, x), settings)
    tail = np.abs(y[:, -2000:])
    assert tail.max() < 1e-3
    tiny = tail[(tail > 0) & (tail < np.finfo(np.float32).tiny)]
    assert not len(tiny), "denormal numbers cost time"


@pytest.mark.parametrize("name", sorted(CASES))
def test_broken_samples_are_not_held_for_ever(name):
    settings, _ = CASES[name]
    clean = noise(4000 / RATE)
    broken = clean.copy()
    for n, bad in enumerate((np.nan, np.inf, -np.inf, 3e38)):
        broken[:, 1000 + 500 * n : 1010 + 500 * n] = bad
    processor = FACTORIES[name]()
    run_processor(processor, SPEC, sound(name, broken), settings)
    # the next run continues its state, 3 s later
    processor.prepare = lambda spec: None
    y = run_processor(processor, SPEC, sound(name, np.zeros((2, 3 * RATE), np.float32)), settings)
    assert np.isfinite(y).all()
    assert np.abs(y[:, -1000:]).max() < 1.0


@pytest.mark.parametrize(("name", "param", "low", "high"), [(n, *jump) for n in sorted(JUMPS) for jump in JUMPS[n]])
def test_a_parameter_that_jumps_does_not_click(name, param, low, high):
    x = sine(200.0, 1.0)
    settings = {**CASES[name][0]} if name == "convolution" else {}
    settings |= {**JUMP_SETTINGS.get(name, {}), param: low}
    y = run_processor(FACTORIES[name](), SPEC, sound(name, x), settings, [(24000, param, high), (36000, param, low)])
    steady = max(roughness(y[:, a:b]) for a, b in ((20000, 23990), (32000, 35990), (44000, 47990)))
    # what moves the place at which a line is read bends the pitch, by at most half: a corner, and no step
    bends = (name, param) in BENDS
    jumped = max(roughness(y[:, a:b]) for a, b in ((23990, 32000), (35990, 44000)))
    assert jumped < (32.0 if bends else 4.0) * steady + 1e-3, (jumped, steady)
