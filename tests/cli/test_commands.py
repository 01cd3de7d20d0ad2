"""The command line as a whole: every command's help, lists and cards, `--json`, completion, colours."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command, Done, in_process

from antiphon import __version__
from antiphon.cli import bench, errors, progress
from antiphon.cli.command import Command as DeclaredCommand
from antiphon.cli.commands import application
from antiphon.client import http as client
from antiphon.kernel.runtime import paths
from antiphon.operations import patch_list
from antiphon.operations.requests import FinishRequest, RunRequest
from antiphon.testing import sound as audio
from antiphon_bench import rig
from antiphon_bench.command import OWN
from antiphon_bench.entry import Bench, BenchOptions

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    *application().commands,
    "library",  # those of plugins, by `antiphon_commands`
    "mcp",
    "train",
    "evaluate",
    "dataset",
    "pipeline",
    "sounds",
]


@pytest.fixture
def antiphon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of the whole application in an empty folder, on a terminal of 200 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return in_process(capsys)


def test_it_says_its_version(antiphon: Command) -> None:
    assert antiphon("--version") == Done(0, f"antiphon {__version__}\n", "")


@pytest.mark.needs("library")
@pytest.mark.parametrize("columns", ["60", "200"])
def test_every_command_stands_in_the_help_with_whole_sentences(
    antiphon: Command, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    page = antiphon("--help").out
    listed = page.partition("Commands:\n")[2]
    assert re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE) == COMMANDS
    assert "..." not in listed
    for said in re.split(r"\n  (?=\S)", listed):
        assert said.rstrip().endswith("."), said
    assert "--install-completion" in page
    assert "--show-completion" in page


@pytest.mark.needs("library")
@pytest.mark.parametrize("group", ["library", "dataset", "pipeline"])
def test_the_commands_of_a_group_stand_in_its_help_with_whole_sentences(
    antiphon: Command, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = antiphon(group, "--help").out.partition("Commands:\n")[2]
    sentences = re.split(r"\n  (?=\S)", listed)
    assert "..." not in listed
    assert all(sentence.rstrip().endswith(".") for sentence in sentences), sentences


def test_every_command_has_a_page_and_every_option_a_sentence(antiphon: Command) -> None:
    for name in COMMANDS:
        done = antiphon(name, "--help")
        assert done.code == 0
        assert done.out.startswith(f"Usage: antiphon {name}")
        for line in done.out.partition("Options:\n")[2].splitlines():
            assert not re.fullmatch(r"  -\S+.*[^.\])]", line) or re.search(r"\S  +\S", line.strip()), line


def test_the_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """Once the list of the plugins' hooks is in the cache."""
    script = (
        "import sys; sys.argv=['antiphon','--help']\n"
        "from antiphon.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('soundfile','torch','llvmlite','numpy','rich') if m in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'server'}", "ANTIPHON_HOME": str(tmp_path)}

    def page() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True, env=environment
        )
        return done.stdout, done.stderr.strip()

    first, _ = page()
    assert page() == (first, "[]")  # of the lines that were kept
    plugin = tmp_path / "data" / "plugins" / "shout"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(
        "from antiphon.api import hookimpl\n\n\n@hookimpl\ndef antiphon_commands(cli):\n"
        '    @cli.command()\n    def shout() -> None:\n        """Says it loudly."""\n'
    )
    assert "  shout " in page()[0]


# ---- lists and cards


