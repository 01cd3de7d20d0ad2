"""What holds for every effect: any blocks, reset, silence, broken input, no clicks, all declared."""

import numpy as np
import pytest
from tests.each import each

from antiphon.api import StreamSpec
from antiphon.kernel.runtime.importing import resolve
from antiphon.testing import run_processor, write
from antiphon_effects import antiphon_processors
from antiphon_effects.tests.measure import RATE, SPEC, noise, roughness, sine

pytestmark = pytest.mark.slow

FACTORIES = {}
antiphon_processors(lambda name, factory, doc="": FACTORIES.__setitem__(name, resolve(factory)))

IMPULSE = "an impulse of 300 ms, which the fixture writes"


@pytest.fixture(autouse=True)
def impulse_file(tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "impulse.wav"
    if not path.exists():
        frames = np.arange(round(0.3 * RATE))
        write(path, noise(0.3, level=0.1) * np.exp(-frames / 2000.0).astype(np.float32))
    SETTINGS["convolution"]["impulse"] = str(path)


# settings by which each sounds within 3,000 frames; of those that are not here the defaults do
SETTINGS = {
    "compressor": {"attack": 0.001},
    "gate": {"threshold": -12.0, "hold": 0.001},
    "eq": {"gain3": 12.0, "gain7": -9.0},
    "reverb": {"decay": 0.4, "size": 0.3},
    "drive": {"drive": 20.0},
    "tremolo": {"spread": 0.7},
    "chorus": {"rate": 5.0},
    "flanger": {"rate": 5.0},
    "phaser": {"rate": 5.0},
    "pingpong": {"beats": 0.0, "time": 0.01, "flutter": 1.0},
    "convolution": {"impulse": IMPULSE},
    "transient": {"sustain": -12.0},
    "pitch": {"semitones": 5.0, "window": "short"},
    "stretch": {"factor": 2.0},
    "freeze": {"hold": True},
    "granular": {"position": 0.01, "size": 0.01, "density": 100.0, "jitter": 0.005},
    "stutter": {"beats": 0.03125},
}
# a parameter jumps over the whole of its range in the middle of a tone, but for these
JUMPS = {
    ("bitcrush", "rate"): (),  # its steps are the effect
    ("convolution", "level"): (-60.0, 0.0),
    ("drive", "curve"): (),  # another wave from then on
    ("eq", "kind1"): ("off", "lowcut"),
    ("resonator", "frequency"): (200.0, 400.0),
    ("resonator", "decay"): (0.5, 0.05),
}
# what moves the place at which a line is read bends the pitch, by at most half: a corner, and no step
BENDS = {("chorus", "delay"), ("flanger", "beats"), ("pingpong", "beats")}
JUMP_SETTINGS = {
    "tremolo": {"rate": 4.0},
    "width": {"width": 0.0},
    "eq": {"gain2": 12.0, "gain3": 12.0, "freq1": 500.0},
    "gate": {"release": 0.02, "attack": 0.02},
    "pingpong": {"beats": 0.1},
}
NAMES = sorted(FACTORIES)


def range_of(param):
    """The ends of a parameter's range; () of one that has none."""
    if param.readonly or param.restart or param.kind in ("file", "text", "trigger"):
        return ()
    return (param.from_norm(0.0), param.from_norm(1.0))


def case(name):
    """Settings, and changes of each parameter in turn within the first 3,000 frames."""
    params = [param for param in FACTORIES[name]().params if range_of(param)]
    changes = [(100 + 2600 * n // len(params), param.name, param.from_norm(0.7)) for n, param in enumerate(params)]
    return SETTINGS.get(name, {}), changes


def jumps():
    for name in NAMES:
        for param in FACTORIES[name]().params:
            if found := JUMPS.get((name, param.name), range_of(param)):
                yield (name, param.name, *found)


def sound(name, x):
    ports = [port.name for port in FACTORIES[name]().inputs if port.kind == "audio"]
    return {port: x if n == 0 else x[:, ::-1].copy() for n, port in enumerate(ports)}


@pytest.mark.parametrize("name", NAMES)
@each("channels, blocks", [(1, [64]), (2, [1, 7, 100, 256]), (3, [37])])
def test_any_split_gives_the_same_samples(name, channels, blocks):
    """And after a reset as when it was new."""
    settings, changes = case(name)
    spec, processor = StreamSpec(RATE, 256, channels), FACTORIES[name]()
    args = spec, sound(name, noise(3000 / RATE, channels=channels)), settings, changes
    whole = run_processor(processor, *args)
    assert whole.any()
    np.testing.assert_array_equal(run_processor(FACTORIES[name](), *args, blocks=blocks), whole)
    processor.prepare = lambda spec: processor.reset()
    np.testing.assert_array_equal(run_processor(processor, *args), whole)


@pytest.mark.parametrize("name", NAMES)
def test_a_server_of_other_blocks_gives_the_same_sound(name):
    settings, changes = case(name)
    x = sound(name, noise(3000 / RATE))
    one, two = FACTORIES[name](), FACTORIES[name]()
    wide = run_processor(one, StreamSpec(RATE, 256, 2), x, settings, changes)[:, one.latency :]
    narrow = run_processor(two, StreamSpec(RATE, 64, 2), x, settings, changes)[:, two.latency :]
    if one.latency != two.latency:
        pytest.skip("its latency is a block, and so is what a change of a parameter meets")
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("name", NAMES)
def test_silence_stays_silence_and_sound_dies_away(name):
    settings, _ = case(name)
    quiet = np.zeros((2, 5000), np.float32)
    assert not run_processor(FACTORIES[name](), SPEC, sound(name, quiet), settings).any()
    x = np.zeros((2, 2 * RATE), np.float32)
    x[:, :2000] = noise(2000 / RATE)
    y = run_processor(FACTORIES[name](), SPEC, sound(name, x), settings)
    tail = np.abs(y[:, -2000:])
    assert tail.max() < 1e-3
    tiny = tail[(tail > 0) & (tail < np.finfo(np.float32).tiny)]
    assert not len(tiny), "denormal numbers cost time"


@pytest.mark.parametrize("name", NAMES)
def test_broken_samples_are_not_held_for_ever(name):
    settings, _ = case(name)
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


@pytest.mark.parametrize(("name", "param", "low", "high"), list(jumps()))
def test_a_parameter_that_jumps_does_not_click(name, param, low, high):
    x = sine(200.0, 1.0)
    settings = dict(SETTINGS[name]) if name == "convolution" else {}
    settings |= {**JUMP_SETTINGS.get(name, {}), param: low}
    y = run_processor(FACTORIES[name](), SPEC, sound(name, x), settings, [(24000, param, high), (36000, param, low)])
    steady = max(roughness(y[:, a:b]) for a, b in ((20000, 23990), (32000, 35990), (44000, 47990)))
    bends = (name, param) in BENDS
    jumped = max(roughness(y[:, a:b]) for a, b in ((23990, 32000), (35990, 44000)))
    assert jumped < (32.0 if bends else 4.0) * steady + 1e-3, (jumped, steady)
