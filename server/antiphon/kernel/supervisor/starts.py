"""Starts the server's processes. Each method returns a pid, or raises `OSError` and has started nothing."""

import contextlib
import importlib
import json
import os
import secrets
import select
import signal
import subprocess
from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import Any

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.control.state import CATALOG
from antiphon.kernel.engine.drivers.probe import Found, device_settings
from antiphon.kernel.engine.shared import HeaderWord
from antiphon.kernel.errors import EngineError, FileError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.console import log_plugin_prints
from antiphon.kernel.runtime.platform import PORTABLE
from antiphon.kernel.runtime.processes.child_process import block_signals, fork
from antiphon.kernel.runtime.processes.children import Child, ChildLane, spawn
from antiphon.kernel.runtime.processes.spawning import prepare, start_function
from antiphon.kernel.runtime.settings import ServeSettings, device_name
from antiphon.kernel.supervisor import chores, jack_server, preload
from antiphon.kernel.supervisor.companions import Begin, Companions, Registrations
from antiphon.kernel.supervisor.parts import Parts, cause_line
from antiphon.kernel.workers import zygote

SOFT_DEPTH = 4
"""Blocks in a software clock's buffer per block of a device's buffer: its delay is not heard on any sound card."""
SECRETS_SECONDS = 10.0
"""Timeout in seconds within which the token and the certificate must be written."""


