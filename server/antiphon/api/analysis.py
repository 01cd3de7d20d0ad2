"""Analyses of sound that plugins register, and features that they share. Off the block path: beside the engine."""

from __future__ import annotations

from antiphon.kernel.contract.analysis import EACH, Analysis, AnalysisRun, Quantity, SeparatingAnalysis, plain_result
from antiphon.kernel.signal.features import feature_stream, import_librosa
from antiphon.kernel.signal.level_rises import ONSET_RISE, ONSETS_APART, level_rises, piece_frames
from antiphon.kernel.signal.loudness import K_STATE, QUIETEST, gated_loudness, k_sections, k_weigh, lufs_of
from antiphon.kernel.signal.mel import LogMel, LogMelStream, MelSettings, mel_bank
from antiphon.library.analyses import analyse_file
from antiphon.library.separation import separate_blocks, separated_file
