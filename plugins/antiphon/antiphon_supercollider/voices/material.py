"""Assets of a synth node in scsynth: one of our SynthDefs or a user's own, and a sound in a buffer."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from antiphon.api import FileError, ParamError
from antiphon.api.backends.files import built_in_folder
from antiphon.api.backends.runtime import instead
from antiphon.api.backends.synths import RESERVED, SynthSettings, parse_controls
from antiphon_supercollider.voices import scgf

BUILT_IN = {
    name: f"antiphon_{name}"
    for name in ("piano", "bass", "pad", "pluck", "strings", "electric_piano", "organ", "sampler", "grains")
}
MONO = {"sampler": "antiphon_sampler_mono"}
"""Definitions that play a mono buffer."""
WITH_SOUND = ("sampler", "grains")
MAX_SECONDS = 600.0
MAX_CHANNELS = 2
BUFFERS = ("buffer", "bufnum", "buf")
_DRUM = "antiphon_hat"


@dataclass(frozen=True, slots=True)
class VoiceAssets:
    """Assets of a node."""

    definition: scgf.Definition | None = None  # a user's SynthDef, or None for ours
    buffer: int = -1  # number of the buffer, -1 for none
    channels: int = 0


NOTHING = VoiceAssets()


def needs(settings: SynthSettings) -> bool:
    """True if the settings need files."""
    return bool(settings.synthdef or settings.sound)


def built_in(instrument: str, channels: int = 2) -> str:
    """Name of our SynthDef for an instrument. Raises ParamError: there is none."""
    material = MONO.get(instrument) if channels == 1 else None
    material = material or BUILT_IN.get(instrument)
    if material is None:
        raise ParamError(f"scsynth plays no {instrument!r}; it plays drums, {', '.join(BUILT_IN)}")
    return material


@cache
def find_definition(name: str) -> scgf.Definition:
    """Definition of one of our SynthDefs."""
    return scgf.load(built_in_folder("supercollider") / "compiled" / f"{name}.scsyndef")


def own(settings: SynthSettings) -> scgf.Definition:
    """User's SynthDef of the settings. Raises FileError: it cannot be played by notes."""
    synthdefs = scgf.load(Path(settings.synthdef))
    shown = Path(settings.synthdef).name
    if "out" not in synthdefs.controls:
        raise FileError(f"{shown} has no control named out, so that its sound cannot be brought here; give it one")
    if synthdefs.elsewhere:
        raise FileError(
            f"{synthdefs.elsewhere} in {shown} writes to a bus of its own; give it the control out as it is"
        )
    if not 1 <= synthdefs.channels <= MAX_CHANNELS:
        raise FileError(f"{shown} plays {synthdefs.channels} channels; a voice has 1 or {MAX_CHANNELS}")
    return synthdefs


def own_controls(settings: SynthSettings) -> tuple[str, ...]:
    """Controls that a note may set: those of the SynthDef that the server does not set itself."""
    return tuple(sorted(set(_played(settings).controls) - RESERVED))


def _played(settings: SynthSettings) -> scgf.Definition:
    if settings.synthdef:
        return own(settings)
    return find_definition(_DRUM if settings.instrument == "drums" else built_in(settings.instrument))


def check(settings: SynthSettings) -> None:
    """Checks that scsynth can play the settings.

    Raises FileError: a file cannot be used. Raises ParamError: a setting is invalid.
    """
    definition, instrument = _played(settings), settings.instrument
    if not settings.synthdef and instrument in WITH_SOUND and not settings.sound:
        raise ParamError(f"{instrument} plays a sound: name a file of the library by the parameter sound")
    shown = definition.title if settings.synthdef else instrument
    for name in parse_controls(settings.controls).names:
        if name not in definition.controls:
            may = sorted(set(definition.controls) - RESERVED)
            raise ParamError(f"{shown} has no control {name!r}{instead(name, may, 'it has')}")
    if settings.sound:
        from antiphon.api.backends.files import Decoder

        with Decoder(settings.sound) as decoder:
            info = decoder.info
        if info.frames is not None and info.frames > MAX_SECONDS * info.rate:
            raise FileError(f"{Path(settings.sound).name} is longer than the {MAX_SECONDS:g} s that a buffer may hold")
