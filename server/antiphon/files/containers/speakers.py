"""Speakers of a sound's channels, as a mask of WAVE_FORMAT_EXTENSIBLE: the lowest bit is the first channel."""

import os
import struct

from antiphon.files.containers.chunks import chunks_of

_EXTENSIBLE = 0xFFFE
_LAYOUTS = {
    "2.1": 0xB, "3.0": 0x7, "3.0(back)": 0x103, "3.1": 0xF, "4.0": 0x107, "quad": 0x33, "quad(side)": 0x603,
    "4.1": 0x10F, "5.0": 0x37, "5.0(side)": 0x607, "5.1": 0x3F, "5.1(side)": 0x60F, "6.0": 0x707, "6.1": 0x70F,
    "6.1(back)": 0x13F, "hexagonal": 0x137, "7.0": 0x637, "7.1": 0x63F, "7.1(wide)": 0xFF, "7.1(wide-side)": 0x6CF,
    "octagonal": 0x737,
}  # fmt: skip
"""Masks by FFmpeg's names of layouts."""
_OF_COUNT = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}
"""Masks by the number of channels, of FLAC, Vorbis and Opus."""


def mask_of(fd: int, kind: str, channels: int) -> int:
    """Mask of a file that libsndfile decodes; 0 where it states none. `kind`: that of its `SoundLayout`."""
    if kind in ("flac", "ogg"):
        return _OF_COUNT.get(channels, 0)
    found = _extension(fd) if kind == "wav" else None
    if found is None:
        return 0
    (mask,) = struct.unpack("<I", os.pread(fd, 4, found))
    return int(mask) if mask.bit_count() == channels else 0


def mask_of_layout(name: str, channels: int) -> int:
    """Mask by FFmpeg's name of a layout; 0 for an unknown one."""
    mask = _LAYOUTS.get(name, 0)
    return mask if mask.bit_count() == channels else 0


def layout_of_mask(mask: int) -> str:
    """FFmpeg's name of a layout by its mask; "" for an unknown one."""
    return next((name for name, held in _LAYOUTS.items() if held == mask), "")


def write_mask(fd: int, mask: int) -> None:
    """Writes the mask of a complete wav file, if its header holds one."""
    if (at := _extension(fd)) is not None:
        os.pwrite(fd, mask.to_bytes(4, "little"), at)


def _extension(fd: int) -> int | None:
    """Offset of the mask in a wav file's header; None without."""
    if os.pread(fd, 4, 0) == b"RIFX":
        return None
    for name, start, size in chunks_of(fd, os.fstat(fd).st_size, "little"):
        if name == b"fmt ":
            extended = size >= 40 and int.from_bytes(os.pread(fd, 2, start), "little") == _EXTENSIBLE
            return start + 20 if extended else None
    return None
