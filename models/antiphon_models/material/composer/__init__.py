"""Rule-based composition: a genre is a record of ranges (tempo, swing, drums, harmony, orchestration), a song a seed.

`rules` has the type of the record, `genres` the records, `song.compose` the songs. A song's attributes state every
random choice, so that they can serve as ground truth for analyses. The ranges of genres overlap on purpose: neither
tempo nor instruments alone tell them apart. The rules are textbook ones, written by hand and fitted to no data: the
songs resemble a genre as an arranger keyboard's preset does.
"""
