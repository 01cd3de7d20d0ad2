"""File use of a processor, for `antiphon run`: which job runs it, its outputs and required parameters (`FileUse`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from antiphon.kernel.contract.params import Value

Change: TypeAlias = Literal["length", "time", "pitch", "level", "channels"]


NOTHING = os.devnull
"""Path of an empty file, used as IN when none is named."""


@dataclass(frozen=True, slots=True)
class FileUse:
    """File use of a processor; the default is sound in, sound of the same length, pitch and level out.

    Attributes:
        job: "module:function", called with an `antiphon.api.jobs.FileJob`, where its files are not sound in, sound out;
            otherwise "".
        default_source: With `job`, the library folder used as IN where only OUT is named: the performer's, else the one
            that ships; "" where IN has to be named.
        stems: Names of parts that the job also writes alone, with `antiphon run --stems`.
        splits: Names of parts into which the job takes a sound apart: `antiphon run PLUGIN IN --out-dir D` writes
            `D/PART.wav` for each, with IN's rate, channels and length, and they add up to IN; OUT is their sum, or what
            --only PART and --without PART choose.
        beside: Further files that the job writes, by the option of `antiphon run`: "report" (.json; without a job the
            findings of `hears`), "picture" (.png), "midi-out" (.mid, the notes of a sound), "analysis" (.json), "roll"
            (.svg, notes and chords), "chords-out" (.txt, .lab, .jams, .musicxml) and "click" (.wav, a click on the
            beats).
        chords: Whether --chords is accepted.
        fires: Names of triggers that the job fires at the given seconds; with a job, other triggers are refused.
        needs: Names of parameters that have to be given: file parameters, or a choice whose default is the only value
            allowed for files.
        exempt: Values of parameters, such as "mode=instrument" with which none of `needs` has to be given.
        idle: Names of parameters without effect on files, such as "latency"; "by mode=hpss" is `by` while `mode` is
            "hpss".
        tail: Whether the output decays after the input has ended; files are extended until it is silent.
        preroll: The name of a parameter in seconds: the beginning of a file, of that length, is first played to it
            without output to settle its estimates; then `Processor.rewind` is called, and the file is played. "" for
            none.
        causal: The name of the switch that `antiphon run --causal` sets: with it `Processor.look_ahead` answers False.
        stem: The name of a parameter with the values "all" and parts of a song: only that part of a file is processed,
            and the other parts are added unchanged. "" for none.
        hears: "module:function" that analyses a file before the processor is prepared for it: it is called with the
            path, the values of parameters that were given and the names of triggers that fire, and returns a
            `FileHearing`. "" for none.
        takes: The name of a parameter, 0 to 1, for the share of a sound that is removed; the closing line says how much
            was removed and, where that is much of the whole, how to keep more. "" for none.
        changes: Properties of a sound that are not kept with the parameters' defaults: its "length", the "time" at
            which things happen, the "pitch" of a tone, the "level" (by 3 dB or more), the "channels" (their number, or
            which of them is louder). The rate is always kept. A test checks that every plugin keeps the properties that
            it does not name.
    """

    job: str = ""
    default_source: str = ""
    stems: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    chords: bool = False
    needs: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    tail: bool = False
    preroll: str = ""
    causal: str = ""
    stem: str = ""
    hears: str = ""
    takes: str = ""
    changes: tuple[Change, ...] = ()
    fires: tuple[str, ...] = ()

    @property
    def as_long(self) -> bool:
        """Whether the result is as long as the input, plus a tail."""
        return not self.job

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> FileUse:
        """Reads the fields from another process's data, in which tuples are lists."""
        fields: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in data.items()}
        return FileUse(**fields)


@dataclass(frozen=True, slots=True)
class FileHearing:
    """A plugin's findings on a file, before its processor is prepared.

    Attributes:
        values: Values of parameters, in place of those that were given.
        as_it_is: Whether the file is passed on sample for sample, without the processor.
        said: The reason or the choice, for the closing line; "" for nothing.
        rate: Hz at which the file is played to the processor; 0 for its own. OUT has the file's own.
        told: The argument of `Processor.heard`.
        report: What was found, as JSON data, for the "report" of `FileUse.beside`.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    as_it_is: bool = False
    said: str = ""
    rate: int = 0
    told: Any = None
    report: Mapping[str, Any] = field(default_factory=dict)
