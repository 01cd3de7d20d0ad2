"""`bench coperformer`: mutated changes proposed to a server; those that pass land and are undone.

What plays repeats to the sample, so that its last bars are compared with those of before the first change.
"""

import http.client
import random
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np

from antiphon.api.backends.analysis import LoudnessMeter, lufs_of
from antiphon.api.backends.files import read_sound
from antiphon_bench.report import finish, table
from antiphon_bench.rig import ServerProcess

PATCH = """format = 1
name = "Bench"
tempo = 240
[nodes.drums]
type = "sampler"
level = -10
[nodes.pluck]
type = "sampler"
s = "pluck"
pads = "pitch"
base = 57
level = -7
[nodes.echo]
type = "pingpong"
beats = 0.75
feedback = 0.35
[wires]
"drums" = "out"
"pluck" = ["out", "echo"]
"echo" = "out"
[scenes.1]
"echo.feedback" = 0.1
"""
IMPORT = "from antiphon.live import" + " *\n"
SET = f"""{IMPORT}
tempo(240)
track("beat", s("bd*4", gain=0.5))
track("line", note("a3 c4 e4 g4", velocity=80), on="pluck")
node("drums").pan = "<0.4>"
@loop
def low():
    my = memory(k=0)
    play([45, 48][my.k % 2], 2, on="pluck", velocity=60)
    my.k += 1
    yield 4
"""
BAR_SECONDS, TIMEOUT_SECONDS = 1.0, 120.0
BEFORE = 16.0
"""Seconds of the set before the first change and after the last: it repeats to the sample after ten bars."""
SILENCE = -60.0
MAX_WRONG = 8
MOST_TORN = 4
_MANY = '\n@loop\ndef many():\n    for _ in range(10_000):\n        play("c4", 1, on="pluck")\n    yield 1\n'
Change: TypeAlias = dict[str, Any]
_PASSING: dict[str, Change] = {
    "another order": {"script": SET.replace("a3 c4 e4 g4", "NOTES")},
    "unicode": {"script": SET + "# \N{SNOWMAN} \N{MUSICAL SYMBOL G CLEF}\n"},
    "a value": {"params": {"echo.feedback": 0.3}},
    "a scene": {"scene": 1},
    "lines": {"lines": [{"first": 6, "last": 5, "text": 'track("hats", s("hh*8", gain=0.2))'}]},
    "a loop": {"script": SET.replace("my.k += 1", "my.k += 3").replace("yield 4", "yield 3")},
    "a long note": {"script": SET + 'track("long", note("a2").slow(64), on="pluck")\n'},
    "a moved value": {"script": SET.replace("<0.4>", "<0.1 0.9>")},
    "a line": {"lines": [{"first": 4, "last": 4, "text": 'track("beat", s("bd sd bd sd", gain=0.5))'}]},
}
_REFUSED: dict[str, Change] = {
    "syntax": {"script": SET + "track('x', (\n"},
    "endless": {"script": SET + "while True:\n    pass\n"},
    "endless in C": {"script": SET + "sum(x for x in iter(int, 1))\n"},
    "exception": {"script": SET + "1 / 0\n"},
    "exit": {"script": SET + "raise SystemExit\n"},
    "recursion": {"script": SET + "def a():\n    a()\na()\n"},
    "memory": {"script": SET + "a = [0] * (1 << 33)\n"},
    "10,000 voices": {"script": SET + _MANY},
    "silence": {"script": SET + "hush()\n"},
    "24 dB": {"params": {"out.gain": 24.0}},
    "40 dB": {"script": SET.replace("gain=0.5", "gain=50")},
    "no such node": {"params": {"nowhere.gain": 0.0}},
    "another's node": {"script": SET.replace('on="pluck"', 'on="nowhere"')},
    "no such scene": {"scene": 120},
    "no such line": {"lines": [{"first": 400, "last": 400, "text": "x"}]},
    "1 MB": {"script": SET + "#" * (1 << 20)},
    "a file": {"script": SET + "open('/etc/hostname')\n"},
    "a null": {"script": SET + "\0\n"},
    "a surrogate": {"script": SET + "# \ud800\n"},
    "nesting": {"script": SET + "a = " + "-" * 20_000 + "1\n"},
}
_TORN = "torn"
KINDS: dict[str, tuple[bool | None, Change]] = {
    **{name: (True, change) for name, change in _PASSING.items()},
    **{name: (False, change) for name, change in _REFUSED.items()},
    _TORN: (None, {"script": SET}),
}
"""By name whether it is to pass, None where that is not known, and the change."""


