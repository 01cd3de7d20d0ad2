"""Rule-based composition: a genre is a record of ranges (tempo, swing, drums, harmony, orchestration), a song a seed.

`rules` has the type of the record, `genres` the records, `song.compose` the songs. Everything that
was drawn is stated in a song's attributes, so that it can serve as truth for whatever listens. The ranges of genres
overlap on purpose: neither tempo alone nor one instrument alone decides. The rules are textbook ones, written by hand
and fitted to no data: what they compose resembles a genre as an arranger's preset does, and is not the music itself.
"""
