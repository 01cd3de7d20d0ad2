"""`antiphon run` and `render` with a model in a worker: the same samples at any block, and a worker's death said."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.cli.conftest import Command
from tests.workers import faulty
from tests.workers.served import home, sound

from antiphon.kernel.workers import pool as pools

RATE, HOP = faulty.RATE, faulty.HOP


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """The home of `antiphon`, with the plugin; the pool of workers is this test's own."""
    pools.use(None)
    yield tmp_path.parent / f"{tmp_path.name}-home"
    here = pools._context.pool
    if here is not None:
        here.shut()
    pools.use(None)
    sys.modules.pop("faulty", None)  # the next one comes from another home


def read(name: str) -> np.ndarray:
    return soundfile.read(name, dtype="float32", always_2d=True)[0]


def past(x: np.ndarray) -> np.ndarray:
    """What `faulty.Past` makes of it, without a worker."""
    padded = np.pad(x, ((0, -len(x) % HOP), (0, 0)))
    said, mean = padded.copy(), np.zeros(x.shape[1], np.float32)
    for hop in said.reshape(-1, HOP, x.shape[1]):
        for channel in range(x.shape[1]):
            row = np.ascontiguousarray(hop[:, channel])
            mean[channel] = np.float32(0.98) * mean[channel] + np.float32(0.02) * row.mean()
            hop[:, channel] -= mean[channel]
    return said[: len(x)]


def test_any_block_and_either_command_give_the_same_samples(antiphon: Command, place: Path) -> None:
    x = sound(1.5)[:-77] + np.float32(0.1)
    home(place, x, "past")
    source = place / "in.wav"
    found = {}
    for block in (32, 2048):
        line = ("--block", str(block), "--fade", "0")
        assert antiphon("run", "past", source, f"run-{block}.wav", *line).code == 0
        found[f"run {block}"] = read(f"run-{block}.wav")
        patch = str(place / "faulty.toml")
        assert antiphon("render", patch, "--in", source, "--out", f"out-{block}.wav", *line).code == 0
        found[f"render {block}"] = read(f"out-{block}.wav")
    wanted = past(x)
    for name, y in found.items():
        assert y.shape == x.shape, name
        assert y.tobytes() == wanted.tobytes(), name


@pytest.mark.parametrize(("word", "reason"), [("nan", "gave NaN or infinity"), ("exit", "ended with status 3")])
def test_a_worker_that_dies_ends_the_work_in_one_sentence(
    antiphon: Command, place: Path, word: str, reason: str
) -> None:
    home(place, sound(1.0, {0.5: word}), word)
    done = antiphon("run", word, place / "in.wav", "out.wav")
    assert (done.code, done.complaint) == (2, f"the worker {word} {reason}; the work ends where its answer is missing")
    done = antiphon("render", str(place / "faulty.toml"), "--in", place / "in.wav", "--out", "out.wav")
    assert (done.code, done.complaint) == (2, f"the worker {word} {reason}; the work ends where its answer is missing")
    assert not list(Path().glob("*out*")), "nothing is left half written"


def test_one_of_several_files_that_kills_a_worker_leaves_the_others_done(antiphon: Command, place: Path) -> None:
    home(place, sound(0.5), "nan")
    for name, x in (("a", sound(0.5)), ("b", sound(0.5, {0.3: "nan"})), ("c", sound(0.5))):
        soundfile.write(f"{name}.wav", x, RATE, "FLOAT")
    done = antiphon("run", "nan", "a.wav", "b.wav", "c.wav", "--out-dir", "out", "--fade", "0")
    assert done.code == 1
    assert done.err.splitlines() == [
        "antiphon: the worker nan gave NaN or infinity; the work ends where its answer is missing",
        "antiphon: 1 of 3 files could not be processed",
    ]
    assert sorted(p.name for p in Path("out").iterdir()) == ["a.wav", "c.wav"]
    for name in ("a", "c"):
        np.testing.assert_array_equal(read(f"out/{name}.wav"), read(f"{name}.wav"))


def test_a_worker_that_does_not_start_is_refused(antiphon: Command, place: Path) -> None:
    home(place, sound(0.5), "lost")
    done = antiphon("run", "lost", place / "in.wav", "out.wav")
    assert done.code == 2
    assert done.complaint == ("lost (lost) would not prepare: the worker lost does not start: faulty has no 'Nowhere'")
