"""Vision models of Hugging Face, converted to tp and back, compute what they computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tp_core
from tests.building import randomised, worst
from tp_core import Model, load_model, load_spec
from tp_core.errors import TPError
from tp_core.inference.vectors import batch_vectors
from tp_core.interfaces import Batch
from tp_core.interop.description import describe
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5

#: (hidden size, heads, layers, image size, patch size, channels)
SHAPES = [(24, 4, 2, 12, 4, 3), (16, 2, 1, 8, 2, 1)]


@dataclass(frozen=True)
class Case:
    """A class of ``transformers`` and keys of its config beside the sizes."""

    cls: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.cls}{''.join(f'-{key}={value}' for key, value in self.more.items())}"


MULTI_LABEL = {"problem_type": "multi_label_classification", "num_labels": 4}
SHARED = {"use_shared_relative_position_bias": True}
PER_LAYER = {"use_relative_position_bias": True}
CASES = [
    Case("ViTForImageClassification", {"num_labels": 5}),
    Case("ViTForImageClassification", {"num_labels": 3, "qkv_bias": False, "hidden_act": "relu"}),
    Case("ViTModel"),
    Case("ViTForMaskedImageModeling"),
    Case("DeiTForImageClassificationWithTeacher", {"num_labels": 4}),
    Case("DeiTForImageClassification", {"num_labels": 4}),
    *(
        Case(f"{name}ForImageClassification", more)
        for name in ("ViT", "DeiT")
        for more in (MULTI_LABEL, {"num_labels": 1})
    ),
    Case("DeiTForMaskedImageModeling"),
    Case("BeitForMaskedImageModeling", {"vocab_size": 11, "use_mask_token": True, **SHARED}),
    Case(
        "BeitForMaskedImageModeling",
        {
            "vocab_size": 11,
            "use_mask_token": True,
            "use_absolute_position_embeddings": True,
            "layer_scale_init_value": 0.0,
            "use_mean_pooling": False,
        },
    ),
    Case("BeitForImageClassification", {"num_labels": 4, **PER_LAYER}),
    Case("BeitModel", {"use_mean_pooling": False, **PER_LAYER}),
    Case("ViTMAEForPreTraining", {"norm_pix_loss": False}),
    Case("ViTMAEForPreTraining", {"norm_pix_loss": True}),
    Case("ViTMAEModel"),
]


def make(case: Case, shape: tuple[int, ...]) -> Any:
    """The model of ``transformers``, with random weights on its plainest code path; fixed positions stay fixed."""
    hidden, heads, layers, image, patch, channels = shape
    sizes = {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": 3 * hidden,
        "image_size": image,
        "patch_size": patch,
        "num_channels": channels,
        "layer_norm_eps": 1e-6,
    }
    if "MAE" in case.cls:
        decoder = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": layers, "intermediate_size": 24}
        sizes |= {f"decoder_{key}": value for key, value in decoder.items()}
    elif "Beit" not in case.cls:
        sizes["encoder_stride"] = patch
    cls = getattr(transformers, case.cls)
    model = randomised(cls(cls.config_class(attn_implementation="eager", **sizes, **case.more)), std=0.15).eval()
    if "MAE" in case.cls:
        with torch.no_grad():
            tables = [getattr(model, "vit", model).embeddings.position_embeddings]
            tables += [model.decoder.decoder_pos_embed] if hasattr(model, "decoder") else []
            for table in tables:
                table.copy_(fixed_positions(image // patch, table.shape[-1]))
    return model


def fixed_positions(side: int, size: int) -> Tensor:
    """MAE's, as transformers computes them."""
    from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

    table = build_2d_sinusoidal_position_embedding(side, side, size, cls_token=True)
    return torch.cat([table[:, size // 2 :], table[:, : size // 2]], dim=1)  # it swaps the halves, too


@dataclass
class Example:
    """The same pictures, masks and labels for both."""

    theirs: dict[str, Any]
    ours: Batch


def example(case: Case, shape: tuple[int, ...], labels: int) -> Example:
    *_, image, patch, channels = shape
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, channels, image, image, generator=generator)
    patches = (image // patch) ** 2
    noise = torch.rand(3, patches, generator=generator)
    order = noise.argsort(dim=1)
    left = int(patches * 0.25)
    masked = torch.zeros(3, patches, dtype=torch.bool).scatter(1, order[:, left:], True)
    source, theirs = {"pixel_values": pixels}, {"pixel_values": pixels}
    masked_at = {"positions": order[:, left:]}
    given: dict[str, dict[str, Tensor]] = {"pixels": masked_at}
    if "MAE" in case.cls:
        source["visible_ids"], theirs["noise"] = order[:, :left], noise
    elif "Masked" in case.cls:
        source["bool_masked_pos"] = theirs["bool_masked_pos"] = masked
        if "Beit" in case.cls:
            tokens = torch.randint(0, 11, (3, patches), generator=generator)
            given["visual_tokens"] = {"labels": tokens, **masked_at}
            theirs["labels"] = tokens[masked]
    elif "Classification" in case.cls:
        classes = torch.randint(0, labels, (3,), generator=generator)
        given |= {name: {"labels": classes} for name in ("cls", "deit", "patch_cls")}
        if "Teacher" not in case.cls:
            theirs["labels"] = classes
        if "problem_type" in case.more or labels == 1:
            values = torch.randn(3, labels, generator=generator)
            theirs["labels"] = (values > 0).float() if "problem_type" in case.more else values
            given |= {name: {"labels": theirs["labels"]} for name in ("multi_label", "regression")}
    return Example(theirs, Batch.of(source, 3, labels=given))


@torch.no_grad()
def outputs(model: Any, batch: Example) -> Any:
    return model(**batch.theirs, output_hidden_states=True)


@torch.no_grad()
def check(model: Model, case: Case, found: Any, batch: Example) -> None:
    """States after every layer, final states, logits and loss."""
    states: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _, args, output: states.append(output[0]))
        for layer in model.encoder.layers  # type: ignore[union-attr]
    ]
    features = model.encode(batch.ours)
    for handle in handles:
        handle.remove()
    for ours, theirs in zip(states, found.hidden_states[1:], strict=True):
        assert worst(ours, theirs) < TOLERANCE
    if case.cls.endswith("Model"):
        assert worst(features.sequence.states, found.last_hidden_state) < TOLERANCE
        return
    (target,) = model.targets.values()
    named = {"pixels": "predicted", "visual_tokens": "patch_logits", "regression": "values"}
    name = named.get(target.name, "class_logits")
    logits: Tensor = getattr(target, name)(features)
    if "reconstruction" in found:
        logits = target.reconstructions(features, batch.ours)  # type: ignore[operator]
        assert worst(logits, found.reconstruction) < TOLERANCE
    else:
        assert worst(logits, found.logits) < TOLERANCE
    if found.get("loss") is not None:
        assert worst(model(batch.ours).loss, found.loss) < TOLERANCE


def reloaded(case: Case, folder: Path) -> Any:
    """The model that transformers makes of a folder, every tensor of which it must find and want."""
    transformers.utils.logging.set_verbosity_error()
    cls = getattr(transformers, case.cls)
    model, info = cls.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    # The bare model has a pooler that none of the heads reads, and that is left out.
    assert not {name for name in info["missing_keys"] if not (case.cls.endswith("Model") and "pooler" in name)}
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the name that the layers of MAE's decoder had before transformers 5."""
    now = "decoder.decoder_encoder.layer."
    return {name.replace(now, "decoder.decoder_layers."): value for name, value in tensors.items()}


def check_files(first: Path, second: Path) -> None:
    """The same tensors under the same names, but for the pooler of bare models."""
    before, after = (load_file(folder / "model.safetensors") for folder in (first, second))
    modern = renamed(before)
    assert after.keys() == {name for name in modern if "pooler.dense" not in name}
    for name, tensor in after.items():
        assert worst(tensor, modern[name]) < TOLERANCE, name


@pytest.mark.parametrize("shape", SHAPES, ids=["colour", "grey"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_model_is_the_same_after_each_way(tmp_path: Path, case: Case, shape: tuple[int, ...]) -> None:
    theirs = make(case, shape)
    theirs.save_pretrained(tmp_path / "first")
    tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    model = load_model(tmp_path / "ours", "cpu").model
    batch = example(case, shape, theirs.config.num_labels)
    found = outputs(theirs, batch)
    check(model, case, found, batch)
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "second")
    check_files(tmp_path / "first", tmp_path / "second")
    again = outputs(reloaded(case, tmp_path / "second"), batch)
    if "Masked" in case.cls and not case.more.get("use_mean_pooling", True):
        return  # of its own file, too, transformers 5.23 loads 'beit.layernorm' as 'layernorm' and the reverse
    for name in ("logits", "reconstruction", "loss", "last_hidden_state"):
        if found.get(name) is not None:
            assert worst(again[name], found[name]) < TOLERANCE


def test_the_decoder_of_older_mae_checkpoints_has_another_name(tmp_path: Path) -> None:
    case = Case("ViTMAEForPreTraining")
    theirs = make(case, SHAPES[0])
    theirs.save_pretrained(tmp_path / "first")
    file = tmp_path / "first" / "model.safetensors"
    old = renamed(load_file(file))
    save_file(old, file, metadata={"format": "pt"})
    tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    batch = example(case, SHAPES[0], 2)
    check(load_model(tmp_path / "ours", "cpu").model, case, outputs(theirs, batch), batch)


def test_learned_positions_are_not_taken_for_maes_fixed_ones(tmp_path: Path) -> None:
    theirs = make(Case("ViTMAEModel"), SHAPES[0])
    with torch.no_grad():
        theirs.embeddings.position_embeddings.add_(0.1)
    theirs.save_pretrained(tmp_path / "first")
    with pytest.raises(TPError, match="position_embeddings' differs from the values that the model computes"):
        tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")


def classifier(folder: Path, options: dict[str, Any]) -> Spec:
    """A ViT as one writes it: the preset with another number of classes."""
    spec = {"extends": "vit-tiny", "model": {"target": [{"cls": {"num_labels": 3, **options}}]}}
    (folder / "spec.yaml").write_text(json.dumps(spec))
    return load_spec(folder / "spec.yaml")


@pytest.mark.parametrize("options", [{}, {"pooling": "first"}, {"activation": "gelu"}])
def test_a_classifier_that_leaves_the_pooling_to_the_model_is_transformers_classifier(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    found = describe(classifier(tmp_path, options), None, None)
    assert (found.name, found.architecture, len(found.config["id2label"])) == ("vit", "ViTForImageClassification", 3)


@pytest.mark.parametrize("options", [{"pooling": "mean"}, {"hidden_layer": True}])
def test_a_classifier_that_is_none_of_transformers_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(TPError, match=rf"model\.target\.cls\.{next(iter(options))} is"):
        describe(classifier(tmp_path, options), None, None)


def test_beit_with_both_kinds_of_relative_positions_is_refused(tmp_path: Path) -> None:
    make(Case("BeitModel", {**SHARED, **PER_LAYER}), SHAPES[0]).save_pretrained(tmp_path / "first")
    with pytest.raises(TPError, match="are both true"):
        tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")


@pytest.mark.parametrize(
    ("cls", "more"),
    [
        ("BeitForImageClassification", {"num_labels": 4, **PER_LAYER}),
        ("DeiTForImageClassificationWithTeacher", {"num_labels": 4}),
        ("ViTForImageClassification", {"num_labels": 4}),
    ],
)
def test_a_pictures_vector_is_what_the_classifier_reads(tmp_path: Path, cls: str, more: dict[str, Any]) -> None:
    case = Case(cls, more)
    theirs = make(case, SHAPES[0])
    theirs.save_pretrained(tmp_path / "theirs")
    model = load_model(tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours"), "cpu").model
    batch = example(case, SHAPES[0], 4)
    with torch.no_grad():
        body = theirs.base_model(pixel_values=batch.theirs["pixel_values"])
        found = batch_vectors(model, batch.ours, vector_plan(model.spec, EmbedOptions()))
    states = body.last_hidden_state.double()
    expected = {
        "BeitForImageClassification": body.pooler_output,  # the normalised mean of the patches
        "DeiTForImageClassificationWithTeacher": (states[:, 0] + states[:, 1]) / 2,
        "ViTForImageClassification": states[:, 0],
    }
    assert worst(found, expected[cls]) < TOLERANCE
