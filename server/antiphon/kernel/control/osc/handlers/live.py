"""Addresses for live scripts: messages by beat, and cues."""

from antiphon.kernel.control.osc.arguments import Args, OscCall, osc, text
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.messages import number
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.wire.osc import Message

MAX_VALUE = 1024
"""Maximum characters of a cue's value."""
AT = "/at"


def _beat_and_message(ask: OscCall, args: Args) -> tuple[float, Message]:
    """Beat and message of `/at`."""
    beat, address = number(args, 0, "beat", -MAX_BEAT, MAX_BEAT), text(args, 1, "address")
    return beat, Message(address.encode("utf-8", "replace"), b"," + ask.server.intake.handling.tags[3:], args[2:])


def _check_at(ask: OscCall, args: Args) -> None:
    ask.server.intake.check_at_beat(*_beat_and_message(ask, args), ask.peer)


@osc(AT, args="d:beat s:address x…", check=_check_at)
def at(ask: OscCall, args: Args) -> None:
    """Dates a message to the sample of a beat: values, triggers, notes, resets, the tempo, the transport."""
    ask.server.intake.at_beat(*_beat_and_message(ask, args), ask.peer)


@osc("/cue", args="s:name [x:value]")
def cue(ask: OscCall, args: Args) -> None:
    """Wakes the loops of live scripts that wait for this name; subscribers are sent the message."""
    server, name = ask.server, text(args, 0, "name")
    for value in args[1:]:
        plain = isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_VALUE)
        if not plain:
            raise RequestError(f"a cue's value is a number or a text, not {short_repr(value)}")
    server.feedback.event("/cue", name, *args[1:])
    if server.link.keeping or server.link.keeping_tracks:
        server.link.cue(int(server.clock.moment().sample), name, args[1:])
