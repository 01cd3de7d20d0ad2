"""Notes as the bytes of a MIDI file, for FluidSynth to play."""

from collections.abc import Iterable

TICKS = 960
"""Default ticks per second."""


def note_on(channel: int, number: int, velocity: int) -> bytes:
    """Note-on message. channel: 0 to 15.  number, velocity: 0 to 127."""
    return bytes((0x90 | channel, number, velocity))


def note_off(channel: int, number: int) -> bytes:
    """Note-off message. channel: 0 to 15.  number: 0 to 127."""
    return bytes((0x80 | channel, number, 0))


def is_note_on(message: bytes) -> bool:
    """Whether a message begins a note; one of velocity 0 ends it."""
    return message[0] & 0xF0 == 0x90 and message[2] > 0


def program_change(channel: int, program: int) -> bytes:
    """Program change message. channel: 0 to 15, of which 9 plays drums.  program: 0 to 127, of General MIDI."""
    return bytes((0xC0 | channel, program))


def control_change(channel: int, number: int, value: int) -> bytes:
    """Control change message. channel: 0 to 15.  number, value: 0 to 127, as 7 for the volume, 10 for the pan."""
    return bytes((0xB0 | channel, number, value))


def midi_bytes(events: Iterable[tuple[int, bytes]], ticks: int = TICKS) -> bytes:
    """A MIDI file of one track, format 0, of (tick, message) in order.

    `ticks` of a second, even, at most 32,767: half a second to the beat up to 960, else a second.
    """
    # a beat's ticks are a 15-bit number: at a second to the beat time can be counted twice as finely
    beats_a_second = 2 if ticks <= TICKS else 1
    track, last = bytearray(b"\x00\xff\x51\x03" + (1_000_000 // beats_a_second).to_bytes(3, "big")), 0
    for tick, message in events:
        track += _delta(tick - last) + message
        last = tick
    track += b"\x00\xff\x2f\x00"
    head = b"".join(number.to_bytes(2, "big") for number in (0, 1, ticks // beats_a_second))
    return b"MThd" + len(head).to_bytes(4, "big") + head + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _delta(number: int) -> bytes:
    """Variable-length quantity of a delta time in ticks."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.insert(0, (number & 0x7F) | 0x80)
    return bytes(digits)
