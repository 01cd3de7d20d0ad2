"""Another version of a plugin in control's state: nodes, values, and what a refusal restores."""

from array import array
from dataclasses import replace
from itertools import pairwise

import pytest

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, Port
from antiphon.kernel.errors import PatchError, PluginError
from antiphon.kernel.graph.graph import NodeSpec, in_series
from antiphon.kernel.session.actions import EngineLoad
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.session.node_state import SLOTS

PARAMS = (
    Param("gain", default=1.0, low=0.0, high=2.0, doc="How loud."),
    Param("size", "int", 256, 64, 1024),
    Param("label", "text", "none"),
    Param("mode", "choice", "a", choices=("a", "b")),
)
GAIN = ProcessorInfo("gain", "", "mine", (AUDIO_IN,), (AUDIO_OUT,), PARAMS)
OTHER = ProcessorInfo("other", "", "theirs", (AUDIO_IN,), (AUDIO_OUT,), PARAMS[:1])
GRAPH = in_series(
    [NodeSpec("a", "gain", {"gain": 0.5, "size": 512, "label": "x", "mode": "b"}), NodeSpec("b", "other")],
    Catalog({"gain": GAIN, "other": OTHER}),
)
FOLDER = "/versions/7/mine"


def state() -> GraphState:
    made = GraphState(Catalog({"gain": GAIN, "other": OTHER}), array("d", bytes(8 * SLOTS)), 48000)
    made.load(GRAPH, "two")
    made.confirm(made.states.serial, 0.0)
    return made


def version(catalog: Catalog, *params: Param, **changes: object) -> Catalog:
    info = replace(GAIN, params=params or PARAMS, version=7, **changes)
    return catalog.with_version("mine", {"gain": info}, FOLDER)


def values(made: GraphState) -> dict[str, object]:
    return {p.name: made.value("a", p.name) for p in made.nodes["a"].info.params}


def test_a_node_of_another_type_with_the_same_parameters_is_another() -> None:
    made, twin = state(), replace(GAIN, type="twin")
    made.catalog.types["twin"] = twin
    number = made.nodes["a"].id
    made.load(replace(GRAPH, nodes=(replace(GRAPH.nodes[0], type="twin"), GRAPH.nodes[1])), "other")
    assert made.nodes["a"].id != number
    assert made.nodes["a"].info is twin


def test_a_version_with_the_same_parameters_keeps_the_node_and_its_values() -> None:
    made = state()
    number, other = made.nodes["a"].id, made.nodes["b"]
    (load,) = made.renew(version(made.catalog, replace(PARAMS[0], default=0.1, doc="Louder."), *PARAMS[1:]), 4.0)
    assert isinstance(load, EngineLoad)
    assert (load.quantum, load.versions) == (4.0, {"mine": FOLDER})
    assert load.ids == {"a": number, "b": other.id}
    assert made.nodes["b"] is other
    assert made.nodes["a"].info.version == 7
    assert values(made) == {"gain": 0.5, "size": 512, "label": "x", "mode": "b"}
    made.confirm(made.states.serial, 0.0)
    (after,) = made.add("other", "c")
    assert isinstance(after, EngineLoad)
    assert (after.quantum, after.versions) == (0.0, {"mine": FOLDER})


def test_a_version_with_other_parameters_keeps_the_values_they_can_have() -> None:
    made = state()
    number = made.nodes["a"].id
    new = (
        Param("more", default=3.0, low=0.0, high=4.0),
        replace(PARAMS[0], high=0.75),
        replace(PARAMS[1], high=300),
        PARAMS[2],
        replace(PARAMS[3], choices=("b", "a")),
    )
    (load,) = made.renew(version(made.catalog, *new), 4.0)
    assert isinstance(load, EngineLoad)
    assert load.ids["a"] not in (number, load.ids["b"])
    assert values(made) == {"more": 3.0, "gain": 0.5, "size": 256, "label": "x", "mode": "b"}
    spans = sorted((n.base, n.base + len(n.cells)) for n in made.by_id.values())
    assert all(one[1] <= two[0] for one, two in pairwise(spans))


def test_what_the_engine_refuses_restores_types_and_values() -> None:
    made = state()
    number = made.nodes["a"].id
    made.renew(version(made.catalog, Param("gain", default=3.0, low=2.0, high=4.0)), 4.0)
    assert values(made) == {"gain": 3.0}
    made.refuse(made.states.serial)
    assert made.catalog["gain"] == GAIN
    assert made.catalog.versions == {}
    assert made.nodes["a"].id == number
    assert values(made) == {"gain": 0.5, "size": 512, "label": "x", "mode": "b"}


def test_a_version_that_the_wires_do_not_fit_changes_nothing() -> None:
    made = state()
    with pytest.raises(PatchError, match="has no output port 'out'"):
        made.renew(version(made.catalog, outputs=(Port("other"),)), 4.0)
    with pytest.raises(PatchError, match="there is no processor type 'gain'"):
        made.renew(made.catalog.with_version("mine", {}, FOLDER), 4.0)
    assert made.catalog["gain"] == GAIN
    assert not made.loading


def test_a_type_of_another_plugin_is_not_taken() -> None:
    with pytest.raises(PluginError, match="there is one named 'other' already, of theirs"):
        state().catalog.with_version("mine", {"other": GAIN}, FOLDER)


def test_the_catalog_reads_what_it_wrote() -> None:
    catalog = version(state().catalog)
    assert Catalog.from_json(catalog.to_json()) == catalog
