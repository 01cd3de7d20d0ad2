"""OSC address space as OSCQuery JSON. Pure: graph, catalog and values in, dictionaries out.

OSCQuery answers `GET /address` with all attributes of the address and the addresses below it, and
`GET /address?ATTRIBUTE` with that attribute; 204 where the address has no such attribute, 400 for an unknown
attribute, 404 for an unknown address.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, TypeAlias

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.graph.io_nodes import END_NODES, declaration

ValueOf: TypeAlias = Callable[[str, str], Value | None]
"""Function `(node, param)` → last requested value that is due, or None if unknown."""

Entry: TypeAlias = dict[str, Any]

NO_VALUE, READ, WRITE = 0, 1, 2
ATTRIBUTES = frozenset({"FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT"})
EXTENSIONS = {
    **dict.fromkeys(("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT"), True),
    **dict.fromkeys(("TAGS", "EXTENDED_TYPE", "CRITICAL", "CLIPMODE", "OVERLOADS", "HTML"), False),
    **dict.fromkeys(("LISTEN", "PATH_ADDED", "PATH_REMOVED"), True),
    **dict.fromkeys(("PATH_RENAMED", "PATH_CHANGED"), False),
}
UNITS = {"dB": "gain.db", "Hz": "time.hz", "s": "time.second", "ms": "time.ms", "bpm": "time.bpm"}
"""OSCQuery's names of our units; other units are unchanged."""


@dataclass(frozen=True, slots=True)
class Method:
    """A fixed OSC address."""

    address: str
    types: str
    doc: str


def method(path: str, args: str, doc: str) -> Method:
    """`Method` of an address in the OSC reference's notation: "s:name [f:fade]" has the type "s".

    If all arguments are optional, the first is used. Backquotes in `doc` are removed.
    """
    words = [word for word in args.split() if word[:2].rstrip(":") in tuple("ifdhsb") or word.startswith("[")]
    required = [word[0] for word in words if not word.startswith("[")]
    types = "".join(required) if required or not words else words[0][1]
    return Method(path, types, doc.replace("`", ""))


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """An HTTP status and, with 200, the JSON to send."""

    status: int
    data: Entry | None = None


def host_info(name: str, ip: str, osc_port: int, web_port: int) -> Entry:
    """The HOST_INFO object: the server's name, its OSC and WebSocket ports, and the supported parts of OSCQuery."""
    return {
        "NAME": name,
        "EXTENSIONS": EXTENSIONS,
        "OSC_IP": ip,
        "OSC_PORT": osc_port,
        "OSC_TRANSPORT": "UDP",
        "WS_IP": ip,
        "WS_PORT": web_port,
    }


def query(
    path: str, attribute: str | None, graph: Graph, catalog: Catalog, value: ValueOf, methods: tuple[Method, ...] = ()
) -> QueryAnswer:
    """Answers `GET path[?attribute]`, except HOST_INFO: 200 with the entry, 204, 400 or 404.

    `attribute` in upper case, None for all; `value` returns a parameter's; `methods` are the fixed addresses.
    """
    if attribute is not None and attribute not in ATTRIBUTES:
        return QueryAnswer(400)
    entry = find(path, graph, catalog, value, methods)
    if entry is None:
        return QueryAnswer(404)
    if attribute is None:
        return QueryAnswer(200, entry)
    return QueryAnswer(200, {attribute: entry[attribute]}) if attribute in entry else QueryAnswer(204)


def find(path: str, graph: Graph, catalog: Catalog, value: ValueOf, methods: tuple[Method, ...] = ()) -> Entry | None:
    """Entry at `path` with all entries below it, or None; skips other nodes for speed."""
    parts = [part for part in path.split("/") if part]
    if path not in ("/", "/" + "/".join(parts)):
        return None
    entry = _fixed_tree(methods)
    if parts[:1] == ["node"] or not parts:
        only = parts[1:2]
        asked = (n for n in chain(graph.nodes, END_NODES) if not only or n.name == only[0])
        nodes = {n.name: _node(n, catalog, value) for n in asked}
        container = entry["CONTENTS"]["node"]
        container = {**container, "CONTENTS": {**container["CONTENTS"], **nodes}}
        entry = {**entry, "CONTENTS": {**entry["CONTENTS"], "node": container}}
    for part in parts:
        below = entry.get("CONTENTS", {}).get(part)
        if below is None:
            return None
        entry = below
    return entry


