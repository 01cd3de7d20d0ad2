"""What is saved loads again and what somebody wrote is kept; a scene comes back whole or not at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.control.rig import WITH_FILES, Client, Rig, rig

from antiphon.kernel.graph import patch as patches
from antiphon.kernel.runtime import paths, resources
from antiphon.kernel.session.schedule import MAX_PENDING
from antiphon.web import control_status

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


async def test_what_to_do_first_is_answered_and_in_the_status(live: Rig, client: Client, tmp_path: Path) -> None:
    assert await client.ask("/patch/hint") == [("/patch/hint.reply", ("own", ""))]
    await play(live, tmp_path, 'hint = "Play."\n' + OWN)
    assert await client.ask("/patch/hint") == [("/patch/hint.reply", ("own", "Play."))]
    assert control_status.status(live.app)["hint"] == "Play."


def put(name: str, text: str) -> Path:
    path = paths.make_folder(paths.patches()) / f"{name}.toml"
    path.write_text(text)
    return path


# what is saved


async def test_a_file_outside_the_library_is_refused_and_nothing_is_written(live: Rig, tmp_path: Path) -> None:
    said = await live.client().refused("/patch/save", "kept")
    assert str(tmp_path / "strings.wav") in said
    assert str(paths.library()) in said
    assert not (paths.patches() / "kept.toml").exists()


async def test_a_file_that_the_library_has_is_saved_by_its_name_and_loads_again(
    live: Rig, client: Client, tmp_path: Path
) -> None:
    (paths.library() / "strings.wav").hardlink_to(tmp_path / "strings.wav")
    assert await client.ask("/patch/save", "kept") == [("/done", ("/patch/save", "kept"))]
    text = (paths.patches() / "kept.toml").read_text()
    assert str(tmp_path) not in text
    assert await client.ask("/patch/load", "kept") == [("/done", ("/patch/load", "kept"))]
    (paths.make_folder(paths.patches() / "live") / "s.toml").write_text('format = 1\npatches = ["kept"]\n')
    assert await client.ask("/set/load", "s") == [("/done", ("/set/load", "kept"))]


async def test_a_scenes_file_outside_the_library_is_refused_too(live: Rig, tmp_path: Path) -> None:
    (paths.library() / "bell.wav").write_bytes(b"x")
    await live.client().ask("/node/cast/reference", "bell.wav")
    assert "cast.reference" in await live.client().refused("/patch/save", "kept")


# what is replaced


async def test_another_patch_is_replaced_only_when_asked_and_is_kept(tmp_path: Path, home: Path) -> None:
    async with rig(tmp_path / "state") as live:
        mine = put("mine", "format = 1  # my comment\n")
        said = await live.client().refused("/patch/save", "mine")
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


async def test_a_set_that_is_kept_is_not_ended_by_another(live: Rig, client: Client) -> None:
    await client.ask("/session/record", "tonight")
    assert "/session/stop" in await live.client().refused("/session/record", "x")
    assert len(live.engine.sessions) == 1
    await client.ask("/session/stop")
    assert (await client.ask("/session/record", "x"))[0][0] == "/done"
    assert (await client.ask("/record/tracks/start", "y"))[0][0] == "/done", "tracks may be recorded beside it"
    assert "/record/tracks/stop" in await live.client().refused("/record/tracks/start", "z")
    assert await client.ask("/record/tracks/stop") == [("/done", ("/record/tracks/stop",))]


async def test_undo_of_a_saved_file_answers_the_patchs_name(live: Rig, client: Client, tmp_path: Path) -> None:
    await play(live, tmp_path, 'format = 1\nname = "Own"\n[nodes.a]\ntype = "gain"\n')
    await play(live, tmp_path, 'format = 1\nname = "Own"\n[nodes.b]\ntype = "gain"\n')
    assert await client.ask("/patch/undo") == [("/done", ("/patch/undo", "Own"))]
    assert "/fail" not in str(await client.ask("/patch/redo"))


# scenes


async def test_a_scene_with_a_file_of_the_command_line_comes_back(live: Rig, client: Client, tmp_path: Path) -> None:
    (paths.library() / "bell.wav").write_bytes(b"x")
    await client.ask("/node/cast/reference", "bell.wav")
    await client.ask("/scene/recall", 2)
    assert live.app.executor.value("a", "gain") == 0.25
    assert live.app.executor.value("cast", "reference") == str(tmp_path / "strings.wav")


@pytest.mark.parametrize("beats", [0.0, 4.0])
async def test_a_scene_whose_file_has_gone_changes_nothing(live: Rig, client: Client, beats: float) -> None:
    bell = paths.library() / "bell.wav"
    bell.write_bytes(b"x")
    await client.ask("/node/cast/reference", "bell.wav")
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/scene/store", 5)
    await client.ask("/node/cast/reference", "")
    await client.ask("/node/a/gain", 0.5)
    bell.unlink()
    live.engine.applied.clear()
    said = await live.client().refused("/scene/recall", 5, beats)
    assert "the scene is not recalled" in said
    assert "cast.reference" in said
    assert live.app.executor.value("a", "gain") == 0.5
    assert live.engine.applied == []


async def test_a_scene_with_no_room_in_the_schedule_changes_nothing(live: Rig, client: Client) -> None:
    await client.ask("/scene/store", 5)
    await client.ask("/node/a/gain", 1.75)
    await client.ask("/node/a/trim", 0.05)
    schedule = live.app.session.schedule
    live.engine.beat = 1.0
    schedule.limit = len(schedule) + 1
    said = await live.client().refused("/scene/recall", 5, 0.0, 4.0)
    assert "scheduled already" in said
    assert len(schedule) == 0
    schedule.limit = MAX_PENDING
