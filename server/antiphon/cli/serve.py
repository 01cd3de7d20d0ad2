"""`antiphon serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from antiphon.cli import completion, ports, synthhelp
from antiphon.runtime.settings import DEFAULT_BLOCK, DEFAULT_RATE, HTTP_PORT, OSC_PORT, RECORD_LIMIT, ServeSettings

MQTT_URL = "ANTIPHON_MQTT_URL"
"""The environment variable for the URL: other users can read passwords in the process list, not in the environment."""
TOKEN, TOKEN_PATH = "ANTIPHON_TOKEN", "ANTIPHON_TOKEN_FILE"
"""The environment variables of a token from outside: itself, as some platforms give secrets, or its file's path."""


def serve(
    ctx: typer.Context,
    audio: Annotated[str, typer.Option(help="auto, portaudio, jack or headless (a software clock).")] = "auto",
    input: Annotated[str, typer.Option(help="A sound file to loop, or an input device's name.")] = "",
    output: Annotated[str, typer.Option(help="An output device's name.")] = "",
    record: Annotated[str, typer.Option(help="Record the output to this file (wav, flac, ogg, mp3).")] = "",
    session: Annotated[str, typer.Option(help="Record the whole set in this folder, for `antiphon replay`.")] = "",
    record_limit: Annotated[
        float,
        typer.Option(
            metavar="GB", help="End a recording, complete, at this size, or when a tenth of the disk is left."
        ),
    ] = RECORD_LIMIT,
    log: Annotated[
        str, typer.Option(metavar="FILE", help="Append the log to this file: 10 MB, and five older ones, FILE.1 to .5.")
    ] = "",
    log_level: Annotated[
        str, typer.Option(help="Lowest level that is logged: debug, info, warning or error.")
    ] = "info",
    osc_port: ports.NewOsc = OSC_PORT,
    http_port: ports.NewHttp = HTTP_PORT,
    patch: Annotated[
        str,
        typer.Option(help="A patch file, or the name of a built-in or own patch.", autocompletion=completion.patches),
    ] = "",
    set: Annotated[
        str,
        typer.Option(
            "--set",
            help="A set list: several patches, and pedals to go through them.",
            autocompletion=completion.sets,
        ),
    ] = "",
    rate: Annotated[int, typer.Option(help="Sample rate: 44100, 48000 or 96000.")] = DEFAULT_RATE,
    block: Annotated[int, typer.Option(help="Frames in a block, 32 to 2048.")] = DEFAULT_BLOCK,
    ahead: Annotated[int, typer.Option(help="Blocks between input and output, 1 to 16; 0 measures the machine.")] = 0,
    surface: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT of a control surface that listens there; repeatable.")
    ] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="Answer the local network too; new addresses need approval.")
    ] = False,
    announce: Annotated[
        str, typer.Option(help="With --lan, where Zeroconf announces it: all, none, or one interface's IPv4 address.")
    ] = "all",
    allow: Annotated[list[str] | None, typer.Option(help="An IP address approved from the start; repeatable.")] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            envvar="ANTIPHON_PROXY",
            help="A name under which a reverse proxy, which has the TLS, asks this server: HTTP on every address, and "
            "all needs the token; repeatable.",
        ),
    ] = None,
    token_file: Annotated[
        str, typer.Option(envvar=TOKEN_PATH, help="A file with the token to use, 32 hexadecimal digits.")
    ] = "",
    drain: Annotated[
        float, typer.Option(envvar="ANTIPHON_DRAIN", help="Seconds for requests and jobs to finish at the end.")
    ] = 0.0,
    fifo: Annotated[bool, typer.Option("--fifo", help="Real-time scheduling for the engine, where permitted.")] = False,
    device: Annotated[
        str, typer.Option(help="What models run on: auto (a GPU where there is one), cpu or cuda.")
    ] = "auto",
    synth: Annotated[str, typer.Option(help=f"The synth for notes: {synthhelp.NAMES}; null records them.")] = "auto",
    mqtt_url: Annotated[
        str,
        typer.Option(envvar=MQTT_URL, help="An MQTT broker: mqtt://user:password@host:port.", show_envvar=True),
    ] = "",
    dirt_port: Annotated[
        int, typer.Option(help="UDP port for Tidal and other clients of SuperDirt, usually 57120; 0 is off.")
    ] = 0,
    midi: Annotated[
        bool, typer.Option("--midi", help="Offer a MIDI input named antiphon, and listen to every MIDI port there.")
    ] = False,
    midi_in: Annotated[
        list[str] | None, typer.Option(help="Listen to MIDI ports with this in their name only; repeatable.")
    ] = None,
    mpe: Annotated[
        bool, typer.Option("--mpe", help="MIDI ports are MPE controllers, before they say so themselves.")
    ] = False,
    midi_out: Annotated[
        list[str] | None, typer.Option(help="Play to MIDI ports with this in their name; repeatable.")
    ] = None,
    midi_clock: Annotated[
        str, typer.Option(help="follow: take tempo and beat from a MIDI clock. lead: send one to --midi-out.")
    ] = "",
    link: Annotated[
        bool, typer.Option("--link", help="Share tempo and beat by Ableton Link; needs the extra: antiphon[link].")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Take live scripts by /live/eval, with the token, for `antiphon live`.")
    ] = False,
    muted: Annotated[
        bool, typer.Option("--muted", help="Start with the input muted; /node/in/mute 0 unmutes it.")
    ] = False,
    no_watch_plugins: Annotated[
        bool, typer.Option("--no-watch-plugins", help="Use plugins of yours as they are at the start, saved or not.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Let --record replace an existing file.")] = False,
) -> None:
    """Start the server. It ends at Ctrl-C or SIGTERM; closing the terminal does not end it."""
    settings = ServeSettings(
        audio=audio, input=input, output=output, record=record, record_limit=record_limit, session=session,
        osc_port=osc_port, http_port=http_port,
        patch=patch, set=set, rate=rate, block=block, ahead=ahead, surface=tuple(surface or ()), lan=lan,
        announce=announce, allow=tuple(allow or ()), proxy=tuple(proxy or ()), drain=drain,
        fifo=fifo, mute_input=muted, device=device, synth=synth,
        synth_options=synthhelp.option_values(ctx), mqtt_url=mqtt_url, dirt_port=dirt_port, midi=midi,
        midi_in=tuple(midi_in or ()), mpe=mpe, midi_out=tuple(midi_out or ()), midi_clock=midi_clock,
        link=link, live=live, force=force, watch_plugins=not no_watch_plugins,
    ).check()  # fmt: skip
    _check_transports(settings)
    _take_token(token_file, needed=bool(settings.proxy))
    if settings.synth_options:
        from antiphon.synth.backends import with_options

        settings = with_options(settings)
    run(settings, log, log_level)


