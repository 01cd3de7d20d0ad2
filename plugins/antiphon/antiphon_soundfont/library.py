"""ctypes bindings of FluidSynth's library: the calls of `SoundfontSynth`, and its messages.

The names and arguments are those of FluidSynth 2's C interface, https://www.fluidsynth.org/api/.
"""

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from antiphon.api import EngineError, Samples
from antiphon_soundfont.info import INSTALL_LIBRARY, library_file

GRID = 64
"""FluidSynth's internal block in frames: calls take effect at the next multiple."""
CHANNELS, DRUMS = 16, 9
"""Number of MIDI channels, and index of the drums' channel, from 0."""
CHORUS = 0.3
"""Level of the chorus: at FluidSynth's default of 2, a preset with full chorus is 13 dB louder, its sides inverted."""
_LOG = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)
_CALLS: dict[str, tuple[Any, ...]] = {
    "new_fluid_settings": (),
    "new_fluid_synth": (c_void_p,),
    "delete_fluid_synth": (c_void_p,),
    "delete_fluid_settings": (c_void_p,),
    "fluid_settings_setnum": (c_void_p, c_char_p, c_double),
    "fluid_settings_setint": (c_void_p, c_char_p, c_int),
    "fluid_synth_sfload": (c_void_p, c_char_p, c_int),
    "fluid_synth_all_sounds_off": (c_void_p, c_int),
    "fluid_synth_set_gen": (c_void_p, c_int, c_int, c_float),
    "fluid_synth_noteon": (c_void_p, c_int, c_int, c_int),
    "fluid_synth_noteoff": (c_void_p, c_int, c_int),
    "fluid_synth_cc": (c_void_p, c_int, c_int, c_int),
    "fluid_synth_pitch_bend": (c_void_p, c_int, c_int),
    "fluid_synth_pitch_wheel_sens": (c_void_p, c_int, c_int),
    "fluid_synth_program_change": (c_void_p, c_int, c_int),
    "fluid_synth_bank_select": (c_void_p, c_int, c_int),
    "fluid_synth_set_channel_type": (c_void_p, c_int, c_int),
    "fluid_synth_channel_pressure": (c_void_p, c_int, c_int),
    "fluid_synth_key_pressure": (c_void_p, c_int, c_int, c_int),
    "fluid_synth_set_polyphony": (c_void_p, c_int),
    "fluid_synth_set_reverb_on": (c_void_p, c_int),
    "fluid_synth_set_chorus_on": (c_void_p, c_int),
    "fluid_synth_activate_key_tuning": (c_void_p, c_int, c_int, c_char_p, POINTER(c_double), c_int),
    "fluid_synth_activate_tuning": (c_void_p, c_int, c_int, c_int, c_int),
    "fluid_synth_tune_notes": (c_void_p, c_int, c_int, c_int, POINTER(c_int), POINTER(c_double), c_int),
    "fluid_synth_write_float": (c_void_p, c_int, c_void_p, c_int, c_int, c_void_p, c_int, c_int),
}
messages: list[str] = []
"""FluidSynth's messages since the last call, at most eight."""


class SoundfontError(EngineError):
    """FluidSynth or a soundfont cannot be loaded; one sentence."""


def _log(_level: int, message: bytes, _data: object) -> None:
    if len(messages) < 8:
        messages.append(message.decode("utf-8", "replace"))


_logged = _LOG(_log)
"""Log callback, referenced as long as the library may call it."""


@cache
def library() -> Any:
    """Library handle, loaded once. Raises SoundfontError: it is not installed, or too old."""
    path = library_file()
    if path is None:
        raise SoundfontError(f"soundfont needs FluidSynth 2, which is not installed: {INSTALL_LIBRARY}")
    try:
        loaded = ctypes.CDLL(path)
        for name, arguments in _CALLS.items():
            call = getattr(loaded, name)
            call.argtypes = arguments
            call.restype = c_void_p if name.startswith("new_") else None if name.startswith("delete_") else c_int
    except (OSError, AttributeError) as error:
        raise SoundfontError(f"FluidSynth cannot be used ({error}): {INSTALL_LIBRARY}") from None
    for level in range(5):
        loaded.fluid_set_log_function(c_int(level), _logged, None)
    return loaded


class SoundfontSynth:
    """One FluidSynth instance with a soundfont."""

    def __init__(self, rate: int, font: Path, gain: float) -> None:
        """Loads a soundfont at 8000 to 96000 Hz; several in one process share its samples.

        Raises SoundfontError: fluidSynth is not there, or cannot read the file.
        """
        self.calls = library()
        messages.clear()
        self._settings = settings = self.calls.new_fluid_settings()
        for name, number in (("synth.sample-rate", float(rate)), ("synth.gain", gain), ("synth.chorus.level", CHORUS)):
            self.calls.fluid_settings_setnum(settings, name.encode(), number)
        for name, whole in (("synth.threadsafe-api", 0), ("synth.midi-channels", CHANNELS), ("synth.cpu-cores", 1)):
            self.calls.fluid_settings_setint(settings, name.encode(), whole)
        self.handle = self.calls.new_fluid_synth(settings)
        if not self.handle or self.calls.fluid_synth_sfload(self.handle, bytes(font), 1) < 0:
            why = f" ({messages[0]})" if messages else ""
            raise SoundfontError(f"FluidSynth cannot play {font.name}{why}; name another soundfont")
        self.used = False  # it has computed frames: it is not as it was at first, and no call makes it so again

    def call(self, name: str, *arguments: object) -> None:
        """Calls `fluid_synth_NAME`. A refused call, such as a missing program, changes nothing."""
        getattr(self.calls, f"fluid_synth_{name}")(self.handle, *arguments)

    def write(self, out: Samples, first: int, last: int) -> None:
        """Renders frames `first` to `last` of `out`, float32 `[2, frames]`, contiguous rows."""
        if last <= first:
            return
        left, right = out[0].ctypes.data, out[1].ctypes.data
        self.calls.fluid_synth_write_float(self.handle, last - first, left, first, 1, right, first, 1)
        self.used = True

    def close(self) -> None:
        """Frees the synth; it is not used afterwards."""
        self.calls.delete_fluid_synth(self.handle)
        self.calls.delete_fluid_settings(self._settings)
