"""`howl_guard` in loops of loudspeakers, room and microphone: what howls is held down, and a voice is not."""

import numpy as np
import pytest
from tests.each import each

from antiphon.api import F32, StreamSpec
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.plugins.loader import Loaded
from antiphon.offline.player import FilePlayer
from antiphon.testing import run_processor
from antiphon_room.guard import HowlField, HowlGuard
from antiphon_room.tests.test_echo_cancel import level

RATE = 48000
BLOCK = 240


def room(seed: int, gain: float) -> F32:
    """Response `[frames]` of a room of 0.3 s, whose strongest frequency has a gain in dB."""
    n = np.arange(round(0.3 * RATE))
    response = np.random.default_rng(seed).standard_normal(len(n)) * np.exp(-6.9 * n / len(n))
    response[:480] = 0.0
    response[480] = 5.0
    peak = np.abs(np.fft.rfft(response, 1 << 17)).max()
    return np.asarray(10 ** (gain / 20) * response / peak, np.float32)


def low_room(seed: int) -> F32:
    """Response of a room with six strong frequencies below 200 Hz, of which a loop is loud before it is asked."""
    n, rng = np.arange(round(0.3 * RATE)), np.random.default_rng(seed)
    modes = zip(rng.uniform(50, 200, 6), rng.uniform(0, 6, 6), rng.uniform(0.5, 1, 6), strict=True)
    response = sum(gain * np.sin(2 * np.pi * hertz * n / RATE + phase) for hertz, phase, gain in modes)
    response *= np.exp(-3.0 * n / len(n)) * (n >= 480)
    peak = np.abs(np.fft.rfft(response, 1 << 17)).max()
    return np.asarray(10 ** (6.0 / 20) * response / peak, np.float32)


def voice(seconds: float) -> F32:
    """A gliding voice-like tone in syllables and words, `[frames]`."""
    n = np.arange(round(seconds * RATE))
    turns = np.cumsum(180.0 + 40.0 * np.sin(2 * np.pi * 0.7 * n / RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 20))
    syllables = (0.5 - 0.5 * np.cos(2 * np.pi * 3.0 * n / RATE)) * (np.sin(2 * np.pi * 0.5 * n / RATE) > -0.7)
    breath = 1e-4 * np.random.default_rng(1).standard_normal(len(n))
    return np.asarray(0.08 * tone * syllables + breath, np.float32)


def noise(seconds: float) -> F32:
    return np.asarray(1e-4 * np.random.default_rng(0).standard_normal(round(seconds * RATE)), np.float32)


