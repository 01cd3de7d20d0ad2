"""Kernels of the score follower: the effect of a note on the best path to each onset of a window."""

from __future__ import annotations

import math
from typing import NamedTuple

from antiphon.api.kernels import f64, f64p, i64, i64p, kernel

REACH = 6
"""Maximum number of onsets by which one note advances."""
NEVER = -1e9


class ScoreOdds(NamedTuple):
    """Costs in nats, and the deviations of times in seconds or as a share."""

    wrong: f64 = 7.0  # the next onset begins with a wrong note
    octave: f64 = 4.0  # a note in another octave
    octave_alone: f64 = 2.5  # of a melody, less than beside its next: it may be a harmonic
    beside: f64 = 3.0  # a semitone beside a melody's note, in any octave: a voice
    extra: f64 = 5.0  # an added note
    again: f64 = 3.0  # a note of the present onset once more
    ornament: f64 = 1.0
    late: f64 = 1.5  # a note of the onset before
    chord: f64 = 0.1  # seconds of a chord's spread that cost one
    missed: f64 = 0.7  # each note that is left out, or not found in sound
    skipped: f64 = 2.0  # each onset that is left out, beside its notes
    jump: f64 = 90.0  # to anywhere
    jump_to_bar: f64 = 4.0  # by which it is more likely
    jump_near: f64 = 60.0  # by which it is more likely among the onsets around
    near: i64 = 64  # how many these are to either side
    jump_waited: f64 = 35.0  # by which it is more likely after a stop of two seconds
    jump_least: f64 = 14.0
    jump_repeat: f64 = 2.0  # where a repeat is left out or taken once more
    spread: f64 = 0.035  # seconds of a player's deviation
    share: f64 = 0.25  # of the expected interval
    most: f64 = 2.5  # that a late onset costs: a stop
    most_early: f64 = 12.0
    stop: f64 = 0.8  # seconds by which the next onset is late in a stop
    stray: f64 = 3.5  # an added note in a stop, of sound: there are noises
    resume: f64 = 3.0  # that the onset after one costs, of sound
    wander: f64 = 0.12  # share of its tempo by which a player's changes in a second
    error: f64 = 0.03  # seconds of a player's deviation that are no change of tempo


class ScoreTables(NamedTuple):
    """Constant tables with a value for each of the `onsets`.

    `tops`: bit of the highest note. `held`: whether there is a fermata. `gaps`, `passing` `[REACH, onsets]`: quarters
    from the onset `row + 1` before, and nats for the onsets between. `edges`: pairs of onsets, before and after each of
    the `jumps` that repeats allow.
    """

    starts: f64p
    sizes: f64p
    tops: i64p
    held: i64p
    gaps: f64p
    passing: f64p
    jumping: f64p
    edges: i64p
    onsets: i64
    jumps: i64


class ScorePaths(NamedTuple):
    """The best path to each onset: its nats, start of the onset in seconds, seconds per quarter and their variance.

    `came`, `came_before`: bits of the received notes of the onset and of the previous one. `left`: notes to come.
    """

    like: f64p
    began: f64p
    pace: f64p
    doubt: f64p
    came: i64p
    came_before: i64p
    left: f64p


class ScoreBuffers(NamedTuple):
    """Buffers of a step, one value per onset. `leap`, `pace`, `doubt`: of a path that jumps there. `said`: sureness."""

    new: f64p
    leap: f64p
    pace: f64p
    doubt: f64p
    said: f64p


class ScoreNoteCosts(NamedTuple):
    """A note: for each onset its bit there, nats as an ornament or added note, and nats as a wrong note.

    `at`: seconds. `waited`: nats by which a jump is likelier after a stop. `stray`, `resume`: costs in nats of an added
    note during a stop, and of the onset after a stop.
    """

    bits: i64p
    spare: f64p
    off: f64p
    at: f64
    waited: f64
    stray: f64
    resume: f64


@kernel
def score_best_jumps(
    o: ScoreOdds, t: ScoreTables, s: ScorePaths, r: ScoreBuffers, n: ScoreNoteCosts, low: i64, width: i64
) -> None:
    """r ← the best path that jumps to each onset of a window, from the likeliest or by a repeat."""
    top = low
    for here in range(low, low + width):
        if s.like[here] > s.like[top]:
            top = here
    for here in range(low, low + width):
        leap = s.like[top] + t.jumping[here] + n.waited
        if here >= top - o.near and here < top + o.near:
            leap += o.jump_near
        r.leap[here] = min(leap, s.like[top] - o.jump_least) if n.bits[here] != 0 else NEVER
        r.pace[here], r.doubt[here] = s.pace[top], s.doubt[top]
    for edge in range(t.jumps):
        source, target = t.edges[2 * edge], t.edges[2 * edge + 1]
        if min(source, target) >= low and max(source, target) < low + width:
            way = s.like[source] - o.jump_repeat - o.missed * min(s.left[source], 3.0)
            if n.bits[target] != 0 and way > r.leap[target]:
                r.leap[target] = way
                r.pace[target], r.doubt[target] = s.pace[source], s.doubt[source]


