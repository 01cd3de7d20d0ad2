"""Registers all commands. Their modules import slow modules inside functions."""

import inspect
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from antiphon.cli import errors
from antiphon.cli.command import epilog
from antiphon.cli.plugin_commands import MainGroup, build_operation_command
from antiphon.cli.progress import align_rows

ASKED = "operation"
"""Marks commands that are operations."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "learn": ("lessons:learn", "antiphon learn"),
    "play": ("play:play", "antiphon play melody.mid", "antiphon play --patch techno"),
    "page": ("running.page:page", "antiphon page", "antiphon page --no-open"),
    "serve": ("serve:serve", "antiphon serve --patch answer", "antiphon serve --audio headless --patch demo --live"),
    "live": ("running.live:live", "antiphon live set.py"),
    "eval": ("running.live:evaluate", "antiphon eval set.py"),
    "words": (ASKED, "antiphon words", "antiphon words linger"),
    "paste": ("files.paste:paste", "antiphon paste program.js --out pasted.py"),
    "rehearse": ("files.render:rehearse", "antiphon rehearse set.py --bars 4"),
    "run": (
        "files.run:run",
        "antiphon run denoise noisy.wav clean.wav",
        "antiphon run hum voice.wav piano.wav --midi-out voice.mid",
        "antiphon run gain takes --out-dir louder -p gain=1.5",
    ),
    "render": (
        "files.render:render",
        "antiphon render answer --in voice.wav --out answer.wav",
        "antiphon render set.py --bars 4 --out set.wav --midi set.mid",
    ),
    "replay": (
        "files.render:replay",
        "antiphon replay tonight again.wav",
        "antiphon replay tonight mix.wav --stems tracks",
    ),
    "export": ("files.render:export", "antiphon export tonight studio"),
    "surface": ("files.surface:surface", "antiphon surface answer.tosc", "antiphon surface keys.json --patch keys"),
    "osc": ("running.osc:osc", "antiphon osc /node/echo/feedback 0.5", "antiphon osc /node/echo/feedback"),
    "monitor": ("running.osc:monitor", "antiphon monitor", "antiphon monitor --events"),
    "status": ("running.status:status", "antiphon status", "antiphon status --json"),
    "repl": ("running.repl:repl", "antiphon repl"),
    "patches": (ASKED, "antiphon patches", "antiphon patches answer"),
    "sets": (ASKED, "antiphon sets"),
    "plugins": (ASKED, "antiphon plugins", "antiphon plugins denoise"),
    "new-plugin": ("plugins:new_plugin", "antiphon new-plugin wobble"),
    "models": (ASKED, "antiphon models"),
    "devices": ("doctor:devices", "antiphon devices"),
    "doctor": ("doctor:doctor", "antiphon doctor"),
    "bench": ("bench:register", "antiphon bench engine --seconds 10"),
    "surfaces": ("running.page:surfaces", "antiphon surfaces"),
    "approve": ("running.page:approve", "antiphon approve 192.0.2.7"),
    "forget": ("running.page:forget", "antiphon forget 192.0.2.7"),
    "qr": ("running.page:qr", "antiphon qr"),
    "lessons": ("lessons:register",),
    "lessons list": ("lessons:register", "antiphon lessons list"),
    "lessons check": ("lessons:register", "antiphon lessons check", "antiphon lessons check mine.md"),
}
"""Commands in the order of the help page. Each has a place (a function, a `register` that adds it, or `ASKED`) and
examples."""
_OPTIONS = {
    "serve": {"cls": "serve:ServeCommand"},
    "run": {"cls": "files.run:RunCommand"},
    "render": {"cls": "transports:SynthCommand"},
    "osc": {"context_settings": "running.osc:CONTEXT_SETTINGS"},
}
"""Settings of a command, and their location."""


def application(arguments: Sequence[str] = ()) -> MainGroup:
    """Builds the command line, with `--version` and shell completion.

    `arguments`: the words typed. If the first is a command's name, only that command is built.
    """
    name = arguments[0] if arguments else ""
    first: list[click.Parameter] = []
    if name not in COMMANDS:
        from antiphon.cli.completion import completion_options

        version = click.Option(
            ["--version"],
            is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit.",
        )  # fmt: skip
        first = [version, *completion_options()]
    app = MainGroup(
        "antiphon",
        inspect.getdoc(_antiphon) or "",
        _antiphon,
        first=first,
        invoke_without_command=True,
        no_args_is_help=False,
        subcommand_metavar="COMMAND [ARGS]...",
        context_settings={"max_content_width": errors.WIDTH},
    )
    register(app, name)
    if name in app.commands:
        app.commands = {name: app.commands[name]}
    return app


def works_on_files(arguments: Sequence[str]) -> bool:
    """Whether a command processes files or belongs to a plugin; its priority is then below that of servers."""
    name = arguments[0] if arguments else ""
    return bool(name) and not name.startswith("-") and COMMANDS.get(name, ("files.",))[0].startswith("files.")


def run(arguments: Sequence[str]) -> int:
    """Runs `antiphon ARGUMENTS` in this process; returns the exit code."""
    return errors.run(application(arguments), list(arguments))


def register(app: MainGroup, name: str = "") -> None:
    """Adds every command, or only that of `name`, without importing the modules of others."""
    registered = set()
    for own, (place, *_) in {name: COMMANDS[name]}.items() if name in COMMANDS else COMMANDS.items():
        if place.endswith(":register"):
            if place not in registered:
                _at(place)(app)
            registered.add(place)
            continue
        if place == ASKED:
            from antiphon.operations.lists import LISTS

            function = build_operation_command(LISTS[own])
        else:
            function = _at(place)
        settings = {option: _at(where) for option, where in _OPTIONS.get(own, {}).items()}
        app.command(own, **settings)(function)
    for path, (_, *examples) in COMMANDS.items():
        found: Any = app
        for word in path.split():
            found = getattr(found, "commands", {}).get(word)
        if found is not None and examples:
            found.epilog = epilog(*examples)


def _at(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"antiphon.cli.{module}"), attribute)


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from antiphon import __version__

        click.echo(f"antiphon {__version__}")
        ctx.exit()


def _first_commands() -> Iterator[tuple[str, str]]:
    """Yields six first commands for this machine, by its server, sound card, MIDI keyboard and files in this folder."""
    from antiphon.client.finding import running_servers
    from antiphon.kernel.runtime.extras import absent

    here = sorted(entry.name for entry in os.scandir() if entry.is_file())

    def first(*endings: str) -> str:
        return next((shlex.quote(name) for name in here if name.lower().endswith(endings) and name[0] != "-"), "")

    card = sys.platform != "linux" or any(Path("/dev/snd").glob("pcm*p"))
    if running_servers():
        yield "antiphon page", "the page of the server that runs, in your browser"
    else:
        yield "antiphon learn", "lessons in your browser: code, play or sing, recordings, OSC"
    where = "on your sound card" if card else "there is no sound card, so press Listen on the page"
    played = "dub echoes behind what you play" if "hum" in absent() else "a piano and a band that follow a voice"
    yield "antiphon play", f"{played}; {where}"
    if notes := first(".mid", ".midi"):
        yield f"antiphon play {notes}", "your MIDI file, on a piano"
    elif any(Path("/dev/snd").glob("midi*")):
        yield "antiphon serve --midi --patch keys", "a piano, on your MIDI keyboard"
    else:
        yield "antiphon patches", "what else it can be: some sixty instruments and rooms"
    if "denoise" not in absent() and (sound := first(".wav", ".flac", ".ogg", ".mp3", ".m4a")):
        yield f"antiphon run denoise {sound} clean.wav", "your recording, without its noise"
    else:
        yield "antiphon words", "music as text: every word of a script, with an example"
    yield "antiphon doctor", "what works on this machine, and the command that mends the rest"
    yield "antiphon --help", "all commands"


def _antiphon(context: click.Context) -> None:
    """An instrument that listens and answers. `antiphon` alone says what to do first; its page is in your browser."""
    if context.invoked_subcommand is None:
        for line in align_rows(list(_first_commands())):
            click.echo(line)
