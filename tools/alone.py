"""Tests one distribution with only its dependencies: `make alone DIST=antiphon-sound`.

python tools/alone.py DISTRIBUTION [ARGUMENTS of pytest]      `turn`: another distribution each day, as CI tests them

The working tree is copied without the other distributions, and so are the installed packages, by links. Tests that need
left-out distributions are not collected, or are skipped (conftest.py). The lab depends on all distributions: nothing is
left out.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE, LAB = "antiphon", "antiphon-lab"
OTHERS = sorted(file.parent.name for file in ROOT.glob("plugins/*/pyproject.toml"))
ALL = (BASE, *OTHERS, LAB)
OF_LAB = ("models/antiphon_models/", "tests/bench/", "tests/datasets/", "tests/models/", "tests/pipeline/")
OF_ALL = (
    *("tests/deploy/", "tests/docs/", "tests/project/"),
    *("tests/cli/test_help_examples.py", "tests/serve/test_mcp.py", "tests/serve/test_tracks.py"),
)
"""Tests of the workspace, or of several distributions at once."""
DAY = 86400


def main() -> int:
    name, *arguments = sys.argv[1:] or [""]
    if name == "turn":
        name = turn(time.time())
        print(f"alone: today it is the turn of {name}", flush=True)
    if name not in ALL:
        sys.exit(f"alone: {name!r} is no distribution; there are {', '.join(ALL)}")
    with tempfile.TemporaryDirectory(prefix="antiphon-alone-") as folder:
        tree, python = copy_tree(name, Path(folder) / "tree"), environment(name, Path(folder))
        command = [str(python), "-m", "pytest", "-q", *tests_of(name), *arguments]
        return subprocess.run(command, cwd=tree, env={**os.environ, "ANTIPHON_HOME": f"{folder}/home"}).returncode


def turn(seconds: float) -> str:
    """The distribution to test at a time since the epoch: another one each day."""
    return ALL[int(seconds) // DAY % len(ALL)]


def tests_of(name: str) -> tuple[str, ...]:
    """Folders with the tests of that distribution."""
    if name == LAB:
        return OF_LAB
    return ("tests", f"plugins/{name}") if name == BASE else (f"plugins/{name}",)


def copy_tree(name: str, tree: Path) -> Path:
    """Copies the working tree with only that distribution and its dependencies; returns the path."""
    others = tuple(f"plugins/{other}/" for other in OTHERS if other != name)
    left = OF_ALL if name == LAB else (*others, *OF_LAB, *OF_ALL)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for file in filter(None, listed.split("\0")):
        if not file.startswith(left) and (ROOT / file).is_file():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, tree / file)
    return tree


def environment(name: str, folder: Path) -> Path:
    """Makes an environment with this one's packages and kernels and the copied tree's; returns its interpreter."""
    place = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (place / "var").symlink_to(Path(sys.prefix) / "var")
    (packages,) = place.glob("lib/*/site-packages")
    parts = ALL if name == LAB else (BASE, name)
    own = tuple(f"{part.replace('-', '_')}-" for part in parts)
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.startswith(own) or not entry.name.startswith(("antiphon", "_antiphon", "__")):
            (packages / entry.name).symlink_to(entry)
    (place / "bin" / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    command = place / "bin" / "antiphon"
    command.write_text(f"#!{place}/bin/python\nimport sys\nfrom antiphon.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    tree = folder / "tree"
    folders = ("models" if part == LAB else f"plugins/{part}" for part in parts)
    roots = (tree / root for root in ("server", *folders, "bench"))
    (packages / "antiphon.pth").write_text("".join(f"{root}\n" for root in dict.fromkeys(roots)))
    return place / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main())
