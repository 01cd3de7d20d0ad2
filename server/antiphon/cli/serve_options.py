"""Options of `antiphon serve`: its own as records by subject, and those of transports and synths.

Transports are asked at each start, because they check their options anyway; synths only for help and for a word that
is no option yet, because asking them takes longer.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from antiphon.cli import completion, ports, synthhelp
from antiphon.kernel.runtime.settings import DEFAULT_BLOCK, DEFAULT_RATE, HTTP_PORT, OSC_PORT, RECORD_LIMIT

if TYPE_CHECKING:
    from antiphon.kernel.runtime.settings import ServeOption
    from antiphon.kernel.session.transport import Transport

TOKEN, TOKEN_PATH = "ANTIPHON_TOKEN", "ANTIPHON_TOKEN_FILE"
"""Environment variables of an external token: its value, as some platforms pass secrets, or its file's path."""
GIVEN, TRANSPORTS = "antiphon.serve.given", "antiphon.serve.transports"
"""Keys in the context's `meta`: values of plugins' options, and the transports."""
_FOLLOWING_OPTION = "live"
"""Option before which the transports' options stand in the help."""
log = logging.getLogger("antiphon.plugins")


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """Options of audio devices and MIDI ports."""

    audio: Annotated[str, typer.Option(help="auto, portaudio, jack or headless (a software clock).")] = "auto"
    input: Annotated[str, typer.Option(help="A sound file to loop, or an input device's name.")] = ""
    output: Annotated[str, typer.Option(help="An output device's name.")] = ""
    out_channels: Annotated[int, typer.Option(help="Channels of the output device, 2 to 16, in pairs.")] = 2
    cue: Annotated[str, typer.Option(metavar="PAIR", help="Channels that play the cue, such as 3-4.")] = ""
    strip_ports: Annotated[
        bool, typer.Option("--strip-ports", help="Play each strip at JACK ports of its own, for a studio.")
    ] = False
    headphones: ports.Headphones = False


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Options of recordings."""

    record: Annotated[str, typer.Option(help="Record the output to this file (wav, flac, ogg, mp3).")] = ""
    session: Annotated[str, typer.Option(help="Record the whole set in this folder, for `antiphon replay`.")] = ""
    record_tracks: Annotated[
        str, typer.Option(metavar="DIR", help="Record each strip, the input and the output to files in this folder.")
    ] = ""
    record_limit: Annotated[
        float,
        typer.Option(
            metavar="GB", help="End a recording, complete, at this size, or when a tenth of the disk is left."
        ),
    ] = RECORD_LIMIT


@dataclass(frozen=True, slots=True)
class LoggingOptions:
    """Options of the log, as of `server_log`."""

    log: Annotated[
        str, typer.Option(metavar="FILE", help="Append the log to this file: 10 MB, and five older ones, FILE.1 to .5.")
    ] = ""
    log_level: Annotated[str, typer.Option(help="The least that is logged: debug, info, warning or error.")] = "info"


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """Options of ports, patch, sample rate and block."""

    osc_port: ports.NewOsc = OSC_PORT
    http_port: ports.NewHttp = HTTP_PORT
    patch: Annotated[
        str,
        typer.Option(help="A patch file, or the name of a built-in or own patch.", autocompletion=completion.patches),
    ] = ""
    set: Annotated[
        str,
        typer.Option(
            help="A set list: several patches, and pedals to go through them.", autocompletion=completion.sets
        ),
    ] = ""
    rate: Annotated[int, typer.Option(help="Sample rate: 44100, 48000 or 96000.")] = DEFAULT_RATE
    block: ports.Block = DEFAULT_BLOCK
    ahead: ports.Ahead = 0


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Options of access to the server."""

    surface: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT of a control surface that listens there; repeatable.")
    ] = None
    lan: Annotated[bool, typer.Option("--lan", help="Answer the local network too; new addresses need approval.")] = (
        False
    )
    announce: Annotated[
        str, typer.Option(help="With --lan, where Zeroconf announces it: all, none, or one interface's IPv4 address.")
    ] = "all"
    allow: Annotated[list[str] | None, typer.Option(help="An IP address approved from the start; repeatable.")] = None
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            envvar="ANTIPHON_PROXY",
            help="A name under which a reverse proxy, which has the TLS, asks this server: HTTP on every address, and "
            "all needs the token; repeatable.",
        ),
    ] = None
    token_file: Annotated[
        str, typer.Option(envvar=TOKEN_PATH, help="A file with the token to use, 32 hexadecimal digits.")
    ] = ""
    drain: Annotated[
        float, typer.Option(envvar="ANTIPHON_DRAIN", help="Seconds for requests and jobs to finish at the end.")
    ] = 0.0


