"""Sounds as they arrive: complete or not, too many, hostile; the journal after a kill."""

import asyncio
import importlib.util
import json
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.waiting import comes

from antiphon.kernel.errors import FileError, PluginError, UsageError, WireError
from antiphon.offline import analyses as registered
from antiphon.testing import sound as audio
from antiphon_models.learning.user_commands import command
from antiphon_models.pipeline import stream_mqtt
from antiphon_models.pipeline.running import run
from antiphon_models.pipeline.settings import WatchSettings, load
from antiphon_models.pipeline.stream import (
    FolderWatch,
    ResultJournal,
    SoundStream,
    StreamCounts,
    WaitingSound,
    is_written,
    within,
)
from antiphon_models.pipeline.stream_mqtt import URL_VARIABLE, broker_of


def arrived(watch: FolderWatch, now: float, room: int = 100) -> tuple[list[str], int]:
    """The names that arrive at a look, and how many are left."""
    names: list[str] = []

    def take(found: WaitingSound) -> bool:
        if len(names) == room:
            return False
        names.append(found.name)
        return True

    return names, watch.look(now, take)


def test_a_file_arrives_once_when_its_size_stays_and_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "in/deep/a.wav"
    path.parent.mkdir(parents=True)
    watch = FolderWatch(tmp_path / "in", {})
    path.write_bytes(b"RIFF")
    assert arrived(watch, 0.0) == ([], 0)
    path.write_bytes(b"RIFF and more")
    assert arrived(watch, 1.0) == ([], 0), "it has grown"
    assert arrived(watch, 1.1) == ([], 0)
    assert arrived(watch, 2.0) == (["deep/a.wav"], 0)
    assert arrived(watch, 3.0) == ([], 0)
    path.write_bytes(b"another")
    assert arrived(watch, 4.0) == ([], 0)
    assert arrived(watch, 5.0) == (["deep/a.wav"], 0)


def test_a_file_that_a_program_writes_is_not_read_however_long_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    watch = FolderWatch(tmp_path, {})
    with path.open("wb") as file:
        file.write(b"RIFF")
        file.flush()
        if not is_written(path):
            pytest.skip("this system does not say who has a file open")
        assert arrived(watch, 0.0) == arrived(watch, 100.0) == ([], 0)
    assert arrived(watch, 101.0) == (["a.wav"], 0)


def test_links_hidden_files_and_what_is_no_sound_do_not_arrive(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "away").symlink_to(tmp_path)
    (folder / ".part.wav").write_bytes(b"RIFF")
    (folder / "notes.txt").write_bytes(b"RIFF")
    watch = FolderWatch(folder, {})
    arrived(watch, 0.0)
    assert arrived(watch, 1.0) == ([], 0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret.wav", "is not below the folder"),
        ("/etc/passwd", "is not below the folder"),
        ("link.wav", "is not below the folder"),
        ("away/secret.wav", "is not below the folder"),
        ("notes.txt", "has no ending of a sound file"),
        ("none.wav", "there is no none.wav"),
        ("big.wav", "it has 2,000 bytes; watch.largest allows 1,000"),
        ("a\0.wav", "is no name of a file"),
        ("\ud800.wav", "is no name of a file"),
        ("folder.wav", "is no ordinary file"),
    ],
)
def test_a_name_from_outside_leads_nowhere_else(tmp_path: Path, name: str, reason: str) -> None:
    folder = tmp_path / "in"
    (folder / "folder.wav").mkdir(parents=True)
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "away").symlink_to(tmp_path)
    (folder / "notes.txt").write_bytes(b"RIFF")
    (folder / "big.wav").write_bytes(bytes(2000))
    (folder / "good.wav").write_bytes(b"RIFF")
    assert within(folder, "./good.wav", 1000).name == "good.wav"
    with pytest.raises(WireError, match=reason) as refused:
        within(folder, name, 1000)
    assert str(refused.value).isprintable()


