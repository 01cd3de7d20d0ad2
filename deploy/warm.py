"""Writes into an image what its first start would write: bytecode, or the machine code of the kernels.

python warm.py bytecode | worker-bytecode | kernels
"""

from __future__ import annotations

import compileall
import importlib
import os
import sys
import sysconfig
from pathlib import Path

SERVER = (
    "antiphon.cli.serve", "antiphon.cli.files.run", "antiphon.cli.files.render", "antiphon.supervisor.watch",
    "antiphon.control.process", "antiphon.web.process", "antiphon.engine.process", "antiphon.engine.drivers.headless",
    "antiphon.engine.recording.recorder", "antiphon.workers.zygote", "antiphon.jobs.process", "antiphon.web.routes",
    "urllib.request", "uvicorn.protocols.http.h11_impl",
)  # fmt: skip
WORKER = (
    "antiphon.pipeline.running", "antiphon.pipeline.runners", "antiphon.pipeline.shards", "distributed.cli.dask_worker",
    "distributed.cli.dask_scheduler", "apache_beam.runners.dask.dask_runner", "pyarrow.parquet",
    "antiphon.cli.pipeline",
)  # fmt: skip


def main(kind: str) -> None:
    """kind: as in the module's docstring."""
    os.environ["ANTIPHON_HOME"] = f"/tmp/warm-{kind}"
    if kind == "kernels":
        from antiphon.native import compile_all
        from antiphon.plugins import loader

        compile_all()
        loader.load()
        compile_all()
        return
    for name in (*SERVER, *(WORKER if kind == "worker-bytecode" else ())):
        importlib.import_module(name)
    packages = Path(sysconfig.get_path("purelib"))
    for folder in sorted(packages.glob("antiphon*")):
        if folder.is_dir() and not compileall.compile_dir(folder, quiet=1):
            sys.exit(f"{folder} could not be compiled")


if __name__ == "__main__":
    main(sys.argv[1])
