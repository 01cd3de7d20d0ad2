"""SFZ instruments, read before sfizz loads one: the text, the files that it includes, the sounds that it names.

The format is that of https://sfzformat.com: headers in <>, opcodes as NAME=VALUE, `#include` and `#define`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from antiphon.api import FileError
from antiphon.api.backends.files import library_folder, printable_path, read_ordinary

SUFFIX = ".sfz"
MAX_BYTES, MAX_FILES, MAX_LINE = 8 << 20, 512, 8192
"""Maximum bytes of an instrument's text with what it includes, files of that text, and characters of a line."""
UP = 2
"""Folders above that of the instrument which may hold its sounds; in the library, any folder of the library may."""
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_WORD = re.compile(
    r'#include\s+"(?P<include>[^"\n]+)"'
    r"|#define\s+\$(?P<name>\w+)\s+(?P<text>\S+)"
    r"|(?P<control><control>)"
    r"|(?<![\w$])(?P<opcode>sample|default_path)=(?P<value>[^\n]*?)(?=\s+[\w$]+=|\s*<|[^\S\n]*$)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class SfzFile:
    """Text of an instrument with what it includes, its paths made absolute, and the sounds of it that are there."""

    text: str
    sounds: tuple[Path, ...]


def in_folder(folder: Path) -> Path:
    """The instrument of a folder: its only one, or the one of its name. Raises FileError: it has none, or several."""
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == SUFFIX]
    named = [path for path in found if path.stem.lower() == folder.name.lower()]
    if len(found) != 1 and len(named) != 1:
        what = f"{len(found)} instruments, as {printable_path(found[0].name)}" if found else "no instrument"
        raise FileError(
            f"the folder {printable_path(folder.name)} has {what}; file takes a folder with one {SUFFIX}, "
            "or with one of the folder's name"
        )
    return found[0] if len(found) == 1 else named[0]


def read_sfz(path: Path) -> SfzFile:
    """Reads an instrument's text and finds its sounds; their content is left to sfizz.

    Raises FileError: a text cannot be read or is too large, a sound is outside of the instrument's folders, or not
    one of them is there. Single sounds that are missing are not played.
    """
    name = printable_path(path)
    reader = _Reader(path.absolute())
    text = reader.read()
    if not reader.there and not reader.computed:
        missing = reader.missing
        what = f"none of its {len(missing)} sounds is there, as {missing[0]!r}" if missing else "it names no sound"
        raise FileError(f"{name} plays nothing: {what}; keep an instrument and its sounds in the folders they came in")
    return SfzFile(text, tuple(reader.there))


class _Names:
    """Files by any spelling of their letters, since instruments come from systems that tell no case."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}

    def find(self, path: Path) -> Path | None:
        """The file as it is spelled; None if there is none."""
        if path.is_file():
            return path
        at = Path(path.anchor)
        for part in path.parts[1:]:
            if not (at / part).exists():
                if at not in self._folders:
                    self._folders[at] = {one.name.lower(): one.name for one in at.iterdir()} if at.is_dir() else {}
                part = self._folders[at].get(part.lower(), "")
                if not part:
                    return None
            at /= part
        return at if at.is_file() else None


def _root(path: Path) -> Path:
    folder, library = path.parent.resolve(), library_folder().resolve()
    if folder.is_relative_to(library):
        return library
    return folder.parents[min(UP, len(folder.parents)) - 1] if folder.parents else folder


class _Reader:
    """Reads one instrument."""

    def __init__(self, path: Path) -> None:
        self._path, self._root, self._names = path, _root(path), _Names()
        self._left, self._files, self._prefix = MAX_BYTES, 0, ""
        self._defined: dict[str, str] = {}
        self.there: dict[Path, None] = {}
        self.missing: list[str] = []
        self.computed = False  # a sine, noise: what sfizz plays without a file

    def read(self) -> str:
        """The whole text."""
        head = f"<control> default_path={self._path.parent}/\n"
        made = [head]
        waiting = [self._opened(self._path)]
        while waiting:
            text, at, words = waiting.pop()
            for match in words:
                made.append(text[at : match.start()])
                at = match.end()
                if match["include"]:
                    file = self._names.find(self._inside(self._filled(match["include"])))
                    if file is not None:
                        waiting += (text, at, words), self._opened(file)
                        break
                    continue
                made.append(match[0])
                value = self._filled((match["value"] or "").strip())
                if match["control"]:  # without a path of its own it has none
                    made[-1], self._prefix = head, ""
                elif match["name"]:
                    self._defined[match["name"]] = match["text"]
                elif match["opcode"] == "default_path":
                    made[-1] = f"default_path={self._path.parent}/{match['value'].strip()}"
                    self._inside(value)
                    self._prefix = value
                elif value.startswith("*"):
                    self.computed = True
                elif value:
                    self._sound(self._prefix + value)
            else:
                made.append(text[at:] + "\n")
        return "".join(made)

    def _sound(self, named: str) -> None:
        file = self._names.find(self._inside(named))
        if file is not None:
            self.there[file] = None
        else:
            self.missing.append(named)

    def _opened(self, file: Path) -> tuple[str, int, Iterator[re.Match[str]]]:
        self._files += 1
        if self._files > MAX_FILES:
            raise FileError(f"{printable_path(self._path)} includes more than {MAX_FILES} files, or itself")
        content = read_ordinary(file, self._left, f"the text of an instrument, of {MAX_BYTES >> 20} MiB in all,")
        self._left -= len(content)
        text = _COMMENT.sub("", content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
        if any(len(line) > MAX_LINE for line in text.split("\n")):
            raise FileError(f"{printable_path(file)} is no instrument: it has a line of over {MAX_LINE} characters")
        return text, 0, _WORD.finditer(text)

    def _filled(self, text: str) -> str:
        for key in sorted(self._defined, key=len, reverse=True):
            text = text.replace(f"${key}", self._defined[key])
        return text

    def _inside(self, named: str) -> Path:
        """Path of what the instrument names. Raises FileError: it is outside of its folders."""
        plain = PurePosixPath(named.replace("\\", "/"))
        drive = ":" in named[:2]
        found = self._path.parent
        if not drive and "\0" not in named and not plain.is_absolute():
            found = (found / plain).resolve()
            if found.is_relative_to(self._root):
                return found
        raise FileError(
            f"{printable_path(self._path)} names {named[:200]!r}, outside of its folders; an instrument may name files "
            f"of its folder and of the {UP} above, or of your library"
        )
