"""What a model file of somebody else's is: its methods, ratios, rate and latency, found in a process of its own.

A file is foreign code: it is read, loaded and tried by `antiphon_model.probe`, in a process with limits, which ends
with a description or a sentence. The description is kept in the cache folder under the file's checksum. Nothing here
imports torch or onnxruntime.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.files import cache_folder, library_folder, printable_path, reason_of_os_error, write_atomic
from antiphon.api.models import ModelError

SUFFIXES = (".onnx", ".ts", ".pt", ".torchscript")
"""Endings of files that `antiphon models` looks at in the library; the node takes any name."""
MAX_BYTES = 256 << 20
"""Bytes of a file, at most; RAVE's are 30 to 150 MB."""
PROBE_SECONDS = 30.0
"""Seconds that a file may take to be loaded and tried, torch's own import among them."""
MAX_ANSWER = 1 << 16
"""Bytes of a description, at most."""
VERSION = 1
"""Of the description's form; another one is not read from the cache."""
LEAST_HOP = 512
"""Frames of a hop where the file declares no ratio above it: shorter hops cost more than they gain."""
MAX_HOP = 65536
"""Frames of a hop, at most: 1.4 s at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a file: sound or latents in, sound or latents out.

    Attributes:
        name: As the file calls it; "forward" in an ONNX file.
        inputs: Channels in.
        in_ratio: Frames of sound for each value of an input; 1 is sound, above it are latents.
        outputs: Channels out.
        out_ratio: The same for an output.
        latency: Frames by which its sound lags, without the hop.
        source: Where the latency is from: "declared", "measured", or "assumed" where neither was possible.
        problem: Why it cannot be played, or "".
    """

    name: str
    inputs: int
    in_ratio: int
    outputs: int
    out_ratio: int
    latency: int = 0
    source: str = "assumed"
    problem: str = ""

    @property
    def sound(self) -> bool:
        """Whether it is sound in, sound out."""
        return self.in_ratio == 1 and self.out_ratio == 1


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The description of a file.

    Attributes:
        path: The file.
        sha256: Its checksum.
        bytes: Its size.
        format: "onnx" or "torchscript".
        rate: Frames per second it was made for; 0 where it does not say.
        hop: Frames of its shortest hop; every hop is a multiple.
        fixed: Whether it takes hops of that length alone.
        methods: Its methods.
        attributes: Names that can be set, with the kinds of their values: `("gain", "float")`.
    """

    path: str
    sha256: str
    bytes: int
    format: str
    rate: int
    hop: int
    fixed: bool
    methods: tuple[Method, ...]
    attributes: tuple[tuple[str, str], ...] = ()

    def method(self, name: str) -> Method:
        """Finds a method that can be played.

        Args:
            name: Its name.

        Returns:
            The method.

        Raises:
            ModelError: The file has none of that name, or it failed when it was tried.
        """
        found = next((m for m in self.methods if m.name == name), None)
        file = Path(self.path).name
        if found is None:
            raise ModelError(f"{file} has no method {name!r}; it has: {', '.join(m.name for m in self.methods)}")
        if found.problem:
            raise ModelError(f"{file}: its method {name} {found.problem}")
        return found

    def hop_for(self, asked: int) -> int:
        """Computes the frames of a hop.

        Args:
            asked: Frames, or 0 for the file's own.

        Returns:
            A multiple of the file's hop, of at least `LEAST_HOP` frames unless fewer were asked for.

        Raises:
            ModelError: The file takes hops of another length alone.
        """
        if self.fixed:
            if asked not in (0, self.hop):
                raise ModelError(f"{Path(self.path).name} takes hops of {self.hop} frames, not {asked}; set hop to 0")
            return self.hop
        return -(-(asked or LEAST_HOP) // self.hop) * self.hop


def describe(path: str) -> ModelFile:
    """Describes a model file; the first time it is loaded and tried in a process of its own, later the cache is read.

    Args:
        path: The file.

    Returns:
        Its description.

    Raises:
        ModelError: It is no model that can be played; the message says why.
    """
    name = Path(path).name
    data = read(path)
    checksum = hashlib.sha256(data).hexdigest()
    cache_file = cache_folder() / "models" / f"{checksum}-{VERSION}.json"
    description = _cached(cache_file)
    if description is None:
        description = _probed(path, name)
        if description.get("sha256") != checksum:
            raise ModelError(f"{name} was changed while it was read; load it again")
        try:
            write_atomic(cache_file, json.dumps(description).encode())
        except AntiphonError:
            pass  # it is tried again the next time
    return _described(path, len(data), description)


def read(path: str) -> bytes:
    """Reads a model file.

    Args:
        path: The file.

    Returns:
        Its bytes, at most `MAX_BYTES`.

    Raises:
        ModelError: It cannot be read, is empty or too large.
    """
    name = Path(path).name
    try:
        if not Path(path).is_file():
            raise ModelError(f"the model file {printable_path(path)} is not there, or no ordinary file")
        if Path(path).stat().st_size > MAX_BYTES:
            raise ModelError(f"{name} is larger than {MAX_BYTES >> 20} MB")
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{name} cannot be read: {reason_of_os_error(error)}") from None
    if not data:
        raise ModelError(f"{name} is empty; copy or export it again")
    return data


def in_library() -> list[Path]:
    """Lists the model files of the library.

    Returns:
        Their paths, by name.
    """
    try:
        return sorted(p for p in library_folder().iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError:
        return []


def _cached(path: Path) -> dict[str, Any] | None:
    try:
        description = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return description if isinstance(description, dict) and "methods" in description else None


def _probed(path: str, name: str) -> dict[str, Any]:
    """What the probe says of a file. Raises ModelError with its sentence."""
    known = [str(Path(__file__).parent.parent), *(entry for entry in sys.path if entry)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(known)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "antiphon_model.probe", path, str(round(PROBE_SECONDS))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            timeout=PROBE_SECONDS + 2.0, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ModelError(_slow(name)) from None
    except OSError as error:
        raise ModelError(f"{name} cannot be tried: {reason_of_os_error(error)}") from None
    try:
        description = json.loads(done.stdout.splitlines()[-1]) if len(done.stdout) <= MAX_ANSWER else None
    except (IndexError, ValueError):
        description = None
    if not isinstance(description, dict):
        if done.returncode in (-14, -24):  # SIGALRM, SIGXCPU
            raise ModelError(_slow(name))
        raise ModelError(
            f"{name} ended the process that loaded it ({_ending(done.returncode)}); it is broken or made to harm"
        )
    if "refused" in description:
        raise ModelError(f"{name}: {description['refused']}")
    return description


def _slow(name: str) -> str:
    return (
        f"{name} was not loaded and tried within {PROBE_SECONDS:g} s; it is too large for this machine or made to harm"
    )


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _described(path: str, size: int, description: dict[str, Any]) -> ModelFile:
    return ModelFile(
        path=path,
        sha256=str(description["sha256"]),
        bytes=size,
        format=str(description["format"]),
        rate=int(description["rate"]),
        hop=int(description["hop"]),
        fixed=bool(description["fixed"]),
        methods=tuple(Method(**method) for method in description["methods"]),
        attributes=tuple((str(name), str(kind)) for name, kind in description["attributes"]),
    )


def as_data(method: Method) -> dict[str, Any]:
    """Converts a method for JSON.

    Args:
        method: The method.

    Returns:
        Its attributes by name.
    """
    return asdict(method)
