"""Atomic sound file output: a file appears under its name once it is complete and on disk.

Encoding runs in a thread: it overlaps with the processing, and Ctrl-C, which Python raises in the main thread, never
interrupts libsndfile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import stat
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.files.containers.chunks import PLACES, NewSound, describe_lost_chunks, has_pitch, keep_valid_chunks
from antiphon.files.containers.tags import (
    ESTIMATED_TAGS,
    append_chunks,
    fill_slots,
    id3,
    id3_chunk,
    insert_cover,
    plain_tags,
)
from antiphon.files.finishing import Finishing
from antiphon.files.pipes import STDOUT, OutputPipe, PipeWriter
from antiphon.files.sound_finish import BEFORE, CHAPTERS, PLAIN, SoundFinish
from antiphon.files.temporary import FOLDER, full
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime.shortening import count_of
from antiphon.kernel.runtime.sound_formats import VIDEOS, Format, channel_order, format_of
from antiphon.kernel.runtime.terms import path_text, spell

if TYPE_CHECKING:
    import soxr

    from antiphon.files.carrier_writer import CarrierWriter

ENCODED = ("MP4", "MOV", "MATROSKA", "WEBM")
"""Names of the formats that ffmpeg writes."""

# ---- A file that appears under its name only when complete and on disk


def write_error(name: str, error: OSError | ValueError, within: bool = False) -> FileError:
    """Makes the error for a file that cannot be written, also from the `ValueError` of a name that the system rejects.

    `within`: whether its folder exists.
    """
    if not isinstance(error, OSError):
        return FileError(f"cannot write {name}: its name holds a zero byte")
    text = (error.strerror or str(error)).lower()
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            if name.startswith(os.path.join(tempfile.gettempdir(), FOLDER)):
                return full(error)
            text += "; free some space or write elsewhere"
        case errno.ENOENT if within:
            text = "no file can be made in its folder; write to another"
        case errno.ENOENT | errno.ENOTDIR:
            text = "its folder does not exist; make it first"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            text += "; write to a folder of yours"
        case errno.EFBIG:
            text += " for this disk or account; write elsewhere"
    return FileError(f"cannot write {name}: {text}")


class DraftFile:
    """A draft file, unnamed or hidden until it is published.

    Raises FileError: no file can be made there, or the name belongs to something other than a file.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self._hidden: Path | None = None
        try:
            self._target = Path(os.path.realpath(path))
            self._mode = self._existing_file_mode(name)
            self.fd = self._open()  # of the open file; -1 once it is published or discarded
        except (OSError, ValueError) as error:
            raise write_error(name, error, os.path.isdir(os.path.dirname(os.path.realpath(path)))) from None

    def publish(self) -> None:
        """Renames the file once it is on disk, replacing an existing one; raises `OSError`."""
        if self._mode is not None:
            os.fchmod(self.fd, self._mode)
        os.fsync(self.fd)
        if self._hidden is None:
            hidden = self._hidden_name()
            self._hidden = hidden
            # a dir_fd makes Python call linkat, which alone follows the link in /proc
            os.link(f"/proc/self/fd/{self.fd}", hidden, src_dir_fd=self.fd, follow_symlinks=True)
        os.replace(self._hidden, self._target)
        self._hidden = None
        self.discard()

    def discard(self) -> None:
        """Closes the file, and deletes it unless published."""
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            hidden.unlink(missing_ok=True)
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _existing_file_mode(self, name: str) -> int | None:
        """Mode of the existing file, None without one. Raises FileError unless it is a regular file."""
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISREG(mode):
            return stat.S_IMODE(mode)
        what = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
        raise FileError(f"cannot write {name}: it is {what}; name a file")

    def _open(self) -> int:
        folder, unnamed = self._target.parent, getattr(os, "O_TMPFILE", 0)
        if unnamed and os.path.exists("/proc/self/fd"):
            try:
                return os.open(folder, unnamed | os.O_RDWR | os.O_CLOEXEC, 0o666)
            except OSError as error:
                # the file system has no unnamed files (O_TMPFILE)
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
        self._hidden = self._hidden_name()
        return os.open(self._hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)

    def _hidden_name(self) -> Path:
        return self._target.with_name(f".antiphon-{os.urandom(6).hex()}.part")


