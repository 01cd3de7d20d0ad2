"""A word that sends OSC to other programs: `osc("127.0.0.1:9000", "/light", 1)`."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from antiphon.errors import UsageError
from antiphon.live.patterns.arguments import name_value
from antiphon.live.patterns.controls import mini
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.spans import Number
from antiphon.live.records import OUTSIDE, PLAY, LiveEvent, line_of
from antiphon.live.stage import LiveTrack, stage
from antiphon.live.vocabulary import cycle_beats, free_name

_ADDRESS = re.compile(r"(/[^\s#*,?\[\]{}/]{1,64}){1,16}")
_MOST_VALUES = 64


def osc(to: str, address: str, *values: Any, beats: Number | None = None) -> None:
    """Sends OSC over UDP to another program: in a loop now, else a message for each event of a pattern.

    Args:
        to: IP address and port, as "127.0.0.1:9000".
        address: As "/light/1".
        values: Numbers and words; in the script itself one text in mini-notation or pattern.
        beats: Of a cycle of the pattern; without, a bar.
    """
    where = f"{OUTSIDE}{_target(to)}{_address(address)}"
    here = stage()
    if here.source:
        if len(values) > _MOST_VALUES or not all(isinstance(value, bool | int | float | str) for value in values):
            raise UsageError(f"osc sends at most {_MOST_VALUES} numbers and words")
        here.send(LiveEvent(here.beat, where, values, here.source, line_of(here.script.path)), PLAY)
        return
    if len(values) != 1 or not isinstance(values[0], str | Pattern):
        raise UsageError('osc takes one pattern here, as in osc("127.0.0.1:9000", "/light", "1 0")')
    pattern = mini(values[0]) if isinstance(values[0], str) else values[0]
    name = free_name(here.script.tracks, where.replace("/", " ")[:64], "tracks")
    line = line_of(here.script.path)
    sent = pattern.map(lambda value: {"": value})
    here.script.tracks[name] = LiveTrack(name, sent, where, cycle_beats(here.script, beats), sets=True, line=line)


def _target(to: Any) -> str:
    host, _, port = str(to).rpartition(":")
    try:
        found = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
        if found.version == 4 and 0 < int(port) < 65536:
            return f"{found}:{int(port)}"
    except ValueError:
        pass
    raise UsageError(f'osc sends to an IP address with a port, as in "127.0.0.1:9000", not to {name_value(to)}')


def _address(address: Any) -> str:
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise UsageError(f'an OSC address begins with a slash, as in "/light/1", not {name_value(address)}')
    return address
