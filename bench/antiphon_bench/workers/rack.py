"""A plugin for benches, written into a server's home: nodes with model workers of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PLUGIN = "benchrack"
INIT = """
from antiphon.kernel.contract.hookspecs import hookimpl


@hookimpl
def antiphon_processors(register):
    register("mask_a", "benchrack.nodes:MaskA", "A mask network.")
    register("mask_b", "benchrack.nodes:MaskB", "Another one, in a worker of its own.")
    register("negate", "benchrack.nodes:NegateNode", "The sound turned over, in a worker.")
"""
NODES = """
from dataclasses import replace
from antiphon.kernel.workers.info import ModelInfo
from antiphon.kernel.workers.processor import ModelProcessor
from antiphon.kernel.workers.spec import WorkerSpec

NETWORK = "antiphon_bench.workers.grumask:GruMask"
A = ModelInfo("mask_a", NETWORK, "grumask", "bench", latency=480, slots=2, folder={folder!r})


class MaskA(ModelProcessor):
    model = A
    rate = 48000


class MaskB(ModelProcessor):
    model = replace(A, name="mask_b")
    rate = 48000


class _Negating(ModelInfo):
    def worker(self, device):
        return WorkerSpec("negate", "antiphon_bench.workers.echo:Negate", "torch", slots=2)


class NegateNode(ModelProcessor):
    model = _Negating("negate", "", "", "bench")
    rate = 48000
"""
PATCH = """
format = 1
[nodes.mask_a]
[nodes.mask_b]
[nodes.keys]
type = "synth"
[wires]
"in" = "mask_a"
"mask_a" = "mask_b"
"mask_b" = "out"
"keys" = "out"
"""
KILL_PATCH = """
format = 1
[nodes.negate]
[wires]
"in" = "negate"
"negate" = "out"
"""


def install(plugins: Path, weights: Path, seed: int = 1) -> None:
    """Writes the plugin into a folder of plugins, and its random weights into `weights`."""
    import torch

    from antiphon.kernel.runtime import model_files
    from antiphon_bench.workers.grumask import GruMask

    torch.manual_seed(seed)
    arrays = {name: np.asarray(tensor) for name, tensor in GruMask().state_dict().items()}
    weights.mkdir(parents=True, exist_ok=True)
    model_files.write("grumask", arrays, weights, {"licence": "MIT", "plugin": "bench"})
    folder = plugins / PLUGIN
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").write_text(INIT)
    (folder / "nodes.py").write_text(NODES.format(folder=str(weights)))
