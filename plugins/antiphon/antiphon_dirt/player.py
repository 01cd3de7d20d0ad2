"""Player of SuperDirt's events: their fields become commands for the orbits of the patch, at the event's sample.

The doors, UDP and WebSocket, share one: note numbers, counters and sentences are the patch's, not a client's.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import instead, say
from antiphon.api.backends.transports import Arg, Node, Now, Panic, RequestError, Sample, TransportServer
from antiphon_dirt import fields
from antiphon_dirt.events import NoteNumbers, Orbit, commands, is_instrument, orbits

MAX_NAMES = 64
"""Maximum names counted and reported separately; further ones are counted as one, without a sentence."""
MAX_SHOWN_LETTERS = 40
"""Maximum characters of a name in a sentence."""
OTHERS = "others"


class UnknownSounds:
    """Counter of requested sounds that were not found. `counts`: number of requests, by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def clear(self) -> None:
        """Clears the names, for another patch."""
        self.counts.clear()

    def note(self, node: str, sound: str, known: Sequence[str]) -> str:
        """Counts an unknown sound; returns a sentence with the nearest names the first time, "" afterwards."""
        name = sound if len(sound) <= MAX_SHOWN_LETTERS else f"{sound[: MAX_SHOWN_LETTERS - 3]}..."
        if name not in self.counts and len(self.counts) >= MAX_NAMES:
            name = OTHERS
        self.counts[name] += 1
        if self.counts[name] > 1 or name == OTHERS:
            return ""
        return f"{node} has no sound {name!r}, and its events are silent{instead(sound, known)}"


SOURCE = "dirt"
PLAY = ("/dirt/play", "/play2")
PANIC = "superpanic"
SAY_SECONDS = 10.0
"""Minimum seconds between sentences about the same kind of error."""
LINE_SECONDS = 1.0
"""Minimum seconds between two sentences about refused messages, of any kind."""
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|-?[0-9][0-9.e+-]*|nan|inf")
"""Variable parts of error reasons, removed to group them by kind."""
MAX_KINDS = 64
"""Maximum names counted separately; further ones are counted as one."""


class DirtPlayer:
    """Plays events on the orbits of the patch, and counts."""

    def __init__(self, server: TransportServer) -> None:
        self.server = server
        self.received = self.played = self.refused = 0
        self.ignored: Counter[str] = Counter()
        self.unknown = UnknownSounds()
        self._numbers = NoteNumbers()
        self._said: dict[str, float] = {}
        self._line = -LINE_SECONDS
        self._nodes: Mapping[str, Node] = {}
        self._orbits: tuple[Orbit, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        return {
            "received": self.received,
            "played": self.played,
            "refused": self.refused,
            "ignored": dict(self.ignored.most_common(8)),
            "unknown": dict(self.unknown.counts.most_common(8)),
            "orbits": [orbit.node for orbit in self._orbits],
        }

    def attempt(self, work: Callable[[], None]) -> None:
        """Handles one packet by `work`: counts and prints a refusal, and logs any other exception."""
        self.received += 1
        try:
            work()
        except AntiphonError as error:
            self._refuse(str(error))
        except Exception as error:
            self.refused += 1
            self.server.fault("an event of a client of SuperDirt", error)

    def play(self, args: Sequence[Arg], when: Now | Sample) -> None:
        """Plays the arguments of `/dirt/play`."""
        event = fields.read(args)
        if event.sound == PANIC:
            self.server.do(Panic(), SOURCE)
            return
        for name in event.ignored:
            self.count(name)
        if not self._orbits:
            raise RequestError("the patch has no node that plays samples; load one with a sampler, for example tidal")
        orbit = self._orbits[int(event.number("orbit", 0.0)) % len(self._orbits)]
        if not self._has(orbit, event.sound):
            return
        at = when if isinstance(when, Sample) else Sample(int(self.server.moment().sample) + self.server.block)
        made = commands(event, orbit, self._nodes, at, self.server.rate, self.server.tempo()[1], self._numbers)
        for command in made:
            self.server.do(command, SOURCE)
        self.played += 1

    def find_orbits(self) -> None:
        """Updates the orbits after a patch change: once for all packets of a turn."""
        nodes = self.server.nodes()
        if [node.id for node in nodes.values()] != [node.id for node in self._nodes.values()]:
            self._orbits = orbits(nodes)
            self.unknown.clear()
        self._nodes = nodes

    def count(self, name: str) -> None:
        """Counts a name that is left out."""
        self.ignored[name if name in self.ignored or len(self.ignored) < MAX_KINDS else "others"] += 1

    def _has(self, orbit: Orbit, sound: str) -> bool:
        """True if a sound exists, or may: a node's vocabulary is known some time after its start."""
        known = self._nodes[orbit.node].vocabulary.get("s", ())
        if not known or sound in known or is_instrument(sound, orbit, self._nodes):
            return True
        sentence = self.unknown.note(orbit.node, sound, known)
        if sentence:
            say(f"{SOURCE}: {sentence}")
        return False

    def _refuse(self, reason: str) -> None:
        """Counts a refusal; prints each kind at most once in `SAY_SECONDS`, any once in `LINE_SECONDS`."""
        self.refused += 1
        now = self.server.now_ns() / 1e9
        if len(self._said) > MAX_KINDS:
            self._said.clear()
        kind = _VALUE.sub("", reason)
        if now - self._line >= LINE_SECONDS and now - self._said.get(kind, -SAY_SECONDS) >= SAY_SECONDS:
            self._said[kind] = self._line = now
            say(f"{SOURCE}: {reason}")
