"""The tokenizers: ids as in transformers, round trips, special tokens, word starts."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.text.vocabularies import (
    BERT,
    DATA,
    TEXTS,
    byte_pair_files,
    byte_pairs,
    lines,
    sentencepiece_model,
    tokenizer_json,
    wordpieces,
)
from tp_core.errors import DataError, TPError
from tp_core.options.context import DataContext
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.huggingface_options import HuggingFaceConfig
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig, WordPieceConfig
from tp_text.tokenizers.sentence_piece_options import SentencePieceConfig


@pytest.fixture(params=["wordpiece", "bpe", "sentencepiece", "char", "space", "huggingface"])
def any_config(request: pytest.FixtureRequest, tmp_path: Path) -> TokenizerConfig:
    """A config of every kind, with options that are not the defaults."""
    if request.param == "wordpiece":
        return WordPieceConfig(vocab=lines(tmp_path / "v.txt", wordpieces()), lowercase=False)
    if request.param == "bpe":
        files = byte_pair_files(tmp_path, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
        return BytePairConfig(**files, bos_token="<s>", mask_token="<mask>", add_prefix_space=True)
    if request.param == "sentencepiece":
        return SentencePieceConfig(model=sentencepiece_model(tmp_path / "m.model"), cls_token="<s>")
    if request.param == "char":
        return CharacterConfig(vocab=lines(tmp_path / "v.txt", [*BERT, " ", "\u2028", *"abHe天"]), lowercase=True)
    if request.param == "space":
        return SpaceConfig(vocab=lines(tmp_path / "v.txt", [*BERT, "Hello,", "text,", "天"]), mask_token=None)
    tokenizer_json(tmp_path)
    (tmp_path / "special_tokens_map.json").write_text('{"bos_token": {"content": "[CLS]"}}')
    return HuggingFaceConfig(path=str(tmp_path))


def test_every_kind_loads_again_from_what_it_saved(any_config: TokenizerConfig, tmp_path: Path) -> None:
    first = any_config.build(DATA)
    folder = tmp_path / "export"
    folder.mkdir()
    options = first.save(folder)
    for file in any_config.files().values():
        if Path(file).is_file():
            Path(file).unlink()
    assert json.loads(json.dumps(options)) == options
    config = type(any_config)(**options)
    again = config.build(DataContext(base=str(folder)))
    assert all(not Path(path).is_absolute() and (folder / path).exists() for path in config.files().values())
    assert again.encode_batch(TEXTS) == first.encode_batch(TEXTS)
    assert again.special == first.special
    assert [again.token(i) for i in range(again.vocab_size)] == [first.token(i) for i in range(first.vocab_size)]
    assert config.facts(DataContext(base=str(folder))).vocab_size == again.vocab_size == first.vocab_size


def test_every_kind_keeps_to_the_contract(any_config: TokenizerConfig) -> None:
    tokenizer = any_config.build(DATA)
    encoded = tokenizer.encode_batch(TEXTS)
    assert len(encoded) == len(TEXTS)
    assert all(type(i) is int and 0 <= i < tokenizer.vocab_size for ids in encoded for i in ids)
    assert encoded[TEXTS.index("")] == []
    assert tokenizer.encode_batch([]) == []
    assert set(tokenizer.special) <= {"cls", "sep", "pad", "mask", "unk", "bos", "eos"}
    starts = tokenizer.word_starts()
    if starts is not None:
        assert (starts.shape, starts.dtype) == ((tokenizer.vocab_size,), np.bool_)
        assert all(starts[i] for i in tokenizer.special.values())
    assert tokenizer.decode([*tokenizer.special.values(), 10**6]).replace("[UNK]", "").replace("⁇", "").strip() == ""
    with pytest.raises(IndexError, match="is not in"):
        tokenizer.token(tokenizer.vocab_size)
    assert pickle.loads(pickle.dumps(tokenizer)).encode_batch(TEXTS) == encoded
    with pytest.raises(DataError, match=r"character 2 of the text is half of a surrogate pair \(U\+D83D\)"):
        tokenizer.encode_batch(["fine", "a\ud83d"])


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False, None])
@pytest.mark.parametrize("split_chinese", [True, False])
def test_wordpiece_gives_the_ids_of_transformers(
    tmp_path: Path, lowercase: bool, strip_accents: bool | None, split_chinese: bool
) -> None:
    from transformers import BertTokenizerFast

    tokens = wordpieces()
    reference = BertTokenizerFast(
        vocab={token: index for index, token in enumerate(tokens)},
        do_lower_case=lowercase,
        strip_accents=strip_accents,
        tokenize_chinese_chars=split_chinese,
    )
    config = WordPieceConfig(
        vocab=lines(tmp_path / "vocab.txt", tokens),
        lowercase=lowercase,
        strip_accents=strip_accents,
        split_chinese=split_chinese,
    )
    tokenizer = config.build(DATA)
    assert tokenizer.encode_batch(TEXTS) == reference(TEXTS, add_special_tokens=False)["input_ids"]
    assert tokenizer.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert tokenizer.vocab_size == len(reference)


def test_bpe_gives_the_ids_of_transformers_gpt2_and_text_survives(tmp_path: Path) -> None:
    from transformers import GPT2TokenizerFast

    ids, merges = byte_pairs(["<|endoftext|>"])
    reference = GPT2TokenizerFast(vocab=ids, merges=merges)
    tokenizer = BytePairConfig(**byte_pair_files(tmp_path, ["<|endoftext|>"])).build(DATA)
    texts = [*TEXTS, "the end<|endoftext|> the start"]
    assert tokenizer.encode_batch(texts) == reference(texts)["input_ids"]
    assert tokenizer.special == dict.fromkeys(["pad", "unk", "bos", "eos"], 0)
    assert [tokenizer.decode(each) for each in tokenizer.encode_batch(TEXTS)] == TEXTS


def test_bpe_gives_the_ids_of_transformers_roberta(tmp_path: Path) -> None:
    from transformers import RobertaTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    ids, merges = byte_pairs(special)
    config = BytePairConfig(
        **byte_pair_files(tmp_path, special),
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    tokenizer = config.build(DATA)
    reference = RobertaTokenizerFast(vocab=ids, merges=merges)
    assert tokenizer.encode_batch(TEXTS) == reference(TEXTS, add_special_tokens=False)["input_ids"]
    assert tokenizer.special == {"cls": 0, "bos": 0, "pad": 1, "sep": 2, "eos": 2, "unk": 3, "mask": 4}
    # The mask stands for a word with its space, as in the published roberta-base.
    assert tokenizer.encode_batch(["the <mask>"]) == [[*tokenizer.encode_batch(["the"])[0], 4]]


def test_bpe_reads_a_vocabulary_of_one_token_per_line(tmp_path: Path) -> None:
    files = byte_pair_files(tmp_path, ["<|endoftext|>"])
    listed = lines(tmp_path / "vocab.txt", list(byte_pairs(["<|endoftext|>"])[0]))
    json_form, line_form = BytePairConfig(**files), BytePairConfig(**files | {"vocab": listed})
    assert line_form.build(DATA).encode_batch(TEXTS) == json_form.build(DATA).encode_batch(TEXTS)
    assert line_form.facts(DATA).vocab_size == json_form.facts(DATA).vocab_size


def test_a_gap_in_the_ids_counts_to_the_largest_id(tmp_path: Path) -> None:
    files = byte_pair_files(tmp_path, ["<|endoftext|>"])
    ids = json.loads(Path(files["vocab"]).read_text())
    Path(files["vocab"]).write_text(json.dumps(ids | {"<|endoftext|>": 1000}))
    config = BytePairConfig(**files)
    tokenizer = config.build(DATA)
    assert config.facts(DATA).vocab_size == tokenizer.vocab_size == 1001
    assert (tokenizer.token(999), tokenizer.token(1000)) == ("", "<|endoftext|>")


def test_sentencepiece_gives_the_ids_of_its_library_and_finds_special_pieces(tmp_path: Path) -> None:
    import sentencepiece

    path = sentencepiece_model(
        tmp_path / "m.model", control_symbols=["[CLS]", "[SEP]"], user_defined_symbols=["[MASK]"]
    )
    tokenizer = SentencePieceConfig(model=path).build(DATA)
    library = sentencepiece.SentencePieceProcessor(model_file=path)
    plain = SentencePieceConfig(model=path, special_in_text=False).build(DATA)
    assert plain.encode_batch(TEXTS) == [library.encode(text) for text in TEXTS]
    parts = [library.encode(part) for part in ("a ", " b", "")]
    assert tokenizer.encode_batch(["a [CLS] b[SEP]"]) == [[*parts[0], 3, *parts[1], 4, *parts[2]]]
    assert tokenizer.special == {"unk": 0, "bos": 1, "eos": 2, "cls": 3, "sep": 4, "mask": 5}
    assert not {3, 4} & {i for ids in plain.encode_batch(["a [CLS] b [SEP]"]) for i in ids}
    assert tokenizer.decode([1, *tokenizer.encode_batch(["stone rail"])[0], 2]) == "stone rail"
    renamed = SentencePieceConfig(model=path, pad_token="</s>", bos_token="[CLS]").build(DATA)
    assert (renamed.special["pad"], renamed.special["bos"]) == (2, 3)


def test_the_layout_of_fairseq_moves_all_pieces_by_one(tmp_path: Path) -> None:
    import sentencepiece

    path = sentencepiece_model(tmp_path / "m.model")
    library = sentencepiece.SentencePieceProcessor(model_file=path)
    tokenizer = SentencePieceConfig(model=path, layout="fairseq", cls_token="<s>", sep_token="</s>").build(DATA)
    # XLM-R: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces from the model's fourth on, then <mask>.
    expected = [[3 if number == 0 else number + 1 for number in library.encode(text)] for text in TEXTS]
    assert tokenizer.encode_batch(TEXTS) == expected
    assert tokenizer.vocab_size == library.vocab_size() + 2
    roles = {"cls": 0, "bos": 0, "pad": 1, "sep": 2, "eos": 2, "unk": 3, "mask": library.vocab_size() + 1}
    assert tokenizer.special == roles
    assert tokenizer.decode(tokenizer.encode_batch(["stone rail"])[0]) == "stone rail"
    kept = SentencePieceConfig(**tokenizer.save(tmp_path)).build(DataContext(base=str(tmp_path)))
    assert kept.encode_batch(TEXTS) == expected


def test_ids_come_from_a_vocabulary_or_from_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vocab and layout both give the ids"):
        SentencePieceConfig(model="m.model", vocab="v.json", layout="fairseq")
    path = sentencepiece_model(tmp_path / "m.model", unk_id=3, pad_id=0)
    with pytest.raises(TPError, match="layout: fairseq needs a model that begins with <unk>, <s> and </s>"):
        SentencePieceConfig(model=path, layout="fairseq").build(DATA)


def test_the_number_of_separators_of_a_pair_may_be_given(tmp_path: Path) -> None:
    files = byte_pair_files(tmp_path, ["<s>", "</s>", "<pad>"])
    roberta = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    usual = BytePairConfig(**files, **roberta).build(DATA)
    one = BytePairConfig(**files, **roberta, pair_separators=1).build(DATA)
    two = WordPieceConfig(vocab=lines(tmp_path / "v.txt", [*BERT, "a"]), pair_separators=2).build(DATA)
    assert (usual.pair_separators, one.pair_separators, two.pair_separators) == (2, 1, 2)


def test_char_makes_every_character_a_token_and_space_every_word(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "v.txt", [*BERT, " ", "a", "天", "ab", "天a"])
    characters, words = CharacterConfig(vocab=vocab).build(DATA), SpaceConfig(vocab=vocab).build(DATA)
    assert characters.encode_batch([" ab天 A😀天天 "]) == [[6, 1, 7, 5, 1, 1, 7, 7]]
    assert CharacterConfig(vocab=vocab, lowercase=True).build(DATA).encode_batch(["A"]) == [[6]]
    assert characters.decode([2, 6, 5, 7, 1, 3]) == "a 天[UNK]"
    assert words.encode_batch(["  ab\t天a\u3000天 aba"]) == [[8, 9, 7, 1]]
    assert SpaceConfig(vocab=vocab, lowercase=True).build(DATA).encode_batch(["AB"]) == [[8]]
    assert words.decode([2, 8, 1, 9]) == "ab [UNK] 天a"


def test_word_starts_follow_each_kinds_marks(tmp_path: Path) -> None:
    def starting(config: TokenizerConfig) -> set[str]:
        tokenizer = config.build(DATA)
        starts = tokenizer.word_starts()
        assert starts is not None
        return {tokenizer.token(int(i)) for i in np.flatnonzero(starts)}

    vocab = lines(tmp_path / "v.txt", [*BERT, "a", "##b", "世"])
    assert starting(WordPieceConfig(vocab=vocab)) == {*BERT, "a", "世"}
    assert starting(SpaceConfig(vocab=vocab)) == {*BERT, "a", "##b", "世"}
    assert CharacterConfig(vocab=vocab).build(DATA).word_starts() is None
    found = starting(BytePairConfig(**byte_pair_files(tmp_path, ["<|endoftext|>"])))
    assert found == {"<|endoftext|>", "Ġ", "Ġthe", "Ġa", "ĠĠ", "Ċ", "ĉ", "č"}
    found = starting(SentencePieceConfig(model=sentencepiece_model(tmp_path / "m.model")))
    assert {"<unk>", "<s>", "</s>", "▁"} <= found
    assert all(token.startswith(("▁", "<")) for token in found)
    assert starting(HuggingFaceConfig(path=str(tokenizer_json(tmp_path)))) == {*BERT, "a", "hello"}


def test_special_tokens_in_a_text_are_plain_text_if_so_asked(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "v.txt", [*BERT, "[", "]", "mask"])
    assert WordPieceConfig(vocab=vocab).build(DATA).encode_batch(["[MASK]"]) == [[4]]
    assert WordPieceConfig(vocab=vocab, special_in_text=False).build(DATA).encode_batch(["[MASK]"]) == [[5, 7, 6]]


def test_a_role_whose_token_is_not_in_the_vocabulary_is_absent(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "v.txt", ["a", "[UNK]"])
    tokenizer = WordPieceConfig(vocab=vocab).build(DATA)
    assert (tokenizer.special, tokenizer.vocab_size) == ({"unk": 1}, 2)


def test_huggingface_reads_a_file_without_its_truncation_and_finds_roles(tmp_path: Path) -> None:
    file = tokenizer_json(tmp_path)
    config = HuggingFaceConfig(path=str(file))
    tokenizer = config.build(DATA)
    assert tokenizer.encode_batch(["a hello ab a"]) == [[5, 7, 5, 6, 5]]
    assert tokenizer.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "hello", "pad_token": {"content": "a"}}')
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "a", "bos_token": "gone", "mask_token": "##b"}')
    special = config.build(DATA).special
    assert (special["eos"], special["pad"], special["mask"], "bos" in special) == (7, 5, 6, False)


def test_huggingface_reads_what_transformers_saved(tmp_path: Path) -> None:
    from transformers import BertTokenizerFast

    reference = BertTokenizerFast(vocab={token: index for index, token in enumerate(wordpieces())})
    reference.add_tokens(["hugging", "[TABLE]"])
    reference.save_pretrained(tmp_path)
    config = HuggingFaceConfig(path=str(tmp_path))
    tokenizer = config.build(DATA)
    texts = [*TEXTS, "a hugging [TABLE]"]
    assert tokenizer.encode_batch(texts) == reference(texts, add_special_tokens=False)["input_ids"]
    assert config.facts(DATA).vocab_size == tokenizer.vocab_size == len(reference)


def test_huggingface_lets_transformers_read_a_folder_of_a_slow_tokenizer(tmp_path: Path) -> None:
    lines(tmp_path / "vocab.txt", wordpieces())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    config = HuggingFaceConfig(path=str(tmp_path))
    plain = WordPieceConfig(vocab=str(tmp_path / "vocab.txt")).build(DATA)
    assert config.build(DATA).encode_batch(TEXTS) == plain.encode_batch(TEXTS)
    assert config.facts(DATA).vocab_size == plain.vocab_size


def test_options_vocabularies_and_commands_need_no_torch_and_a_word_piece_vocabulary_no_library(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "v.txt", [*BERT, "a"])
    files = byte_pair_files(tmp_path, ["<|endoftext|>"])
    code = f"""
import sys
import tp_text.cli
assert not [m for m in sys.modules if m.startswith("tp_text.tokenizers")]
from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.huggingface_options import HuggingFaceConfig
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig
assert WordPieceConfig(vocab={vocab!r}).facts(DataContext()).vocab_size == 6
assert not {{"tokenizers", "sentencepiece"}} & set(sys.modules)
BytePairConfig(**{files!r}).facts(DataContext())
HuggingFaceConfig(path={str(tokenizer_json(tmp_path))!r}).facts(DataContext())
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_forked_children_encode_without_a_warning_and_leave_the_environment_alone(tmp_path: Path) -> None:
    vocab = lines(tmp_path / "v.txt", [*BERT, "a"])
    code = f"""
import os
from tp_core.errors import TPError
from tp_core.options.context import DataContext
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig
tokenizer = WordPieceConfig(vocab={vocab!r}).build(DataContext())
texts = ["a a a"] * 2000
tokenizer.encode_batch(texts)
child = os.fork()
if child == 0:
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    tokenizer.encode_batch(texts)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert "TOKENIZERS_PARALLELISM" not in os.environ
"""
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    # Python 3.12 and later warn of any fork of a process with threads; the warning that is looked for is the library's.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
