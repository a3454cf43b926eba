"""Training tokenizers: the same text gives the same files, and what is wrong is one message."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_core.options.tokenizer import TokenizerConfig
from tp_text import cli
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig, WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig
from tp_text.tokenizers.train import KINDS, SPECIAL, train_tokenizer

CONFIGS: dict[str, type[TokenizerConfig]] = {
    "wordpiece": WordPieceConfig,
    "bpe": BytePairConfig,
    "sentencepiece": SentencePieceConfig,
    "char": CharacterConfig,
    "space": SpaceConfig,
}
#: File or folder that each kind writes.
OUTPUTS = {"wordpiece": "v.txt", "bpe": "bpe", "sentencepiece": "m.model", "char": "v.txt", "space": "v.txt"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Text in which many pairs are equally frequent, so that an unstable order would show."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 8))) for _ in range(1500)]
    lines = [" ".join(rng.choices(words, k=10)) for _ in range(600)]
    lines += ["Café, crème; 今天天气很好。", "  ", "Ünder 😀 The the"] * 20
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.tokenizer, ["train", *map(str, arguments)])


def refusal(*arguments: object) -> str:
    """The message of the one error that the main program turns into exit status 2."""
    result = run(*arguments)
    assert isinstance(result.exception, TPError), result.output
    return str(result.exception)


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (path.iterdir() if path.is_dir() else [path])}


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_write_the_same_files(kind: str, corpus: Path, tmp_path: Path) -> None:
    code = "import sys; from tp_text.tokenizers.train import train_tokenizer as train; "
    code += "train([sys.argv[1]], sys.argv[2], 600, sys.argv[3])"
    written = []
    for name in ("one", "two"):
        output = tmp_path / name / OUTPUTS[kind]
        subprocess.run([sys.executable, "-c", code, str(corpus), kind, str(output)], check=True)
        written.append(contents(output))
    assert written[0] == written[1]
    assert written[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_printed_lines_load_what_was_trained(kind: str, corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder" / OUTPUTS[kind]
    result = run(corpus, "--kind", kind, "--vocab-size", 400, "--output", output)
    assert result.exit_code == 0, result.output
    first, _, rest = result.output.partition("\n")
    spec = yaml.safe_load(rest.partition(":\n")[2])
    assert list(spec["data"]["tokenizer"]) == [kind]
    config = CONFIGS[kind](**spec["data"]["tokenizer"][kind])
    tokenizer = config.build(DataContext())
    assert first.startswith("wrote ")
    assert f"({tokenizer.vocab_size} tokens" in first
    assert 0 < tokenizer.vocab_size <= 400
    needed = {"unk", "bos", "eos", "pad"} if kind == "bpe" else {"cls", "sep", "pad", "mask", "unk"}
    assert needed <= set(tokenizer.special)
    assert not [p.name for p in output.parent.iterdir() if p.name.startswith(".")]


def test_wordpiece_writes_special_tokens_first_then_characters_and_fills_the_size(corpus: Path, tmp_path: Path) -> None:
    trained = train_tokenizer([corpus], "wordpiece", 500, tmp_path / "v.txt", special=["[TABLE]"])
    tokens = (tmp_path / "v.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(tokens) == len(set(tokens)) == trained.vocab_size == 500
    assert tokens[:6] == [*SPECIAL["wordpiece"], "[TABLE]"]
    assert {"a", "##a", "今", "。"} <= set(tokens)
    assert not {"##今", "##。", "C", "é"} & set(tokens)
    tokenizer = WordPieceConfig(vocab=str(tmp_path / "v.txt")).build(DataContext())
    assert 1 not in tokenizer.encode_batch([corpus.read_text(encoding="utf-8")])[0]


def test_case_is_kept_and_named_in_the_options_if_so_asked(corpus: Path, tmp_path: Path) -> None:
    cased = train_tokenizer([corpus], "wordpiece", 500, tmp_path / "cased.txt", lowercase=False)
    assert cased.options == {"vocab": str(tmp_path / "cased.txt"), "lowercase": False}
    assert {"C", "é", "The"} <= set((tmp_path / "cased.txt").read_text(encoding="utf-8").split("\n"))
    lower = train_tokenizer([corpus], "space", 5000, tmp_path / "lower.txt", lowercase=True)
    assert lower.options["lowercase"] is True
    tokens = (tmp_path / "lower.txt").read_text(encoding="utf-8").split("\n")
    assert "the" in tokens
    assert "The" not in tokens
    folded = train_tokenizer([corpus], "sentencepiece", 300, tmp_path / "m.model", lowercase=True)
    tokenizer = SentencePieceConfig(**folded.options).build(DataContext())
    assert tokenizer.encode_batch(["THE"]) == tokenizer.encode_batch(["the"])


def test_char_and_space_are_ordered_by_frequency_then_spelling_and_cut_at_min_frequency(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.txt").write_text("b a  c\n\nb a \u2028d\nB\n", encoding="utf-8")
    words = train_tokenizer([tmp_path / "t.txt"], "space", 100, tmp_path / "w.txt", min_frequency=2)
    assert (tmp_path / "w.txt").read_bytes().decode().split("\n")[5:] == ["a", "b", ""]
    assert words.vocab_size == 7
    train_tokenizer([tmp_path / "t.txt"], "char", 12, tmp_path / "c.txt", min_frequency=1, lowercase=True)
    assert (tmp_path / "c.txt").read_bytes().decode().split("\n")[5:] == [
        " ",
        "b",
        "a",
        "c",
        "d",
        "\u2028",
        "",
    ]
    tokenizer = CharacterConfig(vocab=str(tmp_path / "c.txt"), lowercase=True).build(DataContext())
    assert tokenizer.encode_batch(["a \u2028B"]) == [[7, 5, 10, 6]]


def test_character_coverage_leaves_the_rarest_characters_out(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("ab " * 1000 + "z", encoding="utf-8")
    for coverage, expected in ((0.99, False), (1.0, True)):
        train_tokenizer(
            [tmp_path / "t.txt"],
            "wordpiece",
            50,
            tmp_path / "v.txt",
            character_coverage=coverage,
            overwrite=True,
        )
        assert ("z" in (tmp_path / "v.txt").read_text().split("\n")) is expected


def test_a_small_wordpiece_vocabulary_keeps_the_most_frequent_characters(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("aaaa bbb cc d " * 10, encoding="utf-8")
    train_tokenizer([tmp_path / "t.txt"], "wordpiece", 9, tmp_path / "v.txt")
    assert (tmp_path / "v.txt").read_text().split("\n")[5:] == ["a", "b", "##a", "##b", ""]


def test_bpe_names_the_special_tokens_it_was_given(corpus: Path, tmp_path: Path) -> None:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained = train_tokenizer([corpus], "bpe", 400, tmp_path / "bpe", special=tokens)
    tokenizer = BytePairConfig(**trained.options).build(DataContext())
    assert tokenizer.special == {"bos": 1, "pad": 2, "eos": 3, "unk": 4, "mask": 5}
    ids = json.loads((tmp_path / "bpe" / "vocab.json").read_text(encoding="utf-8"))
    assert sorted(ids.values()) == list(range(trained.vocab_size))
    text = "Café 今天 <b> 😀"
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text


def test_a_text_that_gives_fewer_tokens_than_asked_for_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abc abc\n" * 10)
    result = run(tmp_path / "t.txt", "--kind", "wordpiece", "--vocab-size", 1000, "--output", tmp_path / "v.txt")
    assert "the text gives no more, although 1000 were requested" in result.output


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_exists_is_kept_unless_it_is_to_be_overwritten(kind: str, corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / OUTPUTS[kind]
    arguments = (corpus, "--kind", kind, "--vocab-size", 300, "--output", output)
    assert run(*arguments).exit_code == 0
    before = contents(output)
    message = refusal(*arguments[:-3], 350, *arguments[-2:])
    assert "exists already" in message
    assert "--overwrite" in message
    assert contents(output) == before
    assert run(*arguments[:-3], 350, *arguments[-2:], "--overwrite").exit_code == 0
    assert contents(output) != before or kind == "char"


def test_input_that_cannot_be_used_is_one_message(corpus: Path, tmp_path: Path) -> None:
    options = ("--kind", "bpe", "--vocab-size", 300, "--output", tmp_path / "out")
    missing = refusal(corpus, tmp_path / "x.txt", tmp_path / "y.txt", *options)
    assert missing == f"there is no file {tmp_path}/x.txt, no file {tmp_path}/y.txt"
    (tmp_path / "empty.txt").write_text(" \n\n")
    assert "there is no text to train on" in refusal(tmp_path / "empty.txt", *options)
    assert f"{tmp_path} is a folder; name the text files in it" in refusal(tmp_path, *options)
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    for kind in KINDS:
        message = refusal(tmp_path / "latin.txt", "--kind", kind, "--vocab-size", 300, "--output", tmp_path / "out")
        assert message.startswith(f"{tmp_path}/latin.txt:2: this line is not UTF-8")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_gzipped_text_is_the_text(kind: str, corpus: Path, tmp_path: Path) -> None:
    packed = tmp_path / "corpus.txt.gz"
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    plain, same = (train_tokenizer([file], kind, 400, tmp_path / f"{kind}{file.suffix}") for file in (corpus, packed))
    assert [file.read_bytes() for file in plain.files] == [file.read_bytes() for file in same.files]
    packed.write_bytes(gzip.compress(corpus.read_bytes())[:-100])
    assert f"{packed} cannot be read" in refusal(
        packed, "--kind", kind, "--vocab-size", 400, "--output", tmp_path / "x"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_as_a_second_reading_would_find_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for kind in KINDS:
        message = refusal(tmp_path / "pipe", "--kind", kind, "--vocab-size", 300, "--output", tmp_path / "out")
        assert f"{tmp_path / 'pipe'} can be read only once" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bpe", 200), "vocab_size is 200, but bpe needs at least 257: 256 bytes and 1 special tokens"),
        (("char", 5), "vocab_size is 5, but must be larger than the number of special tokens, 5"),
        (("bpe", 300, "--lowercase"), "lowercase is no option of bpe"),
        (("sentencepiece", 300, "--min-frequency", 3), "min_frequency is no option of sentencepiece"),
        (("char", 300, "--character-coverage", 0.5), "character_coverage is no option of char"),
        (("wordpiece", 10**20), "vocab_size must be at most 2147483647, got 100000000000000000000"),
        (("bpe", 300, "--min-frequency", 10**20), "min_frequency must be at most 2147483647"),
        (("sentencepiece", 10), "sentencepiece cannot train: Vocabulary size is smaller than required_chars"),
    ],
)
def test_options_that_cannot_work_are_one_message(
    corpus: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    kind, size, *rest = arguments
    assert message in refusal(corpus, "--kind", kind, "--vocab-size", size, "--output", tmp_path / "out", *rest)


def test_an_output_of_the_wrong_sort_says_what_is_written(corpus: Path, tmp_path: Path) -> None:
    message = refusal(corpus, "--kind", "bpe", "--vocab-size", 300, "--output", corpus)
    assert "is a file; bpe writes vocab.json and merges.txt into a folder" in message
    message = refusal(corpus, "--kind", "char", "--vocab-size", 300, "--output", tmp_path)
    assert f"is a folder; char writes one file, {tmp_path / 'vocab.txt'} for example" in message


def test_python_callers_get_the_same_messages(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TPError, match="unknown kind of tokenizer 'word_piece'; did you mean 'wordpiece'"):
        train_tokenizer([corpus], "word_piece", 300, tmp_path / "v.txt")
    with pytest.raises(TPError, match="vocab_size must be at least 1"):
        train_tokenizer([corpus], "char", 0, tmp_path / "v.txt")
    with pytest.raises(TPError, match="character_coverage must be above 0"):
        train_tokenizer([corpus], "char", 100, tmp_path / "v.txt", character_coverage=2.0)
    with pytest.raises(TPError, match="a special token must not be empty"):
        train_tokenizer([corpus], "char", 100, tmp_path / "v.txt", special=["a\nb"])
    with pytest.raises(TPError, match="there are no files"):
        train_tokenizer([], "char", 100, tmp_path / "v.txt")


def test_help_shows_an_example_and_offers_every_kind() -> None:
    text = run("--help").output
    assert "tp tokenizer train corpus/*.txt --kind wordpiece" in text
    assert all(kind in text for kind in KINDS)
