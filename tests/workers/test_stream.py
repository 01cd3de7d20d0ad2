"""Streams of hops through real worker processes: exact while all is well, and what is left when it is not."""

import json
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.waiting import until
from tests.workers.rig import Rig, gone, hops, kill, pid, put, runs, stop_before_three, stopped, through, words
from tests.workers.steppers import Poison, pole, spec

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.arena import MAX_DEPTH, MAX_SLOTS, MAX_WORKERS, SlotWord, State, WorkerWord
from antiphon.kernel.workers.pool import HopStart, Pool
from antiphon.kernel.workers.status import state_of, workers


def test_streams_of_equal_specs_share_a_process_and_none_of_their_past(rig: Rig) -> None:
    streams = [rig.open(spec("Pole"), node=n) for n in (1, 2)]
    other = rig.open(spec("Pole", name="other"))
    more = [rig.open(spec("Pole")) for _ in range(2)]
    assert pid(streams[0]) == pid(streams[1]) == pid(more[0]) != pid(other)
    assert pid(more[1]) not in (pid(other), pid(streams[0])), "three slots are taken: another process"
    x, last = hops(40), [0.0, 0.0]
    for n, sound in enumerate(x):
        for i, stream in enumerate(streams):
            if n % (2 + i) == 0:  # the second is idle now and then
                wanted, last[i] = pole(sound * (1 - 2 * i), last[i])
                (said,) = through(rig, stream, n // (2 + i), [sound * (1 - 2 * i)])
                np.testing.assert_allclose(said, wanted, atol=1e-6)


def test_a_step_is_told_which_slots_idle(rig: Rig) -> None:
    first, second = rig.open(spec("Tell")), rig.open(spec("Tell"))
    x = hops(1)
    assert list(through(rig, first, 5, x)[0][0, :3]) == [5, -1, -1]
    assert list(through(rig, second, 900, x)[0][0, :3]) == [-1, 900, -1]
    for stream, hop in ((first, 6), (second, 901)):
        stream.start(hop)
        stream.post(hop)
    rig.patient()
    # posted within one block, done in one step
    assert list(first.take(6)[0, :3]) == list(second.take(901)[0, :3]) == [6, 901, -1]


def test_a_config_belongs_to_its_stream_and_holds_after_a_restart(rig: Rig) -> None:
    streams = [rig.open(spec("Pole"), json.dumps({"by": by})) for by in (0.5, -0.8)]
    x = hops(4)
    for turn in range(2):
        for stream, by in zip(streams, (0.5, -0.8), strict=True):
            last = 0.0
            for n, said in enumerate(through(rig, stream, 10 * turn, x)):
                wanted, last = pole(x[n], last, by)
                np.testing.assert_allclose(said, wanted, atol=1e-6)
        if turn == 0:
            kill(streams[0])
            for stream in streams:
                runs(stream)


def test_there_is_no_worker_until_it_has_taken_the_stream_up(rig: Rig) -> None:
    stream = rig.pool.open(spec())
    assert stream.start(0) is HopStart.NO_WORKER
    assert stream.take(0) is None
    runs(stream)
    assert stream.start(1) is HopStart.BEGINS
    (found,) = [w for w in workers(rig.arena) if w.name == "test"]
    assert (found.pid, found.state, found.restarts, found.misses, found.device) == (pid(stream), "running", 0, 1, "cpu")
    assert found.hop_ns[1] >= found.hop_ns[0] > 0


def test_a_late_answer_is_dropped_and_the_next_is_right(calm_rig: Rig) -> None:
    stream, x = calm_rig.open(spec("Pole", depth=8)), hops(30)
    stop_before_three(calm_rig, stream, x)
    calm_rig.patient(0.5)
    assert stream.take(5) is None
    slept = calm_rig.pool.waited_ns
    assert slept > 0, "the sleep counts as the worker's"
    calm_rig.patient(30.0)
    assert stream.take(6) is None
    assert calm_rig.pool.waited_ns == slept, "who was late once is not waited for again"
    os.kill(pid(stream), signal.SIGCONT)
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == 8, 5, "it has caught up")
    last = 0.0
    for sound in x[:7]:
        last = pole(sound, last)[1]
    np.testing.assert_allclose(stream.take(7), pole(x[7], last)[0], atol=1e-5)
    assert stream.start(8) is HopStart.CONTINUES, "nothing of its past was lost"
    assert (stream.misses, words(stream)[WorkerWord.RESTARTS]) == (2, 0)


