"""Player of a plan, live and offline, on a clock of input frames: block b begins at b × block even after misses."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.processor import BlockTime
from antiphon.kernel.engine.action_schedule import CLOCK_ACTIONS, OTHER, ActionSchedule, apply_to_clock
from antiphon.kernel.engine.levels import Levels, MasterLevel, OutputBuses, OutputFades
from antiphon.kernel.engine.playing import (
    Applied,
    PlayerCounters,
    PlayerReport,
    Playing,
    Retries,
    resume_nodes,
    state_of,
)
from antiphon.kernel.engine.strips import Strips
from antiphon.kernel.graph.clock import SET_BACK, TempoMap
from antiphon.kernel.graph.io_nodes import CLIPPED
from antiphon.kernel.graph.node_host import NodeHost, Touch
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.graph.plan_crossfade import PlanCrossfade
from antiphon.kernel.session.actions import ACTIONS, Action, EndTails, FadeOut, NodeReset, NodeSet
from antiphon.kernel.session.commands import (
    AwaitPlayer,
    Beat,
    ClearSchedule,
    Now,
    Panic,
    Play,
    Sample,
    SetTempo,
    SetTransport,
    Sync,
)
from antiphon.native import dsp

MAX_REPORTS = 4096
_CUTS = (Panic, ClearSchedule)
_SETS = (NodeSet, NodeReset)
_OF_NODES = (*_SETS, Play)


class GraphPlayer:
    """Runs plan, schedule, tempo map and master limiter. For one thread.

    `sample`: first sample of the next block. `applied`: actions as they took effect, for the session log; None while no
    session is recorded. `out`: the output of the last block among them, float32 `[channels, block]`. `strips`: each
    wire's contribution to it, while they are kept. `leader`: number of the node that steers the clock, or that a
    stopped clock waits for; 0 for none. `found_tempo`: bpm as a node that leads found it, 0 where the tempo was set
    otherwise since. `again`: the next plan is that of an engine that ended, and its clock
    continues.
    """

    def __init__(self, spec: StreamSpec, tempo: float = 120.0) -> None:
        self.spec, self.sample = spec, 0
        self.tempo = TempoMap(spec.rate, tempo, end_bpm=tempo)
        self.schedule = ActionSchedule()
        self.counters = PlayerCounters()
        self._counts_at = self.counters.sound.ctypes.data
        self.reports: deque[PlayerReport] = deque(maxlen=MAX_REPORTS)
        self.applied: deque[Applied] | None = None
        self.plan: Plan | None = None
        self._crossing: PlanCrossfade | None = None
        self._now: deque[Action] = deque()
        # for each Panic and ClearSchedule in _now: number of the first scheduled action kept; 0 keeps none
        self._cuts: deque[int] = deque()
        self.time = BlockTime()
        self.buses = OutputBuses(spec, self.counters.sound)
        self.out = self.buses.channels[: spec.channels]
        self._curve = np.zeros(spec.block, np.float32)
        self._steps = np.arange(1, spec.block + 1, dtype=np.float32)
        self._synced: deque[int] = deque()
        self._panic = False
        self.edges, self._levels = OutputFades(spec), Levels(spec)
        self.retired: deque[PlanCrossfade] = deque(maxlen=64)
        # actions for nodes of a plan that is not loaded yet; load() applies them
        self._orphans: deque[NodeSet | Play[int]] = deque(maxlen=MAX_REPORTS)
        self.leader, self.again = 0, False
        self._steering: tuple[float, float, float] | None = None
        self.found_tempo = 0.0
        self._playing = Playing()
        self._retries = Retries(spec.rate)
        self.strips = Strips(spec)

    # ---- actions
    def take(self, action: Action) -> None:
        """Applies an action at its time: the start of the next block, its sample, or its beat."""
        when = action.when
        if type(when) is Now:
            if isinstance(action, _CUTS):
                # actions scheduled between this call and the next block were sent after it: they are not dropped
                self._cuts.append(self.schedule.count)
            self._now.append(action)
        elif type(when) is Sample:
            self.at_sample(when.n, action)
        elif type(when) is Beat:
            self._schedule_at_beat(when.b, when.quantum, action)

    def at_sample(self, sample: int, action: Action) -> None:
        """Schedules an action at `sample`, whatever its own time; a past one is applied at once, counted as late."""
        if sample < self.sample:
            self._count_late(sample, action)
            if isinstance(action, _CUTS):
                self._cuts.append(0)
            self._now.append(action)
        elif not self.schedule.at_sample(sample, action):
            self._refuse(action)

    def _schedule_at_beat(self, beat: float, quantum: float, action: Action) -> None:
        """Schedules an action for a beat; with a quantum, for its next multiple that is not past."""
        here = self.tempo.notated_beat_at(self.sample)
        if quantum > 0.0:
            beat = max(beat, math.ceil(max(here, beat) / quantum - 1e-9) * quantum)
        if beat < here - 1e-9:
            self.at_sample(min(self.sample - 1, math.floor(self.tempo.sample_of_event(beat))), action)
        elif not self.schedule.at_beat(beat, action):
            self._refuse(action)

    def load(self, plan: Plan, serial: int, fade: float, tempo: float = 0.0, tail: float = 0.0) -> None:
        """Crossfades to `plan` in `fade` s from the next block; common nodes keep their state, `tempo` 0 the tempo.

        `tail`: seconds for which removed nodes ring out, where that is more than `fade`.
        """
        if tempo and tempo != self.tempo.end_bpm:
            self.tempo.set_tempo(self.sample, tempo)
            self.found_tempo = 0.0
        self._make_clock_wait(plan)
        self._retire()
        if self.plan is not None:
            plan.copy_wire_contents(self.plan)
            crossing = plan.crossing
            if not isinstance(crossing, PlanCrossfade) or crossing.old is not self.plan:
                crossing = PlanCrossfade(self.plan, plan)
            crossing.begin(round(fade * self.spec.rate), round(tail * self.spec.rate))
            self._crossing = crossing
        elif self.edges.rising:
            self.edges.rise(plan.latency)
        plan.crossing = None
        self.plan = plan
        for action in self._orphans:
            if action.node in plan.hosts:
                self._now.append(action)
        self._orphans.clear()
        self._playing.keep(plan.hosts)
        self._report(PlayerReport("loaded", plan.awaited, token=serial, number=float(plan.latency)))

    def _make_clock_wait(self, plan: Plan) -> None:
        """Makes the clock wait for a node of a new patch, and no longer for a removed one."""
        before = {} if self.plan is None else self.plan.hosts
        # what plays goes on where an edit adds the node
        edited = bool(before) and before.keys() <= plan.hosts.keys()
        new = plan.awaited and plan.awaited not in before and not edited and not self.again
        if new and (self.tempo.playing or self.tempo.waits):
            # what ran while the first plan was prepared was no music
            self.tempo.wait(self.sample, plan.awaited, 0.0 if self.plan is None else None)
            self._end_beats(self.sample)
        elif self.tempo.waits not in plan.hosts:
            self.tempo.wait(self.sample, 0)
        self.again = False

    @property
    def waiting(self) -> int:
        """Number of events that did not fit into their block and come in the next."""
        return len(self._playing.waiting)

    def rise(self) -> None:
        """Fades in, over 10 ms, a live engine's first plan, whose input already sounds, or the sound after a gap."""
        self.edges.rise(self.edges.wait if self.edges.rising else 0)

    def restart_fade_in(self) -> None:
        """Starts the fade-in after a block that was computed and not played."""
        self.edges.restart_fade_in()

    @property
    def rising(self) -> dict[str, int]:
        """State of the fade-in, for `resume`: frames left (`rising`) and frames of silence before it (`wait`)."""
        return {"rising": self.edges.rising, "wait": self.edges.wait}

    @property
    def has_faded_out(self) -> bool:
        """True once the output has faded out after a `FadeOut`."""
        return self.plan is None or self.edges.has_ended

    def state(self) -> dict[str, Any]:
        """State at the next sample, for `resume`; without the state of processors and delay lines."""
        nodes = state_of(self.plan)
        nodes["cells"].update(self._levels.state())
        return {
            "sample": self.sample,
            "tempo": asdict(self.tempo),
            "limited": float(self.buses.reductions[0]),
            "latency": self.time.latency,
            **self.rising,
            **nodes,
        }

    def resume(self, state: dict[str, Any], plan: Plan | None) -> None:
        """Restores the `state` of another player. `plan` is the same plan, compiled anew."""
        self.sample = state["sample"]
        self.edges.rising, self.edges.wait = state.get("rising", 0), state.get("wait", 0)
        self.tempo = TempoMap(**{**state["tempo"], "rate": self.spec.rate})
        self.buses.reductions[0] = state.get("limited", 0.0)
        self.time.latency = state.get("latency", 0)
        self.plan = plan
        self._levels.resume(state.get("cells", {}))
        if plan is not None:
            resume_nodes(plan, state)

    @property
    def leaving(self) -> Mapping[int, NodeHost]:
        """Nodes of the plan that fades out, by number; empty without a crossfade."""
        return {} if self._crossing is None else self._crossing.old.hosts

    @property
    def fading(self) -> bool:
        """True during a crossfade of two plans."""
        return self._crossing is not None

    def skip(self, frames: int) -> None:
        """Advances the sample clock over missed blocks, and starts a fade-in."""
        self.sample += frames
        self.out.fill(0.0)
        if self.plan is not None:
            self.edges.cut(self.plan.input)
        self.rise()

    # ---- the block
    def run(self, x: Samples) -> Samples:
        """Computes one block from `[channels, frames ≤ block]`; returns a view that is valid until the next call."""
        frames = x.shape[1]
        before = self.tempo.beat_at(self.sample)
        waiting = self._playing.waiting
        for _ in range(len(waiting)):
            self._event(*waiting.popleft())
        self._now.extend(self._retries.due_resets(self.sample, self.plan))
        beat, place = before, self.sample
        if self._now:
            while self._now:
                self._apply(self.sample, self._now.popleft())
            beat = self.tempo.beat_at(self.sample)
        for sample, action in self.schedule.take_due(self.sample + frames, self.tempo):
            if sample < self.sample:
                self._count_late(sample, action)
            # actions by beat that a jump of the transport passed over are applied with the jump, not before it
            place = max(place, sample)
            self._apply(place, action)
            if place == self.sample:
                # as for an action in _now: a replay schedules by sample what was in _now live
                beat = self.tempo.beat_at(place)
        time = self.time
        time.sample, time.beat = self.sample, beat
        time.tempo, time.playing = self.tempo.tempo_at(self.sample), self.tempo.playing
        out = ends = self.out[:, :frames]
        if self.plan is None:
            out.fill(0.0)
            # changes of the input's level take effect also while there is no plan yet
            self._levels.into(out, self.sample, frames)
        else:
            self._run_plans(self.plan, x, frames, time)
            if self.buses.sounding:
                ends = self.buses.channels[:, :frames]
            strips = self.plan.strips if self._crossing is None else self._crossing.strips
            self.strips.take(strips, frames, fades=self._panic or not self.edges.rests)
            self.edges.apply_output(ends, self.strips.faded, frames)
        self._close(ends, frames, before)
        return out

    @property
    def unrest(self) -> int:
        """Why the player has to play the coming block (`Touch`); 0 if nothing is pending."""
        plan = self.plan
        if plan is None or self._crossing is not None:
            return Touch.PLAN
        if self._now or self._synced or self._panic:
            return Touch.ACTION
        if self._playing.waiting:
            return Touch.EVENT
        if self.buses.source is not plan.last.buffer or self.buses.sounding is not plan.sounding:
            return Touch.PLAN
        if not self._levels.rests:
            return Touch.MOVING
        rests = self.edges.rests and self._retries.rests and not self.reports and not self.applied
        return 0 if rests else Touch.OTHER

    def end_rows(self) -> bool:
        """Does what nodes asked for in machine code's block, which ended at `sample`; True if they moved the clock."""
        assert self.plan is not None
        self._report_nodes(self.plan, self.sample - self.spec.block, leaving=False)
        before = self.tempo.beat_at(self.sample)  # the beats up to it are reported
        if not self._steer():
            return False
        self._report_beat(before)
        return True

    def _steer(self) -> bool:
        if self._steering is None:
            return False
        self.tempo.steer(self.sample, *self._steering)
        self.found_tempo = self._steering[0]
        self._steering = None
        return True

    def _close(self, ends: Samples, frames: int, before: float) -> None:
        """Ends a block: level, panic and limiter. `ends`: all sounding channels; `before`: beat at its start."""
        # the master volume does not apply to the last bus, the cue
        self._levels.out(ends if len(ends) == len(self.out) else ends[:-2], self.sample, frames)
        if self._panic:
            # the sound that plays fades out over this block
            curve = np.divide(self._steps[:frames], frames, out=self._curve[:frames])
            np.multiply(ends, np.subtract(1.0, curve, out=curve), out=ends)
            self.strips.faded[:, :frames] *= curve
        self.buses.guard(frames)
        if self._panic:
            self._panic = False
            self._retire()
            self.edges.rise(0 if self.plan is None else self.plan.latency)
            if self.plan is not None:
                self.plan.clear()
            self.buses.reductions.fill(0.0)
        self.sample += frames
        self._steer()
        while self._synced:
            self._report(PlayerReport("synced", token=self._synced.popleft()))
        self._report_beat(before)

    def _report_beat(self, before: float) -> None:
        if self.tempo.playing:
            after = math.floor(self.tempo.beat_at(self.sample))
            if after != math.floor(before) and after > before:
                self._report(PlayerReport("beat", token=after))

    def _run_plans(self, plan: Plan, x: Samples, frames: int, time: BlockTime) -> None:
        into = plan.input[:, :frames]
        into[:] = x
        dsp.check_input.call(plan.input_at, self.spec.block, self.spec.channels, frames, CLIPPED, self._counts_at)
        self._levels.into(into, self.sample, frames)
        self.edges.into(into, frames)
        if self._crossing is not None and self._crossing.has_ended:
            self._retire()
        self._hear(plan, frames)
        plan.heard = self.strips.heard
        if self._crossing is None:
            self.buses.take(plan.run(frames, time), plan.sounding, frames)
        else:
            self._crossing.old.heard = plan.heard
            self._crossing.old.input[:, :frames] = into
            self._hear(self._crossing.old, frames)
            self.buses.take(self._crossing.run(frames, time), self._crossing.sounding, frames)
        self._report_nodes(plan, self.sample, leaving=False)
        if self._crossing is not None:
            self._report_nodes(self._crossing.old, self.sample, leaving=True)

    def _hear(self, plan: Plan, frames: int) -> None:
        """Copies the output of the previous block to a plan in which a wire carries it."""
        if plan.played is not None:
            plan.played[:, :frames] = self.out[:, :frames]

    def _report_nodes(self, plan: Plan, sample: int, *, leaving: bool) -> None:
        """Reports failures and marks of the block at `sample`; of a plan that fades out (`leaving`) only to the log."""
        if plan.failures:
            for failure in plan.failures:
                self._report(PlayerReport("failed", failure.number, leaving, text=failure.reason))
                self._retries.add(failure, sample)
            plan.failures.clear()
        if plan.marks:
            for number, kind, place in plan.marks:
                self._report(PlayerReport("mark", number, leaving, token=place, text=kind))
            plan.marks.clear()
        if not leaving:
            stopped = not (self.tempo.playing or self.tempo.waits)
            asked = plan.steering[0] if plan.steering and not stopped else (self.tempo.waits, None)
            self.leader, self._steering = asked
        plan.steering.clear()

    def _retire(self) -> None:
        if self._crossing is not None:
            self._crossing.end()
            self.retired.append(self._crossing)
            self._crossing = None

    def host(self, node: int) -> NodeHost | MasterLevel | None:
        """Host of the node, `in` or `out` with that number; None if there is none."""
        end = self._levels.ends.get(node)
        return end if end is not None or self.plan is None else self.plan.hosts.get(node)

    def _apply(self, sample: int, action: Action) -> None:
        """Applies an action at `sample`, within the coming block."""
        if isinstance(action, Play):
            self._event(sample, action)
            return
        if isinstance(action, AwaitPlayer):
            self._wait(sample, action)
            return
        host = self.host(action.node) if isinstance(action, _SETS) else None
        if host is None and isinstance(action, NodeSet):
            self._orphans.append(action)
            return
        if self.applied is not None:
            self.applied.append(Applied(sample, action))
        if isinstance(action, CLOCK_ACTIONS):
            before = self.tempo.beat_at(sample)
            self.found_tempo *= not isinstance(action, SetTempo)
            apply_to_clock(self.tempo, sample, action)
            stops = isinstance(action, SetTransport) and not self.tempo.playing
            if stops or self.tempo.beat_at(sample) < before - SET_BACK:
                self._end_beats(sample)
            return
        match action:
            case NodeSet(_, cell, number, ramp):
                if host is not None and 0 <= cell < len(host.cells):
                    accepted = host.post(cell, sample - self.sample, number, ramp)
                    self.counters.schedule_dropped += not accepted
            case NodeReset(node):
                if host is not None:
                    self._reset(node, host)
            case Panic():
                self._panic = True
                self._drop_schedule(self._pop_first_kept_number())
                self._playing.clear()
                self._orphans = deque((a for a in self._orphans if not isinstance(a, Play)), MAX_REPORTS)
            case ClearSchedule():
                keep_from = self._pop_first_kept_number()
                unended = self.schedule.hanging_note_offs(self._playing.sounding, self.tempo, keep_from)
                self._drop_schedule(keep_from)
                for ending in unended:
                    self._event(sample, ending)
            case Sync(token):
                self._synced.append(token)
            case FadeOut():
                self.edges.fall()
            case EndTails():
                if self._crossing is not None:
                    self._crossing.hurry()

    def _reset(self, node: int, host: NodeHost | MasterLevel) -> None:
        host.reset()
        self._playing.forget_notes(node)
        if not host.failed and not host.forced:
            self._report(PlayerReport("running", node))

    def _wait(self, sample: int, action: AwaitPlayer) -> None:
        """Stops the clock until the node starts it, unless by its values the node does not await this."""
        plan = self.plan
        node = action.node or (0 if plan is None else plan.awaited)
        host = None if plan is None else plan.hosts.get(node)
        if host is None or not host.awaits:
            return
        if self.applied is not None:
            self.applied.append(Applied(sample, action))
        self._reset(node, host)
        self.tempo.wait(sample, node, action.beat)
        self._end_beats(sample)

    def _end_beats(self, sample: int) -> None:
        """Ends the notes that began at a beat, where the beat of their ends does not come."""
        for ending in self._playing.ends_of_beats():
            self._event(sample, ending)

    def _pop_first_kept_number(self) -> int:
        """Number of the first scheduled action that the current cut keeps; 0 (none) for a scheduled cut."""
        return self._cuts.popleft() if self._cuts else 0

    def _event(self, sample: int, action: Play[int]) -> None:
        """Adds an event to its node's coming block; to the next if that one is full or holds a panic."""
        host = self.plan.hosts.get(action.node) if self.plan is not None else None
        if host is None:
            self.counters.schedule_dropped += len(self._orphans) == MAX_REPORTS
            self._orphans.append(action)
            return
        playing = self._playing
        playing.track(action)
        if self._panic or not playing.give(host, action, max(0, sample - self.sample)):
            self.counters.schedule_dropped += not playing.wait(sample, action)
            return
        if sample < self.sample:
            self._count_late(sample, action)
        if self.applied is not None:
            self.applied.append(Applied(max(sample, self.sample), action))

    def _count_late(self, sample: int, action: Action) -> None:
        self.counters.late += 1
        place = action.cell if isinstance(action, NodeSet) else OTHER + ACTIONS.code(action)
        node = action.node if isinstance(action, _OF_NODES) else 0
        self._report(PlayerReport("late", node, place, (self.sample - sample) / self.spec.rate))

    def _drop_schedule(self, keep_from: int) -> None:
        for action in self.schedule.clear(keep_from):
            self._report(PlayerReport("synced", token=action.token))

    def _refuse(self, action: Action) -> None:
        self.counters.schedule_dropped += 1
        if isinstance(action, Sync):
            self._report(PlayerReport("synced", token=action.token))

    def _report(self, report: PlayerReport) -> None:
        if len(self.reports) == MAX_REPORTS:
            self.counters.reports_dropped += 1
        self.reports.append(report)
