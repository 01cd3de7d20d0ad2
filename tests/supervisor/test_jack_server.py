"""When a JACK server of Antiphon's own is started. No JACK here."""

import os
from types import SimpleNamespace
from typing import Any

import pytest

from antiphon.kernel.engine.drivers.probe import Found
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.kernel.supervisor import jack_server


class Machine:
    """jack: whether a server answers.  card: whether PortAudio finds one."""

    def __init__(self, patch: pytest.MonkeyPatch, *, jack: bool, installed: bool = True, card: bool = True) -> None:
        self.jack, self.installed, self.card, self.started = jack, installed, card, 0
        patch.setattr(jack_server, "probe", self.probe)
        patch.setattr(jack_server, "start", self.start)
        patch.setenv(jack_server.NAME, "antiphon-none")

    def probe(self, settings: ServeSettings) -> Found:
        if settings.audio == "jack":
            if not self.jack:
                raise EngineError("no JACK server answers")
            if settings.input or settings.output:
                raise EngineError("JACK has no port like that")
            return Found("jack", 48000, 256)
        if settings.audio == "headless":
            return Found("headless", settings.rate, settings.block)
        if not self.card:
            return Found("headless", settings.rate, settings.block, "no sound card was found")
        return Found("portaudio", settings.rate, settings.block)

    def start(self, settings: ServeSettings) -> int:
        if not self.installed:
            raise EngineError("--synth harp plays through JACK; install it with: sudo apt-get install jackd2")
        self.jack, self.started = True, self.started + 1
        assert (settings.rate, settings.block) == (44100, 128) if settings.audio == "jack" else True
        return 77


JOINED = {"address": "127.0.0.1:57110"}
"""What it is given to join one that runs already."""


def asked(audio: str, **other: Any) -> ServeSettings:
    return ServeSettings(audio=audio, synth=other.pop("synth", "harp"), rate=44100, block=128, **other)


def find(settings: ServeSettings) -> tuple[Found, int]:
    """As a supervisor asks, which knows the backend by then."""
    return jack_server.find(settings, "harpist" if settings.synth == "harp" else "", bool(settings.options))


CLOCKS = "harpist plays through a JACK server|two clocks"
NO_CARD, NO_JACKD = {"jack": False, "card": False}, {"jack": False, "installed": False}


@pytest.mark.parametrize(
    ("machine", "settings", "driver", "pid", "said"),
    [
        ({"jack": False}, asked("headless"), "jack", 77, ""),
        ({"jack": False}, asked("headless", options=JOINED), "headless", 0, ""),
        ({"jack": True}, asked("headless", options=JOINED), "jack", 0, ""),
        ({"jack": True}, asked("jack"), "jack", 0, ""),
        (NO_CARD, asked("auto"), "jack", 77, "no sound card was found"),
        (NO_CARD, asked("auto", synth="pyo"), "headless", 0, "no sound card was found"),
        (NO_CARD, asked("auto", options=JOINED), "headless", 0, "no sound card was found"),
        ({"jack": False}, asked("portaudio"), "portaudio", 77, CLOCKS),
        ({"jack": True}, asked("portaudio"), "portaudio", 0, ""),
        (NO_JACKD, asked("portaudio"), "portaudio", 0, "sudo apt-get install jackd2"),
        ({"jack": False}, asked("portaudio", synth="pyo"), "portaudio", 0, ""),
        ({"jack": False}, asked("portaudio", options=JOINED), "portaudio", 0, ""),
    ],
)
def test_one_is_started_where_a_synth_needs_it_and_none_answers(
    monkeypatch: pytest.MonkeyPatch, machine: dict[str, bool], settings: ServeSettings, driver: str, pid: int, said: str
) -> None:
    there = Machine(monkeypatch, **machine)
    found, started = find(settings)
    assert (found.driver, started, there.started) == (driver, pid, int(pid > 0))
    notes = " ".join([found.note, *jack_server.notes(settings, found)])
    assert all(part in notes for part in said.split("|"))
    assert bool(found.note) == bool(said)
    if pid:
        assert find(settings)[1] == 0, "once"
    if settings.audio == "jack":
        assert not found.own, "a card's server is nobody's to start"
    if settings.options and settings.audio == "headless":
        assert not jack_server.may_be_microphone(settings, found)


def test_one_that_was_anothers_and_has_gone_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=True)
    found, pid = find(asked("headless"))
    assert (found.own, pid) == (True, 0)
    settings = asked("headless").with_(rate=found.rate, block=found.block)
    machine.jack = False
    assert jack_server.restart(settings) == 77
    # another survivor was first
    assert jack_server.restart(settings) == 0
    assert machine.started == 1
    machine.jack = machine.installed = False
    assert jack_server.restart(settings) == 0, "where none can be started any more the server plays on"
    machine.jack = True
    assert jack_server.restart(asked("portaudio", input="Mic", output="Speakers")) == 0, "a card's devices are no ports"
    assert machine.started == 1


@pytest.mark.parametrize("given", ["default", "antiphon"])
def test_a_name_that_is_somebody_elses_is_not_taken(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    Machine(monkeypatch, jack=False)
    monkeypatch.setenv(jack_server.NAME, given)
    find(asked("headless"))
    assert os.environ[jack_server.NAME] == jack_server.DEFAULT != "antiphon"


@pytest.mark.parametrize(("block", "wait"), [(256, "107"), (64, "27")])
def test_our_jackd_waits_for_late_clients_alone(block: int, wait: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []

    def spawn(command: list[str], **_: object) -> SimpleNamespace:
        words.extend(command)
        return SimpleNamespace(pid=7)

    monkeypatch.setattr(jack_server, "spawn", spawn)
    monkeypatch.setattr(jack_server.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(jack_server, "remove_stale_database", lambda: None)
    monkeypatch.setenv(jack_server.NAME, "ours")
    assert jack_server.start(ServeSettings(rate=48000, block=block)) == 7
    assert words[words.index("-t") + 1] == wait
    assert "-S" not in words, "it would wait twice for a killed one"
