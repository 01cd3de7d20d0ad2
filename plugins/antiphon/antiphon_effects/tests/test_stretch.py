"""Time stretch: live, behind the sound and back to now; on files, longer and shorter."""

from itertools import pairwise

import numpy as np
import pytest

from antiphon.api import FileError
from antiphon.api.jobs import FileJob
from antiphon.testing import read, render, run_processor, write
from antiphon_effects.jobs import find_attacks, stretch_blocks, stretch_file
from antiphon_effects.stretch import Stretch
from antiphon_effects.tests.measure import RATE, SPEC, db, hertz_of, noise, sine

LATENCY = 4096


def file(x, factor, pieces=(1000,)):
    """x stretched as a file is, given in pieces of those lengths, repeated."""
    blocks, at, n = [], 0, 0
    while at < x.shape[1]:
        blocks.append(x[:, at : at + pieces[n % len(pieces)]])
        at, n = at + blocks[-1].shape[1], n + 1
    made = stretch_blocks(blocks, len(x), RATE, factor, *find_attacks(blocks, RATE))
    return np.concatenate([b.copy() for b in made], axis=1)


def hits(places, frames, channels=2):
    """Struck sounds on a chord."""
    rng = np.random.default_rng(3)
    t = np.arange(frames) / RATE
    x = sum(0.04 * np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6))
    n = np.arange(12000)
    for at in places:
        part = min(len(n), frames - at)
        x[at : at + part] += (0.4 * rng.normal(size=12000) * np.exp(-n / 500.0))[:part]
    return np.tile(x, (channels, 1)).astype(np.float32)


class TestFiles:
    @pytest.mark.parametrize("factor", [0.25, 0.8, 1.5, 8.0])
    def test_a_tone_keeps_its_pitch_and_its_level(self, factor):
        x = sine(440.0, 1.5 if factor < 2.0 else 0.5)
        y = file(x, factor)
        assert y.shape == (2, round(factor * x.shape[1]))
        inner = y[0, 4096:-4096]
        assert 1200 * np.log2(hertz_of(inner) / 440.0) == pytest.approx(0.0, abs=3.0)
        assert db(inner) == pytest.approx(db(x), abs=0.1)

    def test_at_1_it_changes_nothing(self):
        np.testing.assert_allclose(file(noise(), 1.0), noise(), atol=1e-6)

    @pytest.mark.parametrize("factor", [0.7, 1.5, 3.0])
    def test_what_is_struck_stays_sharp_and_comes_in_its_time(self, factor):
        places = [15000 + 14000 * n for n in range(6)]
        x = hits(places, 110000)
        y = file(x, factor)

        def edge(sound, at):
            near = np.abs(np.diff(sound[0], 2))[at - 2500 : at + 2500]
            level = np.convolve(near, np.ones(48) / 48, "same")
            return np.argmax(level > 0.5 * level.max()) - 2500, level.max()

        before = [edge(x, at) for at in places]
        after = [edge(y, round(at * factor)) for at in places]
        assert max(abs(place) for place, _ in after) < 0.012 * RATE
        sharpness = [b / a for (_, a), (_, b) in zip(before, after, strict=True)]
        assert np.mean(sharpness) > 0.7

    @pytest.mark.parametrize(
        ("factor", "apart"),
        [*((f, 0.5) for f in (0.25, 0.75, 1.3, 6.0)), *((f, 0.13) for f in (0.25, 0.4, 0.5, 1.2, 2.0))],
    )
    def test_each_stroke_keeps_its_level_and_comes_in_its_time(self, factor, apart):
        places = [round((0.25 + apart * n) * RATE) for n in range(8)]
        x = 2.0 * hits(places, places[-1] + 20000)
        y = file(x, factor)
        for at in places:
            moved = round(at * factor)
            one, other = (np.abs(sound[0, a : a + 300]).max() for sound, a in ((x, at), (y, moved)))
            assert other == pytest.approx(one, rel=0.2)
            stroke, around = x[0, at : at + 240], y[0, moved - 480 : moved + 720]
            assert abs(int(np.correlate(around, stroke, "valid").argmax()) - 480) < 0.003 * RATE

    @pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
    def test_notes_without_a_stroke_come_in_their_time(self, factor):
        """A melody whose level does not rise, after one click."""
        hertz, length = np.array([440.0, 550.0, 495.0, 660.0, 440.0, 587.0]), 14400
        x = 0.3 * np.sin(2 * np.pi * np.cumsum(np.repeat(hertz, length)) / RATE)
        x[2400:2600] += 0.8 * noise()[0, :200] * np.exp(-np.arange(200) / 40.0)
        y = file(np.tile(x, (2, 1)).astype(np.float32), factor)[0]
        for n, pair in enumerate(pairwise(hertz), 1):
            there = np.arange(round((n - 0.4) * length * factor), round((n + 0.4) * length * factor))
            parts = [y[there] * np.exp(-2j * np.pi * f * there / RATE) for f in pair]
            one, other = (np.abs(np.convolve(part, np.hanning(1201), "valid")) for part in parts)
            assert there[600] + np.sum(one > other) == pytest.approx(n * length * factor, abs=0.012 * RATE)

    def test_strokes_that_cancel_in_mono_stay_sharp_and_in_their_time(self):
        places = [15000 + 14000 * n for n in range(6)]
        chord = hits([], 110000)
        stroke = hits(places, 110000)[:1] - chord[:1]
        x = chord + stroke * np.float32([[1.0], [-1.0]])
        y = file(x, 2.0)
        for at in places:
            around = y[0, 2 * at - 480 : 2 * at + 720]
            assert abs(int(np.correlate(around, x[0, at : at + 240], "valid").argmax()) - 480) < 0.003 * RATE
            assert np.abs(y[0, 2 * at :][:300]).max() == pytest.approx(np.abs(x[0, at : at + 300]).max(), rel=0.2)

    @pytest.mark.parametrize("factor", [0.4, 1.7])
    def test_any_pieces_give_the_same_samples(self, factor):
        x = hits([9000, 21000], 40000)
        np.testing.assert_allclose(file(x, factor, (1, 4096, 333)), file(x, factor), atol=1e-6)

    def test_an_empty_file_is_refused_and_nothing_is_written(self, tmp_path):
        write(tmp_path / "in.wav", np.zeros((1, 0), np.float32))
        with pytest.raises(FileError, match="holds no sound"):
            stretch_file(FileJob("stretch", tmp_path / "in.wav", tmp_path / "out.wav", {"factor": 2.0}))
        assert not (tmp_path / "out.wav").exists()

    def test_a_file_becomes_longer(self, tmp_path):
        source, target = tmp_path / "in.wav", tmp_path / "out.wav"
        write(source, sine(440.0, 1.0))
        parts = []
        (made,) = stretch_file(FileJob("stretch", source, target, {"factor": 1.5}, progress=parts.append))
        y, rate = read(target)
        assert (y.shape, rate) == ((2, 72000), RATE)
        assert made.seconds == 1.5
        assert parts[-1] == 1.0
        assert hertz_of(y[0, 4096:-4096]) == pytest.approx(440.0, abs=0.5)


