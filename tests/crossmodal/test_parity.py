"""CLIP, ViLT and VisualBERT of ``transformers``, converted to tp and back, compute what they computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

import tp_core
from tests.building import mask_of, randomised, tokens, worst
from tests.text.parity import Record, check, masked_labels
from tp_core import Model, load_model
from tp_core.errors import TPError
from tp_core.inference.vectors import batch_vectors
from tp_core.interfaces import Batch
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

VOCABULARY = 37

#: (real lengths of the texts, hidden size, heads, layers)
SHAPES = [([9, 4, 2], 24, 4, 2), ([2], 16, 2, 1), ([11, 11, 5, 7], 48, 6, 3)]
every_shape = pytest.mark.parametrize(
    ("lengths", "hidden", "heads", "layers"), SHAPES, ids=["padded", "shortest", "longer"]
)


def both_ways(theirs: Any, folder: Path) -> tuple[Model, Any]:
    """The model as ours, and that as theirs again."""
    theirs.save_pretrained(folder / "first")
    ours = tp_core.convert("huggingface", folder / "first", "tp", folder / "ours")
    again = tp_core.convert("tp", ours, "huggingface", folder / "second")
    cls = type(theirs)
    model, info = cls.from_pretrained(again, attn_implementation="eager", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return load_model(ours, "cpu").model, model.eval()


def pictures(count: int, height: int, width: int, channels: int = 3) -> Tensor:
    return torch.randn((count, channels, height, width), generator=torch.Generator().manual_seed(3))


def layer_outputs(encoder: Any, run: Any) -> list[Tensor]:
    """The output of each layer of an encoder in a run."""
    found: list[Tensor] = []
    handles = [layer.register_forward_hook(lambda _, args, out: found.append(out[0])) for layer in encoder.layers]
    with torch.no_grad():
        run()
    for handle in handles:
        handle.remove()
    return found


def clip(hidden: int, heads: int, layers: int) -> Any:
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": 3 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 12,
        "bos_token_id": 35,
        "eos_token_id": 36,
        "pad_token_id": 0,
    }
    image = {
        "hidden_size": 2 * hidden,
        "intermediate_size": 5 * hidden,
        "num_hidden_layers": layers + 1,
        "num_attention_heads": heads,
        "image_size": 24,
        "patch_size": 8,
    }
    config = transformers.CLIPConfig(
        text_config=text, vision_config=image, projection_dim=10, attn_implementation="eager"
    )
    return randomised(transformers.CLIPModel(config), std=0.1).eval()


@every_shape
def test_clip_is_the_same_after_each_way(
    tmp_path: Path, record_property: Record, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    theirs = clip(hidden, heads, layers)
    model, again = both_ways(theirs, tmp_path)
    mask = mask_of(lengths, max(lengths))
    ids = tokens(*mask.shape, high=35) * mask
    ids[torch.arange(len(lengths)), mask.sum(1) - 1] = 36
    pixels = pictures(len(lengths), 24, 24)
    given = {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels, "return_loss": True}
    with torch.no_grad():
        found = theirs(**given)
        after = again(**given)
        texts = theirs.text_model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        images = theirs.vision_model(pixel_values=pixels, output_hidden_states=True)
    source = {"text": {"input_ids": ids, "attention_mask": mask}, "image": {"pixel_values": pixels}}
    batch = Batch(source, len(lengths), labels={"clr": {"labels": torch.ones(len(lengths), dtype=torch.int64)}})
    for name, hidden_states, real in (("text", texts.hidden_states, mask), ("image", images.hidden_states, None)):
        stream: Any = model.streams[name]
        states = layer_outputs(stream.encoder, lambda: model.encode(batch))
        gaps = [worst(a, b, real) for a, b in zip(states, hidden_states[1:], strict=True)]
        record_property(f"{name} states", max(gaps))
        assert max(gaps) < 1e-5
    target: Any = model.targets["clr"]
    with torch.no_grad():
        text, image = target.vectors(model.encode(batch))
        check(
            record_property,
            text=(text, found.text_embeds),
            image=(image, found.image_embeds),
            logits=(target.scale() * image @ text.T, found.logits_per_image),
            loss=(model(batch).loss, found.loss),
            logits_again=(after.logits_per_image, found.logits_per_image),
            loss_again=(after.loss, found.loss),
        )


@every_shape
def test_clips_vectors_are_those_of_transformers(
    tmp_path: Path, record_property: Record, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    theirs = clip(hidden, heads, layers)
    model, _ = both_ways(theirs, tmp_path)
    mask = mask_of(lengths, max(lengths))
    ids = tokens(*mask.shape, high=35) * mask
    ids[torch.arange(len(lengths)), mask.sum(1) - 1] = 36
    pixels = pictures(len(lengths), 24, 24)
    inputs = {"text": {"input_ids": ids, "attention_mask": mask}, "image": {"pixel_values": pixels}}
    with torch.no_grad():
        features = {
            "text": theirs.get_text_features(**inputs["text"]).pooler_output,
            "image": theirs.get_image_features(**inputs["image"]).pooler_output,
        }
        both = theirs(**inputs["text"], **inputs["image"])
        pooled = {
            "text": theirs.text_model(**inputs["text"]).pooler_output,
            "image": theirs.vision_model(**inputs["image"]).pooler_output,
        }
        for name, projected in features.items():
            alone = Batch({name: inputs[name]}, len(lengths))

            def made(stream: str = name, batch: Batch = alone, **options: Any) -> Tensor:
                plan = vector_plan(model.spec, EmbedOptions(stream=stream, **options))
                return batch_vectors(model, batch, plan)

            check(record_property, projected=(made(normalize=False), projected))
            check(record_property, usual=(made(), both.text_embeds if name == "text" else both.image_embeds))
            check(record_property, before=(made(normalize=False, projection=False), pooled[name]))


def test_a_model_that_has_the_heads_of_an_architecture_only_is_nearest_to_it(tmp_path: Path) -> None:
    clip(16, 2, 1).save_pretrained(tmp_path / "first")
    ours = tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    spec = (ours / "spec.yaml").read_text(encoding="utf-8")
    assert "image_size: 24\n" in spec
    (ours / "spec.yaml").write_text(spec.replace("image_size: 24\n", "image_size: [24, 16]\n"), encoding="utf-8")
    (ours / "huggingface.json").unlink()
    with pytest.raises(TPError, match=r"(?s)nearest to 'clip', but:.*CLIP has square pictures"):
        tp_core.convert("tp", ours, "huggingface", tmp_path / "again")


def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ViLT of ``transformers`` leave patches in their order, which it shuffles."""
    monkeypatch.setattr(torch, "multinomial", lambda weights, count, **_: torch.arange(int(count)))


