"""The embedding of raw waveforms: wav2vec 2.0's convolutions, projection and masking."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_audio.embeddings.waveform_options import WaveformConfig
from tp_audio.projection import Projection
from tp_core.errors import TPError
from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.layers.activation import ACTIVATIONS
from tp_core.modules.layers.dropout import Dropout
from tp_core.modules.layers.precision import full_precision
from tp_core.options.context import BuildContext


class Convolution(nn.Conv1d):
    """``nn.Conv1d`` with the initialisation of He et al. (2015)."""

    def reset_parameters(self) -> None:
        if self.weight.is_meta:
            return
        nn.init.kaiming_normal_(self.weight)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)


class ChannelNorm(nn.GroupNorm):
    """Normalises each channel of a sample over time. With ``mask_padding``, only real frames count."""

    def __init__(self, channels: int, mask_padding: bool) -> None:
        super().__init__(channels, channels)
        self.mask_padding = mask_padding

    def forward(self, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise the states.

        Args:
            states: (batch, channels, frames).
            lengths: (batch,), number of real frames of each sample.
        """
        if lengths is None or not self.mask_padding:
            return super().forward(states)
        with full_precision(states):
            values = states.float()
            real = (torch.arange(values.shape[2], device=values.device) < lengths[:, None]).unsqueeze(1)
            count = lengths.clamp(min=1).view(-1, 1, 1)
            mean = (values * real).sum(dim=2, keepdim=True) / count
            centred = values - mean
            variance = (centred.square() * real).sum(dim=2, keepdim=True) / count
            normed = centred * torch.rsqrt(variance + self.eps)
            return (normed * self.weight[:, None] + self.bias[:, None]).to(states.dtype)


class TimeLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of (batch, channels, frames)."""

    def forward(self, states: Tensor, lengths: Tensor | None = None) -> Tensor:
        return super().forward(states.transpose(1, 2)).transpose(1, 2)


class Waveform(Embedding):
    """Convolutions → LayerNorm → projection. A learned vector replaces masked frames.

    Reads ``input_values`` (batch, samples), padded on the right. These inputs are optional: ``attention_mask`` (batch,
    samples), ``mask_time_indices`` (batch, frames), bool, and ``mask_feature_indices`` (batch, embedding_size), bool.
    Publishes ``latents`` (batch, frames, channels): the frames before projection and masking.
    """

    def __init__(self, config: WaveformConfig, context: BuildContext) -> None:
        super().__init__()
        self.config = config
        channels = [1, *config.channels]
        self.layers = nn.ModuleList(
            Convolution(channels[i], channels[i + 1], kernel, stride=stride, bias=config.conv_bias)
            for i, (kernel, stride) in enumerate(zip(config.kernels, config.strides))
        )
        self.norms = nn.ModuleList()
        if config.conv_norm == "group":
            self.norms.append(ChannelNorm(config.channels[0], config.mask_padding))
        else:
            self.norms.extend(TimeLayerNorm(width) for width in config.channels)
        self.activation = ACTIVATIONS[config.activation]
        last = config.channels[-1]
        self.norm = nn.LayerNorm(last, eps=config.norm_eps) if config.projection_norm else nn.Identity()
        self.projection = Projection(last, context.embedding_size)
        self.dropout = Dropout(config.dropout)
        self.mask_vector = nn.Parameter(torch.empty(context.embedding_size)) if config.mask_vector else None

    def reset_parameters(self) -> None:
        if self.mask_vector is not None and not self.mask_vector.is_meta:
            nn.init.uniform_(self.mask_vector)

    def lengths(self, samples: Tensor) -> list[Tensor]:
        """The number of frames after each convolution, given the number of samples of each recording, (batch,)."""
        found = []
        for kernel, stride in zip(self.config.kernels, self.config.strides):
            samples = (torch.div(samples - kernel, stride, rounding_mode="floor") + 1).clamp(min=0)
            found.append(samples)
        return found

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        values, mask = inputs["input_values"], inputs.get("attention_mask")
        lengths = None if mask is None else self.lengths(mask.sum(dim=1))
        latents = self.norm(self._convolved(values, lengths).transpose(1, 2))
        states = self.dropout(self.projection(latents))
        states = self._masked(states, inputs)
        real = None
        if lengths is not None:
            real = torch.arange(states.shape[1], device=states.device) < lengths[-1][:, None]
        if sequence is not None:
            return sequence.with_states(sequence.states + states)
        return Sequence(states, real, published={"latents": latents})

    def _convolved(self, values: Tensor, lengths: list[Tensor] | None) -> Tensor:
        """Samples (batch, samples) → (batch, channels, frames)."""
        scale = self.config.gradient_scale
        with torch.set_grad_enabled(torch.is_grad_enabled() and scale > 0):
            states = values.unsqueeze(1)
            for number, layer in enumerate(self.layers):
                states = layer(states)
                if number < len(self.norms):
                    states = self.norms[number](states, None if lengths is None else lengths[number])
                states = self.activation(states)
        if states.requires_grad and scale != 1:
            states.register_hook(lambda gradient: gradient * scale)  # type: ignore[no-untyped-call]
        return states

    def _masked(self, states: Tensor, inputs: Inputs) -> Tensor:
        times = inputs.get("mask_time_indices")
        if times is not None:
            if self.mask_vector is None:
                raise TPError("the batch masks frames, but the waveform embedding has mask_vector: false")
            states = torch.where(times.bool().unsqueeze(-1), self.mask_vector.to(states.dtype), states)
        features = inputs.get("mask_feature_indices")
        if features is None and self.training and self.config.mask_feature_prob:
            features = self._drawn_features(states)
        if features is not None:
            states = states.masked_fill(features.bool().unsqueeze(1), 0)
        return states

    def _drawn_features(self, states: Tensor) -> Tensor:
        """A random mask (batch, channels) of spans of channels to zero. Like dropout, it uses torch's generator."""
        batch, _, channels = states.shape
        length = self.config.mask_feature_length
        wanted = self.config.mask_feature_prob * channels / length
        rounding = torch.rand(batch, device=states.device)
        spans = (wanted + rounding).floor().clamp(min=self.config.mask_feature_min_masks)
        # The first `spans` in a random order of all starts: they are distinct, and no loop over samples is needed.
        order = torch.rand(batch, channels - length + 1, device=states.device).argsort(dim=1)
        starts = order.argsort(dim=1) < spans[:, None]
        reach = F.max_pool1d(F.pad(starts.float(), (length - 1, length - 1)), length, stride=1)
        return reach > 0
