"""Small models of raw waveforms, ours and those of ``transformers``, for the tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

import tp_core
from tests.building import randomised
from tp_core import Model, load_model

RATE = 16000
SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "conv_dim": (16, 16, 20),
    "conv_stride": (5, 2, 2),
    "conv_kernel": (10, 3, 3),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 17,
}
QUANTISER: dict[str, Any] = {"num_codevectors_per_group": 8, "codevector_dim": 12, "proj_codevector_dim": 10}
GROUP: dict[str, Any] = {"feat_extract_norm": "group"}
LAYER: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
BUCKETS: dict[str, Any] = {"num_buckets": 16, "max_bucket_distance": 20}


def reference(cls: str, **config: Any) -> Any:
    """A model of ``transformers`` with random weights."""
    import transformers

    logging: Any = transformers.utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kind = getattr(transformers, cls)
    model = randomised(kind(kind.config_class(attn_implementation="eager", **{**SIZES, **config})), std=0.15).eval()
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 1.5)
    return model


def converted(theirs: Any, folder: Path) -> Model:
    """The model of ours that a model of ``transformers`` is converted to."""
    theirs.save_pretrained(folder / "theirs")
    return load_model(tp_core.convert("huggingface", folder / "theirs", "tp", folder / "ours"), "cpu").model


def waves(lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise (batch, longest) and its mask; behind the ends, noise as well."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(seed))
    return values, (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def encoded(samples: Any, rate: int = RATE) -> bytes:
    """A WAV file."""
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, dtype=np.float32), rate, format="WAV")
    return file.getvalue()


def tone(frequency: float, seconds: float = 0.5, rate: int = RATE) -> Any:
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def melodies(count: int, seed: int = 0) -> list[tuple[Any, list[int]]]:
    """Recordings of a second, four tones of twelve one after another with some noise; and which tones."""
    draw = np.random.default_rng(seed)
    scale = 300 * 2 ** (np.arange(12) / 4)
    made = []
    for _ in range(count):
        chosen = draw.integers(12, size=4).tolist()
        parts = [tone(scale[number], 0.25) for number in chosen]
        made.append((np.concatenate(parts) + 0.01 * draw.standard_normal(RATE), chosen))
    return made
