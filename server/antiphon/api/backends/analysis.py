"""Analyses of sound for the catalogue, the features they share, and the catalogue itself. Off the block path."""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
    from antiphon.kernel.plugins.hook_lists import service
    from antiphon.offline.analyses import (
        AnalysisFeed,
        AnalysisResult,
        analyse_file,
        analyses,
        named_analyses,
        separate_blocks,
    )
    from antiphon.signal.analysis import (
        EACH,
        Analysis,
        AnalysisRun,
        CatalogueService,
        IdentifiedFile,
        Quantity,
        SeparatingAnalysis,
        SoundCatalogue,
        plain_result,
    )
    from antiphon.signal.features import import_librosa
    from antiphon.signal.landmarks import ONSET_RISE, ONSETS_APART, level_rises, onset_frames, piece_frames
    from antiphon.signal.listening_mix import ListeningMix, listening_mono
    from antiphon.signal.loudness import K_STATE, LoudnessMeter, k_sections, k_weigh
    from antiphon.signal.mel import MEL, MelSettings, mel_bank

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
