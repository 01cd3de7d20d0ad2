"""Reads ID3 tags of mp3, wav and aiff files.

The formats are those of "ID3 tag version 2.2", "2.3.0" and "2.4.0" (M. Nilsson) and of ID3v1, https://id3.org.
"""

import re
from collections.abc import Iterable, Iterator

NAMES = ("title", "artist", "album", "genre", "date", "tracknumber", "comment")
"""Tags that are read, and copied from file to file."""
ID3_FRAMES = {
    "title": "TIT2", "artist": "TPE1", "album": "TALB", "genre": "TCON", "date": "TDRC", "tracknumber": "TRCK",
    "comment": "COMM", "bpm": "TBPM", "key": "TKEY",
}  # fmt: skip
_READ = {frame: name for name, frame in ID3_FRAMES.items()} | {
    "TYER": "date", "TT2": "title", "TP1": "artist", "TAL": "album", "TCO": "genre", "TYE": "date",
    "TRK": "tracknumber", "COM": "comment", "TDAT": "day", "TDA": "day", "TBP": "bpm", "TKE": "key",
    "TPE2": "albumartist", "TP2": "albumartist", "TPE3": "conductor", "TP3": "conductor", "TPE4": "remixer",
    "TCOM": "composer", "TCM": "composer", "TEXT": "lyricist", "TXT": "lyricist", "TCOP": "copyright",
    "TCR": "copyright", "TPOS": "discnumber", "TPA": "discnumber", "TPUB": "publisher", "TPB": "publisher",
    "TSRC": "isrc", "TRC": "isrc", "TIT1": "grouping", "TT1": "grouping", "TIT3": "subtitle", "TT3": "subtitle",
    "USLT": "lyrics", "ULT": "lyrics", "TXXX": "", "TXX": "",
}  # fmt: skip
"""Tags by frame. "day", which includes the month, belongs to the date; a frame of "" contains its own name."""
_DAYS = ("TDAT", "TDA")
_LYRICS = re.compile(r"(?:un)?sync(?:ed|hroni[sz]ed)[ _-]?lyrics?|lyrics?[ _-][a-z]{2,3}")
"""Names of lyrics: those of APE and Vorbis comments, and ffmpeg's names with the language."""
_UNSAID = (
    "encoder", "encodedby", "encoded_by", "encoding", "software", "tool", "tsse", "tss", "tenc", "ten", "tlen", "tle",
    "tflt", "tft", "tden", "tdtg", "tdly", "tory", "tor", "time", "tim", "tsiz", "tsi", "tmed", "tmt", "length",
    "duration", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id", "creation_time",
    "language", "picture", "metadata_block_picture", "coverart", "coverartmime", "cover art (front)",
    "gapless_playback", "timecode", "dependent_time_base", "waveformatextensible_channel_mask",
)  # fmt: skip
_UNSAID_BEGIN = ("itun", "replaygain_", "r128_", "_statistics", "bps", "number_of_")
"""Prefixes of tags about the file or its program, not the music: their loss is not reported."""
_ENCODINGS = ("cp1252", "utf-16", "utf-16-be", "utf-8")
"""Encodings of a frame's text. The first is declared as Latin-1, but Windows writes windows-1252 for it."""
_BOMS = (b"\xff\xfe", b"\xfe\xff")
_REFERENCE = re.compile(r"\((\d{1,3}|RX|CR)\)")
_KINDS = {"RX": "Remix", "CR": "Cover"}
GENRES = (
    "Blues", "Classic Rock", "Country", "Dance", "Disco", "Funk", "Grunge", "Hip-Hop", "Jazz", "Metal", "New Age",
    "Oldies", "Other", "Pop", "R&B", "Rap", "Reggae", "Rock", "Techno", "Industrial", "Alternative", "Ska",
    "Death Metal", "Pranks", "Soundtrack", "Euro-Techno", "Ambient", "Trip-Hop", "Vocal", "Jazz+Funk", "Fusion",
    "Trance", "Classical", "Instrumental", "Acid", "House", "Game", "Sound Clip", "Gospel", "Noise", "Alternative Rock",
    "Bass", "Soul", "Punk", "Space", "Meditative", "Instrumental Pop", "Instrumental Rock", "Ethnic", "Gothic",
    "Darkwave", "Techno-Industrial", "Electronic", "Pop-Folk", "Eurodance", "Dream", "Southern Rock", "Comedy", "Cult",
    "Gangsta", "Top 40", "Christian Rap", "Pop/Funk", "Jungle", "Native US", "Cabaret", "New Wave", "Psychedelic",
    "Rave", "Showtunes", "Trailer", "Lo-Fi", "Tribal", "Acid Punk", "Acid Jazz", "Polka", "Retro", "Musical",
    "Rock & Roll", "Hard Rock", "Folk", "Folk-Rock", "National Folk", "Swing", "Fast Fusion", "Bebop", "Latin",
    "Revival", "Celtic", "Bluegrass", "Avantgarde", "Gothic Rock", "Progressive Rock", "Psychedelic Rock",
    "Symphonic Rock", "Slow Rock", "Big Band", "Chorus", "Easy Listening", "Acoustic", "Humour", "Speech", "Chanson",
    "Opera", "Chamber Music", "Sonata", "Symphony", "Booty Bass", "Primus", "Porn Groove", "Satire", "Slow Jam",
    "Club", "Tango", "Samba", "Folklore", "Ballad", "Power Ballad", "Rhythmic Soul", "Freestyle", "Duet", "Punk Rock",
    "Drum Solo", "A Cappella", "Euro-House", "Dance Hall", "Goa", "Drum & Bass", "Club-House", "Hardcore", "Terror",
    "Indie", "BritPop", "Afro-Punk", "Polsk Punk", "Beat", "Christian Gangsta Rap", "Heavy Metal", "Black Metal",
    "Crossover", "Contemporary Christian", "Christian Rock", "Merengue", "Salsa", "Thrash Metal", "Anime", "JPop",
    "Synthpop", "Abstract", "Art Rock", "Baroque", "Bhangra", "Big Beat", "Breakbeat", "Chillout", "Downtempo", "Dub",
    "EBM", "Eclectic", "Electro", "Electroclash", "Emo", "Experimental", "Garage", "Global", "IDM", "Illbient",
    "Industro-Goth", "Jam Band", "Krautrock", "Leftfield", "Lounge", "Math Rock", "New Romantic", "Nu-Breakz",
    "Post-Punk", "Post-Rock", "Psytrance", "Shoegaze", "Space Rock", "Trop Rock", "World Music", "Neoclassical",
    "Audiobook", "Audio Theatre", "Neue Deutsche Welle", "Podcast", "Indie Rock", "G-Funk", "Dubstep", "Garage Rock",
    "Psybient",
)  # fmt: skip
"""Genres by their numbers in ID3v1, with those that players added."""
MAX_ID3 = 16 << 20
"""Maximum bytes read of a tag: pictures may come before texts."""


