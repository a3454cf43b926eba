"""Pictures of what a model makes of masked patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torchvision.io import read_image

from tests.vision.test_vq import scans
from tp_core import TPError, load_spec, train


def spec_of(folder: Path, target: Any, **data: Any) -> Path:
    model = {
        "hidden_size": 8,
        "image_size": 8,
        "patch_size": 4,
        "channels": 1,
        "embedding": ["patch", "patch_sinusoidal", "visible"],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "decoder": {"mae": {"hidden_size": 8, "num_layers": 1, "num_heads": 2}},
        "target": target,
    }
    tree = {
        "tp": 1,
        "name": "mae",
        "model": model,
        "data": {"processor": {"masked_image": {"mask_ratio": 0.5}}, "train": "scans", **data},
        "train": {
            "steps": 2,
            "eval_every": 1,
            "batch_size": 4,
            "workers": 0,
            "device": "cpu",
            "hooks": [{"reconstructions": {"count": 5}}],
        },
    }
    file = folder / "mae.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False))
    return file


def test_each_evaluation_writes_originals_visible_patches_and_completed_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    (tmp_path / "scans").mkdir()
    scans(tmp_path / "scans")
    train(load_spec(spec_of(tmp_path, ["pixels"], eval="scans")), tmp_path / "run")
    files = sorted((tmp_path / "run" / "reconstructions").iterdir())
    assert [file.name for file in files] == ["step_00000001.png", "step_00000002.png"]
    # 5 rows of 3 pictures, each pixel of 8 as 12 x 12, with a margin of 4.
    picture = read_image(str(files[1]))
    assert picture.shape == (3, 5 * 100 + 4, 3 * 100 + 4)
    tiles = picture[0].float()[4:, 4:].unfold(0, 96, 100).unfold(1, 96, 100)
    original, visible, completed = tiles[:, 0], tiles[:, 1], tiles[:, 2]
    grey = visible.unfold(1, 48, 48).unfold(2, 48, 48)
    hidden = ((grey - 128).abs() <= 1).all(-1).all(-1)
    assert hidden.flatten(1).sum(1).tolist() == [2] * 5
    shown = ~hidden.repeat_interleave(48, 1).repeat_interleave(48, 2)
    assert torch.equal(original[shown], completed[shown])
    assert not torch.equal(original[~shown], completed[~shown])
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["reconstructions"]


def test_several_data_sets_have_pictures_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    scans(tmp_path / "scans")
    file = spec_of(tmp_path, ["pixels"])
    tree = yaml.safe_load(file.read_text())
    part = {"processor": tree["data"]["processor"], "train": "scans"}
    tree["data"] = {"sets": {"seen": part, "shown": {**part, "eval": "scans"}}}
    file.write_text(yaml.safe_dump(tree))
    train(load_spec(file), tmp_path / "run")
    assert len(list((tmp_path / "run" / "reconstructions_shown").iterdir())) == 2
    assert not (tmp_path / "run" / "reconstructions_seen").exists()


@pytest.mark.parametrize(
    ("target", "data", "message"),
    [
        (["patch_cls"], {"eval": "scans"}, "the model does not have it"),
        (["pixels"], {}, "needs data.eval"),
    ],
)
def test_a_spec_without_anything_to_show_is_refused(
    tmp_path: Path, target: list[str], data: dict[str, Any], message: str
) -> None:
    from tp_core.hookspecs import hook_manager, run_checks

    (tmp_path / "scans").mkdir()
    scans(tmp_path / "scans")
    data = {**data, "processor": "image"} if target == ["patch_cls"] else data
    file = spec_of(tmp_path, target, **data)
    if target == ["patch_cls"]:
        tree = yaml.safe_load(file.read_text())
        tree["model"] |= {"embedding": ["patch"], "decoder": None}
        file.write_text(yaml.safe_dump(tree))
    spec = load_spec(file)
    hooks = hook_manager((hook.name, hook.config.build()) for hook in spec.train.hooks)
    with pytest.raises(TPError, match=message):
        run_checks(hooks, spec)
