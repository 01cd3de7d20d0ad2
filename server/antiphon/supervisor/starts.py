"""What starts a server's processes. Each gives a pid, or raises `OSError` and has started nothing."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from antiphon.contract.block import StreamSpec
from antiphon.errors import FileError
from antiphon.runtime import paths
from antiphon.runtime.child_process import flush, leave, unsignalled
from antiphon.runtime.settings import ServeSettings
from antiphon.supervisor import preload
from antiphon.supervisor.parts import Parts
from antiphon.synth.info import Registered
from antiphon.workers import zygote

Begin = list[dict[str, Any]]
"""What a recorder is to record from the first block on."""


class Starts:
    """driver: what the next engine plays by."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        """folder: this server's runtime folder."""
        self.parts, self.folder, self.driver = parts, folder, parts.found.driver

    def warm(self) -> None:
        """Imports, compiles and loads what an engine needs. Before the first engine and the first weigher."""
        self._warm = preload.warm(self._settings, self.folder)

    @property
    def _settings(self) -> ServeSettings:
        return self.parts.settings

    @property
    def synths(self) -> Registered:
        """The backends that there are to play notes by."""
        return self._warm.plugins.factories["synths"]

    def control(self) -> int:
        """One that waits for `catalog`: it imports while its supervisor does."""
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
        given = {"settings": self._settings.to_json(), "folder": str(self.folder), "fds": fds,
                 "shape": astuple(parts.shared.shape), "wakes": parts.bells.wake,
                 "mqtt_url": self._settings.mqtt_url}  # fmt: skip
        return _module("antiphon.control.process", given, (*fds.values(), *parts.bells.wake))

    def web(self) -> int:
        """One that serves HTTP. After `warm`: it reads the catalog."""
        fds = {"http": self.parts.sockets[2].fileno(), "control": self.parts.web.fileno()}
        given = {"settings": self._settings.to_json(), "catalog": str(self.folder / preload.CATALOG), "fds": fds,
                 "supervisor": os.getpid()}  # fmt: skip
        return _module("antiphon.web.process", given, tuple(fds.values()))

    def catalog(self) -> None:
        """Control may go on: what there is of plugins stands in the folder."""
        # one that died before it read has left its word for the next
        with contextlib.suppress(BlockingIOError):
            self.parts.parent.send(json.dumps({"catalog": str(self.folder / preload.CATALOG)}).encode())

    def secrets(self, ready: int) -> int:
        """Makes the token and the certificate of `--lan`, in a child: this process needs no cryptography.

        Args:
            ready: The writing end of a pipe, which takes a JSON list: why they cannot be made, or nothing.

        Returns:
            The child's pid.
        """

        def work() -> None:
            from antiphon.web import access, certificate

            said: list[str] = []
            try:
                access.load_token(paths.config())
                certificate.load(paths.config(), access.local_addresses())
            except FileError as error:
                said.append(str(error))
            os.write(ready, json.dumps(said).encode() + b"\n")

        return self._fork(work)

    def recorder(self, begin: Begin, ready: int | None = None) -> int:
        """ready: the writing end of a pipe, as `recorder.run` takes it."""
        from antiphon.engine import recorder

        return self._fork(lambda: recorder.run(self.parts.shared, self.parts.recorder, begin, ready, self.folder))

    def weigher(self) -> int:
        from antiphon.engine import admission

        warm, s = self._warm, self._settings
        spec = StreamSpec(s.rate, s.block, s.channels)
        return self._fork(
            lambda: admission.run_weigher(self.parts.weigher, warm.plugins.catalog, warm.plugins.make, spec)
        )

    def zygote(self, kind: str) -> int:
        with unsignalled():
            return zygote.start(kind, self.parts.arena, self.parts.bells)

    def engine(self) -> int:
        from antiphon.engine import process
        from antiphon.engine.drivers.base import DriverOptions

        s, warm, parts, driver = self._settings, self._warm, self.parts, self.driver
        options = DriverOptions(
            s.rate, s.block, s.channels, s.ahead,
            "" if s.input_file else s.input, s.output, s.extra.get("jack_name", "antiphon"),
        )  # fmt: skip
        return self._fork(
            lambda: process.run(
                parts.shared, parts.bell, parts.engine, driver, options, warm.plugins.catalog, warm.plugins.make,
                warm.sound, parts.arena, parts.bells, parts.device, parts.asking_weigher,
                fifo=s.fifo, synth=s.synth != "auto",
            )
        )  # fmt: skip

    def _fork(self, work: Callable[[], int | None]) -> int:
        """A child that does `work`, which calls `listening` once it has handlers."""
        flush()
        with unsignalled():
            pid = os.fork()
            if pid == 0:
                leave(lambda: self._become(work))
        return pid

    def _become(self, work: Callable[[], int | None]) -> int | None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for kept in self.parts.sockets:
            kept.close()
        return work()


def _module(name: str, given: dict[str, Any], fds: tuple[int, ...]) -> int:
    """Starts a module of ours with a fresh interpreter; its pid. given: what it reads as JSON from standard input."""
    with unsignalled():
        child = subprocess.Popen([sys.executable, "-m", name], pass_fds=fds, stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.returncode = 0  # reaped by pid; Popen must not
    # by a pipe: command lines are everyone's to read
    with contextlib.suppress(OSError), child.stdin:
        child.stdin.write(json.dumps(given).encode())
    return child.pid


def first_line(read: int, seconds: float) -> bytes | None:
    """What a child says first, by a pipe that is closed here; None where it says nothing for so long."""
    with os.fdopen(read, "rb") as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        return pipe.readline() if poll.poll(seconds * 1000) else None
