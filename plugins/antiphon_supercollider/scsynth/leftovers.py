"""Removes what killed scsynths and workers leave behind: shared memory of their port, folders, and JACK's semaphores.

A worker may be killed too, so it cannot always do this itself. Its folder lists the ports of its own scsynths.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from antiphon.api.backends.workers import process_start

PREFIX = "antiphon-scsynth-"
RUNNING = "running"
"""In a worker's folder: an empty file for each of its scsynths, named after its port."""
MEMORY = Path("/dev/shm")
_SEMAPHORE = re.compile(rf"jack_sem\.\d+_.+_{PREFIX}(?:wires-)?(\d+)(?:-\d+)?")
"""JACK's, of a client of ours, called by the process of its worker; a client that is killed leaves it behind."""
ENDING_SECONDS = 1.0
"""How long a server that ends waits for its scsynths."""
STEP = 0.02


def claim(folder: Path, port: int) -> None:
    """Records in the worker's folder that a scsynth of ours will use a port; does nothing in another folder."""
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).touch()


def release(folder: Path, port: int) -> None:
    """Removes that record."""
    with contextlib.suppress(OSError):
        (MEMORY / f"SuperColliderServer_{port}").unlink()
    with contextlib.suppress(OSError):
        (folder / RUNNING / str(port)).unlink()


def sweep(patience: float = 0.0, since: float = 0.0) -> None:
    """Removes what killed workers left.

    Never raises, since others may do the same at the same moment. It waits so many seconds for scsynths of workers that
    began after `since` to end. A process at the port of an older one is not ours.
    """
    until = time.monotonic() + patience
    for folder in _abandoned():
        while _begun_at(folder) >= since and _ports(folder) & _listening() and time.monotonic() < until:
            time.sleep(STEP)
        # a port in use may belong to another process by now
        listening = _listening()
        for port in _ports(folder) - listening:
            release(folder, port)
        if not _ports(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for path in _semaphores():
        with contextlib.suppress(OSError):
            path.unlink()


def _semaphores() -> list[Path]:
    """JACK's semaphores of workers that have ended."""
    paths = []
    for path in MEMORY.glob("jack_sem.*"):
        client = _SEMAPHORE.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if client is not None and not process_start(int(client[1])) and path.stat().st_uid == os.getuid():
                paths.append(path)
    return paths


def _abandoned() -> list[Path]:
    """Folders of processes that have ended."""
    paths = []
    for folder in map(Path, glob.glob(f"{glob.escape(tempfile.gettempdir())}/{PREFIX}*-*")):
        with contextlib.suppress(ValueError, OSError):
            pid = int(folder.name.removeprefix(PREFIX).split("-")[0])
            if not process_start(pid) and folder.stat().st_uid == os.getuid():
                paths.append(folder)
    return paths


def _begun_at(folder: Path) -> float:
    """About when a folder's worker began: later changes are in its subfolders only."""
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _ports(folder: Path) -> set[int]:
    """None where the folder was removed."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir(folder / RUNNING) if name.isascii() and name.isdigit()}
    return set()


def _listening() -> set[int]:
    """UDP ports in use on this machine."""
    ports = set()
    for table in ("udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                ports.add(int(line.split()[1].rpartition(":")[2], 16))
    return ports
