"""Set lists: patches in order, and the MIDI controllers that step through them. TOML, data only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.names import PREVIOUS, SUFFIX
from antiphon.kernel.graph.patch_reader import Line, check_single_line, is_midi_controller
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.toml_location import place_of
from antiphon.kernel.runtime.typed import Misfit, convert
from antiphon.operations import patch_list

FOLDER = patch_list.SETS
"""Name of the subfolder of set lists in a folder of patches."""
FORMAT = 1
STEPS = {"next": 1, "previous": -1}
MAX_PATCHES = 256
MAX_FADE = 60.0


class SetFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The TOML of a set list."""

    format: Annotated[Literal[1], Meta(description=f"{FORMAT}, at the top of the file")]
    name: Line | None = None
    patches: Annotated[
        list[str],
        Meta(min_length=1, max_length=MAX_PATCHES, description=f'1 to {MAX_PATCHES} names, as in ["voice", "keys"]'),
    ]
    fade: Annotated[float, Meta(ge=0.0, le=MAX_FADE, description=f"0 to {MAX_FADE:g} s")] = 0.05
    midi: Annotated[dict[str, Any], Meta(description="a table, [midi]")] = {}


@dataclass(frozen=True, slots=True)
class SetList:
    """A set list as data. `midi`: from a controller ("cc 66", with a channel "cc 66 2") to a key of `STEPS`."""

    file: str
    name: str
    patches: tuple[str, ...]  # names of patches, in order, 1 to `MAX_PATCHES`
    fade: float = 0.05  # seconds of crossfade from one patch to the next, 0 to `MAX_FADE`
    midi: Mapping[str, str] = field(default_factory=dict)


def parse(text: str, source: str) -> SetList:
    """Parses a set list of TOML; `source` is the file's name, for messages."""
    data = patches.parse_toml(text, source)
    stem = Path(source).stem
    try:
        file = convert(data, SetFile, "a set")
        name = check_single_line("name", stem if file.name is None else file.name, 1, 200)
        return SetList(stem, name, _check_patch_names(file.patches), file.fade, _pedals(file.midi))
    except Misfit as misfit:
        raise PatchError(f"{place_of(source, text, misfit.path)}: {misfit.what}") from None


def dump(sets: SetList) -> str:
    """The set list as TOML, which parses to the same set list."""
    document: dict[str, Any] = {"format": FORMAT, "name": sets.name, "patches": list(sets.patches), "fade": sets.fade}
    if sets.midi:
        document["midi"] = dict(sets.midi)
    return tomli_w.dumps(document)


def save(sets: SetList) -> None:
    """Saves a set list for the performer; an existing file is kept as NAME~. `FileError` if it cannot be written."""
    path = paths.path_inside(paths.make_folder(paths.patches() / FOLDER), sets.file, SUFFIX, PatchError)
    text = dump(sets)
    parse(text, path.name)
    if path.is_file() and (before := patches.read_text(path)) != text:
        kept = path.with_name(f"{path.stem}{PREVIOUS}{SUFFIX}")
        paths.write_atomic(kept, before.encode())
    paths.write_atomic(path, text.encode())


def load(name: str) -> SetList:
    """Loads the set list of that name, the performer's own before a built-in one; `PatchError` if there is none."""
    for folder in (paths.patches() / FOLDER, resources.patches() / FOLDER):
        path = paths.path_inside(folder, name, SUFFIX, PatchError)
        if path.is_file():
            return parse(patches.read_text(path), path.name)
    raise PatchError(f"there is no set {name!r}{instead(name, patches.stems(FOLDER))}")


def names() -> list[str]:
    """The names of all set lists, the performer's own and the built-in ones, sorted."""
    return patch_list.names(FOLDER)


def _check_patch_names(asked: Sequence[str]) -> tuple[str, ...]:
    for name in asked:
        try:
            patches.find(name)
        except PatchError as error:
            raise Misfit(("patches",), str(error)[:400]) from None
    return tuple(asked)


def _pedals(table: Mapping[str, Any]) -> dict[str, str]:
    for control, step in table.items():
        if not is_midi_controller(control):
            raise Misfit(("midi", control), 'is not a control; "cc 0" to "cc 127" are, with a channel 1 to 16 behind')
        if not isinstance(step, str) or step not in STEPS:
            raise Misfit(("midi", control), f"takes {' or '.join(STEPS)}")
    return dict(table)
