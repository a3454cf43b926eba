"""Every target and processor declares the metrics that it gives, and on which side each is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core.test_distillation import teacher_in
from tp_core import discovery
from tp_core.options.context import BuildContext
from tp_core.spec.metrics import target_metrics
from tp_core.testing import random_batch
from tp_core.testing.specs import config_class_of, minimal_model, minimal_spec
from tp_core.testing.weights import check_initialisation

OURS = {"tp-core", "tp-text", "tp-vision", "tp-audio", "tp-crossmodal"}
LENGTHS = [12, 7, 9]

PATCHES = {"image_size": 8, "patch_size": 4}
STREAMS = {each: {"embedding": ["word"], "encoder": "identity", "pooling": "mean"} for each in ("one", "other")}
ALL = ["accuracy", "f1", "f1_macro", "f1_micro", "matthews", "auc"]
RATES = {"token_error_rate": "low", "too_long": None}
SPEECH = {"accuracy": "high", "contrastive": "low", "diversity": "low", "perplexity": None}

#: Target, options, surroundings in the model, and the metrics with the side on which they are better.
TARGETS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str | None]]] = [
    ("mlm", {}, {}, {"accuracy": "high"}),
    ("lm", {}, {}, {"accuracy": "high"}),
    ("sp", {}, {}, {"accuracy": "high"}),
    ("sgns", {}, {}, {"accuracy": "high"}),
    (
        "bilm",
        {},
        {"encoder": {"bilstm": {"num_layers": 1}}},
        {"accuracy": "high", "accuracy_forward": "high", "accuracy_backward": "high"},
    ),
    ("cls", {}, {}, {"accuracy": "high"}),
    ("cls", {"metrics": ALL}, {}, dict.fromkeys(ALL, "high")),
    ("cls", {"metrics": ["matthews", "f1_macro"], "num_labels": 3}, {}, {"matthews": "high", "f1_macro": "high"}),
    (
        "clr",
        {},
        {"streams": STREAMS},
        {"accuracy": "high", "accuracy_one_to_other": "high", "accuracy_other_to_one": "high"},
    ),
    ("choice", {}, {}, {"accuracy": "high"}),
    ("itm", {}, {}, {"accuracy": "high"}),
    ("itm", {}, {"streams": STREAMS}, {"accuracy": "high"}),
    ("pixels", {}, {**PATCHES, "embedding": ["masked_patch", "patch_pos"]}, {}),
    ("visual_tokens", {"num_tokens": 7}, {**PATCHES, "embedding": ["masked_patch"]}, {"accuracy": "high"}),
    ("patch_cls", {"metrics": ["f1", "auc"]}, {**PATCHES, "embedding": ["patch"]}, {"f1": "high", "auc": "high"}),
    (
        "deit",
        {"metrics": ["accuracy", "auc"]},
        {**PATCHES, "embedding": ["patch", "patch_pos"], "distillation_token": True},
        {"accuracy": "high", "auc": "high"},
    ),
    (
        "vq",
        {"num_tokens": 6, "code_size": 4, "width": 8, "blocks": 1},
        {**PATCHES, "embedding": ["patch"]},
        {"squared_error": "low"},
    ),
    ("ctc", {}, {}, RATES),
    ("units", {"num_units": 7, "projection_size": 6}, {}, {"masked_accuracy": "high"}),
    (
        "units",
        {"num_units": 7, "projection_size": 6, "unmasked_weight": 0.5},
        {},
        {"masked_accuracy": "high", "unmasked_accuracy": "high"},
    ),
    (
        "wav2vec2",
        {"latent_size": 6, "codebook_size": 5, "code_size": 4, "projection_size": 6},
        {"embedding": [{"waveform": {"channels": [6], "kernels": [1], "strides": [1]}}]},
        SPEECH,
    ),
    ("regression", {}, {}, {"pearson": "high", "spearman": "high"}),
    ("multi_label", {}, {}, {"f1_micro": "high", "f1_macro": "high"}),
    ("similarity", {}, {"streams": STREAMS}, {"pearson": "high", "spearman": "high"}),
    ("triplet", {}, {"streams": {**STREAMS, "third": STREAMS["one"]}}, {"accuracy": "high"}),
    ("token_cls", {"num_labels": 3}, {}, {"accuracy": "high"}),
    ("token_cls", {"num_labels": 3, "crf": True}, {}, {"accuracy": "high"}),
    ("qa", {}, {}, {"accuracy": "high"}),
    ("prompt_mlm", {"name": "prompt_mlm"}, {}, {"accuracy": "high"}),
    (
        "prompt_lm",
        {"name": "prompt_lm", "metrics": ["f1_macro", "auc"]},
        {"encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal"}}},
        {"f1_macro": "high", "auc": "high"},
    ),
    ("distill", {"cosine_weight": 1.0}, {}, {"kl": "low", "agreement": "high", "cosine_distance": "low"}),
    ("distill", {}, {}, {"kl": "low", "agreement": "high"}),
]


def test_every_first_party_target_is_here() -> None:
    entries = discovery.index().entries("target")
    assert {name for name, *_ in TARGETS} == {entry.name for entry in entries if entry.distribution in OURS}


@pytest.mark.parametrize(("name", "options", "surroundings", "expected"), TARGETS)
def test_a_target_gives_the_metrics_that_it_declares(
    name: str, options: dict[str, Any], surroundings: dict[str, Any], expected: dict[str, str | None], tmp_path: Path
) -> None:
    if name == "distill":
        options = {**options, "teacher": teacher_in(tmp_path, "cls", vocab_size=61, hidden_size=24)[0]}
        surroundings = {"target": ["cls", {"distill": options}]}
    tree = minimal_model("target", name, options, config_class_of("target", name)) | surroundings
    if "streams" in tree:
        tree = {key: value for key, value in tree.items() if key not in ("embedding", "encoder")}
    spec = minimal_spec(tree)
    declared = {key: facts.better for key, facts in target_metrics(spec).items() if key.startswith(f"{name}/")}
    assert declared == {f"{name}/{key}": better for key, better in expected.items()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = check_initialisation(spec)
        batch = random_batch(model, LENGTHS)
        with torch.no_grad():
            assert set(model.train()(batch).outputs[name].metrics) <= set(expected)
            assert set(model.eval()(batch).outputs[name].metrics) == set(expected)


def test_processors_declare_what_they_measure() -> None:
    """They are processors that score; the kit of their packages compares what they declare with what they give."""
    entries = [entry for entry in discovery.index().entries("processor") if entry.distribution in OURS]
    found = {entry.name: discovery.load(entry)().measures(BuildContext()) for entry in entries}
    measuring = {name: {key: facts.better for key, facts in each.items()} for name, each in found.items() if each}
    rates = {"word_error_rate": "low", "character_error_rate": "low"}
    answers = {"f1": "high", "exact_match": "high"}
    ranks = {"mrr": "high", "map": "high", "precision_at_1": "high"}
    counts = {"questions": None, "questions_without_answer": None}
    expected = {"speech_ctc": rates, "waveform_ctc": rates, "qa": answers, "ranking": {**ranks, **counts}}
    assert measuring == expected
