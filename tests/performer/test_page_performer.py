"""What the performer of pages reports of a performance, with a stand-in for the performance itself."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.kernel.errors import EngineError, UsageError
from antiphon.kernel.runtime.processes.child_process import socket_pair
from antiphon.performer import process
from antiphon.performer.outgoing import SentEvent
from antiphon.performer.performing import Performing
from antiphon.performer.process import PagePerformer
from antiphon.performer.scripts import ScriptFile, Version
from antiphon.web.messages import MAX_STEPS, pack, unpack

OWN_PORT = 4242


class StandIn:
    """A performance that does in each turn what a test asks."""

    def __init__(self, path: str, show: Any, *, osc_port: int, serve: Any, source: PagePerformer) -> None:
        assert serve is None, "it starts no server"
        self.show, self.source, self.steps, self.dropped = show, source, dict[Any, Any](), 0
        self.player = SimpleNamespace(
            version=0,
            tried=0,
            playing=False,
            reading=False,
            begins=0.0,
            tracks=[],
            coming=[],
            out=SimpleNamespace(silent=False, offset=None),
        )
        self.wire = SimpleNamespace(own_port=OWN_PORT)
        self.then: Callable[[], None] = lambda: None
        self.ended = False

    def turn(self) -> None:
        version = self.source.look(0.0)
        if version is not None:
            self.player.tried, self.player.reading = version.number, True
        self.then()
        self.then = lambda: None

    def end(self) -> None:
        self.ended = True

    def taken(self, beat: float) -> None:
        self.player.version, self.player.begins = self.player.tried, beat
        self.player.playing, self.player.reading = True, False

    def refused(self, sentence: str) -> None:
        self.player.reading = False
        self.show(sentence, "bd [sn\n   ^", fault=True)


class Rig:
    """A performer of pages, and web's end of its socket."""

    def __init__(self) -> None:
        self.web, theirs = socket_pair()
        self.web.setblocking(False)
        self.performer = PagePerformer(theirs, Path("/sets"), 4400)
        self.told: list[dict[str, Any]] = []

    @property
    def performing(self) -> Any:
        return self.performer._performing

    def ask(self, **message: Any) -> None:
        self.web.send(pack(message))

    def run(self, version: int) -> None:
        self.ask(do="run", version=version, name=f"set {version}", by="me", text="...")
        self.turn()

    def turn(self, then: Callable[[], None] | None = None) -> dict[str, Any]:
        """One turn; the state that was reported last."""
        if then is not None:
            self.performing.then = then
        self.performer.turn()
        while True:
            try:
                self.told.append(unpack(self.web.recv(1 << 20)))
            except BlockingIOError:
                break
        states: list[dict[str, Any]] = [message["state"] for message in self.told if "state" in message]
        return states[-1]


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(process, "_Lighting", StandIn)
    rig = Rig()
    yield rig
    rig.web.close()


def test_a_version_is_reported_as_it_is_read_plays_and_is_stopped(rig: Rig) -> None:
    rig.run(5)
    state = rig.turn()
    assert (state["reading"], state["playing"], state["tried"], state["version"]) == (True, False, 5, 0)
    state = rig.turn(lambda: rig.performing.taken(12.0))
    assert (state["reading"], state["playing"], state["version"], state["begins"]) == (False, True, 5, 12.0)
    assert (state["name"], state["by"], state["fault"]) == ("set 5", "me", None)
    rig.ask(do="rename", version=4, name="none of these")
    rig.ask(do="rename", version=5, name="tune")
    assert rig.turn()["name"] == "tune"
    before = len(rig.told)
    rig.turn()
    assert len(rig.told) == before, "what has not changed is reported once"
    performing = rig.performing
    rig.ask(do="stop")
    state = rig.turn()
    assert performing.ended
    assert (state["playing"], state["version"], state["name"]) == (False, 0, "")


def test_tracks_are_silenced_for_all_versions_and_what_comes_is_reported_once(rig: Rig) -> None:
    rig.ask(do="tracks", muted=["beat"], soloed=[])
    rig.run(5)
    rig.performing.player.tracks, rig.performing.player.coming = [("beat", "drums", False)], [[4.0, 1.0, "beat", "bd"]]
    state = rig.turn(lambda: rig.performing.taken(12.0))
    assert (state["tracks"], state["muted"], state["soloed"]) == ([["beat", "drums", False]], ["beat"], [])
    assert rig.performing.player.out.muted == {"beat"}
    rig.turn()
    assert [one["coming"] for one in rig.told if "coming" in one] == [[[4.0, 1.0, "beat", "bd"]]]


