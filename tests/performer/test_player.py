"""A player with real processes in virtual time: versions, cues, and scripts that run away."""

import contextlib
import os
import re
import signal
import time
from fractions import Fraction as F
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.performer.rig import BEAT, IMPORTS, STEP, PlayerRig
from tests.waiting import until

from antiphon.kernel.runtime.platform import PORTABLE
from antiphon.live.performance import Performance
from antiphon.live.reading import read
from antiphon.performer.branch import BranchProcesses, reap_closed
from antiphon.performer.outgoing import MAX_WAITING_CUES, WaitingCues
from antiphon.performer.pair import PerformerPair, Skip, Skips
from antiphon.performer.scripts import Begin
from antiphon.performer.wire import BeatClock

KNOWN = not PORTABLE
"""Whether it is known how a copy of a script's process ended: where orphans can be adopted."""
ENDLESS = r"set\.py(?: line \d+)?: " + (
    "it runs without end" if KNOWN else "it(?: runs without end|s process has ended)"
)
"""Which of the limits is reached first is the machine's."""


def test_what_is_sent_is_what_a_file_gets_and_no_more_than_a_tenth_of_a_second_ahead(stage: PlayerRig) -> None:
    text = BEAT + "@loop(on='keys')\ndef l():\n    play(pick([60, 64, 67]), length=1/3)\n    yield pick([1/3, 1/2])\n"
    zero = stage.first(text)
    assert zero % 4 == 0
    while stage.now < 12.0:
        before = len(stage.sent)
        stage.play(STEP)
        assert all(event.beat <= stage.now + 0.2 + 1e-9 for event in stage.sent[before:])
    alone = Performance(read("/sets/set.py", IMPORTS + text)).until(F(12))
    expected = [(round(float(e.beat), 9), e.address, e.args) for e in alone]
    got = [(round(e.beat - zero, 9), e.address, e.args) for e in stage.sent[1:]]
    assert len(got) > 30
    assert got == expected[: len(got)]


def test_versions_that_are_saved_while_the_beat_stands_still_play_once_it_moves(stage: PlayerRig) -> None:
    text = f"tempo(90)\n{BEAT}"
    stage.now, stage.bpm = 5.5, 0.0
    zero = stage.first(text)
    for sound in ("sn", "cp"):
        stage.swap(text.replace("bd", sound))
    stage.bpm = 90.0
    stage.play(zero + 2.0 - stage.now)
    assert zero == 8.0
    assert stage.on("/tempo", zero)[0] == (0.0, 90)
    assert stage.on("/node/drums/play", zero)[:2] == [(0.0, "cp"), (1.0, "cp")]
    assert stage.said == ["plays from bar 1"] * 3


def test_a_version_from_the_top_begins_at_its_first_bar_where_the_one_before_ends(stage: PlayerRig) -> None:
    form = "arrange([2, s('bd*4')], [2, s('cp*4')])"
    zero = stage.first(f"track('beat', {form})\ntrack('pad', note('c3'), on='keys')\n")
    stage.play(zero + 9.5)
    text = IMPORTS + f"track('beat', {form.replace('bd', 'sn')}.gain(slider(.25, 0, 1)))\n"
    stage.player.save(text, 7, Begin(1.0, top=True))
    stage.player.slide(7, text.index("slider"), 0.75)
    stage.until_true(lambda: stage.player._header, "it is read, and waits for its bar")
    stage.play(12.0)
    drums = stage.on("/node/drums/play", zero)
    names = ["bd"] * 8 + ["cp"] * 4 + ["sn"] * 8 + ["cp"] * 8
    assert drums == list(zip(map(float, range(len(drums))), names, strict=False))
    assert len(drums) >= 21
    keys = [(e.beat - zero, e.address[6:]) for e in stage.sent if e.address.startswith("/note/")]
    assert keys[-1][1] == "off"
    assert keys[-1][0] <= 12.0
    assert [e.args[e.args.index("gain") + 1] for e in stage.sent if "gain" in e.args][2] == 0.75
    assert stage.said == ["plays from bar 1"] * 2
    assert stage.player.begins == zero + 12.0


