"""Declaration of a streaming model as plain data, without torch; the models of plugins, and their weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec

FACTORIES = {"cpu": "antiphon.networks.torch_network:build", "cuda": "antiphon.networks.cuda:build"}
"""Factories of torch models' workers, by device."""
ARRAY_FACTORY = "antiphon.networks.array_network:build"
"""Factory of a CPU worker for a model with a numpy version of its network."""
CUDA_MEMORY = 4096
"""Memory limit in MB: a CUDA context and its libraries take gigabytes of the process before the first weight."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A streaming model, as data: the return type of factories of `antiphon_models`. It imports no torch.

    Attributes:
        name: Name in `antiphon models` and messages.
        network: "module:Class" of the `antiphon.api.backends.networks.StreamingModel`, imported in the worker.
        rate: Frames per second, as the network declares it.
        hop: Values posted at a time for each input; for sound, the frames of a hop.
        latency: Algorithmic latency in frames, in addition to the hop that is collected first.
        slots: Streams per worker on the CPU, where each costs time even without hops.
        devices: Supported devices: "cpu", "cuda".
        folder: Folder of the manifest; "" for the one that ships with Antiphon.
        answer: Values of an answer for each output; 0 for `hop`.
        frames: Frames at `rate` between hops, if a hop does not have that many samples; 0 for `hop`.
        array_network: "module:Class" of the same network in numpy, an `antiphon.api.backends.models.ArrayNetwork`,
            which runs on the CPU without torch; "" if `network` runs there too.
    """

    name: str
    network: str
    weights: str
    plugin: str
    rate: int = 48000
    hop: int = 480
    inputs: int = 1
    outputs: int = 1
    latency: int = 0
    slots: int = 4
    devices: tuple[str, ...] = ("cpu", "cuda")
    folder: str = ""
    answer: int = 0
    frames: int = 0
    array_network: str = ""

    def plays_arrays(self, device: str) -> bool:
        """Whether the numpy network runs on the CPU of a server with that device, "cpu" or "cuda".

        It also does on "cuda" if the package of `network` is not installed: plugins ship without the lab.
        """
        on_card = device != "cpu" and device in self.devices
        return bool(self.array_network) and not (on_card and self._installed())

    def _installed(self) -> bool:
        return importlib.util.find_spec(self.network.partition(":")[0].partition(".")[0]) is not None

    def worker(self, device: str) -> WorkerSpec:
        """Spec of a numpy worker if `plays_arrays`, else of torch. Raises WorkerError: it cannot run on that device."""
        if device in self.devices and self.plays_arrays(device):
            return self._worker("cpu", self.array_network, ARRAY_FACTORY, "none")
        return self.torch_worker(device)

    def torch_worker(self, device: str) -> WorkerSpec:
        """Spec of a worker that runs the model in torch. Raises WorkerError: the model does not run on that device."""
        if device not in self.devices or device not in FACTORIES:
            raise WorkerError(f"the model {self.name} runs on {' or '.join(self.devices)}, not on {device!r}")
        return self._worker(device, self.network, FACTORIES[device], "torch")

    def _worker(self, device: str, network: str, factory: str, zygote: str) -> WorkerSpec:
        settings: dict[str, Value] = {"network": network, "weights": self.weights}
        if self.folder:
            settings["folder"] = self.folder
        return WorkerSpec(
            name=self.name,
            factory=factory,
            zygote=zygote,
            hop=self.frames or self.hop,
            rate=self.rate,
            inputs=(self.inputs, self.hop),
            outputs=(self.outputs, self.answer or self.hop),
            slots=self.slots if device == "cpu" else MAX_SLOTS,
            device=device,
            memory=512 if device == "cpu" else CUDA_MEMORY,
            settings=settings,
        )


@dataclass(frozen=True, slots=True)
class FileListing:
    """List entry of one method of a model file, or of a file that cannot be played.

    Attributes:
        format: "torchscript", "onnx", or "" if unknown.
        in_ratio: Frames of sound for each value of an input; 1 is sound.
        rate: Frames per second for which the file was made; 0 if not stated.
        hop: Frames of its shortest hop.
        latency: Latency in frames, without the hop.
        source: Source of the latency: "declared", "measured" or "assumed".
        problem: Reason why it cannot be played, or "".
    """

    file: str
    bytes: int = 0
    format: str = ""
    method: str = ""
    inputs: int = 0
    in_ratio: int = 1
    outputs: int = 0
    out_ratio: int = 1
    rate: int = 0
    hop: int = 0
    latency: int = 0
    source: str = ""
    problem: str = ""


