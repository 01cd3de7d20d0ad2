"""The plugin API: `from antiphon.api import Param, Processor`, and modules for further subjects.

Plugins and the lab import nothing else, but what one of ours alone uses, from its room (`_former.py` lists it).
Names defined in any room are exported and documented here.

For authors of processors (`make docs` writes these on one page):

| module | subject |
|---|---|
| `antiphon.api` | processors, parameters, ports, events, pitch, hooks, errors |
| `antiphon.api.jobs` | jobs of `antiphon run` whose files are not sound in, sound out |
| `antiphon.api.kernels` | per-sample loops as machine code |
| `antiphon.testing` | a host for a plugin's tests |

For models, synths, transports, analyses, commands and pages, in `antiphon.api.backends`:

| module | subject |
|---|---|
| `analysis` | analyses of sound for the catalogue, and the catalogue of sound files |
| `cli` | commands: groups, answers, progress, errors |
| `files` | sound files, MIDI files, folders |
| `http` | HTTP routes: requests, responses, refusals |
| `intrinsics` | parts of kernels: shared memory, bits, C libraries |
| `models` | models in workers, files of weights, layers of networks in numpy |
| `networks` | the torch side of a model; imports torch |
| `rendering` | processors and notes to sound without a server; loading plugins |
| `runtime` | lines for the person at the terminal, options of `antiphon serve`, missing packages, helper processes |
| `signal` | parts of hops: spectra, wavelet bands, pitch, scales, lyrics |
| `synths` | backends that play notes |
| `transports` | carriers of commands into the server and of values out of it; commands; OSC packets |
| `workers` | streams of hops through a worker process, for work without a model |

Importing this module imports the hooks and the errors alone; any other name imports its own module at its first use.
The command line imports a plugin's `__init__.py` for its hooks, and should not have to import numpy for them.
"""

from typing import TYPE_CHECKING

import antiphon.kernel.runtime.importing as _importing
from antiphon.kernel.contract.hookspecs import Register, hookimpl
from antiphon.kernel.errors import (
    AntiphonError,
    EngineError,
    FileError,
    ParamError,
    PluginError,
    UsageError,
    WorkerError,
)

if TYPE_CHECKING:
    from antiphon.kernel.contract.block import F32, F64, Samples, StreamSpec
    from antiphon.kernel.contract.event import PEDAL, Event
    from antiphon.kernel.contract.file_use import FileHearing, FileUse
    from antiphon.kernel.contract.params import Param, Value
    from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, CONTROL_OUT, EVENTS_IN, EVENTS_OUT, Port
    from antiphon.kernel.contract.processor import IO, BlockTime, Processor, ProcessorPart
    from antiphon.kernel.signal import SHARP_NAMES
    from antiphon.native.kernel import Step
    from antiphon.signal.pitch import frequency, note_number

__getattr__, __dir__ = _importing.import_late(__name__)
