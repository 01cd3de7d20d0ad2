"""A helper answers; what it does instead (rubbish, silence, its end) is an exception; it ends with its parent."""

import asyncio
import mmap
import os
import signal
import subprocess
import sys
import threading
from unittest import mock

import pytest
from tests.waiting import comes, until

from antiphon.jobs.process import run_program
from antiphon.kernel.runtime.platform import PORTABLE, descendants, private_memory, start_time
from antiphon.kernel.runtime.processes import child_process, forked, spawning
from antiphon.kernel.runtime.processes.children import Child, ChildLane, ChildLimits, environment, spawn
from antiphon.kernel.runtime.processes.forked import ForkedEnd, run_forked
from antiphon.kernel.runtime.processes.helper_channel import HEAD, MessageBuffer, pack

ANSWERING = "tests.runtime.answering_helper:main"


@pytest.fixture
def helper():
    with spawn(ANSWERING) as process:
        yield process


def test_answers_have_their_bytes_and_nothing_that_is_printed(helper: Child) -> None:
    name = os.fsdecode(b"no \xff UTF-8")
    for parts in (0, 3):
        helper.send({"do": "answer", "what": name, "parts": parts})
        answer, raw = helper.receive(most=3000)
        assert answer == {"said": name}
        assert raw == b"".join(bytes([n]) * 1000 for n in range(parts))


def test_it_computes_with_one_thread_and_imports_what_its_parent_does(helper: Child) -> None:
    helper.send({"do": "environment"})
    found, _ = helper.receive()
    assert found["OPENBLAS_NUM_THREADS"] == "1"
    assert found["PYTHONPATH"].split(os.pathsep) == [entry for entry in sys.path if entry]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of limits are those of Linux")
def test_its_limits_hold_and_what_has_none_is_as_it_was(helper: Child) -> None:
    helper.send({"do": "limits"})
    free, _ = helper.receive()
    limits = ChildLimits(nice=2, data=900 << 20, cpu=77, file=0)
    with spawn(ANSWERING, limits=limits) as child:
        held, _ = child.ask({"do": "limits"})
    assert held == {**free, "nice": free["nice"] + 2, "data": 900 << 20, "cpu": 77, "file": 0, "core": 0}


@pytest.mark.skipif(PORTABLE, reason="no child is a copy")
def test_the_limits_of_a_copy_are_beside_what_it_is_a_copy_of() -> None:
    most = 100 << 20
    with (
        mock.patch.object(child_process, "may_be_copied", return_value=True),
        mmap.mmap(-1, 2 * most, mmap.MAP_PRIVATE),
    ):
        held = private_memory()
        with spawn(ANSWERING, limits=ChildLimits(data=most)) as child:
            found, _ = child.ask({"do": "limits"})
            assert child.ask({"do": "environment"})[0]["OPENBLAS_NUM_THREADS"] == "1"
    assert 2 * most < held <= found["data"] - most < held + most


async def test_answers_are_heard_while_the_event_loop_goes_on(helper: Child) -> None:
    for name in ("a", "b"):
        helper.send({"do": "answer", "what": name})
    assert [await helper.await_answer(60.0) for _ in "ab"] == [{"said": "a"}, {"said": "b"}]
    helper.send({"do": "hang"})
    with pytest.raises(TimeoutError):
        await helper.await_answer(0.01)
    helper.kill()
    with pytest.raises(EOFError):
        await helper.await_answer(None)


async def test_a_program_gives_the_end_of_what_it_says_and_ends_with_its_task() -> None:
    done = await run_program("json.tool", "--help", most=20)
    assert (done.status, done.complaint) == (0, "")
    assert 0 < len(done.printed) <= 20
    before = set(descendants(os.getpid()))
    running = asyncio.create_task(run_program("http.server", "--bind", "127.0.0.1", "0"))
    await comes(lambda: set(descendants(os.getpid())) - before, "it has begun")
    started = set(descendants(os.getpid())) - before
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [pid for pid in started if start_time(pid)] == []


@pytest.mark.parametrize("what", ["rubbish", "list"])
def test_rubbish_is_no_answer(helper: Child, what: str) -> None:
    helper.send({"do": what})
    with pytest.raises(ValueError, match="message"):
        helper.receive()


def test_more_bytes_than_are_asked_for_are_not_read(helper: Child) -> None:
    helper.send({"do": "answer", "what": "", "parts": 3})
    with pytest.raises(ValueError, match=r"3000 bytes, where .* 2999 are allowed"):
        helper.receive(most=2999)


@pytest.mark.parametrize(("what", "status"), [("half", 3), ("die", -signal.SIGSEGV)])
def test_its_end_is_an_end_of_file(helper: Child, what: str, status: int) -> None:
    helper.send({"do": what})
    with pytest.raises(EOFError):
        helper.receive()
    assert helper.wait() == status
    assert helper.ended


def test_silence_is_a_timeout_and_a_kill_ends_a_wait(helper: Child) -> None:
    helper.send({"do": "hang"})
    with pytest.raises(TimeoutError):
        helper.receive(silence=0.01)
    thread = threading.Timer(0.0, helper.kill)
    thread.start()
    with pytest.raises(EOFError):
        helper.receive()
    thread.join()


def test_a_forked_copy_of_this_process_ends_no_child_of_it(helper: Child) -> None:
    copy = os.fork()
    if copy == 0:
        helper.end()
        os._exit(0)
    os.waitpid(copy, 0)
    helper.send({"do": "answer", "what": "here", "parts": 0})
    assert helper.receive()[0] == {"said": "here"}


