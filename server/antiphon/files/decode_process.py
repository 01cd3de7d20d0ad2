"""The parent's side of processes that decode sound files: see `decode_child`."""

import atexit
import contextlib
import functools
import os
import signal
import socket
from dataclasses import replace
from typing import Any

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.processes.children import CHILD_FAULTS, MESSAGES, Child, ChildLimits, spawn

DECODER = "antiphon.files.decode_child:main"
LIMITS = ChildLimits(address=400 << 20, cpu=3600, file=0)
"""Limits of a decoder: the interpreter, numpy and libsndfile take 105 MB of address space."""
TIMEOUT_SECONDS = 20.0
"""Timeout in seconds for a decoder's start; interpreter and imports take a fifth of a second."""
IDLE = 30.0
"""Seconds without a file after which a decoder of streams ends."""
NO_PROCESS = "no process started to decode it: the machine is too busy or short of memory, not the file at fault"
_MAX_MESSAGE = 128 << 20
_STOP_SECONDS, _STOP_MESSAGES = 1.0, 64
"""Seconds of silence, and messages, after which a decoder that does not stop is ended: its pipe holds eight blocks."""
_TOO_LONG = "decoding it takes far longer than its sound accounts for; it is broken or made to harm"
_KILLED = "its decoder was killed, perhaps for want of memory"
_GAVE_UP = {"SIGPROF": _TOO_LONG, "SIGXCPU": _TOO_LONG, "SIGKILL": _KILLED}


class FileStalled(FileError):
    """Timeout of a decoder: the disk does not answer, or the machine is too busy to run it."""


class DecoderEnded(FileError):
    """The decoder has ended before the sound. `code`: its exit status, negative for a signal."""

    def __init__(self, name: str, code: int) -> None:
        how = f"its decoder ended early (exit code {code})"
        if code < 0:
            name_of = signal.Signals(-code).name
            how = _GAVE_UP.get(name_of, f"its decoder crashed ({name_of}); it is broken")
        super().__init__(f"cannot read {name}: {how}")
        self.code = code


class DecoderProcess:
    """A process that decodes one sound after another. It is started for the first, and again after it has ended.

    It ends after `idle` seconds without a request; 0 for never.
    """

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._helper: Child | None = None
        self._descriptors: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Process ID; None without a process."""
        return None if self._helper is None or self._helper.ended else self._helper.pid

    def start(self) -> None:
        """Starts the process, if there is none. Raises `OSError` if it cannot be started."""
        if self.pid is not None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        self._descriptors = ours
        try:
            with theirs:
                lane = replace(MESSAGES, fds=(theirs.fileno(),))
                words = str(theirs.fileno()), str(self._idle)
                # not bound: it is started by one thread and asked by others, and ends where its lane closes
                self._helper = spawn(DECODER, *words, limits=LIMITS, lane=lane, bound=False)
            self._helper.receive(silence=TIMEOUT_SECONDS)
        except BaseException as error:
            self.close()
            if isinstance(error, CHILD_FAULTS):
                raise OSError(NO_PROCESS) from None
            raise

    def ask(self, name: str, request: dict[str, Any], stall: float, fd: int = -1) -> tuple[dict[str, Any], bytearray]:
        """Sends a request about the sound `name`, with a descriptor if it takes one; reads the answer like `read`."""
        for last in (False, True):
            fresh = self.pid is None
            try:
                self.start()
            except OSError as error:
                raise refusal(name, error) from None
            helper, descriptors = self._helper, self._descriptors
            try:
                if descriptors is not None and fd >= 0:
                    socket.send_fds(descriptors, [b"f"], [fd])
                if helper is not None:
                    helper.send(request)
            except ConnectionError:
                pass  # the answer says how it ended
            except BaseException:  # Ctrl-C in the middle
                self.close()
                raise
            try:
                return self.read(name, stall)
            except DecoderEnded as ended:
                if last or fresh or ended.code:  # else it ended by itself, idle or worn, while it was asked
                    raise
        raise AssertionError

    def read(self, name: str, stall: float) -> tuple[dict[str, Any], bytearray]:
        """Reads the next message, within `stall` s. Raises FileError on failure; a failed decoder's process ends."""
        helper = self._helper
        if helper is None:
            raise refusal(name, "its decoder was ended")
        try:
            message, data = helper.receive(_MAX_MESSAGE, stall)
        except TimeoutError:
            self.close()
            raise FileStalled(f"cannot read {name}: no sound came from it for {stall:g} s; is its disk well?") from None
        except EOFError:
            helper.kill()  # which leaves the status of one that ended itself
            raise DecoderEnded(name, helper.wait() or 0) from None
        except (OSError, ValueError):
            self.close()
            raise refusal(name, "its decoder sent what is no sound") from None
        except BaseException:  # Ctrl-C in the middle of a message
            self.close()
            raise
        if "failed" not in message:
            return message, data
        if not message["clean"]:
            self.close()
        raise refusal(name, str(message["failed"]))

    def stop(self) -> None:
        """Makes the process abort the current file; closes it if it does not confirm."""
        helper = self._helper
        if helper is None:
            return
        with contextlib.suppress(*CHILD_FAULTS):
            helper.send({"do": "stop"})
            for _ in range(_STOP_MESSAGES):
                if "stopped" in helper.receive(_MAX_MESSAGE, _STOP_SECONDS)[0]:
                    return
        self.close()

    def close(self) -> None:
        """Ends the process. `ask` would start another."""
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()
        if self._descriptors is not None:
            self._descriptors.close()

    def forget(self) -> None:
        """In a forked child: leaves the process to the parent."""
        if self._helper is not None:
            self._helper.forget()
        self._helper = None
        self.close()


class Decoders:
    """The pool of processes that decode streams for this process, one per concurrent stream. Threads may share it."""

    def __init__(self) -> None:
        self._idle: list[DecoderProcess] = []

    @property
    def pids(self) -> list[int]:
        """Process IDs of the idle decoders; the one for the next sound comes last."""
        return [process.pid for process in self._idle if process.pid is not None]

    def take(self) -> DecoderProcess:
        """Returns an idle process."""
        try:
            return self._idle.pop()
        except IndexError:
            return DecoderProcess(IDLE)

    def give(self, process: DecoderProcess) -> None:
        """Takes back a process that is ready for another sound, or has ended."""
        if process.pid is None:
            process.close()
        else:
            self._idle.append(process)

    def close(self) -> None:
        """Ends the idle processes. The pool may be used again."""
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """In a forked child: leaves the processes to the parent."""
        while self._idle:
            self._idle.pop().forget()


@functools.cache
def decoders() -> Decoders:
    """Returns this process's decoders; a forked child has its own."""
    made = Decoders()
    os.register_at_fork(after_in_child=made.forget)
    atexit.register(made.close)
    return made


def refusal(name: str, reason: str | Exception) -> FileError:
    """The error of a file that cannot be read, for a reason or an exception that has one."""
    if isinstance(reason, FileNotFoundError):
        reason = "there is no such file"
    elif isinstance(reason, OSError):
        reason = (reason.strerror or str(reason)).lower() if reason.errno else str(reason)
    elif isinstance(reason, ValueError):
        reason = "its name holds a zero byte"
    return FileError(f"cannot read {name}: {reason}")
