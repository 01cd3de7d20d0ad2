"""`antiphon run loops`: what is asked, what is left out, what is said, and the files beside OUT."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from antiphon.api import FileError, PluginError, UsageError
from antiphon.api.jobs import FileJob
from antiphon.kernel.graph.clips import locate_asset
from antiphon.kernel.runtime import resources
from antiphon_loops.jobs import MAX_QUESTIONS, run
from antiphon_loops.library import ready
from antiphon_loops.record import ROLES
from antiphon_loops.tests.conftest import RATE, drums, note, seven
from antiphon_models.learning.user_commands import command

pytestmark = pytest.mark.slow


class AnsweredQuestions:
    """AnsweredQuestions questions, and notes what is said."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions, self.sentences = list(answers), [], []

    def ask(self, question: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else ""


def piece(
    folder: Path, target: Path, person: AnsweredQuestions | None = None, stems: bool = False, **settings: object
) -> list[str]:
    """Runs a job and returns its lines."""
    person = person or AnsweredQuestions()
    paths = {role: target.with_name(f"{target.stem}-{role}.wav") for role in ROLES} if stems else {}
    values = {"bars": 4, "bpm": 110.0, **settings}
    job = FileJob("loops", folder, target, values, stems=paths, complain=person.sentences.append, ask=person.ask)
    return [str(written) for written in run(job)]


@pytest.fixture
def unsure(tmp_path: Path) -> Path:
    """A folder of a clear loop and one of uncertain tempo."""
    folder = tmp_path / "loops"
    folder.mkdir()
    soundfile.write(folder / "clear.wav", drums(104.0, 2, 0), RATE)
    soundfile.write(folder / "odd.wav", seven(), RATE)
    return folder


def test_an_uncertain_tempo_is_asked_about_once(unsure: Path, tmp_path: Path):
    person = AnsweredQuestions(" 92.7 ")
    piece(unsure, tmp_path / "out.wav", person)
    assert [q.split(":")[0] for q in person.questions] == ["odd.wav"]
    assert "139.1 or 92.72 bpm" in person.questions[0]
    assert person.sentences == []
    assert [(x.file, x.bars, x.tempo_from) for x in ready(unsure)[0]] == [
        ("clear.wav", 2, "sound"),
        ("odd.wav", 2, "user"),
    ]
    again = AnsweredQuestions("50")
    piece(unsure, tmp_path / "out2.wav", again)
    assert (again.questions, again.sentences) == ([], [])


@pytest.mark.parametrize("answer", ["", "fast", "-92.7"])
def test_without_an_answer_of_use_it_is_left_out_with_one_line(unsure: Path, tmp_path: Path, answer: str):
    person = AnsweredQuestions(answer)
    lines = piece(unsure, tmp_path / "out.wav", person)
    assert lines[0].endswith("from 1 loop, 4 bars at 110 bpm: clear.wav (bars 1-4)")
    assert person.sentences[-1] == (
        "1 loop is left out, for the tempo is uncertain: odd.wav (139.1 or 92.72 bpm); write it into the name, as "
        "odd-139bpm.wav"
    )
    assert person.sentences[:-1] == ([f"odd.wav does not make whole bars of four at {answer!r} bpm"] if answer else [])
    assert [x.file for x in ready(unsure)[0]] == ["clear.wav"]


def test_the_rules_may_take_them_all(unsure: Path, tmp_path: Path):
    (unsure / "rules.toml").write_text("tempo_sure = 0.0\n")
    person = AnsweredQuestions("92.7")
    piece(unsure, tmp_path / "out.wav", person)
    assert (person.questions, person.sentences, len(ready(unsure)[0])) == ([], [], 2)


def test_a_library_of_uncertain_loops_alone_is_refused_with_the_reason(tmp_path: Path):
    for n in range(MAX_QUESTIONS + 3):
        soundfile.write(tmp_path / f"odd{n}.wav", seven() * (1.0 - 0.01 * n), RATE)
    person = AnsweredQuestions()
    with pytest.raises(PluginError, match=r"no loop in .*15 loops are left out, .* and 11 more; write it"):
        piece(tmp_path, tmp_path / "out.wav", person)
    assert len(person.questions) == MAX_QUESTIONS
    assert not (tmp_path / "out.wav").exists()


def test_a_folder_of_one_shots_beside_the_loops_is_not_said_file_by_file(unsure: Path, tmp_path: Path):
    for n in range(15):
        soundfile.write(unsure / f"shot{n}.wav", seven()[: RATE // 4] * (1.0 - 0.01 * n), RATE)
    person = AnsweredQuestions("92.7")
    piece(unsure, tmp_path / "out.wav", person)
    assert len(person.sentences) == 13
    assert person.sentences[-1].startswith("3 more files are no loops")


def test_the_sum_of_the_stems_is_the_mix(library: Path, tmp_path: Path):
    lines = piece(library, tmp_path / "out.wav", stems=True, seed=3, bars=4)
    alone = piece(library, tmp_path / "alone.wav", seed=3, bars=4)
    mix, _ = soundfile.read(tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == (tmp_path / "alone.wav").read_bytes()
    stems = [soundfile.read(tmp_path / f"out-{role}.wav")[0] for role in ROLES]
    np.testing.assert_allclose(sum(stems), mix, atol=2e-6 + len(ROLES) / 2**15)
    assert sorted(float(np.sqrt((x**2).mean())) > 0.003 for x in stems) == [True] * len(ROLES)
    assert all(abs(float(np.corrcoef(a[:, 0], b[:, 0])[0, 1])) < 0.5 for a, b in pairwise(stems))
    assert [line.split(":")[0] for line in lines] == [f"wrote {tmp_path}/out.wav"] + [
        f"wrote {tmp_path}/out-{role}.wav" for role in ROLES
    ]
    assert ", from out.wav, its drums: " in lines[1]
    assert alone == [lines[0].replace("out.wav", "alone.wav")]


def test_stems_are_of_the_instruments_asked_for(library: Path, tmp_path: Path):
    piece(library, tmp_path / "out.wav", stems=True, instruments="drums,bass")
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["out-bass.wav", "out-drums.wav", "out.wav"]


def test_a_line_names_what_was_used_and_where(library: Path, tmp_path: Path):
    (line,) = piece(library, tmp_path / "out.wav", bars=16, instruments="drums", seed=2)
    head, parts = line.rsplit(": ", 1)
    assert ", 16 bars at 110 bpm" in head
    named = dict(part.split(" (") for part in parts.removesuffix(")").split("), "))
    assert set(named) <= {"a.wav", "b.wav", "h.wav"}
    assert all(at.startswith("bar") for at in named.values())
    bars = {n for at in named.values() for n in _numbers(at)}
    assert bars == set(range(1, 17))


def _numbers(text: str) -> set[int]:
    """The bars of "bars 1-8, 12"."""
    result: set[int] = set()
    for run_ in text.split(" ", 1)[1].split(", "):
        first, _, last = run_.partition("-")
        result |= set(range(int(first), int(last or first) + 1))
    return result


def test_the_key_is_said_and_the_end_fades(library: Path, tmp_path: Path):
    (line,) = piece(library, tmp_path / "out.wav", key="E minor")
    assert ", 4 bars at 110 bpm, in E minor, fit 0." in line
    sound, rate = soundfile.read(tmp_path / "out.wav")
    assert np.abs(sound[-2:]).max() < 1e-3
    assert np.abs(sound[-round(0.05 * rate) : -round(0.03 * rate)]).max() > 0.005


def test_loops_are_cut_from_a_song_by_stem_and_its_voice_is_left_out(tmp_path: Path):
    bar = 2 * RATE
    song = np.concatenate([drums(120.0, 2, n) for n in range(4)])  # eight bars
    lines = np.concatenate([note(pitch, bar, 6, 0.8) for pitch in (36, 41, 43, 36)] * 2)
    chords = sum(np.concatenate([note(pitch + up, bar, 8, 1.5) for pitch in (60, 65, 67, 60)] * 2) for up in (0, 4, 7))
    soundfile.write(tmp_path / "my song.wav", 0.3 * song + 0.3 * lines[: len(song)] + 0.06 * chords[: len(song)], RATE)
    person = AnsweredQuestions()
    said = piece(tmp_path / "my song.wav", tmp_path / "out.wav", person)
    assert "the loops of my song.wav are in" in person.sentences[0]
    folder = Path(person.sentences[0].split(" are in ")[1])
    cut = {path.name.split("-")[0] for path in folder.glob("*.wav")}
    assert {"drums", "bass"} <= cut <= {"drums", "bass", "voice", "other"}
    for loop in ready(folder)[0]:  # half and double tempo count as the same
        assert loop.tempo_from == "name"
        assert min(abs(loop.bpm * times / 120.0 - 1.0) for times in (0.5, 1.0, 2.0)) < 0.03
    assert "my song" not in said[0]
    # a patch names them, and "loops" is what it was before
    patch = f'format = 1\nname = "Cut"\n[nodes.loops]\nlibrary = "{folder.name}"\n[wires]\nloops = "out"\n'
    (tmp_path / "cut.toml").write_text(patch)
    command("render", tmp_path / "cut.toml", "--seconds", "3", "--out", tmp_path / "cut-live.wav")
    assert np.abs(soundfile.read(tmp_path / "cut-live.wav")[0]).max() > 0.05
    assert Path(locate_asset("loops")) == resources.folder("library") / "loops"
    for path in folder.glob("*.wav"):
        path.rename(path.with_name(f"voice-{path.name}"))
    with pytest.raises(PluginError, match="no loop in"):
        piece(folder, tmp_path / "out.wav", voice=False)


def test_a_song_without_bars_is_refused(tmp_path: Path):
    soundfile.write(tmp_path / "hiss.wav", 0.1 * np.random.default_rng(1).standard_normal(RATE), RATE)
    with pytest.raises(FileError, match="no 4 bars are found in it"):
        piece(tmp_path / "hiss.wav", tmp_path / "out.wav")
    with pytest.raises(UsageError, match="those of IN"):
        piece(tmp_path / "hiss.wav", tmp_path / "out.wav", library="other")
