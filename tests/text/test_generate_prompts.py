"""Prompts that are too long: what is cut, what is left, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

from tests.building import randomised
from tests.text.vocabularies import BERT, lines
from tp_core import DataError, LoadedModel, TPError, build_model, generate, load_spec
from tp_core.artifacts.export import export_model
from tp_core.cli.main import cli
from tp_core.data.build import build_processor, build_tokenizer, tokenizers_of
from tp_core.interfaces import PromptRoom, Record

WORDS = [f"w{i}" for i in range(40)]
TRANSFORMER = {"num_layers": 2, "num_heads": 2, "dropout": 0.0}
POSITIONS = 24


def text(count: int) -> str:
    return " ".join(WORDS[:count])


def causal(processor: dict[str, Any], positions: int | None = POSITIONS, **more: Any) -> dict[str, Any]:
    modules: list[Any] = ["word"] if positions is None else ["word", {"pos": {"max_length": positions}}]
    mixer = {"attention": {"positions": "none" if positions else "rotary"}}
    transformer = {**TRANSFORMER, "mask": "causal", "mixer": mixer}
    model = {
        "hidden_size": 16,
        "embedding": {"modules": modules, "norm": "none"},
        "encoder": {"transformer": transformer},
        "target": "lm",
    }
    return {"model": model, "data": {"processor": processor}, **more}


def seq2seq(processor: dict[str, Any]) -> dict[str, Any]:
    embedding = {"modules": ["word", {"pos": {"max_length": POSITIONS}}], "norm": "none"}
    model = {
        "hidden_size": 16,
        "embedding": embedding,
        "encoder": {"transformer": TRANSFORMER},
        "target_embedding": embedding,
        "decoder": {"transformer": TRANSFORMER},
        "target": "lm",
    }
    return {"model": model, "data": {"processor": processor}}


def loaded(folder: Path, tree: dict[str, Any], special: tuple[str, ...] = ("[PAD]", "[UNK]", "[BOS]")) -> LoadedModel:
    """A model with random weights; its vocabulary has a token for the beginning of texts."""
    lines(folder / "vocab.txt", [*special, "[EOS]", *WORDS])
    roles = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]"}
    roles |= {"bos_token": "[BOS]"} if "[BOS]" in special else {}
    data = {"tokenizer": {"space": {"vocab": "vocab.txt", **roles}}, **tree["data"]}
    (folder / "spec.yaml").write_text(yaml.safe_dump({**tree, "data": data}))
    spec = load_spec(folder / "spec.yaml")
    tokenizer, name = build_tokenizer(spec), next(iter(spec.sets()))
    model = randomised(build_model(spec), seed=1, std=0.5).eval()
    processor = build_processor(spec, tokenizer, name)
    return LoadedModel(model, spec.of_set(name), processor, tokenizer, torch.device("cpu"))


def prompt(made: LoadedModel, value: dict[str, Any], length: int | None, side: Any = "left") -> tuple[str, int]:
    """The tokens of a record's prompt, and how many it lost."""
    assert made.processor is not None
    assert made.tokenizer is not None
    (sample,) = made.processor.prompts([Record(value, "input", 1)], PromptRoom(length, side))
    return " ".join(made.tokenizer.token(int(i)) for i in sample["input_ids"]), sample.get("truncated", 0)


# -- what is cut -----------------------------------------------------------------------------------------------------


def test_a_causal_prompt_keeps_its_end_and_leaves_room_for_the_new_tokens(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}))
    head = len(prompt(made, {"text": "w1"}, None)[0].split()) - 1
    room = POSITIONS - 6 - head
    long, short, whole = text(30), " ".join(WORDS[30 - room : 30]), text(12)
    cut, same, fits = generate(made, [long, short, whole], max_new_tokens=6)
    assert cut.pop("truncated") == 30 - room
    assert cut == same
    # A prompt may be longer than the rows of the training.
    assert "truncated" not in fits
    assert fits["text"] != next(iter(generate(made, [" ".join(whole.split()[-8:])], max_new_tokens=6)))["text"]


