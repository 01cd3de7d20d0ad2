"""Workers of a real server are killed and stopped while it plays: heard as fades, said, kept, and played again."""

import json
from pathlib import Path

import numpy as np
from tests.waiting import until
from tests.workers.served import (
    LATENCY,
    RATE,
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
    seconds,
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


def latency(server: ServerProcess) -> int:
    return int(server.status()["latency"]["graph"])


@undisturbed
def test_a_killed_and_a_stopped_worker_leave_no_bend_and_are_back(tmp_path: Path) -> None:
    place = home(tmp_path, sound(4.0), "mirror", "raise")
    with served(place, "--session", str(place / "set")) as server:
        late, heard = latency(server), Heard(server)
        assert late == 2 * LATENCY
        before, other = worker(server, "mirror"), worker(server, "raise")
        assert (before["restarts"], before["misses"], before["model"]) == (0, 0, "mirror")
        kill(before["pid"])
        back(server, "mirror", 1)
        assert heard.states("mirror", ["restarting", "running"])[0] == "its worker was killed by SIGKILL"
        # a worker that runs again has yet to give its first hop
        play_on(server)
        stop(worker(server, "mirror")["pid"])
        back(server, "mirror", 2)
        assert "gave no answer for 0.1" in heard.states("mirror", ["restarting", "running"])[0]
        status = server.status()
        assert worker(server, "raise")["pid"] == other["pid"]
        assert worker(server, "mirror")["misses"] >= 2
        untouched(server, "raise")
        assert status["engine"]["restarts"] == 0
        heard.close()
        play_on(server)
    came, said, lines = kept(place / "set")
    told = marks(lines)
    if len(told["mirror"]) > 6 or "raise" in told:
        raise StalledError(f"it was late again once it was back: {told}")
    kinds = [kind for kind, _ in told["mirror"]]
    # a worker may be back, and begin anew, before the hop that it died with is missed
    assert sorted(kinds[:3]) == sorted(kinds[3:]) == ["absent", "back", "fresh"]
    assert kinds[2] == kinds[5] == "back"
    unheard(came, said, late)
    same(said, again(place / "set", place))


@undisturbed
def test_a_model_with_a_past_is_played_again_as_it_forgot_it(tmp_path: Path) -> None:
    place = home(tmp_path, sound(3.0), "past")
    x = sound(3.0)
    x[:, 0] += 0.1  # what it takes away slowly
    import soundfile

    soundfile.write(place / "in.wav", x, 48000, "FLOAT")
    with served(place, "--session", str(place / "set")) as server:
        until(lambda: seconds(server) > 1.5, 5.0, "it has heard something")
        kill(worker(server, "past")["pid"])
        back(server, "past", 1)
        play_on(server)
    said = kept(place / "set")[1]
    same(said, again(place / "set", place))
    # the log's words matter: without one the past would not have been lost
    log = place / "set" / "session.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if json.loads(line).get("mark") != "fresh"))
    assert np.any(again(place / "set", place) != said)


@undisturbed
def test_three_failures_are_enough_until_the_node_is_reset(tmp_path: Path) -> None:
    place = home(tmp_path, sound(4.0), "mirror", "exit")
    with served(place, "--session", str(place / "set")) as server:
        late, heard, other = latency(server), Heard(server), worker(server, "exit")
        for n in (1, 2):
            kill(worker(server, "mirror")["pid"])
            back(server, "mirror", n)
        kill(worker(server, "mirror")["pid"])
        until(lambda: state(server, "mirror")[0] == "failed", 2.0, "it is given up")
        reason = state(server, "mirror")[1]
        assert "failed three times within a minute" in reason
        assert "/node/NAME/reset tries again" in reason
        assert heard.states("mirror", ["failed"]) == [reason]
        assert (worker(server, "mirror")["state"], worker(server, "mirror")["pid"]) == ("failed", 0)
        play_on(server)
        asked = round(seconds(server) * RATE)
        server.send("/node/mirror/reset")
        back(server, "mirror", 3)
        assert heard.states("mirror", ["running"]) == [""]
        assert worker(server, "exit")["pid"] == other["pid"]
        untouched(server, "exit")
        play_on(server)
        heard.close()
    came, said, lines = kept(place / "set")
    if len(marks(lines)["mirror"]) > 9:
        raise StalledError(f"it was late again once it was back: {marks(lines)}")
    unheard(came[:asked], said[:asked], late)
    same(said, again(place / "set", place))
