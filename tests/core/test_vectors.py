"""The plan of a record's vector: as the targets were trained, which options change one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from tests.building import CONTENT, build, mask_of, randomised, tokens, worst
from tp_core import Model, TPError, load_spec
from tp_core.inference.vectors import absent_stream, batch_vectors
from tp_core.interfaces import Batch
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan

SMALL = {"num_layers": 1, "num_heads": 2, "hidden_size": 16, "dropout": 0.0}
LENGTHS = [6, 2, 5, 1]


def stream(hidden: int = 16, **options: Any) -> dict[str, Any]:
    encoder = {"transformer": {**SMALL, "hidden_size": hidden}}
    return {"embedding": {"modules": [CONTENT], "dropout": 0.0}, "encoder": encoder, **options}


def one_stream(folder: Path, *targets: Any, **options: Any) -> Model:
    model = {"vocab_size": 41, **stream(), "target": list(targets), **options}
    return randomised(build(folder, model), std=0.4)


def two_streams(folder: Path, *targets: Any) -> Model:
    streams = {"a": stream(pooling="mean"), "b": stream(24, pooling="max")}
    return randomised(build(folder, {"vocab_size": 41, "streams": streams, "target": list(targets)}), std=0.4)


def inputs(seed: int = 0) -> dict[str, Tensor]:
    return {"input_ids": tokens(len(LENGTHS), 6, seed=seed), "attention_mask": mask_of(LENGTHS, 6)}


def pooled(states: Tensor, how: str) -> Tensor:
    """Of states (batch, length, hidden), the vector of each sample in float64, from its own places alone."""
    by: dict[str, Any] = {
        "first": lambda x: x[0],
        "last": lambda x: x[-1],
        "mean": lambda x: x.sum(0) / len(x),
        "max": lambda x: x.amax(0),
    }
    return torch.stack([by[how](each[:length].double()) for each, length in zip(states, LENGTHS)])


def made(model: Model, batch: Batch, **options: Any) -> Tensor:
    with torch.no_grad():
        return batch_vectors(model, batch, vector_plan(model.spec, EmbedOptions(**options)))


def states_of(model: Model, batch: Batch, name: str = "") -> Tensor:
    with torch.no_grad():
        features = model.encode_source(batch)
    return features.streams[name].states if name else features.sequence.states


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.square().sum(1, keepdim=True).sqrt()


# -- one stream ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["first", "last", "mean", "max"])
def test_a_model_embeds_with_the_pooling_of_its_classifier_and_options_change_it(tmp_path: Path, how: str) -> None:
    model, batch = one_stream(tmp_path, {"cls": {"pooling": how}}), Batch.of(inputs(), 4)
    states = states_of(model, batch)
    assert worst(made(model, batch), pooled(states, how)) < 1e-5
    for other in ("first", "last", "mean", "max"):
        assert worst(made(model, batch, pooling=other), pooled(states, other)) < 1e-5
    assert worst(made(model, batch, normalize=True), unit(pooled(states, how))) < 1e-5


@pytest.mark.parametrize(
    ("targets", "how", "reason"),
    [
        ([{"mlm": {}}], "mean", "no target reads one vector of a record"),
        ([], "mean", "no target reads one vector of a record"),
        ([{"mlm": {}}, {"sp": {}}], "first", "as the target sp was trained"),
        ([{"cls": {"pooling": "max"}}, {"mlm": {}}], "max", "as the target cls was trained"),
        (
            [{"cls": {"pooling": "max", "name": "one"}}, {"cls": {"pooling": "max", "name": "two"}}],
            "max",
            "as the target one was trained",
        ),
        ([{"cls": {"pooling": "max"}}, {"sp": {}}], "mean", "the targets do not agree, cls: max, sp: first"),
    ],
)
def test_targets_that_agree_decide_and_else_it_is_the_mean(
    tmp_path: Path, targets: list[Any], how: str, reason: str
) -> None:
    modules = ["word", "pos"]
    model = one_stream(tmp_path, *targets, embedding=modules)
    batch = Batch.of(inputs(), 4)
    assert worst(made(model, batch), pooled(states_of(model, batch), how)) < 1e-5
    assert vector_plan(model.spec, EmbedOptions()).describe().endswith(f" ({reason})")


def test_the_pooling_that_the_spec_names_takes_precedence_over_the_targets(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    tree = {"tp": 1, "model": {"vocab_size": 41, **stream(), "target": [{"cls": {"pooling": "max"}}]}}
    tree["inference"] = {"embed": {"pooling": "last", "prompts": {"query": "query: "}}}
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    spec = load_spec(file)
    plan = vector_plan(spec, spec.inference.embed)
    assert (plan.facts.pooling, plan.reason) == ("last", "the pooling is as asked for")
    (tmp_path / "again.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    assert load_spec(tmp_path / "again.yaml").inference == spec.inference


def test_the_targets_of_a_model_with_a_decoder_say_nothing_of_its_encoder(tmp_path: Path) -> None:
    parts = {"target_embedding": [CONTENT], "decoder": {"transformer": SMALL}}
    model = one_stream(tmp_path, {"cls": {"pooling": "last"}}, **parts)
    batch = Batch.of(inputs(), 4)
    assert worst(made(model, batch), pooled(states_of(model, batch), "mean")) < 1e-5


def test_a_targets_own_pooling_and_projection_are_used(tmp_path: Path) -> None:
    model = one_stream(tmp_path, "tests.core.odd_modules:OwnPoolingConfig")
    batch = Batch.of(inputs(), 4)
    (target,) = model.targets.values()
    w: Any = target.linear
    maximum = 2 * pooled(states_of(model, batch), "max")

    def projected(vectors: Tensor) -> Tensor:
        return vectors @ w.weight.double().t() + w.bias.double()

    assert worst(made(model, batch), unit(projected(maximum))) < 1e-5
    assert worst(made(model, batch, projection=False), unit(maximum)) < 1e-5
    mean = pooled(states_of(model, batch), "mean")
    assert worst(made(model, batch, pooling="mean", normalize=False), projected(mean)) < 1e-5


# -- streams ---------------------------------------------------------------------------------------------------------


def test_each_stream_goes_through_its_own_projection(tmp_path: Path) -> None:
    model = two_streams(tmp_path, {"clr": {"projection_size": 8}})
    batch = Batch({"a": inputs(), "b": inputs(1)}, 4)
    for number, (name, how) in enumerate({"a": "mean", "b": "max"}.items()):
        raw = pooled(states_of(model, batch, name), how)
        projected = raw @ model.weights()[f"targets.clr.projections.{number}.weight"].double().t()
        assert worst(made(model, batch, stream=name), unit(projected)) < 1e-5
        assert worst(made(model, batch, stream=name, normalize=False), projected) < 1e-5
        assert worst(made(model, batch, stream=name, projection=False, normalize=False), raw) < 1e-5
    assert torch.equal(made(model, batch), made(model, batch, stream="a"))


def test_a_target_that_compares_vectors_goes_before_others_and_one_that_projects_before_that(tmp_path: Path) -> None:
    pair = {"cls": {"pooling": "last", "combine": ["u", "v"]}}
    compared = two_streams(tmp_path, pair, {"clr": {"projection_size": 4}})
    assert vector_plan(compared.spec, EmbedOptions()).facts.projection_size == 4
    alike = {"vocab_size": 41, "streams": {"a": stream(pooling="max"), "b": "a"}}
    model = build(tmp_path, alike | {"target": [{"cls": {"pooling": "last"}}, {"clr": {"normalize": False}}]})
    plan = vector_plan(model.spec, EmbedOptions())
    assert (plan.facts.pooling, plan.facts.normalize, plan.target) == ("max", False, "clr")
    both = [{"clr": {"name": "near"}}, {"clr": {"name": "far", "projection_size": 4}}]
    model = build(tmp_path, alike | {"target": both})
    assert vector_plan(model.spec, EmbedOptions()).target == "far"


def test_only_the_stream_that_is_asked_for_is_computed_and_needed(tmp_path: Path) -> None:
    model = two_streams(tmp_path, {"clr": {"projection_size": 8}})
    whole = made(model, Batch({"a": inputs(), "b": inputs(1)}, 4), stream="b")

    def never(*_: Any) -> None:
        raise AssertionError("the other stream is computed")

    stream_a: Any = model.streams["a"]
    stream_a.encoder.register_forward_pre_hook(never)
    assert torch.equal(made(model, Batch({"a": inputs(), "b": inputs(1)}, 4), stream="b"), whole)
    assert torch.equal(made(model, Batch({"b": inputs(1)}, 4), stream="b"), whole)
    plan = vector_plan(model.spec, EmbedOptions())
    assert absent_stream(model, Batch({"b": inputs(1)}, 4), plan) == "a"


def test_streams_that_are_read_together_are_computed_together(tmp_path: Path) -> None:
    pytest.importorskip("tp_crossmodal")
    tree = {
        "vocab_size": 41,
        "streams": {"a": stream(pooling="mean"), "b": stream(pooling="max")},
        "encoder": {"co_attention": {"num_layers": 1, "num_heads": 2, "co_heads": 2}},
        "target": ["cls"],
    }
    model = randomised(build(tmp_path, tree))
    batch = Batch({"a": inputs(), "b": inputs(1)}, 4)
    assert worst(made(model, batch, stream="b"), pooled(states_of(model, batch, "b"), "max")) < 1e-5
    assert absent_stream(model, Batch({"a": inputs()}, 4), vector_plan(model.spec, EmbedOptions())) == "b"


def test_what_is_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    model = two_streams(tmp_path, {"clr": {"projection_size": 8}})
    how = "the maximum of the states of the stream b, projected to 8, of length 1"
    expected = f"vectors: {how} (as the target clr was trained)"
    assert vector_plan(model.spec, EmbedOptions(stream="b")).describe() == expected
    own = one_stream(tmp_path, "tests.core.odd_modules:OwnPoolingConfig")
    said = vector_plan(own.spec, EmbedOptions(projection=False, normalize=False)).describe()
    assert said.startswith("vectors: what the target tests.core.odd_modules:OwnPoolingConfig pools (as ")


def test_a_projection_that_there_is_not_and_an_unknown_stream_are_refused(tmp_path: Path) -> None:
    plain = load_spec("bert-tiny")
    with pytest.raises(TPError, match="no target projects vectors; one that does is clr with a projection_size"):
        vector_plan(plain, EmbedOptions(projection=True))
    with pytest.raises(TPError, match=r"the model has no stream 'imag'; did you mean 'image'\?"):
        vector_plan(load_spec("clip-vit-base-patch32"), EmbedOptions(stream="imag"))


def test_a_preset_embeds_as_its_paper_does() -> None:
    plans = {
        "sbert-base": ("mean", None, False),
        "simcse-base": ("first", None, True),
        "quick-thoughts": ("max", None, False),
        "infersent": ("max", None, False),
        "clip-vit-base-patch32": ("last", 512, True),
        "vilt-b32": ("first", None, False),
        "gpt2": ("mean", None, False),
        "t5-base": ("mean", None, False),
    }
    for name, expected in plans.items():
        facts = vector_plan(load_spec(name), EmbedOptions()).facts
        assert (facts.pooling, facts.projection_size, facts.normalize) == expected, name


def test_the_width_is_known_before_there_is_a_vector(tmp_path: Path) -> None:
    model = two_streams(tmp_path, {"clr": {"projection_size": 8}})
    assert vector_plan(model.spec, EmbedOptions(stream="b")).size(model.spec) == 8
    assert vector_plan(model.spec, EmbedOptions(stream="b", projection=False)).size(model.spec) == 24
