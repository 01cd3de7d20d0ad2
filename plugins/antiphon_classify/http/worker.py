"""Classifier process: `python -m antiphon_classify.http.worker`, run by `pool`.

A request {} gets {"answer": [classifiers]}, and {"name", "path"} {"answer": {…}} or {"status", "error"}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError, PluginError, UsageError
from antiphon.api.backends.analysis import Analysis, AnalysisFeed, analyses, is_classifier
from antiphon.api.backends.files import SOUND_KINDS, Decoder
from antiphon.api.backends.runtime import HelperChannel, instead, lower_priority, short_repr

MAX_SECONDS = 3600.0
"""Maximum seconds of a file: half a minute of processor time."""


def main() -> int:
    """Answers until its input ends."""
    channel = HelperChannel()
    lower_priority()
    for asked in channel.requests():
        found: dict[str, Any] = {}
        try:
            found["answer"] = classify(asked["name"], Path(asked["path"])) if asked else descriptions()
        except Exception as error:
            found = {"status": _status(error), "error": " ".join(_text(error, asked.get("path", "")).split())}
        channel.send(found)
    return 0


def _status(error: Exception) -> int:
    if isinstance(error, LookupError):
        return 404
    if isinstance(error, FileError) and any(said in str(error) for said in _NO_SOUND):
        return 415
    return 422 if isinstance(error, AntiphonError) and not isinstance(error, PluginError) else 503


_NO_SOUND = (f"not a {SOUND_KINDS} file", "Format not recognised")
"""What a decoder says of data that is no sound."""


def _text(error: Exception, path: str) -> str:
    if isinstance(error, LookupError):
        return str(error.args[0])
    if isinstance(error, AntiphonError):  # a client knows no path of this machine
        return str(error).replace(f"cannot read {path}", "cannot read the sound")
    return f"the classifier failed: {type(error).__name__}: {error}"


def classifiers() -> dict[str, Analysis]:
    """Available classifiers, by name."""
    return {name: analysis for name, analysis in sorted(analyses().items()) if is_classifier(analysis)}


def descriptions() -> list[dict[str, Any]]:
    """Available classifiers, as JSON data: name, labels, shortest (s), quantities, and the reason if unusable."""
    found = []
    for name, analysis in classifiers().items():
        labels, problem = [], ""
        try:
            labels = [str(label) for label in analysis.labels]
        except AntiphonError as error:
            problem = str(error)
        except Exception as error:
            problem = f"the analysis {name!r} failed: {type(error).__name__}: {error}"
        quantities = [
            {key: getattr(one, key) for key in ("name", "kind", "unit", "doc")} for one in analysis.quantities
        ]
        made = {"name": name, "labels": labels, "shortest": analysis.shortest, "quantities": quantities}
        found.append({**made, "problem": problem})
    return found


def classify(name: str, path: Path) -> dict[str, Any]:
    """Classifies a file: duration in seconds, labels, and every quantity of the classifier by its name.

    labels is the value of its first quantity of that kind, None without one. Raises FileError: it is no sound file, or
    cannot be decoded; `UsageError`: it is too short, or too long; `PluginError`: it failed; LookupError: there is no
    such classifier.
    """
    present = classifiers()
    if name not in present:
        raise LookupError(f"there is no classifier {short_repr(name)}{instead(name, sorted(present))}")
    analysis = present[name]
    with Decoder(path) as decoder:
        rate, frames = decoder.info.rate, 0
        _check_length(decoder.info.frames or 0, rate)  # an hour is not computed for what says that it has ten
        feed = AnalysisFeed(name, analysis, rate, decoder.info.channels)
        for block in decoder.blocks():
            feed.take(block)
            frames += block.shape[1]
            _check_length(frames, rate)
    _, values, problem = feed.end()
    if values is None:
        raise PluginError(problem) if feed.faulty else UsageError(problem)
    labels = next((values[quantity.name] for quantity in analysis.quantities if quantity.kind == "labels"), None)
    plain = {key: value for key, value in values.items() if not isinstance(value, bytes)}
    return {"duration": round(frames / rate, 3), "labels": labels, **plain}


def _check_length(frames: int, rate: int) -> None:
    if frames > MAX_SECONDS * rate:
        raise UsageError(f"the sound lasts more than {MAX_SECONDS / 60:g} minutes; send a part of it")


if __name__ == "__main__":
    sys.exit(main())
