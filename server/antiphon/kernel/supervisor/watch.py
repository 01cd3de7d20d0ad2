"""The supervisor's loop: starts the children, restarts those that end, and ends all on SIGINT or SIGTERM."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from antiphon.kernel.control import state
from antiphon.kernel.control.state import CATALOG, VERSIONS
from antiphon.kernel.engine.plans.loading import LoadingNote
from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.errors import EngineError, FileError, UsageError
from antiphon.kernel.io import log_lines
from antiphon.kernel.io.listening import open_sockets
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.console import say, write_output
from antiphon.kernel.runtime.platform import hear
from antiphon.kernel.runtime.processes import child_process, pidfile
from antiphon.kernel.runtime.processes.child_process import DEVICE_GONE, NO_DEVICE, exit_cause
from antiphon.kernel.runtime.processes.children import Child
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import jack_server, watchdog
from antiphon.kernel.supervisor.companions import Begin, Companions
from antiphon.kernel.supervisor.parts import Parts, SupervisorFaults, cause_line
from antiphon.kernel.supervisor.starts import Starts, first_line
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.status import wanted_zygotes

_BACKUP = "before"


def begin_folder(folder: Path, settings: ServeSettings) -> None:
    """Backs up the previous run's files, and clears the state unless this run continues from it.

    Call it once the ports are bound: until then the folder may belong to a running server. If `settings` name another
    patch or set than the crashed run's, the state is cleared. Raises FileError: the backup cannot be written; nothing
    is changed.
    """
    restore(folder)  # a start before this one was killed midway
    shutil.rmtree(folder / VERSIONS, ignore_errors=True)  # every start begins with the plugins' own files
    back_up(folder)
    left = pidfile.crashed_settings(folder)
    if left is None and (folder / pidfile.LIST).exists():
        say(
            "the last run crashed, and another version of Antiphon had started it: its patch and values as they stood "
            "are not restored; what was saved is as it was"
        )
    if left is None or not _should_continue(settings, left):
        state.clear(folder)
    else:
        say("the last run crashed: its patch and values are restored; to begin anew, press Ctrl-C and start again")


def _should_continue(asked: ServeSettings, left: ServeSettings) -> bool:
    """Whether to continue from a crashed run: not if this start names another patch or set."""
    named = (asked.patch, asked.set)
    return not any(named) or named == (left.patch, left.set)


def back_up(folder: Path) -> None:
    """Copies the run's files into the backup; `FileError`, and no change, if that fails."""
    backup, part = folder / _BACKUP, folder / f"{_BACKUP}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        for name in _names(folder):
            if (folder / name).exists():
                shutil.copy2(folder / name, part / name)
        part.rename(backup)  # atomic: a backup is complete or absent
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FileError(f"cannot keep the last run's state in {folder}: {paths.os_error_text(error)}") from None


def restore(folder: Path) -> None:
    """Replaces the run's files by those in the backup, and removes the backup; does nothing without one."""
    backup = folder / _BACKUP
    if not backup.is_dir():
        return
    for name in {*_names(folder), *_names(backup)}:
        if (backup / name).exists():
            (backup / name).replace(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    drop_backup(folder)


def drop_backup(folder: Path) -> None:
    """Removes the backup, once this run is ready."""
    shutil.rmtree(folder / _BACKUP, ignore_errors=True)


def clear_folder(folder: Path) -> None:
    """Removes the run's files after a regular end, so that the next run begins anew."""
    for name in _names(folder):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / VERSIONS, ignore_errors=True)


def _names(folder: Path) -> tuple[str, ...]:
    return (pidfile.LIST, pidfile.RECORDINGS, *state.files(folder))


RESTARTS_BEFORE_PAUSE = 5
PAUSE_SECONDS = 1.0
RETRY_DEVICE_SECONDS = 3.0
ANSWER_SECONDS = 60.0
"""Seconds after which a server reports that it is ready although HTTP does not answer."""
_WATCH = 0.2
_ZYGOTE, _PROBE = "zygote-", "probe"
_RUN, _HEAD_BYTES = b'"run"', 32
"""Mark in the head of web's message to run a script, and bytes of a head."""


class _AlreadyReported(Exception):
    """The server cannot start, and the child that failed has printed the reason."""