@every_shape
@pytest.mark.parametrize("kind", ["ViltForMaskedLM", "ViltModel"])
def test_vilt_is_the_same_after_each_way(
    tmp_path: Path,
    record_property: Record,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
) -> None:
    row_by_row(monkeypatch)
    config = transformers.ViltConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * hidden,
        max_position_embeddings=12,
        image_size=24,
        patch_size=8,
        attn_implementation="eager",
    )
    theirs = randomised(getattr(transformers, kind)(config), std=0.1).eval()
    model, again = both_ways(theirs, tmp_path)
    mask = mask_of(lengths, max(lengths))
    ids, types = tokens(*mask.shape, high=VOCABULARY), tokens(*mask.shape, high=3, seed=2) - 1
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    given["pixel_values"] = pictures(len(lengths), 24, 24)
    labels = masked_labels(ids, mask)
    more = {"labels": labels} if kind == "ViltForMaskedLM" else {}
    with torch.no_grad():
        found = theirs(**given, **more, output_hidden_states=True)
        after = again(**given, **more, output_hidden_states=True)
    batch = Batch.of(dict(given), len(lengths), labels={})
    real = torch.cat([mask, torch.ones(len(lengths), 10, dtype=torch.int64)], dim=1)
    states = layer_outputs(model.encoder, lambda: model.encode(batch))
    with torch.no_grad():
        features = model.encode(batch)
        states = [model.embedding(batch.inputs).states, *states]
        if kind == "ViltModel":
            check(record_property, last=(features.sequence.states[real.bool()], found[0][real.bool()]))
    gaps = [worst(a, b, real) for a, b in zip(states, found.hidden_states[: layers + 1], strict=True)]
    record_property("hidden states", max(gaps))
    assert max(gaps) < 1e-5
    gaps = [worst(a, b, real) for a, b in zip(after.hidden_states, found.hidden_states, strict=True)]
    assert max(gaps) < 1e-5
    if kind == "ViltModel":
        return
    target: Any = model.targets["mlm"]
    width = mask.shape[1]
    batch.labels["mlm"] = {"labels": labels, "positions": torch.arange(width).expand(len(lengths), -1)}
    with torch.no_grad():
        logits = target.output(target.transform(features.sequence.states[:, :width]))
        check(record_property, logits=(logits[mask.bool()], found.logits[mask.bool()]))
        check(record_property, loss=(model(batch).loss, found.loss), loss_again=(after.loss, found.loss))


