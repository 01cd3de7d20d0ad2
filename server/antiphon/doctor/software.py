"""Checks of Python, its packages, Antiphon's folders, plugins and ports."""

import contextlib
import errno
import os
import platform
import socket
import sys
from collections.abc import Iterator

from antiphon.client.finding import running_servers
from antiphon.doctor.machine import finding_if
from antiphon.kernel.contract.finding import Condition, Finding
from antiphon.kernel.errors import AntiphonError
from antiphon.kernel.runtime import extras, paths
from antiphon.kernel.runtime.settings import HTTP_PORT, OSC_PORT


def check_python() -> Iterator[Finding]:
    version = platform.python_version()
    made_for = f"{version}; Antiphon is made for 3.11 to 3.13"
    right = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield finding_if("Python", right, f"{version}, {sys.executable}", made_for, "make PYTHON=python3.11 test")
    if sys.platform != "linux":
        text = f"{platform.system()}; Antiphon is written for it but was tested on Linux alone"
        yield Finding("system", "limited", text)
    elif platform.machine() != "x86_64":
        yield Finding("system", "limited", f"{platform.machine()}; Antiphon was tested on x86-64 alone")


def check_machine_code() -> Iterator[Finding]:
    """Checks that llvmlite compiles a kernel that computes the right result."""
    import numpy as np

    from antiphon.native import dsp

    sound, problem = np.array([[0.25, -0.5, 0.125]], np.float32), ""
    try:
        if (height := dsp.peak(sound, 3, 1, 3)) != 0.5:
            problem = f"a kernel gave {height} where 0.5 is right"
    except Exception as error:
        problem = f"kernels do not compile: {error}"
    if problem:
        yield Finding("machine code", "broken", problem, "pip install --force-reinstall 'antiphon[kernels]'")
    else:
        text = "what ships runs; llvmlite, which compiles plugins of others, is not installed"
        yield Finding("machine code", "works", text if extras.missing(["llvmlite"]) else "effects compile and run")


def check_sound_files() -> Iterator[Finding]:
    try:
        import soundfile
    except OSError as error:
        fix = "sudo apt-get install libsndfile1"
        yield Finding("sound files", "broken", f"libsndfile is missing ({error})", fix)
        return
    there = soundfile.available_formats()
    lacking = [name for name in ("WAV", "FLAC", "OGG", "AIFF", "AU") if name not in there]
    version = f"libsndfile {soundfile.__libsndfile_version__}"
    lacks = f"{version} lacks {', '.join(lacking)}"
    yield finding_if(
        "sound files", not lacking, f"{version}: wav, flac, ogg, aiff, au", lacks, "pip install -U soundfile"
    )
    older = f"{version} is older than 1.1 and has none"
    yield finding_if("mp3", "MP3" in there, "read and written", older, "pip install -U soundfile")


def plugins() -> Iterator[Finding]:
    from antiphon.kernel.plugins.loader import load

    catalog = load().catalog
    yield Finding("plugins", "works" if len(list(catalog)) else "broken", f"{', '.join(sorted(catalog))}")
    for name in dict.fromkeys(extras.absent().values()):
        yield Finding(name, "missing", f"not installed: {', '.join(extras.ADDED[name])}", f"pip install {name}")
    for failure in catalog.failures:
        fix = f"mend or remove it; your own plugins are in {paths.plugins()}"
        yield Finding(f"plugin {failure.name}", "limited", f"does not load: {failure.reason}", fix)


def check_folders() -> Iterator[Finding]:
    named = {
        "settings": paths.config(),
        "patches": paths.patches(),
        "sessions": paths.sessions(),
        "recordings": paths.recordings(),
        "plugins": paths.plugins(),
        "library": paths.library(),
        "cache": paths.cache(),
    }
    for name, folder in named.items():
        parent = folder
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        there = f"{folder}{'' if folder.exists() else ' (created when it is needed)'}"
        fix = f"sudo chown $USER {parent}, or set {paths.HOME} to a folder of yours"
        yield finding_if(f"{name} folder", os.access(parent, os.W_OK), there, f"{folder} cannot be written", fix)


def check_ports() -> Iterator[Finding]:
    """Checks the default ports of `serve`."""
    for kind, wire, port, option in (
        (socket.SOCK_DGRAM, "UDP", OSC_PORT, "--osc-port"),
        (socket.SOCK_STREAM, "TCP", OSC_PORT, "--osc-port"),
        (socket.SOCK_STREAM, "TCP", HTTP_PORT, "--http-port"),
    ):
        with socket.socket(socket.AF_INET, kind) as sock:
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError as error:
                if own := _server_pid(port):
                    yield Finding(f"{wire} port {port}", "works", f"of your server that runs here (process {own})")
                    continue
                who = "taken, perhaps by a running antiphon" if error.errno == errno.EADDRINUSE else str(error.strerror)
                fix = f"stop that program (ss -lpn sport = :{port} names it), or serve {option} {port + 100}"
                yield Finding(f"{wire} port {port}", "limited", who, fix)
                continue
        yield Finding(f"{wire} port {port}", "works", "free")


