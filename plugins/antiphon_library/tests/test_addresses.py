"""`/library/next`: answered later, with paths; bad questions are one sentence."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.test_osc_cli import asked
from tests.control.rig import CATALOG, Rig, rig

import antiphon_library
from antiphon.api.backends.transports import AddressList
from antiphon.kernel.control.hooks import ServerHooks
from antiphon.kernel.errors import WireError
from antiphon.kernel.io.osc_peer import Level
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon_library.catalogue import Catalogue
from antiphon_library.records import FileEntry, FileState, SoundIdentity


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """Control with the addresses of this plugin."""
    monkeypatch.setenv("ANTIPHON_HOME", str(tmp_path / "home"))
    osc = AddressList("antiphon_library")
    antiphon_library.antiphon_addresses(osc)
    hooks = {"antiphon_library": ("antiphon_addresses",)}
    catalog = replace(CATALOG, addresses=tuple(info for info, _ in osc.added), hooks=hooks)
    async with rig(tmp_path / "state", catalog=catalog) as made:
        await ServerHooks(catalog, ServeSettings(), fresh=True).start(made.app)
        yield made


@pytest.fixture
def files(live: Rig) -> list[str]:
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
        (("like",), "takes a whole number"),
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


@pytest.mark.parametrize("tcp", [False, True])
async def test_the_library_answers_when_it_has_searched(live: Rig, tcp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WireError, match="the library is empty"):
        await asked(live, "/library/next", "2", tcp=tcp)

    def searched(_root: Path, count: int, _given: object) -> list[str]:
        time.sleep(0.3)  # `/synced` comes after
        return [f"/loops/{n}.wav" for n in range(count)]

    monkeypatch.setattr("antiphon_library.addresses.next_paths", searched)
    assert await asked(live, "/library/next", "2", tcp=tcp) == ["/library/next.reply /loops/0.wav /loops/1.wav"]
