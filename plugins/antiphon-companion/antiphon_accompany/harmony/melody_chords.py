"""Triad of each beat of a melody, live or of a file, estimated by tables and a network."""

from antiphon_accompany.harmony.chords import KEYS
from antiphon_accompany.harmony.live_network import LiveChords, installed_live_network
from antiphon_accompany.harmony.melody import LIVE_BEATS, Melody
from antiphon_accompany.harmony.network import WholeMelody, network_for_melody
from antiphon_accompany.harmony.tracker import PHASES, PHASES_AHEAD, HarmonyTracker, installed_tables, places

MIN_WHOLE_LOOKAHEAD = 8
"""Minimum lookahead in bars for the use of a file's whole melody."""

STAYS = (1.001, 1.05, 1.02, 1.05)
"""Live advantage of the sounding chord, by beat of 4/4; after a silent bar the chord stays."""


class MelodyChords:
    """Estimates the chords, beat by beat.

    `opening`: up to this beat the melody is known in advance, unless the lookahead is 0.
    """

    def __init__(self) -> None:
        self.melody = Melody()
        self.known: Melody | None = None  # a file's whole melody; None live
        self.ends = self.opening = 0  # beat up to which it is known
        self.meter = 0  # beats of a bar; 0 before the first beat
        self._tables, self._network = installed_tables(), installed_live_network()
        self._tracker: HarmonyTracker | None = None
        self._key = ""
        self._whole: WholeMelody | None = None
        self._past: LiveChords | None = None
        self.clear()

    def clear(self) -> None:
        """Clears the position."""
        self._taken: int | None = None
        self._since = 0
        self._last = -1  # the triad of the beat before; -1 for none

    def reset(self) -> None:
        """Clears the key."""
        self._tracker = None

    def begin(self, beat: int, first: int) -> None:
        """Handles a jump of the clock to `beat`; beats before `first` are silent, and notes from there come again."""
        self._since = 0 if self.known is not None else first
        self._taken, self._last = None, -1
        if self._past is not None:
            self._past.restart()
        self.melody.clear(beat - 1)

    def skip_beats(self, beat: int, last: int) -> int:
        """Completes the beats from `beat` to `last`, whose chords are not needed; returns the next one."""
        while beat <= last:
            self.melody.complete_beats(beat)
            if self._past is not None:
                self._past.skip(self.melody, beat)
            beat += 1
        return beat

    def is_live(self, bars: int) -> bool:
        """Whether the melody is not known in advance. bars: lookahead of a file."""
        return self.known is None or not bars

    def settle(self, meter: int, key: str, bars: int) -> HarmonyTracker:
        """Sets the tracker for this meter and key, a new one after a change."""
        if self._tracker is None or (meter, key) != (self.meter, self._key):
            live = self.is_live(bars)
            if not live or self._network is None:
                self._past = None
            elif self._past is None or meter != self.meter:
                self._past = LiveChords(self._network, meter)
            tonic = KEYS.index(key) if key != "auto" else None
            self._tracker = HarmonyTracker(self._tables, meter, tonic, PHASES if live else PHASES_AHEAD, live=live)
            self._taken = None
            self._whole = network_for_melody(self.known, self.ends, meter)
            self.meter, self._key = meter, key
        return self._tracker

    def prepare(self, beat: int, *, soon: bool) -> bool:
        """Precomputes part of the coming beat's chord, as in `LiveChords`. Returns False if nothing is left to do."""
        return self._past is not None and self._past.prepare(self.melody, beat, soon=soon)

    def triad(self, tracker: HarmonyTracker, beat: int, bars: int, *, used: bool) -> int:
        """Best-fitting triad of the melody at a beat."""
        self.melody.complete_beats(beat)
        ahead = self._ahead(beat, bars * tracker.meter)
        melody = self.known or self.melody
        # a new tracker (another key, another meter) is given the stored melody again
        begins = max(self._since, beat - LIVE_BEATS // 4) if self.known is None else self._since
        first = begins if self._taken is None else self._taken
        for past in range(first, beat + ahead):
            tracker.add_beat(melody, past)
        self._taken = max(first, beat + ahead)
        chances = tracker.decide(melody, beat, ahead)
        if self._whole and bars >= MIN_WHOLE_LOOKAHEAD:
            chances = self._whole.mix(chances, beat, tracker.weights)
        elif self._past is not None and used:
            chances = self._past.mix(chances, self.melody, beat, tracker.weights)
        elif self._past is not None:
            self._past.skip(self.melody, beat)
        if self.is_live(bars) and self._last >= 0:
            silent = not melody.durations[melody.rows(beat - tracker.meter, beat)].any()
            if silent and not melody.onsets[beat % melody.size].any():
                return self._last
            chances[self._last] *= STAYS[places(tracker.meter)[beat % tracker.meter]]
        self._last = int(chances.argmax())
        return self._last

    def _ahead(self, beat: int, wanted: int) -> int:
        """Number of known beats of the melody from `beat` on."""
        if self.known is None:
            return 0
        if wanted and beat < self.opening:
            wanted = max(wanted, self.opening - beat)
        return min(wanted, max(0, self.ends - beat))