def test_the_side_that_is_cut_can_be_chosen(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}))
    (right,) = generate(made, [text(30)], max_new_tokens=6, truncation_side="right")
    lost = right.pop("truncated")
    assert [right] == list(generate(made, [text(30 - lost)], max_new_tokens=6))
    made.spec = load_with(made, {"truncation_side": "right"})
    (found,) = generate(made, [text(30)], max_new_tokens=6)
    assert found == {**right, "truncated": lost}


def load_with(made: LoadedModel, options: dict[str, Any]) -> Any:
    file = Path(made.spec.base) / "spec.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "inference": {"generate": options}}))
    return load_spec(file)


def test_without_a_number_of_new_tokens_they_have_half_of_few_positions(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}))
    (found,) = generate(made, [text(30)], eos_token_id=None)
    head = len(prompt(made, {"text": "w1"}, None)[0].split()) - 1
    assert found["truncated"] == 30 + head - POSITIONS // 2
    assert found["finished"] or len(found["text"].split()) == POSITIONS - POSITIONS // 2 + 1


@pytest.mark.parametrize("name", ["min_new_tokens", "min_length"])
def test_a_text_without_a_greatest_length_has_the_least_that_is_asked_for(tmp_path: Path, name: str) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}, None))
    (found,) = generate(made, ["w1"], **{name: 90})
    head = len(prompt(made, {"text": "w1"}, None)[0].split()) if name == "min_length" else 0
    assert len(found["text"].split()) + head >= 90
    bounded = loaded(tmp_path, causal({"lm": {"max_length": 8}}))
    (found,) = generate(bounded, [text(30)], min_new_tokens=20)  # more than the half of its positions
    assert len(found["text"].split()) >= 20
    with pytest.raises(TPError, match=f"min_new_tokens is 90: the model has {POSITIONS} positions"):
        generate(bounded, ["w1"], min_new_tokens=90)


def test_a_model_without_positions_reads_prompts_of_any_length(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}, positions=None))
    many = f"{text(40)} {text(40)}"
    whole, less = generate(made, [many, " ".join(many.split()[-8:])], max_new_tokens=9)
    assert "truncated" not in whole
    assert whole != less


def test_a_source_keeps_its_beginning_and_its_special_tokens(tmp_path: Path) -> None:
    made = loaded(tmp_path, seq2seq({"mt": {"max_length": 8, "start": "bos"}}))
    whole, _ = prompt(made, {"text": "w1"}, None)
    framed = len(whole.split()) - 1
    cut, lost = prompt(made, {"text": text(30)}, None, "right")
    assert (len(cut.split()), lost) == (8, 30 - 8 + framed)
    assert cut == whole.replace("w1", text(8 - framed))
    (found,) = generate(made, [text(30)], max_new_tokens=3)
    assert found["truncated"] == lost
    (left,) = generate(made, [text(30)], max_new_tokens=3, truncation_side="left")
    assert left["truncated"] == lost
    kept = " ".join(WORDS[22 + framed : 30])
    assert left["text"] == next(iter(generate(made, [kept], max_new_tokens=3)))["text"]


def test_a_prefix_keeps_what_stands_around_it(tmp_path: Path) -> None:
    tree = causal({"prefixlm": {"max_length": 8}})
    tree["model"]["embedding"]["modules"].append("seg")
    tree["model"]["encoder"]["transformer"]["mask"] = "causal_with_prefix"
    made = loaded(tmp_path, tree, tuple(BERT))
    assert prompt(made, {"text": text(9)}, 6) == ("[CLS] w5 w6 w7 w8 [SEP]", 5)
    assert prompt(made, {"text": text(9)}, 6, "right") == ("[CLS] w0 w1 w2 w3 [SEP]", 5)
    assert prompt(made, {"text": text(9)}, None) == (f"[CLS] {text(9)} [SEP]", 0)


def test_a_conversation_keeps_its_first_token_and_the_beginning_of_the_answer(tmp_path: Path) -> None:
    template = {"user_prefix": "w30 ", "user_suffix": " w31", "assistant_prefix": "w32 w33"}
    made = loaded(tmp_path, causal({"sft": {"max_length": 8, **template}}))
    assert prompt(made, {"text": text(3)}, None) == ("[BOS] w30 w0 w1 w2 w31 w32 w33", 0)
    assert prompt(made, {"text": text(3)}, 6) == ("[BOS] w1 w2 w31 w32 w33", 2)
    assert prompt(made, {"text": text(3)}, 6, "right") == ("[BOS] w30 w0 w1 w32 w33", 2)


