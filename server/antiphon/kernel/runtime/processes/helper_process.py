"""A process that helps this one: a module with a deadline, bounded answers, and an end with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from antiphon.kernel.runtime.processes.helper_channel import (
    HEAD,
    Message,
    check_head,
    pack,
    parse,
    read_message,
    write_message,
)
from antiphon.kernel.runtime.processes.scheduling import LOOK_SECONDS, Patience

if TYPE_CHECKING:
    from asyncio.subprocess import Process

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of a process whose arithmetic uses one thread: other processes play meanwhile."""
KILL_SECONDS = 3.0
"""In which a process of `start_command` that was killed has ended."""
HELPER_FAULTS = (OSError, EOFError, ValueError)
"""Exceptions of `HelperProcess.send` and `receive`: the helper ended, was silent or sent an invalid answer."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a helper, which imports what this process can import. `more`: variables in addition."""
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def command(module: str, *words: str) -> list[str]:
    """The command line of a module; the current folder is no place to import from."""
    return [sys.executable, "-P", "-m", module, *words]


def bound_command(module: str, *words: str, nice: int = 0, most: int = -1) -> list[str]:
    """The command line of a module whose process is killed when this one ends, however it ends.

    `nice`: an increment of its nice value. `most`: bytes of a file that it writes; -1 for no limit.
    """
    return command("antiphon.kernel.runtime.processes.bound", str(os.getpid()), str(nice), str(most), module, *words)


def start_helper(
    module: str, *words: str, fds: Sequence[int] = (), bound: bool = False, **options: Any
) -> subprocess.Popen[bytes]:
    """Starts a module in a process of its own.

    `bound`: it ends with this process. `options`: of `Popen`; without them it has neither input nor output.
    """
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    given = {**quiet, "env": environment(), **options}
    line = bound_command(module, *words) if bound else command(module, *words)
    return subprocess.Popen(line, pass_fds=fds, bufsize=0, **given)


class HelperProcess:
    """A helper that is asked and answers, in a session of its own so that what it starts ends with it.

    It ends with the thread that starts it; see `HelperChannel`.
    """

    def __init__(
        self,
        module: str,
        *words: str,
        stderr: int | None = subprocess.DEVNULL,
        fds: Sequence[int] = (),
        **variables: str,
    ) -> None:
        """Starts it.

        `module`: what runs; it makes a `HelperChannel`. `stderr`: as of `Popen`; None for that of this process.
        """
        pipe = subprocess.PIPE
        self._process = start_helper(
            module,
            *words,
            fds=fds,
            stdin=pipe,
            stdout=pipe,
            stderr=stderr,
            env=environment(**variables),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def __enter__(self) -> HelperProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def send(self, message: Message, *raw: Any) -> None:
        """Sends a request. Waits while the pipe is full. Raises OSError: the helper has ended."""
        write_message(self._pipes[0].fileno(), message, *raw)

    def receive(self, most: int = 0, silence: float | None = None) -> tuple[Message, bytearray]:
        """Reads the next answer, its JSON object and raw bytes, as `read_message`: the helper has `silence` for it."""
        return read_message(self._pipes[1].fileno(), most, silence, self.pid)

    def wait(self) -> int:
        """Waits for the end of a helper that has closed its output. Returns its exit status, negative for a signal."""
        return self._process.wait()

    def kill(self) -> None:
        """Kills the helper and what it has started; another thread that waits for an answer gets an `EOFError`."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def forget(self) -> None:
        """In a forked child: leaves it to the parent."""
        self._process.returncode = 0  # it is no child of this process
        for pipe in self._pipes:
            pipe.close()

    def close(self) -> int:
        """Ends it. It may be called twice. Returns its exit status, negative for a signal."""
        if not self._pipes[0].closed:
            self.kill()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()
        return self._process.wait()


class HelperTask:
    """A helper that is asked and answers; `start` makes one. `input`: what it reads."""

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.input, self._output = process.stdin, process.stdout

    @staticmethod
    async def start(module: str, *words: str, stderr: int | None = subprocess.DEVNULL) -> HelperTask:
        """Starts a module, as `HelperProcess`. Raises `OSError` where the system allows no process."""
        return HelperTask(
            await start_command(command(module, *words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        )

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def send(self, message: Message) -> None:
        """Sends a request; nothing where it has ended, which `receive` detects."""
        with contextlib.suppress(OSError):
            self.input.write(pack(message))
            await self.input.drain()

    async def receive(self, seconds: float | None) -> Message:
        """The next answer within `seconds` as of `Patience`, None for no end, without raw bytes.

        Raises EOFError: it has ended. Raises TimeoutError: no answer came in time. Raises ValueError: what came is no
        message.
        """
        import asyncio

        patience, look = (None, None) if seconds is None else (Patience(seconds), LOOK_SECONDS)
        reading = asyncio.ensure_future(self._message())
        try:
            while not (await asyncio.wait({reading}, timeout=look))[0]:
                if patience and patience.ended(self._process.pid):
                    raise TimeoutError
            return await reading
        finally:
            reading.cancel()

    async def _message(self) -> Message:
        head = await self._output.readexactly(HEAD.size)
        return parse(await self._output.readexactly(check_head(head, 0)[0]))

    async def end(self) -> int:
        """Ends it and what it has started. It may be called twice. Returns its exit status, negative for a signal."""
        await end_session(self._process, 0.0)
        return await self._process.wait()


async def start_command(words: list[str], **options: Any) -> Process:
    """Starts a command in a session of its own, with the environment of a helper unless `env` is given."""
    import asyncio

    return await asyncio.create_subprocess_exec(*words, start_new_session=True, **{"env": environment(), **options})


async def end_session(process: Process, patience: float) -> None:
    """Ends a process of `start_command` and those that it started, by SIGKILL after `patience` seconds; 0 at once."""
    import asyncio

    if patience and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # one that waits for a hanging disk cannot be killed
        await asyncio.wait_for(process.wait(), KILL_SECONDS)
