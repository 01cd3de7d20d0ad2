"""The file job `antiphon run sing SCORE.mid OUT.wav`: a score sung, as long as it is."""

from __future__ import annotations

from antiphon.api import UsageError
from antiphon.api.files import AudioWriter, printable_path
from antiphon.api.jobs import FileJob, Written, fade_out, is_midi
from antiphon.api.lyrics import syllables
from antiphon.api.rendering import TimedNote, load_plugins, render_parts
from antiphon_sing.score import XML_SUFFIXES, divide_part, read_score

RATE = 48000
CHANNELS = 2
LEAD = 350.0
"""Milliseconds in which a file's consonants and ends of words find their place."""
LONGEST = 1000
"""Characters of the lyrics of one node."""
VOWEL = "la"
"""What is sung where a score has no words."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Sings a MIDI file or MusicXML: each track with notes is a voice.

    Args:
        job: `settings` are parameters of the node; lyrics that are given are sung by every track, else those of the
            file are.

    Raises:
        UsageError: It is no score, or there is no text.
        FileError: A file cannot be read or written.
    """
    if not is_midi(job.source) and job.source.suffix.lower() not in XML_SUFFIXES:
        raise UsageError("sing takes a score: IN must end in .mid, .midi, .musicxml, .xml or .mxl")
    parts, seconds = read_score(job.source)
    given = str(job.settings.get("lyrics", ""))
    own = [] if given else [part.lyrics() for part in parts]
    bare = not given and not any(own)
    if bare:
        given = VOWEL
        job.complain('there are no lyrics in the score, which is sung on la; give them: -p lyrics="twin-kle twin-kle"')
    voices = []
    for n, part in enumerate(parts):
        text = given or own[n]
        if not text:
            job.complain(f"the track {part.name or n + 1} has no lyrics and is not sung")
            continue
        count, need = len(syllables(text)), part.onsets()
        if given and count != need and not bare:
            whose = f"{part.name or f'track {n + 1}'}: " if len(parts) > 1 else ""
            what = "the text begins again" if count < need else "the rest is not sung"
            job.complain(f"{whose}{count} syllables for {need} notes; {what}")
        for piece, notes in divide_part(part, text, LONGEST) if count >= need else [(text, part.notes)]:
            timed = [TimedNote(round(x.start * RATE), round(x.end * RATE), x.number, x.velocity) for x in notes]
            voices.append(("sing", {**job.settings, "lyrics": piece, "lead": LEAD, "legato": "next"}, timed))
    frames = round(seconds * RATE)
    with AudioWriter(job.target, RATE, CHANNELS, to=job.rate) as writer:
        blocks = render_parts(voices, frames, RATE, load_plugins(check=False), CHANNELS, job.block)
        for block in fade_out(blocks, RATE, job.fade):
            writer.write(block)
            job.progress(writer.frames / max(1, frames))
    if writer.clipped:
        job.complain(f"{writer.name}: {writer.clipped} samples were over full scale and are cut to it")
    sung = "1 voice" if len(voices) == 1 else f"{len(voices)} voices"
    return (Written.sound(writer, printable_path(job.source), found=(sung,)),)