@pytest.mark.parametrize(("gain", "missed"), [(0.0, 0), (1e-6, 0), (0.5, 2)])
def test_an_answer_that_comes_late_and_is_silent_is_no_miss(calm_rig: Rig, gain: float, missed: int) -> None:
    stream, x = calm_rig.open(spec("Pole", depth=8)), gain * hops(30)
    stop_before_three(calm_rig, stream, x)
    calm_rig.patient(0.01)
    assert stream.take(5) is None
    assert stream.take(6) is None
    assert stream.misses == 0, "it is not known yet"
    os.kill(pid(stream), signal.SIGCONT)
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == 8, 5, "it has caught up")
    assert stream.take(7) is not None
    assert stream.misses == missed


def test_one_that_falls_behind_by_a_ring_begins_anew(calm_rig: Rig) -> None:
    stream, x = calm_rig.open(spec("Pole", depth=4)), hops(30)
    through(calm_rig, stream, 0, x[:5])
    os.kill(pid(stream), signal.SIGSTOP)
    until(lambda: stopped(pid(stream)), 5, "stopped")
    said = [put(stream, n, x[n]) for n in range(5, 14)]
    goes_on = [HopStart.CONTINUES] * 3
    assert said == [HopStart.CONTINUES, *goes_on, HopStart.BEGINS, *goes_on, HopStart.BEGINS]
    os.kill(pid(stream), signal.SIGCONT)
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == 14, 5, "it has caught up")
    assert [stream.take(n) for n in range(9, 13)] == [None] * 4, "of an epoch that is over"
    np.testing.assert_allclose(stream.take(13), pole(x[13], 0.0)[0], atol=1e-6)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["hop", "hop", "hop", "gap", "reset", "two"]), max_size=25), st.integers(0, 1 << 33))
def test_any_course_of_hops_gaps_and_resets_is_exact(rig: Rig, course: list[str], hop: int) -> None:
    stream, x, turn, last = rig.open(spec("Pole")), hops(60, seed=hop % 97), 0, 0.0
    waiting: list[tuple[int, np.ndarray]] = []
    for what in ["hop", *course, "hop"]:
        if what == "gap":
            hop += 1
            waiting.clear()
        elif what == "reset":
            stream.reset()
            waiting.clear()
        for _ in range({"hop": 1, "two": 2}.get(what, 0)):
            sound = x[turn % len(x)]
            if put(stream, hop, sound) is HopStart.BEGINS:
                last = 0.0
            wanted, last = pole(sound, last)
            waiting.append((hop, wanted))
            turn, hop = turn + 1, hop + 1
        if what == "hop" or len(waiting) > 4:  # before the ring is full
            rig.patient()
            for number, wanted in waiting:
                np.testing.assert_allclose(stream.take(number), wanted, atol=1e-5)
            waiting.clear()
    assert stream.misses == 0
    stream.close()


def test_what_was_answered_before_a_death_is_played_still(rig: Rig) -> None:
    stream, x = rig.open(spec()), hops(3)
    for n in range(3):
        put(stream, n, x[n])
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == 3, 5, "all of them are answered")
    kill(stream)
    assert stream.take(0) is not None
    if stream.start(3) is HopStart.NO_WORKER:  # it is not back yet
        np.testing.assert_array_equal(stream.take(1), x[1])
        runs(stream)
        assert stream.start(3) is HopStart.BEGINS
    assert stream.take(2) is None, "of an epoch that is over"