def test_a_data_set_of_several_has_the_prompts_of_its_processor(tmp_path: Path) -> None:
    tree = causal({})
    tree["data"] = {"sets": {"one": {"processor": {"lm": {"max_length": 8}}, "train": "a.txt"}}}
    (tmp_path / "a.txt").write_text("w1 w2\n")
    made = loaded(tmp_path, tree)
    (found,) = generate(made, [text(30)], max_new_tokens=6)
    assert found["truncated"] > 0


# -- what cannot be --------------------------------------------------------------------------------------------------


def test_new_tokens_that_leave_no_position_for_a_prompt_are_an_error(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}))
    with pytest.raises(TPError, match="max_new_tokens is 24: the model has 24 positions, which leaves none"):
        generate(made, [text(3)], max_new_tokens=POSITIONS)


def test_a_record_of_which_nothing_can_be_kept_is_a_bad_record(tmp_path: Path) -> None:
    template = {"user_prefix": "", "user_suffix": "", "assistant_prefix": text(20)}
    tree = causal({"sft": {"max_length": 23, **template}})
    made = loaded(tmp_path, tree)
    message = "input:1: the prompt has 24 tokens, but there is room for 21; 21 of them cannot be cut"
    with pytest.raises(DataError, match=message):
        list(generate(made, [text(3)], max_new_tokens=3))
    made = loaded(tmp_path, {**tree, "data": {**tree["data"], "on_bad_record": "skip"}})
    found = list(generate(made, [text(3), ""], max_new_tokens=3))
    assert found[0] == {"text": "", "finished": True, "error": message}
    assert "error" not in found[1]


def test_a_prompt_as_long_as_max_length_is_a_bad_record_as_in_transformers(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}, data={"processor": {"lm": {"max_length": 8}}}))
    head = len(prompt(made, {"text": "w1"}, None)[0].split()) - 1
    with pytest.raises(DataError, match=f"input:2: {9 + head} tokens leave no room to write: max_length is 9"):
        list(generate(made, [text(3), text(9)], max_length=9))
    (found,) = generate(made, [text(3)], max_length=9)
    assert len(found["text"].split()) <= 6 - head


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_how_many_prompts_were_cut(tmp_path: Path) -> None:
    made = loaded(tmp_path, causal({"lm": {"max_length": 8}}, inference={"generate": {"max_new_tokens": 6}}))
    export_model(made.spec, made.model.weights(), tokenizers_of(made.spec), tmp_path / "model")
    (tmp_path / "prompts.txt").write_text(f"{text(30)}\nw1 w2\n{text(25)}\n")
    output = tmp_path / "texts.jsonl"
    arguments = ["generate", tmp_path / "model", "--input", tmp_path / "prompts.txt", "--output", output]
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in output.read_text().splitlines()]
    texts = generate(made, [text(30), "w1 w2", text(25)])
    assert found == [{"row": number, **each} for number, each in enumerate(texts, 1)]
    lost = [each.get("truncated", 0) for each in found]
    assert lost[1] == 0
    assert f"2 of 3 prompts were too long and lost {sum(lost)} tokens in all" in result.stderr
    # What the spec says holds where the command does not say otherwise.
    assert max(len(each["text"].split()) for each in found) <= 6
    more = [
        *arguments,
        "--overwrite",
        "--max-new-tokens",
        2,
        "--eos-token-id",
        "7,8",
        "--bad-words-ids",
        "[[9], [10, 11]]",
    ]
    assert CliRunner().invoke(cli, [str(each) for each in more]).exit_code == 0
    options: dict[str, Any] = {"max_new_tokens": 2, "eos_token_id": [7, 8], "bad_words_ids": [[9], [10, 11]]}
    texts = generate(made, [text(30), "w1 w2", text(25)], **options)
    expected = [{"row": number, **each} for number, each in enumerate(texts, 1)]
    assert [json.loads(line) for line in output.read_text().splitlines()] == expected
