"""Builds a release into dist/: an sdist of Antiphon, the checked wheels of the workspace, and notes from CHANGELOG.md.

python tools/release.py          the version of pyproject.toml; exits 1 with a sentence on any problem

Uploading them is left to whoever owns the name: `twine upload dist/*`.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
MOST = 44_000_000
"""Maximum bytes of the wheels of `antiphon[all]` for one platform; its kernels may have a megabyte."""


def main() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    notes = notes_of(version, (ROOT / "CHANGELOG.md").read_text())
    run("licences", "tools/third_party.py", "--check")
    shutil.rmtree(DIST, ignore_errors=True)
    run("build", "-m", "build", "--outdir", str(DIST), str(ROOT))
    # their wheels take weights and benches from beside their folders, which an sdist of them would not have
    for folder in (*sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml")), ROOT / "models"):
        run(f"build of {folder.name}", "-m", "build", "--wheel", "--outdir", str(DIST), str(folder))
    pure = next(DIST.glob("antiphon-*.whl"))
    # one for any platform, which compiles its kernels where llvmlite is, and one with them for each platform
    run("wheels of platforms", "tools/prebuilt.py", str(pure))
    files = sorted(DIST.iterdir())
    for file in files:
        expect("LICENSE" in {Path(name).name for name in members(file)}, f"{file.name} has no LICENSE")
    others = sum(file.stat().st_size for file in DIST.glob("antiphon_*.whl") if "_lab" not in file.name)
    for wheel in DIST.glob("antiphon-*.whl"):
        size = wheel.stat().st_size + others
        expect(size <= MOST, f"{wheel.name} and the others have {size / 1e6:.1f} MB; {MOST / 1e6:.0f} are allowed")
    run("twine", "-m", "twine", "check", "--strict", *map(str, files))
    run("the wheel in an empty environment", "tools/wheel_check.py")
    (DIST / "NOTES.md").write_text(notes)
    print(f"{version}: {', '.join(file.name for file in files)} and NOTES.md in {DIST}")


def notes_of(version: str, changelog: str) -> str:
    """The changelog's unreleased section, which describes a build, or that of its version."""
    sections = dict(re.findall(r"^## \[([^]]+)\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL))
    text = (sections.get("Unreleased", "").strip() or sections.get(version, "")).strip()
    expect(bool(text), f"CHANGELOG.md has no section [{version}] and none [Unreleased]; write one")
    return f"# Antiphon {version}\n\n{text}\n"


def members(file: Path) -> list[str]:
    """Names of the files in a wheel or an sdist."""
    if file.suffix == ".whl":
        return zipfile.ZipFile(file).namelist()
    with tarfile.open(file) as archive:
        return archive.getnames()


def run(what: str, *command: str) -> None:
    """Runs Python in the checkout, showing its output on failure."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
    expect(done.returncode == 0, f"{what} failed (exit {done.returncode})")
    print(f"{what}: ok", flush=True)


def expect(true: bool, otherwise: str) -> None:
    if not true:
        sys.exit(f"release: {otherwise}")


if __name__ == "__main__":
    main()