CHUNK = 16384
"""Maximum frames per encoder call. libsndfile's vorbis encoder overruns its stack with very long ones."""
COVERED = ("MP3", "FLAC", "WAV", "AIFF", "MP4")
"""Names of the formats that get the cover picture of IN."""
MAX_COVER = 8 << 20
"""Maximum bytes of a picture that is kept: a block of FLAC has at most twice as many."""
_ADD_PEAK_CHUNK = 0x1050
_RF64_AUTO_DOWNGRADE = 0x1210
"""libsndfile commands without a call in soundfile."""
LONGER = 0.5
"""Seconds by which a sound may be longer or shorter than before without a word on its picture."""
MAX_NAMED = 4
"""Maximum number of lost tags listed by name; beyond it only their number is given."""
MAX_FLOAT_WAV_BYTES = (1 << 32) - (1 << 16)

_LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "AAC")
_LFE = {"VORBIS": (6,), "OPUS": (6, 7, 8)}
"""Channel counts for which the encoder treats the fourth channel as an LFE (5.1, 6.1, 7.1), and low-passes it."""
_STEPS = {"PCM_U8": 1 << 7, "PCM_S8": 1 << 7, "PCM_16": 1 << 15, "PCM_24": 1 << 23}
_EIGHT_BITS = {"PCM_U8": "PCM_S8", "PCM_S8": "PCM_U8"}


def subtype_for(format: Format, source: str = "") -> str:
    """Sample format: the source's bit depth if supported, else 24 bits, or the format's only one."""
    for wanted in (source, _EIGHT_BITS.get(source, "")):
        if wanted in format.subtypes:
            return wanted
    return format.subtypes[0]


