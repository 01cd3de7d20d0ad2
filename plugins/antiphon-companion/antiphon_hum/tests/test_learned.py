"""A made hum through the learned modes: live, by the worker, and as files, by the network at once."""

import logging
from functools import cache

import numpy as np
import pytest
import soundfile

from antiphon.api import StreamSpec
from antiphon.api.backends.files import read_midi
from antiphon.api.jobs import FileJob
from antiphon.networks import model_client, model_files
from antiphon.testing import render, without_workers
from antiphon_hum import learned, notes as files
from antiphon_hum.jobs import run
from antiphon_hum.learned.model_tracker import RATE, OfflineModel
from antiphon_hum.notes import StreamTranscriber, notes_of
from antiphon_hum.processor import Hum
from antiphon_models.hum.corpus import hum_notes
from antiphon_models.hum.evaluation import TimedTranscription, f1, lateness
from antiphon_models.hum.testset import Clip
from antiphon_models.material.singing import SecondsNote
from antiphon_models.material.styles import SingingStyle

pytestmark = pytest.mark.slow

TUNE = [60, 64, 67, 72, 71, 60, 60, 57]
MANNER = SingingStyle(mistuned=0.0, scoops=0.0, vibrato=0.2, slurs=0.0, drift=0.03)


@cache
def hum(rate: int = RATE, apart: float = 0.5, first: float = 0.5, tune: tuple[int, ...] = tuple(TUNE)) -> Clip:
    """A closed mouth hums `tune`."""
    notes = [SecondsNote(first + n * apart, first + (n + 0.85) * apart, k, 0.7) for n, k in enumerate(tune)]
    sound, _ = hum_notes(notes, MANNER, np.random.default_rng(3), rate)
    rows = np.array([[n.start, n.end, n.pitch] for n in notes])
    return Clip("hum", sound, rows, np.zeros(0))


def live(sound, rate=RATE, block=256, sizes=None, channels=1, **settings):
    processor = Hum()
    x = np.tile(sound, (channels, 1))
    done = render(processor, StreamSpec(rate, block, channels), x, {"mode": "learned", **settings}, blocks=sizes)
    processor.close()
    return processor, done


@pytest.mark.parametrize("rate", [44100, 96000])
def test_a_hum_is_heard_live_the_declared_latency_after_it_is_hummed(rate):
    clip = hum(rate)
    processor, done = live(clip.sound, rate)
    speak = [(e.offset - processor.latency) / rate for e in done.events if e.kind == "on"]
    numbers = [e.number for e in done.events if e.kind == "on"]
    found = [(at, at + 0.1, float(n)) for at, n in zip(speak, numbers, strict=True)]
    assert f1(clip, found) > 0.85
    late = lateness(clip, TimedTranscription(found, processor.latency / rate))
    assert abs(np.median(late) - processor.latency / rate) < 0.02
    assert processor.latency < 0.1 * rate


def test_any_block_split_and_any_number_of_channels_give_the_same_notes():
    sound = hum().sound[: 2 * RATE]
    whole = live(sound)[1].events
    assert len(whole) >= 6
    assert live(sound, sizes=[1, 255, 17, 256, 100])[1].events == whole
    assert live(sound, channels=2)[1].events == whole


def test_answers_hop_by_hop_are_those_of_the_whole_sound():
    sound = (hum().sound + 0.003 * np.random.default_rng(1).standard_normal(len(hum().sound))).astype(np.float32)
    sound = sound[None, : 3 * RATE]
    at_once = OfflineModel()
    for at in range(0, sound.shape[1], 7001):
        at_once.feed(sound[:, at : at + 7001])
    whole, _ = at_once.end()
    transcriber, given = StreamTranscriber(RATE, 1, {"mode": "learned"}), []
    transcriber._processor.on_answer(lambda answer, _level: given.append(answer.reshape(-1).copy()))
    transcriber.feed(sound)
    transcriber.notes()
    streamed = np.array(given)[: len(whole)]
    assert len(streamed) > 290
    assert np.abs(streamed - whole[: len(streamed)]).max() < 1e-5


