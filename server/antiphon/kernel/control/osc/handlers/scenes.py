"""Handlers of scenes: store and recall."""

from __future__ import annotations

from antiphon.kernel.control.osc.arguments import Args, number, whole
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.io.osc_peer import Peer
from antiphon.kernel.session import scenes
from antiphon.kernel.session.commands import NOW, Beat, When
from antiphon.kernel.session.schedule import MAX_BEAT
from antiphon.kernel.wire.osc import encode

MAX_MORPH = 4096.0


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
    there is no such scene, or one of its values is refused; nothing has changed.
    """
    scene = scenes.find_scene(server.plans.scenes, place)
    server.executor.settle()
    at: When = Beat(server.clock.moment().beat, quantum) if quantum > 0.0 else when
    commands = list(scenes.recall_commands(scene, server.session.state, beats * 60.0 / server.session.state.tempo, at))
    server.executor.perform(server.session.recall(commands, server.clock.moment(), source))
    server.saver.soon()
    server.feedback.event("/scene/recalled", place)
