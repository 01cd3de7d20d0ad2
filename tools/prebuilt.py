"""Makes platform wheels: the pure wheel and every shipped kernel as machine code, compiled and linked here.

python tools/prebuilt.py WHEEL.whl [NAME…]      writes one for each platform beside it, or the named ones, `here` for
this one;
                                                prints their paths

llvmlite compiles for each processor, ziglang (a package, of this tool alone) links with each system's C library.
"""

import base64
import hashlib
import importlib
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import llvmlite.binding as llvm

from antiphon.native.compiling import declared_kernels
from antiphon.native.kernel import Kernel
from antiphon.native.library import FOLDER, symbol
from antiphon.native.lower import build

X86 = {"base": "x86-64-v2", "x86-64-v3": "x86-64-v3", "x86-64-v4": "x86-64-v4,-prefer-256-bit"}


@dataclass(frozen=True)
class Platform:
    """A wheel's tag, LLVM's and the linker's names of the system; LLVM's processor, and features, of each library."""

    tag: str
    triple: str
    linked_as: str
    processors: Mapping[str, str]


PLATFORMS = {
    "linux-x86_64": Platform("manylinux_2_28_x86_64", "x86_64-unknown-linux-gnu", "x86_64-linux-gnu.2.28", X86),
    "linux-aarch64": Platform(
        "manylinux_2_28_aarch64", "aarch64-unknown-linux-gnu", "aarch64-linux-gnu.2.28", {"base": "generic"}
    ),
    "macosx-arm64": Platform(
        "macosx_11_0_arm64", "arm64-apple-macosx11.0.0", "aarch64-macos.11.0", {"base": "apple-m1"}
    ),
    "macosx-x86_64": Platform("macosx_10_13_x86_64", "x86_64-apple-macosx10.13.0", "x86_64-macos.10.13", X86),
    "win-amd64": Platform("win_amd64", "x86_64-pc-windows-gnu", "x86_64-windows-gnu", X86),
}


def here() -> str:
    """Name of this platform."""
    if sys.platform == "linux":
        return f"linux-{platform.machine()}"
    system, *_, machine = sysconfig.get_platform().split("-")
    return f"{system}-{machine}"


def shipped_kernels() -> list[Kernel[Any, Any]]:
    """Kernels of Antiphon and of every installed plugin of its own; each of their modules has to be importable."""
    for package in ("antiphon", *sorted(point.value for point in entry_points(group="antiphon"))):
        spec = find_spec(package) if package.startswith("antiphon") else None
        for root in map(Path, (spec and spec.submodule_search_locations) or ()):
            for file in sorted(root.glob("**/*.py")):
                parts = (package, *file.relative_to(root).with_suffix("").parts)
                if "tests" not in parts and "\n@kernel\n" in file.read_text(encoding="utf-8"):
                    importlib.import_module(".".join(parts))
    return [item for item in declared_kernels() if item.function.__module__.startswith("antiphon")]


def library(items: Iterable[Kernel[Any, Any]], wanted: Platform, processor: str, into: Path) -> None:
    """Writes a library of kernels that other processes of that platform can load; exits where it cannot be linked."""
    names: dict[str, int] = {}

    def named(item: Kernel[Any, Any], _place: int) -> str:
        # one that another calls and that is like one of the library is compiled once more, under another name
        name = symbol(item)
        names[name] = names.get(name, 0) + 1
        return name if names[name] == 1 else f"{name}.{names[name]}"

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    cpu, _, features = processor.partition(",")
    machine = llvm.Target.from_triple(wanted.triple).create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default"
    )
    image = into.with_suffix(".o")
    image.write_bytes(build({symbol(item): item for item in items}.values(), machine, named))
    done = subprocess.run(linker(wanted, image, into), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{into.name} of {wanted.tag} could not be linked: {done.stderr.strip() or done.returncode}")


def linker(wanted: Platform, image: Path, into: Path) -> list[str]:
    """Command that links an object file to a library of that platform."""
    command = [sys.executable, "-m", "ziglang", "cc", "-target", wanted.linked_as, "-shared", "-s"]
    return [*command, "-o", str(into), str(image), *(["-lm", "-Wl,-z,now"] if "linux" in wanted.triple else [])]


def platform_wheel(pure: Path, wanted: Platform, items: list[Kernel[Any, Any]]) -> Path:
    """Writes the wheel of a platform beside the pure one, with its libraries as package data; returns its path."""
    added: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, processor in wanted.processors.items():
            library(items, wanted, processor, made := Path(folder) / f"{name}.so")
            added[f"antiphon/data/{FOLDER.name}/{name}.so"] = made.read_bytes()
    into = pure.with_name(pure.name.replace("py3-none-any", f"py3-none-{wanted.tag}"))
    with ZipFile(pure) as old, ZipFile(into, "w", ZIP_DEFLATED) as new:
        record = next(name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
        tags = record.replace("RECORD", "WHEEL")
        text = old.read(tags).decode().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
        added[tags] = text.replace("py3-none-any", f"py3-none-{wanted.tag}").encode()
        for item in old.infolist():
            if item.filename not in (record, tags):
                new.writestr(item, old.read(item), ZIP_DEFLATED)
        lines = [line for line in old.read(record).decode().splitlines() if not line.startswith(f"{tags},")]
        for name, data in added.items():
            new.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.insert(-1, f"{name},sha256={digest},{len(data)}")
        new.writestr(record, "\n".join(lines) + "\n")
    return into


def main(pure: Path, *names: str) -> list[Path]:
    """Writes platform wheels beside the pure one; returns their paths. names: `PLATFORMS`, or "here"; none for all."""
    named = [here() if name == "here" else name for name in names or PLATFORMS]
    if unknown := [name for name in named if name not in PLATFORMS]:
        sys.exit(f"prebuilt: there is no platform {unknown[0]}; there are {', '.join(PLATFORMS)}")
    items = shipped_kernels()
    return [platform_wheel(pure, PLATFORMS[name], items) for name in named]


if __name__ == "__main__":
    print(*main(Path(sys.argv[1]), *sys.argv[2:]), sep="\n")
