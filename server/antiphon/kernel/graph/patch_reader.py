"""Checks the tables of a patch's TOML against the catalog; each error names its line and key."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo, defaults
from antiphon.kernel.contract.params import Param, Value, suggest_parameters
from antiphon.kernel.errors import FileError, ParamError, PatchError, RequestError
from antiphon.kernel.graph.clips import PatchClip, check_clips
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.kernel.graph.graph import (
    IN,
    MAX_NODES,
    MAX_WIRES,
    OUT,
    Graph,
    NodeSpec,
    Wire,
    check,
    check_name,
    known_type,
)
from antiphon.kernel.graph.io_nodes import ENDS
from antiphon.kernel.graph.macros import MOST, Macro, macro_info, read_macro
from antiphon.kernel.graph.names import (
    MACRO,
    MAX_GROUP_LETTERS,
    MAX_LINE_LETTERS,
    MAX_SCENE_NAME,
    OPTIONAL_KEY,
    SCENE_NAME,
)
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.importing import import_object
from antiphon.kernel.runtime.shortening import shorten
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.runtime.typed import Misfit, convert, kind_of, value_text

DEFAULT_TEMPO = 120.0
MAX_SCENES = 128
_MAX_REASON = 400
"""Most characters of a reason: a few lines of a terminal, as in `suggestion`."""
_MEMBER = re.compile(r"([\w-]+)\.[\w-]+")
_MIDI = re.compile(r"cc (\d{1,3})(?: (\d{1,2}))?")


Line: TypeAlias = Annotated[str, Meta(description="one line of text")]
Table: TypeAlias = Annotated[dict[str, Any], Meta(description="a table")]


class PatchFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The TOML of a patch. The contents of its tables depend on the catalog."""

    format: int
    name: Line | None = None
    hint: Line = ""
    group: Line = ""
    listed: bool = True
    tempo: Annotated[float, Meta(ge=MIN_TEMPO, le=MAX_TEMPO, description=f"{MIN_TEMPO:g} to {MAX_TEMPO:g} bpm")] = (
        DEFAULT_TEMPO
    )
    nodes: Table = {}
    wires: Table = {}
    macros: Table = {}
    scenes: Table = {}
    clips: Table = {}
    midi: Table = {}


class _Head(msgspec.Struct):
    format: Annotated[int, Meta(ge=1, description="a whole number, 1; write format = 1 at the top")]


def check_single_line(key: str, text: str, least: int, most: int) -> str:
    """Returns the text of a key. Raises `Misfit`: it is not one line of `least` to `most` characters."""
    if not least <= len(text) <= most or not text.isprintable():
        raise Misfit((key,), f"takes one line of text, {f'{least} to' if least else 'at most'} {most} characters")
    return text


class _at:
    """Context that turns a refusal into one for the key `path`."""

    __slots__ = ("_path",)

    def __init__(self, *path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, PatchError | ParamError | FileError | RequestError):
            raise Misfit(self._path, shorten(str(error), _MAX_REASON)) from None


