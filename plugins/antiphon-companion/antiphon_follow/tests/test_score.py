"""The score that waits: reading, following and accompanying."""

import random
from types import SimpleNamespace

import mido
import numpy as np
import pytest
from tests.waiting import costs_at_most

from antiphon.api import StreamSpec, UsageError
from antiphon.api.backends.rendering import load_plugins
from antiphon.api.backends.transports import RequestError, SetParam
from antiphon.kernel.graph.graph import Graph, NodeSpec
from antiphon.kernel.session.commands import NOW
from antiphon.offline.player import FilePlayer
from antiphon_follow.addresses import go
from antiphon_follow.concert import Accompanist, ScorePlayer
from antiphon_follow.score import FollowedScore, OrchestraNote, OrchestraPart, read_followed
from antiphon_follow.score_follower import WINDOW, ScoreFollower
from antiphon_follow.sound_notes import SoundNotes

RATE, BLOCK, EAR = 48000, 256, 22050
MELODY = (60, 62, 64, 67, 65, 64, 62, 59, 60, 64, 69, 67, 66, 67, 71, 72)

NOTE = "<note><pitch><step>{step}</step><octave>{octave}</octave></pitch><duration>{length}</duration></note>"


def tune(bars=8, seed=3):
    """A melody in quarters and eighths over chords in halves, as a score of two parts."""
    rng = random.Random(seed)
    melody, chords = [], []
    for bar in range(bars):
        at = 4.0 * bar
        while at < 4.0 * bar + 4.0:
            length = rng.choice((0.5, 0.5, 1.0))
            length = min(length, 4.0 * bar + 4.0 - at)
            melody.append(OrchestraNote(at, length, rng.choice(MELODY) + 12 * rng.choice((0, 0, 1))))
            at += length
        for half in (0.0, 2.0):
            root = rng.choice((48, 50, 53, 55))
            chords += [OrchestraNote(4.0 * bar + half, 2.0, root + k) for k in (0, 4, 7)]
    starts = tuple(4.0 * bar for bar in range(bars))
    names = tuple(str(bar + 1) for bar in range(bars))
    parts = (OrchestraPart("Melody", tuple(melody)), OrchestraPart("Chords", tuple(chords)))
    return FollowedScore(parts, ((0.0, 120.0),), starts, (4.0,) * bars, names, 4.0 * bars)


def played(score, parts=(0,), pace=0.5, begin=0.0, end=1e9, at=1.0, swell=0.0):
    """(seconds, number, quarter) of the notes of parts at a pace that swells."""
    notes = sorted((n.start, n.number) for p in parts for n in score.parts[p].notes if begin <= n.start < end)
    grid = np.arange(0.0, score.length + 0.01, 0.01)
    times = np.concatenate(([0.0], np.cumsum(0.01 * pace * (1.0 + swell * np.sin(grid[:-1] / 5.0)))))
    first = np.interp(begin, grid, times)
    return [(at + float(np.interp(q, grid, times) - first), number, q) for q, number in notes]


def errors(follower, notes):
    """Quarters by which the follower is off at the last note of each onset."""
    found = []
    for n, (at, number, quarter) in enumerate(notes):
        follower.note(at, number)
        if quarter is not None and (n + 1 == len(notes) or notes[n + 1][2] != quarter):
            found.append(abs(follower.position_at(at).quarter - quarter))
    return np.array(found)


def test_rubato_is_followed():
    score = tune(16)
    assert errors(ScoreFollower(score, (0,)), played(score, swell=0.3)).max() < 0.05


def test_between_notes_the_tempo_goes_on_and_a_stop_waits():
    score = tune()
    follower, notes = ScoreFollower(score, (0,)), played(score, pace=0.6)
    errors(follower, notes[:12])
    at, _, quarter = notes[11]
    after = notes[12][2]
    assert follower.position_at(at + 0.3 * (after - quarter)).quarter == pytest.approx(
        quarter + 0.5 * (after - quarter), abs=0.05
    )
    assert follower.position_at(at + 20.0).quarter == after
    late = [(t + 5.0, number, q) for t, number, q in notes[12:]]
    assert errors(follower, late).max() < 0.05


