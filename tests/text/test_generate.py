"""``tp generate`` and ``tp_core.generate``: from records to texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result

from tests.building import randomised
from tests.text.vocabularies import BERT, lines
from tp_core import DataError, LoadedModel, TPError, build_model, embed, generate, load_model, load_spec, predict
from tp_core.cli.main import cli
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.interfaces import Batch, PromptRoom, Record

WORDS = [f"w{i}" for i in range(24)]
PROMPTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", "w12 w13", "w3 w3 w3 w3 w3"]
END = len(BERT)


def write_spec(folder: Path, model: dict[str, Any], processor: dict[str, Any]) -> Path:
    lines(folder / "vocab.txt", [*BERT, "[EOS]", *WORDS])
    (folder / "corpus.txt").write_text("".join(f"{text}\n" for text in PROMPTS * 4))
    spec = {
        "model": {"hidden_size": 16, **model},
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": processor,
            "train": "corpus.txt",
            "cache": "cache",
        },
        "train": {"steps": 2, "batch_size": 4, "loggers": []},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


TRANSFORMER = {"num_layers": 2, "num_heads": 2, "dropout": 0.0}
EMBEDDING = {"modules": ["word", "pos"], "norm": "none"}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "transformer": (
        {"embedding": EMBEDDING, "encoder": {"transformer": {**TRANSFORMER, "mask": "causal"}}, "target": "lm"},
        {"lm": {"max_length": 16}},
    ),
    "documents": (
        {"embedding": EMBEDDING, "encoder": {"transformer": {**TRANSFORMER, "mask": "causal"}}, "target": "lm"},
        {"lm": {"max_length": 16, "isolate_documents": True, "pad": "max_length"}},
    ),
    "lstm": (
        {"embedding": {"modules": ["word"], "norm": "none"}, "encoder": {"lstm": {"num_layers": 2}}, "target": "lm"},
        {"lm": {"max_length": 16}},
    ),
    "prefix": (
        {
            "embedding": {"modules": ["word", "pos", "seg"], "norm": "none"},
            "encoder": {"transformer": {**TRANSFORMER, "mask": "causal_with_prefix"}},
            "target": "lm",
        },
        {"prefixlm": {"max_length": 16}},
    ),
    "translation": (
        {
            "embedding": EMBEDDING,
            "encoder": {"transformer": TRANSFORMER},
            "target_embedding": EMBEDDING,
            "decoder": {"transformer": TRANSFORMER},
            "target": "lm",
        },
        {"mt": {"max_length": 16}},
    ),
    "cove": (
        {
            "embedding": {"modules": ["word"], "norm": "none"},
            "encoder": "bilstm",
            "target_embedding": {"modules": ["word"], "norm": "none"},
            "decoder": {"lstm": {"dropout": 0.0}},
            "target": "lm",
        },
        {"mt": {"max_length": 16}},
    ),
}


def loaded(folder: Path, name: str) -> LoadedModel:
    """A model with random weights, as it would be after training."""
    spec = load_spec(write_spec(folder, *MODELS[name]))
    model = randomised(build_model(spec), std=0.5).eval()
    tokenizer = build_tokenizer(spec)
    return LoadedModel(model, spec, build_processor(spec, tokenizer), tokenizer, torch.device("cpu"))


@torch.no_grad()
def naive(made: LoadedModel, text: str, count: int) -> str:
    """Greedy search the slow way: one text, read as a whole for each token, without a cache."""
    assert made.processor is not None
    assert made.tokenizer is not None
    tokens = made.processor.generation()
    (sample,) = made.processor.prompts([Record({"text": text}, "input", 1)], PromptRoom())
    start = [*tokens.start] or [int(i) for i in sample["input_ids"]]
    ids: list[int] = []
    while len(ids) < count:
        read = torch.tensor([[*start, *ids]])
        if made.model.decoder is not None:
            batch = Batch.of({"input_ids": torch.tensor(sample["input_ids"])[None].long()}, 1, {"input_ids": read})
        else:
            types = torch.tensor([[0] * len(start) + [1] * len(ids)])
            prefix = torch.tensor([len(start)])
            batch = Batch.of({"input_ids": read, "token_type_ids": types, "prefix_lengths": prefix}, 1)
        scores = made.model.targets["lm"].next_logits(made.model.encode(batch))[0]  # type: ignore[operator]
        ids.append(int(scores[: made.tokenizer.vocab_size].argmax()))
        if ids[-1] in tokens.end:
            return made.processor.decode(ids[:-1], start if made.model.decoder is None else None)
    return made.processor.decode(ids, start if made.model.decoder is None else None)


@pytest.mark.parametrize("name", MODELS)
def test_batches_with_a_cache_write_what_one_text_at_a_time_gets_without(tmp_path: Path, name: str) -> None:
    made = loaded(tmp_path, name)
    found = list(generate(made, PROMPTS, batch_size=3, max_new_tokens=8))
    assert [each["text"] for each in found] == [naive(made, text, 8) for text in PROMPTS]
    assert all(set(each) == {"text", "finished"} for each in found)
    assert list(generate(made, PROMPTS, batch_size=1, max_new_tokens=8)) == found


@pytest.mark.parametrize("name", ["transformer", "lstm", "translation", "cove"])
def test_beams_and_samples_do_not_depend_on_the_batch(tmp_path: Path, name: str) -> None:
    made = loaded(tmp_path, name)
    for options in ({"beams": 3}, {"sample": True, "seed": 5}):
        together = list(generate(made, PROMPTS, max_new_tokens=8, **options))
        assert list(generate(made, PROMPTS, batch_size=2, max_new_tokens=8, **options)) == together


def test_seeds_decide_samples(tmp_path: Path) -> None:
    made = loaded(tmp_path, "transformer")

    def texts(**options: Any) -> list[str]:
        return [each["text"] for each in generate(made, PROMPTS, max_new_tokens=8, **options)]

    assert texts(sample=True) == texts(sample=True)
    assert texts(sample=True) != texts(sample=True, seed=1)
    assert len(set(texts(sample=True, temperature=50.0))) == len(PROMPTS)
    assert texts(sample=True, top_k=1) == texts(sample=True, top_p=1e-6) == texts()


def test_ids_that_the_vocabulary_lacks_are_not_written(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, {**MODELS["transformer"][0], "vocab_size": 64}, MODELS["transformer"][1])
    built = load_spec(spec)
    model, tokenizer = randomised(build_model(built)).eval(), build_tokenizer(built)
    with torch.no_grad():
        model.get_parameter("embedding.parts.word.table.weight")[40:] *= 50
    made = LoadedModel(model, built, build_processor(built, tokenizer), tokenizer, torch.device("cpu"))
    for options in ({}, {"beams": 2}, {"sample": True, "temperature": 9.0}):
        for each in generate(made, PROMPTS, max_new_tokens=6, **options):
            assert set(each["text"].split()) <= {*BERT, "[EOS]", *WORDS}


def test_a_text_ends_where_the_models_positions_end(tmp_path: Path) -> None:
    embedding = {"modules": ["word", {"pos": {"max_length": 8}}], "norm": "none"}
    spec = load_spec(
        write_spec(tmp_path, {**MODELS["transformer"][0], "embedding": embedding}, {"lm": {"max_length": 8}})
    )
    tokenizer = build_tokenizer(spec)
    model = randomised(build_model(spec)).eval()
    with torch.no_grad():
        model.get_parameter("embedding.parts.word.table.weight")[END] = 0
    made = LoadedModel(model, spec, build_processor(spec, tokenizer), tokenizer, torch.device("cpu"))
    found = list(generate(made, PROMPTS))
    assert made.processor is not None
    head = len(made.processor.prompts([Record({"text": "w1"}, "input", 1)], PromptRoom())[0]["input_ids"]) - 1
    for prompt, each in zip(PROMPTS, found):
        if not each["finished"]:
            # The last token is written from the last position; nothing is read after it.
            assert head + len(prompt.split()) - each.get("truncated", 0) + len(each["text"].split()) == 9
    assert not all(each["finished"] for each in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 2, "sample": True}, "sample and beams exclude each other"),
        ({"beams": 0}, "beams must be at least 1, got 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"temperature": 0.7}, "only for sampling, which sample turns on: temperature"),
        ({"sample": True, "temperature": 0.0}, "temperature must be greater than 0, got 0.0"),
        ({"eos_token_id": [3, 999]}, "eos_token_id: there is no token 999; the model has 30"),
        ({"bad_words_ids": [[1], [2, 77]]}, "bad_words_ids: there is no token 77; the model has 30"),
        ({"sample": True, "top_p": 1.5}, "top_p must be at most 1, got 1.5"),
    ],
)
def test_options_that_cannot_be_are_one_message(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TPError, match=message):
        generate(loaded(tmp_path, "transformer"), PROMPTS, **options)


@pytest.mark.parametrize("call", [generate, predict, embed])
def test_inputs_and_batches_that_cannot_be_are_one_message(tmp_path: Path, call: Callable[..., Any]) -> None:
    made = loaded(tmp_path, "transformer")
    for inputs in (b"w1 w2", 3):
        with pytest.raises(TPError, match=f"expected texts, .*, or one of these, got {type(inputs).__name__}"):
            list(call(made, inputs))
    with pytest.raises(DataError, match="input:2: expected a text, a dictionary of fields or a record, got int"):
        list(call(made, ["w1", 2]))
    for size in (0, -1):
        with pytest.raises(TPError, match=f"batch_size must be at least 1, got {size}"):
            list(call(made, PROMPTS, batch_size=size))


@pytest.mark.parametrize("call", [generate, predict, embed])
def test_a_text_a_dictionary_or_a_record_by_itself_is_one_input(tmp_path: Path, call: Callable[..., Any]) -> None:
    made = loaded(tmp_path, "transformer")
    (expected,) = call(made, ["w1 w2"])
    for inputs in ("w1 w2", {"text": "w1 w2"}, Record({"text": "w1 w2"}, "input", 1)):
        (found,) = call(made, inputs)
        assert np.array_equal(found, expected) if call is embed else found == expected


def test_what_a_model_lacks_to_write_is_said(tmp_path: Path) -> None:
    body = {"embedding": ["word"], "encoder": {"transformer": TRANSFORMER}}
    spec = load_spec(write_spec(tmp_path, {**body, "target": "mlm"}, {"mlm": {"max_length": 16}}))
    tokenizer = build_tokenizer(spec)
    made = LoadedModel(build_model(spec), spec, build_processor(spec, tokenizer), tokenizer, torch.device("cpu"))
    with pytest.raises(TPError, match=r"scores a next token, such as lm; this model's are mlm \(see tp predict\)"):
        generate(made, PROMPTS)
    made = loaded(tmp_path, "transformer")
    made.processor = None
    with pytest.raises(TPError, match="needs a model with a processor"):
        generate(made, PROMPTS)
    made = loaded(tmp_path, "transformer")
    made.model.targets = torch.nn.ModuleDict()
    with pytest.raises(TPError, match=r"needs a target that scores a next token, such as lm; this model's are none"):
        generate(made, PROMPTS)
    other = loaded(tmp_path, "translation")
    other.processor = loaded(tmp_path, "transformer").processor
    with pytest.raises(TPError, match="needs a start token for the model's decoder"):
        generate(other, PROMPTS)


def test_a_record_without_a_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no field 'text"):
        list(generate(loaded(tmp_path, "transformer"), [{"title": "w1"}]))


# -- the command -----------------------------------------------------------------------------------


def call(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="tp")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that was trained for two steps."""
    folder = tmp_path_factory.mktemp("run")
    spec = write_spec(folder, *MODELS["transformer"])
    result = call("train", spec, "--run", folder / "run")
    assert result.exit_code == 0, result.output
    (folder / "prompts.txt").write_text("".join(f"{text}\n" for text in PROMPTS))
    return folder


