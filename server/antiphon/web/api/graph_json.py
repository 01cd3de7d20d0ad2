"""Processors and the patch as JSON: declarations of parameters, nodes with values, wires, stored scenes. Pure."""

from __future__ import annotations

import math
from typing import Any

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph.graph import NodeSpec, known_type
from antiphon.kernel.graph.io_nodes import declaration
from antiphon.web.http_message import Refusal


def graph_object(plan: dict[str, Any], values: dict[str, dict[str, Value]], catalog: Catalog) -> dict[str, Any]:
    """Answer to `GET /api/graph`: control's plan, with values and each type's declaration."""
    return {**plan, "nodes": [_node(node, values.get(node["name"], {}), catalog) for node in plan["nodes"]]}


def known_plugin(name: str, catalog: Catalog) -> ProcessorInfo:
    """Processor of that name; raises `Refusal` 404 if there is none."""
    try:
        return known_type(name, catalog)
    except PatchError as error:
        raise Refusal(404, str(error)) from None


def plugin_json(info: ProcessorInfo) -> dict[str, Any]:
    """A processor for `GET /api/plugins`."""
    return {
        "name": info.type,
        "plugin": info.plugin,
        "needs": list(info.on_files.needs),
        "splits": list(info.on_files.splits),
        **_declared(info),
    }


def _node(node: dict[str, Any], values: dict[str, Value], catalog: Catalog) -> dict[str, Any]:
    info = declaration(NodeSpec(node["name"], node["type"]), catalog)
    if info is None:
        return {**node, "doc": "", "inputs": [], "outputs": [], "params": []}
    shown = {**node, **_declared(info)}
    shown["params"] = [{**param, "value": _plain(values.get(param["name"]))} for param in shown["params"]]
    return shown


def _declared(info: ProcessorInfo) -> dict[str, Any]:
    return {
        "doc": info.doc,
        "inputs": [{"name": port.name, "kind": port.kind, "midi": port.midi} for port in info.inputs],
        "outputs": [{"name": port.name, "kind": port.kind, "midi": port.midi} for port in info.outputs],
        "params": [_param(param) for param in info.cells],
    }


def _param(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "kind": param.kind,
        "default": _plain(param.default),
        "low": _plain(param.low),
        "high": _plain(param.high),
        "unit": param.unit,
        "warp": param.warp,
        "choices": list(param.choices),
        "restart": param.restart,
        "readonly": param.readonly,
        "doc": param.doc,
    }


def _plain(value: Value | None) -> Value | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
