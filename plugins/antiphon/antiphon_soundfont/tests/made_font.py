"""A soundfont made for tests: sines that loop, one preset each, by the tables of the format's specification."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

RATE = 48000
PERIOD = 100
"""Frames of a period of a sample: 480 Hz."""
PITCH = 71
"""The key that is said to play it as it is; it is 494 Hz in fact, so that notes are 50 cents flat."""
FLAT = 1200.0 * float(np.log2(440.0 * 2.0 ** ((PITCH - 69) / 12.0) / (RATE / PERIOD)))
"""Cents by which every note is below its pitch."""


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def named(text: str) -> bytes:
    return text.encode().ljust(20, b"\0")


def font(presets: Sequence[tuple[int, int, int]] = ((0, 0, 1), (0, 40, 2), (128, 0, 3)), level: float = 0.5) -> bytes:
    """presets: bank, program, and which partial of 480 Hz the sample is, of peak `level`, by bank and program."""
    frames = 40 * PERIOD
    samples, headers = b"", b""
    for _, _, partial in presets:
        start = len(samples) // 2
        wave = level * np.sin(2.0 * np.pi * partial * np.arange(frames) / PERIOD)
        samples += (32767 * wave).astype("<i2").tobytes() + bytes(2 * 46)
        end = start + frames
        headers += named(f"s{partial}") + struct.pack(
            "<IIIIIBbHH", start, end, start + 10 * PERIOD, end - 10 * PERIOD, RATE, PITCH, 0, 0, 1
        )
    headers += named("EOS") + bytes(26)
    count = len(presets)
    phdr = (
        b"".join(
            named(f"p{bank} {program}") + struct.pack("<HHHIII", program, bank, n, 0, 0, 0)
            for n, (bank, program, _) in enumerate(presets)
        )
        + named("EOP")
        + struct.pack("<HHHIII", 0, 0, count, 0, 0, 0)
    )
    bags = b"".join(struct.pack("<HH", n, 0) for n in range(count + 1))
    # generator 41 is the instrument of a preset; 54 loops a sample, 53 is the sample
    pgen = b"".join(struct.pack("<HH", 41, n) for n in range(count)) + bytes(4)
    inst = (
        b"".join(named(f"i{n}") + struct.pack("<H", n) for n in range(count)) + named("EOI") + struct.pack("<H", count)
    )
    ibag = b"".join(struct.pack("<HH", 2 * n, 0) for n in range(count + 1))
    igen = b"".join(struct.pack("<HHHH", 54, 1, 53, n) for n in range(count)) + bytes(4)
    info = chunk(b"ifil", struct.pack("<HH", 2, 4)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"test\0\0")
    pdta = (
        chunk(b"phdr", phdr)
        + chunk(b"pbag", bags)
        + chunk(b"pmod", bytes(10))
        + chunk(b"pgen", pgen)
        + chunk(b"inst", inst)
        + chunk(b"ibag", ibag)
        + chunk(b"imod", bytes(10))
        + chunk(b"igen", igen)
        + chunk(b"shdr", headers)
    )
    parts = b"".join(
        chunk(b"LIST", kind + body)
        for kind, body in ((b"INFO", info), (b"sdta", chunk(b"smpl", samples)), (b"pdta", pdta))
    )
    return chunk(b"RIFF", b"sfbk" + parts)


def write(folder: Path, level: float = 0.5) -> str:
    path = folder / "made.sf2"
    path.write_bytes(font(level=level))
    return str(path)
