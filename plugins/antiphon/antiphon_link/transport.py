"""Transport `link`: the setting that requests it, and its start."""

import importlib.util

from antiphon.api import UsageError
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer

LINK = ServeOption("link", "Share tempo and beat by Ableton Link; needs the extra: antiphon[link].", default=False)


class LinkTransport(Transport):
    """`antiphon serve --link`."""

    options = (LINK,)

    def check(self, settings: ServeSettings) -> None:
        if settings.options.get("midi-clock") == "follow":
            raise UsageError("--link and --midi-clock follow exclude each other; both set the tempo")
        if importlib.util.find_spec("link") is None:
            raise UsageError(
                "--link needs the library LinkPython-extern, which is not installed because Ableton Link is GPL; "
                "install it with: pip install 'antiphon[link]'"
            )

    def start(self, server: TransportServer) -> None:
        from antiphon_link.session import LinkLibrary, LinkSession

        LinkSession(server, LinkLibrary(server.tempo()[1])).install()
