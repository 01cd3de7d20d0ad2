"""`doctor` and `devices`: what they say of a machine, with and without the parts they look for."""

import shutil
import socket
import sys

import numpy as np
import pytest
from tests.waiting import until

from antiphon.cli import errors
from antiphon.cli.command import CommandGroup
from antiphon.cli.doctor import devices, doctor, listing
from antiphon.doctor import loopback, machine, software, sound
from antiphon.doctor.sound import Device, JackState, LibraryReport
from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.settings import HTTP_PORT
from antiphon.kernel.workers import devices as workers
from antiphon.kernel.workers.devices import TorchBuild
from antiphon_bench.rig import ServerProcess, free_port

NOTHING = LibraryReport((), "PortAudio V19", "", None, "no server runs")
CARD = Device(3, "USB Audio", "ALSA", 1, 2, (44100, 48000), True, True)


def only(check):
    (found,) = check()
    return found


@pytest.fixture
def run(capsys):
    app = CommandGroup(None)
    app.command()(doctor)
    app.command()(devices)

    def command(*arguments):
        code = errors.run(app, list(arguments))
        return code, capsys.readouterr().out

    return command


def test_it_says_what_works_here_and_exits_0(run, monkeypatch):
    monkeypatch.setattr(sound, "ask", lambda: NOTHING)
    code, out = run("doctor")
    assert code == 0, out
    for subject in (
        "Python",
        "machine code",
        "sound files",
        "mp3",
        "plugins",
        "patches folder",
        "processors",
        "memory",
    ):
        assert f"works    {subject}: " in out
    assert "software clock" in out
    assert out.splitlines()[-1].startswith("Antiphon works here")


def test_what_is_essential_and_broken_exits_1(run, monkeypatch):
    monkeypatch.setattr(sound, "ask", lambda: NOTHING)
    broken = Finding("machine code", "broken", "kernels do not compile", "pip install llvmlite")
    monkeypatch.setattr(software, "CHECKS", (lambda: [broken],))
    code, out = run("doctor")
    assert code == 1
    assert "broken   machine code: kernels do not compile\n" in out
    assert "mend: pip install llvmlite" in out


def test_a_check_that_fails_itself_stops_no_other():
    def the_weather():
        raise RuntimeError("no window")

    found = list(machine.findings([the_weather, software.check_python]))
    assert found[0].state == "limited"
    assert "RuntimeError: no window" in found[0].text
    assert found[1].subject == "Python"


def test_a_taken_port_is_named_with_what_to_do():
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", HTTP_PORT))
        except OSError:
            pass  # somebody else's server holds it: as good
        else:
            holder.listen()
        found = {f.subject: f for f in software.check_ports()}
    taken = found[f"TCP port {HTTP_PORT}"]
    assert taken.state == "limited"
    assert "--http-port" in taken.mend


def test_ports_without_a_runtime_folder_are_checked(tmp_path, monkeypatch):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere" / "else")
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    monkeypatch.setattr(software, "HTTP_PORT", free_port())
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        monkeypatch.setattr(software, "OSC_PORT", holder.getsockname()[1])
        tcp, page = [f for f in software.check_ports() if f.subject.startswith("TCP")]
    assert (tcp.state, page.state) == ("limited", "works")


def test_the_ports_of_a_server_of_ones_own_are_as_they_should_be(tmp_path, monkeypatch):
    osc, http = free_port(), free_port()
    options = ("--audio", "headless", "--osc-port", str(osc), "--http-port", str(http))
    monkeypatch.setattr(software, "OSC_PORT", osc)
    monkeypatch.setattr(software, "HTTP_PORT", http)
    with ServerProcess(*options, home=tmp_path) as live:
        monkeypatch.setenv(paths.HOME, str(tmp_path))
        found = list(software.check_ports())
        assert [f.state for f in found] == ["works"] * 3, found
        assert all(f"(process {live.pids()['supervisor']})" in f.text for f in found)


