"""Special tokens around texts: every text of the original begins with [CLS], also a prompt and a decoder's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_heads import VOCABULARY, Home
from tp_core.interfaces import PromptRoom, Record

CLS, SEP = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
BA, BE = VOCABULARY.index("ba"), VOCABULARY.index("be")
RECORD = Record({"text": "ba be", "source": "ba be"}, "texts", 1)


def home_of(shape: str, folder: Path) -> Home:
    home = Home(folder, {}, SHAPES[shape])
    if SHAPES[shape]["data_processor"] == "t5":  # whose spans need tokens of their own
        kept = [*VOCABULARY[:-8], *(f"<extra_id_{number}>" for number in range(8))]
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in kept))
    return home


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_texts_and_prompts_of_a_language_model(shape: str, tmp_path: Path) -> None:
    processor = home_of(shape, tmp_path).convert().processor
    assert processor.encode([RECORD])[0]["input_ids"].tolist() == [CLS, BA, BE]
    assert processor.prompts([RECORD], PromptRoom(20))[0]["input_ids"].tolist() == [CLS, BA, BE]
    assert processor.generation().end == (SEP,)


@pytest.mark.parametrize("shape", ["t5", "pegasus", "bart", "transformer"])
def test_both_sides_of_an_encoder_and_a_decoder(shape: str, tmp_path: Path) -> None:
    processor = home_of(shape, tmp_path).convert().processor
    assert processor.encode([RECORD])[0]["input_ids"].tolist() == [CLS, BA, BE, SEP]
    assert processor.prompts([RECORD], PromptRoom(20))[0]["input_ids"].tolist() == [CLS, BA, BE, SEP]
    assert processor.generation().start == (CLS,)
    assert processor.generation().end == (SEP,)


def test_networks_in_both_directions_read_rows_of_one_length(tmp_path: Path) -> None:
    said: list[str] = []
    processor = home_of("bilstm", tmp_path).convert(say=said.append).processor
    batch = processor.collate(processor.encode([RECORD]))
    assert batch.inputs["input_ids"].shape == (1, 128)
    assert any("the model reads padding: set max_length" in note for note in said)
