"""Utilities that turn parameters, wired in patches; every utility split anywhere; every processor that is reset."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

from antiphon.kernel.workers.devices import without_workers
from antiphon.testing import broken_law, clicks, run_processor, write
from antiphon_utilities.modulators import EDGE, EnvelopeFollower, Lfo
from antiphon_utilities.tests.conftest import RATE, SPEC, play


def test_an_lfo_by_the_clock_opens_and_shuts_a_filter(plugins):
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 8 * 12032)).astype(np.float32)
    text = """
[nodes.filter]
cutoff = 600.0

[nodes.lfo]
beats = 2.0
depth = 0.4

[wires]
"in" = "filter"
"filter" = "out"
"lfo" = "filter.cutoff"
"""
    y = play(plugins, text, noise)[0]
    # a turn is a second: up in its first half, down in its second
    open_, shut = (np.std(y[at : at + 6000]) for at in (RATE + 9000, RATE + 33000))
    assert open_ > 5.0 * shut


def test_a_follower_makes_room_for_what_it_hears(plugins):
    x = np.full((2, 376 * 256), 0.001, np.float32)
    x[:, RATE:] = 0.5
    text = """
[nodes.gain]

[nodes.follower]
depth = -0.4
floor = -50.0
ceiling = -10.0

[wires]
"in" = ["follower", "gain"]
"gain" = "out"
"follower" = "gain.gain"
"""
    y = play(plugins, text, x)[0]
    np.testing.assert_allclose(y[RATE - 1000 : RATE], 0.001, rtol=1e-4)
    # 0.4 of a range of 2 below 1
    np.testing.assert_allclose(y[RATE + 12000 :], 0.5 * 0.2, rtol=1e-3)
    assert np.abs(np.diff(y[RATE:])).max() < 0.01


TRIGGERS = {"click": [(3, "fire")], "looper": [(3, "record"), (500, "overdub"), (1100, "play")]}
START = {"delay": {"time": 0.003, "feedback": 0.7}}
SOUNDING = {**START, "answer": {"mode": "shadow"}, "continue": {"mode": "shadow"}, "hum": {"mode": "yin"}}
"""Settings with which a processor sounds at once."""
DECODES = ("sampler", "sing")
"""Those that need a worker for what they play; the others go without one."""


def test_every_processor_of_every_plugin_sounds_the_same_in_any_blocks_and_after_a_reset_as_new(plugins, tmp_path):
    click = str(write(tmp_path / "click.wav", clicks([0], 4800, height=1.0)))
    wrong = []
    for name, info in plugins.catalog.types.items():
        if name == "model":  # plays files of its own
            continue
        needed = {
            p.name: click if p.kind == "file" else p.default for p in info.params if p.name in info.on_files.needs
        }
        ways = [
            (p.name, c) for p in info.params if p.kind == "choice" and p.restart for c in p.choices if c != p.default
        ]
        for way in ({}, *({key: choice} for key, choice in ways)):
            with nullcontext() if name in DECODES else without_workers():
                values = {**needed, **SOUNDING.get(name, {}), **way}
                fired = [(at, trigger, True) for at, trigger in TRIGGERS.get(name, ())]
                if law := broken_law(partial(plugins.make, name), values, fired=fired):
                    wrong.append((name, way, law))
    assert not wrong


WHOLE = {"depth": 1.0}


def wave(frames=2 * RATE, changes=(), processor=None, blocks=None, **first):
    x = np.zeros((2, frames), np.float32)
    return run_processor(processor or Lfo(), SPEC, x, {**WHOLE, **first}, changes, blocks)[0]


def turns(hertz, frames=2 * RATE):
    return np.arange(frames) * hertz / RATE


class TestLfo:
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
