"""Words for external targets: OSC over UDP, and MIDI."""

import ipaddress
import re
from typing import Any

from antiphon.kernel.errors import UsageError
from antiphon.live.notes import COMMON_VALUES
from antiphon.live.patterns.arguments import name_value
from antiphon.live.patterns.controls import mini
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.spans import Number
from antiphon.live.records import MIDI, OUTSIDE, PLAY, LiveEvent, line_of
from antiphon.live.stage import LiveTrack, stage
from antiphon.live.vocabulary import cycle_beats, free_name

_ADDRESS = re.compile(r"(/[^\s#*,?\[\]{}/]{1,64}){1,16}")
_MAX_VALUES = 64


def osc(to: str, address: str, *values: Any, beats: Number | None = None) -> None:
    """Sends OSC over UDP to another program: in a loop now, else a message for each event of a pattern.

    Args:
        to: IP address and port, as "127.0.0.1:9000".
        address: As "/light/1".
        beats: Of a cycle of the pattern; without, a bar.
    """
    where = f"{OUTSIDE}{_target(to)}{_address(address)}"
    here = stage()
    if here.source:
        if len(values) > _MAX_VALUES or not all(isinstance(value, bool | int | float | str) for value in values):
            raise UsageError(f"osc sends at most {_MAX_VALUES} numbers and words")
        here.send(LiveEvent(here.beat, where, values, here.source, line_of(here.script.path)), PLAY)
        return
    if len(values) != 1 or not isinstance(values[0], str | Pattern):
        raise UsageError('osc takes one pattern here, as in osc("127.0.0.1:9000", "/light", "1 0")')
    pattern = mini(values[0]) if isinstance(values[0], str) else values[0]
    name = free_name(here.script.tracks, where.replace("/", " ")[:64], "tracks")
    line = line_of(here.script.path)
    sent = pattern.map(lambda value: {"": value})
    here.script.tracks[name] = LiveTrack(name, sent, where, cycle_beats(here.script, beats), sets=True, line=line)


def midi_out(
    port: str, pattern: str | Pattern[Any], channel: int = 1, cc: int | None = None, beats: Number | None = None
) -> None:
    """Sends a pattern's notes, or values of a controller, to a MIDI port that `--midi-out` opened.

    Args:
        port: A part of its name; "" for every one.
        pattern: Notes, as `note("c e g")`, of which the port gets what MIDI has; with `cc` numbers of 0 to 127.
        channel: 1 to 16.
        cc: Number of a controller, 0 to 127.
        beats: Of a cycle of the pattern; without, a bar.
    """
    here = stage()
    if here.source:
        raise UsageError("midi_out stands in the script itself, not in a loop")
    if not isinstance(port, str) or len(port) > 64 or not port.isprintable():
        raise UsageError(f"midi_out takes a part of a port's name, not {name_value(port)}")
    for number, low, high, what in ((channel, 1, 16, "channel"), (0 if cc is None else cc, 0, 127, "cc")):
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise UsageError(f"{what} of midi_out takes {low} to {high}, not {name_value(number)}")
    sent = mini(pattern) if isinstance(pattern, str) and cc is not None else pattern
    if not isinstance(sent, Pattern):
        raise UsageError('midi_out takes a pattern, as in midi_out("synth", note("c e g")), or numbers with cc')
    to, line = f"{MIDI}{port}", line_of(here.script.path)
    name = free_name(here.script.tracks, f"midi {port} {channel} {'notes' if cc is None else cc}", "tracks")
    length = cycle_beats(here.script, beats)
    if cc is None:
        notes = sent.map(
            lambda value: {name: value[name] for name in COMMON_VALUES if name in value} | {"channel": channel}
        )
        here.script.tracks[name] = LiveTrack(name, notes, to, length, line=line)
        return
    values = sent.map(lambda value: {"": (cc, _seven_bits(value), channel, to)})
    here.script.tracks[name] = LiveTrack(name, values, f"{OUTSIDE}/cc", length, sets=True, line=line)


def _seven_bits(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 127:
        raise UsageError(f"a controller takes 0 to 127, not {name_value(value)}")
    return float(value)


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
