"""A compiled model computes what the plain one does: losses, metrics and gradients of every target.

Most tests compile with the graph passes of torch's compiler and without its code: what these passes do to a graph is
what a model may suffer from, and generating C++ takes many seconds each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.building import CONTENT, READOUT
from tests.core import runs
from tp_core import Model, discovery, evaluate, load_model, load_spec, predict, train
from tp_core.artifacts.weights import save_weights
from tp_core.interfaces import Batch, Features, Target, TargetOutput
from tp_core.model import build_model
from tp_core.model_output import ModelOutput
from tp_core.testing import random_batch
from tp_core.testing.specs import config_class_of, minimal_model, minimal_spec

TOLERANCE = 1e-5
LENGTHS = [8, 5, 3]

TRANSFORMER: dict[str, Any] = {"transformer": {"num_layers": 1, "num_heads": 2}}
CAUSAL: dict[str, Any] = {"transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal"}}
STREAM: dict[str, Any] = {"embedding": [CONTENT], "encoder": TRANSFORMER}
PICTURE: dict[str, Any] = {"image_size": [8, 6], "patch_size": [4, 2], "channels": 3}
SQUARE: dict[str, Any] = {"image_size": 8, "patch_size": 4, "channels": 1}
MAE: dict[str, Any] = {"mae": {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "norm_position": "pre"}}
WAVES: dict[str, Any] = {"waveform": {"channels": [6], "kernels": [1], "strides": [1]}}

#: Each target with the rest of its ``model:`` part; ``distill`` is beside its teacher's target.
CASES: dict[str, dict[str, Any]] = {
    "cls": {"target": [{"cls": {"label_smoothing": 0.1}}]},
    "cls-streams": {"target": [{"cls": {"combine": ["u", "v"]}}], "streams": {"a": STREAM, "b": "a"}},
    "clr": {"target": ["clr"], "streams": {"a": STREAM, "b": STREAM}},
    "distill": {"target": ["cls", {"distill": {"teacher": "teacher", "cosine_weight": 1.0}}]},
    "choice": {"target": ["choice"]},
    "multi_label": {"target": [{"multi_label": {"num_labels": 3}}]},
    "regression": {"target": ["regression"]},
    "qa": {"target": ["qa"]},
    "prompt_mlm": {"target": ["prompt_mlm"]},
    "prompt_lm": {"target": ["prompt_lm"], "encoder": CAUSAL},
    "token_cls": {"target": ["token_cls"]},
    "token_cls-crf": {"target": [{"token_cls": {"crf": True}}]},
    "similarity": {"target": ["similarity"], "streams": {"a": STREAM, "b": "a"}},
    "triplet": {"target": ["triplet"], "streams": {"a": STREAM, "b": "a", "c": "a"}},
    "mlm": {"target": ["mlm"]},
    "lm": {"target": ["lm"], "encoder": CAUSAL},
    "bilm": {"target": ["bilm"], "encoder": {"bilstm": {"num_layers": 1}}},
    "sp": {"target": ["sp"]},
    "sgns": {"target": ["sgns"], "encoder": "identity"},
    "patch_cls": {**PICTURE, "embedding": ["patch"], "target": [{"patch_cls": {"num_labels": 3}}]},
    "deit": {
        **SQUARE,
        "distillation_token": True,
        "embedding": ["patch", "patch_pos"],
        "target": [{"deit": {"num_labels": 3}}],
    },
    "pixels": {**PICTURE, "embedding": ["masked_patch", "patch_pos"], "target": [{"pixels": {"loss": "l1"}}]},
    "pixels-mae": {
        **PICTURE,
        "embedding": ["patch", "patch_sinusoidal", "visible"],
        "decoder": MAE,
        "target": [{"pixels": {"normalize": True}}],
    },
    "visual_tokens": {
        **PICTURE,
        "embedding": ["masked_patch"],
        "target": [{"visual_tokens": {"tokenizer": {"random_projection": {"num_tokens": 32, "code_size": 4}}}}],
    },
    "vq": {
        **SQUARE,
        "embedding": ["patch"],
        "target": [{"vq": {"num_tokens": 6, "code_size": 4, "width": 8, "blocks": 1}}],
    },
    "ctc": {"target": ["ctc"]},
    "units": {"target": [{"units": {"num_units": 7, "projection_size": 6, "unmasked_weight": 0.5}}]},
    "wav2vec2": {
        "embedding": [WAVES],
        "target": [{"wav2vec2": {"latent_size": 6, "codebook_size": 5, "code_size": 4, "projection_size": 6}}],
    },
    "itm": {"target": ["itm"]},
}


def graph_passes(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
    """A backend of ``torch.compile``: inductor's decompositions and joint passes, run by eager kernels."""
    from functorch.compile import nop
    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor import config
    from torch._inductor.compile_fx import partition_fn, select_decomp_table

    with config.patch(fallback_random=True):
        backend = aot_autograd(
            fw_compiler=nop, bw_compiler=nop, decompositions=select_decomp_table, partition_fn=partition_fn
        )
        compiled: Callable[..., Any] = backend(graph, inputs)
        return compiled


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch._dynamo.reset()