@kernel
def score_path_cost(
    o: ScoreOdds, t: ScoreTables, s: ScorePaths, n: ScoreNoteCosts, here: i64, back: i64, row: i64
) -> f64:
    """Returns the nats of the path to an onset from the one `row + 1` before it, if the note belongs to it."""
    expected = t.gaps[row * t.onsets + here] * s.pace[back]
    error = n.at - s.began[back] - expected
    most = n.resume if error > o.stop else o.most
    scaled = error / (o.spread + o.share * expected)
    way = s.like[back] - o.missed * min(s.left[back], 3.0) + t.passing[row * t.onsets + here]
    return f64(way - min(0.5 * scaled * scaled, most if error > 0.0 else o.most_early))


@kernel
def score_update_tempo(o: ScoreOdds, t: ScoreTables, s: ScorePaths, here: i64, back: i64, row: i64, at: f64) -> None:
    """Tempo of the path that moves to an onset, by a Kalman filter; a fermata says nothing of it."""
    gap, held, passed = t.gaps[row * t.onsets + here], s.pace[back], at - s.began[back]
    limit = 0.6 * (gap * held) + o.error
    late_by = min(max(passed - gap * held, -limit), limit)
    wander = o.wander * held
    variance = s.doubt[back] + wander * wander * min(max(passed, 0.0), 2.0)
    gain = 0.0 if t.held[back] == 1 else variance * gap / (gap * gap * variance + 2.0 * (o.error * o.error))
    s.pace[here] = min(max(held + gain * late_by, 0.08), 12.0)
    s.doubt[here] = variance * (1.0 - gain * gap)


@kernel
def score_process_onset(
    o: ScoreOdds, t: ScoreTables, s: ScorePaths, r: ScoreBuffers, n: ScoreNoteCosts, here: i64, low: i64
) -> None:
    """Processes a note at one onset, before the onsets ahead of it in the score are processed."""
    bits, before = n.bits[here], max(here - 1, low)
    spread = min((n.at - s.began[here]) / o.chord, o.most + 1.0)
    stay = max(n.spare[here], n.off[here] if bits == 0 else -o.again)
    late = here > low and n.bits[before] | s.came_before[here] != s.came_before[here]
    stay = max(stay, -o.late - spread) if late else stay
    after = min(here + 1, t.onsets - 1)
    if n.at - s.began[here] - t.gaps[after] * s.pace[here] > o.stop:
        stay = max(stay, -n.stray)
    taken = bits | s.came[here] != s.came[here] and -spread > stay
    stay = s.like[here] + (-spread if taken else stay)
    way, row = score_path_cost(o, t, s, n, here, before, 0), 0
    for other in range(1, REACH):
        found = score_path_cost(o, t, s, n, here, max(here - other - 1, low), other)
        if found > way:
            way, row = found, other
    way += n.off[here] if bits == 0 else 0.0
    jumped = r.leap[here] > way and r.leap[here] > stay
    r.new[here] = r.leap[here] if jumped else max(way, stay)
    if not jumped and way <= stay:
        if late:
            s.came_before[here] = s.came_before[here] | n.bits[before]
        if taken:
            s.came[here] = s.came[here] | bits
            s.left[here] -= 1.0
        if taken and bits == t.tops[here]:
            # a bass that comes before its melody is early: the melody is on the beat
            s.began[here] = n.at
        return
    if jumped:
        s.pace[here], s.doubt[here], s.came_before[here] = r.pace[here], 2.0 * r.doubt[here], -1
    else:
        score_update_tempo(o, t, s, here, max(here - row - 1, low), row, n.at)
        s.came_before[here] = s.came[before] if row == 0 else 0
    s.began[here], s.came[here] = n.at, bits
    s.left[here] = t.sizes[here] - (1.0 if n.off[here] > -o.wrong else 0.0)


@kernel
def score_store_paths(t: ScoreTables, s: ScorePaths, r: ScoreBuffers, low: i64, width: i64) -> i64:
    """Stores the paths of a window; returns the likeliest onset. r.said ← share of paths within a quarter of it."""
    best = low
    for here in range(low, low + width):
        if r.new[here] > r.new[best]:
            best = here
    top, near, total = r.new[best], 0.0, 0.0
    for here in range(low, low + width):
        less = r.new[here] - top
        s.like[here] = max(less, NEVER)
        if less > -40.0:
            share = math.exp(less)
            total += share
            near += share if abs(t.starts[here] - t.starts[best]) <= 1.0 else 0.0
    r.said[0] = near / total
    return best


@kernel
def score_step(
    o: ScoreOdds, t: ScoreTables, s: ScorePaths, r: ScoreBuffers, n: ScoreNoteCosts, low: i64, width: i64
) -> i64:
    """Processes a note at all onsets of a window; returns the likeliest."""
    score_best_jumps(o, t, s, r, n, low, width)
    # from the last on, as each looks at those before it
    for place in range(width):
        score_process_onset(o, t, s, r, n, low + width - 1 - place, low)
    return score_store_paths(t, s, r, low, width)
