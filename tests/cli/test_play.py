"""`antiphon play`: the loop it makes itself, and what a person is told."""

import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import click
import numpy as np
import pytest

from antiphon.cli import errors, play, play_song, serve
from antiphon.cli.command import Command
from antiphon.cli.running import live
from antiphon.demo import BAND, HUM
from antiphon.files.scores.midi_song import MidiNote, MidiTrack
from antiphon.files.scores.midifile import write
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph import patch
from antiphon.kernel.plugins.loader import load
from antiphon.kernel.runtime import resources
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.performer import performing
from antiphon.testing import sound as audio
from antiphon_bench.rig import free_port
from antiphon_pyo.info import PYO


@pytest.fixture(scope="module")
def hum():
    return audio.read(HUM)[0]


def test_without_a_card_the_hum_is_what_the_answering_patch_hears(tmp_path, antiphon_home):
    asked = ServeSettings(patch="answer")
    assert play.demo_settings(asked).input == str(HUM)
    assert play.demo_settings(asked.with_(patch="demo")).input == str(BAND)
    assert play.demo_settings(asked.with_(input="mine.wav")).input == "mine.wav"


def test_each_recording_takes_the_first_free_number(tmp_path):
    names = [play.next_recording(tmp_path, "2026-11-20").name for _ in range(2)]
    assert names == ["play-2026-11-20-1.wav", "play-2026-11-20-2.wav"]


def test_what_ends_it_before_it_records_leaves_no_empty_file(monkeypatch):
    """A reader of its output that has ended, or SIGTERM while the server is imported."""

    def broken(_text):
        raise BrokenPipeError

    def terminated(*_, **__):
        assert list(play.recordings_folder().iterdir())
        signal.raise_signal(signal.SIGTERM)

    port = free_port()
    for module, name, ends, error in (
        (click, "echo", broken, BrokenPipeError),
        (serve, "run", terminated, errors.TerminationSignal),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, ends)
            with pytest.raises(error):
                Command(None, play.play).call(audio="headless", osc_port=port, http_port=0, no_open=True)
        assert not list(play.recordings_folder().iterdir())


def test_without_a_card_it_says_what_loops_and_where_to_listen():
    settings = ServeSettings(audio="headless", input="loop.wav", record="r.wav", patch="answer")
    text = "\n".join(play.introduction(settings, "headless", "no sound card was found"))
    assert "The last 10 minutes of what sounds are kept in\nr.wav, and all that comes after" in text
    assert play.headless_settings(settings).extra["record_last"] == 600.0
    assert "no sound card was found" in text
    assert "loop.wav" in text
    assert "r.wav" in text
    assert "osc /node/accompany/style swing" in text
    assert "4400" in text
    assert "To listen, press Listen on the page" in text
    columns = {line.index(effect) for message, effect in play._DRIVE for line in text.splitlines() if message in line}
    assert len(columns) == 1


def test_with_a_card_it_warns_of_the_microphone_and_says_how_to_open_it():
    settings = ServeSettings(mute_input=True, patch="answer")
    text = "\n".join(play.introduction(settings, "portaudio", ""))
    assert "muted" in text
    assert "headphones" in text
    assert "osc /node/in/mute 0" in text
    other = "\n".join(play.introduction(settings.with_(patch="voice"), "portaudio", ""))
    assert "osc /node/in/mute 0" in other
    opening = settings.with_(extra={"opens": True})
    for driver, opens in (("portaudio", True), ("jack", False)):
        assert ("echo_cancel" in "\n".join(play.introduction(opening, driver, ""))) is opens


def test_it_says_what_to_do_first(tmp_path):
    settings = ServeSettings(mute_input=True, patch="wah")
    assert "Playing wah. First: Play one string softly" in "\n".join(play.introduction(settings, "portaudio", ""))
    own = tmp_path / "own.toml"
    own.write_text('format = 1\nhint = "Clap."\n')
    assert "First: Clap." in "\n".join(play.introduction(settings.with_(patch=str(own)), "portaudio", ""))
    for name in ("no such patch", str(tmp_path / "none.toml"), "through"):
        text = "\n".join(play.introduction(settings.with_(patch=name), "portaudio", ""))
        assert f"Playing {name}.\n" in text


def test_the_commands_it_names_are_for_this_port():
    assert "--osc-port 5000 /x" in play.command(ServeSettings(osc_port=5000), "/x")
    assert "-port" not in play.command(ServeSettings(), "/x")
    text = "\n".join(play.introduction(ServeSettings(osc_port=5000), "portaudio", "", added=("strudel", "midi")))
    assert "played by strudel and midi too, as with `serve --strudel --midi`" in text
    assert "osc --osc-port 5000 /patch/load throw" in text


