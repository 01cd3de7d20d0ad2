"""Adds packs of sounds to the library, from folders or a pack's `strudel.json`, completely or not at all."""

import contextlib
import http.client
import itertools
import json
import lzma
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from antiphon.api import FileError, UsageError
from antiphon.api.backends.files import (
    SOUND_FORMATS,
    TEMPORARY_NAME,
    hold_lock,
    library_folder,
    make_folder,
    path_inside,
    printable_path,
    reason_of_os_error,
    temporary_beside,
)
from antiphon.api.jobs import spell
from antiphon.kernel.runtime.sound_packs import MARK as PACK_MARK
from antiphon_sampler.library import MAX_FILES

# ---- Where the files of a pack are read from: a folder, a ZIP file, addresses. Each gives bytes within a limit

MAX_ENTRIES = 100_000
"""Maximum files of a folder or a ZIP file that are examined."""
PIECE = 1 << 18
STALLED = 30.0
"""Seconds without a byte after which a server counts as unreachable."""
_AGENT = "antiphon"


class Origin(Protocol):
    """A source of files, by paths with `/` between the parts."""

    shown: str

    def names(self) -> list[str]:
        """Paths of the files; empty if they cannot be listed."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yields a file's content. Raises FileError: it cannot be read completely. Raises KeyError: there is none."""
        ...


class FolderOrigin:
    """Files below a folder; links are followed where they stay in it."""

    def __init__(self, folder: Path) -> None:
        self.shown, self._root = printable_path(folder), folder.resolve()

    def names(self) -> list[str]:
        found = []
        for path in self._root.rglob("*"):
            if path.is_file() and path.resolve().is_relative_to(self._root):
                found.append(path.relative_to(self._root).as_posix())
            if len(found) > MAX_ENTRIES:
                raise FileError(f"{self.shown} holds more than {MAX_ENTRIES} files; add a folder of it")
        return sorted(found)

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            path = (self._root / name).resolve()
            there = path.is_relative_to(self._root) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that no file has
            there = False
        if not there:
            raise KeyError(name)
        with path.open("rb") as file:
            yield from _read(file)


class ZipOrigin:
    """Files of a ZIP file; a single top-level folder is left out of their names."""

    def __init__(self, path: Path, shown: str = "") -> None:
        self.shown = shown or printable_path(path)
        try:
            self._zip = zipfile.ZipFile(path)
            entries = [one for one in self._zip.infolist() if not one.is_dir() and one.external_attr >> 28 != 10]
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise FileError(f"cannot read {self.shown} as a ZIP file: {error}") from None
        if len(entries) > MAX_ENTRIES:
            raise FileError(f"{self.shown} holds more than {MAX_ENTRIES} files")
        tops = {one.filename.split("/", 1)[0] for one in entries}
        inner = len(tops) == 1 and all("/" in one.filename for one in entries)
        self._entries = {one.filename.split("/", 1)[1] if inner else one.filename: one for one in entries}

    def names(self) -> list[str]:
        return sorted(self._entries)

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(self._entries[name]) as file:
                yield from _read(file)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError) as error:
            # a password, a checksum that differs, a method that is not known
            raise FileError(f"cannot read {name[:200]!r} of {self.shown}: {error}") from None


