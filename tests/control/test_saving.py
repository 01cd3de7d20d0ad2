"""What is saved loads again and what somebody wrote is kept; a scene comes back whole or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.control.rig import GAIN, Rig, rig

from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT
from antiphon.kernel.graph import patch as patches
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.session import set_list
from antiphon.kernel.session.schedule import MAX_PENDING

CAST = ProcessorInfo(
    "cast",
    "By a reference.",
    "test",
    (AUDIO_IN,),
    (AUDIO_OUT,),
    (Param("reference", "file", ""), Param("depth")),
)
WITH_FILES = Catalog({"gain": GAIN, "cast": CAST})
OWN = """format = 1  # by hand
[nodes.a]
type = "gain"
[nodes.cast]
reference = "strings.wav"
[wires]
in = "a"
a = "cast"
cast = "out"
[scenes.2]
"a.gain" = 0.25
"cast.reference" = "strings.wav"
"""


@pytest.fixture
async def live(tmp_path: Path, home: Path) -> AsyncIterator[Rig]:
    """Plays a patch from the command line that names a file which lies beside it."""
    async with rig(tmp_path / "state", catalog=WITH_FILES) as made:
        paths.make_folder(paths.library())
        await play(made, tmp_path, OWN)
        yield made


async def play(live: Rig, folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    (folder / "strings.wav").write_bytes(b"x")
    live.app.plans.load(patches.load(path, WITH_FILES, trusted=True), 0.0, None, "", ())
    await live.settle()
    return path


async def test_what_to_do_first_is_answered_and_in_the_status(live: Rig, tmp_path: Path) -> None:
    client = live.client()
    assert await client.ask("/patch/hint") == [("/patch/hint.reply", ("own", ""))]
    await play(live, tmp_path, 'hint = "Play."\n' + OWN)
    assert await client.ask("/patch/hint") == [("/patch/hint.reply", ("own", "Play."))]
    assert live.app.status()["hint"] == "Play."


def put(name: str, text: str) -> Path:
    path = paths.make_folder(paths.patches()) / f"{name}.toml"
    path.write_text(text)
    return path


async def refused(live: Rig, *message: object) -> str:
    ((address, args),) = await live.client().ask(*message)  # type: ignore[arg-type]
    assert address == "/fail"
    return str(args[1])


# what is saved


async def test_a_file_outside_the_library_is_refused_and_nothing_is_written(live: Rig, tmp_path: Path) -> None:
    said = await refused(live, "/patch/save", "kept")
    assert str(tmp_path / "strings.wav") in said
    assert str(paths.library()) in said
    assert not (paths.patches() / "kept.toml").exists()


async def test_a_file_that_the_library_has_is_saved_by_its_name_and_loads_again(live: Rig, tmp_path: Path) -> None:
    (paths.library() / "strings.wav").hardlink_to(tmp_path / "strings.wav")
    client = live.client()
    assert await client.ask("/patch/save", "kept") == [("/done", ("/patch/save", "kept"))]
    text = (paths.patches() / "kept.toml").read_text()
    assert str(tmp_path) not in text
    assert await client.ask("/patch/load", "kept") == [("/done", ("/patch/load", "kept"))]
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text('format = 1\npatches = ["kept"]\n')
    assert await client.ask("/set/load", "s") == [("/done", ("/set/load", "kept"))]


async def test_a_scenes_file_outside_the_library_is_refused_too(live: Rig, tmp_path: Path) -> None:
    (paths.library() / "bell.wav").write_bytes(b"x")
    await live.client().ask("/node/cast/reference", "bell.wav")
    assert "cast.reference" in await refused(live, "/patch/save", "kept")


# what is replaced


async def test_another_patch_is_replaced_only_when_asked_and_is_kept(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state") as live:
        mine = put("mine", "format = 1  # my comment\n")
        said = await refused(live, "/patch/save", "mine")
        assert "/patch/save mine 1" in said
        assert mine.read_text() == "format = 1  # my comment\n"
        client = live.client()
        assert await client.ask("/patch/save", "mine", 1) == [("/done", ("/patch/save", "mine"))]
        assert "comment" not in mine.read_text()
        assert (paths.patches() / "mine~.toml").read_text() == "format = 1  # my comment\n"
        # what the server wrote itself is its to write again, and the comment stays
        await client.ask("/node/a/gain", 1.5)
        assert await client.ask("/patch/save", "mine") == [("/done", ("/patch/save", "mine"))]
        assert (paths.patches() / "mine~.toml").read_text() == "format = 1  # my comment\n"
        assert await client.ask("/patch/load", "mine~") == [("/done", ("/patch/load", "mine~"))]
        assert "mine~" not in (await client.later("/patch/list"))[0][1]


async def test_the_patch_that_plays_is_saved_over_without_asking(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state") as live:
        mine = put("mine", "format = 1  # mine\n[nodes.a]\ntype = 'gain'\n")
        client = live.client()
        await client.ask("/patch/load", "mine")
        await client.ask("/node/a/gain", 1.5)
        assert await client.ask("/patch/save", "mine") == [("/done", ("/patch/save", "mine"))]
        assert "1.5" in mine.read_text()
        assert "# mine" in (paths.patches() / "mine~.toml").read_text()


async def test_a_patch_that_hides_a_shipped_one_is_said_when_it_is_loaded(
    tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (shipped, *_) = sorted(path.stem for path in resources.patches().glob("*.toml"))
    async with rig(tmp_path / "state") as live:
        put(shipped, "format = 1\n[nodes.a]\ntype = 'gain'\n")
        put("mine", "format = 1\n[nodes.a]\ntype = 'gain'\n")
        await live.client().ask("/patch/load", "mine")
        assert not caplog.records
        await live.client().ask("/patch/load", shipped)
        (record,) = caplog.records
        assert f"{shipped} is a patch of yours and hides the shipped one" in record.getMessage()


async def test_a_set_that_is_kept_is_not_ended_by_another(live: Rig) -> None:
    client = live.client()
    await client.ask("/session/record", "tonight")
    assert "/session/stop" in await refused(live, "/session/record", "x")
    assert len(live.engine.sessions) == 1
    await client.ask("/session/stop")
    assert (await client.ask("/session/record", "x"))[0][0] == "/done"


async def test_undo_of_a_saved_file_answers_the_patchs_name(live: Rig, tmp_path: Path) -> None:
    await play(live, tmp_path, 'format = 1\nname = "Own"\n[nodes.a]\ntype = "gain"\n')
    await play(live, tmp_path, 'format = 1\nname = "Own"\n[nodes.b]\ntype = "gain"\n')
    client = live.client()
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "Own"))]
    assert "/fail" not in str(await client.ask("/patch/redo"))


# scenes


async def test_a_scene_with_a_file_of_the_command_line_comes_back(live: Rig, tmp_path: Path) -> None:
    (paths.library() / "bell.wav").write_bytes(b"x")
    client = live.client()
    await client.ask("/node/cast/reference", "bell.wav")
    await client.ask("/scene/recall", 2)
    assert live.app.executor.value("a", "gain") == 0.25
    assert live.app.executor.value("cast", "reference") == str(tmp_path / "strings.wav")


@pytest.mark.parametrize("beats", [0.0, 4.0])
async def test_a_scene_whose_file_has_gone_changes_nothing(live: Rig, beats: float) -> None:
    bell = paths.library() / "bell.wav"
    bell.write_bytes(b"x")
    client = live.client()
    await client.ask("/node/cast/reference", "bell.wav")
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/scene/store", 5)
    await client.ask("/node/cast/reference", "")
    await client.ask("/node/a/gain", 0.5)
    bell.unlink()
    live.engine.applied.clear()
    said = await refused(live, "/scene/recall", 5, beats)
    assert "the scene is not recalled" in said
    assert "cast.reference" in said
    assert live.app.executor.value("a", "gain") == 0.5
    assert live.engine.applied == []


async def test_a_scene_with_no_room_in_the_schedule_changes_nothing(live: Rig) -> None:
    client = live.client()
    await client.ask("/scene/store", 5)
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/node/a/trim", 0.05)
    schedule = live.app.session.schedule
    live.engine.beat = 1.0
    schedule.limit = len(schedule) + 1
    said = await refused(live, "/scene/recall", 5, 0.0, 4.0)
    assert "scheduled already" in said
    assert len(schedule) == 0
    schedule.limit = MAX_PENDING


SET = """format = 1
name = "Friday"
patches = ["one", "two", "three"]
fade = 0.25
[midi]
"cc 66" = "next"
"""


@pytest.fixture
async def stage(live: Rig) -> Rig:
    client = live.client()
    for name, gain in (("one", 0.25), ("two", 0.5), ("three", 0.75)):
        await client.ask("/node/a/gain", gain)
        await client.ask("/patch/save", name)
    (paths.make_folder(paths.patches() / "live") / "friday.toml").write_text(SET)
    return live


async def gain(live: Rig) -> object:
    ((_, args),) = await live.client().ask("/node/a/gain")
    return args[0]


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
    ((address, args),) = await client.ask("/set/next")
    assert (address, args) == ("/fail", ("/set/next", "this is the last patch of Friday"))
    assert await gain(stage) == 0.75
    assert await client.ask("/set/previous") == [("/done", ("/set/previous", "two"))]
    assert stage.app.status()["set"] == {
        "file": "friday",
        "name": "Friday",
        "place": 2,
        "patches": ["one", "two", "three"],
        "outside": False,
    }
    assert (await client.ask("/set/list"))[1] == ("/set/patches.reply", ("Friday", 2, "one", "two", "three"))
    await client.ask("/patch/load", "three")
    assert stage.app.status()["set"]["outside"]
    assert (await client.ask("/set/list"))[1] == ("/set/patches.reply", ("Friday", 0, "one", "two", "three"))
    assert await client.ask("/set/go", 2) == [("/done", ("/set/go", "two"))]
    told = [m[1] for m in surface.heard() if m[0] == "/set/at"]
    assert told[:4] == [("Friday", n, 3, name) for n, name in ((1, "one"), (2, "two"), (3, "three"), (2, "two"))]
    assert (await client.ask("/set/go", 4))[0][0] == "/fail"


async def test_a_set_with_a_patch_that_is_not_one_is_refused_before_anybody_hears_it(stage: Rig) -> None:
    client = stage.client()
    await client.ask("/set/load", "friday")
    (paths.patches() / "bad.toml").write_text("format = 1\nnonsense = 3\n")
    (paths.patches() / "live" / "bad.toml").write_text('format = 1\npatches = ["two", "bad"]\n')
    ((address, args),) = await client.ask("/set/load", "bad")
    assert (address, args[0]) == ("/fail", "/set/load")
    assert "bad.toml, line 2, 'nonsense'" in args[1]
    assert await gain(stage) == 0.25
    assert await client.ask("/set/next") == [("/done", ("/set/next", "two"))]


async def test_a_patch_that_went_bad_meanwhile_is_passed_over_and_said(stage: Rig) -> None:
    client, surface = stage.client(), stage.client()
    await surface.ask("/notify", 1)
    await client.ask("/set/load", "friday")
    (paths.patches() / "two.toml").write_text("format = 1\nnonsense = 3\n")
    assert await client.ask("/set/next") == [("/done", ("/set/next", "three"))]
    assert any(m[0] == "/patch/failed" and "two.toml, line 2" in m[1][0] for m in surface.heard())


async def test_a_control_process_that_follows_is_at_the_same_place(tmp_path: Path, stage: Rig) -> None:
    client = stage.client()
    await client.ask("/set/load", "friday")
    await client.ask("/set/next")
    async with rig(tmp_path / "state") as again:
        assert again.app.status()["set"]["place"] == 2
        assert await again.client().ask("/set/next") == [("/done", ("/set/next", "three"))]


async def test_a_set_is_saved_in_another_order_and_goes_on_from_what_plays(stage: Rig) -> None:
    client = stage.client()
    await client.ask("/set/load", "friday")
    await client.ask("/set/next")
    loads = len(stage.engine.loads)
    assert await client.ask("/set/save", "friday", "two", "one", "three", "one") == [("/done", ("/set/save", "friday"))]
    assert len(stage.engine.loads) == loads, "what plays goes on"
    listed = ["two", "one", "three", "one"]
    shown = {"file": "friday", "name": "Friday", "place": 1, "patches": listed, "outside": False}
    assert stage.app.status()["set"] == shown
    folder = paths.patches() / "live"
    assert (folder / "friday~.toml").read_text() == SET, "the old file is kept"
    saved = set_list.load("friday")
    assert (saved.fade, dict(saved.midi)) == (0.25, {"cc 66": "next"})
    await client.ask("/set/next")
    assert await gain(stage) == 0.25
    assert "friday~" not in (await client.ask("/set/list"))[0][1]


async def test_a_new_set_is_saved_and_one_that_is_not_valid_changes_nothing(stage: Rig) -> None:
    client = stage.client()
    for wrong, said in (
        (("x",), "patch is missing"),
        (("x", "nowhere"), "there is no patch"),
        (("../x", "one"), "is not a name"),
    ):
        ((address, (_, reason)),) = await client.ask("/set/save", *wrong)
        assert address == "/fail"
        assert said in reason
    assert stage.app.status()["set"] is None
    await client.ask("/set/save", "short", "three")
    made = {"file": "short", "name": "short", "place": 1, "patches": ["three"], "outside": True}
    assert stage.app.status()["set"] == made
    await client.ask("/set/save", "other", "one", "two")
    assert set_list.load("other").name == "other"
    assert (await client.ask("/set/list"))[0][1] == ("evening", "friday", "jam", "other", "short")
