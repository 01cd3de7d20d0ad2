"""The performer's folders, and the conversion of names from the network to paths.

Folders follow the platform's customs; `ANTIPHON_HOME`, when set, holds all of them instead.
The functions that return a folder do not create it; `make_folder` does.
"""

import contextlib
import errno
import json
import os
import re
import stat
import sys
import zlib
from bisect import bisect
from pathlib import Path
from typing import Any

from antiphon.kernel.errors import AntiphonError, FileError
from antiphon.kernel.runtime.platform import network, user_folder
from antiphon.kernel.runtime.shortening import composed, shorten

HOME = "ANTIPHON_HOME"
"""The environment variable of a folder that holds all of the performer's folders; tests set it."""
MAX_NAME = 120
"""Characters of a file name that comes from the network."""
TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
"""Names of files of `temporary_beside` that a killed process left behind."""
PRIVATE = 0o600
"""Mode of recordings: a microphone's recordings are private to their owner."""
PRIVATE_FOLDER = 0o700
"""Mode of their folders."""


def _home(kind: str) -> Path:
    home = os.environ.get(HOME)
    return Path(os.path.expanduser(home)).absolute() / kind if home else Path(user_folder(kind))


def config() -> Path:
    """The folder of settings and the token."""
    return _home("config")


def data() -> Path:
    """The folder of patches, sessions, recordings, library and plugins."""
    return _home("data")


def cache() -> Path:
    """The folder for files that can be recreated."""
    return _home("cache")


KEPT = 16
"""Files of each name that `keep` leaves in the cache: those of several installations and ways to start them."""


def read_kept(name: str, key: Any) -> Any:
    """Reads the JSON value that `keep` wrote under that name with this key; None if there is none."""
    file, text = _kept_file(name, key)
    with contextlib.suppress(OSError, ValueError, TypeError):
        made_of, value = json.loads(file.read_bytes())
        if made_of == text:
            with contextlib.suppress(OSError):  # of one that is read only
                os.utime(file)
            return value
    return None


def keep(name: str, key: Any, value: Any) -> None:
    """Caches a JSON value made from `key` for the next process; if that fails, that process makes it again."""
    file, text = _kept_file(name, key)
    with contextlib.suppress(OSError, FileError):
        write_atomic(file, json.dumps([text, value]).encode())
        files = sorted(file.parent.glob(f"{name}-*.json"), key=lambda one: one.stat().st_mtime_ns)
        for old in files[:-KEPT]:
            old.unlink()


def _kept_file(name: str, key: Any) -> tuple[Path, str]:
    text = json.dumps([__file__, key])  # other installations use the same folder
    return cache() / f"{name}-{zlib.crc32(text.encode()):08x}.json", text


def package_places() -> list[list[Any]]:
    """Folders of `sys.path` that hold installed packages or plugins, each with the time of its last change, ns."""
    found: list[list[Any]] = []
    for entry in sys.path:
        place = entry or os.curdir
        with contextlib.suppress(OSError):
            if not os.path.isdir(place) or any(_PACKAGE.search(name) for name in os.listdir(place)):
                found.append([entry, os.stat(place).st_mtime_ns])
    return found


_PACKAGE = re.compile(r"^antiphon_|\.(dist|egg)-info$")


def patches() -> Path:
    """The performer's patches."""
    return data() / "patches"


def sessions() -> Path:
    """The performer's sets."""
    return data() / "sessions"


def recordings() -> Path:
    """The performer's recordings."""
    return data() / "recordings"


def library() -> Path:
    """The folder of the performer's sound files, which file parameters name from the network."""
    return data() / "library"


def captures() -> Path:
    """The folder of the library into which captures are written."""
    return library() / "captures"


def added_files_folder() -> Path:
    """The folder of the library for files that are added in the room Files."""
    return library() / "files"


def scripts() -> Path:
    """The performer's live scripts that were saved on the page."""
    return data() / "live"


def plugins() -> Path:
    """The performer's own plugins, a folder each."""
    return data() / "plugins"


def untrusted_folder_reason(*folders: Path) -> str:
    """Why code in these folders is not run: names the first that every user may write; "" if there is none."""
    for folder in folders:
        with contextlib.suppress(OSError):
            if folder.stat().st_mode & stat.S_IWOTH:
                return f"every user of this machine may write where code runs as you; chmod o-w {folder}"
    return ""


