"""Backends of `synth` nodes: their description, their interface, and the events they receive."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
from antiphon.backends.backend import INSTRUMENTS, VOICES, SynthBackend, SynthSettings
from antiphon.backends.info import BackendChoice, OfflinePasses, SynthInfo, SynthSupport, use as use_backend
from antiphon.kernel.errors import Unanswered
from antiphon.synths.processor import DROPPED, FIRST_DIAL, LEVEL, SynthMemory, SynthProcessor, parse as parse_controls
from antiphon.synths.shapes import ChannelBends, NamedValues, NoteShape, NoteShapes, pressure_gain
from antiphon.synths.shared_pressure import SharedPressure

if not TYPE_CHECKING:  # a type checker would find every name
    __getattr__ = _former.refuse(__name__)
