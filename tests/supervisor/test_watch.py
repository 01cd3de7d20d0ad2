"""What a supervisor does when it cannot do what it wants to: nothing but SIGINT and SIGTERM ends a server."""

import contextlib
import errno
import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.clock import FakeClock

from antiphon.kernel.engine.drivers.probe import Found
from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.engine.shared import HeaderWord, MappingShape, Shared
from antiphon.kernel.errors import EngineError, FileError
from antiphon.kernel.runtime.processes.child_process import leave, socket_pair
from antiphon.kernel.runtime.processes.children import Child
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import jack_server, watch, watchdog
from antiphon.kernel.supervisor.companions import Companions
from antiphon.kernel.supervisor.parts import SupervisorFaults
from antiphon.kernel.supervisor.starts import Starts
from antiphon.kernel.supervisor.watch import Supervisor
from antiphon.recording import requests
from antiphon.web.messages import pack, unpack


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    clock.put(monkeypatch)
    return clock


@pytest.fixture
def supervisor(tmp_path: Path, clock: FakeClock) -> Supervisor:
    """One that is ready, and has no children."""
    made = Supervisor(ServeSettings(audio="headless"), tmp_path, Companions(recording=requests))
    parent, child = socket_pair()
    parent.setblocking(False)
    performer, scripts = socket_pair()
    made.parts = SimpleNamespace(  # type: ignore[assignment]
        shared=Shared.create(MappingShape(48000, 256, 2, 16)),
        arena=SimpleNamespace(entries=[]),
        bells=SimpleNamespace(keeper=os.eventfd(0, os.EFD_NONBLOCK)),
        found=SimpleNamespace(driver="headless", own=False),
        parent=parent,
        child=child,
        performer=performer,
        scripts=scripts,
    )
    made.faults = SupervisorFaults(made.parts.shared.words)
    made._loading = LoadingNote(made.parts.shared)
    made._hangs = watchdog.HangWatch(made.parts.shared.words, made._loading, watch._WATCH)
    made.starts = Starts.__new__(Starts)
    made.starts.driver = "headless"
    made.starts._warm = SimpleNamespace(plugins=SimpleNamespace(factories={"synths": {}}))  # type: ignore[assignment]
    made._plays = True
    return made


def ended() -> Child:
    """A child that has ended, and that nobody has waited for."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    child = Child("weigher", pid)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return child


def faults(supervisor: Supervisor) -> int:
    return int(supervisor.parts.shared.words[HeaderWord.SUPERVISOR_FAULTS])


def test_a_start_that_the_machine_refuses_is_tried_again(
    supervisor: Supervisor, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No process, no descriptor: said once, counted each time, and made good when there is one."""
    refusals = [OSError(errno.EAGAIN, "Resource temporarily unavailable"), OSError(errno.EMFILE, "Too many open files")]
    started = ended()

    def weigher() -> int:
        if refusals:
            raise refusals.pop(0)
        return started.pid

    monkeypatch.setattr(supervisor.starts, "weigher", weigher)
    supervisor._children["weigher"] = ended()
    supervisor._reap()
    for _ in range(3):
        assert supervisor._start_times
        supervisor._restart_due()
        clock.sleep(watch.PAUSE_SECONDS)
    assert supervisor._children["weigher"].pid == started.pid
    assert not supervisor._start_times
    assert faults(supervisor) == 2
    assert capsys.readouterr().err.splitlines() == [
        "antiphon: weigher ended (status 0); starting it again",
        "antiphon: weigher cannot be started (resource temporarily unavailable); it is tried again every 1 s",
        "antiphon: weigher cannot be started (too many open files); it is tried again every 1 s",
    ]


