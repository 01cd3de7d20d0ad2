"""The genres that rules state: a record each. Tempi, grooves and progressions are those of arranging textbooks."""

from __future__ import annotations

from dataclasses import replace

from antiphon_models.material.composer.rules import GenreRules, PartRules

K, S, STICK, CLAP, HAT, OPEN, PEDAL, RIDE, CRASH = 36, 38, 37, 39, 42, 46, 44, 51, 49
TOM1, TOM2, TOM3, COWBELL, CABASA, MARACAS, TAMBOURINE, CONGA_HIGH, CONGA_LOW = 48, 45, 41, 56, 69, 70, 54, 63, 64
PIANOS, EPIANOS, ORGANS = (0, 1), (4, 5), (16, 17, 18)
NYLON, STEEL, JAZZ_GUITAR, CLEAN, MUTED, OVERDRIVE, DISTORTION = 24, 25, 26, 27, 28, 29, 30
STRINGS, SYNTH_STRINGS, CHOIR, BRASS = (48, 49), (50, 51), (52, 91), (61, 62)
NONE = PartRules((0,), ("-" * 16,), (1.0, 1.0), 0.0, (48, 72))
EIGHTHS, BACKBEAT, FLOOR = "x-x-x-x-x-x-x-x-", "----x-------x---", "x---x---x---x---"
LEADS = ("x---x-x-x---o---", "x-----x-x-----o-", "x-x-o---x-x-o---", "o---x---x-x-x---", "--x-x-o---x-x---",
         "x-------x-o-x---")  # fmt: skip

HOUSE = GenreRules(
    "house", (112, 134), (0.5, 0.56), 0.5, 0.7,
    {"minor": ("i bVII bVI bVII", "i iv bVI v", "i bIII bVII iv", "i i bVI bVII"), "major": ("I vi IV V",
        "I iii IV IV")},
    {"": ("", "maj7", "9"), "m": ("m", "m7", "m9")}, (1, 2),
    (
        {K: FLOOR, CLAP: BACKBEAT, OPEN: "--x---x---x---x-", HAT: "x-.-x-.-x-.-x-.."},
        {K: FLOOR, S: BACKBEAT, HAT: "..x-..x-..x-..xo", MARACAS: "xoxoxoxoxoxoxoxo"},
        {K: FLOOR, CLAP: "----x-------x--.", HAT: "--x---x---x---x-", TAMBOURINE: "o-x-o-x-o-x-o-x-",
        CONGA_LOW: "-.---.--.--.-.--"},
    ),
    (0, 24, 25, 8), 1.0,
    PartRules((38, 39, 33, 36), ("--r---r---r---r-", "r--r--r-r--r--o-", "--ro--ro--ro--ro", "r-----r---r-f---"),
        (0.4, 0.9), 0.97, (28, 47)),
    PartRules((0, 1, 4, 16, 18, 81, 90, 50), ("x--x--x---x--x--", "--x---x---x---x-", "x-----x---x-----",
        "--x--x----x--x--", "x--x----x--x----"), (0.3, 0.8), 0.95, (52, 76)),
    PartRules((80, 81, 4, 0, 61, 11), LEADS, (0.4, 0.9), 0.5, (60, 84)),
    PartRules((*STRINGS, *SYNTH_STRINGS, 88, 89, 52), ("x" + "-" * 15,), (1.0, 1.0), 0.6, (55, 79)),
    "mode", (0.5, 0.95), (0.0, 0.004),
)  # fmt: skip