def test_wrong_left_out_and_added_notes_do_not_lose_it():
    score, rng = tune(24), random.Random(1)
    notes = []
    for at, number, quarter in played(score, (0, 1), swell=0.15):
        drawn = rng.random()
        if drawn < 0.06:
            continue
        notes.append((at, number + (1 if drawn < 0.12 else 0), quarter))
        if drawn > 0.94:
            notes.append((at + 0.07, rng.randrange(50, 80), None))
    found = errors(ScoreFollower(score), sorted(notes, key=lambda note: note[0]))
    assert np.mean(found < 0.1) > 0.93
    assert found.max() < 2.1


def test_chords_may_be_spread_by_80_ms():
    score, rng = tune(16), random.Random(2)
    notes = [(at + rng.uniform(0.0, 0.08), number, q) for at, number, q in played(score, (0, 1), pace=0.6)]
    found = errors(ScoreFollower(score), sorted(notes))
    assert np.mean(found < 0.2) > 0.95
    assert found.max() < 1.1


def test_a_passage_that_is_played_an_octave_higher_is_followed():
    score = tune(16)
    notes = [(at, number + 12 * (16.0 <= q < 48.0 and number >= 60), q) for at, number, q in played(score, (0, 1))]
    found = errors(ScoreFollower(score), notes)
    assert np.mean(found < 0.1) > 0.85
    assert found.max() < 1.1


def test_the_place_is_on_the_melody_where_its_bass_comes_before_it():
    score = tune(16)
    notes = [(at - 0.2 * (number < 60), number, q) for at, number, q in played(score, (0, 1), pace=0.9, at=2.0)]
    found = errors(ScoreFollower(score), sorted(notes))
    assert np.quantile(found, 0.95) < 0.05


def test_a_jump_back_is_found_within_a_bar_and_a_half():
    score = tune(16)
    follower = ScoreFollower(score, (0,))
    errors(follower, played(score, end=40.0))
    found = errors(follower, played(score, begin=16.0, end=30.0, at=24.0))
    assert found[-1] < 0.05
    assert np.flatnonzero(found > 0.1).max(initial=-1) < 9


def test_a_player_may_begin_anywhere_when_it_is_told():
    score = tune()
    follower = ScoreFollower(score, (0,))
    follower.reset(16.0)
    assert follower.position_at(0.0).quarter == 16.0
    assert errors(follower, played(score, begin=16.0)).max() < 0.05


def test_a_trill_stays_where_it_is():
    trill = OrchestraNote(8.0, 2.0, 72, ornament=True)
    line = [OrchestraNote(float(n), 1.0, MELODY[n]) for n in range(8)]
    after = [OrchestraNote(10.0 + n, 1.0, MELODY[n + 3]) for n in range(6)]
    score = FollowedScore(
        (OrchestraPart("", (*line, trill, *after)),),
        ((0.0, 120.0),),
        (0.0, 4.0, 8.0, 12.0),
        (4.0,) * 4,
        tuple("1234"),
        16.0,
    )
    follower = ScoreFollower(score)
    errors(follower, played(score, end=8.0))
    for n in range(10):
        follower.note(5.0 + 0.1 * n, 72 + 2 * (n % 2))
        assert 8.0 <= follower.position_at(5.0 + 0.1 * n).quarter <= 10.0
    assert errors(follower, played(score, begin=10.0, at=6.0)).max() < 0.05


