"""Node `model`: processes sound with the reference model, or with a model file of the performer's."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from antiphon.api import AUDIO_OUT, IO, FileUse, Param, Port, Samples, Step, StreamSpec
from antiphon.api.backends.models import ModelError, ModelProcessor
from antiphon.api.backends.workers import Rebuffer, WorkerSpec, convert_channels, current_pool
from antiphon.api.kernels import fill_sound
from antiphon_model.model_file import MAX_HOP, PROBE_SECONDS, ModelFile, ModelMethod, UntestedFile, describe
from antiphon_model.spec import REFERENCE

LATENTS = 16
"""Maximum latents that can be wired and set; further latents of a method are 0, or have no port."""
REACH = 4.0
"""Range of z1, z2, … in both directions, times `scale`: four standard deviations of an about normal latent."""
LIVE_SECONDS = 10.0
"""Timeout in seconds of a live server for a new file: its supervisor ends an engine that loads for 15."""
NAMES = tuple(f"z{n}" for n in range(1, LATENTS + 1))
MEMORY, MAX_MEMORY = 768, 4096
"""Megabytes of a worker besides six times its file, and their limit: torch holds file, module and stream copies."""


class ModelNode(ModelProcessor):
    """Processes sound with a model in a separate process: a file of the library, else one that passes it unchanged."""

    model = REFERENCE
    outputs = (AUDIO_OUT, *(Port(name, "control") for name in NAMES))
    on_files = FileUse(needs=("file",))
    params = (
        Param(
            "file",
            "file",
            "",
            holds="an ONNX or TorchScript model",
            doc="An ONNX or TorchScript model (nn~, RAVE); without one the input passes.",
        ),
        Param("method", "text", "", doc="Which of its methods; without a name forward, or its first."),
        Param(
            "rate",
            "int",
            0,
            0,
            192000,
            unit="Hz",
            restart=True,
            doc="Sample rate of the model; 0 is what the file says.",
        ),
        Param(
            "hop", "int", 0, 0, MAX_HOP, unit="frames", restart=True, doc="Frames computed at a time; 0 is the file's."
        ),
        Param("attributes", "text", "", doc="Attributes of the file, as name=value name=value,value."),
        Param("scale", default=1.0, low=0.01, high=100.0, warp="log", restart=True, doc="Latents for each unit of z."),
        *(
            Param(name, low=-REACH, high=REACH, smooth=0.005, doc=f"Latent {n} of a method that takes them.")
            for n, name in enumerate(NAMES, 1)
        ),
    )
    _known: tuple[str, ModelFile] | None = None
    _method: ModelMethod | None = None

    @property
    def rate(self) -> int | None:  # type: ignore[override]
        """Requested rate, else that of the file; None without one."""
        if not self.settings["file"]:
            return REFERENCE.rate
        if self.settings["rate"]:
            return int(self.settings["rate"])
        file = self._file()
        return file.rate or None if file is not None else None

    def _file(self) -> ModelFile | None:
        """Description of the file; None while the node is checked and the file is untested."""
        path = str(self.settings["file"])
        if self._known is None or self._known[0] != path:
            pool = current_pool()
            wait = 0.0 if pool is None else PROBE_SECONDS + 5.0 if pool.lockstep else LIVE_SECONDS
            try:
                self._known = path, describe(path, wait)
            except UntestedFile:
                if pool is not None:
                    raise
                return None
        return self._known[1]

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Spec of the worker: of the file's method, or of the reference model.

        Raises ModelError: the file cannot be played as it is set up.
        """
        self._method = None
        if not self.settings["file"]:
            return super().worker(spec)
        file = self._file()
        if file is None:  # any worker will do: none is started
            return replace(REFERENCE.worker("cpu"), rate=spec.rate)
        names = [method.name for method in file.methods]
        asked = str(self.settings["method"]).strip()
        method = file.method(asked or ("forward" if "forward" in names else names[0]))
        hop = file.choose_hop(int(self.settings["hop"]))
        if hop > MAX_HOP:
            raise ModelError(f"{Path(file.path).name} takes hops of {hop} frames; at most {MAX_HOP} can be played")
        self._method = method
        script, pool = file.format == "torchscript", current_pool()
        return WorkerSpec(
            name=Path(file.path).name,
            factory=f"antiphon_model.worker:build_{'torchscript' if script else 'onnx'}",
            zygote="torch" if script else "onnxruntime",
            hop=hop,
            rate=spec.rate,
            inputs=(method.inputs, hop // method.in_ratio),
            outputs=(method.outputs, hop // method.out_ratio),
            slots=self.lanes(spec),
            device=pool.device if script and pool is not None else "cpu",
            memory=min(MAX_MEMORY, MEMORY + 6 * (file.bytes >> 20)),
            settings={
                "path": file.path,
                "sha256": file.sha256,
                "method": method.name,
                "attributes": " ".join(str(self.settings["attributes"]).split()),
            },
        )

    @property
    def _alike(self) -> bool:
        """Whether a method has equally many input and output channels."""
        method = self._method
        return method is None or (method.sound and method.inputs == method.outputs)

    def lanes(self, spec: StreamSpec) -> int:
        """Number of streams: one per group of channels for a method with equal inputs and outputs; otherwise one."""
        method = self._method
        if method is None:
            return super().lanes(spec)
        return -(-spec.channels // method.inputs) if method.sound and method.inputs == method.outputs else 1

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """Latency in frames, as declared by the file or measured."""
        return super().behind(spec, hop) if self._method is None else self._method.latency

    def dry(self, inputs: int, outputs: int) -> bool:
        """Whether the input replaces missing answers: only if sound is mapped to sound."""
        return self._method is None or self._method.sound

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the streams; latents are split into hops like the sound.

        Raises ModelError: the file cannot be played; the sentence says why.
        """
        super().prepare(spec)
        method, hop = self._method, self.hops.hop
        self._channels = spec.channels
        taken = min(LATENTS, method.inputs) if method is not None and method.in_ratio > 1 else 0
        given = min(LATENTS, method.outputs) if method is not None and method.out_ratio > 1 else 0
        self._taken, self._given = NAMES[:taken], given
        self._in: Samples = np.zeros((spec.channels + taken, spec.block), np.float32)
        self._out: Samples = np.zeros((spec.channels + given, spec.block), np.float32)
        self._held: Samples = np.zeros((given, hop), np.float32)
        self._silence: Samples = np.zeros((1, hop), np.float32)
        self._scale = np.float32(self.settings["scale"])
        # a control signal of 1 is the whole range of a parameter
        self._unit = np.float32(1.0 / (2.0 * REACH * float(self._scale)))
        self._answered = False
        self.hops = Rebuffer(hop, self.hops.lead, len(self._in), len(self._out), self._post_all, self._load_all)

    def step(self, io: IO) -> Step | None:
        """Native step for a block of sound whose answer is in time."""
        step = None if self._taken or self._given or not self._alike else super().step(io)
        for out in io.audio_out[1:] if step is not None else ():
            step = step and step.then(fill_sound.step(out, 0.0))
        return step

    def process(self, io: IO) -> None:
        """Posts complete hops of sound and latents, and plays the answers."""
        self._io = io
        frames, channels = io.frames, self._channels
        x, y = self._in[:, :frames], self._out[:, :frames]
        x[:channels] = io.audio_in[0]
        for row, name in enumerate(self._taken, channels):
            x[row] = io.curve(name)
        self.hops.run(io, x, y)
        io.audio_out[0][...] = y[:channels]
        for n in range(LATENTS):
            io.audio_out[1 + n][0] = y[channels + n] if n < self._given else 0.0

    def _post_all(self, hop: int, sound: Samples) -> None:
        self._latents = sound[self._channels :]
        self.post(hop, sound[: self._channels])

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes the sound of a hop, or its latents, into `[lanes, *inputs]`, which is posted.

        Runs on the block path. A latent's value is its parameter at the last frame it covers.
        """
        method = self._method
        if method is None or self._alike:
            super().write(hop, sound, into)
        elif method.in_ratio == 1:
            convert_channels(sound, into[0])
        else:
            ratio = method.in_ratio
            for row, values in enumerate(self._latents):
                np.multiply(values[ratio - 1 :: ratio], self._scale, out=into[0, row])

    def read(self, answer: Samples) -> Samples:
        """Sound of an answer `[lanes, *outputs]`; silence if it is latents. Runs on the block path."""
        method = self._method
        if method is None or self._alike:
            return super().read(answer)
        if method.out_ratio == 1:
            sound: Samples = answer[0]
            return sound
        for row in range(self._given):
            steps = self._held[row].reshape(-1, method.out_ratio)
            np.multiply(answer[0, row][:, None], self._unit, out=steps)
        self._answered = True
        return self._silence

    def _load_all(self, hop: int, out: Samples) -> None:
        self._answered = False
        self.load(hop, out[: self._channels])
        if not self._answered and self._given:
            self._held[:] = self._held[:, -1:]  # a late answer leaves the latents where they were
        out[self._channels :] = self._held

    def reset(self) -> None:
        """Clears the state; the worker restarts from its initial state at the next hop."""
        super().reset()
        self._held.fill(0.0)