def read_id3(data: bytes) -> dict[str, str]:
    """Reads the tags of an ID3v2 tag of version 2.2 to 2.4; damaged and compressed frames are skipped."""
    if data[:3] != b"ID3" or len(data) < 10 or data[3] not in (2, 3, 4):
        return {}
    found: dict[str, list[str]] = {}
    notes: list[str] = []
    for frame, body in frames_of(data):
        name = _READ.get(frame, frame.lower() if frame[:1] == "T" else None)
        if name is None or len(body) < 2 or body[0] >= len(_ENCODINGS):
            continue
        if not name:
            own, *texts = _texts(body[1:], body[0])
            found.setdefault(plain(own), []).extend(texts)
        elif name == "lyrics":
            found.setdefault(name, []).extend(_texts(body[4:], body[0])[1:])
        elif name == "comment":  # language, and what the comment is about
            about, *texts = _texts(body[4:], body[0]) if len(body) > 4 else [""]
            (found.setdefault(name, []) if not about else notes).extend(texts if not about.startswith("iTun") else ())
        elif name == "genre":
            found.setdefault(name, []).extend(genre for text in _texts(body[1:], body[0]) for genre in genres(text))
        else:
            found.setdefault(name, []).extend(_texts(body[1:], body[0]))
    found.setdefault("comment", notes)
    day = found.pop("day", [""])[0]
    tags = {name: join_values(texts) for name, texts in found.items()}
    if re.fullmatch(r"\d{4}", tags.get("date", "")) and re.fullmatch(r"\d{4}", day) and day != "0000":
        tags["date"] += f"-{day[2:]}-{day[:2]}"
    return {name: text for name, text in tags.items() if text and common_name(name)}


def plain(key: str) -> str:
    """A file's own name of a tag, in lower case; the common name for ID3 tags, such as USLT as ffmpeg writes it."""
    name = key.lower()
    if _LYRICS.fullmatch(name):
        return "lyrics"
    return _READ.get(key.upper()) or name if key.upper() not in _DAYS else name