@pytest.mark.parametrize("early", [True, False])
def test_a_run_of_grace_notes_leads_to_its_beat_or_begins_on_it(early):
    line = [OrchestraNote(float(n), 1.0, MELODY[n]) for n in range(8)]
    run = [OrchestraNote(8.0, 0.0, 60 + n, grace=True) for n in range(10)]
    after = [OrchestraNote(8.0 + n, 1.0, 72 - n) for n in range(6)]
    score = FollowedScore(
        (OrchestraPart("", (*line, *run, *after)),), ((0.0, 120.0),), (0.0, 4.0, 8.0), (4.0,) * 3, tuple("123"), 14.0
    )
    follower, beat = ScoreFollower(score), 5.0
    errors(follower, played(score, end=7.5))
    for n in range(10):
        follower.note(beat + 0.04 * (n - 10 * early), 60 + n)
    at = beat + 0.4 * (not early)
    follower.note(at, 72)
    assert follower.position_at(at).quarter == 8.0
    assert follower.position_at(at + 0.25).quarter == pytest.approx(8.5, abs=0.1 if early else 0.2)
    assert errors(follower, played(score, begin=9.0, at=at + 0.5)).max() < 0.05


def xml(path, *, repeat):
    """Four bars of quarters, of which two are repeated."""
    bars = []
    for bar in range(4):
        notes = "".join(
            NOTE.format(step="CDEFGAB"[(3 * bar + n * n) % 7], octave=4 + bar % 2, length=1) for n in range(4)
        )
        line = '<barline location="right"><repeat direction="backward"/></barline>' if repeat and bar == 1 else ""
        head = "<attributes><divisions>1</divisions></attributes>" if not bar else ""
        bars.append(f'<measure number="{bar + 1}">{head}{notes}{line}</measure>')
    path.write_text(
        '<score-partwise><part-list><score-part id="P1"><part-name>Flute</part-name></score-part></part-list>'
        f'<part id="P1">{"".join(bars)}</part></score-partwise>'
    )
    return path


@pytest.mark.parametrize("taken", [True, False])
def test_a_repeat_may_be_taken_or_not(tmp_path, taken):
    score = read_followed(xml(tmp_path / "a.musicxml", repeat=True))
    assert score.length == 24.0
    assert set(score.jumps) == {(8.0, 16.0), (16.0, 8.0)}
    assert score.passes == (1, 1, 2, 2, 0, 0)
    follower = ScoreFollower(score)
    if taken:
        assert errors(follower, played(score)).max() < 0.05
        return
    assert errors(follower, played(score, end=8.0)).max() < 0.05
    found = errors(follower, played(score, begin=16.0, at=5.0))
    assert found[2:].max() < 0.05


def test_a_bar_has_its_printed_number(tmp_path):
    path = xml(tmp_path / "a.musicxml", repeat=True)
    text = path.read_text().replace('number="1"', 'number="0" implicit="yes"').replace('number="3"', 'number="X1"')
    path.write_text(text.replace('number="4"', 'number="8"'))
    assert read_followed(path).numbers == (0, 2, 0, 2, 2, 8)
    concert = ScorePlayer(path, "", RATE)
    for asked, position, shown in ((8, 20.0, 8), (2, 4.0, 2), (5, 4.0, 2), (0, 0.0, 0), (99, 20.0, 8)):
        concert.go(asked, 1.0)
        concert.read(1.0)
        assert concert.follower.position_at(1.0).quarter == position
        assert concert.bar == shown


def test_the_player_s_next_notes_are_known_and_when_they_come(tmp_path):
    concert = ScorePlayer(xml(tmp_path / "a.musicxml", repeat=False), "", RATE)
    concert.go(2, 0.0)
    concert.read(0.0)
    numbers = [one.numbers[0] for one in concert.follower.onsets]
    assert (concert.coming, concert.ahead) == (numbers[4:7], [0.0, 1.0, 2.0])
    concert.follower.note(1.0, numbers[4])
    concert.read(1.0 + 0.25 * concert.follower.pace)
    assert concert.coming == numbers[5:8]
    assert concert.ahead == pytest.approx([0.75, 1.75, 2.75])


