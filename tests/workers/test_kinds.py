"""Kinds of zygotes have places in the arena, and a worker's own words are said by its plugin."""

from typing import Any

from antiphon.kernel.workers.arena import FIRST_KINDS, Arena, WorkerWord
from antiphon.kernel.workers.spec import WorkerSpec
from antiphon.kernel.workers.zygote import module_of

HERE = "tests.workers.test_kinds"


def test_every_process_finds_a_kind_at_the_same_place() -> None:
    arena = Arena.create(1)
    assert [arena.place_of(kind) for kind in FIRST_KINDS] == [0, 1]
    assert arena.place_of("lute") == 2
    other = Arena(arena.fd)
    assert [other.place_of(kind) for kind in ("harp", "lute", "none")] == [3, 2, 1]
    assert arena.place_of("harp") == 3


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
