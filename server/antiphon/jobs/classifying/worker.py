"""The process that classifies: `python -m antiphon.jobs.classifying.worker [NAME EVERY]`, run by `pool` and `streams`.

Alone it is asked over its input, a line of JSON each: {"name", "path"}. Its first line on its output is the list of
classifiers; then each request gets a line, {"answer": {…}} or {"kind", "error"}. With NAME and EVERY its input is a
sound, and its output a line for every EVERY seconds of it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from antiphon.errors import AntiphonError, PluginError
from antiphon.jobs.errors import JobError, Missing, Unavailable, Unreadable, UnsupportedFormat


def main(words: list[str]) -> int:
    """Answers until its input ends."""
    # whatever a plugin prints must not come among the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from antiphon.library import classification

    if words:
        name, every = words
        _answer(answers, lambda: classification.classify_stream(name, 0, float(every)))
        return 0
    _put(answers, classification.descriptions())
    for line in sys.stdin:
        asked = json.loads(line)
        _answer(answers, lambda: iter([classification.classify(asked["name"], Path(asked["path"]))]))  # noqa: B023
    return 0


def _answer(answers: TextIO, work: Callable[[], Iterator[dict[str, Any]]]) -> None:
    """Writes what comes of a request: answers, or an error as the last one."""
    from antiphon.library.classification import NoSound

    kind: type[JobError]
    try:
        for found in work():
            _put(answers, {"answer": found})
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
    _put(answers, {"kind": kind.__name__, "error": " ".join(text.split())})


def _put(answers: TextIO, data: Any) -> None:
    answers.write(json.dumps(data) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
