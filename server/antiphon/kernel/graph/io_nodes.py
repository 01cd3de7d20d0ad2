"""Master input and output as the nodes `in` and `out`, whose levels belong to the server and to no patch."""

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.graph.graph import IN, OUT, Graph, NodeSpec
from antiphon.kernel.graph.macros import macro_info
from antiphon.kernel.graph.names import BUSES, MACRO

IN_NUMBER, OUT_NUMBER = -1, -2
"""Node numbers of `in` and `out`; those of a patch's nodes count from 1."""
BUS_NUMBERS = {f"{OUT}.{bus}": -4 - place for place, bus in enumerate(BUSES)}
"""Node numbers of the other output pairs and the cue, by wire name; for listeners."""
SILENCE = -60.0
"""Gain in dB at and below which the signal is zero."""
CLIPPED = 0.9999
"""Magnitude from which an input counts as clipped."""
PARAMS = (
    Param("gain", default=0.0, low=SILENCE, high=24.0, unit="dB", smooth=0.02, doc="Louder or softer; -60 is silence."),
)


def _info(name: str, doc: str) -> ProcessorInfo:
    return ProcessorInfo(name, doc, "antiphon", (AUDIO_IN,), (AUDIO_OUT,), PARAMS)


ENDS = {
    IN: (IN_NUMBER, _info(IN, "What comes in, before the patch.")),
    OUT: (OUT_NUMBER, _info(OUT, "What goes out, behind the patch: the master volume.")),
}
"""(number, declaration) by name."""
END_NODES = tuple(NodeSpec(name, name) for name in ENDS)
"""`in` and `out` as nodes of a graph; the type of each is its name."""


def nodes_outside_plan(graph: Graph) -> tuple[NodeSpec, ...]:
    """Nodes outside any plan: the macros, if there are any, and `in` and `out`."""
    if not graph.macros:
        return END_NODES
    return (NodeSpec(MACRO, macro_info(macro.word for macro in graph.macros).type), *END_NODES)


def declaration(node: NodeSpec, catalog: Catalog) -> ProcessorInfo | None:
    """Declaration of a node's type, from the catalog, or from here for `in`, `out`, `macro`; None if unknown."""
    if node.name == MACRO:
        return macro_info(node.type.split()[1:])
    return ENDS[node.name][1] if node.name in ENDS else catalog.get(node.type)