@cache
def _fixed_tree(methods: tuple[Method, ...]) -> Entry:
    """Tree of the fixed addresses, shared between answers, so read-only."""
    root = _container("/", "Antiphon")
    _container_at(root, "node", "The patch's nodes and their parameters")
    for method in methods:
        *above, name = method.address.strip("/").split("/")
        entry = root
        for part in above:
            entry = _container_at(entry, part)
        leaf = entry["CONTENTS"].setdefault(name, {"FULL_PATH": method.address})
        leaf.update(DESCRIPTION=method.doc, TYPE=method.types or "N", ACCESS=WRITE)
    return root


def _node(node: NodeSpec, catalog: Catalog, value: ValueOf) -> Entry:
    path = f"/node/{node.name}"
    info = declaration(node, catalog)
    entry = _container(path, f"{node.type}: {info.doc}" if info and info.doc else node.type)
    contents: dict[str, Entry] = entry["CONTENTS"]
    for param in info.cells if info else ():
        contents[param.name] = _param(f"{path}/{param.name}", param, value(node.name, param.name))
    contents["reset"] = {
        "FULL_PATH": f"{path}/reset",
        "DESCRIPTION": "Clears the node's state and tries it again after a failure.",
        "TYPE": "N",
        "ACCESS": WRITE,
    }
    return entry


def _param(path: str, param: Param, now: Value | None) -> Entry:
    trigger = param.kind == "trigger"
    entry: Entry = {"FULL_PATH": path, "DESCRIPTION": param.doc or param.name, "TYPE": _type(param, now)}
    entry["ACCESS"] = READ if param.readonly else WRITE if trigger else READ | WRITE
    if now is not None and not trigger:
        entry["VALUE"] = [finite_value_or_none(now)]
    if param.kind == "choice":
        entry["RANGE"] = [{"VALS": list(param.choices)}]
    elif param.kind in ("float", "int"):
        entry["RANGE"] = [{"MIN": finite_value_or_none(param.low), "MAX": finite_value_or_none(param.high)}]
    if param.unit:
        entry["UNIT"] = [UNITS.get(param.unit, param.unit)]
    if has_norm(param):
        entry["CONTENTS"] = {"norm": _norm(f"{path}/norm", param, now)}
    return entry


def has_norm(param: Param) -> bool:
    """True if a parameter has an address `/norm` for its position in its range."""
    return param.kind in ("float", "int", "switch", "choice") and not param.readonly


def _norm(path: str, param: Param, now: Value | None) -> Entry:
    entry: Entry = {
        "FULL_PATH": path,
        "DESCRIPTION": f"{param.name} from 0 to 1 over its range, for faders",
        "TYPE": "f",
        "ACCESS": READ | WRITE,
        "RANGE": [{"MIN": 0.0, "MAX": 1.0}],
    }
    if now is not None:
        entry["VALUE"] = [finite_value_or_none(param.to_norm(now))]
    return entry


def _type(param: Param, now: Value | None) -> str:
    match param.kind:
        case "float":
            return "f"
        case "int":
            return "i"
        case "switch":
            return "T" if now else "F"
        case "trigger":
            return "N"
        case _:
            return "s"


def _container(path: str, doc: str) -> Entry:
    return {"FULL_PATH": path, "DESCRIPTION": doc, "ACCESS": NO_VALUE, "CONTENTS": {}}


def _container_at(entry: Entry, part: str, doc: str = "") -> Entry:
    contents: dict[str, Entry] = entry["CONTENTS"]
    if part not in contents:
        above = str(entry["FULL_PATH"]).rstrip("/")
        contents[part] = _container(f"{above}/{part}", doc or f"Commands for the {part}")
    contents[part].setdefault("CONTENTS", {})
    return contents[part]


def finite_value_or_none(value: Value | None) -> Value | None:
    """Value for JSON, None for NaN and infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def roots(methods: Iterable[Method]) -> frozenset[str]:
    """First parts of all OSC addresses, which routes must not use."""
    return frozenset({m.address.split("/")[1] for m in methods} | {"node"})


def leaves(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every entry with a TYPE, depth first."""
    entries = [entry] if "TYPE" in entry else []
    for below in entry.get("CONTENTS", {}).values():
        entries += leaves(below)
    return entries
