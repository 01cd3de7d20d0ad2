"""`antiphon run answer IN.mid OUT.mid -p mode=trade`: the node's answers to a file's melody."""

from collections.abc import Mapping

from antiphon.api import IO, BlockTime, Event, StreamSpec, Value
from antiphon.api.backends.rendering import prepare_processor
from antiphon_answer.improviser import Planned
from antiphon_answer.melody_file import MelodyFile
from antiphon_answer.processor import Answer

RATE, BLOCK, TEMPO = 4000, 512, 120.0
"""Sample rate and tempo of the run; a file's tempo is irrelevant, since the node counts beats."""
_SIXTEENTH_FRAMES = RATE * 15.0 / TEMPO
"""Frames per sixteenth."""


def meter_of(given: MelodyFile) -> int:
    """Beats of the file's bar; 0 where a node cannot take it, and has that of its parameter."""
    return given.bar // 4 if given.bar % 4 == 0 and 2 <= given.bar // 4 <= 7 else 0


def play_along(given: MelodyFile, settings: Mapping[str, Value]) -> list[Planned]:
    """Notes of a node fed with the melody, in the file's slots, up to a turn after its end."""
    node = Answer()
    meter = meter_of(given) or settings["meter"]
    own = {param.name: settings[param.name] for param in node.params if not param.readonly}
    cells = prepare_processor(node, StreamSpec(RATE, BLOCK, 1), {**own, "meter": meter})
    # offs before ons: a note that is struck again has ended
    played = sorted(
        (round(slot * _SIXTEENTH_FRAMES), velocity, note.pitch)
        for note in given.notes
        for slot, velocity in ((note.at, note.velocity), (note.at + note.length, 0.0))
    )
    turn = given.bar * int(str(settings["bars"]))
    # a canon is over a turn later, an answer soon after the turns' end, which may begin with the last bar
    last = given.next_bar + (2 * turn + given.bar // 2 if settings["mode"] == "trade" else turn)
    end = round(last * _SIXTEENTH_FRAMES)
    notes: list[Planned] = []
    sounding: dict[int, tuple[int, float]] = {}
    at = 0
    while at < end:
        size = min(BLOCK, end - at)
        io = IO((), (), cells, BlockTime(at, at / _SIXTEENTH_FRAMES / 4.0, TEMPO, True), size)
        while played and played[0][0] < at + size:
            when, velocity, pitch = played.pop(0)
            io.events_in.append(Event("on" if velocity else "off", when - at, pitch, velocity))
        cells.render(at, size)
        node.process(io)
        cells.settle(at + size)
        for event in io.events_out:
            if (begun := sounding.pop(event.number, None)) is not None:
                notes.append(_planned(begun, at + event.offset, event.number))
            if event.kind == "on":
                sounding[event.number] = at + event.offset, event.value
        at += size
    notes += [_planned(begun, end, pitch) for pitch, begun in sounding.items()]
    return sorted(notes)


def _planned(begun: tuple[int, float], end: int, pitch: int) -> Planned:
    """Note of its start (frame, velocity) and its end frame."""
    at = begun[0] / _SIXTEENTH_FRAMES
    return Planned(round(at), end / _SIXTEENTH_FRAMES - at, pitch, begun[1], at - round(at))
