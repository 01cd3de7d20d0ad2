"""Writes the files of an image that its first start would write: bytecode, or the machine code of the kernels.

python warm.py bytecode | worker-bytecode
python warm.py kernels     of the server and its jobs, for the processor of the build
python warm.py analyses    writes nothing: runs every analysis, to check that none lacks its kernels
"""

from __future__ import annotations

import compileall
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import wave
from pathlib import Path

SERVER = (
    "antiphon.cli.serve", "antiphon.cli.files.run", "antiphon.cli.files.render", "antiphon.kernel.supervisor.watch",
    "antiphon.kernel.control.process", "antiphon.web.process", "antiphon.kernel.engine.process",
    "antiphon.kernel.engine.drivers.headless",
    "antiphon.recording.recorder", "antiphon.kernel.workers.zygote", "antiphon.jobs.process",
    "antiphon.web.routes",
    "urllib.request",
)  # fmt: skip
WORKER = (
    "antiphon_models.pipeline.running",
    "antiphon_models.pipeline.running",
    "antiphon_models.pipeline.shards",
    "antiphon_models.commands.pipeline",
    "apache_beam.runners.dask.dask_runner",
    "distributed.cli.dask_worker",
    "distributed.cli.dask_scheduler",
    "pyarrow.parquet",
)


def kernels() -> None:
    """Compiles the kernels of a server's engine and of a job's process, each in the order of its start."""
    from antiphon.backends.serving import ServedSynth
    from antiphon.files.audiofile import load_sound
    from antiphon.kernel.runtime import paths
    from antiphon.kernel.runtime.settings import ServeSettings
    from antiphon.kernel.supervisor import preload
    from antiphon.kernel.supervisor.companions import Companions

    beside = Companions(read=load_sound, notes=ServedSynth())
    preload.warm(ServeSettings(audio="headless"), paths.make_folder(paths.runtime() / "warm"), beside)
    _write_sound("/tmp/warm.wav", bytes(9600))
    for words in (("run", "gain", "/tmp/warm.wav", "/tmp/warm-out.wav"), ("render", "keys", "--seconds", "0.1")):
        out = () if words[0] == "run" else ("--out", "/tmp/warm-keys.wav")
        subprocess.run([sys.executable, "-B", "-m", "antiphon", *words, *out], check=True, stdout=subprocess.DEVNULL)
    for left in Path("/tmp").glob("warm*.wav"):
        left.unlink()


def analyses() -> None:
    """Runs every analysis on a second of a tone; the build ends if one is unavailable."""
    import json

    import numpy as np

    _write_sound("/tmp/warm.wav", (8000 * np.sin(np.arange(48000) * 0.06)).astype("<i2").tobytes())
    for words in ((), ("--only", "loop")):
        command = [sys.executable, "-B", "-m", "antiphon", "library", "analyse", "/tmp/warm.wav", "--json", *words]
        print(sorted(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)))
    Path("/tmp/warm.wav").unlink()


def _write_sound(path: str, frames: bytes) -> None:
    with wave.open(path, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48000)
        sound.writeframes(frames)


def main(kind: str) -> None:
    """kind: as in the module's docstring."""
    os.environ["ANTIPHON_HOME"] = f"/tmp/warm-{kind}"
    if kind in ("kernels", "analyses"):
        {"kernels": kernels, "analyses": analyses}[kind]()
        shutil.rmtree(os.environ["ANTIPHON_HOME"], ignore_errors=True)
        return
    for name in (*SERVER, *(WORKER if kind == "worker-bytecode" else ())):
        importlib.import_module(name)
    packages = Path(sysconfig.get_path("purelib"))
    for folder in sorted(packages.glob("antiphon*")):
        if folder.is_dir() and not compileall.compile_dir(folder, quiet=1):
            sys.exit(f"{folder} could not be compiled")
    shutil.rmtree(os.environ["ANTIPHON_HOME"], ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
