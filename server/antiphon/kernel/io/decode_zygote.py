"""The parent's side of the zygote that decoding processes are forked from: one for this process, started when needed.

A process of its own for each file costs 2 ms in this way; a new interpreter for each would cost 80 ms, as long as the
decoding of a minute takes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import socket
import struct
import subprocess
import sys
import threading

from antiphon.kernel.io.decode_child import FORKED
from antiphon.kernel.runtime.helper_process import start_helper

MODULE = "antiphon.kernel.io.decode_child"
PATIENCE = 20.0
"""Seconds in which a zygote has to fork; starting it, an interpreter and imports, takes a tenth of one."""
NO_PROCESS = "no process started to decode it: the machine is too busy or short of memory, not the file at fault"
_END = 2.0
"""Seconds for the exit code of a process whose pipe has ended."""
_PIPE = 1 << 20
"""Bytes a pipe holds where the system allows it: decoding goes on while its sound is worked on."""
_SETPIPE_SZ = 1031
"""Linux's F_SETPIPE_SZ."""


class ZygoteLost(OSError):
    """The zygote has not forked: it died, ended because it was idle, or hangs."""


class DecodingProcess:
    """A process that decodes one file; `close` ends it.

    Args:
        sound: The pipe that its messages come from, which is closed with it.
        lease: The zygote's messages about it.

    Attributes:
        sound: That pipe.
    """

    def __init__(self, sound: int, lease: socket.socket) -> None:
        self.sound = sound
        self._lease = lease

    def check_forked(self) -> None:
        """Returns when there is a process.

        Raises:
            ZygoteLost: There will be none.
            OSError: The system allows no more processes.
        """
        self._lease.settimeout(PATIENCE)
        try:
            word = self._lease.recv(1)
        except OSError:
            word = b""
        if word == FORKED:
            return
        if word:
            raise OSError("the system allows no more processes")
        raise ZygoteLost

    def exit_code(self) -> int | None:
        """Exit code, once the pipe is closed: negative for a signal; None if unknown."""
        self._lease.settimeout(_END)
        data = b""
        with contextlib.suppress(OSError):
            while len(data) < 4 and (more := self._lease.recv(4 - len(data))):
                data += more
        return struct.unpack("<i", data)[0] if len(data) == 4 else None

    def close(self) -> None:
        """Ends it. It may be called twice."""
        sound, self.sound = self.sound, -1
        if sound >= 0:
            os.close(sound)
            self._lease.close()


class DecodeZygote:
    """Starts processes that decode. Threads may share it. `module`: what it runs."""

    def __init__(self, module: str = MODULE) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the zygote; None while there is none."""
        return None if self._process is None else self._process.pid

    def begin(self, fd: int, rate: int) -> DecodingProcess:
        """Starts decoding `fd`, which the caller closes, at `rate` Hz; 0 keeps the file's.

        A lost zygote is replaced once.

        Raises:
            OSError: There can be no process.
        """
        for last in (False, True):
            control = self._running()
            process = None
            try:
                process = _request(control, fd, rate)
                process.check_forked()
            except ZygoteLost:
                if process is not None:
                    process.close()
                self._replace(control)
                if last:
                    raise OSError(NO_PROCESS) from None
            except BaseException:
                if process is not None:
                    process.close()
                raise
            else:
                return process
        raise AssertionError

    def close(self) -> None:
        """Ends the zygote and all its processes. It may be called twice, and used again."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked child: leaves the zygote to its parent."""
        self._lock = threading.Lock()  # another thread of the parent may have had it
        control, process = self._control, self._process
        self._control = self._process = None
        if control is not None:
            control.close()
        if process is not None:
            process.returncode = 0  # it is no child of this process

    def _running(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                self._start()
            assert self._control is not None
            return self._control

    def _replace(self, lost: socket.socket) -> None:
        with self._lock:
            if self._control is lost:
                self._stop()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = start_helper(self._module, str(theirs.fileno()), fds=(theirs.fileno(),))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(PATIENCE)
        self._control = ours

    def _stop(self) -> None:
        control, process = self._control, self._process
        self._control = self._process = None
        if control is not None:
            with contextlib.suppress(OSError):
                control.close()  # which ends the processes, and it
        if process is not None:
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _request(control: socket.socket, fd: int, rate: int) -> DecodingProcess:
    sound, out = os.pipe()
    try:
        ours, theirs = socket.socketpair()
    except BaseException:
        os.close(sound)
        os.close(out)
        raise
    try:
        _enlarge(out)
        socket.send_fds(control, [rate.to_bytes(4, "little")], [fd, out, theirs.fileno()])
    except BaseException as error:
        os.close(sound)
        ours.close()
        if isinstance(error, OSError):
            raise ZygoteLost from None
        raise
    finally:
        os.close(out)
        theirs.close()
    return DecodingProcess(sound, ours)


def _enlarge(pipe: int) -> None:
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # where a user's pipes hold too much already
            fcntl.fcntl(pipe, _SETPIPE_SZ, _PIPE)


@functools.cache
def zygote() -> DecodeZygote:
    """The one of this process, which ends with it; a forked child has one of its own."""
    made = DecodeZygote()
    os.register_at_fork(after_in_child=made.forget)
    atexit.register(made.close)
    return made
