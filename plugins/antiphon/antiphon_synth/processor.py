"""Node `synth`: renders notes with the server's backend, in a worker, one block late."""

from antiphon.api import IO, Event, Param, StreamSpec
from antiphon.api.backends.synths import (
    DROPPED,
    FIRST_DIAL,
    INSTRUMENTS,
    LEVEL,
    VOICES,
    BackendChoice,
    SynthInfo,
    SynthProcessor,
    SynthSettings,
    parse_controls,
)
from antiphon.backends.backend import MORE_INSTRUMENTS
from antiphon.backends.info import NULL, chosen_backend
from antiphon.synths.processor import DIALS


def null() -> SynthInfo:
    """Factory of the silent backend, which records its events."""
    return NULL


class Synth(SynthProcessor):
    """Plays notes by the server's synth backend."""

    params = (
        Param("play", "trigger", False, doc="A note with a sound of its own: play note 60 velocity 90 cutoff 800."),
        Param(
            "instrument",
            "choice",
            "piano",
            choices=(*INSTRUMENTS, *MORE_INSTRUMENTS),
            restart=True,
            doc="What the notes are played by; the last four with --synth supercollider.",
        ),
        LEVEL,
        Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", restart=True, doc="Pitch-bend range."),
        Param("voices", "int", VOICES, 1, VOICES, restart=True, doc="Polyphony; the oldest note is released."),
        Param("seed", "int", 1, 0, 65535, restart=True, doc="Random seed of the sound."),
        Param(
            "synthdef",
            "file",
            "",
            holds="a compiled SynthDef",
            doc="A compiled SynthDef that plays instead, with --synth supercollider.",
        ),
        Param(
            "sound", "file", "", holds="a sound file", doc="What the sampler, the grains and a SynthDef's buffer hold."
        ),
        Param("controls", "text", "", doc="What else is set of the SynthDef: cutoff=800 density=1:200."),
        *(
            Param(f"x{n}", low=0.0, high=1.0, smooth=0.02, doc=f"Dial {n}: a range of controls, from end to end.")
            for n in range(1, DIALS + 1)
        ),
        DROPPED,
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._dials = tuple(f"x{n + 1}" for n in range(len(parse_controls(str(self.settings["controls"])).dials)))
        self._turned = [-1.0] * len(self._dials)
        super().prepare(spec)

    def backend(self) -> BackendChoice:
        return chosen_backend()

    def asked(self) -> SynthSettings:
        return SynthSettings(
            str(self.settings["instrument"]),
            float(self.settings["bend"]),
            int(self.settings["voices"]),
            int(self.settings["seed"]),
            str(self.settings["synthdef"]),
            str(self.settings["sound"]),
            str(self.settings["controls"]),
        )

    def turn(self, io: IO, events: list[Event]) -> None:
        """Adds changed controls before the hop's notes."""
        for n, name in enumerate(self._dials):
            place = float(io.at(name, max(0, io.frames - 1)))
            if place != self._turned[n]:
                self._turned[n] = place
                events.append(Event("control", 0, FIRST_DIAL + n, place))
