"""Set lists: patches in their order, and the MIDI controllers that step through them. TOML, data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import tomli_w

from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch as patches, patch_list
from antiphon.kernel.graph.patch_reader import is_control
from antiphon.kernel.graph.toml_location import line_of
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.suggestion import instead

FOLDER = patch_list.SETS
"""Name of the subfolder of set lists in a folder of patches."""
FORMAT = 1
KEYS = ("format", "name", "patches", "fade", "midi")
STEPS = {"next": 1, "previous": -1}
MAX_PATCHES = 256
MAX_FADE = 60.0


@dataclass(frozen=True, slots=True)
class SetList:
    """A set list as data.

    Attributes:
        file: The name it is loaded by.
        name: The name that is shown.
        patches: Names of patches, in order, 1 to `MAX_PATCHES`.
        fade: Seconds of crossfade from one patch to the next, 0 to `MAX_FADE`.
        midi: From a controller ("cc 66", with a channel "cc 66 2") to a key of `STEPS`.
    """

    file: str
    name: str
    patches: tuple[str, ...]
    fade: float = 0.05
    midi: Mapping[str, str] = field(default_factory=dict)


def parse(text: str, source: str) -> SetList:
    """Parses a set list of TOML; `source` is the file's name, for messages.

    Raises:
        PatchError: It is not valid; the message has the file, the line, the key and what is allowed.
    """
    data = patches.parse_toml(text, source)
    reader = _Reader(text, source)
    reader.keys(data)
    stem = Path(source).stem
    return SetList(stem, reader.name(data, stem), reader.patches(data), reader.fade(data), reader.midi(data))


def dump(sets: SetList) -> str:
    """The set list as TOML, which parses to the same set list."""
    document: dict[str, Any] = {"format": FORMAT, "name": sets.name, "patches": list(sets.patches), "fade": sets.fade}
    if sets.midi:
        document["midi"] = dict(sets.midi)
    return tomli_w.dumps(document)


def save(sets: SetList) -> None:
    """Writes a set list into the performer's folder as its `file`; an existing one is kept as NAME~.

    Raises:
        PatchError: The name is not allowed, or the set list is not valid; nothing was written.
        FileError: The folder cannot be written.
    """
    path = paths.inside(paths.make_folder(paths.patches() / FOLDER), sets.file, patches.SUFFIX, PatchError)
    text = dump(sets)
    parse(text, path.name)
    if path.is_file() and (before := patches.read_text(path)) != text:
        kept = path.with_name(f"{path.stem}{patch_list.PREVIOUS}{patches.SUFFIX}")
        paths.write_atomic(kept, before.encode())
    paths.write_atomic(path, text.encode())


def load(name: str) -> SetList:
    """Set list of that name, the performer's own before a built-in one; `PatchError` if there is none."""
    for folder in _folders():
        path = paths.inside(folder, name, patches.SUFFIX, PatchError)
        if path.is_file():
            return parse(patches.read_text(path), path.name)
    raise PatchError(f"there is no set {name!r}{instead(name, patch_list.names_beside(FOLDER))}")


def names() -> list[str]:
    """The names of all set lists, the performer's own and the built-in ones, sorted."""
    return patch_list.names(FOLDER)


def _folders() -> tuple[Path, Path]:
    return paths.patches() / FOLDER, resources.patches() / FOLDER


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source

    def fail(self, path: tuple[str, ...], what: str) -> NoReturn:
        key = f", {'.'.join(path)[:60]!r}" if path else ""
        raise PatchError(f"{self._source}, line {line_of(self._text, path)}{key}: {what}")

    def keys(self, data: Mapping[str, Any]) -> None:
        if data.get("format") != FORMAT or isinstance(data.get("format"), bool):
            where = ("format",) if "format" in data else ()
            self.fail(where, f"the format is missing or unknown; write format = {FORMAT} at the top of the file")
        for key in data:
            if key not in KEYS:
                self.fail((key,), f"is not a key of a set{instead(key, KEYS, 'the keys are')}")

    def name(self, data: Mapping[str, Any], stem: str) -> str:
        name = data.get("name", stem)
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable():
            self.fail(("name",), "takes one line of text, 1 to 200 characters")
        return name

    def patches(self, data: Mapping[str, Any]) -> tuple[str, ...]:
        asked = data.get("patches")
        if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_PATCHES:
            where = ("patches",) if "patches" in data else ()
            self.fail(where, f'patches takes a list of 1 to {MAX_PATCHES} names, for example ["voice", "keys"]')
        for name in asked:
            if not isinstance(name, str):
                self.fail(("patches",), f"takes names of patches, not {name!r:.40}")
            try:
                patches.find(name)
            except PatchError as error:
                self.fail(("patches",), str(error)[:400])
        return tuple(asked)

    def fade(self, data: Mapping[str, Any]) -> float:
        fade = data.get("fade", 0.05)
        number = not isinstance(fade, bool) and isinstance(fade, int | float)
        if not number or not 0.0 <= fade <= MAX_FADE:
            shown = f", not {fade:g}" if number and abs(fade) < 1e9 else ""
            self.fail(("fade",), f"takes 0 to {MAX_FADE:g} s{shown}")
        return float(fade)

    def midi(self, data: Mapping[str, Any]) -> dict[str, str]:
        table = data.get("midi", {})
        if not isinstance(table, dict):
            self.fail(("midi",), "takes a table, [midi]")
        for control, step in table.items():
            if not is_control(control):
                self.fail(("midi", control), 'is not a control; "cc 0" to "cc 127" are, with a channel 1 to 16 behind')
            if not isinstance(step, str) or step not in STEPS:
                self.fail(("midi", control), f"takes {' or '.join(STEPS)}")
        return dict(table)