DRUM_AND_BASS = GenreRules(
    "drum and bass", (158, 182), (0.5, 0.55), 0.5, 0.85,
    {"minor": ("i i bVI bVII", "i bVI i bVII", "i bIII iv bVI", "i i i bVI"), "major": ("I vi IV V", "I I IV vi")},
    {"": ("", "maj7", "add9"), "m": ("m", "m7", "m9")}, (2, 4),
    (
        {K: "x---------x-----", S: "----x-------x---", HAT: "x-x-x-x-x-x-x-x-", RIDE: "--------.-.-.-.-"},
        {K: "x-.-------x---.-", S: "----x--.-.--x--.", HAT: "xoxoxoxoxoxoxoxo"},
        {K: "x-x-------xx----", S: "----x--x-o--x--o", RIDE: EIGHTHS},
        {K: "x-----o---x-----", S: "----x----.--x-.-", HAT: "x-xxx-x-x-xxx-x-", OPEN: "--------------x-"},
    ),
    (0, 24, 25, 16), 1.0,
    PartRules((38, 39, 81, 33, 87), ("r---------r-----", "r-----r---f-----", "r" + "-" * 15, "r--r------o-----",
        "r-----------r-w-"), (0.8, 1.0), 0.97, (24, 45)),
    PartRules((50, 4, 5, 81, 0, 89), ("x-----x---------", "x" + "-" * 15, "x---x-----x-----", "1-3-2-4-1-3-2-4-"),
        (0.4, 1.0), 0.75, (52, 77)),
    PartRules((80, 81, 11, 4, 73), LEADS, (0.4, 1.0), 0.5, (60, 86)),
    PartRules((*STRINGS, *SYNTH_STRINGS, 88, 89, *CHOIR), ("x" + "-" * 15,), (1.0, 1.0), 0.75, (55, 79)),
    "mode", (0.6, 1.0), (0.0, 0.004),
)  # fmt: skip

HIP_HOP = GenreRules(
    "hip hop", (68, 106), (0.5, 0.64), 0.5, 0.75,
    {"minor": ("i iv i v", "i bVI bVII i", "i i iv iv", "i bVII bVI V7"), "major": ("I vi ii V", "I IV I IV")},
    {"": ("", "maj7", "9"), "m": ("m", "m7", "m9")}, (1, 2),
    (
        {K: "x--.---.-ox-.---", S: BACKBEAT, HAT: EIGHTHS},
        {K: "x-----ox--x-----", S: "----x--.-.--x---", HAT: "xoxoxoxoxoxoxoxo"},
        {K: "x--x----.-x-----", CLAP: BACKBEAT, HAT: "x-x-x-xxx-x-x-xx", OPEN: "--------------.-"},
        {K: "x-----o---x-.---", CLAP: "--------x-------", HAT: "xoxxxoxxxoxxxoxx"},
    ),
    (0, 8, 25, 24), 1.0,
    PartRules((32, 33, 38, 39, 35), ("r-----r---r-----", "r--r------f-----", "r-------r--o----", "r-----o-r-----w-"),
        (0.6, 1.0), 0.95, (26, 45)),
    PartRules((0, 4, 5, 27, 48, 11, 16), ("x-------x-------", "x-----x---------", "--x---x---x-----",
        "1---2---3---2---", "1-2-3-4-3-2-1-2-"), (0.3, 1.0), 0.9, (50, 76)),
    PartRules((11, 73, 80, 56, 4, 26), LEADS, (0.4, 0.9), 0.45, (60, 84)),
    PartRules((*STRINGS, *CHOIR, 89), ("x" + "-" * 15,), (1.0, 1.0), 0.4, (55, 76)),
    "pentatonic", (0.35, 0.8), (0.002, 0.012),
)  # fmt: skip

ROCK = GenreRules(
    "rock", (92, 168), (0.5, 0.53), 1.0, 0.4,
    {"major": ("I V vi IV", "I bVII IV I", "I IV V IV", "vi IV I V", "I I IV V"), "minor": ("i bVII bVI bVII",
        "i bVI bIII bVII", "i iv bVII i")},
    {"": ("", "", "5", "sus4"), "m": ("m", "m", "5")}, (1, 0.5, 2),
    (
        {K: "x-------x-o---.-", S: BACKBEAT, HAT: EIGHTHS},
        {K: "x-----x-x-------", S: "----x-------x--.", RIDE: EIGHTHS},
        {K: "x--x----x-x-----", S: BACKBEAT, OPEN: "x---x---x---x---"},
        {K: "x-x-----x-x-----", S: BACKBEAT, CRASH: "x---------------", HAT: EIGHTHS},
    ),
    (0, 8, 16), 0.98,
    PartRules((33, 34), ("r-r-r-r-r-r-r-r-", "r-----r-r-r-----", "r---r---r---f---", "r-r-f-r-r-r-o-w-"), (0.7, 1.0),
        0.97, (28, 47)),
    PartRules((27, 29, 30, 25, 0, 16, 18), ("x-x-x-x-x-x-x-x-", "x---x-x---x-x---", "x-----x-x---x---",
        "x-------x-------", "1-2-3-4-3-2-1-2-"), (0.5, 1.0), 0.98, (45, 72)),
    PartRules((29, 30, 27, 0, 18, 65), LEADS, (0.6, 1.0), 0.6, (57, 82)),
    PartRules((16, 18, 48, 29), ("x" + "-" * 15,), (1.0, 1.0), 0.35, (52, 74)),
    "pentatonic", (0.5, 0.95), (0.003, 0.012),
)  # fmt: skip

