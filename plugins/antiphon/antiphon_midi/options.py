"""Options of `antiphon serve` for MIDI."""

from antiphon.api.backends.runtime import ServeOption

NO_PORTS: tuple[str, ...] = ()
MIDI = ServeOption("midi", "Offer a MIDI input named antiphon, and listen to every MIDI port there.", default=False)
MIDI_IN = ServeOption("midi-in", "Listen to MIDI ports with this in their name only; repeatable.", NO_PORTS)
MPE = ServeOption("mpe", "MIDI ports are MPE controllers, before they say so themselves.", default=False)
MIDI_OUT = ServeOption("midi-out", "Play to MIDI ports with this in their name; repeatable.", NO_PORTS)
MIDI_CLOCK = ServeOption(
    "midi-clock", "follow: take tempo and beat from a MIDI clock. lead: send one to --midi-out.", ""
)
CLOCKS = ("", "follow", "lead")
