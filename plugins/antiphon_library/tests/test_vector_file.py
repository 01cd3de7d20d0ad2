"""The file of vectors beside the catalogue: the nearest rows, and when it is made again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from antiphon_library import vector_file
from antiphon_library.records import CatalogueRow
from antiphon_library.vector_file import VectorTable, vector_of

STATE = [1, 2, 0, 0]


def similar(rows: list[CatalogueRow], target: CatalogueRow, count: int) -> list[tuple[bytes, float]]:
    """By a comparison with all: the path of each with its cosine, each dimension standardised over all."""
    wanted = vector_of(target)
    assert wanted is not None
    others, vectors = [], [wanted]
    for row in rows:
        vector = vector_of(row)
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
    table = vector_file.table_of(files)
    for n in (0, 7, 39):
        assert table.row(files[n].path) == n
        found, wanted = table.nearest(n, 5), similar(files, files[n], 5)
        assert [path for path, _ in found] == [path for path, _ in wanted]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in wanted], atol=1e-5)


def test_what_is_gone_or_has_no_vector_is_left_out() -> None:
    files = [*rows(5), row(b"/gone", [0.0] * 6, missing=True), row(b"/silent", None), row(b"/other", [1.0, 2.0])]
    table = vector_file.table_of(files)
    assert len(table.rows) == 5
    assert [table.row(path) for path in (b"/gone", b"/silent", b"/other", b"/music/00", b"")] == [None] * 5
    assert len(table.nearest(0, 100)) == 4


def test_a_catalogue_of_one_sound_or_none_has_no_nearest() -> None:
    assert vector_file.table_of(rows(1)).nearest(0, 10) == []
    assert vector_file.table_of([]).row(b"/music/000.wav") is None


def read(root: Path, state: list[int] = STATE) -> VectorTable:
    table = vector_file.load(root, state)
    assert table is not None
    return table


@pytest.mark.parametrize("files", [rows(), rows(1), [], [row(b"/\xff\n name", [1.0, 2.0]), row(b"/b", [0.0, 1.0])]])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, files: list[CatalogueRow]) -> None:
    table = vector_file.table_of(files)
    vector_file.save(tmp_path, STATE, table)
    again = read(tmp_path)
    np.testing.assert_array_equal(again.rows, table.rows)
    assert again.names == table.names
    assert [again.path(n) for n in range(len(files))] == [file.path for file in files]


def test_a_table_of_another_state_is_not_used(tmp_path: Path) -> None:
    vector_file.save(tmp_path, STATE, vector_file.table_of(rows()))
    assert vector_file.load(tmp_path, [1, 3, 0, 0]) is None
    assert vector_file.load(tmp_path / "other", STATE) is None


@pytest.mark.parametrize("keep", [0, 5, 12, 60, -1])
def test_a_file_that_was_cut_or_written_over_is_not_used(tmp_path: Path, keep: int) -> None:
    vector_file.save(tmp_path, STATE, vector_file.table_of(rows()))
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


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    (tmp_path / vector_file.FILE).mkdir()
    vector_file.save(tmp_path, STATE, vector_file.table_of(rows()))
    assert vector_file.load(tmp_path, STATE) is None