METAL = GenreRules(
    "metal", (104, 200), (0.5, 0.5), 1.0, 0.97,
    {"minor": ("i5 i5 bVI5 bVII5", "i5 bII5 i5 bVII5", "i5 bVI5 bIII5 bII5", "i5 i5 i5 bV5"),
        "major": ("I5 bII5 I5 bVII5",)},
    {"": ("5",), "m": ("5",)}, (1, 2, 0.5),
    (
        {K: "xxxxxxxxxxxxxxxx", S: BACKBEAT, RIDE: FLOOR, CRASH: "x---------------"},
        {K: "x-xxx-xxx-xxx-xx", S: BACKBEAT, HAT: FLOOR},
        {K: "x-x-x-x-x-x-x-x-", S: "-x-x-x-x-x-x-x-x", CRASH: FLOOR},
        {K: "xx-xxx-xxx-xxx--", S: "--------x-------", OPEN: FLOOR},
        {K: "xx--xx--xx--xxxx", S: BACKBEAT, OPEN: EIGHTHS},
    ),
    (0, 16, 8), 0.99,
    PartRules((34, 33), ("rrrrrrrrrrrrrrrr", "r-rrr-rrr-rrr-rr", "r-r-r-r-r-r-r-r-", "rr-rrr-rrr-rrr--"), (0.6, 0.9),
        0.95, (28, 42)),
    PartRules((30, 29, 30), ("bbxbbxbbxbbxbxbx", "b-bbb-bbx---bbbb", "xxxxxxxxxxxxxxxx", "x-xxx-xxx-xxx-xx",
        "bbbbx-bbbbx-bbx-"), (0.4, 0.9), 1.0, (38, 57)),
    PartRules((30, 29, 81), (*LEADS, "xxxxxxxxxxxxxxxx", "x-xxx-xxx-xxx-xx"), (0.7, 1.0), 0.55, (60, 88)),
    PartRules((30, 48, 52), ("x" + "-" * 15,), (1.0, 1.0), 0.3, (48, 69)),
    "mode", (0.75, 1.0), (0.001, 0.008),
)  # fmt: skip

REGGAE = GenreRules(
    "reggae", (62, 96), (0.5, 0.64), 1.0, 0.5,
    {"major": ("I IV I V", "I V vi IV", "I ii I ii", "I I IV V"), "minor": ("i iv i v", "i bVII i bVII",
        "i i iv iv")},
    {"": ("", "", "6"), "m": ("m", "m7")}, (1, 0.5, 2),
    (
        {K: "--------x-------", STICK: "--------x-------", HAT: "x-x-x-x-x-x-x-xo"},
        {K: "--------x-----.-", S: "--------x------.", HAT: "xoxoxoxoxoxoxoxo", OPEN: "------.-------.-"},
        {K: FLOOR, STICK: "--------x--.--.-", HAT: "--x---x---x---x-"},
        {K: "x-------x-------", S: "--------x-------", HAT: EIGHTHS, CONGA_LOW: "---.--.---.--.--"},
    ),
    (0, 8), 0.97,
    PartRules((32, 33, 35, 38), ("r---r-t-f-------", "--r-r---f-t-r---", "r-----r-f---s---", "----r-r-t-f-----",
        "r--r----f--t----"), (0.6, 0.95), 0.98, (26, 45)),
    PartRules((27, 28, 0, 16, 25), ("----x-------x---", "--x---x---x---x-", "----xx------xx--", "--xx--xx--xx--xx"),
        (0.2, 0.45), 1.0, (55, 77)),
    PartRules((56, 61, 65, 17, 73, 27), LEADS, (0.5, 0.9), 0.45, (58, 82)),
    PartRules((16, 17, 18), ("--x---x---x---x-", "-x-x-x-x-x-x-x-x"), (0.3, 0.6), 0.6, (55, 76)),
    "pentatonic", (0.3, 0.7), (0.003, 0.014),
)  # fmt: skip

