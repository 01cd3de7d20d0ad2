"""The noise floor: noise is found, music without any is passed as it is, and the mask is used as far as trusted."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from tests.each import each

from antiphon.api import F32
from antiphon_denoise import floor
from antiphon_denoise.bands import BINS, COUNT, centres, places
from antiphon_denoise.floor import (
    EXPERTS,
    MOST,
    ROWS_A_SECOND,
    STRETCH,
    FloorListener,
    describe,
    estimate_trust,
    hear,
    load_floor,
    rows_of,
)
from antiphon_denoise.gate.gains import denoise_apply_trust
from antiphon_denoise.learned import UNITS, file_mask
from antiphon_models.learning.user_commands import command

RATE = 44100
SECONDS = 5
RNG = np.random.default_rng(47)


@cache
def dense(seconds: float = SECONDS) -> F32:
    """Chords of driven saws, a kick and cymbals, limited, as loud masters are."""
    n = np.arange(round(seconds * RATE))
    sound = np.zeros(len(n))
    for beat in range(round(seconds * 4)):
        here = (n >= beat * RATE / 4) & (n < (beat + 1) * RATE / 4)
        t = (n[here] - n[here][0]) / RATE
        for step in (0, 7, 12, 16):
            hertz = 82.4 * 2 ** ((step + (0, 3, 5, 7)[beat // 4 % 4]) / 12)
            partials = [np.sin(2 * np.pi * hertz * n * t) / n for n in range(1, int(8000 / hertz))]
            sound[here] += 0.64 * np.sum(partials, 0) * np.exp(-2 * t)
        sound[here] += 2 * np.sin(2 * np.pi * 55 * t) * np.exp(-20 * t)
        sound[here] += RNG.standard_normal(len(t)) * np.exp(-25 * t)
    return np.tanh(2 * sound).astype(np.float32) * np.float32(0.9)


def tones() -> F32:
    """Notes of a tenth of a second with pauses."""
    n = np.arange(SECONDS * RATE)
    shape = np.exp(-8 * (n % (RATE // 2)) / RATE)
    return (0.3 * shape * np.sin(2 * np.pi * 440 * n / RATE)).astype(np.float32)


def hiss(decibels: float) -> F32:
    return (10 ** (decibels / 20) * RNG.standard_normal(SECONDS * RATE)).astype(np.float32)


def test_a_file_without_noise_is_passed_sample_for_sample_and_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.stack([dense(), tones()], 1), RATE, "FLOAT")
    for mode in ("learned", "wavelet"):
        said = command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", "-p", f"mode={mode}")
        assert np.array_equal(*(soundfile.read(tmp_path / name)[0] for name in ("in.wav", "out.wav")))
        assert said.endswith("-p floor=off denoises anyway\n")


def test_what_went_is_said_and_how_to_keep_more(tmp_path: Path) -> None:
    for decibels, end in ((-45, " dB in pauses\n"), (-12, "; to keep more of it: -p amount=0.5\n")):
        soundfile.write(tmp_path / "in.wav", tones() + hiss(decibels), RATE, "FLOAT")
        said = command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", "-p", "for=music")
        assert "took " in said
        assert said.endswith(end)


def test_in_steady_noise_the_mask_is_trusted_and_of_told_noise_nothing_is_asked(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", tones() + hiss(-30), RATE, "FLOAT")
    heard = hear(tmp_path / "in.wav", {"for": "music"}, ())
    assert not heard.as_it_is
    assert (heard.told.trust[10:] > 0.5).all()
    assert hear(tmp_path / "in.wav", {"causal": True}, ()).told is None
    assert hear(tmp_path / "in.wav", {}, ("learn",)).told.trust is None


def test_what_ends_after_half_a_file_is_no_floor(tmp_path: Path) -> None:
    """So pads of finished records do."""
    for end, as_it_is in ((1.0, False), (0.03, True)):
        shape = np.repeat(np.float32((1.0, end)), 2 * SECONDS * RATE)
        soundfile.write(tmp_path / "in.wav", np.tile(tones(), 4) + np.tile(hiss(-20), 4) * shape, RATE, "FLOAT")
        assert hear(tmp_path / "in.wav", {"for": "music"}, ()).as_it_is is as_it_is


def test_noise_after_near_silence_or_in_a_fade_is_a_floor(tmp_path: Path) -> None:
    """Near-silence as dither leaves, and a fade-out of all that sounds."""
    noisy, rng = np.tile(tones() + hiss(-30), 3)[: 12 * RATE], np.random.default_rng(3)
    dither = (1e-5 * rng.standard_normal(3 * RATE)).astype(np.float32)
    fade = np.interp(np.arange(12 * RATE), (8 * RATE, 12 * RATE), (1.0, 0.0)).astype(np.float32)
    for sound in (np.concatenate([dither, noisy]), noisy * fade):
        soundfile.write(tmp_path / "in.wav", sound, RATE, "FLOAT")
        assert not hear(tmp_path / "in.wav", {"for": "music"}, ()).as_it_is


def test_noise_that_ends_is_removed_from_told_speech(tmp_path: Path) -> None:
    shape = np.repeat(np.float32((1.0, 0.03)), SECONDS * RATE)
    soundfile.write(tmp_path / "in.wav", np.tile(tones(), 2) + np.tile(hiss(-20), 2) * shape, RATE, "FLOAT")
    for told, as_it_is in (("speech", False), ("music", True)):
        assert hear(tmp_path / "in.wav", {"for": told, "mode": "learned"}, ()).as_it_is is as_it_is


def test_noise_that_ends_with_the_band_goes_as_live(tmp_path: Path) -> None:
    """A file of 22.05 kHz is played at 48 kHz, with nothing above 11 kHz."""
    n = np.arange(SECONDS * RATE)
    sound = soxr.resample((tones() * (n > 2 * RATE) + hiss(-40)).astype(np.float32), RATE, 22050)
    soundfile.write(tmp_path / "in.wav", sound, 22050, "FLOAT")
    pauses = {}
    for name, more in (("file", ()), ("live", ("--causal",))):
        command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", "-p", "for=music", *more)
        pauses[name] = 10 * np.log10(np.mean(soundfile.read(tmp_path / "out.wav")[0][11025:33075] ** 2))
    assert pauses["file"] < min(pauses["live"] + 1.0, -65.0), pauses


SPOKEN = [
    (0.6, {"genre": "unknown", "content": "noise"}, True),
    (0.6, {}, True),
    (0.6, {"genre": "unknown", "content": "music", "content_sure": 0.3}, None),
    (0.2, {"genre": "unknown", "content": "voice", "content_sure": 0.6}, None),
    (0.2, {"genre": "folk", "content": "voice", "content_sure": 0.7}, False),
    (0.63, {"genre": "electronic", "content": "music", "content_sure": 0.9}, False),
    (0.63, {"genre": "electronic", "content": "music", "content_sure": 0.5}, None),
    (0.2, {"genre": "unknown", "content": "noise"}, None),
    (0.0, {"genre": "unknown", "content": "speech"}, True),
    (0.7, {"genre": "unknown", "content": "voice", "content_sure": 0.9}, None),
    (0.6, {"genre": "unknown", "content": "voice", "content_sure": 0.7}, True),
    (0.995, {"genre": "hip hop", "content": "music"}, True),
    (0.91, {"genre": "unknown", "content": "voice", "content_sure": 0.89}, None),
]


@each("found", SPOKEN)
def test_speech_is_spoken_by_a_classifier_or_by_its_syllables_and_not_sung(
    found: tuple[float, dict[str, Any], bool | None],
) -> None:
    given = {"character": {"speechiness": found[0]}, "genre": found[1]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(floor, "analyses", lambda: given)
        patch.setattr(floor, "analyse_file", lambda _, names: {names[0]: (1, given[names[0]], "")})
        assert floor._is_speech(Path("in.wav"), {}) is found[2]
        if found[0] < floor.MIN_SPEECHINESS:
            assert floor._is_speech(Path("in.wav"), {}, steady=False) is False
        if found[1].get("content") == "music" and found[1].get("content_sure", 0.0) >= floor.LIKELY_MUSIC:
            assert floor._is_speech(Path("in.wav"), {}, steady=False) is False  # a rap over its beat
        if found[1].get("content") == "music":  # loud noise, as rain, may be what is taken for music
            assert floor._is_speech(Path("in.wav"), {}, loud=True) in (True, None)


def test_stretches_of_a_long_file_are_heard_from_all_over_it_however_it_is_cut() -> None:
    weights, mask = load_floor(), file_mask.load()
    assert weights is not None
    assert mask is not None
    sound = np.resize(tones() + hiss(-30), (1, round(2.5 * MOST * STRETCH * 8000)))
    told = []
    for cut in (sound.shape[1], 70001):
        listener = FloorListener(weights, mask, 8000, sound.shape[1])
        for at in range(0, sound.shape[1], cut):
            listener.feed(sound[:, at : at + cut])
        listener.end()
        told.append(listener.trust)
    assert np.array_equal(*told)


def test_a_call_is_played_at_the_rate_of_the_networks_and_written_at_its_own(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", (tones() + hiss(-30))[:16001], 8000)
    command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "-p", "for=music")
    before, after = (soundfile.read(tmp_path / name) for name in ("in.wav", "out.wav"))
    assert (after[1], len(after[0])) == (8000, 16001)
    assert np.std(after[0][-600:]) < 0.2 * np.std(before[0][-600:])


def test_trust_is_cautious_where_networks_or_halves_disagree_and_confident_by_their_mean():
    logits = np.full((2, EXPERTS, COUNT), 2.0, np.float32)
    logits[1, 0, 7] = -6.0
    cautious, confident = estimate_trust(logits, np.ones((50, COUNT), np.float32))
    assert cautious[7] < 0.01 < 0.9 < cautious[8]
    assert confident[7] > 0.9


def test_of_what_is_taken_now_and_then_less_is_trusted_and_none_with_confidence():
    logits = np.zeros((2, EXPERTS, COUNT), np.float32)
    taken = np.full((50, COUNT), 1.0, np.float32)
    steady, confident = estimate_trust(logits, taken)
    taken[10:] = 1e-4
    barks, most = estimate_trust(logits, taken)
    assert np.all(barks < 0.5 * steady)
    assert np.array_equal(most, barks)
    assert np.all(steady < confident)


def test_of_certain_noise_more_is_trusted_than_of_doubtful():
    """A hiss at the level of the tones, and one far below them."""
    weights, mask = load_floor(), file_mask.load()
    assert weights is not None
    assert mask is not None
    trusts = []
    for decibels in (-20, -60):
        listener = FloorListener(weights, mask, RATE, None)
        listener.feed((tones() + hiss(decibels))[None])
        listener.end()
        cautious, confident = listener._band_trusts
        certain = listener.removable_noise >= floor.MIN_NOISE_DB + floor.CERTAIN_DB
        trusts.append((certain, np.array_equal(listener.trust, np.float32(confident if certain else cautious))))
    assert trusts == [(True, True), (False, True)]


def test_so_much_of_a_reduction_is_applied_as_is_trusted() -> None:
    trust, gain = np.linspace(0, 1, COUNT, dtype=np.float32), np.full(BINS, 0.25, np.float32)
    denoise_apply_trust(gain, BINS, *places(BINS), trust)
    assert gain[centres().astype(int)] == pytest.approx(1 - 0.75 * trust, abs=1e-6)


def test_features_tell_noise_that_is_taken_from_a_voice() -> None:
    """By numpy: of a band that is taken in every other row, as the one beside it is left."""
    log, gain = (
        np.full((5 * 2 * ROWS_A_SECOND, UNITS), -4.0, np.float32),
        np.full((5 * 2 * ROWS_A_SECOND, UNITS), 0.5, np.float32),
    )
    log[(np.arange(len(log)) // 5) % 2 == 0] = -2.0
    found = describe(rows_of(log, gain))[20]
    mean = 10 * np.log10((np.exp(-2) + np.exp(-4)) / 2)
    assert found[:2] == pytest.approx(np.log10(0.25 + 1e-4), abs=1e-3)
    assert found[2] == pytest.approx((-40 / np.log(10) - mean) / 8, abs=1e-3)
    assert found[13] == pytest.approx(1.0, abs=1e-3)
    assert found[17] == pytest.approx(20 / np.log(10) / 4, abs=1e-3)
