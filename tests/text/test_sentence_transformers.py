"""Folders of Sentence Transformers: what their modules say is kept on the way to tp and back, or refused by name."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

import tp_core
from tests.building import randomised, worst
from tests.text.checkpoints import quiet
from tp_core.errors import TPError
from tp_core.inference.retrieve import Searcher

transformers = pytest.importorskip("transformers")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat", "query", ":", "house", "is", "red", "##s"]
TEXTS = ["the cat sat on the mat", "a dog", "The HOUSE is red the house is red the cats ran on a mat", "", "red cats"]
HIDDEN = 16

TRANSFORMER = "sentence_transformers.models.Transformer"
POOLING = "sentence_transformers.models.Pooling"
NORMALIZE = "sentence_transformers.models.Normalize"
#: The same since release 6.
MODERN = {
    TRANSFORMER: "sentence_transformers.base.modules.transformer.Transformer",
    POOLING: "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    NORMALIZE: "sentence_transformers.base.modules.normalize.Normalize",
}
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def written(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT and its tokenizer, as transformers saves them."""
    folder = tmp_path_factory.mktemp("bert") / "bert"
    quiet()
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(
        vocab_size=len(SPECIAL + WORDS), max_position_embeddings=40, attn_implementation="eager", **sizes
    )
    randomised(transformers.BertModel(config), std=0.3).save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(SPECIAL + WORDS)}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=30).save_pretrained(folder)
    return folder


def old(mode: str) -> dict[str, Any]:
    """A pooling's options as they were written before the pooling had a name."""
    return {"word_embedding_dimension": HIDDEN, **{flag: name == mode for name, flag in FLAGS.items()}}


def new(mode: str) -> dict[str, Any]:
    return {"embedding_dimension": HIDDEN, "pooling_mode": mode, "include_prompt": True}


def make(
    bert: Path,
    folder: Path,
    pooling: dict[str, Any],
    *,
    normalize: bool = False,
    options: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    inside: str = "",
    modern: bool = False,
    more: list[tuple[str, str]] | None = None,
) -> Path:
    """A folder around a BERT.

    Args:
        options: of sentence_bert_config.json.
        model: of config_sentence_transformers.json.
        inside: the folder inside in which the BERT lies.
        more: paths and types of modules behind the pooling.
    """
    shutil.copytree(bert, folder / inside)
    chain = [(inside, TRANSFORMER), ("1_Pooling", POOLING), *(more or [])]
    if normalize:
        chain.append((f"{len(chain)}_Normalize", NORMALIZE))
        (folder / chain[-1][0]).mkdir()
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": MODERN.get(kind, kind) if modern else kind}
        for number, (path, kind) in enumerate(chain)
    ]
    written(folder / "modules.json", modules)
    written(folder / "1_Pooling" / "config.json", pooling)
    if options is not None:
        written(folder / inside / "sentence_bert_config.json", options)
    if model is not None:
        written(folder / "config_sentence_transformers.json", model)
    return folder


def convert(folder: Path, out: Path, **options: Any) -> tuple[Path, list[str]]:
    said: list[str] = []
    return tp_core.convert("huggingface", folder, "tp", out, say=said.append, **options), said


def expected(body: Path, mode: str, normalize: bool, length: int, texts: list[str] = TEXTS) -> Tensor:
    """The vectors in float64, by the formulas of the poolings, from the states that transformers gives of each text."""
    model = transformers.AutoModel.from_pretrained(body, attn_implementation="eager").double().eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(body)
    rows = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=length, return_tensors="pt")
        with torch.no_grad():
            states = model(**ids).last_hidden_state[0]
        by: dict[str, Callable[[], Tensor]] = {
            "cls": lambda x=states: x[0],
            "mean": lambda x=states: x.sum(0) / len(x),
            "max": lambda x=states: x.amax(0),
            "lasttoken": lambda x=states: x[-1],
        }
        vector = by[mode]()
        rows.append(vector / vector.square().sum().sqrt() if normalize else vector)
    return torch.stack(rows)


