"""The supervisor's life: it starts everyone, starts again what dies, and ends all when it is asked to."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from antiphon.engine.loading import LoadingNote
from antiphon.engine.shared import HeaderWord
from antiphon.errors import EngineError, FileError
from antiphon.io.listening import open_sockets
from antiphon.runtime import paths, pidfile, signals
from antiphon.runtime.child_process import DEVICE_GONE, NO_DEVICE, Child, cause
from antiphon.runtime.console import say, tell
from antiphon.runtime.settings import ServeSettings
from antiphon.supervisor import before, jack_server, preload, recordings, watchdog
from antiphon.supervisor.faults import SupervisorFaults, why
from antiphon.supervisor.parts import Parts
from antiphon.supervisor.starts import Begin, Starts, first_line
from antiphon.synth import backends
from antiphon.synth import info as synths
from antiphon.workers import devices
from antiphon.workers.status import wanted_zygotes

RESTARTS_BEFORE_PAUSE = 5
PAUSE_SECONDS = 1.0
RETRY_DEVICE_SECONDS = 3.0
RECORDER_SECONDS = 10.0
"""How long a recording may take to begin: a disk that hangs must not keep the server from saying so."""
SECRETS_SECONDS = 10.0
"""How long the token and the certificate of `--lan` may take to be written."""
STILL_SECONDS = 1.0
"""A turn of the supervisor that took so long means that the machine, or all of the server, stood still."""
_WATCH = 0.2
_ZYGOTE = "zygote-"


class _Told(Exception):
    """It cannot start, and whoever found out has said why."""


class Supervisor:
    """Starts the three, restarts what dies, ends all. Once all is ready, SIGINT and SIGTERM alone end it."""

    parts: Parts
    starts: Starts
    faults: SupervisorFaults

    def __init__(self, settings: ServeSettings, folder: Path) -> None:
        """folder: this server's runtime folder (state, process list)."""
        self.settings, self.folder = settings, folder
        self._children: dict[str, Child] = {}
        self._deaths: dict[str, list[float]] = {}
        self._due: dict[str, float] = {}
        self._trouble = ""
        self._ending = self._ready_said = self._hung = False
        self._signal_read, self._signal_write = os.pipe()
        os.set_blocking(self._signal_write, False)
        self._notes: list[str] = []
        self._begun: Begin = []
        self._retry_device = 0.0
        self._turned = self._look_from = time.monotonic()
        self._since = time.time()
        self._synth: synths.SynthInfo | None = None

    def run(self) -> int:
        """Until SIGINT or SIGTERM. Returns the exit status."""
        self._catch_signals()
        if signals.asked():
            raise KeyboardInterrupt  # it was swallowed on the way here
        try:
            self._open()
            self._start_all()
            self._watch()
            return 0
        except _Told:
            return 2
        finally:
            self._end_all()

    # ---- beginning
    def _open(self) -> None:
        settings = self.settings
        device = devices.resolve(settings.device)
        sockets = open_sockets(settings)
        settings = settings.with_(osc_port=sockets[0].getsockname()[1], http_port=sockets[2].getsockname()[1])
        self._synth = backends.asked(settings)
        found, jackd = jack_server.find(settings, self._synth)
        if jackd:
            self._adopt(jack_server.JACKD, jackd)
        self.settings = settings = settings.with_(rate=found.rate, block=found.block)
        self._notes += jack_server.notes(settings, found)
        self.parts = Parts.make(settings, found, device, sockets)
        self.starts, self.faults = Starts(self.parts, self.folder), SupervisorFaults(self.parts.shared.words)
        self._loading = LoadingNote(self.parts.shared)

    def _start_all(self) -> None:
        # the ports are ours, and so is the folder
        before.take_up(self.folder, self.settings)
        # before anything runs: a disk that takes no list takes no state either
        pidfile.write(self.folder, os.getpid(), {}, self.settings)
        # control imports while this process does: two cores, half the wait
        self._adopt("control", self.starts.control())
        if self.settings.lan:
            self._make_secrets()
        self.starts.warm()
        self._synth = synths.chosen().info
        self.starts.catalog()
        self._start_first_recorder()
        self._adopt("weigher", self.starts.weigher())
        self._adopt("engine", self.starts.engine())
        self._write_list()

    def _make_secrets(self) -> None:
        """`FileError` where `--lan` cannot keep its token or its certificate."""
        read, write = os.pipe()
        try:
            child = Child.of("secrets", self.starts.secrets(write))
        finally:
            os.close(write)
        line = first_line(read, SECRETS_SECONDS)
        child.end()
        said = json.loads(line) if line else [f"the token and the certificate cannot be made in {paths.config()}"]
        if said:
            raise FileError(said[0])

    def _start_first_recorder(self) -> None:
        """Waits until what was asked for is being recorded; `FileError` where it cannot be."""
        begin = recordings.begun(self.settings, self.folder, self._notes)
        read, write = os.pipe()
        try:
            self._adopt("recorder", self.starts.recorder(begin, write))
        finally:
            os.close(write)
        line = first_line(read, RECORDER_SECONDS)
        if line is None:
            where = " and ".join(message["path"] for message in begin)
            raise FileError(
                f"cannot write {where}: nothing has come of it for {RECORDER_SECONDS:g} s; record to another disk"
            )
        said: list[str] = json.loads(line or b"[]")
        if said:
            raise FileError(said[0])
        self._begun = begin

    def _adopt(self, name: str, pid: int) -> None:
        self._children[name] = Child.of(name, pid)

    def _start(self, name: str) -> None:
        """Starts one again. Raises `OSError` where the machine has no room for it now."""
        match name:
            case "engine":
                self._adopt(name, self.starts.engine())
            case "control":
                self._adopt(name, self.starts.control())
                if self._ready_said and (self.folder / preload.CATALOG).exists():
                    self.starts.catalog()
            case "web":
                self._adopt(name, self.starts.web())
            case "weigher":
                self._adopt(name, self.starts.weigher())
            case "recorder":
                notes: list[str] = []
                self._adopt(name, self.starts.recorder(recordings.taken_up(self.folder, notes)))
                for note in notes:
                    say(note)
            case jack_server.JACKD:
                if pid := jack_server.again(self.settings):
                    self._adopt(name, pid)
            case _:
                self._adopt(name, self.starts.zygote(name.removeprefix(_ZYGOTE)))

    def _miss(self, name: str) -> None:
        """It is started with this turn, unless it runs or is due."""
        if name not in self._children:
            self._due.setdefault(name, time.monotonic())

    def _write_list(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        try:
            pidfile.write(self.folder, os.getpid(), pids, self.settings)
        except FileError as error:
            # without the list a later `serve` cannot take over from this one; the sound goes on
            if not self._trouble:
                say(str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    # ---- watching
    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._signal_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # a terminal that is closed is no reason to fall silent; everyone who is started inherits this
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def _watch(self) -> None:
        steps = (
            self._wait, self._reap, self._restart_due,
            self._look_for_hang, self._look_for_device, self._look_for_synth,
        )  # fmt: skip
        while not self._ending:
            for step in steps:
                self._take(step)
                if self._ending:
                    return

    def _take(self, step: Callable[[], None]) -> None:
        """A step that fails costs itself: once all is ready, what plays does not depend on it."""
        try:
            step()
        except Exception as error:
            if not self._ready_said:
                raise
            self.faults.add(f"the supervisor failed at a step ({why(error)}); it goes on")
            time.sleep(_WATCH)  # what fails at once each time must not keep a core busy

    def _wait(self) -> None:
        """Until something has happened, at most `_WATCH` seconds."""
        parent, keeper = self.parts.parent.fileno(), self.parts.bells.keeper
        poll = select.poll()
        for fd in (self._signal_read, parent, keeper, *(child.pidfd for child in self._children.values())):
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(_WATCH * 1000):
            if fd == self._signal_read:
                os.read(fd, 4096)
            elif fd == parent:
                self._hear()
            elif fd == keeper:
                os.eventfd_read(fd)
                for kind in wanted_zygotes(self.parts.arena):
                    self._miss(_ZYGOTE + kind)
        now = time.monotonic()
        if now - self._turned > STILL_SECONDS:
            # all stood still together: nobody hangs until each has had its time again
            self._look_from = now + watchdog.HANG_SECONDS
        self._turned = now

    def _hear(self) -> None:
        """Control says it answers, or what went wrong for good."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            message = json.loads(self.parts.parent.recv(1 << 20))
            if "ready" in message and not self._ready_said:
                self._ready_said = True
                before.drop(self.folder)
                tell("\n".join([*self._notes, *message["ready"]]))
                # not before: what plays is ready sooner; who asks meanwhile waits in the socket
                self._miss("web")
            elif "fatal" in message:
                if not self._ready_said:
                    raise EngineError(message["fatal"])
                say(message["fatal"])  # it ends now, and is started again
            elif message.get("do") == "quit":
                self._ending = True

    def _reap(self) -> None:
        for child in list(self._children.values()):
            status = child.reaped()
            if status is not None:
                self._died(child, status)

    def _died(self, child: Child, status: int) -> None:
        del self._children[child.name]
        os.close(child.pidfd)
        if not self._ready_said and child.name in ("control", "engine"):
            if child.name == "engine" and os.waitstatus_to_exitcode(status) == NO_DEVICE:
                raise _Told
            raise EngineError(f"the {child.name} process ended before it was ready (status {status}); see above")
        now = time.monotonic()
        recent = [t for t in self._deaths.get(child.name, []) if now - t < 10.0]
        self._deaths[child.name] = [*recent, now]
        # one that dies again and again would keep a core busy with nothing but its starts
        self._due[child.name] = now + (PAUSE_SECONDS if len(recent) >= RESTARTS_BEFORE_PAUSE else 0.0)
        say(f"{child.name} ended ({cause(status)}); starting it again")
        if child.name == "engine":
            self._engine_died(os.waitstatus_to_exitcode(status))
        elif child.name == "control":
            watchdog.forget_control(self.parts.shared.words)

    def _restart_due(self) -> None:
        """Starts again what died, once its pause is over; what cannot be started now is due again."""
        for name in [n for n, at in self._due.items() if at <= time.monotonic()]:
            try:
                self._start(name)
            except Exception as error:
                self._due[name] = time.monotonic() + PAUSE_SECONDS
                self.faults.add(f"{name} cannot be started ({why(error)}); it is tried again every {PAUSE_SECONDS:g} s")
                continue
            del self._due[name]
            self.faults.over()
            self._write_list()

    def _engine_died(self, code: int) -> None:
        words = self.parts.shared.words
        words[HeaderWord.RESTARTS] += 1
        words[HeaderWord.ENGINE_STATE] = 1
        if name := watchdog.blame(words, self._loading, code, hung=self._hung):
            say(f"the engine ended while it prepared {name}; the next one leaves that out")
        self._hung = False
        driver = self.starts.driver
        if code in (DEVICE_GONE, NO_DEVICE) and driver != "headless":
            say(f"the {driver} device is gone; playing on by the software clock until it is back")
            self.starts.driver = "headless"
            self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
            self._miss_jackd()

    def _miss_jackd(self) -> None:
        """One that was another Antiphon's has gone with it: ours takes its place."""
        if self.parts.found.own:
            self._miss(jack_server.JACKD)

    def _look_for_hang(self) -> None:
        """Ends an engine or a control whose loop, or loader, has not turned for too long; its death does the rest."""
        if time.monotonic() < self._look_from:
            return
        words = self.parts.shared.words
        engine, control = self._children.get("engine"), self._children.get("control")
        hang = watchdog.hang(words, self.starts.driver, self._loading)
        if engine is not None and hang:
            say(hang)
            watchdog.forget(words, self._loading)
            self._hung = True
            os.kill(engine.pid, signal.SIGKILL)
        stalled = watchdog.control_stalled(words) if control is not None else 0.0
        if control is not None and stalled:
            say(f"control has not turned for {stalled:.1f} s; ending it")
            watchdog.forget_control(words)
            os.kill(control.pid, signal.SIGKILL)

    def _look_for_device(self) -> None:
        """After a lost device: looks for it now and then, and goes back to it."""
        wanted = self.parts.found.driver
        if self.starts.driver == wanted or time.monotonic() < self._retry_device:
            return
        self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
        if not watchdog.device_back(self.settings, wanted):
            self._miss_jackd()
            return
        say(f"the {wanted} device is back")
        self.starts.driver = wanted
        self._renew_engine()

    def _look_for_synth(self) -> None:
        """After a synth that was given up; not before all is ready: until then an engine that ends is the end."""
        if self._ready_said and watchdog.synth_given_up(self.parts.arena, self.starts.synths, say):
            self._renew_engine()

    def _renew_engine(self) -> None:
        if "engine" in self._children:
            os.kill(self._children["engine"].pid, signal.SIGTERM)

    # ---- ending
    def _end_all(self) -> None:
        """Control first, so that nothing new begins; the recorder last, so that nothing is lost.

        Only a run that was ready, and was asked to end, leaves nothing to go on with.
        """
        zygotes = [name for name in self._children if name.startswith(_ZYGOTE)]
        for name in ("web", "control", "engine", "weigher", *zygotes, "recorder", jack_server.JACKD):
            child = self._children.get(name)
            if child is None:
                continue
            if name == "web":
                child.kill()  # it holds nothing, and may still be importing
            elif name == "recorder" and not self._ready_said:
                child.kill()
                recordings.undo(self._begun)
            else:
                child.end()
        if not self._ready_said:
            if hasattr(self, "starts"):  # else the ports, and the folder, may be another's
                before.put_back(self.folder)
        elif self._ending:
            before.forget(self.folder)
        if self._synth is not None:
            self._synth.supporter().clear(self._since)
