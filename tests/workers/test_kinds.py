"""Kinds of zygotes have places in the arena, and a worker's own words are said by its plugin."""

from typing import Any

import pytest

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.arena import FIRST_KINDS, MAX_KINDS, Arena, WorkerWord
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.kernel.workers.status import workers
from antiphon.kernel.workers.zygote import module_of

HERE = "tests.workers.test_kinds"


def test_every_process_finds_a_kind_at_the_same_place() -> None:
    arena = Arena.create(1)
    assert [arena.place_of(kind) for kind in FIRST_KINDS] == [0, 1]
    assert arena.place_of("lute") == 2
    other = Arena(arena.fd)
    assert [other.place_of(kind) for kind in ("harp", "lute", "none")] == [3, 2, 1]
    assert arena.place_of("harp") == 3


def test_there_are_so_many_kinds_and_no_more() -> None:
    arena = Arena.create(1)
    for n in range(MAX_KINDS - len(FIRST_KINDS)):
        arena.place_of(f"kind {n}")
    with pytest.raises(WorkerError, match="'one more' would be another"):
        arena.place_of("one more")
    for name in ("", "x" * 64):
        with pytest.raises(WorkerError, match="1 to 63 bytes"):
            arena.place_of(name)


def wanted(arena: Arena, spec: WorkerSpec) -> memoryview:
    """The words of a worker with one stream."""
    entry = arena.entries[0]
    entry.set_spec(spec)
    entry.words[WorkerWord.WANTED] = 1
    entry.slots[0, 0] = 1
    return entry.words


def test_a_zygote_imports_what_the_workers_of_its_kind_name() -> None:
    arena = Arena.create(1)
    assert module_of("torch", arena) == "torch"
    wanted(arena, WorkerSpec("lute", "lute:Lute", zygote="lute", imports="lute.heavy"))
    assert module_of("lute", arena) == "lute.heavy"
    assert module_of("torch", arena) == "torch"


def describe(said: dict[str, Any], own: tuple[int, ...], settings: dict[str, Any]) -> dict[str, Any]:
    return {"restarts": said["restarts"] + own[0], "strings": own[1], **settings}


def fails(*_given: Any) -> dict[str, Any]:
    raise ValueError("no words")


def test_own_words_are_said_by_the_plugin() -> None:
    arena = Arena.create(1)
    words = wanted(arena, WorkerSpec("lute", "lute:Lute", settings={"wood": "plum"}, describe=f"{HERE}:describe"))
    words[WorkerWord.OWN], words[WorkerWord.OWN + 1] = 2, 13
    (found,) = workers(arena)
    assert found.described({"restarts": 1, "pid": 5}) == {"restarts": 3, "pid": 5, "strings": 13, "wood": "plum"}


@pytest.mark.parametrize(("where", "why"), [("fails", "ValueError: no words"), ("nothing", "has no 'nothing'")])
def test_what_cannot_be_said_is_no_end_of_the_status(where: str, why: str) -> None:
    arena = Arena.create(1)
    wanted(arena, WorkerSpec("lute", "lute:Lute", describe=f"{HERE}:{where}"))
    (found,) = workers(arena)
    said = found.described({"pid": 5, "reason": ""})
    assert said["pid"] == 5
    assert why in said["reason"]
