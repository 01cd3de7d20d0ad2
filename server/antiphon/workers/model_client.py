"""Client of a model in a worker, for processors with a hop grid of their own, and checks whether a model can run.

What a hop and an answer hold (sound, band levels, gains) is agreed between processor and network.
"""

from __future__ import annotations

import logging
from pathlib import Path

from antiphon.runtime import model_files
from antiphon.workers import devices, pool
from antiphon.workers.info import ModelInfo
from antiphon.workers.rebuffer import lead_for
from antiphon.workers.spec import WorkerSpec
from antiphon.workers.worker_client import WorkerClient


class ModelClient(WorkerClient):
    """A processor's streams of one model, side by side: a `WorkerClient` whose worker runs the model.

    `lead * hop_frames` belongs into the processor's latency. What a hop and an answer mean (sound, band levels, gains)
    is between processor and network. For sound in, sound out there is `ModelProcessor`.
    """

    def __init__(self, model: ModelInfo, lanes: int, hop_frames: int, block: int, node: int) -> None:
        """Opens the streams, on the device the server was started with where the model can run on it.

        Args:
            model: What runs in the worker.
            lanes: Streams of it.
            hop_frames: Of the processor's grid, by which hops are numbered.
            block: The most frames of a block.
            node: Number of the processor's node.

        Raises:
            WorkerError: The worker does not start, or there is no place for it.
        """
        super().__init__(worker_of(model), lanes, lead_for(hop_frames, block), node)


def worker_of(model: ModelInfo) -> WorkerSpec:
    """Describes the worker that runs a model, on the server's device where the model can, otherwise on the CPU.

    Args:
        model: The model.

    Returns:
        The worker's spec.
    """
    here = pool.current()
    if here is None:  # a check: nothing is started
        return model.worker(model.devices[0])
    return model.worker(here.device if here.device in model.devices else "cpu")


def usable(model: ModelInfo) -> str:
    """Finds out why a model cannot run here.

    Args:
        model: The model.

    Returns:
        One sentence; "" where its weights and torch are installed.
    """
    try:
        model_files.entry(model.weights, Path(model.folder) if model.folder else None)
    except model_files.ModelError as error:
        return str(error)
    if devices.installed() is None:
        return f"the model {model.name} needs torch, which is not installed; `make models` installs it"
    return ""


def say_instead(log: logging.Logger, text: str) -> None:
    """Warns of what a node does without its model: once in a process, and never where a declaration is only checked.

    Args:
        log: The plugin's logger.
        text: The sentence.
    """
    if not pool.only_tried() and (log.name, text) not in _SAID:
        _SAID.add((log.name, text))
        log.warning("%s", text)


_SAID: set[tuple[str, str]] = set()
"""(logger, text) of this process: as many as there are modes of models."""
