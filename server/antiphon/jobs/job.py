"""A job: one plugin, patch or live set over one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """State of a job: waiting, running, or one of three ends."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether the job has ended: done, failed or cancelled."""
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """A request for a job."""

    command: str  # "run" (a plugin), "render" (a patch) or "live" (a live set)
    name: str
    file: str  # the identifier of what it works on, a file or a job with a result; "" for what plays by itself
    suffix: str  # ending of the result's name: ".wav"
    params: Mapping[str, Any]
    arguments: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)  # other results, by option: {"--midi-out": "notes.mid"}

    def plain(self) -> dict[str, Any]:
        """The task as data for JSON."""
        return asdict(self)

    @staticmethod
    def from_plain(data: Mapping[str, Any]) -> Task:
        """Task of `plain` data."""
        return Task(**{**data, "arguments": tuple(data["arguments"])})


@dataclass(frozen=True, slots=True)
class Job:
    """A task with its state and progress.

    `created`, `ended`: unix time in seconds; `ended` is 0 while it has not ended.
    """

    id: str  # 12 hexadecimal digits
    task: Task
    state: JobState = JobState.WAITING
    progress: float = 0.0  # share that is done, 0 to 1
    error: str = ""  # why it failed, one sentence; "" where it did not
    summary: str = ""
    created: float = 0.0
    ended: float = 0.0
    results: Mapping[str, int] = field(default_factory=dict)  # names and bytes of its result files
    started: float = 0.0  # unix time at which it began to run; 0 while it waits, and not kept over a restart

    def plain(self) -> dict[str, Any]:
        """The job as clients get it."""
        return {
            "id": self.id,
            "command": self.task.command,
            "name": self.task.name,
            "file": self.task.file,
            "params": dict(self.task.params),
            "state": str(self.state),
            "progress": round(self.progress, 4),
            "error": self.error,
            "summary": self.summary,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "results": [{"name": name, "bytes": size} for name, size in self.results.items()],
        }