class TestLive:
    def glide(self, seconds):
        """A tone that rises by 300 Hz a second: its frequency is the moment that is heard."""
        n = np.arange(round(seconds * RATE)) / RATE
        return np.tile(0.3 * np.sin(2 * np.pi * (200.0 * n + 150.0 * n * n)), (2, 1)).astype(np.float32)

    def behind(self, y, second):
        """Seconds by which the glide lags at a second of the output."""
        at = round(second * RATE)
        return second - (hertz_of(y[0, at - 2048 : at + 2048]) - 200.0) / 300.0 - LATENCY / RATE

    def test_at_1_it_is_a_latency_late_and_nothing_else(self):
        processor = Stretch()
        y = run_processor(processor, SPEC, noise())
        assert processor.latency == LATENCY
        np.testing.assert_allclose(y[:, LATENCY:], noise()[:, :-LATENCY], atol=1e-6)

    def test_it_falls_behind_to_the_end_of_its_buffer_and_returns(self):
        done = render(Stretch(), SPEC, self.glide(4.0), {"factor": 2.0, "buffer": 1.0})
        y = done.audio[0]
        for second in (0.7, 1.5):
            assert self.behind(y, second) == pytest.approx(second / 2 - 0.04, abs=0.06)
        assert self.behind(y, 2.4) < 0.3
        assert self.behind(y, 3.4) == pytest.approx(self.behind(y, 2.4) + 0.5, abs=0.03)
        assert 0.0 < done.reports["behind"] <= 1.02

    def test_below_1_it_catches_up_and_stays_at_now(self):
        y = run_processor(Stretch(), SPEC, self.glide(3.0), {"factor": 2.0}, [(RATE, "factor", 0.5)])
        assert self.behind(y, 1.0) > 0.35
        for second in (2.0, 2.8):
            assert self.behind(y, second) == pytest.approx(0.0, abs=0.01)

    def test_at_1_it_stays_where_it_is_and_now_returns(self):
        changes = [(RATE, "factor", 1.0), (2 * RATE, "now", 1.0)]
        y = run_processor(Stretch(), SPEC, self.glide(3.0), {"factor": 2.0}, changes)
        assert self.behind(y, 1.9) == pytest.approx(self.behind(y, 1.3), abs=0.01)
        assert self.behind(y, 1.9) > 0.4
        assert self.behind(y, 2.5) == pytest.approx(0.0, abs=0.01)
