"""Errors of file jobs, each kind with its own type; the server maps each to a status."""

from antiphon.kernel.errors import AntiphonError


class JobError(AntiphonError):
    """A refused request about files, jobs or classifiers."""


class Missing(JobError):
    """No file, job, result, patch, live set or classifier of that name."""


class InUse(JobError):
    """A file is in use by a job."""


class UnsupportedFormat(JobError):
    """A file format that cannot be read."""


class Unreadable(JobError):
    """A file that is damaged, or not of the format of its suffix."""


class TooMany(JobError):
    """Too many requests are waiting or running. `retry_seconds`: after which another try may succeed."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(JobError):
    """A process does not start, does not answer in time, or failed."""


class StorageFull(JobError):
    """The storage for files and results is full."""