# -- to tp -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("form", [old, new])
@pytest.mark.parametrize("mode", ["cls", "mean", "max", "lasttoken"])
def test_vectors_are_those_that_the_modules_make(
    bert: Path, tmp_path: Path, mode: str, form: Callable[[str], dict[str, Any]], normalize: bool
) -> None:
    options = {"max_seq_length": 12, "do_lower_case": False}
    folder = make(bert, tmp_path / "st", form(mode), normalize=normalize, options=options, modern=form is new)
    ours, said = convert(folder, tmp_path / "ours")
    found = torch.from_numpy(tp_core.embed(ours, TEXTS))
    assert worst(found, expected(bert, mode, normalize, 12)) < 1e-5
    assert all("pooler" in line for line in said), said


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"max_seq_length": 12, "do_lower_case": False}, 12),
        ({"max_seq_length": 400, "do_lower_case": False}, 40),  # never above the positions
        ({"max_seq_length": None, "do_lower_case": True}, 30),  # the tokenizer's, which lowercases by itself
        (None, 30),
        (
            {
                "transformer_task": "feature-extraction",
                "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
                "module_output_name": "token_embeddings",
                "model_args": {"add_pooling_layer": False},
            },
            30,
        ),
    ],
)
def test_the_longest_text_is_as_long_as_the_folder_says(
    bert: Path, tmp_path: Path, options: dict[str, Any] | None, length: int
) -> None:
    ours, _ = convert(make(bert, tmp_path / "st", old("mean"), options=options), tmp_path / "ours")
    loaded = tp_core.load_model(ours, "cpu")
    assert loaded.spec.data.processor is not None
    assert loaded.spec.data.processor.config.sequence_length() == length
    long = ["the cat sat on a mat " * 20]
    assert worst(torch.from_numpy(tp_core.embed(loaded, long)), expected(bert, "mean", False, length, long)) < 1e-5


def test_a_model_in_a_folder_inside_is_found_and_no_file_goes_unsaid(bert: Path, tmp_path: Path) -> None:
    options = {"max_seq_length": 9, "do_lower_case": False}
    folder = make(bert, tmp_path / "st", old("cls"), inside="0_Transformer", options=options, normalize=True)
    (folder / "similarity_evaluation_results.csv").write_text("epoch\n", encoding="utf-8")
    ours, said = convert(folder, tmp_path / "ours")
    assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS)), expected(bert, "cls", True, 9)) < 1e-5
    assert yaml.safe_load((ours / "spec.yaml").read_text(encoding="utf-8"))["name"] == "st"
    assert [line for line in said if "pooler" not in line] == ["not read: similarity_evaluation_results.csv"]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LLaMA whose tokenizer begins and ends texts, as those that are trained for vectors do."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("llama") / "llama"
    quiet()
    special = ["<unk>", "<s>", "</s>"]
    backend = Tokenizer(models.WordLevel({token: n for n, token in enumerate(special + WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<s>", 1), ("</s>", 2)]
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(special + WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    randomised(transformers.LlamaForCausalLM(config), std=0.3).save_pretrained(folder)
    return folder


def test_a_causal_model_is_read_to_its_last_token_and_without_its_head(llama: Path, tmp_path: Path) -> None:
    options = {"max_seq_length": 10, "do_lower_case": False}
    folder = make(llama, tmp_path / "st", old("lasttoken"), normalize=True, options=options)
    ours, _ = convert(folder, tmp_path / "ours")
    loaded = tp_core.load_model(ours, "cpu")
    assert not len(loaded.model.targets)
    found = torch.from_numpy(tp_core.embed(loaded, TEXTS))
    assert worst(found, expected(llama, "lasttoken", True, 10)) < 1e-5
    back = tp_core.convert("tp", ours, "huggingface", tmp_path / "back")
    assert worst(encoded(back, TEXTS), encoded(folder, TEXTS)) < 1e-6


def test_prompts_are_kept_and_the_usual_one_is_used(bert: Path, tmp_path: Path) -> None:
    model = {
        "__version__": {"sentence_transformers": "3.0.0"},
        "prompts": {"query": "query : ", "passage": "", "other": None},
        "default_prompt_name": "query",
        "similarity_fn_name": "cosine",
    }
    ours, _ = convert(make(bert, tmp_path / "st", old("mean"), model=model), tmp_path / "ours")
    prompted = expected(bert, "mean", False, 30, [f"query : {text}" for text in TEXTS])
    assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS)), prompted) < 1e-5
    plain = expected(bert, "mean", False, 30)
    for name in ("passage", ""):
        assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS, prompt=name)), plain) < 1e-5


@pytest.mark.parametrize("by", ["cosine", "dot", "euclidean", "manhattan", None])
def test_the_similarity_is_kept_in_both_directions(bert: Path, tmp_path: Path, by: str | None) -> None:
    model = {"similarity_fn_name": by, "prompts": {"query": "query : "}}
    ours, _ = convert(make(bert, tmp_path / "st", old("mean"), model=model), tmp_path / "ours")
    assert tp_core.load_model(ours, "cpu").spec.inference.embed.similarity == (None if by == "cosine" else by)
    assert Searcher(ours, "cpu").by == (by or "cosine")
    back = tp_core.convert("tp", ours, "huggingface", tmp_path / "back")
    assert json.loads((back / "config_sentence_transformers.json").read_text())["similarity_fn_name"] == (
        by or "cosine"
    )