def model_of(parts: dict[str, Any]) -> Model:
    sizes = {"hidden_size": 24, "vocab_size": 61, "embedding": [CONTENT], "encoder": TRANSFORMER}
    tree = {**sizes, **parts, "dropout": 0.0}  # eager kernels draw in another order
    if "streams" in tree:
        tree = {key: value for key, value in tree.items() if key not in ("embedding", "encoder") or key in parts}
    return build_model(minimal_spec(tree), seed=0).train()


def case(name: str, folder: Path) -> Model:
    if name != "distill":
        return model_of(CASES[name])
    teacher = model_of({"target": ["cls"]})
    save_weights(teacher.weights(), folder / "model.safetensors")
    (folder / "spec.yaml").write_text(teacher.spec.to_yaml(), encoding="utf-8")
    return model_of({"target": ["cls", {"distill": {"teacher": str(folder), "cosine_weight": 1.0}}]})


def computed(model: Model, batch: Batch, **options: Any) -> tuple[ModelOutput, dict[str, Tensor]]:
    """The output of a training step's forward pass, and the gradients of its backward pass."""
    model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    output: ModelOutput = model(batch, **options)
    output.loss.backward()  # type: ignore[no-untyped-call]
    return output, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close(found: Tensor, expected: Tensor, what: str) -> None:
    """Equal but for a part of the largest value, or of one if that is more."""
    largest = max(1.0, expected.abs().nan_to_num().max().item())
    torch.testing.assert_close(
        found, expected, rtol=0, atol=TOLERANCE * largest, equal_nan=True, msg=lambda message: f"{what}: {message}"
    )


def assert_compiled_is_plain(model: Model, *batches: Batch, backend: Any = graph_passes, **options: Any) -> None:
    plain = [computed(model, batch, **options) for batch in batches]
    model.compile(backend=backend)
    for batch, (expected, gradients) in zip(batches, plain):
        found, compiled = computed(model, batch, **options)
        assert_close(found.loss, expected.loss, "the loss")
        assert list(found.losses) == list(expected.losses)
        for name, loss in expected.losses.items():
            assert_close(found.losses[name], loss, name)
        assert list(found.metrics) == list(expected.metrics)
        for name, value in expected.metrics.items():
            assert not found.metrics[name].requires_grad
            assert_close(found.metrics[name], value.detach().float(), name)
        assert compiled.keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert_close(compiled[name], gradient, name)


# -- what is compiled ------------------------------------------------------------------------------------------------


def test_the_passes_of_the_compiler_do_what_they_are_here_for() -> None:
    """A result that equals a detached one becomes the same tensor, and takes no gradient back."""

    def same(values: Tensor) -> tuple[Tensor, Tensor]:
        total = values.square().sum()
        return total * 1.0, total.detach()

    loss, copy = torch.compile(same, backend=graph_passes)(torch.ones(3, requires_grad=True))
    assert (loss.requires_grad, copy.requires_grad) == (False, False)


class _Detached(Target):
    """A target whose metric is its loss, detached."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def denominator(self, batch: Batch) -> Tensor:
        return torch.ones(())

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        total = (features.sequence.states * self.weight).square().sum()
        return TargetOutput(total * 1.0, self.denominator(batch), {"total": (total.detach(), torch.ones(()))})


def test_a_metric_may_be_the_loss_itself() -> None:
    model = model_of({"target": [READOUT], "encoder": "identity"})
    model.targets[next(iter(model.targets))] = _Detached()
    assert_compiled_is_plain(model, random_batch(model, LENGTHS))


def test_a_target_that_is_only_measured_gives_no_gradient() -> None:
    """Not one of zeros, by which an optimizer would let the target's weights decay."""
    model = model_of({"target": ["sp", {"cls": {"weight": 0.0}}], "encoder": "identity", "pooling": "mean"})
    batch = random_batch(model, LENGTHS)
    assert_compiled_is_plain(model, batch)
    _, gradients = computed(model, batch)
    assert {name.split(".")[1] for name in gradients if name.startswith("targets.")} == {"sp"}


def test_there_is_a_case_for_every_target() -> None:
    assert {name.partition("-")[0] for name in CASES} == set(discovery.index().names("target"))


def test_a_target_of_weight_one_trains_as_before(tmp_path: Path) -> None:
    model = case("mlm", tmp_path)
    assert_compiled_is_plain(model, random_batch(model, LENGTHS))


