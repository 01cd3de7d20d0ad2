"""Reads SFZ instruments before sfizz loads them: text, included files, and named sounds.

The format is that of https://sfzformat.com: headers in <>, opcodes as NAME=VALUE, `#include` and `#define`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from antiphon.api import FileError
from antiphon.api.backends.files import (
    library_folder,
    notice,
    printable_path,
    read_ordinary,
    reading_file,
    reason_of_os_error,
)

SUFFIX = ".sfz"
MAX_BYTES, MAX_FILES, MAX_LINE, MAX_NAME = 8 << 20, 512, 8192, 100
"""Maximum bytes of an instrument's text with its includes, maximum files of that text, and maximum characters of a line
and of a variable's name."""
UP = 2
"""Levels above the instrument's folder that may contain its sounds; in the library, any of its folders may."""
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)|//[^\n]*", re.DOTALL)
# as sfizz ends a value, and each run of blanks looked at once
_WORD = re.compile(
    r'#include[ \t]*+"(?P<include>[^"\n]*)"'
    r"|#define[ \t]*+\$(?P<name>\w+)[ \t]*+(?P<text>\S*)"
    r"|(?P<header><\w+>)"
    r"|(?<![\w$])(?P<opcode>sample|default_path|base64data|\w*\$[\w$]*)=(?P<value>[^\n]*?)"
    r"(?=(?<![ \t])(?:[ \t]++(?:\w[\w$]*+=|#(?:include|define)\b)|[ \t]*+(?:<|$)))",
    re.MULTILINE | re.ASCII,
)
_INCLUDE = re.compile(r'#include[ \t]*"')
_VARIABLE = re.compile(r"\$(\w*)", re.ASCII)
_OPCODE = re.compile(r"\w+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SfzFile:
    """Text of an instrument with its includes and absolute paths, its existing sounds, and the names of missing files.

    sfizz gets this text and so opens nothing else: no include is left, and no variable names an opcode or a file.
    """

    text: str
    sounds: tuple[Path, ...]
    missing: tuple[str, ...] = ()


def find_folder_instrument(folder: Path) -> Path:
    """The instrument of a folder: its only one, or the one of its name. Raises FileError: it has none, or several."""
    try:
        found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == SUFFIX]
    except OSError as error:
        raise FileError(f"cannot read the folder {printable_path(folder)}: {reason_of_os_error(error)}") from None
    named = [path for path in found if path.stem.lower() == folder.name.lower()]
    if len(found) != 1 and len(named) != 1:
        what = f"{len(found)} instruments, as {printable_path(found[0].name)}" if found else "no instrument"
        raise FileError(
            f"the folder {printable_path(folder.name)} has {what}; file takes a folder with one {SUFFIX}, "
            "or with one of the folder's name"
        )
    return found[0] if len(found) == 1 else named[0]


def read_sfz(path: Path) -> SfzFile:
    """Reads an instrument's text and finds its sounds; sfizz checks their content.

    Raises FileError: a text cannot be read or is too large, a sound is outside the instrument's folders, or all sounds
    are missing. Single missing sounds are not played.
    """
    name = printable_path(path)
    reader = _Reader(path.absolute())
    text = reader.read()
    if not reader.there and not reader.computed:
        missing = reader.missing
        what = f"none of its {len(missing)} sounds is there, as {missing[0]!r}" if missing else "it names no sound"
        raise FileError(f"{name} plays nothing: {what}; keep an instrument and its sounds in the folders they came in")
    return SfzFile(text, tuple(reader.there), tuple(dict.fromkeys([*reader.missing, *reader.absent])))


def check_instrument(path: Path) -> None:
    """Reads an instrument, as `read_sfz` does, and notices the files that it lacks."""
    with reading_file("an SFZ instrument", path):
        for name in read_sfz(path).missing:
            notice("missing file", place=name)


