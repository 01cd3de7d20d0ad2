"""PNG encoder (ISO/IEC 15948), without a graphics library."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """PNG file, of colour type 2 without filters, of pixels `[rows, columns, 3]`: red, green, blue."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, 3 * width)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png_file([(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6))])


def png_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """PNG file of chunks (type, data): signature, checksummed chunks, end."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )
