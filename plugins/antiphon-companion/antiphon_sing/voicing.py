"""Installed voices of this machine."""

import re
from ctypes.util import find_library
from importlib.util import find_spec

from antiphon_sing.song import VoiceError

NEURAL = "neural"
AUTO = "auto"
FALLBACK_VOICE = "en-us+f5"
"""Voice of espeak-ng without a name: a recogniser chooses the right line four times as often as for en-us."""
EXTRA = ("hibari", "onnx", "onnxruntime")
"""Packages of `antiphon[sing]`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,40}")


def voice_name(name: str) -> str:
    """Voice selected by a parameter value.

    `name`: "auto" for the best there is, "neural", "espeak", or a voice of espeak-ng: "de", "en-us+f3". Raises
    VoiceError: it is not installed, or the name is none.
    """
    neural = all(find_spec(package) for package in EXTRA)
    if name in ("", AUTO):
        return NEURAL if neural else _espeak(FALLBACK_VOICE)
    if name == NEURAL:
        if not neural:
            raise VoiceError("the neural voice is not installed; pip install antiphon[sing]")
        return NEURAL
    if not _NAME.fullmatch(name):
        raise VoiceError(f"voice: {name[:60]!r} is no voice; auto, neural, espeak or a voice of espeak-ng, such as de")
    return _espeak(FALLBACK_VOICE if name == "espeak" else name)


def _espeak(name: str) -> str:
    if find_library("espeak-ng") is None:
        raise VoiceError("no voice is installed; pip install antiphon[sing], or apt-get install espeak-ng")
    return name