def test_the_commands_it_names_work_in_any_folder(monkeypatch, tmp_path):
    own = tmp_path / "a clone" / "antiphon"
    own.parent.mkdir()
    own.touch(0o700)
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "argv", [str(own), "play"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    assert play.command(ServeSettings(), "/x") == f"'{own}' osc /x"
    other = tmp_path / "bin" / "antiphon"  # another installation
    other.touch(0o700)
    assert play.command(ServeSettings(), "/x") == f"'{own}' osc /x"
    other.unlink()
    other.symlink_to(own)
    assert play.command(ServeSettings(), "/x") == "antiphon osc /x"


def test_it_listens_to_every_midi_port_and_says_so(monkeypatch):
    started = []
    monkeypatch.setattr(serve, "run", lambda settings, says=None, **_: started.append((settings, says)))
    Command(None, play.play).call(audio="headless", osc_port=0, http_port=0, no_open=True)
    settings, says = started[0]
    assert settings.options["midi"] is True
    assert "--midi`" in "\n".join(says(settings))


def test_what_it_names_is_in_the_patch_it_opens_with():
    graph = patch.load(play.PATCH, load(check=False).catalog, trusted=True).graph
    nodes, macros = {node.name for node in graph.nodes}, {macro.name for macro in graph.macros}
    for message, _ in play._DRIVE:
        parts = message.split()[0].split("/")
        if parts[1] == "node":
            assert parts[2] in nodes
        elif parts[1] == "macro":
            assert parts[2] in macros
        elif parts[1] == "patch":
            assert (resources.patches() / f"{message.split()[1]}.toml").is_file()


def test_while_a_server_runs_it_refuses_before_it_prints(monkeypatch, capsys):
    """By the list of processes that the other wrote, and by its port where there is no list."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 0))
        port = busy.getsockname()[1]
        with pytest.raises(UsageError, match=f"UDP port {port} is taken"):
            Command(None, play.play).call(audio="headless", osc_port=port, http_port=0)
    where = pidfile.folder(ServeSettings(osc_port=port))
    pidfile.write(where, os.getpid(), {}, ServeSettings())
    with pytest.raises(UsageError, match=rf"a server runs on this OSC port already \(process {os.getpid()}\)"):
        Command(None, play.play).call(audio="headless", osc_port=port, http_port=0)
    assert capsys.readouterr().out == ""


def test_blocks_and_ahead_are_options_of_what_the_hint_on_missed_blocks_is_said_after(monkeypatch, tmp_path):
    audio.write(tmp_path / "in.wav", audio.noise(4800))
    started = []
    monkeypatch.setattr(serve, "run", lambda settings, **_: started.append((settings.block, settings.ahead)))
    sound = str(tmp_path / "in.wav")
    Command(None, play.play).call(
        audio="headless", input=sound, osc_port=0, http_port=0, block=512, ahead=6, no_open=True
    )
    assert started == [(512, 6)]
    given = []
    monkeypatch.setattr(performing, "ended_by_signals", lambda _: None)
    monkeypatch.setattr(
        performing, "Performing", lambda *_, serve, **__: SimpleNamespace(run=lambda: given.append(serve))
    )
    Command(None, live.live).call(script="set.py", block=512, ahead=6)
    assert given[0][-4:] == ["--block", "512", "--ahead", "6"]


def test_looking_whether_it_can_start_ends_nothing():
    settings = ServeSettings(osc_port=free_port(), http_port=0)
    left = subprocess.Popen(["sleep", "60"])
    try:
        pidfile.write(pidfile.folder(settings), 2**22 + 1, {"engine": left.pid}, settings)  # its supervisor is dead
        serve.check_ports_free(settings)
        assert left.poll() is None
    finally:
        left.kill()
        left.wait()


@pytest.fixture
def songs(antiphon, hum, tmp_path):
    """MIDI files as `accompany` and `hum --midi-out` write them."""
    if not PYO.installed:
        pytest.skip("pyo is not installed")
    notes = tuple(MidiNote(float(n), 1.0, 60 + n % 5) for n in range(4))
    write(tmp_path / "tune.mid", [MidiTrack("melody", notes)], [(0.0, 240.0), (2.0, 200.0)])
    audio.write(tmp_path / "hum.wav", hum[:1, :72_000])
    assert antiphon("run", "accompany", "tune.mid", "both.mid").code == 0
    assert antiphon("run", "hum", "hum.wav", "piano.wav", "--midi-out", "hum.mid").code == 0
    return "both.mid", "hum.mid"


def test_what_it_plays_of_a_midi_file_is_what_a_render_of_it_gives(antiphon, songs, clicks, tmp_path):
    for name in songs:
        path = play_song.write_song_patch(play_song.patch_of_song(clicks, name))
        rendered = antiphon(*f"render {clicks} --in {name} --out in.wav --tail 0.2 --no-limit --force".split())
        assert rendered.code == 0
        wanted, _ = audio.read(tmp_path / "in.wav")
        seconds = str(wanted.shape[1] / 48000)
        assert antiphon("render", str(path), "--seconds", seconds, "--out", "played.wav", "--force").code == 0
        played, _ = audio.read(tmp_path / "played.wav")
        assert audio.peak(wanted) > 0.05
        # both end with a fade
        assert np.array_equal(played[:, :-2000], wanted[:, : played.shape[1] - 2000]), name


def load_song(name, song):
    """The patch that plays a song by the patch of that name."""
    path = play_song.write_song_patch(play_song.patch_of_song(str(name), str(song)))
    return patch.load(path, load(check=False).catalog, trusted=True)


def test_a_song_is_played_by_every_node_that_no_wire_plays(antiphon_home, tmp_path):
    write(tmp_path / "a.mid", [MidiTrack("", (MidiNote(0.0, 1.0, 60),))], 5.0)
    made = load_song("duo", tmp_path / "a.mid")
    assert [(str(w.source), str(w.dest)) for w in made.graph.wires if w.source.node == "song"] == [
        ("song.notes", "tune.notes"),
        ("song.notes", "ears.notes"),
    ]
    assert made.tempo == 10.0
    assert made.midi == patch.load("duo", load(check=False).catalog).midi


def test_a_song_leads_where_its_beats_are_not_those_of_one_tempo(antiphon_home, tmp_path):
    """The server's clock has the file's first tempo, so that a node that follows takes the notes of other songs.

    A song beside its file's beats by one offset starts where its own come on those of the clock.
    """
    for late, changes, beat in (
        (0.0, (), 0.0),
        (0.0, ((8.0, 80.0),), None),
        (1.3, (), 2.7),
        (1.3, ((8.0, 80.0),), None),
    ):
        chords = [MidiNote(late + n, 0.9, 60 + n // 4 % 3 + k) for n in range(64) for k in (0, 4)]
        bass = [MidiNote(late + 4.0 * n, 3.8, 36 + n % 5) for n in range(16)]
        write(tmp_path / "a.mid", [MidiTrack("", tuple(chords + bass))], [(0.0, 100.0), *changes])
        made = load_song("bandstand", tmp_path / "a.mid")
        leads = "follow" in {w.dest.node for w in made.graph.wires if w.source.node == "song"}
        assert leads == (beat is None)
        assert made.graph.node("song").values.get("beat", 0.0) == pytest.approx(beat or 0.0, abs=0.02)


PITCHED, DRUM = (MidiNote(0.0, 1.0, 60), MidiNote(1.0, 1.0, 64)), MidiNote(0.5, 0.25, 38, 0.8, 10)
SYNTH = '[nodes.{0}]\ntype = "synth"\ninstrument = "{1}"\n'


@pytest.mark.parametrize(
    ("nodes", "song", "drums"),
    [
        ({"keys": "piano"}, True, ["kit"]),
        ({"keys": "piano"}, False, []),
        ({"keys": "piano", "beat": "drums"}, True, ["beat"]),
        ({"keys": "piano", "beat": "drums"}, False, ["beat"]),
        ({"beat": "drums"}, True, None),
    ],
)
def test_drums_of_a_song_are_played_by_drums(antiphon_home, tmp_path, capsys, nodes, song, drums):
    """By those of the patch, or by a kit that is added, which is said; a patch of drums alone plays all."""
    text = "format = 1\n" + "".join(SYNTH.format(*item) for item in nodes.items())
    text += "[wires]\n" + "".join(f'"{name}" = "out"\n' for name in nodes)
    (tmp_path / "p.toml").write_text(text)
    write(tmp_path / "a.mid", [MidiTrack("", PITCHED), *([MidiTrack("", (DRUM,))] if song else [])])
    made = load_song(tmp_path / "p.toml", tmp_path / "a.mid")
    wires = {(w.source.port, w.dest.node) for w in made.graph.wires if w.source.node == "song"}
    if drums is None:
        assert wires == {("notes", "beat")}
    elif drums:
        assert wires == {("pitched", "keys"), *(("drums", name) for name in drums)}
    else:
        assert wires == {("notes", "keys")}
    assert ("added to the patch" in capsys.readouterr().err) == (drums == ["kit"])


def test_a_rendered_songs_drums_are_a_kits(antiphon, tmp_path):
    """Each note by itself: a drum is what the synth's drums play, and no piano; the rest is as without it."""
    if not PYO.installed:
        pytest.skip("pyo is not installed")
    sounds = {}
    for instrument in ("piano", "drums"):
        text = "format = 1\n" + SYNTH.format("a", instrument) + '[wires]\n"a" = "out"\n'
        (tmp_path / f"{instrument}.toml").write_text(text)
    for name, notes in (("all", (*PITCHED, DRUM)), ("pitched", PITCHED), ("drum", (DRUM,))):
        write(tmp_path / f"{name}.mid", [MidiTrack("", notes)])
        for kind in ("piano", "drums"):
            done = antiphon(*f"render {kind}.toml --in {name}.mid --out o.wav --seconds 2 --no-limit --force".split())
            assert done.code == 0
            sounds[name, kind] = audio.read(tmp_path / "o.wav")[0]
            assert ("added to the patch" in done.err) == (kind == "piano" and name != "pitched")
    assert audio.peak(sounds["drum", "drums"]) > 0.05
    assert np.array_equal(sounds["drum", "piano"], sounds["drum", "drums"])
    both = sounds["pitched", "piano"] + sounds["drum", "drums"]
    assert np.allclose(sounds["all", "piano"], both, atol=1e-4)
