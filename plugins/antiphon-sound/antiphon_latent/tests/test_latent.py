"""The synth `latent` as the host runs it: rendered and measured."""

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose

from antiphon.api import Event, FileError, PluginError, StreamSpec, frequency
from antiphon.testing import render
from antiphon_latent.decoder import hz_of, load, pitch_of, place_of
from antiphon_latent.processor import Latent
from antiphon_latent.voices import VOICES
from antiphon_models.learning.user_commands import command

RATE = 48000
SPEC = StreamSpec(RATE, 256, 1)


def play(events, seconds, blocks=None, changes=(), **settings):
    """Notes to mono sound."""
    silence = np.zeros((1, round(seconds * RATE)), np.float32)
    return render(Latent(), SPEC, silence, settings, changes, blocks, events).audio[0][0]


def held(*numbers, seconds=0.5, velocity=0.8, channel=1):
    """A chord from the first sample on."""
    ons = [Event("on", 0, number, velocity, channel) for number in numbers]
    return [*ons, *(Event("off", round(seconds * RATE), number, 0.0, channel) for number in numbers)]


def partials(sound, hertz, count=20):
    """Levels of partials in the middle of a sound, dB."""
    part = sound[len(sound) // 4 : len(sound) // 2].astype(np.float64)
    window = np.hanning(len(part))
    turns = np.exp(-2j * np.pi * hertz / RATE * np.outer(np.arange(1, count + 1), np.arange(len(part))))
    return 20.0 * np.log10(np.abs(turns @ (part * window)) / window.sum() + 1e-9)


def rms(sound, first, last):
    part = sound[round(first * RATE) : round(last * RATE)]
    return 20.0 * np.log10(np.sqrt(np.mean(part.astype(np.float64) ** 2)) + 1e-9)


def test_it_plays_in_tune_and_at_the_level_of_the_other_synths():
    for number in (40, 60, 80):
        sound = play(held(number, seconds=0.6, velocity=80 / 127), 0.6)
        assert abs(1200 * np.log2(pitch_of(sound, RATE) / frequency(number))) < 10
        loudest = max(rms(sound, at, at + 0.05) for at in np.arange(0, 0.5, 0.05))
        assert -23.0 < loudest < -17.0
    assert not play([], 0.1).any()


def test_the_first_axis_brightens_a_note_while_it_sounds_without_a_click():
    moved = play(held(57, seconds=1.0), 1.0, changes=[(RATE // 2, "z1", 3.0)])
    before, after = partials(moved[: RATE // 2], hz_of(57)), partials(moved[RATE // 2 :], hz_of(57))
    assert (after - after[0])[5:15].mean() > (before - before[0])[5:15].mean() + 6.0
    # the bend of the wave where it moves is no greater than elsewhere in the bright part
    bend = np.abs(np.diff(moved, 3))
    assert bend[RATE // 2 - 600 : RATE // 2 + 2400].max() < 1.5 * bend[RATE // 2 + 4800 :].max()


def test_notes_begin_and_end_without_clicks_and_each_on_its_frame():
    sound = play([Event("on", 1001, 33, 1.0), Event("off", 20001, 33)], 1.8)
    assert not sound[:1001].any()
    assert sound[1001:1400].any()
    ends = np.abs(np.diff(sound)).max()
    assert np.abs(np.diff(sound[960:1100])).max() < 0.5 * ends
    assert rms(sound, 1.6, 1.8) < -100.0


def test_a_note_held_by_the_pedal_sounds_until_it_is_up():
    pedal = [Event("control", 0, 64, 1.0), *held(48, seconds=0.1)]
    up = Event("control", RATE // 2, 64, 0.0)
    sound = play([*pedal, up], 1.5, z3=2.0)
    assert rms(sound, 0.4, 0.5) > rms(sound, 1.3, 1.4) + 40.0
    assert rms(play(held(48, seconds=0.1), 1.5, z3=2.0), 0.4, 0.5) < rms(sound, 0.4, 0.5) - 6.0


def test_timbre_of_a_note_moves_its_first_axis_alone():
    both = [Event("on", 0, 45, 0.8, 1), Event("on", 0, 45, 0.8, 2)]
    plain, moved = (play([*both[:1], *extra], 0.5) for extra in ([], [Event("timbre", 0, 45, 1.0, 1)]))
    assert (partials(moved, hz_of(45)) - partials(plain, hz_of(45)))[6:16].mean() > 6.0
    other = play([*both[:1], Event("timbre", 0, 45, 1.0, 2)], 0.5)
    assert_allclose(other, plain, atol=1e-7)


def test_more_notes_than_voices_take_the_oldest_and_never_reach_full_scale():
    events = [Event("on", n * 400, 40 + n, 1.0) for n in range(20)]
    sound = play(events, 0.5, level=12.0)
    assert np.abs(sound).max() <= 1.0
    silence = np.zeros((1, RATE // 2), np.float32)
    reports = render(Latent(), SPEC, silence, {}, notes=events).reports
    assert (reports["sounding"], reports["dropped"]) == (VOICES, 0)


def test_like_finds_the_place_of_a_sound(tmp_path):
    wanted = {"z1": 1.0, "z4": 1.5}
    soundfile.write(tmp_path / "note.wav", play(held(57, seconds=3.0), 3.0, **wanted), RATE, "FLOAT")
    place, left = place_of(str(tmp_path / "note.wav"), load(""))
    assert left < 6.0
    assert abs(place[0] - 1.0) < 0.5
    like = play(held(57), 0.5, like=str(tmp_path / "note.wav"))
    exact, plain = play(held(57), 0.5, **wanted), play(held(57), 0.5)
    far, near = (np.abs(partials(x, hz_of(57)) - partials(exact, hz_of(57))).mean() for x in (plain, like))
    assert near < 0.5 * far


def test_a_silent_file_and_a_file_that_is_no_model_are_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(4800), RATE)
    with pytest.raises(FileError, match="is silent; give `like`"):
        play([], 0.1, like=str(tmp_path / "none.wav"))
    with pytest.raises(PluginError):
        play([], 0.1, notes=str(tmp_path / "none.safetensors"))


def test_notes_of_a_folder_are_learned_and_played(tmp_path):
    pytest.importorskip("torch")
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    t = np.arange(RATE) / RATE
    for number in (50, 55, 60, 65):
        # odd partials alone
        made = sum(np.sin(2 * np.pi * h * hz_of(number) * t) / h for h in (1, 3, 5, 7))
        soundfile.write(sounds / f"{number}.wav", 0.2 * made, RATE)
    common = ("--work", tmp_path / "work", "--out", tmp_path / "mine")
    command("train", "notes", sounds, "--steps", 90, *common)
    level = partials(play(held(57), 0.5, notes=str(tmp_path / "mine" / "notes.safetensors")), hz_of(57), 8)
    assert level[[0, 2, 4, 6]].mean() > level[[1, 3, 5, 7]].mean() + 10.0


def test_a_note_that_is_struck_twice_at_once_sounds_as_the_second():
    twice = [Event("on", 0, 60, 0.8), *held(60, seconds=0.4)]
    assert rms(play(twice, 0.4), 0.1, 0.4) == pytest.approx(rms(play(held(60, seconds=0.4), 0.4), 0.1, 0.4), abs=1.5)
