"""Installs fastai for tests into an environment with torch, without torchvision and spaCy.

fastai's vision and text parts need them, its Learner does not. torchvision's usual build works only with a CUDA build
of torch, and would replace a CPU build. `pip install 'antiphon-lab[fastai]'` brings all of it.

python tools/install_fastai.py
"""

import importlib.util
import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
BARE = ["fastai>=2.8", "fastdownload>=0.0.5", "fasttransform>=0.0.2"]
"""Packages installed without dependencies, two of which require fastai's others."""
PARTS = ["fastcore>=2.2", "fastprogress<1.1", "plum-dispatch<2.10", "pandas>=2", "matplotlib", "scikit-learn", "pyyaml"]
"""Imports of its Learner, except torch."""


def main() -> None:
    """Installs fastai; does nothing without torch."""
    if importlib.util.find_spec("torch") is None:
        print("antiphon: there is no torch, so fastai is left out")
        return
    for command in ([*PIP, *PARTS], [*PIP, "--no-deps", *BARE]):
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)


if __name__ == "__main__":
    main()
