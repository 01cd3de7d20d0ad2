"""The database: versions, damage, locks and full disks are a sentence each; the file of vectors beside it."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.errors import FileError
from antiphon_library import scanning, schema, vector_file
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import CatalogueRow
from antiphon_library.schema import FILE, open_database
from antiphon_library.tests.conftest import MakeFile
from antiphon_library.vector_file import VectorTable, sound_feature_vector

STATE = [1, 2, 0, 0]


def similar(rows: list[CatalogueRow], target: CatalogueRow, count: int) -> list[tuple[bytes, float]]:
    """By a comparison with all: the path of each with its cosine, each dimension standardised over all."""
    wanted = sound_feature_vector(target)
    assert wanted is not None
    others, vectors = [], [wanted]
    for row in rows:
        vector = sound_feature_vector(row)
        if row.path != target.path and vector is not None and len(vector) == len(wanted):
            others.append(row.path)
            vectors.append(vector)
    table = np.array(vectors)
    table -= table.mean(axis=0)
    table /= table.std(axis=0) + 1e-9
    table /= np.linalg.norm(table, axis=1, keepdims=True) + 1e-9
    scores = table[1:] @ table[0]
    order = np.argsort(-scores, kind="stable")[:count]
    return [(others[n], float(scores[n])) for n in order]


def row(path: bytes, vector: list[float] | None, *, missing: bool = False) -> CatalogueRow:
    return CatalogueRow(path, 1.0, 44100, 1, {}, "", missing, {"tags": (3, {"tag_embedding": vector}, "")})


def rows(count: int = 40, length: int = 6) -> list[CatalogueRow]:
    table = np.random.default_rng(1).standard_normal((count, length))
    return [row(f"/music/{n:03}.wav".encode(), list(vector)) for n, vector in enumerate(table)]


def test_the_nearest_are_those_of_a_comparison_with_all() -> None:
    files = rows()
    table = vector_file.make_vector_table(files)
    for n in (0, 7, 39):
        assert table.row(files[n].path) == n
        found, wanted = table.nearest(n, 5), similar(files, files[n], 5)
        assert [path for path, _ in found] == [path for path, _ in wanted]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in wanted], atol=1e-5)


def test_what_is_gone_or_has_no_vector_is_left_out() -> None:
    files = [*rows(5), row(b"/gone", [0.0] * 6, missing=True), row(b"/silent", None), row(b"/other", [1.0, 2.0])]
    table = vector_file.make_vector_table(files)
    assert len(table.rows) == 5
    assert [table.row(path) for path in (b"/gone", b"/silent", b"/other", b"/music/00", b"")] == [None] * 5
    assert len(table.nearest(0, 100)) == 4


def read(root: Path, state: list[int] = STATE) -> VectorTable:
    table = vector_file.load(root, state)
    assert table is not None
    return table


@pytest.mark.parametrize("files", [rows(), rows(1), [], [row(b"/\xff\n name", [1.0, 2.0]), row(b"/b", [0.0, 1.0])]])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, files: list[CatalogueRow]) -> None:
    table = vector_file.make_vector_table(files)
    vector_file.save(tmp_path, STATE, table)
    again = read(tmp_path)
    np.testing.assert_array_equal(again.rows, table.rows)
    assert again.names == table.names
    assert [again.path(n) for n in range(len(files))] == [file.path for file in files]


def test_a_table_of_another_state_is_not_used(tmp_path: Path) -> None:
    vector_file.save(tmp_path, STATE, vector_file.make_vector_table(rows()))
    assert vector_file.load(tmp_path, [1, 3, 0, 0]) is None
    assert vector_file.load(tmp_path / "other", STATE) is None


@pytest.mark.parametrize("keep", [0, 5, 12, 60, -1])
def test_a_file_that_was_cut_or_written_over_is_not_used(tmp_path: Path, keep: int) -> None:
    vector_file.save(tmp_path, STATE, vector_file.make_vector_table(rows()))
    path = tmp_path / vector_file.FILE
    data = path.read_bytes()
    path.write_bytes(data[:keep])
    assert vector_file.load(tmp_path, STATE) is None
    path.write_bytes(bytes(len(data)))
    assert vector_file.load(tmp_path, STATE) is None
    path.write_bytes(data[:40] + b"\xff" * 40 + data[80:])
    assert vector_file.load(tmp_path, STATE) is None


def test_the_state_changes_with_the_database_and_its_log(tmp_path: Path) -> None:
    base, log = tmp_path / "library.sqlite", tmp_path / "library.sqlite-wal"
    states = [vector_file.state_of(base)]
    base.write_bytes(b"1234")
    states.append(vector_file.state_of(base))
    log.touch()
    assert vector_file.state_of(base) == states[-1], "an empty log is none"
    log.write_bytes(b"12")
    states.append(vector_file.state_of(base))
    os.utime(base, ns=(1, 1))
    states.append(vector_file.state_of(base))
    assert len({tuple(state) for state in states}) == 4


@pytest.mark.parametrize("earlier", [False, True])
def test_it_is_for_its_owner_alone_with_its_log_and_an_earlier_one_becomes_so(tmp_path: Path, earlier: bool) -> None:
    if earlier:
        open_database(tmp_path).close()
        (tmp_path / FILE).chmod(0o644)
    with contextlib.closing(open_database(tmp_path)):
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("library.sqlite", "library.sqlite-wal", "library.sqlite-shm"), 0o600)


def test_a_second_one_opened_in_a_process_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    def other(words: str) -> str:
        head = f"import sqlite3; base = sqlite3.connect({str(tmp_path / FILE)!r}, isolation_level=None)\n"
        return subprocess.run([sys.executable, "-c", head + words], capture_output=True, text=True, check=True).stdout

    with contextlib.closing(open_database(tmp_path)) as base:
        base.execute("CREATE TABLE numbers (x)")
        open_database(tmp_path).close()
        # the last to close a database removes its log
        other("base.execute('SELECT count(*) FROM numbers').fetchone(); base.close()")
        base.execute("INSERT INTO numbers VALUES (1)")
        other("base.executemany('INSERT INTO numbers VALUES (?)', [(n,) for n in range(3000)]); base.close()")
        assert base.execute("SELECT count(*) FROM numbers").fetchone() == (3001,)
    assert other("print(base.execute('PRAGMA integrity_check').fetchone())").strip() == "('ok',)"


@pytest.mark.parametrize(
    ("version", "said"), [(2, "move it elsewhere and add the sound files again"), (4, "a newer Antiphon wrote")]
)
def test_another_version_is_refused_and_left_as_it_is(tmp_path: Path, version: int, said: str) -> None:
    base = open_database(tmp_path)
    base.execute(f"PRAGMA user_version={version}")
    base.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(FileError, match=said):
        open_database(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_tables_that_cannot_be_made_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(schema, "TABLES", f"{schema.TABLES}; CREATE TABLE sounds (y)")
        with pytest.raises(FileError):
            open_database(tmp_path)
    base = open_database(tmp_path)
    assert base.execute("SELECT count(*) FROM sounds").fetchall() == [(0,)]
    base.close()


def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all " * 100)
    with pytest.raises(FileError, match=r"it is damaged .* move it elsewhere") as error:
        Catalogue(tmp_path)
    assert str(tmp_path / FILE) in str(error.value)
    assert (tmp_path / FILE).read_bytes().startswith(b"not a database")


def test_damage_in_its_pages_is_the_same_sentence(tmp_path: Path, make: MakeFile, music: Path) -> None:
    with Catalogue(tmp_path / "root") as catalogue:
        for n in range(3):
            make(f"{n}.wav", 200.0 + n)
        scanning.add(catalogue, [music], lambda *_: None)
    path = tmp_path / "root" / FILE
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    with pytest.raises(FileError, match="it is damaged"), Catalogue(tmp_path / "root") as catalogue:
        list(catalogue.rows())


def test_a_locked_database_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "TIMEOUT_SECONDS", 0.05)
    with Catalogue(tmp_path) as catalogue:
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert list(catalogue.rows()) == [], "reading goes on while another writes"
        with pytest.raises(FileError, match="another program is writing to it; try again"):
            catalogue.forget([b"x"])
        other.execute("ROLLBACK")
        assert catalogue.forget([b"x"]) == 0
        other.close()


def test_a_full_disk_is_a_sentence_and_what_was_finished_is_kept(tmp_path: Path, make: MakeFile, music: Path) -> None:
    for n in range(12):
        make(f"{n:02d}.flac", 200.0 + n, comment="c" * 900, title="t" * 900)
    with Catalogue(tmp_path / "root") as catalogue:
        (pages,) = catalogue._base.execute("PRAGMA page_count").fetchone()
        catalogue._base.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(FileError, match="the disk is full; free some space and repeat"):
            scanning.add(catalogue, [music], lambda *_: None)
        held = len(list(catalogue.rows()))
    assert 0 < held < 12
    with Catalogue(tmp_path / "root") as catalogue:
        counts = scanning.add(catalogue, [music], lambda *_: None)
        assert (counts.unchanged, counts.added) == (held, 12 - held)
        assert len(list(catalogue.rows())) == len(catalogue.sounds()) == 12


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_leave_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match=r"--root|may write"):
        Catalogue(tmp_path / "root")
    tmp_path.chmod(0o700)


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(FileError, match="cannot make the folder"):
        Catalogue(tmp_path / "root")


def test_a_catalogue_of_one_sound_or_none_has_no_nearest() -> None:
    assert vector_file.make_vector_table(rows(1)).nearest(0, 10) == []
    assert vector_file.make_vector_table([]).row(b"/music/000.wav") is None
