"""Tests of one distribution with `antiphon` and nothing else of the workspace: `make alone DIST=antiphon-sound`.

python tools/alone.py DISTRIBUTION [ARGUMENTS of pytest]

The working tree is copied without the other distributions and the lab, and so are the installed packages, by links.
Tests that need what is left out are not collected, or skipped (conftest.py).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "antiphon"
OTHERS = sorted(file.parent.name for file in ROOT.glob("plugins/*/pyproject.toml"))
OF_ALL = (
    *("tests/bench/", "tests/datasets/", "tests/deploy/", "tests/docs/", "tests/models/", "tests/pipeline/"),
    *("tests/project/", "tests/cli/test_help_examples.py", "tests/serve/test_mcp.py", "tests/serve/test_tracks.py"),
)
"""Tests of the workspace, of the lab, or of several distributions at once."""


def main() -> int:
    name, *arguments = sys.argv[1:] or [""]
    if name not in (BASE, *OTHERS):
        sys.exit(f"alone: {name!r} is no distribution of plugins; there are {', '.join((BASE, *OTHERS))}")
    with tempfile.TemporaryDirectory(prefix="antiphon-alone-") as folder:
        tree, python = copied(name, Path(folder) / "tree"), environment(name, Path(folder))
        places = ("tests", f"plugins/{name}") if name == BASE else (f"plugins/{name}",)
        command = [python, "-m", "pytest", "-q", *places, *arguments]
        return subprocess.run(command, cwd=tree, env={**os.environ, "ANTIPHON_HOME": f"{folder}/home"}).returncode


def copied(name: str, tree: Path) -> Path:
    """Working tree with `antiphon` and that distribution alone."""
    left = tuple(f"plugins/{other}/" for other in OTHERS if other != name)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, listed.split("\0")):
        if not file.startswith((*left, *OF_ALL, "models/antiphon_models/")) and (ROOT / file).is_file():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, tree / file)
    return tree


def environment(name: str, folder: Path) -> Path:
    """Interpreter with the packages and compiled kernels of this one; those of the workspace are of the copied tree."""
    place = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (place / "var").symlink_to(Path(sys.prefix) / "var")
    (packages,) = place.glob("lib/*/site-packages")
    own = tuple(f"{part.replace('-', '_')}-" for part in (BASE, name))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.startswith(own) or not entry.name.startswith(("antiphon", "_antiphon", "__")):
            (packages / entry.name).symlink_to(entry)
    (place / "bin" / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    command = place / "bin" / "antiphon"
    command.write_text(f"#!{place}/bin/python\nimport sys\nfrom antiphon.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    tree = folder / "tree"
    roots = (tree / "server", tree / "plugins" / BASE, tree / "plugins" / name, tree / "bench")
    (packages / "antiphon.pth").write_text("".join(f"{root}\n" for root in dict.fromkeys(roots)))
    return place / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main())
