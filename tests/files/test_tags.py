"""Tags of sound files as other programs write them: every value is kept, in the letters that were meant."""

import base64
import io
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.files.test_carriers import made

from antiphon.files.audiofile import read
from antiphon.files.audiowrite import AudioWriter
from antiphon.files.containers.id3 import GENRES, ID3_FRAMES, genres
from antiphon.files.containers.tags import Cover, cover_of, read_tags
from antiphon.files.decode import Decoder
from antiphon.files.sound_finish import PLAIN
from antiphon.operations.finishing import add_source_marks, add_source_tags

SOUND = (0.1 * np.sin(np.arange(4800) / 20.0)).astype(np.float32)


def coded(form: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, 48_000, subtype, format=form)
    return buffer.getvalue()


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(name: str, body: bytes, version: int = 4, flags: int = 0) -> bytes:
    if version == 2:
        return name.encode() + len(body).to_bytes(3, "big") + body
    size = synchsafe(len(body)) if version == 4 else len(body).to_bytes(4, "big")
    return name.encode() + size + bytes((0, flags)) + body


def id3(frames: bytes, version: int = 4, flags: int = 0) -> bytes:
    return b"ID3" + bytes((version, 0, flags)) + synchsafe(len(frames)) + frames


def comments(*texts: str) -> bytes:
    raw = [text.encode() for text in ("a program", *texts)]
    sizes = [len(one).to_bytes(4, "little") + one for one in raw]
    return sizes[0] + (len(sizes) - 1).to_bytes(4, "little") + b"".join(sizes[1:])


def flac(*texts: str, before: bytes = b"", kind: int = 2) -> bytes:
    """A FLAC file with comments and, before them, another block."""
    whole, body = coded("FLAC"), comments(*texts)
    at = 4
    while not whole[at] & 128:
        at += 4 + int.from_bytes(whole[at + 1 : at + 4], "big")
    end = at + 4 + int.from_bytes(whole[at + 1 : at + 4], "big")
    blocks = b"\4" + len(body).to_bytes(3, "big") + body
    blocks = (bytes((kind,)) + len(before).to_bytes(3, "big") + before if before else b"") + blocks
    return whole[:42] + blocks + b"\x81\0\0\0" + whole[end:]  # the signature and the stream's own block are 42 bytes


