"""Scenes: store and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.control.osc.arguments import Args, most, number, whole
from antiphon.io.osc_peer import Peer
from antiphon.session import scenes
from antiphon.session.commands import NOW, Beat, When
from antiphon.session.schedule import MAX_BEAT
from antiphon.wire.osc import encode

if TYPE_CHECKING:
    from antiphon.control.app import ControlApp

MAX_MORPH = 4096.0


def store(app: ControlApp, peer: Peer, args: Args, _when: When) -> None:
    most(args, 1, "i:number")
    place = whole(args, 0, "number", 0, scenes.MAX_SCENES - 1)
    app.intake.flush()
    app.catch_up()
    app.plans.scenes[place] = scenes.stored(app.session)
    app.keep_soon()
    app.feedback.event("/scene/stored", place)
    app.reply(peer, encode("/done", "/scene/store", place))


def recall(app: ControlApp, peer: Peer, args: Args, when: When) -> None:
    most(args, 3, "i:number [f:beats] [f:quantum]")
    place = whole(args, 0, "number", 0, scenes.MAX_SCENES - 1)
    beats = number(args, 1, "the morph in beats", 0.0, MAX_MORPH, 0.0)
    quantum = number(args, 2, "the quantum in beats", 0.0, MAX_BEAT, 0.0)
    recall_scene(app, place, beats, quantum, when, peer.key)


def recall_scene(
    app: ControlApp, place: int, beats: float = 0.0, quantum: float = 0.0, when: When = NOW, source: object = None
) -> None:
    """Brings a scene back, morphing over `beats`; with a quantum, on its next multiple. `WireError` without it."""
    scene = scenes.known(app.plans.scenes, place)
    app.intake.flush()
    app.catch_up()
    at: When = Beat(app.moment().beat, quantum) if quantum > 0.0 else when
    commands = list(scenes.recalled(scene, app.session, beats * 60.0 / app.session.tempo, at))
    app.perform(app.session.recall(commands, app.moment(), source))
    app.keep_soon()
    app.feedback.event("/scene/recalled", place)