def test_a_cue_from_outside_wakes_a_loop_within_what_was_sent_and_moves_nothing_else(stage: PlayerRig) -> None:
    zero = stage.first(BEAT + "@on_note('hum')\ndef answer(note, velocity):\n    play(note + 12, velocity=velocity)\n")
    stage.play(zero + 1.3)
    stage.until_true(lambda: stage.player._awaited, "the loop waits")
    stage.player.cue("hum:note", [50, 90, 1])
    stage.player.cue("hum:note", [53, 80, 1])
    stage.player.cue("nobody", 1)
    stage.play(2.0)
    notes = [(e.beat - zero, e.args[:2]) for e in stage.sent if e.address == "/note/on"]
    assert [args for _, args in notes] == [(62, 90), (65, 80)]
    assert 1.3 <= notes[0][0] <= 1.6
    drums = stage.on("/node/drums/play", zero)
    assert drums == [(float(k), "bd") for k in range(len(drums))]


def test_a_slider_moves_what_plays_without_another_version_and_is_its_value_in_a_file(stage: PlayerRig) -> None:
    text = "track('hats', s('hh*16', gain=slider(.25, 0, 1)), beats=4)\n"
    stage.play(stage.first(text, version=7) + 1.0)
    place = (IMPORTS + text).index("slider")
    stage.player.slide(7, place, 0.5)
    stage.player.slide(7, place, 0.75)
    stage.player.slide(6, place, 0.1)
    stage.play(2.0)
    gains = [e.args[e.args.index("gain") + 1] for e in stage.sent if e.address == "/node/drums/play"]
    assert gains[:4] == [0.25] * 4
    assert set(gains) == {0.25, 0.75}
    assert gains.index(0.75) <= 6, "a beat and a third after the first"
    assert stage.player.swaps == 1
    (event, *_) = Performance(read("/sets/set.py", IMPORTS + text)).until(F(1))
    assert event.args[event.args.index("gain") + 1] == 0.25


def test_a_slider_moved_while_the_first_version_is_read_is_not_lost(stage: PlayerRig) -> None:
    text = IMPORTS + "track('hats', s('hh*16', gain=slider(.25, 0, 1)), beats=4)\n"
    stage.player.save(text, version=7)
    stage.player.slide(7, text.index("slider"), 0.75)
    stage.until_true(lambda: stage.player.playing, "it plays")
    stage.play(stage.sent[0].beat + 2.0)
    gains = [e.args[e.args.index("gain") + 1] for e in stage.sent if e.address == "/node/drums/play"]
    assert gains.index(0.75) <= 2
    assert gains[-1] == 0.75


def test_tracks_are_foreseen_listed_and_silenced_where_they_are_sent(stage: PlayerRig) -> None:
    zero = stage.first(BEAT + "track('low', note('c2 <e2 g2>'), on='bass')\n@loop\ndef l():\n    yield 1\n", version=7)
    stage.play(zero + 0.5)
    assert stage.player.tracks == [("beat", "", False), ("low", "bass", False), ("l", "", True)]
    low = [(beat - zero, length, what) for beat, length, name, what in stage.player.coming[1] if name == "low"]
    assert stage.player.coming[0] == zero
    assert low[:4] == [(0.0, 2.0, 36), (2.0, 2.0, 40), (4.0, 2.0, 36), (6.0, 2.0, 43)]
    stage.player.out.muted = frozenset({"beat"})
    stage.play(2.0)
    assert max(beat for beat, _ in stage.on("/node/drums/play", zero)) <= 1.0
    assert (2.0, 40) in [(e.beat - zero, e.args[0]) for e in stage.sent if e.address == "/note/on"]
    stage.player.out.muted, stage.player.out.soloed = frozenset(), frozenset({"beat"})
    stage.play(2.0)
    assert stage.on("/note/on", zero)[-1][0] == 2.0
    assert stage.on("/node/drums/play", zero)[-1][0] >= 4.0


@pytest.mark.parametrize("word", ["jump", "xfade", "clutch"])
def test_a_transition_that_names_no_node_is_listed_with_the_node_that_plays(stage: PlayerRig, word: str) -> None:
    zero = stage.first("track('pad', note('c3'), on='keys')\n")
    stage.play(zero + 1.0 - stage.now)
    for octave in (2, 3):  # of the second version it is known by the first transition
        stage.swap(f"{word}('pad', note('e{octave}'))\n{word}('new', note('g3'))\n")
        assert stage.player.tracks == [("pad", "keys", False), ("new", "", False)]
        stage.play(4.0)
    assert {e.args[3] for e in stage.sent if e.address == "/note/on" and e.source == "pad"} == {"keys"}