class AudioWriter:
    """Atomic sound file writer: a `with` block that ends by an exception leaves no file.

    The format follows the suffix. Encoding runs in a thread.

    Args:
        rate: Frames per second.
        like: The libsndfile subtype of a source, whose bit depth is kept where the format has it: "PCM_16".
        finish: Rate, loudness, limit and tags of the file.

    Attributes:
        frames: Frames written so far, at `rate` of the arguments.
        rate: Hz of the file.
        clipped: Samples beyond full scale. Integer formats clip them; for MP3 and Ogg the player does.
        peak: The largest magnitude among the clipped samples; 1 without any.
        silent: Whether every sample so far is 0.
        subtype: libsndfile's name of the sample format.

    Raises:
        FileError: The format does not support the rate or the number of channels, or the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], rate: int, channels: int, like: str = "", finish: SoundFinish = PLAIN
    ) -> None:
        self.path, self.name = path, path_text(path)
        self.frames = 0
        self.clipped = 0
        self.peak = 1.0
        self.silent = True
        self.format = format_of(path)
        self.subtype = subtype_for(self.format, like)
        self.rate, self.channels, self._source_rate = finish.rate or self.format.nearest(rate), channels, rate
        self._piped, self._finish_asked = os.fspath(path) == STDOUT, finish
        if self._piped and finish.raw is not None:
            self.rate = finish.raw.rate
        self._check_format_limits()
        self._order = channel_order(self.format.name, channels)
        self._resample: soxr.ResampleStream | None = None
        if self.rate != rate:
            import soxr

            self._resample = soxr.ResampleStream(rate, self.rate, channels, dtype="float32")
        self._finishing = Finishing(finish, self.rate, channels, lossy=self.subtype in _LOSSY)
        fits = finish.cover is not None and len(finish.cover.data) <= MAX_COVER and self.format.name in COVERED
        self._cover = finish.cover if fits and not self._piped and not self._video else None
        self._marks = None if self._piped else finish.marks
        self._unmarked = self._untagged = False
        self._mask = finish.mask if finish.mask.bit_count() == channels > 2 else 0
        self._streams, self._conversions = tuple[str, ...](), tuple[str, ...]()
        self._counts_clipped = self.subtype not in ("FLOAT", "DOUBLE")
        self._draft = OutputPipe() if self._piped else DraftFile(path, self.name)
        self._disk = _RawFile(self._draft.fd)
        self._chunk = np.empty((CHUNK, channels), np.float32)
        self._filled = 0
        self._queue: queue.Queue[Samples | None] = queue.Queue(4)
        self._error: BaseException | None = None
        self._stopped = self._drained = False
        self._thread = threading.Thread(target=self._encode, name="encoder", daemon=True)
        self._thread.start()

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()

    @property
    def over(self) -> str:
        """Sentence about samples beyond full scale; empty without any."""
        cut = "are cut to it" if self.subtype.startswith("PCM") else "are cut to it by what plays them"
        return f"{self.name}: {self.clipped} samples were over full scale and {cut}" if self.clipped else ""

    @property
    def seconds(self) -> float:
        """Length written so far in seconds."""
        return self.frames / self._source_rate

    @property
    def conversions(self) -> tuple[str, ...]:
        """Conversions that the format required, in words: "resampled from 96 kHz"."""
        words = [] if self._resample is None else [f"resampled from {self._source_rate / 1000:g} kHz"]
        if self.channels in _LFE.get(self.subtype, ()):
            words.append("channel 4, the LFE, low-passed")
        words += [*self._lost_marks(), *self._lost_tags()]
        if self._finish_asked.cover is not self._cover and "cover picture" not in self._streams:
            words.append(f"without the picture of {spell('source')}")
        words += [*self._conversions, *self._picture_words()]
        if self._untagged:
            words.append("without ID3 tags, for which its 4 GiB have no room")
        return (*words, *self._finishing.words)

    @property
    def _video(self) -> bool:
        picture = self._finish_asked.picture
        return picture is not None and picture.video and Path(self.name).suffix.lower() in VIDEOS

    @property
    def carried_tags(self) -> tuple[str, ...]:
        """What the file has of IN besides the sound, by `Notice.what`, one each; once the file is complete."""
        return (*self._streams, *(["cover picture"] * (self._cover is not None)), *([BEFORE] * self._video))

    def _picture_words(self) -> list[str]:
        """Words on a picture that ends before the new sound."""
        picture = self._finish_asked.picture
        if picture is None or not picture.seconds or abs(past := self.seconds - picture.seconds) < LONGER:
            return []
        if self._video:
            differs = f"{abs(past):.1f} s {'longer' if past > 0 else 'shorter'}"
            return [f"the sound {differs} than before, the picture as it was"]
        return ["the chapters where they were"] if CHAPTERS in self._streams else []

    def _lost_tags(self) -> list[str]:
        """Descriptions of the tags that the file lacks."""
        copied = self._video
        tags = self._finishing.tags
        lost = [name for name in self._finish_asked.left if name not in tags and not copied]
        lost = [*tags, *lost] if self._piped or self.format.name == "AU" else lost
        lost += [name for name in ESTIMATED_TAGS if name in tags and self.format.name == "MOV"]
        if len(lost) < 2:
            return [f"without the tag {name}" for name in lost]
        more = len(lost) - MAX_NAMED
        last = f"{more} more" if more > 1 else lost[-1]
        return [f"without the tags {', '.join(lost[: MAX_NAMED if more > 1 else -1])} and {last}"]

    def _kept_marks(self) -> bytes:
        """Chunks of IN that are valid for the file."""
        marks = self._marks
        if marks is None or self.format.name != ("AIFF" if marks.aiff else "WAV"):
            return b""
        sound = NewSound(self.frames == marks.frames, (marks.rate, self.rate), marks.transposed)
        return keep_valid_chunks(marks.chunks, sound, big=marks.aiff)

    def _lost_marks(self) -> list[str]:
        """Descriptions of IN's chunks that the file lacks."""
        marks, kept = self._marks, self._kept_marks()
        if marks is None:
            return []
        if not marks.chunks or self._unmarked:
            return [f"without the loop and cue points of {spell('source')}"]
        moved = marks.transposed and has_pitch(marks.chunks, big=marks.aiff)
        pitched = keep_valid_chunks(marks.chunks, NewSound(True, (1, 1), moved), big=marks.aiff)
        lost = describe_lost_chunks(pitched, kept, big=marks.aiff)
        given = spell("source")
        words = [f"without {' and '.join(filter(None, (', '.join(lost[:-1]), *lost[-1:])))} of {given}"] if lost else []
        moved = moved and PLACES not in lost
        return [*words, f"without the loop and root note of {given}, whose pitch may be another"] if moved else words

    def write(self, samples: Samples) -> None:
        """Appends sound.

        `samples`: float32 `[channels, n]`; it may be changed afterwards. Raises FileError: an earlier part could not be
        written.
        """
        self.frames += samples.shape[1]
        if self._resample is None:
            self._put(self._finishing.take(samples))
        else:
            self._put(self._finishing.take(self._resample.resample_chunk(np.ascontiguousarray(samples.T)).T))

    def _put(self, samples: Samples) -> None:
        at, n = 0, samples.shape[1]
        self.silent = self.silent and not samples.any()
        while at < n:
            part = min(n - at, CHUNK - self._filled)
            self._chunk[self._filled : self._filled + part] = samples[:, at : at + part].T
            self._filled += part
            at += part
            if self._filled == CHUNK or (self._piped and at == n):
                self._hand_over()

    def commit(self) -> None:
        """Completes the file and renames it; called at the end of a `with` block.

        Raises FileError: it cannot be written; then there is no file.
        """
        try:
            if self.frames == 0 and self.format.name in ("MP3", *ENCODED):
                what = f"{self.format.name.lower()} file"
                raise FileError(f"cannot write {self.name}: there is no sound to write, and an {what} cannot be empty")
            if self._resample is not None:
                last = self._resample.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
                self._put(self._finishing.take(last.T))
            for samples in self._finishing.end():
                self._put(samples)
            self._hand_over()
            self._finish()
            if self._error is not None:
                raise self._failure(self._error)
            if self.frames == 0 and self.format.name == "FLAC":
                os.pwrite(self._draft.fd, _empty_flac(self.rate, self.channels, self.subtype), 0)
            self._complete_tags()
            self._draft.publish()
        except OSError as error:
            self.abort()
            raise self._failure(error) from None
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Removes the draft; an existing file of that name is kept."""
        self._stopped = True
        try:
            self._finish()
        finally:
            self._finishing.close()
            self._draft.discard()

    def _complete_tags(self) -> None:
        """Adds tags that libsndfile does not write."""
        tags, name = self._finishing.tags, self.format.name
        self._finishing.close()
        if self._piped:
            return
        kept = self._kept_marks()
        self._unmarked = bool(kept) and not append_chunks(self._draft.fd, kept)
        cover = self._cover
        if name == "WAV" and self._mask:
            from antiphon.files.containers.speakers import write_mask

            write_mask(self._draft.fd, self._mask)
        if (name == "AIFF" and (tags or cover)) or (
            name == "WAV" and (cover or any(found in tags for found in ESTIMATED_TAGS))
        ):
            self._untagged = not append_chunks(self._draft.fd, id3_chunk(name == "AIFF", tags, cover))
        if name == "MP4" and cover is not None:
            from antiphon.files.containers.mp4_tags import add_tags, cover_tag

            add_tags(self._draft.fd, cover_tag(cover.mime, cover.data))
        if name in ("FLAC", "OGG"):
            fill_slots(self._draft.fd, tags)
        if name == "FLAC" and cover is not None:
            insert_cover(self._draft.fd, cover)

    def _check_format_limits(self) -> None:
        format, suffix = self.format, Path(self.name).suffix[1:].lower()
        if format.name in ENCODED:
            from antiphon.files.carrier_writer import CarrierWriter

            CarrierWriter.check(self.name, suffix)
        if self._piped and self._finish_asked.raw is not None:
            self._finish_asked.raw.check(self.channels)
        if self.channels > format.channels:
            raise FileError(
                f"cannot write {self.name}: {suffix} holds at most {count_of(format.channels, 'channel')}, "
                f"not {self.channels}; name a .wav"
            )
        if format.rates and self.rate not in format.rates:
            raise FileError(
                f"cannot write {self.name}: {suffix} does not hold {self.rate} Hz, only "
                f"{', '.join(str(r) for r in format.rates)}; name a .wav or .flac"
            )

    def _hand_over(self) -> None:
        if self._error is not None:
            raise self._failure(self._error)
        chunk = self._chunk[: self._filled]
        if self._counts_clipped and self._filled and (chunk.max() > 1.0 or chunk.min() < -1.0):
            self.clipped += int(np.count_nonzero(np.abs(chunk) > 1.0))
            self.peak = max(self.peak, float(np.abs(chunk).max()))
        if self._order:
            chunk = chunk.take(self._order, axis=1)
        steps = _STEPS.get(self.subtype)
        if steps is not None:
            # libsndfile would round down, which doubles the error and adds half a step of offset
            np.multiply(chunk, np.float32(steps), out=chunk)
            np.rint(chunk, out=chunk)
            np.multiply(chunk, np.float32(1.0 / steps), out=chunk)
        self._queue.put(chunk)
        self._chunk = np.empty((CHUNK, self.channels), np.float32)
        self._filled = 0

    def _finish(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _encode(self) -> None:
        """The thread: writes chunks until None. After a failure it discards them, so that `write` does not block."""
        try:
            self._encode_all()
        except BaseException as error:
            self._error = self._disk.error or error
        while not self._drained:
            self._next()

    def _encode_all(self) -> None:
        import soundfile

        # tags may be found in the sound, and are known with its first chunk
        chunk = self._next()
        if self._stopped:
            return
        tags = self._finishing.tags
        if self._piped or self.format.name in ENCODED:
            self._encode_in_thread(chunk, tags)
            return
        if self.format.name == "MP3":
            self._disk.begin(id3(tags, self._cover))
        more: dict[str, Any] = {"compression_level": 0.2} if self.format.name == "MP3" else {}
        # one that ends short of 4 GiB says RIFF in the end. Floats stay RIFF: in RF64 libsndfile notes the second of
        # writing beside their peak, and equal sounds would be different files
        grows = self.format.name == "WAV" and self.subtype.startswith("PCM")
        name = "RF64" if grows else "WAVEX" if self.format.name == "WAV" and self._mask else self.format.name
        with soundfile.SoundFile(self._disk, "w", self.rate, self.channels, self.subtype, format=name, **more) as file:
            _command(file, _ADD_PEAK_CHUNK, 0)
            if grows:
                _command(file, _RF64_AUTO_DOWNGRADE, 1)
            for word, text in plain_tags(self.format.name, tags):
                setattr(file, word, text)
            while chunk is not None:
                if name in ("WAV", "WAVEX") and self._disk.length + chunk.nbytes * 2 > MAX_FLOAT_WAV_BYTES:
                    raise FileError(f"cannot write {self.name}: a wav of floats ends at 4 GiB; name a .flac")
                file.write(chunk)
                if self._disk.error is not None:
                    raise self._disk.error
                chunk = self._next()
                while chunk is not None and self._stopped:
                    chunk = self._next()
        if self._disk.error is not None:
            raise self._disk.error

    def _encode_in_thread(self, chunk: Samples | None, tags: dict[str, str]) -> None:
        """The thread's work where another program encodes, or standard output is written."""
        form = self.rate, self.channels, self.subtype
        writer: PipeWriter | CarrierWriter
        if self._piped:
            writer = PipeWriter(self._draft.fd, *form, self._finish_asked.raw, self._mask)
        else:
            from antiphon.files.carrier_writer import CarrierWriter

            name, picture = self.format.name, self._finish_asked.picture
            writer = CarrierWriter(self._draft.fd, self.name, name, form, tags, picture, self._mask)
            self._streams, self._conversions = writer.carried, writer.said
        with writer:
            while chunk is not None and not self._stopped:
                writer.write(chunk)
                chunk = self._next()
            if not self._stopped:
                writer.end()

    def _next(self) -> Samples | None:
        chunk = self._queue.get()
        self._drained = chunk is None
        return chunk

    def _failure(self, error: BaseException) -> FileError | BrokenPipeError:
        if isinstance(error, FileError) or (self._piped and isinstance(error, BrokenPipeError)):
            return error
        if isinstance(error, OSError):
            return write_error(self.name, error)
        text = " ".join(str(error).split()) or type(error).__name__
        return FileError(f"cannot write {self.name}: the encoder refused it ({text[:200]})")


def _command(file: Any, number: int, argument: int) -> None:
    import soundfile

    with contextlib.suppress(AttributeError):  # another version of soundfile
        soundfile._snd.sf_command(file._file, number, soundfile._ffi.NULL, argument)


class _RawFile:
    """File object for libsndfile. It stores the first exception, since libsndfile cannot pass exceptions on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.error: OSError | None = None
        self.length = self._start = 0

    def begin(self, data: bytes) -> None:
        """Writes a prefix before libsndfile's file."""
        self.write(data)
        self._start = len(data)

    def write(self, data: bytes) -> int:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            self.error = self.error or error
        self.length += done
        return done

    def read(self, size: int) -> bytes:
        return os.read(self._fd, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._fd, offset + self._start * (whence == os.SEEK_SET), whence) - self._start

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR) - self._start


def _empty_flac(rate: int, channels: int, subtype: str) -> bytes:
    """Makes a FLAC file without frames, which libsndfile cannot: the marker and one final STREAMINFO block."""
    bits = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}[subtype]
    packed = (rate << 44) | ((channels - 1) << 41) | ((bits - 1) << 36)
    block = (4096).to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + bytes([0x80]) + len(block).to_bytes(3, "big") + block
