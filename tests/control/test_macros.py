"""Macros, and the ends of a patch: addresses beside those of nodes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests import accepted
from tests.control.rig import CATALOG, GRAPH, Client, Rig, rig

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.engine.link import EngineCounters
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.graph.graph import Graph
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER, declaration, nodes_outside_plan
from antiphon.kernel.graph.macros import MacroTarget
from antiphon.kernel.runtime import paths
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import Beat, SetParam
from antiphon.kernel.session.graph_state import GraphState
from antiphon.kernel.wire.osc import encode
from antiphon.layout.controls import pages
from antiphon.offline.commands import convert_to_actions, param_finder
from antiphon.web import control_status

TEXT = """format = 1
name = "Mine"
[nodes.a]
type = "gain"
[nodes.b]
type = "gain"
cutoff = 200.0
[wires]
in = "a"
a = "b"
b = "out"
[macros]
loud = ["a.gain", 0.0, 2.0, 2.0]
bright = [["b.cutoff", 20, 2000], ["a.trim", 0.1, -0.1], ["b.steps", 0, 8]]
dark = {target = "b.cutoff", low = 2000, high = 20}
[scenes.1]
"macro.bright" = 1.0
[midi]
"cc 21" = "macro.loud"
"""


def parsed(text: str = TEXT) -> patches.Patch:
    return patches.parse(text, CATALOG)


async def load(live: Rig, folder: Path) -> None:
    path = folder / "mine.toml"
    path.write_text(TEXT)
    live.app.plans.load(patches.load(path, CATALOG, trusted=True), 0.0, None, "", ())
    await live.settle(2)


def test_a_label_is_what_people_read_and_no_part_of_the_address() -> None:
    patch = parsed(TEXT.replace("loud = [", 'loud = ["how loud, at most", [').replace("2.0, 2.0]", "2.0, 2.0]]"))
    loud, *_ = patch.graph.macros
    assert (loud.name, loud.label, loud.targets[0].key) == ("loud", "how loud, at most", "a.gain")
    assert patches.parse(patches.dump(patch), CATALOG) == replace(patch, text=patches.dump(patch))
    assert Graph.from_json(json.loads(json.dumps(patch.graph.to_json()))).macros == patch.graph.macros
    (panel,) = nodes_outside_plan(patch.graph)[:1]
    info = declaration(panel, CATALOG)
    assert info is not None
    assert [(cell.name, cell.doc) for cell in info.cells][:2] == [
        ("loud", "how loud, at most"), ("bright", "A macro of the patch."),
    ]  # fmt: skip
    with pytest.raises(PatchError, match="takes a label of 1 to 32 characters"):
        parsed(TEXT.replace("loud = [", 'loud = ["A sentence.", [').replace("2.0, 2.0]", "2.0, 2.0]]"))


def test_a_patch_keeps_them_through_a_save_and_json() -> None:
    patch = parsed()
    assert patches.parse(patches.dump(patch), CATALOG).graph == patch.graph
    assert Graph.from_json(json.loads(json.dumps(patch.graph.to_json()))) == patch.graph
    left = patch.graph.remove("b", CATALOG)
    assert {m.name: [t.key for t in m.targets] for m in left.macros} == {"loud": ["a.gain"], "bright": ["a.trim"]}
    assert patch.graph.move("a", "b", CATALOG).macros == patch.graph.macros


def test_what_is_wrong_is_refused_with_its_line() -> None:
    accepted.compare(__file__, lambda line: accepted.refusal(lambda: parsed(TEXT.replace("dark =", f"{line}\ndark ="))))


def test_at_most_eight_and_no_node_has_their_name() -> None:
    with pytest.raises(PatchError, match="at most 8"):
        parsed(TEXT.replace("dark =", "\n".join(f'm{n} = ["a.gain", 0, 1]' for n in range(6)) + "\ndark ="))
    with pytest.raises(PatchError, match="reserved"):
        parsed(TEXT + '[nodes.macro]\ntype = "gain"\n')


async def test_one_message_moves_all_targets_in_their_own_scales(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    # it begins where its first target is: 200 Hz of 20 to 2000 by octaves
    ((_, (place,)),) = await client.ask("/macro/bright")
    assert place == pytest.approx(0.5, abs=1e-6)
    for address in ("/macro/bright", "/node/macro/bright", "/node/macro/bright/norm"):
        await client.ask(address, 0.25)
        assert await client.ask(address) == [(address, (0.25,))]
        ((_, (cutoff,)),) = await client.ask("/node/b/cutoff")
        assert cutoff == pytest.approx(20 * 100**0.25, rel=1e-5)
        ((_, (trim,)),) = await client.ask("/node/a/trim")
        assert trim == pytest.approx(0.05)
        assert await client.ask("/node/b/steps") == [("/node/b/steps", (2,))]
        await client.ask("/macro/bright", 1.0)
    await client.ask("/macro/loud", 0.5)
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.5,))], "a quarter of the way, by its curve"
    assert live.engine.values[live.app.session.state.node("a").id, 3] == 0.5
    assert "0 to 1" in await client.refused("/macro/bright", 1.5)


async def test_a_surface_is_told_at_both_addresses(live: Rig, tmp_path: Path) -> None:
    await load(live, tmp_path)
    surface = live.client()
    await surface.ask("/notify", 1)
    for moved in ("/macro/dark", "/node/macro/dark"):
        live.client().send(moved, 0.5 if moved == "/macro/dark" else 0.75)
        await live.settle()
        told = {address: args for address, args in surface.heard() if address.endswith("macro/dark")}
        assert set(told) == {"/macro/dark", "/node/macro/dark"}
        assert len(set(told.values())) == 1


async def test_it_is_in_scenes_and_a_targets_own_value_wins(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    client.send("/macro/bright", 0.25)
    client.send("/node/a/trim", 0.0)
    await client.ask("/scene/store", 3)
    client.send("/macro/bright", 0.75)
    await client.ask("/scene/recall", 1)
    assert await client.ask("/node/b/cutoff") == [("/node/b/cutoff", (2000.0,))]
    await client.ask("/scene/recall", 3)
    assert await client.ask("/macro/bright") == [("/macro/bright", (0.25,))]
    assert await client.ask("/node/a/trim") == [("/node/a/trim", (0.0,))]


async def test_a_scene_of_parameters_brings_their_macros_along(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    client.send("/node/a/trim", 0.0625)
    live.app.session.state.keep(scenes={4: {"name": "open", "b.cutoff": 2000.0}})
    await live.settle()
    await client.ask("/scene/recall", 4)
    assert await client.ask("/macro/bright") == [("/macro/bright", (1.0,))]
    assert await client.ask("/macro/dark") == [("/macro/dark", (0.0,))]
    assert await client.ask("/node/b/cutoff") == [("/node/b/cutoff", (2000.0,))]
    assert await client.ask("/node/a/trim") == [("/node/a/trim", (0.0625,))]  # which the scene does not name
    before = await client.ask("/macro/loud")
    await client.ask("/patch/undo")
    assert await client.ask("/node/b/cutoff") == [("/node/b/cutoff", (200.0,))]
    assert (await client.ask("/macro/bright"))[0][1][0] == pytest.approx(0.5, abs=1e-6)
    assert await client.ask("/macro/loud") == before


def varied(info: ProcessorInfo, variant: str) -> ProcessorInfo:
    """The type with a parameter more, named by its variant."""
    return replace(info, params=(*info.params, Param(variant)))


async def test_a_scene_sets_a_variant_before_its_parameters(tmp_path: Path, home: Path) -> None:
    kind = replace(CATALOG["gain"], type="host", params=(Param("uri", "text", ""),), variants=f"uri={__name__}:varied")
    async with rig(tmp_path, catalog=Catalog({"host": kind}), patch=False) as live:
        client = live.client()
        client.send("/node/add", "host", "fx")
        for uri, value in (("one", 0.25), ("two", 0.5)):
            await live.settle(2)
            client.send("/node/fx/uri", uri)
            await live.settle(2)
            client.send(f"/node/fx/{uri}", value)
            await client.ask("/scene/store", int(value * 4))
        client.send("/scene/recall", 1)
        await live.settle(2)
        assert await client.ask("/node/fx/one") == [("/node/fx/one", (0.25,))]


async def test_it_goes_with_its_patch_and_comes_back_by_undo(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    await client.ask("/patch/save", "kept")
    assert "[macros]" in (paths.patches() / "kept.toml").read_text()
    await client.ask("/macro/bright", 0.75)
    await client.ask("/node/remove", "a")
    assert await client.ask("/macro/bright") == [("/macro/bright", (0.75,))], "it is the first now"
    for address in ("/macro/loud", "/macro/loud/value", "/node/macro/loud"):
        said = "the patch has no macro 'loud'; there are: bright, dark"
        assert await client.ask(address, 0.5) == [("/fail", (address, said))]
    await client.ask("/patch/undo")
    assert (await client.ask("/macro/loud"))[0][0] == "/macro/loud"


async def test_redone_macro_leaves_a_target_set_since(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    await client.ask("/node/b/steps", 5)
    await client.ask("/macro/bright", 1.0)
    client.bundle(live.time.timetag(0.1), encode("/node/b/steps", 5))
    await live.move(0.2)
    await client.ask("/patch/undo")
    assert await client.ask("/patch/redo") == [("/done", ("/patch/redo", "/macro/bright"))]
    assert await client.ask("/macro/bright") == [("/macro/bright", (1.0,))]
    assert await client.ask("/node/b/steps") == [("/node/b/steps", (5,))]


async def test_macro_moved_before_a_refused_load_stays(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    live.engine.hold_plans = True
    await client.ask("/node/a/label", "x")
    await client.ask("/macro/bright", 1.0)
    live.app.plans.load(patches.Patch("two", 120.0, GRAPH), 0.0, None, "", ())
    live.engine.hold_plans, live.engine.refuse = False, "too heavy"
    await live.settle(4)
    client.heard()
    assert live.app.session.state.shown.name == "Mine"
    assert await client.ask("/macro/bright") == [("/macro/bright", (1.0,))]
    assert await client.ask("/node/b/cutoff") == [("/node/b/cutoff", (2000.0,))]


async def test_a_new_control_process_has_its_place(home: Path, tmp_path: Path) -> None:
    async with rig(tmp_path / "state") as live:
        await load(live, tmp_path)
        client = live.client()
        await client.ask("/macro/bright", 0.25)
        state = live.app.session.state
        again = GraphState(CATALOG, list(state.numbers), 48000)  # type: ignore[call-overload]
        again.restore(json.loads(json.dumps(state.to_json())))
        assert again.value("macro", "bright") == 0.25


def test_offline_it_is_the_targets_that_are_played_at_the_same_beat() -> None:
    graph = parsed().graph
    ids, actions = convert_to_actions(graph, CATALOG, 48000, [SetParam("macro", "bright", 1.0, 2.0, Beat(3.0))])
    assert [(a.node, a.number, a.ramp) for a in actions if isinstance(a, NodeSet)] == [
        (ids["b"], 2000.0, 2.0),
        (ids["a"], pytest.approx(-0.1), 2.0),
        (ids["b"], 8.0, 0.0),
    ]
    assert all(action.when == Beat(3.0) for action in actions)
    assert param_finder(graph, CATALOG)("macro", "loud").high == 1.0


def test_a_surface_has_them_first() -> None:
    page = next(page for page in pages(parsed(), CATALOG) if page.name == "play")
    assert [(w.label, w.address) for w in page.controls][:3] == [
        ("loud", "/node/macro/loud"),
        ("bright", "/node/macro/bright"),
        ("dark", "/node/macro/dark"),
    ]


def test_places_and_values_are_inverse() -> None:
    param = CATALOG["gain"].cells[-1]
    target = MacroTarget("a", "cutoff", 1500.0, 50.0, 3.0)
    for place in (0.0, 0.2, 1.0):
        assert target.place(param, target.value(param, place)) == pytest.approx(place, abs=1e-4)


async def test_they_answer_to_addresses_as_nodes_do(live: Rig, client: Client) -> None:
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (0.0,))]
    client.send("/node/out/gain", -12.0, 2.0)
    await client.ask("/node/in/gain/norm", 1.0)
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-12.0,))]
    assert await client.ask("/node/in/gain") == [("/node/in/gain", (24.0,))]
    assert "-60 to 24 dB" in await client.refused("/node/out/gain", 99)
    assert await client.ask("/node/list") == [("/node/list.reply", ("a", "gain", "b", "gain"))]
    await client.refused("/node/remove", "out")
    assert [n["name"] for n in control_status.status(live.app)["nodes"]] == ["a", "b"]


async def test_a_pattern_does_not_reach_them(live: Rig, client: Client) -> None:
    client.send("/node/*/gain", 0.25)
    client.send("/node/{in,out}/mute", 1)
    await live.settle()
    client.heard()
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.25,))]
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (0.0,))]
    assert await client.ask("/node/out/mute") == [("/node/out/mute", (0,))]


async def test_another_patch_leaves_them(live: Rig, client: Client) -> None:
    await client.ask("/node/out/gain", -12.0)
    await client.ask("/patch/save", "mine")
    assert await client.ask("/patch/load", "mine") == [("/done", ("/patch/load", "mine"))]
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-12.0,))]


async def test_a_new_engine_hears_of_them_before_its_plan(live: Rig, client: Client) -> None:
    await client.ask("/node/out/gain", -12.0)
    live.engine.hold_plans = True
    live.engine.start(99)
    await live.settle(2)
    assert live.engine.values[OUT_NUMBER, 3] == -12.0


async def test_a_scene_leaves_them_unless_it_names_them(live: Rig, client: Client) -> None:
    client.send("/node/out/gain", -12.0)
    await client.ask("/scene/store", 1)
    client.send("/node/out/gain", -3.0)
    await client.ask("/scene/recall", 1)
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-3.0,))]
    live.app.session.state.keep(scenes={2: {"out.gain": -20.0}})
    await client.ask("/scene/recall", 2)
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-20.0,))]


async def test_an_input_that_clips_is_said_once_a_second(live: Rig, client: Client, monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    await client.ask("/notify", 1)
    clipped = 0
    monkeypatch.setattr(live.engine, "counters", lambda: EngineCounters(blocks=7, clipped_blocks=clipped))
    for clipped in (3, 5, 9):  # noqa: B007 - read by the counters above
        live.app.reports.read()
    await live.settle(2)
    assert [m for m in client.heard() if m[0] == "/clip"] == [("/clip", (3,))]
    assert control_status.status(live.app)["clipped_blocks"] == 9
    assert sum("clips" in r.message for r in caplog.records) == 1


async def test_a_control_process_that_follows_has_them(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state") as first:
        client = first.client()
        await client.ask("/node/in/gain", 6.0)
        assert first.app.session.state.by_id[IN_NUMBER].name == "in"
    async with rig(tmp_path / "state") as second:
        assert await second.client().ask("/node/in/gain") == [("/node/in/gain", (6.0,))]


async def test_macro_follows_its_parameter(live: Rig, tmp_path: Path) -> None:
    await load(live, tmp_path)
    surface, knob = live.client(), live.client()
    await surface.ask("/notify", 1)
    trim = await knob.ask("/node/a/trim")
    await knob.ask("/node/b/cutoff", 2000.0)
    await live.settle()
    told = {address: args for address, args in surface.heard() if address.startswith("/macro/")}
    assert told == {"/macro/bright": (1.0,), "/macro/dark": (0.0,)}, "each macro of that parameter, on the phone too"
    assert await knob.ask("/node/a/trim") == trim, "and no other parameter moves"
    await knob.ask("/node/b/cutoff", 5000.0)
    assert await knob.ask("/macro/bright") == [("/macro/bright", (1.0,))], "the nearest place to a value beyond it"
    await knob.ask("/macro/dark", 0.25)
    assert (await knob.ask("/macro/bright"))[0][1][0] == pytest.approx(0.75, abs=1e-5)
    assert await knob.ask("/macro/dark") == [("/macro/dark", (0.25,))], "the macro that is moved stays where it is put"


async def test_macro_follows_a_value_when_it_is_due(live: Rig, tmp_path: Path) -> None:
    await load(live, tmp_path)
    client = live.client()
    client.send("/at", 4.0, "/node/b/cutoff", 20.0)
    await live.settle()
    assert (await client.ask("/macro/bright"))[0][1][0] == pytest.approx(0.5, abs=1e-6)
    live.engine.beat = 4.0
    await live.settle()
    assert await client.ask("/macro/bright") == [("/macro/bright", (0.0,))]


async def refuse_loads(live: Rig, texts: tuple[str, ...], *move: object) -> None:
    """Has patches be prepared, something moved meanwhile, and the patches refused."""
    live.engine.hold_plans = True
    for text in texts:
        live.app.plans.load(parsed(text), 0.0, None, "", ())
    await live.client().ask(*move)  # type: ignore[arg-type]
    live.engine.refuse, live.engine.hold_plans = "too heavy", False
    await live.settle(4)
    live.engine.refuse = ""
    assert live.app.session.state.shown.name == "Mine"


OTHER_NODE = TEXT.replace("[nodes.b]", "[nodes.c]").replace('"b', '"c').replace("\nb =", "\nc =")


@pytest.mark.parametrize("others", [
    (TEXT.replace("b.cutoff", "b.gain").replace("20, 2000", "0, 2").replace("2000, high = 20", "2, high = 0"),),
    (OTHER_NODE,),
    (OTHER_NODE, TEXT),  # equal macros of a new node
])  # fmt: skip
async def test_macro_of_a_refused_patch_leaves_the_one_before(
    live: Rig, client: Client, tmp_path: Path, others: tuple[str, ...]
) -> None:
    await load(live, tmp_path)
    await client.ask("/macro/bright", 0.25)
    cutoff = await client.ask("/node/b/cutoff")
    await refuse_loads(live, others, "/macro/bright", 1.0)
    assert await client.ask("/macro/bright") == [("/macro/bright", (0.25,))]
    assert await client.ask("/node/b/cutoff") == cutoff


async def test_macro_moved_while_an_equal_one_is_refused_stays(live: Rig, client: Client) -> None:
    text = TEXT.replace('["b.cutoff", 20, 2000], ["a.trim", 0.1, -0.1], ["b.steps", 0, 8]', '["b.steps", 0, 8]')
    live.app.plans.load(parsed(text), 0.0, None, "", ())
    await live.settle(2)
    await refuse_loads(live, (text.replace("cutoff = 200.0", 'label = "x"'),), "/macro/bright", 0.8)
    assert (await client.ask("/macro/bright"))[0][1][0] == pytest.approx(0.8, abs=1e-6)
    assert await client.ask("/node/b/steps") == [("/node/b/steps", (6,))]


async def test_macro_follows_what_moved_in_a_refused_patch(live: Rig, client: Client, tmp_path: Path) -> None:
    await load(live, tmp_path)
    await refuse_loads(live, (TEXT.split("[macros]")[0],), "/node/b/cutoff", 2000.0)
    assert await client.ask("/macro/bright") == [("/macro/bright", (1.0,))]
