"""Backends of `synth` nodes: their description, their interface, and the events they receive."""

from antiphon.backends.backend import INSTRUMENTS, MORE_INSTRUMENTS, VOICES, SynthBackend, SynthSettings
from antiphon.backends.info import (
    NULL,
    BackendChoice,
    OfflinePasses,
    SynthInfo,
    SynthSupport,
    chosen as chosen_backend,
    infos as synth_infos,
    use as use_backend,
)
from antiphon.kernel.errors import Unanswered
from antiphon.synths.processor import (
    DIALS,
    DROPPED,
    FIRST_DIAL,
    LEVEL,
    RESERVED,
    EventWord,
    Sounding,
    SynthProcessor,
    no_events,
    parse as parse_controls,
)
from antiphon.synths.shapes import ChannelBends, NamedValues, NoteShape, NoteShapes, pressure_gain
