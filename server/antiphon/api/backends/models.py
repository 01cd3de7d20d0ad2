"""Models in workers: their description, processors that use one, files of weights, and layers in numpy.

No torch: the layers equal torch's, and `antiphon.api.backends.networks` has the torch side.
"""

from typing import TYPE_CHECKING

import antiphon.api._former as _former
import antiphon.kernel.runtime.importing as _importing

if TYPE_CHECKING:
    from antiphon.kernel.runtime.resources import models as models_folder
    from antiphon.networks.array_network import (
        ArrayNetwork,
        BandedSums,
        Conv1d,
        Gru,
        Linear,
        SiluLinear,
        Weights,
        find_array,
        load as load_arrays,
        logistic,
        sigmoid,
    )
    from antiphon.networks.basic_pitch import OfflineChords, StreamedChords
    from antiphon.networks.info import FileListing, ModelFolder, ModelInfo
    from antiphon.networks.model_client import ModelClient, ModelProcessor, say_instead, usable
    from antiphon.networks.model_files import (
        ModelError,
        entry as manifest_entry,
        weights as read_weights,
        write as write_weights,
    )
    from antiphon.networks.onnx_wire import check as check_onnx

__getattr__, __dir__ = _importing.import_late(__name__, _former.refuse(__name__))