def test_a_midi_score_is_read_and_what_is_none_refused(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Solo")])
    for number in (60, 64, 67):
        track += [mido.Message("note_on", note=number, velocity=90), mido.Message("note_off", note=number, time=480)]
    file.tracks.append(track)
    file.save(tmp_path / "a.mid")
    score = read_followed(tmp_path / "a.mid")
    assert [(n.start, n.number) for n in score.parts[0].notes] == [(0.0, 60), (1.0, 64), (2.0, 67)]
    assert score.part_indices("solo") == score.part_indices("1") == score.part_indices("") == (0,)
    with pytest.raises(UsageError, match=r"no part 'Oboe'; it has 1 .Solo."):
        score.part_indices("Solo, Oboe")
    with pytest.raises(UsageError, match="is no score"):
        read_followed(tmp_path / "a.wav")


@pytest.mark.parametrize("part", ["1,2", "right, LEFT", "left,1,left"])
def test_both_hands_of_a_piano_are_followed_and_the_strings_alone_are_played(tmp_path, part):
    file = mido.MidiFile(ticks_per_beat=480)
    for name, numbers in (("Right", (72, 76, 79)), ("Left", (48, 43, 48)), ("Strings, soft", (60, 59, 60))):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        for number in numbers:
            track.append(mido.Message("note_on", note=number, velocity=90))
            track.append(mido.Message("note_off", note=number, time=480))
        file.tracks.append(track)
    file.save(tmp_path / "a.mid")
    score = read_followed(tmp_path / "a.mid")
    assert sorted(score.part_indices(part)) == [0, 1]
    assert score.part_indices("strings, soft") == (2,)
    concert = ScorePlayer(tmp_path / "a.mid", part, RATE)
    assert [onset.numbers for onset in concert.follower.onsets] == [(48, 72), (43, 76), (48, 79)]
    notes = [(0.0, 72), (0.01, 48), (0.5, 43)]  # the second chord by the left hand alone
    for at, number in notes:
        concert.follower.note(at, number)
    assert concert.follower.position_at(0.5).quarter == pytest.approx(1.0, abs=0.05)
    assert {note.number for place in concert._channels for note in score.parts[place].notes} == {59, 60}


def test_the_same_notes_give_the_same_places():
    score = tune(12)
    notes = played(score, (0, 1), swell=0.2)
    one, two = ScoreFollower(score), ScoreFollower(score)
    two.note(3.0, 70)
    two.reset()
    for at, number, _ in notes:
        one.note(at, number)
        two.note(at, number)
        assert one.position_at(at + 0.1) == two.position_at(at + 0.1)


def accompanied(score, notes, seconds, lead=0.0, late=0.0):
    """(second, event) of the chords beside notes of the melody, block by block."""
    follower = ScoreFollower(score, (0,))
    band = Accompanist(score, follower, (1,), RATE, lead)
    band.late = late
    found, waiting = [], list(notes)
    for begin in range(0, int(seconds * RATE), BLOCK):
        offset = 0
        while waiting and waiting[0][0] * RATE < begin + BLOCK:
            at, number, _ = waiting.pop(0)
            frame = max(offset, int(at * RATE) - begin)
            found += [(begin, e) for e in band.advance((begin + offset) / RATE, frame - offset, offset)]
            follower.note(at, number)
            offset = frame
        found += [(begin, e) for e in band.advance((begin + offset) / RATE, BLOCK - offset, offset)]
    return [((begin + event.frame) / RATE, event) for begin, event in found], band


def test_the_chords_come_with_the_melody_and_each_once():
    score = tune(12)
    notes = played(score, swell=0.2)
    found, band = accompanied(score, notes, notes[-1][0] + 3.0)
    begun = [(at, event) for at, event in found if event.on]
    assert len(begun) == len(score.parts[1].notes)
    together = {quarter: at for at, _, quarter in notes}
    off = []
    for row, (at, event) in zip(score.parts[1].notes, begun, strict=True):
        assert event.number == row.number
        if row.start in together:
            off.append(abs(at - together[row.start]))
    assert np.median(off) < 0.015
    assert np.quantile(off, 0.9) < 0.06
    sounding = sum(1 if event.on else -1 for _, event in found)
    assert sounding == len(band.stop())


def test_a_stop_holds_the_chord_and_what_was_passed_over_is_left_out():
    score = tune(12)
    notes = played(score)
    half = len(notes) // 2
    later = [(at + 6.0, number, quarter) for at, number, quarter in notes[half:]]
    found, _ = accompanied(score, notes[:half] + later, 14.0)
    stop, goes_on = notes[half - 1][0], later[0][0]
    assert not [at for at, event in found if event.on and stop + 1.1 < at < goes_on]
    jumped = [(at, number, q) for at, number, q in played(score, begin=32.0, at=notes[half - 1][0] + 0.5)]
    found, _ = accompanied(score, notes[:half] + jumped, jumped[-1][0] + 1.0)
    times = [at for at, event in found if event.on]
    assert max(sum(0.0 <= other - at < 0.05 for other in times) for at in times) <= 3


def test_a_stop_before_a_bar_line_does_not_play_the_next_bar_s_chord():
    score = tune(6)
    notes = played(score)
    late = [(at + 4.0 * (quarter >= 8.0), number, quarter) for at, number, quarter in notes]
    stop, goes_on = max(at for at, _, quarter in late if quarter < 8.0), min(at for at, _, q in late if q >= 8.0)
    begun = [at for at, event in accompanied(score, late, late[-1][0] + 1.0)[0] if event.on]
    assert not [at for at in begun if stop + 0.02 < at < goes_on - 0.001]
    assert sum(abs(at - goes_on) < 0.01 for at in begun) == 3
    assert len(begun) == len(score.parts[1].notes)


def test_a_chord_that_the_player_shares_is_not_lost_by_a_wrong_note():
    score = tune(6)
    notes = [(at, number + (1 if quarter == 8.0 else 0), quarter) for at, number, quarter in played(score)]
    begun = [at for at, event in accompanied(score, notes, notes[-1][0] + 1.0)[0] if event.on]
    assert len(begun) == len(score.parts[1].notes)


def test_the_first_chord_is_played_and_the_others_are_heard_in_time_at_a_great_latency():
    score, lead = tune(12), 0.193
    notes = played(score, swell=0.1)
    begun = [(at, event.number) for at, event in accompanied(score, notes, notes[-1][0] + 1.0, lead)[0] if event.on]
    assert [number for _, number in begun[:3]] == [note.number for note in score.parts[1].notes[:3]]
    assert len(begun) == len(score.parts[1].notes)
    together = {quarter: at for at, _, quarter in notes}
    rows = zip(score.parts[1].notes[3:], begun[3:], strict=True)
    off = [at + lead - together[row.start] for row, (at, _) in rows if row.start in together]
    assert abs(np.median(off)) < 0.03


def test_what_was_passed_over_is_left_out():
    line = tuple(OrchestraNote(2.0 * n, 2.0, 72 + n) for n in range(6))
    fast = tuple(OrchestraNote(0.25 * n, 0.25, 36 + n % 24) for n in range(48))
    score = FollowedScore(
        (OrchestraPart("", line), OrchestraPart("", fast)),
        ((0.0, 120.0),),
        (0.0, 4.0, 8.0),
        (4.0,) * 3,
        tuple("123"),
        12.0,
    )
    found, _ = accompanied(score, [(1.0, 72, 0.0), (2.0, 73, 2.0), (3.0, 74, 4.0), (3.4, 75, 6.0)], 3.6)
    assert 1 <= sum(3.38 < at < 3.44 for at, event in found if event.on) <= 2


@pytest.mark.parametrize("heard_late", [0.0, 0.2])
def test_a_fermata_waits_for_the_player(heard_late):
    score = tune(4)
    place = next(n for n, note in enumerate(score.parts[0].notes) if note.start == 8.0)
    fermata = score.parts[0].notes[place - 1].start
    held = FollowedScore(score.parts, score.tempo, score.bars, score.beats, score.names, score.length, (fermata,))
    notes = played(held)
    late = [(at + 4.0 * (n >= place), number, q) for n, (at, number, q) in enumerate(notes)]
    found, _ = accompanied(held, late, late[-1][0] + 1.0, late=heard_late)
    begun = [at for at, event in found if event.on]
    assert not [at for at in begun if late[place - 1][0] < at < late[place][0] - 0.001]
    assert sum(abs(at - late[place][0]) < 0.01 for at in begun) == 3


def test_a_long_score_is_followed_beyond_the_window():
    score = tune(1200)
    follower = ScoreFollower(score)
    assert len(follower.starts) > WINDOW
    follower.reset(4700.0)
    assert errors(follower, played(score, (0, 1), begin=4700.0, end=4740.0)).max() < 0.05
    follower.reset(1580.0)
    assert errors(follower, played(score, (0, 1), begin=1580.0, end=1640.0)).max() < 0.05


def sound_of(notes, seconds):
    """Plucked tones of notes at the rate of the networks."""
    sound, time = np.zeros(round(seconds * EAR)), np.arange(round(0.6 * EAR)) / EAR
    for at, number, _ in notes:
        hertz = 440.0 * 2.0 ** ((number - 69) / 12)
        tone = sum(np.sin(2.0 * np.pi * k * hertz * time) / k for k in (1, 2, 3, 4)) * np.exp(-5.0 * time)
        sound[round(at * EAR) :][: len(tone)] += 0.05 * tone
    return sound


def applause(seconds):
    """Ten people who clap, on the noise of a room."""
    rng = np.random.default_rng(1)
    sound, time = 3e-4 * rng.standard_normal(round(seconds * EAR)), np.arange(1200) / EAR
    for hertz in rng.uniform(700.0, 2000.0, 10):
        clap = np.exp(-time * 200.0) * rng.standard_normal(1200) * np.cos(2.0 * np.pi * hertz * time)
        for at in np.arange(rng.uniform(0.5, 0.9), seconds - 0.1, rng.uniform(0.2, 0.3)):
            sound[round(at * EAR) :][:1200] += 0.05 * clap
    return sound


def heard_lines(follower, sound):
    """(seconds, quarter, whether it began) hop by hop."""
    heard, rows = SoundNotes(), []
    for first in range(0, len(sound), 512):
        for note in heard.feed(sound[first : first + 512].astype(np.float32)):
            follower.hear(note.at, note.number, note.sure)
        rows.append((heard.seconds, follower.position_at(heard.seconds).quarter, follower.begun))
    return np.array(rows)


def test_a_score_is_followed_in_sound():
    score = tune(6)
    notes = played(score, (0, 1), swell=0.1)
    rows = heard_lines(ScoreFollower(score), sound_of(notes, notes[-1][0] + 2.0))
    rows = rows[(rows[:, 2] > 0.0) & (rows[:, 0] < notes[-1][0])]
    off = np.abs(rows[:, 1] - np.interp(rows[:, 0], [at for at, _, _ in notes], [quarter for _, _, quarter in notes]))
    assert rows[0, 0] < notes[0][0] + 1.0
    assert np.median(off) < 0.25
    assert np.mean(off < 1.0) > 0.9


def test_after_a_fermata_a_note_is_taken_before_the_network_is_sure_of_it():
    line = (60, 64, 67, 72, 71, 69, 67, 65, 64, 67, 72, 76)
    part = OrchestraPart("", tuple(OrchestraNote(float(n), 1.0, number) for n, number in enumerate(line)))
    score = FollowedScore((part,), ((0.0, 120.0),), (0.0, 4.0, 8.0), (4.0,) * 3, tuple("123"), 12.0, (7.0,))
    notes = [(at + 2.0 * (quarter >= 8.0), number, quarter) for at, number, quarter in played(score)]
    seconds, quarters, _ = heard_lines(ScoreFollower(score), sound_of(notes, 9.5)).T
    again = next(at for at, _, quarter in notes if quarter == 8.0)
    assert (quarters[seconds < again] <= 8.0).all()
    assert quarters[seconds > again + 0.1].min() > 8.0
    assert quarters[np.argmin(np.abs(seconds - again - 1.25))] == pytest.approx(10.5, abs=0.3)


def test_applause_does_not_begin_a_score_or_turn_it_back_after_its_end():
    score = tune(3)
    length = score.length * 0.5
    clapped, first = applause(8.0), played(score, (0, 1), at=8.5)
    sound = np.concatenate([clapped, sound_of([(at - 8.0, n, q) for at, n, q in first], length + 1.5), clapped])
    again = [(at + 2.0 * 8.0 + length + 1.5, n, q) for at, n, q in played(score, (0, 1), at=0.5)]
    sound = np.concatenate([sound, sound_of([(at - len(sound) / EAR, n, q) for at, n, q in again], length + 1.5)])
    rows = heard_lines(ScoreFollower(score), sound)
    seconds, quarters, begun = rows.T
    assert not begun[seconds < first[0][0]].any()
    assert begun[seconds > first[0][0] + 1.3].all()
    after = (seconds > first[-1][0] + 1.5) & (seconds < again[0][0])
    assert (quarters[after] >= first[-1][2]).all()
    for notes in (first, again):
        row = np.argmin(np.abs(seconds - notes[0][0] - 3.0))
        wanted = np.interp(seconds[row], [at for at, _, _ in notes], [quarter for _, _, quarter in notes])
        assert quarters[row] == pytest.approx(wanted, abs=0.5)


def line_of(seed, notes=24):
    """Numbers of a melody at random, none twice in a row."""
    rng, line = random.Random(seed), [60]
    while len(line) < notes:
        line += [number for number in [rng.choice((60, 62, 64, 65, 67, 69, 71, 72))] if number != line[-1]]
    return line


def score_of(onsets):
    """A score of chords in quarters at 120 bpm."""
    part = OrchestraPart(
        "", tuple(OrchestraNote(float(n), 1.0, key) for n, chord in enumerate(onsets) for key in chord)
    )
    bars = tuple(float(n) for n in range(0, len(onsets), 4))
    names = tuple(str(n + 1) for n in range(len(bars)))
    return FollowedScore((part,), ((0.0, 120.0),), bars, (4.0,) * len(bars), names, float(len(onsets)))


@pytest.mark.parametrize(("missing", "octave"), [(3, 0), (4, 0), (8, 0), (0, -12), (0, 12)])
def test_by_ear_a_melody_begins_without_its_first_notes_or_an_octave_off(missing, octave):
    places, begun = [], []
    for seed in range(20):
        line = line_of(seed)
        follower = ScoreFollower(score_of([(number,) for number in line]))
        for n, number in enumerate(line[missing : missing + 12]):
            follower.hear(1.0 + 0.5 * n, number + octave)
            if n == 5:
                begun.append(follower.begun)
        places.append(follower.onset)
    assert np.mean(begun) > 0.9
    assert np.mean(np.array(places) == missing + 11) > 0.8


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_notes_at_random_seldom_begin_a_score(size):
    rng, at, begun, seconds = random.Random(1), 0.0, 0, 400.0
    for trial in range(20):
        follower = ScoreFollower(score_of([sorted(rng.sample(range(48, 80), size)) for _ in range(40)]))
        while at < seconds / 20 * (trial + 1):
            at += rng.expovariate(10.0)
            follower.hear(at, rng.randrange(44, 84))
            if follower.begun:
                begun += 1
                follower.reset()
    assert begun / seconds * 60.0 < 1.0


def test_noises_in_a_stop_do_not_move_the_place_and_the_player_goes_on():
    moved, right = [], []
    for seed in range(30):
        rng = random.Random(seed)
        onsets = [sorted(rng.sample(range(40, 76), 3)) for _ in range(60)]
        follower = ScoreFollower(score_of(onsets))
        first = [(0.5 * n, key) for n in range(20) for key in onsets[n]]
        noises = sorted((rng.uniform(10.4, 16.0), rng.randrange(36, 72)) for _ in range(25))
        for at, key in [*first, *noises]:
            follower.hear(at, key)
        moved.append(abs(follower.onset - 19))
        for n in range(20, 26):
            for key in onsets[n]:
                follower.hear(6.0 + 0.5 * n, key)
        right.append(follower.onset == 25)
    assert np.mean(np.array(moved) <= 1) > 0.85
    assert np.mean(moved) < 1.0
    assert np.mean(right) > 0.9


def test_a_score_s_beginning_is_looked_for_at_little_cost():
    rng = random.Random(1)
    onsets = [sorted(rng.sample(range(48, 80), 4)) for _ in range(40)]
    follower = ScoreFollower(score_of(onsets))
    follower.hear(0.0, 30)
    with costs_at_most(0.4):
        for n in range(4000):
            follower._entry.take(0.05 * n, rng.choice(onsets[n % 13]) if n % 2 else rng.randrange(44, 84))


def test_a_part_of_one_note_begins_with_it():
    follower = ScoreFollower(score_of([(60,)]))
    begun = [follower.hear(at, key) or follower.begun for at, key in ((1.0, 65), (2.0, 60))]
    assert begun == [False, True]


def test_a_slide_to_the_first_note_is_no_first_note():
    follower = ScoreFollower(score_of([(key,) for key in (64, 64, 65, 67, 67, 65)]))
    for at, key in ((0.96, 65), (1.0, 64), (1.51, 64), (2.0, 65)):
        follower.take_sound_note(at, key, sure=True)
    assert follower.behind[0] == (1.0, 64)


def test_the_noise_of_a_room_is_no_first_note():
    rng, size, heard = np.random.default_rng(1), 5 * 22050, SoundNotes()
    shape = np.maximum(np.fft.rfftfreq(size, 1.0 / 22050.0), 20.0) ** -0.5
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * shape, size)
    sound = 10.0 ** (-55.0 / 20.0) * noise / noise.std()
    time = np.arange(22050) / 22050.0
    sound[4 * 22050 :] += 0.1 * np.sin(2.0 * np.pi * 440.0 * time) * np.exp(-3.0 * time)
    found = heard.feed(sound.astype(np.float32))
    assert found
    assert found[0][1] == 69
    assert found[0][0] == pytest.approx(4.0, abs=0.06)


def test_a_bar_that_the_score_lacks_is_refused_with_those_it_has(tmp_path):
    score = xml(tmp_path / "a.musicxml", repeat=True)
    loaded = load_plugins(check=False)
    graph = Graph((NodeSpec("ears", "follow", {"score": str(score)}),))
    runner = FilePlayer(graph, loaded.catalog, loaded.make, StreamSpec(RATE, BLOCK, 2), 120.0, ())
    known = runner.vocabularies()["ears"]
    runner.close()
    node = SimpleNamespace(info=SimpleNamespace(type="follow"), vocabulary=known)

    def asked(bar):
        return go(SimpleNamespace(args=(bar,), when=NOW, server=SimpleNamespace(nodes=lambda: {"ears": node})))

    assert asked(4) == [SetParam("ears", "from", 4.0), SetParam("ears", "start", 1.0)]
    for bar in (0, 5, 77):
        with pytest.raises(RequestError, match=f"^the score of ears has bars 1 to 4, not {bar}$"):
            asked(bar)
    node.vocabulary = {}
    assert len(asked(77)) == 2, "the engine has not read it yet"
