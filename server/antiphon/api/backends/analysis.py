"""Analyses of sound for the catalogue, the features they share, and the catalogue itself. Off the block path."""

from antiphon.files.sound_picture import levels_picture, piano_roll, spectrogram
from antiphon.kernel.plugins.hook_lists import service
from antiphon.offline.analyses import (
    AnalysisFeed,
    AnalysisResult,
    analyse_decoded,
    analyse_file,
    analyses,
    named_analyses,
    separate_blocks,
    separated_file,
    separator,
)
from antiphon.signal.analysis import (
    EACH,
    Analysis,
    AnalysisRun,
    CatalogueService,
    FolderSound,
    IdentifiedFile,
    Quantity,
    SeparatingAnalysis,
    SoundCatalogue,
    is_classifier,
    plain_result,
)
from antiphon.signal.features import FEATURE_DEFAULTS, feature_extractor, feature_fault, feature_stream, import_librosa
from antiphon.signal.fit_vector import FIT, HARMONY, fit_compatibility, transpose_fit
from antiphon.signal.landmarks import ONSET_RISE, ONSETS_APART, level_rises, piece_frames, unpack_landmarks
from antiphon.signal.listening_mix import ListeningMix, listening_mono
from antiphon.signal.loudness import K_STATE, QUIETEST, LoudnessMeter, gated_loudness, k_sections, k_weigh, lufs_of
from antiphon.signal.mel import MEL, LogMel, LogMelStream, MelSettings, mel_bank
