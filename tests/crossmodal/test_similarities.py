"""Pictures of how alike a model of two streams finds pairs and strangers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from tests.crossmodal.pictures import VOCABULARY, captioned
from tp_core import TPError, load_spec, train
from tp_core.hookspecs import hook_manager, run_checks
from tp_crossmodal.hooks.heat_map import fitted, heat_map, load_font

SMALL: dict[str, Any] = {"transformer": {"num_layers": 1, "num_heads": 2}}
TEXT = {"embedding": ["word", {"pos": {"max_length": 16}}], "encoder": SMALL}
IMAGE = {"embedding": [{"patch": {"image_size": 8, "patch_size": 4, "channels": 1}}, "patch_pos"], "encoder": SMALL}
ORANGE, RED = (245, 158, 11), (208, 24, 60)


def spec_of(folder: Path, hook: dict[str, Any], **changes: Any) -> Path:
    """A spec of pictures and texts; ``changes`` replace whole parts of ``model`` and ``data``."""
    (folder / "photos").mkdir(exist_ok=True)
    lines = []
    for number, record in enumerate(captioned(6)):
        (folder / "photos" / f"{number}.png").write_bytes(record["image"])
        lines.append(json.dumps({"image": f"photos/{number}.png", "text": record["text"]}))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    data = {
        "tokenizer": {"space": {"vocab": "vocab.txt"}},
        "processor": {"image_text_pair": {"max_length": 16}},
        "train": "pairs.jsonl",
        "eval": "pairs.jsonl",
        "cache": "cache",
    }
    spec = {
        "tp": 1,
        "name": "small",
        "model": {
            "hidden_size": 8,
            "streams": changes.get("streams", {"text": TEXT, "image": IMAGE}),
            "target": changes.get("target", ["clr"]),
        },
        "data": {k: v for k, v in (data | changes.get("data", {})).items() if v is not None},
        "train": {
            "steps": 2,
            "eval_every": 1,
            "batch_size": 6,
            "workers": 0,
            "device": "cpu",
            "hooks": [{"similarities": hook}],
        },
    }
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return file


def cells(picture: Image.Image, count: int, cell: int = 48) -> tuple[NDArray[Any], int, int]:
    """The picture's values and the corner of the first of its cells, which stand at its right edge."""
    pixels = np.asarray(picture)
    orange = (pixels == ORANGE).all(axis=-1)
    across, down = np.flatnonzero(orange.any(axis=0)), np.flatnonzero(orange.any(axis=1))
    assert across[-1] - across[0] + 1 == count * cell
    assert down[-1] - down[0] + 1 == count * cell
    return pixels, int(across[0]), int(down[0])


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_each_evaluation_writes_the_matrix_with_its_pairs_on_the_diagonal(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    train(load_spec(spec_of(tmp_path, {"count": 4})), tmp_path / "run")
    folder = tmp_path / "run" / "similarities"
    assert files(folder) == ["step_00000001.png", "step_00000002.png"]
    pixels, x, y = cells(Image.open(folder / "step_00000002.png"), 4)
    for number in range(4):
        corner = pixels[y + number * 48 : y + (number + 1) * 48, x + number * 48 : x + (number + 1) * 48]
        assert (corner[[0, -1]] == ORANGE).all()
        assert (corner[:, [0, -1]] == ORANGE).all()
    # Beside the rows are texts, dark on white; above the columns the pictures, lighter from left to right.
    assert pixels[y : y + 48, : x - 8].min() < 100
    shades = [int(pixels[y - 30, x + 24 + 48 * number, 0]) for number in range(4)]
    assert shades == sorted(set(shades))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["similarities"]


def test_two_streams_of_texts_have_texts_on_both_sides(tmp_path: Path) -> None:
    pairs = [{"text_a": f"a {word}", "text_b": f"{word} and {word}"} for word in ("one", "two", "three")]
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    data = {"processor": {"pair": {"max_length": 12}}, "train": "texts.jsonl", "eval": "texts.jsonl"}
    spec = spec_of(tmp_path, {}, streams={"a": TEXT, "b": "a"}, data=data)
    train(load_spec(spec), tmp_path / "run")
    pixels, x, y = cells(Image.open(tmp_path / "run" / "similarities" / "step_00000002.png"), 3)
    assert pixels[y : y + 3 * 48, : x - 8].min() < 100
    assert pixels[y - 20 : y - 8, x : x + 3 * 48].min() < 100


def test_pairs_that_the_processor_has_mismatched_are_left_out(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"count": 6}, target=["clr", "itm"])
    train(load_spec(spec), tmp_path / "run")
    picture = Image.open(tmp_path / "run" / "similarities" / "step_00000002.png")
    orange = (np.asarray(picture) == ORANGE).all(axis=-1)
    shown = np.flatnonzero(orange.any(axis=0))
    assert 2 <= (shown[-1] - shown[0] + 1) // 48 < 6


