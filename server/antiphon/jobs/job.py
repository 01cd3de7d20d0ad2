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
    """A request for a job.

    Attributes:
        command: "run" (a plugin), "render" (a patch) or "live" (a live set).
        file: The identifier of what it works on, a file or a job with a result; "" for what plays by itself.
        suffix: Ending of the result's name: ".wav".
        beside: Other results, by option: {"--midi-out": "notes.mid"}.
    """

    command: str
    name: str
    file: str
    suffix: str
    params: Mapping[str, Any]
    arguments: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)

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

    Attributes:
        id: 12 hexadecimal digits.
        progress: Share that is done, 0 to 1.
        error: Why it failed, one sentence; "" where it did not.
        created, ended: Unix time in seconds; `ended` is 0 while it has not ended.
        started: Unix time at which it began to run; 0 while it waits, and not kept over a restart.
        results: Names and bytes of its result files.
    """

    id: str
    task: Task
    state: JobState = JobState.WAITING
    progress: float = 0.0
    error: str = ""
    summary: str = ""
    created: float = 0.0
    ended: float = 0.0
    results: Mapping[str, int] = field(default_factory=dict)
    started: float = 0.0

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