def _server_pid(port: int) -> int:
    """PID of this user's server at an OSC or HTTP port; 0 for none, or where there is no folder that lists them."""
    with contextlib.suppress(AntiphonError):
        for one in running_servers():
            if port in (one.settings.osc_port, one.settings.http_port):
                return one.pid
    return 0


def models() -> Iterator[Finding]:
    """Checks whether torch is installed, without importing it, which takes seconds."""
    from antiphon.kernel.workers import devices

    build = devices.installed_torch()
    if build is None:
        text = "not installed; the models that ship play without it; networks of your own, training and a GPU need it"
        yield Finding("torch", "missing", text, " and ".join(extras.commands("torch")))
        return
    gpu = devices.resolve("auto") == "cuda"
    use = "models run on the GPU unless --device cpu" if gpu else "for networks of your own and training, on the CPU"
    yield Finding("torch", "works", f"{build.version}: {use}")


def check_voices() -> Iterator[Finding]:
    """Checks the voices of the node `sing`: the neural one of an extra, and espeak-ng's."""
    from ctypes.util import find_library

    if "sing" in extras.absent():
        return
    found = [] if extras.missing(["hibari", "onnx", "onnxruntime"]) else ["neural"]
    found += ["espeak-ng"] if find_library("espeak-ng") else []
    neural = " and ".join(extras.commands("hibari"))
    fix = f"{neural} for the neural one; sudo apt-get install espeak-ng for any language"
    if len(found) == 2:
        yield Finding("voices that sing", "works", ", ".join(found))
    else:
        yield Finding("voices that sing", "limited" if found else "missing", ", ".join(found) or "none", fix)


def check_lilv() -> Iterator[Finding]:
    """Checks for the library that describes third-party LV2 plugins."""
    from ctypes.util import find_library

    if find_library("lilv-0"):
        yield Finding("lilv", "works", "describes LV2 plugins; antiphon plugins --scan lists those that are here")
    else:
        text = "not installed; LV2 plugins of others need it, CLAP ones do not"
        yield Finding("lilv", "missing", text, "sudo apt-get install liblilv-0-0")


def check_weights() -> Iterator[Finding]:
    """Checks the checksums of shipped weights and of those registered by plugins against their manifests."""
    from antiphon.networks import model_files
    from antiphon.networks.info import examine_models, known_models

    fix = "install Antiphon again (a checkout: git checkout models); antiphon models says more"
    try:
        model_files.names()
    except model_files.ModelError as error:
        yield Finding("weights", "limited", f"none are installed: {error}; nodes that need them run without", fix)
        return
    rows = examine_models(known_models()[0])
    if not rows:
        return  # all of them are of other distributions
    good = sum(row.state == "verified" for row in rows)
    bad = [
        f"{state}: {', '.join(row.name for row in rows if row.state == state)}"
        for state in ("missing", "changed")
        if any(row.state == state for row in rows)
    ]
    text = f"{good} of {len(rows)} are installed; {'; '.join(bad)}; nodes that need them run without, or are dry"
    whole = f"{good} of {good} are installed and match their checksums"
    yield finding_if("weights", good == len(rows), whole, text, fix)


def check_model_files() -> Iterator[Finding]:
    """Checks the library's model files; a new one is test-run, which takes seconds."""
    from antiphon.networks.info import files

    listings = files()
    refused = sorted({row.file for row in listings if row.problem})
    count = len({row.file for row in listings})
    if count:
        text = f"{count - len(refused)} of {count} in the library can be played"
        others = f"{text}; not {', '.join(refused[:8])}"
        yield finding_if("model files", not refused, text, others, "antiphon models says why")


def check_pipeline() -> Iterator[Finding]:
    """Checks the extras of `antiphon pipeline`: shard runners, and training frameworks."""
    lacking = ["pipeline"] if extras.missing(["apache_beam", "pyarrow"]) else []
    lacking += [name for name, modules in extras.FRAMEWORKS.items() if extras.missing(modules)]
    trains = [name for name in extras.FRAMEWORKS if name not in lacking]
    text = f"trains with {', '.join(trains) or 'nothing'}" if "pipeline" not in lacking else "not installed"
    if lacking:
        text += f"; extras that are not installed: {', '.join(lacking)}"
    state: Condition = "missing" if "pipeline" in lacking else "works" if trains else "limited"
    fix = "" if state == "works" else f"pip install 'antiphon-lab[{'pipeline' if trains else 'pipeline,sklearn'}]'"
    yield Finding("pipeline", state, text, fix)


def check_synths() -> Iterator[Finding]:
    """Checks each synth backend, without importing its libraries."""
    from antiphon.backends.info import infos

    for info in infos():
        yield from info.make_support().findings()


CHECKS = (
    check_python,
    check_machine_code,
    check_sound_files,
    plugins,
    check_folders,
    check_ports,
    models,
    check_weights,
    check_model_files,
    check_pipeline,
    check_synths,
    check_voices,
    check_lilv,
)
