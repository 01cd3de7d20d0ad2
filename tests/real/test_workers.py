"""Everything that can happen to a worker or to those around it, in real servers that play, and the sets kept of it."""

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import until
from tests.workers.faulty import CODES, HOP, RATE
from tests.workers.rig import gone
from tests.workers.served import (
    BACK,
    BLOCK,
    LATENCY,
    Heard,
    StalledError,
    again,
    back,
    home,
    kept,
    kill,
    marks,
    play_on,
    same,
    served,
    sound,
    state,
    stop,
    undisturbed,
    unheard,
    untouched,
    worker,
)

from antiphon_bench.rig import ServerProcess

pytestmark = pytest.mark.real

BEGIN, EVERY = 3.0, 0.7
DEADLY = [word for word in CODES if word != "sleep"]


@undisturbed
def test_no_poison_is_heard_or_harms_anybody_else(tmp_path: Path) -> None:
    codes = {BEGIN + EVERY * n: word for n, word in enumerate(CODES)}
    last = BEGIN + EVERY * len(codes)
    place = home(tmp_path, sound(last + 8.0, codes), *CODES, "mirror")
    with served(place, "--session", str(place / "set")) as server:
        late, heard = int(server.status()["latency"]["graph"]), Heard(server)
        assert late == LATENCY * (len(CODES) + 1)
        pids = {word: worker(server, word)["pid"] for word in (*CODES, "mirror")}
        assert len(set(pids.values())) == len(pids)
        reasons = {}
        for word in CODES:
            if word in DEADLY:
                reasons[word] = heard.states(word, ["restarting", "running"])[0]
        play_on(server, EVERY + 1.0)  # the last one sleeps, and nobody says so
        status = server.status()
        assert {w["node"]: w["restarts"] for w in status["workers"]} == {w: int(w in DEADLY) for w in pids}
        assert all(w["state"] == "running" for w in status["workers"])
        assert all(n["state"] == "running" for n in status["nodes"])
        assert (worker(server, "sleep")["pid"], worker(server, "mirror")["pid"]) == (pids["sleep"], pids["mirror"])
        assert all(gone(pids[word]) for word in DEADLY)
        assert (status["engine"]["restarts"], status["nan_blocks"]) == (0, 0)
        untouched(server, "mirror")
        heard.close()
    assert "gave no answer for 0.1" in reasons.pop("hang")
    assert reasons == {
        "nan": "its worker gave NaN or infinity",
        "shape": f"its worker gave a wrong shape: [{4 * HOP}]",
        "memory": "its worker ran out of its 64 MB",
        "raise": "its worker raised RuntimeError: as I was told",
        "exit": "its worker ended with status 3",
    }
    came, said, lines = kept(place / "set")
    unheard(came, said, late)
    told = marks(lines)
    # a ring that is full before the worker is judged to hang, which takes processor time, begins anew as well
    fresh = {word: (1, 2) if word == "hang" else (int(word in DEADLY),) for word in CODES}
    if any(len(words) > 2 + fresh[word][-1] for word, words in told.items()):
        raise StalledError(f"more was missed than was poisoned: {told}")
    # a block that was late itself may have waited for the one who slept
    assert set(told) | {"sleep"} == set(CODES), "one absence for each, and none for the others"
    first = int(lines[1]["sample"])
    # the file begins with the patch, anywhere in a hop
    began = next(int(line["sample"]) for line in lines if "load" in line)
    for n, word in enumerate(CODES):
        if word not in told:
            continue
        # a worker may be back, and begin anew, before the hop that it died with is missed
        kinds = [kind for kind, _ in told[word]]
        assert [kind for kind in kinds if kind != "fresh"] == ["absent", "back"], word
        assert kinds.count("fresh") in fresh[word], word
        # dry from the very hop that was lost
        hop = began // HOP + round((BEGIN + EVERY * n) * RATE / HOP) + LATENCY // HOP * n
        assert dict(told[word])["absent"] == hop
        # the words are in the log before the recording's end, at their block
        at = next(line["sample"] for line in lines if line.get("mark") == "absent" and line["number"] == hop)
        assert first <= at
        assert 0 <= hop * HOP + LATENCY - at < BLOCK
        assert (dict(told[word])["back"] - hop) * HOP / RATE < 2.0
    same(said, again(place / "set", place))


