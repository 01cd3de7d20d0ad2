"""What a compiled SynthDef (SCgf, version 2) says of its controls."""

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class DefinitionControl:
    """fixed: read once, when the synth is made."""

    default: float
    fixed: bool


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, form: str) -> tuple[float, ...]:
        found = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return found

    def integer(self, form: str = "i") -> int:
        return int(self.read(form)[0])

    def text(self) -> str:
        size = self.integer("B")
        self.at += size
        return self.data[self.at - size : self.at].decode("ascii")


def controls(data: bytes) -> tuple[str, dict[str, DefinitionControl]]:
    """The name and the controls of the first definition."""
    x = _Bytes(data)
    assert data[:4] == b"SCgf"
    x.at = 4
    assert (x.integer(), x.integer("h")) == (2, 1)
    name = x.text()
    x.read(f"{x.integer()}f")
    defaults = x.read(f"{x.integer()}f")
    names = [(x.text(), x.integer()) for _ in range(x.integer())]
    fixed: dict[int, bool] = {}
    for _ in range(x.integer()):
        kind, rate = x.text(), x.integer("b")
        inputs, outputs, special = x.integer(), x.integer(), x.integer("h")
        x.read(f"{2 * inputs}i{outputs}b")
        if kind in ("Control", "LagControl", "AudioControl", "TrigControl"):
            fixed.update({special + n: rate == 0 for n in range(outputs)})
    return name, {key: DefinitionControl(defaults[place], fixed[place]) for key, place in names}