def test_it_ends_by_close_with_nothing_left(helper: Child) -> None:
    helper.close()
    helper.close()
    assert start_time(helper.pid) == 0


PARENT = """
import os, signal
from antiphon.kernel.runtime.processes.children import ChildLane, spawn
{}
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def check_end_with_parent(starting: str) -> None:
    """`starting`: lines of a program that is then killed, which start its `child`."""
    words = [sys.executable, "-c", PARENT.format(starting)]
    done = subprocess.run(words, stdout=subprocess.PIPE, env=environment(), check=False, timeout=300)
    pid = int(done.stdout)
    until(lambda: start_time(pid) == 0, 10.0, "it has ended")


def test_it_ends_when_its_parent_is_killed_though_it_hangs() -> None:
    check_end_with_parent(
        f"child = spawn({ANSWERING!r})\n"
        "child.send({'do': 'answer', 'what': ''}), child.receive(), child.send({'do': 'hang'})"
    )


def test_what_it_has_started_ends_with_it(helper: Child) -> None:
    helper.send({"do": "start"})
    started = helper.receive(silence=30.0)[0]["pid"]
    helper.send({"do": "hang"})
    assert helper.close() == -signal.SIGKILL
    assert helper.ended
    until(lambda: start_time(started) == 0, 10.0, "what it started has ended")


def test_what_is_left_of_one_that_ended_by_itself_ends_when_that_is_seen(helper: Child) -> None:
    helper.send({"do": "start"})
    started = helper.receive(silence=30.0)[0]["pid"]
    helper.finish()
    assert helper.wait(60.0) == 0
    until(lambda: start_time(started) == 0, 10.0, "what it started has ended")


ORDERLY = """
import signal, subprocess, sys
started = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
def end(*_):
    started.communicate(b"the last line")
    sys.exit(started.returncode)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_one_that_is_asked_to_end_ends_what_it_has_started_in_its_own_order() -> None:
    with spawn([sys.executable, "-c", ORDERLY], lane=ChildLane(output=subprocess.PIPE)) as child:
        assert child.output is not None
        assert child.output.readline() == b"ready\n"
        kept = os.fdopen(os.dup(child.output.fileno()), "rb")
        child.end(60.0)
        with kept:
            assert kept.read() == b"the last line"
        assert child.status == 0


def test_messages_that_come_in_pieces_are_put_together() -> None:
    data = pack({"a": 1}) + pack({}) + pack({"b": "ü"})
    for size in (1, 7, len(data)):
        buffer, found = MessageBuffer(), []
        for at in range(0, len(data), size):
            buffer.put(data[at : at + size])
            found += iter(buffer.take, None)
        assert found == [{"a": 1}, {}, {"b": "ü"}]
    buffer.put(HEAD.pack(1 << 40, 0))
    with pytest.raises(ValueError, match="allowed"):
        buffer.take()


def _printing() -> str:
    os.write(1, b"a library prints")
    os.system("echo so does a program")
    return "x" * 100_000


@pytest.mark.parametrize("prepared", [False, True])
def test_a_copy_gives_bytes_and_prints_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prepared: bool
) -> None:
    monkeypatch.setattr(forked, "PORTABLE", PORTABLE or prepared)
    if prepared:
        spawning.prepare(forked.__name__, __name__, "there_is_no_such_module")
    assert run_forked(_printing, 60.0, 100_002) == ForkedEnd("x" * 100_000, 0.0, 0)
    assert capfd.readouterr() == ("", "")
    assert run_forked(_printing, 60.0, 1000).answer is None


def test_an_interpreter_that_does_not_start_is_late_and_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "PORTABLE", True)
    monkeypatch.setattr(forked, "START_SECONDS", 0.1)
    untold, receiving = spawning._interpreter()
    monkeypatch.setattr(forked, "start_answering", lambda *_: (untold.pid, receiving))
    assert run_forked(os.getcwdb, 60.0, 100) == ForkedEnd(None, forked.START_SECONDS, -signal.SIGKILL)


def test_a_child_ends_with_its_parent_from_its_first_instruction() -> None:
    """Before it could ask for that itself: the program that it executes knows nothing of its parent."""
    check_end_with_parent("child = spawn('http.server', '--bind', '127.0.0.1', '0', lane=ChildLane(output=2))")
    with mock.patch("os.getpid", return_value=1):  # another process has become its parent before it began
        child = spawn("http.server", "--bind", "127.0.0.1", "0")
    assert child.wait(60.0) == 1


SWALLOWED = """
import os, signal, sys
from antiphon.kernel.runtime.processes.child_process import watch
watch()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    pass  # as an import that tries something does
sys.argv = ["antiphon", "serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0"]
from antiphon.cli import main
main()
"""


def test_a_ctrl_c_that_was_swallowed_ends_the_server_all_the_same():
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 130, done.stderr
    assert "ready" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(PORTABLE, reason="nothing is forked")
def test_a_forked_process_says_what_it_is_in_the_process_list() -> None:
    def show() -> None:
        for of in ("cmdline", "comm"):
            with open(f"/proc/self/{of}", "rb") as file:
                os.write(giving, file.read())

    receiving, giving = os.pipe()
    child = child_process.fork(show, "engine")
    os.waitpid(child, 0)
    title, _, name = os.read(receiving, 1 << 16).partition(b"\0")
    assert (title, name.strip(b"\0\n")) == (b"antiphon: engine", b"engine")
