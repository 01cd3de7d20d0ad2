"""The beat, measured on performances of the user's own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import F64, UsageError
from antiphon.api.backends.files import MidiNote, MidiTrack, write_midi
from antiphon_models.follow import record_evaluation
from antiphon_models.follow.evaluation import FollowEvaluation, nobody
from antiphon_models.follow.own_files import own_song, recordings
from antiphon_models.follow.songs import PlayedSong
from antiphon_models.learning.evaluation import EvaluationRequest

BEATS = 0.5 + 0.6 * np.arange(40)
TEMPO = [(0.0, 100.0), (20.0, 104.0)]
LISTS = {
    ".beats": "".join(f"{at:.3f}\t{n % 4 + 1}\n" for n, at in enumerate(BEATS)),
    ".csv": "time,bar.beat\n" + "".join(f"{at:.3f},{n // 4 + 1}.{n % 4 + 1}\n" for n, at in enumerate(BEATS)),
    ".txt": "".join(f"{at:.3f}\n" for at in BEATS),
    "_annotations.txt": "".join(f"{at:.3f}\t{at:.3f}\t{'b' if n % 4 else 'db,4/4'}\n" for n, at in enumerate(BEATS)),
}
"""Beats as they are written beside a performance."""


def pianist(path: Path, tempo: object = 120.0) -> Path:
    """Chords on beats, a new bass on each bar, eighths between: by seconds at 120 bpm, or on a map of the tempo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = 2.0 * BEATS if tempo == 120.0 else np.arange(40.0)
    notes = []
    for n, at in enumerate(places.tolist()):
        bass = 48 + 5 * (n // 4 % 2)
        notes += [MidiNote(at, 0.4, key, 0.75 - 0.05 * (n % 4)) for key in ((bass, 64, 67) if n % 4 == 0 else (64, 67))]
        notes.append(MidiNote(at + 0.5 * float(places[1] - places[0]), 0.4, 79, 0.4))
    write_midi(path, [MidiTrack("piano", tuple(notes))], tempo)  # type: ignore[arg-type]
    return path


def drummer(path: Path) -> Path:
    sound = np.zeros(26 * 22050, np.float32)
    for at in BEATS:
        sound[round(at * 22050) :][:900] += 0.5 * np.exp(-np.arange(900) / 150.0).astype(np.float32)
    soundfile.write(path, sound, 22050)
    return path


def test_a_folder_s_performances_are_rows_by_the_folder_that_they_are_in(tmp_path: Path) -> None:
    for number, (ending, text) in enumerate(LISTS.items()):
        path = pianist(tmp_path / "piano" / f"take {number}.mid")
        path.with_name(path.stem + ending).write_text(text)
    pianist(tmp_path / "piano" / "mapped.mid", TEMPO)
    pianist(tmp_path / "piano" / "nothing beside it.mid")
    (tmp_path / "drums").mkdir()
    drummer(tmp_path / "drums" / "kit.wav").with_suffix(".beats").write_text(LISTS[".beats"])
    (tmp_path / "drums" / "odd.wav").write_bytes(b"no sound")
    (tmp_path / "drums" / "odd.beats").write_text(LISTS[".beats"])
    evaluation, said = FollowEvaluation(), list[str]()
    files = evaluation.files_in(tmp_path)
    ask = EvaluationRequest(tmp_path, tmp_path, files=files, systems=("follow, MIDI", "follow, sound"), say=said.append)
    values = {(v.system, v.group, v.item, v.measure): v.value for v in evaluation.scores(ask)}
    takes = [f"piano/take {number}" for number in range(4)]
    assert {item for _, _, item, _ in values} == {*takes, "piano/mapped", "drums/kit"}
    for take in [*takes, "piano/mapped"]:
        assert values["follow, MIDI", "piano", take, "beats"] > 0.9, take
        assert ("follow, MIDI", "piano", take, "downbeats") in values or take == "piano/take 2"
        assert values["follow, MIDI", "piano", take, "entry"] >= 2.0
    assert ("follow, sound", "drums", "drums/kit", "beats") in values
    assert len(said) == 1
    assert said[0].startswith("drums/odd.wav is left out: ")


def test_a_sound_without_its_beats_is_refused_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kit.wav has no beats beside it; wanted are your performances"):
        own_song(drummer(tmp_path / "kit.wav"), "kit")


def test_the_sounds_without_a_player_have_the_same_length_by_seed(tmp_path: Path) -> None:
    (tmp_path / "esc10").mkdir()
    made = dict(nobody(tmp_path, 1))
    assert {len(sound) for sound in made.values()} == {30 * 22050}
    np.testing.assert_array_equal(made["applause"], dict(nobody(tmp_path, 1))["applause"])


def test_the_beats_of_loops_are_known_and_they_are_rows_before_made_ones(tmp_path: Path) -> None:
    assert list(recordings(tmp_path)) == []
    for folder, name in (("sonicpi", "loop_amen.flac"), ("tracks", "trumpet_solo_90bpm.ogg")):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / name, 0.1 * np.ones(2 * 44100), 44100)
    (kind, loop), (other, trumpet) = recordings(tmp_path)
    assert (kind, other) == ("drum loops", "a trumpet")
    assert loop.beats[:5] == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert trumpet.beats[:3] == pytest.approx([0.0, 0.25, 0.5])
    assert loop.downs[:5].tolist() == [True, False, False, False, True]
    assert loop.sound is not None
    assert len(loop.sound) == pytest.approx(30 * 22050, abs=100)
    ask = EvaluationRequest(tmp_path, tmp_path, limit=1)
    assert next(FollowEvaluation()._songs(ask))[0] == "drum loops"


@pytest.mark.parametrize(("kind", "beat", "again"), [("stop", 32, 21.5), ("jump back", 24, 16.5)])
def test_clicks_of_the_player_s_beats_are_right_and_those_of_the_record_untouched_are_not(
    kind: str, beat: int, again: float
) -> None:
    beats: F64 = np.arange(0.5, 32.5, 0.5)
    notes = np.stack([beats, 60.0 + np.arange(64), np.ones(64), np.full(64, 0.4)], axis=1)
    played, places, event = record_evaluation._performed(PlayedSong("", notes, beats, np.arange(64) % 4 == 0), kind)
    assert (event, places[event], played.beats[event]) == (32, beat, again)
    np.testing.assert_allclose(played.notes[:, 0], played.beats)
    np.testing.assert_array_equal(played.notes[:, 1], 60 + places)
    right = dict(record_evaluation._figures(played, played.beats, places % record_evaluation.TELLS, places, event))
    assert right == {"off, p50": 0.0, "off, p95": 0.0, "right bar": 1.0, "again in 2 beats": 1.0}
    wrong = dict(record_evaluation._figures(played, beats, np.arange(64) % record_evaluation.TELLS, places, event))
    assert (wrong["again in 2 beats"], wrong["right bar"] < 0.7) == (0.0, True)