class Supervisor:
    """Starts the server's processes, restarts those that end, and ends all.

    Before the server is ready, a failure ends it with an error; afterwards only SIGINT, SIGTERM or a request by control
    (`quit`) do. `settings`: those of `serve`; with the ports, rate and block in use, once they are known.
    """

    parts: Parts
    starts: Starts
    faults: SupervisorFaults

    def __init__(
        self, settings: ServeSettings, folder: Path, companions: Companions | None = None, owner: int = 0
    ) -> None:
        """Starts nothing before `run`. `companions`: none by default. `owner`: pid of a parent with which it ends."""
        self.settings, self.folder, self._companions = settings, folder, companions or Companions()
        self._owner = owner
        self._children: dict[str, Child] = {}
        self._deaths: dict[str, list[float]] = {}
        self._start_times: dict[str, float] = {}
        self._trouble, self._hung = "", watchdog.Hang.NONE
        self._ending = self._plays = False
        # the line that says ready, until HTTP answers; a pipe from the web process, which says so, or -1
        self._unsaid: list[str] = []
        self._answers, self._say_by = -1, 0.0
        self._signal_read, self._signal_write = os.pipe()
        os.set_blocking(self._signal_write, False)
        self._notes: list[str] = []
        self._begin: Begin = []
        self._retry_device, self._since = 0.0, time.time()

    def run(self) -> int:
        """Runs the server until SIGINT or SIGTERM; returns the exit status."""
        self._catch_signals()
        resources.set_trim_threshold(resources.LOADING)
        if child_process.end_requested():
            raise KeyboardInterrupt  # an import or a library caught the first one
        try:
            self._open()
            self._start_all()
            self._watch()
            return 0
        except _AlreadyReported:
            return 2
        finally:
            self._end_all()

    def _open(self) -> None:
        settings = self.settings
        device = devices.resolve(settings.device)
        sockets = open_sockets(settings)
        settings = settings.with_(osc_port=sockets[0].getsockname()[1], http_port=sockets[2].getsockname()[1])
        device_info, jackd = jack_server.find(settings, *self._companions.notes.request(settings))
        if jackd:
            self._adopt(jack_server.JACKD, jackd)
        self.settings = settings = settings.with_(rate=device_info.rate, block=device_info.block)
        if settings.strip_ports and device_info.driver != "jack":
            raise UsageError("--strip-ports needs JACK or PipeWire: start one, and serve with --audio jack")
        self._notes += jack_server.notes(settings, device_info)
        self.parts = Parts.make(settings, device_info, device, sockets)
        self.starts, self.faults = (
            Starts(self.parts, self.folder, self._companions),
            SupervisorFaults(self.parts.shared.words),
        )
        self._loading = LoadingNote(self.parts.shared)
        self._hangs = watchdog.HangWatch(self.parts.shared.words, self._loading, _WATCH)

    def _start_all(self) -> None:
        # once the ports are bound, the folder is ours as well
        begin_folder(self.folder, self.settings)
        # before any child runs: a disk that refuses the list would refuse the state too
        pidfile.write(self.folder, os.getpid(), {}, self.settings)
        # first: control imports on one core while this process imports on another
        self._adopt("control", self.starts.control())
        if not self.settings.ahead:
            self._adopt(_PROBE, self.starts.probe())
        if self.settings.lan:
            self.starts.secrets()
        self.starts.warm()
        self.starts.catalog()
        kind, imports = self._companions.notes.zygote()
        if (imports or kind) != "none" and self.settings.patch and self.starts.plays_notes():
            # it imports while the patch is tried
            self._adopt(_ZYGOTE + kind, self.starts.zygote(kind, imports))
        self._start_first_recorder()
        self._adopt("weigher", self.starts.weigher())
        if _PROBE in self._children:
            self._children.pop(_PROBE).close()
        self._adopt("engine", self.starts.engine())
        self._write_list()

    def _start_first_recorder(self) -> None:
        """Starts a recorder for the requested recordings; blocks until they begin. Raises FileError: they cannot."""
        recording = self._companions.recording
        if recording is None:
            return
        begin = recording.first_requests(self.settings, self.folder, self._notes, self._companions.header)
        if not begin:
            return  # it is started once the server is ready
        read, write = os.pipe()
        try:
            self._adopt("recorder", self.starts.recorder(begin, write))
        finally:
            os.close(write)
        recording.check_begun(begin, first_line(read, recording.BEGIN_SECONDS))
        self._begin = begin

    def _adopt(self, name: str, pid: int) -> None:
        self._children[name] = Child(name, pid)

    def _start(self, name: str) -> None:
        """Starts the child of that name; `OSError` where the machine cannot create the process."""
        match name:
            case "web":
                self._start_web()
            case "engine" | "performer" | "weigher" | "strips":
                start: Callable[[], int] = getattr(self.starts, name)
                self._adopt(name, start())
            case "control":
                self._adopt(name, self.starts.control())
                if self._plays and (self.folder / CATALOG).exists():
                    self.starts.catalog()
            case "recorder":
                notes: list[str] = []
                assert self._companions.recording is not None
                self._adopt(name, self.starts.recorder(self._companions.recording.resume_requests(self.folder, notes)))
                for note in notes:
                    say(note)
            case jack_server.JACKD:
                if pid := jack_server.restart(self.settings):
                    self._adopt(name, pid)
            case _:
                self._adopt(name, self.starts.zygote(name.removeprefix(_ZYGOTE)))

    def _start_web(self) -> None:
        read, write = os.pipe()
        try:
            self._adopt("web", self.starts.web(write))
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        if self._answers >= 0:
            os.close(self._answers)
        self._answers = read

    def _schedule_start(self, name: str) -> None:
        if name not in self._children:
            self._start_times.setdefault(name, time.monotonic())

    def _write_list(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        try:
            pidfile.write(self.folder, os.getpid(), pids, self.settings)
        except FileError as error:
            # without the list a later `serve` cannot take over from this one; the sound is not affected
            if not self._trouble:
                say(str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._signal_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))  # as who started this may have blocked it
        # closing the terminal must not end the sound; children inherit this
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def _watch(self) -> None:
        steps = (
            self._wait,
            self._check_owner,
            self._reap,
            self._restart_due,
            self._look_for_hang,
            self._look_for_device,
            self._look_for_synth,
            log_lines.rotate,
        )
        while not self._ending:
            for step in steps:
                self._run_step(step)
                if self._ending:
                    return

    def _run_step(self, step: Callable[[], None]) -> None:
        """Runs one step; once the server is ready its errors are counted, not raised, and the loop continues."""
        try:
            step()
        except Exception as error:
            if not self._plays:
                raise
            self.faults.add(f"the supervisor failed at a step ({cause_line(error)}); it goes on")
            time.sleep(_WATCH)  # a step that always fails at once must not use a whole core

    def _wait(self) -> None:
        """Polls signals, control's socket, and the workers' bell, at most `_WATCH` seconds."""
        parent, keeper = self.parts.parent.fileno(), self.parts.bells.keeper
        scripts = self.parts.performer
        if not self._companions.performer or "performer" in {*self._children, *self._start_times}:
            scripts = None
        poll = select.poll()
        some = (self._answers, -1 if scripts is None else scripts.fileno())
        for fd in (self._signal_read, parent, keeper, *(fd for fd in some if fd >= 0)):
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(_WATCH * 1000):
            if fd == self._signal_read:
                os.read(fd, 4096)
            elif fd == parent:
                self._read_control()
            elif fd == self._answers:
                self._read_web()
            elif fd == keeper:
                hear(fd)
                for kind in wanted_zygotes(self.parts.arena):
                    self._schedule_start(_ZYGOTE + kind)
            elif scripts is not None:
                self._read_script(scripts)
        log_lines.rotate()
        if self._unsaid and time.monotonic() > self._say_by:
            self._say_ready()  # HTTP is lacking, of which the web process has said why

    def _read_web(self) -> None:
        """Reports ready once HTTP answers; a web process that ends before is started again."""
        answers = os.read(self._answers, 1)
        os.close(self._answers)
        self._answers = -1
        if answers and self._unsaid:
            self._say_ready()

    def _say_ready(self) -> None:
        lines, self._unsaid = self._unsaid, []
        self._companions.ready(self.settings)
        write_output("\n".join([*self._notes, *lines]))

    def _check_owner(self) -> None:
        """Ends the server if the program that started it for its own use has ended, for whatever reason."""
        self._ending |= bool(self._owner) and os.getppid() != self._owner

    def _read_script(self, scripts: socket.socket) -> None:
        """Starts the performer for the first script, which the performer then reads itself; discards other messages."""
        if _RUN in scripts.recv(_HEAD_BYTES, socket.MSG_PEEK):
            self._schedule_start("performer")
        else:
            scripts.recv(1)

    def _read_control(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            message = json.loads(self.parts.parent.recv(1 << 20))
            if "ready" in message and not self._plays:
                self._plays = True
                drop_backup(self.folder)
                if silence := self._companions.notes.silence(self.settings, self.starts.synths):
                    say(silence)
                self._unsaid, self._say_by = message["ready"], time.monotonic() + ANSWER_SECONDS
                # last, so that they do not delay the sound; what asks them waits in the queues of their sockets
                if self._companions.recording is not None:
                    self._schedule_start("recorder")
                if self.settings.strip_ports:
                    self._schedule_start("strips")
                if self._companions.web:
                    self._schedule_start("web")
                else:
                    self._say_ready()
            elif "fatal" in message:
                if not self._plays:
                    raise EngineError(message["fatal"])
                say(message["fatal"])  # it ends now, and is started again
            elif take := self.starts.requests.get(message.get("do", "")):
                take(message)
            elif message.get("do") == "quit":
                self._ending = True

    def _reap(self) -> None:
        for child in list(self._children.values()):
            status = child.status
            if status is not None:
                self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        del self._children[child.name]
        if not self._plays and child.name in ("control", "engine"):
            if child.name == "engine" and status == NO_DEVICE:
                raise _AlreadyReported
            raise EngineError(f"the {child.name} process ended before it was ready ({exit_cause(status)}); see above")
        now = time.monotonic()
        recent = [t for t in self._deaths.get(child.name, []) if now - t < 10.0]
        self._deaths[child.name] = [*recent, now]
        # a child that keeps dying at its start would use a whole core
        self._start_times[child.name] = now + (PAUSE_SECONDS if len(recent) >= RESTARTS_BEFORE_PAUSE else 0.0)
        say(f"{child.name} ended ({exit_cause(status)}); starting it again")
        if child.name == "engine":
            self._handle_engine_end(status)
        elif child.name == "control":
            watchdog.forget_control(self.parts.shared.words)

    def _restart_due(self) -> None:
        """Starts the children that are due; if one cannot be started, it is retried after `PAUSE_SECONDS`."""
        for name in [n for n, at in self._start_times.items() if at <= time.monotonic()]:
            try:
                self._start(name)
            except Exception as error:
                self._start_times[name] = time.monotonic() + PAUSE_SECONDS
                self.faults.add(
                    f"{name} cannot be started ({cause_line(error)}); it is tried again every {PAUSE_SECONDS:g} s"
                )
                continue
            del self._start_times[name]
            self.faults.clear()
            self._write_list()

    def _handle_engine_end(self, code: int) -> None:
        words = self.parts.shared.words
        words[HeaderWord.RESTARTS] += 1
        words[HeaderWord.ENGINE_STATE] = 1
        if name := watchdog.blame(words, self._loading, code, self._hung):
            say(f"the engine ended while it prepared {name}; the next one leaves that out")
        self._hung = watchdog.Hang.NONE
        driver = self.starts.driver
        if code in (DEVICE_GONE, NO_DEVICE) and driver != "headless":
            say(f"the {driver} device is gone; playing on by the software clock until it is back")
            self.starts.driver = "headless"
            self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
            self._schedule_jackd()

    def _schedule_jackd(self) -> None:
        if self.parts.found.own:
            self._schedule_start(jack_server.JACKD)

    def _look_for_hang(self) -> None:
        """Kills an engine or a control whose loop, or loader, has not turned for too long; `_died` restarts it."""
        words = self.parts.shared.words
        engine, control = self._children.get("engine"), self._children.get("control")
        if engine is not None:
            hung, text = self._hangs.engine(engine.pid, self.starts.driver)
            if hung is not watchdog.Hang.NONE:
                say(text)
                watchdog.forget(words, self._loading)
                self._hung = hung
                engine.kill()
        if control is not None and (stalled := self._hangs.control(control.pid)):
            say(f"control has not turned for {stalled:.1f} s; ending it")
            watchdog.forget_control(words)
            control.kill()

    def _look_for_device(self) -> None:
        """After a lost device: probes for it every `RETRY_DEVICE_SECONDS`, and returns to it when it is back."""
        wanted = self.starts.found.driver
        if self.starts.driver == wanted or time.monotonic() < self._retry_device:
            return
        self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
        if not watchdog.is_device_back(self.starts.device, wanted):
            self._schedule_jackd()
            return
        say(f"the {wanted} device is back")
        self.starts.driver = wanted
        self._renew_engine()

    def _look_for_synth(self) -> None:
        """Restarts the engine after a synth was given up; only once ready, as until then an engine's end is fatal."""
        if self._plays and self._companions.notes.replace_failed(self.parts.arena, self.starts.synths, say):
            self._renew_engine()

    def _renew_engine(self) -> None:
        if "engine" in self._children:
            os.kill(self._children["engine"].pid, signal.SIGTERM)

    def _end_all(self) -> None:
        """Ends the children: control early, so that nothing new begins; the recorder late, so that nothing is lost.

        The state is removed only after a run that was ready and was asked to end; otherwise the next run continues.
        """
        zygotes = [name for name in self._children if name.startswith(_ZYGOTE)]
        first = (_PROBE, "web", "performer", "control", "strips", "engine", "weigher")
        for name in (*first, *zygotes, "recorder", jack_server.JACKD):
            child = self._children.get(name)
            if child is None:
                continue
            if name == "web" and self.settings.drain:
                child.end(self.settings.drain)
            elif name == "web" and not (self.settings.lan or self.settings.proxy):
                child.close()  # it has no state to save, and may still be importing
            elif name == "recorder" and not self._plays:
                child.close()
                assert self._companions.recording is not None
                self._companions.recording.undo(self._begin)
            else:
                child.end()
        if not self._plays:
            if hasattr(self, "starts"):  # else the ports, and the folder, may be another's
                restore(self.folder)
        elif self._ending:
            clear_folder(self.folder)
        if hasattr(self, "starts"):
            pidfile.remove(self.folder)
        self._companions.notes.clear(self._since)
