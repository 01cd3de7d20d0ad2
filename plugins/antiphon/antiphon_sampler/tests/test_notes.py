"""Where notes begin and end, and what they sound like."""

import numpy as np
import pytest
from tests.each import each

from antiphon.api import Event, StreamSpec
from antiphon_sampler.tests.conftest import RATE, burst, on, sine, write
from antiphon_sampler.tests.test_values import played


def off(at, note=36, channel=1):
    return Event("off", at, note, 0.0, channel)


CROWD = [
    *(on(k * 331, 36 + k % 12, 0.2 + 0.05 * (k % 16)) for k in range(40)),
    Event("bend", 5000, 0, 0.7),
    Event("bend", 9000, 0, -0.3),
    off(7001, 46),
]
TURNED = [(3000, "speed", 1.37), (6000, "speed", -0.61), (9000, "level", -6.0), (8000, "begin", 0.2)]
MOTION = {"decay": 0.1, "sustainlevel": 0.5, "lpf": 800.0, "lpenv": 3.0, "penv": 7.0, "vib": 6.0, "fm": 1.5}


def whole(sound):
    """What is left of a sample at full length: its last 2 ms fade."""
    return sound.shape[1] - round(0.002 * RATE)


def test_a_note_begins_on_its_frame_and_is_the_file_bit_for_bit(play):
    x = burst(1)
    for at in (0, 1, 255, 256, 1000):
        out = play([on(at)], 4000).audio[0]
        assert not out[:, :at].any()
        n = whole(x)
        np.testing.assert_array_equal(out[:, at : at + n], np.tile(x[:, :n], (2, 1)))
        assert not out[:, at + x.shape[1] :].any()


@each("blocks", [[64], [1, 7, 100, 256]])
@each(
    "notes, frames, values",
    [
        (CROWD, 16000, {"events": TURNED, "gate": True, "cut": 0, "attack": 0.001, "release": 0.01}),
        ([on(777), off(90000)], 100000, {"s": "four", "beats": 3.7, "stretch": "onsets", "loop": True}),
        ([*played(33, s="tone", note=60, **MOTION)], 9000, {"pads": "named"}),
        ([*played(33, s="supersaw", note=57, lasts=9.0, fm=0.5)], 2 * RATE, {"library": "", "pads": "named"}),
    ],
)
def test_any_blocks_give_the_same_samples(play, blocks, notes, frames, values):
    one = play(notes, frames, **values).audio[0]
    assert np.abs(one).max() > 0.05
    np.testing.assert_array_equal(play(notes, frames, blocks=blocks, **values).audio[0], one)


def test_speed_moves_the_pitch_and_backwards_is_reversed(play):
    tone = play([on(100)], 30000, s="tone", speed=1.5).audio[0]
    spectrum = np.abs(np.fft.rfft(tone[0, 5000:25000] * np.hanning(20000)))
    assert abs(np.argmax(spectrum) * RATE / 20000 - 750.0) < 2.5
    x = burst(1)
    back = play([on(0)], 3000, speed=-1.0).audio[0]
    n = whole(x)
    np.testing.assert_array_equal(back[0, :n], x[0, ::-1][:n])


@each("base", [36, 41, 1])
def test_the_base_is_the_note_of_the_first_pad(play, base):
    values = {} if base == 36 else {"base": base}
    for step in range(2):
        out = play([on(0, base + step)], 3000, s="bd", pads="index", **values).audio[0]
        x = burst(1 + step)
        np.testing.assert_array_equal(out[0, : whole(x)], x[0, : whole(x)])


@each("speed", [0.813, 3.3])
def test_interpolation_adds_little(play, speed):
    out = play([on(0)], 14000, s="tone", speed=speed).audio[0][0, 1000:11000].astype(np.float64)
    t = 2 * np.pi * 500.0 * speed * np.arange(10000) / RATE
    basis = np.stack([np.sin(t), np.cos(t)])
    rest = out - basis.T @ np.linalg.lstsq(basis.T, out, rcond=None)[0]
    assert 20 * np.log10(np.std(rest) / np.std(out)) < -80.0


def test_faster_playing_does_not_fold(play, library):
    """A tone at 15 kHz, played at four times its speed, would fold to 12 kHz."""
    write(library.parent / "high" / "x" / "0.wav", sine(RATE, 15000.0))
    values = {"library": str(library.parent / "high"), "speed": 4.0}
    folded = play([on(0)], 10000, **values).audio[0][0, 500:9500]
    assert 20 * np.log10(np.std(folded) / np.std(sine(9000, 1000.0))) < -50.0


