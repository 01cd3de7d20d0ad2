"""`antiphon serve`: a small parent that keeps control, engine and recorder alive.

    supervisor ──exec──> control    asyncio: OSC, HTTP, session        no samples
        │ ──fork──> engine          one plan, block by block           no sockets but the loader's
        └─fork──> recorder          files from the tap and the journal

The parent makes what must outlive a child (sockets, shared memory, bells) and imports what the
engine needs, so that a new engine is a fork away. It waits for deaths; it handles no sound and no message.
If it dies itself, the others play on; the next `serve` with the same ports takes over with their state.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import astuple
from pathlib import Path

from antiphon import lifeline, ownjack, recordings, stopping, warming, watching
from antiphon.block import StreamSpec
from antiphon.children import DEVICE_GONE, NO_DEVICE, Child, cause, leave, pair, unsignalled
from antiphon.control.state import clear as clear_state
from antiphon.errors import EngineError, FileError
from antiphon.io.listening import open_sockets
from antiphon.settings import ServeSettings
from antiphon.synth.sc import leftovers
from antiphon.workers import devices, zygote
from antiphon.workers.arena import Arena, Bells
from antiphon.workers.status import wanted_zygotes

RESTARTS_BEFORE_PAUSE = 5
PAUSE_SECONDS = 1.0
RETRY_DEVICE_SECONDS = 3.0
_WATCH = 0.2
_ZYGOTE = "zygote-"


class _Told(Exception):
    """It cannot start, and whoever found out has said why."""


class Supervisor:
    """Starts the three, restarts what dies, ends all."""

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
        self._retry_device = 0.0
        self._since = time.time()

    def run(self) -> int:
        """Until SIGINT or SIGTERM. Returns the exit status."""
        self._catch_signals()
        if stopping.asked():
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

    # ---- making what outlives the children
    def _open(self) -> None:
        settings = self.settings
        self._device = devices.resolve(settings.device)
        self._sockets = open_sockets(settings)
        ports = settings.with_(osc_port=self._sockets[0].getsockname()[1], http_port=self._sockets[2].getsockname()[1])
        self.settings = settings = ports
        found, jackd = ownjack.find(settings)
        if jackd:
            self._adopt(ownjack.JACKD, jackd)
        self._found, self._driver = found, found.driver
        self.settings = settings = settings.with_(rate=found.rate, block=found.block)
        self._notes += ownjack.notes(settings, found)
        from antiphon.engine.shared import Shape, Shared

        self.shared = Shared.create(Shape.of(settings.rate, settings.block, settings.channels))
        self._loading = watching.Loading(self.shared)
        self.arena, self.bells = Arena.create(zygote.HANG), Bells.make()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        os.set_inheritable(self._bell, True)
        self._engine_end, self._control_end = pair()
        self._recorder_end, self._asking_end = pair()
        self._parent_end, self._child_end = pair()
        self._weigher_end, self._asking_weigher = pair()

    def _start_all(self) -> None:
        # before anything runs: a disk that takes no list takes no state either
        lifeline.write(self.folder, os.getpid(), {}, self.settings)
        # control imports while this process does: two cores, half the wait
        self._start_control()
        self._warm()
        self._start_recorder(first=True)
        self._start_weigher()
        self._start_engine()
        self._write_list()

    def _warm(self) -> None:
        self._ready_to_fork = warming.warm(self.settings, self.folder)
        self._parent_end.send(json.dumps({"catalog": str(self.folder / warming.CATALOG)}).encode())

    # ---- children
    def _start_control(self) -> None:
        fds = {
            "shared": self.shared.fd,
            "bell": self._bell,
            "engine": self._control_end.fileno(),
            "recorder": self._asking_end.fileno(),
            "supervisor": self._child_end.fileno(),
            "arena": self.arena.fd,
            "osc_udp": self._sockets[0].fileno(),
            "osc_tcp": self._sockets[1].fileno(),
            "http": self._sockets[2].fileno(),
        }
        given = {"settings": self.settings.to_json(), "folder": str(self.folder), "fds": fds,
                 "shape": astuple(self.shared.shape), "wakes": self.bells.wake,
                 "mqtt_url": self.settings.mqtt_url}  # fmt: skip
        with unsignalled():
            child = subprocess.Popen(
                [sys.executable, "-m", "antiphon.control.process"], pass_fds=(*fds.values(), *self.bells.wake),
                stdin=subprocess.PIPE,
            )  # fmt: skip
        assert child.stdin is not None
        # by a pipe: command lines are everyone's to read
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(json.dumps(given).encode())
        child.returncode = 0  # reaped here, by pid; Popen must not
        self._adopt("control", child.pid)
        catalog = self.folder / warming.CATALOG
        if self._ready_said and catalog.exists():
            self._parent_end.send(json.dumps({"catalog": str(catalog)}).encode())

    def _fork(self, name: str) -> bool:
        """True in the child, which calls `listening` once it has handlers."""
        sys.stdout.flush()
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            self._adopt(name, pid)
            return False
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for kept in self._sockets:
            kept.close()
        return True

    def _start_recorder(self, *, first: bool) -> None:
        from antiphon.engine import recorder

        read, write = os.pipe()
        begun, taken_up = recordings.begun, recordings.taken_up
        begin = begun(self.settings, self.folder, self._notes) if first else taken_up(self.folder, _say)
        if self._fork("recorder"):
            os.close(read)
            leave(lambda: recorder.run(self.shared, self._recorder_end, begin, write, self.folder))
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said: list[str] = json.loads(pipe.readline() or b"[]")
        if said and first:
            raise FileError(said[0])
        for text in said:
            _say(text)

    def _start_weigher(self) -> None:
        from antiphon.engine import admission

        warm, s = self._ready_to_fork, self.settings
        if self._fork("weigher"):
            spec = StreamSpec(s.rate, s.block, s.channels)
            leave(lambda: admission.run_weigher(self._weigher_end, warm.plugins.catalog, warm.plugins.make, spec))

    def _start_zygotes(self) -> None:
        """One for each kind of worker that is wanted and has none."""
        running = {name for name in (*self._children, *self._due) if name.startswith(_ZYGOTE)}
        for kind in sorted(wanted_zygotes(self.arena)):
            if _ZYGOTE + kind not in running:
                self._start_zygote(kind)
                self._write_list()

    def _start_zygote(self, kind: str) -> None:
        with unsignalled():
            self._adopt(_ZYGOTE + kind, zygote.start(kind, self.arena, self.bells))

    def _start_engine(self) -> None:
        from antiphon.engine import process
        from antiphon.engine.drivers.base import DriverOptions

        s = self.settings
        options = DriverOptions(
            s.rate, s.block, s.channels, s.ahead,
            "" if s.input_file else s.input, s.output, s.extra.get("jack_name", "antiphon"),
        )  # fmt: skip
        warm = self._ready_to_fork
        if self._fork("engine"):
            leave(
                lambda: process.run(
                    self.shared, self._bell, self._engine_end, self._driver, options,
                    warm.plugins.catalog, warm.plugins.make, warm.sound, self.arena, self.bells,
                    self._device, self._asking_weigher, fifo=s.fifo, synth=s.synth != "auto",
                )
            )  # fmt: skip

    def _adopt(self, name: str, pid: int) -> None:
        self._children[name] = Child.of(name, pid)

    def _write_list(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        try:
            lifeline.write(self.folder, os.getpid(), pids, self.settings)
        except FileError as error:
            # without the list a later `serve` cannot take over from this one; the sound goes on
            if not self._trouble:
                _say(str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    # ---- watching
    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._signal_write)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def _watch(self) -> None:
        while not self._ending:
            poll = select.poll()
            poll.register(self._signal_read, select.POLLIN)
            poll.register(self._parent_end.fileno(), select.POLLIN)
            poll.register(self.bells.keeper, select.POLLIN)
            for child in self._children.values():
                poll.register(child.pidfd, select.POLLIN)
            for fd, _ in poll.poll(_WATCH * 1000):
                if fd == self._signal_read:
                    os.read(fd, 4096)
                elif fd == self._parent_end.fileno():
                    self._hear()
                elif fd == self.bells.keeper:
                    os.eventfd_read(fd)
                    self._start_zygotes()
            if self._ending:
                return
            for name, child in list(self._children.items()):
                status = child.reaped()
                if status is not None:
                    self._died(child, status)
                    if name in self._children:
                        continue
            self._restart_due()
            self._look_for_hang()
            self._look_for_device()
            self._look_for_synth()

    def _hear(self) -> None:
        """Control says it answers, or what went wrong for good."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            message = json.loads(self._parent_end.recv(1 << 20))
            if "ready" in message and not self._ready_said:
                self._ready_said = True
                self._say_ready(message["ready"])
            elif "fatal" in message:
                raise EngineError(message["fatal"])
            elif message.get("do") == "quit":
                self._ending = True

    def _say_ready(self, lines: list[str]) -> None:
        print(*self._notes, *lines, sep="\n", flush=True)

    def _died(self, child: Child, status: int) -> None:
        os.close(child.pidfd)
        del self._children[child.name]
        if not self._ready_said and child.name in ("control", "engine"):
            if child.name == "engine" and os.waitstatus_to_exitcode(status) == NO_DEVICE:
                raise _Told
            raise EngineError(f"the {child.name} process ended before it was ready (status {status}); see above")
        now = time.monotonic()
        recent = [t for t in self._deaths.get(child.name, []) if now - t < 10.0]
        self._deaths[child.name] = [*recent, now]
        _say(f"{child.name} ended ({cause(status)}); starting it again")
        if child.name == "engine":
            self._engine_died(os.waitstatus_to_exitcode(status))
        # one that dies again and again would keep a core busy with nothing but its starts
        self._due[child.name] = now + (PAUSE_SECONDS if len(recent) >= RESTARTS_BEFORE_PAUSE else 0.0)

    def _restart_due(self) -> None:
        """Starts again what died, once its pause is over."""
        for name in [n for n, at in self._due.items() if at <= time.monotonic()]:
            del self._due[name]
            match name:
                case "engine":
                    self._start_engine()
                case "control":
                    self._start_control()
                case "weigher":
                    self._start_weigher()
                case ownjack.JACKD:
                    if pid := ownjack.again(self.settings):
                        self._adopt(name, pid)
                case "recorder":
                    self._start_recorder(first=False)
                case _:
                    self._start_zygote(name.removeprefix(_ZYGOTE))
            self._write_list()

    def _engine_died(self, code: int) -> None:
        from antiphon.engine.shared import Word

        words = self.shared.words
        words[Word.RESTARTS] += 1
        words[Word.ENGINE_STATE] = 1
        if name := watching.blame(words, self._loading, code, hung=self._hung):
            _say(f"the engine ended while it prepared {name}; the next one leaves that out")
        self._hung = False
        if code in (DEVICE_GONE, NO_DEVICE) and self._driver != "headless":
            _say(f"the {self._driver} device is gone; playing on by the software clock until it is back")
            self._driver = "headless"
            self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
            self._miss_jackd()

    def _miss_jackd(self) -> None:
        """One that was another Antiphon's has gone with it: ours takes its place."""
        if self._found.own and ownjack.JACKD not in self._children:
            self._due.setdefault(ownjack.JACKD, time.monotonic())

    def _look_for_hang(self) -> None:
        """An engine whose loop or loader has not turned for too long is ended; its death does the rest."""
        child = self._children.get("engine")
        said = watching.hang(self.shared.words, self._driver, self._loading)
        if child is not None and said:
            _say(said)
            watching.forget(self.shared.words, self._loading)
            self._hung = True
            os.kill(child.pid, signal.SIGKILL)

    def _look_for_device(self) -> None:
        """After a lost device: looks for it now and then, and goes back to it."""
        wanted = self._found.driver
        if self._driver == wanted or time.monotonic() < self._retry_device:
            return
        self._retry_device = time.monotonic() + RETRY_DEVICE_SECONDS
        if not watching.device_back(self.settings, wanted):
            self._miss_jackd()
            return
        _say(f"the {wanted} device is back")
        self._driver = wanted
        self._renew_engine()

    def _look_for_synth(self) -> None:
        """After a scsynth that was given up; not before all is ready: until then an engine that ends is the end."""
        if self._ready_said and watching.synth_given_up(self.arena, _say):
            self._renew_engine()

    def _renew_engine(self) -> None:
        if "engine" in self._children:
            os.kill(self._children["engine"].pid, signal.SIGTERM)

    # ---- ending
    def _end_all(self) -> None:
        """Control first, so that nothing new begins; the recorder last, so that nothing is lost."""
        zygotes = [name for name in self._children if name.startswith(_ZYGOTE)]
        for name in ("control", "engine", "weigher", *zygotes, "recorder", ownjack.JACKD):
            child = self._children.get(name)
            if child is not None:
                child.end()
        from antiphon.engine import recorder

        recorder.forget(self.folder)
        lifeline.remove(self.folder)
        clear_state(self.folder)
        leftovers.sweep(leftovers.ENDING_SECONDS, self._since)


def _say(text: str) -> None:
    print(f"antiphon: {text}", file=sys.stderr, flush=True)