class PatchReader:
    """Reads one parsed patch. All methods raise `Misfit` or `PatchError` for invalid data."""

    def __init__(self, catalog: Catalog, trusted: bool, folder: Path | None = None) -> None:
        """Takes the arguments of `patch.parse`."""
        self.catalog, self.trusted, self._folder = catalog, trusted, folder

    def read_file(self, data: Mapping[str, Any], newest: int) -> PatchFile:
        """Checks `format`, at most `newest`, and then the keys, since a later format may have more of them."""
        if convert(data, _Head, "a patch").format > newest:
            raise Misfit(("format",), f"is later than this Antiphon reads, which is {newest}; update Antiphon")
        file = convert(data, PatchFile, "a patch")
        check_single_line("hint", file.hint, 0, MAX_LINE_LETTERS)
        check_single_line("group", file.group, 0, MAX_GROUP_LETTERS)
        return file

    def tables(self, data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Tables of transports by name, checked by their plugins."""
        tables = {}
        for name, check_table in self.catalog.tables().items():
            if name not in data:
                continue
            table = data[name]
            if not isinstance(table, dict):
                raise Misfit((name,), f"takes a table, not {value_text(table)}")
            try:
                import_object(check_table)(table)
            except Misfit as misfit:
                raise Misfit((name, *misfit.path), misfit.what) from None
            tables[name] = table
        return tables

    def part(self, file: PatchFile) -> tuple[PatchFile, dict[str, dict[str, Any]]]:
        """Returns the patch without optional nodes of missing types, and by table these nodes and items naming them.

        A macro is left out as a whole.
        """
        if len(file.nodes) > MAX_NODES:
            raise Misfit(("nodes",), f"holds {len(file.nodes)} nodes; at most {MAX_NODES} are allowed")
        lacking = {name for name, body in file.nodes.items() if self._is_left_out(name, body)}
        if not lacking:
            return file, {}
        kept: dict[str, dict[str, Any]] = {"nodes": {}, "wires": {}, "macros": {}, "scenes": {}, "midi": {}}
        left: dict[str, dict[str, Any]] = {table: {} for table in kept}
        for table in ("nodes", "macros", "midi"):
            items = getattr(file, table)
            for key, value in _flat(items) if table == "midi" else items.items():
                names = {key} if table == "nodes" else named_nodes(value)
                (left if lacking & names else kept)[table][key] = value
        for source, dests in _flat(file.wires):
            for dest in dests if isinstance(dests, list) else [dests]:
                names = {source.partition(".")[0], str(dest).partition(".")[0]}
                (left if lacking & names else kept)["wires"].setdefault(source, []).append(dest)
        for number, values in file.scenes.items():
            kept["scenes"][number] = {} if isinstance(values, dict) else values
            for key, value in _flat(values) if isinstance(values, dict) else ():
                named = key.partition(".")[0] in lacking
                (left if named else kept)["scenes"].setdefault(number, {})[key] = value
        return msgspec.structs.replace(file, **kept), left

    def graph(self, file: PatchFile) -> Graph:
        """Nodes and wires."""
        nodes = tuple(self._node(name, body) for name, body in file.nodes.items())
        graph = Graph(nodes)
        wires: dict[Wire, None] = {}
        for source, dests in _flat(file.wires):
            for dest in dests if isinstance(dests, list) else [dests]:
                if not isinstance(dest, str):
                    raise Misfit(("wires", source), f"takes a node, node.port or a list of them, not {kind_of(dest)}")
                wire = self._wire(graph, source, dest)
                if wire in wires:
                    raise Misfit(("wires", source), f"goes to {dest!r} twice; once is enough")
                wires[wire] = None
                if len(wires) > MAX_WIRES:
                    raise Misfit(("wires", source), f"is one wire too many; at most {MAX_WIRES} are allowed")
        whole = Graph(nodes, tuple(wires), self._macros(file.macros, graph))
        with _at("wires"):
            check(whole, self.catalog)
        return whole

    def _macros(self, table: Mapping[str, Any], graph: Graph) -> tuple[Macro, ...]:
        if len(table) > MOST:
            raise Misfit(("macros",), f"holds {len(table)} macros; at most {MOST} are allowed")
        macros = []
        for name, body in table.items():
            here = ("macros", name)
            with _at(*here):
                macros.append(read_macro(name, body, lambda key, here=here: self._param(graph, here, key)))  # type: ignore[misc]
        return tuple(macros)

    def scenes(self, table: Mapping[str, Any], graph: Graph) -> dict[int, dict[str, Value]]:
        """Values by "node.param", and the displayed name by `SCENE_NAME`, by the scene's number."""
        scenes: dict[int, dict[str, Value]] = {}
        for number, body in table.items():
            here = ("scenes", number)
            if not number.isascii() or not number.isdigit() or int(number[:9]) >= MAX_SCENES or len(number) > 3:
                raise Misfit(here, f"is not a scene; scenes are numbered 0 to {MAX_SCENES - 1}")
            if not isinstance(body, dict):
                raise Misfit(here, f"is {kind_of(body)}; takes a table of node.param = value")
            scenes[int(number)] = {
                key: _check_scene_name((*here, key), value)
                if key == SCENE_NAME
                else self._value((*here, key), self._param(graph, (*here, key), key), value)
                for key, value in _flat(body)
            }
        return scenes

    def clips(self, table: Mapping[str, Any]) -> dict[str, PatchClip]:
        """Clips by name. Their messages are checked when they are played."""
        clips = {}
        for name, body in table.items():
            try:
                clips[name] = convert(body, PatchClip, "a clip")
            except Misfit as misfit:
                raise Misfit(("clips", name, *misfit.path), misfit.what) from None
            with _at("clips", name):
                check_clips({name: clips[name]})
        with _at("clips"):
            check_clips(clips)
        return clips

    def midi(self, table: Mapping[str, Any], graph: Graph) -> dict[str, str]:
        """ "node.param" by MIDI controller, and "node.port" for "out"."""
        targets: dict[str, str] = {}
        for control, target in _flat(table):
            here = ("midi", control)
            if control == "out":
                targets[control] = self._find_events_output(graph, here, target)
                continue
            if not is_midi_controller(control):
                raise Misfit(
                    here,
                    'is not a control; "cc 0" to "cc 127" are, with a channel 1 to 16 behind if wanted, '
                    'and "out" for the node whose notes go out',
                )
            if not isinstance(target, str):
                raise Misfit(here, f"is {kind_of(target)}; takes node.param")
            param = self._param(graph, here, target)
            if param.readonly or param.kind in ("text", "file"):
                raise Misfit(
                    here, f"{target} is {'readonly' if param.readonly else param.kind}; a control cannot set it"
                )
            targets[control] = target
        return targets

    def _find_events_output(self, graph: Graph, path: tuple[str, ...], target: object) -> str:
        """The node's events output that `target` names."""
        if not isinstance(target, str):
            raise Misfit(path, f"is {kind_of(target)}; takes node.port")
        with _at(*path):
            end = graph.end(target, "out", self.catalog, "events")
            port = None if end.node == IN else known_type(graph.node(end.node).type, self.catalog).port(end.port, "out")
        if port is None or port.kind != "events":
            raise Misfit(path, f"{value_text(target)} gives no notes; takes a node that does")
        return str(end)

    def _is_left_out(self, name: str, body: object) -> bool:
        if not isinstance(body, dict):
            return False
        optional, kind = body.get(OPTIONAL_KEY, False), body.get("type", name)
        if not isinstance(optional, bool):
            raise Misfit(("nodes", name, OPTIONAL_KEY), f"takes true or false, not {value_text(optional)}")
        with _at("nodes", name):
            check_name(name)
        return optional and isinstance(kind, str) and self.catalog.get(kind) is None

    def _node(self, name: str, body: object) -> NodeSpec:
        here = ("nodes", name)
        with _at(*here):
            check_name(name)
        if not isinstance(body, dict):
            raise Misfit(here, f"is {kind_of(body)}; takes a table, [nodes.{name}]")
        kind = body.get("type", name)
        if not isinstance(kind, str):
            raise Misfit((*here, "type"), f"is {kind_of(kind)}; takes text, the name of a processor type")
        kind = self.catalog.varied(kind, body)
        with _at(*here, *(("type",) if "type" in body else ())):
            info = known_type(kind, self.catalog)
        cells = info.by_name
        values: dict[str, Value] = {}
        for key, value in body.items():
            if key in ("type", OPTIONAL_KEY):
                continue
            if key not in cells:
                settable = ("type", *defaults(info))
                raise Misfit((*here, key), f"is not a parameter of {kind}{instead(key, settable, 'it takes')}")
            checked = self._value((*here, key), cells[key], value)
            if key != info.variant_parameter:
                values[key] = checked
            elif checked != info.variant[1]:  # a variant is in the type's name
                raise Misfit((*here, key), f"takes {info.variant[1]}, which the type names; leave one of both out")
        return NodeSpec(name, kind, values)

    def _param(self, graph: Graph, path: tuple[str, ...], target: str) -> Param:
        node, dot, name = target.partition(".")
        if not dot:
            raise Misfit(path, f"{value_text(target)} names no parameter; takes node.param")
        with _at(*path):
            if node == MACRO and graph.macros:
                info = macro_info(macro.word for macro in graph.macros)
            else:
                info = ENDS[node][1] if node in ENDS else known_type(graph.node(node).type, self.catalog)
        if name not in info.by_name:
            raise Misfit(path, f"{node} has no parameter {value_text(name)}{suggest_parameters(name, info.cells)}")
        return info.by_name[name]

    def _value(self, path: tuple[str, ...], param: Param, value: object) -> Value:
        """Returns the value in the parameter's type. A patch, unlike a message, must give a number as a number."""
        if param.kind == "trigger":
            raise Misfit(path, "is a trigger; it is fired while playing and has no value to keep")
        if param.kind in ("float", "int") and kind_of(value) != "a number":
            raise Misfit(path, f"takes {param.allowed}, not {kind_of(value)}")
        if not isinstance(value, bool | int | float | str) or (isinstance(value, int) and abs(value) >= 1 << 63):
            raise Misfit(path, f"takes {param.allowed}, not {value_text(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise Misfit(path, f"takes {param.allowed}, not {value}")
        with _at(*path):
            checked = param.typed(value)
            return self._file(str(checked)) if param.kind == "file" and checked else checked

    def _file(self, name: str) -> str:
        """Returns the name in the library; for a file in the folder of a trusted patch, its path."""
        if not self.trusted:
            paths.in_library(name)
        elif self._folder is not None and not Path(name).is_absolute():
            own, beside = paths.in_library(name), paths.path_inside(self._folder, name)
            if beside.is_file() and not own.exists():
                return str(beside)
        return name

    def _wire(self, graph: Graph, source: str, dest: str) -> Wire:
        with _at("wires", source):
            # default port kind of a wire whose ends name no port: the first kind both ends have
            have, take = self._kinds(graph, source, "out"), self._kinds(graph, dest, "in")
            like = next((kind for kind in have if kind in take), have[0] if have else "audio")
            return Wire(graph.end(source, "out", self.catalog, like), graph.end(dest, "in", self.catalog, like))

    def _kinds(self, graph: Graph, text: str, side: str) -> list[str]:
        name, _, port = text.partition(".")
        if name in (IN, OUT):
            return ["audio"]
        info: ProcessorInfo = known_type(graph.node(name).type, self.catalog)
        ports = info.outputs if side == "out" else info.inputs
        kinds: list[str] = [p.kind for p in ports if port in ("", p.name)]
        return kinds or (["control"] if side == "in" and info.moved(port) is not None else [])


def named_nodes(value: object) -> set[str]:
    """Names of the nodes whose parameters or ports a value of a patch's table names, as "node.param", at any depth."""
    if isinstance(value, str):
        match = _MEMBER.fullmatch(value)
        return set() if match is None else {match[1]}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(named_nodes, inner))


def is_midi_controller(text: str) -> bool:
    """True if `text` names a MIDI controller, such as "cc 21", or "cc 21 2" with a channel 1 to 16."""
    match = _MIDI.fullmatch(text)
    return match is not None and int(match[1]) <= 127 and 1 <= int(match[2] or 1) <= 16


def _flat(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys and values; an unquoted `a.b = x`, which TOML reads as a table, gets the key "a.b"."""
    items: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            items += [(f"{key}.{inner}", item) for inner, item in value.items()]
        else:
            items.append((key, value))
    return items


def _check_scene_name(here: tuple[str, ...], given: object) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_SCENE_NAME or not given.isprintable():
        raise Misfit(here, f"takes what people read, a text of 1 to {MAX_SCENE_NAME} characters")
    return given
