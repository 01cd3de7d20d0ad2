"""Reads a server's processes from /proc: their roles, memory, descriptors and threads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from antiphon.api.backends.workers import process_start

ROLES = ("supervisor", "control", "web", "engine", "recorder", "weigher", "zygotes", "workers", "helpers")
"""workers: processes of models, and of synths. helpers: processes of plugins, such as that of `loops`."""
PROC = Path("/proc")
_ZYGOTE = "zygote-"
_SHARED = ("/memfd:", "/dev/shm/")
_KB = 1024.0
"""kB in an MB, as /proc counts them."""


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """Resources of a process, or of all processes of a role. rss, pss, private, anonymous: MB.

    private: memory shared with no other process; the start or end of a fork changes it.  anonymous: memory that the
    process allocated or wrote to, whether shared or not; unlike pages of files, the kernel cannot reclaim it.
    """

    processes: int = 0
    rss: float = 0.0
    pss: float = 0.0
    private: float = 0.0
    anonymous: float = 0.0
    descriptors: int = 0
    threads: int = 0

    def __add__(self, other: ResourceUse) -> ResourceUse:
        mine, its = asdict(self), asdict(other)
        return ResourceUse(**{name: mine[name] + its[name] for name in mine})


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One sample. pids: role → processes.  memories: shared memories that some process holds open.  strays: processes
    with the server's home in their environment that do not descend from its supervisor.
    """

    held: dict[str, ResourceUse]
    pids: dict[str, tuple[int, ...]]
    memories: int
    strays: tuple[int, ...]


def read(supervisor: int, home: Path) -> ProcessReading:
    """Reads every process of the server with that supervisor and ANTIPHON_HOME. A process that ends meanwhile is left
    out.
    """
    before = list(
        processes_of_home(home)
    )  # a process found here that is not a descendant below is a stray, not one that just started
    pids = roles(supervisor, process_names(home))
    held: dict[str, ResourceUse] = {}
    memories: set[str] = set()
    for role, members in pids.items():
        for pid in members:
            try:
                here, shared = look(pid)
            except (OSError, ValueError):
                continue
            held[role] = held.get(role, ResourceUse()) + here
            memories |= shared
    ours = {pid for members in pids.values() for pid in members}
    return ProcessReading(held, pids, len(memories), tuple(p for p in before if p not in ours and process_start(p)))


def process_names(home: Path) -> dict[int, str]:
    """Returns pid → name from the server's list of processes; empty if there is no list yet."""
    for path in (home / "run").glob("*/processes.json"):
        try:
            return {int(pid): name for name, (pid, _) in json.loads(path.read_bytes())["processes"].items()}
        except (OSError, ValueError, KeyError):
            continue
    return {}


def roles(supervisor: int, names: dict[int, str]) -> dict[str, tuple[int, ...]]:
    """Role → pids of a supervisor and all its descendants."""
    pids: dict[str, list[int]] = {"supervisor": [supervisor]}
    waiting = [(supervisor, "supervisor")]
    while waiting:
        parent, above = waiting.pop()
        for pid in children(parent):
            role = _process_role(names.get(pid, ""), above)
            pids.setdefault(role, []).append(pid)
            waiting.append((pid, role))
    return {role: tuple(members) for role, members in pids.items()}


def _process_role(name: str, above: str) -> str:
    """Role of a process by its name and its parent's role."""
    if name.startswith(_ZYGOTE):
        return "zygotes"
    if name in ROLES:
        return name
    if above == "zygotes":
        return "workers"
    return "weigher" if above == "weigher" else "helpers"


def children(pid: int) -> list[int]:
    """Child processes of all threads of a process; empty once it has ended."""
    pids: list[int] = []
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            pids += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        return pids
    return pids


def look(pid: int) -> tuple[ResourceUse, set[str]]:
    """The resources of one process, and the names of shared memories among its descriptors."""
    where = PROC / str(pid)
    memory = rollup((where / "smaps_rollup").read_text())
    links = [_link(entry) for entry in (where / "fd").iterdir()]
    threads = len(os.listdir(where / "task"))
    shared = {name for name in links if name.startswith(_SHARED)}
    return ResourceUse(1, **memory, descriptors=len(links), threads=threads), shared


def rollup(text: str) -> dict[str, float]:
    """MB of a smaps_rollup: rss, pss, anonymous, and private, the sum of clean and dirty."""
    fields = {line.split(":")[0]: line.split() for line in text.splitlines()[1:]}
    kb = {name: float(words[1]) for name, words in fields.items() if len(words) == 3}
    private = kb["Private_Clean"] + kb["Private_Dirty"]
    sizes = {"rss": kb["Rss"], "pss": kb["Pss"], "private": private, "anonymous": kb["Anonymous"]}
    return {name: size / _KB for name, size in sizes.items()}


def processes_of_home(home: Path) -> Iterator[int]:
    """Yields the processes that were started with this ANTIPHON_HOME, and their forks."""
    mark = b"ANTIPHON_HOME=" + os.fsencode(home)
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue


def files(*folders: Path) -> int:
    """Number of files in folders and their subfolders."""
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder))


def _link(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except OSError:
        return ""


def as_json(reading: ProcessReading) -> dict[str, Any]:
    """The sample as a line of the file of samples."""
    return {
        "held": {role: {k: round(v, 3) for k, v in asdict(held).items()} for role, held in reading.held.items()},
        "pids": reading.pids,
        "memories": reading.memories,
        "strays": list(reading.strays),
    }