def test_an_untied_vilt_as_it_was_published_is_the_same_after_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_by_row(monkeypatch)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.ViltConfig(vocab_size=VOCABULARY, image_size=16, patch_size=8, **sizes)
    first = tmp_path / "first"
    randomised(transformers.ViltForMaskedLM(config), std=0.1).save_pretrained(first)
    file, name = first / "model.safetensors", "mlm_score.decoder.weight"
    matrix = torch.randn(VOCABULARY, 16, generator=torch.Generator().manual_seed(5))
    save_file({**load_file(file), name: matrix}, file, metadata={"format": "pt"})
    keys = json.loads((first / "config.json").read_text())
    (first / "config.json").write_text(json.dumps({**keys, "tie_word_embeddings": False}))
    tp_core.convert("huggingface", first, "tp", tmp_path / "ours")
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "again")
    given = {"input_ids": tokens(2, 5, high=VOCABULARY), "pixel_values": pictures(2, 16, 16)}
    with torch.no_grad():
        found, after = (
            transformers.ViltForMaskedLM.from_pretrained(tmp_path / folder).eval()(**given).logits
            for folder in ("first", "again")
        )
    assert torch.equal(load_file(tmp_path / "again" / "model.safetensors")[name], matrix)
    assert worst(after, found) < 1e-5


@every_shape
@pytest.mark.parametrize("kind", ["VisualBertForPreTraining", "VisualBertModel"])
def test_visualbert_is_the_same_after_each_way(
    tmp_path: Path, record_property: Record, kind: str, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    config = transformers.VisualBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        visual_embedding_dim=7,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * hidden,
        max_position_embeddings=20,
        attn_implementation="eager",
    )
    made: Any = randomised(getattr(transformers, kind)(config), std=0.1).eval()
    pretraining = kind == "VisualBertForPreTraining"
    made.save_pretrained(tmp_path / "first")
    ours = tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    model = load_model(ours, "cpu").model
    again_folder = tp_core.convert("tp", ours, "huggingface", tmp_path / "second")
    again = type(made).from_pretrained(again_folder, attn_implementation="eager").eval()
    count, regions = len(lengths), 5
    mask, seen = mask_of(lengths, max(lengths)), mask_of([1 + n % regions for n in lengths], regions)
    ids, types = tokens(*mask.shape, high=VOCABULARY), tokens(*mask.shape, high=3, seed=2) - 1
    visual = torch.randn((count, regions, 7), generator=torch.Generator().manual_seed(4))
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    given |= {"visual_embeds": visual, "visual_attention_mask": seen}
    labels = torch.cat([masked_labels(ids, mask), torch.full_like(seen, -100)], dim=1)
    matches = torch.arange(count) % 2
    more = {"labels": labels, "sentence_image_labels": 1 - matches} if pretraining else {}
    with torch.no_grad():
        found = made(**given, **more, output_hidden_states=True)
        after = again(**given, **more, output_hidden_states=True)
    places = torch.arange(labels.shape[1]).expand(count, -1)
    batch = Batch.of(dict(given), count)
    if pretraining:
        batch.labels["mlm"], batch.labels["itm"] = {"labels": labels, "positions": places}, {"labels": matches}
    real = torch.cat([mask, seen], dim=1)
    states = layer_outputs(model.encoder, lambda: model.encode(batch))
    with torch.no_grad():
        states = [model.embedding(batch.inputs).states, *states]
        features = model.encode(batch)
    for expected in (found.hidden_states, after.hidden_states):
        gaps = [worst(a, b, real) for a, b in zip(states, expected, strict=True)]
        record_property("hidden states", max(gaps))
        assert max(gaps) < 1e-5
    if not pretraining:
        return
    mlm, itm = model.targets["mlm"], model.targets["itm"]
    assert isinstance(mlm, torch.nn.Module)
    target: Any = mlm
    matching: Any = itm
    with torch.no_grad():
        logits = target.output(target.transform(features.sequence.states))
        check(
            record_property,
            logits=(logits[real.bool()], found.prediction_logits[real.bool()]),
            matching=(matching.class_logits(features).flip(1), found.seq_relationship_logits),
            loss=(model(batch).loss, found.loss),
            loss_again=(after.loss, found.loss),
        )


