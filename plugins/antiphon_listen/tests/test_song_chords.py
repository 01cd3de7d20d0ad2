"""Chords of recordings by the network: sevenths, suspensions and basses, on beats; and files of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.files import AudioWriter, chord_text, read_midi
from antiphon.api.jobs import FileJob
from antiphon_listen import music
from antiphon_listen.chord_notes import write_notes
from antiphon_listen.chords import chord_network
from antiphon_listen.music import MusicRun
from antiphon_listen.spectra import frames
from antiphon_listen.tests.test_music import RATE, tone

BEAT = 0.5
CHORDS = {
    "C:maj": (36, 60, 64, 67, 72),
    "A:min7": (45, 57, 60, 64, 67),
    "D:sus4": (38, 62, 67, 69, 74),
    "G:7": (43, 59, 62, 65, 67),
    "C:maj/3": (40, 60, 64, 67, 72),
    "F:maj7": (41, 60, 64, 65, 69),
}


def loop(chords: Sequence[str], rounds: int = 3, tuning: float = 0.0) -> np.ndarray:
    """Each chord for four beats, struck on each."""
    sound = np.zeros(round((4 * BEAT * len(chords) * rounds + 3.0) * RATE))
    for place in range(4 * len(chords) * rounds):
        for key in CHORDS[chords[place // 4 % len(chords)]]:
            first = round((0.5 + BEAT * place) * RATE)
            wave = tone(key + tuning, 2 * BEAT, 0.3 if key < 48 else 0.2)
            sound[first : first + len(wave)] += wave
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def chords_of(sound: np.ndarray) -> list[tuple[float, float, str]]:
    run = MusicRun()
    for first in range(0, len(sound), 5000):
        run.feed(sound[None, first : first + 5000])
    found = run.chords(run.analysed())
    assert found is not None
    return found.spans


def shares(spans: Sequence[tuple[float, float, str]], chords: Sequence[str]) -> dict[str, float]:
    """Of each chord's time in `loop` the share with its label, of the rounds but the first."""
    right: dict[str, list[bool]] = {chord: [] for chord in chords}
    for at in np.arange(4 * BEAT * len(chords), spans[-1][1] - 3.0, 0.05):
        chord = chords[int(at / (4 * BEAT)) % len(chords)]
        label = next(label for start, end, label in spans if start <= at + 0.5 < end)
        right[chord].append(label == chord)
    return {chord: float(np.mean(row)) for chord, row in right.items()}


@pytest.mark.parametrize(("key", "octave"), [(24, 0), (60, 3), (94, 5)])
def test_a_tone_is_loudest_in_its_bin_and_as_loud_in_every_octave(key: int, octave: int) -> None:
    time = np.arange(4 * RATE) / RATE
    spectrum = frames.ConstantQ()
    wave = np.sin(2 * np.pi * 440.0 * 2 ** ((key - 69) / 12) * time).astype(np.float32)
    for first in range(0, len(wave), 3000):
        spectrum.feed(wave[first : first + 3000])
    rows = spectrum.end()
    middle = rows[len(rows) // 2]
    assert len(rows) == len(wave) // frames.HOP + 1
    assert int(middle.argmax()) == 3 * (key - 24)
    assert octave * frames.BINS <= middle.argmax() < (octave + 1) * frames.BINS
    # kernels grow by an octave's factor, 3 dB each
    assert 20 * np.log10(middle.max() / 2 ** ((94 - key) / 24)) == pytest.approx(18.855, abs=0.05)


@pytest.mark.parametrize("tuning", [-0.4, 0.0, 0.4])
def test_sevenths_suspensions_and_basses_are_named_in_any_tuning(tuning: float) -> None:
    names = list(CHORDS)
    spans = chords_of(loop(names, tuning=tuning))
    labels = {label for _, _, label in spans}
    assert {"G:7", "C:maj/3"} <= labels
    assert {"A:min7", "D:sus4", "F:maj7"} & labels
    roots = [(start, end, f"{label[0]}:maj") for start, end, label in spans]
    found = shares(roots, [f"{name[0]}:maj" for name in names])
    assert min(found.values()) > 0.8, found


def test_without_its_weights_chords_are_triads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(music, "chord_network", lambda: None)
    spans = chords_of(loop(["C:maj", "G:7", "A:min7", "F:maj7"]))
    assert {label for _, _, label in spans} <= {"N", "C:maj", "G:maj", "A:min", "F:maj"}


def test_frames_are_alike_however_many_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network = chord_network.chord_network()
    assert network is not None
    rows = np.random.default_rng(1).uniform(0.0, 1.0, (40, 252)).astype(np.float32)
    whole = network(rows).chords
    monkeypatch.setattr(chord_network, "_BLOCK", 7)
    np.testing.assert_allclose(network(rows).chords, whole, atol=1e-4)
    assert np.exp(whole).sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_file_becomes_notes_and_a_file_of_chords(tmp_path: Path) -> None:
    names = ["C:maj/3", "F:maj7"]
    sound = loop(names, 6)
    with AudioWriter(tmp_path / "in.wav", RATE, 1, "PCM_16") as writer:
        writer.write(sound[None])
    beside = {"chords-out": tmp_path / "out.jams"}
    write_notes(FileJob("listen", tmp_path / "in.wav", tmp_path / "out.mid", {}, beside=beside))
    jams = json.loads((tmp_path / "out.jams").read_text())
    spans = [(row["time"], row["time"] + row["duration"], row["value"]) for row in jams["annotations"][0]["data"]]
    assert min(shares(spans, names).values()) > 0.7
    song = read_midi(tmp_path / "out.mid")
    keys = {note.number for note in song.tracks[-1].notes if song.seconds(note.start) > 2.0}
    assert {52, 60, 64, 67} <= keys, "C major over E below it, octave 4"


def test_chords_as_lines_and_as_jams() -> None:
    spans = [(0.0, 1.5, "N"), (1.5, 3.0, "F#:sus4/5")]
    assert chord_text(".lab", spans, 3.0, "x", "y") == "0.000000 1.500000 N\n1.500000 3.000000 F#:sus4/5\n"
    file = json.loads(chord_text(".jams", spans, 3.0, "x", "y"))
    assert set(file) == {"annotations", "file_metadata", "sandbox"}
    assert {"title", "duration", "jams_version", "artist", "release", "identifiers"} == set(file["file_metadata"])
    (annotation,) = file["annotations"]
    assert (annotation["namespace"], annotation["time"], annotation["duration"]) == ("chord", 0.0, 3.0)
    assert set(annotation["annotation_metadata"]["curator"]) == {"name", "email"}
    assert annotation["data"][1] == {"time": 1.5, "duration": 1.5, "value": "F#:sus4/5", "confidence": None}