def _take_token(path: str, *, needed: bool) -> None:
    """Stores the token that the environment or a file gives, as containers get theirs, in the configuration folder."""
    from antiphon.errors import UsageError
    from antiphon.runtime import paths
    from antiphon.runtime.token import load_token, read_secret, store_token

    given = os.environ.pop(TOKEN, "")  # children must not have it
    if path and given:
        raise UsageError(f"--token-file and {TOKEN} exclude each other")
    if path:
        given = read_secret(Path(path))
    if path or given:  # an empty file is refused: the token would be another than the platform's
        store_token(paths.config(), given)
    elif needed:
        load_token(paths.config())  # a folder that cannot be written is found now, not by the web process


def _check_transports(settings: ServeSettings) -> None:
    """Has the requested transports check the settings, and removes their passwords from the process list."""
    from antiphon.cli.transports import transports
    from antiphon.runtime.process_title import cover
    from antiphon.session.transport import is_wanted

    os.environ.pop(MQTT_URL, None)
    for _, transport in transports():
        if is_wanted(transport.options, settings):
            transport.check(settings)
            for argument, secret in transport.secrets(settings):
                cover(argument, secret)


def run(settings: ServeSettings, log: str = "", log_level: str = "info") -> None:
    """Runs the supervisor to its end, and exits. log, log_level: as of `server_log`."""
    from antiphon.runtime import paths, pidfile
    from antiphon.runtime.server_log import server_log
    from antiphon.runtime.token import keep_token
    from antiphon.supervisor import Supervisor

    folder = pidfile.folder(settings)
    try:
        _check_files(settings, folder)
        settings = settings.with_(surface=tuple(_resolved(surface) for surface in settings.surface))
        pidfile.end_orphans(folder)
        keep_token(paths.config())
        with server_log(log, log_level):
            status = Supervisor(settings, folder).run()
    finally:
        pidfile.clear(folder, settings)
    raise typer.Exit(status)


def startable(settings: ServeSettings) -> None:
    """Raises `UsageError` if a server or another program uses these ports; changes nothing."""
    from antiphon.io.listening import open_sockets
    from antiphon.runtime import pidfile

    if settings.osc_port:
        pidfile.refuse_running(pidfile.folder(settings))
    for sock in open_sockets(settings):
        sock.close()


def _resolved(surface: str) -> str:
    """HOST:PORT with the host as an IPv4 address: resolving a name while playing would delay every message."""
    import socket

    from antiphon.errors import UsageError
    from antiphon.runtime.settings import surface_address

    host, port = surface_address(surface)
    try:
        addresses = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise UsageError(f"--surface {surface}: there is no host {host!r}; name its IPv4 address") from None
    return f"{addresses[0][4][0]}:{port}"


def _check_files(settings: ServeSettings, folder: Path) -> None:
    """Checks settings that would otherwise fail after all processes have started. folder: the server's own."""
    from antiphon.errors import UsageError
    from antiphon.supervisor import recordings

    path = settings.input_file
    if path is not None and not os.path.isfile(path):
        raise UsageError(f"--input: there is no file {settings.input}; name a sound file or a device")
    if settings.record:
        parent = Path(settings.record).absolute().parent
        if not os.path.isdir(parent):
            raise UsageError(f"--record: there is no folder {parent}; make it first")
    recordings.check(settings, folder)