class Starts:
    """Starts control, web, recorder, weigher, engine, zygotes and the performer."""

    def __init__(self, parts: Parts, folder: Path, companions: Companions) -> None:
        """Begins with nothing started; call `warm` before the first engine, weigher or web process."""
        self.parts, self.folder, self.driver = parts, folder, parts.found.driver
        self.device, self.found = parts.settings, parts.found  # the device that the next engine opens
        self._asked: dict[int, tuple[ServeSettings, Found]] = {}  # by serial, those that the engine is to change to
        self.requests = {"device": self.ask_device, "device used": self.adopt_device}  # of control, by their "do"
        self._companions = companions
        self._page_key = secrets.token_hex(16)  # of this run; a web process that is started again knows it too

    def warm(self) -> None:
        """Imports, compiles and loads the parts that engines and weighers are forked with; see `preload`."""
        if PORTABLE:
            with block_signals():
                for module, imports in preload.IMPORTS.items():
                    prepare(module, *imports)
        from antiphon.kernel.engine import process

        process.import_driver(self.driver)  # what an engine imports itself is silence after one has died
        self._warm = preload.warm(self._settings, self.folder, self._companions)

    @property
    def _settings(self) -> ServeSettings:
        return self.parts.settings

    @property
    def synths(self) -> Registrations:
        """The registered synth backends."""
        return self._warm.plugins.factories["synths"]

    def control(self) -> int:
        """Starts control, which imports while the supervisor does, then blocks until `catalog` is called."""
        parts = self.parts
        fds = {
            "shared": parts.shared.fd,
            "bell": parts.bell,
            "engine": parts.control.fileno(),
            "recorder": parts.asking.fileno(),
            "supervisor": parts.child.fileno(),
            "arena": parts.arena.fd,
            "osc_udp": parts.sockets[0].fileno(),
            "osc_tcp": parts.sockets[1].fileno(),
            "web": parts.answering_web.fileno(),
        }
        given = {
            "settings": self._settings.to_json(),
            "device": device_name(self.device, self.found.driver),
            "loudspeakers": jack_server.picks_up_loudspeakers(self.device, self.found),
            "guards": jack_server.guards(self.found),
            "folder": str(self.folder),
            "fds": fds,
            "shape": astuple(parts.shared.shape),
            "wakes": parts.bells.wake,
            "secrets": self._settings.secrets,
            "joining": self._companions.control,
        }
        return _module("antiphon.kernel.control.process", given, (*fds.values(), *parts.bells.wake))

    def web(self, answers: int) -> int:
        """Starts the HTTP server; call `warm` before, for it reads the catalog's file.

        `answers`: pipe to the supervisor, which gets a byte once HTTP answers.
        """
        parts = self.parts
        fds = {"http": parts.sockets[2].fileno(), "control": parts.web.fileno(), "taps": parts.taps.fd}
        fds["answers"] = answers
        if parts.scripts is not None:
            fds["scripts"] = parts.scripts.fileno()
        given = {
            "settings": self._settings.to_json(),
            "catalog": str(self.folder / CATALOG),
            "fds": fds,
            "taps": astuple(parts.taps.shape),
            "page": [str(self.folder), self._page_key] if self._settings.local else None,
        }
        # bound: without its supervisor it would keep the port from the next one, which may not know of it
        return _module(self._companions.web, given, tuple(fds.values()), bound=True)

    def performer(self) -> int:
        """Starts the process that performs the pages' scripts, in a server with `--live`."""
        assert self.parts.performer is not None
        fd = self.parts.performer.fileno()
        given = {"osc_port": self._settings.osc_port, "scripts": fd}
        return _module(self._companions.performer, given, (fd,), bound=True)

    def catalog(self) -> None:
        """Sends control the path of the plugins' catalog, which it needs to continue its start."""
        # full: a control that died before reading left this same message for the next
        with contextlib.suppress(BlockingIOError):
            self.parts.parent.send(json.dumps({"catalog": str(self.folder / CATALOG)}).encode())

    def secrets(self) -> None:
        """Creates the companions' secrets in a child, as this process needs no cryptography. Raises `FileError`."""
        read, write = os.pipe()
        os.set_inheritable(write, True)
        try:
            child = Child("secrets", self._begin("secrets", chores.write_secrets, self._companions.secrets, write))
        finally:
            os.close(write)
        line = first_line(read, SECRETS_SECONDS)
        child.end()
        errors = json.loads(line) if line else [f"the token and the certificate cannot be made in {paths.config()}"]
        if errors:
            raise FileError(errors[0])

    def recorder(self, begin: Begin, ready: int | None = None) -> int:
        """Starts a recorder with `begin`; returns its pid. `ready` gets a line once it has begun (`Recording.run`)."""
        limit = self._settings.record_limit * 1e9
        if ready is not None:
            os.set_inheritable(ready, True)
        parts = self.parts
        beside = self._companions
        assert beside.recording is not None
        given = parts.shared, parts.recorder, begin, ready, self.folder, limit, parts.capture
        return self._begin("recorder", beside.recording.run, *given, dict(beside.takes), beside.export)

    def weigher(self) -> int:
        """Starts the process that tries new nodes and measures a block of each."""
        s = self._settings
        spec = StreamSpec(s.rate, s.block, s.channels)
        warm = self._warm
        if PORTABLE:  # it has no use for the plugins itself: the copies in which it tries them load them
            from antiphon.kernel.engine.plans import admission

            tried = partial(preload.load_again, warm.loading(), self.parts.device)
            given = self.parts.weigher, warm.plugins.catalog, tried, spec
            return self._begin("weigher", admission.run_weigher, *given)
        return self._begin(
            "weigher", preload.weigh, replace(warm, sound=None), self.parts.weigher, spec, self.parts.device
        )

    def zygote(self, kind: str, imports: str = "") -> int:
        """Starts the process that workers of `kind` are forked from; `imports` as for `zygote.start`."""
        if kind == "none" and not PORTABLE:  # with what this process has imported, it takes less memory and time
            work = partial(self._become, lambda: zygote.Zygote(kind, self.parts.arena, self.parts.bells, imports).run())
            return fork(work, f"zygote {kind}")
        return zygote.start(kind, self.parts.arena, self.parts.bells, imports)

    def plays_notes(self) -> bool:
        """Whether the start's patch has a synth, whose worker takes longest to be ready."""
        return "synth" in self._warm.types

    def probe(self) -> int:
        """Starts the process that measures how late this machine wakes a thread."""
        return self._begin("probe", chores.measure_wakes, self.parts.shared, os.getpid())

    def strips(self) -> int:
        """Starts the process that plays strips at separate ports, for `--strip-ports`."""
        from antiphon.kernel.engine.drivers.base import DriverOptions

        s, parts = self._settings, self.parts
        if parts.capture is None:
            raise EngineError("strips take memory that this machine has not free")
        server = str(self.device.extra.get("jack_server", ""))
        options = DriverOptions(s.rate, s.block, name=s.extra.get("jack_name", "antiphon"), server=server)
        return self._begin(
            "strips", importlib.import_module(self._companions.strips).run, parts.shared, parts.capture, options
        )

    def engine(self) -> int:
        """Starts an engine that plays by `driver`."""
        from antiphon.kernel.engine import process
        from antiphon.kernel.engine.drivers.base import DriverOptions, default_ahead
        from antiphon.kernel.engine.levels import device_pairs

        s, parts, driver = self._settings, self.parts, self.driver
        self._asked.clear()
        options = DriverOptions(
            s.rate,
            s.block,
            s.channels,
            s.ahead,
            name=s.extra.get("jack_name", "antiphon"),
            **device_options(self.device, self.found),
            buffer_blocks=SOFT_DEPTH * default_ahead(s.block),
            pairs=device_pairs(s.out_channels, s.cue),
            late_ns=parts.shared.words[HeaderWord.WAKE_LATE_NS],
        )
        given = process.EngineParts(
            parts.shared, parts.bell, parts.engine, parts.arena, parts.bells, parts.device, parts.asking_weigher,
            parts.taps, parts.capture,
        )  # fmt: skip
        return self._begin("engine", preload.play, self._warm, given, driver, options, s.fifo, s.synth != "auto")

    def ask_device(self, asked: dict[str, Any]) -> None:
        """Finds the device of control's message and passes it to the engine, which answers; else reports why not."""
        serial = asked["serial"]
        try:
            wanted = asked["device"], asked["rate"], asked["block"]
            chosen, found = device_settings(self._settings, *wanted, self.driver)
            server = chosen.extra.get("jack_server") or os.environ.get(jack_server.NAME)
            found = replace(found, own=found.driver == "jack" and server == jack_server.DEFAULT)
            message = {**asked, "driver": found.driver, "options": device_options(chosen, found)}
            self.parts.control.send(json.dumps(message).encode())
            self._asked[serial] = chosen, found
        except Exception as error:
            self.parts.parent.send(json.dumps({"device": cause_line(error), "serial": serial}).encode())

    def adopt_device(self, used: dict[str, Any]) -> None:
        """Adopts the device that the engine has changed to: the next engine opens it."""
        asked = self._asked.pop(used["serial"], None)
        if asked is None:
            return  # of an engine that has ended
        self.driver = used["driver"]
        if not used["problem"]:
            self.device, self.found = asked

    def _begin(self, name: str, work: Callable[..., int | None], *args: Any) -> int:
        """Starts a process that runs `work`: a fork with a name, or a fresh interpreter on systems that do not fork."""
        if not PORTABLE:
            return fork(lambda: self._become(lambda: work(*args)), name)
        with block_signals():
            return start_function(work, *args)

    def _become(self, work: Callable[[], int | None]) -> int | None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        log_plugin_prints()
        for listener in self.parts.sockets:
            listener.close()
        return work()


def device_options(device: ServeSettings, found: Found) -> dict[str, Any]:
    """Fields of `DriverOptions` that depend on the device."""
    return {
        "input": "" if device.input_file else device.input,
        "output": device.output,
        "server": str(device.extra.get("jack_server", "")),
        "device_rate": device.rate,
        "device_block": device.block,
        "soft": found.own,
    }


def _module(name: str, given: dict[str, Any], fds: tuple[int, ...], *, bound: bool = False) -> int:
    """Runs a module in a fresh interpreter with `given` as JSON on standard input, and returns its pid.

    It inherits the descriptors `fds`. `bound`: it ends with this process.
    """
    with block_signals():
        child = spawn(name, lane=ChildLane(subprocess.PIPE, None, None, fds), bound=bound, apart=False)
    assert child.input is not None
    # by a pipe: every user of the machine can read command lines, and `given` may hold a broker's password
    with contextlib.suppress(OSError), child.input:
        child.feed(json.dumps(given).encode())
    return child.pid


def first_line(read: int, seconds: float) -> bytes | None:
    """First line of a child's pipe, which is then closed: b"" if there is none, None after `seconds`."""
    with os.fdopen(read, "rb") as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        return pipe.readline() if poll.poll(seconds * 1000) else None
