"""Root error; leaves say whose fault it is. A message is one sentence: what was wrong, what is allowed, what to do."""


class AntiphonError(Exception):
    """Anything that Antiphon refuses.

    `str(error)` is one line for a person: what was wrong, what is allowed, what to do.
    """


class WireError(AntiphonError):
    """The peer sent bytes that are no message, or a message of another form than its protocol has.

    `address`: the OSC address it was meant for, as far as it could be read, otherwise "".
    """

    def __init__(self, message: str, address: str = "") -> None:
        super().__init__(message)
        self.address = address


class RequestError(AntiphonError):
    """A valid message or command that cannot be carried out: an unknown name, or a value out of range."""


class EngineBusy(RequestError):
    """Too many requests wait; the request may be sent again."""


class MissingArgument(RequestError):
    """A message lacks an argument that it needs."""


class ParamError(RequestError):
    """A parameter does not take a value; the message says what is allowed."""


class PatchError(AntiphonError):
    """A patch its author has to mend: names file, line, key and what is allowed."""


class PluginError(AntiphonError):
    """A plugin cannot be loaded or does not keep its contract."""


class NodeError(PluginError):
    """One node of a plan cannot be prepared, or did not survive its trial. `node` is its name."""

    def __init__(self, message: str, node: str) -> None:
        super().__init__(message)
        self.node = node


class EngineError(AntiphonError):
    """An audio device, a driver, the engine or a synth process failed."""


class Unanswered(EngineError):
    """A program does not answer the connection yet; the attempt is repeated."""


class FileError(AntiphonError):
    """A file cannot be read or written."""


class UsageError(AntiphonError):
    """A command line or a call makes no sense as given."""


def sentence(error: BaseException) -> str:
    """An error as a sentence: the text of one of ours; of another also its type."""
    return str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"


class WorkerError(EngineError):
    """A worker cannot be started."""


class WorkersFull(WorkerError):
    """The maximum number of workers runs."""


class WorkerLost(WorkerError):
    """A worker has died during a render, which therefore ends: no node is bypassed in a file."""
