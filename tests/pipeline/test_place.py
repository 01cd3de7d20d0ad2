"""The pipeline's folder: one run at a time, and nothing of one that was killed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.paths import temporary_beside, write_atomic
from antiphon_models.pipeline.running import claim_folder, remove_others


@dataclass(frozen=True)
class Shard:
    path: Path
    dead: Path

    def digest(self) -> str:
        return ""


def shards(out: Path, *numbers: int) -> list[Shard]:
    return [Shard(out / f"shards/{n:05}.parquet", out / f"dead/{n:05}.jsonl") for n in numbers]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_second_run_is_refused_while_the_first_has_the_folder(tmp_path: Path) -> None:
    with (
        claim_folder(tmp_path / "out"),
        pytest.raises(FileError, match="another run writes to"),
        claim_folder(tmp_path / "out"),
    ):
        pass
    with claim_folder(tmp_path / "out"):
        pass


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = ["items.jsonl", "shards/00000.parquet", "training/torch/.hidden", "shards/.mine.tmp"]
    for name in kept:
        write_atomic(tmp_path / name, b"x")
    for name in ("items.jsonl", "shards/00001.parquet", "training/frames.npy", "training/torch/checkpoint"):
        temporary_beside(tmp_path / name).write_bytes(b"half")
    with claim_folder(tmp_path):
        assert names(tmp_path) == sorted([*kept, ".lock"])


def test_only_shards_of_another_number_of_shards_are_removed_with_their_lists(tmp_path: Path) -> None:
    for shard in shards(tmp_path, 0, 1, 2):
        write_atomic(shard.path, b"x")
        write_atomic(shard.dead, b"")
    write_atomic(tmp_path / "shards/01 a song.wav", b"mine")
    (tmp_path / "shards/0").mkdir()
    remove_others(shards(tmp_path, 0, 2))
    left = ["dead/00000.jsonl", "dead/00002.jsonl", "shards/00000.parquet", "shards/00002.parquet"]
    assert names(tmp_path) == [*left, "shards/01 a song.wav"]
    assert (tmp_path / "shards/0").is_dir()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileError, match="cannot make the folder"), claim_folder(tmp_path / "out"):
        pass
