"""Classification of one sound by one classifier, on request, for a file or a stream."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from antiphon.api import AntiphonError, FileError, PluginError, Samples, UsageError
from antiphon.api.backends.analysis import Analysis, AnalysisFeed, analyses
from antiphon.api.backends.files import Decoder
from antiphon.files.containers.layout import KINDS as SOUND_KINDS
from antiphon.signal.analysis import is_classifier

MAX_SECONDS = 3600.0
"""Maximum seconds of a file: half a minute of processor time."""
SOUND = "the sound"
"""Name of the sound in messages, so that clients do not see paths of this machine."""


class NoSound(FileError):
    """The data is not a sound file of a readable format."""


def classifiers() -> dict[str, Analysis]:
    """Available classifiers, by name."""
    return {name: analysis for name, analysis in sorted(analyses().items()) if is_classifier(analysis)}


def classifier_list() -> list[dict[str, Any]]:
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
        quantities = [asdict(quantity) for quantity in analysis.quantities]
        more = {"shortest": analysis.shortest, "quantities": quantities, "problem": problem}
        found.append({"name": name, "labels": labels, **more})
    return found


def classify(name: str, path: Path) -> dict[str, Any]:
    """Classifies a file: duration in seconds, labels, and every quantity of the classifier by its name.

    labels is the value of its first quantity of labels, None without one. Raises `NoSound`: the file is no sound file;
    `FileError`: it cannot be decoded; `UsageError`: it is too short or too long; `PluginError`: the classifier failed;
    `LookupError`: there is no such classifier.
    """
    analysis = _classifier(name)
    try:
        with Decoder(path) as decoder:
            rate = decoder.info.rate
            _check_length(decoder.info.frames or 0, rate)  # an hour is not computed for what says that it has ten
            feed, frames = AnalysisFeed(name, analysis, rate, decoder.info.channels), 0
            for block in decoder.blocks():
                feed.take(block)
                frames += block.shape[1]
                _check_length(frames, rate)
        return {"duration": round(frames / rate, 3), **_values(analysis, feed)}
    except FileError as error:
        raise _plain(error, decoder_name=str(path)) from None


def _check_length(frames: int, rate: int) -> None:
    if frames > MAX_SECONDS * rate:
        raise UsageError(f"the sound lasts more than {MAX_SECONDS / 60:g} minutes; send a part of it")


def classify_stream(name: str, pipe: int, every: float) -> Iterator[dict[str, Any]]:
    """Classifies sound of any length from a pipe: a wav, ogg, mp3, aiff or au file from its beginning.

    For each `every` seconds, at least the classifier's minimum, yields start and end in seconds and the values of
    `classify` without the duration; at the end of the sound, the values of `classify`. Raises as `classify` does.
    """
    analysis = _classifier(name)
    every = max(every, analysis.shortest)
    try:
        with Decoder(SOUND, pipe=pipe) as decoder:
            rate, channels = decoder.info.rate, decoder.info.channels
            whole = AnalysisFeed(name, analysis, rate, channels)
            part, begun, frames = AnalysisFeed(name, analysis, rate, channels), 0, 0
            each = round(every * rate)
            for block in _cut(decoder.blocks(), each):
                whole.take(block)
                part.take(block)
                frames += block.shape[1]
                if frames - begun == each:
                    yield {"start": round(begun / rate, 3), "end": round(frames / rate, 3), **_values(analysis, part)}
                    part, begun = AnalysisFeed(name, analysis, rate, channels), frames
        yield {"duration": round(frames / rate, 3), **_values(analysis, whole)}
    except FileError as error:
        raise _plain(error, decoder_name=SOUND) from None


def _classifier(name: str) -> Analysis:
    from antiphon.api.backends.runtime import instead, short_repr

    present = classifiers()
    if name not in present:
        raise LookupError(f"there is no classifier {short_repr(name)}{instead(name, sorted(present))}")
    return present[name]


def _values(analysis: Analysis, feed: AnalysisFeed) -> dict[str, Any]:
    _, values, problem = feed.end()
    if values is None:
        raise PluginError(problem) if feed.faulty else UsageError(problem)
    of_labels = [quantity.name for quantity in analysis.quantities if quantity.kind == "labels"]
    plain = {key: value for key, value in values.items() if not isinstance(value, bytes)}
    return {"labels": values[of_labels[0]] if of_labels else None, **plain}


def _cut(blocks: Iterator[Samples], each: int) -> Iterator[Samples]:
    """Blocks split at multiples of `each` frames."""
    left = each
    for block in blocks:
        at = 0
        while at < block.shape[1]:
            piece = block[:, at : at + left]
            at += piece.shape[1]
            left = left - piece.shape[1] or each
            yield piece


def _plain(error: FileError, decoder_name: str) -> FileError:
    text = str(error).replace(f"cannot read {decoder_name}", f"cannot read {SOUND}")
    return NoSound(text) if f"not a {SOUND_KINDS} file" in text or "Format not recognised" in text else FileError(text)