JAZZ = GenreRules(
    "jazz", (96, 236), (0.59, 0.68), 1.0, 0.35,
    {"major": ("iim7 V7 Imaj7 VI7", "Imaj7 vi7 iim7 V7", "iii7 VI7 iim7 V7", "Imaj7 IV7 iii7 VI7 iim7 V7 I6 V7"),
     "minor": ("iim7b5 V7b9 i i6", "i iv7 bVII7 bIIImaj7", "i6 iim7b5 V7b9 i6")},
    {"": ("maj7", "6", "maj9"), "m": ("m7", "m9", "m6")}, (1, 0.5),
    (
        {RIDE: "x---x-x-x---x-x-", PEDAL: BACKBEAT, K: ".---.---.---.---", S: "--.---.-.-.---.-"},
        {RIDE: "x---x-x-x---x-x-", PEDAL: BACKBEAT, S: "------.---.---o-"},
        {HAT: "x---x-x-x---x-x-", K: "x-------o-------", S: "----o-.-----o-.-"},
        {RIDE: "x-x-x-x-x-x-x-x-", PEDAL: BACKBEAT, K: "o-----.-----.---"},
    ),
    (32, 40, 0), 0.85,
    PartRules((32, 32, 33), ("r---w---f---w---", "r---t---f---w---", "r---f---o---w---", "r-w-t---f---w-w-"), (0.8,
        1.0), 0.95, (28, 50)),
    PartRules((0, 1, 26, 4, 16), ("x-----x---------", "------x-------x-", "x-------------x-", "--x-------x-----",
        "x---------x---o-"), (0.25, 0.8), 0.95, (50, 74)),
    PartRules((65, 66, 56, 0, 26, 11, 71), ("x-x-x-x-x-x-o---", "--x-x-x-x-o-x-x-", "x---x-x-o-x-x-o-",
        "x-x-o-x-x-----x-"), (0.6, 0.95), 0.85, (55, 84)),
    replace(NONE, chance=0.05, programs=(48,), rows=("x" + "-" * 15,)),
    "mode", (0.3, 0.75), (0.004, 0.016),
)  # fmt: skip

_TWELVE = "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7"
BLUES = GenreRules(
    "blues", (58, 136), (0.6, 0.68), 1.0, 0.3,
    {"major": (_TWELVE, "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7", "I7 IV7 I7 V7"),
     "minor": ("i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 i7", "i7 iv7 i7 V7")},
    {"": ("7", "9", "6"), "m": ("m7",)}, (1,),
    (
        {K: "x-------x-----.-", S: BACKBEAT, HAT: EIGHTHS},
        {K: "x-------x-.-----", S: BACKBEAT, RIDE: "x---x-x-x---x-x-"},
        {K: "x----.x-----", S: "---x-----x--", HAT: "xxxxxxxxxxxx"},
        {K: "x-----x--.--", S: "---x-----x--", RIDE: "x-xx-xx-xx-x"},
    ),
    (0, 8, 40), 0.9,
    PartRules((33, 32, 34), ("r---t---f---s---", "r-r-t-t-f-f-s-s-", "r-----r-f-----r-", "r-----f---w-"), (0.6,
        0.95), 0.93, (28, 48)),
    PartRules((27, 26, 0, 17, 29, 25), ("x-x-u-x-x-x-u-x-", "x-------x-----x-", "b-u-b-u-b-u-b-u-",
        "--x---x---x---x-", "x-x-x-x-x-x-x-x-"), (0.4, 0.9), 0.97, (47, 72)),
    PartRules((27, 29, 22, 0, 65, 26), ("x-x-x---o-x-----", "--x-x-x-x-------", "x---x-x---x-x---", "xxx-x-x-----",
        "--xxx-x---xx"), (0.6, 1.0), 0.8, (57, 82)),
    replace(NONE, chance=0.2, programs=(16, 17), rows=("x" + "-" * 15,), register=(52, 74)),
    "blues", (0.3, 0.8), (0.004, 0.016),
)  # fmt: skip