WAYS = {
    "HANG": r"gave no answer for \d+\.\d\d s",
    "NAN": "gave NaN or infinity",
    "INF": "gave NaN or infinity",
    "SHAPE": r"gave a wrong shape: \[96\]",
    "RAISE": "raised RuntimeError: as I was told",
    "EXIT": "ended with status 3",
    "LEAVE": "ended with status 1",
    "MEMORY": "ran out of its 64 MB",
    "CRASH": "was killed by SIGSEGV",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_worker_that_misbehaves_is_ended_and_its_neighbour_never_hears_of_it(rig: Rig, way: str) -> None:
    reason = WAYS[way]
    stream, other = rig.open(spec("Poison")), rig.open(spec("Pole", name="other"))
    x, last = hops(40), 0.0
    through(rig, stream, 0, x[:2])
    sound = x[2].copy()
    sound[0, 0] = getattr(Poison, way)
    before, theirs, deadline = pid(stream), pid(other), time.monotonic() + 200.0
    put(stream, 2, sound)
    n = 0
    while pid(stream) == before:
        assert time.monotonic() < deadline
        wanted, last = pole(x[n % 40], last)
        np.testing.assert_allclose(through(rig, other, n, x[n % 40][None])[0], wanted, atol=1e-5)
        n += 1
    assert stream.take(2) is None
    assert stream.start(3) is not HopStart.CONTINUES
    runs(stream)
    assert other.misses == 0
    assert (pid(other), words(other)[WorkerWord.RESTARTS], words(stream)[WorkerWord.RESTARTS]) == (theirs, 0, 1)
    assert state_of(State.RESTARTING, stream.entry.reason)[1].startswith("its worker ")
    assert re.fullmatch(reason, stream.entry.reason), stream.entry.reason
    np.testing.assert_allclose(through(rig, stream, 3, x[:1])[0], pole(x[0], 0.0)[0], atol=1e-6)


def test_one_that_only_sleeps_too_long_is_left_alive(rig: Rig) -> None:
    stream, x = rig.open(spec("Poison")), hops(2)
    through(rig, stream, 0, x[:1])
    asleep = x[1].copy()
    asleep[0, 0] = Poison.SLEEP
    late = 0

    def is_late() -> bool:
        """False where this process had to wait for longer than the worker slept."""
        nonlocal late
        late += 1
        put(stream, late, asleep)
        rig.patient(0.005)
        return stream.take(late) is None

    until(is_late, 5, "an answer is late")
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == late + 1, 5, "it has caught up")
    assert stream.start(late + 1) is HopStart.CONTINUES
    put(stream, late + 1, x[1])
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == late + 2, 5, "it goes on")
    assert stream.take(late + 1) is not None
    assert words(stream)[WorkerWord.RESTARTS] == 0


def test_three_failures_within_a_minute_are_enough_until_somebody_asks(rig: Rig) -> None:
    stream, x = rig.open(spec()), hops(3)
    for _ in range(2):
        kill(stream)
        runs(stream)
    stream.retry()  # of one that runs: its failures are forgotten
    until(lambda: words(stream)[WorkerWord.RETRIED] == words(stream)[WorkerWord.RETRY], 5, "it was heard")
    for _ in range(2):
        kill(stream)
        runs(stream)
    kill(stream)
    until(lambda: stream.entry.state == State.QUARANTINED, 5, "it is given up")
    state, said = state_of(stream.entry.state, stream.entry.reason)
    assert state == "failed"
    assert "three times within a minute (was killed by SIGKILL); /node/NAME/reset" in said
    assert stream.start(0) is HopStart.NO_WORKER
    assert rig.pool.is_settled(), "there is nothing to wait for"
    assert words(stream)[WorkerWord.PID] == 0
    stream.retry()
    runs(stream)
    np.testing.assert_array_equal(np.stack(through(rig, stream, 1, x)), x)


@pytest.mark.parametrize(
    ("kind", "state", "reason"),
    [
        ("Refused", State.REFUSED, "the weights of it are missing; run: antiphon models"),
        ("Missing", State.REFUSED, "tests.workers.steppers has no 'Missing'"),
        ("Unmade", State.QUARANTINED, "raised ValueError: no such kernel"),
        ("Large", State.QUARANTINED, "takes more than 64 MB"),
        ("Unwarm", State.QUARANTINED, "gave a wrong shape: [96]"),
    ],
)
def test_one_that_does_not_start_says_why_and_is_tried_again_when_asked(
    rig: Rig, kind: str, state: State, reason: str
) -> None:
    stream = rig.pool.open(spec(kind))
    for turn in range(2):
        until(lambda: stream.entry.state == state, 10, f"it is given up: {stream.entry.state.name}")
        assert reason in stream.entry.reason
        assert reason in state_of(stream.entry.state, stream.entry.reason)[1]
        assert stream.start(0) is HopStart.NO_WORKER
        if turn == 0:
            starts = words(stream)[WorkerWord.GENERATION]
            stream.retry()
            until(lambda n=starts: words(stream)[WorkerWord.GENERATION] > n, 5, "it is tried again")


