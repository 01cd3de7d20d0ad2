"""Cleanup after killed scsynths and workers: shared memory of their port, folders, and JACK's semaphores.

A worker may be killed too, so it cannot always do this itself. Its folder lists the ports of its own scsynths.
"""

import contextlib
import glob
import os
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path

from antiphon.api.backends.workers import process_start

PREFIX = "antiphon-scsynth-"
RUNNING = "running"
"""Subfolder of a worker's folder: an empty file for each of its scsynths, named after its port."""
MEMORY = Path("/dev/shm")
_SEMAPHORE = re.compile(rf"jack_sem\.\d+_.+_{PREFIX}(?:wires-)?(\d+)(?:-\d+)?")
"""JACK semaphore of one of our clients, named after its worker's process; a killed client leaves it behind."""
ENDING_SECONDS = 1.0
"""Maximum wait in seconds of an ending server for its scsynths."""
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

    Never raises, since others may do the same at the same moment. It waits `patience` seconds for scsynths of workers
    that began after `since` to end. A process at the port of an older one is not ours.
    """
    until = time.monotonic() + patience
    for folder in _abandoned():
        while _begun_at(folder) >= since and _taken(_ports(folder)) and time.monotonic() < until:
            time.sleep(STEP)
        ports = _ports(folder)
        for port in ports - _taken(ports):  # one in use may belong to another process by now
            release(folder, port)
        if not _ports(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for path in _semaphores():
        with contextlib.suppress(OSError):
            path.unlink()


def _semaphores() -> list[Path]:
    """JACK semaphores of ended workers."""
    paths = []
    for path in MEMORY.glob("jack_sem.*"):
        client = _SEMAPHORE.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if client is not None and not process_start(int(client[1])) and path.stat().st_uid == os.getuid():
                paths.append(path)
    return paths


def _abandoned() -> list[Path]:
    """Folders of ended processes."""
    paths = []
    for folder in map(Path, glob.glob(f"{glob.escape(tempfile.gettempdir())}/{PREFIX}*-*")):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(PREFIX).split("-")[0])
            if not process_start(pid) and folder.stat().st_uid == os.getuid():
                paths.append(folder)
    return paths


def _begun_at(folder: Path) -> float:
    """Approximate start time of a folder's worker: later changes are in its subfolders only."""
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _ports(folder: Path) -> set[int]:
    """Recorded ports of a folder; empty if it was removed."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir(folder / RUNNING) if name.isascii() and name.isdigit()}
    return set()


def _taken(ports: set[int]) -> set[int]:
    """Subset of `ports` at which a process of this machine listens by UDP."""
    return {port for port in ports if not _is_free(port)}


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried, contextlib.suppress(OSError):
        tried.bind(("127.0.0.1", port))
        return True
    return False
