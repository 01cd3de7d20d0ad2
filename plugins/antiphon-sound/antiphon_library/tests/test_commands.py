"""`antiphon library`: every command, in words and as JSON; killed and run again it loses and repeats nothing."""

import json
import os
import shlex
import signal
import sqlite3
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from tests import accepted
from tests.cli.conftest import Done
from tests.each import each

from antiphon_library import analysing
from antiphon_library.commands import printing
from antiphon_library.operations import FoundSounds
from antiphon_library.tests.conftest import RATE, Library, MakeFile

COUNTS = dict.fromkeys(("changed", "recognised", "unchanged", "missing"), 0)
COLUMNS = (
    "path duration title artist album genre tempo tempo_confidence key key_confidence kind kind_confidence loudness "
    "problem missing"
)
ANALYSED = (
    "duration tempo tempo_confidence beats downbeats meter key key_confidence chords sections kind kind_confidence"
)


def told(done: Done) -> Any:
    """The JSON that a command prints."""
    assert done.code == 0, done.err
    return json.loads(done.out)


def found_before(*rows: tuple[int, str, dict[str, Any]]) -> None:
    """Puts results into the catalogue: the number of a sound, an analysis, what it found."""
    base = sqlite3.connect("root/library.sqlite")
    for sound, analysis, values in rows:
        base.execute("INSERT INTO results VALUES (?, ?, 1, ?, '')", (sound, analysis, json.dumps(values)))
    base.commit()
    base.close()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for n, name in enumerate(("a.wav", "b.flac", "c.wav")):
        tone = 0.5 * np.sin(2 * np.pi * 220.0 * (n + 1) * np.arange(2 * RATE) / RATE)
        with soundfile.SoundFile(folder / name, "w", RATE, 1) as file:
            file.title, file.artist = f"Tone {n}", "Sine"
            file.write(tone)
    (folder / "bad.mp3").write_bytes(b"no sound")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        *(("list",), ("search", "x"), ("show", "a.wav"), ("similar", "a.wav"), ("fits", "a.wav"), ("map",), ("next",)),
        *(("identify", "a.wav"), ("personality", "--silent"), ("forget", "--missing"), ("learn", ".")),
    ],
)
def test_what_only_reads_makes_no_library(
    library: Library, music: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    os.link(music / "a.wav", "a.wav")
    done = library(*words, root="typo")
    assert (done.code, done.complaint) == (
        2,
        "there is no library in typo; `antiphon library --root typo add FOLDER` makes one",
    )
    assert "typo" not in library(*words, root="").err
    assert not [*tmp_path.rglob("library*"), *tmp_path.rglob("typo")]


def test_add_list_show_search_similar_forget(library: Library, music: Path) -> None:
    assert told(library("add", music, "--json")) == {"added": 4, **COUNTS, "bad": 1, "problems": []}
    assert library("add", music).out == "4 unchanged\n"
    files = told(library("list", "--json"))["files"]
    assert [Path(row["path"]).name for row in files] == ["a.wav", "b.flac", "bad.mp3", "c.wav"]
    assert list(files[0]) == COLUMNS.split()
    assert (files[0]["duration"], files[0]["title"]) == (2.0, "Tone 0")
    (bad,) = told(library("list", "--bad", "--json"))["files"]
    assert bad["problem"].startswith("cannot read ")
    assert library("list").out.count("\n") == 4
    matches = told(library("search", "TONE 1", "--json"))["matches"]
    assert [Path(row["path"]).name for row in matches] == ["b.flac"]
    assert library("search", "nothing").out == "none\n"
    assert library("analyse", "--only", "tags").out == "3 analysed, 0 known\n"
    similar = told(library("similar", music / "a.wav", "--json"))["matches"]
    assert {Path(row["path"]).name for row in similar} == {"b.flac", "c.wav"}
    assert all(-1.0 <= row["score"] <= 1.0 for row in similar)
    shown = told(library("show", music / "a.wav", "--json"))
    assert list(shown["analyses"]) == ["tags"]
    assert "Tone 0" in library("show", music / "a.wav").out
    assert told(library("forget", music / "a.wav", "--json")) == {"forgotten": 1}
    assert library("show", music / "a.wav").complaint.endswith("adds it")
    (music / "c.wav").unlink()
    library("add", music / "b.flac", music)
    assert library("forget", "--missing").out == "1 forgotten\n"
    assert (music / "a.wav").is_file()


def test_forget_missing_looks_at_the_disk_and_keeps_what_a_disk_that_is_not_connected_had(
    library: Library, music: Path
) -> None:
    library("add", music)
    kept = (music / "c.wav").rename(music.parent / "c.wav")
    library("add", music)
    (music / "a.wav").unlink()
    kept.rename(music / "c.wav")  # it was missing, and is there again
    assert library("forget", "--missing").out == "1 forgotten\n"
    music.rename(music.parent / "away")
    done = library("forget", "--missing")
    assert (done.code, done.out) == (0, "0 forgotten\n")
    assert "3 files are kept, whose folders are not there: is their disk connected?" in done.complaint
    assert library("forget", music).out == "3 forgotten\n"


@pytest.mark.needs("listen")
def test_analyse_a_file_prints_the_keys_others_rely_on(library: Library, music: Path) -> None:
    sound, rate = soundfile.read(music / "a.wav")
    # classifiers refuse what is shorter than 3 s
    soundfile.write(music / "a.wav", np.concatenate([sound, sound]), rate)
    found = told(library("analyse", music / "a.wav", "--json"))
    assert list(found) == ANALYSED.split()
    assert found["duration"] == 4.0
    assert library("analyse", music / "b.flac", "--only", "loudness").code == 0
    # what is analysed by this command is not said to lack
    assert library("analyse", music / "b.flac", "--only", "loop").err == ""
    assert "loudness" in library("analyse", music / "a.wav").out


def test_a_stopped_analysis_says_what_is_kept(library: Library, music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(analysing, "analyse", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
        stopped = library("analyse", music)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.complaint == "stopped; what was analysed is kept, and the same command analyses the rest"
    assert library("list").out.count("\n") == 4
    assert library("show", music).complaint.startswith(f"{music} is a folder; name a sound file in it")


@pytest.mark.needs("listen")
def test_refusals_are_one_sentence(library: Library) -> None:
    Path("empty").mkdir()
    library("add", "empty")

    def complaint(words: str) -> str:
        done = library(*shlex.split(words))
        assert done.code == 2
        return done.complaint

    accepted.compare(__file__, complaint)
    assert len(complaint(f"add {'n' * 30_000}")) < 500


def test_names_are_found_however_their_accents_are_written(library: Library, music: Path) -> None:
    file = music / "Cafe\u0301" / "u\u0308ber.wav"
    file.parent.mkdir()
    (music / "a.wav").rename(file)
    library("add", music)
    for word in ("CAFÉ", "u\u0308ber"):
        (row,) = told(library("search", word, "--json"))["matches"]
        assert Path(row["path"]) == file
    assert str(file) in library("show", music / "Café" / "über.wav").out


def test_search_by_key_and_tempo(library: Library, music: Path) -> None:
    library("add", music)
    sure = {"key_confidence": 0.9, "tempo_confidence": 0.9}
    keys = (("A minor", 120.0), ("C major", 90.0))
    found_before(*((n, "test", {"key": key, "tempo": tempo, **sure}) for n, (key, tempo) in enumerate(keys, 1)))

    def found(*arguments: str) -> list[str]:
        return [row["key"] for row in told(library("search", *arguments, "--json"))["matches"]]

    for name in ("a MINOR", "Am", "a", "a-Moll"):
        assert found("--key", name) == ["A minor"]
    assert found("--key", "Hmoll") == []
    assert (found("--key", "Am", "--sure", ".9"), found("--key", "Am", "--sure", ".91")) == (["A minor"], [])
    assert found("--tempo", "125-118") == found("--tempo", "118-125") == ["A minor"]
    wrong = library("search", "--key", "Amm")
    assert wrong.code == 2
    assert wrong.complaint.startswith("--key does not understand 'Amm': a key is written as")
    assert found("--tempo", "85-100") == ["C major"]
    assert found("--tempo", "121") == ["A minor"]
    assert found("--tempo", "100-110") == []


def test_search_by_labels_gives_the_most_probable_first(library: Library, music: Path) -> None:
    library("add", music)
    rows = ((1, [["rain", 0.4], ["speech", 0.3]]), (2, [["rain", 0.9]]), (3, [["sea", 0.6], ["rain", 0.1]]))
    found_before(*((sound, "tags", {"tags": labels}) for sound, labels in rows))
    found_before((3, "genre", {"genres": [["jazz", 0.55]]}))

    def found(*arguments: str) -> list[tuple[str, float]]:
        rows = told(library("search", *arguments, "--json"))["matches"]
        return [(Path(row["path"]).name, row["confidence"]) for row in rows]

    assert found("--tag", "rain") == [("b.flac", 0.9), ("a.wav", 0.4)]
    assert found("--tag", "rain", "--sure", "0.05") == [("b.flac", 0.9), ("a.wav", 0.4), ("c.wav", 0.1)]
    assert found("--tag", "rain", "--sure", ".7") == [("b.flac", 0.9)]
    assert found("--tag", "rain", "--tag", "speech") == [("a.wav", 0.3)]
    assert found("--tag", "jazz") == [("c.wav", 0.55)]
    assert found("tone 1", "--tag", "rain") == [("b.flac", 0.9)]
    wrong = library("search", "--tag", "rian")
    assert wrong.code == 2
    assert "none of these files has the label 'rian'; did you mean rain?" in wrong.err
    assert "--sure is for --key" in library("search", "--sure", ".5").complaint
    assert "tags    rain 0.40, speech 0.30" in library("show", music / "a.wav").out


@pytest.mark.needs("listen")
def test_loops_strokes_and_noise_are_found_by_kind_and_noise_has_no_tempo(library: Library, tmp_path: Path) -> None:
    folder, rng = tmp_path / "sounds", np.random.default_rng(3)
    folder.mkdir()
    beat = round(RATE * 60 / 125)
    hit = np.exp(-np.arange(beat // 2) / 900.0)
    bar = np.zeros(4 * beat)
    for half in range(8):
        tone = np.sin(0.02 * np.arange(len(hit))) if half % 4 == 0 else 0.6 * rng.normal(0.0, 1.0, len(hit))
        bar[half * beat // 2 :][: len(hit)] += (0.4 if half % 2 else 0.8) * tone * hit
    sounds = {"break": bar, "kick": bar[: beat // 2], "rain": 0.1 * rng.normal(0.0, 1.0, 5 * RATE)}
    for name, sound in sounds.items():
        soundfile.write(folder / f"{name}.wav", 0.5 * sound, RATE)
    library("add", folder)
    assert library("analyse").code == 0

    def found(*arguments: str) -> dict[str, dict]:
        rows = told(library("search", *arguments, "--json"))["matches"]
        return {Path(row["path"]).stem: row for row in rows}

    assert found().keys() == {"break"}
    assert library("search").out.splitlines()[-1].startswith("2 more with --all: ")
    assert found("--kind", "one-shot").keys() == {"kick"}
    kinds = {name: row["kind"] for name, row in found("--all").items()}
    assert kinds == {"break": "loop", "kick": "one-shot", "rain": "ambience"}
    loop = found("break", "--tempo", "120-130", "--kind", "loop", "--sure", ".5")["break"]
    assert loop["tempo"] == pytest.approx(125.0, abs=0.1)
    assert min(loop["tempo_confidence"], loop["kind_confidence"]) == loop["confidence"] > 0.5
    assert found("--tempo", "30-300").keys() == {"break"}
    assert library("search", "--kind", "drums").complaint.startswith("--kind takes loop, one-shot, song,")
    assert " 125" in library("search", "--kind", "loop").out
    card = library("show", folder / "break.wav").out
    assert "  kind  " in card
    assert "loop_contour" in card
    assert "loop_contour" not in library("show", folder / "kick.wav").out
    # of a folder of loops nothing is offered as a track
    assert [Path(row["path"]).stem for row in told(library("next", "-n", "9", "--json"))["matches"]] == ["rain"]


def test_the_reason_of_a_bad_file_is_whole_and_each_problem_names_its_file(library: Library, music: Path) -> None:
    library("add", music)
    (line,) = library("list", "--bad").out.splitlines()
    reason = told(library("list", "--bad", "--json"))["files"][0]["problem"]
    assert line.endswith(reason)
    soundfile.write(music / "tick.wav", np.full(200, 0.5), RATE)
    done = library("analyse", music / "tick.wav", "--only", "genre")
    assert done.err.startswith("antiphon: tick.wav: the sound lasts 0.0 s")
    library("analyse", "--only", "tags")
    assert "1 cannot be placed, for they are silent or too short: tick.wav" in library("map").out


def test_similar_says_why_a_file_is_like_none(library: Library, music: Path) -> None:
    soundfile.write(music / "silent.wav", np.zeros(RATE), RATE)
    library("add", music)
    assert "c.wav has not been analysed; `antiphon library " in library("similar", music / "c.wav").complaint
    library("analyse", music, "--only", "tags")
    done = library("similar", music / "silent.wav")
    assert (done.code, done.complaint) == (2, "silent.wav is like no other: it is silent or too short")
    assert library("similar", music / "bad.mp3").complaint.startswith("cannot read ")


def test_a_genre_of_the_tags_is_not_taken_for_the_one_of_the_analysis(library: Library, music: Path) -> None:
    with soundfile.SoundFile(music / "d.flac", "w", RATE, 1) as file:
        file.title, file.genre = "Drone", "Ambient"
        file.write(0.1 * np.sin(2 * np.pi * 110.0 * np.arange(RATE) / RATE))
    library("add", music)
    assert library("show", music / "bad.mp3").out.count("\n") == 2  # no heading of nothing
    found_before((4, "genre", {"genre": "techno"}))
    lines = library("show", music / "d.flac").out.splitlines()
    tags, found = lines.index("  embedded tags"), lines.index("  results of analyses")
    assert tags < lines.index("    genre   Ambient") < found < lines.index("    genre   techno")
    shown = told(library("show", music / "d.flac", "--json"))
    assert (shown["tags"]["genre"], shown["analyses"]["genre"]["values"]) == ("Ambient", {"genre": "techno"})


def test_next_map_learn_and_personality(
    library: Library, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "library add FOLDER" in library("next", root="").err
    assert "library add FOLDER" in library("map", root="").err
    assert library("add", music).code == 0
    assert "library --root root analyse` does that" in library("map").err
    library("analyse", "--only", "tags")
    matches = told(library("next", "--like", music / "a.wav", "--count", "5", "--m3u", "p.m3u", "--json"))["matches"]
    assert {Path(match["path"]).name for match in matches} == {"b.flac", "c.wav"}
    assert (tmp_path / "p.m3u").read_text().splitlines() == ["#EXTM3U", *(match["path"] for match in matches)]
    assert "has no sound of " in library("next", "--after", "nowhere.wav").err
    assert "Tone" in library("next", "--forget", "--after", music / "c.wav").out
    found = told(library("map", "--png", "map.png", "--json"))
    assert len(found["tracks"]) == 3
    sine = {"name": "Sine", "genre": "", "tracks": 3, "nearest": []}
    assert found["artists"][0] | {"x": 0, "y": 0} == {**sine, "x": 0, "y": 0}
    assert found["trustworthiness"] == {"k": 10, "map": None, "pca": None}
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "mpd.slice.0-999.json").write_text(
        json.dumps({"playlists": [{"tracks": [{"artist_name": "sine", "track_name": f"tone {n}"} for n in (0, 2)]}]})
    )
    assert library("learn", tmp_path).out == "1 lists, 2 of your tracks in them, 1 pairs learned\n"
    assert "holds no logs" in library("learn", music).err
    assert "cannot read nothing: there is no such file or folder" in library("learn", "nothing").err
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
    done = told(library("personality", "--questions", "3", "--into", "c.wav", "--json"))
    assert [answer["answer"] for answer in done["answers"]] == ["like"]
    assert soundfile.info(str(tmp_path / "c.wav")).samplerate == 44100
    without_card = SimpleNamespace(default=SimpleNamespace(device=(-1, -1)))
    monkeypatch.setitem(sys.modules, "sounddevice", without_card)
    assert "there is no sound card; --into FILE writes the sound instead, --silent " in library("personality").err
    refused = library("personality", "--into", "c.wav")
    assert (refused.code, "--force" in refused.err) == (2, True)


def test_what_does_not_fit_at_all_is_not_listed() -> None:
    rows = [{"path": f"{n}.wav", "score": score, "why": ["same tempo"]} for n, score in enumerate((0.3, 0.006, 0.004))]
    assert list(printing.fitting(FoundSounds(rows))) == [
        " 0.30  0.wav  same tempo",
        " 0.01  1.wav  same tempo",
        "all others have the score .00",
    ]
    assert list(printing.fitting(FoundSounds(rows[:2])))[-1] == " 0.01  1.wav  same tempo"
    assert list(printing.fitting(FoundSounds(rows[2:]))) == ["nothing fits"]
    assert list(printing.fitting(FoundSounds([]))) == ["nothing fits"]


@each(
    "value, said", [(None, "-"), ([], "none"), ([1.0, None], "2: 1.00, -"), ([[0.0, 61.0, "C:maj"]], "1: 0:00 C:maj")]
)
def test_a_result_is_shortened_to_a_line(value: object, said: str) -> None:
    assert printing.shortened_value(value) == said


def test_nothing_is_asked_about_one_shots(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hits").mkdir()
    for n, seconds in enumerate((0.5, 0.6, 5.0, 6.0)):
        noise = 0.1 * np.random.default_rng(n).normal(size=round(seconds * RATE))
        soundfile.write(tmp_path / "hits" / f"{n}.wav", noise, RATE)
    assert library("add", tmp_path / "hits" / "0.wav", tmp_path / "hits" / "1.wav").code == 0
    assert library("analyse").code == 0
    assert "fewer than two sounds besides loops and one-shots" in library("personality", "--silent").err
    assert library("add", tmp_path / "hits").code == 0
    assert library("analyse").code == 0
    monkeypatch.setattr(sys, "stdin", StringIO("y\ny\ny\ny\n"))
    asked = told(library("personality", "--silent", "--json"))["answers"]
    assert {Path(answer["path"]).name for answer in asked} == {"2.wav", "3.wav"}


def test_the_folder_is_named_behind_a_command_too_and_in_what_is_advised(library: Library, make: MakeFile) -> None:
    path = make("a.wav", 440.0)
    assert library("add", path).code == 0
    before = library("list").out
    assert "a.wav" in before
    for words in (["list", "--root", "root"], ["list", "--root=root"]):
        assert library(*words, root="").out == before
    said = library("similar", path, "--count", "3", "--root", "root", root="")
    assert said.code != 0
    assert "`antiphon library --root root analyse` does that" in said.err
    assert "--root takes a folder" in library("list", "--root", root="").err