def test_the_journal_forgets_the_line_that_a_kill_left_incomplete_and_knows_the_others(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    with ResultJournal(path) as journal:
        journal.put({"name": "a.wav", "size": 4, "mtime": 5})
        journal.put({"name": "mqtt/1", "seconds": 1.0})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"name": "b.wav", "si')
    with ResultJournal(path) as journal:
        assert journal.done == {"a.wav": (4, 5)}
        journal.put({"name": "b.wav", "size": 4, "mtime": 5})
    assert path.read_bytes() == whole + b'{"name": "b.wav", "size": 4, "mtime": 5}\n'
    path.write_bytes(b"no journal\n")
    with pytest.raises(FileError, match=r"line 1 of .* is no result"):
        ResultJournal(path)
    assert path.read_bytes() == b"no journal\n"


def test_a_line_that_the_disk_has_no_room_for_leaves_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    soft, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultJournal(path) as journal:
        journal.put({"name": "a.wav", "size": 1, "mtime": 2})
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, most))
        try:
            with pytest.raises(FileError, match="file too large"):
                journal.put({"name": "b.wav", "size": 1, "mtime": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, most))
        journal.put({"name": "c.wav", "size": 1, "mtime": 2})
    with ResultJournal(path) as journal:
        assert sorted(journal.done) == ["a.wav", "c.wav"]


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    with ResultJournal(tmp_path / "watch.jsonl"), pytest.raises(FileError, match="another `pipeline watch` writes"):
        ResultJournal(tmp_path / "watch.jsonl")


def streamed(folder: Path, journal: ResultJournal, queue: int = 8) -> SoundStream:
    """A stream whose clock is a second on at each look."""
    ticks = iter(range(10**6))
    settings = WatchSettings(folder, queue=queue, largest=1_000_000)
    return SoundStream(settings, ["loudness"], journal, StreamCounts(), lambda: float(next(ticks)))


