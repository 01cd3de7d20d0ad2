"""`antiphon new-plugin`: writes a working plugin as a template, one for each shape of processor."""

import keyword
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from antiphon.kernel.errors import FileError, UsageError
from antiphon.kernel.runtime.suggestion import instead

TEMPLATES = Path(__file__).with_name("templates")
"""`init.py.txt` and `card.md.txt` for all shapes; a folder per shape with `processor.py.txt` and `test.py.txt`.

In them NAME and CLASS stand for the plugin's own, SHAPED for the shape's doc, KIND for its name and FILES for its
files: identifiers, so that each template is valid Python.
"""


@dataclass(frozen=True, slots=True)
class PluginShape:
    """A shape of processor.

    `doc`: description of the processor; `files`: the operands of `antiphon run` after its name.
    """

    name: str
    doc: str
    files: str = "IN.wav OUT.wav"

    def templates(self) -> dict[str, str]:
        """The text of each template by its path in a plugin's folder; NAME is replaced by the plugin's name."""
        places = {
            "__init__.py": "init.py.txt",
            "processor.py": f"{self.name}/processor.py.txt",
            "tests/test_NAME.py": f"{self.name}/test.py.txt",
            "README.md": "card.md.txt",
        }
        return {path: (TEMPLATES / place).read_text("utf-8") for path, place in places.items()}


SHAPES = {
    shape.name: shape
    for shape in (
        PluginShape("sound-sound", "Multiplies its sound."),
        PluginShape("sound-notes", "Plays a note while its sound is loud.", "IN.wav OUT.mid"),
        PluginShape("notes-notes", "Adds a note to each.", "IN.mid OUT.mid"),
        PluginShape("library-sound", "Plays a file on the clock.", "IN.wav OUT.wav -p sound=FILE.wav"),
        PluginShape("sound-reference", "Becomes as loud as another sound.", "IN.wav OUT.wav -p reference=FILE.wav"),
    )
}


MAX_NAME_LETTERS = 41
NAME = re.compile(rf"[a-z][a-z0-9_]{{1,{MAX_NAME_LETTERS - 1}}}")


def write(name: str, kind: str, folder: Path, taken: Collection[str] = ()) -> Path:
    """Writes a new plugin, and returns its folder.

    A name has 2 to `MAX_NAME_LETTERS` lower-case letters, digits and _, with a letter first; `kind` is a key of
    `SHAPES`; `taken` are names of existing processors and plugins. Raises UsageError: name or shape is invalid, or the
    name is in use. Raises FileError: a file cannot be written.
    """
    if keyword.iskeyword(name):
        raise UsageError(f"{name!r} is a word of Python's and not a name for a plugin; choose another name")
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name for a plugin: 2 to {MAX_NAME_LETTERS} small letters, digits and _, a letter first"
        )
    if kind not in SHAPES:
        raise UsageError(f"there is no --shape {kind!r}{instead(kind, SHAPES)}")
    place = folder / name
    if name in taken:
        raise UsageError(f"there is a processor or plugin named {name!r} already; choose another name")
    if place.exists():
        raise UsageError(f"{place} is there already; choose another name")
    part = folder / f".{name}.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "tests").mkdir(parents=True)
        for path, text in files(name, SHAPES[kind]).items():
            (part / path).write_text(text, "utf-8")
        part.rename(place)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FileError(f"the plugin cannot be written into {folder}: {error.strerror}") from None
    return place


def files(name: str, shape: PluginShape) -> dict[str, str]:
    """The text of each file by its path in the plugin's folder."""
    words = {
        "NAME": name,
        "CLASS": "".join(part.capitalize() for part in name.split("_") if part),
        "SHAPED": shape.doc.rstrip("."),
        "KIND": shape.name,
        "FILES": shape.files,
    }
    texts = {}
    for path, text in shape.templates().items():
        for word, meant in words.items():
            text = re.sub(rf"\b{word}\b", meant, text)
        texts[path.replace("NAME", name)] = text
    return texts
