"""The networks of VQGAN (Esser et al., 2021), with the parameter names of published weights."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tp_vision.visual_tokenizers.architecture import GROUPS, Architecture, Convolutions

#: Number of patches whose distances to all codes are computed at a time.
_CHUNK = 4096


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class Block(nn.Module):
    """Residual block: norm, swish and a 3 x 3 convolution, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = _norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nin_shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, states: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(states)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        added: Tensor = self.nin_shortcut(states) + inner
        return added


class Attention(nn.Module):
    """Self-attention over all positions of a picture, with one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, states: Tensor) -> Tensor:
        normed = self.norm(states)
        query, key, value = (layer(normed).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        found = F.scaled_dot_product_attention(query, key, value)
        added: Tensor = states + self.proj_out(found.transpose(1, 2).reshape(states.shape))
        return added


class Halving(nn.Module):
    """A convolution of stride 2, with padding on the right and at the bottom only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, states: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(states, (0, 1, 0, 1)))
        return halved


class Doubling(nn.Module):
    """Nearest-neighbour upsampling by 2, followed by a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, states: Tensor) -> Tensor:
        doubled: Tensor = self.conv(F.interpolate(states, scale_factor=2.0, mode="nearest"))
        return doubled


class Level(nn.Module):
    """Blocks at one resolution, followed by the change to the next resolution.

    Args:
        widths: channels before the first block and after each block.
        attends: True if attention follows each block.
    """

    def __init__(self, widths: list[int], attends: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(Block(*each) for each in pairwise(widths))
        self.attn = nn.ModuleList(Attention(width) for width in widths[1:] if attends)
        self.downsample: nn.Module = nn.Identity()
        self.upsample: nn.Module = nn.Identity()

    def forward(self, states: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            states = block(states)
            if self.attn:
                states = self.attn[number](states)
        scaled: Tensor = self.upsample(self.downsample(states))
        return scaled


class Middle(nn.Module):
    """Block, attention and block at the smallest resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.attn_1, self.block_2 = (
            Block(channels, channels),
            Attention(channels),
            Block(channels, channels),
        )

    def forward(self, states: Tensor) -> Tensor:
        passed: Tensor = self.block_2(self.attn_1(self.block_1(states)))
        return passed


class Encoder(nn.Module):
    """Pictures (batch, in_channels, height, width) → (batch, z_channels, rows, columns)."""

    def __init__(self, sizes: Convolutions) -> None:
        super().__init__()
        widths = [sizes.ch * factor for factor in sizes.ch_mult]
        self.conv_in = nn.Conv2d(sizes.in_channels, sizes.ch, 3, padding=1)
        self.down = nn.ModuleList()
        for number, (before, width) in enumerate(pairwise([sizes.ch, *widths])):
            attends = sizes.resolution // 2**number in sizes.attn_resolutions
            level = Level([before, *[width] * sizes.num_res_blocks], attends)
            if number < len(widths) - 1:
                level.downsample = Halving(width)
            self.down.append(level)
        self.mid, self.norm_out = Middle(widths[-1]), _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], sizes.z_channels, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        states = self.conv_in(pictures)
        for level in self.down:
            states = level(states)
        found: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(states))))
        return found


class Decoder(nn.Module):
    """(batch, z_channels, rows, columns) → pictures (batch, out_ch, height, width)."""

    def __init__(self, sizes: Convolutions) -> None:
        super().__init__()
        widths = [sizes.ch * factor for factor in sizes.ch_mult]
        self.conv_in = nn.Conv2d(sizes.z_channels, widths[-1], 3, padding=1)
        self.mid, self.up = Middle(widths[-1]), nn.ModuleList()
        for number, (width, before) in enumerate(pairwise([*widths, widths[-1]])):
            attends = sizes.resolution // 2**number in sizes.attn_resolutions
            level = Level([before, *[width] * (sizes.num_res_blocks + 1)], attends)
            if number > 0:
                level.upsample = Doubling(width)
            self.up.append(level)
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], sizes.out_ch or sizes.in_channels, 3, padding=1)

    def forward(self, states: Tensor) -> Tensor:
        states = self.mid(self.conv_in(states))
        for level in reversed(self.up):
            states = level(states)
        pictures: Tensor = self.conv_out(F.silu(self.norm_out(states)))
        return pictures


class NearestCodes(nn.Module):
    """Codebook in which the token of a state is the nearest code."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, width)

    def tokens(self, states: Tensor) -> Tensor:
        """(batch, width, rows, columns) → (batch, rows, columns)."""
        codes, places = self.embedding.weight, states.permute(0, 2, 3, 1)
        lengths = codes.square().sum(dim=1)
        parts = torch.split(
            places.flatten(0, 2), _CHUNK
        )  # the distances of all patches at once would need too much memory
        return torch.cat([(lengths - 2 * part @ codes.T).argmin(dim=1) for part in parts]).view(places.shape[:-1])

    def codes(self, tokens: Tensor) -> Tensor:
        """(batch, rows, columns) → (batch, rows, columns, width)."""
        return F.embedding(tokens, self.embedding.weight)


class ScoredCodes(nn.Module):
    """Codebook in which the token of a state has the largest score; trained with Gumbel-softmax."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.proj, self.embed = nn.Conv2d(width, count, 1), nn.Embedding(count, width)

    def tokens(self, states: Tensor) -> Tensor:
        """(batch, width, rows, columns) → (batch, rows, columns)."""
        scores: Tensor = self.proj(states)
        return scores.argmax(dim=1)

    def codes(self, tokens: Tensor) -> Tensor:
        """(batch, rows, columns) → (batch, rows, columns, width)."""
        return F.embedding(tokens, self.embed.weight)


class Network(nn.Module):
    """Pictures ↔ tokens."""

    def __init__(self, sizes: Architecture) -> None:
        super().__init__()
        inner, width = sizes.convolutions.z_channels, sizes.embed_dim
        self.encoder, self.decoder = Encoder(sizes.convolutions), Decoder(sizes.convolutions)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(inner, width, 1), nn.Conv2d(width, inner, 1)
        self.quantize = (ScoredCodes if sizes.scored else NearestCodes)(sizes.n_embed, width)

    def tokens(self, pictures: Tensor) -> Tensor:
        """Pictures (batch, in_channels, height, width) in [-1, 1] → (batch, rows, columns), int64."""
        return self.quantize.tokens(self.quant_conv(self.encoder(pictures)))

    def pictures(self, tokens: Tensor) -> Tensor:
        """(batch, rows, columns) → pictures (batch, out_ch, height, width), approximately in [-1, 1]."""
        codes = self.quantize.codes(tokens).permute(0, 3, 1, 2)
        found: Tensor = self.decoder(self.post_quant_conv(codes))
        return found
