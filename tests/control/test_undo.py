"""Edits of nodes and wires, and patches loaded, are taken back and done again."""

import pytest
from tests.control.rig import GRAPH, Rig

from antiphon.kernel.control.patches.history import MAX_EDITS

UNDONE = "/patch/undo"


async def nodes(live: Rig) -> list[str]:
    ((_, args),) = await live.client().ask("/node/list")
    return [str(name) for name in args[::2]]


async def value(live: Rig, address: str) -> object:
    ((_, args),) = await live.client().ask(address)
    return args[0]


async def test_a_node_removed_comes_back_with_its_wires_and_values_and_the_rest_plays_on(live: Rig) -> None:
    client = live.client()
    await client.ask("/node/a/gain", 1.5)
    before, kept = live.app.graph.wires, live.app.session.state.nodes["b"].id
    await client.ask("/node/remove", "a")
    await client.ask("/node/b/gain", 0.25)
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/node/remove"))]
    assert set(live.app.graph.wires) == set(before)
    assert await value(live, "/node/a/gain") == 1.5
    assert await value(live, "/node/b/gain") == 0.25  # set since: not an edit of the patch
    assert live.app.session.state.nodes["b"].id == kept
    assert live.engine.loads[-1][2]["b"] == kept
    assert await client.ask("/patch/redo") == [("/done", ("/patch/redo", "/node/remove"))]
    assert await nodes(live) == ["b"]
    await client.ask(UNDONE)
    assert await nodes(live) == ["a", "b"]


async def test_every_edit_in_turn(live: Rig) -> None:
    client = live.client()
    for message in (
        ("/node/add", "gain", "c", "a"),
        ("/node/move", "c", "b"),
        ("/node/disconnect", "c", "out"),
        ("/node/connect", "b", "out"),
    ):
        await client.ask(*message)
    for what in ("/node/connect", "/node/disconnect", "/node/move", "/node/add"):
        assert await client.ask(UNDONE) == [("/done", (UNDONE, what))]
    assert live.app.session.state.current() == GRAPH
    ((address, args),) = await client.ask(UNDONE)
    assert (address, args) == ("/fail", (UNDONE, "there is nothing to undo"))


async def test_a_new_edit_ends_what_could_be_done_again(live: Rig) -> None:
    client = live.client()
    await client.ask("/node/add", "gain", "c", "b")
    await client.ask(UNDONE)
    await client.ask("/node/add", "gain", "d", "b")
    assert (await client.ask("/patch/redo"))[0][0] == "/fail"
    assert await nodes(live) == ["a", "b", "d"]


async def test_another_patch_is_taken_back_whole(live: Rig) -> None:
    client = live.client()
    await client.ask("/patch/save", "first")
    await client.ask("/patch/load", "first")
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/node/remove", "b")
    await client.ask("/tempo", 90.0)
    await client.ask("/patch/save", "second")
    await client.ask("/patch/load", "first")
    assert await value(live, "/node/a/gain") == 0.5
    assert await client.ask(UNDONE) == [("/done", (UNDONE, "/patch/load"))]
    assert await nodes(live) == ["a"]
    assert await value(live, "/node/a/gain") == 1.75
    assert live.app.session.state.tempo == 90.0


async def test_an_edit_that_changes_nothing_or_is_refused_is_not_one(live: Rig) -> None:
    client = live.client()
    await client.ask("/node/connect", "a", "b")
    await client.ask("/node/remove", "nobody")
    assert (await client.ask(UNDONE))[0][0] == "/fail"
    live.engine.refuse = "too heavy"
    await client.ask("/node/add", "gain", "c", "b")
    await live.settle(2)
    live.engine.refuse = ""
    client.heard()
    assert (await client.ask(UNDONE))[0][0] == "/fail"
    assert await nodes(live) == ["a", "b"]


async def test_so_many_are_kept(live: Rig) -> None:
    client = live.client()
    for n in range(MAX_EDITS + 10):
        await client.ask("/node/add", "gain", f"n{n}")
    answers = [(await client.ask(UNDONE))[0][0] for _ in range(MAX_EDITS + 1)]
    assert answers == ["/done"] * MAX_EDITS + ["/fail"]
    assert len(await nodes(live)) == 12


@pytest.mark.parametrize("word", ["/patch/undo", "/patch/redo"])
async def test_a_buttons_release_is_not_a_second_press(live: Rig, word: str) -> None:
    client = live.client()
    await client.ask("/node/add", "gain", "c", "b")
    assert await client.ask(word, 0) == []
    assert await nodes(live) == ["a", "b", "c"]