def test_patches_are_listed_with_where_they_are_from(antiphon: Command) -> None:
    (paths.make_folder(paths.patches()) / "answer.toml").write_text("# Mine. More.\nformat = 1\n")
    lines = antiphon("patches").out.splitlines()
    assert re.fullmatch(r"answer +yours, hides the shipped one +Mine\.", lines[0])
    assert any(re.fullmatch(r"  keys +shipped +A piano to play, .*", line) for line in lines)
    assert not any(line.lstrip().startswith("through") for line in lines)
    assert any(line.startswith("through") for line in antiphon("patches", "--all").out.splitlines())
    # each below its group, tools last
    groups = [line for line in lines[:-2] if "  " not in line]
    assert groups[-1] == "tools"
    assert "voice" in groups
    below = lines[lines.index("tools") + 1 : -2]
    assert [line.split()[0] for line in below] == ["click", "soundcheck", "tune"]
    found = {entry["name"]: entry for entry in json.loads(antiphon("patches", "--json").out)}
    assert list(found) == [entry.name for entry in patch_list.entries() if entry.listed]
    assert (found["answer"]["from"], found["answer"]["hides_shipped"]) == ("yours", True)
    assert (found["keys"]["from"], found["keys"]["hides_shipped"]) == ("shipped", False)
    assert found["keys"]["hint"].startswith("Play")
    assert found["tune"]["group"] == "tools"


def test_a_patch_is_shown_in_full(antiphon: Command) -> None:
    lines = antiphon("patches", "wah").out.splitlines()
    assert lines[0] == "wah  guitar, shipped"
    assert lines[1].startswith("Dig in and it opens")
    assert lines[2].startswith("first: Play one string softly")
    assert any(line.startswith("scene 3, by the clock: touch.depth ") for line in lines)
    assert "cc 1: wah.cutoff" in lines
    assert "macro resonance: wah.q 0.5 to 9" in lines
    found = json.loads(antiphon("patches", "wah", "--json").out)
    assert found["midi"]["cc 1"] == "wah.cutoff"
    assert set(found["scenes"]) == {"1", "2", "3"}
    assert found["macros"]["body"] == [
        {"node": "mix", "param": "b", "low": 0.0, "high": 1.5, "curve": 1.0, "values": None}
    ]
    assert "there is no patch 'wha'" in antiphon("patches", "wha").err


def test_sets_are_listed(antiphon: Command) -> None:
    assert re.match(r"evening +shipped +An evening: .*\.\n", antiphon("sets").out)
    assert [entry["name"] for entry in json.loads(antiphon("sets", "--json").out)] == ["evening", "jam"]


def test_a_plugin_is_shown_in_full(antiphon: Command) -> None:
    card = antiphon("plugins", "limiter").out
    assert card.startswith("limiter  (antiphon_utilities)  ")
    assert "in: in (audio); out: out (audio)" in card
    assert re.search(r"latency with its defaults at 48000 Hz: [1-9]\d* frames", card)
    assert re.search(r"ceiling: -?\d+ to 0 dB, default -1\. \S", card)
    assert "wet: 0 to 1, default 1" in card
    assert "antiphon run limiter IN.wav OUT.wav" in card
    found = json.loads(antiphon("plugins", "limiter", "--json").out)
    assert (found["type"], found["plugin"], found["rate"]) == ("limiter", "antiphon_utilities", 48000)
    assert found["latency"] > 0
    assert {"name", "low", "high", "unit", "default", "doc"} <= set(found["params"][0])


def test_a_plugin_that_cannot_be_prepared_is_shown_all_the_same(antiphon: Command) -> None:
    folder = paths.make_folder(paths.plugins() / "odd")
    (folder / "__init__.py").write_text(
        "from antiphon.kernel.contract.hookspecs import hookimpl\n@hookimpl\ndef antiphon_processors(register):\n"
        "    register('odd', 'odd.p:Odd', 'Refuses silence.')\n"
    )
    (folder / "p.py").write_text(
        "from antiphon.kernel.contract.processor import Processor\nclass Odd(Processor):\n    made = 0\n"
        "    def prepare(self, spec):\n        Odd.made += 1\n        if Odd.made > 1: raise RuntimeError('no')\n"
        "    def process(self, io):\n        io.audio_out[0][:] = io.audio_in[0]\n"
    )
    try:
        assert "latency with its defaults at 48000 Hz: unknown: RuntimeError: no" in antiphon("plugins", "odd").out
    finally:
        for name in ("odd", "odd.p"):
            sys.modules.pop(name, None)


