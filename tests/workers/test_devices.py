"""Which device it will be, told without importing torch."""

import importlib.machinery
import os
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers import devices

ROOT = Path(__file__).parents[2]
CPU_BUILD = "from typing import Optional\n__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\n"
CUDA_BUILD = "__version__ = '2.13.0+cu129'\ndebug = False\ncuda: Optional[str] = '12.9'\ngit_version = 'abc'\n"
OLD_BUILD = "__version__ = '2.1.0'\ncuda = '12.1'\n"
CASES = [
    # torch's version file, nodes, auto, what cuda says
    (None, ["nvidia0"], "cpu", "not installed"),
    (CPU_BUILD, ["nvidia0"], "cpu", r"torch 2.13.0\+cpu is none"),
    (CUDA_BUILD, [], "cpu", "no node"),
    (CUDA_BUILD, ["nvidiactl", "nvidia-uvm"], "cpu", "no node"),
    (CUDA_BUILD, ["nvidia0"], "cuda", ""),
    (OLD_BUILD, ["nvidia3"], "cuda", ""),
    (CUDA_BUILD, ["dxg"], "cuda", ""),
    ("", ["nvidia0"], "cpu", "torch of an unknown version is none"),
]


@pytest.mark.parametrize(("version", "nodes", "auto", "refused"), CASES)
def test_auto_takes_what_is_there_and_cuda_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, nodes: list[str], auto: str, refused: str
) -> None:
    found = None
    if version is not None:
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch" / "version.py").write_text(version)
        found = importlib.machinery.ModuleSpec("torch", None, origin=str(tmp_path / "torch" / "__init__.py"))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: found)
    dev = tmp_path / "dev"
    dev.mkdir()
    for node in nodes:
        (dev / node).touch()
    assert devices.resolve("auto", dev) == auto
    assert devices.resolve("cpu", dev) == "cpu"
    if refused:
        with pytest.raises(WorkerError, match=f"{refused}.*, or use --device cpu$"):
            devices.resolve("cuda", dev)
    else:
        assert devices.resolve("cuda", dev) == "cuda"


def test_a_device_there_is_not_is_refused() -> None:
    with pytest.raises(WorkerError, match="'tpu' is no device; there are: auto, cpu, cuda"):
        devices.resolve("tpu")


def test_asking_imports_no_torch_and_tells_the_truth() -> None:
    run = (
        "import sys; from antiphon.kernel.workers import devices; print(devices.resolve('auto'));"
        "build = devices.installed_torch(); assert 'torch' not in sys.modules;"
        "import torch; assert build == devices.TorchBuild(torch.__version__, torch.version.cuda or '')"
    )
    pytest.importorskip("torch")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
    done = subprocess.run([sys.executable, "-c", run], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("cpu", "cuda")
