"""Checks a TorchScript file before torch reads it: it must be an archive, not a pickle, whose source runs nothing.

While loading a class, torch runs `__setstate__` and evaluates class constants and default arguments. This happens
before there is a graph to check (`antiphon_model.torchscript`), so calls are forbidden there. Python's parser reads the
text; anything that its lexer and torch's could read differently is refused, as torch never writes it.

torch's script loader has its own unpickler, limited to tensors and script objects; a `torch.save` file needs Python's,
which runs code from the file. `check_source` checks the code before torch loads it, `antiphon_model.torchscript`
afterwards.

torch reads the archive with miniz, this module with zipfile. Anything they could read differently is refused: names
that differ only by case, which are equal to miniz, and duplicate directories and sizes that disagree.
"""

import ast
import io
import re
import struct
import tokenize
import zipfile

from antiphon.api.backends.models import ModelError

_FORBIDDEN_BYTES = re.compile(rb"[^\n -~]|\\\n|'''|\"\"\"")
"""Bytes that torch never writes: anything but printable ASCII, continuation lines, multi-line strings."""
_VALUES = (
    ast.Constant,
    ast.UnaryOp,
    ast.unaryop,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Name,
    ast.Attribute,
    ast.Subscript,
)
_VALUES_BESIDE = (ast.expr_context, ast.keyword)
_CALLS = ("float", "annotate", "torch.device")
"""Calls that torch writes in constants and defaults: infinity, the type of an empty list, a device."""


def check_source(text: bytes) -> None:
    """Checks one file of code without running it.

    Raises ModelError: it has code that torch would run while loading, or that torch never writes.
    """
    if _FORBIDDEN_BYTES.search(text):
        raise ModelError("its code has characters or strings that torch does not write; it is made to harm")
    try:
        tree = ast.parse(text)
        words = tokenize.tokenize(io.BytesIO(text).readline)
        comment = any(word.type == tokenize.COMMENT for word in words) if b"#" in text else False
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        raise ModelError("its code is not what torch writes; export it again") from None
    if comment:
        raise ModelError("its code has comments, which torch does not write; it is made to harm")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if node.name == "__setstate__":
                raise ModelError(
                    "its code has '__setstate__', which torch runs while it loads; such models are not played"
                )
            defaults = (*node.args.defaults, *(value for value in node.args.kw_defaults if value))
            _constant(f"an argument of {node.name}", *defaults)
            _constant(f"a decorator of {node.name}", *node.decorator_list)
        elif isinstance(node, ast.ClassDef):
            values = [part.value for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign) and part.value]
            _constant(f"a value of {node.name}", *values)


def _constant(what: str, *values: ast.expr) -> None:
    for value in values:
        for part in ast.walk(value):
            if isinstance(part, ast.Call) and ast.unparse(part.func) in _CALLS:
                continue
            if not isinstance(part, (*_VALUES, *_VALUES_BESIDE)):
                raise ModelError(
                    f"its code computes {what[:60]}, which torch does while it loads; such models are not played"
                )


MAX_ENTRIES = 20_000
"""Maximum parts of an archive; a RAVE model has under 1,000."""
MAX_UNPACKED = 1 << 30
"""Maximum bytes of all parts unpacked."""
MAX_CODE = 16 << 20
"""Maximum bytes of all code unpacked; a RAVE model has about 1 MB."""
SIGNATURE = b"PK\x03\x04"
"""First bytes of a non-empty zip archive."""
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_PLAIN = re.compile(
    r"(data|constants|traced_inputs)\.pkl|version|byteorder|\.format_version|\.storage_alignment|"
    r"\.data/(serialization_id|version)"
)
_TENSOR = re.compile(r"(data|constants|traced_inputs)/[0-9]+")
_CODE = re.compile(r"code/[!-~]+\.py(\.debug_pkl)?")
_EXTRA = re.compile(r"extra/[ -~]+")
_TWO = "its archive has two directories, or something behind its own; it is broken or made to harm"


def may_be_script(data: bytes) -> bool:
    """Whether the bytes contain the names of a TorchScript file; they are not parsed as an archive."""
    return data.startswith(SIGNATURE) and all(name in data for name in (b"/data.pkl", b"/constants.pkl", b"/code/"))


def check(data: bytes) -> None:
    """Checks a TorchScript file's bytes. Nothing is executed.

    Raises ModelError: it is not TorchScript, larger than declared, or its code can access files.
    """
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise ModelError("it is a pickle, which is never loaded here; export it with torch.jit.script(...).save(...)")
    if not data.startswith(SIGNATURE):
        raise ModelError("it is neither a TorchScript archive nor an ONNX model, or it was cut short; export it again")
    end = len(data) - 22 if data[-22:-18] == _END else -1
    if end < 0 or int.from_bytes(data[end + 10 : end + 12], "little") > MAX_ENTRIES:
        raise ModelError(f"its archive is cut short or has over {MAX_ENTRIES} parts; export it again")
    if int.from_bytes(data[end + 12 : end + 16], "little") > 512 * MAX_ENTRIES:
        # zipfile would read as many entries as the directory has room for, whatever the count says
        raise ModelError("the directory of its archive is far too large; it is broken or made to harm")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _directory(data, end, archive)
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
    folder = parts[0].filename.partition("/")[0] if parts else ""
    names = {part.filename.removeprefix(f"{folder}/"): part for part in parts}
    code = [part for name, part in names.items() if name.startswith("code/")]
    if "data.pkl" in names and not (code and "constants.pkl" in names):
        raise ModelError(
            "it was saved with torch.save, as a pickle, which is never loaded here; "
            "export it with torch.jit.script(...).save(...)"
        )
    if "data.pkl" not in names:
        raise ModelError("it is a zip archive, but no TorchScript model")
    if sum(part.file_size for part in code) > MAX_CODE:
        raise ModelError(f"its code unpacks to over {MAX_CODE >> 20} MB")
    if len({name.lower() for name in names}) < len(parts):
        raise ModelError("its archive has two parts of one name, where case does not count; it is made to harm")
    for name, part in names.items():
        known = any(form.fullmatch(name) for form in (_PLAIN, _TENSOR, _CODE, _EXTRA))
        if not known or part.orig_filename != f"{folder}/{name}":
            raise ModelError(f"its archive has a part {name[:60]!r}, which a TorchScript model has not")
        if part.compress_type == zipfile.ZIP_STORED and part.compress_size != part.file_size:
            raise ModelError("its archive says two sizes of a part; it is made to harm")
        is_code = name.startswith("code/") and name.endswith(".py")
        if is_code or name.endswith("pkl"):
            content = archive.read(part)
            if len(content) != part.file_size:
                raise ModelError("its archive says two sizes of a part; it is made to harm")
            if is_code:
                check_source(content)
            elif b"torch.classes" in content.replace(b"\n", b"."):
                raise ModelError("it has objects of torch's own classes (torch.classes); such models are not played")


def _directory(data: bytes, end: int, archive: zipfile.ZipFile) -> None:
    """Raises `ModelError` if readers could disagree with zipfile about the directory."""
    count, size, begin = struct.unpack_from("<HII", data, end + 10)
    found = [(count, size, begin)]
    record = end - 20 - 56
    if data[end - 20 : end - 16] == _LOCATOR_64:
        (place,) = struct.unpack_from("<Q", data, end - 12)
        if place != record or data[record : record + 4] != _END_64:
            raise ModelError(_TWO)
        found.append(struct.unpack_from("<QQQ", data, record + 32))
        end = record
    read = (len(archive.infolist()), end - begin, archive.start_dir)
    if any(one != read for one in found):
        raise ModelError(_TWO)