def test_real_time_is_tried_not_guessed(monkeypatch):
    said = []

    def no(command, **_given):
        said.append(command)
        return type("Done", (), {"returncode": 1})()

    monkeypatch.setattr(machine.subprocess, "run", no)
    refused = only(machine.scheduling)
    assert refused.state == "limited"
    assert "rtprio" in refused.mend
    assert "SCHED_FIFO" in said[0][-1]


def test_an_unwritable_folder_is_named(monkeypatch):
    monkeypatch.setattr(software.os, "access", lambda _path, _mode: False)
    found = {f.subject: f for f in software.check_folders()}
    assert found["patches folder"].state == "limited"
    assert "ANTIPHON_HOME" in found["patches folder"].mend


@pytest.mark.parametrize(
    ("build", "device", "state", "said"),
    [
        (None, "cpu", "missing", "the models that ship play without it"),
        (TorchBuild("2.13.0+cpu", ""), "cpu", "works", "2.13.0+cpu: for networks of your own and training, on the CPU"),
        (TorchBuild("2.13.0+cu126", "12.6"), "cuda", "works", "on the GPU unless --device cpu"),
    ],
)
def test_torch_is_there_or_what_it_is_needed_for_is_said(monkeypatch, build, device, state, said):
    monkeypatch.setattr(workers, "installed_torch", lambda: build)
    monkeypatch.setattr(workers, "resolve", lambda _asked: device)
    torch = only(software.models)
    assert torch.state == state
    assert said in torch.text
    assert torch.mend == ("make models" if build is None else "")


def test_missing_libraries_come_with_the_command_that_brings_them(monkeypatch):
    gone = LibraryReport((), "", "the library is missing", None, "the library is missing")
    monkeypatch.setattr(sound, "ask", lambda: gone)
    found = {f.subject: f for f in sound.checks()}
    assert found["PortAudio"].mend == "sudo apt-get install libportaudio2"
    assert found["sound"].mend == found["PortAudio"].mend
    assert found["JACK"].mend == "sudo apt-get install jackd2"
    assert any("apt-get install libportaudio2" in line for line in listing(gone))
    assert any("apt-get install jackd2" in line for line in listing(gone))


def test_a_sound_card_and_jack_are_told():
    heard = LibraryReport(
        (CARD,), "PortAudio V19", "", JackState(48000, 256, True, ("system:capture_1",), ("system:playback_1",)), ""
    )
    text = "\n".join(listing(heard))
    assert "48000 Hz, 256 frames" in text
    assert "in  system:capture_1" in text
    assert "out system:playback_1" in text
    assert "3 * USB Audio (ALSA): 1 in, 2 out, 44.1, 48 kHz" in text


def test_a_library_that_crashes_or_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert sound.ask().portaudio_problem == "its library failed (exit 1)"
    monkeypatch.undo()
    monkeypatch.setattr(sound, "TIMEOUT_SECONDS", 0.01)
    assert "does not answer" in sound.ask().jack_problem


@pytest.mark.parametrize("gain", [1.0, -0.03])
@pytest.mark.parametrize("delay", [0, 1, 768, 13_000])
def test_the_burst_is_found_to_the_sample(gain, delay):
    sent = loopback.burst()
    heard = np.random.default_rng(3).standard_normal(14_000).astype(np.float32) * 1e-3
    heard[delay : delay + sent.size] += gain * sent
    assert loopback.find(heard, sent) == delay


def test_loopback_without_a_device_measures_the_engine(run):
    tries = []

    def measured():
        """A machine that is busy misses the blocks that are listened for."""
        tries.append(run("doctor", "--loopback", "--audio", "headless", "--block", "256"))
        return tries[-1][0] == 0

    until(measured, 10.0, "its bursts came back")
    out = tries[-1][1]
    assert "measured 0 frames" in out
    assert "declared 2048 frames" in out
