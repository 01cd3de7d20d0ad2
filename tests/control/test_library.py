"""`/library/next`: answered later, with paths; bad questions are one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.control.rig import Rig

from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.runtime import paths
from antiphon.library.catalogue import Catalogue
from antiphon.library.records import FileEntry, FileState, SoundIdentity


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = [f"/music/{n}.wav" for n in range(6)]
    with Catalogue(paths.library()) as catalogue:
        for n, name in enumerate(names):
            sound = SoundIdentity(f"s{n}", 10.0, 44100, 2)
            tags = {"artist": f"a{n % 2}", "genre": f"g{n % 2}"}
            catalogue.put(FileEntry(name.encode(), FileState(1, 1), f"f{n}", sound, tags))
    return names


async def test_what_comes_next_is_answered_with_paths(live: Rig, files: list[str]) -> None:
    client = live.client()
    ((address, args),) = await client.later("/library/next", 2, "like", files[0], "skip", files[1])
    assert address == "/library/next.reply"
    assert set(args) == {files[2], files[4]}
    with Catalogue(paths.library()) as catalogue:
        assert [signal.kind for signal in catalogue.taste.signals()] == ["like", "skip"]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("like",), "count"),
        ((1, "love", "x"), "kind is like"),
        ((1, "like"), "path is missing"),
        ((51,), "count takes"),
        ((1, "like", "/nowhere.wav"), "has no sound of /nowhere.wav"),
    ],
)
async def test_a_bad_question_is_one_sentence(
    live: Rig, files: list[str], args: tuple[object, ...], reason: str
) -> None:
    client = live.client()
    ((address, (asked, sentence)),) = await client.later("/library/next", *args)
    assert (address, asked) == ("/fail", "/library/next")
    assert reason in str(sentence)


async def test_it_is_for_owners_and_says_when_there_is_no_library(live: Rig) -> None:
    route = live.app.router.exact[b"/library/next"]
    assert route.level is Level.OWNER
    client = live.client()
    ((address, (_, sentence)),) = await client.later("/library/next")
    assert address == "/fail"
    assert "library add FOLDER" in str(sentence)
    assert not (paths.library() / "library.sqlite").exists()
    assert json.dumps(str(sentence))
