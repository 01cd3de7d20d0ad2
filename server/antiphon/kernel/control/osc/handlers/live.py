"""Addresses for live scripts: messages by beat, and cues."""

from antiphon.kernel.control.osc.arguments import Args, OscCall, osc, text
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.messages import number
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.wire.osc import Message

MAX_VALUE = 1024
"""Maximum characters of a cue's value."""
CODE = "/live/"
"""Prefix of the addresses that carry scripts."""


@osc("/at", args="d:beat s:address x…")
def at(ask: OscCall, args: Args) -> None:
    """Dates a message to the sample of a beat: values, triggers, notes, resets, the tempo, the transport."""
    intake = ask.server.intake
    beat, address = number(args, 0, "beat", -MAX_BEAT, MAX_BEAT), text(args, 1, "address")
    message = Message(address.encode("utf-8", "replace"), b"," + intake.handling.tags[3:], args[2:])
    intake.at_beat(beat, message, ask.peer)


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
