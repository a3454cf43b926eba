"""The contrastive target of wav2vec 2.0."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tp_audio.projection import Projection
from tp_audio.targets.quantizer import Quantizer
from tp_audio.targets.wav2vec2_options import Wav2Vec2TargetConfig
from tp_core.interfaces import IGNORE, Batch, Features, Target, TargetOutput
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.precision import full_precision
from tp_core.options.context import BuildContext


def gathered(states: Tensor, positions: Tensor) -> Tensor:
    """States (batch, length, width) at positions (batch, count) → (batch, count, width)."""
    return states.gather(1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))


class Wav2Vec2Target(Target):
    """Identify the quantised latent of each masked frame among distractors from the same recording.

    Labels ``wav2vec2``: ``positions`` (batch, count) of the masked frames, padded with ``IGNORE``, and ``negatives``
    (batch, count, distractors), indices into ``positions``. Reads the published value ``latents``. The diversity loss
    covers all masked frames of a batch together. Unlike other losses, it changes if a batch is split into
    micro-batches.
    """

    def __init__(self, config: Wav2Vec2TargetConfig, context: BuildContext) -> None:
        super().__init__()
        self.temperature, self.diversity = config.temperature, config.diversity_weight
        self.dropout = Dropout(config.dropout)
        self.quantizer = Quantizer(
            config.latent_size, config.codebooks, config.codebook_size, config.code_size, config.gumbel_temperature
        )
        self.project_states = Projection(context.hidden_size, config.projection_size)
        self.project_codes = Projection(config.code_size, config.projection_size)

    def denominator(self, batch: Batch) -> Tensor:
        return (self.labels_of(batch)["positions"] != IGNORE).sum().float()

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        positions, negatives = self.labels_of(batch)["positions"], self.labels_of(batch)["negatives"]
        counted, places = positions != IGNORE, positions.clamp(min=0)
        predicted = self.project_states(gathered(features.sequence.states, places))
        latents = self.dropout(gathered(features.sequence.published["latents"], places))
        with full_precision(latents):
            found = self.quantizer(latents.float())
            codes = self.project_codes(found.vectors)
            # The similarities of all pairs need far less memory than the vectors of all distractors, which repeat.
            similar = F.normalize(predicted.float(), dim=-1) @ F.normalize(codes, dim=-1).transpose(1, 2)
            right = similar.diagonal(dim1=1, dim2=2).unsqueeze(-1)
            # A distractor with the same code as the frame does not count.
            same = found.codes.gather(1, negatives.flatten(1)).view_as(negatives) == found.codes.unsqueeze(-1)
            wrong = similar.gather(2, negatives).masked_fill(same, float("-inf"))
            logits = torch.cat([right, wrong], dim=-1) / self.temperature
            losses = -logits.log_softmax(dim=-1)[..., 0]
            contrastive = losses.masked_fill(~counted, 0).sum()
            count = counted.sum().float()
            entries = self.quantizer.codebooks * self.quantizer.entries
            perplexity = self.quantizer.perplexity(found.usage, counted)
            diversity = (entries - perplexity) / entries * count
        correct = ((logits.argmax(dim=-1) == 0) & counted & ~same.all(dim=-1)).sum().float()
        metrics = {
            "accuracy": (correct, count),
            "contrastive": (contrastive.detach(), count),
            "diversity": (diversity.detach(), count),
            "perplexity": (perplexity.detach() * count, count),
        }
        return TargetOutput(contrastive + self.diversity * diversity, count, metrics)