def common_name(key: str) -> str:
    """Common name for a file's own name of a tag, in lower case; empty for a tag that is not about the music."""
    name = " ".join(key.lower().split())
    return "" if name in _UNSAID or name.startswith(_UNSAID_BEGIN) or not name.isprintable() else name


def read_id3v1(data: bytes) -> dict[str, str]:
    """Reads the tags in the last 128 bytes of an mp3."""
    if data[:3] != b"TAG" or len(data) != 128:
        return {}
    fields = {"title": data[3:33], "artist": data[33:63], "album": data[63:93], "date": data[93:97]}
    numbered = not data[125] and data[126]
    fields["comment"] = data[97 : 125 if numbered else 127]
    tags = {name: undeclared_text(field.partition(b"\0")[0]).strip() for name, field in fields.items()}
    tags |= {"tracknumber": str(data[126])} if numbered else {}
    tags |= {"genre": GENRES[data[127]]} if data[127] < len(GENRES) else {}
    return {name: text for name, text in tags.items() if text}


def join_values(texts: Iterable[str]) -> str:
    """Joins the distinct values of a tag to one text."""
    return "; ".join(dict.fromkeys(text for text in map(str.strip, texts) if text))


def undeclared_text(raw: bytes) -> str:
    """Decodes text of undeclared encoding: as UTF-8 if valid, else as windows-1252."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _windows(raw)


def genres(text: str) -> Iterator[str]:
    """Genres of a text, which may have numbers of `GENRES`: "17", "(17)(RX)", "(17)Rock"."""
    if text.isascii() and text.isdigit():
        text = f"({text})"
    while match := _REFERENCE.match(text):
        word, text = match[1], text[match.end() :]
        if word in _KINDS:
            yield _KINDS[word]
        elif int(word) < len(GENRES):
            yield GENRES[int(word)]
        else:
            yield match[0]
    if text:
        yield _KINDS.get(text, text.removeprefix("(") if text.startswith("((") else text)


def frames_of(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each frame."""
    version, flags = data[3], data[5]
    body = data[10 : 10 + _number(data[6:10], 7)]
    if version == 2 and flags & 0x40:
        return  # compressed
    if version < 4 and flags & 0x80:
        body = _remove_unsynchronisation(body)
    at = 0
    if flags & 0x40:
        at = _number(body[:4], 7) if version == 4 else 4 + _number(body[:4], 8)
    letters, head = (3, 6) if version == 2 else (4, 10)
    while at + head < len(body) and body[at]:
        name, size = body[at : at + letters].decode("latin-1"), body[at + letters : at + 2 * letters]
        # some writers of 2.4 have sizes of 8 bits a byte
        length = _number(size, 7 if version == 4 and not any(byte & 0x80 for byte in size) else 8)
        form = body[at + 9] if version > 2 else 0
        at += head
        content, at = body[at : at + length], at + length
        if form & (0x0C if version == 4 else 0xC0):
            continue  # compressed or encrypted
        if version == 4:
            content = content[4:] if form & 1 else content
            content = _remove_unsynchronisation(content) if form & 2 or flags & 0x80 else content
        yield name, content


def _remove_unsynchronisation(data: bytes) -> bytes:
    return data.replace(b"\xff\x00", b"\xff")


def _texts(raw: bytes, encoding: int) -> list[str]:
    """Strings of a frame, separated by zeros; in UTF-16 each has a byte order mark, or that of the one before."""
    wide = encoding in (1, 2)
    order, texts = b"\xff\xfe" if encoding == 1 else b"\xfe\xff", []
    for piece in _pieces(raw, 2 if wide else 1):
        if wide:
            order = piece[:2] if piece[:2] in _BOMS else order
            texts.append(piece.removeprefix(order).decode("utf-16-le" if order == _BOMS[0] else "utf-16-be", "replace"))
        else:
            texts.append(_windows(piece) if not encoding else piece.decode(_ENCODINGS[encoding], "replace"))
    return texts


def _pieces(raw: bytes, width: int) -> Iterator[bytes]:
    """Yields the bytes between zeros of a width in bytes."""
    first = 0
    for at in range(0, len(raw) - width + 1, width):
        if not any(raw[at : at + width]):
            yield raw[first:at]
            first = at + width
    yield raw[first : len(raw) - (len(raw) - first) % width]


def _windows(raw: bytes) -> str:
    """Decodes Windows-1252, and as Latin-1 the five bytes that it leaves undefined."""
    return "".join(raw[n : n + 1].decode("cp1252", "ignore") or chr(raw[n]) for n in range(len(raw)))


def _number(data: bytes, bits: int) -> int:
    total = 0
    for byte in data:
        total = total << bits | byte
    return total
