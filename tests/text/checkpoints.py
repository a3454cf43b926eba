"""Small models of ``transformers`` with random weights, and what they compute, for the tests of the converters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.building import batch_of, mask_of, positions_of, randomised, tokens
from tests.text.parity import masked_labels, next_labels
from tp_core.interfaces import IGNORE, Batch

VOCABULARY = 37

#: (real lengths of the samples, hidden size, heads, layers)
SHAPES = [([9, 4, 1], 24, 4, 2), ([1], 16, 2, 1), ([21, 21, 13, 20], 48, 6, 3)]


@dataclass(frozen=True)
class Case:
    """A class of ``transformers`` and the sizes of a small model of it.

    Attributes:
        sizes: (hidden size, heads, layers) → keys of the config.
        kind: which inputs and labels it has.
        segments: whether it reads ``token_type_ids``.
        left: whether padding may stand on the left, with positions that count the real tokens.
    """

    cls: str
    model_type: str
    sizes: Callable[[int, int, int], dict[str, Any]]
    kind: str
    segments: bool = False
    left: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.cls}{''.join(f'-{key}={value}' for key, value in self.more.items())}"


def bert_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 3 * hidden,
        "max_position_embeddings": 32,
    }


def roberta_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    sizes = bert_sizes(hidden, heads, layers)
    return sizes | {"max_position_embeddings": 34, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}


def modernbert_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    sizes = bert_sizes(hidden, heads, layers)
    return sizes | {"local_attention": 8, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}


def albert_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return bert_sizes(hidden, heads, layers) | {"embedding_size": 12}


def distilbert_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    sizes = {"dim": hidden, "n_layers": layers, "n_heads": heads, "hidden_dim": 3 * hidden}
    return {**sizes, "max_position_embeddings": 32}


def gpt2_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {"n_embd": hidden, "n_layer": layers, "n_head": heads, "n_positions": 32}


def llama_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "intermediate_size": 40,
        "max_position_embeddings": 32,
    }


def bloom_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {"hidden_size": hidden, "n_layer": layers, "n_head": heads}


def fnet_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    sizes = bert_sizes(hidden, heads, layers)
    return {key: value for key, value in sizes.items() if "attention" not in key}


def t5_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "d_model": hidden,
        "d_kv": 6,
        "d_ff": 40,
        "num_layers": layers,
        "num_decoder_layers": layers + 1,
        "num_heads": heads,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 12,
    }


def bart_sizes(hidden: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "d_model": hidden,
        "encoder_layers": layers,
        "decoder_layers": layers + 1,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads // 2,
        "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 56,
        "max_position_embeddings": 32,
    }


def causal(cls: str, model_type: str, sizes: Callable[[int, int, int], dict[str, Any]], **more: Any) -> Case:
    return Case(cls, model_type, sizes, "lm", left=True, more=more)


def labelled(cls: str, model_type: str, sizes: Callable[[int, int, int], dict[str, Any]], **more: Any) -> list[Case]:
    """A class with the head of a multi-label classifier, and that of a regression."""
    segments = model_type in ("bert", "albert", "fnet")
    multi = {"problem_type": "multi_label_classification", "num_labels": 4, **more}
    cases = [Case(cls, model_type, sizes, "multi_label", segments, more=multi)]
    return [*cases, Case(cls, model_type, sizes, "regression", segments, more={"num_labels": 1, **more})]


#: T5 v1.1: gated, and with an output matrix of its own.
V1_1 = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}

#: Short texts are beyond the length of the training before the scaling, so that all frequencies differ.
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 3.0,
    "original_max_position_embeddings": 10,
}

#: A window in all layers but the first.
NARROW_BEHIND = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}

CASES = [
    Case("BertForPreTraining", "bert", bert_sizes, "pretraining", segments=True),
    Case("BertForPreTraining", "bert", bert_sizes, "pretraining", more={"type_vocab_size": 1}),
    Case("BertForMaskedLM", "bert", bert_sizes, "mlm", segments=True, more={"hidden_act": "relu"}),
    Case("BertForMaskedLM", "bert", bert_sizes, "mlm", segments=True, more={"tie_word_embeddings": False}),
    Case("BertForNextSentencePrediction", "bert", bert_sizes, "nsp", segments=True),
    Case("BertForSequenceClassification", "bert", bert_sizes, "cls", segments=True, more={"num_labels": 3}),
    Case("BertForQuestionAnswering", "bert", bert_sizes, "qa", segments=True),
    Case("BertForTokenClassification", "bert", bert_sizes, "tokens", segments=True, more={"num_labels": 5}),
    Case("RobertaForTokenClassification", "roberta", roberta_sizes, "tokens", more={"classifier_dropout": 0.3}),
    Case("XLMRobertaForTokenClassification", "xlm-roberta", roberta_sizes, "tokens", more={"num_labels": 3}),
    Case("AlbertForTokenClassification", "albert", albert_sizes, "tokens", segments=True),
    Case("DistilBertForTokenClassification", "distilbert", distilbert_sizes, "tokens", more={"num_labels": 3}),
    Case("FNetForTokenClassification", "fnet", fnet_sizes, "tokens", segments=True),
    Case("BertForMultipleChoice", "bert", bert_sizes, "choice", segments=True, more={"classifier_dropout": 0.3}),
    Case("BertModel", "bert", bert_sizes, "states", segments=True),
    Case("RobertaForMaskedLM", "roberta", roberta_sizes, "mlm"),
    Case("RobertaForMaskedLM", "roberta", roberta_sizes, "mlm", segments=True, more={"type_vocab_size": 2}),
    Case("RobertaForSequenceClassification", "roberta", roberta_sizes, "cls", more={"num_labels": 4}),
    Case("RobertaForQuestionAnswering", "roberta", roberta_sizes, "qa"),
    Case("XLMRobertaForQuestionAnswering", "xlm-roberta", roberta_sizes, "qa"),
    Case("RobertaForMultipleChoice", "roberta", roberta_sizes, "choice"),
    Case("XLMRobertaForMultipleChoice", "xlm-roberta", roberta_sizes, "choice"),
    Case("XLMRobertaForMaskedLM", "xlm-roberta", roberta_sizes, "mlm", more={"pad_token_id": 2}),
    Case("ModernBertForMaskedLM", "modernbert", modernbert_sizes, "mlm"),
    Case("ModernBertForMaskedLM", "modernbert", modernbert_sizes, "mlm", more={"tie_word_embeddings": False}),
    Case("ModernBertModel", "modernbert", modernbert_sizes, "states"),
    Case("AlbertForPreTraining", "albert", albert_sizes, "sop", segments=True),
    Case("AlbertForMaskedLM", "albert", albert_sizes, "mlm", segments=True),
    Case("AlbertForMaskedLM", "albert", bert_sizes, "mlm", segments=True, more={"embedding_size": 24}),
    Case("AlbertForSequenceClassification", "albert", albert_sizes, "cls", segments=True),
    Case("AlbertForQuestionAnswering", "albert", albert_sizes, "qa", segments=True),
    Case("DistilBertForQuestionAnswering", "distilbert", distilbert_sizes, "qa", more={"qa_dropout": 0.3}),
    Case("AlbertForMultipleChoice", "albert", albert_sizes, "choice", segments=True),
    Case("DistilBertForMaskedLM", "distilbert", distilbert_sizes, "mlm"),
    Case("DistilBertForSequenceClassification", "distilbert", distilbert_sizes, "cls"),
    Case("DistilBertForMultipleChoice", "distilbert", distilbert_sizes, "choice"),
    *labelled("BertForSequenceClassification", "bert", bert_sizes),
    *labelled("RobertaForSequenceClassification", "roberta", roberta_sizes),
    *labelled("XLMRobertaForSequenceClassification", "xlm-roberta", roberta_sizes),
    *labelled("AlbertForSequenceClassification", "albert", albert_sizes),
    *labelled("DistilBertForSequenceClassification", "distilbert", distilbert_sizes),
    *labelled("FNetForSequenceClassification", "fnet", fnet_sizes, hidden_act="gelu"),
    Case(
        "BertForSequenceClassification",
        "bert",
        bert_sizes,
        "regression",
        segments=True,
        more={"problem_type": "regression", "num_labels": 3},
    ),
    Case(
        "BertForSequenceClassification",
        "bert",
        bert_sizes,
        "multi_label",
        segments=True,
        more={"problem_type": "multi_label_classification", "num_labels": 1},
    ),
    causal("GPT2LMHeadModel", "gpt2", gpt2_sizes),
    causal("GPT2LMHeadModel", "gpt2", gpt2_sizes, n_inner=40, tie_word_embeddings=False),
    Case("GPT2Model", "gpt2", gpt2_sizes, "states"),
    causal("LlamaForCausalLM", "llama", llama_sizes),
    causal("LlamaForCausalLM", "llama", llama_sizes, tie_word_embeddings=True, head_dim=10),
    causal("LlamaForCausalLM", "llama", llama_sizes, attention_bias=True, mlp_bias=True),
    causal("LlamaForCausalLM", "llama", llama_sizes, rope_parameters={"rope_type": "default", "rope_theta": 500.0}),
    causal("LlamaForCausalLM", "llama", llama_sizes, rope_parameters=LLAMA3),
    causal("LlamaForCausalLM", "llama", llama_sizes, rope_parameters={"rope_type": "linear", "factor": 3.0}),
    causal("Qwen3ForCausalLM", "qwen3", llama_sizes, head_dim=10),
    causal("Qwen3ForCausalLM", "qwen3", llama_sizes, head_dim=6, **NARROW_BEHIND),
    causal("MistralForCausalLM", "mistral", llama_sizes),
    causal("MistralForCausalLM", "mistral", llama_sizes, sliding_window=None),
    causal("MistralForCausalLM", "mistral", llama_sizes, sliding_window=5),
    causal("BloomForCausalLM", "bloom", bloom_sizes),
    Case("FNetForPreTraining", "fnet", fnet_sizes, "pretraining", segments=True),
    Case("FNetForMaskedLM", "fnet", fnet_sizes, "mlm", segments=True, more={"tie_word_embeddings": False}),
    Case("FNetForSequenceClassification", "fnet", fnet_sizes, "cls", segments=True, more={"hidden_act": "gelu"}),
    Case("FNetForQuestionAnswering", "fnet", fnet_sizes, "qa", segments=True),
    Case("FNetForMultipleChoice", "fnet", fnet_sizes, "choice", segments=True, more={"hidden_act": "gelu"}),
    Case("T5ForConditionalGeneration", "t5", t5_sizes, "seq2seq"),
    Case("T5ForConditionalGeneration", "t5", t5_sizes, "seq2seq", more=V1_1),
    Case("T5Model", "t5", t5_sizes, "seq2seq"),
    Case("BartForConditionalGeneration", "bart", bart_sizes, "seq2seq"),
    Case("BartForConditionalGeneration", "bart", bart_sizes, "seq2seq", more={"scale_embedding": True}),
    Case("BartModel", "bart", bart_sizes, "seq2seq"),
    Case("PegasusForConditionalGeneration", "pegasus", bart_sizes, "seq2seq", more={"scale_embedding": True}),
]


def quiet() -> None:
    """Keep the progress bars and remarks of ``transformers`` out of the tests."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def make(case: Case, hidden: int = 24, heads: int = 4, layers: int = 2, seed: int = 0) -> Any:
    """A model with random weights, norms and biases included."""
    import transformers

    quiet()
    cls = getattr(transformers, case.cls)
    config = {"vocab_size": VOCABULARY, **case.sizes(hidden, heads, layers), **case.more}
    torch.manual_seed(seed)
    model = randomised(cls(cls.config_class(attn_implementation="eager", **config)), seed, std=0.15).eval()
    if case.model_type == "pegasus":  # random weights must not stand in for the fixed sines
        for side in (model.model.encoder, model.model.decoder):
            with torch.no_grad():
                side.embed_positions.weight.copy_(side.embed_positions.create_weight())
    return model


