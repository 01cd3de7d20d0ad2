"""Files come into the catalogue once, are known by their content, and nothing that is known gets lost."""

import os
from pathlib import Path
from typing import Any

import pytest

from antiphon.kernel.errors import FileError
from antiphon_library import scanning
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import FileEntry, FileState
from antiphon_library.scanning import ScanCounts
from antiphon_library.tests.conftest import MakeFile


def silent(done: int, total: int, name: str) -> None:
    assert 0 <= done <= total


@pytest.fixture
def catalogue(tmp_path: Path):
    with Catalogue(tmp_path / "root") as opened:
        yield opened


def add(catalogue: Catalogue, *places: Path, **options: Any) -> ScanCounts:
    return scanning.add(catalogue, places, silent, **options)


def paths(catalogue: Catalogue) -> dict[str, Any]:
    return {os.path.basename(row.path).decode(): row for row in catalogue.rows()}


def test_new_files_are_read_once(catalogue: Catalogue, make: MakeFile, music: Path, monkeypatch) -> None:
    make("a.wav", 440.0, title="A tone", artist="Nobody's")
    make("deep/b.flac", 330.0)
    (music / "notes.txt").write_text("no sound")
    make(".hidden.wav")
    assert add(catalogue, music) == ScanCounts(added=2)
    monkeypatch.setattr(scanning, "digest_of", lambda path: pytest.fail("an unchanged file was opened"))
    assert add(catalogue, music) == ScanCounts(unchanged=2)
    row = paths(catalogue)["a.wav"]
    assert (row.duration, row.rate, row.channels) == (pytest.approx(0.3), 22050, 1)
    assert (row.tags["title"], row.tags["artist"]) == ("A tone", "Nobody's")


def test_a_moved_file_keeps_what_is_known(catalogue: Catalogue, make: MakeFile, music: Path, monkeypatch) -> None:
    path = make("a.wav")
    add(catalogue, music)
    ((digest, *_),) = catalogue.sounds()
    catalogue.put_results(digest, {"x": (1, {"key": "C major"}, "")})
    path.rename(music / "else.wav")
    monkeypatch.setattr(scanning, "read_entry", lambda *_: pytest.fail("it was decoded again"))
    assert add(catalogue, music) == ScanCounts(recognised=1)
    (row,) = catalogue.rows()
    assert (os.path.basename(row.path), row.values, row.missing) == (b"else.wav", {"key": "C major"}, False)