def test_the_command_writes_a_line_for_each_record(run: Path, tmp_path: Path) -> None:
    source = run / "prompts.txt"
    result = call(
        "generate", run / "run", "--input", source, "--output", tmp_path / "texts.jsonl", "--max-new-tokens", 5
    )
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    texts = generate(load_model(run / "run"), PROMPTS, max_new_tokens=5)
    assert found == [{"row": number, **text} for number, text in enumerate(texts, 1)]
    assert f"5 texts in {tmp_path / 'texts.jsonl'}" in result.output
    assert (
        call("generate", run / "run", "--input", source, "--output", tmp_path / "texts.txt", "--beams", 2).exit_code
        == 0
    )
    expected = [each["text"] for each in generate(load_model(run / "run"), PROMPTS, beams=2)]
    assert (tmp_path / "texts.txt").read_text().splitlines() == expected


def test_the_commands_options_reach_the_search(run: Path, tmp_path: Path) -> None:
    options = ["--sample", "--temperature", 2.0, "--top-k", 9, "--top-p", 0.9, "--seed", 3, "--batch-size", 2]
    result = call("generate", run / "run", "--input", run / "prompts.txt", "--output", tmp_path / "out.jsonl", *options)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    sampling = {"sample": True, "temperature": 2.0, "top_k": 9, "top_p": 0.9, "seed": 3}
    assert [each["text"] for each in found] == [
        each["text"] for each in generate(load_model(run / "run"), PROMPTS, **sampling)
    ]


def test_the_commands_errors_are_one_line_and_leave_no_file(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    for arguments, message in (
        (("--input", run / "nothing.txt"), "there is no such file"),
        (("--input", run / "prompts.txt", "--beams", 2, "--sample"), "exclude each other"),
        (("--input", run / "prompts.txt", "--top-p", 0.5), "only for sampling"),
    ):
        result = call("generate", run / "run", *arguments, "--output", output)
        assert result.exit_code == 2
        assert message in result.output
        assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
    output.write_text("mine")
    result = call("generate", run / "run", "--input", run / "prompts.txt", "--output", output)
    assert result.exit_code == 2
    assert "--overwrite replaces it" in result.output
    assert output.read_text() == "mine"


def test_prediction_with_a_model_that_writes_says_the_next_token(tmp_path: Path) -> None:
    made = loaded(tmp_path, "translation")
    (found,) = predict(made, [PROMPTS[0]])
    assert found["next"][0]["token"] in {*BERT, "[EOS]", *WORDS}
