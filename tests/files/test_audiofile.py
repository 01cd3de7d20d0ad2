"""Reading sound files, honest and hostile."""

import os
import random
import signal
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.waiting import costs_at_most, until

from antiphon.files import decode, decode_process
from antiphon.files.audiofile import read, stream
from antiphon.files.decode import Decoder
from antiphon.kernel.errors import FileError
from antiphon.testing import sound as audio

KINDS = ("wav", "flac", "ogg", "mp3", "aiff", "au")


def wav(
    *,
    rate: int = 48000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    promised: int | None = None,
    data: bytes = b"\0" * 2000,
) -> bytes:
    """A wav file whose header says what it is told to say."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, (rate * width) & 0xFFFFFFFF, width & 0xFFFF, bits)
    size = len(data) if promised is None else promised
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(0xFFFFFFFF, 36 + size)) + body


def refusal(path: Path) -> str:
    """What `read` says of a file it must refuse, cheaply and in one line."""
    decode_process.decoders().close()  # of what was read before
    with costs_at_most(3.0):
        with pytest.raises(FileError) as refused:
            read(path)
        decode_process.decoders().close()  # what its processes have cost counts when it has ended
    text = str(refused.value)
    assert text.isprintable()
    assert text.startswith("cannot read ")
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_as_libsndfile_reads_it(tmp_path: Path, kind: str) -> None:
    path = audio.write(tmp_path / f"in.{kind}", audio.noise(40001, 2), 44100)
    sound = read(path)
    expected, rate = audio.read(path)
    assert sound.rate == sound.info.rate == rate == 44100
    assert sound.samples.shape == (2, 40001)
    assert sound.samples.dtype == np.float32
    assert np.array_equal(sound.samples, expected)


def test_a_stream_gives_the_same_samples_in_blocks(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100_003, 2), subtype="FLOAT")
    with stream(path) as (info, blocks):
        parts = list(blocks)
    assert info.frames == 100_003
    assert len(parts) > 2
    assert np.array_equal(np.concatenate(parts, axis=1), audio.read(path)[0])


def test_resampled_sound_keeps_pitch_place_and_length(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "in.wav", audio.sine(1000.0, 1.0, 44100, channels=2), 44100, "FLOAT")
    sound = read(path, rate=48000)
    assert sound.rate == 48000
    assert sound.samples.shape == (2, 48000)
    inside = slice(2000, 46000)
    assert audio.level((sound.samples - audio.sine(1000.0, 1.0, 48000, channels=2))[:, inside]) < -80.0


def test_what_is_too_long_for_memory_is_refused_by_its_header_and_by_its_sound(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(30_000))
    with pytest.raises(FileError, match="longer than"):
        read(path, max_samples=20_000)
    assert read(path, max_samples=30_000).samples.shape == (1, 30_000)
    blind = flac_without_length(tmp_path / "blind.flac", audio.noise(30_000))
    with pytest.raises(FileError, match="longer than"):
        read(blind, max_samples=20_000)


def flac_without_length(path: Path, x: np.ndarray) -> Path:
    """A flac as a pipe writes it: its header says 0 frames, "unknown"."""
    data = bytearray(audio.write(path, x).read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    return path


def test_a_flac_that_does_not_say_its_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = flac_without_length(tmp_path / "in.flac", audio.noise(30_000))
    with stream(path) as (info, _):
        assert info.frames is None
    assert read(path).samples.shape == (1, 30_000)


@pytest.mark.parametrize("kind", ["wav", "ogg", "mp3", "aiff", "au"])
def test_sound_from_a_pipe_is_decoded_before_it_has_ended(tmp_path: Path, kind: str) -> None:
    rate, path = 8000, tmp_path / f"a.{kind}"
    soundfile.write(path, 0.5 * np.sin(np.arange(20 * rate) / 3), rate)
    whole = decode_all(path)
    data = path.read_bytes()
    reading, writing = os.pipe()
    begun = threading.Event()

    def send() -> None:
        with os.fdopen(writing, "wb", buffering=0) as sending:
            sending.write(data[: len(data) // 2])
            begun.wait(60)
            sending.write(data[len(data) // 2 :])

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    with Decoder("the sound", pipe=reading) as decoder:
        os.close(reading)
        got = []
        for block in decoder.blocks():
            assert block.shape[1] <= rate // 10
            assert thread.is_alive() or begun.is_set()
            begun.set()
            got.append(block)
    thread.join(60)
    np.testing.assert_array_equal(np.concatenate(got, axis=1), whole)


def decode_all(path: Path) -> np.ndarray:
    with Decoder(path) as decoder:
        return np.concatenate(list(decoder.blocks()), axis=1)


def _flac_of(promised: int) -> bytes:
    packed = (48000 << 44) | (15 << 36) | promised
    return b"fLaC\x80\0\0\x22" + struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)


LIES = {
    "empty": (b"", "empty"),
    "text": (b"hello, I am not a sound file\n", "it is not a wav, flac"),
    "m3u": (b"#EXTM3U\n#EXTINF:1,A\na.mp3\n", "it is a playlist, which holds no sound: name the files"),
    "plain.m3u": (b"\xef\xbb\xbfmusic/\xc3\xbc b.flac\r\nc.ogg\r\n", "it is a playlist, which holds no sound"),
    "html.mp3": (b"<!DOCTYPE html><html>404 Not Found</html>", "it is not a wav, flac"),
    "zeros": (bytes(5000), "it is not a wav, flac"),
    "raw.aac": (bytes.fromhex("fff15080 0b9ffcde") * 99, "it is broken"),
    "4GB in 44 bytes": (wav(promised=0xFFFFFFFF, data=b""), "promises 4294967295 bytes of sound and 0 follow"),
    "2GB in 44 bytes": (wav(promised=0x7FFFFFF0, data=b""), "0 follow"),
    "cut short": (wav(promised=90000), "promises 90000 bytes of sound and 2000 follow"),
    "no channels": (wav(channels=0), "0 channels"),
    "1000 channels": (wav(channels=1000, data=bytes(20000)), "1000 channels"),
    "65535 channels": (wav(channels=65535, data=bytes(131070 * 2)), ""),
    "rate 0": (wav(rate=0), "sample rate of 0"),
    "rate 1": (wav(rate=1), "sample rate of 1;"),
    "rate 2^31": (wav(rate=1 << 31), "sample rate"),
    "rate 2^32-1": (wav(rate=0xFFFFFFFF), "sample rate"),
    "no such coding": (wav(tag=0x1234), "it is broken"),
    "only a header": (b"RIFF\xff\xff\xff\xffWAVE", ""),
    "NaN": (wav(tag=3, bits=32, data=struct.pack("<3f", 0.5, float("nan"), 0.5)), "not a number"),
    "infinity": (wav(tag=3, bits=32, data=struct.pack("<3f", 0.5, 0.5, float("-inf"))), "not a number"),
    "flac, header only": (_flac_of(1 << 20), "promises 1048576 frames and ends or breaks after 0"),
    "flac, a week in a header": (_flac_of((1 << 36) - 1), "longer than"),
    "ogg, mark only": (b"OggS" + bytes(60), "it is broken, or holds what is not read, as video: convert its sound"),
    "mp3, mark only": (b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(60), ""),
    "aiff, mark only": (b"FORM\0\0\0\x04AIFF", ""),
    "au, header only": (b".snd" + struct.pack(">IIIII", 24, 90000, 3, 48000, 2), "promises 90000 bytes"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_header_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    data, said = LIES[name]
    path = tmp_path / "lie.wav"
    path.write_bytes(data)
    assert said in refusal(path)


@pytest.mark.filterwarnings("error")
def test_samples_far_over_full_scale_are_read_up_to_whole_numbers_of_32_bits(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    path.write_bytes(wav(tag=3, bits=32, data=struct.pack("<3f", 2.0**31, -(2.0**31), 0.5)))
    assert decode_all(path)[0].tolist() == [2.0**31, -(2.0**31), 0.5]
    path.write_bytes(wav(tag=3, bits=32, data=struct.pack("<3f", 0.5, -1e38, 0.5)))
    assert "its sample at 0.000 s is -1e+38, and 4.29e+09 is the most; mend it in an editor" in refusal(path)


def _mutants(kind: str, tmp_path: Path, count: int) -> list[bytes]:
    """Broken copies of a good file: bytes changed (most in the header), cut out, doubled, or cut off."""
    good = audio.write(tmp_path / f"good.{kind}", audio.noise(3000, 2)).read_bytes()
    dice = random.Random(kind)
    made = []
    for _ in range(count):
        data = bytearray(good)
        for _ in range(dice.choice((1, 1, 2, 8, 40))):
            at = dice.randrange(len(data) if dice.random() < 0.4 else min(len(data), 128))
            match dice.randrange(5):
                case 0:
                    data[at] ^= 1 << dice.randrange(8)
                case 1:
                    data[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
                case 2:
                    data[at : at + dice.randrange(1, 64)] = b""
                case 3:
                    data[at:at] = data[at : at + dice.randrange(1, 64)]
                case 4:
                    del data[max(16, dice.randrange(len(data))) :]
            if len(data) < 16:
                break
        made.append(bytes(data))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused_within_limits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mutant.{kind}"
    sentences = []
    for data in _mutants(kind, tmp_path, 6):
        path.write_bytes(data)
        with costs_at_most(2.0):
            try:
                sound = read(path)
                assert np.isfinite(sound.samples).all()
            except FileError as error:
                sentences.append(str(error))
            decode_process.decoders().close()
    assert sentences, "no mutant was broken enough"
    assert all(text.isprintable() and len(text) < 400 for text in sentences)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("def decode(*_):\n    while True: pass", "far longer than its sound accounts for"),
        ("decode = lambda *_: bytearray(1 << 30)", "too much memory"),
        ("decode = lambda *_: signal.pause()", "no sound came from it"),
    ],
)
def test_a_decoder_that_runs_away_is_ended_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    if "pause" in script:
        monkeypatch.setattr(decode, "STALL", 0.3)
    with _child(tmp_path, monkeypatch, script):
        assert said in refusal(path)


CRASH_AT_8000 = """
def decode(fd, rate, channel, whole=m.decode):
    if rate == 8000:
        os.kill(os.getpid(), signal.SIGSEGV)
    whole(fd, rate, channel)
