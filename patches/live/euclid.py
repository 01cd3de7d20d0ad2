"""Percussion in several lengths at once: over a bell's cycle of four beats go others of five, three, three and a half
and less, each an even spread of strokes. All break off, a balafon leads into another mode, and at the end everyone
plays one rhythm.

antiphon render patches/live/euclid.py --bars 30 --out euclid.wav
"""

from antiphon.live import *

patch("ensemble")
seed(17)
tempo(120)

# General MIDI: 60 to 64 bongos and congas, 67 an agogo, 75 claves, 76 and 77 wood blocks, 82 a shaker
STOP = (12, 13, 14, 15)  # the bars in which one after the other is silent: 13 for all, but for a balafon and a gong
END = 28  # the bar from which on all play one rhythm


def here(first, last, off=()):
    """A mask of one word per bar: 1 from bar `first` until `last`, without the bars of `off`."""
    return f"<{' '.join('1' if first <= bar < last and bar not in off else '0' for bar in range(30))}>"


def spread(sound, pulses, steps, beats, first, off=STOP[1:3], **values):
    """An even rhythm over a cycle of `beats`, silent in the breaks and at the end."""
    pattern = note(sound).euclid(pulses, steps).set(**values)
    return pattern.mask(mini(here(first, END, off)).fast(beats / 4))


# the time line, in twelve, as it is from Ghana to Cuba; and four that go their own ways
track("bell", spread(67, 7, 12, 4, 0, off=STOP[1:2], velocity="[112 74 84 96 72 88 78]"), on="hands", beats=4)
track("shaker", note("[82 82 82]*4", velocity="[80 40 56]*4").mask(here(2, 30, STOP)), on="hands")
track("low", spread(64, 3, 8, 4, 2, off=STOP[:3], velocity="112 84 100"), on="hands", beats=4)
track("open", spread(63, 5, 16, 5, 4, off=STOP[:3], velocity="104 70 88 76 96"), on="hands", beats=5)
track("slap", spread(62, 4, 7, 7 / 2, 6, off=STOP[:3], velocity="78 100 70 90"), on="hands", beats=7 / 2)
track("bongos", spread("<60 61>", 5, 9, 3, 8, off=STOP, velocity="88 62 74 66 80"), on="hands", beats=3)
track("claves", spread(75, 5, 16, 4, 16, velocity=92), on="hands", beats=4)
track("blocks", spread("<76 77 77>", 3, 7, 7 / 4, 18, velocity="84 60 70"), on="hands", beats=7 / 4)
toms = s("lt(3,8), ht(5,16,2)", gain="0.9 0.6", pan="0.35 0.7 0.5").mask(here(10, 28, STOP))
track("toms", toms.sometimes_by(0.15, put(speed=1.25)), on="toms")

# a balafon in five notes, hands in seven and five: pentatonic on d, then on f
right = note(scale("d4 minPent", "<4 7 5 2 6 3 5>(7,12,2)"), velocity="92 66 76 84 62 80 70")
left = note(scale("d3 minPent", "<0 2 4 1 3>(5,12)"), velocity="96 70 84 74 88")
track("right", right.mask(here(14, 28)).add(here(16, 24).replace("1", "3")), on="balafon", beats=4, pan=0.66)
track("left", left.mask(here(13, 28)).add(here(16, 24).replace("1", "3")), on="balafon", beats=4, pan=0.34)
track(
    "canon",
    right.late(1 / 4).mask(here(20, 28)).add(12).add(here(16, 24).replace("1", "3")),
    on="balafon",
    pan=0.85,
    beats=4,
    velocity=54,
)
gongs = note("<d3 ~ a2 ~ d3 ~ a2 [~ d2] d3 ~ a2 ~ d2 ~ ~ ~ f2 ~ c3 ~ f2 ~ c3 ~ d3 a2 d3 a2 d2 ~>", velocity=96)
track("gong", gongs.set(pan=0.5), on="gong", beats=4)

# where all break off: one stroke for all, and silence up to the bell
track("break", note("[64,63,67] ~ ~ [~ [64,63,67]]", velocity=118).mask(here(12, 13)), on="hands")
# the end: the time line for everyone, twice, and a last stroke
last = note("[64,67,62,75]", velocity="[118 90 96 108 88 100 92]").euclid(7, 12)
track("last", last.mask(here(28, 29)), on="hands")
track("lasttoms", s("[lt,ht]", gain=0.9).euclid(7, 12).mask(here(28, 29)), on="toms")
track("end", note("[64,67,63,60]", velocity=120).struct("t ~ ~ ~").mask(here(29, 30)), on="hands")
track("endtom", s("lt", speed=0.7, gain=1.2).mask(here(29, 30)), on="toms")

node("send").gain = "<0.1!10 0.3 0.5 0.9 0.9 0.5 0.2 0.1!10 0.2 0.3 0.4 0.7>"