def test_a_fault_is_that_of_the_version_which_has_it(rig: Rig) -> None:
    rig.run(5)
    rig.turn(lambda: rig.performing.taken(4.0))
    rig.run(6)
    state = rig.turn(lambda: rig.performing.refused("page.py line 3: the [ is not closed"))
    assert state["fault"] == {"line": 3, "sentence": "the [ is not closed", "picture": "bd [sn\n   ^", "version": 6}
    assert (state["playing"], state["version"], state["name"]) == (True, 5, "set 5"), "the last good one plays on"
    state = rig.turn(lambda: rig.performing.show("page.py line 9: KeyError", fault=True))
    assert (state["fault"]["line"], state["fault"]["version"]) == (9, 5), "a fault while it plays"
    state = rig.turn(lambda: rig.performing.show("page.py: it runs without end", fault=True))
    assert (state["fault"]["line"], state["fault"]["sentence"]) == (0, "it runs without end")
    rig.run(7)
    state = rig.turn(lambda: rig.performing.taken(8.0))
    assert (state["fault"], state["version"]) == (None, 7)


def test_what_fails_of_a_version_until_another_is_taken_is_no_fault_of_that(rig: Rig) -> None:
    rig.run(5)
    rig.turn(lambda: rig.performing.taken(4.0))
    rig.run(6)

    def both() -> None:
        rig.performing.show("page.py line 40: KeyError", fault=True)
        rig.performing.taken(8.0)
        rig.performing.show("the version before: page.py line 40: KeyError")

    state = rig.turn(both)
    assert (state["fault"], state["version"]) == (None, 6)
    assert rig.told[-2:][0]["said"] == "the version before: line 40: KeyError"


def test_performing_that_fails_ends_and_the_next_run_begins_anew(rig: Rig) -> None:
    rig.run(5)
    failed = rig.performing

    def fail() -> None:
        raise EngineError("the process has ended")

    state = rig.turn(fail)
    assert failed.ended
    assert (state["playing"], state["fault"]["sentence"]) == (False, "the process has ended")
    rig.run(6)
    assert rig.turn(lambda: rig.performing.taken(0.0))["version"] == 6


def test_hostile_and_wrong_messages_change_nothing_and_a_closed_socket_ends_it(rig: Rig) -> None:
    for data in (b"\xff", b"[]", b'{"do": "run"}', b'{"do": "run", "version": "x"}', b"{}"):
        rig.web.send(data)
    rig.ask(do="nothing")
    rig.ask(do="state")
    assert not rig.turn()["reading"]
    assert rig.performing is None
    rig.web.shutdown(socket.SHUT_RDWR)
    rig.performer.run()  # returns


def test_the_notes_of_a_chord_are_one_step_and_too_many_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Performing, "__init__", lambda *_: None)
    monkeypatch.setattr(Performing, "_send", lambda *_: None)
    lighting = process._Lighting()
    for note in (60, 64, 67):
        lighting._send(SentEvent(4.0, "/note/on", (note, 100), 2, (0.5, [[7, 10, 12], [7, 20, 21]])))
    lighting._send(SentEvent(4.5, "/note/off", (60, 0)))
    assert list(lighting.steps.values()) == [(4.0, 0.5, [7, 10, 12, 7, 20, 21], "")]
    for number in range(2 * MAX_STEPS):
        lighting._send(SentEvent(5.0 + number, "/note/on", (60, 100), 2, (0.5, [[7, 10, 12]])))
    assert (len(lighting.steps), lighting.dropped) == (MAX_STEPS, MAX_STEPS + 1)


def test_a_file_is_read_once_for_each_time_it_was_saved(tmp_path: Path) -> None:
    said: list[str] = []

    def show(sentence: str, picture: str = "", *, fault: bool = False) -> None:
        said.append(sentence)

    path = tmp_path / "set.py"
    with pytest.raises(UsageError, match="no such file"):
        ScriptFile(str(path), show)
    path.write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(UsageError, match="it is no text; name a live script"):
        ScriptFile(str(path), show)
    path.write_text("one")
    source = ScriptFile(str(path), show)
    assert source.look(1.0) == Version("one")
    assert source.look(2.0) is None
    path.write_bytes(b"\xff\xfe two")
    assert [source.look(3.0), source.look(4.0), source.look(5.0)] == [None, None, None]
    assert len(said) == 1
    assert "UTF-8" in said[0]
    path.write_text("three!")
    assert source.look(6.0) is None, "it may still be written"
    assert source.look(6.001) is None
    assert source.look(7.0) == Version("three!")
