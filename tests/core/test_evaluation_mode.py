"""Whoever asks a model gets its answer in evaluation mode, and finds the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from tests.building import randomised
from tests.core.process_state import unchanged
from tests.core.runs import SPECIAL, WORDS, write_corpus
from tp_core import LoadedModel, Record, build_model, embed, evaluate, generate, load_spec, predict
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.evaluation.mode import evaluating
from tp_core.testing import random_batch

TEXTS = ["ba be bi", "do", "fan fon", "ga ge gi go gu", "ka"]


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedModel:
    """A causal language model with much dropout, which reads one record at a time."""
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*SPECIAL, "[EOS]", *WORDS]))
    write_corpus(tmp_path / "corpus.txt", 8)
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "dropout": 0.5,
            "embedding": ["word", {"pos": {"max_length": 32}}],
            "encoder": {"transformer": {"num_layers": 2, "num_heads": 2, "mask": "causal"}},
            "target": "lm",
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": {"lm": {"max_length": 32}},
            "train": "corpus.txt",
            "cache": "cache",
        },
        "train": {"steps": 1},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    made = load_spec(tmp_path / "spec.yaml")
    tokenizer = build_tokenizer(made)
    processor = build_processor(made, tokenizer)
    assert processor is not None
    alone = type("Alone", (type(processor),), {"read_ahead": 1})
    processor.__class__ = alone
    return LoadedModel(randomised(build_model(made), std=0.5), made, processor, tokenizer, torch.device("cpu"))


CALLS: dict[str, Callable[[LoadedModel], Any]] = {
    "predict": lambda made: list(predict(made, TEXTS)),
    "embed": lambda made: embed(made, TEXTS).tolist(),
    "generate": lambda made: list(generate(made, TEXTS, max_new_tokens=4)),
    "generate with beams": lambda made: list(generate(made, TEXTS, max_new_tokens=4, beams=3)),
    "generate by sampling": lambda made: list(generate(made, TEXTS, max_new_tokens=4, sample=True)),
    "evaluate": lambda made: evaluate(made, str(made.spec.base / "corpus.txt")),
}


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_model_in_training_mode_answers_as_in_evaluation_mode(
    loaded: LoadedModel, call: Callable[[LoadedModel], Any]
) -> None:
    loaded.model.eval()
    expected = call(loaded)
    assert not any(modes(loaded.model))
    loaded.model.train()
    loaded.model.encoder.layers[0].eval()  # type: ignore[operator, index, union-attr]
    before = modes(loaded.model)
    assert len(set(before)) == 2
    assert call(loaded) == expected
    with unchanged():
        assert call(loaded) == expected
    assert modes(loaded.model) == before


def test_vectors_of_a_model_in_training_mode_are_those_of_the_same_weights_without_dropout(loaded: LoadedModel) -> None:
    loaded.model.train()
    found = torch.from_numpy(embed(loaded, TEXTS[:1], pooling="mean"))
    assert loaded.processor is not None
    without = build_model(load_spec(loaded.spec.base / "spec.yaml", ["model.dropout=0"])).train()
    without.load_weights(loaded.model.weights())
    batch = loaded.processor.collate(loaded.processor.encode([Record({"text": TEXTS[0]}, "input", 1)]))
    sequence = without.encode(batch).sequence
    torch.testing.assert_close(found, sequence.states.detach().mean(dim=1))


GENERATORS: dict[str, Callable[[LoadedModel], Iterator[Any]]] = {
    "predict": lambda made: predict(made, TEXTS),
    "generate": lambda made: generate(made, TEXTS, max_new_tokens=4),
}


@pytest.mark.parametrize("begin", GENERATORS.values(), ids=GENERATORS.keys())
def test_between_two_items_the_model_can_be_trained(
    loaded: LoadedModel, begin: Callable[[LoadedModel], Iterator[Any]]
) -> None:
    model = loaded.model.train()
    batch = random_batch(model, lengths=[5, 3])
    for count, _ in enumerate(begin(loaded)):
        assert all(modes(model))
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        model(batch).loss.backward()
        if count == 2:  # the rest is never asked for
            break
    assert all(modes(model))
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_model_that_fails_is_as_it_was(loaded: LoadedModel, call: Callable[[LoadedModel], Any]) -> None:
    model = loaded.model.train()
    model.embedding.eval()
    before = modes(model)

    def fail(*_: Any) -> None:
        assert not any(modes(model))
        raise RuntimeError("no more memory")

    failing = model.encoder.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="no more memory"):
        call(loaded)
    failing.remove()
    assert modes(model) == before
    assert torch.is_grad_enabled()


class Keeping(nn.Module):
    """Keeps a tensor that it made at its first call, as tables of positions are kept."""

    table: Tensor | None = None

    def forward(self, values: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.linspace(1, 2, values.shape[-1]) * 1.0
        return values * self.table


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_a_module_keeps_of_an_answer_can_be_trained_with(
    loaded: LoadedModel, call: Callable[[LoadedModel], Any]
) -> None:
    keeping = Keeping()
    layer: Any = loaded.model.encoder.layers[0]  # type: ignore[index, union-attr]
    layer.feed_forward = nn.Sequential(layer.feed_forward, keeping)
    call(loaded)
    assert keeping.table is not None
    loaded.model.train()(random_batch(loaded.model, lengths=[5, 3])).loss.backward()


# -- the context itself ------------------------------------------------------------------------------------------------


class Frozen(nn.Module):
    """Stays in evaluation mode whatever is asked of it, as frozen batch norms do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Dropout(0.5)
        self.asked: list[bool] = []
        self.train(False)

    def train(self, mode: bool = True) -> Frozen:
        self.asked.append(mode)
        return super().train(False)


def test_modules_with_a_mode_of_their_own_keep_it() -> None:
    shared = nn.Dropout(0.5)
    model = nn.ModuleList([Frozen(), nn.Sequential(nn.Dropout(0.5), shared), nn.Sequential(shared).eval()])
    model[0].inner.training = True
    model[1][0].eval()
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model))
        with evaluating(model):
            assert not any(modes(model))
        assert not torch.is_grad_enabled()
    assert modes(model) == before
    assert torch.is_grad_enabled()


def test_gradients_that_were_off_stay_off() -> None:
    with torch.no_grad():
        with evaluating(nn.Dropout()):
            pass
        assert not torch.is_grad_enabled()