@dataclass(frozen=True, slots=True)
class MachineOptions:
    """Options of scheduling and devices of computation."""

    fifo: Annotated[bool, typer.Option("--fifo", help="Real-time scheduling for the engine, where permitted.")] = False
    device: Annotated[str, typer.Option(help="What models run on: auto (a GPU where there is one), cpu or cuda.")] = (
        "auto"
    )
    synth: Annotated[str, typer.Option(help=f"The synth for notes: {synthhelp.NAMES}; null records them.")] = "auto"


@dataclass(frozen=True, slots=True)
class StartOptions:
    """Options of the start."""

    live: Annotated[
        bool, typer.Option("--live", help="Take live scripts by /live/eval, with the token, for `antiphon live`.")
    ] = False
    muted: Annotated[bool, typer.Option("--muted", help="Start with the input muted; /node/in/mute 0 unmutes it.")] = (
        False
    )
    no_watch_plugins: Annotated[
        bool, typer.Option("--no-watch-plugins", help="Use plugins of yours as they are at the start, saved or not.")
    ] = False
    force: Annotated[bool, typer.Option("--force", help="Let --record, --record-tracks replace existing files.")] = (
        False
    )


class ServeCommand(synthhelp.SynthCommand):
    """The command `serve`, with the options that plugins add."""

    _asked = False

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Adds the transports' options, and the synths' if a word is not an option yet."""
        if not self._asked:
            from antiphon.cli.transports import transports

            self._transports = [transport for _, transport in transports()]
            at = next(place for place, param in enumerate(self.params) if param.name == _FOLLOWING_OPTION)
            self._add(at, (option for transport in self._transports for option in transport.options))
            if any(word.startswith("--") and word.partition("=")[0] not in self._names() for word in args):
                from antiphon.kernel.synth.backends import infos

                self._add(len(self.params), (info.option for info in infos() if info.option is not None))
            self._asked = True
        ctx.meta[TRANSPORTS] = self._transports
        return super().parse_args(ctx, args)

    def _names(self) -> set[str]:
        return {name for param in self.params for name in param.opts}

    def _add(self, at: int, options: Iterable[ServeOption[Any]]) -> None:
        names, added = self._names(), []
        for option in options:
            if f"--{option.name}" in names:
                log.warning("a plugin adds the option --%s, which there is already; it has to be renamed", option.name)
            else:
                names.add(f"--{option.name}")
                added.append(_parameter(option))
        self.params[at:at] = _params(added)


def transports_of(ctx: typer.Context) -> list[Transport]:
    """Registered transports of plugins."""
    found: list[Transport] = ctx.meta[TRANSPORTS]
    return found


def given_options(ctx: typer.Context) -> dict[str, Any]:
    """Given values of plugins' options: `options` and `secrets` of `ServeSettings`."""
    values: dict[str, Any] = ctx.meta.get(GIVEN, {})
    return values


def _parameter(option: ServeOption[Any]) -> inspect.Parameter:
    """Signature parameter of an option, converted by typer."""
    repeated, kept = isinstance(option.default, tuple), "secrets" if option.secret else "options"

    def keep(ctx: typer.Context, value: Any) -> Any:
        value = tuple(value or ()) if repeated else value
        if value != option.default:
            ctx.meta.setdefault(GIVEN, {}).setdefault(kept, {})[option.name] = value
        os.environ.pop(option.envvar, None)  # the server's processes must not inherit a password
        return value

    declared = typer.Option(
        f"--{option.name}", help=option.doc, expose_value=False, callback=keep, envvar=option.envvar or None
    )
    return inspect.Parameter(
        f"plugin_{option.name.replace('-', '_')}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None if repeated else option.default,
        annotation=Annotated[list[str] | None if repeated else type(option.default), declared],
    )


def _params(parameters: list[inspect.Parameter]) -> list[Any]:
    """Click options of a command with these parameters."""

    def declaring(**_given: Any) -> None:
        pass

    declaring.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(declaring)
    return [param for param in typer.main.get_command(app).params if param.name != "help"]