def test_of_several_data_sets_those_that_feed_the_target_are_shown(tmp_path: Path) -> None:
    part = {"processor": {"image_text_pair": {"max_length": 16}}, "train": "pairs.jsonl", "eval": "pairs.jsonl"}
    sets = {"pairs": {**part, "targets": ["clr"]}, "matched": {**part, "targets": ["itm"]}}
    none = {"processor": None, "train": None, "eval": None}
    train(
        load_spec(spec_of(tmp_path, {}, target=["clr", "itm"], data={**none, "sets": sets})),
        tmp_path / "run",
    )
    assert [file.name for file in (tmp_path / "run").glob("similarities*")] == ["similarities_pairs"]


def test_training_is_the_same_with_and_without_pictures(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {})
    train(load_spec(spec), tmp_path / "with")
    train(load_spec(spec, ["train.hooks=[]"]), tmp_path / "without")
    first, second = (tmp_path / name / "model" / "model.safetensors" for name in ("with", "without"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("hook", "changes", "message"),
    [
        ({}, {"target": ["itm"]}, "shows similarities of the target clr, but the model has no such target"),
        ({}, {"data": {"eval": None}}, "needs data.eval"),
        ({"font": "vocab.txt"}, {}, "vocab.txt is not a font file"),
    ],
)
def test_a_spec_without_anything_to_show_is_refused(
    tmp_path: Path, hook: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    spec = load_spec(spec_of(tmp_path, hook, **changes))
    hooks = hook_manager((each.name, each.config.build()) for each in spec.train.hooks)
    with pytest.raises(TPError, match=message):
        run_checks(hooks, spec)


def drawn(values: Iterable[Iterable[float]], **options: Any) -> Image.Image:
    matrix = np.array(list(map(list, values)))
    names = [str(number) for number in range(len(matrix))]
    return heat_map(matrix, names, names, ("a", "b"), "cosine", **options)


def test_a_cell_is_the_darker_the_more_alike_and_mistakes_are_red() -> None:
    pixels, x, y = cells(drawn([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.0, 0.2, 1.0]]), 3)
    inner = {(r, c): int(pixels[y + 48 * r + 8, x + 48 * c + 8].sum()) for r in range(3) for c in range(3)}
    assert inner[2, 2] < inner[0, 0] < inner[1, 0] < inner[1, 1] < inner[0, 1] < inner[2, 0]
    red = (pixels == RED).all(axis=-1)
    assert red[y + 48 : y + 96, x : x + 48].any()
    red[y + 48 : y + 96, x : x + 48] = False
    assert not red.any()


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.array([[250.0, -3.5], [0.0, 1e-9]]), np.eye(64)])
def test_any_values_and_the_most_pairs_can_be_drawn(values: NDArray[Any]) -> None:
    picture = drawn(values)
    assert picture.width < 1200
    assert picture.height < 1200


def test_long_texts_are_cut() -> None:
    font = load_font(None, 13)
    cut = fitted("word " * 60, font, 200)
    assert cut.endswith("...")
    assert font.getlength(cut) <= 200
    assert fitted("a\nb", font, 200) == "a b"