def test_a_level_that_rises_is_a_cue_once(stage: PlayerRig) -> None:
    zero = stage.first(BEAT + "@on_level('in', above=-30)\ndef loud():\n    play(40)\n")
    stage.play(zero + 1.0)
    stage.until_true(lambda: stage.player._awaited, "the loop waits")
    for level in (-60.0, -20.0, -10.0, -50.0, -20.0):
        stage.player.level("in", level)
        stage.play(0.25)
    assert len([e for e in stage.sent if e.address == "/note/on"]) == 2


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("track('beat', 'sn*4'\n", r"set.py line 2: '\(' was never closed"),
        ("1/0\n", "set.py line 2: ZeroDivisionError"),
        ("track('beat', 'sn*4')\nwhile True: pass\n", ENDLESS),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass\n", ENDLESS),
        ("sum(range(10**12))\n", ENDLESS),
        ("import time\ntime.sleep(1000)\n", "set.py line 3: time.sleep stops all that plays; a loop waits by yield"),
        ("x = bytearray(10**10)\n", "set.py line 2: it takes more memory"),
        ("x = []\nwhile True: x.append(bytes(10**6))\n", r"set\.py(?: line 3)?: it "),
        ("import os\nos._exit(3)\n", "set.py: its process has ended" + ", with status 3" * KNOWN),
        (
            "import os\nos.kill(os.getpid(), 11)\n",
            "set.py: its process " + ("was ended by SIGSEGV" if KNOWN else "has ended"),
        ),
        ("import os\nos.fork()\n", "set.py line 3: a live script makes no copies"),
        ("import os\nos.closerange(3, 200)\n", "set.py: its process has ended"),
        ("raise SystemExit\n", "set.py line 2: a script plays to its end"),
        ("def f(): f()\nf()\n", "set.py line 2: it calls itself too deeply"),
    ],
)
def test_a_version_that_cannot_be_read_changes_nothing(stage: PlayerRig, bad: str, sentence: str) -> None:
    zero = stage.first(BEAT)
    stage.play(zero + 2.0)
    stage.save(bad)
    stage.until_true(lambda: len(stage.said) > 1, "its sentence")
    assert re.match(sentence, stage.said[1]), stage.said
    stage.play(6.0)
    assert len(stage.said) == 2
    drums = stage.on("/node/drums/play", zero)
    assert drums == [(float(k), "bd") for k in range(len(drums))]
    assert drums[-1][0] >= 7.0


GOOD = BEAT + "@loop\ndef l():\n    my = memory(k=60)\n    play(my.k, length=1/8)\n    my.k += 1\n    yield 1\n"


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("if my.k == 70: raise KeyError('gone')", "set.py line 8: KeyError"),
        ("while my.k == 70: pass", ENDLESS),
        ("if my.k == 70: sum(range(10**12))", ENDLESS),
        ("if my.k == 70: __import__('os')._exit(3)", "set.py line 3: its process has ended"),
        ("if my.k == 70: __import__('time').sleep(1000)", "set.py line 8: time.sleep stops all that plays"),
        ("if my.k == 70: x = bytearray(10**10)", "set.py line 8: it takes more memory"),
        ("if my.k == 70: print('x' * 10**6, flush=True)", ""),
        ("if my.k == 70: __import__('sys').stdout.close()", ""),
        ("while my.k == 70: yield 1 / 1024", ""),
    ],
)
def test_what_runs_away_while_it_plays_is_left_out_and_the_rest_plays_on(
    stage: PlayerRig, bad: str, sentence: str, processes: BranchProcesses
) -> None:
    zero = stage.first(GOOD)
    stage.play(zero + 2.5)
    stage.swap(GOOD.replace("    my.k += 1\n", f"    my.k += 1\n    {bad}\n").replace("bd*4", "sn*4"))
    for _ in range(40):
        stage.play(0.5)
        while processes.output.read(1 << 20):
            pass
    drums = stage.on("/node/drums/play", zero)
    assert drums == [(float(k), "bd" if k < 4 else "sn") for k in range(len(drums))]
    assert drums[-1][0] >= 21.0
    notes = [(e.beat - zero, e.args[0]) for e in stage.sent if e.address == "/note/on"]
    # a call that never ends is left out, one that raises has played its note
    before = 10 if any(word in bad for word in ("raise", "bytearray", "sleep")) or not sentence else 9
    assert notes[:before] == [(float(k), 60 + k) for k in range(before)]
    assert stage.player.out.late == 0
    if sentence:
        assert [said for said in stage.said if re.match(sentence, said)], stage.said
        # the version before plays on from the bar after, with the memory
        assert notes[before:] == [(float(12 + k), 60 + before + k) for k in range(len(notes) - before)]
        assert len(notes) > 16


