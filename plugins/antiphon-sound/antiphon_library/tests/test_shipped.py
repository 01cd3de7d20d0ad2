"""The sounds that ship, in the library of a performer who has added nothing."""

import gzip
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Done

from antiphon.api.backends.analysis import analyses
from antiphon.kernel.runtime import paths, resources
from antiphon_library import schema
from antiphon_library.catalogue import Catalogue
from antiphon_library.scanning import digest_of
from antiphon_library.tests.conftest import Library, MakeFile

LIBRARY = resources.folder("library")
LISTED = json.loads(gzip.decompress((LIBRARY / schema.SHIPPED_FILE).read_bytes()))


def file_of(name: str) -> Path:
    folder, _, rest = name.partition("/")
    return resources.folder(folder) / rest


def matches_of(done: Done) -> list[dict[str, Any]]:
    return list(json.loads(done.out)["matches"])


def test_each_sound_that_ships_is_listed_as_it_is() -> None:
    pytest.importorskip("antiphon_listen")  # some of what was found is by its analyses
    folders = map(resources.folder, schema.FOLDERS)
    there = {path for folder in folders for path in folder.rglob("*") if path.suffix in (".flac", ".ogg")}
    assert {file_of(sound["name"]): sound["digest"] for sound in LISTED} == {
        path: digest_of(os.fsencode(path)) for path in there
    }
    known = analyses()
    for sound in LISTED:
        assert sound["place"], sound["name"]
        assert all(version <= known[name].version for name, (version, *_) in sound["results"].items())


def test_a_new_performer_lists_finds_and_combines_them(library: Library) -> None:
    files = json.loads(library("list", "--json", root="").out)["files"]
    assert len(files) == len(LISTED) > 290
    assert not any(file["missing"] or file["problem"] for file in files)
    found = matches_of(library("search", "tr808", "--json", root=""))
    assert found
    assert all("tr808" in match["title"] for match in found)
    loops = {Path(match["path"]).name for match in matches_of(library("search", "--kind", "loop", "--json", root=""))}
    assert {"drums.flac", "band.flac"} <= loops
    bass, chords = LIBRARY / "loops" / "bass.flac", LIBRARY / "loops" / "chords.flac"
    fits = matches_of(library("fits", bass, "--json", root=""))
    assert fits[0]["path"] == str(chords)
    near = matches_of(library("similar", LIBRARY / "kit/bd/0.flac", "-n", "3", "--json", root=""))
    assert all("bd" in match["path"] for match in near)
    placed = json.loads(library("map", "--json", root="").out)
    assert (len(placed["tracks"]), placed["unplaced"]) == (len(LISTED), 0)
    # to read makes no file
    assert not Catalogue.exists(paths.library())


def test_what_is_said_of_them_is_kept_and_next_is_alike(library: Library) -> None:
    liked = LIBRARY / "kit/pad/glass.ogg"
    matches = matches_of(library("next", "--like", liked, "--count", "5", "--json", root=""))
    assert len(matches) == 5
    with Catalogue(paths.library()) as catalogue:
        assert [signal.kind for signal in catalogue.taste.signals()] == ["like"]


def test_with_sounds_of_ones_own_those_that_ship_are_not_recommended(library: Library, make: MakeFile) -> None:
    for n in range(3):
        make(f"{n}.wav", 300.0 + 40 * n)
    library("add", "music", root="")
    matches = matches_of(library("next", "--count", "50", "--json", root=""))
    assert {Path(match["path"]).parent.name for match in matches} <= {"music"}


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, dict[str, Path]]:
    """A copy of the sounds that ship, a place for another, and the folders that the server looks for them in."""
    old = Path(shutil.copytree(LIBRARY, folder / "old"))
    folders = {"library": old, "demo": resources.folder("demo")}
    monkeypatch.setattr(schema, "built_in_folder", folders.__getitem__)
    return old, folder / "new", folders


def test_they_follow_an_update_to_another_folder(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, folders = installed(tmp_path, monkeypatch)
    with Catalogue(paths.library()) as catalogue:
        assert len(catalogue.states()) == len(LISTED)
    folders["library"] = old.rename(new)
    with Catalogue(paths.library()) as catalogue:
        rows = list(catalogue.rows())
    assert len(rows) == len(LISTED)
    assert all(Path(os.fsdecode(row.path)).exists() and row.results for row in rows)
    with sqlite3.connect(paths.library() / "library.sqlite") as base:
        assert base.execute("SELECT count(*) FROM places").fetchone() == (len(LISTED),)


@pytest.mark.parametrize("moved", [True, False], ids=["an update moved them", "another installation"])
def test_one_that_was_forgotten_stays_out_and_none_is_there_twice(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    old, new, folders = installed(tmp_path, monkeypatch)
    with Catalogue(paths.library()) as catalogue:
        assert catalogue.forget([os.fsencode(old / "kit/bd/0.flac")]) == 1
        before = set(catalogue.states())
    folders["library"] = old.rename(new) if moved else Path(shutil.copytree(old, new))
    with Catalogue(paths.library()) as catalogue:
        after = set(catalogue.states())
    ours = {
        os.fsencode(folders["library"]) + path.removeprefix(os.fsencode(old)) for path in before if b"/old/" in path
    }
    kept = {path for path in before if b"/old/" not in path}
    assert len(before) == len(LISTED) - 1
    assert after == (ours | kept if moved else before)
