"""Live material preparation: a thread passes requests to a separate process and reads the results.

The process, `main`, decodes, analyses and stretches. So it delays neither the block path nor the interpreter's lock,
and a broken file that crashes the process does not interrupt the sound. It reports the number of loops, and answers
requests with arrangements and the tracks' float32 samples.
"""

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import CHILD_FAULTS, Child, ChildLimits, HelperChannel, spawn
from antiphon_loops.arrange import Arrangement, Layer, LoopChoice, LoopRequest
from antiphon_loops.maker import LoopMaterial, LoopTrack, MaterialMaker
from antiphon_loops.record import Loop

_POLL_SECONDS = 0.02
"""Seconds between polls for a request: the block path only sets a field, since waking a thread costs a system call."""
_MAX_BYTES = 1 << 32
"""Maximum bytes of sound of one request."""
_MAX_RESTARTS = 5
"""Maximum consecutive starts of a process that ends without a result."""


class ArrangementWorker:
    """Computes the material of the newest request. `ask`, `take` and `again` may be called on the block path.

    `problem`: why the newest request failed, "" otherwise.
    """

    def __init__(self, folder: Path, rate: int) -> None:
        self.count, self.problem = 0, ""
        self.busy = False
        self._folder, self._rate = folder, rate
        self._requested: tuple[int, LoopRequest] | None = None
        self._done: tuple[int, LoopMaterial] | None = None
        self._closed = self._again = False
        self._deaths = 0
        self._process: Child | None = None
        self._thread = threading.Thread(target=self._run, name="loops", daemon=True)
        self._thread.start()

    def ask(self, bar: int, request: LoopRequest) -> None:
        """Submits a request, replacing a pending one; `bar` is returned with the material."""
        self._requested = (bar, request)
        self.busy = True

    def take(self) -> tuple[int, LoopMaterial] | None:
        """Takes the newly finished material, with the `bar` of its request; None if there is none."""
        done, self._done = self._done, None
        return done

    def restart(self) -> None:
        """Restarts the process after it failed."""
        self.problem, self._again = "", True

    def close(self) -> None:
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()

    def _run(self) -> None:
        while not self._closed:
            self._try()
            self.busy = False
            while not (self._closed or self._again):
                time.sleep(_POLL_SECONDS)
            self._again = False

    def _try(self) -> None:
        """Runs processes until the library is empty or `_MAX_RESTARTS` processes in a row have ended."""
        why, self._deaths = "", 0
        while self._deaths < _MAX_RESTARTS:
            self._deaths += 1
            try:
                why = self._serve()
            except (*CHILD_FAULTS, KeyError, TypeError) as error:
                why = f"the process that prepares loops ended: {error}"
            else:
                break
            finally:
                process, self._process = self._process, None
                if process is not None:
                    process.close()
            if self._closed:
                return
            time.sleep(0.2)
        self.problem = why

    def _serve(self) -> str:
        """Runs one process; returns the problem that it reported, or "" once this object is closed."""
        words = "antiphon_loops.live:main", str(self._folder), str(self._rate)
        self._process = process = spawn(*words, limits=ChildLimits(nice=5))
        hello = {"of": 0}
        while "of" in hello:
            hello, _ = process.receive()
            if "problem" in hello:
                return str(hello["problem"])
            self.count = int(hello["loops"])
        doing: tuple[int, LoopRequest] | None = None
        while not self._closed:
            if self._requested is None:
                self.busy = False
                if process.ended:
                    raise EOFError("it exited")
                time.sleep(_POLL_SECONDS)
                continue
            doing, self._requested = self._requested, None
            try:
                head, sound = process.ask(asdict(doing[1]), _MAX_BYTES)
                material = None if "problem" in head else _material(head, sound, doing[1])
            except BaseException:
                self._requested = self._requested or doing  # for the next process
                raise
            self.problem, self._deaths = str(head.get("problem", "")), 0
            if self._requested is None and material is not None:
                self._done = (doing[0], material)
        return ""


def request_from(fields: dict[str, Any]) -> LoopRequest:
    """Converts JSON fields to a request."""
    return LoopRequest(**{**fields, "instruments": tuple(fields["instruments"])})


def plan_to(plan: Arrangement) -> dict[str, Any]:
    """Converts an arrangement to JSON values, without its request."""
    return {
        "key": plan.key,
        "fit": plan.fit,
        "choices": [[c.loop.to_json(), c.role, c.bars, c.shift] for c in plan.choices],
        "bars": [[[x.choice, x.enters, x.turn] for x in bar] for bar in plan.bars],
    }


def _plan(fields: dict[str, Any], request: LoopRequest) -> Arrangement:
    choices = tuple(
        LoopChoice(Loop.from_json(loop), role, bars, shift) for loop, role, bars, shift in fields["choices"]
    )
    bars = tuple(tuple(Layer(*layer) for layer in bar) for bar in fields["bars"])
    return Arrangement(request, fields["key"], choices, bars, fields["fit"])


def _material(head: dict[str, Any], data: bytearray, request: LoopRequest) -> LoopMaterial:
    samples, at, tracks = np.frombuffer(data, np.float32), 0, []
    for frames, bars, length in head["tracks"]:
        sound = samples[at : at + 2 * length].reshape(2, length)
        tracks.append(LoopTrack(sound, frames, bars))
        at += 2 * length
    return LoopMaterial(_plan(head["plan"], request), tuple(tracks), float(head["gain"]))


def main(channel: HelperChannel, place: str, rate: str) -> None:
    """Answers requests for a folder's loops until its input ends."""
    from antiphon_loops.library import ready  # the node's own process needs it on the first use alone

    folder = Path(place)
    try:
        loops, rules = ready(folder, lambda done, of, _name: channel.send({"loops": done, "of": of}))
    except AntiphonError as error:
        channel.send({"problem": str(error)})
        return
    maker = MaterialMaker(folder, loops, rules, int(rate))
    channel.send({"loops": len(loops)})
    for asked in channel.requests():
        try:
            material = maker.make(request_from(asked))
        except AntiphonError as error:
            channel.send({"problem": str(error)})
            continue
        tracks = [[t.frames, t.bars, t.sound.shape[1]] for t in material.tracks]
        sounds = (track.sound for track in material.tracks)
        channel.send({"plan": plan_to(material.plan), "gain": material.gain, "tracks": tracks}, *sounds)
