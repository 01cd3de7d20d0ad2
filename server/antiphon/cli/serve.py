"""`antiphon serve`."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from antiphon.cli.command import build_parameter
from antiphon.cli.running.given_token import create_and_lock_token, store_given_token
from antiphon.cli.transports import SynthCommand, transports
from antiphon.files.owner_token import load_token
from antiphon.kernel.errors import UsageError
from antiphon.kernel.io.listening import local_addresses, open_sockets
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.arguments import Argument, argument
from antiphon.kernel.runtime.platform import raise_open_files
from antiphon.kernel.runtime.processes import pidfile
from antiphon.kernel.runtime.processes.child_process import OWNER
from antiphon.kernel.runtime.settings import ServeSettings, surface_address

if TYPE_CHECKING:
    from antiphon.kernel.runtime.settings import ServeOption
    from antiphon.kernel.session.transport import Transport

# ---- Options that transports and synths add to `antiphon serve`
# Transports are asked at each start, because they check their options anyway; synths only for help and for a word
# that is no option yet, because asking them takes longer.

GIVEN, TRANSPORTS = "antiphon.serve.given", "antiphon.serve.transports"
"""Keys in the context's `meta`: values of plugins' options (`options` and `secrets` of settings), and transports."""
_FOLLOWING_OPTION = "live"
"""The option before which the help lists the transports' options."""
log = logging.getLogger("antiphon.plugins")


class ServeCommand(SynthCommand):
    """The command `serve`, with the options that plugins add."""

    _asked = False

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Adds the transports' options, and the synths' if a word is not an option yet."""
        if not self._asked:
            self._transports = [transport for _, transport in transports()]
            at = next(place for place, param in enumerate(self.params) if param.name == _FOLLOWING_OPTION)
            self._add(at, (option for transport in self._transports for option in transport.options))
            if any(word.startswith("--") and word.partition("=")[0] not in self._names() for word in args):
                from antiphon.backends.info import infos

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
        self.params[at:at] = added


def _parameter(option: ServeOption[Any]) -> click.Parameter:
    """A plugin's option, whose value is kept in the context."""
    repeated, kept = isinstance(option.default, tuple), "secrets" if option.secret else "options"

    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        value = tuple(value or ()) if repeated else value
        if value != option.default:
            ctx.meta.setdefault(GIVEN, {}).setdefault(kept, {})[option.name] = value
        os.environ.pop(option.envvar, None)  # the server's processes must not inherit a password

    kind = tuple[str, ...] if repeated else type(option.default)
    meta = argument(option.doc, flags=f"--{option.name}", envvar=option.envvar or None)
    found = build_parameter(Argument(f"plugin_{option.name.replace('-', '_')}", kind, option.default, meta))
    found.expose_value, found.callback = False, keep
    return found


def serve(ctx: click.Context, asked: ServeSettings) -> None:
    """Start the server. It plays until Ctrl-C or SIGTERM; closing the terminal does not end it."""
    settings = asked.with_(**ctx.meta.get(GIVEN, {})).check()
    transports: list[Transport] = ctx.meta[TRANSPORTS]
    _check_transports(settings, transports)
    store_given_token(settings.token_file, needed=bool(settings.proxy))
    of_transports = {option.name for transport in transports for option in transport.options}
    if settings.options.keys() - of_transports:
        settings = select_synth_by_option(settings)
    run(settings)


def select_synth_by_option(settings: ServeSettings) -> ServeSettings:
    """Selects the synth backend whose option was given, and returns the settings."""
    from antiphon.backends.info import infos

    for info in infos():
        option = info.option
        if option is None or not info.is_option_given(settings):
            continue
        if settings.synth not in ("auto", info.name):
            raise UsageError(
                f"--{option.name} is of --synth {info.name}, and --synth {settings.synth} plays by something else"
            )
        info.make_support().check_option(settings.value(option))
        settings = settings.with_(synth=info.name)
    return settings


def _check_transports(settings: ServeSettings, transports: list[Transport]) -> None:
    """Lets the requested transports check the settings, and removes their passwords from the process list."""
    from antiphon.kernel.session.transport import is_wanted

    for transport in transports:
        if is_wanted((option.name for option in transport.options), settings):
            transport.check(settings)
            for argument, secret in transport.secrets(settings):
                overwrite_secret(argument, secret)


