"""Transports: the base class, and the interface of the server they run in.

A transport carries commands from an external source into the server, and values and notes out of it: MIDI and MQTT are
two. A plugin registers one by the hook `antiphon_transports`. Control starts it only if the settings ask for it.

    class Wire(Transport):
        def start(self, server: TransportServer) -> None:
            server.on_value(lambda address, value: print(address, value))
            server.command(SetParam("echo", "feedback", 0.5), "wire")
"""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, ClassVar

from antiphon.kernel.contract.finding import Finding
from antiphon.kernel.runtime.settings import ServeOption, ServeSettings
from antiphon.kernel.session.transport_server import TransportServer


class Transport:
    """Base class of transports. Methods default to no operation: a transport overrides the ones it needs.

    It is created without arguments: by the command line for `serve`, `doctor` and `devices`, and in the control
    process. Its module imports no library at the top, because these import it whether it is used or not; `start` may.
    `options`: the options that it adds to `serve`. It is started if at least one of them was given; always if it adds
    none, has a table, or sets `always`. `table`: a table that it adds to patches, "NAME=MODULE:FUNCTION", or "". The
    function gets the parsed TOML table, and raises `Misfit` where it is not valid: whenever a patch with that table is
    read, whether the transport runs or not.
    """

    options: ClassVar[tuple[ServeOption[Any], ...]] = ()
    table: ClassVar[str] = ""
    always: ClassVar[bool] = False

    def check(self, settings: ServeSettings) -> None:
        """Checks the settings that ask for this transport: in the command line, before anything is started.

        Raises UsageError: an option has a value that the transport cannot use.
        """

    def unasked(self) -> Mapping[str, Any]:
        """Options that `antiphon play` adds by itself, with values; none takes a device or port of another program."""
        return {}

    def secrets(self, settings: ServeSettings) -> Iterable[tuple[str, str]]:
        """Command-line arguments that are overwritten in the process list, for example passwords."""
        return ()

    def findings(self) -> Iterable[Finding]:
        """Checks the machine for the transport's requirements, for `antiphon doctor`."""
        return ()

    def ports(self) -> tuple[object, Iterable[str]] | None:
        """Ports for `antiphon devices`, as data for JSON and as lines of text; None for a transport without any."""
        return None

    def start(self, server: TransportServer) -> Awaitable[None] | None:
        """Starts the transport, in the control process, after `antiphon_startup`. May be async.

        An exception is logged, and the server runs without the transport.
        """

    def stop(self) -> Awaitable[None] | None:
        """Stops the transport, before `antiphon_shutdown`. May be async; an exception is logged."""


def is_wanted(options: Iterable[str], settings: ServeSettings) -> bool:
    """True if the settings ask for a transport with options of these names."""
    names = tuple(options)
    return not names or any(settings.options.get(name) or settings.secrets.get(name) for name in names)