def test_run_shows_the_parameters_of_the_plugin_it_is_asked_for(antiphon: Command) -> None:
    for arguments in (("denoise", "--help"), ("--help", "denoise"), ("denoise", "-p", "mode=gate", "--help")):
        done = antiphon("run", *arguments)
        assert done.code == 0
        assert done.out.startswith("Usage: antiphon run denoise [OPTIONS] IN.wav OUT.wav")
        assert re.search(
            r"mode +learned or gate or wavelet or autoencoder or deepfilter, default learned\. \S", done.out
        )
        assert re.search(r"threshold +-80 to 0 dB, default 0\. \S", done.out)
        assert re.search(r"learn +the seconds at which it fires\. \S", done.out)
        assert "--out-dir" in done.out
    assert "Usage: antiphon run accompany [OPTIONS] IN OUT" in antiphon("run", "accompany", "--help").out
    assert "Usage: antiphon run generate [OPTIONS] [IN] OUT" in antiphon("run", "generate", "--help").out
    assert "now" not in re.findall(r"^  (\w+)  +\S", antiphon("run", "stretch", "--help").out, re.M)
    assert "Usage: antiphon run [OPTIONS]" in antiphon("run", "--help").out


@pytest.mark.parametrize(
    ("plugin", "own", "others"),
    [
        ("denoise", {"--causal", "--tag"}, {"--roll", "--chords", "--without", "--stems"}),
        ("hum", {"--midi-out"}, {"--without", "--roll"}),
        ("stems", {"--without", "--only"}, {"--chords", "--midi-out"}),
    ],
)
def test_run_help_of_plugin_shows_its_options(antiphon: Command, plugin: str, own: set[str], others: set[str]) -> None:
    shown = set(re.findall(r"--[a-z-]+", antiphon("run", plugin, "--help").out.partition("\nOptions:")[2]))
    assert own <= shown
    assert not others & shown


def test_words_examples_can_be_copied(antiphon: Command) -> None:
    for word in ("memory", "cue", "on_note"):
        (example,) = re.findall(r"^@.*?(?=^$)", antiphon("words", word).out, re.MULTILINE | re.DOTALL)
        compile(example, word, "exec")


