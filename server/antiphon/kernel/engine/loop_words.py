"""64-bit words of the engine's loop, shared by the interpreter and the machine code."""

from enum import IntEnum

import numpy as np

from antiphon.kernel.io.tap_memory import TAPS
from antiphon.native.kernel import address


class LoopWord(IntEnum):
    """Indices of the words. Addresses are of arrays that `native.loop` keeps alive."""

    # counters of both loops
    TURNED = 0  # CLOCK_MONOTONIC when a block was last begun, ns
    NOTED = 1  # CLOCK_MONOTONIC, and the processor time of the process, ns, before the last block of which meters are
    COMPUTED = 2
    LATEST = 3  # how long after its time a block was delivered at the latest, ns
    METER_IN = 4  # blocks until the meters are measured
    LOAD_MEAN = 5  # a float, as LOAD_PEAK
    LOAD_PEAK = 6
    ASKED = 7  # 1: the interpreter's loop is wanted before the next block
    # the run of blocks
    SAMPLE = 8  # the first sample of the next block
    UNTIL = 9  # no block that ends after this sample
    NUMBER = 10  # the block under way
    RESTS = 11  # 1: machine code plays the next block unless something has come for the interpreter
    STARTED = 12  # CLOCK_MONOTONIC when the block under way began, ns
    WAKE = 13  # 1: control is woken at the end of the block
    WOKEN = 14  # 1: a signal has come
    TAPPING = 15  # as of the header
    SESSIONS = 16
    # the machine
    NOW = 17  # and 18: struct timespec
    POLLED = 19  # and 20: two of struct pollfd
    ONE = 21
    SINK = 22
    CLOCK = 23  # addresses of functions of the C library
    SLEEP = 24
    POLL = 25
    READ = 26
    WRITE = 27
    BELL = 28  # descriptors: control's bell, the device's, and the pipe of signals
    DEVICE_BELL = 29
    SIGNALS = 30
    # the stream
    BLOCK = 31
    RATE = 32
    CHANNELS = 33
    METER_EVERY = 34
    HEADER = 35  # address of the header (`HeaderWord`)
    PACE = 36  # of the driver's words (`PaceWord`)
    DEVICE = 37  # of the callback's words (`CallbackWord`), or 0
    ROWS_OUT = 38  # of the numbers of the channels that the device plays
    COUNT_OUT = 39
    X = 40  # address of the input, float32 `[channels, block]`
    BASE_MISSED = 41
    BASE_LATE = 42
    BASE_XRUNS = 43
    REPORTS = 44  # address of the ring of reports
    METERS = 45  # of the meter rows
    # the taps of recorder and listeners, and the capture
    TAP_SLOTS = 46
    TAP_TAGS = 47
    TAP_OUT = 48
    TAP_IN = 49
    LISTEN = 50  # address of the words of the tap memory, or 0
    LISTEN_TAGS = 51
    LISTEN_SOUND = 52
    LISTEN_SLOTS = 53
    LISTEN_CHANNELS = 54
    CAPTURE_SLOTS = 55  # 0: nothing is kept
    CAPTURE_PLACE = 56
    CAPTURE_TAGS = 57
    CAPTURE_OWNERS = 58
    CAPTURE_BEAT_TAGS = 59
    CAPTURE_BEATS = 60
    CAPTURE_SOUND = 61
    SOURCES = 62  # address of address, stride and channels of each sound that is kept
    SOURCES_COUNT = 63
    SOURCES_OWNERS = 64
    SOURCES_ROWS = 65
    # the plan
    PLAN = 66  # address of its words (`PlanWord`), or 0
    BLOCK_NS = 67  # duration of a block, a float
    INPUT = 68  # address of the plan's input, float32 `[channels, block]`
    PLAYED = 69  # address of its buffer of what was played before, or 0
    OUTPUTS = 70  # address of the words of the player's outputs (`BusWord`)
    OUT = 71  # address of all channels of the player, float32 `[channels + buses, block]`
    FILE_ROW = 72  # frames from a channel of `FILE` to the next, 0 where one is for all
    WAKING = 73  # address of the pool's words (`BellWord`), or 0
    FALL = 74  # address and number of the gains of a fall to silence, `missed_fade_out`
    FALL_FRAMES = 75
    CALL_BACK = 76  # address of the interpreter's function, called with a `CallReason` and the number of a block
    WAITING = 77  # 1: values of nodes that the interpreter ran wait for the meters
    DUE = 78  # why the interpreter plays the block under way (`Touch`), or 0
    HEARD = 79  # 1: it was delivered in time
    METERED = 80  # 1: its meters were measured
    BEAT = 81  # of its first sample, a float, where the interpreter plays it
    COMMANDS = 82  # address of the ring of commands
    REPORTED = 83  # address of `REPORTED_SIZE` words for each readonly parameter
    REPORTED_COUNT = 84
    COUNTS = 85  # address of `PlayerCounters.sound`
    CAPTURE_ROWS = 86  # address of the row of each slot, and how many rows there are
    CAPTURE_HELD = 87
    # the line of beats (`TempoLine`)
    LINE_SAMPLE = 88
    LINE_BEAT = 89  # floats, as the next two
    LINE_AFTER = 90
    LINE_BPM = 91
    TEMPO = 92  # a float
    PLAYING = 93
    # the delay-locked loop
    DLL_SAMPLE = 94
    DLL_TIME = 95  # floats, as the next four
    DLL_EXPECTED = 96
    DLL_PERIOD = 97
    DLL_B = 98
    DLL_C = 99
    # the looping file in place of the device's input, float32 `[channels, frames]`
    FILE = 100  # its address, or 0
    FILE_FRAMES = 101
    # listeners: the wanted node, then address, stride and channels of its sound
    WANTED = 102
    SOUNDS = 102 + TAPS
    SIZE = 102 + 4 * TAPS


class CallReason(IntEnum):
    """Reason why the machine code calls the interpreter."""

    TURN = 0  # between two blocks, where it is wanted; 0 if the loop goes on
    WAIT = 1  # the driver has to decide: the number of the next block, or `NO_BLOCK` or `LOST`
    PLAY = 2  # an action is due in the block, or something else than nodes at rest
    PUBLISH = 3  # after a block that it played, in which it ran a node, or that was delivered too late


NO_BLOCK, LOST = -2, -3
"""What is in place of a block's number: the device has not asked for one, and never will again."""


REPORTED_SIZE = 5
"""Words of a readonly parameter: node and cell, address of its value, bytes of the value, and its range, two floats."""


class LoopWords:
    """Integer and float views of the loop's words. `real`: as 64-bit floats."""

    def __init__(self) -> None:
        self._words = np.zeros(LoopWord.SIZE, np.int64)
        # reading an item of a memoryview costs a tenth of reading a numpy scalar
        self.whole: memoryview[int] = memoryview(self._words)  # type: ignore[arg-type]
        self.real: memoryview[float] = memoryview(self._words.view(np.float64))  # type: ignore[arg-type]
        self.address = address(self._words)
