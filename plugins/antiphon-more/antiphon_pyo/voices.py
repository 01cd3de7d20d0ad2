"""Allocates voices to notes, with stealing, pedal and chokes; has no sound and no pyo.

Spare voices exceed the node's polyphony: a stolen or restruck note fades out in its voice while the new note starts in
a spare one. A voice plays a single note to its end.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.synths import VOICES

SPARE = 16
PHYSICAL = VOICES + SPARE
FAR = 1 << 62
"""Sample beyond any time."""
STEAL, STRIKE, CHOKE = 0.005, 0.03, 0.02
"""Fade times in seconds: of a stolen voice, of a restruck note, of a choked one."""
RING = 0.012
"""Seconds for which an ended voice keeps running, until its filter is silent."""


class Voices:
    """Voices of one node, as columns. Samples are counted from the slot's creation.

    begin: sample of onset.  age: frames sounded before the onset.  off, kill: sample of release, and of stealing.
    attack, release, fade, resume: frames.  decay: frames from the attack to the level `sustain`; 0 is off.  gain:
    linear. `speed`: table frames per frame, unbent. `position`: table frames read. `length`: end of the table's sound.
    `hz`: playback speed in pyo's unit.
    """

    def __init__(self, rate: int) -> None:
        count = PHYSICAL
        self._rate = rate
        self.begin = np.zeros(count, np.int64)
        self.age = np.zeros(count, np.int64)
        self.off = np.full(count, FAR, np.int64)
        self.kill = np.full(count, FAR, np.int64)
        self.attack = np.ones(count)
        self.release = np.ones(count)
        self.decay = np.zeros(count)
        self.sustain = np.ones(count)
        self.fade = np.ones(count)
        self.resume = np.ones(count)
        self.gain = np.zeros(count)
        self.hz = np.zeros(count)
        self.speed = np.zeros(count)
        self.position = np.zeros(count)
        self.length = np.full(count, np.inf)
        self.channel = np.zeros(count, np.int64)
        self.active = np.zeros(count, np.bool_)
        self.dropped = 0
        self._note = [-1] * count
        self._group = [0] * count
        self._resting = np.full(count, FAR, np.int64)
        self._held: dict[tuple[int, int], int] = {}
        self._pedalled: dict[tuple[int, int], int] = {}
        self._order: dict[int, None] = {}
        self._free = list(range(count))

    def reset(self) -> None:
        self.active[:] = False
        self._resting[:] = FAR
        self._held.clear()
        self._pedalled.clear()
        self._order.clear()
        self._free = list(range(PHYSICAL))

    @property
    def sounding(self) -> int:
        """Number of notes that count towards polyphony: started and not stolen."""
        return len(self._order)

    def take_voice(self, at: int, note: int, channel: int, limit: int, group: int = 0) -> int:
        """Takes a voice for a note that begins at `at`; returns -1, and counts it, if even the spares are fading."""
        key = (channel, note)
        old = self._held.pop(key, self._pedalled.pop(key, -1))
        if old >= 0:
            self._take(old, at, STRIKE)
        if group:
            for voice in [v for v in self._order if self._group[v] == group]:
                self._take(voice, at, CHOKE)
        while len(self._order) >= limit:
            self._take(self._victim(), at, STEAL)
        if not self._free:
            self.dropped += 1
            return -1
        voice = heapq.heappop(self._free)
        self.begin[voice], self.channel[voice] = at, channel - 1
        self.off[voice] = self.kill[voice] = FAR
        self.active[voice] = True
        self._note[voice], self._group[voice] = note, group
        self._order[voice] = None
        self._held[key] = voice
        return voice

    def holding(self, note: int, channel: int) -> int:
        """Voice of a note whose key is down; -1 for none."""
        return self._held.get((channel, note), -1)

    def note_off(self, at: int, note: int, channel: int, *, pedal: bool) -> None:
        """Handles a note-off: the release begins, or waits for the pedal."""
        voice = self._held.pop((channel, note), -1)
        if voice < 0:
            return
        if pedal:
            self._pedalled[(channel, note)] = voice
        else:
            self.off[voice] = at

    def release_pedal_notes(self, at: int, channel: int) -> None:
        """Releases the notes held only by the pedal."""
        for key in [k for k in self._pedalled if k[0] == channel]:
            self.off[self._pedalled.pop(key)] = at

    def release_channel_notes(self, at: int, channel: int) -> None:
        """Releases every note of the channel, regardless of the pedal."""
        for table in (self._held, self._pedalled):
            for key in [k for k in table if k[0] == channel]:
                self.off[table.pop(key)] = at

    def silence(self, at: int, channel: int) -> None:
        """Fades out every note of the channel."""
        for voice in [v for v in self._order if self.channel[v] == channel - 1]:
            self._take(voice, at, STEAL)

    def finish(self, until: int) -> NDArray[np.int64]:
        """Completes voices up to sample `until`: returns those that have just fallen silent."""
        if not self.active.any() and len(self._free) == PHYSICAL:
            return np.zeros(0, np.int64)
        ended = self.active & (
            (until - self.off >= self.release) | (until - self.kill >= self.fade) | (self.position >= self.length)
        )
        done = np.flatnonzero(ended)
        for voice in done.tolist():
            self._forget(voice)
        self.active[done] = False
        self._resting[done] = until + round(RING * self._rate)
        for voice in np.flatnonzero(self._resting <= until).tolist():
            self._resting[voice] = FAR
            heapq.heappush(self._free, voice)
        return done

    @property
    def ringing(self) -> NDArray[np.bool_]:
        """Mask of the voices that sound or ring out."""
        return self.active | (self._resting < FAR)

    def _victim(self) -> int:
        """Voice to steal: the first released, else the one longest under the pedal, else the oldest."""
        released = [v for v in self._order if self.off[v] < FAR]
        if released:
            return min(released, key=lambda v: int(self.off[v]))
        if self._pedalled:
            return next(iter(self._pedalled.values()))
        return next(iter(self._order))

    def _take(self, voice: int, at: int, seconds: float) -> None:
        self._forget(voice)
        if self.kill[voice] == FAR:
            self.kill[voice], self.fade[voice] = at, max(1, round(seconds * self._rate))

    def _forget(self, voice: int) -> None:
        self._order.pop(voice, None)
        key = (int(self.channel[voice]) + 1, self._note[voice])
        for table in (self._held, self._pedalled):
            if table.get(key) == voice:
                del table[key]
