"""Parameter declarations of `accompany`."""

from antiphon.api import Param
from antiphon_accompany.band.form import VARIATIONS
from antiphon_accompany.band.styles import PARTS, STYLES
from antiphon_accompany.harmony.chords import KEYS
from antiphon_accompany.harmony.given import CHORDS_AHEAD
from antiphon_accompany.harmony.melody_chords import MIN_WHOLE_LOOKAHEAD

MOST_ALONE = 9999
"""Most notes before the first chord that are counted."""

WAITS = ("no", "chord", "note")
FOLLOW_MODES = ("melody", "chords", "both", "text", "listen")
PARAMS = (
    Param("style", "choice", "auto", choices=STYLES, doc="The pattern; auto chooses by meter, tempo and loudness."),
    Param("own", "file", "", holds="a style file", doc="A style file (TOML) of your own, played in place of `style`."),
    Param("parts", "text", "piano", doc=f"Parts that play, with commas between: {', '.join(PARTS)}."),
    Param(
        "follow",
        "choice",
        "melody",
        choices=FOLLOW_MODES,
        doc="Where its chords are from: estimated from the "
        "melody, the keys below `split`, these before the melody, `chords`, or all notes, as of a `listen`.",
    ),
    Param(
        "chords",
        "text",
        "",
        doc="Bars of chords for follow=text, as | C Am |; in files also `file`: the chords that IN has.",
    ),
    Param("split", "int", 60, 0, 127, doc="Keys below it are the left hand, for follow=chords and both."),
    Param("density", default=0.5, low=0.0, high=1.0, doc="Note density: 1 plays all of a pattern."),
    Param("intensity", default=0.5, low=0.0, high=1.0, doc="From the pattern's low intensity to its high one."),
    Param("complexity", default=0.5, low=0.0, high=1.0, doc="Variation between bars, and sevenths of its own."),
    Param(
        "variation",
        "choice",
        "auto",
        choices=VARIATIONS,
        doc="The section; auto alternates every 8 bars, a fill before each.",
    ),
    Param("fill", "trigger", doc="Plays a fill from the next beat to the end of the bar."),
    Param("break", "trigger", doc="Strikes once at the next bar and rests for the bar."),
    Param("ending", "trigger", doc="Ends with a cadence of two bars, from the next bar on."),
    Param("register", "int", 0, -24, 24, unit="semitones", doc="Transposes all parts but the drums."),
    Param("key", "choice", "auto", choices=("auto", *KEYS), doc="A fixed key; auto estimates it."),
    Param("meter", "int", 4, 2, 7, unit="beats", doc="Beats of a bar; bars begin at whole multiples of it."),
    Param("humanise", default=0.5, low=0.0, high=1.0, doc="Variation of velocity and timing; 0 is on the grid."),
    Param("patience", "int", 8, 1, 64, unit="bars", doc="Live: bars played on without a note, before the ending."),
    Param(
        "lookahead",
        "int",
        MIN_WHOLE_LOOKAHEAD,
        0,
        16,
        unit="bars",
        doc="In files: melody used ahead; from 8 on, all of it.",
    ),
    Param("seed", "int", 1, 0, 65535, doc="Random seed."),
    *(
        p
        for part in PARTS
        for p in (
            Param(f"{part}_level", default=1.0, low=0.0, high=2.0, doc=f"Factor of the velocities of the {part}."),
            Param(f"{part}_mute", "switch", False, doc=f"Silences the {part}."),
            Param(f"{part}_solo", "switch", False, doc=f"Silences all parts but the {part}, and others in solo."),
        )
    ),
    Param(
        "chord",
        "int",
        0,
        -1,
        23,
        unit="chord",
        readonly=True,
        doc="Its chord: C to B major 0 to 11, minor 12 to 23.",
    ),
    Param("waits", "choice", "no", choices=WAITS, readonly=True, doc="What it is silent until it gets."),
    Param(
        "alone",
        "int",
        0,
        0,
        MOST_ALONE,
        readonly=True,
        doc="Notes from `split` on before its first chord; chords are played below that (60: middle C), and the patch "
        "duo accompanies a tune without any.",
    ),
    Param("tonic", "int", 0, 0, 23, unit="chord", readonly=True, doc="The estimated key, in the same numbers."),
    *(
        Param(
            f"next{n}",
            "int",
            -1,
            -1,
            23,
            unit="chord",
            readonly=True,
            doc=f"Chord {n} after its chord; -1: none is known.",
        )
        for n in range(1, CHORDS_AHEAD + 1)
    ),
)
