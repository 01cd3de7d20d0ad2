"""Handlers for live scripts: messages by beat, cues, and scripts sent by OSC."""

from antiphon.kernel.control.osc.arguments import Args, number, text
from antiphon.kernel.control.osc.script_gate import MAX_SCRIPT
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.errors import RequestError
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.session.commands import When
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.wire.osc import Message, encode

MAX_VALUE = 1024
"""Maximum characters of a cue's value."""
MAX_LINES = 8192
"""Maximum characters of a set's tracks, and of what it printed."""
CODE = "/live/"
"""Prefix of the addresses that carry scripts."""
EVALUATE = "/live/eval"


def at(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    beat = number(args, 0, "beat", -MAX_BEAT, MAX_BEAT)
    address = text(args, 1, "address")
    tags = server.intake.handling.tags
    server.intake.at_beat(beat, Message(address.encode("utf-8", "replace"), b"," + tags[3:], args[2:]), peer)


def cue(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name")
    for value in args[1:]:
        plain = isinstance(value, int | float) or (isinstance(value, str) and len(value) <= MAX_VALUE)
        if not plain:
            raise RequestError(f"a cue's value is a number or a text, not {short_repr(value)}")
    server.feedback.event("/cue", name, *args[1:])
    if server.link.keeping or server.link.keeping_tracks:
        server.link.cue(int(server.clock.moment().sample), name, args[1:])


def join(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.replies.reply(peer, server.scripts.join(peer, text(args, 0, "nonce")))


def perform(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.scripts.admit(peer, text(args, 0, "proof"))
    server.replies.reply(peer, encode("/done", "/live/perform"))


def plays(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    lines = [text(args, at, name, "", MAX_LINES).split("\n") for at, name in ((1, "tracks"), (2, "printed"))]
    tracks, printed = ([line for line in some if line] for some in lines)
    server.scripts.show(peer, {"name": text(args, 0, "set", ""), "tracks": tracks, "printed": printed})


def evaluate(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    secret, script = text(args, 0, "token"), text(args, 1, "script", longest=MAX_SCRIPT)
    proved = server.scripts.check(peer, secret, script)
    sent = server.scripts.packets(script)
    for performer, packet in sent:
        server.replies.reply(performer, packet)
    server.replies.reply(peer, encode("/done", EVALUATE, *([len(sent)] if proved else [])))