def test_edited_tags_keep_what_is_known(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("a.flac", title="Before")
    add(catalogue, music)
    ((digest, *_),) = catalogue.sounds()
    catalogue.put_results(digest, {"x": (1, {"key": "C major"}, "")})
    make("a.flac", title="After it was edited")
    assert add(catalogue, music) == ScanCounts(changed=1)
    (row,) = catalogue.rows()
    assert (row.tags["title"], row.values) == ("After it was edited", {"key": "C major"})


def test_another_sound_under_the_name_loses_it(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("a.wav")
    add(catalogue, music)
    ((digest, *_),) = catalogue.sounds()
    catalogue.put_results(digest, {"x": (1, {"key": "C major"}, "")})
    make("a.wav", 220.0, title="longer")
    add(catalogue, music)
    (row,) = catalogue.rows()
    assert row.values == {}


def test_few_copies_in_one_folder_are_decoded(catalogue: Catalogue, make: MakeFile, music: Path, monkeypatch) -> None:
    first = make("a.wav").read_bytes()
    for n in range(9):
        (music / f"b{n}.wav").write_bytes(first)
        (music / f"c{n}.wav").write_bytes(b"no sound")
    decoded: list[bytes] = []
    whole = scanning.read_entry

    def note(path: bytes, state: FileState, digest: str) -> FileEntry:
        decoded.append(path)
        return whole(path, state, digest)

    monkeypatch.setattr(scanning, "read_entry", note)
    counts = add(catalogue, music)
    assert (counts.added + counts.recognised, counts.bad) == (19, 9)
    # which of two that are read at once has its digest first is not known
    assert 1 <= sum(os.path.basename(path)[:1] in b"ab" for path in decoded) <= scanning.CONCURRENCY
    assert len({row.path for row in catalogue.rows() if not row.problem and row.duration}) == 10


def test_a_bad_file_is_a_row_with_its_reason(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("good.wav")
    (music / "bad.wav").write_bytes(b"RIFF nothing of the sort")
    (music / "empty.flac").write_bytes(b"")
    counts = add(catalogue, music)
    assert (counts.added, counts.bad) == (3, 2)
    rows = paths(catalogue)
    assert rows["bad.wav"].problem.startswith("cannot read ")
    assert rows["empty.flac"].problem
    assert rows["good.wav"].problem == ""
    assert add(catalogue, music).unchanged == 3
    make("bad.wav", 220.0)
    assert add(catalogue, music) == ScanCounts(changed=1, unchanged=2)
    assert paths(catalogue)["bad.wav"].problem == ""


def test_a_removed_file_is_marked_and_comes_back(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    path = make("a.wav")
    make("b.wav", 220.0)
    add(catalogue, music)
    held = path.read_bytes()
    path.unlink()
    assert add(catalogue, music) == ScanCounts(unchanged=1, missing=1)
    assert paths(catalogue)["a.wav"].missing
    assert [path for _, path, *_ in catalogue.sounds()] == [os.fsencode(music / "b.wav")]
    path.write_bytes(held)
    add(catalogue, music)
    assert not paths(catalogue)["a.wav"].missing


def test_a_folder_that_vanishes_costs_nothing(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("a.wav")
    add(catalogue, music)
    music.rename(music.with_name("unmounted"))
    with pytest.raises(FileError, match=r"is its disk connected\? What the library has of it is kept"):
        add(catalogue, music)
    assert not paths(catalogue)["a.wav"].missing


def test_a_folder_that_vanishes_while_it_is_read(
    catalogue: Catalogue, make: MakeFile, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        make(f"{n:02d}.wav", 200.0 + 10 * n)
    plain = scanning.digest_of

    def vanishing(path: bytes) -> str:
        if path.endswith(b"03.wav"):
            music.rename(music.with_name("unmounted"))
        return plain(path)

    monkeypatch.setattr(scanning, "digest_of", vanishing)
    monkeypatch.setattr(scanning, "CONCURRENCY", 1)
    counts = add(catalogue, music)
    assert counts.added == 8
    assert counts.bad >= 5
    assert "no such file" in paths(catalogue)["07.wav"].problem
    music.with_name("unmounted").rename(music)
    monkeypatch.setattr(scanning, "digest_of", plain)
    add(catalogue, music, again=True)
    assert [row.problem for row in catalogue.rows()] == [""] * 8


def test_hostile_tags_are_text_of_bounded_length(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("a.wav", artist="\x1b[2J\x07'); DROP TABLE files;--", album="%s %n {0}")
    make("b.flac", 220.0, title="x" * 30_000, genre="\u202egnirts \u0000 end")
    assert add(catalogue, music).bad == 0
    rows = paths(catalogue)
    assert len(rows["b.flac"].tags["title"]) == 1000
    assert rows["a.wav"].tags["artist"].isprintable()
    assert rows["a.wav"].tags["artist"].endswith("'); DROP TABLE files;--")
    assert all(text.isprintable() for row in rows.values() for text in row.tags.values())


def test_a_name_that_is_no_text_is_a_name(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    path = make("a.wav")
    odd = os.fsencode(music) + b"/\xff\xfe%d \n.wav"
    os.rename(path, odd)
    assert add(catalogue, music) == ScanCounts(added=1)
    (row,) = catalogue.rows()
    assert row.path == odd
    assert row.summary()["path"].isprintable()


def test_words_are_found_in_paths_and_tags_in_any_case(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("a.wav", title="Straße im Regen", artist="50% _off_")
    make("b.wav", 220.0, title="Other")
    add(catalogue, music)
    for words in (["STRASSE"], ["regen", "music"], ["50% _OFF"]):
        assert [os.path.basename(row.path) for row in catalogue.rows(words)] == [b"a.wav"]
    assert list(catalogue.rows(["regen", "other"])) == []
    assert list(catalogue.rows(["50_ _off"])) == [], "a word is no pattern"


def test_rows_of_a_folder_are_those_below_it(catalogue: Catalogue, make: MakeFile, music: Path) -> None:
    make("x/a.wav")
    make("xy/b.wav", 220.0)
    add(catalogue, music)
    assert [os.path.basename(row.path) for row in catalogue.rows(path=os.fsencode(music / "x"))] == [b"a.wav"]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_a_bad_file(catalogue: Catalogue, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "endless.wav"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    assert add(catalogue, place) == ScanCounts(added=1, bad=1)
    assert "it is not an ordinary file" in paths(catalogue)["endless.wav"].problem
