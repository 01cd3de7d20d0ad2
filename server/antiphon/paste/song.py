"""Converts a MIDI file to a live script: one pattern per distinct bar, with its tempo map and its meters."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from antiphon.files.scores.midi_song import MidiNote, MidiSong, MidiTrack, Times
from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.clock import MAX_TEMPO, MIN_TEMPO
from antiphon.paste.script import PATCH, name_of
from antiphon.paste.translation import Translation

TICK = 1 / 960
"""Resolution in beats of onsets and lengths."""
GRID, SNAP = (48, 80), 0.003
"""Grid steps per beat for onsets, and maximum seconds by which an onset is moved to the grid."""
MAX_NOTES, MAX_BARS = 40_000, 4000
"""Maximum notes and bars of a file for a script."""
WIDTH = 110
_FAMILIES = (
    "gm_piano", "gm_celesta", "gm_drawbar_organ", "gm_acoustic_guitar_nylon", "gm_acoustic_bass", "gm_violin",
    "gm_string_ensemble_1", "gm_trumpet", "gm_soprano_sax", "gm_piccolo", "gm_lead_1_square", "gm_pad_new_age",
    "gm_fx_rain", "gm_sitar", "gm_tinkle_bell", "gm_guitar_fret_noise",
)  # fmt: skip
"""One instrument for each group of eight in General MIDI."""
_DRUMS = {
    35: "bd", 36: "bd", 37: "rs", 38: "sd", 39: "cp", 40: "sd", 41: "lt", 42: "hh", 43: "lt", 44: "hh", 45: "mt",
    46: "oh", 47: "mt", 48: "ht", 49: "cr", 50: "ht", 51: "rd", 52: "cr", 53: "rd", 54: "tb", 55: "cr", 56: "cb",
    57: "cr", 59: "rd", 69: "sh", 70: "sh", 82: "sh",
}  # fmt: skip
"""Sounds of General MIDI's drums."""
_OTHER_DRUM = "rs"
_NOTES = ("c", "cs", "d", "ds", "e", "f", "fs", "g", "gs", "a", "as", "b")


@dataclass(frozen=True, slots=True)
class _Bar:
    begin: float  # beats
    length: float


@dataclass(frozen=True, slots=True, order=True)
class _Sounding:
    """A note in a bar, in ticks; `velocity` 1 to 127."""

    at: int
    length: int
    velocity: int
    number: int
    word: str


def translate_song(song: MidiSong) -> Translation:
    """The live script of a song. Raises UsageError: it has no notes, or too many notes or bars for a script."""
    count = sum(len(track.notes) for track in song.tracks)
    if not count:
        raise UsageError("there are no notes in this MIDI file")
    if count > MAX_NOTES:
        raise UsageError(f"this MIDI file has {count:,} notes, and a script takes {MAX_NOTES:,}; paste a part of it")
    bars = list(_bars(song))
    head = ['"""A MIDI file as patterns: each bar once; what has no counterpart stands as a comment."""', ""]
    head += ["from antiphon.live import *\n", f'patch("{PATCH}")', f"tempo({_limit_song_tempo(song.tempo[0][1]):.10g})"]
    same = all(math.isclose(bar.length, bars[0].length) for bar in bars)
    if same and not math.isclose(bars[0].length, 4.0):
        head.append(f"meter({bars[0].length:g})")
    if not same:
        head.append(f"# {len({bar.length for bar in bars})} lengths of bars: {_meters(bars)}")
    lines, tracks, left_out = [], 0, list(_left_out(song))
    names: set[str] = set()
    for track in song.tracks:
        for channel in sorted({note.channel for note in track.notes}):
            notes = [note for note in track.notes if note.channel == channel]
            drums = channel in song.drums
            name = _name(track, channel, drums, names)
            lines += ["", *_track_lines(name, notes, bars, song, _sound(track, channel, drums), same=same)]
            tracks += 1
    lines += _tempo_lines(song, bars)
    text = "\n".join([*head, *(f"# {reason}" for reason in left_out), *lines]) + "\n"
    return Translation(text, tracks, len(left_out))