def ogg(packet: bytes, whole: bytes) -> bytes:
    """An Ogg file with another second packet, in as many pages as it takes, its later pages as they are."""
    first = 27 + whole[26] + sum(whole[27 : 27 + whole[26]])
    rest, at = b"", first
    head, sizes = whole[at : at + 27], whole[at + 27 : at + 27 + whole[at + 26]]
    old = next(n for n, size in enumerate(sizes) if size < 255) + 1
    at += 27 + len(sizes)
    packets = [(sizes[:old], packet), (sizes[old:], whole[at + sum(sizes[:old]) : at + sum(sizes)])]
    laces = bytes([255] * (len(packet) // 255) + [len(packet) % 255]) + packets[1][0]
    data, number = packet + packets[1][1], 1
    rest = whole[at + sum(sizes) :]
    pages = b""
    while laces:
        part, laces = laces[:255], laces[255:]
        page = head[:5] + bytes((number > 1 and pages[-1:] != b"",)) + head[6:18] + number.to_bytes(4, "little")
        pages += page + bytes(4) + bytes((len(part),)) + part + data[: sum(part)]
        data, number = data[sum(part) :], number + 1
    return whole[:first] + pages + rest


def chunk(name: bytes, body: bytes, order: str = "little") -> bytes:
    return name + len(body).to_bytes(4, order) + body + bytes(len(body) % 2)  # type: ignore[arg-type]


def riff(*chunks: bytes, whole: bytes = b"") -> bytes:
    whole = (whole or coded("WAV")) + b"".join(chunks)
    big = whole[:4] == b"FORM"
    return whole[:4] + (len(whole) - 8).to_bytes(4, "big" if big else "little") + whole[8:]


def info(*pairs: tuple[str, bytes]) -> bytes:
    return chunk(b"LIST", b"INFO" + b"".join(chunk(name.encode(), text + b"\0") for name, text in pairs))


def ape(*items: tuple[str, bytes], flags: int = 0) -> bytes:
    body = b"".join(
        len(text).to_bytes(4, "little") + flags.to_bytes(4, "little") + key.encode() + b"\0" + text
        for key, text in items
    )
    numbers = (2000, len(body) + 32, len(items), 0)
    return body + b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in numbers) + bytes(8)


def old(title: bytes, genre: int, track: int = 0) -> bytes:
    fields = ((title, 30), (b"J\xf6rg", 30), (b"Album", 30), (b"1999", 4), (b"words", 28))
    return b"TAG" + b"".join(text.ljust(size, b"\0") for text, size in fields) + bytes((0, track, genre))


WIDE = "Jörg".encode("utf-16"), "Ann".encode("utf-16-be")
CASES: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "two artists, 2.4": (
        lambda: id3(frame("TPE1", b"\3J\xc3\xb6rg\0Ann") + frame("TCON", b"\0" + b"17\0RX\0Mine")),
        {"artist": "Jörg; Ann", "genre": "Rock; Remix; Mine"},
    ),
    "two frames": (lambda: id3(frame("TPE1", b"\3One") + frame("TPE1", b"\3Two")), {"artist": "One; Two"}),
    "2.3": (
        lambda: id3(
            frame("TCON", b"\0(17)(RX)Foo", 3) + frame("TYER", b"\x001999", 3) + frame("TDAT", b"\x003105", 3), 3
        ),
        {"genre": "Rock; Remix; Foo", "date": "1999-05-31"},
    ),
    "2.2": (
        lambda: id3(
            frame("TT2", b"\0Song", 2) + frame("TP1", b"\1" + WIDE[0], 2) + frame("TCO", b"\0(4)", 2)
            + frame("TRK", b"\x003/12", 2) + frame("COM", b"\0eng\0words", 2) + frame("TYE", b"\x001999", 2), 2
        ),
        {"title": "Song", "artist": "Jörg", "genre": "Disco", "tracknumber": "3/12", "comment": "words",
         "date": "1999"},
    ),
    "UTF-16 of either order, in one frame": (
        lambda: id3(frame("TPE1", b"\1" + WIDE[0] + b"\0\0\xfe\xff" + WIDE[1])), {"artist": "Jörg; Ann"}
    ),
    "UTF-16 with one mark": (
        lambda: id3(frame("TPE1", b"\1\xfe\xff" + "Jörg\0Ann".encode("utf-16-be"))), {"artist": "Jörg; Ann"}
    ),
    "a comment in UTF-16, and a program's": (
        lambda: id3(
            frame("COMM", b"\0engiTunNORM\0 0000") + frame("COMM", b"\1eng\xff\xfe\0\0" + "wörds".encode("utf-16"))
        ),
        {"comment": "wörds"},
    ),
    "Windows-1252": (lambda: id3(frame("TIT2", b"\0N\xe4chte \x96 \x80")), {"title": "Nächte – €"}),
    "a picture before it": (
        lambda: id3(frame("APIC", bytes(2_000_000)) + frame("TIT2", b"\3Song")), {"title": "Song"}
    ),
    "unsynchronised": (
        lambda: id3(frame("TIT2", b"\1\xff\0\xfea\0", 3).replace(b"\0\0\0\6", b"\0\0\0\5"), 3, 0x80), {"title": "a"}
    ),
    "an extended header": (
        lambda: id3(b"\0\0\0\6" + bytes(6) + frame("TIT2", b"\0Song", 3), 3, 0x40), {"title": "Song"}
    ),
    "a length before the text": (
        lambda: id3(frame("TIT2", b"\0\0\0\5\0Song", flags=1)), {"title": "Song"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_id3(tmp_path: Path, case: str) -> None:
    tag, wanted = CASES[case]
    check(tmp_path, tag() + coded("MP3"), wanted)
    check(tmp_path, riff(chunk(b"id3 ", tag())), wanted)


def check(folder: Path, content: bytes, wanted: dict[str, str]) -> None:
    """The tags of a file, read by themselves and with its sound, which is whole."""
    path = folder / "x"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert read_tags(fd) == wanted
    finally:
        os.close(fd)
    with Decoder(path) as decoder:
        assert dict(decoder.info.tags) == wanted
    assert len(SOUND) <= read(path).samples.shape[1] < 2 * len(SOUND)


VORBIS = ("ARTIST=Jörg", "artist=Ann", "GENRE=Dub", "Genre=Dub", "DESCRIPTION=a comment", "YEAR=1999", "TRACKNUMBER=3",
          "TRACKTOTAL=12", "no key", "=", "PICTURE=" + 40 * "A")  # fmt: skip
KEPT = {"artist": "Jörg; Ann", "genre": "Dub", "comment": "a comment", "date": "1999", "tracknumber": "3/12"}


def test_vorbis_comments_that_are_said_twice(tmp_path: Path) -> None:
    check(tmp_path, flac(*VORBIS), KEPT)
    check(tmp_path, flac(*VORBIS, before=bytes(300_000)), KEPT)
    check(tmp_path, id3(frame("TIT2", b"\3Song")) + flac(*VORBIS), {"title": "Song", **KEPT})


def test_comments_of_ogg_over_several_pages(tmp_path: Path) -> None:
    for name, form, subtype in ((b"OpusTags", "OGG", "OPUS"), (b"\x03vorbis", "OGG", "VORBIS")):
        packet = name + comments("METADATA_BLOCK_PICTURE=" + 200_000 * "A", *VORBIS) + b"\1"
        (tmp_path / "x").write_bytes(ogg(packet, coded(form, subtype)))
        fd = os.open(tmp_path / "x", os.O_RDONLY)
        assert read_tags(fd) == KEPT
        os.close(fd)


def test_riff_and_aiff(tmp_path: Path) -> None:
    said = info(
        ("INAM", b"N\xe4chte"), ("IART", b"J\xf6rg"), ("IART", "Änn".encode()), ("IGNR", b"(17)"), ("ICMT", b"")
    )
    wanted = {"title": "Nächte", "artist": "Jörg; Änn", "genre": "Rock"}
    check(tmp_path, riff(said), wanted)
    # the ID3 chunk, which holds more, stands before the list
    check(tmp_path, riff(said, chunk(b"id3 ", id3(frame("TIT2", b"\3Song")))), {**wanted, "title": "Song"})
    texts = (chunk(b"NAME", b"N\xe4chte", "big"), chunk(b"AUTH", b"J\xf6rg", "big"), chunk(b"ANNO", b"words", "big"))
    check(tmp_path, riff(*texts, whole=coded("AIFF")), {"title": "Nächte", "artist": "Jörg", "comment": "words"})


def test_what_stands_at_the_end_of_an_mp3(tmp_path: Path) -> None:
    first = {"title": "N\xe4chte", "artist": "Jörg", "album": "Album", "date": "1999", "comment": "words"}
    check(tmp_path, coded("MP3") + old(b"N\xe4chte", 17, 3), {**first, "genre": "Rock", "tracknumber": "3"})
    check(tmp_path, coded("MP3") + old(b"N\xe4chte", 255), first)
    items = (("Artist", "Jörg\0Ann".encode()), ("Title", b"Night"), ("Year", b"1999"), ("Track", b"3/12"))
    wanted = {"artist": "Jörg; Ann", "title": "Night", "date": "1999", "tracknumber": "3/12"}
    check(tmp_path, coded("MP3") + ape(*items), wanted)
    check(tmp_path, coded("MP3") + ape(*items) + old(b"N\xe4chte", 17), {**first, "genre": "Rock", **wanted})
    check(tmp_path, coded("MP3") + ape(("Artist", b"picture"), flags=2), {})
    tag = id3(frame("TPE1", b"\3Two"))
    check(tmp_path, tag + coded("MP3") + ape(*items), {**wanted, "artist": "Two"})


PICTURE = b"\x89PNG" + bytes(range(1, 256)) * 4
BLOCK = b"\0\0\0\3\0\0\0\x09image/png\0\0\0\2ab" + bytes(16) + len(PICTURE).to_bytes(4, "big") + PICTURE


@pytest.mark.parametrize("suffix", ["mp3", "flac", "wav", "aiff", "ogg"])
def test_a_cover_is_kept_or_said_to_be_left_out(tmp_path: Path, suffix: str) -> None:
    comment = "METADATA_BLOCK_PICTURE=" + base64.b64encode(BLOCK).decode()
    for content in (
        id3(frame("APIC", b"\0image/png\0\3back\0" + PICTURE)) + coded("MP3"),
        id3(frame("APIC", b"\1image/png\0\3\xff\xfea\0\0\0" + PICTURE)) + coded("MP3"),
        id3(frame("PIC", b"\0PNG\3\0" + PICTURE, 2), 2) + coded("MP3"),
        flac("TITLE=a", before=BLOCK, kind=6),
        ogg(b"OpusTags" + comments(comment), coded("OGG", "OPUS")),
        coded("MP3"),
        id3(frame("APIC", b"\0image/png\0\3")) + coded("MP3"),
        flac("TITLE=a", before=BLOCK[:-1], kind=6),
        ogg(b"OpusTags" + comments("METADATA_BLOCK_PICTURE=A"), coded("OGG", "OPUS")),
    ):
        (tmp_path / "in").write_bytes(content)
        finish = add_source_marks(PLAIN, tmp_path / "in", len(SOUND), 48_000)
        there = finish.cover is not None
        assert there == (PICTURE in content or comment.encode() in content)
        sounds = []
        for asked in (finish, PLAIN):
            path = tmp_path / f"out.{suffix}"
            writer = AudioWriter(path, 48_000, 1, "", asked)
            writer.write(SOUND[None])
            writer.commit()
            sounds.append(soundfile.read(path)[0])
            if asked is finish:
                assert writer.conversions == (("without the picture of IN",) if there and suffix == "ogg" else ())
                assert (PICTURE in path.read_bytes()) == (there and suffix != "ogg")
                if there and suffix in ("mp3", "flac"):
                    assert cover_of(path) == Cover("image/png", PICTURE)
        np.testing.assert_array_equal(*sounds)


@pytest.mark.parametrize("own", ["USLT", "Lyrics", "lyrics-eng", "UNSYNCEDLYRICS", "unsynced lyrics"])
def test_lyrics_have_their_plain_name_whatever_the_file_calls_them(tmp_path: Path, own: str) -> None:
    (tmp_path / "a.mp3").write_bytes(id3(frame("TXXX", b"\3" + own.encode() + b"\0la la")) + coded("MP3"))
    (tmp_path / "a.flac").write_bytes(flac(f"{own}=la la", "TCOM=C"))
    for name, wanted in (("a.mp3", {"lyrics": "la la"}), ("a.flac", {"lyrics": "la la", "composer": "C"})):
        with (tmp_path / name).open("rb") as file:
            assert read_tags(file.fileno()) == wanted


LEFT = {
    "albumartist": "Band", "composer": "C", "copyright": "2001 X", "discnumber": "2/3", "lyrics": "la", "mood": "blue",
}  # fmt: skip
LEFT_FRAMES = {"albumartist": "TPE2", "composer": "TCOM", "copyright": "TCOP", "discnumber": "TPOS"}
TAGS = {"title": "Nächte", "artist": "A; B", "album": "Al", "genre": "Dub", "date": "1999-05-31",
        "tracknumber": "3/12", "comment": "wörds; more"}  # fmt: skip
READ = ("m4a", "mka", "flac", "mp3", "opus")


def tagged(folder: Path, ending: str) -> Path:
    """A sound file with each tag there is, as other programs write them, and what is said of the file alone."""
    path = folder / f"in.{ending}"
    if ending == "mp3":
        frames = [
            frame(ID3_FRAMES[name], b"\3" + b"und\0" * (name == "comment") + text.encode())
            for name, text in TAGS.items()
        ]
        frames += [frame(name, b"\3" + LEFT[tag].encode()) for tag, name in LEFT_FRAMES.items()]
        frames += [frame("USLT", b"\3eng\0la"), frame("TXXX", b"\3MOOD\0blue"), frame("TSSE", b"\3program")]
        path.write_bytes(id3(b"".join(frames)) + coded("MP3"))
    elif ending == "flac":
        texts = [f"{name.upper()}={text}" for name, text in (TAGS | LEFT).items()]
        path.write_bytes(flac(*texts, "ENCODER=x", "REPLAYGAIN_TRACK_GAIN=1"))
    else:
        said = {**TAGS, **LEFT, "description": TAGS["comment"], "track": TAGS["tracknumber"], "disc": "2/3"}
        said = {name: text for name, text in said.items() if name not in ("comment", "tracknumber", "discnumber")}
        if ending == "m4a":
            said["album_artist"] = said.pop("albumartist")
        words = [word for name, text in said.items() for word in ("-metadata", f"{name}={text}")]
        made(folder, {"m4a": "aac.m4a", "mka": "flac.mka", "opus": "opus.webm"}[ending], 0.2, *words).rename(path)
    return path


@pytest.mark.parametrize("source", READ)
def test_each_tag_is_kept_or_said_to_be_left_out(tmp_path: Path, source: str) -> None:
    given = tagged(tmp_path, source)
    finish = add_source_tags(PLAIN, given)
    left = sorted(LEFT.keys() - ({"mood"} if source == "m4a" else set()))  # which ffmpeg writes into none
    for ending in ("wav", "flac", "ogg", "mp3", "opus", "aiff", "au", "m4a"):
        with AudioWriter(tmp_path / f"out.{ending}", 48_000, 1, "", finish) as writer:
            writer.write(SOUND[None])
        with Decoder(tmp_path / f"out.{ending}") as decoder:
            info = decoder.info
        said = " ".join(words for words in writer.conversions if "tag" in words)
        if ending == "au":
            assert (info.tags, said) == ((), f"without the tags title, artist, album, genre and {3 + len(left)} more")
        else:
            assert (dict(info.tags), info.left) == (TAGS, ())
            last = f"{len(left) - 4} more" if len(left) > 5 else left[4]
            assert said == f"without the tags {', '.join(left[:4])} and {last}"


def test_a_tag_that_is_set_is_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "in.flac").write_bytes(flac("BPM=99", "COMPOSER=C"))
    for tags, said in (
        ({}, ("without the tags bpm and composer",)),
        ({"bpm": "120.00"}, ("without the tag composer",)),
    ):
        finish = add_source_tags(replace(PLAIN, tags=tags), tmp_path / "in.flac")
        with AudioWriter(tmp_path / "out.wav", 48_000, 1, "", finish) as writer:
            writer.write(SOUND[None])
        assert writer.conversions == said


def test_genres() -> None:
    for text, wanted in (
        ("17", ["Rock"]), ("(17)", ["Rock"]), ("(4)Eurodisco", ["Disco", "Eurodisco"]), ("((Foo)", ["(Foo)"]),
        ("(250)", ["(250)"]), ("CR", ["Cover"]), ("(x)", ["(x)"]), ("Rock", ["Rock"]), ("2step", ["2step"]), ("", []),
    ):  # fmt: skip
        assert list(genres(text)) == wanted
    assert (len(GENRES), GENRES[79], GENRES[147], GENRES[191]) == (192, "Hard Rock", "Synthpop", "Psybient")


def test_damaged_tags_are_left_out(tmp_path: Path) -> None:
    rng = random.Random(3)
    wholes = [tag() for tag, _ in CASES.values() if len(tag()) < 10_000]
    wholes += [flac(*VORBIS), riff(info(("INAM", b"a"))), ape(("Artist", b"a")), coded("OGG", "OPUS")]
    path = tmp_path / "x"
    for _ in range(400):
        bad = bytearray(rng.choice(wholes))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(bad))
            bad[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        path.write_bytes(bad)
        fd = os.open(path, os.O_RDONLY)
        try:
            assert all(isinstance(text, str) for text in read_tags(fd).values())
        finally:
            os.close(fd)
