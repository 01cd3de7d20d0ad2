"""What work on files refuses, each kind with a type of its own; what serves it gives each a status."""

from __future__ import annotations

from antiphon.errors import AntiphonError


class JobError(AntiphonError):
    """A request about files, jobs or classifiers that is not acted on."""


class Missing(JobError):
    """There is no file, job, result or classifier of that name."""


class InUse(JobError):
    """A job still needs it."""


class UnsupportedFormat(JobError):
    """A format that is not read here."""


class Unreadable(JobError):
    """A file that is damaged, or not what its name says."""


class TooMany(JobError):
    """Too much waits or runs already. `retry_seconds`: after which another try may succeed."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(JobError):
    """A process does not start, does not answer in time, or failed."""


class StorageFull(JobError):
    """There is no room for files or results."""
