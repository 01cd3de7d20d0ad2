"""`antiphon train bars`: the bar model of `continue` and `generate`, a GRU that corrects the memory's probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from antiphon_answer.bar_features import EVENT_ROWS, MELODY, TIME_ROWS, VALUE_ROWS
from antiphon_answer.bar_model import EMBEDDED, HIDDEN, MODEL, UNITS
from antiphon_answer.memory import INTERVALS, TIMES
from antiphon_models.answer.bar_material import sequences
from antiphon_models.answer.foreseeing import SPANS
from antiphon_models.learning.recipe import Batch, Figures, Loss, Recipe, TrainingJob
from antiphon_models.material.part_songs import SOURCES

PIECES, LENGTH = 32, 192
"""Pieces per training step, and events per piece."""
FROM_START, ALONE = 0.4, 0.55
"""Shares of a batch: pieces from their first event on, melodies alone."""
NO_MEMORY, NO_ROW, NO_STATE = 0.2, 0.1, 0.35
"""Probabilities of hiding a piece's memory, of hiding an event's row, and of dropout."""
_NAMES = ("events", "values", "times", "value", "time", "value_memory", "time_memory")


class BarNetwork(torch.nn.Module):
    """The network of `antiphon_answer.bar_model`, over whole sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.event_table = torch.nn.Embedding(EVENT_ROWS, EMBEDDED)
        self.gru = torch.nn.GRU(EMBEDDED, UNITS, batch_first=True)
        self.value_table, self.time_table = (
            torch.nn.Embedding(VALUE_ROWS, HIDDEN),
            torch.nn.Embedding(TIME_ROWS, HIDDEN),
        )
        self.value_in, self.time_in = torch.nn.Linear(UNITS + 3, HIDDEN), torch.nn.Linear(UNITS + 3, HIDDEN)
        self.value_out, self.time_out = torch.nn.Linear(HIDDEN, INTERVALS + 1), torch.nn.Linear(HIDDEN, TIMES + 1)
        for table, scale in ((self.event_table, 0.3), (self.value_table, 0.1), (self.time_table, 0.1)):
            torch.nn.init.normal_(table.weight, std=scale)
        for out in (self.value_out, self.time_out):
            torch.nn.init.zeros_(out.weight)
            torch.nn.init.zeros_(out.bias)

    def forward(
        self, rows: Sequence[torch.Tensor], memory: Sequence[torch.Tensor], known: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities of values `[N, L, INTERVALS]` and of times to the next event `[N, L, TIMES]`.

        `rows`: of events, values and times, `[N, L, k]`. `memory`: log chances of values and times by the memory.
        `known`: `[N]`, 1 where there is a memory, else 0.
        """
        told = self.event_table(rows[0])
        if self.training:
            told = told * (torch.rand(told.shape[:-1]) >= NO_ROW)[..., None] / (1.0 - NO_ROW)
        state, _ = self.gru(told.sum(-2))
        state = torch.nn.functional.dropout(state, NO_STATE, self.training)
        before = torch.nn.functional.pad(state, (0, 0, 1, 0))[:, :-1]
        value = self._head(before, self.value_in, self.value_table(rows[1]), self.value_out, memory[0], known)
        return value, self._head(state, self.time_in, self.time_table(rows[2]), self.time_out, memory[1], known)

    def _head(
        self,
        state: torch.Tensor,
        enter: torch.nn.Linear,
        told: torch.Tensor,
        leave: torch.nn.Linear,
        memory: torch.Tensor,
        known: torch.Tensor,
    ) -> torch.Tensor:
        there = known[:, None, None].expand(*memory.shape[:2], 1)
        sure = torch.cat([memory.amax(-1, keepdim=True), (memory.exp() * memory).sum(-1, keepdim=True)], -1)
        hidden = torch.relu(enter(torch.cat([state, there * sure, there], -1)) + told.sum(-2))
        out = leave(torch.nn.functional.dropout(hidden, 0.5 * NO_STATE, self.training))
        # 1 at first, so that the training begins with the memory's own chances
        trust = torch.nn.functional.softplus(out[..., -1:] + math.log(math.e - 1.0))
        logits = out[..., :-1] + there * trust * memory
        chances: torch.Tensor = logits.log_softmax(-1)
        return chances


class BarsRecipe(Recipe):
    """Recipe of `bars`, on POP909, JSB, and freedoom and openttd-openmsx where their folders are present."""

    name = "bars"
    weights = MODEL
    plugin = "answer"
    module = BarNetwork
    steps = 1500
    half = True
    keeps_best = True  # the last weights know the songs by heart
    trained_on = "POP909, songs whose number ends in 1 to 6; training parts of JSB, freedoom, openttd-openmsx"

    def prepare(self, job: TrainingJob) -> None:
        self._job = job
        self._train = self._told("train", SOURCES)
        self._held = self._told("valid", ("pop909",))
        alone = np.array([piece["events"][0, 0] == 2 * MELODY + 1 for piece in self._train])
        events = np.array([float(len(piece["value"])) for piece in self._train])
        # a piece is chosen as often as it has events, so that chorales do not count like songs
        self._shares = [np.where(which, events, 0.0) / events[which].sum() for which in (alone, ~alone)]
        tunes = [piece for piece in self._held if piece["events"][0, 0] == 2 * MELODY + 1]
        longest = max(len(piece["value"]) for piece in tunes)
        self._valid = [
            self._joined([(piece, 0) for piece in tunes[n : n + 16]], longest) for n in range(0, len(tunes), 16)
        ]

    def _told(self, split: str, sources: tuple[str, ...]) -> list[dict[str, NDArray[Any]]]:
        pieces: list[dict[str, NDArray[Any]]] = []
        for source in sources:
            path = self._job.material / f"{split}-{source}.npz"
            if not path.is_file():
                self._job.say(f"reading {source}, {split}")
                found = list(sequences(self._job.data, split, (source,)))
                if not found:
                    continue
                joined: dict[str, Any] = {name: np.concatenate([piece[name] for piece in found]) for name in _NAMES}
                lengths: Any = [len(piece["value"]) for piece in found]
                np.savez(path, lengths=lengths, **joined)
            with np.load(path) as stored:
                edges = np.cumsum(stored["lengths"])[:-1]
                parts = [np.split(stored[name], edges) for name in _NAMES]
            pieces += [dict(zip(_NAMES, arrays, strict=True)) for arrays in zip(*parts, strict=True)]
        return pieces

    def _joined(self, cuts: Sequence[tuple[dict[str, NDArray[Any]], int]], length: int = LENGTH) -> Batch:
        arrays = []
        for name in _NAMES:
            first = cuts[0][0][name]
            empty = -1 if name in ("value", "time") else 0
            array = np.full((len(cuts), length, *first.shape[1:]), empty, np.float32 if "memory" in name else np.int64)
            for n, (piece, at) in enumerate(cuts):
                part = piece[name][at : at + length]
                array[n, : len(part)] = part
            arrays.append(torch.from_numpy(array).to(self._job.device))
        return tuple(arrays)

    def batch(self, step: int) -> Batch:
        rng = np.random.default_rng((self._job.seed, step))
        cuts = []
        for n in range(PIECES):
            piece = self._train[int(rng.choice(len(self._train), p=self._shares[int(n >= ALONE * PIECES)]))]
            latest = max(0, len(piece["value"]) - LENGTH // 2)
            cuts.append((piece, 0 if rng.random() < FROM_START else int(rng.integers(0, latest + 1))))
        return self._joined(cuts)

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        known = (torch.rand(len(batch[0])) >= NO_MEMORY).float()
        value, time = network(batch[:3], batch[5:], known)
        losses = [
            torch.nn.functional.nll_loss(chances.flatten(0, 1), wanted.flatten(), ignore_index=-1)
            for chances, wanted in ((value, batch[3]), (time, batch[4]))
        ]
        return losses[0] + losses[1], {"bits": (losses[0] + losses[1]).detach() / math.log(2.0)}

    def validate(self, network: torch.nn.Module) -> Figures:
        """Bits saved relative to the memory, mean of the spans; per melody note, with and without the memory."""
        bits = {
            name: [self._bits(network, name, *span) for span in SPANS.values()] for name in ("ours", "own", "memory")
        }
        saved = float(np.mean(bits["memory"]) - np.mean(bits["ours"]))
        named = {"early": 0, "middle": 1, "late": 2}
        return {
            "saved_bits": saved,
            **{f"{name}_{span}": row[n] for name, row in bits.items() for span, n in named.items()},
        }

    def _bits(self, network: torch.nn.Module, name: str, first: int, last: int) -> float:
        means: list[float] = []
        for batch in self._valid:
            if name == "memory":
                value, time = batch[5], batch[6]
            else:
                value, time = network(batch[:3], batch[5:], torch.full((len(batch[0]),), float(name == "ours")))
            # the note after event n takes the time from n and the value of n + 1
            wanted_time, wanted_value = batch[4][:, :-1], batch[3][:, 1:]
            nats = -time[:, :-1].gather(-1, wanted_time.clamp(min=0)[..., None])[..., 0]
            nats = nats - value[:, 1:].gather(-1, wanted_value.clamp(min=0)[..., None])[..., 0]
            there = (wanted_time >= 0)[:, first:last]
            counts = there.sum(-1)
            rows = (nats[:, first:last] * there).sum(-1) / counts.clamp(min=1)
            means += (rows[counts > 0] / math.log(2.0)).tolist()
        return float(np.mean(means))
