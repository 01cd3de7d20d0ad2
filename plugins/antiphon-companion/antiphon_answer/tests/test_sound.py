"""`answer` with audio=on: beats of sound in, the same beats in other orders out."""

import numpy as np
import pytest
import soundfile

from antiphon.api import StreamSpec
from antiphon.api.jobs import FileJob
from antiphon.kernel.runtime.resources import folder
from antiphon.testing import run_processor
from antiphon_answer.jobs import run
from antiphon_answer.processor import Answer
from antiphon_answer.sounding import MOST
from antiphon_models.learning.user_commands import command

RATE = 8000
BEAT = RATE // 2
HERTZ = (220.0, 330.0, 440.0, 550.0)


def tones(hertz, level=0.2):
    """A beat of each, with a stroke at its beginning; 0 rests."""
    t = np.arange(BEAT) / RATE
    return np.concatenate([level * np.sin(2 * np.pi * f * t) * np.exp(-2.0 * t) for f in hertz]).astype(np.float32)


def played(sound, blocks=None, **settings):
    settings = {"audio": 1, "mode": "trade", "bars": 1, "originality": 2, **settings}
    stereo = np.stack([sound, 0.5 * sound])
    return run_processor(Answer(), StreamSpec(RATE, 512, 2), stereo, settings, blocks=blocks)


def pitch(sound):
    return HERTZ[int(np.argmin([abs(np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound) - f) for f in HERTZ]))]


def test_it_trades_beats_of_what_was_played():
    given = tones([*HERTZ, 0, 0, 0, 0] * 2)
    out = played(given)
    level = np.sqrt(np.mean(out[0].reshape(-1, BEAT) ** 2, axis=1))
    assert level[:4].max() == 0.0
    assert level[4:8].min() > 0.03
    assert np.allclose(out[1], 0.5 * out[0], atol=1e-6)
    answer = [out[0, n * BEAT : (n + 1) * BEAT] for n in (*range(4, 8), *range(12, 16))]
    orders = [pitch(beat) for beat in answer]
    assert all(np.corrcoef(beat[400:], tones([f])[400:])[0, 1] > 0.99 for beat, f in zip(answer, orders, strict=True))
    assert orders[:4] != list(HERTZ), "no run is longer than `originality`"


def test_any_blocks_and_the_same_seed_give_the_same_samples():
    given = tones([*HERTZ, 0, 0, 0, 0])
    whole = played(given, seed=3)
    np.testing.assert_array_equal(played(given, [1, 77, 512, 300], seed=3), whole)
    assert any((played(given, seed=seed) != whole).any() for seed in (4, 5, 6))


def test_it_answers_a_pause_and_stops_where_one_plays_on():
    given = tones([*HERTZ, 0, 0, 0, *HERTZ[::-1], 0])
    level = np.sqrt(np.mean(played(given, mode="continue", bars=2)[0].reshape(-1, BEAT) ** 2, axis=1))
    assert level[5] > 0.03  # a beat after the last that sounds
    assert level[9] < 0.001


@pytest.mark.parametrize("mode", ["canon", "accompany"])
def test_canon_and_accompaniment(mode):
    out = played(tones(HERTZ * 3), mode=mode)
    assert np.abs(out[0, -4 * BEAT :]).max() > 0.05
    if mode == "canon":
        assert pitch(out[0, 5 * BEAT : 6 * BEAT]) == HERTZ[1]


def test_its_memory_is_bounded():
    node = Answer()
    spec = StreamSpec(1000, 1000, 1)
    sound = np.random.default_rng(1).normal(0.0, 0.1, (1, 1000 * 600)).astype(np.float32)
    run_processor(node, spec, sound, {"audio": 1, "mode": "accompany"})
    memory = node._sound.memory
    assert memory.count > 250
    assert memory.beat_count < 90 < MOST


def test_a_recording_goes_on_from_its_next_bar_line(tmp_path):
    source, target = folder("library") / "loops" / "drums.flac", tmp_path / "out.wav"
    words = ("run", "continue", source)
    command(*words, target, "-p", "audio=on", "-p", "bars=2")
    (given, rate), (made, own) = soundfile.read(source), soundfile.read(target)
    assert own == rate
    assert np.abs(made[: len(given)].reshape(len(given), -1) - given.reshape(len(given), -1)).max() < 1e-4
    assert len(made) > 1.2 * len(given)
    assert np.sqrt(np.mean(made[len(given) + rate :] ** 2)) > 0.3 * np.sqrt(np.mean(given**2))
    command(*words, tmp_path / "again.wav", "-p", "audio=on", "-p", "bars=2")
    assert (tmp_path / "again.wav").read_bytes() == target.read_bytes()


def test_a_recording_without_beats_is_cut_into_slices_of_half_a_second(tmp_path):
    tone = 0.3 * np.sin(2 * np.pi * 330.0 * np.arange(3 * 48000) / 48000)
    soundfile.write(tmp_path / "a.wav", tone, 48000)
    said = []
    job = FileJob("continue", tmp_path / "a.wav", tmp_path / "b.wav", {"audio": True, "bars": 1}, complain=said.append)
    run(job)
    assert any("no beats were found in a.wav" in sentence for sentence in said)
    made, rate = soundfile.read(tmp_path / "b.wav")
    # three seconds are six beats: a bar begins at four seconds
    assert len(made) / rate == pytest.approx(6.0, abs=0.01)
    assert np.abs(made[round(4.5 * rate) : round(5.5 * rate)]).max() > 0.2


def test_its_turns_too_begin_with_the_players_first_bar():
    given = tones([0] * 6 + [*HERTZ[:2], *HERTZ, 0, 0, 0, 0, 0, 0, 0, 0])
    level = np.sqrt(np.mean(played(given, bars=2)[0].reshape(-1, BEAT) ** 2, axis=1))
    assert level[:12].max() == 0.0, "the player's two bars are 4 to 12"
    assert level[12:20].min() > 0.01
