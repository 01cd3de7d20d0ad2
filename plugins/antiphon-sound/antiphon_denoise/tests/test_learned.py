"""The learned modes as files play them: through a worker in lockstep, measured on the sound that comes out."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import F32, UsageError
from antiphon.cli.files import reports
from antiphon.kernel.runtime import resources
from antiphon.kernel.workers import devices
from antiphon.networks import model_client
from antiphon.operations import run_file
from antiphon.operations.requests import Reporting
from antiphon.testing import level
from antiphon_denoise import processor
from antiphon_denoise.gate import network
from antiphon_denoise.learned.file_confidence import SteadyNoise
from antiphon_denoise.learned.file_mask import FileMask
from antiphon_denoise.processor import MODELS
from antiphon_denoise.tests import sounds
from antiphon_denoise.tests.running import prepared, run, through as plainly
from antiphon_models.denoise.evaluation import si_sdr
from antiphon_models.learning.user_commands import command

pytestmark = pytest.mark.slow

RATE = 48000
SECONDS = 2.0
"""Length of `song`."""
Play = Callable[..., F32]


@pytest.fixture(scope="module", autouse=True)
def whatever_their_floor() -> Iterator[None]:
    """Files are played whatever their noise floor: what the networks do of them is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("antiphon_denoise.floor.load_floor", lambda: None)
        yield


def through(sound, mode="learned", **how):
    return plainly(sound, mode, **how)


def hummed(frames: int) -> F32:
    t = np.arange(frames) / RATE
    return sum(np.sin(2 * np.pi * 50.07 * h * t + h) / h for h in range(1, 10))


