"""File job `antiphon run loops LIBRARY OUT.wav`: analyses new files, reports bad ones, writes the piece."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from antiphon.api.backends.files import AudioWriter, printable_path
from antiphon.api.jobs import FileJob, Written, fade_out
from antiphon_loops.analysis.labels import FASTEST, SLOWEST
from antiphon_loops.arrangement.arrange import roles_of
from antiphon_loops.library import Analysed, analyse, left_out, settle, tempos, write_listing
from antiphon_loops.render import Piece, check_settings
from antiphon_loops.rules import Rules, load
from antiphon_loops.songs import cut_song

RATE, CHANNELS = 44100, 2
ANALYSIS_SHARE = 0.5
"""Share of the analysis in the progress."""
SONG_SHARE = 0.4
"""Share of song cutting in the analysis's progress."""
MOST_PROBLEMS = 12
"""Maximum rejected files named in the report."""
MOST_QUESTIONS = 12
"""Maximum loops of uncertain tempo to ask about."""


def run(job: FileJob) -> tuple[Written, ...]:
    """Writes a piece. An unreadable file is named in a warning and skipped.

    `job`: `source` is a folder of loops, or a song: loops of it are cut into `SONG-loops` of the library. Raises
    UsageError: a parameter takes no such value. Raises FileError: a file cannot be read or written, or there is no
    tempo in the song.
    """
    check_settings(job.settings)
    begun = 0.0
    if not job.source.is_dir():
        begun, song = SONG_SHARE, job.source
        folder, bpm = cut_song(song, lambda part: job.progress(SONG_SHARE * part))
        settings = job.settings if job.settings.get("bpm") else {**job.settings, "bpm": bpm}
        job = replace(job, source=folder, settings=settings)
        job.complain(f"the loops of {printable_path(song.name)} are in {printable_path(job.source)}")
    library = analyse(job.source, lambda n, of, _name: job.progress(begun + (ANALYSIS_SHARE - begun) * n / max(1, of)))
    more = len(library.problems) - MOST_PROBLEMS
    rest = [f"{more} more files are no loops"] if more > 1 else library.problems[MOST_PROBLEMS:]
    for sentence in (*library.problems[:MOST_PROBLEMS], *rest, *library.doubts):
        job.complain(sentence)
    _settle(job, library, load(job.source))
    if job.analysis is not None:
        write_listing(analyse(job.source).loops, job.analysis)
    style = str(job.settings.get("style", ""))
    if style and not any(loop.answers(style) for loop in library.loops):
        there = sorted({loop.style for loop in library.loops} | {label for x in library.loops for label in x.labels})
        job.complain(f"no loop here is {style[:40]!r}; what is known of them: {', '.join(there[:20])}, and their names")
    roles = roles_of(str(job.settings.get("instruments", "")))
    stems = {role: path for role, path in job.stems.items() if role in roles}
    piece = Piece(job.source, job.settings, RATE, CHANNELS, tuple(stems))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(AudioWriter(path, RATE, CHANNELS, finish=job.finish))
            for path in (job.target, *stems.values())
        ]
        for block in fade_out(piece.blocks(), RATE, job.fade):
            for n, writer in enumerate(writers):
                writer.write(block[n * CHANNELS : (n + 1) * CHANNELS])
            job.progress(ANALYSIS_SHARE + (1.0 - ANALYSIS_SHARE) * writers[0].frames / piece.frames)
    used = piece.used()
    bars = "1 bar" if piece.bars == 1 else f"{piece.bars} bars"
    loop_count = "1 loop" if len(used) == 1 else f"{len(used)} loops"
    found = [f"{bars} at {piece.bpm:g} bpm", *([f"in {piece.key}"] if piece.key else [])]
    found += [] if piece.fit is None else [f"fit {piece.fit:.2f}"]
    written = [Written.sound(writers[0], loop_count, tuple(found), used)]
    mix = printable_path(job.target.name)
    for role, writer in zip(stems, writers[1:], strict=True):
        parts = piece.used(role)
        silent = () if parts else ("silent",)
        written.append(Written.sound(writer, f"{mix}, its {role}", silent, parts))
    if job.analysis is not None:
        written.append(Written(job.analysis, f"the {len(library.loops)} loops of {printable_path(job.source)}"))
    return tuple(written)


def _settle(job: FileJob, library: Analysed, stacking: Rules) -> None:
    """Asks for uncertain tempos of loops; unanswered ones are named in one line."""
    uncertain = library.uncertain(stacking)
    open_ones = list(uncertain)
    for loop in uncertain[:MOST_QUESTIONS]:
        answer = job.ask(
            f"{printable_path(loop.file)}: its tempo is uncertain, {tempos(loop)}. Its bpm, or Enter to leave it out: "
        ).strip()
        if not answer:
            continue
        bpm = _number(answer)
        if bpm is not None and settle(job.source, loop, bpm):
            open_ones.remove(loop)
        else:
            job.complain(f"{printable_path(loop.file)} does not make whole bars of four at {answer[:20]!r} bpm")
    if open_ones:
        job.complain(left_out(open_ones))


def _number(text: str) -> float | None:
    """Tempo entered by a person; None if it is invalid."""
    try:
        bpm = float(text)
    except ValueError:
        return None
    return bpm if SLOWEST <= bpm <= FASTEST else None