@undisturbed
def test_a_poison_that_comes_again_and_again_is_played_again(tmp_path: Path) -> None:
    """Two workers, eight deaths and as many resets; a third worker's past goes through it all."""
    x = sound(4.0, {2.0: "nan", 3.0: "exit"})
    place = home(tmp_path, x, "nan", "exit", "past")
    with served(place, "--session", str(place / "set")) as server:
        for _ in range(4):
            for word in ("nan", "exit"):
                # a reset before the lost hop is due, three hops after it, leaves nothing to miss
                missed = worker(server, word)["misses"]
                until(lambda w=word, n=missed: worker(server, w)["misses"] > n, 20.0, f"{word} has died again")
                server.send(f"/node/{word}/reset")  # not to be given up
        play_on(server, 1.0)
        untouched(server, "past")
    _, said, lines = kept(place / "set")
    # a worker that begins at the hop of a reset needs no mark "fresh", so each death is counted by what was missed
    for word in ("nan", "exit"):
        assert [kind for kind, _ in marks(lines)[word]].count("absent") >= 3
    try:
        played = again(place / "set", place)
    except subprocess.CalledProcessError as error:
        # a machine held up for longer than a replay waits for a worker
        raise StalledError(str(error)) from error
    same(said, played)


@undisturbed
def test_an_engine_that_dies_leaves_the_workers_as_they_are(tmp_path: Path) -> None:
    place = home(tmp_path, sound(4.0), "mirror", "past")
    with served(place, "--session", str(place / "set")) as server:
        before = {word: worker(server, word)["pid"] for word in ("mirror", "past")}
        for turn in range(1, 4):
            play_on(server, 0.12)
            kill(server.pids()["engine"])
            until(lambda n=turn: server.status()["engine"]["restarts"] == n, 3.0, "another engine")
            until(lambda: server.status()["engine"]["state"] == "running", 3.0, "it runs")
            until(lambda: len(server.status()["workers"]) == 2, 3.0, "its plan plays")
        play_on(server)
        assert {word: worker(server, word)["pid"] for word in before} == before
        assert all(w["restarts"] == 0 and w["state"] == "running" for w in server.status()["workers"])
    _, said, _ = kept(place / "set")
    assert np.abs(said[-2000:]).max() > 0.1, "the sound is back"
    assert longest_silence(said) < 1.0
    same(said, again(place / "set", place))


def longest_silence(said: np.ndarray) -> float:
    loud = np.flatnonzero(np.any(said != 0.0, axis=1))
    return float(np.diff(loud).max(initial=1)) / RATE


@undisturbed
def test_a_control_that_dies_is_nothing_to_the_workers(tmp_path: Path) -> None:
    place = home(tmp_path, sound(4.0), "mirror")
    with served(place, "--session", str(place / "set")) as server:
        late, before, control = (
            int(server.status()["latency"]["graph"]),
            worker(server, "mirror"),
            server.pids()["control"],
        )
        kill(control)
        until(lambda: answers(server) and server.pids()["control"] != control, 5.0, "another control")
        after = worker(server, "mirror")
        assert after["pid"] == before["pid"]
        assert state(server, "mirror")[0] == "running"
        play_on(server)
        untouched(server, "mirror")
    came, said, lines = kept(place / "set")
    unheard(came, said, late)
    assert marks(lines) == {}


def answers(server: ServerProcess) -> bool:
    try:
        return bool(server.status())
    except (OSError, ValueError):
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@undisturbed
def test_a_zygote_that_dies_is_back_with_its_workers(tmp_path: Path, number: int) -> None:
    place = home(tmp_path, sound(4.0), "mirror", "past")
    with served(place, "--session", str(place / "set")) as server:
        before = {word: worker(server, word)["pid"] for word in ("mirror", "past")}
        zygote = parent(before["mirror"])
        assert zygote == parent(before["past"])
        os.kill(zygote, number)
        if number == signal.SIGSTOP:
            # it keeps nobody now, and nobody misses it until a worker dies; then it goes the same way
            play_on(server)
            assert {word: worker(server, word)["pid"] for word in before} == before
            kill(zygote)
        for word in before:
            back(server, word, 1, within=2 * BACK)  # the zygote is a new process, that imports first
        assert not set(before.values()) & {w["pid"] for w in server.status()["workers"]}
        assert parent(worker(server, "mirror")["pid"]) != zygote
        play_on(server)
    until(lambda: all(map(gone, [zygote, *before.values()])), 3.0, "nothing is left")
    _, said, lines = kept(place / "set")
    told = [kind for kind, _ in marks(lines)["past"]]
    assert {"absent", "fresh", "back"} == set(told)
    assert told[-1] == "back"
    same(said, again(place / "set", place))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@undisturbed
