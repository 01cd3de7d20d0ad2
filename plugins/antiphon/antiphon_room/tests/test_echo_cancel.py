"""`echo_cancel` in rooms of decaying noise: what it takes, and what it leaves."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import F32, FileError, StreamSpec
from antiphon.testing import run_processor
from antiphon_models.learning.user_commands import command
from antiphon_room.processor import EchoCancel, hear, rate_of
from antiphon_room.words import EchoTotal

RATE = 48000
BLOCK = 240


@cache
def music(seconds: float = 6.0, seed: int = 1) -> F32:
    """Chords of decaying tones, a bass and noisy beats, on two sides, `[2, frames]`."""
    rng = np.random.default_rng(seed)
    n = np.arange(round(seconds * RATE))
    sound = np.zeros((2, len(n)))
    for beat in range(round(seconds * 4)):
        on = slice(beat * RATE // 4, beat * RATE // 4 + RATE)
        t = n[on] / RATE - beat / 4
        for key in rng.integers(36, 84, 3):
            hertz = 440.0 * 2.0 ** ((key - 69) / 12)
            tone = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 9) if hertz * k < 16000)
            sound[:, on] += np.exp(-4 * t) * tone * rng.uniform(0.3, 1.0, (2, 1))
        sound[:, on] += np.exp(-30 * t) * rng.standard_normal(len(n))[on] * 2
    return np.asarray(0.5 * sound / np.abs(sound).max(), np.float32)


@cache
def voice(seconds: float = 6.0) -> F32:
    """A gliding voice-like tone in syllables, `[frames]`."""
    n = np.arange(round(seconds * RATE))
    hertz = 180.0 + 40.0 * np.sin(2 * np.pi * 0.7 * n / RATE)
    turns = np.cumsum(hertz) / RATE
    tone = sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 20))
    return np.asarray(0.1 * tone * (0.55 - 0.45 * np.cos(2 * np.pi * 3.0 * n / RATE)), np.float32)


@cache
def room(seed: int, decay: float = 0.3) -> F32:
    """Responses of two loudspeakers, `[2, frames]`: a first sound after 10 ms, and noise that decays by 60 dB."""
    n = np.arange(round(decay * RATE))
    response = np.random.default_rng(seed).standard_normal((2, len(n))) * np.exp(-6.9 * n / (decay * RATE))
    response[:, :480] = 0.0
    response[:, 480] = 5.0
    return np.asarray(0.4 * response / np.linalg.norm(response, axis=1, keepdims=True), np.float32)


def heard(sound: F32, response: F32) -> F32:
    size = sound.shape[1] + response.shape[1]
    made = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)
    return np.asarray(made.sum(0)[: sound.shape[1]], np.float32)


def cancelled(mic: F32, played: F32, block: int = BLOCK, **values: float) -> F32:
    """Output for a microphone `[frames]`, without the latency."""
    processor = EchoCancel()
    out = run_processor(processor, StreamSpec(RATE, block, 1), {"in": mic[None], "reference": played}, values)
    return np.asarray(out[0, processor.latency :], np.float32)


def level(sound: F32) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def late(sound: F32) -> F32:
    return sound[2 * RATE : round(5.9 * RATE)]


@each("mask", [0.0, 1.0])
def test_of_loudspeakers_alone_25_db_go_after_two_seconds_and_then_60(mask: float):
    """The filter takes 20 of them: what it leaves is closed while nobody sings, once the path is known."""
    echo = heard(music(), room(3))
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(echo)).astype(np.float32)
    out, end = cancelled(echo + noise, music(), mask=mask), slice(5 * RATE, round(5.9 * RATE))
    assert level(late(echo)) - level(late(out)) > 25.0
    assert level(echo[end]) - level(out[end]) > 60.0


def test_what_a_clock_that_drifts_leaves_is_closed_too():
    """50 ppm: the filter takes 7 dB."""
    n, echo = np.arange(6 * RATE), heard(music(), room(3, 0.5))
    drifting = np.asarray(np.interp(n * (1.0 + 5e-5), n, echo), np.float32)
    out, end = cancelled(drifting, music(), mask=0.0), slice(4 * RATE, round(5.9 * RATE))
    assert level(drifting[end]) - level(out[end]) > 26.0


def test_beside_a_voice_noise_is_over_what_is_left():
    """30 dB below the echo: above its 6 kHz and the voice's 5 there is no other sound."""
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal((2, 6 * RATE)))
    spectrum[:, 6 * 6000 :] = 0.0
    played = np.asarray(0.1 * np.fft.irfft(spectrum), np.float32)
    near, echo = voice(), heard(played, room(4))
    out = late(cancelled(near * 10 ** ((level(echo) - level(near)) / 20) + echo, played, mask=0.0))
    powers = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2 / (0.375 * len(out))
    assert -31.0 < 10 * np.log10(powers[len(powers) // 2 :].mean()) - level(late(echo)) < -28.0


def test_loudspeakers_that_begin_late_are_learned_as_fast():
    rest = 60 * RATE
    mic, played = heard(music(4.0), room(3)), music(4.0)
    out = cancelled(np.pad(mic, (rest, 0)), np.pad(played, ((0, 0), (rest, 0))), mask=0.0)[rest:]
    second = slice(RATE, 2 * RATE)
    assert level(mic[second]) - level(out[second]) > 15.0


def test_who_begins_beside_them_and_rests_is_heard_at_once():
    """The gate is open within a twentieth of a second, and closed again two seconds after the last syllable."""
    n = np.arange(6 * RATE)
    near, echo = voice() * ((n >= 2.5 * RATE) & (n < 3.5 * RATE)), heard(music(), room(4))
    near = near * 10 ** ((level(echo) - level(voice())) / 20)
    out = cancelled(near + echo, music(), mask=0.0)
    sung, rest = slice(round(2.55 * RATE), round(3.5 * RATE)), slice(round(5.5 * RATE), len(out))
    assert abs(level(out[sung]) - level(near[sung])) < 1.0
    assert level(out[rest]) < level(echo[rest]) - 40.0


def test_a_voice_beside_them_stays_and_the_loudspeakers_go():
    near, echo = voice(), heard(music(), room(4))
    near = near * 10 ** ((level(echo) - level(near)) / 20)
    out = cancelled(near + echo, music(), mask=0.0)
    assert level(late(near)) - level(late(out) - late(near)) > 10.0
    masked = cancelled(near + echo, music())
    assert abs(level(late(masked)) - level(late(near))) < 1.0


def test_a_held_note_10_db_softer_than_they_are_stays():
    """The filter's own doubt would explain it: what counts is what comes and goes with the echo."""
    n, echo = np.arange(6 * RATE), heard(music(), room(4))
    turns = np.cumsum(415.0 + 4.0 * np.sin(2 * np.pi * 5.5 * n / RATE)) / RATE
    near = np.asarray(sum(np.sin(2 * np.pi * k * turns + k) / k for k in range(1, 15)), np.float32)
    near = near * np.float32(10 ** ((level(echo) - 10.0 - level(near)) / 20))
    out, end = cancelled(near + echo, music()), slice(3 * RATE, round(5.9 * RATE))
    assert -1.5 < level(out[end]) - level(near[end]) < 3.0


def test_a_new_room_is_learned_again():
    first, second = heard(music(), room(5)), heard(music(), room(6))
    echo = np.where(np.arange(len(first)) < 3 * RATE, first, second)
    out = cancelled(echo, music())
    end = slice(5 * RATE, round(5.9 * RATE))
    assert level(echo[end]) - level(out[end]) > 15.0


@each("seconds", [0.35, 1.2])
def test_a_delay_beyond_the_filter_is_found(seconds: float):
    """As of a browser's microphone, behind a network."""
    late_by = round(seconds * RATE)
    echo = np.concatenate([np.zeros(late_by, np.float32), heard(music(12.0), room(5))])[: 12 * RATE]
    out = cancelled(echo, music(12.0))
    end = slice(8 * RATE, round(11.9 * RATE))
    assert level(echo[end]) - level(out[end]) > 20.0


def test_a_delay_that_is_known_is_not_looked_for():
    """With it the echo is gone a second and a half after the start; another that is found later replaces it."""
    late_by = round(0.35 * RATE)
    echo = np.concatenate([np.zeros(late_by, np.float32), heard(music(12.0), room(5))])[: 12 * RATE]
    soon, end = slice(round(1.5 * RATE), 2 * RATE), slice(8 * RATE, round(11.9 * RATE))
    removed = {
        delay: [level(echo[part]) - level(out[part]) for part in (soon, end)]
        for delay in (0.0, 360.0, 1000.0)
        for out in [cancelled(echo, music(12.0), mask=0.0, delay=delay)]
    }
    assert removed[360.0][0] > removed[0.0][0] + 6.0
    assert min(end for _, end in removed.values()) > 15.0


def test_without_a_loudspeaker_the_microphone_is_passed_sample_for_sample():
    near = voice(1.0)
    out = cancelled(near, np.zeros((2, len(near)), np.float32))
    assert np.array_equal(out, near[: len(out)])


def test_a_muted_loudspeaker_costs_the_voice_less_than_1_db():
    near = voice()
    out = cancelled(near, music())
    assert abs(level(late(out)) - level(late(near))) < 1.0


def test_any_blocks_give_the_same_samples_and_twin_channels_stay_twins():
    mic = heard(music(1.0), room(3))
    whole = cancelled(mic, music(1.0))
    for block in (64, 256, 999):
        assert np.array_equal(cancelled(mic, music(1.0), block), whole)
    processor = EchoCancel()
    given = {"in": np.stack([mic, mic]), "reference": music(1.0)}
    both = run_processor(processor, StreamSpec(RATE, BLOCK, 2), given)
    assert np.array_equal(both[0], both[1])
    assert np.array_equal(both[0][processor.latency :], whole)


@each("wrong", [np.nan, np.inf, 1e30])
def test_a_broken_reference_is_silence(wrong: float):
    played = music(1.0).copy()
    mic = heard(music(1.0), room(3))
    played[:, 4000:5000] = wrong
    assert np.isfinite(cancelled(mic, played)).all()


def test_of_a_file_the_reference_is_named_and_the_samples_are_those_of_live(tmp_path: Path):
    mic = heard(music(1.0), room(3))
    soundfile.write(tmp_path / "mic.wav", mic, RATE, "FLOAT")
    soundfile.write(tmp_path / "played.wav", music(1.0).T, RATE, "FLOAT")
    command("run", "echo_cancel", tmp_path / "mic.wav", tmp_path / "out.wav", "-p", f"reference={tmp_path}/played.wav")
    out = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
    live = cancelled(mic, music(1.0))
    assert len(out) == len(mic)
    assert np.array_equal(out[: len(live)], live)


@each("late, said", [(0.5, "510 ms late"), (-0.03, "20 ms early"), (0.0, "")])
def test_a_lag_of_a_file_is_found_either_way(tmp_path: Path, late: float, said: str):
    echo, shift = heard(music(), room(3)), round(abs(late) * RATE)
    mic = np.pad(echo, (shift, 0))[: len(echo)] if late > 0 else np.pad(echo, (0, shift))[shift:]
    soundfile.write(tmp_path / "mic.wav", mic, RATE, "FLOAT")
    soundfile.write(tmp_path / "played.wav", music().T, RATE, "FLOAT")
    found = hear(tmp_path / "mic.wav", {"reference": str(tmp_path / "played.wav")}, ())
    assert found.told is not None
    assert bool(found.told) == bool(late)
    assert said in found.said
    command(
        "run",
        "echo_cancel",
        tmp_path / "mic.wav",
        tmp_path / "out.wav",
        "--force",
        "-p",
        f"reference={tmp_path}/played.wav",
    )
    out, end = soundfile.read(tmp_path / "out.wav")[0], slice(4 * RATE, round(5.9 * RATE))
    assert level(mic[end]) - level(out[end]) > 40.0


@each("told", [0, None])
def test_beside_a_known_lag_no_delay_is_looked_for(told: int | None):
    class Told(EchoCancel):
        def prepare(self, spec: StreamSpec) -> None:
            super().prepare(spec)
            self.heard(told)

    processor, mic = Told(), np.pad(heard(music(), room(3)), (RATE // 2, 0))[None]
    played = np.pad(music(), ((0, 0), (0, RATE // 2)))
    run_processor(processor, StreamSpec(RATE, BLOCK, 1), {"in": mic, "reference": played})
    assert bool(processor._sums[EchoTotal.LATE]) == (told is None)


def test_a_reference_of_another_rate_is_refused(tmp_path: Path):
    soundfile.write(tmp_path / "played.wav", music(1.0).T, 44100)
    processor = EchoCancel()
    processor.settings["reference"] = str(tmp_path / "played.wav")
    with pytest.raises(FileError, match="44100 Hz and the microphone 48000"):
        processor.prepare(StreamSpec(RATE, BLOCK, 1))


@each("label, said", [(RATE, ""), (44100, "its rate seems to be 48000 Hz, not 44100 as it says")])
def test_a_microphone_s_file_of_another_rate_than_its_label_is_said(tmp_path: Path, label: int, said: str):
    mic = heard(music(6.0), room(3)) + 0.5 * voice()
    soundfile.write(tmp_path / "mic.wav", mic, label, "FLOAT")
    played = resampled(music(6.0), label)
    soundfile.write(tmp_path / "played.wav", played.T, label, "FLOAT")
    found = hear(tmp_path / "mic.wav", {"reference": str(tmp_path / "played.wav")}, ()).said
    assert found.startswith(said)
    assert bool(found) == bool(said)


@each("width, right", [(20.0, 44100), (40.0, RATE)])
def test_a_rate_that_fits_hardly_better_than_the_label_is_not_said(width: float, right: int):
    place = np.arange(400.0)
    played, microphone = (np.exp(-(((faster * place - 200.0) / width) ** 2)) for faster in (1.0, 1.06))
    assert rate_of(microphone, played, RATE) == right


def resampled(sound: F32, rate: int) -> F32:
    """A sound of `RATE` at another rate, by lines between its samples."""
    places = np.arange(round(sound.shape[1] * rate / RATE)) * RATE / rate
    return np.stack([np.interp(places, np.arange(sound.shape[1]), side) for side in sound]).astype(np.float32)


def test_a_reference_that_ends_early_is_said(tmp_path: Path):
    soundfile.write(tmp_path / "mic.wav", heard(music(3.0), room(3)), RATE, "FLOAT")
    soundfile.write(tmp_path / "played.wav", music(3.0)[:, : 2 * RATE].T, RATE, "FLOAT")
    line = command(
        "run", "echo_cancel", tmp_path / "mic.wav", tmp_path / "out.wav", "-p", f"reference={tmp_path}/played.wav"
    )
    assert line.endswith("the reference ends at 2.0 s, and what is played after it is left\n")