def main(count: int, seed: int) -> None:
    """Runs the bench. count: changes that are proposed."""
    chance, rows, wrong = random.Random(seed), Counter[tuple[str, bool]](), list[str]()
    spent: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        record, patch = Path(folder) / "output.wav", Path(folder) / "bench.toml"
        patch.write_text(PATCH)
        options = (
            "--live",
            "--audio",
            "headless",
            "--block",
            "2048",
            "--ahead",
            "16",
            "--patch",
            str(patch),
            "--record",
            str(record),
        )
        with ServerProcess(*options, wait=90.0) as server:
            client = _Client(server)
            client.run(SET)
            time.sleep(BEFORE)
            before = client.state()
            for number in range(count):
                name, (passes, change) = chance.choice(list(KINDS.items()))
                varied = _varied(name, change, chance)
                begun = time.monotonic()
                found = client.proposed({**varied, "bars": chance.choice((2, 4))})
                ok = bool(found.get("ok"))
                spent[ok].append(time.monotonic() - begun)
                if ok:
                    client.landed_and_undone(found["id"])
                rows[name, ok] += 1
                if passes is not None and ok is not passes:
                    wrong.append(f"{name} ({number}) {'passes' if ok else 'is refused'}: {found.get('why')}")
            time.sleep(BEFORE)
            status, after = server.status(), client.state()
        heard = _heard(record)
    table("proposals", ("kind", "passed", "refused"), [(one, rows[one, True], rows[one, False]) for one in KINDS])
    figures = {
        "wrong verdicts": len(wrong),
        "missed blocks": status["missed_blocks"],
        "stalls of the machine": status["stalls"],
        **heard,
        "state as before": after == before,
        "seconds to a verdict that passes": round(median(spent[True] or [0.0]), 2),
        "seconds of them all": round(sum(map(sum, spent.values())), 1),
    }
    table(f"{count} changes beside what plays", ("", ""), list(figures.items()))
    finish("coperformer", {**figures, "wrong": wrong[:MAX_WRONG]})


def _varied(name: str, change: Change, chance: random.Random) -> Change:
    text = change.get("script")
    if text is None:
        return change
    if name == _TORN:
        return {"script": _torn(text, chance)}
    notes = ["a3", "c4", "e4", "g4"]
    chance.shuffle(notes)
    return {"script": text.replace("NOTES", " ".join(notes))}


def _torn(text: str, chance: random.Random) -> str:
    """The text with pieces of it left out, doubled, or replaced by others."""
    for _ in range(chance.randint(1, MOST_TORN)):
        first, other = chance.randrange(len(IMPORT), len(text)), chance.randrange(len(IMPORT), len(text))
        size, more = chance.randint(0, 6), chance.randint(0, 6)
        text = text[:first] + text[other : other + more] + text[first + size :]
    return text


class _Client:
    """The owner's client of a server."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            return self._server.request(method, path, body)[1]
        except (OSError, http.client.HTTPException) as error:  # a body over the limit is cut off
            return {"error": str(error)}

    def run(self, text: str) -> None:
        self.ask("POST", "/api/live/eval", {"text": text, "version": 1})
        self._settled(1)

    def proposed(self, change: Change) -> dict[str, Any]:
        """The verdict on a change."""
        found = self.ask("POST", "/api/mcp/propose", change)
        while found.get("state") == "rehearsing":
            found = self.ask("GET", f"/api/mcp/proposals/{found['id']}")
        return found

    def landed_and_undone(self, id: str) -> None:
        """Lands a change and undoes it, each for a bar at least."""
        for path, body in (("/api/mcp/land", {"id": id, "quantum": 1}), ("/api/mcp/undo", {})):
            done = self.ask("POST", path, body)
            if "error" in done:
                raise RuntimeError(f"{path}: {done['error']}")
            self._settled(self.ask("GET", "/api/live/script")["version"])
            time.sleep(BAR_SECONDS)

    def state(self) -> dict[str, Any]:
        """What plays, but for its time and its versions."""
        graph, live = self.ask("GET", "/api/graph"), self.ask("GET", "/api/live")
        text, tempo = self.ask("GET", "/api/live/script")["text"], self.ask("GET", "/api/status")["tempo"]
        nodes = [
            [one["name"], {param["name"]: param["value"] for param in one["params"] if not param["readonly"]}]
            for one in graph["nodes"]
        ]
        return {"text": text, "tempo": tempo, "nodes": nodes, "wires": graph["wires"], "tracks": live["tracks"]}

    def _settled(self, version: int) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.ask("GET", "/api/live").get("version") != version:
            if time.monotonic() > until:
                raise RuntimeError("a version does not begin")
            time.sleep(0.02)


def _heard(path: Path) -> dict[str, float]:
    """Bars from where it begins, the longest run of silent ones, steps between them, and the difference at the end.

    Of bars before the first change and after the last it is that of the two that are most alike: on a busy machine a
    block may be missing in one.
    """
    sound = read_sound(path)
    begin = int(np.argmax(np.abs(sound.samples).max(axis=0) > 0.0))
    played, bar = sound.samples[:, begin:], round(BAR_SECONDS * sound.rate)
    meter = LoudnessMeter(sound.rate, len(played))
    meter.feed(played)
    hops, size = meter.blocks(1), round(BAR_SECONDS / meter.HOP)
    bars = lufs_of(hops[: len(hops) // size * size].reshape(-1, size).mean(axis=1)).tolist()[:-1]  # the last fades out
    silent = longest = 0
    for level in bars:
        silent = silent + 1 if level < SILENCE else 0
        longest = max(longest, silent)
    steps = [abs(b - a) for a, b in pairwise(bars) if min(a, b) >= SILENCE]
    ones = [played[:, at * bar : (at + 1) * bar] for at in range(len(bars))]
    edge = round(BEFORE / BAR_SECONDS) - 1
    apart = [float(np.abs(last - first).max()) for last in ones[1 - edge : -1] for first in ones[2:edge]]
    return {
        "bars heard": len(bars),
        "longest silence, bars": longest,
        "largest step, LU": round(max(steps, default=0.0), 1),
        "difference to the set before": round(min(apart), 6),
    }