def runtime() -> Path:
    """Creates the folder for a running server's state, mode 0700; `FileError` if it cannot, or is another user's.

    Without `ANTIPHON_HOME` there is one for each network namespace, since each has all port numbers.
    """
    home, given = os.environ.get(HOME), os.environ.get("XDG_RUNTIME_DIR")
    if home:
        folder = Path(os.path.expanduser(home)).absolute() / "run"
    elif given and os.access(given, os.W_OK):
        folder = Path(given) / f"antiphon-{network()}"
    else:
        folder = temporary() / f"antiphon-{os.getuid()}-{network()}"
    make_folder(folder.parent)
    return own_folder(folder)


def temporary() -> Path:
    """The system's folder for temporary files."""
    import tempfile  # 12 modules, for a folder that few starts need

    return Path(tempfile.gettempdir())


def own_folder(folder: Path) -> Path:
    """Creates a folder of mode 0700; `FileError` if it cannot be, or is another user's."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # in a shared temporary folder someone else may have made this name first
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise FileError(f"{folder} is not a folder of yours; remove it or set {HOME} to a folder that is")
        if stat.S_IMODE(status.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise FileError(f"cannot use {folder}: {error.strerror}; set {HOME} to a folder you can write to") from None
    return folder


def make_folder(folder: Path, mode: int = 0o777) -> Path:
    """Creates a folder, with its parents, if it does not exist. Raises FileError: it cannot be made."""
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}: {os_error_text(error)}") from None
    return folder


def is_same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two paths name the same file, also through `.`, links or another spelling. Neither need exist."""
    return file_identity(one) == file_identity(other)


def file_identity(path: str | os.PathLike[str]) -> tuple[int, int] | str:
    """A value that is equal for all paths of one file: device and inode, or the resolved path if it does not exist."""
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        try:
            return os.path.realpath(path)
        except (OSError, ValueError):
            return os.fspath(path)  # an invalid name; opening it raises the error
    return stat.st_dev, stat.st_ino


def path_as_spelled(path: Path) -> Path:
    """The path as its file and folders spell it, in whichever form its accents are; itself where there is none."""
    if str(path).isascii() or os.path.lexists(path) or path.parent == path:
        return path
    folder, name = path_as_spelled(path.parent), composed(path.name)
    with contextlib.suppress(OSError):
        return folder / next((entry for entry in os.listdir(folder) if composed(entry) == name), path.name)
    return folder / path.name


def path_inside(folder: Path, name: str, suffix: str = "", error: type[AntiphonError] = FileError) -> Path:
    """Makes the path of a file from a name that came from the network. Nothing is opened; the file need not exist.

    Accents may be encoded in another form than in the file's name (`path_as_spelled`). `name`: one part of a path, 1 to
    120 characters: no separators, no leading dot, nothing unprintable, no link that leads out of the folder. Raises
    FileError: or what `error` names: the name is not allowed.
    """
    shown = repr(shorten(name))
    if not name or len(name) > MAX_NAME or len(name.encode("utf-8", "replace")) > 2 * MAX_NAME:
        raise error(f"{shown} is not a name: it takes 1 to {MAX_NAME} characters")
    if name.startswith(".") or name.isspace() or not name.isprintable() or any(c in name for c in "/\\:"):
        raise error(f"{shown} is not a name: it begins with a dot, or holds one of / \\ : or what cannot be seen")
    path = path_as_spelled(folder / (name if suffix and name.endswith(suffix) else name + suffix))
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise error(f"{shown} leads out of its folder")
    except (OSError, RuntimeError):
        raise error(f"{shown} cannot be followed to a file") from None
    return path


def in_library(name: str, error: type[AntiphonError] = FileError) -> Path:
    """Makes the path of the library's entry of a name.

    Raises FileError, or `error`, as `path_inside` does; for a path the message says where the file belongs.
    """
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    if last not in ("", name):
        where = f"put it into {library()} and give {shorten(last)!r}"
        raise error(f"{shorten(name)!r} is not a name but a path: {where}")
    return path_inside(library(), name, error=error)


def os_error_text(error: OSError) -> str:
    """Describes an error of the operating system and its remedy: part of a sentence, without a full stop."""
    text = (error.strerror or str(error) or type(error).__name__).lower()
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return f"{text}; free some space or write elsewhere"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{text}; choose a folder you may write to"
        case errno.EISDIR | errno.EEXIST | errno.ENOTDIR:
            return f"{text}; choose another name"
    return text


