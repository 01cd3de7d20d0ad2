"""Classifier process: `python -m antiphon.jobs.classifying.worker [NAME EVERY]`, run by `pool` and `streams`.

Alone it sends the list of classifiers first; then a request {"name", "path"} gets {"answer": {…}} or
{"kind", "error"}. With NAME and EVERY its input is a sound, and it sends an answer for every EVERY seconds of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from antiphon.jobs.errors import JobError, Missing, Unavailable, Unreadable, UnsupportedFormat
from antiphon.kernel.errors import AntiphonError, PluginError
from antiphon.kernel.runtime.helper_channel import HelperChannel
from antiphon.kernel.runtime.scheduling import give_way


def main(words: list[str]) -> int:
    """Answers until its input ends."""
    channel = HelperChannel()
    give_way()
    from antiphon.library import classification

    if words:
        name, every = words
        _answer(channel, lambda: classification.classify_stream(name, channel.input, float(every)))
        return 0
    channel.send({"classifiers": classification.descriptions()})
    for asked in channel.requests():
        _answer(channel, lambda: iter([classification.classify(asked["name"], Path(asked["path"]))]))  # noqa: B023
    return 0


def _answer(channel: HelperChannel, work: Callable[[], Iterator[dict[str, Any]]]) -> None:
    from antiphon.library.classification import NoSound

    kind: type[JobError]
    try:
        for found in work():
            channel.send({"answer": found})
        return
    except LookupError as error:
        kind, text = Missing, str(error.args[0])
    except NoSound as error:
        kind, text = UnsupportedFormat, str(error)
    except PluginError as error:
        kind, text = Unavailable, str(error)
    except AntiphonError as error:
        kind, text = Unreadable, str(error)
    except Exception as error:
        kind, text = Unavailable, f"the classifier failed: {type(error).__name__}: {error}"
    channel.send({"kind": kind.__name__, "error": " ".join(text.split())})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