def test_a_first_version_with_a_fault_says_that_nothing_plays(stage: PlayerRig) -> None:
    waits = "nothing plays until the script is saved without this fault"
    stage.save("track('hats', s('hh*4'\n")
    stage.until_true(lambda: len(stage.said) > 1, "both sentences")
    assert stage.said[1] == waits
    stage.first(BEAT)
    stage.save("track('hats', s('hh*4'\n")
    stage.until_true(lambda: len(stage.said) > 3, "its sentence")
    assert stage.said.count(waits) == 1, "the version before plays on"


def test_a_pattern_that_never_ends_goes_back_to_the_one_before(stage: PlayerRig) -> None:
    zero = stage.first(BEAT + "track('hats', 'hh*4')\n")
    stage.play(zero + 2.0)
    endless = "track('hats', s('hh*4').when(lambda c: c < 3 or sum(range(10**12)) < 0, fast(2)))\n"
    stage.swap(BEAT + endless)
    stage.play(18.0)
    drums = stage.on("/node/drums/play", zero)
    assert [beat for beat, name in drums if name == "bd" and beat < 20] == [float(k) for k in range(20)]
    hats = [beat for beat, name in drums if name == "hh"]
    assert hats[:4] == [0.0, 1.0, 2.0, 3.0]
    assert [beat for beat in hats if 4 <= beat < 8] == [4 + k / 2 for k in range(8)]
    assert [beat for beat in hats if 12 <= beat < 20] == [12.0 + k for k in range(8)]
    assert [said for said in stage.said if re.match(ENDLESS, said)], stage.said


def test_after_a_panic_notes_are_left_out_until_the_script_is_saved(stage: PlayerRig) -> None:
    zero = stage.first(GOOD)
    stage.play(zero + 2.0)
    stage.player.panic()
    stage.play(3.0)
    assert stage.on("/node/drums/play", zero) == [(0.0, "bd"), (1.0, "bd"), (2.0, "bd")]
    stage.swap(GOOD)
    stage.play(6.0)
    assert [beat for beat, _ in stage.on("/node/drums/play", zero)][3] > 5.0


def test_the_end_ends_the_notes_that_sound_and_a_jump_of_the_beat_goes_on_at_a_bar(stage: PlayerRig) -> None:
    zero = stage.first(BEAT + "@loop\ndef l():\n    play([60, 64], length=100)\n    yield 200\n")
    stage.play(zero + 1.0)
    stage.now += 1001.0
    before = len(stage.sent)
    stage.play(6.0)
    after = [e for e in stage.sent[before:] if e.address == "/node/drums/play"]
    assert [e.args[0] for e in stage.sent[before:] if e.address == "/note/off"] == [60, 64]
    assert [e.beat - after[0].beat for e in after] == [float(k) for k in range(len(after))]
    assert after[0].beat >= zero + 1002.0
    assert len(after) >= 3
    assert stage.player.out.ends() == [], "what is ended stays ended"


def test_a_note_with_values_of_a_synth_ends_where_the_script_stops_or_begins_anew(stage: PlayerRig) -> None:
    stage.first("track('k', synth('keys', note='c4', cutoff=800, length=3, channel=2))\n")
    stage.play(stage.sent[0].beat + 9.0)
    begun = [e.args for e in stage.sent if e.address == "/node/keys/play"]
    assert begun[0] == ("note", 60, "velocity", 100.0, "length", 0, "cutoff", 800)
    assert {e.args for e in stage.sent if e.address == "/note/off"} == {(60, 0, 1, "keys")}
    assert [(e.address, e.args) for e in stage.player.out.ends()] == [("/note/off", (60, 0, 1, "keys"))]


