"""Random inputs of the original's models, in its words and in those of tp."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from tests.tencentpretrain.shapes import TOKENS
from tp_core.interfaces import Batch
from tp_core.interfaces.batch import Inputs

LENGTHS = [12, 9, 1, 5]


class Drawn(NamedTuple):
    """Inputs of one batch.

    Attributes:
        theirs: the arguments of ``original.features``.
        ours: the batch of tp.
        real: (batch, length) positions whose states are compared; or one for each stream.
    """

    theirs: dict[str, Any]
    ours: Batch
    real: Any


def segments(pairs: bool, lengths: list[int] | None = None) -> Tensor:
    """Segments (batch, 12): 1, and 2 in the second half of a pair; 0 at padding."""
    seg = torch.zeros(len(LENGTHS), 12, dtype=torch.long)
    for row, length in zip(seg, lengths or LENGTHS):
        row[:length] = 1
        if pairs:
            row[length // 2 + 1 : length] = 2
    return seg


def words(seg: Tensor, seed: int) -> Tensor:
    drawn = torch.randint(3, TOKENS, seg.shape, generator=torch.Generator().manual_seed(seed))
    return torch.where(seg > 0, drawn, 0)


def as_inputs(ids: Tensor, seg: Tensor) -> Inputs:
    found = {"input_ids": ids, "attention_mask": seg > 0, "token_type_ids": (seg - 1).clamp(min=0)}
    return {**found, "prefix_lengths": (seg == 1).sum(1)}


def pixels(config: dict[str, Any]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(len(LENGTHS), 3, config["image_height"], config["image_width"], generator=generator)


def drawn(config: dict[str, Any], partial: bool = True) -> Drawn:
    """Inputs for a config.

    Args:
        config: the config.
        partial: True for recordings whose last frames do not fill the strides, which the original leaves out.
    """
    modules = config["embedding"]
    if modules == ["dual"]:
        return _dual(config)
    pairs = "seg" in modules
    seg = segments(pairs)
    theirs: dict[str, Any]
    if "speech" in modules:
        strides = 2 ** len(config["conv_kernel_sizes"])
        frames = torch.randn(
            len(LENGTHS), 12 * strides, config["audio_feature_size"], generator=torch.Generator().manual_seed(1)
        )
        over = torch.tensor([0, 3, 2, 1] if strides == 4 and partial else [0])
        mask = torch.arange(12 * strides) < torch.tensor(LENGTHS)[:, None] * strides + over[:, None]
        theirs, source = {"src": frames, "seg": seg}, {"input_features": frames, "attention_mask": mask}
    elif "word_patch" in modules:
        theirs, source, seg = _words_and_picture(config)
    elif modules[0] in ("patch", "masked_patch"):
        theirs, source, seg = _picture(config)
    else:
        ids = words(seg, 1)
        theirs, source = {"src": ids, "seg": seg}, as_inputs(ids, seg)
    if config.get("decoder") is None:
        return Drawn(theirs, Batch({"": source}, len(LENGTHS)), seg > 0)
    tgt_seg = segments(False, [7, 10, 2, 12])
    tgt = words(tgt_seg, 2)
    batch = Batch({"": source}, len(LENGTHS), as_inputs(tgt, tgt_seg))
    return Drawn({**theirs, "tgt": tgt, "tgt_seg": tgt_seg}, batch, tgt_seg > 0)


def _picture(config: dict[str, Any]) -> tuple[dict[str, Any], Inputs, Tensor]:
    picture = pixels(config)
    count = config["image_height"] * config["image_width"] // config["patch_size"] ** 2
    seg = torch.ones(len(LENGTHS), count + 1, dtype=torch.long)
    if config["embedding"][0] == "patch":
        return {"src": picture, "seg": seg}, {"pixel_values": picture}, seg
    masked = torch.rand(len(LENGTHS), count, generator=torch.Generator().manual_seed(4)) < 0.3
    whole = torch.cat([torch.zeros(len(LENGTHS), 1, dtype=torch.bool), masked], dim=1)
    return {"src": (picture, whole), "seg": seg}, {"pixel_values": picture, "bool_masked_pos": masked}, seg


def _words_and_picture(config: dict[str, Any]) -> tuple[dict[str, Any], Inputs, Tensor]:
    picture, text = pixels(config), segments(False)
    count = config["image_height"] * config["image_width"] // config["patch_size"] ** 2
    ids = words(text, 1)
    seg = torch.cat([text, torch.full((len(LENGTHS), count + 1), 2)], dim=1)
    source = {"input_ids": ids, "attention_mask": text > 0, "pixel_values": picture}
    return {"src": (ids, picture), "seg": seg}, source, seg


def _dual(config: dict[str, Any]) -> Drawn:
    src, segs, source = [], [], {}
    names = ["text", "image"] if "patch" in config["stream_1"]["embedding"] else ["first", "second"]
    for number, name in enumerate(names):
        side = {**config, **config[f"stream_{number}"]}
        if name == "image":
            theirs, own, seg = _picture(side)
            src.append(theirs["src"])
        else:
            seg = segments("seg" in side["embedding"], LENGTHS if number == 0 else [4, 12, 6, 2])
            src.append(words(seg, number))
            own = as_inputs(src[-1], seg)
        segs.append(seg)
        source[name] = own
    return Drawn({"src": src, "seg": segs}, Batch(source, len(LENGTHS)), [seg > 0 for seg in segs])
