"""Runs the lights of a server: looks follow its events, and frames are sent to each receiver on the beat."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.signal import FLAT_NAMES
from antiphon.api.backends.transports import (
    NOW,
    EngineEffect,
    NudgeBeat,
    OscRequest,
    Panic,
    Play,
    RequestError,
    SetTransport,
    TransportServer,
    encode,
    encode_bundle,
    timetag_of,
)
from antiphon_lights.table import Rig, Wave, WaveSource, read
from antiphon_lights.targets import DmxTarget, LightTarget, Os2lDesk, UdpSender, os2l

# ---- Frames of light as a function of the clock and of values. Nothing here reads a clock or sends

RATE = 44.0
"""Maximum frames per second: a DMX512 universe takes 22.7 ms on the wire."""
STROBE = 10.0
"""Maximum flashes per second of a channel, unless the owner allows more."""
FLASH = 26
"""Steps of 255 by which a channel must fall and then rise to count as a flash: a tenth."""
MAX_PENDING, MAX_STRUCK = 16, 64


@dataclass(frozen=True, slots=True)
class Clock:
    """Musical time of a frame. `seconds`: on the engine's sample clock, which continues when the beat stops."""

    beat: float
    seconds: float
    bpm: float = 120.0
    bar: int = 4
    playing: bool = True


@dataclass(frozen=True, slots=True)
class Fade:
    """A look and the beats over which it comes."""

    look: str
    beat: float
    beats: float


class LightShow:
    """State of the lights; frames depend only on it and the clock.

    `dark`: whether a blackout is on. `levels`: 0 to 1, for effects driven by values. `struck`: (seconds, velocity 0 to
    1) of recent and coming notes, by note and node. `section`: the beat at which the section began.
    """

    def __init__(self, rig: Rig, strobe: float = STROBE) -> None:
        """Shows the rig's first look at once. `strobe`: maximum flashes per second."""
        self.rig, self.strobe, self.dark, self.section = rig, strobe, False, -math.inf
        self.levels: dict[WaveSource, float] = {}
        self.struck: dict[tuple[int, str], list[tuple[float, float]]] = {}
        self._fades = [Fade(next(iter(rig.looks), ""), -math.inf, 0.0)]

    @property
    def look(self) -> str:
        """Name of the look that was chosen last."""
        return self._fades[-1].look

    def show(self, look: str, beat: float, beats: float) -> None:
        """Fades to a look from a beat on, replacing fades that would begin later; ends a blackout."""
        kept = [fade for fade in self._fades if fade.beat <= beat]
        self._fades = [*kept[-MAX_PENDING:], Fade(look, beat, beats)]
        self.dark = False

    def strike(self, note: int, node: str, seconds: float, velocity: float) -> None:
        """Starts a note for the effects it drives, now or later."""
        if any(_drives(wave, note, node) for wave in self.rig.waves):
            times = self.struck.setdefault((note, node), [])
            times.append((seconds, velocity))
            del times[:-MAX_STRUCK]

    def jump(self) -> None:
        """Handles a jump of the beat: fades end at once, and the section has no beginning."""
        self._fades = [Fade(self.look, -math.inf, 0.0)]
        self.section = -math.inf

    def frame(self, clock: Clock) -> NDArray[np.uint8]:
        """Values of all channels, 0 to 255, before the limit on flashes."""
        if self.dark:
            return np.zeros(self.rig.slots, np.uint8)
        level = self._base(clock)
        for wave in self.rig.waves:
            level[wave.slots] *= 1.0 - wave.depth + wave.depth * self._height(wave, clock)
        return np.asarray(np.rint(255.0 * np.clip(level, 0.0, 1.0)), np.uint8)

    def _base(self, clock: Clock) -> NDArray[np.float32]:
        level = np.zeros(self.rig.slots, np.float32)
        first = 0
        for place, fade in enumerate(self._fades):
            if fade.beat > clock.beat and clock.playing:
                break
            later = self._fades[place + 1 :]
            # what the next fade begins from stays as it is then
            until = min(clock.beat, later[0].beat) if later else clock.beat
            done = until - fade.beat
            share = 1.0 if not clock.playing or done >= fade.beats else done / fade.beats
            look = self.rig.looks.get(fade.look)
            level = level * (1.0 - share) + (share * look if look is not None else 0.0)
            first = place if share >= 1.0 else first
        # a target with a longer latency asks later: what it may still show has to stay
        if len(self._fades) > MAX_PENDING:
            del self._fades[:first]
        return level.astype(np.float32)

    def _height(self, wave: Wave, clock: Clock) -> float | NDArray[np.float64]:
        """Value of a wave, 0 to 1; for a chase, one per channel."""
        drive, fastest = wave.drive, clock.bpm / 60.0 / self.strobe
        match drive.kind:
            case "value":
                return self.levels.get(drive, 0.0)
            case "note":
                found = [at for (note, node), times in self.struck.items() if _drives(wave, note, node)
                         for at in times if at[0] <= clock.seconds]  # fmt: skip
                begun, velocity = max(found, default=(-math.inf, 0.0))
                gone = (clock.seconds - begun) * clock.bpm / 60.0 / wave.every
                return velocity * _shape(wave, gone) if gone < 1.0 else 0.0
            case "section":
                gone = (clock.beat - self.section) / wave.every
                return _shape(wave, gone) if 0.0 <= gone < 1.0 else _shape(wave, 1.0)
        every = max(wave.every * (clock.bar if drive.kind == "bar" else 1), fastest)
        return _shape(wave, clock.beat / every % 1.0)


