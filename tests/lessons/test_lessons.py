"""The lessons that ship can be learned from, and a lesson that cannot is named."""

from pathlib import Path

import numpy as np
import pytest
from tests import accepted

from antiphon.kernel.errors import FileError
from antiphon.lessons.lessons import (
    PATHS,
    Check,
    Expect,
    HeardSound,
    answer_of,
    judge,
    judge_lines,
    lessons,
    levels,
    problems,
    read_lesson,
    refusal,
    result_levels,
)
from antiphon.testing import sound as audio

LESSON = """+++
title = "One"
path = "code"
task = "Four drums."
start = 'track("kick", "bd")'
solution = 'track("kick", "bd*4")'
hint = "A star."
why = "So it is."
wrong = [
  {try = 'track("kick", "bd*2")', answer = "Two."},
  {try = 'track("kick", "bd*8")', answer = "Eight."},
  {try = 'track("kick", bd*4)', answer = "Quotation marks."},
]

[check]
kind = "events"
expect = [{sound = "bd", at = [0, 1, 2, 3]}]
+++
## A step

A few words.
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "code" / "01-one.md"
    path.parent.mkdir()
    path.write_text(LESSON)
    return path


@pytest.mark.parametrize("lesson", lessons(), ids=lambda one: f"{one.head.path}/{one.name}")
def test_a_lesson_that_ships_passes_by_its_solution_alone_and_answers_three_mistakes(lesson: object) -> None:
    assert list(problems(lesson)) == []  # type: ignore[arg-type]


@pytest.mark.needs("answer", "denoise")
def test_each_path_has_five_to_seven_lessons() -> None:
    counts = {path: sum(one.head.path == path for one in lessons()) for path in PATHS}
    assert all(5 <= count <= 7 for count in counts.values()), counts


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('solution = \'track("kick", "bd*4")\'', 'solution = \'track("kick", "bd*3")\'', "its solution does not pass"),
        ('start = \'track("kick", "bd")\'', 'start = \'track("kick", "bd bd bd bd")\'', "its start passes already"),
        ("bd*2", "bd!4", "a wrong try passes"),
        ("bd*2", "bd*8", "a wrong try gets the answer of another"),
        ("A few words.", "word " * 91, "has 91 words; 90 at most"),
        ("## A step", "A step", "it has no step"),
        ('  {try = \'track("kick", bd*4)\', answer = "Quotation marks."},\n', "", "it has 2 wrong tries; 3 at least"),
    ],
)
def test_a_lesson_that_cannot_be_learned_from_is_named(file: Path, before: str, after: str, fault: str) -> None:
    assert list(problems(read_lesson(file))) == []
    file.write_text(LESSON.replace(before, after))
    assert any(fault in one for one in problems(read_lesson(file)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no head", "has no head"),
        (LESSON.replace('"code"', '"dance"'), "path is one of code, play, files, send"),
        (LESSON.replace("hint =", "hynt ="), "code/01-one.md"),
        (LESSON.replace('title = "One"', 'title = "One'), "code/01-one.md"),
    ],
)
def test_a_file_that_is_no_lesson_is_refused_by_its_name(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(FileError, match=said):
        read_lesson(file)


def test_a_mistake_that_is_not_known_is_told_by_what_plays(file: Path) -> None:
    lesson = read_lesson(file)
    outcome = judge_lines(lesson, 'track("kick", "bd*3")')
    assert answer_of(lesson, outcome) == "You have bd on beat 1, 2.33, 3.67; the task is beat 1, 2, 3, 4."
    assert answer_of(lesson, judge_lines(lesson, 'track("kick", "bd bd bd bd")')) == "So it is."
    assert "is not closed" in answer_of(lesson, judge_lines(lesson, 'track("kick", "[bd")'))


def test_what_the_patch_does_not_take_is_no_right_answer(file: Path) -> None:
    lesson = read_lesson(file)
    assert "no node 'drum'" in answer_of(lesson, judge_lines(lesson, 'track("kick", "bd*4", on="drum")'))


def test_a_pattern_without_a_track_is_answered(file: Path) -> None:
    lesson = read_lesson(file)
    said = answer_of(lesson, judge_lines(lesson, 'track("kick", "bd*4")\ns("bowl")'))
    assert said == 'Line 5: a pattern sounds in a track; write track("more", s("bowl"))'


def test_a_message_that_the_patch_refuses_is_told_from_one_that_it_takes() -> None:
    def answer(message: str) -> str:
        address, _, args = message.partition(" ")
        sent = tuple(eval(f"[{args}]"))
        assert refusal("", address, sent) == ""
        return refusal("band", address, sent) or "it is taken"

    accepted.compare(Path(__file__).with_name("lesson_messages.py"), answer)


def test_a_result_is_known_by_its_loudness_and_its_quiet_parts(tmp_path: Path) -> None:
    sound = np.r_[np.full(8000, 0.1), np.full(2000, 1e-3)].astype(np.float32)
    audio.write(tmp_path / "a.wav", sound, subtype="FLOAT", rate=8000)
    assert [round(one.args[0]) for one in result_levels(tmp_path / "a.wav")] == [-20, -60]
    (tmp_path / "b.mid").write_bytes(b"MThd")
    assert result_levels(tmp_path / "b.mid") == []


def test_beginnings_and_loudness_are_those_of_the_sound() -> None:
    def clicks(count: int, gap: int = 10) -> list[HeardSound]:
        shown = [1.0 if place % gap == 3 and place // gap < count else 0.001 for place in range(80)]
        return [HeardSound(0.1 * place, "/meter", ("in", level, level / 2)) for place, level in enumerate(shown)]

    check = Check("onsets", (Expect(least=5, most=5),))
    assert judge(check, clicks(5)).passed
    assert judge(check, clicks(4)).fact == (0, "onsets", False, 4)
    loud = judge(Check("loudness", (Expect(least=-6, most=0),)), [HeardSound(0, "/meter", ("in", 0.5, 0.1))] * 40)
    assert loud.fact == (0, "level", False, -20)
    sound = levels("hum.flac")
    assert judge(Check("loudness", (Expect(least=-40, most=-6),)), sound).passed
    assert not judge(
        Check("loudness", (Expect(least=-40, most=-6),)), [HeardSound(0, "/meter", ("out", 0.2, 0.2))]
    ).passed


def test_port_and_address_stand_in_the_text() -> None:
    first = next(one for one in lessons() if (one.head.path, one.name) == ("send", "01-first-message"))
    for host, shown in (("10.1.2.3", "10.1.2.3"), ("", "this machine's address")):
        texts = [step["text"] for step in first.plain(4411, host)["steps"]]
        assert any(f"host `{shown}`, send port 4411" in text for text in texts)
        assert not any(part in text for part in ("{port}", "{host}") for text in texts)


@pytest.mark.parametrize(
    "track", ['"kick*4"', 'note("36*4"), on="drums"', 's("bd:1*4")', 's("<bd kick>*4")', 'note("c2*4"), on="drums"']
)
def test_a_drum_by_another_name_or_its_note_passes(file: Path, track: str) -> None:
    lesson = read_lesson(file)
    assert judge_lines(lesson, f'track("kick", {track})').passed


@pytest.mark.parametrize("track", ['"snare*4"', 'note("38*4"), on="drums"', 'note("36*4"), on="bass"'])
def test_another_drum_does_not_pass_for_a_kick(file: Path, track: str) -> None:
    assert not judge_lines(read_lesson(file), f'track("kick", {track})').passed
