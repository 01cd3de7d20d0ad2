"""The two that turn parameters: the slow wave and the follower."""

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.testing import run_processor
from antiphon_utilities.follower import EnvelopeFollower
from antiphon_utilities.lfo import EDGE, Lfo

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)
WHOLE = {"depth": 1.0}


def wave(frames=2 * RATE, changes=(), processor=None, blocks=None, **first):
    x = np.zeros((2, frames), np.float32)
    return run_processor(processor or Lfo(), SPEC, x, {**WHOLE, **first}, changes, blocks)[0]


def turns(hertz, frames=2 * RATE):
    return np.arange(frames) * hertz / RATE


class TestLfo:
    def test_one_channel_of_control(self):
        assert [(p.name, p.kind) for p in Lfo.outputs] == [("out", "control")]
        assert Lfo.inputs == ()
        assert run_processor(Lfo(), SPEC, np.zeros((2, 100), np.float32)).shape == (1, 100)

    def test_smooth_waves(self):
        t = turns(3.0) % 1.0
        np.testing.assert_allclose(wave(rate=3.0), np.sin(2 * np.pi * t), atol=1e-4)
        np.testing.assert_allclose(wave(rate=3.0, phase=0.25), np.cos(2 * np.pi * t), atol=1e-4)
        np.testing.assert_allclose(
            wave(rate=3.0, shape="triangle"), 2 / np.pi * np.arcsin(np.sin(2 * np.pi * t)), atol=1e-3
        )

    def test_waves_that_jump_do_so_in_2_ms(self):
        t = turns(3.0) % 1.0
        far = (t > 3.0 * EDGE * 1.1) & (np.abs(t - 0.5) > 3.0 * EDGE * 1.1)
        wanted = {"rise": 2 * t - 1, "fall": 1 - 2 * t, "square": np.where(t < 0.5, 1, -1)}
        for shape, values in wanted.items():
            y = wave(rate=3.0, shape=shape)
            np.testing.assert_allclose(y[far], values[far], atol=1e-3)
            assert y[0] == values[0]
            assert np.abs(np.diff(y)).max() <= 2.0 / (EDGE * RATE) * 1.01

    def test_steps_hold_and_drift_wanders(self):
        steps = wave(10 * RATE, shape="steps", rate=10.0)
        held = steps.reshape(100, 4800)
        assert (held[:, 200:-10] == held[:, 200:201]).all()
        assert len(set(held[:, 300])) == 100
        assert held[:, 300].std() == pytest.approx(1 / np.sqrt(3), abs=0.1)
        drift = wave(10 * RATE, shape="drift", rate=10.0)
        assert np.abs(np.diff(drift)).max() < 2.0 * 1.5 * 10.0 / RATE * 1.01
        np.testing.assert_allclose(drift.reshape(100, 4800)[:, 0], held[:, 300], atol=1e-3)

    @pytest.mark.parametrize("shape", ["steps", "drift"])
    def test_a_seed_has_its_own_dice(self, shape):
        one, same, other = (wave(shape=shape, rate=20.0, seed=seed) for seed in (3, 3, 4))
        np.testing.assert_array_equal(one, same)
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.5

    def test_depth_and_offset_are_its_bounds(self):
        y = wave(depth=0.3, offset=0.2, rate=5.0)
        np.testing.assert_allclose([y.min(), y.max()], [-0.1, 0.5], atol=1e-4)
        assert np.abs(wave(depth=1.0, offset=1.0)).max() == 1.0
        assert wave(depth=0.0).any() == np.False_

    def test_nothing_turned_smoothly_clicks(self):
        changes = [(20011, "depth", 0.0), (40022, "depth", 1.0), (50033, "rate", 9.0), (60044, "phase", 0.5)]
        for shape in ("sine", "triangle", "drift"):
            y = wave(shape=shape, rate=2.0, changes=[*changes, (70055, "shape", "square"), (80066, "offset", 1.0)])
            # a jump of shape has the edge of a square
            assert np.abs(np.diff(y)).max() <= 2.0 / (EDGE * RATE) * 1.3

    def test_phase_goes_on_where_the_rate_moves(self):
        y = wave(rate=2.0, changes=[(30000, "rate", 4.0)], shape="rise")
        jumps = np.flatnonzero(np.diff(y) < -0.01)
        assert np.abs(np.diff(y))[: jumps[0] - 1].max() < 2 * 4.1 / RATE
        after = 30000 + 960
        np.testing.assert_allclose(np.diff(y)[after : after + 2000], 2 * 4.0 / RATE, rtol=0.01)

    def test_by_the_clock_its_place_is_the_beats(self, on_clock):
        changes = [
            (51200, lambda tempo: tempo.set_transport(51200, None, 101.5)),
            (76800, lambda tempo: tempo.set_transport(76800, False, None)),
        ]
        y = wave(processor=on_clock(Lfo(), 120.0, changes), beats=4.0)
        beats = np.arange(2 * RATE) / 24000.0
        beats[51200:] = 101.5 + np.arange(2 * RATE - 51200) / 24000.0
        beats[76800:] = beats[76800]
        wanted = np.sin(2 * np.pi * beats / 4.0)
        near = np.ones(len(y), bool)
        near[51200 : 51200 + 200] = False
        np.testing.assert_allclose(y[near], wanted[near], atol=1e-5)

    def test_by_the_clock_a_beat_has_its_own_dice(self, on_clock):
        def at(beat):
            return wave(
                500,
                processor=on_clock(Lfo(), 120.0, [(0, lambda t: t.set_transport(0, None, beat))]),
                beats=1.0,
                shape="steps",
            )

        np.testing.assert_array_equal(at(7.0), at(7.3))
        assert at(7.0)[0] != at(8.0)[0]


