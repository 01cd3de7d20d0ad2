"""`antiphon.Server` and `antiphon.connect`: a real server in the hands of a Python program."""

import asyncio
import itertools
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import until

import antiphon
from antiphon import aio
from antiphon.kernel.runtime.platform import start_time


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("takes") / "take.wav"


@pytest.fixture(scope="module")
def server(take: Path) -> Iterator[antiphon.Server]:
    with antiphon.Server(patch="keys", audio="headless", record=take) as running:
        yield running
    assert soundfile.info(take).frames > 0


def test_values_are_read_and_set(server: antiphon.Server) -> None:
    lid = server["lid"]
    lid.cutoff = 800.0
    assert lid.cutoff == pytest.approx(800.0)
    lid.set(cutoff=1200.0, over=0.01)
    assert lid.cutoff == pytest.approx(1200.0)
    assert "cutoff" in dir(lid)
    assert lid.params["cutoff"].unit == "Hz"


def test_what_was_written_is_read(server: antiphon.Server) -> None:
    server["room"].wet = 0.3
    assert server["room"].wet == 0.3
    with pytest.raises(AttributeError, match="temppo"):
        server.temppo = 90.0  # type: ignore[attr-defined]


def test_what_the_server_refuses_is_raised(server: antiphon.Server) -> None:
    with pytest.raises(antiphon.AntiphonError, match="cutoff takes"):
        server["lid"].cutoff = -1.0
    with pytest.raises(antiphon.AntiphonError, match="there is no node 'led'"):
        server["led"]
    with pytest.raises(antiphon.AntiphonError, match="there is no patch 'nope'"):
        server.load("nope")
    assert not hasattr(server["lid"], "cutof")
    with pytest.raises(antiphon.AntiphonError, match="did you mean cutoff"):
        server["lid"].cutof  # noqa: B018 - it is read
    for wrong in ({"velocity": 8.0}, {"velocity": 0.0}, {"beats": -1.0}):
        with pytest.raises(antiphon.AntiphonError, match=f"{next(iter(wrong))} takes"):
            server.note(60, **wrong)  # type: ignore[arg-type]
    with pytest.raises(antiphon.AntiphonError, match="bpm takes"):
        server.tempo = "fast"  # type: ignore[assignment]
    with pytest.raises(antiphon.AntiphonError, match="on takes an address and a function"):
        server.on("/beat", None)  # type: ignore[arg-type]
    with pytest.raises(antiphon.AntiphonError, match="on takes an address and a function"):
        server.on("beat", print)


def test_messages_are_sent_as_one_writes_them(server: antiphon.Server) -> None:
    server.send("/tempo", np.float32(121.0))  # type: ignore[arg-type]
    assert server.tempo == 121.0
    server.send(("/tempo", (122,)), ("/node/lid/cutoff", [900.0]))
    assert (server.tempo, server["lid"].cutoff) == (122.0, 900.0)
    for wrong in ((("/tempo", 120),), ("tempo", 120), (120,), (("/tempo", "120"),)):
        with pytest.raises(antiphon.AntiphonError, match=r's\.send\("/tempo", 120\)'):
            server.send(*wrong)
    with pytest.raises(antiphon.AntiphonError, match="OSC has no form for"):
        server.send("/tempo", {})  # type: ignore[arg-type]


def test_notes_are_told_to_a_program_that_takes_them(server: antiphon.Server) -> None:
    told: queue.Queue[int] = queue.Queue()
    end = server.on("/note/event", lambda beat, note, velocity, *rest: told.put(note))
    server.note(67, beats=None)
    assert told.get(timeout=20) == 67
    server.send("/note/watch", 0)
    server.note(68, beats=None)
    server.send("/note/watch", 1)
    server.note(69, beats=None)
    assert told.get(timeout=20) == 69
    with pytest.raises(antiphon.AntiphonError, match="/note/watch"):
        server.send("/note/watch", "x")
    end()
    server.panic()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_function_that_fails_keeps_no_other_from_being_called(server: antiphon.Server) -> None:
    def fails(*told: object) -> None:
        raise ZeroDivisionError

    end = server.on("/beat", fails)
    server.tempo = 240.0
    server.play()
    beats = server.beats()
    assert next(beats) < next(beats)
    beats.close()
    end()
    server.stop()


def test_time_and_notes(server: antiphon.Server) -> None:
    server.tempo = 240.0
    assert server.tempo == pytest.approx(240.0)
    server.play()
    beats = server.beats()
    first, second = next(beats), next(beats)
    assert second > first
    beats.close()
    heard: list[tuple[object, ...]] = []
    end = server.on("/note/event", lambda *told: heard.append(told))
    server.note(60, velocity=0.8, beats=1, at=server.beat + 1, on="keys")
    server.note(64)
    end()
    server.stop()


def test_what_is_sent_together_takes_effect_at_one_beat(server: antiphon.Server) -> None:
    server.play()
    with server.at(beat=server.beat + 2):
        server.tempo = 200.0
        server["lid"].set(cutoff=500.0)
    assert server.tempo == pytest.approx(240.0)
    for _ in itertools.islice(server.beats(), 40):
        if server.tempo == pytest.approx(200.0):
            break
    else:
        pytest.fail("ten seconds of beats without the bundle")
    assert server["lid"].cutoff == pytest.approx(500.0)
    server.stop()


def test_a_patch_is_edited_and_the_edit_taken_back(server: antiphon.Server) -> None:
    server.add("gain", "quiet", after="room")
    assert server.nodes["quiet"] == "gain"
    server.undo()
    assert "quiet" not in server.nodes


def test_a_second_program_and_one_of_asyncio(server: antiphon.Server) -> None:
    with antiphon.connect(port=server.port) as other:
        assert other.nodes == server.nodes

    async def converse() -> float:
        async with await aio.connect(port=server.port) as remote:
            node = await remote.node("lid")
            await node.set(cutoff=700.0)
            async with remote.at(beat=0.0):
                await remote.put("tempo", 90.0)
                assert await remote.get("tempo") != pytest.approx(90.0)
            await remote.put("tempo", 130.0)
            assert await remote.get("tempo") == pytest.approx(130.0)
            return float(await node.get("cutoff"))

    assert asyncio.run(converse()) == pytest.approx(700.0)


def test_a_server_shows_itself(server: antiphon.Server) -> None:
    shown = server._repr_html_()
    assert f"127.0.0.1:{server.port}" in shown
    assert all(f"<th>{name}</th>" in shown for name in server.nodes)
    gone = antiphon.connect(port=server.port)
    gone.close()
    assert gone._repr_html_().count("<th>") == 1


OWNER = """
import antiphon, threading, time
servers = []
start = threading.Thread(target=lambda: servers.append(antiphon.Server(audio="headless", record={record!r})))
start.start()
start.join()
print(servers[0]._process._process.pid, servers[0].tempo, flush=True)
time.sleep(600)
"""


def test_a_server_ends_with_its_program_and_not_with_the_thread_that_started_it(tmp_path: Path) -> None:
    record = tmp_path / "take.wav"
    with subprocess.Popen([sys.executable, "-c", OWNER.format(record=str(record))], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        pid, tempo = program.stdout.readline().split()
        assert tempo == b"120.0"
        program.kill()
    until(lambda: start_time(int(pid)) == 0, 20.0, "the server has ended")
    assert soundfile.info(record).frames > 0


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(antiphon.AntiphonError, match="there is no patch 'nope'"):
        antiphon.Server(patch="nope", audio="headless")
    with pytest.raises(antiphon.AntiphonError, match="cannot be reached"):
        antiphon.connect(port=1)
