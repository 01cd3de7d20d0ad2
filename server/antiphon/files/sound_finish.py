"""Finishing requested for a sound file, executed by `finishing`. Imported without numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.files.containers.tags import Cover
    from antiphon.files.decode import AudioInfo
    from antiphon.files.pipes import RawForm
    from antiphon.kernel.contract.block import Samples


CHAPTERS, BEFORE = "chapter", "the time before its sound"
"""What a file holds besides its sound, by `Notice.what`."""
FADE = 0.02
"""Fade-out in seconds of a sound that has not ended by itself."""
NOTES_LUFS = -16.0
"""Loudness above which sound rendered from notes is attenuated."""


class SoundTagger(Protocol):
    """Estimator of tags from the written sound."""

    def take(self, block: Samples) -> None:
        """Processes the next float32 `[channels, n]`."""
        ...

    def tags(self) -> Mapping[str, str]:
        """Returns the tags, after the sound's end."""
        ...


class SoundMarks(NamedTuple):
    """Loop and cue points, tempo and notes of a sound, those that are valid for the written file."""

    chunks: bytes  # as `read_marks` gives them; empty where those of the sound are not kept
    frames: int  # of the sound, at the rate that the writer is given
    rate: int  # Hz of its file
    transposed: bool = False  # whether its root note is no longer so
    aiff: bool = False  # whether they are chunks of an aiff file, else of a wav


class VideoPicture(NamedTuple):
    """The file whose chapters and, if it is a video, other streams a new sound gets.

    `begins`: start of its sound in seconds. `seconds`: length of its sound; 0 if unknown.
    """

    path: Path
    begins: float = 0.0
    video: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SoundFinish:
    """Finishing options of a sound.

    `rate`: Hz of the file, to which the sound is resampled; 0 for its own, or the nearest that the format holds.
    `tags`: texts by name, those of `id3.NAMES` and `tags.ESTIMATED_TAGS`. `tagger`: makes what finds further
    tags, by rate and channels; None for none. `marks`: what its chunks say; None for none.
    """

    rate: int = 0
    limit: bool | None = None  # whether its true peak is held below -1 dB of full scale; None: of notes alone
    loudness: float | None = None  # LUFS that it is brought to; None leaves it
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tagger: Callable[[int, int], SoundTagger] | None = None
    marks: SoundMarks | None = None
    loudest: float | None = None  # LUFS that it is brought down to where it is above; None leaves it
    cover: Cover | None = None  # IN's cover picture
    picture: VideoPicture | None = None  # whose picture, subtitles and chapters a video gets
    raw: RawForm | None = None  # that of standard output; None for a wav
    mask: int = 0  # its speakers, as of WAVE_FORMAT_EXTENSIBLE; 0 if unknown
    left: tuple[str, ...] = ()  # names of IN's tags that are not copied

    def with_tags(self, info: AudioInfo) -> SoundFinish:
        """Returns the finish with a sound's tags after its own."""
        return replace(self, tags={**dict(info.tags), **self.tags}, left=info.left, mask=info.mask)

    def from_notes(self, *, level: bool = True) -> SoundFinish:
        """Finish of sound rendered from notes: with limiter, and with `level` at most `NOTES_LUFS`, unless refused."""
        limit = self.limit is not False
        return replace(self, limit=limit, loudest=NOTES_LUFS if limit and level and self.loudness is None else None)


PLAIN = SoundFinish()