def test_the_length_of_blocks_changes_latency_and_nothing_else():
    sound = sounds.melody(RATE, 0.5)[None] + sounds.white(RATE // 2, 0.02)
    short, long = (through(sound, block=block) for block in (64, 2048))
    assert level(short) > -40.0
    assert np.abs(short - long).max() < 1e-5


@each("rate", [44100, 96000])
def test_what_is_kept_stays_in_time_and_in_place(rate):
    left = sounds.voice(rate, 1.5)
    noise = sounds.white(len(left), 0.003)[0]
    made = through(np.stack([left + noise, 0.5 * (left + noise)]), rate=rate)
    lags = np.arange(-20, 21)
    part = slice(rate // 2, len(left) - rate // 4)
    alike = [float(made[0, part.start + lag : part.stop + lag] @ left[part]) for lag in lags]
    assert lags[int(np.argmax(alike))] == 0
    assert np.abs(made[1] - 0.5 * made[0]).max() < 1e-6


PAUSE = np.zeros(RATE, np.float32)
CLEAN = np.concatenate([PAUSE, sounds.voice(RATE, 1.5), PAUSE, sounds.voice(RATE, 1.5, 1), PAUSE])
"""Voice, a pause, voice, a pause."""
NOISE = sounds.white(len(CLEAN), 0.005)[0]
"""25 dB below."""
GAPS = [slice(int(RATE * (end + 0.25)), int(RATE * (end + 0.95))) for end in (2.5, 5.0)]
"""Where it pauses, from a quarter second on."""


@cache
def taken(loudness: float = 1.0) -> F32:
    return through((CLEAN + loudness * NOISE)[None])[0]


def test_low_latency_removes_nearly_as_much():
    noisy = CLEAN + 4.0 * NOISE
    low = through(noisy[None], latency="low")[0]
    assert all(level(4.0 * NOISE[gap]) - level(low[gap]) > 15.0 for gap in GAPS)
    assert si_sdr(noisy, CLEAN) + 2.0 < si_sdr(low, CLEAN) < si_sdr(taken(4.0), CLEAN)


def test_noise_goes_in_pauses_and_the_voice_stays():
    assert si_sdr(taken(), CLEAN) > si_sdr(CLEAN + NOISE, CLEAN) + 2.0
    voiced = slice(RATE, int(2.5 * RATE))
    assert abs(level(taken()[voiced]) - level(CLEAN[voiced])) < 1.0


def test_hiss_is_gone_between_words_from_the_first_second_on():
    """25 and 13 dB below the voice, and before its first word too: there is no hiss that comes in with it."""
    wide = np.stack([NOISE, np.roll(NOISE, 4000)])
    for hiss, made in ((wide, through(CLEAN + wide)), (4.0 * NOISE, taken(4.0))):
        for gap in (slice(RATE * 3 // 4, RATE * 19 // 20), *GAPS):
            assert level(hiss[..., gap]) - level(made[..., gap]) > 20.0


def test_amount_takes_as_much_as_it_says():
    half = through((CLEAN + NOISE)[None, : 4 * RATE], amount=0.5)[0]
    # half of what is taken: 6 dB less noise and no more
    assert level(NOISE[GAPS[0]]) - level(half[GAPS[0]]) == pytest.approx(6.0, abs=1.0)
    assert level(taken()[GAPS[0]]) < level(half[GAPS[0]]) - 6.0


def test_learning_the_noise_makes_surer():
    """Beating noise: unasked it may be music, learned it goes."""
    lead = RATE // 2
    clean = np.concatenate([np.zeros(lead, np.float32), sounds.melody(RATE, 2.0)])
    t = np.arange(len(clean)) / RATE
    noisy = clean + sounds.white(len(clean), 0.06)[0] * (1.0 + np.sin(2 * np.pi * 3 * t)).astype(np.float32)

    def gain(changes):
        made = through(noisy[None], changes=changes)[0]
        return si_sdr(made[lead:], clean[lead:]) - si_sdr(noisy[lead:], clean[lead:])

    assert gain([(lead, "learn", True)]) > max(gain([]) + 0.3, 4.0)


def as_file(sound, mode="learned", block=512, preroll=5.0):
    """The sound as `antiphon run` plays it: its beginning first."""
    made, spec = prepared(mode, block=block, channels=len(sound))
    padded = np.concatenate([sound, np.zeros((len(sound), made.latency), np.float32)], axis=1)
    try:
        run(made, sound[:, : round(preroll * RATE)], spec)
        made.rewind()
        return run(made, padded, spec)[:, made.latency :]
    finally:
        made.close()


@each("mode, more", [("learned", 0.5), ("gate", 2.0)])
def test_in_a_file_more_noise_goes_from_under_the_first_words(mode, more):
    """dB of the first two seconds, which begin with a word."""
    noisy, first = (CLEAN + 4.0 * NOISE)[None, RATE : 4 * RATE], slice(0, 2 * RATE)
    live, file = (made(noisy, mode)[0, first] for made in (through, as_file))
    assert si_sdr(file, CLEAN[RATE:][first]) > si_sdr(live, CLEAN[RATE:][first]) + more


def test_in_a_file_mains_hum_is_gone_from_the_beginning():
    clean, first = sounds.voice(RATE, 2.5), slice(0, RATE // 2)
    hum = hummed(len(clean))
    noisy = (clean + (hum / hum.std() * clean.std() / 10**0.5).astype(np.float32))[None]
    live, file = (si_sdr(made(noisy)[0, first], clean[first]) for made in (through, as_file))
    assert file > live + 4.0


def test_a_file_s_preroll_may_be_split_into_any_blocks_and_left_out():
    sound = sounds.melody(RATE, 0.7)[None] + sounds.white(int(RATE * 0.7), 0.02)
    short, long = (as_file(sound, block=block, preroll=0.3) for block in (500, 2048))
    live = through(sound)
    assert np.abs(short - long).max() < 1e-5
    assert np.abs(short - live).max() > 1e-3
    assert np.array_equal(as_file(sound, preroll=0.0), live)


def test_without_answers_it_is_the_gate_on_the_same_grid():
    """No pool at all: every hop goes by the gate's gain, with the learned mode's latency."""
    clean = sounds.melody(RATE, 2.0)
    noisy = clean[None] + sounds.white(2 * RATE, 0.02)
    with devices.without_workers():
        alone, other = through(noisy), through(noisy, "autoencoder")
    assert np.array_equal(alone, other)
    assert not np.allclose(alone, through(noisy), atol=1e-3)
    assert si_sdr(alone[0], clean) > si_sdr(noisy[0], clean)


@pytest.mark.parametrize("mode", MODELS)
def test_an_empty_models_folder_is_said_once_and_played_as_the_gate(mode, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(resources, "models", lambda: tmp_path)
    monkeypatch.setattr(model_client, "_LOGGED_FALLBACKS", set())
    network.load_weights.cache_clear()
    clean = sounds.melody(RATE, 1.0)[None]
    noisy = clean + sounds.white(RATE, 0.02)
    try:
        with caplog.at_level(logging.WARNING, "antiphon.denoise"):
            gate = through(noisy, "gate")
            assert "a fixed rule" in caplog.text
            assert si_sdr(gate[0], clean[0]) > si_sdr(noisy[0], clean[0]) - 1.0, "a plain, careful gate"
            caplog.clear()
            made = through(noisy, mode)
            through(noisy, mode)
    finally:
        network.load_weights.cache_clear()
    assert np.array_equal(made, gate)
    said = [record.message for record in caplog.records if f"no mode {mode}" in record.message]
    assert len(said) == 1
    assert "no model is installed" in said[0]


def player(folder: Path, sound: F32) -> Play:
    """Plays a file of this sound by the command with these words."""
    soundfile.write(folder / "in.wav", sound, RATE, "FLOAT")

    def played(*words: str) -> F32:
        command("run", "denoise", folder / "in.wav", folder / "out.wav", "--force", "--fade", "0", *words)
        return soundfile.read(folder / "out.wav", dtype="float32")[0]

    return played


def test_the_command_looks_ahead_in_a_file_and_causal_does_not(tmp_path, monkeypatch):
    clean, noise = (sound[RATE // 2 : 5 * RATE // 2] for sound in (CLEAN, NOISE))
    first = slice(RATE // 2, 2 * RATE)
    done = player(tmp_path, (clean + 4.0 * noise + 0.05 * hummed(len(clean))).astype(np.float32))
    file, small, live = done(), done("--block", "128"), done("--causal")
    assert len(file) == len(clean)
    assert np.abs(file - small).max() < 1e-5
    assert si_sdr(file[first], clean[first]) > si_sdr(live[first], clean[first]) + 0.6
    assert level(live[: RATE // 10]) - level(file[: RATE // 10]) > 4.0
    np.testing.assert_array_equal(live, done("-p", "causal=1"))
    monkeypatch.setattr(run_file, "MAX_LOOK_AHEAD_SECONDS", 1.0)
    said: list[str] = []
    monkeypatch.setattr(reports, "TERMINAL", Reporting(said.append))
    np.testing.assert_array_equal(live, done())
    assert said[0].endswith("in.wav is longer than half an hour: denoise works as live")
    with pytest.raises(UsageError, match="leave --causal out"):
        command("run", "gain", tmp_path / "in.wav", tmp_path / "gained.wav", "--causal")


SONG = sounds.melody(RATE, SECONDS)
TOLD: list[bool] = []
"""For each file that was played, whether it was told its noise."""
ASKED: list[int] = []
"""Hops at which the live mask was asked."""


@pytest.fixture(scope="module", autouse=True)
def noted() -> Iterator[None]:
    power, send = SteadyNoise.power, model_client.ModelClient.send

    def found(noise: SteadyNoise):
        made = power(noise)
        TOLD.append(made is not None)
        return made

    def sent(client: model_client.ModelClient, hop: int, *rest) -> None:
        ASKED.append(hop)
        send(client, hop, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SteadyNoise, "power", found)
        patch.setattr(model_client.ModelClient, "send", sent)
        yield


@pytest.fixture(scope="module")
def hiss(tmp_path_factory) -> Play:
    return player(tmp_path_factory.mktemp("hiss"), SONG + sounds.white(len(SONG), 0.06)[0])


@pytest.fixture(scope="module")
def file(hiss) -> F32:
    """The song with hiss as a file, which is played three times."""
    TOLD.clear()
    ASKED.clear()
    made = hiss()
    assert TOLD == [True]
    hops = round(100 * SECONDS)
    assert 1.2 * hops <= len(ASKED) < 1.5 * hops, "the live mask is asked only until a file has its own"
    return made


@pytest.fixture(scope="module")
def live(hiss) -> F32:
    return hiss("--causal")


def gain(made) -> float:
    """SI-SDR from the first half second on."""
    return si_sdr(made[RATE // 2 :], SONG[RATE // 2 :])


def test_a_file_with_hiss_is_told_its_noise_and_a_clean_one_is_not(hiss, file, tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(SteadyNoise, "power", lambda _: None)
        assert gain(file) > gain(hiss()) + 0.2
    TOLD.clear()
    hiss("-p", "learn=0.5")
    assert TOLD == [], "it was told the noise"
    player(tmp_path, SONG)()
    assert TOLD == [False]


def test_after_a_preroll_the_gains_of_a_file_are_those_of_its_places(hiss, file):
    assert gain(hiss("-p", "preroll=1")) == pytest.approx(gain(file), abs=0.2)


def test_mains_hum_that_ends_within_a_file_is_not_in_the_levels_of_its_mask(tmp_path, monkeypatch):
    clean = sounds.voice(RATE, 5.0)
    hum = hummed(len(clean)) * (np.arange(len(clean)) < 2.5 * RATE)
    counted: list[int] = []
    compute = FileMask.compute

    def computed(mask: FileMask, noise) -> None:
        counted.append(1)
        compute(mask, noise)

    monkeypatch.setattr(FileMask, "compute", computed)
    player(tmp_path, clean + 0.5 * clean.std() * hum)()
    assert len(counted) == 2


@pytest.mark.parametrize("missing", ["load_file_confidence", "load_confidence"])
def test_without_the_weights_of_files_a_file_is_heard_as_live(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(processor, missing, lambda: None)
    done = player(tmp_path, SONG[: RATE // 2])
    np.testing.assert_array_equal(done(), done("--causal"))


def test_without_the_mask_of_files_the_live_one_is_played_and_weighed_as_before(hiss, file, live, monkeypatch):
    np.testing.assert_array_equal(file, hiss())
    monkeypatch.setattr(processor, "load_file_mask", lambda: None)
    without = hiss()
    np.testing.assert_array_equal(live, hiss("--causal"))
    assert np.abs(file - without).max() > 1e-3
    assert min(gain(file), gain(without)) > gain(live)
