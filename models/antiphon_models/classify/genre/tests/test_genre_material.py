"""Sketches are like the sound that they stand for; the splits share no song; the network in numpy is torch's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import UsageError
from antiphon.api.backends.files import read_midi
from antiphon_classify.classifier import MEL
from antiphon_classify.rhythm import FRAMES, RhythmNetwork, features
from antiphon_models.classify.clips import spectrogram
from antiphon_models.classify.genre import field, material
from antiphon_models.classify.genre.calibration import JoinedCalibration
from antiphon_models.classify.genre.evaluation import (
    GenreAnswer,
    GenreEvaluation,
    Tally,
    by_command,
    excerpt_logits,
    joined_answer,
)
from antiphon_models.classify.genre.material import LABELS, ClipPlan, PlayedSong, make, plans, songs
from antiphon_models.classify.genre.notes import (
    BEFORE,
    DRUM_NOTES,
    DRUM_SLOT,
    HELD,
    KITS,
    PITCHES,
    PROGRAMS,
    SLOT,
    VELOCITY,
    NoteBank,
)
from antiphon_models.classify.genre.sketches import FIRST_SEED, add_from_bank, degraded_sketch, sketch
from antiphon_models.classify.genre.sources import SPLITS, medley
from antiphon_models.learning.evaluation import EvaluationRequest
from antiphon_models.material.composer.genres import BY_NAME
from antiphon_models.material.composer.song import ComposedNote, ComposedSong, compose
from antiphon_models.material.composer.strangers import invent_genre
from antiphon_models.material.composer.tests.computed_sound import sound_of_song


def test_a_sketch_is_like_the_sound() -> None:
    song = compose(BY_NAME["hip hop"], 3, 8.0)
    sketched, mel = sketch(song, np.random.default_rng(1)), spectrogram(sound_of_song(song, MEL.rate, 3))
    count = min(len(sketched), len(mel))
    assert np.corrcoef(sketched[:count].ravel(), mel[:count].ravel())[0, 1] > 0.8
    worse = degraded_sketch(sketched, np.random.default_rng(2))
    assert worse.shape == sketched.shape
    assert np.isfinite(features(worse[None, :FRAMES])).all()


def steady_bank() -> NoteBank:
    """Notes of one band by pitch that are level while they are held, and drums of one frame."""
    notes = np.full((PROGRAMS, len(PITCHES), SLOT, MEL.bands), -100.0, np.float16)
    for place in range(len(PITCHES)):
        notes[:, place, BEFORE : BEFORE + HELD, 3 * place] = 0.0
    drums = np.full((len(KITS), len(DRUM_NOTES), DRUM_SLOT, MEL.bands), -100.0, np.float16)
    drums[:, :, BEFORE, 60] = 0.0
    return NoteBank(notes, drums)


def test_notes_of_a_bank_sound_when_and_as_long_as_they_are_written() -> None:
    song = compose(BY_NAME["hip hop"], 3, 8.0)
    whole = np.zeros((1200, MEL.bands), np.float32)
    written = (ComposedNote(1.0, 2.0, 50, VELOCITY, "bass"), ComposedNote(6.0, 14.0, 74, VELOCITY, "bass"))
    add_from_bank(whole, written, steady_bank(), 0, np.ones(MEL.bands, np.float32), 4.0)
    a_second = MEL.rate / MEL.hop
    for note, band in ((written[0], 18), (written[1], 36)):
        sounding = np.flatnonzero(whole[:, band] > 0.1) / a_second
        assert sounding[0] == pytest.approx(note.start, abs=0.05)
        assert sounding[-1] == pytest.approx(note.end, abs=0.1)
    drawn = sketch(song, np.random.default_rng(4), [steady_bank()])
    assert np.isfinite(drawn).all()


def test_splits_share_no_source_and_no_song(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[int] = []

    def silent(songs: Sequence[ComposedSong], source: str, rate: int) -> Iterator[np.ndarray]:
        composed.extend(hash(song.notes) for song in songs)
        return (np.full(21 * rate, 0.1, np.float32) for _ in songs)

    monkeypatch.setattr(material, "render_songs", silent)
    monkeypatch.setattr(material, "LASTS", dict.fromkeys(SPLITS, 7.0))
    sources = [source for split in SPLITS.values() for source in split]
    assert len(set(sources)) == len(sources)
    assert {plan.label for plan in plans("measure")} - set(LABELS) == {"tango", "march"}
    assert {plan.label for plan in plans("choose")} - set(LABELS) == {"funk", "waltz"}
    seeds = set()
    for split in SPLITS:
        for source in SPLITS[split]:
            found = list(songs(ClipPlan(split, source, "reggae", BY_NAME["reggae"]), 1))
            assert len(found) == material.SONGS[split]
            assert found[0][0].shape == (7 * MEL.rate,)
            seeds |= {number for _, number, _ in found}
    assert len(seeds) == len(set(composed)) == 2 * 20 + 3 * 10
    assert min(seeds) >= 1_000_000
    assert max(seeds) < FIRST_SEED


def test_songs_of_one_file_begin_where_the_medley_has_them(tmp_path: Path) -> None:
    both = [compose(BY_NAME["hip hop"], 1, 4.0), compose(BY_NAME["reggae"], 2, 4.0)]
    score, starts = medley(both)
    (tmp_path / "both.mid").write_bytes(score)
    found = read_midi(tmp_path / "both.mid")
    onsets = sorted(found.seconds(note.start) for track in found.tracks for note in track.notes)
    written = sorted(start + note.start for song, start in zip(both, starts, strict=True) for note in song.notes)
    assert len(onsets) == len(written)
    assert np.abs(np.subtract(onsets, written)).max() < 0.002


def test_two_processes_share_the_files(tmp_path: Path) -> None:
    written: list[str] = []
    path = tmp_path / "one.npz"

    def write(to: Path) -> None:
        # another process would come by now
        make(path, lambda other: written.append("other"), print, wait=False)
        written.append("first")
        to.write_bytes(b"")

    make(path, write, print, wait=False)
    make(path, write, print, wait=True)
    assert written == ["first"]


def test_invented_genres_are_songs_and_each_another() -> None:
    rngs = [np.random.default_rng(n) for n in range(12)]
    found = [compose(invent_genre(rng), 5, 8.0) for rng in rngs]
    assert all(song.notes for song in found)
    assert len({song.notes for song in found}) == len(found)
    assert compose(invent_genre(np.random.default_rng(3)), 5, 8.0) == found[3]


def answer(place: int, *, unknown: bool = False) -> GenreAnswer:
    odds = np.full(len(LABELS), 0.01)
    odds[place] = 0.9
    return GenreAnswer(odds, unknown)


def test_whole_songs_and_clips_have_figures_of_their_own() -> None:
    tally, scores = Tally("a"), []
    for label, answers in (
        (LABELS[0], [answer(0), answer(0), answer(0, unknown=True)]),
        (LABELS[1], [answer(3), answer(3), answer(3)]),
        ("tango", [answer(0), answer(0), answer(0, unknown=True)]),
    ):
        said = iter(answers)
        song = PlayedSong(7, np.zeros(1, np.float32), (np.zeros(1, np.float32),) * 2)
        scores += tally.values(ClipPlan("measure", "csound", label, None), song, lambda sound, said=said: next(said))
    scores += tally.errors()
    mean = {
        name: np.mean([score.value for score in scores if score.measure == name])
        for name in {score.measure for score in scores}
    }
    assert mean["accuracy"] == mean["of two clips"] == 0.5
    assert mean["of 30 s"] == 0.0
    assert mean["ECE of 30 s"] == pytest.approx(0.4)
    assert mean["strangers unknown"] == 0.0
    assert mean["strangers of 30 s"] == 1.0
    assert sum(score.measure == "of two clips" for score in scores) == 2


def test_the_command_answers_with_a_label_for_each_sound() -> None:
    sound = sound_of_song(compose(BY_NAME["hip hop"], 3, 7.0), MEL.rate, 3)[: 6 * MEL.rate]
    found = by_command(sound)
    assert found.probabilities.sum() == pytest.approx(1.0)
    assert LABELS[int(found.probabilities.argmax())] in LABELS
    assert by_command(np.zeros(6 * MEL.rate, np.float32)).unknown


def test_songs_are_answered_by_what_was_chosen_for_their_length() -> None:
    logits = np.tile(np.array([1.0, 0.0], np.float32), (3, 1))
    chosen = JoinedCalibration((1.0, 0.5), (0.3, 0.9))
    short, long = joined_answer(logits[:1], chosen), joined_answer(logits, chosen)
    assert short.probabilities[0] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert long.probabilities[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert (short.unknown, long.unknown) == (False, True)
    mel = np.zeros((FRAMES + 9, 64), np.float16)
    assert excerpt_logits(lambda part: part.mean(axis=(1, 2))[:, None], mel).shape == (1, 1)


def test_numpy_plays_what_torch_trained() -> None:
    torch = pytest.importorskip("torch")
    from antiphon_models.classify.genre.network import TrainedRhythmNetwork

    torch.manual_seed(2)
    mel = np.random.default_rng(2).normal(-40.0, 9.0, (5, FRAMES, 64)).astype(np.float32)
    found = features(mel)
    trained = TrainedRhythmNetwork(found.mean(axis=0), found.std(axis=0) + 0.1, len(LABELS)).eval()
    with torch.inference_mode():
        theirs = trained(torch.from_numpy(found)).numpy()
    ours = RhythmNetwork(trained.arrays(), "a test's").logits(mel)
    assert np.abs(theirs).max() > 0.01
    assert np.abs(ours - theirs).max() < 1e-4


def test_gtzan_is_found_by_its_folders(tmp_path: Path) -> None:
    assert field.dataset_in(tmp_path) is None
    for genre in ("blues", "disco"):
        (tmp_path / "genres" / genre).mkdir(parents=True)
        (tmp_path / "genres" / genre / f"{genre}.00000.wav").write_bytes(b"")
    found = field.dataset_in(tmp_path)
    assert found is not None
    assert found.layout == "gtzan"
    assert found.items
    assert all(item.split == "test" and not item.fault for item in found.items)


def test_a_folder_whose_folders_are_named_by_genre_is_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for genre in ("Hip-Hop", "polka"):
        (tmp_path / genre).mkdir()
        soundfile.write(tmp_path / genre / "one.wav", 0.1 * rng.normal(size=22050), 22050)
    said: list[str] = []
    values = list(GenreEvaluation().scores(EvaluationRequest(tmp_path, tmp_path / "work", say=said.append)))
    assert said == [f"2 files of {tmp_path}, their genres by their folders; strangers are of polka"]
    assert {value.group for value in values} == {f"recordings of {tmp_path.name}"}
    found = {(value.measure, value.item): value.value for value in values}
    assert found[("accuracy", "Hip-Hop/one.wav")] == 0.0
    assert found[("strangers unknown", "polka/one.wav")] in (0.0, 1.0)


def test_a_folder_without_genres_is_refused_and_not_answered_by_songs_of_rules(tmp_path: Path) -> None:
    (tmp_path / "takes").mkdir()
    soundfile.write(tmp_path / "takes/one.wav", np.zeros(2205), 22050)
    for root in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(UsageError, match="has no folder that is named by a genre"):
            next(GenreEvaluation().scores(EvaluationRequest(root, tmp_path / "work")))
    (tmp_path / "esc10").mkdir()
    for root in (field.UNNAMED, tmp_path):  # the latter as ANTIPHON_DATA may name it for all evaluations
        field.check(root)
