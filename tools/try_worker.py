"""Tests the worker's image: a scheduler, two workers and `antiphon pipeline run` in it, with read-only roots.

python tools/try_worker.py     after `make containers`; as root

A classifier is trained here first, where the extras `pipeline` and `sklearn` are installed, and predicts in the image.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.kernel.runtime import extras
from antiphon_bench.rig import free_port

sys.path.insert(0, str(Path(__file__).parent))
from containers import ROOT, TRIES, USER, buildah, inner

PITCHES = {"low": 200.0, "high": 3000.0}
"""Pitch in Hz of the sounds, by label."""
COUNT = 6
"""Number of sounds per label."""
RATE = 22050
STEPS = "gather,preprocess,analyse,predict"
TRAINING = "gather,preprocess,train,evaluate,deploy"
NAME = "tones"
"""Name of the pipeline and of its classifier."""


def main() -> None:
    """Runs the test; ends with status 1 on a failure."""
    name = buildah("from", "antiphon-worker", capture=True).strip()
    with tempfile.TemporaryDirectory() as folder:
        data, home = Path(folder) / "data", Path(folder) / "home"
        home.mkdir()
        _write_sounds(data / "sounds")
        trained = not extras.missing(["apache_beam", "pyarrow", "sklearn", "onnx", "onnxruntime"])
        if trained:
            _train(data, home)
        else:
            print("containers: without the extras pipeline and sklearn here no classifier is tried in the image")
        _write_settings(data, [*(["halves"] if trained else []), "music", "loudness", "genre"])
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, USER, USER)
        Path(folder).chmod(0o755)
        try:
            root = buildah("mount", name, capture=True).strip()
            statuses, report = _run(root, home, data)
        finally:
            buildah("rm", name)
        said = [
            json.loads(line)
            for path in sorted((data / "out/predictions").glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]
    _judge(statuses, report, said, trained)


def _write_sounds(folder: Path) -> None:
    dice = np.random.default_rng(1)
    for label, hertz in PITCHES.items():
        (folder / label).mkdir(parents=True)
        for number in range(COUNT):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + 0.02 * number) * np.arange(4 * RATE) / RATE)
            with wave.open(str(folder / label / f"{number}.wav"), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(RATE)
                sound.writeframes((20000 * (tone + 0.01 * dice.standard_normal(len(tone)))).astype("<i2").tobytes())


def _write_settings(data: Path, analyses: list[str]) -> None:
    (data / "pipeline.toml").write_text(
        f'name = "{NAME}"\nout = "out"\n[gather]\ndataset = "folder"\npath = "sounds"\n'
        "[preprocess]\nseconds = 4.0\nshards = 4\n[analyse]\nshards = 6\n"
        f'[train]\nframeworks = ["sklearn"]\nepochs = 4\n[deploy]\nname = "halves"\n'
        f'[predict]\npath = "sounds"\nanalyses = {json.dumps(analyses)}\nshards = 4\n'
    )


def _train(data: Path, home: Path) -> None:
    """Trains and deploys the classifier into the home of the image's workers, and removes intermediate results."""
    _write_settings(data, ["loudness"])
    command = [sys.executable, "-m", "antiphon", "pipeline", "run", str(data / "pipeline.toml"), "--steps", TRAINING]
    subprocess.run(command, check=True, env={**os.environ, "ANTIPHON_HOME": str(home)})
    shutil.rmtree(data / "out")


def _run(root: str, home: Path, data: Path) -> tuple[list[int], dict[str, object]]:
    """Exit statuses of scheduler, workers and run, and the report of the run."""
    port = str(free_port())
    address = f"tcp://127.0.0.1:{port}"
    script = ["sh", str(ROOT / "tools" / "run_image.sh"), root, str(home), str(data)]
    worker = ["dask", "worker", address, "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    started = [
        subprocess.Popen([*script, "dask", "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"])
    ]
    try:
        _wait_for(int(port))
        started += [subprocess.Popen([*script, *worker]) for _ in range(2)]
        begun = time.monotonic()
        done = subprocess.run(
            [*script, "antiphon", "pipeline", "run", "/tmp/data/pipeline.toml", "--runner", "dask", "--steps", STEPS,
             "--option", f"--dask_client_address={address}", "--json"], stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        print(f"containers: antiphon pipeline run took {time.monotonic() - begun:.0f} s")
        statuses = [done.returncode]
        for process in reversed(started):
            if tini := inner(process.pid):
                os.kill(tini, signal.SIGTERM)
            statuses.append(process.wait(60))
        return statuses, json.loads(done.stdout or "{}")
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()  # what it runs is killed with it
                process.wait()


def _wait_for(port: int) -> None:
    for _ in range(TRIES):
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(1.0)


def _judge(statuses: list[int], report: dict[str, object], said: list[dict[str, Any]], trained: bool) -> None:
    count = COUNT * len(PITCHES)
    print(f"containers: statuses of the run, the workers and the scheduler: {statuses}")
    print(f"containers: {report.get('items')} sounds, analysed {report.get('analysed')}, left out {report.get('dead')}")
    print(f"containers: a prediction: {json.dumps(said[0])[:400] if said else None}")
    right = [line for line in said if _is_right(line, trained)]
    print(f"containers: {len(right)} of {count} predictions are right")
    if any(statuses) or report.get("items") != count or report.get("dead") or len(right) != count:
        sys.exit("containers: the workers' image is not as it should be")


def _is_right(line: dict[str, Any], trained: bool) -> bool:
    """Whether no analysis has a problem, and the classifier returns the sound's folder."""
    results = [value for value in line.values() if isinstance(value, dict)]
    label = line["halves"]["halves"] if trained else line["name"].partition("/")[0]
    return all(not result["problem"] for result in results) and line["name"].startswith(f"{label}/")


if __name__ == "__main__":
    main()
