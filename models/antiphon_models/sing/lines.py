"""Lines of old songs: 12 with a score, and 38 more that a listener could take them for."""

from __future__ import annotations

from typing import NamedTuple


class SungLine(NamedTuple):
    """A line with its score.

    Attributes:
        lyrics: Syllables as singers write them.
        notes: Note numbers.
        beats: Length of each in beats.
        bpm: Tempo.
    """

    lyrics: str
    notes: str
    beats: str
    bpm: float


SUNG = (
    SungLine("twin-kle twin-kle lit-tle star how I won-der what you are",
             "60 60 67 67 69 69 67 65 65 64 64 62 62 60", "1 1 1 1 1 1 2 1 1 1 1 1 1 2", 120),
    SungLine("row row row your boat gent-ly down the stream",
             "60 60 60 62 64 64 62 64 65 67", "1.5 1.5 1 .5 1.5 1 .5 1 .5 2", 150),
    SungLine("ma-ry had a lit-tle lamb its fleece was white as snow",
             "64 62 60 62 64 64 64 64 62 62 64 62 60", "1 1 1 1 1 1 2 1 1 1 1 1 2", 132),
    SungLine("lon-don bridge is fall-ing down my fair la-dy",
             "67 69 67 65 64 65 67 62 67 64 60", "1.5 .5 1 1 1 1 2 2 2 1 2", 140),
    SungLine("oh when the saints go march-ing in", "60 64 65 67 64 60 64 62", "1 1 1 3 1 1 1 3", 160),
    SungLine("a-maz- - ing grace how sweet the sound", "55 60 64 62 64 62 60 57 55", "1 2 .5 .5 2 1 2 1 3", 90),
    SungLine("hap-py birth-day to you hap-py birth-day dear friend",
             "55 55 57 55 60 59 55 55 67 64 60 59", ".75 .25 1 1 1 2 .75 .25 1 1 1 2", 100),
    SungLine("si- - lent night ho- - ly night all is calm all is bright",
             "67 69 67 64 67 69 67 64 74 74 71 72 72 67", "1.5 .5 1 3 1.5 .5 1 3 2 1 3 2 1 3", 120),
    SungLine("my bon-nie lies o-ver the o-cean",
             "55 64 62 60 62 60 57 55 52", "1 1.5 .5 1 1 1 1 1 3", 110),
    SungLine("glo- - - ri- - a in ex-cel-sis de-o", "67 69 67 65 67 64 60 62 64 65 62 60",
             "1 .5 .5 .5 .5 1 1 1 1 1 1 2", 100),
    SungLine("joy to the world the lord is come", "72 71 69 67 65 64 62 60", "1.5 .75 .25 1.5 .5 1 1 2", 96),
    SungLine("deck the halls with boughs of hol-ly", "67 65 64 62 60 62 64 60", "1.5 .5 1 1 1 1 1 1", 130),
)  # fmt: skip
"""12 lines: 90 to 160 bpm, leaps to an octave, melismas."""
OTHERS = tuple(
    """
auld acquaintance be forgot and never brought to mind
baa baa black sheep have you any wool
itsy bitsy spider climbed up the water spout
the farmer in the dell the farmer in the dell
pop goes the weasel all around the mulberry bush
jingle bells jingle bells jingle all the way
danny boy the pipes are calling
home on the range where the deer play
yankee doodle went to town a riding on a pony
old macdonald had a farm
down in the valley the valley so low
skip to my lou my darling
michael row the boat ashore
swing low sweet chariot coming for to carry me home
go tell it on the mountain over the hills and far away
oh susanna don't you cry for me
camptown ladies sing this song
she'll be coming round the mountain when she comes
hickory dickory dock the mouse ran up the clock
three blind mice see how they run
humpty dumpty sat on a wall
jack and jill went up the hill
little bo peep has lost her sheep
ring around the roses a pocket full of posies
pat a cake baker's man
hush little baby don't say a word
rock a bye baby on the tree top
the first noel the angel did say
away in a manger no crib for a bed
good king wenceslas looked out
we three kings of orient are
hark the herald angels sing
we wish you a merry christmas
scarborough fair parsley sage rosemary and thyme
greensleeves was all my joy
what shall we do with a drunken sailor
drink to me only with thine eyes
nobody knows the trouble i've seen
""".strip().split("\n")
)
"""38 lines that are not sung."""


def plain(lyrics: str) -> str:
    """The words of lyrics, as a recogniser knows them."""
    return lyrics.lower().replace("- - - ", "").replace("- - ", "").replace("-", "")
