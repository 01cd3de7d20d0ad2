"""Addresses for live scripts: messages by beat, cues, and scripts sent by OSC."""

from typing import Annotated

from msgspec import Meta

from antiphon.kernel.control.osc.arguments import OWNER, Args, OscCall, Word, osc, text
from antiphon.kernel.control.osc.script_gate import MAX_SCRIPT
from antiphon.kernel.errors import RequestError
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.messages import number
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.wire.osc import Message

MAX_VALUE = 1024
"""Maximum characters of a cue's value."""
MAX_LINES = 8192
"""Maximum characters of a set's tracks, and of what it printed."""
CODE = "/live/"
"""Prefix of the addresses that carry scripts."""
EVALUATE = "/live/eval"
Lines = Annotated[str, Meta(max_length=MAX_LINES)]


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


@osc(EVALUATE, OWNER)
def evaluate(ask: OscCall, token: Word, script: Annotated[str, Meta(max_length=MAX_SCRIPT)]) -> None:
    """With `serve --live`: hands a live script to `antiphon live`, from programs of this machine, with the owner's
    token, or after `/live/join` a proof of it. Answers `/done`, after a proof with the number of programs that get it.
    """
    scripts, replies = ask.server.scripts, ask.server.replies
    proved, sent = scripts.check(ask.peer, token, script), scripts.packets(script)
    for performer, packet in sent:
        replies.reply(performer, packet)
    ask.reply("/done", EVALUATE, *([len(sent)] if proved else []))


@osc("/live/join", OWNER)
def join(ask: OscCall, nonce: Word) -> None:
    """With `serve --live`, over TCP: answers `/live/challenge s:nonce s:proof`. How proofs are made:
    docs/live-coding.md.
    """
    ask.server.replies.reply(ask.peer, ask.server.scripts.join(ask.peer, nonce))


@osc("/live/perform", OWNER)
def perform(ask: OscCall, proof: Word) -> None:
    """After `/live/join`, of a program that proves the token: it is sent `/live/eval s:script i:number s:proof` from
    now on. Answers `/done`.
    """
    ask.server.scripts.admit(ask.peer, proof)
    ask.reply("/done", "/live/perform")


@osc("/live/plays", OWNER)
def plays(ask: OscCall, set: Word = "", tracks: Lines = "", printed: Lines = "") -> None:
    """After `/live/perform`: the set that a program performs, its tracks and printed lines, for `/api/status`."""
    lines = {"tracks": tracks, "printed": printed}
    kept = {name: [line for line in some.split("\n") if line] for name, some in lines.items()}
    ask.server.scripts.show(ask.peer, {"name": set, **kept})
