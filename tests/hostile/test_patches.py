"""Hostile TOML, at the start of a server and into a playing one."""

import os
from pathlib import Path

import pytest
from tests.hostile.conftest import LIMIT, PROMPT, Antiphon, answered, ask_ping, listed, resident, used

from antiphon_bench.rig import ServerProcess

GOOD = 'format = 1\nname = "x"\n[nodes.gain]\n[wires]\n"in" = "gain"\n"gain" = "out"\n'


def put(value: str) -> str:
    return GOOD.replace("[wires]", f"gain = {value}\n[wires]")


# what is in the file, and what its refusal names
HOSTILE: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "nested lists": ("x = " + "[" * 100_000 + "]" * 100_000, ("line 1", "nested")),
    "nested tables": ("x = " + "{a=" * 20_000, ("line 1", "nested")),
    "a million lines": ("k = 1\n" * 1_000_000, ("larger", "256 KiB")),
    "many keys": ("format = 1\n" + "\n".join(f"k{n}=1" for n in range(20_000)), ("line 2", "k0")),
    "long dotted key": ("a" + ".a" * 100_000 + " = 1", ("line 1", "parts")),
    "many dotted keys": ("format = 1\n" + "\n".join(f"a.b.c.d.e.f.g{n}=1" for n in range(10_000)), ("line 2", "a")),
    "huge number": ("format = " + "9" * 5000, ("line 1", "too large")),
    "long number": (put("9" * 200), ("line 4", "nodes.gain.gain", "64 bits")),
    "infinite": (put("1e999"), ("line 4", "nodes.gain.gain", "0 to 2")),
    "nan": (put("nan"), ("line 4", "nodes.gain.gain", "0 to 2")),
    "date": (put("1979-05-27T07:32:00Z"), ("line 4", "nodes.gain.gain", "date")),
    "list for a number": (put("[1]"), ("line 4", "nodes.gain.gain", "list")),
    "word for a number": (put('"loud"'), ("line 4", "nodes.gain.gain", "text")),
    "not UTF-8": (b"\xff\xfe\x00", ("UTF-8", "byte 0")),
    "nul": (GOOD + "\0", ("line 7",)),
    "twice": (GOOD + "[nodes.gain]\n", ("line 7", "twice")),
    "later format": (GOOD.replace("format = 1", "format = 2"), ("line 1", "format", "later")),
    "unknown table": (GOOD + "[other]\n", ("line 7", "other", "the keys are")),
    "unknown parameter": (put("1\nloudness = 3"), ("line 5", "nodes.gain.loudness", "it takes")),
    "unknown type": (GOOD.replace("[nodes.gain]", '[nodes.gain]\ntype = "nosuch"'), ("line 4", "nodes.gain.type")),
    "climbing name": (GOOD.replace("nodes.gain", 'nodes."../x"'), ("line 3", "../x", "letters")),
    "reserved name": (GOOD.replace("nodes.gain", "nodes.list"), ("line 3", "reserved")),
    "wire to a number": (GOOD.replace('"gain" = "out"', '"gain" = 3'), ("line 6", "wires.gain", "number")),
    "wire to nowhere": (GOOD.replace('"gain" = "out"', '"gain" = "nowhere"'), ("line 6", "nowhere")),
    "cycle": (GOOD.replace('"gain" = "out"', '"gain" = ["out", "gain"]'), ("wires", "cycle")),
    "too many nodes": (
        "format = 1\n" + "".join(f'[nodes.n{n}]\ntype="gain"\n' for n in range(5000)),
        ("line 2", "at most 512"),
    ),
    "tempo": (GOOD.replace("name", "tempo = inf\nname"), ("line 2", "tempo", "bpm")),
    "empty": ("", ("line 1", "format = 1")),
    "open quote": ('a = """' + "x" * 200_000, ("string",)),
    "brackets": ("[" * 200_000, ("line 1",)),
    "equals": ("=" * 200_000, ("line 1",)),
    "many tables": ("format = 1\n" + "\n".join(f"[a{n}.b]" for n in range(15_000)), ("line 2", "a0")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_into_a_playing_server(calm: ServerProcess, name: str) -> None:
    """Refused with line and key; the patch before goes on; the next message is answered."""
    text, named = HOSTILE[name]
    place = calm.home / "data" / "patches" / "hostile.toml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    control = listed(calm, "control")
    begun = used(control)
    address, said = calm.ask("/patch/load", "hostile", timeout=LIMIT)
    assert used(control) - begun < PROMPT
    assert (address, said[0]) == ("/fail", "/patch/load")
    assert "hostile.toml" in said[1]
    for word in named:
        assert word in said[1], said[1]
    answered(calm)
    place.unlink()
    assert resident(calm.pids()["control"]) < 256 << 20


@pytest.mark.parametrize("name", ["a million lines", "huge number", "unknown parameter"])
def test_at_the_start(antiphon: Antiphon, folder: Path, name: str) -> None:
    text, named = HOSTILE[name]
    (folder / "hostile.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    serve = ("serve", "--audio", "headless", "--osc-port", "0", "--http-port", "0", "--patch", "hostile.toml")
    for line in (serve, ("render", "hostile.toml", "--in", "ok.wav", "--out", "out.wav")):
        said = antiphon(*line).sentence
        for word in ("hostile.toml", *named):
            assert word in said, said
    assert not (folder / "out.wav").exists()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/random", ".", "pipe.toml", "nosuch.toml", "x" * 5000 + ".toml"])
def test_what_is_no_file(antiphon: Antiphon, folder: Path, path: str) -> None:
    if path == "pipe.toml":
        os.mkfifo(folder / path)
    said = antiphon("render", path, "--in", "ok.wav", "--out", "out.wav").sentence
    assert "patch" in said or "name" in said
    assert len(said) < 400


def test_a_mark_at_the_beginning_is_passed_over(antiphon: Antiphon, folder: Path) -> None:
    """Some editors write one."""
    (folder / "bom.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert antiphon("render", "bom.toml", "--in", "ok.wav", "--out", "bom.wav").code == 0


def test_it_is_all_over_quickly(calm: ServerProcess) -> None:
    assert ask_ping(calm) < PROMPT
