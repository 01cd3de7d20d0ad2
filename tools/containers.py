"""Builds the images of deploy/Containerfile: pinned wheels first, then buildah, which needs no daemon.

python tools/containers.py            wheels, a Debian base, both images; prints their sizes
python tools/containers.py wheels     only the wheels, for a build by docker or podman
python tools/containers.py lock       renews the pins in deploy/requirements-*.txt from pyproject.toml
python tools/containers.py try        runs the image of the API and sends it requests

The base is made by mmdebstrap; BASE=docker.io/library/debian:bookworm-slim takes one from a registry.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import prebuilt

from antiphon_bench.rig import free_port

ROOT = Path(__file__).resolve().parents[1]
DEPLOY, OUT = ROOT / "deploy", ROOT / "dist" / "containers"
OTHERS = dict.fromkeys((f"plugins/antiphon-{part}" for part in ("companion", "more", "sound")), "")
IMAGES = {"api": {"": "[kernels]", **OTHERS}, "worker": {"": "[onnx]", **OTHERS, "models": "[pipeline]"}}
"""Targets of the Containerfile: the folders of the distributions in each, with their extras."""
LEFT_OUT = {"api": frozenset[str](), "worker": frozenset({"dnspython", "pillow", "pymongo", "pyo", "python-rtmidi"})}
"""Packages excluded from an image: a worker plays no synth and no MIDI, and uses none of Beam's sources and sinks."""
BASE_IMAGE = "localhost/antiphon-base"
PYTHON = "3.11"
GLIBC = range(36, 4, -1)
"""Minor versions of glibc 2 whose wheels are accepted, up to Debian 12's."""
SLIM = (
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
)
MILLION = 1_000_000
USER = 10001
"""User id of the images."""
TRIES = 60
"""Timeout in seconds of a server in an image."""


def main(task: str) -> None:
    """Runs a task. task: one of those in the module's docstring; "" for the first."""
    if task == "lock":
        lock()
    elif task == "wheels":
        wheels()
    elif task == "try":
        try_api()
    elif task == "":
        wheels()
        build()
    else:
        sys.exit(__doc__)