def test_sounds_are_analysed_bad_ones_have_a_reason_and_the_next_run_does_neither_again(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    audio.write(folder / "a.wav", audio.noise(16000, 1), 16000)
    (folder / "bad.wav").write_bytes(b"RIFF")
    (folder / "large.wav").write_bytes(bytes(1_000_001))
    lines: list[dict[str, Any]] = []

    async def go(journal: ResultJournal, count: int) -> StreamCounts:
        stream = streamed(folder, journal)
        worker = asyncio.ensure_future(stream.work())
        for _ in range(3):
            stream.look()
        assert stream.waiting == count
        await comes(lambda: stream.counts.analysed + stream.counts.bad >= count, f"{count} results")
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return stream.counts

    with ResultJournal(tmp_path / "watch.jsonl", lambda line: lines.append(json.loads(line))) as journal:
        counts = asyncio.run(go(journal, 3))
    assert (counts.analysed, counts.bad, counts.left) == (1, 2, 0)
    by_name = {line["name"]: line for line in lines}
    assert by_name["a.wav"]["loudness"]["loudness"] == pytest.approx(-20.0, abs=6.0)
    assert by_name["a.wav"]["seconds"] == 1.0
    assert "watch.largest allows 1,000,000" in by_name["large.wav"]["reason"]
    assert by_name["bad.wav"]["reason"].startswith("cannot read bad.wav: it is not")
    with ResultJournal(tmp_path / "watch.jsonl") as journal:
        assert journal.done.keys() == by_name.keys()
        counts = asyncio.run(go(journal, 0))
    assert (counts.analysed, counts.bad) == (0, 0)


def test_a_full_queue_leaves_files_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.wav").write_bytes(b"RIFF")

    async def go(journal: ResultJournal) -> None:
        stream = streamed(folder, journal, queue=2)
        for _ in range(3):
            stream.look()
        assert stream.counts.left == 2
        worker = asyncio.ensure_future(stream.work())
        await comes(lambda: stream.counts.bad == 2, "two are refused")
        stream.look()
        assert stream.counts.left == 0
        await comes(lambda: stream.counts.bad == 4, "two more are refused")
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    with ResultJournal(tmp_path / "watch.jsonl") as journal:
        asyncio.run(go(journal))
    names = [json.loads(line)["name"] for line in (tmp_path / "watch.jsonl").read_text().splitlines()]
    assert sorted(names) == ["a.wav", "b.wav", "c.wav", "d.wav"]


def test_a_brokers_address_has_no_password_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broker_of("mqtt://stage@127.0.0.1").user == "stage"
    monkeypatch.setenv(URL_VARIABLE, "mqtt://stage:s3cret@127.0.0.1:1884")
    broker = broker_of("mqtt://127.0.0.1")
    assert (broker.host, broker.port, broker.user, broker.password) == ("127.0.0.1", 1884, "stage", "s3cret")
    assert "s3cret" not in repr(broker)
    with pytest.raises(UsageError, match="into the environment, as ANTIPHON_MQTT_URL") as refused:
        broker_of("mqtt://stage:hunter2@127.0.0.1")
    assert "hunter2" not in str(refused.value)
    for wrong in ("http://127.0.0.1", "mqtt://", "mqtt://a:b:c", "mqtt://host/topic"):
        with pytest.raises(UsageError, match=r"watch\.mqtt"):
            broker_of(wrong)


def test_a_table_watch_alone_is_a_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text('name = "one"\n[watch]\npath = "in"\nqueue = 3\n')
    settings = load(path)
    assert settings.watch == WatchSettings(tmp_path / "in", queue=3)
    with pytest.raises(FileError, match="there is no folder"):
        stream_mqtt.watch(settings.watch, tmp_path / "watch.jsonl", lambda _: None)
    path.write_text('name = "one"\n[watch]\npath = "in"\ntopic = "a/#"\n')
    with pytest.raises(FileError, match=r"watch\.topic': takes a topic .*, not 'a/#'"):
        load(path)
    assert not os.path.exists(tmp_path / "watch.jsonl")


EXTRA = importlib.util.find_spec("apache_beam") and importlib.util.find_spec("pyarrow")
needs_beam = pytest.mark.skipif(not EXTRA, reason="needs the extra: pip install 'antiphon-lab[pipeline]'")
PARTS = ("drums", "bass", "voice", "other")


def pipeline(folder: Path, name: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f'name = "{name}"\n[gather]\ndataset = "folder"\npath = "sounds"\n[preprocess]\nseconds = 1.0\nshards = 2\n'
    )
    return path


@pytest.mark.real
@needs_beam
def test_stems_add_up_to_the_excerpt_and_are_the_same_by_direct_and_dask(tmp_path: Path) -> None:
    from pyarrow import parquet

    for n in range(3):
        place = tmp_path / f"sounds/all/song {n}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        audio.write(place, audio.noise(24000, 2, seed=n) * 0.2, 16000)
    (tmp_path / "sounds/all/broken.wav").write_bytes(b"RIFF")
    said = command("pipeline", "run", pipeline(tmp_path, "one"), "--steps", "gather,stems", "--workers", "1", "--json")
    report = json.loads(said)
    assert report["analysed"]["stems"]["sounds"] == 4
    assert list(report["dead"]) == ["all/broken.wav"]
    rows = [row for path in (tmp_path / "one/stems").glob("*.parquet") for row in parquet.read_table(path).to_pylist()]
    assert sorted((row["name"], row["stem"]) for row in rows) == sorted(
        (f"all/song {n}.wav", part) for n in range(3) for part in PARTS
    )
    for n in range(3):
        mine = [row for row in rows if row["name"] == f"all/song {n}.wav"]
        whole = sum(soundfile.read(tmp_path / "one" / row["sound"])[0] for row in mine)
        sound = soundfile.read(tmp_path / f"sounds/all/song {n}.wav")[0]
        np.testing.assert_allclose(whole, sound[4000:20000], atol=4 / 32768)
        assert all(len(row["mel"]) == 2 * row["frames"] * row["bands"] for row in mine)
        assert all(row["level"] < 3.0 for row in mine)
    other = load(pipeline(tmp_path, "other"))
    run(other, ("gather", "stems"), runner="dask", workers=1)
    for path in sorted((tmp_path / "one").glob("stem*/**/*.*")):
        if path.suffix != ".json":
            assert (other.out / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes(), path


def test_without_a_plugin_that_takes_apart_the_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "analyses", dict)
    with pytest.raises(PluginError, match="no plugin takes sounds apart"):
        registered.separator()
