"""Reads and writes patches: TOML files of data only. An invalid one is refused as a whole, with file, line and key."""

import contextlib
import os
import re
import tomllib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import tomli_w
from msgspec import to_builtins

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.clips import PatchClip
from antiphon.kernel.graph.graph import IN, OUT, End, Graph
from antiphon.kernel.graph.macros import macros_to_json
from antiphon.kernel.graph.names import OPTIONAL_KEY, PREVIOUS, SUFFIX
from antiphon.kernel.graph.patch_reader import PatchReader, check_single_line, named_nodes
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.toml_location import guard, place_of
from antiphon.kernel.runtime.typed import Misfit

FORMAT = 1
MAX_SIZE = 1 << 18
"""Most bytes of a patch: more than the largest valid patch needs, and parsed in well under a second."""
MAX_READ = 300
"""Most files that are read for the names in an error; beyond it, every file is named."""
MAX_HEAD = 4096
_UNLISTED = re.compile(rb"^listed *= *false", re.MULTILINE)
_LONG = re.compile(r"[0-9_]{4000,}")
"""A number with more digits than Python converts."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that was read.

    `scenes`: values by "node.param", by the scene's number. `midi`: "node.param" by MIDI controller such as "cc 21";
    "out" gives the "node.port" whose notes go to MIDI.
    """

    name: str
    tempo: float  # bpm
    graph: Graph
    scenes: Mapping[int, Mapping[str, Value]] = field(default_factory=dict)
    midi: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    path: Path | None = None  # its file, or None
    hint: str = ""  # what to do first, one sentence, or ""
    group: str = ""  # the heading under which lists show it, or ""
    clips: Mapping[str, PatchClip] = field(default_factory=dict)  # by name
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of transports, as TOML has them
    optional: frozenset[str] = frozenset()  # names of nodes without which the patch plays too
    left_out: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # `PatchReader.part`, to be saved again


def parse(
    text: str, catalog: Catalog, source: str = "patch", *, trusted: bool = False, folder: Path | None = None
) -> Patch:
    """Reads a patch from a text. `trusted`: file parameters also take any path, and files in `folder`."""
    data = parse_toml(text, source)
    reader = PatchReader(catalog, trusted, folder)
    try:
        tables = reader.tables(data)
        file = reader.read_file({key: value for key, value in data.items() if key not in tables}, FORMAT)
        optional = frozenset(name for name, body in file.nodes.items() if _is_optional(body))
        file, left_out = reader.part(file)
        graph = reader.graph(file)
        name = check_single_line("name", PurePath(source).stem if file.name is None else file.name, 1, 200)
        scenes, midi = reader.scenes(file.scenes, graph), reader.midi(file.midi, graph)
        clips = reader.clips(file.clips)
        hint, group = file.hint, file.group
        return Patch(name, file.tempo, graph, scenes, midi, text, None, hint, group, clips, tables, optional, left_out)
    except Misfit as misfit:
        raise PatchError(f"{place_of(source, text, misfit.path)}: {misfit.what}") from None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parses TOML with limits on size and nesting. Raises PatchError, which names `source`, for invalid TOML."""
    if len(text) > MAX_SIZE:
        raise PatchError(f"{source} is larger than a patch may be; at most {MAX_SIZE >> 10} KiB is allowed")
    guard(text, source)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PatchError(f"{source} is not TOML: {_placed(str(error))}") from None
    except (RecursionError, ValueError, OverflowError, MemoryError):
        long = _LONG.search(text)
        line = 1 if long is None else text.count("\n", 0, long.start()) + 1
        raise PatchError(f"{source}, line {line}: a value is nested too deep or too large") from None


def load(name_or_path: str | Path, catalog: Catalog, *, trusted: bool = False) -> Patch:
    """Loads a patch by name, the performer's before built-in ones; `trusted`, from the command line, by path too."""
    given = str(name_or_path)
    if trusted and (isinstance(name_or_path, Path) or given.endswith(SUFFIX) or os.sep in given):
        path = paths.path_as_spelled(Path(given))
        if not os.path.exists(path) and os.sep not in given:
            path = find(given)
    else:
        path = find(given)
    return read(path, catalog, trusted=trusted)


def read(path: Path, catalog: Catalog, *, trusted: bool = False) -> Patch:
    """Reads a patch's file. Raises PatchError: it is no patch."""
    patch = parse(read_text(path), catalog, path.name, trusted=trusted, folder=path.absolute().parent)
    return replace(patch, path=path)


def size(*names: str) -> int:
    """Bytes of the files of patches together. Raises PatchError: there is no patch of a name."""
    return sum(path.stat().st_size for path in map(find, names) if path.is_file())


def file_name(name: str) -> str:
    """Returns a patch's name with the spelling of its file."""
    return name.casefold().replace(" ", "")