def test_a_module_that_fails_as_it_is_imported_is_no_fault_of_other_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unimportable.py").write_text("raise RuntimeError('made for another version')")
    monkeypatch.syspath_prepend(str(tmp_path))
    rig = Rig(imports="unimportable")
    stream = rig.open(spec("Pole"))
    assert through(rig, stream, 0, hops(1))[0] is not None
    rig.close()


def test_one_that_waits_for_what_it_plays_by_holds_nobody_up_and_says_why(rig: Rig, tmp_path: Path) -> None:
    there = tmp_path / "there"
    stream = rig.pool.open(spec("Joins", settings={"by": str(there)}))
    until(rig.pool.is_settled, 5, "nobody waits for it")
    assert stream.entry.state == State.WAITING
    # and while the next one begins, and the one after it
    until(lambda: words(stream)[WorkerWord.GENERATION] >= 3, 10, "it is asked again")
    assert rig.pool.is_settled()
    (found,) = [w for w in workers(rig.arena) if w.name == "test"]
    assert (found.state, found.reason) == ("waiting", "its worker waits: nobody answers there")
    assert stream.start(0) is HopStart.NO_WORKER
    there.touch()
    runs(stream)
    assert words(stream)[WorkerWord.RESTARTS] == 0, "it has not failed"
    assert stream.entry.reason == ""
    x = hops(3)
    np.testing.assert_array_equal(np.stack(through(rig, stream, 1, x)), x)
    # it goes again, and nobody wants it any more
    there.unlink()
    kill(stream)
    until(lambda: stream.entry.state == State.WAITING, 10, "it is waited for again")
    stream.close()
    until(lambda: stream.entry.state == State.NONE, 5, "and not longer than somebody wants it")


def test_an_idle_worker_ends_and_one_that_is_wanted_again_does_not(rig: Rig) -> None:
    stream = rig.open(spec())
    before = pid(stream)
    stream.close()
    again = rig.open(spec())
    assert pid(again) == before
    entry = again.entry
    again.close()
    entry.words[WorkerWord.LEFT_NS] -= 60_000_000_000
    until(lambda: entry.state == State.NONE, 5, "it has ended")
    assert gone(before)
    other = rig.open(spec("Pole", name="other"))
    assert other.entry is entry, "its place is free"
    assert (words(other)[WorkerWord.RESTARTS], other.entry.reason) == (0, "")


def test_an_engine_that_follows_a_dead_one_finds_the_worker_as_it_was(rig: Rig) -> None:
    stream, x = rig.open(spec("Pole")), hops(6)
    through(rig, stream, 0, x)
    before, old = pid(stream), rig.pool
    stream.start(6)
    stream.input(6)[:] = x[0]
    stream.post(6)  # and dies before it has rung
    rig.pool = Pool(rig.arena, rig.bells)
    try:
        again = rig.open(spec("Pole"))
        assert pid(again) == before
        assert again.serial != stream.serial
        assert again.start(3) is HopStart.BEGINS
        np.testing.assert_allclose(through(rig, again, 3, x[:1])[0], pole(x[0], 0.0)[0], atol=1e-6)
        assert words(again)[WorkerWord.RESTARTS] == 0
        again.close()
    finally:
        old.streams.clear()


