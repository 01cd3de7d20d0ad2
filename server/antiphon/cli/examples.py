"""Examples at the end of each command's help: lines that can be typed as they are.

The tests type each of them in a home that has the files it names, and look at what it makes.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

EXAMPLES: dict[str, tuple[str, ...]] = {
    "serve": ("antiphon serve --patch answer", "antiphon serve --audio headless --patch demo --live"),
    "play": ("antiphon play melody.mid", "antiphon play --patch techno"),
    "live": ("antiphon live set.py",),
    "eval": ("antiphon eval set.py",),
    "words": ("antiphon words", "antiphon words linger"),
    "rehearse": ("antiphon rehearse set.py --bars 4",),
    "paste": ("antiphon paste program.js --out pasted.py",),
    "run": (
        "antiphon run denoise noisy.wav clean.wav",
        "antiphon run hum voice.wav piano.wav --midi-out voice.mid",
        "antiphon run gain takes --out-dir louder -p gain=1.5",
    ),
    "render": (
        "antiphon render answer --in voice.wav --out answer.wav",
        "antiphon render set.py --bars 4 --out set.wav --midi set.mid",
    ),
    "replay": ("antiphon replay tonight again.wav",),
    "surface": ("antiphon surface answer.tosc", "antiphon surface keys.json --patch keys"),
    "osc": ("antiphon osc /node/echo/feedback 0.5", "antiphon osc /node/echo/feedback"),
    "monitor": ("antiphon monitor", "antiphon monitor --events"),
    "status": ("antiphon status", "antiphon status --json"),
    "repl": ("antiphon repl",),
    "page": ("antiphon page", "antiphon page --no-open"),
    "patches": ("antiphon patches", "antiphon patches answer"),
    "sets": ("antiphon sets",),
    "plugins": ("antiphon plugins", "antiphon plugins denoise"),
    "new-plugin": ("antiphon new-plugin wobble",),
    "models": ("antiphon models",),
    "devices": ("antiphon devices",),
    "doctor": ("antiphon doctor",),
    "bench": ("antiphon bench engine --seconds 10",),
    "surfaces": ("antiphon surfaces",),
    "approve": ("antiphon approve 192.0.2.7",),
    "forget": ("antiphon forget 192.0.2.7",),
    "qr": ("antiphon qr",),
}
"""By the words of the command."""


def command_group(name: str, sentence: str, callback: Callable[..., None] = lambda: None) -> typer.Typer:
    """A group without commands yet; `callback` has the options before a command's name."""
    app = typer.Typer(
        name=name,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=sentence,
        short_help=sentence,
    )
    app.callback()(callback)
    return app


def give_examples(app: typer.Typer, path: str = "") -> None:
    """Sets the end of each command's help in place, and of those of its groups. `path`: the words before them."""
    for group in app.registered_groups:
        if group.typer_instance is not None:
            give_examples(group.typer_instance, f"{group.typer_instance.info.name} ")
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback is not None else "")
        if lines := EXAMPLES.get(f"{path}{name}"):
            command.epilog = epilog(*lines)


def epilog(*lines: str) -> str:
    """The end of a command's help: its examples."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
