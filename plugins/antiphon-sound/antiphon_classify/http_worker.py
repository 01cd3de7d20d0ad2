"""Classifier process, with no arguments or NAME and EVERY, started by `routes`.

Without arguments it first sends the list of classifiers; then a request {"name", "path"} gets {"answer": {…}} or
{"status", "error"}. With NAME and EVERY it reads a sound, and sends an answer for every EVERY seconds of it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, PluginError
from antiphon.api.backends.runtime import HelperChannel
from antiphon.offline.priority import lower_priority


def main(channel: HelperChannel, *words: str) -> int:
    """Answers requests until the input ends."""
    lower_priority()
    from antiphon_classify import classification

    if words:
        name, every = words
        _answer(channel, lambda: classification.classify_stream(name, channel.input, float(every)))
        return 0
    channel.send({"classifiers": classification.classifier_list()})
    for asked in channel.requests():
        _answer(channel, lambda: iter([classification.classify(asked["name"], Path(asked["path"]))]))  # noqa: B023
    return 0


def _answer(channel: HelperChannel, work: Callable[[], Iterator[dict[str, Any]]]) -> None:
    from antiphon_classify.classification import NoSound

    try:
        for found in work():
            channel.send({"answer": found})
        return
    except LookupError as error:
        status, text = 404, str(error.args[0])
    except NoSound as error:
        status, text = 415, str(error)
    except PluginError as error:
        status, text = 503, str(error)
    except AntiphonError as error:
        status, text = 422, str(error)
    except Exception as error:
        status, text = 503, f"the classifier failed: {type(error).__name__}: {error}"
    channel.send({"status": status, "error": " ".join(text.split())})