def test_paste_ends_with_a_newline(antiphon: Command, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('$: s("bd*4")')
    assert antiphon("paste", "a.js", "--out", "a.py").code == 0
    for text in ((tmp_path / "a.py").read_text(), antiphon("paste", "a.js").out):
        assert text.endswith(")\n")


def test_what_a_script_wants_is_json(antiphon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon.doctor import machine, software, sound
    from antiphon.kernel.contract.finding import Finding
    from antiphon_midi import ports

    heard = sound.LibraryReport((), "PortAudio 19", "", None, "no server runs")
    monkeypatch.setattr(sound, "ask", lambda: heard)
    monkeypatch.setattr(ports, "ask", lambda: ports.MidiReport("ALSA", "", ("a",), ()))
    devices = json.loads(antiphon("devices", "--json").out)
    assert (devices["portaudio"], devices["jack"], devices["midi"]["sources"]) == ("PortAudio 19", None, ["a"])
    monkeypatch.setattr(software, "CHECKS", (lambda: [Finding("this", "broken", "is gone", "get it")],))
    monkeypatch.setattr(machine, "CHECKS", ())
    monkeypatch.setattr(sound, "checks", list)
    monkeypatch.setattr(ports, "checks", list)
    done = antiphon("doctor", "--json")
    told = {"works": False, "findings": [{"subject": "this", "state": "broken", "said": "is gone", "mend": "get it"}]}
    assert (done.code, json.loads(done.out)) == (1, told)
    assert antiphon("doctor").out == "broken   this: is gone\n           mend: get it\nbroken: see above\n"
    monkeypatch.setattr(client, "ask", lambda *_: {"held": ["10.0.0.1"], "approved": []})
    assert json.loads(antiphon("surfaces", "--json").out) == {"held": ["10.0.0.1"], "approved": []}
    assert antiphon("surfaces").out == "held 10.0.0.1\n"


# ---- status

TOLD: dict[str, Any] = {
    "blocks": 100, "missed_blocks": 2, "late_blocks": 3, "late": 4, "device_xruns": 5, "commands_dropped": 1,
    "schedule_dropped": 1, "osc_port": 4400, "osc_received": 7, "osc_dropped": 0, "osc_failed": 1, "osc_held": 0,
    "surfaces": 1, "tcp_connections": 0, "patch": "Answer", "tempo": 90.0, "beat": 12.68, "playing": True,
    "set": {"name": "An evening", "place": 2, "patches": ["voice", "keys", "click"]},
    "engine": {"state": "running", "driver": "jack", "rate": 48000, "block": 256, "restarts": 1, "load_mean": 0.1,
               "load_peak": 0.305},
    "latency": {"driver": 2048, "ring": 0, "graph": 352},
    "workers": [{"node": "hum", "model": "hum-learned", "device": "cpu", "state": "running", "load": 0.0444,
                 "misses": 1, "hops": 431, "restarts": 0, "reason": "it was late"}],
    "synth": {"backend": "pyo", "state": "running", "misses": 0, "restarts": 0, "reason": ""},
    "nodes": [{"name": "rumble", "type": "filter", "state": "running", "reason": ""},
              {"name": "hum", "type": "hum", "state": "bypassed", "reason": "it hung"}],
    "midi": None, "trouble": "", "warning": "", "plugins_failed": [],
}  # fmt: skip


def answers(monkeypatch: pytest.MonkeyPatch, told: object) -> None:
    def ask(*_: object) -> object:
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(client, "get_answer", ask)


def test_status_is_said_in_sections(antiphon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, TOLD)
    text = antiphon("status").out
    assert re.findall(r"^(\S.*)$", text, re.MULTILINE) == [
        "sound",
        "misses",
        "OSC",
        "workers",
        "synth",
        "nodes",
        "trouble",
    ]
    for line in (
        "  engine   running, jack at 48000 Hz, 256 frames",
        "  set      An evening, patch 2 of 3",
        "  tempo    90 bpm, beat 12.7, playing",
        "  load     10.0% of a block on average, 30.5% at most",
        "  latency  50.0 ms (driver 2048, graph 352; in frames)",
        "  blocks    100 played, 2 missed, 3 late",
        "  packets   7 received, 0 dropped",
        "  hum  hum-learned on cpu, running, load 4.4%, 431 hops, 1 missed, 0 restarts: it was late",
        "  pyo  running, 0 hops missed, 0 restarts",
        "  rumble  filter, running",
        "  hum     hum, bypassed: it hung",
        "  none",
    ):
        assert line in text.splitlines()
    assert json.loads(antiphon("status", "--json").out) == TOLD


BAND = {"name": "band", "type": "accompany", "state": "running", "reason": "", "waits": "chord"}
FAILED = [{"name": "mine", "reason": "SyntaxError"}]
PEDALS = {"cc 66": ["next", "band.fill"], "cc 67": ["previous", ""]}
LINES: list[tuple[dict[str, Any], str]] = [
    ({"leads": "follow", "awaits": "follow"}, "  tempo    90 bpm, beat 12.7, playing, follow leads"),
    (
        {"leads": "follow", "awaits": "follow", "playing": False},
        "  tempo    90 bpm, beat 12.7, waits for you (follow): play, or /transport/play starts it",
    ),
    (
        {"leads": "", "awaits": "follow", "playing": False},
        "  tempo    90 bpm, beat 12.7, stopped: /transport/play starts it, /transport/wait has it wait for you",
    ),
    ({"nodes": [BAND]}, "  band  accompany, running, silent until it gets a chord"),
    ({"synth": None, "workers": []}, "workers\n  none\nsynth\n  none\nnodes"),
    (
        {"trouble": "the disk is full", "plugins_failed": FAILED},
        "trouble\n  trouble      the disk is full\n  plugin mine  SyntaxError\nthe end",
    ),
    (
        {"dirt": {"reason": "Tidal is not heard"}, "lights": {"reason": ""}},
        "trouble\n  dirt  Tidal is not heard\nthe end",
    ),
    ({"dirt": {"port": 57121, "received": 0}}, "  dirt      port 57121, 0 received"),
    ({"loading": True}, "  patch    loading Answer"),
    ({"set": {**TOLD["set"], "pedals": PEDALS}}, "  pedals   cc 66 next, in place of band.fill; cc 67 previous"),
]
"""What is told beside `TOLD`, and the lines of the status that it makes."""


@pytest.mark.parametrize(("told", "said"), LINES)
def test_status_says_what_is_told(
    antiphon: Command, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], said: str
) -> None:
    answers(monkeypatch, {**TOLD, **told})
    assert f"\n{said}\n" in antiphon("status").out + "the end\n"


@pytest.mark.needs("denoise")
def test_alone_it_says_what_can_be_done_here(
    antiphon: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my tune.mid", "take.wav"):
        (tmp_path / name).touch()
    lines = [line.split("  ")[0] for line in antiphon().out.splitlines()]
    assert len(lines) == 6
    assert {"antiphon play 'my tune.mid'", "antiphon run denoise take.wav clean.wav"} < set(lines)
    assert {line.split()[1] for line in lines} - {"--help"} < set(COMMANDS)


# ---- completion


def completed(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    environment = {"COMP_WORDS": " ".join(("antiphon", *words)), "COMP_CWORD": str(len(words))}
    os.environ.update({**environment, "_ANTIPHON_COMPLETE": "bash_complete"})
    out = io.TextIOWrapper(io.BytesIO())
    try:
        with redirect_stdout(out):
            assert errors.run(application(), []) == 0
    finally:
        for name in (*environment, "_ANTIPHON_COMPLETE"):
            del os.environ[name]
    return [line.partition(",")[2] for line in out.buffer.getvalue().decode().split()]


@pytest.mark.needs("denoise")
def test_the_shell_is_offered_names() -> None:
    assert completed("pat") == ["patches"]
    assert completed("run", "den") == ["denoise"]
    assert completed("plugins", "lim") == ["limiter"]
    assert completed("serve", "--patch", "an") == ["answer"]
    assert completed("serve", "--set", "e") == ["evening"]
    assert completed("render", "dem") == ["demo"]
    assert completed("render", "thr") == ["throw"]
    assert completed("bench", "eng") == ["engine"]
    assert "denoise-gate" in completed("train", "den")
    assert completed("evaluate", "hu") == ["hum"]
    assert {"mode=", "wet="} <= set(completed("run", "denoise", "-p", ""))
    assert completed("run", "denoise", "-p", "thr") == ["threshold="]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_former_completion_script_is_offered_nothing(
    shell: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_ANTIPHON_COMPLETE", f"complete_{shell}")
    assert errors.run(application(), []) == 0
    assert capfd.readouterr() == ("", "")


# ---- colour, bars, benches


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [Terminal(), io.StringIO()])
def test_the_bar_shows_on_a_terminal_after_two_seconds_and_goes(
    monkeypatch: pytest.MonkeyPatch, terminal: io.StringIO
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    with progress.ProgressBar("in.wav", 1000, 48000) as shown:
        now = 101.9
        shown.update(250)
        assert terminal.getvalue() == ""
        now = 102.1
        shown.update(500)
        drawn = terminal.getvalue()
        shown.update(501)
        assert terminal.getvalue() == drawn
    assert ("in.wav [" in drawn and " 50%" in drawn) == terminal.isatty()
    assert terminal.getvalue().endswith("\r\033[K") == terminal.isatty()


def test_an_installation_says_that_benches_run_from_a_clone(antiphon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COMMAND", "antiphon_bench.nowhere")
    done = antiphon("bench", "osc", "--seconds", "2")
    assert done.code == 2
    assert done.complaint == (
        "the bench osc comes with antiphon-lab: pip install antiphon-lab, or in a clone of Antiphon's repository "
        "make bench NAME=osc"
    )
    assert "by the benches of antiphon-lab" in antiphon("bench", "--help").out


def test_a_signal_ends_the_jackd_of_a_bench(antiphon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in (("jackd", "echo $$ > pid; exec sleep 60"), ("jack_wait", "[ -s pid ] && echo running")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def run(_asked: BenchOptions) -> None:
        with rig.dummy(48000, 256):
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()

    monkeypatch.setitem(OWN, "engine", Bench(run, lambda _: 300.0))
    done = antiphon("bench", "engine")
    assert done.code == 128 + signal.SIGTERM
    assert done.err.splitlines()[0] == "bench engine takes about 5 minutes on two idle cores"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_import_that_fails_in_a_command_is_a_sentence(antiphon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "scipy.io"

    def run(_asked: BenchOptions) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setitem(OWN, "engine", Bench(run, lambda _: 10.0))
    done = antiphon("bench", "engine")
    said = "this command needs scipy, which is not installed; `pip install 'antiphon-lab[training]'` installs it"
    assert (done.code, done.err.splitlines()[1:]) == (2, [f"antiphon: {said}"])
    module = "antiphon.nowhere"
    with pytest.raises(ModuleNotFoundError):  # a fault of ours keeps its traceback
        antiphon("bench", "engine")


@pytest.fixture(scope="module")
def warm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for commands that are executed: the first of them fills its cache."""
    return tmp_path_factory.mktemp("warm")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize(
    ("streams", "code", "out", "err"),
    [
        (">&-", 0, "", ""),
        ("2>&-", 0, "wrote out.wav", ""),
        ("<&- >&- 2>&-", 0, "", ""),
        ("2>/dev/full", 0, "wrote out.wav", ""),
        (">/dev/full", 1, "", "antiphon: standard output cannot be written: no space left on device; free some space"),
    ],
)
def test_standard_streams_may_be_closed_and_a_full_one_is_one_sentence(
    tmp_path: Path, warm_home: Path, monkeypatch: pytest.MonkeyPatch, streams: str, code: int, out: str, err: str
) -> None:
    monkeypatch.setenv(paths.HOME, str(warm_home))
    audio.write(tmp_path / "in.wav", audio.noise(4800))
    own = str(Path(sys.executable).with_name("antiphon"))
    done = subprocess.run(
        ["sh", "-c", f'"$0" run gain in.wav out.wav {streams}', own], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, (tmp_path / "out.wav").is_file()) == (code, True)
    assert done.stdout.startswith(out)
    assert done.stderr.startswith(err)
    assert (done.stdout.count("\n"), done.stderr.count("\n")) == (bool(out), bool(err))
    if code == 0:
        failed = subprocess.run(["sh", "-c", f'"$0" run gain no.wav out.wav {streams}', own], cwd=tmp_path, check=False)
        assert failed.returncode == 2


def test_command_line_is_read_by_its_declarations(capsys: pytest.CaptureFixture[str]) -> None:
    made: list[RunRequest] = []

    def run(asked: RunRequest) -> None:
        made.append(asked)

    typed = ["gain", "a.wav", "-p", "gain=2", "b.wav", "--normalise", "-14", "--no-limit", "--only=voice", "--force"]
    assert errors.run(DeclaredCommand("run", run), typed) == 0
    assert made == [
        RunRequest(
            "gain", ("a.wav", "b.wav"), ("gain=2",), only=("voice",), force=True,
            finish=FinishRequest(limit=False, normalise=-14.0),
        )
    ]  # fmt: skip
    for odd in (["gain"], ["gain", "a", "b", "--bogus"], ["gain", "a", "b", "--block", "x"], ["gain", "a", "b", "-p"]):
        assert errors.run(DeclaredCommand("run", run), odd) == 2
