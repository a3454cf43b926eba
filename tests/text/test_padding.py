"""Padding never counts: what a processor's samples cost together, padded, is what they cost one by one without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.building import build, randomised
from tests.padding import assert_padding_is_free, outputs
from tests.text.corpora import CORPUS, LINES, SIZE, draw, processor, records, rows_of, running_text
from tp_core import Model
from tp_core.artifacts.weights import save_weights
from tp_core.interfaces import Record
from tp_core.options.context import DataContext

TEXT = running_text(CORPUS)
DOCUMENTS = running_text([document for document in CORPUS if len(document) > 1])
PAIRS = records([{"text_a": d[0], "text_b": d[-1][:40], "label": n % 2} for n, d in enumerate(CORPUS)])
CHATS = records(
    [{"instruction": d[0], "output": " ".join(f"w{i}" for i in range(1 + n % 7))} for n, d in enumerate(CORPUS)]
)
CHOICES = records(
    [{"context": d[0], "choices": [f"w{i}" for i in range(2 + n % 4)], "label": n % 2} for n, d in enumerate(CORPUS)]
)
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(20))
#: The length that everything fits into, so that each sample is padded.
LENGTH = 40

Parts = dict[str, Any]


def transformer(mask: str = "fully_visible", **options: Any) -> Parts:
    return {"encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "mask": mask, **options}}}


CAUSAL, BOTH = transformer("causal"), transformer()
DECODER: Parts = BOTH | {
    "target_embedding": ["word"],
    "decoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
}
POOLED: Any = [{"cls": {"name": how, "pooling": how}} for how in ("first", "last", "mean", "max")]


def model_of(folder: Path, parts: Parts, targets: list[Any], seed: int) -> Model:
    folder.mkdir(exist_ok=True)
    common: Parts = {"hidden_size": 12, "vocab_size": SIZE + len(SENTINELS), "dropout": 0.0, "embedding": ["word"]}
    model = build(folder, {**common, **parts, "target": targets})
    save_weights(randomised(model, seed).weights(), folder / "model.safetensors")
    return model


@pytest.mark.parametrize(
    ("name", "options", "given", "parts", "targets"),
    [
        ("bert", {}, TEXT, BOTH, ["mlm", "sp"]),
        ("mlm", {"pack": False}, TEXT, BOTH, ["mlm", "distilled mlm"]),
        ("lm", {}, LINES, CAUSAL, ["lm", "distilled lm"]),
        ("lm", {"isolate_documents": True}, LINES, CAUSAL, ["lm", "distilled lm"]),
        ("lm", {}, LINES, transformer("causal", mixer={"attention": {"positions": "alibi"}}), ["lm", "distilled lm"]),
        ("lm", {}, LINES, transformer("causal", mixer={"attention": {"window": 4}}), ["lm", "distilled lm"]),
        ("lm", {}, LINES, {"encoder": {"lstm": {"num_layers": 1}}}, ["lm", "distilled lm"]),
        ("lm", {}, LINES, {"encoder": {"gatedcnn": {"num_layers": 2}}}, ["lm", "distilled lm"]),
        ("bilm", {}, LINES, {"encoder": {"bilstm": {"num_layers": 1}}}, ["bilm"]),
        ("prefixlm", {}, PAIRS, transformer("causal_with_prefix"), ["lm", "distilled lm"]),
        ("prefixlm", {"prefix_loss": True}, PAIRS, CAUSAL, ["lm", "distilled lm"]),
        ("sft", {}, CHATS, CAUSAL, ["lm", "distilled lm"]),
        ("sft", {"pack": True}, CHATS, CAUSAL, ["lm", "distilled lm"]),
        ("sft", {"pack": True}, CHATS, {"encoder": {"gru": {"num_layers": 1}}}, ["lm", "distilled lm"]),
        ("mt", {}, PAIRS, DECODER, ["lm", "distilled lm"]),
        ("t5", {}, LINES, DECODER, ["lm", "distilled lm"]),
        ("bart", {}, TEXT, DECODER, ["lm", "distilled lm"]),
        ("gsg", {}, DOCUMENTS, DECODER, ["lm", "distilled lm"]),
        ("cls", {}, PAIRS, BOTH, [*POOLED, "distilled mean"]),
        ("cls", {}, PAIRS, CAUSAL, [*POOLED[1:], "distilled last"]),
        ("cls", {}, PAIRS, {"encoder": {"cnn": {"kernel_sizes": [2, 3, 4]}}}, POOLED),
        ("cls", {}, PAIRS, transformer(mixer="fourier"), POOLED),
        ("cls_mlm", {}, PAIRS, BOTH, ["cls", "mlm", "distilled mlm"]),
        ("skipgram", {}, TEXT, {"encoder": "identity"}, ["sgns"]),
        ("choice", {}, CHOICES, BOTH, ["choice", "distilled choice"]),
        ("choice", {}, CHOICES, CAUSAL, [{"choice": {"pooling": "last"}}, "distilled choice"]),
    ],
)
def test_losses_and_metrics_of_padded_samples_are_those_of_single_ones(
    tmp_path: Path, name: str, options: Parts, given: list[Record], parts: Parts, targets: list[Any]
) -> None:
    plain = [target for target in targets if not str(target).startswith("distilled")]
    for target in targets:
        if target not in plain:
            model_of(tmp_path / "teacher", parts, plain, seed=7)
            of = target.removeprefix("distilled ")
            distill = {"teacher": str(tmp_path / "teacher"), "of": of, "cosine_weight": 3.0}
            plain = [*plain, {"distill": distill}]
    model = model_of(tmp_path / "model", parts, plain, seed=1)
    longest, whole = (
        processor(tmp_path, name, extra=SENTINELS, max_length=LENGTH, pad=pad, **options)
        for pad in ("longest", "max_length")
    )
    rows = rows_of(tmp_path, longest, given)
    samples = [draw(longest, rows, index) for index in range(max(0, len(rows) - 12), len(rows))]
    assert len({len(sample["input_ids"]) for sample in samples}) > 1
    assert_padding_is_free(model, samples, longest, whole)


@pytest.mark.parametrize(("encoder", "pooling"), [(CAUSAL, "last"), (CAUSAL, "mean"), (BOTH, "first"), (BOTH, "max")])
def test_a_contrast_does_not_depend_on_padding(tmp_path: Path, encoder: Parts, pooling: str) -> None:
    streams = {name: {"embedding": ["word"], **encoder, "pooling": pooling} for name in ("one", "other")}
    parts = {"hidden_size": 12, "vocab_size": SIZE, "dropout": 0.0, "streams": streams, "target": ["clr"]}
    model = randomised(build(tmp_path, parts))
    data = DataContext(streams=("one", "other"))
    longest, whole = (
        processor(tmp_path, "pair", data, max_length=LENGTH, pad=pad) for pad in ("longest", "max_length")
    )
    rows = rows_of(tmp_path, longest, PAIRS)
    samples = [draw(longest, rows, index) for index in range(12)]
    expected, found = outputs(model, [longest.collate(samples), whole.collate(samples)])["clr"]
    assert found.loss_sum.item() == pytest.approx(expected.loss_sum.item(), rel=1e-5)
    assert found.metrics == expected.metrics