def follow(x, changes=(), blocks=None, **first):
    given = {"depth": 1.0, "floor": -60.0, "ceiling": 0.0, **first}
    return run_processor(EnvelopeFollower(), SPEC, x, given, changes, blocks)[0]


def sine(db, frames=RATE, hertz=440.0):
    one = 10 ** (db / 20) * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE)
    return np.tile(one, (2, 1)).astype(np.float32)


class TestFollower:
    def test_one_channel_of_control(self):
        assert [(p.name, p.kind) for p in EnvelopeFollower.outputs] == [("out", "control")]
        assert run_processor(EnvelopeFollower(), SPEC, sine(-6.0)).shape == (1, RATE)
        assert EnvelopeFollower().latency == 0

    @pytest.mark.parametrize("db", [-54.0, -30.0, -12.0, -3.0])
    @pytest.mark.parametrize("hertz", [82.4, 440.0, 5000.0])
    def test_a_steady_tone_is_its_peak_in_db(self, db, hertz):
        np.testing.assert_allclose(follow(sine(db, hertz=hertz))[RATE // 2 :], (db + 60.0) / 60.0, atol=0.01)

    def test_floor_ceiling_and_depth(self):
        assert not follow(sine(-70.0)).any()
        assert not follow(np.zeros((2, RATE), np.float32)).any()
        assert (follow(sine(0.0), ceiling=-10.0)[RATE // 2 :] == 1.0).all()
        np.testing.assert_allclose(follow(sine(-30.0), depth=-0.4)[RATE // 2 :], -0.2, atol=0.005)
        assert np.isfinite(follow(sine(-30.0), floor=-20.0, ceiling=-40.0)).all()

    def test_the_louder_channel_counts(self):
        x = sine(-12.0)
        x[0] *= 0.1
        np.testing.assert_allclose(follow(x)[RATE // 2 :], 0.8, atol=0.01)

    @pytest.mark.parametrize("seconds", [0.005, 0.05, 0.3])
    def test_attack_and_release_take_their_time(self, seconds):
        x = np.full((2, 6 * RATE), 0.5, np.float32)
        x[:, :1000] = x[:, 3 * RATE :] = 0.0
        y = follow(x, attack=seconds)
        assert y[1000 + round(seconds * RATE)] == pytest.approx(54.0 / 60.0 * (1 - np.exp(-1)), rel=0.02)
        fallen = follow(x, attack=0.001, release=seconds) * 60.0 - 60.0
        one, other = (3 * RATE + round(times * seconds * RATE) for times in (3, 5))
        assert fallen[one] - fallen[other] == pytest.approx(2 * 8.686, abs=0.3)
