"""Backends of `synth` nodes: their description, their interface, and the events they receive."""

from antiphon.kernel.errors import Unanswered
from antiphon.kernel.synth.backend import INSTRUMENTS, MORE_INSTRUMENTS, VOICES, SynthBackend, SynthSettings
from antiphon.kernel.synth.controls import DIALS, FIRST_DIAL, RESERVED, parse as parse_controls
from antiphon.kernel.synth.info import (
    NULL,
    BackendChoice,
    OfflinePasses,
    SynthInfo,
    SynthSupport,
    chosen as chosen_backend,
    infos as synth_infos,
    use as use_backend,
)
from antiphon.kernel.synth.processor import DROPPED, LEVEL, EventWord, Sounding, SynthProcessor, no_events
from antiphon.kernel.synth.shapes import ChannelBends, NamedValues, NoteShape, NoteShapes, pressure_gain
