"""`antiphon run third`: rendered and measured, on songs made here."""

import numpy as np
import pytest
import soundfile

from antiphon.api import note_number
from antiphon.api.backends.files import MidiNote, MidiTrack
from antiphon_models.learning.user_commands import command
from antiphon_models.transfer.timbre_evaluation import magnitudes, onset_likeness, timbre_distance
from antiphon_mosaic import third as job
from antiphon_mosaic.third import first_bar, render_part, spread, tempo_of

RATE = 22050


def chroma(sound: np.ndarray) -> np.ndarray:
    """Normalised chroma, `[frames, 12]`."""
    bins = np.arange(4097) * RATE / 8192
    place = np.round(note_number(np.maximum(bins, 1.0))).astype(int) % 12
    bank = np.eye(12)[:, place] * ((bins > 60.0) & (bins < 4200.0))
    classes = np.sqrt(magnitudes(sound, 8192, 1024)) @ bank.T
    return classes / (np.linalg.norm(classes, axis=1, keepdims=True) + 1e-9)


def chroma_likeness(output: np.ndarray, source: np.ndarray) -> float:
    """Mean cosine similarity of two sounds' chroma."""
    return float((chroma(output) * chroma(source)).sum(axis=1).mean())


def song(seed: int, bpm: float, brightness: float, seconds: float = 6.0) -> np.ndarray:
    """Chords of two beats with a click of noise on each beat."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    beat = 60.0 / bpm
    t = np.arange(round(2 * beat * RATE)) / RATE
    noise = rng.standard_normal(round(0.06 * RATE)) * np.exp(-np.arange(round(0.06 * RATE)) / 200.0)
    for n in range(int(seconds / beat)):
        at = round(n * beat * RATE)
        if n % 2 == 0:
            root = int(rng.integers(48, 60))
            for number in (root, root + 4, root + 7):
                hertz = 440.0 * 2.0 ** ((number - 69) / 12.0)
                note = sum(np.sin(2 * np.pi * hertz * h * t) / h**brightness for h in range(1, 10)) * np.exp(-t)
                out[at : at + len(note)] += 0.06 * note[: len(out) - at]
        out[at : at + len(noise)] += 0.25 * noise[: len(out) - at]
    return out.astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("third")
    for name, sound in (("a", 2.0 * song(1, 100.0, 2.5)), ("b", song(2, 130.0, 0.7))):
        soundfile.write(folder / f"{name}.wav", sound, RATE, "FLOAT")
    return folder


def test_it_has_the_notes_and_beats_of_one_and_the_timbre_of_the_other(files):
    command("run", "third", files / "a.wav", files / "c.wav", "-p", f"reference={files / 'b.wav'}")
    a, b, c = (soundfile.read(files / f"{name}.wav", dtype="float32")[0] for name in "abc")
    assert len(c) == len(a)
    assert chroma_likeness(c, a) > 0.95 > chroma_likeness(b, a)
    assert onset_likeness(c, a) > 0.8
    assert timbre_distance(c, b) < 0.75 * timbre_distance(a, b)
    assert np.sqrt((c**2).mean()) == pytest.approx(np.sqrt((a**2).mean()), rel=0.05)
    assert np.abs(c).max() < 0.892 < np.abs(a).max(), "only its peaks are softer"


def test_another_tempo_makes_it_longer(files):
    out = command(
        "run", "third", files / "a.wav", files / "slow.wav", "-p", f"reference={files / 'b.wav'}", "-p", "tempo=80"
    )
    slow = soundfile.read(files / "slow.wav", dtype="float32")[0]
    assert "bpm played at 80" in out
    assert tempo_of(slow, RATE) == pytest.approx(80.0, rel=0.03)
    assert len(slow) == pytest.approx(6.0 * RATE * 100.0 / 80.0, rel=0.03)


def test_a_genre_is_a_band_under_the_melody_and_chords_of_one(files):
    a = soundfile.read(files / "a.wav", dtype="float32")[0]
    soundfile.write(files / "wide.wav", np.stack([a, a], 1), RATE, "FLOAT")
    out = command("run", "third", files / "wide.wav", files / "liquid.wav", "-p", "genre=liquid")
    assert "liquid: its chords at" in out
    made = soundfile.read(files / "liquid.wav", dtype="float32")[0]
    assert made.shape == (len(a), 2)
    made = made.mean(1)
    assert chroma_likeness(made, a) > 0.7
    # the band strikes on sixteenths where A strikes on beats
    assert 0.1 < onset_likeness(made, a) < 0.9


def strokes(decay: float) -> np.ndarray:
    """A stroke of noise every half second, which falls by 60 dB in `decay` seconds."""
    t = np.arange(4 * RATE) % (RATE // 2) / RATE
    return (np.random.default_rng(3).standard_normal(len(t)) * 10.0 ** (-3.0 * t / decay))[None].astype(np.float32)


def test_strokes_decay_halfway_to_those_of_the_reference():
    def fall(sound):
        """Decibels by which the sound falls within a fifth of a second of a stroke."""
        early, late = (
            np.mean([sound[0, at + first : at + first + RATE // 20] ** 2 for at in range(0, 4 * RATE, RATE // 2)])
            for first in (RATE // 20, RATE // 4)
        )
        return 10.0 * np.log10(early / late)

    slow, quick = strokes(1.0), strokes(0.4)
    assert (fall(slow), fall(quick)) == pytest.approx((12.0, 30.0), abs=1.0)
    assert fall(spread(slow, quick)) == pytest.approx(21.0, abs=3.0)


@pytest.mark.parametrize(("own", "theirs", "expected"), [(0.01, 0.5, 0.032), (0.5, 0.05, 0.158), (0.3, 0.2, 0.2)])
def test_drums_keep_to_10_db_of_their_share(monkeypatch, own, theirs, expected):
    held, struck = 0.1 * np.ones((1, RATE), np.float32), np.ones((1, RATE), np.float32)

    def parts(share):
        """Held and struck part, apart in time, the struck one with `share` of the level of the sum."""
        a, b = np.split(held, 2, axis=1)[0], share / np.sqrt(1.0 - share**2) * 0.1 * struck[:, : RATE // 2]
        return np.pad(a, ((0, 0), (0, len(b[0])))), np.pad(b, ((0, 0), (len(a[0]), 0)))

    shares = iter((own, theirs))
    monkeypatch.setattr(job, "separate", lambda sound, rate: parts(next(shares)))
    for name in ("equalise", "spread"):
        monkeypatch.setattr(job, name, lambda sound, reference: sound)
    monkeypatch.setattr(job, "node", lambda kind, sound, *rest: sound)
    a, b = sum(parts(own)), sum(parts(theirs))
    made = job.combine_songs(a, b, RATE)
    ratio = np.abs(made[:, RATE // 2 :]).mean() / np.abs(made[:, : RATE // 2]).mean()
    assert ratio == pytest.approx(expected / np.sqrt(1.0 - theirs**2), rel=0.02)


@pytest.mark.parametrize(
    ("downbeats", "begins"), [([2.75, 4.75, 6.8], -1.3), ([0.0, 2.0, 4.0], 0.0), ([1.5], 0.0), ([0.3, 2.3], -1.7)]
)
def test_the_band_begins_with_the_bar_in_which_the_song_does(downbeats, begins):
    assert first_bar(downbeats) == pytest.approx(begins)


def test_a_part_that_begins_before_the_file_sounds_from_its_first_frame():
    track = MidiTrack("bass", (MidiNote(0.0, 0.5, 40), MidiNote(1.0, 2.0, 43)))
    sound = render_part(track, "bass", 120.0, -RATE, 2 * RATE, RATE)
    assert np.abs(sound[0, : RATE // 10]).max() > 0.01
    assert np.abs(sound[0, RATE + RATE // 2 :]).max() < np.abs(sound[0, :RATE]).max()
