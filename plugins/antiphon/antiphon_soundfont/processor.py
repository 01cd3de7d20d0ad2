"""Node `soundfont`: renders notes with a soundfont by FluidSynth or sfizz, in a worker, one block late."""

from itertools import count
from pathlib import Path

from antiphon.api import Param
from antiphon.api.backends.runtime import require_modules
from antiphon.api.backends.synths import DROPPED, LEVEL, BackendChoice, SynthProcessor, SynthSettings
from antiphon.api.backends.workers import current_pool
from antiphon_soundfont.info import SFZ, SOUNDFONT, check
from antiphon_soundfont.sfz import SUFFIX, check_instrument, find_folder_instrument

_uses = count()
"""Counter that numbers streams of SFZ instruments, so that each has its own worker."""


class Soundfont(SynthProcessor):
    """Plays all sixteen channels at once: each with its program, channel 10 with drums."""

    params = (
        Param(
            "file",
            "file",
            "",
            holds="a soundfont",
            doc="A soundfont (.sf2, .sf3, .sfz); empty for the machine's General MIDI one.",
        ),
        Param(
            "program",
            "int",
            -1,
            -1,
            127,
            restart=True,
            doc="Plays every channel but 10 by this General MIDI program, from 0; -1 by the programs that come.",
        ),
        LEVEL,
        Param("bend", "int", 2, 0, 48, unit="semitones", restart=True, doc="Pitch-bend range."),
        Param("voices", "int", 128, 8, 256, restart=True, doc="Voices at once; a stereo note takes two."),
        Param("reverb", "switch", True, restart=True, doc="FluidSynth's reverb."),
        Param("chorus", "switch", True, restart=True, doc="FluidSynth's chorus."),
        DROPPED,
    )

    def backend(self) -> BackendChoice:
        font, pool = str(self.settings["file"]), current_pool()
        if font.lower().endswith(SUFFIX) or (font and Path(font).is_dir()):
            if pool is not None:
                require_modules("an SFZ instrument", [SFZ.needs])
                font = str(find_folder_instrument(Path(font))) if Path(font).is_dir() else font
                check_instrument(Path(font))
            return BackendChoice(SFZ, (("instrument", font), ("use", next(_uses))))
        if font and pool is not None:
            check(Path(font))
        return BackendChoice(SOUNDFONT, (("soundfont", font),))

    def asked(self) -> SynthSettings:
        program = int(self.settings["program"])
        words = [f"polyphony={self.settings['voices']}"]
        words += [f"{name}={int(bool(self.settings[name]))}" for name in ("reverb", "chorus")]
        return SynthSettings(
            str(program) if program >= 0 else "", float(self.settings["bend"]), controls=" ".join(words)
        )
