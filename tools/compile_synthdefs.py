"""Compiles supercollider/synthdefs/*.scd into supercollider/compiled/ by sclang.

    python tools/compile_synthdefs.py            compile all
    python tools/compile_synthdefs.py --check    change nothing; exit 1 if a file differs from its compiled source

Needs sclang (apt-get install supercollider-language). sclang 3.13 gives the same bytes each time.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "supercollider"
COMPILED = FOLDER / "compiled"
TIMEOUT_SECONDS = 120.0
Index = dict[str, Any]


class CompileError(Exception):
    """Error of sclang, or of its absence."""


def compile_into(folder: Path, sources: Path = FOLDER / "synthdefs") -> list[str]:
    """Compiles all sources; returns the files' names, in order. Raises `CompileError`."""
    sclang = shutil.which("sclang")
    if sclang is None:
        raise CompileError("there is no sclang here: apt-get install supercollider-language")
    # sclang is a Qt program with a browser in it, which as root asks for this, and without a screen for that
    env = {**os.environ, "QTWEBENGINE_DISABLE_SANDBOX": "1", "QT_QPA_PLATFORM": "offscreen"}
    try:
        done = subprocess.run(
            [sclang, "-D", str(FOLDER / "compile.scd"), str(sources), str(folder)],
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise CompileError(f"sclang did not end within {TIMEOUT_SECONDS:.0f} s") from late
    said = done.stdout + done.stderr
    if done.returncode != 0 or "ERROR" in said:
        _, _, told = said.partition("Welcome to SuperCollider")
        raise CompileError(told or said)
    return sorted(path.name for path in folder.glob("*.scsyndef"))


def index() -> Index:
    """Content of supercollider/synthdefs.toml."""
    return tomllib.loads((FOLDER / "synthdefs.toml").read_text(encoding="utf-8"))


def controls(name: str, of: Index) -> dict[str, dict[str, Any]]:
    """All controls of a definition: its own and the shared ones, with its own defaults."""
    entry = of["defs"][name]
    own: dict[str, dict[str, Any]] = dict(of["defs"][entry["like"]]["controls"]) if "like" in entry else {}
    own.update(entry.get("controls", {}))
    shared = of["shared"][entry["shared"]]["controls"] if "shared" in entry else {}
    found = {key: value for key, value in own.items() if key not in shared}
    found.update({key: {**value, **own.get(key, {})} for key, value in shared.items()})
    return found


def differences(fresh: Path) -> list[str]:
    """Differences between the committed files and those of a folder, one per line."""
    new = {path.name: path.read_bytes() for path in fresh.glob("*.scsyndef")}
    old = {path.name: path.read_bytes() for path in COMPILED.glob("*.scsyndef")}
    found = [f"{name} is not compiled" for name in sorted(new.keys() - old.keys())]
    found += [f"{name} has no source" for name in sorted(old.keys() - new.keys())]
    return found + [
        f"{name} is not what its source gives" for name in sorted(new.keys() & old.keys()) if new[name] != old[name]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something differs")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        try:
            names = compile_into(fresh)
        except CompileError as error:
            print(error, file=sys.stderr)
            return 1
        if check:
            found = differences(fresh)
            print("\n".join(found) or f"{len(names)} SynthDefs are what their sources give")
            return 1 if found else 0
        COMPILED.mkdir(exist_ok=True)
        for path in COMPILED.glob("*.scsyndef"):
            if path.name not in names:
                path.unlink()
        for each in names:
            shutil.copyfile(fresh / each, COMPILED / each)
    print(f"{len(names)} SynthDefs compiled")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
