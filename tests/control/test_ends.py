"""`/node/in` and `/node/out`: the performer's levels, beside any patch, by every way in."""

from pathlib import Path

from tests.control.rig import Rig, rig

from antiphon.kernel.engine.link import EngineCounters
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER


async def test_they_answer_to_addresses_as_nodes_do(live: Rig) -> None:
    client = live.client()
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (0.0,))]
    client.send("/node/out/gain", -12.0, 2.0)
    client.send("/node/in/gain/norm", 1.0)
    await live.settle()
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-12.0,))]
    assert await client.ask("/node/in/gain") == [("/node/in/gain", (24.0,))]
    ((address, args),) = await client.ask("/node/out/gain", 99)
    assert (address, args[0]) == ("/fail", "/node/out/gain")
    assert "-60 to 24 dB" in args[1]
    assert await client.ask("/node/list") == [("/node/list.reply", ("a", "gain", "b", "gain"))]
    ((address, args),) = await client.ask("/node/remove", "out")
    assert (address, args[0]) == ("/fail", "/node/remove")
    assert [n["name"] for n in live.app.status()["nodes"]] == ["a", "b"]


async def test_a_pattern_does_not_reach_them(live: Rig) -> None:
    client = live.client()
    client.send("/node/*/gain", 0.25)
    client.send("/node/{in,out}/mute", 1)
    await live.settle()
    client.heard()
    assert await client.ask("/node/a/gain") == [("/node/a/gain", (0.25,))]
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (0.0,))]
    assert await client.ask("/node/out/mute") == [("/node/out/mute", (0,))]


async def test_another_patch_leaves_them(live: Rig) -> None:
    client = live.client()
    client.send("/node/out/gain", -12.0)
    await live.settle()
    await client.ask("/patch/save", "mine")
    assert await client.ask("/patch/load", "mine") == [("/done", ("/patch/load", "mine"))]
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-12.0,))]


async def test_a_new_engine_hears_of_them_before_its_plan(live: Rig) -> None:
    client = live.client()
    client.send("/node/out/gain", -12.0)
    await live.settle()
    live.engine.hold_plans = True
    live.engine.start(99)
    await live.settle(2)
    assert live.engine.values[OUT_NUMBER, 3] == -12.0


async def test_a_scene_leaves_them_unless_it_names_them(live: Rig) -> None:
    client = live.client()
    client.send("/node/out/gain", -12.0)
    await client.ask("/scene/store", 1)
    client.send("/node/out/gain", -3.0)
    client.send("/scene/recall", 1)
    await live.settle()
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-3.0,))]
    live.app.plans.scenes[2] = {"out.gain": -20.0}
    client.send("/scene/recall", 2)
    await live.settle()
    assert await client.ask("/node/out/gain") == [("/node/out/gain", (-20.0,))]


async def test_an_input_that_clips_is_said_once_a_second(live: Rig, monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    client = live.client()
    await client.ask("/notify", 1)
    clipped = 0
    monkeypatch.setattr(live.engine, "counters", lambda: EngineCounters(blocks=7, clipped_blocks=clipped))
    for clipped in (3, 5, 9):  # noqa: B007 - read by the counters above
        live.app.reports.read()
    await live.settle(2)
    assert [m for m in client.heard() if m[0] == "/clip"] == [("/clip", (3,))]
    assert live.app.status()["clipped_blocks"] == 9
    assert sum("clips" in r.message for r in caplog.records) == 1


async def test_a_control_process_that_follows_has_them(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state") as first:
        client = first.client()
        client.send("/node/in/gain", 6.0)
        await first.settle()
        assert first.app.session.state.by_id[IN_NUMBER].name == "in"
    async with rig(tmp_path / "state") as second:
        assert await second.client().ask("/node/in/gain") == [("/node/in/gain", (6.0,))]
