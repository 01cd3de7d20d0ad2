"""`antiphon serve`: what it refuses before anything runs, a token of a platform too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from antiphon.cli.running.given_token import store_given_token
from antiphon.cli.serve import run
from antiphon.files.audiofile import load_sound
from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import watch
from antiphon.recording import requests


class Started(Exception):
    """Everything was allowed: the supervisor would run now."""


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: Any) -> None:
        raise Started

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(watch, "Supervisor", start)


def settings(**asked: Any) -> ServeSettings:
    return ServeSettings(audio="headless", http_port=0, **asked)


def starts(asked: ServeSettings) -> None:
    """Nothing is in the way of a server with these settings."""
    with pytest.raises(Started):
        run(asked)


@pytest.mark.parametrize("part", ["session.jsonl", "input.wav", "output.wav"])
@pytest.mark.parametrize("port", [0, 47113])
def test_a_set_is_not_kept_over_another(tmp_path: Path, part: str, port: int) -> None:
    kept = tmp_path / "tonight"
    kept.mkdir()
    (kept / part).write_text("kept")
    with pytest.raises(UsageError, match=f"tonight holds a set already .*{part}.*another name, or move"):
        run(settings(session="tonight", osc_port=port))
    assert [(p.name, p.read_text()) for p in kept.iterdir()] == [(part, "kept")]
    starts(settings(session="other", osc_port=port))


def test_a_folder_that_holds_no_set_takes_one(tmp_path: Path) -> None:
    (tmp_path / "tonight").mkdir()
    (tmp_path / "tonight" / "notes.txt").write_text("mine")
    starts(settings(session="tonight", osc_port=0))


def test_a_set_that_a_crash_broke_off_is_moved_aside_as_before(tmp_path: Path) -> None:
    """The recorder's note names it: the start that follows the crash keeps it under another name."""
    asked = settings(session="tonight", osc_port=47113)
    (tmp_path / "tonight").mkdir()
    (tmp_path / "tonight" / "session.jsonl").write_text("kept")
    note = pidfile.folder(asked) / "recording.json"
    note.write_text('{"record": "", "session": "%s"}' % (tmp_path / "tonight"))
    starts(asked)
    note.unlink()
    with pytest.raises(UsageError):
        run(asked)


def test_tracks_are_not_written_among_other_files(tmp_path: Path) -> None:
    """A strip called lead would be written over the performer's lead.wav."""
    (tmp_path / "tonight").mkdir()
    for name in ("lead.wav", ".DS_Store", "mix.wav", "notes.txt", "x.wav"):
        (tmp_path / "tonight" / name).write_text("mine")
    with pytest.raises(UsageError, match=r"tonight holds files already \(lead.wav, mix.wav, notes.txt, ..."):
        run(settings(record_tracks="tonight", osc_port=0))
    starts(settings(record_tracks="tonight", osc_port=0, force=True))
    asked = settings(record_tracks="tonight", osc_port=47113)
    (pidfile.folder(asked) / pidfile.RECORDINGS).write_text(
        '{"record": "", "session": "", "tracks": "%s"}' % (tmp_path / "tonight")
    )
    starts(asked)


def test_a_recording_does_not_go_over_the_input(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("sound")
    (tmp_path / "link.wav").symlink_to("a.wav")
    for record in ("a.wav", "./a.wav", "link.wav"):
        with pytest.raises(UsageError, match="--record and --input are the same file"):
            run(settings(input="a.wav", record=record, osc_port=0))
    starts(settings(input="a.wav", record="b.wav", osc_port=0))


def test_an_input_is_a_file_with_sound(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 48000)
    with pytest.raises(UsageError, match="--input: songs is a folder; name a sound file in it or a device"):
        run(settings(input="songs", osc_port=0))
    with pytest.raises(FileError, match=r"empty\.wav holds no sound \(0 frames\)"):
        load_sound(tmp_path / "empty.wav", 48000)


def test_a_recording_does_not_go_over_another(tmp_path: Path) -> None:
    (tmp_path / "take.wav").write_text("kept")
    (tmp_path / "take-2.wav").write_text("kept")
    with pytest.raises(UsageError, match=r"there is a take\.wav already; .* example take-3\.wav, or --force"):
        run(settings(record="take.wav", osc_port=0))
    assert (tmp_path / "take.wav").read_text() == "kept"
    starts(settings(record="take.wav", osc_port=0, force=True))
    starts(settings(record="other.wav", osc_port=0))


@pytest.mark.parametrize("interrupted", ["take.wav", "take-2.wav"])
def test_a_recording_that_a_crash_broke_off_is_moved_aside(tmp_path: Path, interrupted: str) -> None:
    """The command that began it begins the next, also where a recorder had been killed before: nothing is lost."""
    asked = settings(record="take.wav", osc_port=47113)
    (tmp_path / "take.wav").write_text("first")
    (tmp_path / interrupted).write_text("broken off")
    folder = pidfile.folder(asked)
    (folder / pidfile.RECORDINGS).write_text('{"record": "%s", "session": ""}' % (tmp_path / interrupted))
    kept = sorted(path.read_text() for path in tmp_path.glob("take*.wav"))
    starts(asked)
    notes: list[str] = []
    assert requests.first_requests(asked, folder, notes, lambda _: {}) == [{"do": "record", "path": "take.wav"}]
    assert not (tmp_path / "take.wav").read_bytes()
    assert sorted(path.read_text() for path in tmp_path.glob("take-*.wav")) == kept
    assert "what the previous server recorded is now in" in notes[0]
    assert [note.startswith("recording to take.wav: ") for note in notes[1:]] == [True]


def test_a_start_that_is_refused_leaves_no_folder_of_a_free_port(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        run(settings(record="nowhere/take.wav", osc_port=0))
    assert list((tmp_path / "home" / "run").iterdir()) == []


@pytest.mark.parametrize("content", ["", " \n", "0123"])
def test_a_file_without_a_token_is_refused_and_no_other_token_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    (tmp_path / "secret").write_text(content)
    with pytest.raises(UsageError, match="a token is 32 hexadecimal digits"):
        store_given_token(str(tmp_path / "secret"), needed=True)
    assert not (tmp_path / "home").exists()