BOSSA = GenreRules(
    "bossa nova", (104, 164), (0.5, 0.52), 1.0, 0.4,
    {"major": ("Imaj7 Imaj7 II7 II7 iim7 V7 Imaj7 Imaj7", "Imaj7 vi7 iim7 V7", "Imaj9 iv6 Imaj9 V7b9"),
     "minor": ("i6 i6 iv7 iv7 iim7b5 V7b9 i6 i6", "i9 iv7 V7b9 i9")},
    {"": ("maj7", "maj9", "6"), "m": ("m7", "m9", "m6")}, (1, 2),
    (
        {K: "x-----x-x-----x-", STICK: "x-----x-----x-------x-----x-----", HAT: EIGHTHS},
        {K: "x-----x-x-----x-", STICK: "----x-----x-----x-----x---x-----", CABASA: "xoxoxoxoxoxoxoxo"},
        {K: "x-----x-x-----x-", STICK: "x-----x-------x-----x-----x-----", MARACAS: EIGHTHS,
        RIDE: "x-x-x-x-x-x-x-x-"},
        {MARACAS: "x-xxx-xxx-xxx-xx", CONGA_HIGH: "----x-------xx--", STICK: "x-----x-----x-------x-----x-----"},
    ),
    (0, 32, 40), 0.88,
    PartRules((32, 33, 35), ("r-----f-f-----r-", "r-----r-f-----f-", "r-----f-r-----f-"), (0.7, 1.0), 0.95, (28, 47)),
    PartRules((24, 25, 0, 26, 4), ("b-u---u-b-u---u-b---u---b-u---u-", "x---x-----x---x---x---x-----x---",
        "b---u-u-b---u-u-b-u---u-b---u-u-", "x-----x-----x-------x-----x-----"), (0.35, 0.8), 1.0, (48, 72)),
    PartRules((73, 65, 24, 0, 11, 71, 26), ("x-----x---x-----x---x-------x---", "--x---x-----x---x-----x---------",
        "x---x-x-----x-------x-x-----x---"), (0.7, 1.0), 0.7, (60, 84)),
    replace(NONE, chance=0.2, programs=(48, 49), rows=("x" + "-" * 15,), register=(55, 79)),
    "mode", (0.2, 0.6), (0.003, 0.012),
)  # fmt: skip

COUNTRY = GenreRules(
    "country", (84, 164), (0.5, 0.56), 1.0, 0.12,
    {"major": ("I I IV I I I V V", "I IV I V", "I V I I IV I V I", "I IV V I"), "minor": ("i bVII i bVII",
        "i iv V i")},
    {"": ("", "", "add9"), "m": ("m",)}, (1, 2),
    (
        {K: "x-------x-------", S: "x.xox.xox.xox.xo"},
        {K: "x-------x-------", S: BACKBEAT, HAT: EIGHTHS},
        {K: "x-------x-------", STICK: BACKBEAT, HAT: "x---x-x-x---x-x-"},
        {K: "x-------x-----o-", S: "..x-..x-..x-..xo", TAMBOURINE: BACKBEAT},
    ),
    (0, 8, 40), 0.85,
    PartRules((32, 33, 33), ("r-------f-------", "r-------f-----w-", "r---w---f---w---"), (0.5, 0.9), 0.95, (28, 47)),
    PartRules((25, 24, 27, 0, 21), ("b---x---b---x---", "b---x-x-b---x-x-", "b---xxx-b---xxx-", "b-u-3-u-b-u-2-u-"),
        (0.35, 0.9), 1.0, (45, 71)),
    PartRules((40, 105, 25, 22, 27, 110, 0), ("x-x-x-x-x-x-x-x-", "xxx-x-x-xxx-x-x-", "x---x-x-x-x-x---",
        "x-x-x---x-x-o---"), (0.6, 1.0), 0.8, (57, 84)),
    replace(NONE, chance=0.25, programs=(48, 25, 105), rows=("1-2-3-2-1-2-3-2-", "1323132313231323"),
        articulation=(0.6, 1.0), register=(55, 76)),
    "pentatonic", (0.35, 0.8), (0.003, 0.012),
)  # fmt: skip