def open_ordinary(path: str | bytes, flags: int) -> int:
    """Opens a file, as an opener for `open`.

    Raises OSError: it is not an ordinary file; a pipe would block, and a device might never end.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not an ordinary file", path)
    return descriptor


def read_ordinary(path: str | Path, most: int, what: str, error: type[AntiphonError] = FileError) -> bytes:
    """Content of an ordinary file.

    `most`: bytes; `what`: its kind, such as "a patch". Raises FileError, or `error`: it cannot be read, or has more.
    """
    shown = str(path)
    shown = shown if len(shown) <= 200 else f"{shown[:100]}...{shown[-40:]}"
    try:
        with open(path, "rb", opener=open_ordinary) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise error(f"cannot read {shown}: there is no such file") from None
    except (OSError, ValueError) as fault:
        reason = os_error_text(fault) if isinstance(fault, OSError) else "its name cannot be used"
        raise error(f"cannot read {shown} as {what}: {reason}") from None
    if len(content) > most:
        size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
        raise error(f"{shown} is larger than {what} may be; at most {size} is allowed")
    return content


def read_ordinary_text(path: str | Path, most: int, what: str, error: type[AntiphonError] = FileError) -> str:
    """Text of an ordinary file in UTF-8; errors as for `read_ordinary`."""
    try:
        return read_ordinary(path, most, what, error).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        raise error(f"cannot read {path}: it is not text in UTF-8, from byte {fault.start} on") from None


def reserve(path: Path, size: int, mode: int = 0o644) -> None:
    """Creates an empty file if there is space for `size` bytes; otherwise `FileError`, and no new file.

    An existing file is emptied only after the space has been checked. `mode`: permissions of a new file.
    """
    held = os.path.exists(path)  # Path.exists raises where the folder may not be searched
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, mode)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileError(f"cannot write {path}: it is not an ordinary file; name another")
            before = os.fstat(file).st_size
            if hasattr(os, "posix_fallocate"):
                try:
                    os.posix_fallocate(file, before, size)
                except OSError:
                    os.ftruncate(file, before)
                    raise
            os.ftruncate(file, 0)
        finally:
            os.close(file)
    except OSError as error:
        if not held:
            with contextlib.suppress(OSError):  # it may not have been created
                path.unlink()
        raise FileError(f"cannot write {path}: {os_error_text(error)}") from None


def claim(path: Path, first: int = 0, *, folder: bool = False, numbered: bool = True) -> Path:
    """Creates an empty private file, or folder, with the first free name: take.wav, take-2.wav and so on.

    No other process can take the same name, not even in the same moment. `first`: the first number to try, 0 for the
    name without one; not `numbered`: that name alone. Raises FileError: the name is taken, or nothing can be made.
    """
    number = first
    while True:
        free = _numbered(path, number) if number else path
        try:
            if folder:
                free.mkdir(PRIVATE_FOLDER)
            else:
                free.touch(PRIVATE, exist_ok=False)
            return free
        except FileExistsError:
            if not numbered:
                raise FileError(f"there is a {path.name!r} already; choose another name") from None
            number = _free_number(path, max(2, number + 1))
        except OSError as error:
            raise FileError(f"cannot write {free}: {os_error_text(error)}") from None


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _free_number(path: Path, low: int) -> int:
    """The number from `low` on of a name that is free: the first, where all before it are taken."""

    # thousands of names may be taken, and control asks for one within a turn
    def is_free(more: int) -> bool:
        return not os.path.lexists(_numbered(path, low + more))

    step = 1
    while not (is_free(0) or is_free(step)):
        step *= 2
    return low + bisect(range(step), False, key=is_free)


def drop_empty(path: Path) -> None:
    """Removes an empty ordinary file or folder, as made by `claim`; leaves anything else."""
    with contextlib.suppress(OSError):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            path.rmdir()  # fails where it holds something
        elif stat.S_ISREG(status.st_mode) and not status.st_size:
            path.unlink()


def write_atomic(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file atomically: after any failure it has the new content or the previous one."""
    make_folder(path.parent)
    temporary = temporary_beside(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            # left by a killed process that had the same pid
            temporary.unlink()
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(file, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise FileError(f"cannot write {path}: {os_error_text(error)}; nothing was changed") from None


def temporary_beside(path: Path) -> Path:
    """Path of a file's new content before it is renamed; `TEMPORARY` matches its name."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
