"""The scores of prompts are those of a loop over words with models of ``transformers`` that have the same weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.building import build
from tests.text import hf_weights
from tests.text.prompts import batch_for, prompts
from tests.text.vocabularies import BERT, byte_pair_files, lines, wordpieces
from tp_core import Model
from tp_core.interfaces import Tokenizer
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig

transformers = pytest.importorskip("transformers")

RECORDS = [
    {"text_a": "hello, the cats!", "label": "good"},
    {"text_a": "unable", "label": "bad"},
    {"text_a": "the the the cats run un hello", "label": "good"},
    {"text_a": "a", "label": "bad"},
]
#: One token each; several tokens; several words of several lengths.
WORDS: list[dict[str, Any]] = [
    {"good": "hello", "bad": "cats"},
    {"good": "unable", "bad": "running"},
    {"bad": ["cats", "run", "unaffable"], "good": "hello", "middling": ["the", "running"]},
]
TEMPLATES = ["{text_a} the {mask}.", "{mask}, {text_a}", "{text_a} {mask}", "the {mask} hello {text_a}."]


def scores(words: dict[str, Any], score: Callable[[str], tuple[float, int]], normalize: bool) -> list[float]:
    """The logits of the classes from the sum of log-probabilities and the number of tokens of each word."""
    found = []
    for own in words.values():
        each = [score(word) for word in ([own] if isinstance(own, str) else own)]
        values = torch.tensor([total / (count if normalize else 1) for total, count in each], dtype=torch.float64)
        found.append(values.exp().mean().log().item())
    return found


def wordpiece(folder: Path) -> Tokenizer:
    return WordPieceConfig(vocab=lines(folder / "vocab.txt", wordpieces())).build(DataContext())


def bert(folder: Path, tokenizer: Tokenizer, classes: int, normalize: bool) -> tuple[Model, Any]:
    config = transformers.BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
        attn_implementation="eager",
    )
    theirs = _drawn(transformers.BertForMaskedLM(config))
    model = {
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": 24,
        "feed_forward_size": 48,
        "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
        "encoder": {"transformer": {"num_layers": 2, "num_heads": 4}},
        "target": {"prompt_mlm": {"num_labels": classes, "normalize_length": normalize}},
    }
    return _with_weights(folder, model, hf_weights.bert(theirs.state_dict(), 4)), theirs


def _drawn(model: Any) -> Any:
    """Random weights that are large enough for probabilities far from each other."""
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter.add_(0.2 * noise)
    return model.eval()


def _with_weights(folder: Path, model: dict[str, Any], weights: dict[str, Tensor]) -> Model:
    built = build(folder, model)
    missing, unused = built.load_weights(weights)
    assert not missing
    assert not unused
    return built


def check(model: Model, target: str, made: Any, expected: list[list[float]]) -> None:
    """Compare class logits, loss and predictions, of the batch with padding and of each record alone."""
    batch = batch_for(target, made, RECORDS)
    wanted = torch.tensor(expected)
    with torch.no_grad():
        output = model(batch)
        logits, labelled = model.named_targets()[target].logits(model.encode(batch), batch)
    assert labelled.all()
    # Sums over a whole text are large: the last digit of 100 is 8e-6 in float32.
    assert ((logits - wanted).abs() / wanted.abs().clamp(min=10) * 10).max() < 1e-5
    names = list(made.classes.each[""].names)
    labels = torch.tensor([names.index(str(record["label"])) for record in RECORDS])
    assert output.loss.item() == pytest.approx(F.cross_entropy(wanted, labels).item(), abs=1e-5)
    assert output.metrics[f"{target}/accuracy"].item() == (wanted.argmax(dim=1) == labels).float().mean()
    for record, probabilities in zip(RECORDS, wanted.softmax(dim=1)):
        alone = batch_for(target, made, [{"text_a": record["text_a"]}])
        (found,) = made.describe(model.predict(alone))
        assert found["label"] == names[int(probabilities.argmax())]
        assert list(found["probabilities"]) == names
        assert list(found["probabilities"].values()) == pytest.approx(probabilities.tolist(), abs=1e-5)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("words", WORDS)
def test_masked_words_are_scored_as_by_bert_for_masked_lm(
    tmp_path: Path, words: dict[str, Any], template: str, normalize: bool
) -> None:
    tokenizer = wordpiece(tmp_path)
    model, theirs = bert(tmp_path, tokenizer, len(words), normalize)
    cls, sep, mask = (tokenizer.special[role] for role in ("cls", "sep", "mask"))

    def logits_of(text: str) -> list[float]:
        before, after = template.replace("{text_a}", text).split("{mask}")
        first, last = tokenizer.encode_batch([before, after])

        def score(word: str) -> tuple[float, int]:
            (tokens,) = tokenizer.encode_batch([word])
            ids = [cls, *first, *[mask] * len(tokens), *last, sep]
            with torch.no_grad():
                found = theirs(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
            places = range(1 + len(first), 1 + len(first) + len(tokens))
            return sum(found[place, token].item() for place, token in zip(places, tokens)), len(tokens)

        return scores(words, score, normalize)

    made = prompts(tokenizer, template, words, max_length=32)
    check(model, "mlm", made, [logits_of(str(record["text_a"])) for record in RECORDS])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("words", WORDS)
def test_causal_words_are_scored_as_by_gpt2(
    tmp_path: Path, words: dict[str, Any], template: str, normalize: bool
) -> None:
    files = byte_pair_files(tmp_path, ["<|endoftext|>"])
    tokenizer = BytePairConfig(**files, eos_token="<|endoftext|>").build(DataContext())
    config = transformers.GPT2Config(
        vocab_size=tokenizer.vocab_size,
        n_embd=24,
        n_layer=2,
        n_head=4,
        n_positions=64,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    theirs = _drawn(transformers.GPT2LMHeadModel(config))
    model = {
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": 24,
        "norm": {"layernorm": {"eps": 1e-5}},
        "embedding": {"modules": ["word", {"pos": {"max_length": 64}}], "norm": "none"},
        "encoder": {
            "transformer": {
                "num_layers": 2,
                "num_heads": 4,
                "mask": "causal",
                "norm_position": "pre",
                "feed_forward": {"dense": {"activation": "gelu_tanh"}},
            }
        },
        "target": {"prompt_lm": {"num_labels": len(words), "normalize_length": normalize}},
    }
    ours = _with_weights(tmp_path, model, hf_weights.gpt2(theirs.state_dict(), 4))
    begin = tokenizer.special["eos"]

    def logits_of(text: str) -> list[float]:
        before, after = template.replace("{text_a}", text).split("{mask}")
        (context,) = tokenizer.encode_batch([before.rstrip()])  # white space belongs to the word

        def score(word: str) -> tuple[float, int]:
            (ids,) = tokenizer.encode_batch([f"{before}{word}{after}"])
            assert ids[: len(context)] == context
            whole = ids if context else [begin, *ids]
            start = len(context) or 1
            with torch.no_grad():
                found = theirs(input_ids=torch.tensor([whole])).logits[0].double().log_softmax(dim=-1)
            return sum(found[n - 1, whole[n]].item() for n in range(start, len(whole))), len(whole) - start

        return scores(words, score, normalize)

    made = prompts(tokenizer, template, words, max_length=64, scoring="causal")
    check(ours, "lm", made, [logits_of(str(record["text_a"])) for record in RECORDS])


def test_gradients_of_the_loss_are_those_of_the_softmax_over_the_words(tmp_path: Path) -> None:
    """The loss of words of one token is PET's: the cross entropy of their logits at the mask."""
    tokenizer = wordpiece(tmp_path)
    words = {"good": "hello", "bad": "cats", "odd": "the"}
    model, theirs = bert(tmp_path, tokenizer, 3, False)
    made = prompts(tokenizer, "{text_a} the {mask}.", words, max_length=32)
    batch = batch_for("mlm", made, RECORDS)
    model(batch).loss.backward()
    inputs = batch.inputs
    logits = theirs(**inputs).logits
    places = (inputs["input_ids"] == tokenizer.special["mask"]).nonzero(as_tuple=True)
    ids = [tokenizer.encode_batch([word])[0][0] for word in words.values()]
    F.cross_entropy(logits[places][:, ids], batch.labels["mlm"]["labels"]).backward()
    gradient = model.get_parameter("embedding.parts.word.table.weight").grad
    expected = theirs.get_parameter("bert.embeddings.word_embeddings.weight").grad
    assert gradient is not None
    assert expected is not None
    assert (gradient - expected).abs().max() < 1e-5
    assert expected.abs().max() > 1e-2


def test_vocabularies_of_the_tests_have_words_of_one_and_of_several_tokens(tmp_path: Path) -> None:
    lengths = [len(ids) for ids in wordpiece(tmp_path).encode_batch(["hello", "unable", "unaffable", "running"])]
    assert lengths == [1, 2, 3, 2]
    assert BERT
