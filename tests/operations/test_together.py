"""Every public name of `antiphon` at once with every other, in two threads and tasks: each gets its own results."""

import asyncio
import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import antiphon
import antiphon.aio

RATE = 48000
SOUND = np.sin(np.arange(RATE // 8) * 0.05).astype(np.float32) * 0.3
KEEP = {"AntiphonError", "Model", "Result", "Song", "__version__"}
"""Names of a text, of classes that others return or raise, and of a step of `Chain`, which needs torch."""
SERVERS = {"Server", "Remote", "connect"}
"""Those that need a server; `test_remote` draws their pairs."""


def chain() -> Any:
    with antiphon.Chain("gain", "delay", rate=RATE) as made:
        return made(SOUND)


def stream() -> Any:
    with antiphon.Stream("hum", RATE, mode="yin") as made:
        return repr(made(SOUND))


CALLS: dict[str, Callable[[], Any]] = {
    "run": lambda: antiphon.run("gain", SOUND, RATE, gain=0.5).sound,
    "render": lambda: antiphon.render("dub", SOUND, RATE, seconds=0.2).sound,
    "analyse": lambda: antiphon.analyse(SOUND, RATE, only="loudness").values["loudness"],
    "ask": lambda: len(antiphon.ask("patches")),
    "Note": lambda: antiphon.run("gain", SOUND, RATE).sound + antiphon.Note(0.0, 1.0, 60).pitch,
    "Chain": chain,
    "Stream": stream,
}
ALONE: dict[str, Any] = {}


def same(name: str, found: Any) -> None:
    if name not in ALONE:
        ALONE[name] = CALLS[name]()
    np.testing.assert_array_equal(found, ALONE[name], name)


def test_every_public_name_has_a_call() -> None:
    assert CALLS.keys() == set(antiphon.__all__) - KEEP - SERVERS


def test_two_threads_of_any_names_get_their_own() -> None:
    pairs = [*itertools.combinations_with_replacement(CALLS, 2)]
    random.Random(1).shuffle(pairs)
    with ThreadPoolExecutor(2) as pool:
        for pair in pairs:
            for name, found in zip(pair, pool.map(lambda name: CALLS[name](), pair), strict=True):
                same(name, found)


@pytest.mark.parametrize("other", ["run", "render", "analyse"])
def test_two_tasks_of_any_names_get_their_own(other: str) -> None:
    tasks: dict[str, Callable[[], Any]] = {
        "run": lambda: antiphon.aio.run("gain", SOUND, RATE, gain=0.5),
        "render": lambda: antiphon.aio.render("dub", SOUND, RATE, seconds=0.2),
        "analyse": lambda: antiphon.aio.analyse(SOUND, RATE, only="loudness"),
    }

    async def both(pair: tuple[str, str]) -> list[Any]:
        return await asyncio.gather(*(tasks[name]() for name in pair))

    for one in tasks:
        for name, found in zip((one, other), asyncio.run(both((one, other))), strict=True):
            same(name, found.values["loudness"] if name == "analyse" else found.sound)
