"""Analyses of sound that plugins register, and features that they share. Off the block path: beside the engine."""

from __future__ import annotations

from antiphon.contract.analysis import Analysis, AnalysisRun, Quantity, plain_result
from antiphon.signal.level_rises import ONSET_RISE, ONSETS_APART, level_rises, piece_frames
from antiphon.signal.loudness import K_STATE, QUIETEST, gated_loudness, k_sections, k_weigh, lufs_of
from antiphon.signal.mel import LogMel, LogMelStream, MelSettings, mel_bank