class WebOrigin:
    """Files at addresses relative to a base address; redirects to another host are refused."""

    def __init__(self, base: str) -> None:
        self.shown = self._base = base
        self._opener = urllib.request.build_opener(_SameHost)
        self._opener.addheaders = [("User-Agent", _AGENT)]

    def names(self) -> list[str]:
        return []

    def pieces(self, name: str) -> Iterator[bytes]:
        try:
            address = urljoin(self._base, quote(name, safe="/%:?&=+,;@!~*'()$-._"))
            same = urlsplit(address)[:2] == urlsplit(self._base)[:2]
        except ValueError as error:
            raise FileError(f"{self.shown} names {name[:200]!r}, which is no address: {error}") from None
        if not same:
            raise FileError(f"{self.shown} names {name[:200]!r}, on another server; a pack's sounds are on one")
        try:
            with self._opener.open(address, timeout=STALLED) as answer:
                promised, came = answer.headers.get("Content-Length"), 0
                for piece in _read(answer):
                    came += len(piece)
                    yield piece
                if promised is not None and came != int(promised):
                    raise FileError(f"{address} broke off after {came} of {promised} bytes; try again")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise KeyError(name) from None
            raise FileError(f"{address} answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            said = reason_of_os_error(reason) if isinstance(reason, OSError) else str(reason)
            raise FileError(f"cannot read {address}: {said}; nothing was added") from None


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise FileError(f"{req.full_url} leads to another server, {urlsplit(newurl).netloc[:100]}; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def read_whole(origin: Origin, name: str, most: int) -> bytes:
    """Content of a file. Raises FileError: it is unreadable, or over `most` bytes. Raises KeyError: it is missing."""
    content = bytearray()
    with contextlib.closing(origin.pieces(name)) as pieces:  # type: ignore[type-var]
        for piece in pieces:
            content += piece
            if len(content) > most:
                raise FileError(f"{name[:200]!r} of {origin.shown} has more than {most >> 20} MiB")
    return bytes(content)


def normalise_relative_path(text: str) -> str:
    """Normalises a relative path without `.`; returns "" for one that leads outside."""
    parts = [part for part in PurePosixPath(text).parts if part != "."]
    return "" if text.startswith("/") or ".." in parts or "\0" in text else "/".join(parts)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


LISTING = "strudel.json"
ARCHIVES = "https://codeload.github.com"
"""Server of repositories as ZIP files: /USER/REPO/zip/BRANCH."""
CONTENTS = "https://raw.githubusercontent.com"
"""Server of single files of repositories, as named in a `strudel.json`: /USER/REPO/BRANCH/FILE."""
MAX_LISTING, MAX_LICENCE = 8 << 20, 1 << 20
MAX_SOUND, MAX_PACK = 512 << 20, 4 << 30
"""Maximum bytes of a file and of a pack, counted while reading, as an archive's own sizes may be false."""
_REPOSITORY = re.compile(r"github:([A-Za-z0-9-]+)/([A-Za-z0-9._-]+)(?:/([A-Za-z0-9._/-]+?))?/?")
_LICENCE = re.compile(r"(_?(licen[cs]e|copying|notice|readme|_readme_and_license)[^/]*)", re.IGNORECASE)
_GUESSED = ("LICENSE", "LICENSE.md", "README.md")
"""Names of licence files to try if the files cannot be listed."""
_DOWNLOAD, _BEFORE, _TMP = ".download.", ".before ", ".tmp"
_SOUNDS = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3", b".snd", b"riff", b"caff")
Progress = Callable[[int, int], None]
"""Called with the number of files read, and of all."""


@dataclass(frozen=True, slots=True)
class Added:
    """Result of adding a pack. `passed`: files skipped because they are missing or not sounds."""

    folder: Path
    names: int
    sounds: int
    size: int
    passed: int
    licences: tuple[tuple[str, str], ...]  # names in the folder, and texts


def add(given: str, name: str = "", *, replace: bool = False, progress: Progress = lambda done, of: None) -> Added:
    """Adds a pack to the library, completely or not at all.

    `given`: a folder, a ZIP file, a `strudel.json` or its address, or `github:USER/REPO[/BRANCH]`. `name`: of the
    pack's folder; "" for the source's name. Raises FileError: it cannot be read, has no sound, or is too large; or the
    name exists and `replace` is False. Raises UsageError: it is not a source.
    """
    library = make_folder(library_folder())
    source = canonical_source(given)
    folder = path_inside(library, name or _name_of(source))
    old = _before(folder)
    with hold_lock(library / ".packs.lock", "another pack is being added; try again once it is there"):
        for left in library.glob(_before(library / "*").name):  # of a command that was killed
            with contextlib.suppress(OSError):
                _put_back(left, library / left.name.removeprefix(_BEFORE).removesuffix(_TMP))
        if folder.exists() and not (replace and (folder / PACK_MARK).is_file()):
            what = f"{spell('force')} replaces it" if (folder / PACK_MARK).is_file() else "it was not added as a pack"
            raise FileError(
                f"there is a folder {folder.name!r} in the library already: {what}; "
                f"choose another with {spell('name', 'NAME')}"
            )
        for left in library.glob(".*.tmp"):
            if TEMPORARY_NAME.fullmatch(left.name) and (left.is_dir() or left.name.startswith(_DOWNLOAD)):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        temporary = temporary_beside(folder)
        try:
            temporary.mkdir()
            with _open_source(source, library) as (origin, listing):
                added = _write_pack(source, origin, listing, temporary, progress)
            try:
                if folder.exists():
                    folder.rename(old)
                temporary.rename(folder)
            finally:
                _put_back(old, folder)
        except OSError as error:
            raise FileError(f"cannot add {given}: {reason_of_os_error(error)}; nothing was added") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Added(folder, *added)


def _before(folder: Path) -> Path:
    """Path to which a pack is moved while another replaces it."""
    return folder.with_name(f"{_BEFORE}{folder.name}{_TMP}")


def _put_back(old: Path, folder: Path) -> None:
    """Moves a pack back if its path is free; otherwise removes it."""
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        old.rename(folder)


def canonical_source(given: str) -> str:
    """Canonical form of a source: an absolute path, an address, or `github:user/repo` in lower case."""
    if given.startswith("github:"):
        found = _REPOSITORY.fullmatch(given)
        if found is None or ".." in given:
            raise UsageError(f"{given[:200]!r} is no repository; it takes github:USER/REPO or github:USER/REPO/BRANCH")
        user, repo, branch = found.groups()
        return f"github:{user}/{repo}" + (f"/{branch}" if branch else "")
    if "://" in given:
        if not given.startswith(("http://", "https://")) or not _path_of(given).endswith(".json"):
            raise UsageError(
                f"{given[:200]!r} is not the address of a {LISTING}; it begins with https:// and ends in .json"
            )
        return given
    path = Path(os.path.expanduser(given)).absolute()
    if not path.exists():
        raise FileError(f"there is no {given!r}; it takes a folder, a ZIP file, a {LISTING} or github:USER/REPO")
    return str(path)


def _name_of(source: str) -> str:
    parts = [part for part in re.split(r"[/\\]", _path_of(source) if "://" in source else source) if part]
    if not parts:
        raise UsageError(f"{source} has no name that a pack could have; {spell('name', 'NAME')} gives one")
    if source.startswith("github:"):
        return parts[1]
    if parts[-1].endswith(".json"):
        return parts[-2] if len(parts) > 1 else "pack"
    return parts[-1].removesuffix(".zip")


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # brackets that hold no address of a host
        return ""


@contextlib.contextmanager
def _open_source(source: str, library: Path) -> Iterator[tuple[Origin, dict[str, Any] | None]]:
    """Opens a source: its files, and its listing if it has one."""
    if source.startswith("github:"):
        user, repo, *branch = source.removeprefix("github:").split("/", 2)
        web = WebOrigin(f"{ARCHIVES}/{user}/{repo}/zip/")
        with tempfile.NamedTemporaryFile(dir=library, prefix=_DOWNLOAD, suffix=f".{os.getpid()}.tmp") as file:
            size = 0
            try:
                for piece in web.pieces(branch[0] if branch else "HEAD"):
                    size += len(piece)
                    _check_size(size, source)
                    file.write(piece)
            except KeyError:
                raise FileError(f"there is no repository {source}, or it is private") from None
            file.flush()
            origin: Origin = ZipOrigin(Path(file.name), source)
            yield origin, _listing(origin, LISTING)
    elif "://" in source:
        base, _, last = source.rpartition("/")
        web = WebOrigin(f"{base}/")
        listing = _listing(web, last)
        if listing is None:
            raise FileError(f"there is nothing at {source}")
        yield web, listing
    elif Path(source).is_dir() or source.endswith(".json"):
        path = Path(source)
        folder, file_name = (path, LISTING) if path.is_dir() else (path.parent, path.name)
        local = FolderOrigin(folder)
        yield local, _listing(local, file_name)
    else:
        archive = ZipOrigin(Path(source))
        yield archive, _listing(archive, LISTING)


def _listing(origin: Origin, name: str) -> dict[str, Any] | None:
    try:
        said = json.loads(read_whole(origin, name, MAX_LISTING))
    except KeyError:
        return None
    except (ValueError, RecursionError):
        raise FileError(f"{name} of {origin.shown} is no JSON") from None
    if not isinstance(said, dict):
        raise FileError(f"{name} of {origin.shown} is no list of sounds: it takes an object of names")
    return said


def _write_pack(
    source: str, origin: Origin, listing: dict[str, Any] | None, folder: Path, progress: Progress
) -> tuple[int, int, int, int, tuple[tuple[str, str], ...]]:
    """Writes a pack into a folder; returns the fields of `Added`."""
    names, given = origin.names(), origin
    if listing is None:
        rows = _group_by_folder(names)
    else:
        origin, rows = _files_of_listing(listing, origin, any(map(_is_sound, names)))
    count = sum(map(len, rows.values()))
    if count > MAX_FILES:
        raise FileError(f"{origin.shown} names {count} sounds, more than {MAX_FILES}; add a part of it")
    size = passed = done = sounds = 0
    for name, files in rows.items():
        target = path_inside(folder, name)
        for (_, path), file_name in zip(files, _file_names(files), strict=True):
            progress(done, count)
            done += 1
            written = _copy_sound(origin, path, path_inside(target, file_name), size)
            if written < 0:
                passed += 1
            else:
                size, sounds = size + written, sounds + 1
    if not sounds:
        raise FileError(f"there is no sound in {origin.shown}; a pack holds folders of {', '.join(SOUND_FORMATS)}")
    licences = _licences(given, names, folder) or (_licences(origin, (), folder) if origin is not given else ())
    base = str((listing or {}).get("_base", ""))
    repository = "github:" + "/".join(base.removeprefix(f"{CONTENTS}/").split("/")[:2])
    if base.startswith(f"{CONTENTS}/") and _REPOSITORY.fullmatch(repository):  # a copy of what the repository is
        source = repository
    mark = {"source": source, "licences": [name for name, _ in licences]}
    (folder / PACK_MARK).write_text(json.dumps(mark), "utf-8")
    return sum(1 for one in folder.iterdir() if one.is_dir()), sounds, size, passed, licences


_Rows = dict[str, list[tuple[str, str]]]
"""Files by sound name, each with the note at which it was recorded, or "", and its path."""


def _group_by_folder(names: Sequence[str]) -> _Rows:
    """Groups sounds by the folders that contain them; a loose file forms a sound of its own."""
    rows: _Rows = {}
    for name in names:
        path = PurePosixPath(name)
        if normalise_relative_path(name) and _is_sound(name) and not _is_hidden(path):
            rows.setdefault(path.parent.name or path.stem, []).append(("", name))
    return rows


def _is_sound(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SOUND_FORMATS


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _files_of_listing(listing: dict[str, Any], origin: Origin, holds: bool) -> tuple[Origin, _Rows]:
    """Files named by a listing, and their origin; the listing's `_base` is put before each path.

    `holds`: whether there are sounds beside the listing; they are those of the repository it names.
    """
    web = isinstance(origin, WebOrigin)
    base = listing.get("_base", "")
    if not isinstance(base, str):
        raise FileError(f"_base of {origin.shown} takes text")
    if base.startswith("github:"):
        place = base.removeprefix("github:").strip("/")
        base = f"{CONTENTS}/{place}/" if place.count("/") > 1 else f"{CONTENTS}/{place}/main/"
    if holds and not web and base.startswith(f"{CONTENTS}/"):
        base = "/".join((*base.removeprefix(CONTENTS).strip("/").split("/")[3:], ""))
    elif "://" in base and not web:
        if not base.startswith(("https://", f"{CONTENTS}/")):
            raise FileError(f"_base of {origin.shown} takes an address that begins with https://, not {base[:200]!r}")
        origin, base = WebOrigin(base if base.endswith("/") else f"{base}/"), ""
    rows: _Rows = {}
    for name, value in listing.items():
        if name == "_base" or name.startswith("_"):
            continue
        files = value if isinstance(value, dict) else {"": value}
        row = rows.setdefault(name, [])
        for note, paths in files.items():
            for path in [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else [None]:
                if not isinstance(path, str) or (
                    not isinstance(origin, WebOrigin) and not normalise_relative_path(base + path)
                ):
                    raise FileError(
                        f"{name[:80]!r} of {origin.shown} names {str(path)[:200]!r}, which is no file of it"
                    )
                row.append((note, base + path if "://" not in path else path))
    return origin, rows


def _file_names(files: Sequence[tuple[str, str]]) -> list[str]:
    """File names for a sound's folder that sort in the listed order, beginning with the note if there is one."""
    own = [re.sub(r"[^\w .#+-]", "_", unquote(PurePosixPath(path).name))[-80:].lstrip(".") for _, path in files]
    plain = own == sorted(set(own))
    return [
        f"{note[:8]} {place:03d} {name}" if note else name if plain else f"{place:04d} {name}"
        for place, ((note, _), name) in enumerate(zip(files, own, strict=True))
    ]


def _copy_sound(origin: Origin, path: str, target: Path, before: int) -> int:
    """Copies a sound, creating its folder; returns its bytes, -1 for no sound. `before`: the pack's bytes so far."""
    if target.suffix.lower() not in SOUND_FORMATS:
        return -1
    size = 0
    for spelled in dict.fromkeys((path, unquote(path))):
        try:
            pieces = origin.pieces(spelled)
            first = next(pieces, b"")
        except KeyError:
            continue
        if not (first.startswith(_SOUNDS) or (first[:1] == b"\xff" and target.suffix.lower() == ".mp3")):
            return -1
        target.parent.mkdir(exist_ok=True)
        with target.open("xb") as file:
            for piece in itertools.chain([first], pieces):
                size += len(piece)
                if size > MAX_SOUND:
                    raise FileError(f"{path[:200]!r} of {origin.shown} has more than {MAX_SOUND >> 20} MiB")
                _check_size(before + size, origin.shown)
                file.write(piece)
        return size
    return -1


def _check_size(size: int, shown: str) -> None:
    if size > MAX_PACK:
        raise FileError(f"{shown} has more than {MAX_PACK >> 30} GiB; add a part of it")


def _licences(origin: Origin, names: Sequence[str], folder: Path) -> tuple[tuple[str, str], ...]:
    """Copies licences and notes on them: those at the top, and those in folders, which are named after the folders."""
    found = []
    wanted = [n for n in names if _LICENCE.fullmatch(PurePosixPath(n).name) and not _is_sound(n)]
    for name in wanted[:256] or _GUESSED:
        try:
            text = read_whole(origin, name, MAX_LICENCE).decode("utf-8", "replace")
        except KeyError:
            continue
        except FileError:
            if wanted:
                raise
            continue  # what answers is a page, or refuses
        kept = re.sub(r"[^\w .-]", "_", name.replace("/", " "))[-100:].lstrip(".")
        (folder / kept).write_text(text, "utf-8")
        found.append((kept, text))
    # licences before notes, the top's before those of folders
    return tuple(sorted(found, key=lambda one: ("readme" in one[0].lower(), " " in one[0], one[0])))