@runtime_checkable
class ModelFolder(Protocol):
    """A folder of model files; a factory of `antiphon_models` may return it in place of a `ModelInfo`."""

    def listed(self) -> Sequence[FileListing]:
        """Lists the methods of the folder's files."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `antiphon models`."""

    name: str
    plugin: str
    file: str
    bytes: int  # size of its file, 0 without one
    parameters: int
    devices: tuple[str, ...]
    needs_torch: bool
    state: str
    problem: str = ""  # one sentence, "" if verified


def known_models(plugins_dir: Path | None = None) -> tuple[dict[str, ModelInfo], list[str]]:
    """Registered models by name, and a sentence for each whose description failed."""
    from antiphon.kernel.plugins.loader import load
    from antiphon.kernel.runtime.importing import reason_of

    infos: dict[str, ModelInfo] = {}
    failed = []
    for name, factory in load(plugins_dir, check=False).factories["models"].items():
        try:
            info = factory()
        except Exception as error:
            failed.append(f"the model {name} cannot be made: {reason_of(error)}")
            continue
        if isinstance(info, ModelInfo):
            infos[name] = info
        elif not isinstance(info, ModelFolder):
            failed.append(f"the factory of the model {name} gave {type(info).__name__}, not a ModelInfo")
    return infos, failed


def files(plugins_dir: Path | None = None) -> list[FileListing]:
    """The user's model files, as listed by plugins. A new file is loaded once, which takes seconds."""
    from antiphon.kernel.plugins.loader import load

    listings: list[FileListing] = []
    for factory in load(plugins_dir, check=False).factories["models"].values():
        try:
            folder = factory()
            listings += folder.listed() if isinstance(folder, ModelFolder) else []
        except Exception:
            continue  # `known_models` reports it
    return listings


def examine_models(registered: Mapping[str, ModelInfo], folder: Path | None = None) -> list[Row]:
    """A row for each manifest entry and each registered model. `folder`: replaces the folder of built-in weights.

    Entries whose plugin is in a distribution that is not installed are left out.
    """
    from antiphon.kernel.runtime import extras, resources
    from antiphon.networks import model_files

    rows, problem, named = [], "", []
    try:
        named = model_files.names(folder)
    except model_files.ModelError as error:
        problem = str(error)
    used = {info.weights: info for info in registered.values() if not info.folder}
    rows = [_row(name, name, used.get(name), folder) for name in named if name not in used]
    for name, info in registered.items():
        rows.append(_row(name, info.weights, info, Path(info.folder) if info.folder else folder))
    if problem and not any(problem in row.problem for row in rows):
        rows.append(Row("", "", resources.MANIFEST, 0, 0, (), False, "missing", problem))
    absent = extras.absent()
    return sorted((row for row in rows if row.plugin not in absent), key=lambda row: row.name)


def _row(name: str, weights: str, info: ModelInfo | None, folder: Path | None) -> Row:
    from antiphon.kernel.runtime import resources
    from antiphon.networks import model_files

    plugin, runs = (info.plugin, info.devices) if info else ("", ("cpu",))
    file, state, problem, size, parameters = "", "missing", "", 0, 0
    try:
        row = model_files.entry(weights, folder)
        stated = row.get("parameters")
        file, plugin = Path(row["file"]).name, plugin or str(row.get("plugin", ""))
        parameters = stated if isinstance(stated, int) else 0
        path = (folder or resources.models()) / file
        if path.is_file():
            state, size = "changed", path.stat().st_size
        parameters = sum(array.size for array in model_files.weights(weights, folder).values())
        state = "verified"
    except model_files.ModelError as error:
        problem = f"{name}: {error}"
    except OSError as error:
        problem = f"{name}: {file} cannot be looked at: {error.strerror}"
    needs_torch = info is not None and not info.array_network
    return Row(name, plugin, file, size, parameters, runs, needs_torch, state, problem)
