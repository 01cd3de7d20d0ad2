"""The list of a server's processes on disk, by which a later `serve` finds the processes of one that has died."""

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.platform import start_time
from antiphon.kernel.runtime.settings import ServeSettings

LIST = "processes.json"
RECORDINGS = "recording.json"
"""File of a server's folder that names its recordings, for a recorder that replaces a killed one."""
_FREE, _NAMED = "free-", "osc-"
_STARTING_SECONDS = 600.0
"""Age in seconds from which a folder without a list cannot belong to a server that is starting."""


def folder(settings: ServeSettings) -> Path:
    """The runtime folder of the server on these ports.

    Where the port is chosen freely: the folder of such a server whose supervisor has died, so that its state is found;
    else a new one. Folders of ended servers that hold no state are removed.
    """
    runtime = paths.runtime()
    if settings.osc_port:
        own = runtime / f"{_NAMED}{settings.osc_port}"
        for left in runtime.glob(f"{_NAMED}*"):
            with contextlib.suppress(OSError):
                # a server that starts has not written its list yet
                if left != own and time.time() - left.stat().st_mtime > _STARTING_SECONDS:
                    remove(left)
        return paths.make_folder(own)
    own = runtime / f"{_FREE}{os.getpid()}"
    for left in _abandoned(runtime):
        remove(left)
        if left.exists() and not own.exists():
            with contextlib.suppress(OSError):  # another start was faster
                left.rename(own)
    return paths.make_folder(own)


def _abandoned(runtime: Path) -> list[Path]:
    abandoned = []
    for place in runtime.glob(f"{_FREE}*"):
        number = place.name.removeprefix(_FREE)
        if number.isascii() and number.isdigit() and not start_time(int(number)):
            with contextlib.suppress(OSError):
                abandoned.append((place.stat().st_mtime, place))
    return [place for _, place in sorted(abandoned, reverse=True)]


def clear(where: Path, settings: ServeSettings) -> None:
    """Removes the folder of an automatically chosen port once it holds no state."""
    if not settings.osc_port:
        remove(where)


def remove(where: Path) -> None:
    """Removes a server's folder unless it holds state to restore; for the server that has the port."""
    if not (where / LIST).exists():
        shutil.rmtree(where, ignore_errors=True)


def write(where: Path, supervisor: int, pids: dict[str, int], settings: ServeSettings) -> None:
    """Writes the running processes' pids and start times; a pid alone may later be another's."""
    everyone = {"supervisor": supervisor, **pids}
    data = {"processes": {n: [pid, start_time(pid)] for n, pid in everyone.items()}, "settings": settings.to_json()}
    paths.write_atomic(where / LIST, json.dumps(data).encode(), 0o600)


def read_left_processes(where: Path) -> tuple[dict[str, Any], dict[str, int]] | None:
    """Returns a server's file, and its processes that still run; None without a file.

    Raises UsageError while its supervisor runs.
    """
    try:
        data = json.loads((where / LIST).read_bytes())
        processes: dict[str, list[int]] = data["processes"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    alive = {name: pid for name, (pid, then) in processes.items() if start_time(pid) == then != 0}
    if "supervisor" in alive:
        raise UsageError(
            f"a server runs on this OSC port already (process {alive['supervisor']}); stop it, or choose --osc-port"
        )
    return data, alive


def end_orphans(where: Path) -> None:
    """Ends the processes that a dead supervisor left running. Raises UsageError while a server runs."""
    abandoned = read_left_processes(where)
    if abandoned is None:
        return
    _, alive = abandoned
    for number, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 2.0)):
        for pid in alive.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(start_time(pid) for pid in alive.values()):
            time.sleep(0.01)
        alive = {name: pid for name, pid in alive.items() if start_time(pid)}
        if not alive:
            break


def crashed_settings(where: Path) -> ServeSettings | None:
    """The settings of a server that crashed; None without one."""
    try:
        return ServeSettings.from_json(json.loads((where / LIST).read_bytes())["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none was, or another Antiphon's: its state cannot be taken up either