def test_a_server_that_ends_leaves_no_worker_though_one_is_stopped_and_one_given_up(tmp_path: Path) -> None:
    place = home(tmp_path, sound(4.0), "mirror", "past", "exit")
    with served(place) as server:
        pids = [w["pid"] for w in server.status()["workers"]]
        zygote = parent(pids[0])
        stop(pids[1])
        assert server.stop(signal.SIGTERM) == 0
    until(lambda: all(map(gone, [zygote, *pids])), 3.0, "nothing is left")


@undisturbed
def test_a_restart_takes_over_from_a_killed_supervisor_and_its_workers(tmp_path: Path) -> None:
    from antiphon_bench.rig import free_port

    place, ports = (
        home(tmp_path, sound(4.0), "mirror"),
        ["--osc-port", str(free_port()), "--http-port", str(free_port())],
    )
    options = ["--audio", "headless", "--block", str(BLOCK), "--patch", str(place / "faulty.toml"), *ports]
    first = ServerProcess(*options, home=place).start()
    until(lambda: worker(first, "mirror")["state"] == "running", 10.0, "the worker runs")
    pid = worker(first, "mirror")["pid"]
    zygote = parent(pid)
    first.stop(signal.SIGKILL)
    with ServerProcess(*options, home=place) as second:
        until(lambda: worker(second, "mirror")["state"] == "running", 10.0, "the worker runs")
        assert worker(second, "mirror")["pid"] != pid
    until(lambda: gone(pid) and gone(zygote), 3.0, "nothing is left of the first")


class TestBegunMidway:
    """Where a set begins with workers at work or away, what is the same in its replay, and what is not."""

    def kept(self, place: Path, begin: str, chain: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """(what was heard, what is played again) of a set that begins while the first node's worker is `begin`."""
        with served(place) as server:
            until(lambda: worker(server, chain[0])["state"] == "running", 10.0, "its worker runs")
            play_on(server)
            if begin == "after a restart":
                kill(server.pids()["engine"])
                until(lambda: server.status()["engine"]["restarts"] == 1, 3.0, "another engine")
                until(lambda: len(server.status()["workers"]) == len(chain), 3.0, "its plan plays")
                play_on(server, 0.1)
            if begin == "away":
                for n in (1, 2):
                    kill(worker(server, chain[0])["pid"])
                    back(server, chain[0], n)
                kill(worker(server, chain[0])["pid"])
                until(lambda: state(server, chain[0])[0] == "failed", 3.0, "it is given up")
            folder = Path(str(server.ask("/session/record", "half")[1][1]))
            play_on(server)
            if begin == "away":
                server.send(f"/node/{chain[0]}/reset")
                back(server, chain[0], 3)
            play_on(server, 0.8)
            server.send("/session/stop")
            server.sync(9)
        return kept(folder)[1], again(folder, place)

    @pytest.mark.parametrize("begin", ["away", "after a restart"])
    @undisturbed
    def test_the_same_but_for_what_was_on_its_way(self, tmp_path: Path, begin: str) -> None:
        place = home(tmp_path, sound(4.0), "mirror", "exit")
        heard, played = self.kept(place, begin, ("mirror", "exit"))
        late = 2 * LATENCY
        assert len(heard) == len(played) > RATE // 2
        # hops and dry sound that were on their way when it began are not in a log
        assert np.array_equal(heard[late + HOP :], played[late + HOP :])
        assert not np.array_equal(heard[: late + HOP], played[: late + HOP])

    @undisturbed
    def test_what_a_model_had_heard_before_is_not_in_the_set(self, tmp_path: Path) -> None:
        x = sound(4.0)
        x[:, 0] += 0.1
        place = home(tmp_path, x, "past")
        soundfile.write(place / "in.wav", x, RATE, "FLOAT")
        heard, played = self.kept(place, "at work", ("past",))
        off = np.abs(heard - played)[LATENCY + HOP :, 0]
        assert off[:HOP].max() > 1e-4
        assert off[-HOP:].max() < off[:HOP].max() / 2, "and is forgotten as the model forgets it"
