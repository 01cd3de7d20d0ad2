"""`antiphon train denoise-autoencoder`: clean bands from noisy ones, through a bottleneck."""

from typing import cast

import torch

from antiphon_models.denoise.network.autoencoder import Autoencoder as Network
from antiphon_models.denoise.training.recipe import MaskRecipe, mixture_loss
from antiphon_models.learning.recipe import Batch, Loss

KL_WEIGHT, FREE, SOUND = 0.01, 0.05, 2.0


class AutoencoderRecipe(MaskRecipe):
    """The error of the decoded bands, the divergence of the latent numbers from a unit normal, and the mask's loss.

    Each latent number may diverge by `FREE` nats at no cost (Kingma et al., 2016): else some are never used.
    """

    name = "denoise-autoencoder"
    weights = "denoise-autoencoder"
    module = Network
    steps = 4000
    rate = 2e-3
    shares = "denoise"

    def loss(self, network: torch.nn.Module, batch: Batch) -> Loss:
        mixed, clean, gap, noise, snr, way = batch
        model = cast(Network, network)
        spectra = self._transform.spectra(mixed)
        heard = model.follow.whole(self._transform.logs(spectra), noise)
        mean, spread = model.encoded(heard)
        latent = mean + torch.randn_like(mean) * torch.exp(0.5 * spread)
        decoded = model.decoded(latent)
        wanted = self._bands(model, clean) - (self._bands(model, mixed) - heard.levels)
        weight = torch.where(wanted > -9.0, 1.0, 0.25)
        error = (weight * torch.nn.functional.smooth_l1_loss(decoded, wanted.clamp(min=-9.0), reduction="none")).mean()
        divergence = 0.5 * (mean.square() + spread.exp() - 1.0 - spread).mean((0, 1)).clamp(min=FREE).sum()
        made = self._transform.sound(spectra, model.gains(heard.levels, decoded))
        masked, parts = mixture_loss(made, mixed, clean, gap, snr, way)
        parts["error"], parts["divergence"] = error.detach(), divergence.detach()
        return error + KL_WEIGHT * divergence + SOUND * masked, parts

    def _bands(self, model: Network, sound: torch.Tensor) -> torch.Tensor:
        logs = self._transform.logs(self._transform.spectra(sound))
        return torch.log(logs.exp() @ model.follow.mean + 1e-10)
