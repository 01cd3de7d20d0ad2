"""A file that appears under its name only when complete and on disk.

Until then it has no name at all where the system allows that (Linux), else a hidden one beside the target.
"""

import errno
import os
import stat
from pathlib import Path

from antiphon.kernel.errors import FileError


def unwritable(name: str, error: OSError | ValueError, within: bool = False) -> FileError:
    """Error for a file that cannot be written; `ValueError` for a name that the system rejects.

    `within`: whether its folder is there.
    """
    if not isinstance(error, OSError):
        return FileError(f"cannot write {name}: its name holds a zero byte")
    text = (error.strerror or str(error)).lower()
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            text += "; free some space or write elsewhere"
        case errno.ENOENT if within:
            text = "no file can be made in its folder; write to another"
        case errno.ENOENT | errno.ENOTDIR:
            text = "its folder does not exist; make it first"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            text += "; write to a folder of yours"
        case errno.EFBIG:
            text += " for this disk or account; write elsewhere"
    return FileError(f"cannot write {name}: {text}")


class DraftFile:
    """Draft file, unnamed or hidden until it is published.

    Raises FileError: no file can be made there, or what has the name is no file.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self._hidden: Path | None = None
        try:
            self._target = Path(os.path.realpath(path))
            self._mode = self._replaceable(name)
            self.fd = self._open()  # of the open file; -1 once it is published or discarded
        except (OSError, ValueError) as error:
            raise unwritable(name, error, os.path.isdir(os.path.dirname(os.path.realpath(path)))) from None

    def publish(self) -> None:
        """Renames the file once it is on disk, replacing an existing one; raises `OSError`."""
        if self._mode is not None:
            os.fchmod(self.fd, self._mode)
        os.fsync(self.fd)
        if self._hidden is None:
            hidden = self._hidden_name()
            self._hidden = hidden
            # a dir_fd makes Python call linkat, which alone follows the link in /proc
            os.link(f"/proc/self/fd/{self.fd}", hidden, src_dir_fd=self.fd, follow_symlinks=True)
        os.replace(self._hidden, self._target)
        self._hidden = None
        self.discard()

    def discard(self) -> None:
        """Closes the file, and deletes it unless published."""
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            hidden.unlink(missing_ok=True)
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _replaceable(self, name: str) -> int | None:
        """Mode of the existing file, None without one. Raises FileError unless it is a regular file."""
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISREG(mode):
            return stat.S_IMODE(mode)
        what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
        raise FileError(f"cannot write {name}: it is {what}; name a file")

    def _open(self) -> int:
        folder, unnamed = self._target.parent, getattr(os, "O_TMPFILE", 0)
        if unnamed and os.path.exists("/proc/self/fd"):
            try:
                return os.open(folder, unnamed | os.O_RDWR | os.O_CLOEXEC, 0o666)
            except OSError as error:
                # the file system has no unnamed files (O_TMPFILE)
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
        self._hidden = self._hidden_name()
        return os.open(self._hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)

    def _hidden_name(self) -> Path:
        return self._target.with_name(f".antiphon-{os.urandom(6).hex()}.part")
