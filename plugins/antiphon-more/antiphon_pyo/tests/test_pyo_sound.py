"""What is heard: pitch, level, brightness, decay, stealing without clicks, drums, determinism, memory."""

import gc
from pathlib import Path

import pytest

from antiphon.testing import centroid, level as rms, loudest
from antiphon_pyo.instruments import load

pytest.importorskip("pyo")

import numpy as np

from antiphon.api import AntiphonError
from antiphon.api.backends.synths import INSTRUMENTS, SynthSettings
from antiphon_pyo import instruments
from antiphon_pyo.backend import Pyo
from antiphon_pyo.tests.playing import RATE, cents, control, differs, off, on, play, roughness, run, synth

MELODIC = tuple(name for name in INSTRUMENTS if name != "drums")


@pytest.mark.parametrize("instrument", MELODIC)
def test_notes_are_in_tune(instrument: str) -> None:
    for note in (34, 41, 48, 55) if instrument == "bass" else (40, 57, 73, 84):
        y = play([(0, on(note))], 1.6, instrument)[:, 9600:]
        assert abs(cents(y, note)) <= 5.0, note


@pytest.mark.parametrize("rate", [44100, 96000])
def test_the_stream_s_rate_changes_no_pitch(rate: int) -> None:
    for instrument in ("piano", "pluck"):
        y = play([(0, on(60))], 1.0, instrument, 256, rate)
        assert abs(cents(y[:, rate // 5 :], 60, rate)) <= 5.0


@pytest.mark.parametrize("instrument", MELODIC)
def test_velocity_is_level_and_brightness(instrument: str) -> None:
    soft, middle, loud = (play([(0, on(60, v))], 1.0, instrument) for v in (0.2, 0.63, 1.0))
    assert loudest(soft) + 10 < loudest(middle) < loudest(loud) - 3
    assert -23 < loudest(middle) < -15
    assert centroid(soft) * 1.1 < centroid(middle) < centroid(loud)


def test_ten_notes_do_not_clip() -> None:
    chord = [(n * 300, on(note, 1.0)) for n, note in enumerate((36, 43, 48, 52, 55, 60, 64, 67, 72, 76))]
    for instrument in MELODIC:
        assert np.abs(play(chord, 1.0, instrument)).max() <= 1.0
    middle = [(at, on(e.number, 0.63)) for at, e in chord]
    assert np.abs(play(middle, 1.0, "piano")).max() < 0.95


@pytest.mark.parametrize("instrument", MELODIC)
def test_a_release_ends_in_silence_without_a_click(instrument: str) -> None:
    y = play([(0, on(60, 0.8)), (RATE // 2 + 7, off(60))], 2.2, instrument)
    assert np.abs(y[:, -RATE // 5 :]).max() == 0.0
    last = RATE // 2 + 7 + round(0.9 * instruments.INSTRUMENTS[instrument].release * RATE)
    assert np.abs(y[:, last:]).max() < 1e-3 * np.abs(y).max(), "it falls by the fourth power of what is left"
    rough = roughness(y)
    assert rough[RATE // 2 :].max() <= 1.3 * rough[RATE // 5 : RATE // 2].max()


@pytest.mark.parametrize("instrument", ["pad", "strings", "bass"])
def test_stealing_makes_no_click(instrument: str) -> None:
    """A low note at its loudest is taken for another: nothing stands out of its second difference there."""
    at = RATE // 2 + 77
    alone = play([(0, on(33))], 0.7, instrument)
    stolen = play([(0, on(33)), (at, on(38, 0.05))], 0.7, instrument, voices=1)
    assert rms(stolen[:, at + 600 :]) < rms(alone[:, at + 600 :]) - 12
    usual = roughness(alone)[at - 4800 : at + 4800].max()
    assert roughness(stolen)[at - 100 : at + 600].max() <= 2.0 * usual


def test_the_limit_takes_the_released_first_then_the_oldest() -> None:
    backend = synth(256)
    backend.open(0, SynthSettings("pad", voices=3))
    run(backend, [(0, on(50)), (300, on(57)), (600, on(64)), (1000, off(57)), (2000, on(70))], 0.1, 256)
    voices = backend._racks[0].voices
    assert {note for _, note in voices._held} == {50, 64, 70}
    run(backend, [(0, on(75))], 0.02, 256)
    assert {note for _, note in voices._held} == {64, 70, 75}
    assert voices.sounding == 3


def test_a_flood_of_notes_is_bounded_and_counted() -> None:
    backend = synth(256)
    backend.open(0, SynthSettings("piano"))
    before = backend.drop_count
    y = run(backend, [(n, on(20 + n % 100, 0.5, 1 + n // 100)) for n in range(250)], 0.2, 256)
    assert backend.drop_count - before == 250 - 48
    assert backend._racks[0].voices.sounding <= 32
    assert np.isfinite(y).all()
    run(backend, [(n, control(123, 0.0, n + 1)) for n in range(16)], 1.5, 256)
    assert backend._racks[0].voices.sounding == 0
    assert len(backend._racks[0].voices._free) == 48


def test_a_note_struck_again_is_not_two_notes() -> None:
    once = play([(12000, on(60, 0.7))], 0.8)
    twice = play([(0, on(60, 0.7)), (12000, on(60, 0.7))], 0.8)
    assert rms(twice[:, 16000:] - once[:, 16000:]) < -120
    over = play([(0, on(60)), (6000, on(60)), (12000, off(60))], 1.0)
    assert np.abs(over[:, -4800:]).max() == 0.0  # one note off ends it


def test_drums_play_out_and_hats_choke() -> None:
    struck = play([(0, on(38, 0.8))], 0.5, "drums")
    assert differs(struck, play([(0, on(38, 0.8)), (500, off(38))], 0.5, "drums")) == -1
    opened = play([(0, on(46, 0.8))], 0.8, "drums")
    choked = play([(0, on(46, 0.8)), (9600, on(42, 0.1))], 0.8, "drums")
    assert rms(choked[:, 24000:]) < rms(opened[:, 24000:]) - 15
    for note in range(35, 60):
        assert loudest(play([(0, on(note, 0.8))], 0.1, "drums")) > -45, note


def test_controls_are_heard() -> None:
    plain = play([(0, on(60))], 0.6, "pad")
    soft = play([(0, control(11, 0.5)), (0, on(60))], 0.6, "pad")
    assert rms(soft[:, 4800:]) == pytest.approx(rms(plain[:, 4800:]) - 12.04, abs=0.1)
    cut = play([(0, on(60)), (12000, control(120, 0.0))], 0.6, "pad")
    assert np.abs(cut[:, 12000 + 600 :]).max() == 0.0


def test_slots_do_not_hear_each_other() -> None:
    backend = Pyo(RATE, 256, 2)
    for slot, instrument in ((0, "piano"), (1, "pluck")):
        backend.open(slot, SynthSettings(instrument))
    out = np.full((2, 2, 256), 7.0, np.float32)
    backend.play(0, 0, [on(60)])
    backend.render(out, np.array([True, False]))
    assert np.abs(out[0]).max() > 1e-4
    assert (out[1] == 7.0).all()  # an idle slot is let alone
    backend.render(out, np.array([True, True]))
    assert np.abs(out[1]).max() == 0.0
    backend.close(0)
    backend.open(0, SynthSettings("piano"))
    backend.render(out, np.array([True, True]))
    assert np.abs(out).max() == 0.0


def test_nothing_grows_while_it_plays() -> None:
    backend = synth(64)
    backend.open(0, SynthSettings("piano"))
    score = [(n * 400, on(40 + n % 40, 0.5)) for n in range(60)]
    run(backend, score, 0.5, 64)
    gc.collect()
    gc.disable()
    try:
        resident, objects = [_resident()], len(gc.get_objects())
        for _ in range(6):
            run(backend, score, 0.5, 64)
            resident.append(_resident())
        more = len(gc.get_objects()) - objects
    finally:
        gc.enable()
    # the median: the allocator takes a few MB at once now and then; what grows does so in every round
    assert np.median(np.diff(resident)) < 1 << 16
    assert more < 100


def test_what_cannot_be_played_is_said() -> None:
    with pytest.raises(AntiphonError, match="plays no 'kazoo'; it plays piano"):
        synth(256).open(0, SynthSettings("kazoo"))
    with pytest.raises(AntiphonError, match="1 to 32 nodes, not 99"):
        Pyo(RATE, 256, 99)


def test_samples_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(AntiphonError, match=r"the samples of piano in .* cannot be read"):
        list(load("piano", tmp_path))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