def lock() -> None:
    """Writes the lock file of each image: every package with its version and the digest of its wheel."""
    with tempfile.TemporaryDirectory() as folder:
        own = build_workspace_wheels(Path(folder))
        for image, parts in IMAGES.items():
            report = Path(folder) / f"{image}.json"
            wanted = (f"{own[part]}{extra}" for part, extra in parts.items())
            options = ["--dry-run", "--ignore-installed", "--target", folder, "--report", str(report)]
            run([*pip("install"), *options, *wanted])
            lines = []
            for item in json.loads(report.read_text())["install"]:
                name = item["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
                if name.startswith("antiphon") or name in LEFT_OUT[image]:
                    continue
                digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
                lines.append(f"{name}=={item['metadata']['version']} --hash=sha256:{digest}\n")
            head = "# Written by `make containers ARGS=lock`, for Python 3.11 on x86-64 Linux; do not edit.\n"
            requirements(image).write_text(head + "".join(sorted(lines)))
            print(f"{requirements(image).relative_to(ROOT)}: {len(lines)} packages")


def wheels() -> None:
    """Collects the wheels of each image in dist/containers: the project's own, and the pinned ones."""
    for image in IMAGES:
        folder = OUT / image
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("antiphon*.whl"):
            old.unlink()
        run([*pip("download"), "--no-deps", "--require-hashes", "--dest", str(folder), "-r", str(requirements(image))])
    with tempfile.TemporaryDirectory() as built:
        own = build_workspace_wheels(Path(built))
        for image, parts in IMAGES.items():
            for part in parts:
                shutil.copy2(own[part], OUT / image)


def build() -> None:
    """Builds both images, and prints their sizes by content."""
    base = os.environ.get("BASE") or local_base()
    for image in IMAGES:
        what = ("--build-arg", f"BASE={base}", "--target", image, "--tag", f"antiphon-{image}")
        buildah("bud", "--layers", "--format", "docker", *what, "--file", str(DEPLOY / "Containerfile"), str(ROOT))
    for image in IMAGES:
        size(image)


def local_base() -> str:
    """Makes a minimal Debian 12 by mmdebstrap, unless present; returns its path."""
    have = subprocess.run(["buildah", "images", "-q", BASE_IMAGE], capture_output=True, check=False, env=environment())
    if have.stdout.strip() and not have.returncode:
        return BASE_IMAGE
    for tool in ("buildah", "mmdebstrap"):
        if shutil.which(tool) is None:
            sys.exit(f"containers: {tool} is not installed: apt-get install buildah mmdebstrap")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "base.tar"
        run(["mmdebstrap", "--quiet", "--variant=minbase", *SLIM, "bookworm", str(archive)])
        name = buildah("from", "scratch", capture=True).strip()
        buildah("add", "--quiet", name, str(archive), "/")
        buildah("commit", "--quiet", name, BASE_IMAGE)
        buildah("rm", name)
    return BASE_IMAGE


def size(image: str) -> None:
    """Prints the size of an image, unpacked and compressed as in a registry."""
    with tempfile.TemporaryDirectory() as folder:
        name = buildah("from", f"antiphon-{image}", capture=True).strip()
        try:
            root = Path(buildah("mount", name, capture=True).strip())
            total = sum(f.lstat().st_size for f in root.rglob("*") if f.is_file() and not f.is_symlink())
            packages = root / "opt/antiphon/lib/python3.11/site-packages"
            parts = sorted(((_weight(part), part.name) for part in packages.iterdir()), reverse=True)[:8]
        finally:
            buildah("umount", name)
            buildah("rm", name)
        buildah("push", "--quiet", f"antiphon-{image}", f"oci:{folder}/image")
        packed = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    print(f"antiphon-{image}: {total / MILLION:.0f} MB unpacked, {packed / MILLION:.0f} MB packed")
    print("  " + ", ".join(f"{name} {weight / MILLION:.0f}" for weight, name in parts))


def try_api() -> None:
    """Tests the API image by requests, with a read-only root and no privileges; ends it by SIGTERM."""
    name = buildah("from", "antiphon-api", capture=True).strip()
    osc, port, process = str(free_port()), str(free_port()), None
    with tempfile.TemporaryDirectory() as folder:
        home, data = Path(folder) / "home", Path(folder) / "data"
        for made in (home, data):
            made.mkdir()
            os.chown(made, USER, USER)
        secret = data / "token"
        secret.write_text(secrets.token_hex(16))
        secret.chmod(0o444)
        Path(folder).chmod(0o755)
        try:
            root = buildah("mount", name, capture=True).strip()
            served = ["antiphon", "serve", "--audio", "headless", "--osc-port", osc, "--http-port", port]
            process = subprocess.Popen(
                ["sh", str(ROOT / "tools" / "run_image.sh"), root, str(home), str(data), *served],
                env={**os.environ, "TOKEN_PATH": f"/tmp/data/{secret.name}"},
            )
            for _ in range(TRIES):
                time.sleep(1.0)
                if status_of(f"http://127.0.0.1:{port}/api/health") == 200:
                    break
            status_url = f"http://127.0.0.1:{port}/api/status"
            right = (status_of(status_url), status_of(status_url, secret.read_text())) == (401, 200)
            if tini := inner(process.pid):
                os.kill(tini, signal.SIGTERM)
            status = process.wait(60)
            print(f"containers: SIGTERM ended it with status {status}")
        finally:
            if process is not None and process.poll() is None:
                process.kill()  # what it runs is killed with it
                process.wait()
            buildah("rm", name)
    if not right or status:
        sys.exit("containers: the API's image is not as it should be")


def status_of(url: str, token: str = "") -> int:
    """HTTP status of an answer; 0 without one."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=60.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def inner(pid: int) -> int:
    """Pid of the tini below a process, the first in its namespaces, which ignores SIGTERM; 0 without one."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == "tini":
            return int(child)
        if found := inner(int(child)):
            return found
    return 0


def _weight(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(f.lstat().st_size for f in path.rglob("*") if f.is_file() and not f.is_symlink())


def build_workspace_wheels(folder: Path) -> dict[str, Path]:
    """Builds the wheels of the workspace into a folder; their paths by the distribution's folder."""
    found = {}
    for part in ("", *OTHERS, "models"):
        run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT / part)], quiet=True)
        name = "lab" if part == "models" else part.rpartition("-")[2]
        found[part] = next(folder.glob(f"antiphon{'_' if name else ''}{name}-*.whl"))
    (found[""],) = prebuilt.main(found[""], "linux-x86_64")
    return found


def requirements(image: str) -> Path:
    """Path of an image's package list."""
    return DEPLOY / f"requirements-{image}.txt"


def pip(command: str) -> list[str]:
    """The pip command for wheels of the image's Python, independent of this one's version."""
    systems = [f"manylinux_2_{minor}" for minor in GLIBC] + ["manylinux2014", "manylinux2010", "manylinux1"]
    python = [f"--python-version={PYTHON}", "--implementation=cp", "--only-binary=:all:"]
    platforms = [f"--platform={system}_x86_64" for system in systems]
    return [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *python, *platforms]


def environment() -> dict[str, str]:
    """Environment for buildah: no daemon, and no namespaces if these are unavailable."""
    return {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot", **os.environ}


def buildah(*words: str, capture: bool = False) -> str:
    """Runs buildah; returns its output if captured."""
    return run(["buildah", *words], quiet=capture, env=environment())


def run(command: list[str], quiet: bool = False, env: dict[str, str] | None = None) -> str:
    """Runs a command; ends this program if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE if quiet else None, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"containers: {' '.join(command[:4])} … failed (exit {done.returncode})")
    return done.stdout or ""


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