def test_a_worker_that_looks_late_does_not_take_a_new_stream_for_an_old_one(calm_rig: Rig) -> None:
    stream, x = calm_rig.open(spec("Pole")), hops(4)
    through(calm_rig, stream, 0, x)
    os.kill(pid(stream), signal.SIGSTOP)
    stream.close()
    calm_rig.pool = Pool(calm_rig.arena, calm_rig.bells)
    again = calm_rig.pool.open(spec("Pole"))
    assert again.entry is stream.entry
    assert again.start(4) is HopStart.NO_WORKER, "it has not taken it up"
    os.kill(pid(stream), signal.SIGCONT)
    runs(again)
    np.testing.assert_allclose(through(calm_rig, again, 5, x[:1])[0], pole(x[0], 0.0)[0], atol=1e-6)


def test_a_worker_that_nobody_woke_is_not_blamed_for_it(rig: Rig) -> None:
    stream, x = rig.open(spec()), hops(1)
    before = pid(stream)
    stream.start(0)
    stream.input(0)[:] = x[0]
    stream.post(0)  # the engine is held up before the end of its block
    until(lambda: stream.entry.slot(stream.slot, SlotWord.CURSOR) == 1, 5, "it was woken by the zygote")
    np.testing.assert_array_equal(stream.take(0), x[0])
    assert pid(stream) == before


def test_an_epoch_that_was_begun_and_not_posted_to_is_no_hang(rig: Rig) -> None:
    stream, x = rig.open(spec()), hops(3)
    before = pid(stream)
    through(rig, stream, 0, x)
    assert stream.start(9) is HopStart.BEGINS  # and another lane of the same sound has no worker: nothing is posted
    other = rig.open(spec(name="clock"))
    os.kill(pid(other), signal.SIGSTOP)
    put(other, 0, x[0])
    until(lambda: words(other)[WorkerWord.RESTARTS] == 1, 5, "the time of a hang has passed")
    assert pid(stream) == before
    np.testing.assert_array_equal(np.stack(through(rig, stream, 10, x)), x)


def test_a_worker_is_ended_by_who_hears_what_it_gave(rig: Rig) -> None:
    stream, x = rig.open(spec()), hops(4)
    through(rig, stream, 0, x)
    before = pid(stream)
    stream.blame()
    assert stream.take(3) is None
    until(lambda: pid(stream) != before, 5, "another worker")
    assert stream.entry.reason == "gave what cannot be played"
    runs(stream)
    assert stream.start(4) is HopStart.BEGINS


def test_a_blamed_worker_takes_no_more_hops(calm_rig: Rig) -> None:
    stream = calm_rig.open(spec())
    through(calm_rig, stream, 0, hops(1))
    os.kill(calm_rig.zygote, signal.SIGSTOP)
    try:
        stream.blame()
        assert stream.start(1) is HopStart.NO_WORKER
    finally:
        os.kill(calm_rig.zygote, signal.SIGCONT)


def test_what_does_not_fit_is_refused_in_a_sentence(rig: Rig) -> None:
    for wrong, said in (
        ({"slots": MAX_SLOTS + 1}, f"65 slots; 1 to {MAX_SLOTS}"),
        ({"slots": 0}, "0 slots"),
        ({"depth": MAX_DEPTH + 1}, f"hops in a ring; 1 to {MAX_DEPTH}"),
        ({"inputs": (64, 4096), "slots": 64}, "more than 32 MB; fewer slots"),
        ({"settings": {"text": "x" * 4000}}, "at most 3072"),
    ):
        with pytest.raises(WorkerError, match=said):
            rig.pool.open(replace(spec(), **wrong))
    with pytest.raises(WorkerError, match="4097 bytes; at most 4096"):
        rig.pool.open(spec(), "x" * 4097)
    assert rig.pool.streams == []
    rig.open(spec())


def test_the_table_of_workers_is_bounded(rig: Rig) -> None:
    for n in range(MAX_WORKERS):
        rig.pool.open(spec(name=f"worker {n}"))
    with pytest.raises(WorkerError, match=f"there are {MAX_WORKERS} workers already"):
        rig.pool.open(spec(name="one more"))
    until(rig.pool.is_settled, 120, "all of them run")
    assert len({w.pid for w in workers(rig.arena)}) == MAX_WORKERS
    first = rig.pool.streams[0]
    assert rig.pool.open(first.spec).entry is first.entry, "a slot is free still"
