"""Models as diagrams: what is drawn, where it stands, and that it can be read."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner, Result

from tp_core.cli.main import cli
from tp_core.cli.specs import spec_file
from tp_core.cost.model_tree import model_tree
from tp_core.diagram import Contents, contents, draw
from tp_core.diagram.layout import FACT, NAME, PAD, Box, Layout, Line, Placing
from tp_core.diagram.text import short, width, wrap
from tp_core.model import meta_model
from tp_core.modules.norms.options import NoNormConfig
from tp_core.spec.load import load_spec

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
#: One stream, a decoder beside and below, two streams with and without fusion, a shared one, several targets.
PRESETS = ["bert-tiny", "t5-small", "mae-base", "clip-vit-base-patch32", "vilbert-base", "simcse-base", "deit-tiny"]
SMALL = {"hidden_size": 16, "vocab_size": 50}
ENCODER = {"transformer": {"num_layers": 2, "num_heads": 2}}


def read(name: str) -> Contents:
    spec = load_spec(spec_file(name))
    return contents(spec, model_tree(meta_model(spec)))


def drawn(folder: Path, model: dict[str, Any], name: str = "small") -> Contents:
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, "name": name, "model": {**SMALL, **model}}, sort_keys=False))
    return read(str(file))


def box(layout: Layout, kind: str, name: str = "") -> Box:
    """The box of a kind, with a module of a name."""
    every = [b for b in layout.boxes if b.component.kind == kind]
    (found,) = [b for b in every if not name or name in [card.title for card in b.component.cards]]
    return found


def joins(line: Line, source: Box, end: Box) -> bool:
    """True if a line leads from the edge of one box to that of another."""
    return on_edge(source, *line.points[0]) and on_edge(end, *line.points[-1])


def on_edge(one: Box, x: float, y: float) -> bool:
    inside = one.x <= x <= one.x + one.width and one.y <= y <= one.bottom
    return inside and (x in (one.x, one.x + one.width) or y in (one.y, one.bottom))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["show", *arguments], prog_name="tp")


# -- what is drawn ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_every_module_is_named_and_all_weights_are_counted(preset: str) -> None:
    spec = load_spec(spec_file(preset))
    tree = model_tree(meta_model(spec))
    root = ElementTree.fromstring(draw(contents(spec, tree)))
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert preset in texts
    assert f"{tree.parameters:,} parameters" in " ".join(texts)
    for chosen in spec.model.chosen():
        if isinstance(chosen.config, NoNormConfig):
            continue
        # A norm stands behind the sum of its component: "then layernorm, dropout 0.1".
        assert any(chosen.name in (text if chosen.kind == "norm" else [text]) for text in texts)
    for kind in ("EMBEDDING", "ENCODER", "TARGET"):
        assert kind in texts


def test_a_module_is_shown_with_its_sizes_and_with_what_is_unusual_of_it() -> None:
    model = read("t5-small")
    assert model.decoder is not None
    facts = model.decoder.cards[0].facts
    assert facts[:4] == ["6 layers", "8 heads", "hidden size 512", "feed-forward size 2048"]
    assert {"rmsnorm", "attention bias off", "positions relative"} < set(facts)
    assert not any("dropout" in fact or "init" in fact for fact in facts)
    assert "mask causal" not in facts  # of a decoder, that is usual


def test_weights_that_another_module_owns_are_said_to_be_its(tmp_path: Path) -> None:
    model = read("t5-small")
    assert model.targets[0].cards[0].facts[-1] == "weights of embedding word"
    assert model.decoder_side is not None
    assert model.decoder_side.embedding.cards[0].facts == ["weights of embedding word"]
    assert model.decoder_side.embedding.count == ""
    layers = {"transformer": {"num_layers": 2, "num_heads": 2, "share_layers": True}}
    alone = drawn(tmp_path, {"embedding": "word", "encoder": layers, "target": "mlm"})
    assert alone.sides[0].encoder is not None
    assert not any("weights" in fact for fact in alone.sides[0].encoder.cards[0].facts)


def test_counts_have_three_digits() -> None:
    assert [short(n) for n in (0, 999, 1536, 999_600, 109_482_240, 6_738_415_616)] == [
        *("0", "999", "1.54K", "1M", "109M", "6.74B")
    ]


# -- where it stands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_no_box_stands_on_another_and_all_are_on_the_page(preset: str) -> None:
    layout = Placing(read(preset)).run()
    for one, other in combinations(layout.boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert beside or one.bottom <= other.y or other.bottom <= one.y
    for each in layout.boxes:
        assert each.x > 0
        assert each.x + each.width < layout.width
        assert each.bottom < layout.height


def test_streams_stand_side_by_side_and_a_target_of_both_gets_an_arrow_of_each() -> None:
    layout = Placing(read("clip-vit-base-patch32")).run()
    word, patch = box(layout, "embedding", "word"), box(layout, "embedding", "patch")
    assert word.y == patch.y
    assert word.x + word.width < patch.x
    target = box(layout, "target")
    encoders = [b for b in layout.boxes if b.component.kind == "encoder"]
    assert target.y > max(b.bottom for b in encoders)
    assert target.centre == sum(b.centre for b in encoders) / 2
    for encoder in encoders:
        assert sum(joins(line, encoder, target) for line in layout.lines) == 1


def test_an_encoder_that_joins_streams_spans_them_and_targets_read_what_it_gives_back() -> None:
    layout = Placing(read("vilbert-base")).run()
    fusion, own = box(layout, "encoder", "co_attention"), box(layout, "encoder", "transformer")
    image = box(layout, "encoder", "identity")
    assert (fusion.x, fusion.x + fusion.width) == (own.x, image.x + image.width)
    facts = [fact for card in fusion.component.cards for fact in card.facts]
    assert "co size 1024" in facts
    assert not any(fact.startswith("hidden size") for fact in facts)  # each stream keeps its own
    for encoder in (own, image):
        assert any(joins(line, encoder, fusion) for line in layout.lines)
    mlm, itm = box(layout, "target", "mlm"), box(layout, "target", "itm")
    assert sum(joins(line, fusion, mlm) for line in layout.lines) == 1  # it reads the text
    assert sum(joins(line, fusion, itm) for line in layout.lines) == 2


def test_a_shared_stream_is_an_outline_beside_the_one_that_it_is() -> None:
    model = read("simcse-base")
    layout = Placing(model).run()
    root = ElementTree.fromstring(draw(model))
    for kind in ("embedding", "encoder"):
        owner, outline = [b for b in layout.boxes if b.component.kind == kind]
        assert (owner.component.shared, outline.component.shared) == ("", "first")
        assert not outline.cards
        assert (owner.y, owner.height) == (outline.y, outline.height)
        assert any(line.dashed and joins(line, owner, outline) for line in layout.lines)
    outlines = [rect for rect in root.iter(f"{SVG}rect") if rect.get("stroke-dasharray")]
    assert len(outlines) == 2


def test_a_stream_may_share_its_encoder_alone(tmp_path: Path) -> None:
    streams = {"a": {"embedding": "word", "encoder": ENCODER}, "b": {"embedding": ["word", "seg"], "encoder_of": "a"}}
    model = drawn(tmp_path, {"streams": streams, "target": [{"mlm": {"stream": "b"}}]})
    assert [side.embedding.shared for side in model.sides] == ["", ""]
    assert [side.encoder.shared for side in model.sides if side.encoder] == ["", "a"]
    layout = Placing(model).run()
    outline = next(b for b in layout.boxes if b.component.shared)
    assert any(joins(line, outline, box(layout, "target")) for line in layout.lines)


def test_a_decoder_stands_beside_the_encoder_and_is_what_targets_read() -> None:
    layout = Placing(read("t5-small")).run()
    encoder, decoder, target = (box(layout, kind) for kind in ("encoder", "decoder", "target"))
    above = box(layout, "target embedding")
    assert encoder.y == decoder.y
    assert above.centre == decoder.centre == target.centre
    for source, end in ((encoder, decoder), (above, decoder), (decoder, target)):
        assert any(joins(line, source, end) for line in layout.lines)
    assert not any(joins(line, encoder, target) for line in layout.lines)


def test_a_decoder_without_inputs_of_its_own_stands_below_the_encoder() -> None:
    layout = Placing(read("mae-base")).run()
    encoder, decoder = box(layout, "encoder"), box(layout, "decoder")
    assert encoder.centre == decoder.centre
    assert decoder.y > encoder.bottom


def test_a_decoder_behind_several_streams_reads_the_first(tmp_path: Path) -> None:
    streams = {name: {"embedding": "word", "encoder": ENCODER} for name in ("a", "b", "c")}
    more = {"target_embedding": "word", "decoder": ENCODER, "target": ["lm", {"cls": {"stream": "b"}}]}
    layout = Placing(drawn(tmp_path, {"streams": streams, **more})).run()
    first, second, _ = [b for b in layout.boxes if b.component.kind == "encoder"]
    decoder = box(layout, "decoder")
    assert any(joins(line, first, decoder) for line in layout.lines)
    assert any(joins(line, decoder, box(layout, "target", "lm")) for line in layout.lines)
    assert any(joins(line, second, box(layout, "target", "cls")) for line in layout.lines)


# -- that it can be read ---------------------------------------------------------------------------------------


def test_text_stays_in_its_box_whatever_it_says(tmp_path: Path) -> None:
    name = "a_stream_with_a_name_that_is_wider_than_any_box_of_the_drawing"
    attention = {"positions": {"rotary": {"theta": 123456789.0}}, "bias": False}
    options = {"num_heads": 2, "norm": "rmsnorm", "mixer": {"attention": attention}}
    encoder = {"transformer": {**options, "num_layers": 2, "feed_forward": {"dense": {"activation": "relu"}}}}
    streams = {name: {"embedding": ["word", "pos"], "encoder": encoder}, "b": name}
    layout = Placing(drawn(tmp_path, {"streams": streams, "target": ["clr"]}, "W" * 90)).run()
    assert len(layout.title) > 1
    for each in layout.boxes:
        for card in each.cards:
            assert each.x + card.x + card.width <= each.x + each.width - PAD
            assert each.y + card.y + card.height <= each.bottom
            for line in card.title:
                assert width(line, NAME, bold=True) <= card.width - 2 * PAD
            for line in card.facts:
                assert width(line, FACT) <= card.width - 2 * PAD


def test_lines_break_between_words_then_behind_signs_then_anywhere() -> None:
    room = width("abcdefgh", 10)
    assert wrap(["abc", "def", "ghij"], room, 10) == ["abc def", "ghij"]
    assert wrap(["abc_defg_hij"], room, 10) == ["abc_", "defg_hij"]
    assert wrap(["x" * 20], width("x" * 8, 10), 10) == ["x" * 8, "x" * 8, "x" * 4]
    assert wrap(["W"], 1, 10) == ["W"]


def test_names_may_hold_what_has_a_meaning_in_xml(tmp_path: Path) -> None:
    model = drawn(tmp_path, {"embedding": "word", "encoder": ENCODER, "target": "mlm"}, 'a<b>&"c"')
    texts = [text.text for text in ElementTree.fromstring(draw(model)).iter(f"{SVG}text")]
    assert 'a<b>&"c"' in texts


def test_a_model_without_targets_is_drawn(tmp_path: Path) -> None:
    layout = Placing(drawn(tmp_path, {"embedding": "word", "encoder": ENCODER, "target": []})).run()
    assert [b.component.kind for b in layout.boxes] == ["embedding", "encoder"]


# -- the command -----------------------------------------------------------------------------------------------


def test_the_command_writes_the_file_and_replaces_none_unasked(tmp_path: Path) -> None:
    file = tmp_path / "bert.svg"
    result = call("bert-tiny", "--image", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(file) in result.stderr
    first = file.read_text(encoding="utf-8")
    assert ElementTree.fromstring(first).tag == f"{SVG}svg"
    again = call("bert-mini", "--image", str(file))
    assert again.exit_code == 2
    assert "the file exists; --overwrite replaces it" in again.output
    assert file.read_text(encoding="utf-8") == first
    assert call("bert-mini", "--image", str(file), "--overwrite").exit_code == 0
    assert "bert-mini" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "bert.png"], "bert.png: a diagram is an SVG file; expected a name that ends in .svg"),
        (["--image", "none/bert.svg"], "none: there is no such folder"),
        (["--image", "folder.svg", "--overwrite"], "folder.svg: this is a folder; expected the name of a file"),
        (["--image", "bert.svg", "--json"], "choose one of the two"),
    ],
)
def test_where_it_cannot_write_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    result = call("bert-tiny", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "bert.svg").exists()


def test_the_diagram_in_the_documentation_is_what_the_command_writes() -> None:
    written = (ROOT / "docs" / "images" / "clip.svg").read_text(encoding="utf-8")
    command = "tp show clip-vit-base-patch32 --image docs/images/clip.svg --overwrite"
    assert written == draw(read("clip-vit-base-patch32")), f"run: {command}"
    assert command in (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
