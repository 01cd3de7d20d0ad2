"""Chords, keys and tempi measured on one's own sounds; labels of phrases as seconds, and tables fitted to them."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api import UsageError
from antiphon.api.backends.files import AudioWriter, MidiNote, MidiTrack, write_midi
from antiphon_listen import phrases, tables
from antiphon_models.learning.evaluation import EvaluationRequest
from antiphon_models.listen import own_files
from antiphon_models.listen.evaluation import MusicEstimate
from antiphon_models.listen.own_files import Chords, Keys, Tempi
from antiphon_models.listen.phrase_fitting import PhraseMaterial, fit, fit_odds, read_labels

FOUND = MusicEstimate(tempo=60.0, key="A minor", chords=[(0.0, 1.0, "C:maj"), (1.0, 2.0, "N")])


@pytest.mark.parametrize(
    ("evaluation", "suffix", "truth", "figures"),
    [
        (Chords(), ".lab", "0 1 C:maj\n1 2 F:maj\n", {"majmin": 0.5, "sevenths": 0.5, "mirex": 0.5, "no chord": 0.5}),
        (Keys(), ".key", "c maj", {"key": 0.0, "key or relative": 1.0, "key, weighted": 0.3, "shown": 1.0}),
        (Tempi(), ".bpm", "120,0", {"tempo": 0.0, "half or double": 1.0, "tempo shown": 1.0}),
    ],
)
def test_sounds_with_their_truth_beside_them_are_measured(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evaluation: Chords | Keys | Tempi,
    suffix: str,
    truth: str,
    figures: dict[str, float],
) -> None:
    pytest.importorskip("mir_eval")
    for name in ("a", "b"):
        with AudioWriter(tmp_path / f"{name}.wav", 8000, 1, "PCM_16") as writer:
            writer.write(np.zeros((1, 16000), np.float32))
    (tmp_path / f"a{suffix}").write_text(truth)
    (found,) = evaluation.files_in(tmp_path)
    assert found.name == "a.wav"
    monkeypatch.setattr(own_files, "SYSTEMS", {system.name: lambda _: FOUND for system in evaluation.systems})
    (tmp_path / "b.wav").write_bytes(b"")
    (tmp_path / f"b{suffix}").write_text(truth)
    said: list[str] = []
    files = (found, tmp_path / "b.wav")
    ask = EvaluationRequest(tmp_path, tmp_path, files=files, systems=("listen",), say=said.append)
    assert {score.measure: score.value for score in evaluation.scores(ask)} == pytest.approx(figures)
    assert [line.partition(":")[0] for line in said] == ["a.wav", "b.wav is left out"]
    for wrong, why in (("0", "cannot be read"), ("?", "cannot be read"), (None, "beside it")):
        if wrong is None:
            (tmp_path / f"b{suffix}").unlink()
        else:
            (tmp_path / f"b{suffix}").write_text(wrong)
        with pytest.raises(UsageError, match=f"b{suffix} {why}"):
            next(evaluation.scores(ask))  # before anything is measured


def test_a_side_that_is_the_other_turned_over_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = np.sin(np.arange(16000) / 8.0).astype(np.float32)
    with AudioWriter(tmp_path / "a.wav", 8000, 2, "PCM_16") as writer:
        writer.write(np.stack([tone, -tone]))
    (tmp_path / "a.bpm").write_text("120")
    levels: list[float] = []

    def estimate(song: object) -> MusicEstimate:
        levels.append(float(np.std(getattr(song, "sound", song))))
        return FOUND

    evaluation = Tempi()
    monkeypatch.setattr(
        own_files, "SYSTEMS", {system.name: lambda song: estimate(song) for system in evaluation.systems}
    )
    ask = EvaluationRequest(tmp_path, tmp_path, files=(tmp_path / "a.wav",), systems=("listen",))
    list(evaluation.scores(ask))
    assert min(levels) > 0.5


def test_a_sound_is_found_in_any_case_and_named_by_its_place_and_an_annotation_without_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mir_eval")
    (tmp_path / "sub").mkdir()
    for name in ("A.WAV", "b.wav", "sub/b.wav"):
        with AudioWriter(tmp_path / "made.wav", 8000, 1, "PCM_16") as writer:
            writer.write(np.zeros((1, 16000), np.float32))
        (tmp_path / "made.wav").rename(tmp_path / name)
    for name in ("a.key", "b.KEY", "sub/b.key", "sub/alone.key"):
        (tmp_path / name).write_text("A Minor")
    said: list[str] = []
    files = Keys().files_in(tmp_path, said.append)
    assert said == ["no sound of that name is beside sub/alone.key"]
    monkeypatch.setattr(own_files, "SYSTEMS", {system.name: lambda _: FOUND for system in Keys().systems})
    ask = EvaluationRequest(tmp_path, tmp_path, files=files, systems=("listen",))
    items = {score.item: score.value for score in Keys().scores(ask) if score.measure == "key"}
    assert items == {"A.WAV": 1.0, "b.wav": 1.0, "sub/b.wav": 1.0}


@pytest.mark.parametrize(
    ("text", "key"),
    [("C Minor", "C minor"), ("a Major", "A major"), ("Bb:Min", "Bb minor"), ("c m", "C minor"), ("Eb", "Eb major")],
)
def test_a_key_is_read_in_the_spellings_of_annotations(text: str, key: str) -> None:
    assert Keys().read(text).key == key
    with pytest.raises(ValueError, match="there is no key"):
        Keys().read("C M")


def write_song(folder: Path, labels: str, beats: int = 70, sung: tuple[int, ...] = ()) -> Path:
    """A song whose first chord is at its fourth beat; downbeats begin at the second. `sung`: beats with melody."""
    lines = [f"{0.5 * n} {float(n % 2 == 1)} {float(n % 4 == 1)}" for n in range(beats)]
    (folder / "beat_midi.txt").write_text("\n".join(lines))
    (folder / "chord_midi.txt").write_text("0.0 1.5 N\n1.5 3.5 C:maj\n3.5 30 F:maj\n")
    for listener in (1, 2):
        (folder / f"human_label{listener}.txt").write_text(labels)
    melody = MidiTrack("MELODY", tuple(MidiNote(float(n), 1.0, 60, 0.5) for n in sung), 0)
    write_midi(folder / f"{folder.name}.mid", [melody], 120.0)
    return folder


def starts_of(folder: Path) -> list[tuple[float, float, str]]:
    song = read_labels(folder)
    assert song is not None
    return [(phrase.start, phrase.end, phrase.letter) for phrase in song.listeners[0]]


def test_bars_of_labels_count_from_where_their_phrases_fit_melody_and_downbeats(tmp_path: Path) -> None:
    """Phrases with melody lie where it sounds, though bars before the first chord would fit as well."""
    for first in (5, 9):
        sung = tuple(range(first + 16, first + 48))
        assert starts_of(write_song(tmp_path, "i4A8b4\n", 78, sung)) == [
            (0.5 * (first + a), 0.5 * (first + b), letter)
            for a, b, letter in ((0, 16, "i"), (16, 48, "A"), (48, 64, "b"))
        ]


def test_bars_of_labels_count_from_the_first_chord_where_no_melody_says_more(tmp_path: Path) -> None:
    folder = write_song(tmp_path, "i4a8b4\n")
    beats = folder / "beat_midi.txt"
    beats.write_text(beats.read_text().replace(" 1.0\n", " 0.0\n"))
    assert starts_of(folder) == [(1.5, 9.5, "i"), (9.5, 25.5, "a"), (25.5, 33.5, "b")]
    song = read_labels(write_song(tmp_path, "i4A8b4\n"))
    assert song is not None
    assert song.downbeats[0] == 0.5


@pytest.mark.parametrize("labels", ["i4A4", "i40A40", "", "?"])
def test_labels_of_other_bars_are_left_out(tmp_path: Path, labels: str) -> None:
    assert read_labels(write_song(tmp_path, labels)) is None


def test_the_odds_are_fitted_and_found_again_from_the_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    draw = np.random.default_rng(1)
    table = draw.normal(size=(4000, 3))
    target = (table[:, 0] > 0.0).astype(np.float64)
    odds = fit_odds(table, target, units=8, rounds=60, dropout=0.0, seed=1)
    assert float(((odds(table) > 0.0) == (target > 0.5)).mean()) > 0.93
    songs = [
        PhraseMaterial(
            draw.normal(size=(64, 7)), np.eye(64), np.zeros(64), (np.arange(64) % 16 == 0) * 1.0, (16, 16, 32)
        )
        for _ in range(3)
    ]
    fitted = fit(songs)
    assert int(np.argmax(fitted.lengths)) == 16
    (tmp_path / "p.json").write_text(fitted.to_json())
    again = tables.load_phrases(tmp_path / "p.json")
    np.testing.assert_allclose(again.near(songs[0].table), fitted.near(songs[0].table), atol=0.01)


def test_the_phrase_tables_that_ship_fit_the_features() -> None:
    shipped = tables.load_phrases()
    local, similarity, zero = np.zeros((40, 26)), np.eye(40), np.zeros(40)
    assert phrases.features(local, similarity, zero).shape[1] == len(shipped.near.mean)
    assert phrases.context(zero, similarity, zero).shape[1] == len(shipped.far.mean)
    assert int(np.argmax(shipped.lengths)) == 16, "four bars of four"


def test_a_path_over_odds_prefers_lengths_that_are_frequent() -> None:
    odds = np.full(128, -4.0)
    odds[[0, 32, 64, 96]] = 3.0
    odds[[31, 70]] = 1.0
    assert {0, 32, 64, 96} <= set(phrases.phrase_starts(odds, tables.load_phrases()))
    assert not {31, 70} & set(phrases.phrase_starts(odds, tables.load_phrases()))
