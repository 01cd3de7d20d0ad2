"""The pitch network: converts 16 kHz sound, hop by hop, to pitch, voicing, onsets and notes.

Its inputs are log spectra of three windows ending at the newest sample, stacked at a pitch's harmonics, and generalised
autocorrelations on the same axis (Su and Yang, 2015). Small convolutions over pitch and a GRU over time follow. Heads
answer for the sound `NEAR` and `FAR` hops ago; the second is more accurate.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from antiphon.api.backends.networks import State, StreamingModel
from antiphon_hum import learned


class PitchNetwork(StreamingModel):
    """The network; see the module. `logits` is for training, over a whole sound; `step` for one hop."""

    name: ClassVar[str] = "hum-learned"
    rate: ClassVar[int] = learned.RATE
    hop: ClassVar[int] = learned.HOP
    answer: ClassVar[int | None] = learned.ANSWER

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, size in (("long", learned.LONG), ("middle", learned.MIDDLE), ("short", learned.SHORT)):
            self.register_buffer(f"{name}_window", torch.tensor(learned.window(size)), persistent=False)
            self.register_buffer(f"{name}_grid", torch.tensor(learned.log_grid(size)), persistent=False)
            if size != learned.SHORT:
                self.register_buffer(f"{name}_lags", torch.tensor(learned.lags(size)), persistent=False)
        self.shifts = list(learned.SHIFTS)
        self.one = nn.Conv1d(learned.CHANNELS, 16, 5, padding=2)
        self.two = nn.Conv1d(16, 16, 5, padding=2)
        self.three = nn.Conv1d(16, learned.BODY, 5, padding=2)
        self.local = nn.Conv1d(learned.BODY, 2, 3, padding=1)
        self.squeeze = nn.Linear(learned.BODY * learned.SEMITONES, learned.CONTEXT)
        self.time = nn.GRU(learned.CONTEXT + 2 * learned.BANDS, learned.HIDDEN, batch_first=True)
        self.keys = nn.Linear(learned.HIDDEN, 3 * learned.SEMITONES)
        self.tell = nn.Linear(learned.HIDDEN, 7)
        self.weigh = nn.Parameter(torch.ones(1))
        self.register_buffer("places", torch.arange(learned.BINS, dtype=torch.float32), persistent=False)

    def _table(self, name: str) -> Tensor:
        return cast(Tensor, getattr(self, name))

    def _spectrum(self, frames: Tensor, name: str, size: int) -> Tensor:
        spectrum: Tensor = torch.fft.rfft(frames[..., -size:] * self._table(f"{name}_window"))
        return spectrum.abs().square()

    def _look(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Maps frames `[n, LONG]` to channels over pitch `[n, CHANNELS, BINS]` and short-window bands `[n, BANDS]`."""
        far, middle, short = (
            self._spectrum(frames, name, size)
            for name, size in (("long", learned.LONG), ("middle", learned.MIDDLE), ("short", learned.SHORT))
        )
        rows = []
        logs = [
            (torch.log10(power @ self._table(f"{name}_grid") + 1e-9) + 5.0) * 0.5
            for name, power in (("long", far), ("middle", middle), ("short", short))
        ]
        padded = functional.pad(logs[0], (36, 0), value=-2.0)
        rows += [padded[:, 36 + s : 36 + s + learned.BINS] for s in self.shifts]
        rows += [logs[1][:, s : s + learned.BINS] for s in self.shifts[1:4]]
        rows += [logs[2][:, s : s + learned.BINS] for s in self.shifts[1:3]]
        for name, power in (("long", far), ("middle", middle)):
            root = (power + 1e-12).pow(learned.ROOT)
            rows.append(2.0 * (root @ self._table(f"{name}_lags")) / root.sum(-1, keepdim=True))
        return torch.stack(rows, 1), logs[2].reshape(len(frames), learned.BANDS, -1).mean(-1)

    def _body(self, channels: Tensor) -> tuple[Tensor, Tensor]:
        """Body from channels to two saliences `[n, 2, BINS]` and the input of the GRU `[n, CONTEXT]`."""
        x = functional.gelu(self.one(channels))
        x = functional.gelu(self.two(x))
        x = functional.gelu(self.three(x))
        pooled = functional.avg_pool1d(x, learned.PER_SEMITONE).flatten(1)
        return self.local(x), functional.gelu(self.squeeze(pooled))

    def _apply_output_heads(self, hidden: Tensor, local: Tensor, late: Tensor) -> tuple[Tensor, Tensor]:
        """Heads from hidden `[n, HIDDEN]`, saliences now and `LATE` hops ago to logits `[n, 3, BINS]` and `[n, 7]`."""
        keys = self.keys(hidden).reshape(-1, 3, learned.SEMITONES).repeat_interleave(learned.PER_SEMITONE, 2)
        salience = torch.cat([local, self.weigh * late[:, 1:]], 1)
        return salience + keys, self.tell(hidden)

    def logits(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[rows, hops, 3, BINS]` (pitch, note, late note), `[rows, hops, 7]` of sound `[rows, hops * HOP]`."""
        start = tuple(held.to(sound.device) for held in self.start(len(sound)))
        pitch, said, _ = self._run(sound, start)
        return pitch, said

    def listen(self, sound: Tensor, state: State) -> tuple[Tensor, State]:
        """Processes a file's hops at once: `[1, hops * HOP]` to answers `[hops, ANSWER]`, and the state for `step`."""
        pitch, said, after = self._run(sound, state)
        return self.answers(pitch, said)[0], after

    def _run(self, sound: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        before, bands_before, hidden, saliences = state
        rows, hops = sound.shape[0], sound.shape[1] // self.hop
        padded = torch.cat([before, sound], 1)
        frames = padded.unfold(1, learned.LONG, self.hop).reshape(rows * hops, learned.LONG)
        channels, bands = self._look(frames)
        local, context = self._body(channels)
        bands = torch.cat([bands_before, bands.reshape(rows, hops, learned.BANDS)], 1)
        now = bands[:, 2:]
        gru_input = torch.cat([context.reshape(rows, hops, learned.CONTEXT), now, now - bands[:, :-2]], 2)
        hidden_states, last = self.time(gru_input, hidden[None])
        local = torch.cat([saliences, local.reshape(rows, hops, 2, learned.BINS)], 1)
        pitch, said = self._apply_output_heads(
            hidden_states.reshape(-1, learned.HIDDEN),
            local[:, learned.LATE :].reshape(-1, 2, learned.BINS),
            local[:, :hops].reshape(-1, 2, learned.BINS),
        )
        after = (padded[:, -(learned.LONG - self.hop) :], bands[:, -2:], last[0], local[:, -learned.LATE :])
        return pitch.reshape(rows, hops, 3, learned.BINS), said.reshape(rows, hops, 7), after

    def answers(self, pitch: Tensor, said: Tensor) -> Tensor:
        """Logits `[…, 3, BINS]` and `[…, 7]` → `[…, ANSWER]`, as `spec` says."""
        chances = torch.softmax(pitch, -1)
        best = chances.argmax(-1, keepdim=True)
        near = chances * ((self.places - best).abs() <= 4.0)
        sure = near.sum(-1)
        middle = (near * self.places).sum(-1) / sure
        middle = (middle - 1.0) / learned.BINS
        p = torch.sigmoid(said)
        keys = chances[..., 2, :].unflatten(-1, (learned.SEMITONES, learned.PER_SEMITONE)).sum(-1)
        values = [
            middle[..., 0], sure[..., 0], p[..., 0], p[..., 1], p[..., 2], middle[..., 1], sure[..., 1],
            p[..., 3], p[..., 4], p[..., 5], middle[..., 2], sure[..., 2], p[..., 6],
        ]  # fmt: skip
        return torch.cat([torch.stack(values, -1), keys], -1)

    def start(self, slots: int) -> State:
        return (
            torch.zeros(slots, learned.LONG - self.hop),
            torch.full((slots, 2, learned.BANDS), -2.0),
            torch.zeros(slots, learned.HIDDEN),
            torch.zeros(slots, learned.LATE, 2, learned.BINS),
        )

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        past, bands_before, hidden, saliences = state
        frames = torch.cat([past, x[:, 0]], 1)
        channels, bands = self._look(frames)
        local, context = self._body(channels)
        gru_input = torch.cat([context, bands, bands - bands_before[:, 0]], 1)
        hidden = torch.gru_cell(gru_input, hidden, *(cast(Tensor, w) for w in self.time.all_weights[0]))
        pitch, said = self._apply_output_heads(hidden, local, saliences[:, 0])
        after = (
            frames[:, self.hop :],
            torch.cat([bands_before[:, 1:], bands[:, None]], 1),
            hidden,
            torch.cat([saliences[:, 1:], local[:, None]], 1),
        )
        return self.answers(pitch, said)[:, None], after
