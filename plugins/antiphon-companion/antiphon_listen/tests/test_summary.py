"""Summaries: which bars are chosen, how they are joined, and files of every kind, also those that have no parts."""

import itertools
import json
import struct
import zlib
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import FileError
from antiphon.api.jobs import FileJob
from antiphon_listen.chord_notes import write_compact, write_summary
from antiphon_listen.music import MusicRun, SongAnalysis
from antiphon_listen.phrases import Phrase, Structure, choose_chorus, find_letters, repeats
from antiphon_listen.summary import CROSSFADE, SummaryPart, compact, play_parts, summary
from antiphon_listen.tests.test_music import RATE, song

BAR = 2.0
"""Seconds of a bar of `form`."""


def form(text: str = "IAABBCABBO", bars: int = 4, after: float = 1.0) -> Structure:
    """A structure with a phrase of so many bars for each letter; B is the chorus, A the verse."""
    names = {"I": "intro", "A": "verse", "B": "chorus", "C": "bridge", "O": "outro"}
    size = 4 * bars
    phrases = tuple(
        Phrase(size * n, size * n + size, ord(letter), names.get(letter, letter), 0.9 if letter == "C" else 0.5)
        for n, letter in enumerate(text)
    )
    beats = 0.5 + BAR / 4 * np.arange(size * len(text))
    return Structure(beats, 4, phrases, float(beats[-1] + BAR / 4 + after), text.index("B"))


@each("seconds", [0.7, 2.0, 3.9, 10.0, 17.3, 30.0, 45.0, 60.0, 79.0])
def test_a_summary_has_the_length_that_was_asked_for(seconds: float) -> None:
    parts = summary(form(), seconds)
    total = sum(part.end - part.start for part in parts)
    assert seconds - BAR - 1.1 < total <= seconds + 1e-5
    if seconds < BAR:
        assert total == pytest.approx(seconds)


@each("seconds", [2.0, 10.0, 17.3, 30.0, 60.0])
def test_parts_are_whole_bars_in_the_songs_order(seconds: float) -> None:
    structure = form()
    parts = summary(structure, seconds)
    bars = {round(structure.beat_time(beat), 6) for beat in range(0, len(structure.beats) + 1, 4)}
    assert {round(time, 6) for part in parts for time in (part.start, part.end)} <= bars
    assert all(one.end <= other.start + 1e-9 for one, other in itertools.pairwise(parts))


def test_the_chorus_is_whole_and_others_have_two_bars_or_more() -> None:
    parts = summary(form(), 24.0)
    names = {part.name: part for part in parts}
    assert {"chorus", "verse"} <= names.keys()
    assert sum(part.end - part.start for part in parts if part.name == "chorus") >= 4 * BAR - 1e-6
    starts = {form().beat_time(phrase.first) for phrase in form().phrases}
    assert parts[0].start in starts
    assert all(part.end - part.start >= 2 * BAR - 1e-6 for part in parts)


def test_a_longer_summary_has_more_of_the_letters() -> None:
    counts = [len({part.name for part in summary(form(), seconds)}) for seconds in (4.0, 24.0, 60.0)]
    assert counts[0] < counts[1] < counts[2]


def test_compact_has_each_letter_once_and_no_shorter_form_would_do() -> None:
    parts = compact(form())
    assert sorted(part.name for part in parts) == ["bridge", "chorus", "intro", "outro", "verse"]
    assert sum(part.end - part.start for part in parts) == pytest.approx(0.5 + 5 * 4 * BAR + 1.0)
    assert [part.start for part in parts] == sorted(part.start for part in parts)
    whole = compact(form("IABCO"))
    assert (whole[0].start, whole[-1].end) == (0.0, form("IABCO").seconds), "what comes once is there, the upbeat too"


