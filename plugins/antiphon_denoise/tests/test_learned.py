"""The learned modes as files play them: through a worker in lockstep, measured on the sound that comes out."""

import logging
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st

from antiphon.api import StreamSpec, UsageError
from antiphon.cli.files import run_file
from antiphon.kernel.runtime import resources
from antiphon.kernel.workers import pool
from antiphon.networks import model_client
from antiphon_denoise import processor
from antiphon_denoise.gate import network
from antiphon_denoise.learned.file_confidence import SteadyNoise
from antiphon_denoise.learned.file_mask import FileMask
from antiphon_denoise.processor import MODELS, Denoise
from antiphon_denoise.tests import sounds
from antiphon_denoise.tests.running import run
from antiphon_models.denoise.sdr import si_sdr
from antiphon_models.learning.user_commands import command

RATE, BLOCK = 48000, 512
MODES = tuple(MODELS)


@pytest.fixture(autouse=True)
def no_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are played whatever their noise floor: what the networks do of them is tested here."""
    monkeypatch.setattr("antiphon_denoise.floor.hearing.load_floor", lambda: None)


@pytest.fixture(scope="module", autouse=True)
def lockstep() -> Iterator[None]:
    made = pool.Lockstep()
    pool.use(made)
    yield
    pool.use(None)
    made.shut()
    made.shut()


def through(sound, mode="learned", rate=RATE, changes=(), blocks=(), block=BLOCK, latency="normal", **first):
    """The sound through a fresh denoiser, latency taken out, same length."""
    processor, spec = Denoise(), StreamSpec(rate, block, sound.shape[0])
    processor.settings.update(mode=mode, latency=latency)
    processor.prepare(spec)
    lag = processor.latency
    padded = np.concatenate([sound, np.zeros((sound.shape[0], lag), np.float32)], axis=1)
    try:
        return run(processor, padded, spec, changes, blocks, first)[:, lag:]
    finally:
        processor.close()


def level(sound) -> float:
    """RMS, dB."""
    return sounds.decibels(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))))


@settings(max_examples=6)
@given(
    sizes=st.lists(st.integers(1, BLOCK), min_size=1, max_size=40),
    mode=st.sampled_from(MODES),
    rate=st.sampled_from([44100, 48000, 96000]),
    latency=st.sampled_from(["normal", "low"]),
)
def test_any_block_split_gives_the_same_samples(sizes, mode, rate, latency):
    sound = sounds.melody(rate, 0.3)[None] + sounds.white(int(rate * 0.3), 0.02)
    changes = [(3001, "amount", 0.5), (9007, "learn", True), (11345, "full", True), (13001, "threshold", -30.0)]
    whole = through(sound, mode, rate, changes, latency=latency)
    split = through(sound, mode, rate, changes, sizes, latency=latency)
    assert np.abs(whole - split).max() < 1e-5


def test_the_length_of_blocks_changes_latency_and_nothing_else():
    sound = sounds.melody(RATE, 0.5)[None] + sounds.white(RATE // 2, 0.02)
    short, long = (through(sound, block=block) for block in (64, 2048))
    assert level(short) > -40.0
    assert np.abs(short - long).max() < 1e-5


@pytest.mark.parametrize(
    ("mode", "rate", "channels"), [(MODES[0], 44100, 2), (MODES[0], 96000, 1), (MODES[-1], 48000, 2)]
)
def test_latency_is_what_an_impulse_takes(mode, rate, channels):
    processor, spec = Denoise(), StreamSpec(rate, 256, channels)
    processor.settings["mode"] = mode
    processor.prepare(spec)
    sound = np.zeros((channels, rate // 4), np.float32)
    sound[:, 5000] = 1.0
    out = run(processor, sound, spec, first={"amount": 0.0})
    processor.close()
    assert (np.abs(out).argmax(axis=1) - 5000 == processor.latency).all()
    # 16 ms of the algorithm and a hop for the worker
    assert processor.latency <= 0.0265 * rate


@pytest.mark.parametrize(
    ("mode", "rate", "channels"), [(MODES[0], 44100, 2), (MODES[-1], 48000, 1), ("gate", 96000, 2)]
)
def test_low_latency_is_ten_milliseconds_by_an_impulse(mode, rate, channels):
    processor, spec = Denoise(), StreamSpec(rate, 256, channels)
    processor.settings.update(mode=mode, latency="low")
    processor.prepare(spec)
    sound = np.zeros((channels, rate // 4), np.float32)
    sound[:, 5000] = 1.0
    out = run(processor, sound, spec, first={"amount": 0.0})
    processor.close()
    assert (np.abs(out).argmax(axis=1) - 5000 == processor.latency).all()
    assert processor.latency <= 0.010 * rate
    assert np.delete(np.abs(out), 5000 + processor.latency, axis=1).max() < 1e-5


def test_low_latency_removes_nearly_as_much(phrases):
    clean, noise, gaps = phrases
    noisy = (clean + 4.0 * noise)[None]
    normal, low = (through(noisy, latency=latency)[0] for latency in ("normal", "low"))
    assert all(level(4.0 * noise[gap]) - level(low[gap]) > 15.0 for gap in gaps)
    assert si_sdr(noisy[0], clean) + 2.0 < si_sdr(low, clean) < si_sdr(normal, clean)


@pytest.mark.parametrize("rate", [44100, 96000])
def test_what_is_kept_stays_in_time_and_in_place(rate):
    left = sounds.voice(rate, 1.5)
    noise = sounds.white(len(left), 0.003)[0]
    sound = np.stack([left + noise, 0.5 * (left + noise)])
    made = through(sound, rate=rate)
    lags = np.arange(-20, 21)
    part = slice(rate // 2, len(left) - rate // 4)
    alike = [float(made[0, part.start + lag : part.stop + lag] @ left[part]) for lag in lags]
    assert lags[int(np.argmax(alike))] == 0
    assert np.abs(made[1] - 0.5 * made[0]).max() < 1e-6


@pytest.mark.parametrize("mode", MODES)
def test_with_nothing_taken_away_the_input_comes_back(mode):
    sound = sounds.white(RATE // 2, 0.2, channels=2)
    assert sounds.decibels(np.abs(through(sound, mode, amount=0.0) - sound).max() / 0.2) < -100


@pytest.fixture(scope="module")
def phrases():
    """Voice, a pause, voice, a pause, and white noise 25 dB below; where it pauses, from a quarter second on."""
    pause = np.zeros(RATE, np.float32)
    clean = np.concatenate([pause, sounds.voice(RATE, 1.5), pause, sounds.voice(RATE, 1.5, 1), pause])
    gaps = [slice(int(RATE * (end + 0.25)), int(RATE * (end + 0.95))) for end in (2.5, 5.0)]
    return clean, sounds.white(len(clean), 0.005)[0], gaps


def test_noise_goes_in_pauses_and_the_voice_stays(phrases):
    clean, noise, gaps = phrases
    made = through((clean + noise)[None])[0]
    assert all(level(noise[gap]) - level(made[gap]) > 15.0 for gap in gaps)
    assert si_sdr(made, clean) > si_sdr(clean + noise, clean) + 2.0
    voiced = slice(RATE, int(2.5 * RATE))
    assert abs(level(made[voiced]) - level(clean[voiced])) < 1.0


@pytest.mark.parametrize(("loudness", "channels"), [(1.0, 2), (4.0, 1)])
def test_hiss_is_gone_between_words_from_the_first_second_on(phrases, loudness, channels):
    """25 and 13 dB below the voice, and before its first word too: there is no hiss that comes in with it."""
    clean, noise, gaps = phrases
    hiss = np.stack([loudness * noise, loudness * np.roll(noise, 4000)])[:channels]
    made = through(clean + hiss)
    for gap in (slice(RATE * 3 // 4, RATE * 19 // 20), *gaps):
        assert level(hiss[:, gap]) - level(made[:, gap]) > 20.0


def test_full_is_silent_between_phrases(phrases):
    clean, noise, gaps = phrases
    made = through((clean + noise)[None], full=True)[0]
    for gap in gaps:
        assert max(level(made[at : at + RATE // 10]) for at in range(gap.start, gap.stop - RATE // 10, 960)) <= -60.0


def test_amount_takes_as_much_as_it_says(phrases):
    clean, noise, gaps = phrases
    all_of_it, half = (through((clean + noise)[None, : 4 * RATE], amount=amount)[0] for amount in (1.0, 0.5))
    # half of what is taken: 6 dB less noise and no more
    assert level(noise[gaps[0]]) - level(half[gaps[0]]) == pytest.approx(6.0, abs=1.0)
    assert level(all_of_it[gaps[0]]) < level(half[gaps[0]]) - 6.0


def test_threshold_spares_what_is_louder():
    noise = sounds.white(2 * RATE, 0.1)
    lead = [(RATE // 2, "learn", True)]
    taken, spared = through(noise, changes=lead), through(noise, changes=lead, threshold=-60.0)
    assert level(taken[0, RATE:]) < -20.0 - 12.0
    assert level(spared[0, RATE:]) == pytest.approx(-20.0, abs=1.0)


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


def as_file(sound, mode="learned", block=BLOCK, preroll=5.0):
    """The sound as `antiphon run` plays it: its beginning first."""
    processor, spec = Denoise(), StreamSpec(RATE, block, sound.shape[0])
    processor.settings.update(mode=mode, preroll=preroll)
    processor.prepare(spec)
    padded = np.concatenate([sound, np.zeros((sound.shape[0], processor.latency), np.float32)], axis=1)
    try:
        run(processor, sound[:, : round(preroll * RATE)], spec)
        processor.rewind()
        return run(processor, padded, spec)[:, processor.latency :]
    finally:
        processor.close()


@pytest.mark.parametrize(("mode", "more"), [("learned", 0.5), ("gate", 2.0)])
def test_in_a_file_more_noise_goes_from_under_the_first_words(phrases, mode, more):
    """dB of the first two seconds, which begin with a word."""
    clean, noise, _ = phrases
    noisy, first = (clean + 4.0 * noise)[None, RATE:], slice(0, 2 * RATE)
    live, file = (made(noisy, mode)[0, first] for made in (through, as_file))
    assert si_sdr(file, clean[RATE:][first]) > si_sdr(live, clean[RATE:][first]) + more


def test_in_a_file_mains_hum_is_gone_from_the_beginning():
    clean = sounds.voice(RATE, 2.5)
    t = np.arange(len(clean)) / RATE
    hum = sum(np.sin(2 * np.pi * 50.07 * h * t + h) / h for h in range(1, 10))
    noisy = clean + (hum / hum.std() * clean.std() / 10**0.5).astype(np.float32)
    first = slice(0, RATE // 2)
    gains = [
        si_sdr(made[0, first], clean[first]) - si_sdr(noisy[first], clean[first])
        for made in (through(noisy[None]), as_file(noisy[None]))
    ]
    assert gains[1] > gains[0] + 4.0


def test_a_file_s_preroll_may_be_split_into_any_blocks_and_left_out():
    sound = sounds.melody(RATE, 0.7)[None] + sounds.white(int(RATE * 0.7), 0.02)
    short, long = (as_file(sound, block=block, preroll=0.3) for block in (500, 2048))
    live = through(sound)
    assert np.abs(short - long).max() < 1e-5
    assert np.abs(short - live).max() > 1e-3
    assert np.array_equal(as_file(sound, preroll=0.0), live)


def test_silence_in_is_silence_out():
    assert not through(np.zeros((2, RATE // 2), np.float32)).any()


def test_reset_forgets_everything():
    processor, spec = Denoise(), StreamSpec(RATE, BLOCK, 1)
    processor.settings["mode"] = "learned"
    processor.prepare(spec)
    noisy = sounds.melody(RATE, 0.5)[None] + sounds.white(RATE // 2, 0.05)
    fresh = run(processor, noisy, spec)
    run(processor, noisy, spec, changes=[(RATE // 4, "learn", True)])
    processor.reset()
    assert np.abs(run(processor, noisy, spec) - fresh).max() < 1e-5
    processor.close()


def test_without_answers_it_is_the_gate_on_the_same_grid():
    """No pool at all: every hop goes by the gate's gain, with the learned mode's latency."""
    noisy = sounds.melody(RATE, 2.0)[None] + sounds.white(2 * RATE, 0.02)
    with pool.without_workers():
        alone, other = through(noisy), through(noisy, "autoencoder")
    assert np.array_equal(alone, other)
    assert not np.allclose(alone, through(noisy), atol=1e-3)
    clean = sounds.melody(RATE, 2.0)
    assert si_sdr(alone[0], clean) > si_sdr(noisy[0], clean)


@pytest.mark.parametrize("mode", MODES)
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


def test_the_command_looks_ahead_in_a_file_and_causal_does_not(phrases, tmp_path, monkeypatch):
    clean, noise = phrases[0][: 3 * RATE], phrases[1][: 3 * RATE]
    t = np.arange(len(clean)) / RATE
    hum = 0.05 * sum(np.sin(2 * np.pi * 50.07 * h * t + h) / h for h in range(1, 10))
    noisy, first = (clean + 4.0 * noise + hum).astype(np.float32), slice(RATE, 5 * RATE // 2)
    soundfile.write(tmp_path / "in.wav", noisy, RATE, "FLOAT")

    def done(*words):
        command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", "--fade", "0", *words)
        return soundfile.read(tmp_path / "out.wav", dtype="float32")[0]

    file, small, live = done(), done("--block", "128"), done("--causal")
    assert len(file) == len(noisy)
    assert np.abs(file - small).max() < 1e-5
    assert si_sdr(file[first], clean[first]) > si_sdr(live[first], clean[first]) + 0.6
    assert level(live[: RATE // 10]) - level(file[: RATE // 10]) > 4.0
    np.testing.assert_array_equal(live, done("-p", "causal=1"))
    monkeypatch.setattr(run_file, "MAX_LOOK_AHEAD_SECONDS", 1.0)
    said: list[str] = []
    monkeypatch.setattr(run_file, "complain", said.append)
    np.testing.assert_array_equal(live, done())
    assert said[0].endswith("in.wav is longer than half an hour: denoise works as live")
    with pytest.raises(UsageError, match="leave --causal out"):
        command("run", "gain", tmp_path / "in.wav", tmp_path / "gained.wav", "--causal")


def test_a_file_with_hiss_is_told_its_noise_and_a_clean_one_is_not(tmp_path, monkeypatch):
    told: list[bool] = []
    power = SteadyNoise.power

    def noted(noise: SteadyNoise):
        found = power(noise)
        told.append(found is not None)
        return found

    monkeypatch.setattr(SteadyNoise, "power", noted)
    clean = sounds.melody(RATE, 3.0)
    soundfile.write(tmp_path / "clean.wav", clean, RATE, "FLOAT")
    soundfile.write(tmp_path / "hiss.wav", clean + sounds.white(len(clean), 0.06)[0], RATE, "FLOAT")

    def done(name: str, *words: str) -> float:
        """SI-SDR from the second second on."""
        command("run", "denoise", tmp_path / f"{name}.wav", tmp_path / "out.wav", "--force", *words)
        return si_sdr(soundfile.read(tmp_path / "out.wav", dtype="float32")[0][RATE:], clean[RATE:])

    found = done("hiss")
    assert told == [True]
    with monkeypatch.context() as without:
        without.setattr(SteadyNoise, "power", lambda _: None)
        assert found > done("hiss") + 0.2
    done("hiss", "-p", "learn=0.5")
    assert told == [True], "it was told the noise"
    done("clean")
    assert told == [True, False]


def test_after_a_preroll_the_gains_of_a_file_are_those_of_its_places(tmp_path):
    clean = sounds.melody(RATE, 3.0)
    soundfile.write(tmp_path / "in.wav", clean + sounds.white(len(clean), 0.06)[0], RATE, "FLOAT")

    def gain(*words: str) -> float:
        command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", *words)
        return si_sdr(soundfile.read(tmp_path / "out.wav", dtype="float32")[0], clean)

    assert gain("-p", "preroll=1") == pytest.approx(gain(), abs=0.2)


def test_mains_hum_that_ends_within_a_file_is_not_in_the_levels_of_its_mask(tmp_path, monkeypatch):
    clean = sounds.voice(RATE, 5.0)
    t = np.arange(len(clean)) / RATE
    hum = sum(np.sin(2 * np.pi * 50.07 * h * t + h) / h for h in range(1, 10)) * (t < 2.5)
    soundfile.write(tmp_path / "in.wav", clean + 0.5 * clean.std() * hum, RATE, "FLOAT")
    counted: list[int] = []
    compute = FileMask.compute

    def computed(mask: FileMask, noise) -> None:
        counted.append(1)
        compute(mask, noise)

    monkeypatch.setattr(FileMask, "compute", computed)
    command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav")
    assert len(counted) == 2


def test_the_live_mask_is_asked_only_until_a_file_has_its_own(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "in.wav", sounds.melody(RATE, 2.0), RATE, "FLOAT")
    asked: list[int] = []
    send = model_client.ModelClient.send

    def sent(client: model_client.ModelClient, hop: int, *rest) -> None:
        asked.append(hop)
        send(client, hop, *rest)

    monkeypatch.setattr(model_client.ModelClient, "send", sent)
    command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav")
    # a file is played three times
    assert 250 <= len(asked) < 300


@pytest.mark.parametrize("missing", ["load_file_confidence", "load_confidence"])
def test_without_the_weights_of_files_a_file_is_heard_as_live(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(processor, missing, lambda: None)
    soundfile.write(tmp_path / "in.wav", sounds.melody(RATE, 1.0), RATE, "FLOAT")

    def done(*words: str):
        command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", *words)
        return soundfile.read(tmp_path / "out.wav", dtype="float32")[0]

    np.testing.assert_array_equal(done(), done("--causal"))


def test_without_the_mask_of_files_the_live_one_is_played_and_weighed_as_before(tmp_path, monkeypatch):
    clean = sounds.melody(RATE, 2.0)
    soundfile.write(tmp_path / "in.wav", clean + sounds.white(len(clean), 0.06)[0], RATE, "FLOAT")

    def done(*words: str):
        command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav", "--force", *words)
        return soundfile.read(tmp_path / "out.wav", dtype="float32")[0]

    def gain(made) -> float:
        return si_sdr(made[RATE // 2 :], clean[RATE // 2 :])

    live, file = done("--causal"), done()
    np.testing.assert_array_equal(file, done())
    monkeypatch.setattr(processor, "load_file_mask", lambda: None)
    without = done()
    np.testing.assert_array_equal(live, done("--causal"))
    assert np.abs(file - without).max() > 1e-3
    assert min(gain(file), gain(without)) > gain(live)


def test_a_processor_that_always_looks_ahead_is_played_in_the_end(tmp_path, monkeypatch):
    asked: list[int | None] = []
    monkeypatch.setattr(Denoise, "look_ahead", lambda _, frames: not asked.append(frames))
    soundfile.write(tmp_path / "in.wav", sounds.melody(RATE, 0.5), RATE, "FLOAT")
    command("run", "denoise", tmp_path / "in.wav", tmp_path / "out.wav")
    assert asked == [RATE // 2] * run_file.MAX_PASSES
    assert soundfile.info(tmp_path / "out.wav").frames == RATE // 2