def _bars(song: MidiSong) -> Iterator[_Bar]:
    """Yields the bars up to the end of the last note to begin."""
    last = max(note.start for track in song.tracks for note in track.notes)
    meters = [(0.0, 4.0), *((max(0.0, at), length) for at, length in song.meters)]
    begins, at, count = [at for at, _ in meters], 0.0, 0
    while at <= last + TICK / 2:
        length = meters[bisect_right(begins, at + TICK / 2) - 1][1]
        following = next((begin for begin in begins if at + TICK / 2 < begin < at + length - TICK / 2), at + length)
        yield _Bar(at, following - at)
        at, count = following, count + 1
        if count > MAX_BARS:
            raise UsageError(f"this MIDI file has more than {MAX_BARS} bars; paste a part of it")


def _meters(bars: Sequence[_Bar]) -> str:
    runs = [(length, len(list(group))) for length, group in groupby(bar.length for bar in bars)]
    said = ", ".join(f"{count} of {length:g}" for length, count in runs[:8])
    return f"{said} beats{', and so on' if len(runs) > 8 else ''}"


def _left_out(song: MidiSong) -> Iterator[str]:
    """Events of a song that a script cannot express."""
    kinds = {"control": "controllers", "bend": "pitch bends", "program": "changes of program"}
    for track in song.tracks:
        for kind, words in kinds.items():
            found = [control for control in track.controls if control.kind == kind]
            # the first program of a channel is its instrument
            count = len(found) - (len({control.channel for control in found}) if kind == "program" else 0)
            if count > 0:
                name = " ".join(track.name.split())[:40] or "a track"
                yield f"{count} {words} of {name}: patterns of bars have none"
    if lyrics := sum(1 for _, kind, _ in song.texts if kind == "lyrics"):
        yield f"{lyrics} lyrics: `sing` takes the file itself"
    if beyond := sum(bpm != _limit_song_tempo(bpm) for _, bpm in song.tempo):
        yield f"{beyond} tempi below {MIN_TEMPO:g} or above {MAX_TEMPO:g} bpm: a script takes the nearest"


def _limit_song_tempo(bpm: float) -> float:
    return min(max(bpm, MIN_TEMPO), MAX_TEMPO)