def test_phrases_on_the_same_chords_are_told_apart_by_what_is_repeated() -> None:
    rng = np.random.default_rng(1)
    shared, one, other = (rng.normal(size=(16, 72)) for _ in range(3))
    rows = np.concatenate([1.3 * shared + part for part in (one, other, one, one, other)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    letters, _ = find_letters(rows, [(n, n + 16) for n in range(0, 80, 16)])
    assert letters == [0, 1, 0, 0, 1]


def sine(seconds: float, rate: int = 48000) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([0.5 * np.sin(2 * np.pi * 220.0 * time), 0.5 * np.sin(2 * np.pi * 333.3 * time)]).astype(np.float32)


@pytest.mark.parametrize("size", [100, 4096, 200_000])
def test_joins_have_no_click_and_every_frame_has_its_place(size: int) -> None:
    sound = sine(4.0)
    parts = [(12_345, 50_001), (50_001, 60_000), (100_123, 150_000)]
    blocks = (sound[:, at : at + size] for at in range(0, sound.shape[1], size))
    out = np.concatenate(list(play_parts(blocks, parts, 48000)), axis=1)
    assert out.shape[1] == sum(end - start for start, end in parts)
    np.testing.assert_array_equal(out[:, 1000:40_000], sound[:, 13_345:52_345])
    cut = 60_000 - 12_345
    np.testing.assert_array_equal(out[:, cut:], sound[:, 100_123:150_000])
    steps = np.abs(np.diff(out, axis=1)).max(axis=1)
    inner = np.abs(np.diff(sound, axis=1)).max(axis=1)
    assert np.all(steps < 1.6 * inner), "a hard cut steps by up to 30 times as much"
    assert np.abs(out[:, 0]).max() < 1e-6


def test_a_join_keeps_the_level() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.1, (1, 96_000)).astype(np.float32)
    out = np.concatenate(list(play_parts([noise], [(0, 40_000), (60_000, 90_000)], 48000)), axis=1)[0]
    size = round(CROSSFADE * 48000)
    assert np.sqrt(np.mean(out[40_000 - size : 40_000] ** 2)) == pytest.approx(0.1, rel=0.1)


@cache
def analysed() -> tuple[np.ndarray, SongAnalysis]:
    """Two parts in turn, ABAB, 16 bars of 2.5 s each: 160 s."""
    beat = round(0.625 * RATE)
    one, other = song(bars=16), song(bars=16, transpose=6)
    sound = np.concatenate([part[: 64 * beat] for part in (one, other, one, other)])
    run = MusicRun()
    for at in range(0, len(sound), RATE):
        run.feed(sound[None, at : at + RATE])
    return sound, run.analyse().convert_to_recording_times()


def test_the_form_of_a_song_is_found_and_its_summary_has_both_parts() -> None:
    sound, song = analysed()
    structure = song.structure
    assert structure is not None
    sections = structure.spans()
    assert (sections[0][0], sections[-1][1]) == (0.0, pytest.approx(len(sound) / RATE))
    assert [start for start, *_ in sections[1:]] == [end for _, end, _ in sections[:-1]]
    edges = np.array([start for start, *_ in sections])
    for change in (40.5, 80.5, 120.5):
        assert np.abs(edges - change).min() < 0.3
    at = [next(label for start, end, label in sections if start <= time < end) for time in (20.0, 60.0, 100.0, 140.0)]
    assert at[0] == at[2] != at[1] == at[3], "a repeat has its letter"
    parts = summary(structure, 30.0)
    for low, high in ((0.0, 40.0), (40.0, 80.0)):
        inside = [part for part in parts if low <= part.start % 80.0 < high]
        assert sum(part.end - part.start for part in inside) >= 5.0 - 0.1
    downbeats = 0.5 + 2.5 * np.arange(65)
    assert max(np.abs(downbeats - part.start).min() for part in parts) < 0.1


def job(folder: Path, sound: np.ndarray, name: str, out: str, **settings: float) -> tuple[FileJob, list[str]]:
    source = folder / name
    soundfile.write(source, sound.T, RATE)
    said: list[str] = []
    beside = {"report": folder / "r.json", "picture": folder / "p.png"}
    return FileJob("summary", source, folder / out, settings, beside=beside, complain=said.append), said


def test_an_mp3_gives_an_mp3_with_its_report_and_picture(tmp_path: Path) -> None:
    sound, _ = analysed()
    task, said = job(tmp_path, sound[None], "song.mp3", "short.mp3", seconds=30.0)
    written = write_summary(task)
    assert not said
    assert [Path(each.path).name for each in written] == ["short.mp3", "r.json", "p.png"]
    report = json.loads((tmp_path / "r.json").read_text())
    short = soundfile.read(tmp_path / "short.mp3")[0]
    assert report["duration"] == pytest.approx(len(short) / RATE, abs=0.1)
    assert 27.4 <= report["duration"] <= 30.01
    assert sum(end - start for start, end, _ in report["parts"]) == pytest.approx(report["duration"], abs=0.01)
    assert all(isinstance(label, str) for *_, label in report["parts"])
    picture = (tmp_path / "p.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG")
    assert 200 < width <= 1000
    assert height > width
    assert len(zlib.decompress(picture[picture.index(b"IDAT") + 4 : -16])) == height * (3 * width + 1)


def test_compact_of_a_file_is_shorter_than_it(tmp_path: Path) -> None:
    sound, _ = analysed()
    task, _ = job(tmp_path, sound[None], "song.wav", "short.wav")
    write_compact(task)
    names = [label for *_, label in json.loads((tmp_path / "r.json").read_text())["parts"]]
    assert len(soundfile.read(tmp_path / "short.wav")[0]) < 0.75 * len(sound)
    assert len(names) == len(set(names))


def known(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The song, whose analysis is not computed again."""
    sound, song = analysed()
    info, run = (
        SimpleNamespace(rate=RATE, channels=1, subtype="PCM_16", tags={}),
        SimpleNamespace(analyse=lambda: song),
    )
    monkeypatch.setattr("antiphon_listen.chord_notes.hear", lambda _: (info, len(sound), run))
    return sound[None]


def test_compact_says_that_no_part_was_found_twice_not_that_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def each(structure: Structure) -> list[SummaryPart]:
        return [SummaryPart(float(n), n + 1.0, str(n)) for n in range(len(structure.phrases))]

    monkeypatch.setattr("antiphon_listen.chord_notes.compact", each)
    task, said = job(tmp_path, known(monkeypatch), "song.wav", "short.wav")
    write_compact(task)
    assert said == [f"no part of {tmp_path / 'song.wav'} was found twice; it is written whole"]


def test_a_chorus_is_told_where_the_song_has_one_and_not_of_a_song_that_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, structure = known(monkeypatch), analysed()[1].structure
    assert structure is not None
    assert any(phrase.name == "chorus" for phrase in structure.phrases)
    monkeypatch.setattr("antiphon_listen.chord_notes.summary", lambda *_: [SummaryPart(0.0, 5.0, "verse")])
    found = {}
    for seconds in (30.0, 200.0):
        task, _ = job(tmp_path, sound, "song.wav", "short.wav", seconds=seconds)
        found[seconds] = write_summary(task)[0].found
    assert found == {30.0: (f"chorus {structure.certain:.0%} sure",), 200.0: ()}


@pytest.mark.parametrize(
    ("sound", "seconds", "sentence"),
    [
        (0.1 * np.ones((1, 3 * RATE), np.float32), 30.0, "is written whole"),
        (np.zeros((1, 20 * RATE), np.float32), 5.0, "no parts were found"),
        (np.random.default_rng(1).uniform(-0.1, 0.1, (2, 8 * RATE)).astype(np.float32), 5.0, "no parts were found"),
    ],
    ids=["short", "silence", "noise"],
)
def test_what_has_no_parts_gets_a_sentence_and_a_file(
    tmp_path: Path, sound: np.ndarray, seconds: float, sentence: str
) -> None:
    task, said = job(tmp_path, sound, "in.wav", "out.wav", seconds=seconds)
    write_summary(task)
    assert len(said) == 1
    assert sentence in said[0]
    length = len(soundfile.read(tmp_path / "out.wav")[0]) / RATE
    assert length == pytest.approx(min(seconds, sound.shape[1] / RATE), abs=0.01)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    task, _ = job(tmp_path, np.zeros((1, 0), np.float32), "in.wav", "out.wav")
    with pytest.raises(FileError, match="no sound"):
        write_summary(task)
    assert not (tmp_path / "out.wav").exists()


def test_the_chorus_recurs_at_a_distance_and_is_loud_even_where_it_begins_the_song() -> None:
    letters = [0, 1, 0, 1, 0, 2, 2, 0]  # the letter 2 begins late and fills one block, in two phrases
    seconds = np.array([16.0, 16.0, 16.0, 16.0, 16.0, 8.0, 8.0, 16.0])
    level, alike = np.where(np.array(letters), -0.1, 0.2), np.array([0.8, 0.7, 0.8, 0.7, 0.8, 0.9, 0.9, 0.8])
    thumbnail, certain = choose_chorus(letters, seconds, level, alike)
    assert letters[thumbnail] == 0
    assert certain > 0.6
    assert choose_chorus(letters, seconds, np.zeros(8), alike)[1] < certain


def test_a_phrase_that_is_repeated_at_a_distance_is_told_from_what_sustains() -> None:
    rng = np.random.default_rng(1)
    theme, held, others = rng.normal(size=(16, 72)), np.ones((16, 72)), rng.normal(size=(48, 72))
    rows = np.concatenate([theme, held, others[:16], theme, others[16:32], theme, others[32:]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    alike = repeats(rows, [(n, n + 16) for n in range(0, 112, 16)])
    assert alike[[0, 3, 5]] == pytest.approx(1.0)
    assert alike[[1, 2, 4, 6]].max() < 0.5


def test_what_comes_once_is_no_chorus() -> None:
    """Of any song: a letter is the chorus only if another one sounds between two of its blocks."""
    rng = np.random.default_rng(1)
    for count in rng.integers(1, 12, 300):
        letters = rng.integers(0, 4, count).tolist()
        thumbnail, certain = choose_chorus(letters, rng.uniform(4.0, 30.0, count), *rng.normal(size=(2, count)))
        blocks = [letter for letter, _ in itertools.groupby(letters)]
        assert (certain == 0.0) == (len(blocks) == len(set(blocks)))
        assert certain == 0.0 or (blocks.count(letters[thumbnail]) > 1 and certain <= 1.0)
