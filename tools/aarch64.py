"""Runs tests of kernels for aarch64 under qemu-user, with the machine code of that platform's wheel.

python tools/aarch64.py [TESTS…]        arguments of pytest; without any, the tests of the compiler, the effects and
plans

Needs a Debian with `qemu-user`, and ziglang. The first run installs Debian's Python for arm64 and the packages from
PyPI into `build/aarch64`.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import prebuilt

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "aarch64"
PYTHON = PLACE / "root" / "usr" / "bin" / "python3"
TESTS = ("tests/native/test_kernel.py", "tests/native/test_fft.py", "plugins/antiphon/antiphon_effects/tests")
TESTING = ("pytest", "hypothesis", "pytest-timeout")
PLATFORM = "linux-aarch64"
PLUGIN = """
import sys
from pathlib import Path

from antiphon.kernel.runtime import resources

sys.executable = str(Path(__file__).parent / "python")
_folder = resources.folder
resources.folder = lambda name: Path(__file__).parent / "kernels" if name == "kernels" else _folder(name)
"""
"""Passes the library of kernels to code that runs from a checkout, and the emulator to processes that tests start."""


def main(tests: Sequence[str]) -> int:
    """Runs the tests; returns pytest's exit status."""
    for program in ("qemu-aarch64", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed; on Debian: apt-get install qemu-user")
    if not PYTHON.exists():
        unpack_python()
    (PLACE / "kernels").mkdir(exist_ok=True)
    (PLACE / "kernels_given.py").write_text(PLUGIN)
    (PLACE / "python").write_text(f'#!/bin/sh\nexec {shlex.join(emulated_python())} "$@"\n')
    (PLACE / "python").chmod(0o755)
    if not (PLACE / "site").exists():
        install_packages()
    wanted, kernels = prebuilt.PLATFORMS[PLATFORM], prebuilt.shipped_kernels()
    for name, processor in wanted.processors.items():
        prebuilt.library(kernels, wanted, processor, PLACE / "kernels" / f"{name}.so")
    options = ["-q", "-p", "no:cacheprovider", "-p", "kernels_given", *(tests or TESTS)]
    variables = {**os.environ, "PYTHONPATH": f"{PLACE / 'site'}:{PLACE}:{ROOT / 'server'}:{ROOT / 'bench'}:{ROOT}"}
    return subprocess.run(
        emulated_python("-X", "faulthandler", "-m", "pytest", *options), cwd=ROOT, env=variables, check=False
    ).returncode


def emulated_python(*words: str) -> list[str]:
    """Command of the emulated Python."""
    return ["qemu-aarch64", "-L", str(PLACE / "root"), str(PYTHON), *words]


def unpack_python() -> None:
    """Unpacks Debian's Python and its dependencies; the packages of this machine stay unchanged."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (PLACE / folder).mkdir(parents=True, exist_ok=True)
    (PLACE / "status").touch()
    places = {"State": "state", "State::status": "status", "Cache": "cache"}
    options = [f"-oDir::{name}={PLACE / place}" for name, place in places.items()]
    options += ["-oAPT::Architecture=arm64", "-oAPT::Architectures::=arm64", "-oAPT::Sandbox::User=root", "-qq", "-y"]
    subprocess.run(["apt-get", *options, "update"], check=True)
    subprocess.run(
        ["apt-get", *options, "--no-install-recommends", "--download-only", "install", "python3", "libstdc++6"],
        check=True,
    )
    for package in (PLACE / "cache" / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(PLACE / "root")], check=True)


def install_packages() -> None:
    """Installs the packages that Antiphon's kernels and tests import, for aarch64, without running pip there."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run(emulated_python("-c", asked), capture_output=True, text=True, check=True).stdout.strip()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [*project["dependencies"], *project["optional-dependencies"]["kernels"], *TESTING]
    platforms = [f"--platform=manylinux_{tag}_aarch64" for tag in ("2_17", "2_26", "2_27", "2_28")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", f"--python-version={version}"]
    subprocess.run([*pip, *platforms, "--target", str(PLACE / "site"), *packages], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
