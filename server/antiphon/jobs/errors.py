"""What work on files refuses, each kind with a type of its own; what serves it gives each a status."""

from __future__ import annotations

from antiphon.kernel.errors import AntiphonError


class JobError(AntiphonError):
    """A request about files, jobs or classifiers was refused."""


class Missing(JobError):
    """No file, job, result, patch, live set or classifier has that name."""


class InUse(JobError):
    """A file is in use by a job."""


class UnsupportedFormat(JobError):
    """A file format that cannot be read."""


class Unreadable(JobError):
    """A file that is damaged, or not of the format of its suffix."""


class TooMany(JobError):
    """Too much waits or runs already. `retry_seconds`: after which another try may succeed."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(JobError):
    """A process does not start, does not answer in time, or failed."""


class StorageFull(JobError):
    """The storage for files and results is full."""
