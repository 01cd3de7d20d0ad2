"""`/library/next`: answered later, with paths; bad questions are one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.control.rig import Rig
from tests.waiting import comes

from antiphon.io.osc_peer import Level
from antiphon.library.catalogue import Catalogue
from antiphon.library.records import FileEntry, FileState, SoundIdentity
from antiphon.runtime import paths


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = [f"/music/{n}.wav" for n in range(6)]
    with Catalogue(paths.library()) as catalogue:
        for n, name in enumerate(names):
            sound = SoundIdentity(f"s{n}", 10.0, 44100, 2)
            tags = {"artist": f"a{n % 2}", "genre": f"g{n % 2}"}
            catalogue.put(FileEntry(name.encode(), FileState(1, 1), f"f{n}", sound, tags))
    return names


async def answered(client: object) -> list[tuple[str, tuple[object, ...]]]:
    found: list[tuple[str, tuple[object, ...]]] = []
    await comes(lambda: found.extend(client.heard()) or found, "an answer")  # type: ignore[attr-defined, func-returns-value]
    return found


async def test_what_comes_next_is_answered_with_paths(live: Rig, files: list[str]) -> None:
    client = live.client()
    client.send("/library/next", 2, "like", files[0], "skip", files[1])
    ((address, args),) = await answered(client)
    assert address == "/library/next.reply"
    assert set(args) == {files[2], files[4]}
    with Catalogue(paths.library()) as catalogue:
        assert [signal.kind for signal in catalogue.taste.signals()] == ["like", "skip"]


@pytest.mark.parametrize(
    ("args", "reason"),
    [(("like",), "count"), ((1, "love", "x"), "kind is like"), ((1, "like"), "path is missing"), ((51,), "count takes"),
     ((1, "like", "/nowhere.wav"), "has no sound of /nowhere.wav")],
)  # fmt: skip
async def test_a_bad_question_is_one_sentence(
    live: Rig, files: list[str], args: tuple[object, ...], reason: str
) -> None:
    client = live.client()
    client.send("/library/next", *args)
    ((address, (asked, sentence)),) = await answered(client)
    assert (address, asked) == ("/fail", "/library/next")
    assert reason in str(sentence)


async def test_it_is_for_owners_and_says_when_there_is_no_library(live: Rig) -> None:
    route = live.app.router.exact[b"/library/next"]
    assert route.level is Level.OWNER
    client = live.client()
    client.send("/library/next")
    ((address, (_, sentence)),) = await answered(client)
    assert address == "/fail"
    assert "library add FOLDER" in str(sentence)
    assert not (paths.library() / "library.sqlite").exists()
    assert json.dumps(str(sentence))
