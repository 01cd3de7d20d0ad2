"""Child process that synthesises vocoder frames from texts, on request of `texts`.

The voices are third-party libraries, one in C and one a network, and a text takes up to a second, so they run here. A
request has `text`, `voice` and `rate`; an answer has the shapes, `hop` and `places`, and the numbers of
`SungText.responses` and `SungText.noise`, float32; or the `problem`.
"""

from typing import Any

from antiphon.api import AntiphonError
from antiphon.api.backends.runtime import HelperChannel
from antiphon.signal.lyrics import LyricSyllable, syllables
from antiphon_sing.song import NEURAL, voice_name

MAX_SYLLABLES = 1200
"""Maximum number of syllables in a text."""


def main(channel: HelperChannel) -> None:
    """Answers requests until its parent ends."""
    voices: dict[str, Any] = {}
    for request in channel.requests():
        try:
            found = make(str(request["text"]), str(request["voice"]), int(request["rate"]), voices)
        except (AntiphonError, MemoryError) as error:
            channel.send({"problem": str(error) or "its frames take too much memory; divide it"})
        except Exception as error:
            channel.send(
                {"problem": f"the voice failed ({' '.join(str(error).split())[:200] or type(error).__name__})"}
            )
        else:
            places = [list(place) for place in found.places]
            answer = {"frames": found.responses.shape, "samples": len(found.noise), "hop": found.hop, "places": places}
            channel.send(answer, found.responses, found.noise)


def make(text: str, name: str, rate: int, voices: dict[str, Any]) -> Any:
    """Frames of a text. Loaded voices are cached in `voices`."""
    from antiphon_sing.song import VoiceError, song

    name = voice_name(name)
    parts = syllables(text)
    if len(parts) > MAX_SYLLABLES:
        raise VoiceError(f"the lyrics have {len(parts)} syllables, at most {MAX_SYLLABLES} are allowed; divide them")
    if not parts:
        raise VoiceError("the lyrics have no word")
    kind = NEURAL if name == NEURAL else "espeak"
    if kind not in voices:
        if kind == NEURAL:
            from antiphon_sing.neural import NeuralVoice

            voices[kind] = NeuralVoice()
        else:
            from antiphon_sing.espeak import EspeakVoice

            voices[kind] = EspeakVoice()
    voice = voices[kind]
    if kind != NEURAL:
        voice.choose(name)
    lines: list[tuple[Any, list[LyricSyllable]]] = []
    for line in dict.fromkeys(part.line for part in parts):
        own = [part for part in parts if part.line == line]
        words: dict[int, str] = {}
        for part in own:
            words[part.word] = words.get(part.word, "") + ("" if part.held else part.text)
        spoken = [word.strip('"“”()[].,;:!?…') or word for word in words.values()]
        lines.append((voice.say(spoken), own))
    return song(text, lines, rate)
