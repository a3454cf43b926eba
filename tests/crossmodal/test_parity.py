"""CLIP, ViLT and VisualBERT of ``transformers``, converted to tp and back, compute what they computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tp_core
from tests.building import mask_of, randomised, tokens, worst
from tests.text.parity import Record, check, masked_labels
from tp_core import Model, load_model
from tp_core.errors import TPError
from tp_core.interfaces import Batch

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
    """What each layer of an encoder gives in a run."""
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
    batch = Batch(dict(given), len(lengths), labels={})
    real = torch.cat([mask, torch.ones(len(lengths), 10, dtype=torch.int64)], dim=1)
    states = layer_outputs(model.encoder, lambda: model.encode(batch))
    with torch.no_grad():
        features = model.encode(batch)
        states = [model.embedding(batch.source).states, *states]
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
    batch = Batch(dict(given), count)
    if pretraining:
        batch.labels["mlm"], batch.labels["itm"] = {"labels": labels, "positions": places}, {"labels": matches}
    real = torch.cat([mask, seen], dim=1)
    states = layer_outputs(model.encoder, lambda: model.encode(batch))
    with torch.no_grad():
        states = [model.embedding(batch.source).states, *states]
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
            matching=(matching.logits(features).flip(1), found.seq_relationship_logits),
            loss=(model(batch).loss, found.loss),
            loss_again=(after.loss, found.loss),
        )
