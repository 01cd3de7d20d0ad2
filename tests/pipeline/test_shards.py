"""Shards by Beam: on this machine and on a Dask cluster, killed and run again; it needs the extra `pipeline`."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.trees import sound
from tests.waiting import until

from antiphon_models.datasets.layouts.rules import split_of
from antiphon_models.pipeline.running import run, shard_tasks
from antiphon_models.pipeline.settings import load
from antiphon_models.pipeline.shards import compute, gather, is_done, spectrograms

EXTRA = importlib.util.find_spec("apache_beam") and importlib.util.find_spec("pyarrow")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not EXTRA, reason="needs the extra: pip install 'antiphon-lab[pipeline]'"),
]

SHARDS = 6


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    for label in ("calm", "loud"):
        for n in range(12):
            sound(tmp_path / f"sounds/{label}/song {n}.wav", 8000 + n)
    (tmp_path / "sounds/loud/broken.wav").write_bytes(b"RIFF")
    (tmp_path / "sounds/loud" / os.fsdecode(b"\xff.wav")).write_bytes(
        (tmp_path / "sounds/loud/song 1.wav").read_bytes()
    )
    return named(tmp_path, "one")


def named(folder: Path, name: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\n[gather]\ndataset = "folder"\npath = "sounds"\n'
        f"[preprocess]\nrate = 8000\nhigh = 4000\nshards = {SHARDS}\n"
    )
    return path


def digests(out: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((out / "shards").iterdir())}


def test_a_run_on_several_processes_gives_every_sound_once_and_names_the_bad_one(toml: Path) -> None:
    settings = load(toml)
    begun: list[tuple[int, Path]] = []
    report = run(settings, ("gather", "preprocess"), workers=2, begins=lambda *work: begun.append(work))
    assert begun == [(report.shards, settings.out / "shards")]
    rows = [row for path in sorted((settings.out / "shards").iterdir()) for row in spectrograms(path)]
    assert sorted(row[0] for row in rows) == sorted(f"{c}/song {n}.wav" for c in ("calm", "loud") for n in range(12))
    assert report.items == 26
    assert sorted(report.dead) == ["loud/broken.wav", os.fsdecode(b"loud/\xff.wav")]
    assert json.loads((settings.out / "manifest.json").read_text())["dead"].keys() == report.dead.keys()
    assert {row[2] for row in rows} == {("calm",), ("loud",)}
    assert all(row[1] == split_of(row[0].removesuffix(".wav").rsplit(" ", 1)[0]) for row in rows)
    assert all(row[3].shape == (14, 64) and np.isfinite(row[3]).all() for row in rows)
    again = run(settings, ("gather", "preprocess"), workers=2, begins=lambda *work: begun.append(work))
    assert len(begun) == 1
    assert (again.computed, again.shards) == (0, report.shards)


def test_a_run_that_was_killed_is_completed_with_the_same_bytes(toml: Path, tmp_path: Path) -> None:
    settings = load(toml)
    run(settings, ("gather", "preprocess"), workers=1)
    other = named(tmp_path, "other")
    out = load(other).out
    command = [sys.executable, "-m", "antiphon", "pipeline", "run", str(other), "--workers", "2"]
    process = subprocess.Popen(command, start_new_session=True)
    until(lambda: any((out / "shards").glob("*.parquet")), 60, "no shard is written")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    run(load(other), ("gather", "preprocess"), workers=1)
    assert digests(out) == digests(settings.out)


def workers_of(run: int) -> list[int]:
    """Beam's workers that a run has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"antiphon_models.pipeline.beam_worker" in (place / "cmdline").read_bytes():
                starter = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if int(Path(f"/proc/{starter}/stat").read_text().rsplit(")", 1)[1].split()[1]) == run:
                    found.append(int(place.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the workers are looked for in /proc")
@pytest.mark.parametrize("victim", ["a worker", "the run"])
def test_no_run_goes_on_without_its_workers_and_no_worker_without_its_run(toml: Path, victim: str) -> None:
    command = [sys.executable, "-m", "antiphon", "pipeline", "run", str(toml), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(workers_of(process.pid)) == 2, 60, "there are no workers")
        workers = workers_of(process.pid)
        os.kill(workers[0] if victim == "a worker" else process.pid, signal.SIGKILL)
        _, complaint = process.communicate(timeout=300)
    finally:
        process.kill()
    if victim == "a worker":
        assert (process.returncode, "one of Beam's workers has ended" in complaint) == (2, True), complaint
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), 60, "a worker is left")


def test_a_dask_cluster_gives_the_same_bytes(toml: Path, tmp_path: Path) -> None:
    settings = load(toml)
    run(settings, ("gather", "preprocess"), workers=1)
    other = load(named(tmp_path, "other"))
    run(other, ("gather", "preprocess"), runner="dask", workers=2)
    assert digests(other.out) == digests(settings.out)


def test_a_damaged_shard_and_one_of_other_settings_are_computed_anew(toml: Path) -> None:
    settings = load(toml)
    tasks = shard_tasks(settings, gather(settings))
    for task in tasks:
        compute(task)
    assert all(is_done(task) for task in tasks)
    tasks[0].path.write_bytes(tasks[0].path.read_bytes()[:100])
    assert [is_done(task) for task in tasks].count(False) == 1
    toml.write_text(toml.read_text().replace("high = 4000", "high = 3000"))
    other = load(toml)
    assert not any(is_done(task) for task in shard_tasks(other, gather(other)))
