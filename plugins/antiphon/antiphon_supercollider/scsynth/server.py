"""One scsynth process: started on its own loopback port, controlled by OSC, ended with its parent.

Cleanup after killed scsynths and workers: shared memory of their port, folders, and JACK's semaphores. A worker may be
killed too, so it cannot always do this itself. Its folder lists the ports of its own scsynths.
"""

import contextlib
import glob
import os
import re
import select
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from antiphon.api import EngineError
from antiphon.api.backends import transports as osc
from antiphon.api.backends.runtime import ChildLane, spawn
from antiphon.api.backends.workers import process_start
from antiphon.kernel.runtime.platform import end_before_exec, short_slices
from antiphon.kernel.runtime.processes.child_process import exit_cause

PREFIX = "antiphon-scsynth-"
RUNNING = "running"
"""Subfolder of a worker's folder: an empty file for each of its scsynths, named after its port."""
MEMORY = Path("/dev/shm")
_SEMAPHORE = re.compile(rf"jack_sem\.\d+_.+_{PREFIX}(?:wires-)?(\d+)(?:-\d+)?")
"""Pattern of JACK semaphores of our clients, named after their worker's process; killed clients leave them."""
ENDING_SECONDS = 1.0
"""Maximum seconds that an ending server waits for its scsynths."""
STEP = 0.02


def claim(folder: Path, port: int) -> None:
    """Records a port of one of our scsynths in the worker's folder; no operation in another folder."""
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).touch()


def release(folder: Path, port: int) -> None:
    """Removes the record of a port."""
    with contextlib.suppress(OSError):
        (MEMORY / f"SuperColliderServer_{port}").unlink()
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).unlink()


def sweep(patience: float = 0.0, since: float = 0.0) -> None:
    """Cleans up after killed workers.

    Never raises, as other processes may clean up at the same time. It waits `patience` seconds for scsynths of workers
    started after `since` to end. A process at the port of an older one is not ours.
    """
    until = time.monotonic() + patience
    for folder in _abandoned_folders():
        while _worker_start_time(folder) >= since and _taken_ports(_ports(folder)) and time.monotonic() < until:
            time.sleep(STEP)
        ports = _ports(folder)
        for port in ports - _taken_ports(ports):  # one in use may belong to another process by now
            release(folder, port)
        if not _ports(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for path in _stale_jack_semaphores():
        with contextlib.suppress(OSError):
            path.unlink()


def _stale_jack_semaphores() -> list[Path]:
    """JACK semaphores of ended workers."""
    paths = []
    for path in MEMORY.glob("jack_sem.*"):
        client = _SEMAPHORE.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if client is not None and not process_start(int(client[1])) and path.stat().st_uid == os.getuid():
                paths.append(path)
    return paths


def _abandoned_folders() -> list[Path]:
    """Folders of ended processes."""
    paths = []
    for folder in map(Path, glob.glob(f"{glob.escape(tempfile.gettempdir())}/{PREFIX}*-*")):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(PREFIX).split("-")[0])
            if not process_start(pid) and folder.stat().st_uid == os.getuid():
                paths.append(folder)
    return paths


def _worker_start_time(folder: Path) -> float:
    """Approximate start time of a folder's worker; later changes affect only its subfolders."""
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _ports(folder: Path) -> set[int]:
    """Recorded ports of a folder; empty if it was removed."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir(folder / RUNNING) if name.isascii() and name.isdigit()}
    return set()


def _taken_ports(ports: set[int]) -> set[int]:
    """Subset of `ports` at which a process of this machine listens by UDP."""
    taken = set()
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                taken.add(port)
    return taken


BOOT_SECONDS = 15.0
MISSING = "scsynth is not installed; install it with: sudo apt-get install supercollider-server"
MEMORY_KB, NODES, DEFS, WIRES, LOGINS = 131072, 16384, 1024, 256, 4
"""Limits of scsynth: real-time memory, nodes, SynthDefs, wires, clients."""
_ROOM = 8 << 20


def scsynth_path() -> str:
    """Path of the scsynth program. Raises EngineError: it is not installed; the message says what to install."""
    path = shutil.which("scsynth")
    if path is None:
        raise EngineError(MISSING)
    return path


def control_block(block: int) -> int:
    """scsynth's block size: the largest power of two up to 64 that divides JACK's. Raises `EngineError`: below 8."""
    size = next(n for n in (64, 32, 16, 8, 4, 2, 1) if block % n == 0)
    if size < 8:
        raise EngineError(f"scsynth does not play blocks of {block} frames; use a multiple of 64, with --block")
    return size


def limits(block: int, inputs: int, outputs: int) -> list[str]:
    """Command line options for scsynth's limits and its numbers of hardware buses."""
    return [
        "-i", str(inputs), "-o", str(outputs), "-z", str(control_block(block)), "-m", str(MEMORY_KB),
        "-n", str(NODES), "-d", str(DEFS), "-w", str(WIRES), "-l", str(LOGINS), "-a", "8192", "-b", "1024",
        "-D", "0", "-R", "0", "-V", "-1",
    ]  # fmt: skip


