"""The band: parts on ports and channels, chords of a left hand and of a text, sections that are called, user styles."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests import accepted
from tests.clock import played_live
from tests.each import each

from antiphon.api import AntiphonError, Event, StreamSpec
from antiphon_accompany.band.parts import CHANNELS, VOLUME, BeatNote
from antiphon_accompany.band.styles import NAMES, PARTS, SECTIONS, shipped_style
from antiphon_accompany.band.voicing import PartVoices, Placing, left_hand, outer, parallels
from antiphon_accompany.files.offline import accompany_file
from antiphon_accompany.harmony.chords import implied_chord, read_chord, recognise
from antiphon_accompany.harmony.chordtext import spans_of
from antiphon_accompany.processor import Accompany
from antiphon_accompany.tests.band_measures import fitting, off_grid, shared_notes, velocity_deviation
from antiphon_accompany.tests.playing import RATE, TUNE, left, play

Played = list[tuple[float, Event]]
LEFT_HAND = {"follow": "chords", "parts": "piano,bass,drums,pad", "humanise": 0.0}


def hand(*chords: tuple[float, float, tuple[int, ...]]) -> list[BeatNote]:
    """Keys held down: (from beat, to beat, keys)."""
    return [BeatNote(start, end, pitch, 0.7) for start, end, keys in chords for pitch in keys]


def on(events: Played, part: str = "", since: float = 0.0, until: float = 1e9) -> Played:
    return [
        x
        for x in events
        if x[1].kind == "on" and since <= x[0] < until and x[1].channel == CHANNELS.get(part, x[1].channel)
    ]


SPANS = spans_of("| C | F | G | Am |", 4.0, None, 0.0, 32.0)
C, F, G7, AM = (48, 52, 55), (48, 53, 57), (43, 53, 55, 59), (45, 48, 52)
TWO = hand((0.0, 15.9, C), (16.0, 31.9, F))


@pytest.mark.parametrize("style", NAMES)
def test_every_style_plays_given_chords_in_every_part(style: str) -> None:
    made = accompany_file(TUNE, {"style": style, "parts": "all"}, 100.0, spans=SPANS)
    chords = [(0, 5, 7, 21)[beat // 4 % 4] for beat in range(32)]
    assert {n.part for n in made} == set(PARTS)
    for part in ("piano", "guitar", "bass", "pad"):
        assert fitting([n for n in made if n.part == part], chords) >= 0.9, part
    low, high = ([n.pitch for n in made if n.part == part] for part in ("bass", "piano"))
    assert sum(low) / len(low) < min(50, sum(high) / len(high) - 7), "the bass is below"
    assert 0.3 < off_grid(made, 100.0) < 0.85
    assert 7.0 < velocity_deviation(made) < 17.0
    assert all(set(part.sections) == set(SECTIONS) for part in shipped_style(style).parts.values())


STEPS = [
    (read_chord(name), root)
    for name, root in (("Ab", 44), ("G", 43), ("F", 41), ("G", 43), ("Ab", 44), ("Bb", 46), ("Ab", 44))
]
"""Chords whose roots are steps apart, and their basses."""


def beneath(melody: int) -> Callable[[int], int]:
    """Moves a key that is above a melody an octave down."""
    return lambda pitch: pitch - 12 if pitch > melody else pitch


@each("voicing, melody", [(voicing, key) for voicing in ("close", "open", "triad", "choir") for key in (127, 64, 58)])
def test_no_fifths_and_octaves_follow_the_bass_in_the_keys_that_are_struck(voicing: str, melody: int) -> None:
    below, voices, bass, before = beneath(melody), PartVoices(), 44, []
    for chord, root in STEPS:
        voices.place(Placing(chord, voicing, 60, melody, (bass, root), strict=True), below)
        # a chord strikes three of them
        struck = sorted(map(below, voices.held[:3]))
        for pitch in voices.held:
            voices.strike(pitch, below(pitch))
        if before:
            assert parallels((bass, *before), (root, *struck)) == 0, (chord.name, before, struck)
        bass, before = root, struck


@each(
    "lanes, melody", [(lanes, key) for lanes in ("chord", "upper", "voice4", "voice1 voice3") for key in (70, 64, 58)]
)
def test_keys_are_chosen_again_as_they_are_struck_below_a_melody_that_came_after_the_chord(
    lanes: str, melody: int
) -> None:
    below, voices, bass, left = beneath(melody), PartVoices(), 44, []
    for chord, root in STEPS:
        voices.place(Placing(chord, "close", 60, 80, (bass, root), strict=True))
        voices.settle(below, left, lanes.split())
        now = sorted([root, *(below(pitch) for lane in lanes.split() for pitch in voices.pitches(lane))])
        assert parallels(*outer(left, now)) == 0, (chord.name, left, now)
        bass, left = root, now


def test_styles_share_less_than_half_of_their_notes() -> None:
    made = {s: accompany_file(TUNE, {"style": s, "parts": "all"}, 100.0, spans=SPANS) for s in NAMES[:8]}
    pairs = [shared_notes(made[a], made[b]) for n, a in enumerate(made) for b in list(made)[n + 1 :]]
    assert sum(pairs) / len(pairs) < 0.35


def recognised(keys: tuple[int, ...]) -> str:
    found = recognise(keys)
    assert found is None or read_chord(found.name) == read_chord(found.label) == found
    return found.name if found else "none"


def test_a_chord_is_recognised_and_fewer_keys_stand_for_one_of_the_key() -> None:
    names = {"C": C, "AM": AM, "G7": G7, "implied": lambda keys, key: implied_chord(keys, key).name}
    accepted.compare_calls(__file__, recognised=recognised, **names)


def test_the_left_hand_changes_the_chord_within_a_block() -> None:
    """In the middle of a beat: what sounds and is not of the new chord ends and is struck again at once."""
    events = play(hand((0.0, 18.4, C), (18.5, 30.0, AM)), 24, LEFT_HAND)
    at_change = [x for x in events if 18.5 <= x[0] < 18.5 + 0.01]
    assert {e.number % 12 for _, e in at_change if e.kind == "off"} & {7}
    assert {e.number % 12 for _, e in at_change if e.kind == "on" and e.channel != 10} <= {9, 0, 4}
    later = [e.number % 12 for _, e in on(events, since=18.5) if e.channel != 10]
    assert later
    assert set(later) <= {9, 0, 4}


@each(
    "name, bass, keys",
    [
        ("C", 36, (43, 40, 48, 52)),
        ("Am", 45, (52, 48, 57, 60)),
        ("C/E", 40, (48, 43, 52, 55)),
        ("Bdim", 47, (53, 50, 59, 62)),
    ],
)
def test_parts_of_a_left_hand_are_at_their_intervals(name: str, bass: int, keys: tuple[int, ...]) -> None:
    chord = read_chord(name)
    assert tuple(left_hand(chord, bass, lane) for lane in ("fifth", "third", "octave", "tenth")) == keys


def test_no_part_but_drums_plays_without_a_chord_and_the_right_hand_is_free() -> None:
    solo = [BeatNote(n.start + 1, n.end + 1, n.pitch, n.velocity) for n in TUNE]
    events = play([*TWO, *solo], 32, LEFT_HAND)
    first = {e.number % 12 for _, e in on(events, "bass", 0.0, 16.0)}
    then = {e.number % 12 for _, e in on(events, "bass", 16.2, 32.0)}
    assert 0 in first
    assert first <= {0, 4, 7}
    assert then <= {5, 9, 0}


def test_parts_have_channels_mute_solo_and_level() -> None:
    events = play(
        TWO, 32, LEFT_HAND, changes=[(8.0, "bass_mute", 1), (16.0, "drums_solo", 1), (24.0, "drums_level", 0.2)]
    )
    assert {e.channel for _, e in on(events, until=8.0)} == {CHANNELS[p] for p in ("piano", "bass", "drums", "pad")}
    assert not on(events, "bass", 9.0)
    assert on(events, "piano", 9.0, 16.0)
    assert {e.channel for _, e in on(events, since=17.0)} == {10}
    loud, soft = ([e.value for _, e in on(events, "drums", *span)] for span in ((17.0, 24.0), (25.0, 32.0)))
    assert max(soft) < 0.4 * max(loud)


def test_it_is_commanded() -> None:
    calls = [(9.3, "fill", 1.0), (12.0, "break", 1.0), (24.0, "ending", 1.0)]
    settings = {**LEFT_HAND, "style": "rock", "variation": "A", "patience": 64}
    plain, events = play(TWO, 40, settings), play(TWO, 40, settings, changes=calls)
    toms = {45, 47, 50}
    assert {e.number for _, e in on(events, "drums", 10.0, 12.0)} & toms
    assert not {e.number for _, e in on(plain, "drums", 8.0, 32.0)} & toms
    # a break is a strike and a rest of its bar
    assert {round(at, 2) for at, _ in on(events, since=12.0, until=16.0)} == {12.0}
    # the ending is a bar of dominant and one of tonic, and then it is silent
    assert on(events, "bass", 24.0, 28.0)
    last = on(events, since=28.0)
    assert last
    assert max(at for at, _ in last) < 28.2
    assert left(events) == set()


def test_it_stops_with_the_player_by_a_cadence() -> None:
    events = play(hand((0.0, 7.9, C), (8.0, 15.9, G7)), 60, {**LEFT_HAND, "patience": 1, "key": "C"})
    basses = on(events, "bass")
    assert 20.0 < basses[-1][0] < 30.0
    assert basses[-1][1].number % 12 == 0
    assert left(events) == set()


NEXT = ("next1", "next2", "next3", "next4")


def reports_of(
    keys: list[BeatNote], beats: float, settings: dict[str, object], *names: str
) -> tuple[Played, list[list[int]]]:
    """What is played, and by beat what is reported by names, the next four chords without them."""
    names = names or NEXT
    node = Accompany()
    said: dict[int, list[int]] = {}
    process = node.process

    def spy(io: object) -> None:
        process(io)
        if names[0] in io.reports:
            said[round(io.time.beat)] = [io.reports[name] for name in names]

    node.process = spy
    events = play(keys, beats, settings, node=node)
    return events, [said.get(beat, []) for beat in range(int(beats))]


def test_a_text_is_played_in_a_loop_and_its_next_chords_are_published() -> None:
    settings = {"follow": "text", "chords": "| C Am | F G7 |", "parts": "bass", "style": "block", "humanise": 0.0}
    events, ahead = reports_of([], 24, settings)
    basses = {round(at): e.number % 12 for at, e in on(events, "bass", 8.0)}
    assert {basses[beat] for beat in (8, 16)} == {0}
    assert {basses[beat] for beat in (10, 18)} == {9}
    assert ahead[9] == [21, 5, 7, 0]


def test_the_next_chords_of_the_left_hand_are_those_that_followed_before() -> None:
    keys = [note for n in range(6) for note in hand((n * 4 + 0.0, n * 4 + 3.9, (C, AM, F)[n % 3]))]
    # a chord whose keys come one by one is one
    keys[3:6] = [BeatNote(4.0 + 0.05 * n, 7.9, key, 0.7) for n, key in enumerate(AM)]
    _, ahead = reports_of(keys, 24, {**LEFT_HAND, "parts": "bass", "patience": 64})
    assert ahead[9] == [-1, -1, -1, -1]
    assert ahead[13] == [21, 5, 0, 21]
    assert ahead[21] == [0, 21, 5, 0]


@pytest.mark.parametrize("follow", ["listen", "both"])
def test_other_ways_to_give_a_chord(follow: str) -> None:
    """Of a `listen` node all notes are chords; a left hand comes before the melody, and the melody goes on alone."""
    up = 12 if follow == "listen" else 0
    keys = [
        BeatNote(n.start, n.end, n.pitch + up, n.velocity) for n in hand((0.0, 15.9, C), (16.0, 23.9, (41, 45, 48)))
    ]
    settings = {"follow": follow, "parts": "bass", "humanise": 0.0, "style": "block", "patience": 64}
    events = play(keys, 32, settings)
    assert {e.number % 12 for _, e in on(events, "bass", 4.0, 16.0)} == {0}
    assert {e.number % 12 for _, e in on(events, "bass", 16.2, 24.0)} == {5}
    assert on(events, "bass", 28.0)


def test_a_new_key_is_followed_within_two_bars() -> None:
    up = [BeatNote(n.start + 32, n.end + 32, n.pitch + 5, n.velocity) for n in TUNE]
    events = play([*TUNE, *up], 64, {"humanise": 0.0})
    late = [e.number % 12 for _, e in on(events, since=40.0)]
    inside = sum(p in (5, 7, 9, 10, 0, 2, 4) for p in late) / len(late)
    assert inside > 0.9


def test_a_style_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[bass.A]\nroot = "A..."\nfifth = "..1."\n')
    made = accompany_file(TUNE, {"own": str(path), "parts": "bass,drums", "humanise": 0.0}, 100.0)
    assert {n.part for n in made} == {"bass"}
    assert {n.start % 2 for n in made if n.start < 24} <= {0.0}
    for text, complaint in {
        "piano = 3": "line 1, 'piano': takes a table, not 3",
        "[oboe.A]": "'oboe'",
        '[bass.A]\nroot = "x"': "bass.A.root",
        "[bass.B]": "bass lacks A, which takes a table of lanes",
        "x =": "not TOML",
        '[bass.A]\nkick = "1"': "bass.A.kick",
    }.items():
        path.write_text(text)
        with pytest.raises(AntiphonError, match=complaint):
            accompany_file(TUNE, {"own": str(path)}, 100.0)
    with pytest.raises(AntiphonError, match="oboe"):
        accompany_file(TUNE, {"parts": "piano,oboe"}, 100.0)


def test_the_style_on_the_card_is_one(tmp_path: Path) -> None:
    card = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "card.toml"
    path.write_text(next(block for block in card.split("```toml\n") if block.startswith("meter")).partition("```")[0])
    made = accompany_file(TUNE, {"own": str(path), "parts": "all", "humanise": 0.0}, 100.0)
    assert {n.part for n in made} == {"bass", "drums"}


@pytest.mark.parametrize("follow", ["chords", "both"])
def test_a_fifth_and_a_lone_root_are_chords(follow: str) -> None:
    """Struck on the beat, a little after it, or one key after the other; what is held on stays."""
    keys = hand((0.0, 7.9, (48, 55)), (8.02, 15.9, (45,)), (16.0, 23.9, (41,)), (16.05, 23.9, (48,)))
    node, settings = Accompany(), {**LEFT_HAND, "follow": follow, "key": "C", "style": "block"}
    events = play(keys, 32, settings, node=node)
    for part in ("piano", "bass", "drums", "pad"):
        assert on(events, part, 0.0, 8.0), part
    for since, until, tones in ((0.0, 8.0, {0, 4, 7}), (8.3, 16.0, {9, 0, 4}), (16.3, 24.0, {5, 9, 0})):
        heard = [e.number % 12 for _, e in on(events, "pad", since, until)]
        assert heard, since
        assert set(heard) <= tones
    assert accompany_file(keys, {**settings, "humanise": 0.0})[0].start == 0.0, "on the first beat of a file too"


def test_a_roll_over_the_beat_is_one_chord() -> None:
    keys = hand((0.0, 7.9, C), (15.94, 23.9, (52,)), (16.02, 23.9, (57,)), (16.05, 23.9, (60,)))
    events = play(keys, 24, {**LEFT_HAND, "key": "C", "style": "block", "split": 72})
    assert {e.number % 12 for _, e in on(events, "pad", 16.06, 20.0)} == {9, 0, 4}
    assert 11 not in {e.number % 12 for _, e in on(events, "pad", 15.9, 20.0)}, "E minor, of the first key"


def test_a_player_who_stops_is_not_waited_for() -> None:
    assert reports_of([BeatNote(0.0, 3.9, 84, 0.7)], 24, {**LEFT_HAND, "patience": 1}, "waits")[1][4::19] == [[1], [0]]


@pytest.mark.parametrize(("follow", "waits"), [("chords", 1), ("listen", 1), ("melody", 2), ("both", 2)])
def test_a_band_says_what_it_is_silent_for_before_the_first_note(follow: str, waits: int) -> None:
    said = reports_of([BeatNote(6.0, 12.0, key, 0.7) for key in C], 12, {"follow": follow}, "waits")[1]
    assert said[:2] == [[waits], [waits]]
    assert said[-1] == [0]


def test_notes_of_a_tune_without_a_left_hand_are_counted_until_its_first_chord() -> None:
    tune = [BeatNote(float(n), n + 0.9, 72 + n, 0.7) for n in range(6)]
    said = reports_of([*tune, *hand((7.0, 8.0, C))], 10, LEFT_HAND, "alone")[1]
    assert [count for beat in said for count in beat] == [1, 2, 3, 4, 5, 6, 0]
    assert not any(reports_of(tune, 8, {**LEFT_HAND, "follow": "melody"}, "alone")[1])


@pytest.mark.parametrize("clock", [[], [(RATE, "stop", None)]])
def test_a_reset_forgets_the_notes_without_a_left_hand_that_are_reported(clock: list[tuple[int, str, object]]) -> None:
    notes, changes = [Event("on", n * 1000, 72 + n, 0.7) for n in range(6)], [*clock, (RATE + 1, "reset", None)]
    _, said = played_live(Accompany(), StreamSpec(RATE, 256, 1), notes, 2 * RATE, LEFT_HAND, changes)
    assert [told["alone"] for _, told in said if "alone" in told] == [1, 2, 3, 4, 5, 6, 0]


def test_a_part_has_the_level_of_its_style_before_its_first_note() -> None:
    """And again with every bar, of the style as it is then."""
    settings = {**LEFT_HAND, "style": "rock"}
    events = play(TWO, 32, settings, changes=[(8.0, "style", "swing")])
    for part in ("piano", "bass", "drums", "pad"):
        own = [(at, e) for at, e in events if e.channel == CHANNELS[part]]
        levels = [(at, e.value) for at, e in own if e.kind == "control"]
        mixes = [shipped_style(style).parts[part].mix for style in ("rock", "swing")]
        assert own[0][1].kind == "control"
        assert own[0][1].number == VOLUME
        assert [at for at, _ in levels] == pytest.approx(range(0, 32, 4), abs=0.01)
        assert [level for _, level in levels] == pytest.approx([10.0 ** (mixes[at >= 7.9] / 40.0) for at, _ in levels])


@pytest.mark.parametrize("style", [style for style in NAMES if style not in ("waltz", "bossa", "swing")])
def test_drums_fill_where_a_section_ends_and_nowhere_else(style: str) -> None:
    events = play(hand((0.0, 63.9, C)), 64, {**LEFT_HAND, "style": style, "patience": 64})
    bars = [tuple((round(4 * at) % 16, e.number) for at, e in on(events, "drums", 4 * n, 4 * n + 4)) for n in range(16)]
    # an intro, A to the fill, B to the next
    assert len(set(bars[1:7])) == 1
    assert len(set(bars[8:15])) == 1
    assert bars[7] not in bars[1:7]
    assert bars[15] not in bars[8:15]
    assert style != "chorale" or not any(bars[1:7] + bars[8:15]), "at cadences alone"


def test_a_chord_in_the_middle_of_a_bar_is_whole_where_a_voice_held_its_tone() -> None:
    # a chorale's chords last a bar: each of these has tones of the one before, in another voice
    text = "| C Am | F Dm | G Em | C Cm | Ab Fm | Db Bbm | Eb Cm | G7 C |"
    spans = spans_of(text, 4.0, None, 0.0, 32.0)
    high = [BeatNote(float(beat), beat + 0.9, 93, 0.7) for beat in range(32)]
    notes = accompany_file(high, {"style": "chorale", "parts": "all", "humanise": 0.0}, spans=spans)
    for span in spans:
        assert span.chord is not None
        for part in ("piano", "guitar", "pad"):
            heard = {n.pitch % 12 for n in notes if n.part == part and n.start < span.start + 0.5 < n.end}
            tones = span.chord.tones if len(span.chord.tones) == 3 else (*span.chord.tones[:2], span.chord.tones[3])
            assert heard == {*tones}, (span, part, heard)
