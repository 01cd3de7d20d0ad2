"""Checks the tables of a patch's TOML against the catalog; each error names its line and key."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NoReturn

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo, defaults
from antiphon.kernel.contract.params import Param, Value, instead_of
from antiphon.kernel.errors import FileError, ParamError, PatchError
from antiphon.kernel.graph import patch_list
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
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.toml_location import line_of
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import short_repr, shorten
from antiphon.kernel.runtime.suggestion import instead

KEYS = ("format", "name", "hint", "group", "listed", "tempo", "nodes", "wires", "macros", "scenes", "midi")
DEFAULT_TEMPO = 120.0
MAX_SCENES = 128
_LONGEST_REASON = 400
"""Most characters of a reason: a few lines of a terminal, as in `suggestion`."""
_MIDI = re.compile(r"cc (\d{1,3})(?: (\d{1,2}))?")
_TOML = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list", dict: "a table"}


class PatchReader:
    """Reader of one parsed patch. All methods raise PatchError, with line and key, for invalid content."""

    def __init__(self, text: str, source: str, catalog: Catalog, trusted: bool, folder: Path | None = None) -> None:
        """A reader with the arguments of `patch.parse`; `text` and `source` are used for errors only."""
        self.text, self.source, self.catalog, self.trusted, self._folder = text, source, catalog, trusted, folder

    def fail(self, path: tuple[str, ...], what: str) -> NoReturn:
        """Raises PatchError with source, line and key. `path` is the key, from the top of the file."""
        key = f", {_shown('.'.join(path))}" if path else ""
        raise PatchError(f"{self.source}, line {line_of(self.text, path)}{key}: {what}")

    def head(self, data: Mapping[str, Any], newest: int) -> None:
        """Checks `format`, at most `newest`, and then the keys (a later format may have more)."""
        number = data.get("format")
        if number is None:
            self.fail((), f"a patch says which format it is in; write format = {newest} at its top")
        if isinstance(number, bool) or not isinstance(number, int):
            self.fail(("format",), f"takes a whole number, {newest}, not {_kind(number)}")
        if number > newest:
            self.fail(("format",), f"is later than this Antiphon reads, which is {newest}; update Antiphon")
        if number < 1:
            self.fail(("format",), f"takes {newest}")
        for key in data:
            if key not in KEYS:
                self.fail((key,), f"is not a key of a patch{instead(key, KEYS, 'the keys are')}")

    def listed(self, data: Mapping[str, Any]) -> None:
        """Checks `listed`, which `patch_list` reads."""
        if not isinstance(data.get("listed", True), bool):
            self.fail(("listed",), f"takes true or false, not {_kind(data['listed'])}")

    def name(self, data: Mapping[str, Any]) -> str:
        """The patch's title; without one the file's name."""
        name = data.get("name", PurePath(self.source).stem)
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable():
            self.fail(("name",), "takes one line of text, 1 to 200 characters")
        return name

    def hint(self, data: Mapping[str, Any]) -> str:
        """The patch's hint, one line on the first step; "" without one."""
        return self._line(data, "hint", patch_list.LINE)

    def group(self, data: Mapping[str, Any]) -> str:
        """The heading under which lists show it; "" without."""
        return self._line(data, "group", patch_list.GROUP)

    def _line(self, data: Mapping[str, Any], key: str, most: int) -> str:
        text = data.get(key, "")
        if not isinstance(text, str) or len(text) > most or not text.isprintable():
            self.fail((key,), f"takes one line of text, at most {most} characters")
        return text

    def tempo(self, data: Mapping[str, Any]) -> float:
        """The tempo, bpm."""
        tempo = data.get("tempo", DEFAULT_TEMPO)
        if isinstance(tempo, bool) or not isinstance(tempo, int | float) or not MIN_TEMPO <= tempo <= MAX_TEMPO:
            self.fail(("tempo",), f"takes {MIN_TEMPO:g} to {MAX_TEMPO:g} bpm, not {_shown(tempo)}")
        return float(tempo)

    def graph(self, data: Mapping[str, Any]) -> Graph:
        """Nodes and wires."""
        table = self._table(data, "nodes")
        if len(table) > MAX_NODES:
            self.fail(("nodes",), f"holds {len(table)} nodes; at most {MAX_NODES} are allowed")
        nodes = tuple(self._node(name, body) for name, body in table.items())
        graph = Graph(nodes)
        wires: list[Wire] = []
        for source, dests in _flat(self._table(data, "wires")):
            for dest in dests if isinstance(dests, list) else [dests]:
                if not isinstance(dest, str):
                    self.fail(("wires", source), f"goes to {_kind(dest)}; takes a node, node.port, or a list of them")
                wire = self._wire(graph, source, dest)
                if wire in wires:
                    self.fail(("wires", source), f"goes to {dest!r} twice; once is enough")
                wires.append(wire)
                if len(wires) > MAX_WIRES:
                    self.fail(("wires", source), f"is one wire too many; at most {MAX_WIRES} are allowed")
        whole = Graph(nodes, tuple(wires), self._macros(data, graph))
        try:
            check(whole, self.catalog)
        except PatchError as error:
            self.fail(("wires",), str(error))
        return whole

    def _macros(self, data: Mapping[str, Any], graph: Graph) -> tuple[Macro, ...]:
        table = self._table(data, "macros")
        if len(table) > MOST:
            self.fail(("macros",), f"holds {len(table)} macros; at most {MOST} are allowed")
        macros = []
        for name, body in table.items():
            here = ("macros", name)
            try:
                macros.append(read_macro(name, body, lambda key, here=here: self._param(graph, here, key)))  # type: ignore[misc]
            except PatchError as error:
                if str(error).startswith(self.source):
                    raise
                self.fail(here, str(error))
        return tuple(macros)

    def scenes(self, data: Mapping[str, Any], graph: Graph) -> dict[int, dict[str, Value]]:
        """Values by "node.param", by the scene's number."""
        scenes: dict[int, dict[str, Value]] = {}
        for number, body in self._table(data, "scenes").items():
            here = ("scenes", number)
            if not number.isascii() or not number.isdigit() or int(number[:9]) >= MAX_SCENES or len(number) > 3:
                self.fail(here, f"is not a scene; scenes are numbered 0 to {MAX_SCENES - 1}")
            if not isinstance(body, dict):
                self.fail(here, f"is {_kind(body)}; takes a table of node.param = value")
            scenes[int(number)] = {
                key: self._value((*here, key), self._param(graph, (*here, key), key), value)
                for key, value in _flat(body)
            }
        return scenes

    def midi(self, data: Mapping[str, Any], graph: Graph) -> dict[str, str]:
        """ "node.param" by MIDI controller, and "node.port" for "out"."""
        targets: dict[str, str] = {}
        for control, target in _flat(self._table(data, "midi")):
            here = ("midi", control)
            if control == "out":
                targets[control] = self._emitting(graph, here, target)
                continue
            if not is_control(control):
                self.fail(
                    here,
                    'is not a control; "cc 0" to "cc 127" are, with a channel 1 to 16 behind if wanted, '
                    'and "out" for the node whose notes go out',
                )
            if not isinstance(target, str):
                self.fail(here, f"is {_kind(target)}; takes node.param")
            param = self._param(graph, here, target)
            if param.readonly or param.kind in ("text", "file"):
                self.fail(here, f"{target} is {'readonly' if param.readonly else param.kind}; a control cannot set it")
            targets[control] = target
        return targets

    def _emitting(self, graph: Graph, path: tuple[str, ...], target: object) -> str:
        """The node's events output that `target` names."""
        if not isinstance(target, str):
            self.fail(path, f"is {_kind(target)}; takes node.port")
        try:
            end = graph.end(target, "out", self.catalog, "events")
            port = None if end.node == IN else known_type(graph.node(end.node).type, self.catalog).port(end.port, "out")
        except PatchError as error:
            self.fail(path, shorten(str(error), _LONGEST_REASON))
        if port is None or port.kind != "events":
            self.fail(path, f"{_shown(target)} gives no notes; takes a node that does")
        return str(end)

    def _table(self, data: Mapping[str, Any], key: str) -> dict[str, Any]:
        table = data.get(key, {})
        if not isinstance(table, dict):
            self.fail((key,), f"is {_kind(table)}; takes a table, [{key}]")
        return table

    def _node(self, name: str, body: object) -> NodeSpec:
        here = ("nodes", name)
        try:
            check_name(name)
        except PatchError as error:
            self.fail(here, str(error))
        if not isinstance(body, dict):
            self.fail(here, f"is {_kind(body)}; takes a table, [nodes.{name}]")
        kind = body.get("type", name)
        if not isinstance(kind, str):
            self.fail((*here, "type"), f"is {_kind(kind)}; takes text, the name of a processor type")
        try:
            info = known_type(kind, self.catalog)
        except PatchError as error:
            self.fail((*here, "type") if "type" in body else here, shorten(str(error), _LONGEST_REASON))
        cells = {p.name: p for p in info.cells}
        values: dict[str, Value] = {}
        for key, value in body.items():
            if key == "type":
                continue
            if key not in cells:
                settable = ("type", *defaults(info))
                self.fail((*here, key), f"is not a parameter of {kind}{instead(key, settable, 'it takes')}")
            values[key] = self._value((*here, key), cells[key], value)
        return NodeSpec(name, kind, values)

    def _param(self, graph: Graph, path: tuple[str, ...], target: str) -> Param:
        node, dot, name = target.partition(".")
        if not dot:
            self.fail(path, f"{_shown(target)} names no parameter; takes node.param")
        try:
            if node == MACRO and graph.macros:
                info = macro_info(macro.name for macro in graph.macros)
            else:
                info = ENDS[node][1] if node in ENDS else known_type(graph.node(node).type, self.catalog)
        except PatchError as error:
            self.fail(path, shorten(str(error), _LONGEST_REASON))
        cells = {p.name: p for p in info.cells}
        if name not in cells:
            self.fail(path, f"{node} has no parameter {_shown(name)}{instead_of(name, cells.values())}")
        return cells[name]

    def _value(self, path: tuple[str, ...], param: Param, value: object) -> Value:
        """The value in the parameter's type. A patch must give a number as a number, unlike a message."""
        if param.kind == "trigger":
            self.fail(path, "is a trigger; it is fired while playing and has no value to keep")
        number = param.kind in ("float", "int")
        if number and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.fail(path, f"takes {param.allowed}, not {_kind(value)}")
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            self.fail(path, f"takes {param.allowed}, not a number of more than 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            self.fail(path, f"takes {param.allowed}, not {value}")
        if not isinstance(value, bool | int | float | str):
            self.fail(path, f"takes {param.allowed}, not {_kind(value)}")
        try:
            checked = param.typed(value)
            if param.kind == "file" and checked:
                checked = self._file(str(checked))
        except (ParamError, FileError) as error:
            self.fail(path, str(error))
        return checked

    def _file(self, name: str) -> str:
        """The name in the library; for a file in the folder of a trusted patch its path."""
        if not self.trusted:
            paths.inside(paths.library(), name)
        elif self._folder is not None and not Path(name).is_absolute():
            beside = paths.inside(self._folder, name)
            if beside.is_file() and not paths.inside(paths.library(), name).exists():
                return str(beside)
        return name

    def _wire(self, graph: Graph, source: str, dest: str) -> Wire:
        try:
            like = self._like(graph, source, dest)
            return Wire(graph.end(source, "out", self.catalog, like), graph.end(dest, "in", self.catalog, like))
        except PatchError as error:
            self.fail(("wires", source), shorten(str(error), _LONGEST_REASON))

    def _like(self, graph: Graph, source: str, dest: str) -> str:
        """Default port kind of a wire whose ends name no port: the first kind both ends have."""
        have, take = self._kinds(graph, source, "out"), self._kinds(graph, dest, "in")
        return next((kind for kind in have if kind in take), have[0] if have else "audio")

    def _kinds(self, graph: Graph, text: str, side: str) -> list[str]:
        name, _, port = text.partition(".")
        if name in (IN, OUT):
            return ["audio"]
        info: ProcessorInfo = known_type(graph.node(name).type, self.catalog)
        ports = info.outputs if side == "out" else info.inputs
        kinds: list[str] = [p.kind for p in ports if port in ("", p.name)]
        return kinds or (["control"] if side == "in" and info.moved(port) is not None else [])


def is_control(text: str) -> bool:
    """True if `text` names a MIDI controller, such as "cc 21", or "cc 21 2" with a channel 1 to 16."""
    match = _MIDI.fullmatch(text)
    return match is not None and int(match[1]) <= 127 and 1 <= int(match[2] or 1) <= 16


def _flat(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys and values; an unquoted `a.b = x`, which TOML reads as a table, is the key "a.b"."""
    items: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            items += [(f"{key}.{inner}", item) for inner, item in value.items()]
        else:
            items.append((key, value))
    return items


def _kind(value: object) -> str:
    return _TOML.get(type(value), "a date or time")


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return "a number of more than 64 bits"
    return short_repr(value, 60)
