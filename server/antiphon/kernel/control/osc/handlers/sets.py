"""Handlers of notes, scenes and set lists."""

from collections.abc import Callable

from antiphon.kernel.control.osc.arguments import Args, number, text, whole
from antiphon.kernel.control.osc.handlers.graph import listing
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import notes, scenes, set_list
from antiphon.kernel.session.commands import NOW, Beat, Sample, When
from antiphon.kernel.session.schedule import MAX_BEAT, due_beat
from antiphon.kernel.wire.osc import encode


def load(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.sets.load(text(args, 0, "name"), peer, "/set/load")


def forward(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.sets.step(1, peer, "/set/next")


def back(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    server.sets.step(-1, peer, "/set/previous")


def go(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    server.sets.go(whole(args, 0, "place", 1, set_list.MAX_PATCHES) - 1, peer, "/set/go")


def save(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    name = text(args, 0, "name")
    listed = tuple(text(args, at, "patch") for at in range(1, max(2, len(args))))
    server.sets.save(name, listed)
    server.replies.reply(peer, encode("/done", "/set/save", name))


def names(server: OscServer, peer: Peer, _args: Args, _when: When) -> None:
    listing(server.replies, peer, "/set/list.reply", set_list.names())
    found = server.position.status(server.session.state.path)
    if found is not None:
        place = 0 if found["outside"] else found["place"]
        server.replies.reply(peer, encode("/set/patches.reply", found["name"], place, *found["patches"]))


MAX_MORPH = 4096.0
RECALL = "/scene/recall"
"""Cue in a recorded set, with the scene's number and the beat of its recall."""


def store(server: OscServer, peer: Peer, args: Args, _when: When) -> None:
    place = whole(args, 0, "number", 0, scenes.MAX_SCENES - 1)
    server.executor.settle()
    server.plans.scenes[place] = scenes.capture(server.session.state)
    server.saver.soon()
    server.feedback.event("/scene/stored", place)
    server.replies.reply(peer, encode("/done", "/scene/store", place))


def recall(server: OscServer, peer: Peer, args: Args, when: When) -> None:
    place = whole(args, 0, "number", 0, scenes.MAX_SCENES - 1)
    beats = number(args, 1, "the morph in beats", 0.0, MAX_MORPH, 0.0)
    quantum = number(args, 2, "the quantum in beats", 0.0, MAX_BEAT, 0.0)
    recall_scene(server, place, beats, quantum, when, peer.key)


def recall_scene(
    server: OscServer, place: int, beats: float = 0.0, quantum: float = 0.0, when: When = NOW, source: object = None
) -> None:
    """Sets all values to those of scene number `place`, in ramps of `beats` beats.

    With a `quantum` above 0 the recall is at its next multiple of beats, otherwise at `when`. Raises RequestError:
    there is no such scene, or one of its values is refused; nothing has changed but variants.
    """
    scene = scenes.find_scene(server.plans.scenes, place)
    at: When = Beat(server.clock.moment().beat, quantum) if quantum > 0.0 else when
    server.plans.recall(scene, beats, at, source)
    server.saver.soon()
    server.feedback.event("/scene/recalled", place)
    match at:
        case Beat():
            beat = due_beat(at)
        case Sample(n):
            beat = server.link.beat_at(n)
        case _:
            beat = server.clock.moment().beat
    if server.link.keeping or server.link.keeping_tracks:
        server.link.cue(int(server.clock.moment().sample), RECALL, (place, beat))
    server.events.publish("scene", number=place, beats=beats, beat=beat)


def handler(address: str) -> Callable[[OscServer, Peer, Args, When], None]:
    """Handler of an address that `session.notes.read` parses."""

    def handle(server: OscServer, peer: Peer, args: Args, when: When) -> None:
        server.executor.do(notes.read(address, args, when), peer.key)

    return handle
