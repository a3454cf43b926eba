"""The guide for people who write modules: each kind has a page, and the examples work as they are printed."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tp_core import DataContext, Tokenizer, build_model, discovery, load_spec
from tp_core.hookspecs import Hooks
from tp_core.testing import check_module, random_batch

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "modules"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
INDEX = PAGES["README.md"]

RECORDS = [{"frames": [[0.5] * 8] * length, "value": length} for length in (3, 1, 4)]
#: The configs of the pages, their kinds, and the arguments of their checks.
CHECKED: list[tuple[str, str, dict[str, Any]]] = [
    ("frames_options:FramesConfig", "embedding", {}),
    ("last_options:LastConfig", "embedding", {"options": {"max_length": 16}}),
    ("so_far_options:SoFarConfig", "encoder", {"options": {"hidden_size": 16}}),
    ("summary_options:SummaryConfig", "decoder", {}),
    ("token_shift_options:TokenShiftConfig", "mixer", {}),
    ("near_options:NearConfig", "positions", {}),
    ("squared_options:SquaredConfig", "feed_forward", {}),
    ("scale_options:ScaleConfig", "norm", {}),
    ("regress_options:RegressConfig", "target", {}),
    ("frames_processor_options:FramesProcessorConfig", "processor", {"records": RECORDS}),
    ("bytes_options:BytesConfig", "tokenizer", {}),
    ("signum_options:SignumConfig", "optimizer", {}),
    ("stairs_options:StairsConfig", "schedule", {}),
    ("lines_options:LinesConfig", "logger", {}),
    ("announce:AnnounceConfig", "hooks", {}),
    ("arrays_options:ArraysConfig", "format", {}),
    ("brightness_options:BrightnessConfig", "visual_tokenizer", {"options": {"num_tokens": 4}}),
]


def blocks(page: str) -> list[str]:
    """The Python code of a page."""
    return re.findall(r"^```python\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """The files of the package ``tp_acme`` that the pages print: name → content."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page):
            if named := re.match(r"# tp_acme/(\w+\.py)\n", block):
                assert named[1] not in found, f"two pages have {named[1]}"
                found[named[1]] = block
    return found


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tp_acme"]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the pages, which can be imported."""
    folder = tmp_path / "site" / "tp_acme"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, content in files().items():
        (folder / name).write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder.parent))
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "tp_acme"}
    forget()
    yield folder
    forget()
    sys.modules.update(before)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_is_python(page: str) -> None:
    for block in blocks(page):
        compile(block, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_short(page: str) -> None:
    long = [number for number, line in enumerate(PAGES[page].splitlines(), 1) if len(line) > 120]
    assert not long, f"lines of more than 120 characters: {long}"


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_sections(page: str) -> None:
    for name, anchor in re.findall(r"\]\(([\w.]*)#([^)]+)\)", PAGES[page]):
        assert (name or page) in PAGES, name
        assert anchor in anchors(name or page), f"{name}#{anchor}"


def test_each_kind_has_a_page_in_the_index() -> None:
    table = INDEX.partition("## All kinds")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.MULTILINE))
    assert set(rows) == set(discovery.index().kinds)
    linked = {name for row in rows.values() for name in re.findall(r"\((\w+\.md)", row)}
    assert linked == set(PAGES) - {"README.md"}


def test_each_file_of_the_pages_is_checked() -> None:
    options = {name.partition(":")[0] for name, _, _ in CHECKED}
    implementations = {name.removesuffix("_options") for name in options}
    assert {name.removesuffix(".py") for name in files()} == options | implementations


@pytest.mark.parametrize(("name", "kind", "given"), CHECKED, ids=[name for name, _, _ in CHECKED])
def test_an_example_keeps_the_contracts(package: Path, name: str, kind: str, given: dict[str, Any]) -> None:
    if kind == "visual_tokenizer":
        pytest.importorskip("tp_vision")
    check_module(f"tp_acme.{name}", kind, **given)


def test_facts_of_the_embedding_reach_the_processor(package: Path, tmp_path: Path) -> None:
    lines = [f'{{"frames": [[1, 2, 3]], "value": {number}}}\n' for number in range(8)]
    (tmp_path / "records.jsonl").write_text("".join(lines))
    spec = load_spec(
        {
            "model": {
                "hidden_size": 16,
                "embedding": {"tp_acme.frames_options:FramesConfig": {"size": 3}},
                "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
                "target": "tp_acme.regress_options:RegressConfig",
            },
            "data": {
                "processor": "tp_acme.frames_processor_options:FramesProcessorConfig",
                "train": str(tmp_path / "records.jsonl"),
                "cache": str(tmp_path / "cache"),
            },
            "train": {"steps": 2, "batch_size": 4, "device": "cpu"},
        }
    )
    tp_core.train(spec, run=tmp_path / "run")
    loaded = tp_core.load_model(tmp_path / "run" / "model", "cpu", trust_code=True)
    (found,) = tp_core.predict(loaded, [{"frames": [[1, 2, 3]]}])
    assert isinstance(found["value"], float), found


def test_the_tokenizer_places_its_tokens(package: Path) -> None:
    config = import_module("tp_acme.bytes_options").BytesConfig()
    tokenizer: Tokenizer = config.build(DataContext())
    (found,) = tokenizer.encode_with_offsets(["é at"])
    assert found.offsets == [(0, 1), (0, 1), (2, 2), (2, 3), (3, 4)]
    assert found.words == [0, 0, 0, 1, 1]


def test_the_file_beside_the_spec_works(tmp_path: Path) -> None:
    (block,) = [each for each in blocks("README.md") if "class SmoothConfig" in each]
    (tmp_path / "my_encoder.py").write_text(block, encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(
        "model:\n  hidden_size: 16\n  vocab_size: 20\n  embedding: tp_core.testing.options:ContentConfig\n"
        "  encoder: {my_encoder:SmoothConfig: {strength: 0.3}}\n  target: tp_core.testing.options:ReadoutConfig\n"
    )
    model = build_model(load_spec(tmp_path / "spec.yaml"), seed=0)
    assert torch.isfinite(model(random_batch(model, [5, 3])).loss)


def test_the_strategy_is_the_tested_one() -> None:
    (block,) = [each for each in blocks("strategy.md") if "class ShardingStrategy" in each]
    tested = (Path(__file__).parent / "own_sharding.py").read_text(encoding="utf-8")
    assert tested.partition('"""\n\n')[2] == block


def test_the_hooks_are_the_tested_ones() -> None:
    tested = (Path(__file__).parent / "own_passes.py").read_text(encoding="utf-8")
    classes = re.findall(r"^class .*?(?=\n\n\n|\Z)", "\n\n\n".join(blocks("hooks.md")[1:]), re.DOTALL | re.MULTILINE)
    shown = [each.rstrip() for each in classes]
    assert [re.match(r"class (\w+)", each)[1] for each in shown] == [  # type: ignore[index]
        "RDrop",
        "RDropConfig",
        "Adversarial",
        "AdversarialConfig",
        "Average",
        "AverageConfig",
    ]
    for each in shown:
        assert each in tested, f"tests/core/own_passes.py has another {each.partition(':')[0]}"


def test_the_table_has_all_hooks() -> None:
    named = [re.sub(r"\s", "", each) for each in re.findall(r"^\| `(tp_\w+\(.*?\))` ", PAGES["hooks.md"], re.M)]
    expected = []
    for name, hook in vars(Hooks).items():
        if name.startswith("tp_"):
            arguments = [each for each in inspect.signature(hook).parameters if each != "self"]
            expected.append(f"{name}({','.join(arguments)})")
    assert named == expected
