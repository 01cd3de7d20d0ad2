"""Addresses of notes and scenes."""

from typing import Annotated

from msgspec import Meta

from antiphon.kernel.control.osc.arguments import SURFACE, Address, OscCall, osc
from antiphon.kernel.control.osc.served import OscServer
from antiphon.kernel.session import notes, scenes
from antiphon.kernel.session.commands import NOW, Beat, Sample, When
from antiphon.kernel.session.schedule import MAX_BEAT, due_beat


def _note(path: str, args: str, doc: str) -> Address:
    """Address that `session.notes.read` parses."""
    check = lambda ask, args: ask.check(notes.read(path, args, ask.when))  # noqa: E731
    handler = lambda ask, args: ask.do(notes.read(path, args, ask.when))  # noqa: E731
    return osc(path, SURFACE, args, doc, timed=True, check=check)(handler)


_TO = "[i:channel] [s:node]"
NOTES = (
    _note("/note/on", f"i:note i:velocity {_TO}", "Begins a note, 0 to 127 or a name as c4; velocity 1 to 127, or a "
          "float 0 to 1, as a button of TouchOSC sends it (1.0 is full); 0 ends it; channel 1 to 16, by default 1."),
    _note("/note/off", f"i:note [i:velocity] {_TO}", "Ends a note; the velocity is ignored."),
    _note("/cc", f"i:number f:value {_TO}", "Sets controller 0 to 127 (64 is the sustain pedal) to a value from 0 to "
          "1; a whole number from 2 to 127 is divided by 127, so 1 is the full value."),
    _note("/bend", f"f:value {_TO}", "Moves the pitch wheel, -1 to 1."),
    _note("/note/pitch", f"i:note f:semitones {_TO}", "Moves the pitch of one note, -96 to 96 semitones from its own: "
          "of the note that sounds, or else of the next with this number and channel."),
    _note("/note/pressure", f"i:note f:value {_TO}", "How hard the key of one note is pressed, 0 to 1 as for `/cc`."),
    _note("/note/timbre", f"i:note f:value {_TO}", "How bright one note is, 0 to 1 as for `/cc`; 0.5 is the "
          "instrument's own."),
    _note("/program", f"i:number {_TO}", "Chooses the instrument of a channel, 0 to 127, of nodes that play by "
          "programs, as `soundfont`."),
)  # fmt: skip
Scene = Annotated[int, Meta(ge=0, le=scenes.MAX_SCENES - 1)]
MAX_MORPH = 4096.0
"""Beats of a ramp between scenes, at most."""
RECALL = "/scene/recall"
"""Cue in a recorded set, with the scene's number and the beat of its recall."""


@osc("/scene/store")
def store(ask: OscCall, number: Scene) -> None:
    """Stores all values as scene 0 to 127. Answers `/done`."""
    server = ask.server
    server.executor.settle()
    state = server.session.state
    state.keep(scenes={**state.shown.scenes, number: scenes.capture(state)})
    server.saver.mark_changed()
    server.feedback.event("/scene/stored", number)
    ask.reply("/done", "/scene/store", number)


def _check_recall(ask: OscCall, number: int, *_: float) -> None:
    scenes.find_scene(ask.server.session.state.shown.scenes, number)


@osc(RECALL, timed=True, check=_check_recall)
def recall(
    ask: OscCall,
    number: Scene,
    beats: Annotated[float, Meta(ge=0.0, le=MAX_MORPH)] = 0.0,
    quantum: Annotated[float, Meta(ge=0.0, le=MAX_BEAT)] = 0.0,
) -> None:
    """Sets all values to those of a scene, numbers by ramps of `beats` beats; with a quantum, at its next multiple. If
    one value is refused, none changes.
    """
    recall_scene(ask.server, number, beats, quantum, ask.when, ask.peer.key)


def recall_scene(
    server: OscServer, place: int, beats: float = 0.0, quantum: float = 0.0, when: When = NOW, source: object = None
) -> None:
    """Sets all values to those of scene number `place`, in ramps of `beats` beats.

    With a `quantum` above 0 the recall is at its next multiple of beats, otherwise at `when`. Raises RequestError:
    there is no such scene, or one of its values is refused; nothing has changed but variants.
    """
    scene = scenes.find_scene(server.session.state.shown.scenes, place)
    at: When = Beat(server.clock.moment().beat, quantum) if quantum > 0.0 else when
    server.plans.recall(scene, beats, at, source)
    server.saver.mark_changed()
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
