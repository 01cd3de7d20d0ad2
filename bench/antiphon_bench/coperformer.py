"""`bench coperformer`: random changes proposed to a server; accepted ones are applied and undone."""

from __future__ import annotations

import http.client
import json
import random
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from antiphon.api.backends.analysis import LoudnessMeter, lufs_of
from antiphon.api.backends.files import read_sound
from antiphon_bench.report import finish, table
from antiphon_bench.rig import ServerProcess

IMPORT = "from antiphon.live import" + " *\n"
SET = f"""{IMPORT}
patch("band")
tempo(240)
track("beat", s("bd*4", gain=0.5))
track("line", note("a3 c4 e4 g4", velocity=80), on="pluck")
"""
BAR_SECONDS, TIMEOUT_SECONDS = 1.0, 120.0
SILENCE = -60.0
MAX_WRONG = 8
_MANY = '\n@loop\ndef many():\n    for _ in range(10_000):\n        play("c4", 1, on="pluck")\n    yield 1\n'
KINDS: dict[str, tuple[bool, dict[str, Any]]] = {
    "another order": (True, {"script": SET.replace("a3 c4 e4 g4", "NOTES")}),
    "unicode": (True, {"script": SET + "# \N{SNOWMAN} \N{MUSICAL SYMBOL G CLEF}\n"}),
    "a value": (True, {"params": {"echo.feedback": 0.3}}),
    "syntax": (False, {"script": SET + "track('x', (\n"}),
    "endless": (False, {"script": SET + "while True:\n    pass\n"}),
    "endless in C": (False, {"script": SET + "sum(x for x in iter(int, 1))\n"}),
    "exception": (False, {"script": SET + "1 / 0\n"}),
    "10,000 voices": (False, {"script": SET + _MANY}),
    "silence": (False, {"script": SET + "hush()\n"}),
    "24 dB": (False, {"params": {"out.gain": 24.0}}),
    "no such node": (False, {"params": {"nowhere.gain": 0.0}}),
    "1 MB": (False, {"script": SET + "#" * (1 << 20)}),
    "a file": (False, {"script": SET + "open('/etc/hostname')\n"}),
}
"""Change by name, with whether it should be accepted."""


def main(count: int, seed: int) -> None:
    """Runs the bench. count: changes that are proposed."""
    chance, rows, wrong = random.Random(seed), Counter[tuple[str, bool]](), list[str]()
    with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
        record = Path(folder) / "output.wav"
        options = ("--live", "--audio", "headless", "--patch", "band", "--record", str(record))
        with ServerProcess(*options, wait=90.0) as server:
            client = _Client(server)
            client.run(SET)
            begun = time.monotonic()
            for number in range(count):
                name, (passes, change) = chance.choice(list(KINDS.items()))
                ok = client.tried(_varied(change, chance))
                rows[name, ok] += 1
                if ok is not passes:
                    wrong.append(f"{name} ({number}) {'passes' if ok else 'is refused'}")
            spent, status, text = (
                time.monotonic() - begun,
                server.status(),
                client.ask("GET", "/api/live/script")["text"],
            )
        heard, silent, step = _heard(record)
    table("proposals", ("kind", "passed", "refused"), [(one, rows[one, True], rows[one, False]) for one in KINDS])
    figures = {
        "wrong verdicts": len(wrong),
        "missed blocks": status["missed_blocks"],
        "bars heard": heard,
        "longest silence, bars": silent,
        "largest step, LU": round(step, 1),
        "set as before": text == SET,
        "seconds": round(spent, 1),
    }
    table(f"{count} changes beside what plays", ("", ""), list(figures.items()))
    finish("coperformer", {**figures, "wrong": wrong[:MAX_WRONG]})


def _varied(change: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    notes = ["a3", "c4", "e4", "g4"]
    chance.shuffle(notes)
    text = change.get("script")
    return change if text is None else {"script": text.replace("NOTES", " ".join(notes))}


class _Client:
    """The owner's client of a server."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._token = next(server.home.rglob("token")).read_text().strip()

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.http, timeout=TIMEOUT_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:  # a body over the limit is cut off
            return {"error": str(error)}
        finally:
            connection.close()
        return answer

    def run(self, text: str) -> None:
        self.ask("POST", "/api/live/eval", {"text": text, "version": 1})
        self._settled(1)

    def tried(self, change: dict[str, Any]) -> bool:
        """Proposes a change; applies and undoes an accepted one; returns whether it was accepted."""
        found = self.ask("POST", "/api/mcp/propose", {**change, "bars": 4})
        while found.get("state") == "rehearsing":
            found = self.ask("GET", f"/api/mcp/proposals/{found['id']}")
        if not found.get("ok"):
            return False
        for path, body in (("/api/mcp/land", {"id": found["id"], "quantum": 1}), ("/api/mcp/undo", {})):
            done = self.ask("POST", path, body)
            if "error" in done:
                raise RuntimeError(f"{path}: {done['error']}")
            self._settled(self.ask("GET", "/api/live/script")["version"])
            time.sleep(BAR_SECONDS)
        return True

    def _settled(self, version: int) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.ask("GET", "/api/live").get("version") != version:
            if time.monotonic() > until:
                raise RuntimeError("a version does not begin")
            time.sleep(0.02)


def _heard(path: Path) -> tuple[int, int, float]:
    """Bars since the onset, longest run of silent bars, and largest loudness step between sounding bars in LU."""
    sound = read_sound(path)
    meter = LoudnessMeter(sound.rate, len(sound.samples))
    meter.feed(sound.samples)
    hops = lufs_of(meter.blocks(max(1, meter.hops)))
    size = max(1, round(len(hops) * BAR_SECONDS * sound.rate / sound.samples.shape[1]))
    bars = [float(hops[at : at + size].max()) for at in range(0, len(hops) - size, size)]
    while bars and bars[0] < SILENCE:
        bars.pop(0)
    silent = longest = 0
    for bar in bars:
        silent = silent + 1 if bar < SILENCE else 0
        longest = max(longest, silent)
    pairs = pairwise(bars[1:])  # the first bar is partly before it begins
    return len(bars), longest, max((abs(b - a) for a, b in pairs if min(a, b) >= SILENCE), default=0.0)