def _name(track: MidiTrack, channel: int, drums: bool, names: set[str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", track.name.lower().encode("ascii", "ignore").decode()).strip("_")
    stem = name_of(stem or ("drums" if drums else f"part{channel}"))[:24]
    stem = f"part_{stem}" if stem[0].isdigit() else stem
    # names of the script's bars begin with it, and stand apart from the words of a script by their number
    name = next(made for made in (stem, *(f"{stem}_{n}x" for n in range(2, 2000))) if made not in names)
    names.add(name)
    return name


def _sound(track: MidiTrack, channel: int, drums: bool) -> str:
    if drums:
        return ""
    programs = [
        control.number for control in track.controls if control.kind == "program" and control.channel == channel
    ]
    return _FAMILIES[(programs[0] if programs else track.program or 0) // 8]


def _track_lines(
    name: str, notes: Sequence[MidiNote], bars: Sequence[_Bar], song: MidiSong, sound: str, *, same: bool
) -> list[str]:
    """Lines of a track: its bars, each once, and their order."""
    begins, times = [bar.begin for bar in bars], Times(song.tempo)
    held: list[list[_Sounding]] = [[] for _ in bars]
    for note in notes:
        at = _snap_beat(note.start, times)
        place = max(0, bisect_right(begins, at + TICK / 2) - 1)
        word = _pitch(note.number) if sound else _DRUMS.get(note.number, _OTHER_DRUM)
        ticks = round((at - begins[place]) / TICK)
        length = max(1, round(_snap_beat(note.end, times) / TICK) - round(at / TICK))
        held[place].append(_Sounding(ticks, length, max(1, round(note.velocity * 127)), note.number, word))
    lines, order, known = list[str](), list[str](), dict[tuple[int, tuple[_Sounding, ...]], str]()
    for bar, found in zip(bars, held, strict=True):
        size, content = round(bar.length / TICK), tuple(sorted(set(found)))
        if not content:
            order.append("silence" if same else f"({bar.length:g}, silence)")
            continue
        if (made := known.get((size, content))) is None:
            made = known[size, content] = f"{name}_{len(known) + 1}"
            lines += _assignment_lines(made, _layers(content, size, sound), f'.s("{sound}")' if sound else "")
        order.append(made if same else f"({bar.length:g}, {made})")
    runs = [(made, len(list(group))) for made, group in groupby(order)]
    words = [f"*[{made}] * {count}" if count > 2 else ", ".join([made] * count) for made, count in runs]
    played = ("cat(" if same else "timecat(") + ", ".join(words) + ")"
    more = "" if same else f", beats={sum(bar.length for bar in bars):g}"
    line = f'track("{name}", {played}{more})'
    if len(line) > WIDTH:
        return [
            *lines,
            f'track(\n    "{name}",\n    {played[: played.index("(") + 1]}',
            *_filled(words),
            f"    ){more},\n)",
        ]
    return [*lines, line]


def _filled(words: Sequence[str], before: str = " " * 8) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) + 10 > WIDTH:
            yield f"{before}{line}"
            line = ""
        line += f"{' ' if line else ''}{word},"
    yield f"{before}{line}"


def _assignment_lines(name: str, layers: Sequence[str], then: str) -> list[str]:
    if len(layers) == 1:
        return [f"{name} = {layers[0]}{then}"]
    return [f"{name} = stack(", *(f"    {layer}," for layer in layers), f"){then}"]


def _layers(content: Sequence[_Sounding], size: int, sound: str) -> list[str]:
    """Patterns of a bar, each with one chord of equal notes at a time."""
    layers: list[list[list[_Sounding]]] = []
    for _, at_once in groupby(content, key=lambda note: note.at):
        equal = [list(group) for _, group in groupby(at_once, key=lambda note: (note.length, note.velocity))]
        for place, group in enumerate(equal):
            if place == len(layers):
                layers.append([])
            layers[place].append(group)
    return [_pattern(layer, size, sound) for layer in layers]


def _pattern(groups: Sequence[Sequence[_Sounding]], size: int, sound: str) -> str:
    starts = [group[0].at for group in groups]
    steps = [after - before for before, after in pairwise((*starts, size))]
    unit = math.gcd(*starts, *steps)
    sizes = [step // unit for step in steps]

    def text(words: Sequence[str], rest: str) -> str:
        before = [f"{rest}{_weight(starts[0] // unit)}"] if starts[0] else []
        return " ".join([*before, *(f"{word}{_weight(count)}" for word, count in zip(words, sizes, strict=True))])

    words = [f"[{','.join(note.word for note in group)}]" if len(group) > 1 else group[0].word for group in groups]
    values = []
    for name, found in (
        ("length", [f"{group[0].length * TICK:.6g}" for group in groups]),
        ("velocity", [str(group[0].velocity) for group in groups]),
    ):
        if name == "length" and not sound:
            continue  # a drum sounds to its end
        values.append(f"{name}={found[0]}" if len(set(found)) == 1 else f'{name}="{text(found, "~")}"')
    return f'{"note" if sound else "s"}("{text(words, "~")}", {", ".join(values)})'


def _weight(count: int) -> str:
    return "" if count == 1 else f"@{count}"


def _pitch(number: int) -> str:
    octave = number // 12 - 1
    return f"{_NOTES[number % 12]}{octave}" if octave >= 0 else str(number)


def _snap_beat(beat: float, times: Times) -> float:
    """Moves a beat to the grid, if that is near."""
    near = min((round(beat * steps) / steps for steps in GRID), key=lambda other: abs(other - beat))
    return near if abs(times.seconds(near) - times.seconds(beat)) <= SNAP else beat


def _tempo_lines(song: MidiSong, bars: Sequence[_Bar]) -> list[str]:
    """A loop that changes the tempo; no lines for a constant tempo."""
    end = bars[-1].begin + bars[-1].length
    changes = [(at, bpm) for at, bpm in song.tempo if at < end]
    if len(changes) < 2:
        return []
    ends = [at for at, _ in changes[1:]] + [end]
    pairs = [
        f"({_limit_song_tempo(bpm):.10g}, {after - at:.10g})" for (at, bpm), after in zip(changes, ends, strict=True)
    ]
    return [
        "",
        "TEMPI = [  # bpm, and the beats that it lasts",
        *_filled(pairs, "    "),
        "]",
        "",
        "",
        "@loop",
        "def tempo_map():",
        "    for bpm, beats in TEMPI:",
        "        tempo(bpm)",
        "        yield beats",
        "    stop()",
    ]
