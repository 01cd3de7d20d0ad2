"""A backend that plays ahead and gives back what it was told, as sound: a worker imports it by name."""

from collections.abc import Callable

from antiphon.backends.info import SynthInfo

HOP = 32
AHEAD = 1000
"""Added to the number of a note that was told ahead of its hop."""
HASTY = SynthInfo("hasty", "tests.synth.hasty:Hasty", "none", slots=3, memory=64)


class Hasty:
    """A hop's sound: the numbers of the notes told since the last, in order."""

    name = "hasty"
    rehearses = False

    def __init__(self, rate, hop, slots):
        self.meanwhile: Callable[[], None] = lambda: None
        self.told = [[] for _ in range(slots)]

    def open(self, slot, settings):
        self.told[slot].clear()

    def close(self, slot):
        self.told[slot].clear()

    def play(self, slot, sample, events):
        self.told[slot] += [event.number for event in events if not event.serial]
        self.told[slot] += [-event.number for event in events if event.serial]

    def hurry(self, slot, event):
        self.told[slot].append(AHEAD + event.number)

    def render(self, out, active):
        out.fill(0.0)
        for slot, told in enumerate(self.told):
            if active[slot]:
                out[slot, 0, : len(told)] = told
                told.clear()
