"""The processor's transform over whole batches, differentiable: sounds to spectra, and gains back to sounds."""

import torch

from antiphon.api.backends.signal import SpectrumSizes, windows
from antiphon_denoise.bands import BINS, HOP
from antiphon_denoise.learned import UNITS, unit_of_bin

QUIET = 1e-10


class Frames(torch.nn.Module):
    """Transforms sounds `[N, T * hop]` at 48 kHz; frame t ends with hop t, with silence before the first.

    grid: transform sizes.  gains: gains per frame, one for each bin.
    """

    gains = BINS

    analysis: torch.Tensor
    synthesis: torch.Tensor

    def __init__(self, grid: SpectrumSizes) -> None:
        super().__init__()
        self.grid = grid
        analysis, synthesis = (torch.from_numpy(window) for window in windows(grid))
        self.register_buffer("analysis", analysis, persistent=False)
        self.register_buffer("synthesis", synthesis, persistent=False)

    def spectra(self, sound: torch.Tensor) -> torch.Tensor:
        """Complex spectra `[N, T, BINS]`."""
        padded = torch.nn.functional.pad(sound, (self.grid.size - self.grid.hop, 0))
        frames = padded.unfold(1, self.grid.size, self.grid.hop)
        spectra: torch.Tensor = torch.fft.rfft(frames * self.analysis)
        return spectra

    def logs(self, spectra: torch.Tensor) -> torch.Tensor:
        """Log powers `[N, T, BINS]`; 0 for white noise of variance 1."""
        power = spectra.real.square() + spectra.imag.square()
        return torch.log(power / self.analysis.square().sum() + QUIET)

    def sums(self, bins: torch.Tensor) -> torch.Tensor:
        """Sums over bins that share a gain, `[…, BINS]`: here each bin has its own."""
        return bins

    def sound(self, spectra: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
        """Sound `[N, T * hop]` of spectra times gains, delayed by a hop."""
        hop = self.grid.hop
        made: torch.Tensor = torch.fft.irfft(spectra * gains, self.grid.size)[..., -self.grid.lag :] * self.synthesis
        late = torch.nn.functional.pad(made[:, :-1, hop:], (0, 0, 1, 0))
        return (made[..., :hop] + late).reshape(made.shape[0], -1)


class UnitFrames(Frames):
    """Frames of the learned modes: one gain for each of `UNITS`."""

    gains = UNITS

    units: torch.Tensor
    width: torch.Tensor

    def __init__(self) -> None:
        super().__init__(SpectrumSizes(2048, HOP, 1))
        units = torch.from_numpy(unit_of_bin())
        self.register_buffer("units", units, persistent=False)
        self.register_buffer("width", torch.bincount(units, minlength=UNITS).float(), persistent=False)

    def logs(self, spectra: torch.Tensor) -> torch.Tensor:
        """Log mean powers `[N, T, UNITS]`; 0 for white noise of variance 1."""
        power = (spectra.real.square() + spectra.imag.square()) / self.analysis.square().sum()
        return torch.log(self.sums(power) / self.width + QUIET)

    def sums(self, bins: torch.Tensor) -> torch.Tensor:
        """Sums `[…, BINS]` over the bins of each unit: `[…, UNITS]`."""
        high = bins[..., 512:]
        fours = high[..., :512].reshape(*high.shape[:-1], UNITS - 512, 4)
        # the last unit has a bin more
        extra = torch.zeros_like(fours[..., 0])
        extra[..., -1] = high[..., 512]
        return torch.cat([bins[..., :512], fours.sum(-1) + extra], -1)

    def sound(self, spectra: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
        """Sound `[N, T * hop]` of spectra times the gains of their units, delayed by a hop."""
        return super().sound(spectra, gains[..., self.units])
