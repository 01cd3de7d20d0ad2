"""A set list on stage: next and previous by OSC and by pedal, and what happens at its ends and with a bad patch."""

import json
import threading
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from tests.control.rig import Client, Rig, rig, save_three
from tests.waiting import comes

from antiphon.joining import set_list
from antiphon.kernel.control.osc.arguments import QUICK_BYTES
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.runtime import paths
from antiphon.web import control_status

SET = """format = 1
name = "Friday"
patches = ["one", "two", "three"]
fade = 0.25
[midi]
"cc 66" = "next"
"""


@pytest.fixture
async def stage(live: Rig) -> Rig:
    await save_three(live)
    (paths.make_folder(paths.patches() / "live") / "friday.toml").write_text(SET)
    return live


async def gain(live: Rig) -> object:
    ((_, args),) = await live.client().ask("/node/a/gain")
    return args[0]


@pytest.mark.needs("answer")
async def test_through_a_set_and_back(stage: Rig) -> None:
    client, surface = stage.client(), stage.client()
    await surface.ask("/notify", 1)
    assert await client.ask("/set/list") == [("/set/list.reply", ("evening", "friday", "jam"))]
    assert await client.ask("/set/load", "friday") == [("/done", ("/set/load", "one"))]
    assert stage.engine.loads[-1][4] == 0.25
    assert await gain(stage) == 0.25
    assert await client.ask("/set/next") == [("/done", ("/set/next", "two"))]
    assert await client.ask("/set/next", 0) == []
    assert await gain(stage) == 0.5
    assert await client.ask("/set/go", 3) == [("/done", ("/set/go", "three"))]
    assert await client.refused("/set/next") == "this is the last patch of Friday"
    assert await gain(stage) == 0.75
    assert await client.ask("/set/previous") == [("/done", ("/set/previous", "two"))]
    shown = {"file": "friday", "name": "Friday", "place": 2, "patches": ["one", "two", "three"], "outside": False}
    shown["pedals"] = {"cc 66": ["next", ""]}
    assert control_status.status(stage.app)["set"] == shown
    assert (await client.ask("/set/list"))[1] == ("/set/patches.reply", ("Friday", 2, "one", "two", "three"))
    await client.ask("/patch/load", "three")
    assert control_status.status(stage.app)["set"]["outside"]
    assert (await client.ask("/set/list"))[1] == ("/set/patches.reply", ("Friday", 0, "one", "two", "three"))
    assert await client.ask("/set/go", 2) == [("/done", ("/set/go", "two"))]
    told = [m[1] for m in surface.heard() if m[0] == "/set/at"]
    assert told[:4] == [("Friday", n, 3, name) for n, name in ((1, "one"), (2, "two"), (3, "three"), (2, "two"))]
    assert (await client.ask("/set/go", 4))[0][0] == "/fail"


async def test_a_set_with_a_patch_that_is_not_one_is_refused_before_anybody_hears_it(
    stage: Rig, client: Client
) -> None:
    await client.ask("/set/load", "friday")
    (paths.patches() / "bad.toml").write_text("format = 1\nnonsense = 3\n")
    (paths.patches() / "live" / "bad.toml").write_text('format = 1\npatches = ["two", "bad"]\n')
    assert "bad.toml, line 2, 'nonsense'" in await client.refused("/set/load", "bad")
    assert await gain(stage) == 0.25
    assert await client.ask("/set/next") == [("/done", ("/set/next", "two"))]


async def test_a_patch_that_went_bad_meanwhile_is_passed_over_and_said(stage: Rig) -> None:
    client, surface = stage.client(), stage.client()
    await surface.ask("/notify", 1)
    await client.ask("/set/load", "friday")
    (paths.patches() / "two.toml").write_text("format = 1\nnonsense = 3\n")
    assert await client.ask("/set/next") == [("/done", ("/set/next", "three"))]
    assert any(m[0] == "/patch/failed" and "two.toml, line 2" in m[1][0] for m in surface.heard())


async def test_a_control_process_that_follows_is_at_the_same_place(tmp_path: Path, stage: Rig, client: Client) -> None:
    await client.ask("/set/load", "friday")
    await client.ask("/set/next")
    async with rig(tmp_path / "state") as again:
        assert control_status.status(again.app)["set"]["place"] == 2
        assert await again.client().ask("/set/next") == [("/done", ("/set/next", "three"))]


async def test_a_place_whose_session_cannot_be_restored_is_none(tmp_path: Path, stage: Rig, client: Client) -> None:
    await client.ask("/set/load", "friday")
    await stage.settle()
    stage.app.saver.flush()
    saved = tmp_path / "state" / "state.json"
    saved.write_text(json.dumps({**json.loads(saved.read_text()), "session": {}}))
    async with rig(tmp_path / "state") as again:
        assert control_status.status(again.app)["set"] is None