def test_a_similarity_that_tp_does_not_have_is_refused_or_ignored(bert: Path, tmp_path: Path) -> None:
    folder = make(bert, tmp_path / "st", old("mean"), model={"similarity_fn_name": "chebyshev"})
    with pytest.raises(TPError, match=r'similarity_fn_name. is "chebyshev"; tp has cosine, dot, euclidean, manhattan'):
        convert(folder, tmp_path / "ours")
    convert(folder, tmp_path / "ours", ignore_keys=["similarity_fn_name"])


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        (old("weightedmean"), "'pooling_mode' is weightedmean; only cls or max or mean or lasttoken can be converted"),
        (new("mean_sqrt_len_tokens"), "'pooling_mode' is mean_sqrt_len_tokens; only cls"),
        (
            old("mean") | {"pooling_mode_cls_token": True},
            "'pooling_mode' is cls and mean, whose vectors are concatenated",
        ),
        (new("mean") | {"pooling_mode": ["max", "mean"]}, "'pooling_mode' is max and mean, whose vectors are"),
        (new("mean") | {"unheard_of": 3}, "'unheard_of' is 3"),
    ],
)
def test_a_pooling_that_tp_does_not_have_is_refused(
    bert: Path, tmp_path: Path, pooling: dict[str, Any], message: str
) -> None:
    folder = make(bert, tmp_path / "st", pooling)
    with pytest.raises(TPError) as caught:
        convert(folder, tmp_path / "ours")
    assert str(caught.value).startswith(f"{folder}: 1_Pooling/config.json: ")
    assert message in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_a_pooling_without_the_prompt_is_refused_where_there_are_prompts(bert: Path, tmp_path: Path) -> None:
    pooling = old("mean") | {"include_prompt": False}
    convert(make(bert, tmp_path / "without", pooling, model={"prompts": {"query": ""}}), tmp_path / "ours")
    folder = make(bert, tmp_path / "with", pooling, model={"prompts": {"query": "query : "}})
    with pytest.raises(TPError, match="'include_prompt' is false; only true can be converted"):
        convert(folder, tmp_path / "refused")


@pytest.mark.parametrize(
    ("more", "config", "message"),
    [
        (
            "sentence_transformers.models.Dense",
            {"in_features": 16, "out_features": 8, "bias": True, "activation_function": "torch.nn.Tanh"},
            "'2_More' is a Dense layer from 16 to 8 with Tanh",
        ),
        ("sentence_transformers.models.CNN", {}, "'2_More' is a CNN"),
        ("custom.Head", {}, "'2_More' is of the type custom.Head, code that comes with the checkpoint and is never"),
        (POOLING, {}, "'2_More' is another Pooling"),
    ],
)
def test_a_module_that_cannot_be_converted_is_named_and_can_be_left_out(
    bert: Path, tmp_path: Path, more: str, config: dict[str, Any], message: str
) -> None:
    folder = make(bert, tmp_path / "st", old("mean"), more=[("2_More", more)])
    written(folder / "2_More" / "config.json", config)
    with pytest.raises(TPError) as caught:
        convert(folder, tmp_path / "ours")
    assert str(caught.value).startswith(f"{folder}: modules.json: not all modules can be converted")
    assert message in str(caught.value)
    assert "--ignore-key NAME" in str(caught.value)
    ours, said = convert(folder, tmp_path / "without", ignore_keys=["2_More"])
    assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS)), expected(bert, "mean", False, 30)) < 1e-5
    assert any(line.startswith("modules.json: '2_More' is ") and "ignored as you asked" in line for line in said)


