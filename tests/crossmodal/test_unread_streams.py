"""A stream that no target reads: the model trains in two processes as in one, and the user is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.core import runs
from tests.crossmodal.pictures import VOCABULARY, captioned
from tp_core import build_model, load_spec

CORE = Path(runs.__file__).parent
SMALL: dict[str, Any] = {"transformer": {"num_layers": 1, "num_heads": 2}}
#: How the streams are joined: as in ViLBERT, or not at all.
JOINED = {"joined": [], "apart": ["model.encoder=null"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masked words of captions, beside pictures; each run in one process (``alone``) and in two."""
    root = tmp_path_factory.mktemp("unread")
    lines = []
    for number, record in enumerate(captioned(6)):
        (root / f"{number}.png").write_bytes(record["image"])
        lines.append(json.dumps({"image": f"{number}.png", "text": record["text"]}))
    (root / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    shutil.copy(CORE / "keep_weights.py", root)
    patch = {"patch": {"image_size": 8, "patch_size": 4, "channels": 1}}
    spec = {
        "model": {
            "hidden_size": 16,
            "dropout": 0.0,
            "streams": {
                "text": {"embedding": ["word", {"pos": {"max_length": 16}}], "encoder": SMALL},
                "image": {"embedding": [patch, "patch_pos"], "encoder": SMALL},
            },
            "encoder": {"co_attention": {"num_layers": 2, "num_heads": 2}},
            "target": [{"mlm": {"stream": "text"}}],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"image_text_pair": {"max_length": 16}},
            "train": "pairs.jsonl",
            "cache": "cache",
        },
        "train": {
            "steps": 4,
            "batch_size": 4,
            "loggers": [],
            "hooks": ["keep_weights:Config"],
            # With weight decay, a part that has a gradient of zero would not stay as it is.
            "optimizer": {"adamw": {"lr": 0.01, "weight_decay": 0.1}},
        },
    }
    (root / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    wanted = {name: ["spec.yaml", *changes] for name, changes in JOINED.items()}
    (root / "alone.json").write_text(json.dumps({f"{name} alone": run for name, run in wanted.items()}))
    (root / "pair.json").write_text(json.dumps(wanted))
    runs.run_tp(root, "alone.json", script=CORE / "many_runs.py")
    (root / "said.txt").write_text(runs.run_group(root, "pair.json", script=CORE / "many_runs.py"))
    return root


def weights(run: Path, rank: int = 0) -> dict[str, torch.Tensor]:
    return load_file(str(run / f"rank-{rank}.safetensors"))


@pytest.mark.parametrize("name", JOINED)
def test_two_processes_learn_as_one(home: Path, name: str) -> None:
    found, expected = weights(home / name), weights(home / f"{name} alone")
    runs.assert_same_weights(weights(home / name, 1), found)
    for key, value in expected.items():
        assert (found[key] - value).norm() <= 5e-5 * value.norm() + 1e-6, key


@pytest.mark.parametrize("name", JOINED)
def test_what_no_target_reads_stays_as_it_was_drawn(home: Path, name: str) -> None:
    before, after = build_model(load_spec(home / "spec.yaml", JOINED[name])).weights(), weights(home / name)
    same = {key for key, value in before.items() if torch.equal(after[key], value)}
    image = {key for key in before if key.startswith("streams.image.")}
    if name == "apart":
        assert same == image
    else:  # the last layer's side of the picture alone
        assert same
        assert not same & image
        assert all(key.startswith("fusion.layers.1.") for key in same)


def test_training_says_which_stream_no_target_reads_once(home: Path) -> None:
    said = (home / "said.txt").read_text()
    assert said.count("model.streams.image: note: no target reads this stream behind 'co_attention'") == 1
    assert said.count("model.streams.image: note: no target reads this stream: it is computed, and not trained") == 1


def test_check_says_so_too_and_finds_no_problem(home: Path) -> None:
    said = runs.run_tp(home, "check", "spec.yaml", "model.encoder=null")
    assert "spec.yaml:14:5: model.streams.image: note: no target reads this stream" in said
    assert "spec.yaml: ok" in said
    found = json.loads(runs.run_tp(home, "check", "spec.yaml", "--json"))
    assert found["ok"]
    (note,) = found["notes"]
    assert note["path"] == "model.streams.image"
    assert note["line"] == 14