def loop(loaded: Loaded, near: F32, response: F32, kind: str = "howl_guard") -> F32:
    """The output of a patch that returns to its microphone a block later, `[frames]`; muted where `near` is zero."""
    catalog = loaded.catalog
    graph = Graph((NodeSpec("n", kind),))
    ends = [("in", "n.in"), ("n", "out"), *([("out", "n.reference")] if kind == "howl_guard" else [])]
    for source, dest in ends:
        graph = graph.connect(graph.end(source, "out", catalog), graph.end(dest, "in", catalog), catalog)
    runner = FilePlayer(graph, catalog, loaded.make, StreamSpec(RATE, BLOCK, 2))
    size = 1 << (len(response) + BLOCK).bit_length()
    path = np.fft.rfft(response, size)
    spread, out = np.zeros(len(near) + size + BLOCK), np.zeros(len(near) // BLOCK * BLOCK, np.float32)
    for at in range(0, len(out), BLOCK):
        muted = not near[at : at + BLOCK].any()
        mic = (spread[at : at + BLOCK] * (not muted) + near[at : at + BLOCK]).astype(np.float32)
        out[at : at + BLOCK] = runner.run(np.stack([mic, mic]))[0]
        spread[at + BLOCK :][:size] += np.fft.irfft(np.fft.rfft(out[at : at + BLOCK], size) * path, size)
    runner.close()
    return out


def guarded(sound: F32, block: int = BLOCK) -> tuple[F32, HowlGuard]:
    processor = HowlGuard()
    given = {"in": sound[None], "reference": np.stack([sound, sound])}
    return np.asarray(run_processor(processor, StreamSpec(RATE, block, 1), given)[0], np.float32), processor


@each("seed", [7, 8])
def test_a_loop_of_6_db_is_held_down_and_without_a_guard_it_howls(loaded: Loaded, seed: int):
    near, response = noise(8.0), room(seed, 6.0)
    kept, howled = (loop(loaded, near, response, kind) for kind in ("howl_guard", "gain"))
    assert np.abs(kept).max() < 0.5
    assert level(kept[6 * RATE :]) < -50.0
    assert level(howled[6 * RATE :]) > -6.0


def test_beside_a_voice_too_it_stays_below_full_scale_and_ends(loaded: Loaded):
    near = voice(16.0)
    out = loop(loaded, near, room(7, 6.0))
    assert np.abs(out).max() < 10 ** (-1 / 20)
    assert level(out[12 * RATE :]) < level(near) + 3.0


@each("seed, sings", [(0, True), (7, False)])
def test_a_loop_of_low_tones_which_is_loud_before_it_is_asked_is_held(loaded: Loaded, seed: int, sings: bool):
    near = voice(14.0) if sings else noise(14.0)
    assert level(loop(loaded, near, low_room(seed))[12 * RATE :]) < (level(near) + 3.0 if sings else -50.0)


def test_a_voice_in_a_loop_that_does_not_howl_is_left_alone(loaded: Loaded):
    near, response = voice(9.0), room(7, -12.0)
    with_guard, without = (loop(loaded, near, response, kind)[5 * RATE :] for kind in ("howl_guard", "gain"))
    assert level(with_guard - without) < level(without) - 40.0


def test_a_voice_and_no_loudspeaker_are_passed_sample_for_sample_once_it_is_open():
    near = voice(8.0)
    out, _ = guarded(near)
    assert np.array_equal(out[5 * RATE :], near[5 * RATE :])
    assert np.abs(out[: RATE // 10]).max() < 0.05 * np.abs(near).max()


def test_a_performer_s_pure_tone_comes_back_after_it_was_asked():
    n = np.arange(9 * RATE)
    near = np.asarray(0.1 * np.sin(2 * np.pi * 440.0 * n / RATE), np.float32)
    out, processor = guarded(near)
    assert processor._state[HowlField.LOWERED] == 0.0
    assert level(out[8 * RATE :]) > level(near) - 0.5


def test_a_performer_who_holds_a_tone_is_asked_at_intervals_that_double():
    rate, place = 16000, np.arange(31 * 16000)
    x = np.asarray(0.1 * np.sin(2 * np.pi * 440.0 * place / rate), np.float32)[None]
    y = run_processor(HowlGuard(), StreamSpec(rate, 160, 1), {"in": x, "reference": np.zeros_like(x.repeat(2, 0))})
    levels = [np.sqrt(np.square(sound[0].reshape(-1, rate // 10)).mean(axis=1)) for sound in (y, x)]
    low = levels[0] < 0.8 * levels[1]
    asked = np.flatnonzero(low[1:] & ~low[:-1]) / 10
    assert np.diff(asked) == pytest.approx([8.2, 16.2], abs=0.4)


def test_an_input_that_was_muted_opens_anew(loaded: Loaded):
    howl = noise(8.0)
    howl[6 * RATE : 7 * RATE] = 0.0
    out = loop(loaded, howl, room(7, 6.0))
    assert level(out[round(7.02 * RATE) : round(7.12 * RATE)]) < level(out[5 * RATE : 6 * RATE]) - 6.0


@each("wrong", [np.nan, np.inf, 1e30])
def test_a_broken_input_is_silence(wrong: float):
    near = voice(1.0)
    near[4000:5000] = wrong
    out, _ = guarded(near)
    assert np.isfinite(out).all()