class Scsynth:
    """A running scsynth. client: its name in JACK.  life: readable once it has ended, or -1.  socket: receives replies.

    `folder`: the only folder in which it may read and write files; our SynthDefs are in its subfolder `compiled`.
    `provided`, `has`: the asset version sent to it, and the one it has loaded.
    """

    def __init__(self, client: str, block: int, inputs: int, outputs: int, folder: Path) -> None:
        self.client = client
        self._folder = folder
        self.provided = self.has = 0
        self._open_socket()
        self.address = ("127.0.0.1", _free_port())
        words = [
            scsynth_path(), "-u", str(self.address[1]), "-B", "127.0.0.1", "-P", str(folder),
            *limits(block, inputs, outputs), "-H", client,
        ]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SC_JACK_DEFAULT")}
        environment |= {"SC_JACK_DEFAULT_INPUTS": "", "SC_JACK_DEFAULT_OUTPUTS": ""}
        claim(folder, self.address[1])
        self.life, held = os.pipe()  # scsynth alone holds its other end
        try:
            # tied to the thread that starts it, which runs as long as its process
            lane = ChildLane(fds=(held,))
            self._process = spawn(words, lane=lane, apart=False, before=partial(_bound, folder), env=environment)
        except OSError as error:
            os.close(self.life)
            raise EngineError(f"scsynth cannot be started: {error.strerror}") from error
        finally:
            os.close(held)
        self.pid = self._process.pid

    def _open_socket(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, _ROOM)

    def send(self, *message: osc.Arg) -> None:
        self.send_bytes(osc.encode(str(message[0]), *message[1:]))

    def send_bytes(self, packet: bytes) -> bool:
        """Sends a packet; returns False if the system refused it because its buffers are full or scsynth has ended."""
        try:
            self.socket.sendto(packet, self.address)
        except OSError:
            return False
        return True

    def boot(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Waits until scsynth answers and has loaded our SynthDefs; `meanwhile` is called about every 10 ms.

        Raises EngineError: it ended, or took too long.
        """
        self._until(b"/done", "/notify", meanwhile, "/notify", 1)
        self._until(b"/done", "/d_loadDir", meanwhile, "/d_loadDir", str(self._folder / "compiled"))

    def sync(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Waits until scsynth has processed all messages sent so far."""
        self._until(b"/synced", 1, meanwhile, "/sync", 1)

    def _until(self, address: bytes, first: osc.Arg, meanwhile: Callable[[], None], *message: osc.Arg) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        again = 0.0
        while time.monotonic() < deadline:
            if time.monotonic() > again:
                self.send(*message)
                # a booting server has no socket yet: earlier messages are lost, the first to arrive is answered
                again = time.monotonic() + (0.01 if first == "/notify" else 2.0)
            meanwhile()
            poll.poll(10)
            if self.gone:
                raise EngineError(f"scsynth ended at its start ({self.end_reason()}); is JACK's rate one it takes?")
            for reply in self.replies():
                if reply.address == address and reply.args and reply.args[0] == first:
                    return
        raise EngineError(f"scsynth did not answer {message[0]!s} within {BOOT_SECONDS:g} s")

    def replies(self) -> list[osc.Message]:
        """The replies received, at most 4096."""
        got = []
        with contextlib.suppress(OSError):
            for _ in range(4096):
                packet = osc.decode(self.socket.recv(65536))
                if isinstance(packet, osc.Message):
                    got.append(packet)
        return got

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended."""
        return self._process.ended

    def end_reason(self) -> str:
        """Reason why it ended, in words; "" while it runs."""
        code = self._process.status
        return "" if code is None else exit_cause(code)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Ends the process, waits for that, and removes the files it left."""
        self.kill()
        self._process.wait()
        release(self._folder, self.address[1])
        self.socket.close()
        os.close(self.life)


def _bound(folder: Path) -> None:
    os.chdir(folder)
    end_before_exec()
    # kept across exec: scsynth's network and audio threads are scheduled early on a busy machine
    short_slices()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
