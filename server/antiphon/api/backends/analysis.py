"""Analyses of sound for the catalogue, the features they share, and the catalogue itself. Off the block path."""

from __future__ import annotations

from antiphon.kernel.contract.analysis import (
    EACH,
    Analysis,
    AnalysisRun,
    Quantity,
    SeparatingAnalysis,
    is_classifier,
    plain_result,
)
from antiphon.kernel.contract.catalogue import CatalogueService, FolderSound, SoundCatalogue
from antiphon.kernel.plugins.services import service
from antiphon.kernel.signal.features import (
    FEATURE_DEFAULTS,
    feature_extractor,
    feature_fault,
    feature_stream,
    import_librosa,
)
from antiphon.kernel.signal.fit_vector import BEATS, CLASSES, HARMONY, OFFSET, SLOPE
from antiphon.kernel.signal.landmarks import unpack_landmarks
from antiphon.kernel.signal.level_rises import ONSET_RISE, ONSETS_APART, level_rises, piece_frames
from antiphon.kernel.signal.loudness import K_STATE, QUIETEST, gated_loudness, k_sections, k_weigh, lufs_of
from antiphon.kernel.signal.mel import MEL, LogMel, LogMelStream, MelSettings, mel_bank
from antiphon.library.analyses import analyse_file
from antiphon.library.catalogue import Catalogue
from antiphon.library.fitting import compatibility as fit_compatibility, transpose_fit
from antiphon.library.identification.identifying import IdentifiedFile, identify_files
from antiphon.library.identification.shards import ShardSet, present as present_index
from antiphon.library.scanning import add as add_files
from antiphon.library.separation import separate_blocks, separated_file
from antiphon.offline.analyses import AnalysisFeed, AnalysisResult, analyse_decoded, analyses, named_analyses
