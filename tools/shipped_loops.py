"""Renders the loops of `library/styles`: seven parts of two bars in each of twelve styles, by the patch `strudel`.

`.venv/bin/python tools/shipped_loops.py [STYLE…]`, after a style or the kit has changed; then
`tools/shipped_sounds.py`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import antiphon
from antiphon.api.backends.files import built_in_folder
from antiphon.files.input_loop import resampled_loop

RATE = 24000
LEVEL = 0.2
"""Root mean square of the loudest second of a loop, less where its peak would pass PEAK."""
PEAK = 0.89
QUALITY = 0.95
"""Of the Vorbis encoder: 1 is the smallest file."""
STYLES = {
    # beats a minute; a chord for each bar; drums; percussion; bass and its rhythm; chords and theirs; a lead; a pad
    "house": (124, "a3,c4,e4,g4|f3,a3,c4,e4", "tr909_bd*4;~ tr909_cp;[~ tr909_hh]*4", "cabasa*16;conga(3,8,2)",
              "upright", "x ~ [~ x] x", "epiano", "[~ x] [~ x] ~ x", "vibes", "0 ~ 2 [3 2]", "pad"),
    "techno": (132, "d3,f3,a3|d3,f3,bf3", "tr909_bd*4;~ tr909_rs*2;[~ tr909_oh]*4", "rs(5,16);sh*8",
               "reese", "[~ x x x]*4", "stab", "x(3,8)", "square", "0 0 [2 1] 0", "drone"),
    "jungle": (172, "e3,g3,b3,d4|c3,e3,g3,b3", "[bd ~ ~ ~] [sd ~ ~ sd] [~ sd bd ~] [sd ~ ~ ~];hh*8", "tabla(7,16);sh*8",
               "sub", "x ~ ~ [~ x]", "wurli", "~ x(3,8)", "flute", "3 [2 1] 0 ~", "supersaw"),
    "dub": (72, "g3,bf3,d4|c3,ef3,g3", "~ [bd,rs];[hh hh:1]*4", "~ bongo*3 ~ wb", "bass", "x [~ x] x [x ~]", "organ",
            "[~ x]*4", "clav", "0 ~ [1 2] ~", "voice"),
    "hiphop": (90, "c3,ef3,g3,bf3|af3,c4,ef4", "bd [sd bd] [~ bd] sd;hh*8", "tb*4;~ snap", "fmbass", "x [~ x] ~ [x x]",
               "piano", "x ~ [~ x] ~", "whistle", "2 1 [0 1] ~", "pad"),
    "lofi": (78, "f3,a3,c4,e4|d3,f3,a3,c4", "lofi_bd lofi_sd [lofi_bd lofi_bd] lofi_sd;lofi_hh*8", "lofi_sh*8;vinyl",
             "bass", "x ~ [x x] ~", "wurli", "x ~ x ~", "kalimba", "3 2 [1 2] 0", "pad"),
    "disco": (116, "e3,g3,b3,d4|a3,c4,e4,g4", "bd*4;~ [sd,cp];[hh oh]*4", "tb*8;cb(3,8)", "pickbass", "[x x]*4",
              "nylon", "[~ x x x]*4", "brass", "~ [0 2] 3 ~", "supersaw"),
    "funk": (104, "d3,f3,a3,c4|g3,b3,d4,f4", "[bd ~ ~ bd] [sd ~ ~ sd] [~ sd bd ~] [sd ~ ~ ~];hh*16",
             "conga(5,16);agogo*2", "bass", "[x ~ ~ x] [~ x ~ x] [x ~ ~ ~] [~ x x ~]", "clav",
             "[x ~ x x] [~ x ~ x] ~ [x ~ x ~]",
             "sawbass", "[0 2] ~ [3 2] 0", "organ"),
    "bossa": (136, "g3,b3,d4,fs4|a3,c4,e4,g4", "[bd ~ ~ bd]*2;rs(5,16,2);hh*8", "sh*8;agogo(3,8)", "upright",
              "[x ~ ~ x]*2", "nylon", "[x ~] [~ x] [~ x] ~", "flute", "3 2 ~ [1 0]", "voice"),
    "ambient": (64, "d3,a3,e4|g3,d4,a4", "~ boom ~ ~;~ ~ glass ~", "rain;wind", "sub", "x", "celesta", "[x ~] ~ x ~",
                "harp", "0 1 2 3", "drone"),
    "electro": (128, "f3,af3,c4|df3,f3,af3", "[tr808_bd ~ ~ tr808_bd] tr808_sd [~ tr808_bd] tr808_sd;tr808_hh*8",
                "tr808_cb(3,8);tr808_sh*8", "squarebass", "[x x ~ x]*4", "saw", "[x ~ ~ x] [~ ~ x ~]", "chip",
                "0 1 2 3 0 1 2 3", "supersaw"),
    "waltz": (150, "c3,e3,g3|f3,a3,c4", "bd ~ ~;~ hh hh", "tri ~ ~;~ frame frame", "upright", "x ~ ~", "accordion",
              "~ x x", "glock", "2 1 0", "pizz"),
}  # fmt: skip


def lines(style: str) -> dict[str, str]:
    """The parts of a style by name, each as a pattern of a live script."""
    _, chords, drums, more, bass, bass_beat, keys, keys_beat, lead, tune, pad = STYLES[style]
    bars = [chord.split(",") for chord in chords.split("|")]

    def turned(beat: str, note: list[str]) -> str:
        return beat.replace("x", note[0] if len(note) == 1 else f"[{','.join(note)}]")

    def bar(beat: str, *notes: list[str]) -> str:
        return "<" + " ".join(f"[{turned(beat, note)}]" for note in notes) + ">"

    def octave(note: str, up: int) -> str:
        return note[:-1] + str(int(note[-1]) + up)

    steps = [[octave(chord[min(int(step), len(chord) - 1)], 1) for step in "0123"] for chord in bars]
    melody = "<" + " ".join(f"[{''.join(n[int(c)] if c.isdigit() else c for c in tune)}]" for n in steps) + ">"
    return {
        "drums": f"stack({', '.join(f's({one!r})' for one in drums.split(';'))})",
        "percussion": f"stack({', '.join(f's({one!r})' for one in more.split(';'))}).gain(0.7)",
        "bass": f"note({bar(bass_beat, *([octave(one[0], -1)] for one in bars))!r}).s({bass!r})",
        "chords": f"note({bar(keys_beat, *bars)!r}).s({keys!r}).gain(0.5)",
        "lead": f"note({melody!r}).s({lead!r})",
        "pad": f"note({bar('x', *bars)!r}).s({pad!r}).gain(0.4)",
        "bells": f"note({bar('~ x ~ x', *([octave(one[-1], 1)] for one in bars))!r}).s('bell').gain(0.5)",
    }


def rendered(style: str, line: str, folder: str) -> np.ndarray:
    """Two bars of a part, mono, with what sounds of the bars before: its end goes on at its beginning."""
    beats = 3 if style == "waltz" else 4
    bpm = STYLES[style][0]
    script = Path(folder, "loop.py")
    # a cycle is four beats of the clock: a bar of three is as long at four thirds of the tempo
    script.write_text(
        f'from antiphon.live import *\n\npatch("strudel")\ntempo({bpm * 4 / beats:.4f})\ntrack("a", {line})\n'
    )
    found = antiphon.render(str(script), bars=4)
    wide = round(2 * beats * 60 / bpm * found.rate)
    sound = resampled_loop(found.sound[:, wide : 2 * wide].mean(axis=0, keepdims=True), found.rate, RATE)[0]
    windows = np.convolve(sound**2, np.ones(RATE) / RATE, "valid") if sound.size > RATE else [np.mean(sound**2)]
    return sound * min(LEVEL / np.sqrt(np.max(windows)), PEAK / np.abs(sound).max())


def main() -> None:
    for style in sys.argv[1:] or STYLES:
        target = built_in_folder("library") / "styles" / style
        target.mkdir(parents=True, exist_ok=True)
        for part, line in lines(style).items():
            with tempfile.TemporaryDirectory() as folder:
                sound = rendered(style, line, folder)
            soundfile.write(
                target / f"{part}.ogg", sound, RATE, format="OGG", subtype="VORBIS", compression_level=QUALITY
            )
            print(f"{style}/{part}: {sound.size / RATE:.2f} s")


if __name__ == "__main__":
    main()
