"""Keys that converters pass over as irrelevant do not change what transformers computes."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import randomised, worst
from tests.core.test_converter_keys import converters, others, read
from tp_core.interop.config_json import load_converter

transformers = pytest.importorskip("transformers")

#: It asks transformers about every key of every architecture, which changes with its releases only.
pytestmark = pytest.mark.slow
transformers.logging.set_verbosity_error()

TEXT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 37}
SIDES = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "vocab_size": 37,
}
IMAGE = {**TEXT, "image_size": 8, "patch_size": 4}
SOUND = {**TEXT, "conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_conv_pos_embeddings": 6}
SOUND |= {"num_conv_pos_embedding_groups": 2}
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("bert", "visual_bert"), TEXT),
    "fnet": {**TEXT, "tpu_short_seq_length": 4},  # it asks for texts of this length with use_tpu_fourier_optimizations
    **{name: {**TEXT, "pad_token_id": 1} for name in ("roberta", "xlm-roberta")},
    "albert": {**TEXT, "embedding_size": 8},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "vocab_size": 37},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 37},
    **{name: {**TEXT, "head_dim": 8, "num_key_value_heads": 1} for name in ("gemma2", "gemma3_text")},
    "llama": {**TEXT, "num_key_value_heads": 2},
    "mistral": {**TEXT, "num_key_value_heads": 2},
    "bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2, "vocab_size": 37},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 37},
    "bart": SIDES,
    "pegasus": SIDES,
    "speech_to_text": {**SIDES, "conv_channels": 12, "input_feat_per_channel": 5},
    **dict.fromkeys(("vit", "deit", "beit", "vilt"), IMAGE),
    "vit_mae": {**IMAGE, "mask_ratio": 0.0},
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm"), SOUND),
    "wav2vec2-conformer": {**SOUND, "conv_depthwise_kernel_size": 5},
    "clip": {
        "text_config": {**TEXT, "eos_token_id": 36},
        "vision_config": {key: value for key, value in IMAGE.items() if key != "vocab_size"},
        "projection_dim": 8,
    },
}
INPUTS = {
    "input_ids": torch.tensor([[5, 4, 9, 36]]),
    "decoder_input_ids": torch.tensor([[2, 7, 8]]),
    "pixel_values": torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
    "input_values": torch.randn(1, 400, generator=torch.Generator().manual_seed(1)),
    "input_features": torch.randn(1, 20, 5, generator=torch.Generator().manual_seed(2)),
    "noise": torch.tensor([[0.1, 0.2, 0.3, 0.4]]),
}
#: The class itself, what heads read, the form of outputs, and the size of parts, which must divide each length.
NOT_TRIED = {"model_type", "problem_type", "return_dict", "chunk_size_feed_forward"}
#: Of a pooler beside the states, which no head that we convert reads.
UNCONVERTED = ("pooler_output",)


def made(name: str, config: dict[str, Any]) -> Any:
    kind = transformers.AutoConfig.for_model(name, **config)
    kind._attn_implementation = "eager"
    return transformers.AutoModel.from_config(kind).eval()


def outputs(model: Any) -> dict[str, Tensor]:
    asked = inspect.signature(model.forward).parameters
    torch.manual_seed(0)
    with torch.no_grad():
        found = model(**{key: value for key, value in INPUTS.items() if key in asked})
    return {key: value for key, value in found.items() if isinstance(value, Tensor) and key not in UNCONVERTED}


@pytest.mark.parametrize("name", converters())
def test_no_irrelevant_key_changes_what_transformers_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "multinomial", lambda weights, count, **_: torch.arange(int(count)))  # ViLT shuffles
    usual = json.loads(json.dumps(SMALL[name]))
    model = randomised(made(name, usual), std=0.15)
    expected = outputs(model)
    assert expected
    every = json.loads(model.config.to_json_string(use_diff=False))
    del every["model_type"]
    tried = 0
    architecture = list(load_converter(name).architectures)[-1]
    verdicts = read(name, architecture, every).account.verdicts
    idle = [key for key, verdict in verdicts.items() if verdict.kind == "irrelevant" and key in every]
    assert set(idle) >= load_converter(name).irrelevant & every.keys()
    for key in sorted({*idle} - NOT_TRIED):
        for value in others(every[key]):
            try:
                other = made(name, {**every, key: value})
            except Exception:  # a value that transformers refuses cannot be in a checkpoint
                continue
            fitting = {k: v for k, v in model.state_dict().items() if v.shape == other.state_dict().get(k, v).shape}
            missing, _ = other.load_state_dict(fitting, strict=False)
            assert all("pool" in each or "dft_mat" in each for each in missing), (key, value, missing)
            tried += 1
            for what, found in outputs(other).items():
                assert worst(found, expected[what]) < 1e-5, (key, value, what)
    assert tried
