"""When a JACK server of Antiphon's own is started. No JACK here."""

import os
from typing import Any

import pytest

from antiphon.kernel.engine.drivers.probe import Found
from antiphon.kernel.errors import EngineError
from antiphon.kernel.runtime.settings import ServeOption, ServeSettings
from antiphon.kernel.supervisor import jack_server
from antiphon.kernel.synth.info import SynthInfo


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


HARP = SynthInfo("harp", "harp:Harp", program="harpist", jack=True, option=ServeOption("address", "Where it runs."))
"""A backend that plays by a program over JACK."""
JOINED = {"address": "127.0.0.1:57110"}
"""What it is given to join one that runs already."""


def asked(audio: str, **other: Any) -> ServeSettings:
    return ServeSettings(audio=audio, synth=other.pop("synth", "harp"), rate=44100, block=128, **other)


def find(settings: ServeSettings) -> tuple[Found, int]:
    """As a supervisor asks, which knows the backend by then."""
    return jack_server.find(settings, HARP if settings.synth == "harp" else None)


def test_headless_starts_one_where_none_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    found, pid = find(asked("headless")) if Machine(monkeypatch, jack=False) else (None, 0)
    assert found is not None
    assert (found.driver, pid) == ("jack", 77)


def test_without_a_card_it_is_as_headless(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=False, card=False)
    found, pid = find(asked("auto"))
    assert (found.driver, pid, machine.started) == ("jack", 77, 1)
    assert jack_server.notes(asked("auto"), found) == ["no sound card was found"]
    other, pid = find(asked("auto"))
    assert (other.driver, pid, machine.started) == ("jack", 0, 1)


def test_without_a_card_and_without_a_synth_over_jack_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=False, card=False)
    assert find(asked("auto", synth="pyo"))[0].driver == "headless"
    assert find(asked("auto", options=JOINED))[0].driver == "headless"
    assert machine.started == 0


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


def test_a_card_s_devices_are_not_looked_for_among_jack_s_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=True)
    assert jack_server.restart(asked("portaudio", input="Mic", output="Speakers")) == 0
    assert machine.started == 0


def test_where_none_can_be_started_any_more_the_server_plays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, jack=False, installed=False)
    assert jack_server.restart(asked("headless")) == 0


def test_a_card_s_server_is_nobodys_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, jack=True)
    assert not find(asked("jack"))[0].own


@pytest.mark.parametrize("given", ["default", "antiphon"])
def test_a_name_that_is_somebody_elses_is_not_taken(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    Machine(monkeypatch, jack=False)
    monkeypatch.setenv(jack_server.NAME, given)
    find(asked("headless"))
    assert os.environ[jack_server.NAME] == jack_server.DEFAULT != "antiphon"


def test_portaudio_alone_gets_one_and_says_that_there_are_two_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=False)
    found, pid = find(asked("portaudio"))
    assert (found.driver, pid, machine.started) == ("portaudio", 77, 1)
    assert found.note.startswith("harpist plays through a JACK server")
    assert "two clocks" in found.note


def test_portaudio_beside_a_jack_server_takes_that(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, jack=True)
    found, pid = find(asked("portaudio"))
    assert (found.driver, pid, machine.started, found.note) == ("portaudio", 0, 0, "")


def test_without_jackd_portaudio_plays_on_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, jack=False, installed=False)
    found, pid = find(asked("portaudio"))
    assert (found.driver, pid) == ("portaudio", 0)
    assert "sudo apt-get install jackd2" in found.note


@pytest.mark.parametrize("settings", [asked("portaudio", synth="pyo"), asked("portaudio", options=JOINED)])
def test_who_needs_none_gets_none(monkeypatch: pytest.MonkeyPatch, settings: ServeSettings) -> None:
    machine = Machine(monkeypatch, jack=False)
    found, pid = find(settings)
    assert (found.driver, pid, machine.started) == ("portaudio", 0, 0)


def test_a_joined_program_headless_has_jack_where_it_answers_and_no_server_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for jack, driver in ((True, "jack"), (False, "headless")):
        machine = Machine(monkeypatch, jack=jack)
        found, pid = find(asked("headless", options=JOINED))
        assert (found.driver, pid, machine.started) == (driver, 0, 0)
        assert not jack_server.may_be_microphone(asked("headless", options=JOINED), found)