def find(cls: str) -> Case:
    return next(case for case in CASES if case.cls == cls)


def save(case: Case, folder: Path, **options: Any) -> Any:
    """Save a small model; gives it back."""
    model = make(case)
    model.save_pretrained(folder, **options)
    return model


@dataclass
class Example:
    """One batch, as each side wants it, and the places that are compared (of the decoder, if there is one)."""

    theirs: dict[str, Tensor]
    ours: Batch
    mask: Tensor
    source_mask: Tensor | None = None


def example(case: Case, model: Any, lengths: list[int], left: bool = False) -> Example:
    """A padded batch with labels."""
    mask = mask_of(lengths, max(lengths), left)
    ids = tokens(*mask.shape, high=VOCABULARY)
    padding = getattr(model.config, "pad_token_id", None)
    if padding is not None:  # RoBERTa takes this id for padding wherever it stands
        ids = torch.where(ids == padding, padding + 1, ids).masked_fill(mask == 0, padding)
    theirs: dict[str, Tensor] = {"input_ids": ids, "attention_mask": mask}
    source: dict[str, Tensor] = dict(theirs)
    labels: dict[str, dict[str, Tensor]] = {}
    if case.segments:
        theirs["token_type_ids"] = source["token_type_ids"] = tokens(*mask.shape, high=2, seed=1) % 2
    if left:
        source["position_ids"] = positions_of(mask)
        if case.model_type != "bloom":  # it has no positions but those of its bias
            theirs["position_ids"] = positions_of(mask)
    classes = torch.arange(len(lengths)) % 2
    if case.kind in ("mlm", "pretraining", "sop"):
        theirs["labels"] = masked_labels(ids, mask)
        labels["mlm"] = {"labels": theirs["labels"]}
    if case.kind in ("pretraining", "sop"):
        theirs["next_sentence_label" if case.kind == "pretraining" else "sentence_order_label"] = classes
        labels["sp"] = {"labels": classes}
    if case.kind in ("nsp", "cls"):
        theirs["labels"] = classes
        labels["sp" if case.kind == "nsp" else "cls"] = {"labels": classes}
    if case.kind == "tokens":
        drawn = tokens(*mask.shape, high=1000, seed=3) % model.config.num_labels
        theirs["labels"] = drawn.masked_fill(mask == 0, IGNORE)
        labels["token_cls"] = {"labels": theirs["labels"]}
    if case.kind == "qa":
        ends = {"start": torch.tensor(lengths) // 3, "end": torch.tensor(lengths) // 2}
        theirs |= {f"{end}_positions": place for end, place in ends.items()}
        labels["qa"] = {**ends, "context": torch.tensor([[length // 3, length] for length in lengths])}
    if case.kind in ("multi_label", "regression"):
        values = torch.randn(len(lengths), model.config.num_labels, generator=torch.Generator().manual_seed(7))
        theirs["labels"] = values if case.kind == "regression" else (values > 0).float()
        labels[case.kind] = {"labels": theirs["labels"]}
    if case.kind == "seq2seq":
        return _with_decoder(theirs, lengths)
    if case.kind == "choice":
        return _as_choices(theirs, source, len(lengths))
    if case.kind == "lm":
        theirs["labels"], shifted = next_labels(ids, mask)
        labels["lm"] = {"labels": shifted}
    return Example(theirs, batch_of(labels, **source), mask)


def _as_choices(theirs: dict[str, Tensor], source: dict[str, Tensor], choices: int) -> Example:
    """The example with its sequences as the choices of one question."""
    label, mask = torch.tensor([choices // 2]), theirs["attention_mask"]
    batch = Batch.of(source, 1, labels={"choice": {"labels": label}}, sequences=torch.arange(choices)[None])
    return Example({**{name: value[None] for name, value in theirs.items()}, "labels": label}, batch, mask)


def _with_decoder(theirs: dict[str, Tensor], lengths: list[int]) -> Example:
    """The example with a decoder's side, of other lengths."""
    target_lengths = [max(1, length - 3) for length in reversed(lengths)]
    mask = mask_of(target_lengths, max(target_lengths))
    ids = tokens(*mask.shape, high=VOCABULARY, seed=3)
    _, labels = next_labels(ids, mask)
    source, target = dict(theirs), {"input_ids": ids, "attention_mask": mask}
    right = {f"decoder_{name}": value for name, value in target.items()}
    batch = Batch.of(source, len(lengths), target, {"lm": {"labels": labels}})
    return Example({**theirs, **right, "labels": labels}, batch, mask, theirs["attention_mask"])


def counted(found: Example) -> bool:
    """True if any place of the batch has a label."""
    return any(bool((value != IGNORE).any()) for each in found.ours.labels.values() for value in each.values())