class _Names:
    """Finds files regardless of case, because instruments come from case-insensitive systems."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, str]] = {}

    def find(self, path: Path) -> Path | None:
        """The file in its actual spelling; None if there is no readable one."""
        try:
            return self._spelled(path)
        except OSError:  # a name that is too long, a folder that is another's
            return None

    def _spelled(self, path: Path) -> Path | None:
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
        self._left, self._files, self._prefix, self._control = MAX_BYTES, 0, "", False
        self._shown = printable_path(path)
        self._defined: dict[str, str] = {}
        self.there: dict[Path, None] = {}
        self.missing: list[str] = []  # sounds
        self.absent: list[str] = []  # texts
        self.computed = False  # a sine, noise: what sfizz plays without a file

    def read(self) -> str:
        """Reads the whole text."""
        made = ["<control> \n"]
        waiting = [self._opened(self._path)]
        while waiting:
            text, at, words = waiting.pop()
            for match in words:
                made += text[at : match.start()], "\n"  # what is obeyed here must not be part of a value to sfizz
                at = match.end()
                if match["include"] is not None:
                    named = self._expand_variables(match["include"])
                    file = self._names.find(self._inside(named))
                    if file is None:
                        self.absent.append(named)
                    else:
                        waiting += (text, at, words), self._opened(file)
                        break
                elif match["name"]:
                    made.append(self._definition(match["name"], match["text"]))
                elif match["header"]:
                    made.append(match["header"])
                    self._control = match["header"] == "<control>"
                    if self._control:  # without a path of its own it has none
                        self._prefix = ""
                else:
                    made.append(self._convert_opcode(self._expand_variables(match["opcode"]), match["value"]))
            else:
                made.append(text[at:] + "\n")
        whole = "".join(made)
        if _INCLUDE.search(whole):
            raise FileError(f"{self._shown} has an #include within a value; write it in a line of its own")
        return whole

    def _definition(self, name: str, raw: str) -> str:
        """A variable's definition for sfizz, with variables expanded, as one that names itself would loop for ever."""
        text = self._expand_variables(raw)
        known = all(map(self._variable_of, _VARIABLE.findall(raw)))
        if not known or "//" in text or "/*" in text or len(name) > MAX_NAME:
            raise FileError(
                f"{self._shown} defines ${name[:80]} as {raw[:200]!r}; a variable takes a name of up to {MAX_NAME} "
                "letters, and text without comments, with variables that are defined before it"
            )
        self._defined[name] = text
        return f"#define ${name} {text}\n"

    def _convert_opcode(self, name: str, raw: str) -> str:
        """An opcode for sfizz; a sound gets its absolute path."""
        if not _OPCODE.fullmatch(name) or name == "base64data":
            raise FileError(
                f"{self._shown} has the opcode {name[:80]!r}; it takes names of letters, and sounds as files"
            )
        if name not in ("sample", "default_path"):
            return f"{name}={raw}"
        value = self._expand_variables(raw).strip()
        if name == "default_path":
            self._inside(value)
            if self._control:  # elsewhere sfizz does not obey it
                self._prefix = value
            return ""
        if value.startswith("*"):
            self.computed = True
        elif value:
            value = str(self._sound(self._prefix + value))
        made = f"sample={value}"
        found = _WORD.match(made)
        if found is None or found.end() != len(made) or any(each in value for each in ("$", "\r", "//", "/*")):
            raise FileError(
                f"{self._shown} names {value[:200]!r}, a path that no instrument can name; rename its files"
            )
        return made

    def _sound(self, named: str) -> Path:
        path = self._inside(named)
        file = self._names.find(path)
        if file is not None:
            self.there[file] = None
        else:
            self.missing.append(named)
        return file or path

    def _opened(self, file: Path) -> tuple[str, int, Iterator[re.Match[str]]]:
        self._files += 1
        if self._files > MAX_FILES:
            raise FileError(f"{self._shown} includes more than {MAX_FILES} files, or itself")
        content = read_ordinary(file, self._left, f"the text of an instrument, of {MAX_BYTES >> 20} MiB in all,")
        self._left -= len(content)
        text = _COMMENT.sub("", content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))
        if any(len(line) > MAX_LINE for line in text.split("\n")):
            raise FileError(f"{printable_path(file)} is no instrument: it has a line of over {MAX_LINE} characters")
        return text, 0, _WORD.finditer(text)

    def _variable_of(self, name: str) -> str:
        """The variable that sfizz takes for the letters after a `$`: the shortest; "" for none."""
        return next((name[:n] for n in range(1, min(len(name), MAX_NAME) + 1) if name[:n] in self._defined), "")

    def _expand_variables(self, text: str) -> str:
        """The text with its known variables expanded. Raises FileError: it is too long."""
        if "$" not in text:
            return text

        def put(match: re.Match[str]) -> str:
            known = self._variable_of(match[1])
            return self._defined[known] + match[1][len(known) :] if known else ""

        size = sum(len(self._defined.get(self._variable_of(name), "")) for name in _VARIABLE.findall(text)) + len(text)
        self._left -= size
        if size > MAX_LINE or self._left < 0:
            raise FileError(
                f"{self._shown} is no instrument: its variables make a line of over {MAX_LINE} characters, "
                f"or over {MAX_BYTES >> 20} MiB in all"
            )
        return _VARIABLE.sub(put, text)

    def _inside(self, named: str) -> Path:
        """Path of a file named by the instrument. Raises FileError: it is outside its folders."""
        plain = PurePosixPath(named.replace("\\", "/"))
        drive = ":" in named[:2]
        found = self._path.parent
        if not drive and "\0" not in named and not plain.is_absolute():
            try:
                found = (found / plain).resolve()
            except (OSError, RuntimeError):  # too long, or links in a ring
                found = Path("/")
            if found.is_relative_to(self._root):
                return found
        raise FileError(
            f"{self._shown} names {named[:200]!r}, outside of its folders; an instrument may name files "
            f"of its folder and of the {UP} above, or of your library"
        )