def test_a_file_of_another_rate_keeps_its_pitch(play):
    out = play([on(0)], 40000, s="slow").audio[0][0, 4000:36000]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    assert abs(np.argmax(spectrum) * RATE / len(out) - 1000.0) < 1.5


def test_begin_and_end_play_a_part_without_clicks(play):
    out = play([on(100)], 40000, s="tone", begin=0.2505, end=0.75).audio[0]
    inside = np.flatnonzero(np.abs(out[0]) > 1e-6)
    assert inside[0] == 100
    assert abs(inside[-1] - 100 - 0.4995 * RATE) < 5
    # the left side is a sine of 500 Hz at 0.5, which moves by at most 0.033 a frame; it begins at its peak
    assert np.abs(np.diff(out[0])).max() < 0.034


def test_attack_and_release_shape_it(play):
    out = np.abs(play([on(0)], 50000, s="tone", attack=0.1, release=0.2).audio[0][0])
    level = [out[round(at * RATE) - 60 : round(at * RATE) + 60].max() for at in (0.05, 0.5, 0.9)]
    assert level[0] == pytest.approx(0.25, abs=0.01)
    assert level[1] == pytest.approx(0.5, abs=0.005)
    assert level[2] == pytest.approx(0.25, abs=0.01)


def test_stereo_files_stay_stereo_and_one_channel_is_their_mean(play):
    stereo = play([on(0)], 20000, s="tone").audio[0]
    assert not np.array_equal(stereo[0], stereo[1])
    mono = play([on(0)], 20000, s="tone", spec=StreamSpec(RATE, 256, 1)).audio[0]
    np.testing.assert_allclose(mono[0], stereo.mean(axis=0), atol=1e-7)


def test_pan_is_of_equal_power_and_gain_a_factor(play):
    middle, left, quarter = (play([on(0)], 2500, pan=p).audio[0] for p in (0.5, 0.0, 0.25))
    assert not left[1].any()
    np.testing.assert_allclose(left[0], middle[0] * np.sqrt(2), rtol=1e-5, atol=1e-7)
    assert np.sum(quarter**2) == pytest.approx(np.sum(middle**2), rel=1e-4)
    np.testing.assert_allclose(play([on(0)], 2500, gain=0.25).audio[0], middle * 0.25, atol=1e-7)


def test_velocity_is_level_and_layers_are_chosen_by_it(play):
    loud, soft = (play([on(0, 38, v)], 2500).audio[0] for v in (1.0, 0.4))
    np.testing.assert_allclose(loud[0, :1900], burst(5)[0, :1900], atol=1e-7)
    np.testing.assert_allclose(soft[0, :1900], burst(4)[0, :1900] * 0.16, atol=1e-6)
    flat = play([on(0, 38, 0.4)], 2500, sensitivity=0.0).audio[0]
    np.testing.assert_allclose(flat[0, :1900], burst(4)[0, :1900], atol=1e-6)


def test_a_cut_group_and_the_hats_end_one_another_without_a_click(play):
    ringing = play([on(0, 46)], 20000).audio[0]
    choked = play([on(0, 46), on(9600, 42)], 20000).audio[0]
    alone = play([on(9600, 42)], 20000).audio[0]
    rest = (choked - alone)[0]
    np.testing.assert_allclose(rest[:9600], ringing[0, :9600], atol=1e-7)
    assert not rest[9600 + round(0.003 * RATE) + 1 :].any()
    assert np.abs(np.diff(rest[9500:9800])).max() < 0.07
    group = play([on(0, 46), on(9600, 38)], 20000, cut=3).audio[0]
    assert not (group - play([on(9600, 38)], 20000).audio[0])[0, 9800:].any()


def test_a_note_off_ends_only_where_the_gate_is_on(play):
    open_, gated = (play([on(0, 46), off(10000, 46)], 30000, gate=g, release=0.05).audio[0] for g in (False, True))
    assert np.abs(open_[0, 20000:29000]).max() > 0.4
    assert not gated[0, 10000 + round(0.05 * RATE) + 1 :].any()
    assert np.abs(gated[0, 10500:11000]).max() > 0.2