@pytest.mark.slow
def test_targets_may_change_from_batch_to_batch_and_be_divided_by_the_counts_of_several_batches() -> None:
    model = model_of({"target": ["sp", {"cls": {"weight": 0.5}}], "encoder": "identity", "pooling": "mean"})
    whole = random_batch(model, LENGTHS)
    parts = [replace(whole, targets=targets) for targets in (("sp",), ("cls",), None, ("sp",))]
    counts = {"sp": torch.tensor(7.0), "cls": torch.tensor(2.0)}
    assert_compiled_is_plain(model, *parts, denominators=counts)
    model.eval()
    with torch.no_grad():
        assert_close(model(whole).loss, sum(model(part).loss for part in parts[:2]), "the loss")
    assert set(model.predict(whole)[0]) == {"sp", "cls"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_target_trains_as_before(name: str, tmp_path: Path) -> None:
    model = case(name, tmp_path)
    assert_compiled_is_plain(model, random_batch(model, LENGTHS))


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch compiles with a C++ compiler")
@pytest.mark.parametrize("name", CASES)
def test_every_target_trains_as_before_with_the_compilers_own_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config  # its own random numbers are others

    monkeypatch.setattr(torch._inductor.config, "fallback_random", True)
    model = case(name, tmp_path)
    assert_compiled_is_plain(model, random_batch(model, LENGTHS), backend="inductor")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ("encoder", "decoder") for name in discovery.index().names(kind)]
)
def test_every_encoder_and_decoder_trains_as_before(kind: str, name: str) -> None:
    if name == "mae":
        pytest.skip("is a part of the case pixels-mae")
    small = {"num_layers": 1, "num_heads": 2} if name in ("transformer", "conformer") else {}
    parts = minimal_model(kind, name, small, config_class_of(kind, name))
    if "streams" in parts:
        del parts["embedding"]
    model = model_of(parts)
    assert_compiled_is_plain(model, random_batch(model, [12, 8, 7]))


# -- whole runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tasks over one tiny encoder, in two data sets; ``train.compile`` means the backend of these tests."""
    monkeypatch.chdir(tmp_path)
    compile_model = Model.compile
    monkeypatch.setattr(Model, "compile", lambda model: compile_model(model, backend=graph_passes))
    folder = runs.write_project(tmp_path, documents=20, steps=8, log_every=1, checkpoint_every=4, eval_every=4)
    labels = [f"{' '.join(runs.WORDS[i : i + 3])}\t{i % 2}" for i in range(30)]
    (folder / "labelled.tsv").write_text("\n".join(["text\tlabel", *labels]) + "\n")
    spec = runs.read_spec(folder)
    spec["model"] |= {"target": ["mlm", "cls"], "dropout": 0.0, "num_layers": 1}
    spec["train"] |= {"schedule": "constant", "accumulate": 2, "activation_checkpointing": True}
    running = {"processor": {"mlm": {"max_length": 16}}, "train": "corpus.txt", "targets": ["mlm"]}
    labelled = {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv", "targets": ["cls"]}
    data = {"tokenizer": spec["data"]["tokenizer"], "cache": "cache"}
    sets = {"running": {**running, "eval": "held_out.txt"}, "labelled": {**labelled, "eval": "labelled.tsv"}}
    runs.write_spec(folder, spec | {"data": {**data, "sets": sets}})
    return folder


def trained(folder: Path, run: str, *changes: str, resume: bool = False) -> list[dict[str, Any]]:
    train(load_spec(folder / "spec.yaml", changes), folder / run, resume=resume)
    return runs.metrics(folder / run)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_that_is_compiled_learns_evaluates_resumes_and_exports_like_any(
    project: Path, precision: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two micro-batches of a step, activations computed again, targets and lengths that change from step to step."""
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 2)  # too few, if they were not made enough
    common = f"train.precision={precision}"
    plain = trained(project, "plain", common)
    compiled = trained(project, "compiled", common, "train.compile=true")
    assert len({tuple(line) for line in compiled}) > 2, "the steps are of several targets"
    tolerance = {"fp32": 1e-4, "bf16": 0.05}[precision]
    for expected, found in zip(plain, compiled, strict=True):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True)

    labelled = load_model(project / "compiled" / "model", data_set="labelled")
    evaluated = evaluate(labelled, str(project / "labelled.tsv"), batch_size=8)
    assert evaluated["loss/cls"] == pytest.approx(compiled[-1]["eval/loss/labelled/cls"], rel=tolerance)
    (prediction,) = predict(labelled, [{"text": runs.WORDS[0]}])
    assert set(prediction) == {"label", "probabilities"}

    assert "recompile_limit" not in caplog.text

    for last in ("model", "checkpoints/step_000008"):
        shutil.rmtree(project / "compiled" / last)
    torch._dynamo.reset()
    resumed = trained(project, "compiled", common, "train.compile=true", resume=True)
    for expected, found in zip(compiled, resumed, strict=True):
        assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)
