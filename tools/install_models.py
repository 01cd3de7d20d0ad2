"""Installs torch in the version of `models`, as a CPU build: the usual one for Linux brings gigabytes of CUDA.

python tools/install_models.py [INDEX]     INDEX: address of a package index that has CPU builds of torch
"""

import json
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]


def main() -> None:
    wanted = [*PROJECT["optional-dependencies"]["models"], *(f"--index-url={index}" for index in sys.argv[1:2])]
    plan = subprocess.run([*PIP, "--quiet", "--dry-run", "--report=-", *wanted], capture_output=True, text=True)
    if plan.returncode:
        sys.exit(f"antiphon: pip finds no {wanted[0]} for this Python:\n{plan.stderr[-1000:]}")
    names = [item["metadata"]["name"].lower() for item in json.loads(plan.stdout)["install"]]
    if any(name.startswith(("nvidia-", "cuda-", "triton")) for name in names):
        sys.exit(
            "antiphon: pip would install torch with CUDA, several gigabytes. PyTorch's installation page names an "
            "index of CPU builds: make models TORCH_INDEX=that address"
        )
    if not names:
        print(f"{wanted[0]} is installed already")
        return
    print(f"installing {wanted[0]}, a CPU build", flush=True)
    # by all cores, where pip takes one
    code = subprocess.run([*PIP, "--quiet", "--no-compile", *wanted], check=False).returncode
    subprocess.run([sys.executable, "-m", "compileall", "-qq", "-j", "0", sysconfig.get_path("purelib")], check=False)
    sys.exit(code)


if __name__ == "__main__":
    main()
