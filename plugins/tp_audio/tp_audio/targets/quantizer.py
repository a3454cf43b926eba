"""The product quantiser of wav2vec 2.0."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_core.interfaces import Module
from tp_core.modules.layers.linear import Linear


class Temperature(Module):
    """A number on the device that hooks may change between steps. It is not a weight."""

    value: Tensor

    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = start
        self.register_buffer("value", torch.empty(()), persistent=False)

    def reset_parameters(self) -> None:
        self.value.fill_(self.start)


class Quantised(NamedTuple):
    """Quantised latents.

    Attributes:
        vectors: (..., code size).
        codes: (...), one number that encodes the chosen entries of all codebooks.
        usage: (..., codebooks, entries), probability of each entry in training; otherwise one-hot.
    """

    vectors: Tensor
    codes: Tensor
    usage: Tensor


class Quantizer(Module):
    """Product quantiser: chooses one entry of each codebook (Jegou et al., 2011).

    In training, the choice has Gumbel noise (Jang et al., 2017). The choice is hard, but its gradient is that of the
    softmax.
    """

    def __init__(self, latent_size: int, codebooks: int, entries: int, size: int, temperature: float) -> None:
        super().__init__()
        self.codebooks, self.entries = codebooks, entries
        self.scores = Linear(latent_size, codebooks * entries, std=1.0)
        self.vectors = nn.Parameter(torch.empty(1, codebooks * entries, size // codebooks))
        self.temperature = Temperature(temperature)

    def reset_parameters(self) -> None:
        if not self.vectors.is_meta:
            nn.init.uniform_(self.vectors)

    def forward(self, latents: Tensor) -> Quantised:
        """Latents (..., latent size) → their code vectors."""
        scores = self.scores(latents).unflatten(-1, (self.codebooks, self.entries)).float()
        noisy = scores
        if self.training:
            # F.gumbel_softmax has the same noise, but needs the temperature as a Python number, which would synchronise
            # with the device.
            noisy = (scores - torch.empty_like(scores).exponential_().log()) / self.temperature.value
        entries = noisy.argmax(dim=-1)
        hard = F.one_hot(entries, self.entries).to(scores.dtype)
        usage = scores.softmax(dim=-1) if self.training else hard
        if self.training:
            soft = noisy.softmax(dim=-1)
            hard = hard + soft - soft.detach()
        tables = self.vectors.view(self.codebooks, self.entries, -1)
        vectors = torch.einsum("...gv,gvd->...gd", hard.to(tables.dtype), tables).flatten(-2)
        place = self.entries ** torch.arange(self.codebooks, device=scores.device)
        return Quantised(vectors, (entries * place).sum(dim=-1), usage)

    def perplexity(self, usage: Tensor, counted: Tensor) -> Tensor:
        """The effective number of used entries: exp of the entropy of the mean usage, summed over the codebooks.

        Args:
            usage: (..., codebooks, entries).
            counted: (...), bool; True at positions that the mean includes.
        """
        weights = counted[..., None, None].to(usage.dtype)
        mean = (usage * weights).flatten(0, -3).sum(dim=0) / counted.sum().clamp(min=1)
        entropy: Tensor = torch.special.entr(mean).sum(dim=-1)
        return entropy.exp().sum()
