"""Sound files whose headers know little of them: each is read whole, or refused in a sentence that says why."""

import io
import os
import random
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests import accepted

from antiphon.files import decode
from antiphon.files.audiofile import read
from antiphon.files.containers.chunks import MAX_CHUNKS, read_marks
from antiphon.files.containers.layout import layout
from antiphon.files.containers.mpeg import _table
from antiphon.files.containers.pieces import Refused, SplicedFile
from antiphon.files.decode import KeptDecoder
from antiphon.kernel.errors import FileError

RATE = 44100
ID3 = b"ID3\3\0\0\0\0\1\0" + bytes(128)
ID3V1 = b"TAG".ljust(128, b"\0")


def tone(pitch: float, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """A second of a sine that is quiet at first: by its beginning VBR would be far longer."""
    time = np.arange(rate) / rate
    return np.repeat((np.where(time < 0.2, 1e-4, 0.5) * np.sin(2 * np.pi * pitch * time))[:, None], channels, axis=1)


def coded(form: str, subtype: str, pitch: float = 440.0, rate: int = RATE, channels: int = 1) -> bytes:
    file = io.BytesIO()
    mode = {"bitrate_mode": "VARIABLE"} if form == "MP3" else {}
    soundfile.write(file, tone(pitch, rate, channels), rate, format=form, subtype=subtype, **mode)
    return file.getvalue()


def mp3(pitch: float = 440.0, rate: int = RATE, channels: int = 1) -> bytes:
    return coded("MP3", "MPEG_LAYER_III", pitch, rate, channels)


def bare(data: bytes) -> bytes:
    """An mp3 without its header frame."""
    return data[_table()[data[1] << 8 | data[2]][0] :]


def counted(frames: int | None, size: int | None = None) -> bytes:
    """An mp3 whose header says so many frames and bytes; its own where None."""
    data = mp3()
    at = data.index(b"Xing") + 8
    old_frames, old_size = struct.unpack_from(">II", data, at)
    said = struct.pack(">II", old_frames if frames is None else frames, old_size if size is None else size)
    return data[:at] + said + data[at + 8 :]


def vorbis(pitch: float = 440.0, rate: int = RATE, channels: int = 1) -> bytes:
    return coded("OGG", "VORBIS", pitch, rate, channels)


def opus(pitch: float = 440.0) -> bytes:
    return coded("OGG", "OPUS", pitch, 48000)


def flac(pitch: float = 440.0) -> bytes:
    return coded("FLAC", "PCM_16", pitch)


def ogg_flac(last: int = 4) -> bytes:
    """Pages of a flac file, without checksums."""
    data, pages = flac(), b""
    pieces = [b"\x7fFLAC\1\0\0\1" + data[:42], *(data[at : at + 60000] for at in range(42, len(data), 60000))]
    for n, piece in enumerate(pieces):
        sizes = bytes([255] * (len(piece) // 255) + [len(piece) % 255])
        flags = 2 if n == 0 else last if n == len(pieces) - 1 else 0
        pages += b"OggS\0" + bytes([flags]) + bytes(8) + b"flac" + struct.pack("<II", n, 0)
        pages += bytes([len(sizes)]) + sizes + piece
    return pages


def wav(promised: int | None = None, form: str = "WAV") -> bytes:
    data = coded(form, "PCM_16")
    at = data.index(b"data") + 4
    return data if promised is None else data[:at] + struct.pack("<I", promised) + data[at + 4 :]


def caf(promised: int) -> bytes:
    data = coded("CAF", "PCM_16")
    at = data.index(b"data") + 4
    return data[:at] + struct.pack(">q", promised) + data[at + 8 :]


def unsized_rf64() -> bytes:
    data = coded("RF64", "PCM_16")
    at = data.index(b"ds64") + 8
    return data[:at] + bytes(24) + data[at + 24 :]


WHOLE: dict[str, tuple[Callable[[], bytes], list[float]]] = {
    "mp3 without header": (lambda: bare(mp3()), [440]),
    "mp3 without header, 24 kHz": (lambda: bare(mp3(440, 24000, 2)), [440]),
    "mp3 of 10 frames": (lambda: counted(10), [440]),
    "mp3 of 0 frames": (lambda: counted(0), [440]),
    "mp3 of 1000 frames in as many bytes": (lambda: counted(1000), [440]),
    "mp3 joined": (lambda: mp3(440) + mp3(880), [440, 880]),
    "mp3 joined without headers": (lambda: bare(mp3(440)) + bare(mp3(880)), [440, 880]),
    "mp3 joined with tags": (lambda: ID3 + mp3(440) + ID3V1 + ID3 + mp3(880) + ID3V1, [440, 880]),
    "mp3 behind zeros": (lambda: bytes(5000) + mp3(), [440]),
    "mp3 behind an ID3 that says too much": (lambda: ID3[:8] + b"\x10\0" + ID3[10:] + mp3(), [440]),
    "mp3 in a wav": (lambda: mp3_in_wav(), [440]),
    "vorbis chained": (lambda: vorbis(440) + vorbis(880), [440, 880]),
    "vorbis chained, the first cut": (lambda: vorbis(440)[:-50] + vorbis(880), [880]),
    "opus chained": (lambda: opus(440) + opus(880), [440, 880]),
    "vorbis behind ID3": (lambda: ID3 + vorbis(), [440]),
    "vorbis before junk": (lambda: vorbis() + bytes(200_000), [440]),
    "flac before ID3v1": (lambda: flac() + ID3V1, [440]),
    "flac between ID3": (lambda: ID3 + flac() + ID3V1, [440]),
    "flac before zeros": (lambda: flac() + bytes(5000), [440]),
    "flac joined": (lambda: flac(440) + flac(880), [440, 880]),
    "flac in ogg": (ogg_flac, [440]),
    "flac in ogg before what looks like a page": (lambda: ogg_flac() + b"OggS\0" + bytes(21) + b"\xff" * 9, [440]),
    "flac in ogg, never closed": (lambda: ogg_flac(0), [440]),
    "wav that counts its header": (lambda: wav(2 * RATE + 44), [440]),
    "wav never closed": (lambda: wav(0), [440]),
    "rf64 never closed": (unsized_rf64, [440]),
    "bw64": (lambda: b"BW64" + wav(form="RF64")[4:], [440]),
    "w64": (lambda: coded("W64", "PCM_16"), [440]),
    "caf": (lambda: coded("CAF", "PCM_16"), [440]),
    "caf to its end": (lambda: caf(-1), [440]),
    "caf never closed": (lambda: caf(0), [440]),
    "au never closed": (lambda: (data := coded("AU", "PCM_16"))[:8] + bytes(4) + data[12:], [440]),
}


def mp3_in_wav() -> bytes:
    data = bare(mp3())
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 8000, 1, 0, 12, 1, 2, 417, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture(scope="module")
def kept() -> KeptDecoder:
    return KeptDecoder(RATE)


@pytest.mark.parametrize("name", WHOLE)
def test_every_second_of_an_odd_file_is_read(
    tmp_path: Path, name: str, kept: KeptDecoder, caplog: pytest.LogCaptureFixture
) -> None:
    data, pitches = WHOLE[name]
    path = tmp_path / "odd"
    path.write_bytes(data())
    sound = read(path)
    seconds = sound.samples.shape[1] / sound.rate
    assert (
        len(pitches) <= seconds < len(pitches) + 0.3
        if "cut" in name
        else seconds == pytest.approx(len(pitches), abs=0.12 * len(pitches))
    )
    assert sound.info.frames in (None, sound.samples.shape[1])
    for n, pitch in enumerate(pitches, start=-len(pitches)):
        at = sound.samples.shape[1] + n * sound.rate + sound.rate * 3 // 10
        heard = sound.samples[0, at : at + sound.rate // 2]
        assert np.argmax(np.abs(np.fft.rfft(heard))) * 2 == pytest.approx(pitch, abs=4)
        assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.354, abs=0.02)
        if sound.rate == RATE and sound.info.frames is not None:
            assert np.abs(kept.part(path, at, 5000) - sound.samples[:2, at : at + 5000]).max() < 1e-3
    assert ["its recording was never closed" in record.message for record in caplog.records] == (
        [True] if "never closed" in name else []
    )


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "mp3 cut": (lambda: mp3()[:3000], "frames of mp3 and"),
    "mp3 of 1000 frames in more bytes": (lambda: counted(1000, 1 << 20), "it promises 1000 frames of mp3 and"),
    "mp3 with a hole": (lambda: bare(mp3())[:3000] + bytes(9000) + bare(mp3()), "bytes that are no sound"),
    "mp3 of two rates": (lambda: mp3() + mp3(440, 48000), "its rate or channels change at 1.000 s, from 44100 Hz of 1"),
    "mp3 of mono and stereo": (lambda: bare(mp3()) + bare(mp3(440, RATE, 2)), "to 44100 of 2: cut it there"),
    "vorbis of two rates": (lambda: vorbis() + vorbis(440, 48000), "change at 1.000 s, from 44100 Hz of 1 to 48000"),
    "1001 recordings": (lambda: vorbis() * 1001, "more than 1000 recordings in one"),
    "wav cut": (lambda: wav()[:-200], "it was cut short"),
    "w64 cut": (lambda: coded("W64", "PCM_16")[:-2000], "it was cut short"),
    "vorbis cut": (lambda: vorbis()[:-50], "it was cut short"),
    "opus cut in a page's head": (lambda: opus()[: opus().rindex(b"OggS") + 9], "it was cut short"),
    "caf cut": (lambda: coded("CAF", "PCM_16")[:-9000], "it was cut short"),
    "flac cut": (lambda: flac() + flac()[:9000], "again"),
    "caf of no rate": (lambda: caf(-1)[:20] + bytes(8) + caf(-1)[28:], "a sample rate of 0"),
    "m4a joined": (lambda: b"\0\0\0\x18ftypM4A ".ljust(24, b"\0") * 2, "several m4a files in one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_whole_says_why(tmp_path: Path, name: str) -> None:
    data, said = REFUSED[name]
    path = tmp_path / "odd"
    path.write_bytes(data())
    with pytest.raises(FileError) as refused:
        read(path)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", [*WHOLE, *REFUSED])
def test_a_mutated_layout_is_one_or_a_refusal(tmp_path: Path, name: str) -> None:
    dice, good = random.Random(name), {**WHOLE, **REFUSED}[name][0]()
    for _ in range(60):
        data = bytearray(good[:100_000])
        for _ in range(dice.choice((1, 2, 8))):
            at = dice.randrange(dice.choice((160, len(data) - 8)))
            changed = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", dice.randbytes(2), b""))
            data[at : at + dice.choice((len(changed), 1))] = changed
        path = tmp_path / "mutant"
        path.write_bytes(data)
        with open(path, "rb") as file, suppress(Refused):
            for link in layout(file.fileno()).links:
                assert len(SplicedFile(file.fileno(), link.pieces or (range(100),)).read(100)) <= 100


def test_a_recording_that_was_never_closed_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "take.wav"
    path.write_bytes(wav(0))
    decode._say.cache_clear()
    for _ in range(2):
        assert read(path).samples.shape == (1, RATE)
    (record,) = caplog.records
    assert record.message.startswith(f"{path}: its recording was never closed: its header promises no sound, and all")


def test_a_chain_in_a_pipe_is_refused_after_its_first_link() -> None:
    reading, writing = os.pipe()
    data = b"".join(map(vorbis, (440, 660, 880))) * 8

    def send() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    frames: list[int] = []
    with decode.Decoder("the sound", pipe=reading) as decoder:
        os.close(reading)
        with pytest.raises(FileError, match="another recording follows"):
            frames.extend(block.shape[1] for block in decoder.blocks())
    assert sum(frames) == RATE
    thread.join(20)


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


CUE, LOOP, LABEL = chunk(b"cue ", bytes(28)), chunk(b"smpl", bytes(36)), chunk(b"LIST", b"adtlx")
SOUND, OPEN = chunk(b"data", bytes(99)), b"data" + b"\xff" * 4 + bytes(100)
DS64 = chunk(b"ds64", struct.pack("<QQQI", 0, 100, 50, 0))


def test_marks_are_read_or_known_to_be_incomplete(tmp_path: Path) -> None:
    names = {"CUE": CUE, "LOOP": LOOP, "LABEL": LABEL, "SOUND": SOUND, "OPEN": OPEN, "DS64": DS64}
    names |= {"chunk": chunk, "MAX_CHUNKS": MAX_CHUNKS}
    shown = {None: "no marks", b"": "incomplete", CUE: "CUE", CUE + LOOP + LABEL: "CUE + LOOP + LABEL"}

    def answer(parts: str) -> str:
        head, chunks = eval(parts, names)
        (tmp_path / "x.wav").write_bytes(head + bytes(4) + b"WAVE" + chunks)
        return shown[read_marks(tmp_path / "x.wav")]

    accepted.compare(Path(__file__).with_name("marks.py"), answer)