def test_a_step_that_fails_costs_itself(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    turns: list[str] = []

    def fails() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def last() -> None:
        turns.append("synth")
        supervisor._ending = len(turns) == 3

    monkeypatch.setattr(supervisor, "_look_for_device", fails)
    monkeypatch.setattr(supervisor, "_look_for_synth", last)
    monkeypatch.setattr(supervisor, "_wait", lambda: None)
    supervisor._watch()
    assert turns == ["synth"] * 3, "those behind it have their turn"
    assert faults(supervisor) == 3
    assert capsys.readouterr().err == "antiphon: the supervisor failed at a step (too many open files); it goes on\n"
    supervisor._plays = supervisor._ending = False
    with pytest.raises(OSError, match="Too many"):
        supervisor._watch()


def test_what_control_finds_fatal_ends_a_start_and_not_a_server_that_plays(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    word = json.dumps({"fatal": "the state folder cannot be used"}).encode()
    supervisor.parts.child.send(word)
    supervisor._read_control()
    assert capsys.readouterr().err == "antiphon: the state folder cannot be used\n"
    supervisor._plays = False
    supervisor.parts.child.send(word)
    with pytest.raises(EngineError, match="state folder"):
        supervisor._read_control()


def test_a_server_says_that_it_is_ready_once_http_answers(
    supervisor: Supervisor, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipes: list[int] = []

    def web(answers: int) -> int:
        pipes.append(os.dup(answers))
        return os.getpid()

    def turn() -> str:
        os.write(supervisor._signal_write, b"x")  # so that the wait is none
        supervisor._wait()
        return capsys.readouterr().out

    monkeypatch.setattr(supervisor.starts, "web", web)
    monkeypatch.setattr(supervisor, "_schedule_start", lambda name: name == "web" and supervisor._start(name))
    supervisor._companions = Companions(web="a.module", recording=requests)
    for answer, after in (b"1", 0.0), (b"", watch.ANSWER_SECONDS + 1.0):
        supervisor._plays = False
        supervisor.parts.child.send(json.dumps({"ready": ["ready osc"]}).encode())
        assert turn() + turn() == ""
        os.close(pipes.pop())  # it has ended without an answer
        assert turn() == ""
        supervisor._start("web")
        assert turn() + turn() == ""
        os.write(pipes[0], answer)
        os.close(pipes.pop())
        clock.sleep(after)
        assert turn() + turn() == "ready osc\n"
        assert turn() == ""
    supervisor._companions, supervisor._plays = Companions(), False
    supervisor.parts.child.send(json.dumps({"ready": ["ready osc"]}).encode())
    assert turn() == "ready osc\n", "a kernel alone has no HTTP"


def test_a_control_that_hangs_is_ended_unless_all_stood_still(
    supervisor: Supervisor, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    supervisor._children["control"] = Child("control", 4711)
    words = supervisor.parts.shared.words
    os.write(supervisor._signal_write, b"x" * 8)  # so that no wait is one

    def turn() -> None:
        os.write(supervisor._signal_write, b"x")
        supervisor._wait()
        supervisor._look_for_hang()

    turn()
    assert not killed, "it has not begun to turn"
    words[HeaderWord.CONTROL_BEAT] = time.monotonic_ns()
    clock.sleep(watchdog.CONTROL_HANG_SECONDS + 1.0)  # the whole machine stood still
    turn()
    assert not killed
    for _ in range(round(watchdog.CONTROL_HANG_SECONDS / 0.2) + 1):
        clock.sleep(0.2)
        turn()
    assert killed == [(4711, signal.SIGKILL)]
    assert "control has not turned for" in capsys.readouterr().err
    turn()
    assert len(killed) == 1, "once"


def test_a_zygote_that_is_wanted_is_due_until_it_is_there(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bell that asks for it rings once."""
    monkeypatch.setattr(watch, "wanted_zygotes", lambda _arena: {"none"})
    os.eventfd_write(supervisor.parts.bells.keeper, 1)
    supervisor._wait()

    def refuse(_kind: str) -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(supervisor.starts, "zygote", refuse)
    supervisor._restart_due()
    assert list(supervisor._start_times) == ["zygote-none"]


def test_the_performer_is_due_with_the_first_script_and_reads_it_itself(supervisor: Supervisor) -> None:
    supervisor._companions = Companions(performer="p")
    for asked, due in (({"do": "state"}, []), ({"do": "run", "text": "x"}, ["performer"])):
        supervisor.parts.scripts.send(pack(asked))
        supervisor._wait()
        assert list(supervisor._start_times) == due
    supervisor._wait()
    assert unpack(supervisor.parts.performer.recv(4096)) == {"do": "run", "text": "x"}


def test_a_fork_that_is_refused_leaves_signals_as_they_were(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(OSError, match="unavailable"):
        supervisor.starts._begin("a test", lambda: 0)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_a_forked_child_never_becomes_a_second_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody reads its traceback: its parent's clean-up would end its siblings."""

    def fail() -> int:
        raise RuntimeError("at its work")

    pid = os.fork()
    if pid == 0:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 2)
        os.dup2(write, 1)
        try:
            leave(fail)
        finally:
            os._exit(77)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_a_recording_on_a_disk_that_hangs_holds_nobody_up(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorder(_begin: object, ready: int) -> int:
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        assert ready > 0
        return pid

    monkeypatch.setattr(requests, "BEGIN_SECONDS", 0.05)
    monkeypatch.setattr(supervisor.starts, "recorder", recorder)
    supervisor.settings = supervisor.settings.with_(record=str(tmp_path / "take.wav"))
    with pytest.raises(FileError, match=r"cannot write .*take\.wav: the disk has not answered for 0\.05 s"):
        supervisor._start_first_recorder()
    supervisor._children["recorder"].kill()


def test_a_start_that_fails_takes_away_what_it_began_to_record(tmp_path: Path) -> None:
    (tmp_path / "tonight").mkdir()
    for name in ("take.wav", "tonight/session.jsonl", "tonight/input.wav", "tonight/output.wav", "tonight/mine.txt"):
        (tmp_path / name).touch()
    begun = [{"do": "record", "path": str(tmp_path / "take.wav")}, {"do": "session", "path": str(tmp_path / "tonight")}]
    requests.undo(begun)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["tonight", "tonight/mine.txt"]


@pytest.fixture
def starts(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Those of a supervisor whose engine plays by JACK; devices are found wherever one looks."""
    engine, control = socket_pair()
    control.setblocking(False)
    settings = ServeSettings(audio="jack")
    parts = SimpleNamespace(**vars(supervisor.parts), settings=settings, engine=engine, control=control)
    parts.found = Found("jack", 48000, 256)
    made = Starts(parts, supervisor.folder, Companions())  # type: ignore[arg-type]

    def found(given: ServeSettings, device: str, *_figures: object) -> tuple[ServeSettings, Found]:
        if device == "none":
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        kind, _, server = device.partition(":")
        extra = {**given.extra, "jack_server": server}
        return given.with_(audio=kind, extra=extra), Found(kind, 48000, 256)

    monkeypatch.setattr("antiphon.kernel.supervisor.starts.device_settings", found)
    return made


def ask(starts: Starts, device: str, serial: int) -> None:
    starts.ask_device({"do": "device", "device": device, "rate": 0, "block": 0, "serial": serial, "engine": 5})


def test_a_device_is_taken_over_by_the_report_of_its_own_change(starts: Starts) -> None:
    for serial, device in enumerate(("portaudio", "headless", f"jack:{jack_server.DEFAULT}")):
        ask(starts, device, serial)
        sent = json.loads(starts.parts.engine.recv(4096))
        assert (sent["serial"], sent["engine"], sent["device"]) == (serial, 5, device)
        assert sent["options"]["soft"] == (device == f"jack:{jack_server.DEFAULT}")
    for serial, problem, driver, wanted in (
        (0, "", "portaudio", "portaudio"),
        (7, "", "jack", "portaudio"),  # of an engine that has ended
        (2, "gone", "headless", "portaudio"),
        (1, "", "headless", "headless"),
    ):
        starts.adopt_device({"serial": serial, "problem": problem, "driver": driver})
        assert starts.found.driver == wanted
    assert starts.driver == "headless"


def test_a_device_that_is_asked_for_is_answered_whatever_fails(starts: Starts) -> None:
    answers = starts.parts.child
    ask(starts, "none", 3)
    assert json.loads(answers.recv(4096)) == {"device": "resource temporarily unavailable", "serial": 3}
    with contextlib.suppress(BlockingIOError):
        while True:
            starts.parts.control.send(b"x" * 4096)
    ask(starts, "portaudio", 4)
    assert json.loads(answers.recv(4096))["serial"] == 4


def test_a_child_that_keeps_dying_is_started_again_at_once_five_times_and_then_after_a_pause(
    supervisor: Supervisor, clock: FakeClock
) -> None:
    waits = []
    for _ in range(7):
        child = SimpleNamespace(name="recorder")
        supervisor._children["recorder"] = child  # type: ignore[assignment]
        supervisor._died(child, 1)  # type: ignore[arg-type]
        waits.append(supervisor._start_times["recorder"] - time.monotonic())
        clock.sleep(1.0)
    assert waits == pytest.approx([0.0] * 5 + [watch.PAUSE_SECONDS] * 2)
    clock.sleep(10.0)
    supervisor._children["recorder"] = child  # type: ignore[assignment]
    supervisor._died(child, 1)  # type: ignore[arg-type]
    assert supervisor._start_times["recorder"] == pytest.approx(time.monotonic())
