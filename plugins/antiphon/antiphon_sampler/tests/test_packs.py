"""Packs of sounds: folders, ZIP files, `strudel.json` and repositories, all of it or nothing, and what plays them."""

import errno
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.each import each

from antiphon.api import AntiphonError, FileError, UsageError
from antiphon.api.backends.files import library_folder
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.sound_packs import MARK as PACK_MARK, in_pack, sound_packs
from antiphon.offline.script_run import ScriptProcess
from antiphon.paste.translation import translation
from antiphon.web.routes import OPERATIONS
from antiphon_models.learning.user_commands import command
from antiphon_sampler import adding
from antiphon_sampler.tests.conftest import RATE
from antiphon_sampler.tests.test_motion import peak
from antiphon_sampler.tests.test_values import played


def sound(hertz: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE // 4) / RATE), RATE, format="WAV")
    return file.getvalue()


FILES = {
    "kick/b.wav": sound(300),
    "kick/a b.wav": sound(200),
    "bd/x.WAV": sound(400),
    "LICENSE": b"CC0 for all of it",
    "kick/notes.txt": b"no sound",
    "kick/page.wav": b"<html>not found</html>",
}
BASE = "https://raw.githubusercontent.com/Some/Crate/main/"
LISTING = {"_base": BASE, "kick": ["kick/b.wav", "kick/a%20b.wav"], "keys": {"c4": "kick/b.wav"}, "bd": "bd/x.WAV"}


def zipped(files: dict[str, bytes], top: str = "Crate-main/") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return file.getvalue()


def listed(said: Any) -> bytes:
    return json.dumps(said).encode()


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


class FileServer:
    """A server of files by their paths, as repositories are served. `cut`: bytes after which an answer breaks off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.leads: dict[str, str] = {}
        self.codes: dict[str, int] = {}
        self.asked: list[str] = []
        self.cut = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if self.path in server.leads:
                    self.send_response(302)
                    self.send_header("Location", server.leads[self.path])
                    self.end_headers()
                    return
                content = server.files.get(self.path)
                self.send_response(server.codes.get(self.path, 404 if content is None else 200))
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: server.cut or None])

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    made = FileServer()
    monkeypatch.setattr(adding, "ARCHIVES", made.address)
    yield made
    made.close()


def nothing_is_left(*names: str) -> bool:
    return {path.name for path in library_folder().iterdir()} - {".packs.lock"} == set(names)


def test_a_folder_is_added_by_the_names_of_its_folders_with_its_licence(tmp_path: Path) -> None:
    added = adding.add(str(written(tmp_path / "Crate", FILES)))
    assert (added.names, added.sounds, added.passed) == (2, 3, 1)
    assert added.licences == (("LICENSE", "CC0 for all of it"),)
    assert (library_folder() / "Crate" / "LICENSE").read_bytes() == FILES["LICENSE"]
    assert sorted(path.name for path in (library_folder() / "Crate" / "kick").iterdir()) == ["a b.wav", "b.wav"]
    assert [(pack.folder.name, pack.source) for pack in sound_packs()] == [("Crate", str(tmp_path / "Crate"))]


@pytest.mark.parametrize("source", ["folder", "zip", "json", "github", "address"])
def test_a_listing_gives_names_and_order_wherever_it_is(tmp_path: Path, server: FileServer, source: str) -> None:
    files = {**FILES, "strudel.json": listed(LISTING)}
    folder = written(tmp_path / "Crate", files)
    (tmp_path / "Crate.zip").write_bytes(zipped(files))
    server.files["/Some/Crate/zip/HEAD"] = zipped(files)
    there = {**LISTING, "_base": f"{server.address}/main/"}
    server.files |= {f"/main/{name.replace(' ', '%20')}": content for name, content in FILES.items()}
    server.files["/main/strudel.json"] = listed(there)
    given = {
        "folder": str(folder),
        "zip": str(tmp_path / "Crate.zip"),
        "json": str(folder / "strudel.json"),
        "github": "github:Some/Crate",
        "address": f"{server.address}/main/strudel.json",
    }[source]
    added = adding.add(given, "Crate")
    assert (added.names, added.sounds) == (3, 4)
    assert added.licences[0] == ("LICENSE", "CC0 for all of it")
    kick = sorted((library_folder() / "Crate" / "kick").iterdir())
    assert [path.read_bytes() for path in kick] == [FILES["kick/b.wav"], FILES["kick/a b.wav"]]
    assert [path.name for path in (library_folder() / "Crate" / "keys").iterdir()] == ["c4 000 b.wav"]
    assert nothing_is_left("Crate")
    if source != "address":
        assert sound_packs()[0].source == "github:Some/Crate"


HOSTILE: dict[str, tuple[Any, str]] = {
    "up": ({"a": ["../../secret.wav"]}, "names '../../secret.wav', which is no file of it"),
    "absolute": ({"a": ["/etc/passwd.wav"]}, "names '/etc/passwd.wav', which is no file of it"),
    "base": ({"_base": "../", "a": ["x.wav"]}, "names 'x.wav', which is no file of it"),
    "file": ({"_base": "file:///etc/", "a": ["x.wav"]}, "takes an address that begins with https://, not 'file:///etc/'"),
    "local": ({"_base": "http://127.0.0.1:4401/", "a": ["x.wav"]}, "takes an address that begins with https://"),
    "name": ({"../../evil": ["kick/b.wav"]}, "'../../evil' is not a name"),
    "hidden": ({".profile": ["kick/b.wav"]}, "'.profile' is not a name"),
    "number": ({"a": [1]}, "names '1', which is no file of it"),
    "object": ({"a": {"c4": {"x": 1}}}, "names 'None', which is no file of it"),
    "list": (["kick/b.wav"], "is no list of sounds: it takes an object of names"),
    "many": ({"a": ["kick/b.wav"] * 30_000}, "names 30000 sounds, more than 20000"),
    "none": ({"a": ["kick/none.wav"]}, "there is no sound in"),
    "deep": (b"[" * 100_000, "is no JSON"),
    "cut": (b'{"a": ["kick', "is no JSON"),
}  # fmt: skip


@each("kind", list(HOSTILE))
@each("packed", [False, True])
def test_a_hostile_listing_is_refused_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, kind: str, packed: bool
) -> None:
    said, reason = HOSTILE[kind]
    files = {**FILES, "strudel.json": said if isinstance(said, bytes) else listed(said)}
    (tmp_path / "secret.wav").write_bytes(sound(100))
    given = written(tmp_path / "a" / "Crate", files)
    if packed:
        (tmp_path / "Crate.zip").write_bytes(zipped(files))
        given = tmp_path / "Crate.zip"
    with pytest.raises(AntiphonError) as caught:
        adding.add(str(given))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert nothing_is_left()


def test_an_archive_writes_nowhere_else_and_is_bounded_as_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "Crate.zip"
    path.write_bytes(zipped({"../../evil/x.wav": sound(100), "/etc/y.wav": sound(100), "kick/a.wav": sound(100)}, ""))
    assert adding.add(str(path)).sounds == 1
    monkeypatch.setattr(adding, "MAX_SOUND", 1 << 20)
    monkeypatch.setattr(adding, "MAX_PACK", 3 << 20)
    bomb = b"RIFF" + bytes(2 << 20)
    for files, said in (
        ({"a/a.wav": bomb}, "has more than 1 MiB"),
        ({f"a/{n}.wav": bomb[: 1 << 20] for n in range(4)}, "more than"),
    ):
        (tmp_path / "bomb.zip").write_bytes(zipped(files))
        assert (tmp_path / "bomb.zip").stat().st_size < 1 << 16
        with pytest.raises(FileError, match=said):
            adding.add(str(tmp_path / "bomb.zip"))
        assert nothing_is_left("Crate")
    for content in (b"", b"PK\3\4 no archive", zipped(FILES)[:-200]):
        (tmp_path / "bad.zip").write_bytes(content)
        with pytest.raises(FileError, match=r"cannot read .*bad.zip as a ZIP file"):
            adding.add(str(tmp_path / "bad.zip"))
    damaged = bytearray(zipped({"a/a.wav": sound(100)}))
    damaged[80:300] = bytes(220)
    (tmp_path / "bad.zip").write_bytes(damaged)
    with pytest.raises(FileError, match=r"cannot read 'a/a\.wav' of"):
        adding.add(str(tmp_path / "bad.zip"))
    assert nothing_is_left("Crate")


def test_a_download_that_breaks_off_leads_away_or_is_not_there_leaves_nothing(server: FileServer) -> None:
    server.files["/Some/Crate/zip/HEAD"] = zipped(FILES)
    with pytest.raises(FileError, match="there is no repository github:Some/Other, or it is private"):
        adding.add("github:Some/Other")
    server.leads["/Else/Crate/zip/HEAD"] = "http://localhost:1/evil.zip"
    with pytest.raises(FileError, match="leads to another server, localhost:1; not followed"):
        adding.add("github:Else/Crate")
    server.files["/main/strudel.json"] = listed({"_base": "http://127.0.0.1:1/", "a": ["x.wav"]})
    with pytest.raises(FileError, match=r".*x\.wav', on another server; a pack's sounds are on one"):
        adding.add(f"{server.address}/main/strudel.json")
    server.cut = 300
    with pytest.raises(FileError, match="broke off after 300 of "):
        adding.add("github:Some/Crate")
    assert nothing_is_left()
    server.cut = 0
    assert adding.add("github:Some/Crate").sounds == 3
    asked = len(server.asked)
    with pytest.raises(FileError, match="'Crate' in the library already: --force replaces it"):
        adding.add("github:Some/Crate")
    assert len(server.asked) == asked, "it is refused before anything is fetched"


def test_a_full_disk_leaves_the_pack_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "Crate", {"kick/a.wav": sound(100)})
    adding.add(str(folder))
    written(folder, {"kick/b.wav": sound(200)})

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(adding, "_licences", full)
        with pytest.raises(FileError, match=r"cannot add .*: no space left on device; free some space"):
            adding.add(str(folder), replace=True)
    assert [path.name for path in (library_folder() / "Crate" / "kick").iterdir()] == ["a.wav"]
    assert nothing_is_left("Crate")
    assert adding.add(str(folder), replace=True).sounds == 2
    assert nothing_is_left("Crate")


@pytest.mark.parametrize("name", ["Crate", "n" * 120])
def test_a_pack_that_could_not_be_replaced_or_whose_command_was_killed_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = written(tmp_path / "Crate", {"kick/a.wav": sound(100)})
    pack = adding.add(str(folder), name).folder
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == pack and not path.name.startswith(".before"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        with pytest.raises(FileError, match="nothing was added"):
            adding.add(str(folder), name, replace=True)
    assert nothing_is_left(name)
    pack.rename(pack.with_name(f".before {name}.tmp"))
    adding.add(str(folder), "Other")
    assert (pack / "kick" / "a.wav").is_file()
    assert adding.add(str(folder), name, replace=True).sounds == 1
    assert nothing_is_left(name, "Other")


def test_a_sound_is_no_licence_and_a_terminal_gets_no_commands_of_one(tmp_path: Path) -> None:
    files = {
        "kick/License_to_kill.wav": sound(100),
        "kick/notice.wav": sound(100),
        "COPYING": b"free\x1b[2J\r\nas\tair",
    }
    said = command("sounds", "add", written(tmp_path / "Crate", files))
    assert "COPYING:\n\nfree?[2J\nas      air\n" in said
    assert sound_packs()[0].licences == ("COPYING",)
    (library_folder() / "Crate" / PACK_MARK).write_text(json.dumps({"source": "a\x1b]0;b", "licences": []}))
    assert command("sounds", "list") == "Crate  a?]0;b  no licence\n"


def test_a_licence_that_is_refused_where_its_name_is_a_guess_is_left_out(server: FileServer) -> None:
    server.files["/main/strudel.json"] = listed({"kick": ["a.wav"]})
    server.files["/main/a.wav"] = sound(100)
    server.codes["/main/LICENSE"] = 403
    server.leads["/main/LICENSE.md"] = "http://localhost:1/x"
    server.files["/main/README.md"] = bytes(adding.MAX_LICENCE + 1)
    added = adding.add(f"{server.address}/main/strudel.json")
    assert (added.sounds, added.licences) == (1, ())


@each("base", ["github:Some/Crate", "github:Some/Crate/main", "github:Some/Crate/main/", "{}/Some/Crate/main/"])
@each("where", ["address", "file"])
def test_a_listing_alone_fetches_what_its_repository_has(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch, base: str, where: str
) -> None:
    monkeypatch.setattr(adding, "CONTENTS", server.address)
    content = listed({"_base": base.format(server.address), "kick": ["kick/b.wav"]})
    server.files |= {"/Some/Crate/main/kick/b.wav": FILES["kick/b.wav"], "/x/strudel.json": content}
    given = written(tmp_path / "x", {"strudel.json": content}) / "strudel.json"
    assert (
        adding.add(str(given) if where == "file" else f"{server.address}/x/strudel.json", "Crate", replace=True).sounds
        == 1
    )


def test_what_no_file_can_be_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--name NAME gives one"):
        adding.add("/")
    with pytest.raises(UsageError, match="is not the address of a"):
        adding.add("https://[/strudel.json")
    files = {"strudel.json": listed({"a": ["x%00.wav", "n" * 300 + ".wav", "a.wav"]}), "a.wav": sound(100)}
    assert adding.add(str(written(tmp_path / "Crate", files))).passed == 2
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/a.wav", sound(100))
    damaged = bytearray(packed.getvalue())
    damaged[41:46] = b"\xff" * 5
    (tmp_path / "bad.zip").write_bytes(damaged)
    with pytest.raises(FileError, match=r"cannot read 'a\.wav' of"):
        adding.add(str(tmp_path / "bad.zip"))


def test_a_folder_of_the_performers_own_is_never_replaced(tmp_path: Path) -> None:
    written(library_folder() / "Crate", {"mine.wav": sound(100)})
    with pytest.raises(FileError, match="it was not added as a pack"):
        adding.add(str(written(tmp_path / "Crate", FILES)), replace=True)
    assert (library_folder() / "Crate" / "mine.wav").is_file()


@each("given", ["github:x", "github:../x", "github:a/b/../../c", "ftp://host/strudel.json", "https://host/x.zip"])
def test_what_is_no_source_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        adding.add(given)


def test_a_sampler_plays_packs_where_it_is_told_to(play: Any, tmp_path: Path) -> None:
    adding.add(str(written(tmp_path / "Crate", FILES)))
    heard = {
        name: play(list(played(0, **values)), RATE, **node).audio[0][0]
        for name, values, node in (
            ("pack", {"s": "kick", "n": 1}, {"packs": True}),
            ("off", {"s": "kick", "n": 1}, {}),
            ("before the kit", {"s": "bd"}, {"packs": True}),
            ("kit", {"s": "sd"}, {"packs": True}),
            ("named", {"s": "kick"}, {"library": "Crate"}),
        )
    }
    assert peak(heard["pack"]) == pytest.approx(300, abs=5)
    assert peak(heard["before the kit"]) == pytest.approx(400, abs=5)
    assert peak(heard["named"]) == pytest.approx(200, abs=5)
    assert np.abs(heard["kit"]).max() > 0.1
    assert not np.array_equal(heard["off"], heard["pack"])


def test_a_pasted_program_says_whether_its_sounds_are_there(tmp_path: Path, server: FileServer) -> None:
    program = "samples('github:some/crate')\nsamples('github:Else/Box/main')\n$: s(\"kick:1 bd\")"
    text = translation(program).text
    assert "# `antiphon sounds add github:some/crate` brings these sounds:" in text
    assert "# `antiphon sounds add github:Else/Box/main` brings these sounds:" in text
    server.files["/Some/Crate/zip/HEAD"] = zipped(FILES)
    adding.add("github:Some/Crate")
    asked = len(server.asked)
    there = translation(program)
    assert "# samples('github:some/crate'): these sounds are in your library" in there.text
    assert there.left_out == 1
    assert len(server.asked) == asked, "only the performer fetches sounds"


def test_a_script_and_the_page_fetch_no_pack(tmp_path: Path, server: FileServer) -> None:
    server.files["/Some/Crate/zip/HEAD"] = zipped(FILES)
    script = tmp_path / "set.py"
    script.write_text("from antiphon.live import *\npatch('strudel')\nsamples('github:Some/Crate')\n")
    with pytest.raises(
        AntiphonError, match="line 3: there is no pack github:Some/Crate in your library; `antiphon sounds add"
    ):
        ScriptProcess(str(script))
    named = [(one.method, one.path) for one in OPERATIONS if "sounds" in one.path or "packs" in one.path]
    assert named == [("GET", "/api/live/sounds")], "a list of names, for completion"
    assert (sound_packs(), server.asked) == ([], [])


def test_the_command_shows_the_licence_and_lists_the_pack(tmp_path: Path) -> None:
    said = command("sounds", "add", written(tmp_path / "Crate", FILES))
    assert "CC0 for all of it" in said
    assert "added Crate: 3 sounds, names: 2" in said
    listing = json.loads(command("sounds", "list", "--json"))
    assert listing["packs"] == [{"name": "Crate", "source": str(tmp_path / "Crate"), "licences": ["LICENSE"]}]
    assert PACK_MARK in {path.name for path in (library_folder() / "Crate").iterdir()}


def test_a_sound_of_an_added_pack_plays_after_samples(tmp_path: Path) -> None:
    command("sounds", "add", written(tmp_path / "Crate", {"zither/a.wav": FILES["kick/b.wav"]}))
    assert 'the pack Crate has it: write samples("Crate")' in in_pack("s", "zither")
    assert in_pack("kit", "zither") == in_pack("s", "../Crate") == ""
    script = tmp_path / "set.py"
    for line, silent in (("", True), ("samples('Crate')\n", False)):
        script.write_text(f"from antiphon.live import *\npatch('band')\n{line}track('a', s('zither*4'))\n")
        said = command("render", str(script), "--bars", "1", "--force", "--out", str(tmp_path / "out.wav"))
        assert ("silent" in said) is silent


def test_a_mark_that_cannot_be_read_once_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    written(library_folder() / "Crate", {PACK_MARK: listed({"source": "here", "licences": []})})
    with monkeypatch.context() as patched:
        patched.setattr(paths, "open_ordinary", too_many)
        assert sound_packs() == []
    assert [pack.source for pack in sound_packs()] == ["here"]


@each("mark", [b"", b"[]", b"[" * 60000, b'{"source": "here"}'])
def test_a_damaged_mark_makes_no_pack(mark: bytes) -> None:
    written(library_folder() / f"Crate {len(mark)}", {PACK_MARK: mark})
    assert sound_packs() == []
