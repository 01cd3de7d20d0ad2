"""A techno build of 32 bars: a kick, then hats, claps, a bass that opens, stabs; all of it out for four bars and back.

antiphon render patches/live/build.py --bars 32 --out build.wav
"""

from antiphon.live import *

patch("band")
seed(12)
tempo(128)

# where a part plays: a word a four bars
kick = "<1 1 1 1 1 0 1 1>/4"
hats = "<0 1 1 1 1 1 1 1>/4"
claps = "<0 0 1 1 1 0 1 1>/4"
bass = "<0 0 0 1 1 1 1 1>/4"
stabs = "<0 0 1 0 1 1 1 0>/4"

track("kick", s("bd*4").mask(kick))
track("hats", s("[~ oh]*4, hh*16?0.2", gain="0.5 0.3 0.4 0.3").mask(hats).swing(1 / 6, 8))
track("claps", s("~ cp ~ cp").every(4, off(1 / 16, put(gain=0.4))).mask(claps))
track("toms", s("[lt|mt|ht]*8", gain=0.5).degrade_by(0.7).mask("<0 0 0 1>"))
track("bass", note(scale("a1 minor", "0 0 [~ 0] 0 0 [0 7] [~ 0] <3 4 -1 4>"), legato=0.8).mask(bass), on="bass")
track("stabs", note("a3(3,8,<0 2>)", velocity=90).add("<0 0 3 -2>").mask(stabs), on="stab")

node("tone").cutoff = saw.slow(16).range(500, 6000)
node("send").gain = "<0.1 0.1 0.2 0.5>/4"