def test_after_a_version_from_the_top_was_lost_the_one_before_goes_on_in_its_bar(stage: PlayerRig) -> None:
    zero = stage.first(BEAT)
    stage.play(zero + 1.0)
    stage.player.save(IMPORTS + BEAT, 7, Begin(top=True))
    stage.until_true(lambda: stage.player._header, "the second version was read")
    stage.play(5.0)
    for branch in stage.player.branches():
        assert branch.pid
        os.kill(branch.pid, signal.SIGKILL)
    stage.until_true(lambda: stage.player.swaps == 3, "the version before")
    assert stage.said[-2:] == ["the version before is started anew", "plays from bar 2"]
    assert re.match(r"set\.py: its process (was ended by SIGKILL|has ended)", stage.said[-3]), "with its cause"


def test_moves_of_sliders_that_are_put_back_are_merged_with_those_that_wait() -> None:
    def move(place: int, value: float) -> dict[str, float]:
        return {"version": 7, "place": place, "value": value}

    cues = WaitingCues()
    cues.put("cue", {"name": "go"})
    cues.put("slide", move(1, 0.5))
    cues.restore([("slide", move(place % 300, 0.25)) for place in range(600)])
    assert len(cues.waiting) == MAX_WAITING_CUES
    assert cues.waiting[:3] == [("slide", move(0, 0.25)), ("slide", move(1, 0.5)), ("slide", move(2, 0.25))]


