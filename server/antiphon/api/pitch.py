"""Pitch of one voice hop by hop, on the block path: decimation, YIN, and a median over hops."""

from __future__ import annotations

from antiphon.kernel.signal.decimator import HISTORY, HOP, Decimator
from antiphon.kernel.signal.yin import CENTRE, HIGHEST, LOWEST, MedianPitch, Yin
