"""`antiphon play`: the demo patch, or a MIDI file, on the sound card or the software clock, with commands to try."""

import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import click

from antiphon.cli.errors import termination_signals
from antiphon.cli.progress import align_rows
from antiphon.kernel.errors import AntiphonError, UsageError
from antiphon.kernel.graph.names import SUFFIX
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.settings import OSC_PORT, ServeSettings

PATCH, ALONE = "answer", "dub"
"""The default patch, and the one used where `antiphon-companion` is not installed."""
OPEN = "/node/in/mute 0"
KEPT_SECONDS = 600.0
"""Length that is kept of a recording without a request."""
_DRIVE = (
    ("/node/accompany/style swing", "another style, from the next bar"),
    ("/node/keys/instrument strings", "the strings play what is hummed"),
    ("/scene/recall 3", "scene 3"),
    ("/macro/follow 0", "the clock keeps its own time, which /tempo 110 8 moves"),
    ("/patch/load throw", "another patch, faded in; /patch/list names them"),
)


OPTIONS = ("audio", "input", "output", "patch", "osc_port", "http_port", "block", "ahead", "headphones")
"""Options of `serve` that `play` takes."""


def play(
    server: Annotated[ServeSettings, OPTIONS],
    no_open: Annotated[bool, argument("Open no browser.")] = False,
    song: Annotated[str, argument("A MIDI file, played by the patch keys.", "[SONG.mid]", placed=True)] = "",
    with_me: Annotated[bool, argument("SONG is a sound file, which plays with you: it waits, and follows.")] = False,
) -> None:
    """Play a demo (a piano and a band that answer a voice), a patch of your choice, or a MIDI file. Ctrl-C ends it."""
    from antiphon.cli.serve import check_ports_free, run
    from antiphon.cli.transports import transports
    from antiphon.kernel.engine.drivers.probe import probe
    from antiphon.operations.patch_list import playable

    options: dict[str, Any] = {}
    for _, one in transports():
        options |= one.unasked()
    patch = server.patch or (PATCH if playable(PATCH) else ALONE)
    asked = server.with_(live=True, options=options, patch=patch).check()
    if with_me and not song:
        raise UsageError("--with-me plays a sound file with you; name one: antiphon play SONG --with-me")
    _check_song_and_patch(song, asked.patch, "a sound file" if with_me else "a MIDI file")
    check_ports_free(asked)  # before a recording is prepared, and the patch of a song that plays is written over
    if song:
        from antiphon.cli import play_song

        make = play_song.patch_of_record if with_me else play_song.patch_of_song
        text = make(server.patch or (play_song.RECORD_PATCH if with_me else play_song.PATCH), song)
        asked = asked.with_(patch=str(play_song.write_song_patch(text)))
    device = probe(asked)
    opens = not (asked.mute_input or (song and not with_me))
    settings = asked.with_(mute_input=asked.input_file is None, extra={**asked.extra, "opens": opens})

    def said(used: ServeSettings) -> list[str]:
        return list(introduction(used, device.driver, device.note, song, list(options), with_me=with_me))

    # the server's own handling of Ctrl-C records one that a library catches
    with termination_signals(ctrl_c=False):
        try:
            if device.driver == "headless":
                settings = headless_settings(asked) if song else demo_settings(asked)
            if settings.osc_port:
                click.echo("\n".join(said(settings)))
                sys.stdout.flush()
            with own_terminal_group():
                # commands name a free port once it is known
                run(settings, opens=not no_open and sys.stdout.isatty(), says=None if settings.osc_port else said)
        finally:
            if settings.record and (made := Path(settings.record)).exists() and not made.stat().st_size:
                made.unlink()  # nothing was recorded


def _check_song_and_patch(song: str, patch: str, kind: str) -> None:
    from antiphon.kernel.graph.patch import find, read_text
    from antiphon.operations import patch_list

    if song and not os.path.isfile(song):
        is_patch = song in patch_list.names()
        other = (
            f"the patch {song} is played by antiphon play --patch {song}"
            if is_patch
            else f"name {kind}, or a patch by --patch"
        )
        raise UsageError(f"there is no file {song}; {other}")
    if os.sep in patch or patch.endswith(SUFFIX):
        read_text(Path(patch))
    else:
        find(patch)


def demo_settings(asked: ServeSettings) -> ServeSettings:
    """The settings of `play` without a sound card: the software clock, a built-in loop as input, a recording."""
    from antiphon.demo import BAND, HUM

    own = HUM if asked.patch == PATCH else BAND
    return headless_settings(asked.with_(input=asked.input or str(own)))


def headless_settings(asked: ServeSettings) -> ServeSettings:
    """The settings without a sound card: the software clock, and a recording."""
    record, extra = str(next_recording(recordings_folder())), {**asked.extra, "record_last": KEPT_SECONDS}
    return asked.with_(audio="headless", record=record, force=True, extra=extra)


def introduction(
    settings: ServeSettings, driver: str, note: str, song: str = "", added: Sequence[str] = (), *, with_me: bool = False
) -> Iterator[str]:
    """Yields the lines to print before the server is ready.

    `song`: the file, or "". `added`: options that transports add automatically. `with_me`: the file is a recording.
    """
    if note:
        yield note
    if driver == "headless":
        if settings.input:
            yield f"The input is {settings.input} in place of a microphone, again and again."
        kept = f"The last {KEPT_SECONDS / 60:.0f} minutes of what sounds are kept in"
        yield f"To listen, press Listen on the page. {kept}"
        yield f"{settings.record}, and all that comes after"
        yield f"    {command(settings, '/record/start')}"
    elif settings.mute_input and (with_me or not song):
        if settings.headphones:
            yield "The input starts muted: put headphones on, then"
        elif driver != "jack" and settings.extra.get("opens"):
            yield "A microphone that the patch only listens to is open: echo_cancel takes the loudspeakers out."
            yield "One that it plays starts muted: begin softly, or put headphones on and start with --headphones; then"
        else:
            yield "The input starts muted: begin softly, or put headphones on and start with --headphones; then"
        yield f"    {command(settings, OPEN)}"
    if added:
        options = " ".join(f"--{option}" for option in added)
        yield f"It is played by {' and '.join(added)} too, as with `serve {options}`."
    hint = "" if song and not with_me else hint_of(settings.patch)
    yield f"Playing {song or settings.patch}.{f' First: {hint}' if hint else ''}"
    yield "Open the address after `page`, below, in a browser: everything can be played there. It works once."
    yield "Or, once the line that begins with ready is there, type in another terminal:"
    drive = [
        (f"    {command(settings, message)}", effect)
        for message, effect in _drive(settings.patch, song, with_me=with_me)
    ]
    yield from align_rows(drive)
    yield f"or send these as OSC to port {settings.osc_port} of 127.0.0.1. Ctrl-C ends it."


def _drive(patch: str, song: str, *, with_me: bool = False) -> tuple[tuple[str, str], ...]:
    """Messages to try, each with its effect."""
    if song:
        from antiphon.cli import play_song

        return play_song.RECORD_DRIVE if with_me else play_song.DRIVE
    return _DRIVE if patch == PATCH else _DRIVE[-1:]


def hint_of(patch: str) -> str:
    """Hint of a patch, given by name or path; "" without a hint or patch."""
    from antiphon.kernel.graph.patch import find
    from antiphon.operations import patch_list

    try:
        path = Path(patch) if patch.endswith(SUFFIX) or os.sep in patch else find(patch)
    except AntiphonError:
        return ""  # the server reports it
    return patch_list.hint(path)


def command(settings: ServeSettings, message: str, name: str = "osc") -> str:
    """The shell command that sends an OSC message to this server, or another that takes its port."""
    port = f"--osc-port {settings.osc_port} " if settings.osc_port != OSC_PORT else ""
    return f"{program()} {name} {port}{message}"


def program() -> str:
    """Command that starts this Antiphon in any folder: its name if the shell finds it, else its path."""
    started = Path(sys.argv[0])
    own = started.absolute() if started.name == "antiphon" else Path(sys.executable).with_name("antiphon")
    found = shutil.which("antiphon")
    if not own.is_file() or (found is not None and paths.is_same_file(found, own)):
        return "antiphon"
    return shlex.quote(str(own))


def recordings_folder() -> Path:
    """The performer's folder of recordings, as in `antiphon doctor`; created if missing."""
    return paths.make_folder(paths.recordings(), paths.PRIVATE_FOLDER)


def next_recording(folder: Path, day: str = "") -> Path:
    """Creates an empty file with the first free name, such as play-2026-11-20-1.wav, so that no other takes it."""
    return paths.claim(folder / f"play-{day or time.strftime('%Y-%m-%d')}.wav", 1)


@contextmanager
def own_terminal_group() -> Iterator[None]:
    """Under make at a terminal, directs the terminal's signals to this process and its children alone.

    Otherwise the Ctrl-C that ends the server would also end make, which would report an error.
    """
    if not os.environ.get("MAKELEVEL") or not sys.stdin.isatty() or os.getpid() == os.getpgrp():
        yield
        return
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    if os.tcgetpgrp(terminal) != before:
        yield
        return
    # a group in the background is stopped when it takes the terminal; and make's shell would not
    # notice if we were suspended
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        with suppress(OSError):  # the terminal was closed meanwhile
            os.tcsetpgrp(terminal, before)