def test_a_copy_that_a_busy_machine_makes_late_is_no_script_that_waits(
    processes: BranchProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process waits for the one that it forked, which may have to wait for a processor."""
    first = processes.first
    until(lambda: first.answers() and first.pid and first.idle, 10.0, "the first process is there")
    now = [time.monotonic()]
    monkeypatch.setattr("antiphon.performer.branch.time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    os.kill(first.pid, signal.SIGSTOP)
    stat = Path(f"/proc/{first.pid}/stat")
    # one that waits for a processor runs until it has had one to stop on
    until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 10.0, "it has stopped")
    try:
        copy = first.fork()
        for _ in range(10):
            assert not first.is_overdue()
            now[0] += 0.3
        now[0] += 60.0
        assert first.is_overdue()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    until(lambda: copy.answers() and copy.pid, 10.0, "the copy is there")
    copy.end()


def test_versions_that_are_replaced_at_once_leave_no_process(processes: BranchProcesses) -> None:
    for _ in range(4):
        processes.first.fork().end()
    _all_gone(processes)


def test_copies_that_end_before_they_say_who_they_are_leave_no_process(processes: BranchProcesses) -> None:
    for wait in range(12):
        parent = processes.first.fork()
        until(lambda: parent.answers() and parent.pid, 10.0, "the copy is there")  # noqa: B023
        copy = parent.fork()
        time.sleep(0.0005 * wait)  # the parent is ended while it forks, at another moment each time
        parent.end()
        copy.end(ended=wait % 2 == 0)
    _all_gone(processes)


def test_copies_outlive_a_group_that_is_closed_by_no_zombie() -> None:
    shared = BranchProcesses()
    copies = [shared.first.fork() for _ in range(6)]
    for copy in copies:
        until(lambda: copy.answers() and copy.pid, 10.0, "the copy is there")  # noqa: B023
    group = shared._process.pid
    shared.close()

    def gone() -> bool:
        reap_closed()
        try:
            return os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) and False
        except ChildProcessError:
            return True

    until(gone, 10.0, "every copy is reaped")


def test_a_first_process_that_ended_hides_no_copy() -> None:
    shared = BranchProcesses()
    try:
        copy = shared.first.fork()
        until(lambda: copy.answers() and copy.pid, 10.0, "the copy is there")
        os.kill(shared._process.pid, signal.SIGKILL)
        os.kill(copy.pid, signal.SIGKILL)
        until(lambda: shared.collect() or copy.pid in shared._ends, 10.0, "the copy is reaped")  # type: ignore[func-returns-value]
    finally:
        shared.close()


def _all_gone(processes: BranchProcesses) -> None:
    group = processes._process.pid

    def others() -> set[str]:
        """Processes of the group but the first, zombies too."""
        found = set()
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if entry.read_text().rpartition(")")[2].split()[2] == str(os.getpgid(group)):
                    found.add(entry.parent.name)
        return found - {str(group), str(os.getpid())}

    def gone() -> bool:
        processes.collect()
        return not processes._unnamed and not others()

    until(gone, 10.0, "all have ended, and none is left to be collected")


def test_the_clock_of_a_beat_that_stands_still_shows_no_tempo_after_a_gap_in_its_answers() -> None:
    clock = BeatClock()
    clock.tempo(120.0)
    for at in (0.0, 0.1, 0.2, 0.3, 1.5, 1.52, 4.0):
        clock.answer(8.0, at)
        assert clock.bpm() == (120.0 if at < 0.25 else 0.0)
    clock.answer(9.0, 4.5)
    assert clock.bpm() > 0.0


def test_an_undo_goes_on_where_the_version_before_would_be(stage: PlayerRig) -> None:
    old = (
        f"{BEAT}node('echo').feedback = '<.1 .2>'\ntrack('t', s('bd').delaytime(.25))\n"
        "@loop(on='keys')\ndef l():\n    my = memory(k=60)\n    play(my.k, length=1/2)\n    my.k += 1\n    yield 3\n"
    )
    new = old.replace("bd*4", "sn*8").replace(".1 .2", ".8 .9").replace("yield 3", "yield 5")
    new = new.replace("track('t', s('bd').delaytime(.25))", "node('macro').time = '<.8 .9>'")
    zero = stage.first(old, 6)
    stage.play(zero + 4.5 - stage.now)
    stage.swap(f"{new}track('drone', note('c2').slow(2), on='bass')\n", 7, Begin(keep=True))
    stage.play(9.0)
    pressed = stage.now
    stage.player.save(IMPORTS + old, 6, Begin(0.25, back=True))
    stage.play(12.0)
    begin = stage.player.begins
    assert pressed <= begin <= pressed + 0.5
    alone = Performance(read("/sets/set.py", IMPORTS + old)).until(F(round(stage.now - zero)))
    expected = [(round(float(e.beat), 9), e.address, e.args) for e in alone if e.beat > begin - zero]
    got = [(round(e.beat - zero, 9), e.address, e.args) for e in stage.sent if e.beat > begin]
    assert len(got) > 10
    assert got == expected[: len(got)]
    at_once = [(e.address, e.args) for e in stage.sent if e.beat == begin]
    assert ("/node/echo/feedback", (0.2,)) in at_once
    assert ("/macro/time/value", (0.25,)) in at_once
    assert ("/note/off", (36, 0, 1, "bass")) in at_once
    assert stage.player.version == 6


def test_an_undo_sets_nothing_that_a_script_before_the_first_bar_has_set(stage: PlayerRig) -> None:
    zero = stage.first(f"{BEAT}node('echo').feedback = '<.1 .2>'\n")
    stage.play(zero + 5.0 - stage.now)
    for text, version, begin in (
        (BEAT, 6, Begin(top=True)),
        (f"{BEAT}node('echo').feedback = '<.8 .9>'\n", 7, Begin(keep=True)),
        (BEAT, 6, Begin(0.25, back=True)),
    ):
        stage.player.save(IMPORTS + text, version, begin)
        stage.until_true(lambda: not stage.player.reading or stage.player._header, "it is read")
        stage.play(8.0)
        assert stage.player.version == version
    values = [float(str(value)) for _, value in stage.on("/node/echo/feedback", zero)]
    first = values.index(0.8)
    assert set(values[:first]) == {0.1, 0.2}
    assert set(values[first:]) == {0.8, 0.9}


def test_a_version_that_was_replaced_is_given_cues_and_levels_for_its_undo(stage: PlayerRig) -> None:
    old = (
        f"{BEAT}@loop(on='keys')\ndef l():\n    yield sync('a')\n    yield sync('b')\n    play(50)\n"
        "@on_level('in', above=-30)\ndef loud():\n    my = memory(k=60)\n    play(my.k, on='keys')\n    my.k += 1\n"
    )
    zero = stage.first(old, 6)
    stage.play(zero + 1.5 - stage.now)
    stage.swap(BEAT, 7, Begin(keep=True))
    stage.play(6.0)
    stage.player.level("in", -20.0)
    stage.player.level("in", -60.0)
    stage.player.cue("a")
    stage.play(1.0)
    stage.until_true(lambda: "b" in stage.player._awaited, "the loop waits for the other")
    stage.player.cue("b")
    stage.play(1.0)
    assert not stage.on("/note/on", zero)
    stage.player.save(IMPORTS + old, 6, Begin(0.25, back=True))
    stage.play(1.0)
    stage.player.level("in", -20.0)
    stage.player.cue("a")
    stage.play(1.0)
    stage.player.cue("b")
    stage.play(1.0)
    assert [note for _, note in stage.on("/note/on", zero)] == [61, 50]


class _Asked:
    """A stand-in for a performing process that answers at once; `asked`: of what is left out, (from, to, names)."""

    def __init__(self, at: F = F(0)) -> None:
        self.asked, self.idle, self.left_out = at, True, list[tuple[F, F, list[str] | None]]()

    def fork(self) -> "_Asked":
        return _Asked(self.asked)

    def end(self) -> None:
        pass

    def request_until(self, beat: F, *, coming: bool = False) -> None:
        self.asked = beat

    def ask(self, do: str, **values: Any) -> None:
        if do == "skip":
            self.left_out.append((self.asked, F(*values["beat"]), values["names"]))


def _overtaken() -> tuple[Any, _Asked, _Asked]:
    """A pair whose leader is 8 beats behind, with its follower and leader."""
    pair: Any = PerformerPair()
    follower, leader = _Asked(), _Asked(F(1))
    pair._follower, pair._leader, pair.out.offset, pair._now = follower, leader, F(0), 9.0
    return pair, follower, leader


def test_what_is_overtaken_is_left_out_up_to_one_bar_once() -> None:
    pair, _, leader = _overtaken()
    for _ in range(48):
        pair._ask()
        pair._now += 0.1  # the bar goes by meanwhile
    assert leader.asked > 12
    assert leader.left_out == [(F(1), F(12), None)]


def test_what_is_left_out_stays_so_after_a_cue_and_with_another_follower() -> None:
    pair, follower, _ = _overtaken()
    pair._ask()
    pair._lead(follower.asked)
    leader = pair._leader
    for _ in range(10):
        pair._ask()
    assert leader.left_out == [(F(1), F(12), None)]
    pair.out.sent = F(2)
    pair._advance()
    assert follower.left_out == [(F(1), F(12), None)]
    pair._lead(follower.asked)
    for _ in range(10):
        pair._ask()
    assert not pair._leader.left_out, "a copy of the follower has it already"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("track('a', note('c4'), on='plukc')\n", "line 2: plukc, "),
        ("@loop(on='plukc')\ndef a():\n    yield 1\n", "line 2: plukc, "),
        ("node('tone').cutof = 300\n", "line 2: tone, cutof"),
        ("node('tone').cutof = sine.range(20, 300)\n", "line 2: tone, cutof"),
    ],
)
def test_what_the_patch_lacks_is_refused_before_the_version_is_taken(stage: PlayerRig, text: str, refused: str) -> None:
    stage.first(BEAT)
    stage.player.checks = True
    known = [("tone", "cutoff"), ("pluck", "")]
    good = text.replace("plukc", "pluck").replace("cutof ", "cutoff ")
    for swaps, written in ((1, text), (2, good)):
        stage.save(written + BEAT)
        stage.until_true(lambda: stage.player.unchecked, "it is read")
        stage.tick()
        assert stage.player.swaps == 1, "it waits until it is checked"
        stage.player.check(lambda node, param: "" if (node, param) in known else f"{node}, {param}")
        stage.until_true(lambda swaps=swaps: not stage.player.reading and stage.player.swaps == swaps, "checked")  # type: ignore[misc]
    assert [said for said in stage.said if not said.startswith("plays")] == [f"set.py {refused}"]


def test_what_a_leader_leaves_out_after_a_cue_back_comes_before_what_is_left_out_later() -> None:
    skips = Skips()
    later, earlier = Skip(F(11), F(16), ["heavy"]), Skip(F(41, 4), F(12), ["other"])
    skips.add(later)
    skips.lead()
    skips.add(earlier)
    assert list(skips.follower) == [earlier, later]
