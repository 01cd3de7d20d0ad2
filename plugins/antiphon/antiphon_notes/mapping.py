"""Immediate note mappings: transposition, chords, scale, probability, split, hold and latch."""

from collections.abc import Iterable

from antiphon.api import EVENTS_OUT, IO, Event, FileUse, Param, Port
from antiphon.signal.harmony import CHORDS, SCALES
from antiphon_notes.node import Key, Made, NoteNode, dice

MODES = ("sustain", "latch", "toggle")


class Hold(NoteNode):
    """Holds notes while `hold` is on. Switching it off ends notes whose keys are up.

    sustain: held notes add up.  latch: the first key after all keys were up ends the held notes.  toggle: pressing a
    key again ends its note.
    """

    split = True
    params = (
        Param("hold", "switch", True, doc="Holds the notes; off ends them."),
        Param("mode", "choice", "latch", choices=MODES, doc="sustain adds, latch begins anew, toggle by key."),
    )

    def forget(self) -> None:
        self._held: dict[Key, bool] = {}
        """Held notes by key; True while the key is down."""

    def process(self, io: IO) -> None:
        if not io.value("hold"):
            self._release(io, 0)
        super().process(io)

    def take(self, io: IO, event: Event, switched: tuple[bool, bool]) -> None:
        key = event.channel, event.number
        if switched[0] or switched[1] or not io.at("hold", event.offset) or event.kind not in ("on", "off"):
            super().take(io, event, switched)
            return
        if event.kind == "off" or event.value <= 0.0:
            if key in self._held:
                self._held[key] = False
            else:
                super().take(io, event, switched)
            return
        mode = str(io.at("mode", event.offset))
        if mode == "latch" and not any(self._held.values()):
            self._release(io, event.offset)
        if mode == "toggle" and self._held.pop(key, None) is not None:
            self.release_key(io, event, key)
            return
        self._held[key] = True
        super().take(io, event, switched)

    def _release(self, io: IO, frame: int) -> None:
        """Ends the held notes whose keys are up; the others end with their keys."""
        for key, down in self._held.items():
            if not down:
                self.release_key(io, Event("off", frame, key[1], 0.0, key[0]), key)
        self._held.clear()


KEYS = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "ab", "a", "bb", "b")
OUTSIDE = ("nearest", "down", "up", "drop")
SEED = Param("seed", "int", 1, 0, 65535, doc="Random seed.")


class Transpose(NoteNode):
    """Transposes notes; drops those outside 0 to 127."""

    params = (
        Param("semitones", "int", 0, -48, 48, unit="semitones", doc="How far notes move."),
        Param("octaves", "int", 0, -4, 4, unit="octaves", doc="How far besides."),
    )

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        by = int(io.at("semitones", event.offset)) + 12 * int(io.at("octaves", event.offset))
        return ((event.channel, event.number + by, event.value),)


class ChordNode(NoteNode):
    """Plays a chord on each note."""

    params = (
        Param("chord", "choice", "major", choices=tuple(CHORDS), doc="The chord on each note."),
        Param("inversion", "int", 0, -4, 4, doc="Notes moved an octave: up from below, or down from above."),
        Param("spread", "switch", False, doc="Every second note an octave higher: open position."),
        Param("level", default=1.0, low=0.0, high=1.0, doc="Velocity of the added notes, as a share of the played."),
    )

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        frame = event.offset
        steps = list(CHORDS[str(io.at("chord", frame))])
        turns = int(io.at("inversion", frame))
        for _ in range(abs(turns)):
            steps.append(steps.pop(0) + 12) if turns > 0 else steps.insert(0, steps.pop() - 12)
        if io.at("spread", frame):
            steps = [step + 12 * (n % 2) for n, step in enumerate(steps)]
        level = float(io.at("level", frame))
        for step in sorted(set(steps)):
            yield event.channel, event.number + step, event.value * (level if step else 1.0)


class ScaleNode(NoteNode):
    """Plays only notes of a scale; other notes are dropped or moved."""

    params = (
        Param("key", "choice", "c", choices=KEYS, doc="The scale's first note."),
        Param("scale", "choice", "major", choices=tuple(SCALES), doc="The scale."),
        Param(
            "outside", "choice", "nearest", choices=OUTSIDE, doc="Where a note outside the scale goes; drop: nowhere."
        ),
    )

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        frame = event.offset
        root, steps = KEYS.index(str(io.at("key", frame))), SCALES[str(io.at("scale", frame))]
        inside = {(root + step) % 12 for step in steps}
        to = map_to_scale(event.number, inside, str(io.at("outside", frame)))
        return () if to is None else ((event.channel, to, event.value),)


def map_to_scale(number: int, inside: set[int], outside: str) -> int | None:
    """Maps a note to the scale; None if it is dropped. Of two equally near scale notes the lower is chosen."""
    for by in range(12):
        tries = {"nearest": (-by, by), "down": (-by,), "up": (by,), "drop": (0,)}[outside]
        for step in tries:
            if (number + step) % 12 in inside:
                return number + step
    return None


class Probability(NoteNode):
    """Passes each note with a probability. The decision on the n-th note depends on the seed only."""

    on_files = FileUse(changes=("time",))
    params = (
        Param("chance", default=0.5, low=0.0, high=1.0, doc="The probability of each note."),
        SEED,
    )

    def forget(self) -> None:
        self._count = 0

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        self._count += 1
        if dice(int(io.at("seed", event.offset)), self._count) < float(io.at("chance", event.offset)):
            yield event.channel, event.number, event.value


class SplitNode(NoteNode):
    """Splits notes: those below `at` go to the output `low`, on channel 1, the others to `high`, on channel 2."""

    outputs = (EVENTS_OUT, Port("low", "events", midi=1), Port("high", "events", midi=2))
    params = (
        Param("at", "int", 60, 0, 127, doc="The first note of the upper part."),
        Param("low_by", "int", 0, -48, 48, unit="semitones", doc="Transposes the lower part."),
        Param("high_by", "int", 0, -48, 48, unit="semitones", doc="Transposes the upper part."),
    )

    def take(self, io: IO, event: Event, switched: tuple[bool, bool]) -> None:
        if event.kind in ("control", "bend", "program") and not any(switched):
            # a pedal or a bend is for both parts
            for channel in (1, 2):
                self.send(io, Event(event.kind, event.offset, event.number, event.value, channel))
            return
        super().take(io, event, switched)

    def notes_for(self, io: IO, event: Event) -> Iterable[Made]:
        upper = event.number >= int(io.at("at", event.offset))
        by = int(io.at("high_by" if upper else "low_by", event.offset))
        return ((1 + upper, event.number + by, event.value),)