def test_the_oldest_of_too_many_voices_fades_and_nothing_is_lost(play):
    notes = [on(k * 100, 46) for k in range(80)]
    got = play(notes, 20000, s="oh")
    assert got.reports["dropped"] == got.reports["missed"] == 0
    assert got.reports["sounding"] == 64
    two = play([on(0, 46), on(1000, 36), on(2000, 38)], 20000, voices=2)
    fading = two.audio[0] - play([on(1000, 36)], 20000).audio[0] - play([on(2000, 38)], 20000).audio[0]
    assert np.abs(fading[:, 2000 + round(0.003 * RATE) + 1 :]).max() < 1e-6
    assert np.abs(np.diff(fading[0, 1900:2200])).max() < 0.07


def test_a_thousand_starts_a_second_are_all_on_their_frames(play):
    at = sorted(np.random.default_rng(3).choice(RATE, 1000, replace=False).tolist())
    # its first frame is 0.9, and 2 frames are played: the beginnings stand out
    got = play([on(n, 36) for n in at], RATE, end=0.0005, sensitivity=0.0)
    assert got.reports["dropped"] == got.reports["missed"] == 0
    one = play([on(0, 36)], 100, end=0.0005).audio[0][0, :4]
    wanted = np.zeros(RATE + 4)
    for n in at:
        wanted[n : n + 4] += one
    np.testing.assert_allclose(got.audio[0][0], wanted[:RATE], atol=1e-6)


def peaks(x, count):
    """Hz of the strongest partials, in order."""
    size = 1 << 18
    level = np.abs(np.fft.rfft(x * np.hanning(len(x)), size))
    tops = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:])) + 1
    return sorted(tops[np.argsort(level[tops])[-count:]] * RATE / size)


def test_two_notes_of_one_channel_are_bent_apart(play):
    settings = {"s": "tone", "pads": "pitch", "base": 60}
    notes = [
        Event("pitch", 0, 60, 0.3),
        on(0, 60),
        on(0, 67),
        Event("pitch", 12000, 67, -0.45),
        Event("pitch", 12000, 60, 0.0),
    ]
    x = play(notes, 24000, **settings).audio[0][0]

    def cents(hertz, wanted):
        return 1200 * np.log2(hertz / wanted)

    fifth = 500.0 * 2 ** (7 / 12)
    for part, lower, upper in ((x[1000:11000], 30, 0), (x[13000:23000], 0, -45)):
        low, high = peaks(part, 2)
        assert cents(low, 500.0) == pytest.approx(lower, abs=2.0)
        assert cents(high, fifth) == pytest.approx(upper, abs=2.0)


def test_a_bend_of_the_channel_and_a_notes_own_pitch_add_up(play):
    settings = {"s": "tone", "pads": "pitch", "base": 60}
    notes = [Event("bend", 0, 0, 0.5), Event("pitch", 0, 60, 1.0), on(0, 60), Event("bend", 12000, 0, -1.0)]
    notes += [Event("pitch", 24000, 60, -3.0)]
    x = play(notes, 36000, **settings).audio[0][0]
    for part, semitones in ((x[1000:11000], 2.0), (x[13000:23000], -1.0), (x[25000:35000], -5.0)):
        assert 12 * np.log2(peaks(part, 1)[0] / 500.0) == pytest.approx(semitones, abs=0.02)


@each("blocks", [None, [1, 7, 100]])
def test_pressure_is_up_to_6_db_in_a_straight_line(play, blocks):
    plain = play([on(0, 60)], 20000, s="tone").audio[0]
    pressed = play([on(0, 60), Event("pressure", 9001, 60, 1.0)], 20000, blocks=blocks, s="tone").audio[0]
    np.testing.assert_array_equal(pressed[:, :9001], plain[:, :9001])
    np.testing.assert_allclose(pressed[:, 9500:], 2.0 * plain[:, 9500:], atol=1e-6)
    assert np.abs(np.diff(pressed[0, 8900:9500])).max() < 2.5 * np.abs(np.diff(plain[0])).max()
    loud = play([Event("pressure", 0, 60, 1.0), on(0, 60)], 20000, s="tone").audio[0]
    np.testing.assert_allclose(loud, 2.0 * plain, atol=1e-6)


def test_a_channel_has_a_volume(play):
    """Controller 7, 40 log10 of its value in dB, of the notes that follow on its channel."""
    plain = play([on(0)], 3000).audio[0]
    half = play([Event("control", 0, 7, 0.5), on(0)], 3000).audio[0]
    other = play([Event("control", 0, 7, 0.5, 2), on(0)], 3000).audio[0]
    np.testing.assert_allclose(half, 0.25 * plain, atol=1e-6)
    np.testing.assert_array_equal(other, plain)
