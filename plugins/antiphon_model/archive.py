"""The form of a TorchScript file, checked before torch reads it: a zip archive with code, never a pickle.

`torch.jit.load` has an unpickler of its own that makes tensors and script objects alone; a file of `torch.save` is for
Python's, which runs what the file says. Script may also call torch's operators, two of which reach files.
"""

from __future__ import annotations

import io
import re
import zipfile

from antiphon.api.models import ModelError

MAX_ENTRIES = 20_000
"""Parts of an archive; a RAVE model has under 1,000."""
MAX_UNPACKED = 1 << 30
"""Bytes of all parts unpacked."""
MAX_CODE = 16 << 20
"""Bytes of all code unpacked; a RAVE model has about 1 MB."""
FORBIDDEN = ("from_file", "save", "load")
"""Names of torch's operators that open files (`aten::from_file`, `aten::save`), and of what might."""
_END = b"PK\x05\x06"
_NAMES = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_STRINGS = re.compile(rb"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|#[^\n]*")
_OTHERS = re.compile(rb"\bops\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)")
_OWN = (b"prim", b"prims", b"aten", b"quantized")


def check(data: bytes) -> None:
    """Checks a TorchScript file's bytes. Nothing is executed.

    Args:
        data: The file.

    Raises:
        ModelError: It is another thing, or larger than it looks, or its code uses what reaches files.
    """
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise ModelError("it is a pickle, which is never loaded here; export it with torch.jit.script(...).save(...)")
    if data[:4] != b"PK\x03\x04":
        raise ModelError("it is neither a TorchScript archive nor an ONNX model, or it was cut short; export it again")
    end = data.rfind(_END, max(0, len(data) - 66_000))
    if end < 0 or int.from_bytes(data[end + 10 : end + 12], "little") > MAX_ENTRIES:
        raise ModelError(f"its archive is cut short or has over {MAX_ENTRIES} parts; export it again")
    if int.from_bytes(data[end + 12 : end + 16], "little") > 512 * MAX_ENTRIES:
        # zipfile would read as many entries as the directory has room for, whatever the count says
        raise ModelError("the directory of its archive is far too large; it is broken or made to harm")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _parts(archive)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
        OverflowError,
    ) as error:
        raise ModelError(
            f"its archive cannot be read ({' '.join(str(error).split())[:100]}); export it again"
        ) from None


def _parts(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if len(parts) > MAX_ENTRIES or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise ModelError(f"its archive unpacks to over {MAX_UNPACKED >> 30} GB or {MAX_ENTRIES} parts")
    names = {part.filename.partition("/")[2] for part in parts}
    code = [part for part in parts if part.filename.partition("/")[2].startswith("code/")]
    if "data.pkl" in names and not (code and "constants.pkl" in names):
        raise ModelError(
            "it was saved with torch.save, as a pickle, which is never loaded here; "
            "export it with torch.jit.script(...).save(...)"
        )
    if "data.pkl" not in names:
        raise ModelError("it is a zip archive, but no TorchScript model")
    if sum(part.file_size for part in code) > MAX_CODE:
        raise ModelError(f"its code unpacks to over {MAX_CODE >> 20} MB")
    for part in code:
        if part.filename.endswith(".py"):
            _code(archive.read(part))


def _code(text: bytes) -> None:
    bare = _STRINGS.sub(b"''", text)
    used = {name.decode() for name in _NAMES.findall(bare)}
    for name in FORBIDDEN:
        if name in used:
            raise ModelError(f"its code uses {name!r}, by which script can open files; such models are not played")
    strange = next((name.decode() for name in _OTHERS.findall(bare) if name not in _OWN), "")
    if strange:
        raise ModelError(
            f"its code uses operators of {strange!r}, which are not PyTorch's own; such models are not played"
        )