def run(
    settings: ServeSettings,
    *,
    opens: bool = False,
    says: Callable[[ServeSettings], list[str]] | None = None,
    room: str = "",
) -> None:
    """Runs the supervisor to its end, and exits.

    opens: whether to open the page in a browser, in `room`; says: lines to print once the server is ready.
    """
    from antiphon.backends.serving import ServedSynth
    from antiphon.cli.running.page import announce
    from antiphon.cli.running.server_files import check_files
    from antiphon.cli.running.starting import log_prints_by_plugin, server_log
    from antiphon.files.audiofile import load_sound
    from antiphon.files.set_header import header
    from antiphon.files.temporary import sweep
    from antiphon.kernel.supervisor.companions import Companions
    from antiphon.kernel.supervisor.watch import Supervisor
    from antiphon.recording import requests

    raise_open_files()
    sweep()
    folder = pidfile.folder(settings)
    try:
        check_files(settings, folder)
        settings = settings.with_(surface=tuple(_resolve_host(surface) for surface in settings.surface))
        pidfile.end_orphans(folder)
        create_and_lock_token(paths.config())
        with server_log(settings.log, settings.log_level), log_prints_by_plugin():
            ready = partial(announce, folder, opens=opens, says=says, room=room)
            modules = "antiphon.web.process", "antiphon.performer.process"
            beside = Companions(
                *modules,
                _make_secrets,
                ready,
                load_sound,
                TAKES,
                header,
                EXPORT,
                _STRIPS,
                requests,
                ServedSynth(),
                _JOINING,
            )
            owner = int(os.environ.pop(OWNER, 0))  # of this server alone, not of those that its scripts start
            status = Supervisor(settings, folder, beside, owner).run()
    finally:
        pidfile.clear(folder, settings)
    raise Exit(status)


def _make_secrets() -> None:
    """Creates the token and the certificate of `--lan`, unless valid ones exist."""
    from antiphon.web import certificate

    load_token(paths.config())
    certificate.load(paths.config(), local_addresses())


def check_ports_free(settings: ServeSettings) -> None:
    """Raises `UsageError` if a server or another program uses these ports; has no side effects."""
    if settings.osc_port:
        pidfile.read_left_processes(pidfile.folder(settings))
    for sock in open_sockets(settings):
        sock.close()


def _resolve_host(surface: str) -> str:
    """HOST:PORT with the host as an IPv4 address, since resolving a name during a performance would delay messages."""
    import socket

    host, port = surface_address(surface)
    try:
        addresses = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise UsageError(f"--surface {surface}: there is no host {host!r}; name its IPv4 address") from None
    return f"{addresses[0][4][0]}:{port}"


_STRIPS = "antiphon.performer.strip_ports"
TAKES = {"session": "antiphon.files.set_take:SetTake", "tracks": "antiphon.files.tracks:TrackTake"}
"""Writers of a set and of its tracks."""
_JOINING = (
    "antiphon.files.set_header:join",
    "antiphon.joining.patch_lists:join",
    "antiphon.joining.set_lists:join",
    "antiphon.joining.learning:join",
    "antiphon.joining.monitor:join",
    "antiphon.joining.note_watch:join",
    "antiphon.joining.operations:join",
    "antiphon.performer.script_gate:open_gate",
    "antiphon.reloading.patch_watch:join",
    "antiphon.web.control_requests:join",
    "antiphon.reloading.plugin_watch:join",
)
"""Functions that extend the control process."""
EXPORT = (sys.executable, "-m", "antiphon", "export")
"""Command that writes MIDI files and projects beside recorded tracks."""
_ARG_START, _ARG_END = 45, 46
"""Fields 48 and 49 of /proc/PID/stat, counted from the one after the name."""


def overwrite_secret(argument: str, secret: str) -> bool:
    """Overwrites `secret` with x wherever `argument` stands in this process's command line.

    False where that cannot be done (no /proc); then only the environment keeps a secret.
    """
    whole, part = argument.encode(errors="surrogateescape"), secret.encode(errors="surrogateescape")
    if not part or part not in whole:
        return False
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        line = Path("/proc/self/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return False
    # the process list shows this memory; nothing is written unless its address is known
    if not 0 < start < end or ctypes.string_at(start, end - start) != line[: end - start]:
        return False
    at, covered = line.find(whole), False
    while at >= 0:
        ctypes.memmove(start + at, whole.replace(part, b"x" * len(part)), len(whole))
        covered = True
        at = line.find(whole, at + len(whole))
    return covered
