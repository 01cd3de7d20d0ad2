"""Root error; subclasses say who is at fault. A message is one sentence: the error, what is allowed, what to do."""

import re

_TAKES = (  # compiled when they are used, by `re`
    r"\b(?:takes? (?P<takes>.+?)(?:, (?:not|and) .+|$)|must end in (?P<ends>.+)|"
    r"(?:is|are) (?P<kind>an? .+?), (?:not|and this one) |"
    r"and (?P<most>\S+(?: \S+)? (?:is|are) (?:the most|allowed))|where (?P<where>\S+ is the most))"
)
"""A clause on allowed values: "gain takes 0 to 2, not 9", "a rate is a whole number of Hz, not 1.5"."""
_LISTS = r"(?:there (?:are|is)|it has|allowed (?:are|is)|known are|the nearest of \d+ are):? .+|.+ (?:is|are) allowed"
"""A clause that lists the allowed names or values."""
_MEANT = r"(did you mean .+?\?) (.+)"
"""A question, and the text after it."""


class AntiphonError(Exception):
    """Any refusal of Antiphon's.

    `str(error)` is one line for a person: the error, what is allowed, what to do. `what`, `allowed` and `mend` are
    these parts of it, for a program that shows them apart; "" where the sentence has no such part.
    """

    @property
    def what(self) -> str:
        """The error: the sentence up to what is allowed and what to do."""
        return str(self).partition("; ")[0]

    @property
    def allowed(self) -> str:
        """The allowed values, "0 to 2", or the known names."""
        for clause in self._advice():
            if re.fullmatch(_LISTS, clause):
                return clause
        found = re.search(_TAKES, self.what)
        return next(filter(None, found.groups()), "") if found else ""

    @property
    def mend(self) -> str:
        """What to do, such as "give it transposed, sound.T"."""
        return "; ".join(clause for clause in self._advice() if not re.fullmatch(_LISTS, clause))

    def _advice(self) -> list[str]:
        """Clauses after the error; a question and the list behind it are two."""
        clauses: list[str] = []
        for part in str(self).split("; ")[1:]:
            asked = re.fullmatch(_MEANT, part)
            clauses += asked.groups() if asked else (part,)
        return clauses


class WireError(AntiphonError):
    """The peer sent bytes that are no message, or a message that does not follow its protocol.

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


class MissingAttribute(ParamError, AttributeError):
    """There is no attribute of that name: refused like a parameter, and False to `hasattr`."""


class PatchError(AntiphonError):
    """A patch that its author has to correct: names file, line, key and what is allowed."""


class PluginError(AntiphonError):
    """A plugin cannot be loaded or violates its contract."""


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


class Refusal(UsageError):
    """An argument that is not allowed, in the terms of the one who asked (`kernel.runtime.terms`).

    `argument`: its name in the request. `reason`, `hint`: what is wrong, and what to do; the sentence has both.
    """

    def __init__(self, argument: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason}; {hint}" if hint else reason)
        self.argument, self.reason, self.hint = argument, reason, hint


def sentence(error: BaseException) -> str:
    """Returns an error as a sentence: the text of an `AntiphonError`, or type and text of another."""
    return str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"


class WorkerError(EngineError):
    """A worker cannot be started."""


class WorkersFull(WorkerError):
    """The maximum number of workers runs."""


class WorkerLost(WorkerError):
    """A worker has died during a render and thereby ended it: in a render no node is bypassed."""
