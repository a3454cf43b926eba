"""The text presets: they load, they say what they are, and they have the sizes of the published models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.meta import on_meta
from tp_core.discovery import index
from tp_core.model import meta_model
from tp_core.spec.load import load_spec
from tp_text import presets

FOLDER = Path(presets.__file__).parent
DECLARED = [entry.name for entry in index().entries("presets") if entry.distribution == "tp-text"]


def bert(layers: int, hidden: int, heads: int) -> Any:
    from transformers import BertConfig, BertForPreTraining

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    return on_meta(BertForPreTraining, BertConfig(**sizes, intermediate_size=4 * hidden))


def roberta(layers: int, hidden: int, heads: int) -> Any:
    from transformers import RobertaConfig, RobertaForMaskedLM

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    more = {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1}
    return on_meta(RobertaForMaskedLM, RobertaConfig(**sizes, **more, intermediate_size=4 * hidden))


def modernbert(inner: int) -> Callable[[int, int, int], Any]:
    def make(layers: int, hidden: int, heads: int) -> Any:
        from transformers import ModernBertConfig, ModernBertForMaskedLM

        sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
        return on_meta(ModernBertForMaskedLM, ModernBertConfig(**sizes, intermediate_size=inner))

    return make


def gpt2(layers: int, hidden: int, heads: int) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return on_meta(GPT2LMHeadModel, GPT2Config(n_layer=layers, n_embd=hidden, n_head=heads))


def albert(layers: int, hidden: int, heads: int) -> Any:
    from transformers import AlbertConfig, AlbertForPreTraining

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    return on_meta(AlbertForPreTraining, AlbertConfig(**sizes, intermediate_size=4 * hidden, embedding_size=128))


def xlm_roberta(layers: int, hidden: int, heads: int) -> Any:
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    more = {"vocab_size": 250002, "max_position_embeddings": 514, "type_vocab_size": 1}
    return on_meta(XLMRobertaForMaskedLM, XLMRobertaConfig(**sizes, **more, intermediate_size=4 * hidden))


def distilbert(layers: int, hidden: int, heads: int) -> Any:
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    return on_meta(
        DistilBertForMaskedLM, DistilBertConfig(n_layers=layers, dim=hidden, n_heads=heads, hidden_dim=4 * hidden)
    )


def llama(inner: int, vocabulary: int = 32000, groups: int | None = None) -> Callable[[int, int, int], Any]:
    def make(layers: int, hidden: int, heads: int) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM

        sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
        more = {"vocab_size": vocabulary, "num_key_value_heads": groups, "intermediate_size": inner}
        return on_meta(LlamaForCausalLM, LlamaConfig(**sizes, **more))

    return make


def qwen3(inner: int, **more: Any) -> Callable[[int, int, int], Any]:
    def make(layers: int, hidden: int, heads: int) -> Any:
        from transformers import Qwen3Config, Qwen3ForCausalLM

        sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
        return on_meta(Qwen3ForCausalLM, Qwen3Config(**sizes, intermediate_size=inner, num_key_value_heads=8, **more))

    return make


def gemma(version: int, inner: int, groups: int, **more: Any) -> Callable[[int, int, int], Any]:
    def make(layers: int, hidden: int, heads: int) -> Any:
        import transformers

        kind = transformers.Gemma2ForCausalLM if version == 2 else transformers.Gemma3ForCausalLM
        sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
        more_sizes = {"num_key_value_heads": groups, "intermediate_size": inner, **more}
        return on_meta(kind, kind.config_class(**sizes, **more_sizes))

    return make


def bloom(layers: int, hidden: int, heads: int) -> Any:
    from transformers import BloomConfig, BloomForCausalLM

    return on_meta(BloomForCausalLM, BloomConfig(vocab_size=250880, hidden_size=hidden, n_layer=layers, n_head=heads))


def t5(inner: int, head: int = 64, **more: Any) -> Callable[[int, int, int], Any]:
    def make(layers: int, hidden: int, heads: int) -> Any:
        from transformers import T5Config, T5ForConditionalGeneration

        sizes = {"num_layers": layers, "d_model": hidden, "num_heads": heads, "d_kv": head, "d_ff": inner}
        return on_meta(T5ForConditionalGeneration, T5Config(**sizes, **more))

    return make


def fnet(layers: int, hidden: int, _: int) -> Any:
    from transformers import FNetConfig, FNetForPreTraining

    sizes = {"num_hidden_layers": layers, "hidden_size": hidden}
    return on_meta(FNetForPreTraining, FNetConfig(**sizes, intermediate_size=4 * hidden))


V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}


def bart(layers: int, hidden: int, heads: int) -> Any:
    from transformers import BartConfig, BartForConditionalGeneration

    sides = {
        f"{side}_{what}": value
        for side in ("encoder", "decoder")
        for what, value in (("layers", layers), ("attention_heads", heads), ("ffn_dim", 4 * hidden))
    }
    return on_meta(BartForConditionalGeneration, BartConfig(d_model=hidden, vocab_size=50265, **sides))


def pegasus(layers: int, hidden: int, heads: int) -> Any:
    from transformers import PegasusConfig, PegasusForConditionalGeneration

    sides = {
        f"{side}_{what}": value
        for side in ("encoder", "decoder")
        for what, value in (("layers", layers), ("attention_heads", heads), ("ffn_dim", 4 * hidden))
    }
    return on_meta(PegasusForConditionalGeneration, PegasusConfig(d_model=hidden, vocab_size=96103, **sides))


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
    "modernbert-base": (modernbert(1152), 22, 768, 12),
    "modernbert-large": (modernbert(2624), 28, 1024, 16),
    "gpt2": (gpt2, 12, 768, 12),
    "gpt2-medium": (gpt2, 24, 1024, 16),
    "gpt2-large": (gpt2, 36, 1280, 20),
    "gpt2-xl": (gpt2, 48, 1600, 25),
    "albert-base": (albert, 12, 768, 12),
    "albert-large": (albert, 24, 1024, 16),
    "albert-xlarge": (albert, 24, 2048, 16),
    "albert-xxlarge": (albert, 12, 4096, 64),
    "xlm-roberta-base": (xlm_roberta, 12, 768, 12),
    "xlm-roberta-large": (xlm_roberta, 24, 1024, 16),
    "fnet-base": (fnet, 12, 768, 12),
    "fnet-large": (fnet, 24, 1024, 12),
    "distilbert-base": (distilbert, 6, 768, 12),
    "realformer-base": (bert, 12, 768, 12),
    "llama-7b": (llama(11008), 32, 4096, 32),
    "llama-2-7b": (llama(11008), 32, 4096, 32),
    "llama-2-13b": (llama(13824), 40, 5120, 40),
    "llama-2-70b": (llama(28672, groups=8), 80, 8192, 64),
    "mistral-7b": (llama(14336, 32768, groups=8), 32, 4096, 32),
    "llama-3.1-8b": (llama(14336, 128256, groups=8), 32, 4096, 32),
    "qwen3-0.6b": (qwen3(3072, tie_word_embeddings=True), 28, 1024, 16),
    "qwen3-8b": (qwen3(12288), 36, 4096, 32),
    "gemma-2-2b": (gemma(2, 9216, 4), 26, 2304, 8),
    "gemma-2-9b": (gemma(2, 14336, 8), 42, 3584, 16),
    "gemma-3-1b": (gemma(3, 6912, 1, vocab_size=262144), 26, 1152, 4),
    "bloom-560m": (bloom, 24, 1024, 16),
    "bloom-7b1": (bloom, 30, 4096, 32),
    "t5-small": (t5(2048), 6, 512, 8),
    "t5-base": (t5(3072), 12, 768, 12),
    "t5-large": (t5(4096), 24, 1024, 16),
    "t5-3b": (t5(16384, head=128), 24, 1024, 32),
    "t5-v1.1-small": (t5(1024, **V1_1), 8, 512, 6),
    "t5-v1.1-base": (t5(2048, **V1_1), 12, 768, 12),
    "t5-v1.1-large": (t5(2816, **V1_1), 24, 1024, 16),
    "t5-v1.1-xl": (t5(5120, **V1_1), 24, 2048, 32),
    "bart-base": (bart, 6, 768, 12),
    "bart-large": (bart, 12, 1024, 16),
    "pegasus-base": (pegasus, 12, 768, 12),
    "pegasus-large": (pegasus, 16, 1024, 16),
}

#: Presets of models that Hugging Face does not have, with the size of their body: all parameters but the rows of
#: vocabularies, counted by hand from the sizes in the papers.
LSTM = lambda inputs, size: 4 * size * (inputs + size + 2)  # noqa: E731
GRU = lambda inputs, size: 3 * size * (inputs + size + 2)  # noqa: E731
LAYER = lambda size: 12 * size**2 + 13 * size  # noqa: E731  attention, feed-forward of 4 × size, two norms
CROSS = lambda size: 4 * size**2 + 6 * size  # noqa: E731  attention to the encoder, one norm
BERT = 514 * 768 + 2 * 768 + 12 * LAYER(768)  # positions, segments and norm of the embedding; layers
OWN = {
    # each direction: cells of 4096 projected to 512
    "elmo": 2 * 2 * (4 * 4096 * (512 + 512 + 2) + 4096 * 512),
    "infersent": 2 * LSTM(300, 2048),
    "word2vec": 0,
    "ngram2vec": 0,
    "quick-thoughts": 2 * 2 * GRU(620, 1200),
    "ernie-2.0-base": BERT + 3 * 768,
    "unilm-base": BERT,
    "transformer-base": 12 * LAYER(512) + 6 * CROSS(512),
    "transformer-big": 12 * LAYER(1024) + 6 * CROSS(1024),
    "sbert-base": BERT,
    "simcse-base": BERT,
    "siamese-lstm": LSTM(300, 50),
    "cove": None,
    "gatedcnn": None,
    "textcnn": 3 * 100 + (3 + 4 + 5) * 300 * 100,
}

#: What a RoBERTa of Hugging Face has beyond ours: the one row of its segment table, which is always added.
SURPLUS = {"roberta-base": 768, "roberta-large": 1024, "xlm-roberta-base": 768, "xlm-roberta-large": 1024}
# Hugging Face ties the output matrix of every T5; version 1.1 has one of its own.
SURPLUS |= {f"t5-v1.1-{name}": -32128 * n for name, n in {"small": 512, "base": 768, "large": 1024, "xl": 2048}.items()}


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_declared_preset_has_a_file_and_a_published_size_and_no_file_is_forgotten() -> None:
    assert DECLARED == sorted([*PUBLISHED, *OWN]) == sorted(file.stem for file in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", DECLARED)
def test_a_preset_begins_with_a_description_that_names_its_paper(name: str) -> None:
    first = (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ")
    assert re.search(r"\(.+, (19|20)\d\d", first)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_preset_has_as_many_parameters_as_the_published_model(name: str) -> None:
    pytest.importorskip("transformers")
    spec = load_spec(name)
    make, layers, hidden, heads = PUBLISHED[name]
    reference = make(layers, hidden, heads)
    reference.tie_weights()
    # Tables of sine and cosine are parameters there, which nobody trains.
    fixed = sum(p.numel() for n, p in reference.named_parameters() if "pegasus" in name and "embed_positions" in n)
    assert count(meta_model(spec)) + SURPLUS.get(name, 0) == count(reference) - fixed
    encoder = spec.model.streams[""].encoder.config.model_dump()
    assert (encoder["num_layers"], encoder["hidden_size"], encoder["num_heads"]) == (layers, hidden, heads)


@pytest.mark.parametrize("name", [name for name, size in OWN.items() if size is not None])
def test_a_preset_without_a_published_checkpoint_has_the_size_that_its_paper_gives(name: str) -> None:
    model = meta_model(load_spec(name))
    body = [p for n, p in model.named_parameters() if not n.startswith("targets.") and "word" not in n]
    assert sum(p.numel() for p in body) == OWN[name]


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