def find(name: str) -> Path:
    """The file of a patch: the performer's, or else the built-in one. Raises PatchError when there is neither."""
    if os.sep in name:
        raise PatchError(
            f"{name[:80]!r} is not a name but a path: put the file into {paths.patches()} and load "
            f"{Path(name).stem[:80]!r}; `antiphon serve --patch` takes a path"
        )
    for folder in (paths.patches(), resources.patches()):
        path = paths.path_inside(folder, name, SUFFIX, PatchError)
        if path.is_file():
            return path
    raise PatchError(f"there is no patch {name!r}{instead(name, stems())}")


def stems(part: str = "") -> list[str]:
    """Names of the files of patches, or of those in a folder `part` of theirs, for an error message."""
    folders = paths.patches() / part, resources.patches() / part
    return _stems(*((folder, folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()))


@lru_cache(maxsize=8)
def _stems(*folders: tuple[Path, int]) -> list[str]:
    """Names in folders with times of change; of few files those that lists leave out are left out here too."""
    files = [file for folder, _ in folders for file in folder.glob(f"[!.]*{SUFFIX}") if PREVIOUS not in file.name]
    return sorted({file.stem for file in files if len(files) > MAX_READ or _is_listed(file)})


def _is_listed(file: Path) -> bool:
    with contextlib.suppress(OSError):
        if file.is_file():
            with file.open("rb") as head:
                return _UNLISTED.search(head.read(MAX_HEAD)) is None
    return False


def dump(patch: Patch) -> str:
    """The patch as TOML, which parses to the same patch. Wires are grouped by source."""
    document: dict[str, Any] = {"format": FORMAT, "name": patch.name}
    document |= {key: text for key, text in (("hint", patch.hint), ("group", patch.group)) if text}
    document["tempo"] = patch.tempo
    nodes: dict[str, dict[str, Value]] = {}
    for node in patch.graph.nodes:
        kind = {} if node.type == node.name else {"type": node.type}
        optional = {OPTIONAL_KEY: True} if node.name in patch.optional else {}
        nodes[node.name] = {**kind, **optional, **node.values}
    document["nodes"] = nodes
    grouped: dict[str, list[str]] = {}
    for wire in patch.graph.wires:
        grouped.setdefault(_end(wire.source), []).append(_end(wire.dest))
    document["wires"] = {source: dests[0] if len(dests) == 1 else dests for source, dests in grouped.items()}
    if patch.graph.macros:
        document["macros"] = macros_to_json(patch.graph.macros)
    if patch.scenes:
        document["scenes"] = {str(number): dict(values) for number, values in patch.scenes.items()}
    if patch.clips:
        document["clips"] = {name: to_builtins(clip) for name, clip in patch.clips.items()}
    if patch.midi:
        document["midi"] = dict(patch.midi)
    document |= patch.tables
    _put_back(document, patch.left_out)
    return tomli_w.dumps(document)


def _put_back(document: dict[str, Any], left_out: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds the items left out of a patch to its TOML, except those naming a node that was removed or replaced."""
    lacking = left_out.get("nodes", {}).keys() - document["nodes"].keys()
    known = {IN, OUT, *document["nodes"], *lacking}
    for table, items in left_out.items() if lacking else ():
        target = document.setdefault(table, {})
        for key, value in items.items():
            node = key.partition(".")[0]
            if table == "wires":
                ends = [
                    dest for dest in value if _all_known_some_lacking({node, dest.partition(".")[0]}, lacking, known)
                ]
                there = target.get(key, [])
                target[key] = [*([there] if isinstance(there, str) else there), *ends]
            elif table == "scenes":
                target[key] = {**target.get(key, {}), **{k: v for k, v in value.items() if k.split(".")[0] in lacking}}
            elif _all_known_some_lacking({key} if table == "nodes" else named_nodes(value), lacking, known):
                target.setdefault(key, value)


def _all_known_some_lacking(names: Set[str], lacking: Set[str], known: Set[str]) -> bool:
    return names <= known and not names.isdisjoint(lacking)


def _is_optional(body: object) -> bool:
    return isinstance(body, dict) and body.get(OPTIONAL_KEY) is True


def hides(path: Path) -> bool:
    """True if a performer's patch overrides a built-in one of the same name."""
    return path.parent == paths.patches() and (resources.patches() / path.name).is_file()


def _end(end: End) -> str:
    return end.node if end in (End(IN, IN), End(OUT, OUT)) else str(end)


def read_text(path: Path) -> str:
    """Reads the text of a patch file. Raises PatchError: it is no regular file, too large, or not UTF-8."""
    return paths.read_ordinary_text(path, MAX_SIZE, "a patch", PatchError)


def _placed(message: str) -> str:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    where = f"line {match[2]}, column {match[3]}: {match[1]}" if match else message
    return " ".join(where.split())[:300]
