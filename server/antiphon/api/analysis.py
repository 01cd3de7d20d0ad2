"""Features of sound that plugins share. Off the block path: in `prepare`, in jobs, beside the engine."""

from __future__ import annotations

from antiphon.contract.level_rises import ONSET_RISE, ONSETS_APART, level_rises, piece_frames

__all__ = ["ONSETS_APART", "ONSET_RISE", "level_rises", "piece_frames"]
