"""The shapes of processors by their inputs and outputs, and the template files of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")
"""`init.py.txt` and `card.md.txt` for all; a folder a shape with `processor.py.txt` and `test.py.txt`.

In them NAME and CLASS stand for the plugin's own, SHAPED for the shape's doc, KIND for its name and FILES for its
files: words, so that each is Python as it stands.
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
