"""Event scheduler: requests events from a leader half a second ahead, and sends them a tenth of a second ahead.

Two processes perform the script, see `antiphon.performer.pair`. Nothing in this module reads a clock.
"""

import math
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from antiphon.kernel.errors import EngineError
from antiphon.live.listening import level_cue
from antiphon.performer import outgoing
from antiphon.performer.branch import Branch, BranchProcesses, exit_cause
from antiphon.performer.limits import FIRST_TIMEOUT, LATE, TIMEOUT_SECONDS
from antiphon.performer.outgoing import Display, SentEvent, WaitingCues, next_multiple
from antiphon.performer.pair import SEND_AHEAD, KeptVersion, PerformerPair, Skips, Values, values_of
from antiphon.performer.scripts import ON_THE_BAR, Begin

MAX_STRIKES = 64
"""Maximum runaway calls of a version before it counts as failed."""
_SHOWN_ONCE = 32
"""Faults that are shown once per version."""


class Player(PerformerPair):
    """Plays the versions of a script.

    `wanted`: another patch that the next version names, and that must be loaded first; or "". `checks`: whether a
    version that names nodes needs a `check`; `unchecked`: whether the next one waits for it. `begins`: the server's
    beat at which the last version begins. `tracks`: its tracks, then its loops: name, node or "", and whether it is a
    loop. `coming`: a beat of the server, and its tracks' events from there; see `foresee_events`. Initially empty.
    """

    def __init__(self, path: str, processes: BranchProcesses, show: Display, begin: Begin = ON_THE_BAR) -> None:
        """`begin`: first beat of versions that state none. Nothing plays before `save`."""
        super().__init__(begin)
        self._path, self._processes, self._show, self._usual = path, processes, show, begin
        self._line = math.inf
        self._header: dict[str, Any] | None = None
        self._taken: dict[str, Any] = {}  # the header of the version that plays
        self._values = Values()
        self._returns: tuple[Fraction, KeptVersion] | None = None
        self._text, self._texts = "", [("", 0)]
        self.tried = 0  # number of the version that was read last; `version`: of the last that plays, 0 for none
        self._shown: deque[tuple[int, str]] = deque(maxlen=_SHOWN_ONCE)
        self._strikes = 0
        self._above: dict[tuple[str, float], bool] = {}
        self.patch = self.wanted = ""
        self.checks = self.unchecked = False
        self.listens: list[tuple[str, int]] = []
        self.tracks: list[tuple[str, str, bool]] = []
        self.coming: list[Any] = []
        self.swaps, self.begins = 0, 0.0

    @property
    def reading(self) -> bool:
        """Whether a version is being read, or waits for its patch."""
        return self._candidate is not None

    def save(self, text: str, version: int = 0, begin: Begin | None = None) -> None:
        """Reads another version of the script, to begin on the next multiple of a quantum if possible.

        `version`: number of the version in its events' places; 0 for events without places. `begin`: as in `Version`.
        """
        self._when, self._line = begin or self._usual, math.inf
        if self._candidate is not None:
            self._candidate.end()
        self._candidate, self._header, self.wanted, self._since, self._moved = None, None, "", [], WaitingCues()
        self.unchecked = False
        if self._when.back and self._back(version):
            return
        source = self._processes.first if self._when.top or self._follower is None else self._follower
        self._text, self.tried, self._candidate = text, version, source.fork()
        patience = FIRST_TIMEOUT if source is self._processes.first else TIMEOUT_SECONDS
        self._candidate.ask("read", path=self._path, text=text, version=version, patience=patience)

    def level(self, node: str, decibels: float) -> None:
        """Stores the current level of a node, in dBFS."""
        for (one, above), was in self._above.items():
            if one == node:
                self._above[one, above] = decibels > above
                if decibels > above and not was:
                    self.cue(level_cue(node, above))

    def confirm_patch(self) -> None:
        """Marks the `wanted` patch as playing; called when it does."""
        self.patch, self.wanted = self.wanted, ""

    def check(self, wrong: Callable[[str, str], str]) -> None:
        """Rejects the read version if `wrong` has a sentence for a node and parameter (or "") that it names."""
        self.unchecked = False
        for node, param, line in () if self._header is None else self._header["uses"]:
            if sentence := wrong(node, param):
                self.refuse(sentence, line)
                return

    def refuse(self, sentence: str, line: int = 0) -> None:
        """Rejects the read version because of its patch. `line`: the line at fault; 0 for the line naming the patch."""
        line = line or (0 if self._header is None else self._header["line"])
        where = self._placed("", line) if line else ""
        if self._candidate is not None:
            self._candidate.end()
        self._reject(f"{where}{sentence}")

    def panic(self) -> None:
        """Omits notes until the script is saved, after a request for silence."""
        if not self.out.silent and self.playing:
            self._show("panic: the script plays on in silence until it is run or saved again")
        self.out.silence()

    def tick(self, now: float, bpm: float) -> list[SentEvent]:
        """Advances to the server's beat and tempo; returns the events to send now, in order."""
        self._passed, self._now, self._bpm = now - self._now, now, bpm
        self._moving = bpm or self._moving
        self._processes.collect()
        for branch in self.branches():
            if branch in self.branches():  # what another one answered may have ended it
                self._read(branch)
        self._read(self._processes.first)
        if self._header is not None and not self.wanted and not self.unchecked and self._can_begin_now():
            self._take()
        if self._follower is not None:
            self._realign_to_bar()
            self._give_cues()
            self._ask()
        first, self._first = self._first, []
        due = [] if self._follower is None else self.out.take_due(self._ahead(SEND_AHEAD), self._here(-LATE))
        self._values |= values_of((event.address, event.args, event.source) for event in due)
        return [*first, *due]

    def _read(self, branch: Branch) -> None:
        answers, ended = branch.answers()
        for answer in answers:
            match answer["did"]:
                case "read" if branch is self._candidate:
                    self._header = answer
                    # a patch is loaded before the version that needs it is taken
                    self.unchecked = self.checks and bool(answer["uses"])
                    self.wanted = answer["patch"] if answer["patch"] != self.patch else ""
                case "until" if branch is self._leader:
                    self.out.add(answer, fresh=branch.fresh)
                    self.pace.add(answer["costs"])
                    branch.fresh = False
                    if answer.get("coming") is not None:
                        at, (begin, events) = float(self.out.offset or 0), answer["coming"]
                        self.coming = [at + begin, [(at + beat, *rest) for beat, *rest in events]]
                    self._faults(answer)
                case "until" if branch is self._follower:
                    self._awaited.update(answer["awaited"])
                    self._faults(answer)  # the leader has had most of them
                    self._restore_returned_values(answer)
                case "until" if (kept := self._kept.version_of(branch)) is not None:
                    self._awaited.update(answer["awaited"])  # cues are its too
                    kept.take(answer)
                case "dead":
                    branch.end()
                    self._handle_failure(branch, answer["fault"], answer["picture"])
                    return
        if ended or branch.is_overdue():
            status = branch.end(ended=ended)
            self._handle_failure(
                branch, exit_cause(status) if ended else "it runs without end, or waits, and was stopped", None
            )

    def _faults(self, answer: dict[str, Any]) -> None:
        for said in answer["faults"]:
            shown = self.swaps - said["before"], said["fault"]
            if shown not in self._shown:
                self._shown.append(shown)
                outgoing.show_failure(self._show, said["fault"], said["picture"], before=said["before"])

    def _handle_failure(self, branch: Branch, sentence: str, picture: str | None) -> None:
        """Handles the end of a process. `picture`: that of a sentence with file and line; None for other sentences."""
        run, line = branch.current_call
        if self._kept.drop(branch):
            return
        if branch is self._candidate:
            self._reject(sentence if picture is not None else self._placed(sentence, 0), picture or "")
        elif branch is self._leader:
            self._leader = None
            self._strike(run, line, sentence, picture)
        elif branch is self._follower:
            # what the leader gave was computed from the same state: it goes on as both
            self._follower, self._leader = self._leader, None
            self._skips.follow()
            if self._follower is None or not branch.pid:  # a copy of one that never began does not begin either
                self._lost(sentence if picture is not None else self._placed(sentence, line), picture or "")
            else:
                self._follower.ask("quiet", on=False)
                self._lead(self._follower.asked)
        elif branch is self._processes.first:
            raise EngineError(f"the process of which versions are copies: {sentence}; start `antiphon live` again")

    def _reject(self, sentence: str, picture: str = "") -> None:
        self._candidate, self._header, self.wanted, self.unchecked = None, None, "", False
        self._show(sentence, picture, fault=True)
        if not self.playing:
            self._show("nothing plays until the script is saved without this fault")

    def _strike(self, run: int, line: int, sentence: str, picture: str | None) -> None:
        assert self._follower is not None
        self._strikes += 1
        if self._strikes > MAX_STRIKES:
            self._lost(sentence if picture is not None else self._placed(sentence, line), picture or "")
            return
        self._follow("strike", run=run, fault=sentence, picture=picture or "", located=picture is not None)
        self._lead(self._advance())

    def _placed(self, sentence: str, line: int) -> str:
        name = self._path.rpartition("/")[2]
        return f"{name} line {line}: {sentence}" if line else f"{name}: {sentence}"

    def _slow(self, times: float, name: str, line: int) -> None:
        many = math.ceil(10.0 * times) / 10.0
        sentence = f"the script needs {many:g} times real time, most of it {name}; what would be late is left out"
        self._show(self._placed(sentence, line), fault=True)

    def _lost(self, cause: str, picture: str = "") -> None:
        self._show(cause, picture, fault=True)
        self._end_players()
        self._first += self.out.ends()
        self.out.clear()
        self._texts.pop()
        before, self.version = self._texts[-1], 0
        if before[0]:
            self._show("the version before is started anew", fault=True)
            if self._candidate is None:
                self.save(*before, self._usual._replace(top=False))
        else:
            self._texts.append(("", 0))
            self._show("there is silence until the script is saved", fault=True)

    def _take(self) -> None:
        candidate, header = self._candidate, self._header
        assert candidate is not None
        assert header is not None
        self._header, bar = None, Fraction(*header["bar"])
        fresh = self._follower is None or self._when.top
        at = self._begin(candidate, bar) if fresh else self._replace(candidate, header["patch"])
        self._candidate, self._follower, self._skips = None, candidate, Skips()
        self._lead(candidate.asked)
        self._texts.append((self._text, self.tried))
        self._plays(header, at)

    def _plays(self, header: dict[str, Any], at: Fraction) -> None:
        """Stores the header of the version that plays from a beat on, and shows its position."""
        self._taken, self._bar = header, Fraction(*header["bar"])
        levels = [(node, above) for one in (header, *self._kept.headers()) for node, above in one["levels"]]
        self._above = {level: self._above.get(level, False) for level in levels}
        self.listens = [(node, line) for node, line in header["listens"]]
        self.tracks = [(*one, kind == "loops") for kind in ("tracks", "loops") for one in header[kind]]
        self.version = self.tried
        del self._texts[1:-2]
        self._strikes, self.out.silent = 0, False
        self.pace.slow = None
        self.swaps, self.begins = self.swaps + 1, float(at + (self.out.offset or 0))
        bars, beats = divmod(at, self._bar)
        self._show(f"plays from bar {bars + 1}{f', beat {float(beats) + 1:g}' if beats else ''}")

    def _can_begin_now(self) -> bool:
        """Whether the read version can begin: from the top, only when events up to its bar have been sent."""
        assert self._header is not None
        if not self._when.top or self._follower is None:
            return True
        bars, soon = self._when.beats(Fraction(*self._header["bar"])), self._soon()
        if self._line > soon + bars:  # not known yet, or the beat was set back
            self._line = float(next_multiple(soon, bars))
        return soon >= self._line or not self._bpm

    def _begin(self, candidate: Branch, bar: Fraction) -> Fraction:
        """Begins on the server's next bar, as beat 0 for the first version and from the top."""
        self._values, self._returns = {}, None
        if self._follower is not None:
            self._first += self.out.end_at(Fraction(self._line), self._here(-LATE))
            self._end_players()
            self._cues.restore(self._moved.waiting)
            at = Fraction(0)
        elif self.out.offset is None or self._when.top:
            self.out.offset = Fraction(next_multiple(self._soon(), bar))
            at = Fraction(0)
            # the beat is put on a sample, so that what follows is where a file has it
            self._first.append(SentEvent(float(self.out.offset), "/beat", (float(self.out.offset),)))
        else:
            at = max(next_multiple(self._soon() - float(self.out.offset), bar), self.out.sent)
        candidate.asked = at
        self.out.begin(at)
        candidate.ask("start", beat=at.as_integer_ratio(), tempo=self._moving)
        candidate.ask("until", beat=at.as_integer_ratio())
        return at

    def _replace(self, candidate: Branch, patch: str) -> Fraction:
        assert self._follower is not None
        assert self.out.offset is not None
        at = self._advance()
        candidate.ask("quiet", on=True)
        for do, values in self._since:
            candidate.ask(do, **values)
        candidate.ask("quiet", on=False)
        candidate.asked = at
        self._since = []
        beat = max(next_multiple(self._soon() - float(self.out.offset), self._when.beats(self._bar)), at)
        if self.pace.slow is not None:  # nothing slow is between the version that is slow and the next
            candidate.ask("skip", beat=beat.as_integer_ratio(), names=self.pace.slow)
        candidate.ask("swap", beat=beat.as_integer_ratio())
        if self._when.keep and self.pace.slow is None and patch in ("", self._taken["patch"]):
            text, values = self._texts[-1][0], dict(self._values)
            self._kept.keep(KeptVersion(self._follower, self.version, text, self._taken, values))
        else:
            self._kept.clear()
            self._follower.end()
        self.out.hold = beat
        return beat

    def _back(self, version: int) -> bool:
        """Returns to a version as if it had not been replaced, at the earliest unsent beat; False if that has ended."""
        if self._follower is None or version == self.version:  # what was to replace it has not begun
            self.tried = self.version
            return self._follower is not None
        kept = self._kept.restore_kept_version(version)
        if kept is None:
            return False
        at = self._advance()
        self._follower.end()
        self._follower, self._returns, self._skips = kept.branch, (at, kept), Skips()
        kept.branch.ask("quiet", on=False)
        kept.branch.request_until(at)
        self._lead(at)
        self.out.hold, self.tried = at, version
        self._texts[-1:] = [] if self._texts[-2][1] == version else [(kept.text, version)]
        self._plays(dict(kept.header), at)
        return True

    def _restore_returned_values(self, answer: dict[str, Any]) -> None:
        """Restores the values that a returned version has set meanwhile, and those that its replacement changed."""
        if self._returns is None:
            return
        at, kept = self._returns
        kept.take(answer)
        if Fraction(*answer["beat"]) >= at:
            other = [value for key, value in kept.values.items() if self._values.get(key) != value]
            self._first += [SentEvent(float(at + (self.out.offset or 0)), *one) for one in other]
            self._values |= kept.values
            self._returns = None
