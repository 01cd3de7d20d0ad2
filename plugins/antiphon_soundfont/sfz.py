"""Checks of an SFZ instrument before sfizz loads it: its text, the files it includes, the sounds it names.

The format is that of https://sfzformat.com: headers in <>, opcodes as NAME=VALUE, `#include` and `#define`.
"""

import re
from collections.abc import Iterator
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
    r"|(?<![\w$])(?P<opcode>sample|default_path)=(?P<value>[^\n]*?)(?=\s+[\w$]+=|\s*<|[^\S\n]*$)",
    re.MULTILINE,
)


def check_sfz(path: Path) -> None:
    """Checks an instrument's text and where its sounds are; their content is left to sfizz.

    Raises FileError: a text cannot be read or is too large, a sound is outside of the instrument's folders, or not
    one of them is there. Single sounds that are missing are not played.
    """
    name, root = printable_path(path), _root(path)
    names = _Names()
    missing, there, first = 0, False, ""
    for sound in _sounds(path, root, names):
        if sound.startswith("*") or names.find(_inside(path, sound, root)):  # a sine, noise: what sfizz computes
            there = True
        else:
            missing, first = missing + 1, first or sound
    if not there:
        what = f"none of its {missing} sounds is there, as {first!r}" if missing else "it names no sound"
        raise FileError(f"{name} plays nothing: {what}; keep an instrument and its sounds in the folders they came in")


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


def _inside(path: Path, named: str, root: Path) -> Path:
    """Path of what an instrument names. Raises FileError: it is outside of `root`."""
    plain = PurePosixPath(named.replace("\\", "/"))
    found = (path.parent / plain).resolve()
    if plain.is_absolute() or ":" in plain.parts[0:1] or "\0" in named or not found.is_relative_to(root):
        raise FileError(
            f"{printable_path(path)} names {named[:200]!r}, outside of its folders; an instrument may name files of "
            f"its folder and of the {UP} above, or of your library"
        )
    return found


def _sounds(path: Path, root: Path, names: _Names) -> Iterator[str]:
    """Values of `sample`, each behind its `default_path`."""
    left, files, prefix = MAX_BYTES, 0, ""
    defined: dict[str, str] = {}
    waiting: list[Iterator[re.Match[str]]] = []

    def opened(file: Path) -> Iterator[re.Match[str]]:
        nonlocal left, files
        files += 1
        if files > MAX_FILES:
            raise FileError(f"{printable_path(path)} includes more than {MAX_FILES} files, or itself")
        content = read_ordinary(file, left, f"the text of an instrument, of {MAX_BYTES >> 20} MiB in all,")
        left -= len(content)
        text = _COMMENT.sub("", content.decode("utf-8", "replace").replace("\r", "\n"))
        if any(len(line) > MAX_LINE for line in text.split("\n")):
            raise FileError(f"{printable_path(file)} is no instrument: it has a line of over {MAX_LINE} characters")
        return _WORD.finditer(text)

    def filled(text: str) -> str:
        for key in sorted(defined, key=len, reverse=True):
            text = text.replace(f"${key}", defined[key])
        return text

    waiting.append(opened(path))
    while waiting:
        match = next(waiting[-1], None)
        if match is None:
            waiting.pop()
        elif match["include"]:
            file = names.find(_inside(path, filled(match["include"]), root))
            if file is not None:
                waiting.append(opened(file))
        elif match["name"]:
            defined[match["name"]] = match["text"]
        elif match["opcode"] == "default_path":
            prefix = filled(match["value"].strip())
        elif value := filled(match["value"].strip()):
            yield value if value.startswith("*") else prefix + value
