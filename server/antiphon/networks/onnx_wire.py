"""Scanner of an ONNX model's bytes for references to other files, without any library.

An ONNX tensor may be stored in another file, at a path of the model's choice. Such models are refused: a model must be
a single file. Field numbers are those of ONNX's `onnx.proto`.
"""

from collections.abc import Iterator

from antiphon.networks.model_files import ModelError

MAX_DEPTH = 16
"""Maximum nesting depth of graphs."""
_GRAPH, _FUNCTIONS, _TRAINING = 7, 25, 20
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
# kind of message: its fields that lead to tensors, with their kind
_FIELDS = {
    "model": {_GRAPH: "graph", _FUNCTIONS: "function", _TRAINING: "training"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}


def check(data: bytes) -> None:
    """Checks that a model refers to no other file. Raises ModelError: it does, or it is not ONNX."""
    try:
        graphs = _walk(memoryview(data), "model", 0)
    except (IndexError, ValueError):
        raise ModelError("it is no ONNX model, or it was cut short; export it again") from None
    if not graphs:
        raise ModelError("it is no ONNX model: it has no graph; export it again")


def looks_like(data: bytes) -> bool:
    """Whether bytes look like an ONNX model: the first field is the format version."""
    return data[:1] == b"\x08" and data[:2] != b"\x80\x02"


def _walk(data: memoryview, kind: str, depth: int) -> int:
    """Looks for tensors with external data; returns the number of graphs. Raises ModelError, IndexError, ValueError."""
    if depth > 4 * MAX_DEPTH:
        raise ValueError("too deep")
    graphs, fields = 0, _FIELDS.get(kind, {})
    for field, value in _items(data):
        if kind == "tensor" and (field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value == 1)):
            raise ModelError("it keeps numbers in another file, which is never opened; export it into one file")
        inner = fields.get(field)
        if inner is not None and isinstance(value, memoryview):
            graphs += (inner == "graph") + _walk(value, inner, depth + 1)
    return graphs


def _items(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        if not field:
            raise ValueError("field 0")
        if wire == 0:
            value, at = _varint(data, at)
            yield field, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("cut short")
            yield field, data[at : at + size]
            at += size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
            if at > len(data):
                raise ValueError("cut short")
        else:
            raise ValueError(f"wire type {wire}")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number without an end")
