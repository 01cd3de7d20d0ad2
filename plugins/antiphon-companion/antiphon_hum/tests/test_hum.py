"""Tones, made voices and noise through `hum`, in blocks, as the host runs it."""

import functools

import numpy as np
import pytest
from tests.each import each

from antiphon.api import IO, BlockTime, StreamSpec
from antiphon.api.backends.rendering import prepare_processor
from antiphon.testing import render
from antiphon_hum import notes as files
from antiphon_hum.processor import Hum, velocity

RATE = 48000


def hertz(pitch):
    return 440.0 * 2.0 ** ((np.asarray(pitch, float) - 69.0) / 12.0)


def voice(pitch, rate=RATE, level=0.1, harmonics=8):
    """A buzz on a pitch for each sample (MIDI numbers), softly begun and ended."""
    phase = 2 * np.pi * np.cumsum(hertz(pitch)) / rate
    top = float(hertz(np.max(pitch)))
    sound = sum(np.sin(k * phase) / k for k in range(1, harmonics + 1) if k * top < 0.45 * rate)
    edge = np.minimum(1.0, np.minimum(np.arange(len(phase)), np.arange(len(phase))[::-1]) / (0.01 * rate))
    return (level * sound * edge).astype(np.float32)


def tune(pitches, seconds=0.4, gap=0.1, rate=RATE, **how):
    """Notes after half a second of silence: their sound, and where each begins."""
    parts, starts, at = [np.zeros(rate // 2, np.float32)], [], rate // 2
    for pitch in pitches:
        starts.append(at)
        parts += [
            voice(np.full(round(seconds * rate), float(pitch)), rate, **how),
            np.zeros(round(gap * rate), np.float32),
        ]
        at += len(parts[-1]) + len(parts[-2])
    return np.concatenate([*parts, np.zeros(rate // 2, np.float32)]), starts


def heard(sound, rate=RATE, first=None):
    return files.notes_of(sound, rate, {"mode": "yin", **(first or {})})


def played(sound, first=None, blocks=None, rate=RATE, channels=1):
    processor = Hum()
    x = np.tile(sound, (channels, 1))
    done = render(processor, StreamSpec(rate, 512, channels), x, {"mode": "yin", **(first or {})}, blocks=blocks)
    return processor, done


MELODY = [60, 64, 67, 72, 71, 67, 62, 60]


@pytest.mark.parametrize("rate", [44100, 96000])
def test_a_tune_is_heard_note_for_note(rate):
    sound, starts = tune(MELODY, rate=rate)
    notes = heard(sound, rate)
    assert [n.number for n in notes] == MELODY
    assert max(abs(n.start - s) for n, s in zip(notes, starts, strict=True)) < 0.025 * rate
    assert max(abs(n.end - n.start - 0.4 * rate) for n in notes) < 0.08 * rate


@pytest.mark.parametrize("rate", [48000, 96000])
def test_events_come_the_declared_latency_after_their_sound(rate):
    sound, starts = tune([57, 62, 69], 0.5, 0.3, rate)
    processor, done = played(np.concatenate([sound, np.zeros(rate // 2, np.float32)]), rate=rate)
    lags = [e.offset - s for e, s in zip([e for e in done.events if e.kind == "on"], starts, strict=True)]
    assert np.abs(np.array(lags) - processor.latency).max() < 0.02 * rate
    assert processor.latency < 0.1 * rate


@functools.cache
def whole():
    return played(SLURRED)[1].events


SLURRED = np.concatenate([np.zeros(4800, np.float32), voice(np.repeat([55.0, 59.0, 62.0], 10000)), np.zeros(12000)])


@each("pitch", [38, 52, 69, 93])
def test_every_register_is_reported_to_a_few_cents(pitch):
    done = played(voice(np.full(RATE, pitch + 0.2)))[1]
    assert done.reports["voiced"] == 1.0
    assert abs(1200 * np.log2(done.reports["pitch"] / hertz(pitch + 0.2))) < 3.0
    assert abs(done.reports["cents"] - 20.0) < 3.0


def test_vibrato_and_scoops_do_not_split_a_note():
    """In learned mode: yin's pitch of a scooped note is that of the scoop."""
    t = np.arange(RATE) / RATE
    wide = 62 + 0.6 * np.sin(2 * np.pi * 5.5 * t) * np.minimum(1, t / 0.3)
    scooped = 62 - 2.0 * np.exp(-t / 0.04)
    lead = tune([60, 64])[0]
    for line in (wide, scooped):
        sound = np.concatenate([lead, voice(line), np.zeros(RATE // 2, np.float32)])
        assert [n.number for n in heard(sound, RATE, {"mode": "learned"})] == [60, 64, 62]


def test_a_slur_is_two_notes_and_a_dip_is_the_note_again():
    slide = np.concatenate([np.full(24000, 60.0), np.linspace(60, 64, 2400), np.full(24000, 64.0)])
    again = voice(np.full(48000, 62.0))
    again[23000:25000] *= 0.02
    for sound, numbers in ((voice(slide), [60, 64]), (again, [62, 62])):
        assert [n.number for n in heard(np.concatenate([np.zeros(9600), sound, np.zeros(9600)]))] == numbers


def test_an_overlapping_release_is_no_note_below():
    """Where two notes sound at once their common period is that of a note far below, which yin takes for one."""
    one, two = voice(np.full(30000, 76.0)), voice(np.full(30000, 83.0))
    one[20000:] *= np.maximum(0, np.linspace(1, -1, 10000)) ** 2
    sound = np.zeros(80000, np.float32)
    sound[10000:40000] += one
    sound[30000:60000] += two
    assert [n.number for n in heard(sound, RATE, {"mode": "learned"})] == [76, 83]


def noise(colour, seconds=5.0):
    rng = np.random.default_rng(4)
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * RATE)))
    x = np.fft.irfft(spectrum * (np.arange(len(spectrum)) + 1.0) ** -colour)
    return (0.1 * x / x.std()).astype(np.float32)


@each("sound", [np.zeros(5 * RATE, np.float32), noise(0.0), noise(0.5), noise(1.0)])
def test_silence_and_noise_have_no_notes(sound):
    assert len(heard(sound, RATE)) <= 1


def test_velocity_follows_loudness_and_dynamics_flattens_it():
    sound = np.concatenate([tune([60], level=level)[0] for level in (0.005, 0.03, 0.2)])
    loud = [n.velocity for n in heard(sound, RATE)]
    assert loud == sorted(loud)
    assert loud[2] - loud[0] > 0.3
    assert len({n.velocity for n in heard(sound, RATE, {"dynamics": 0.0})}) == 1
    assert 0.0 < velocity(-200.0, 1.0) < velocity(0.0, 1.0) == 1.0


def test_threshold_lowest_and_highest_leave_notes_out():
    sound = tune([48, 60, 72])[0]
    assert heard(sound * 0.02, RATE, {"threshold": -40.0}) == []
    assert [n.number for n in heard(sound, RATE, {"lowest": 55})][-2:] == [60, 72]
    assert 72 not in [n.number for n in heard(sound, RATE, {"highest": 65})]


def test_notes_are_left_alone_by_default_and_moved_into_a_key_when_asked():
    sound = tune([60, 61.3, 63, 66, 68])[0]
    assert [n.number for n in heard(sound, RATE)] == [60, 61, 63, 66, 68]
    for key, scale in (("C", {0, 2, 4, 5, 7, 9, 11}), ("E", {4, 6, 8, 9, 11, 1, 3})):
        assert {n.number % 12 for n in heard(sound, RATE, {"scale": "major", "key": key})} <= scale


@pytest.mark.parametrize(("grid", "beats"), [("1/4", 1.0), ("1/16", 0.25)])
def test_quantise_puts_notes_on_the_nearest_line(grid, beats):
    sound, starts = tune([60, 64, 67, 72], 0.43, 0.6)
    line = beats * 60 / 100 * RATE
    notes = heard(sound, RATE, {"quantise": grid, "bpm": 100.0})
    assert [n.number for n in notes] == [60, 64, 67, 72]
    for note, start in zip(notes, starts, strict=True):
        assert abs(note.start / line - round(note.start / line)) * line < 2
        assert abs(note.start - start) <= 0.5 * line + 0.025 * RATE
    plain, asked = Hum(), Hum()
    asked.settings["quantise"] = grid
    for processor in (plain, asked):
        processor.settings["mode"] = "yin"
        processor.prepare(StreamSpec(RATE, 256, 1))
    assert asked.latency - plain.latency == round(0.5 * beats * RATE)


def test_a_stopped_clock_moves_nothing():
    sound, starts = tune([60, 64], 0.43, 0.6)
    notes, latency = by_clock(np.concatenate([sound, np.zeros(RATE, np.float32)]), "1/4", 0.0)
    assert max(abs(on - latency - start) for (on, _), start in zip(notes, starts, strict=True)) < 0.02 * RATE


def test_every_note_is_ended_and_one_sounds_at_a_time():
    rng = np.random.default_rng(1)
    line = np.repeat(rng.integers(50, 80, 60), 4000).astype(float)
    for quantise in ("off", "1/8"):
        done = played(np.concatenate([voice(line), np.zeros(2 * RATE)]), {"quantise": quantise})[1]
        assert len(done.events) > 20
        assert [e.kind for e in done.events] == ["on", "off"] * (len(done.events) // 2)
        for on, off in zip(done.events[::2], done.events[1::2], strict=True):
            assert on.number == off.number
            assert off.offset > on.offset


def by_clock(sound, quantise, tempo):
    """Notes heard live beside a clock, which stands at tempo 0: frames from and to."""
    processor = Hum()
    cells = prepare_processor(processor, StreamSpec(RATE, 512, 1), {"mode": "yin", "quantise": quantise})
    cells.render(0, 512)
    events = []
    for at in range(0, len(sound) - 512, 512):
        time = BlockTime(at, at / RATE * tempo / 60.0 or 0.3, tempo or 120.0, playing=tempo > 0.0)
        io = IO([sound[None, at : at + 512]], [], cells, time, 512)
        processor.process(io)
        events += [(at + e.offset, e.kind) for e in io.events_out]
    assert [kind for _, kind in events] == ["on", "off"] * (len(events) // 2)
    return [(on, off) for (on, _), (off, _) in zip(events[::2], events[1::2], strict=True)], processor.latency


@pytest.mark.parametrize("quantise", ["1/4", "1/8"])
def test_of_notes_on_one_line_none_is_cut_to_a_click(quantise):
    rng = np.random.default_rng(1)
    line = np.repeat(rng.integers(50, 80, 60), 4000).astype(float)
    notes, _ = by_clock(np.concatenate([voice(line), np.zeros(2 * RATE, np.float32)]), quantise, 120.0)
    assert len(notes) >= 10
    assert min(off - on for on, off in notes) > 0.02 * RATE


def test_a_clock_too_slow_to_reach_its_lines_loses_no_note():
    sound, starts = tune([60, 64, 67, 72, 69, 65], 0.2, 0.1)
    notes, latency = by_clock(np.concatenate([sound, np.zeros(3 * RATE, np.float32)]), "1/4", 30.0)
    assert len(notes) == len(starts)
    late = [on - latency - start for (on, _), start in zip(notes, starts, strict=True)]
    assert max(map(abs, late[:-1])) < 0.55 * RATE, "half a line at 60 bpm"
    assert late[-1] == pytest.approx(2 * RATE, abs=0.02 * RATE), "its line is the one before's"


def test_channels_are_averaged_and_bad_samples_are_passed_over():
    sound, _ = tune([60, 64, 67])
    assert played(sound, channels=4)[1].events == played(sound)[1].events
    broken = sound.copy()
    broken[1000:1003] = [np.nan, np.inf, -np.inf]
    assert [n.number for n in heard(broken, RATE)] == [60, 64, 67]


def test_reset_ends_what_sounds_and_forgets_everything():
    sound, _ = tune([60, 64, 67])
    fresh = played(sound)[1].events
    processor, spec = Hum(), StreamSpec(RATE, 512, 1)
    processor.settings["mode"] = "yin"
    cut = np.concatenate([np.zeros(RATE // 2, np.float32), voice(np.full(RATE // 2, 65.0))])
    first = render(processor, spec, cut[None]).events
    assert [e.kind for e in first] == ["on"]
    processor.reset()
    cells = prepare_processor(Hum(), spec, {"mode": "yin"})
    cells.render(0, 512)
    io = IO([np.zeros((1, 512), np.float32)], [], cells, BlockTime(), 512)
    processor.process(io)
    assert [(e.kind, e.offset, e.number) for e in io.events_out] == [("off", 0, 65)]
    processor.reset()
    assert render(processor, spec, sound[None]).events == fresh


def test_notes_of_an_empty_and_a_short_sound():
    assert heard(np.zeros(0, np.float32), RATE) == []
    assert heard(voice(np.full(500, 60.0)), RATE) == []


def test_a_note_held_to_the_end_ends_with_the_sound():
    sound = np.concatenate([np.zeros(RATE // 2, np.float32), voice(np.full(RATE, 60.0))])
    (note,) = heard(sound, RATE)
    assert note.number == 60
    assert len(sound) - RATE // 20 < note.end <= len(sound)