async def test_a_set_is_saved_in_another_order_and_goes_on_from_what_plays(stage: Rig, client: Client) -> None:
    await client.ask("/set/load", "friday")
    await client.ask("/set/next")
    loads = len(stage.engine.loads)
    assert await client.ask("/set/save", "friday", "two", "one", "three", "one") == [("/done", ("/set/save", "friday"))]
    assert len(stage.engine.loads) == loads, "what plays goes on"
    listed = ["two", "one", "three", "one"]
    shown = {"file": "friday", "name": "Friday", "place": 1, "patches": listed, "outside": False}
    shown["pedals"] = {"cc 66": ["next", ""]}
    assert control_status.status(stage.app)["set"] == shown
    folder = paths.patches() / "live"
    assert (folder / "friday~.toml").read_text() == SET, "the old file is kept"
    saved = set_list.load("friday")
    assert (saved.fade, dict(saved.midi)) == (0.25, {"cc 66": "next"})
    await client.ask("/set/next")
    assert await gain(stage) == 0.25
    assert "friday~" not in (await client.ask("/set/list"))[0][1]


@pytest.mark.needs("answer")
async def test_a_new_set_is_saved_and_one_that_is_not_valid_changes_nothing(stage: Rig, client: Client) -> None:
    for wrong, said in (
        (("x",), "patch is missing"),
        (("x", "nowhere"), "there is no patch"),
        (("../x", "one"), "is not a name"),
    ):
        assert said in await client.refused("/set/save", *wrong)
    assert control_status.status(stage.app)["set"] is None
    await client.ask("/set/save", "short", "three")
    made = {"file": "short", "name": "short", "place": 1, "patches": ["three"], "outside": True}
    made["pedals"] = {}
    assert control_status.status(stage.app)["set"] == made
    await client.ask("/set/save", "other", "one", "two")
    assert set_list.load("other").name == "other"
    assert (await client.ask("/set/list"))[0][1] == ("evening", "friday", "jam", "other", "short")


async def test_a_pedal_that_a_set_takes_from_a_patch_is_named_at_load_and_in_the_status(stage: Rig) -> None:
    path = paths.patches() / "two.toml"
    path.write_text(f'{path.read_text()}\n[midi]\n"cc 66" = "a.gain"\n"cc 67" = "b.gain"\n')
    client, surface = stage.client(), stage.client()
    await surface.ask("/notify", 1)
    remark = ("/remark", ("/set/load", "while the set Friday is loaded, cc 66 is next and not a.gain of two"))
    assert await client.ask("/set/load", "friday") == [remark, ("/done", ("/set/load", "one"))]
    assert [m for m in surface.heard() if m[0] == "/remark"] == [remark]
    assert control_status.status(stage.app)["set"]["pedals"] == {"cc 66": ["next", ""]}
    assert await client.ask("/set/next") == [("/done", ("/set/next", "two"))]
    assert control_status.status(stage.app)["set"]["pedals"] == {"cc 66": ["next", "a.gain"]}


async def answers(stage: Rig, client: Client, count: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The next answers but remarks."""
    heard: list[tuple[str, tuple[Any, ...]]] = []

    async def told() -> bool:
        await stage.settle()
        heard.extend(one for one in client.heard() if one[0] != "/remark")
        return len(heard) >= count

    await comes(told, f"{count} answers")
    return heard


async def test_a_set_of_long_patches_is_read_beside_control(stage: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are answered while it is read; what its sender sends meanwhile waits, and is done behind it."""
    gate, reading = threading.Event(), threading.Event()
    load = patches.load

    def slow(*given: Any, **named: Any) -> Any:
        reading.set()
        assert threading.current_thread() is not threading.main_thread()
        assert gate.wait(60)
        return load(*given, **named)

    for name in ("one", "two", "three"):
        path = paths.patches() / f"{name}.toml"
        path.write_text(path.read_text() + "#" * QUICK_BYTES + "\n")
    monkeypatch.setattr(patches, "load", slow)
    client, other = stage.client(), stage.client()
    client.send("/set/load", "friday")
    client.send("/set/next")
    client.send("/sync", 7)
    await comes(reading.is_set, "a thread reads")
    assert await other.ask("/ping", 1) == [("/pong", (1, ANY))]
    assert await other.ask("/sync", 8) == [("/synced", (8,))]
    assert client.heard() == []
    gate.set()
    heard = await answers(stage, client, 3)
    assert heard == [
        ("/done", ("/set/load", "one")), ("/done", ("/set/next", "two")), ("/synced", (7,)),
    ]  # fmt: skip
    assert await gain(stage) == 0.5


async def test_a_long_patch_that_is_wrong_is_refused_alone(stage: Rig, client: Client) -> None:
    (paths.patches() / "long.toml").write_text("format = 1\nnonsense = 3\n" + "#" * QUICK_BYTES + "\n")
    client.send("/patch/load", "long")
    client.send("/patch/load", "two")
    heard = await answers(stage, client, 2)
    assert "nonsense" in str(heard[0])
    assert heard[1] == ("/done", ("/patch/load", "two"))
