"""Fermatas that stand in the player's part alone, in MusicXML: where the other parts wait for the player."""

import pytest

from antiphon_follow.score import read_followed
from antiphon_follow.score_follower import ScoreFollower
from antiphon_follow.tests.test_score import accompanied

HOLD = 5.0
ATTRIBUTES = "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
SIGN, BEGUN, ENDED = "<notations><fermata/></notations>", '<tie type="start"/>', '<tie type="stop"/>'
OPENING = ("C", "D", "E", "F")


def note(step, length=1, marks=""):
    """A note of the fifth octave, a rest for ""."""
    pitch = f"<pitch><step>{step}</step><octave>5</octave></pitch>" if step else "<rest/>"
    return f"<note>{pitch}<duration>{length}</duration>{marks}</note>"


def score_of(path, bars):
    """The player's bars after one of quarters, and another part in quarters throughout."""
    quarters = "".join(map(note, OPENING))
    bars, parts = [quarters, *bars, quarters], []
    for name, own in (("P1", bars), ("P2", [quarters] * len(bars))):
        measures = "".join(
            f'<measure number="{n}">{ATTRIBUTES if n == 1 else ""}{bar}</measure>' for n, bar in enumerate(own, 1)
        )
        parts.append(f'<part id="{name}">{measures}</part>')
    names = "".join(f'<score-part id="P{n}"><part-name>{n}</part-name></score-part>' for n in (1, 2))
    path.write_text(f"<score-partwise><part-list>{names}</part-list>{''.join(parts)}</score-partwise>")
    return read_followed(path)


def begun_in_hold(score, fermata):
    """Quarters at which the other part begins notes while the player holds, and those after that."""
    onsets = [(onset.start, onset.numbers[0]) for onset in score.onsets((0,))]
    first = min(start for start, _ in onsets if start > fermata)
    played = [(1.0 + 0.5 * start + HOLD * (start > fermata), number, start) for start, number in onsets]
    found, _ = accompanied(score, played, 1.0 + 0.5 * score.length + HOLD + 1.0)
    again = 1.0 + 0.5 * first + HOLD
    times = [at for at, event in found if event.on]
    held = [round(2.0 * (at - 1.0), 1) for at in times if 1.05 + 0.5 * fermata < at < again - 0.05]
    return held, [round(2.0 * (at - 1.0 - HOLD), 1) for at in times if at >= again - 0.05]


@pytest.mark.parametrize(
    ("bar", "fermata", "held"),
    [
        (note("G") + note("A") + note("B") + note("C", 1, SIGN), 7.0, []),
        (note("G") + note("A", 3, SIGN), 5.0, []),
        (note("G", 2) + note("A", 2, BEGUN) + "|" + note("A", 2, ENDED + SIGN) + note("C", 2), 6.0, [7.0, 8.0]),
        (note("G", 2) + note("A") + note("", 1, SIGN), 6.0, [7.0]),
    ],
)
def test_the_others_wait_for_the_player_who_alone_has_a_fermata(tmp_path, bar, fermata, held):
    score = score_of(tmp_path / "a.musicxml", bar.split("|"))
    found, after = begun_in_hold(score, fermata)
    assert found == held
    first = min(onset.start for onset in score.onsets((0,)) if onset.start > fermata)
    assert after == pytest.approx([first + n for n in range(round(score.length - first))], abs=0.2)


def test_the_others_go_on_where_the_player_rests_after_a_fermata(tmp_path):
    score = score_of(tmp_path / "a.musicxml", [note("G") + note("A", 1, SIGN) + note("", 2)])
    assert begun_in_hold(score, 5.0)[0] == [6.0, 7.0]


def test_a_tone_that_rises_ends_a_fermata_after_its_written_length_alone(tmp_path):
    follower = ScoreFollower(score_of(tmp_path / "a.musicxml", [note("G") + note("A", 1, SIGN) + note("B", 2)]), (0,))
    for n, pitch in enumerate((72, 74, 76, 77, 79, 81)):
        follower.note(0.5 * n, pitch)
    onsets = []
    for at in (2.8, 3.4):
        follower.take_sound_note(at, 83, False)
        onsets.append(follower.onset)
    assert onsets == [5, 6]
