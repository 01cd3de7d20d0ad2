"""Transport `lights`: its options, which name receivers and open no port, its table of patches, and its start."""

from antiphon.api import UsageError
from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer
from antiphon.api.jobs import spell
from antiphon_lights.targets import ARTNET_PORT, OS2L_PORT, SACN_PORT, LightTarget, read_targets

ARTNET: ServeOption[tuple[str, ...]] = ServeOption(
    "artnet", "Send the patch's lights by Art-Net to HOST[:PORT][@MS]: MS early, as late as it shows them.", ()
)
SACN: ServeOption[tuple[str, ...]] = ServeOption(
    "sacn", "Send the patch's lights by sACN (E1.31) to HOST[:PORT][@MS], or to multicast[@MS].", ()
)
OS2L: ServeOption[tuple[str, ...]] = ServeOption(
    "os2l", "Send beats and looks by OS2L to a light desk at HOST[:PORT][@MS].", ()
)
CUES: ServeOption[tuple[str, ...]] = ServeOption(
    "cues", "Send /beat, /bar, /section, /chord and /onset by OSC to HOST:PORT[@MS], ahead by MS.", ()
)
STROBE = ServeOption("strobe", "Flashes a second of a light, at most, 1 to 44; 0 is 10.", default=0)
MOST_STROBE = 44


class LightsTransport(Transport):
    """`antiphon serve --artnet`, `--sacn`, `--os2l`, `--cues`."""

    options = (ARTNET, SACN, OS2L, CUES, STROBE)
    table = "lights=antiphon_lights.table:read"

    def check(self, settings: ServeSettings) -> None:
        read_receiver_options(settings)
        strobe = settings.value(STROBE)
        if not 0 <= strobe <= MOST_STROBE:
            raise UsageError(f"{spell('strobe')} takes 1 to {MOST_STROBE} flashes a second, or 0 for 10, not {strobe}")

    def start(self, server: TransportServer) -> None:
        from antiphon_lights.sending import Lights

        Lights(server, read_receiver_options(server.settings), server.settings.value(STROBE)).install()


def read_receiver_options(settings: ServeSettings) -> dict[str, tuple[LightTarget, ...]]:
    """Receivers by option name. Raises UsageError: one is invalid."""
    usual = ((ARTNET, ARTNET_PORT), (SACN, SACN_PORT), (OS2L, OS2L_PORT), (CUES, 0))
    return {
        option.name: read_targets(option.name, settings.value(option), port, multicast=option is SACN)
        for option, port in usual
    }