CLASSICAL = GenreRules(
    "classical", (58, 152), (0.5, 0.5), 1.0, 0.45,
    {"major": ("I IV V I", "I vi ii V7", "I V7 I V", "I ii V7 I IV I V7 I"), "minor": ("i iv V i", "i bVI iv V7",
        "i V i V7", "i iim7b5 V7 i")},
    {"": ("",), "m": ("m",)}, (1, 0.5),
    ({},), (0,), 0.0,
    PartRules((42, 43, 0, 6, 70, 58), ("r-------f-------", "r---f---r---w---", "r---------------",
        "r---t---f---o---"), (0.7, 1.0), 0.75, (33, 55)),
    PartRules((0, 6, 48, 45, 46, 19, 24), ("1323132313231323", "1-3-2-3-1-3-2-3-", "x---x---x---x---",
        "b---u---u---u---", "1234323412343234", "x-------x-------"), (0.5, 1.0), 0.95, (50, 74)),
    PartRules((40, 73, 68, 71, 0, 60, 6, 48), ("x---x-x-x---x---", "x-------x---x-x-", "xxxxxxxxx---x---",
        "x---x---x-x-x-x-", "x-x-x-x-x-x-x-x-", "x-----x-x-------"), (0.7, 1.0), 0.97, (58, 86)),
    PartRules((48, 49, 60, 41), ("x" + "-" * 15, "x-------x-------"), (0.9, 1.0), 0.5, (50, 74)),
    "mode", (0.1, 0.75), (0.005, 0.02), rubato=0.07,
)  # fmt: skip

AMBIENT = GenreRules(
    "ambient", (48, 104), (0.5, 0.5), 1.0, 0.5,
    {"major": ("I IV", "Imaj7 vi", "I iii IV", "Isus2 IVmaj7"), "minor": ("i bVI", "i bVII bVI", "i iv",
        "isus2 bVImaj7")},
    {"": ("", "maj7", "sus2", "add9", "maj9"), "m": ("m", "m7", "m9", "sus2")}, (2, 4),
    ({}, {MARACAS: "x-------.-------"}, {K: "x---------------", RIDE: "----.-------.---"}), (0, 24), 0.25,
    PartRules((38, 39, 89, 43, 33), ("r" + "-" * 31, "r" + "-" * 15), (0.95, 1.0), 0.6, (28, 45)),
    PartRules((88, 89, 4, 11, 46, 0, 24, 95), ("1---3---2---4---", "x" + "-" * 31, "1-------3-----4-",
        "1-2-3-4-1-2-3-4-", "----1-------3---"), (0.9, 1.0), 0.85, (52, 79)),
    PartRules((88, 73, 0, 11, 80, 92, 46), ("x-------o-------" + "-" * 16, "--------x-----o-", "x---------o-----",
        "x-----------x---"), (0.9, 1.0), 0.55, (62, 88)),
    PartRules((88, 89, 91, 94, 95, 48, 50, 52), ("x" + "-" * 31,), (1.0, 1.0), 1.0, (48, 76)),
    "pentatonic", (0.0, 0.35), (0.005, 0.025), rubato=0.04,
)  # fmt: skip

GENRES = (HOUSE, DRUM_AND_BASS, HIP_HOP, ROCK, METAL, REGGAE, JAZZ, BLUES, BOSSA, COUNTRY, CLASSICAL, AMBIENT)