def test_dropout_of_training_changes_nothing(bert: Path, tmp_path: Path) -> None:
    folder = make(bert, tmp_path / "st", old("mean"), more=[("2_Dropout", "sentence_transformers.models.Dropout")])
    ours, _ = convert(folder, tmp_path / "ours")
    assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS)), expected(bert, "mean", False, 30)) < 1e-5


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"modules.json": {}}, "modules.json: expected a list of modules"),
        ({"modules.json": []}, "modules.json: expected a Transformer and then a Pooling, got none"),
        (
            {"modules.json": [{"path": "", "type": TRANSFORMER}]},
            "modules.json: expected a Transformer and then a Pooling, got Transformer",
        ),
        (
            {"modules.json": [{"path": "../other", "type": TRANSFORMER}, {"path": "1_Pooling", "type": POOLING}]},
            "modules.json: the path '../other' leads out of the folder",
        ),
        (
            {"modules.json": [{"path": "", "type": TRANSFORMER}, {"path": "1_Gone", "type": POOLING}]},
            "1_Gone/config.json: there is no such file, but modules.json refers to it",
        ),
        ({"1_Pooling/config.json": [1]}, "1_Pooling/config.json: expected a JSON object"),
        ({"config_sentence_transformers.json": {"model_type": "SparseEncoder"}}, "'model_type' is \"SparseEncoder\""),
        ({"config_sentence_transformers.json": {"truncate_dim": 8}}, "'truncate_dim' is 8"),
        (
            {"config_sentence_transformers.json": {"prompts": {"a": "b"}, "default_prompt_name": "c"}},
            "config_sentence_transformers.json: 'default_prompt_name' is \"c\"; the prompts are a",
        ),
        ({"sentence_bert_config.json": {"transformer_task": "fill-mask"}}, "'transformer_task' is \"fill-mask\""),
        ({"sentence_bert_config.json": {"query_length": 32}}, "'query_length' is 32"),
        ({"sentence_bert_config.json": {"config_args": {"is_decoder": True}}}, "'config_args.is_decoder' is true"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(bert: Path, tmp_path: Path, files: dict[str, Any], message: str) -> None:
    folder = make(bert, tmp_path / "st", old("mean"))
    for name, content in files.items():
        written(folder / name, content)
    with pytest.raises(TPError) as caught:
        convert(folder, tmp_path / "ours")
    assert str(folder) in str(caught.value)
    assert message in str(caught.value)


def test_lower_case_that_the_tokenizer_does_not_make_is_refused(bert: Path, tmp_path: Path) -> None:
    folder = make(bert, tmp_path / "st", old("mean"), options={"max_seq_length": 12, "do_lower_case": True})
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["lowercase"] = False
    written(folder / "tokenizer.json", content)
    with pytest.raises(TPError, match="'do_lower_case' is true; only false can be converted"):
        convert(folder, tmp_path / "ours")


# -- back ------------------------------------------------------------------------------------------------------------


def encoded(folder: Path, texts: list[str]) -> Tensor:
    """The vectors that the modules of a folder make of texts, in float64, by their formulas."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    assert [each["type"].rpartition(".")[2] for each in modules][:2] == ["Transformer", "Pooling"]
    options = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    flags = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    assert flags["word_embedding_dimension"] == HIDDEN
    (mode,) = [mode for mode, flag in FLAGS.items() if flags[flag]]
    file = folder / "config_sentence_transformers.json"
    model = (
        json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"prompts": {}, "default_prompt_name": ""}
    )
    prompt = model["prompts"].get(model["default_prompt_name"], "")
    found = expected(folder, mode, False, options["max_seq_length"], [prompt + text for text in texts])
    for each in modules[2:]:
        if each["type"].endswith(".Dense"):
            weights = load_file(folder / each["path"] / "model.safetensors")
            found = found @ weights["linear.weight"].double().t()
        else:
            assert each["type"].endswith(".Normalize")
            found = found / found.square().sum(1, keepdim=True).sqrt()
    return found


@pytest.mark.parametrize("mode", ["cls", "max"])
def test_a_converted_model_goes_back_with_its_modules(bert: Path, tmp_path: Path, mode: str) -> None:
    model = {"prompts": {"query": "query : "}, "default_prompt_name": "query"}
    options = {"max_seq_length": 12, "do_lower_case": False}
    folder = make(bert, tmp_path / "st", old(mode), normalize=True, options=options, model=model)
    ours, _ = convert(folder, tmp_path / "ours")
    back = tp_core.convert("tp", ours, "huggingface", tmp_path / "back")
    assert worst(encoded(back, TEXTS), encoded(folder, TEXTS)) < 1e-6
    again, _ = convert(back, tmp_path / "again")
    assert np.array_equal(tp_core.embed(again, TEXTS), tp_core.embed(ours, TEXTS))


def spec_of(folder: Path, model: dict[str, Any], processor: dict[str, Any], **more: Any) -> Path:
    """A trained model, by one step, with BERT's parts and these targets."""
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n", encoding="utf-8")
    lines = ["text_a\ttext_b\tnegative\tlabel", *(f"{a}\t{b}\t{WORDS[0]}\t0" for a, b in itertools.pairwise(WORDS))]
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "lines.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    tree = {
        "tp": 1,
        "model": {"hidden_size": HIDDEN, "init_std": 0.3, **model},
        "data": {"tokenizer": {"wordpiece": {"vocab": "vocab.txt"}}, "processor": processor, "cache": "cache"},
        "train": {"steps": 1, "batch_size": 4, "loggers": []},
        **more,
    }
    tree["data"]["train"] = "pairs.tsv" if "labelled" in processor.get("pair", {}) else "lines.txt"
    (folder / "spec.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return Path(tp_core.train(tp_core.load_spec(folder / "spec.yaml"), folder / "run").model)


BODY = {
    "embedding": ["word", {"pos": {"max_length": 24}}, "seg"],
    "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
}
SIAMESE = {"streams": {"first": {**BODY, "pooling": "mean"}, "second": "first"}}


@pytest.mark.parametrize(
    ("model", "processor", "modules"),
    [
        ({**SIAMESE, "target": [{"cls": {"num_labels": 2}}]}, {"pair": {"labelled": "class"}}, ["Pooling"]),
        ({**SIAMESE, "target": ["clr"]}, {"pair": {"pairing": "same"}}, ["Pooling", "Normalize"]),
        (
            {**SIAMESE, "target": [{"clr": {"projection_size": 8}}]},
            {"pair": {"pairing": "same"}},
            ["Pooling", "Dense", "Normalize"],
        ),
        (
            {**SIAMESE, "target": [{"clr": {"projection_size": 8, "normalize": False}}]},
            {"pair": {"pairing": "same"}},
            ["Pooling", "Dense"],
        ),
    ],
    ids=["sbert", "simcse", "projected", "by product"],
)
def test_a_model_of_two_like_streams_goes_out_as_its_target_was_trained(
    tmp_path: Path, model: dict[str, Any], processor: dict[str, Any], modules: list[str]
) -> None:
    ((name, options),) = processor.items()
    ours = spec_of(tmp_path, model, {name: {"max_length": 12, **options}})
    said: list[str] = []
    out = tp_core.convert("tp", ours, "huggingface", tmp_path / "out", architecture="BertModel", say=said.append)
    listed = json.loads((out / "modules.json").read_text(encoding="utf-8"))
    assert [each["type"].rpartition(".")[2] for each in listed] == ["Transformer", *modules]
    texts = [text for text in TEXTS if text]
    assert worst(torch.from_numpy(tp_core.embed(ours, texts)), encoded(out, texts)) < 1e-5
    assert any(line.startswith("modules.json and the files that it lists are for") for line in said)


@pytest.mark.parametrize(
    ("target", "streams", "labelled", "by"),
    [
        ({"similarity": {"by": "cosine"}}, {}, "similarity", "cosine"),
        ({"similarity": {"by": "exp_l1"}}, {}, "similarity", "manhattan"),
        ({"similarity": {"by": "dot"}}, {}, "similarity", "dot"),
        ({"triplet": {}}, {"third": "first"}, "none", "euclidean"),
        ({"triplet": {"distance": "cosine"}}, {"third": "first"}, "none", "cosine"),
        ({"clr": {"projection_size": 8, "normalize": False}}, {"third": "first"}, "none", "dot"),
    ],
)
def test_a_model_goes_out_with_the_similarity_of_its_target(
    tmp_path: Path, target: dict[str, Any], streams: dict[str, str], labelled: str, by: str
) -> None:
    model = {"streams": {**SIAMESE["streams"], **streams}, "target": [target]}
    ours = spec_of(tmp_path, model, {"pair": {"max_length": 12, "labelled": labelled}})
    out = tp_core.convert("tp", ours, "huggingface", tmp_path / "out", architecture="BertModel")
    assert json.loads((out / "config_sentence_transformers.json").read_text())["similarity_fn_name"] == by
    texts = [text for text in TEXTS if text]
    assert worst(torch.from_numpy(tp_core.embed(ours, texts)), encoded(out, texts)) < 1e-5


def test_a_body_whose_model_says_nothing_of_vectors_goes_out_without_modules(tmp_path: Path) -> None:
    ours = spec_of(tmp_path, {**BODY, "target": ["mlm"]}, {"mlm": {"max_length": 12}})
    out = tp_core.convert("tp", ours, "huggingface", tmp_path / "plain", architecture="BertModel")
    assert not (out / "modules.json").exists()
    said = tmp_path / "said"
    said.mkdir()
    embed = {"embed": {"pooling": "max", "normalize": True}}
    ours = spec_of(said, {**BODY, "target": ["mlm"]}, {"mlm": {"max_length": 12}}, inference=embed)
    out = tp_core.convert("tp", ours, "huggingface", tmp_path / "out", architecture="BertModel")
    assert worst(torch.from_numpy(tp_core.embed(ours, TEXTS)), encoded(out, TEXTS)) < 1e-5