"""


def test_a_decoder_that_crashes_is_named_and_the_files_beside_and_after_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    with _child(tmp_path, monkeypatch, CRASH_AT_8000):
        with decode.Decoder(path) as decoder:
            with pytest.raises(FileError, match=r"crashed \(SIGSEGV\)"):
                read(path, rate=8000)
            assert sum(block.shape[1] for block in decoder.blocks()) == 100
        assert read(path).samples.shape == (1, 100)


def test_one_process_decodes_file_after_file_and_a_broken_one_ends_it(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    decode_process.decoders().close()
    read(path)
    (pid,) = decode_process.decoders().pids
    with pytest.raises(FileError, match="longer than"):
        read(path, max_samples=50)
    long = audio.write(tmp_path / "long.wav", audio.noise(2_000_000))
    with decode.Decoder(long) as decoder:
        next(decoder.blocks())  # what is left of it is no part of the next
    assert read(path).samples.shape == (1, 100)
    assert decode_process.decoders().pids == [pid]
    (tmp_path / "bad.ogg").write_bytes(b"OggS" + bytes(60))
    with pytest.raises(FileError, match="it is broken"):
        read(tmp_path / "bad.ogg")
    assert decode_process.decoders().pids == []
    assert read(path).samples.shape == (1, 100)


def test_what_ctrl_c_leaves_unread_is_no_part_of_the_next_sound(tmp_path: Path) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    def read_until_the_alarm(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        deque((read(long) for _ in count()), 0)

    long, path = (audio.write(tmp_path / name, audio.noise(n)) for name, n in (("a.flac", 3_000_000), ("b.wav", 100)))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for seconds in (0.001, 0.01, 0.02, 0.03):
            with pytest.raises(Interrupted):
                read_until_the_alarm(seconds)
            assert read(path).samples.shape == (1, 100)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_was_killed_or_hangs_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    read(path)
    before = decode_process.decoders().pids[-1]
    os.kill(before, number)
    if number == signal.SIGSTOP:
        monkeypatch.setattr(decode, "STALL", 0.3)
        with pytest.raises(FileError, match="no sound came from it"):
            read(path)
        monkeypatch.undo()
    else:
        until(lambda: before not in decode_process.decoders().pids, 5.0, "it has ended")
    assert read(path).samples.shape == (1, 100)
    assert before not in decode_process.decoders().pids


@pytest.mark.parametrize("change", ["m.WORN_SECONDS = 0.0", ""])
def test_a_decoder_that_is_idle_or_worn_ends_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    if not change:
        monkeypatch.setattr(decode_process, "IDLE", 0.01)
    with _child(tmp_path, monkeypatch, change):
        for _ in range(5):  # some are asked while they end
            assert read(path).samples.shape == (1, 100)
        until(lambda: not decode_process.decoders().pids, 10.0, "it has ended")


def test_a_forked_child_decodes_with_processes_of_its_own(tmp_path: Path) -> None:
    path = audio.write(tmp_path / "in.wav", audio.noise(100))
    read(path)
    before = decode_process.decoders().pids
    child = os.fork()
    if child == 0:
        code = 1
        try:
            whole = read(path).samples.shape == (1, 100)
            code = 0 if whole and not set(before) & set(decode_process.decoders().pids) else 2
            decode_process.decoders().close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read(path).samples.shape == (1, 100)
    assert decode_process.decoders().pids == before


def test_where_no_process_starts_the_machine_is_blamed_and_not_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_process, "DECODER", "nosuchmodule:main")
    audio.write(tmp_path / "a.wav", audio.sine(440.0, 0.1))
    decode_process.decoders().close()
    with pytest.raises(FileError, match=r"a\.wav: no process started .* the machine is too busy"):
        read(tmp_path / "a.wav")


@contextmanager
def _child(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Iterator[None]:
    """Puts other functions in the place of the decoder's; `m` is the real one."""
    (folder / "other_decoder.py").write_text(
        f"import os, signal, sys\nfrom antiphon.files import decode_child as m\n{script}\n"
        "m.decode = globals().get('decode', m.decode)\nmain = m.main\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(decode_process, "DECODER", "other_decoder:main")
    decode_process.decoders().close()
    try:
        yield
    finally:
        decode_process.decoders().close()


@pytest.mark.parametrize(
    "name", ["-dash.wav", "süß ☃.wav", "two\nlines.wav", "quote'\".wav", "nosuffix", b"\xff\xfe.wav"]
)
def test_odd_names_are_read_and_shown_in_one_line(tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    good = audio.write(tmp_path / "good.wav", audio.noise(100))
    path.write_bytes(good.read_bytes())
    assert read(path).samples.shape == (1, 100)
    path.write_bytes(b"junk" * 10)
    refusal(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.wav")
    assert "it is a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not an ordinary file" in refusal(tmp_path / "pipe.wav")
    assert "not an ordinary file" in refusal(Path("/dev/zero"))
    assert "zero byte" in refusal(Path("a\0b.wav"))


def test_a_day_of_silence_in_a_few_kilobytes_is_refused_when_it_has_gone_too_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = audio.write(tmp_path / "in.flac", np.zeros((1, 480_000), np.float32))
    monkeypatch.setattr(decode, "MAX_SECONDS", 5)
    assert "longer than" in refusal(path)


def test_without_ffmpeg_and_av_an_m4a_says_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none" / "av").mkdir(parents=True)
    (tmp_path / "none" / "av" / "__init__.py").write_text("raise ModuleNotFoundError")
    path = tmp_path / "in.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + b"\0" * 100)
    monkeypatch.syspath_prepend(tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    decode_process.decoders().close()
    try:
        said = refusal(path)
        assert "install ffmpeg` installs it" in said
        assert "pip install 'antiphon[containers]'" in said
    finally:
        decode_process.decoders().close()