@pytest.mark.parametrize("rate", [48000, 96000])
def test_a_file_is_heard_note_for_note(rate):
    clip = hum(rate)
    notes = notes_of(clip.sound, rate, {"mode": "learned"})
    assert [n.number for n in notes] == TUNE
    assert max(abs(n.start / rate - start) for n, start in zip(notes, clip.notes[:, 0], strict=True)) < 0.04


def test_less_patience_says_notes_sooner_and_more_of_them_wrong():
    clip = hum()
    at = {}
    for patience in (0.0, 100.0):
        events = [e for e in live(clip.sound, patience=patience)[1].events if e.kind == "on"]
        at[patience] = np.mean(
            [min(e.offset / RATE - s for e in events if e.offset / RATE > s) for s in clip.notes[:, 0]]
        )
    assert at[0.0] < at[100.0] - 0.004


def test_sensitivity_and_bounds_are_heard_in_files():
    sound = hum().sound
    assert notes_of(sound, RATE, {"mode": "learned", "threshold": 0.0}) == []
    assert [n.number for n in notes_of(sound, RATE, {"mode": "learned", "lowest": 65})] == [67, 72, 71]
    noise = 0.02 * np.random.default_rng(2).standard_normal(len(sound)).astype(np.float32)
    soft = (0.03 * sound + noise).astype(np.float32)
    counts = [len(notes_of(soft, RATE, {"mode": "learned", "sensitivity": s})) for s in (0.0, 0.5, 1.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_one_key_is_found_for_a_file_and_its_first_notes_moved_too():
    tune = (61, 62, 64, 66, 67, 69, 71, 73, 74, 69, 66, 62, 65, 62)
    sound = hum(tune=tune).sound
    assert [n.number for n in notes_of(sound, RATE, {"mode": "learned"})] == list(tune)
    moved = [n.number for n in notes_of(sound, RATE, {"mode": "learned", "scale": "auto"})]
    assert [n for n in moved if n % 12 not in (2, 4, 6, 7, 9, 11, 1)] == []
    assert moved[:12] == list(tune[:12])
    flat = notes_of(sound, RATE, {"mode": "learned", "scale": "major", "key": "Db"})
    assert {n.number % 12 for n in flat} <= {1, 3, 5, 6, 8, 10, 0}


def test_one_tempo_is_found_for_a_file_and_notes_lie_on_it():
    sound = hum(apart=60 / 97, first=0.61).sound

    def play(at, feed):
        feed(sound[None])

    found = files.transcribe(play, RATE, {"mode": "learned", "quantise": "1/4"})
    assert found.bpm == pytest.approx(97.0, abs=1.0)
    assert [n.number for n in found.notes] == TUNE
    line = 60.0 / found.bpm
    for note in found.notes:
        place = (note.start / RATE - found.beat) / line
        assert abs(place - round(place)) < 1e-3


def sines(*pitches: float) -> np.ndarray:
    """Half a second of each, with 10 ms of fade and of gap."""
    t = np.arange(RATE // 2) / RATE
    fade = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.01)
    tones = [0.3 * fade * np.sin(2 * np.pi * 440.0 * 2.0 ** ((pitch - 69) / 12) * t) for pitch in pitches]
    return np.concatenate([np.append(tone, np.zeros(RATE // 100)) for tone in tones])


def test_pure_tones_of_a_file_are_transcribed_by_yin_and_that_is_said(tmp_path, capsys):
    soundfile.write(tmp_path / "in.wav", sines(60, 62, 64.2, 65.7, 67), RATE)
    for scale, numbers in (("off", [60, 62, 64, 66, 67]), ("harmonic", [60, 62, 65, 65, 67])):
        target = tmp_path / f"{scale}.mid"
        run(FileJob("hum", tmp_path / "in.wav", target, {"scale": scale, "key": "C"}))
        assert [note.number for track in read_midi(target).tracks for note in track.notes] == numbers
        assert "it is of pure tones, which the default network does not hear" in capsys.readouterr().err


def test_where_no_note_was_found_a_file_does_not_hold_part_of_them(tmp_path, capsys):
    soundfile.write(tmp_path / "in.wav", sum(sines(pitch, pitch, pitch) for pitch in (60, 64, 67)) / 3, RATE)
    run(FileJob("hum", tmp_path / "in.wav", tmp_path / "out.mid"))
    told = capsys.readouterr().err
    assert "in.wav: no note was found in it; " in told
    assert "out.mid holds none: several voices seem to sound at once" in told
    assert "of one electronic tone, -p mode=yin" in told
    assert "only part" not in told


def test_nothing_and_noise_have_no_notes():
    noise = (0.1 * np.random.default_rng(4).standard_normal(5 * RATE)).astype(np.float32)
    for sound in (np.zeros(2 * RATE, np.float32), noise):
        assert notes_of(sound, RATE, {"mode": "learned"}) == []
        assert live(sound[: 3 * RATE])[1].events == []


def test_without_weights_it_says_so_once_and_goes_by_yin(monkeypatch, caplog):
    def missing(name, folder=None):
        raise model_files.ModelError(f"no model {name!r} is installed")

    monkeypatch.setattr(model_files, "entry", missing)
    monkeypatch.setattr(model_client, "_LOGGED_FALLBACKS", set())
    with caplog.at_level(logging.WARNING, "antiphon.hum"):
        with without_workers():
            Hum().prepare(StreamSpec())
        assert not caplog.records
        notes = notes_of(hum().sound, RATE)
        Hum().prepare(StreamSpec())
    assert [n.number for n in notes] == TUNE
    assert len(caplog.records) == 1
    assert "found by yin" in caplog.text
    assert learned.PITCH_MODEL.weights in caplog.text


@pytest.mark.parametrize(("lost", "held"), [(3, True), (30, False)])
def test_an_answer_that_is_missing_for_a_moment_strikes_no_held_note_again(monkeypatch, lost, held):
    """Hops of a long tone are lost: a few are bridged; a worker that is gone ends the note, once."""
    from antiphon.api.backends.models import ModelClient

    take, gone = ModelClient.take, set(range(180, 180 + lost))
    monkeypatch.setattr(ModelClient, "take", lambda self, hop, io: None if hop in gone else take(self, hop, io))
    _, done = live(hum(apart=3.0, tune=(60,)).sound)
    kinds = [e.kind for e in done.events]
    assert kinds == (["on", "off"] if held else ["on", "off", "on", "off"])


def test_without_a_worker_left_it_goes_by_yin(monkeypatch, caplog):
    from antiphon.api import WorkerError
    from antiphon_hum.learned import model_tracker

    def none(*given):
        raise WorkerError("there are 12 workers already")

    monkeypatch.setattr(model_tracker, "ModelClient", none)
    with caplog.at_level(logging.WARNING, "antiphon.hum"):
        made, done = live(hum().sound)
    assert made.mode == "yin"
    assert [e.number for e in done.events if e.kind == "on"] == TUNE
    assert "12 workers" in caplog.text


def test_a_voice_with_a_band_is_followed_or_reported_as_unsure(tmp_path, capsys):
    """A hum 6 dB above three voices that accompany it: the probability of several voices rises, live and in files."""
    voice = hum().sound
    others = sum(hum(apart=2.0, tune=tune).sound for tune in ((48, 53, 55), (52, 57, 59), (55, 60, 62)))
    others = np.resize(others, len(voice))
    others *= 0.5 * np.sqrt(np.mean(voice**2) / np.mean(others**2))
    source = tmp_path / "in.wav"
    soundfile.write(source, voice + others, RATE)
    run(FileJob("hum", source, tmp_path / "out.mid", {"mode": "learned"}))
    told = capsys.readouterr().err
    assert "several voices" in told
    assert "mode=chords" in told
    soundfile.write(source, voice[: 2 * RATE], RATE)
    run(FileJob("hum", source, tmp_path / "out.mid", {"mode": "learned"}))
    assert capsys.readouterr().err == ""
    reported = live(voice + others)[1]
    assert reported.reports["many"] > 0.5
    assert live(voice)[1].reports["many"] < 0.1
    followed = [e for e in live(voice + others, lead=True)[1].events if e.kind == "on"]
    assert len(followed) > len([e for e in reported.events if e.kind == "on"])
    assert len(notes_of(voice + others, RATE, {"lead": True})) > len(notes_of(voice + others, RATE))
