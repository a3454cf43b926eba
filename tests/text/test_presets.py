"""The text presets: they load, they say what they are, and they have the sizes of the published models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tp_core.discovery import index
from tp_core.model import meta_model
from tp_core.spec.load import load_spec
from tp_text import presets

FOLDER = Path(presets.__file__).parent
DECLARED = [entry.name for entry in index().entries("presets") if entry.distribution == "tp-text"]


def bert(layers: int, hidden: int, heads: int) -> Any:
    from transformers import BertConfig, BertForPreTraining

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    return BertForPreTraining(BertConfig(**sizes, intermediate_size=4 * hidden))


def roberta(layers: int, hidden: int, heads: int) -> Any:
    from transformers import RobertaConfig, RobertaForMaskedLM

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    more = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
    return RobertaForMaskedLM(RobertaConfig(**sizes, **more, intermediate_size=4 * hidden))


def gpt2(layers: int, hidden: int, heads: int) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(n_layer=layers, n_embd=hidden, n_head=heads))


def albert(layers: int, hidden: int, heads: int) -> Any:
    from transformers import AlbertConfig, AlbertForPreTraining

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    return AlbertForPreTraining(AlbertConfig(**sizes, intermediate_size=4 * hidden, embedding_size=128))


#: Layers, width and heads as the papers and the published checkpoints have them.
PUBLISHED: dict[str, tuple[Callable[[int, int, int], Any], int, int, int]] = {
    "bert-tiny": (bert, 2, 128, 2),
    "bert-mini": (bert, 4, 256, 4),
    "bert-small": (bert, 4, 512, 8),
    "bert-medium": (bert, 8, 512, 8),
    "bert-base": (bert, 12, 768, 12),
    "bert-large": (bert, 24, 1024, 16),
    "roberta-base": (roberta, 12, 768, 12),
    "roberta-large": (roberta, 24, 1024, 16),
    "gpt2": (gpt2, 12, 768, 12),
    "gpt2-medium": (gpt2, 24, 1024, 16),
    "gpt2-large": (gpt2, 36, 1280, 20),
    "gpt2-xl": (gpt2, 48, 1600, 25),
    "albert-base": (albert, 12, 768, 12),
    "albert-large": (albert, 24, 1024, 16),
    "albert-xlarge": (albert, 24, 2048, 16),
    "albert-xxlarge": (albert, 12, 4096, 64),
}

#: What a RoBERTa of Hugging Face has beyond ours: the one row of its segment table, which is always added.
SURPLUS = {"roberta-base": 768, "roberta-large": 1024}


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_declared_preset_has_a_file_and_a_published_size_and_no_file_is_forgotten() -> None:
    assert DECLARED == sorted(PUBLISHED) == sorted(file.stem for file in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", DECLARED)
def test_a_preset_begins_with_a_description_that_names_its_paper(name: str) -> None:
    first = (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ")
    assert "et al., 20" in first


@pytest.mark.parametrize("name", DECLARED)
def test_a_preset_has_as_many_parameters_as_the_published_model(name: str) -> None:
    pytest.importorskip("transformers")
    spec = load_spec(name)
    make, layers, hidden, heads = PUBLISHED[name]
    with torch.device("meta"):
        reference = make(layers, hidden, heads)
    reference.tie_weights()
    assert count(meta_model(spec)) + SURPLUS.get(name, 0) == count(reference)
    encoder = spec.model.streams[""].encoder.config.model_dump()
    assert (encoder["num_layers"], encoder["hidden_size"], encoder["num_heads"]) == (layers, hidden, heads)


@pytest.mark.parametrize(
    ("name", "processor", "length"),
    [
        ("bert-large", "bert", 128),
        ("roberta-large", "mlm", 512),
        ("gpt2-xl", "lm", 1024),
        ("albert-large", "bert", 512),
    ],
)
def test_a_preset_names_the_processor_of_its_paper(name: str, processor: str, length: int) -> None:
    chosen = load_spec(name).data.processor
    assert chosen is not None
    assert (chosen.name, chosen.config.sequence_length()) == (processor, length)


def test_albert_predicts_the_order_of_sentences_and_bert_the_next_one() -> None:
    tasks = {}
    for name in ("albert-xxlarge", "bert-tiny"):
        chosen = load_spec(name).data.processor
        assert chosen is not None
        tasks[name] = chosen.config.model_dump()["sentence_task"]
    assert tasks == {"albert-xxlarge": "order", "bert-tiny": "next"}


def test_bert_takes_its_vocabulary_from_the_tokenizer_and_gpt2_has_its_own() -> None:
    assert load_spec("bert-base").model.options.vocab_size is None
    assert load_spec("gpt2-large").model.vocab_size == 50257


def test_another_encoder_drops_what_the_preset_chose_for_the_transformer() -> None:
    spec = load_spec("bert-base", ["model.encoder={transformer: {num_layers: 2}}", "model.hidden_size=96"])
    assert count(meta_model(spec)) < 10_000_000