def _drives(wave: Wave, note: int, node: str) -> bool:
    return wave.drive.note == note and wave.drive.node in ("", node)


def _shape(wave: Wave, phase: float) -> float | NDArray[np.float64]:
    match wave.shape:
        case "fall":
            return 1.0 - phase
        case "rise":
            return phase
        case "sine":
            return 0.5 - 0.5 * math.cos(2.0 * math.pi * phase)
        case "strobe":
            return float(phase < 0.5)
    count = len(wave.slots)
    return np.asarray(np.arange(count) == min(int(phase * count), count - 1), float)


class FlashLimit:
    """Limits the flashes of each channel of one receiver, whatever their cause.

    A flash is a rise of more than a tenth after an equal fall. A flash too soon after the last is clamped to a tenth
    above its lowest point.
    """

    def __init__(self, slots: int, most: float) -> None:
        """Starts dark. `most`: maximum flashes per second."""
        self._gap = 1.0 / most
        self._low, self._high = np.zeros(slots, np.int16), np.zeros(slots, np.int16)
        self._fallen = np.ones(slots, bool)
        self._rose, self._seconds = np.full(slots, -math.inf), -math.inf

    def limit(self, frame: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """Returns the frame with channels that rise too soon clamped. `seconds`: its time on the engine's clock."""
        if seconds < self._seconds:
            self._rose[:] = -math.inf  # another engine, whose clock began anew
        self._seconds = seconds
        out = frame.astype(np.int16)
        rises = self._fallen & (out >= self._low + FLASH)
        # a frame may come some µs before the gap is over, by rounding
        soon = rises & (seconds - self._rose < self._gap - 1e-6)
        out[soon] = self._low[soon] + FLASH - 1
        risen = rises & ~soon
        self._rose[risen] = seconds
        self._fallen[risen] = False
        self._high[risen] = out[risen]
        np.maximum(self._high, out, out=self._high, where=~self._fallen)
        falls = ~self._fallen & (out <= self._high - FLASH)
        self._fallen |= falls
        self._low[falls] = out[falls]
        np.minimum(self._low, out, out=self._low, where=self._fallen)
        return out.astype(np.uint8)


def last_fraction(clock: Clock, count: int) -> Clock:
    """The clock at the last multiple of 1 / `count` beats: frames are dated by it, however late they are."""
    place = math.floor(clock.beat * count + 1e-9) / count
    return replace(clock, beat=place, seconds=clock.seconds - (clock.beat - place) * 60.0 / clock.bpm)


def steps(bpm: float) -> int:
    """Frames per beat at a tempo, at most `RATE` a second: a multiple of 4 from 12 on.

    Frames are dated by the beat, so that one falls on each beat, and a replay has the frames of the performance.
    """
    most = max(1, int(60.0 * RATE / bpm))
    return most - most % 4 if most >= 12 else most


OUTPUT_LATENCY = 0.001
"""Seconds after its block until a sample sounds, without the device's own."""
JUMP_BEATS = 0.5
"""Minimum backward step of the beat that counts as a jump."""
IDLE_SECONDS = 0.02
"""Seconds between checks of the clock while the beat is stopped, and maximum wait before the next frame."""
QUIET_DB = 60.0
"""dB below full scale at which a node's level is 0."""
WAKE = 0.0007
"""Seconds before its time at which a beat may be sent: the loop wakes up to 1 ms late."""
LEAD = 0.008
"""Seconds before it is due at which a frame is computed: on a busy machine the loop wakes 5 ms late."""

_open: dict[Path, Lights] = {}


def lights_of(request: OscRequest) -> Lights:
    """Lights of the server that received a message."""
    return _open[request.server.folder]


class Lights:
    """Shows and sends the lights. `missed`: number of frames not sent."""

    def __init__(self, server: TransportServer, to: Mapping[str, tuple[LightTarget, ...]], strobe: int = 0) -> None:
        """Sends nothing before `install`. `strobe`: maximum flashes per second, 0 for the default limit."""
        self.server, self._strobe = server, strobe or STROBE
        self.desk = LightShow(Rig(), self._strobe)
        self.udp = UdpSender()
        source = uuid5(NAMESPACE_URL, str(server.folder)).bytes
        self.dmx = [DmxTarget(one, self.udp, None) for one in to["artnet"]]
        self.dmx += [DmxTarget(one, self.udp, source) for one in to["sacn"]]
        self.desks = [Os2lDesk(one) for one in to["os2l"]]
        self.cues = to["cues"]
        self.missed, self.reason = 0, ""
        self._table: Mapping[str, Any] | None = None

    def install(self) -> None:
        """Subscribes to the server's events, and starts sending."""
        server = self.server
        _open[server.folder] = self
        self.follow_table()
        self._restore()
        server.on_effect(lambda effect: server.attempt("the lights", lambda: self._effect(effect)))
        server.on_event(lambda event: server.attempt("the lights", lambda: self._event(event)))
        server.on_value(lambda address, _: server.attempt("the cues", lambda: self._value(address)))
        # two that want different nodes are given the notes of all
        server.on_note(self._strike, lambda: min(self._wanted(), default=0))
        server.on_note(lambda event: None, lambda: max(self._wanted(), default=0))
        server.status(self.status)
        for target in self.dmx:
            server.service(partial(self._frames, target))
        for desk in self.desks:
            server.service(desk.run)
            server.service(partial(self.send_beats_to_desk, desk))
        for cue in self.cues:
            server.service(partial(self._beats, cue.latency, partial(self._cue_beat, cue), LEAD))

    def status(self) -> dict[str, Any]:
        """Figures for `/api/status`."""
        return {
            "look": self.desk.look,
            "blackout": self.desk.dark,
            "fixtures": len(self.desk.rig.fixtures),
            "universes": len(self.desk.rig.universes),
            "sent": self.udp.sent + sum(desk.sent for desk in self.desks),
            "lost": self.udp.lost + sum(desk.lost for desk in self.desks),
            "missed": self.missed,
            "late_ms": round(1e3 * self.udp.late, 1),
            "reason": self.reason or self.udp.reason or "".join(desk.reason for desk in self.desks if desk.reason),
        }

    def follow_table(self) -> None:
        """Applies the current patch's table; its first look is shown at once, a blackout stays."""
        table = self.server.table("lights")
        if table == self._table:
            return
        dark, self._table = self.desk.dark, table
        self.desk = LightShow(read(table), self._strobe)
        self.desk.dark, self.reason = dark, ""

    def _restore(self) -> None:
        """Shows what an earlier control process showed last, where it has the look."""
        dark, _, look = self.server.kept("shown").partition(" ")
        if look in self.desk.rig.looks:
            self.desk.show(look, -math.inf, 0.0)
        self.desk.dark = dark == "dark"

    def _keep(self) -> None:
        """Keeps what is shown for the control process that follows a crash."""
        self.server.keep("shown", f"{'dark' if self.desk.dark else 'light'} {self.desk.look}")

    def show(self, look: str, beats: float | None, beat: float | None = None) -> None:
        """Fades to a look, over the table's beats where None. Raises RequestError: there is no such look."""
        looks = self.desk.rig.looks
        if look not in looks:
            raise RequestError(f"there is no look {look[:64]!r}; there are: {', '.join(looks) or 'none'}")
        before, begin = self.desk.look, self.server.beat_of(NOW) if beat is None else beat
        self.desk.show(look, begin, self.desk.rig.fade if beats is None else beats)
        self._keep()
        for desk in self.desks if look != before else ():
            if before:
                desk.send(os2l("btn", name=before, state="off"))
            desk.send(os2l("btn", name=look, state="on"))

    def blackout(self, on: bool) -> None:
        """Turns everything dark at once, or ends that."""
        self.desk.dark = on
        if on:
            due = self.server.now_ns() + round(LEAD * 1e9)  # after the frame that waits
            for target in self.dmx:
                target.send(self.desk.rig.universes, bytes(self.desk.rig.slots), due=due)
        self._keep()

    def _value(self, address: str) -> None:
        if self.cues and address.startswith("/node/") and address.endswith("/chord"):
            name = address.split("/")[2]
            node, cell = self.server.param(name, "chord")
            if node.cells[cell].unit == "chord" and node.cells[cell].readonly:
                number = int(node.cells[cell].encode(self.server.value_at(node, cell)))
                self._send_cues(self._now(), encode("/chord", chord_name(number), number, name))

    def _event(self, event: dict[str, Any]) -> None:
        if event["kind"] in ("patch", "engine"):
            self.follow_table()
            self._keep()
        elif event["kind"] == "scene":
            beat, number = event["beat"], event["number"]
            look = self.desk.rig.scenes.get(number, "")
            self.desk.section = beat
            if look:
                self.show(look, event["beats"] or None, beat)
            ahead = max(0.0, beat - self.server.beat_of(NOW)) * 60.0 / self.server.tempo()[1]
            self._send_cues(self._now() + ahead, encode("/section", number, look))

    def _effect(self, effect: EngineEffect) -> None:
        if isinstance(effect, Panic):
            self.udp.drop()
            self.blackout(True)
        elif isinstance(effect, SetTransport | NudgeBeat):
            if abs(effect.beats) > JUMP_BEATS if isinstance(effect, NudgeBeat) else effect.beat is not None:
                self.desk.jump()
            if isinstance(effect, SetTransport) and effect.playing and self.desk.dark:
                self.blackout(False)
        elif isinstance(effect, Play):
            self._strike(effect)

    def _wanted(self) -> list[int]:
        """Numbers of the nodes whose notes are wanted: for cues all that play notes, else those that drive effects."""
        nodes = self.server.nodes()
        driving = {wave.drive.node for wave in self.desk.rig.waves if wave.drive.kind == "note"}
        return [node.id for name, node in nodes.items()
                if name in driving or (self.cues and node.info.first("events", "out") is not None)]  # fmt: skip

    def _strike(self, played: Play[int]) -> None:
        event, sample = played.event, self.server.due(played.when)
        if event.kind == "on" and event.value > 0.0:
            node = next((name for name, node in self.server.nodes().items() if node.id == played.node), "")
            self.desk.strike(event.number, node, sample / self.server.rate, event.value)
            self._send_cues(sample / self.server.rate, encode("/onset", event.number, float(event.value), node))

    def _now(self) -> float:
        return self.server.sample_at(self.server.now_ns()) / self.server.rate

    def _heard(self) -> float:
        """Seconds from a sample's time on the engine's clock until it sounds."""
        return self.server.block / self.server.rate + OUTPUT_LATENCY

    def clock(self, ahead: float) -> Clock:
        """The musical clock as it will sound `ahead` seconds from now."""
        server = self.server
        sample = server.sample_at(server.now_ns() + round((ahead - self._heard()) * 1e9))
        _, bpm, playing = server.tempo()
        return Clock(server.beat_at(sample), sample / server.rate, bpm, server.bar(), playing)

    def frame_time(self, clock: Clock, latency: float) -> int:
        """Time at which a receiver of that latency should have a frame, in ns of CLOCK_MONOTONIC."""
        # the clock of what is shown now runs behind that of the frame by what is left
        return self.server.now_ns() + round((clock.seconds - self.clock(latency).seconds) * 1e9)

    async def _wait(self, last: float, latency: float, count: int, lead: float) -> Clock:
        """Waits for the next multiple of 1 / `count` beats after `last`, shifted by the receiver's latency.

        Returns `lead` seconds before. While the beat is stopped, it waits for the next of `RATE` frames a second.
        """
        stood = False
        while True:
            clock = self.clock(latency + lead)
            if not clock.playing:
                if stood:
                    return clock
                stood = True
                await asyncio.sleep(1.0 / RATE)
                continue
            now = last_fraction(clock, count)
            if not last - JUMP_BEATS < now.beat <= last:
                gone = now.beat - last
                if gone < 1.0 and count > 1:
                    self.missed += max(0, round(gone * count) - 1)
                return now
            # often enough for a change of the tempo
            due = (now.beat + 1.0 / count - clock.beat) * 60.0 / clock.bpm
            await asyncio.sleep(min(max(0.0, due), IDLE_SECONDS))

    async def _frames(self, target: DmxTarget) -> None:
        rig, last = Rig(), -math.inf
        limit = FlashLimit(0, self._strobe)
        try:
            while True:
                latency = target.target.latency
                clock = await self._wait(last, latency, steps(self.server.tempo()[1]), LEAD)
                last = clock.beat
                due = self.frame_time(clock, latency)
                if rig is not self.desk.rig:
                    target.end(rig.universes)
                    rig, limit = self.desk.rig, FlashLimit(self.desk.rig.slots, self._strobe)
                if rig.universes:
                    frame = limit.limit(self.frame(clock), clock.seconds).tobytes()
                    target.send(rig.universes, frame, due=due)
        finally:
            self.udp.drop()
            target.end(rig.universes)

    def frame(self, clock: Clock) -> NDArray[np.uint8]:
        """Values of all channels, 0 to 255, from the current values and levels, before the flash limit."""
        for wave in self.desk.rig.waves:
            if wave.drive.kind == "value":
                try:
                    self.desk.levels[wave.drive] = self._level(wave.drive)
                except RequestError as error:
                    self.reason = f"the effect {wave.name}: {error}"
        return self.desk.frame(clock)

    def _level(self, drive: WaveSource) -> float:
        if drive.param:
            node, cell = self.server.param(drive.node, drive.param)
            return node.cells[cell].to_norm(self.server.value_at(node, cell))
        nodes = self.server.nodes()
        peak = self.server.meters().get(nodes[drive.node].id, (0.0, 0.0))[0] if drive.node in nodes else 0.0
        return min(1.0, max(0.0, 1.0 + 20.0 * math.log10(max(peak, 1e-6)) / QUIET_DB))

    async def _beats(self, latency: float, send: Callable[[Clock], None], lead: float = WAKE) -> None:
        last = math.inf
        while True:
            clock = await self._wait(last, latency, 1, lead)
            if clock.playing and last < math.inf:
                send(clock)
            last = clock.beat

    async def send_beats_to_desk(self, desk: Os2lDesk) -> None:
        """Sends beats to a light desk."""
        await self._beats(desk.target.latency, partial(self._os2l_beat, desk))

    def _os2l_beat(self, desk: Os2lDesk, clock: Clock) -> None:
        strength = 100.0 if clock.beat % clock.bar == 0 else 50.0
        desk.send(os2l("beat", change=False, pos=int(clock.beat), bpm=round(clock.bpm, 3), strength=strength))

    def _cue_beat(self, target: LightTarget, clock: Clock) -> None:
        # the arguments that subscribers of the server get
        beat, bpm = round(clock.beat), float(clock.bpm)
        bar = (encode("/bar", beat // clock.bar, bpm),) if beat % clock.bar == 0 else ()
        self._send_cues(clock.seconds, encode("/beat", beat, bpm), *bar, to=(target,))

    def _send_cues(self, seconds: float, *messages: bytes, to: Sequence[LightTarget] | None = None) -> None:
        """Sends cues for the engine time `seconds`, to each receiver as early as it asks for."""
        now, wall = self.server.now_ns(), time.time_ns()  # side by side: between both this process may have to wait
        ahead = seconds - self.server.sample_at(now) / self.server.rate + self._heard()
        bundle = encode_bundle(timetag_of(wall + round(ahead * 1e9)), list(messages))
        for target in self.cues if to is None else to:
            due = now + round((ahead - target.latency) * 1e9)
            self.udp.send([(bundle, (target.host, target.port))], due)


def chord_name(number: int) -> str:
    """Name for a value of the parameter `chord`: 0 to 11 C to B major, 12 to 23 minor, "N" below 0."""
    return f"{FLAT_NAMES[number % 12]}{'m' if number >= 12 else ''}" if 0 <= number < 24 else "N"
