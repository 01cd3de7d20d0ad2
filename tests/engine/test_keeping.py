"""What control knows of the engine and the recorder by their shared words."""

import os
import socket

from antiphon.kernel.engine.remote import RemoteEngine
from antiphon.kernel.engine.shared import SESSION, HeaderWord, MappingShape, Shared


def test_a_set_is_kept_from_the_recorders_word_on_until_it_is_to_stop() -> None:
    shared, bell = Shared.create(MappingShape(48000, 64, 2, 16)), os.eventfd(0, os.EFD_NONBLOCK)
    ours, theirs = socket.socketpair()
    try:
        link = RemoteEngine(shared, bell, ours)
        assert not link.keeping
        # begun by the command line, or by a control process before this one
        shared.words[HeaderWord.TAPPING] = SESSION
        assert link.keeping
        link.session(None)
        assert not link.keeping, "the next may be asked for at once: the recorder takes it behind this"
        link.session("x")
        assert link.keeping
        shared.words[HeaderWord.TAPPING] = 0
        assert not link.keeping, "the recorder could not begin, or had to end it"
    finally:
        ours.close()
        theirs.close()
        os.close(bell)
        os.close(shared.fd)