@pytest.mark.parametrize("both", [True, False], ids=["beside the new ones", "alone"])
def test_clips_older_objects_override_the_others_as_in_transformers(tmp_path: Path, both: bool) -> None:
    theirs = clip(16, 2, 1)
    theirs.save_pretrained(tmp_path / "first")
    file = tmp_path / "first" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    wrong = {"hidden_act": "relu", "layer_norm_eps": 0.5}
    for name in ("text_config", "vision_config"):
        config[f"{name}_dict"] = {**config[name], "hidden_act": "gelu"}
        config[name] = {**config[name], **wrong} if both else None
    file.write_text(json.dumps(config), encoding="utf-8")
    known = transformers.CLIPModel.from_pretrained(tmp_path / "first").eval()
    assert (known.config.text_config.hidden_act, known.config.vision_config.layer_norm_eps) == ("gelu", 1e-5)
    ours = tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    model = load_model(ours, "cpu").model
    ids, pixels = torch.tensor([[35, 3, 4, 36]]), pictures(1, 24, 24)
    batch = Batch({"text": {"input_ids": ids}, "image": {"pixel_values": pixels}}, 1)
    with torch.no_grad():
        found = known(input_ids=ids, pixel_values=pixels)
        target: Any = model.targets["clr"]
        text, image = target.vectors(model.encode(batch))
    assert worst(text, found.text_embeds) < 1e-5
    assert worst(image, found.image_embeds) < 1e-5


def test_a_key_inside_clips_older_objects_is_accounted_for(tmp_path: Path) -> None:
    clip(16, 2, 1).save_pretrained(tmp_path / "first")
    file = tmp_path / "first" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["text_config_dict"] = {**config["text_config"], "qk_norm": True}
    file.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(TPError, match=r"'text_config\.qk_norm' is true"):
        tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    said: list[str] = []
    keys = ["text_config_dict.qk_norm"]
    tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours", ignore_keys=keys, say=said.append)
    assert "config.json: 'text_config_dict.qk_norm' is true, and is ignored as you asked" in said


def test_a_clip_with_positions_of_another_size_is_written_with_those_that_it_uses(tmp_path: Path) -> None:
    clip(16, 2, 1).save_pretrained(tmp_path / "first")
    ours = tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    spec = yaml.safe_load((ours / "spec.yaml").read_text(encoding="utf-8"))
    modules = spec["model"]["streams"]["image"]["embedding"]["modules"]
    modules[0]["patch"]["image_size"] = 40
    modules[1] = {"patch_pos": {"position_image_size": 24}}
    (ours / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    again = transformers.CLIPModel.from_pretrained(tp_core.convert("tp", ours, "huggingface", tmp_path / "second"))
    assert again.config.vision_config.image_size == 40
    pixels = pictures(2, 40, 40)
    batch = Batch({"image": {"pixel_values": pixels}}, 2)
    with torch.no_grad():
        expected = load_model(ours, "cpu").model.encode(batch).streams["image"].states
        found = again.eval().vision_model(pixel_values=pixels).last_hidden_state
        norm = again.vision_model.post_layernorm
        assert worst(norm(found), expected) < 1e-5
