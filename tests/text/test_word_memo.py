"""Tokenization word by word gives what the library gives for whole texts."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.vocabularies import BERT, DATA, TEXTS, lines, wordpieces
from tp_core.errors import DataError
from tp_text.tokenizers import words
from tp_text.tokenizers.line_vocabulary import LineVocabularyTokenizer
from tp_text.tokenizers.line_vocabulary_options import SpaceConfig, WordPieceConfig
from tp_text.tokenizers.rust import library_ids

# White space of every sort, control and format characters, marks that combine (some that are not "Mn"), marks whose
# order normalisation changes, punctuation that decomposes, Chinese characters of several blocks, final sigma.
_ODD = (
    " \t\n\r\x00\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2028\u3000\u200b\u200d\u00ad\ufeff\ufffd"
    "\u0301\u0323\u0345\u302e\U0001d165\u20dd\u0344\u037e\u0387\u1fef\u2260\u226e\u1e9b"
    "İıẞßΣςﬁÅÅéÉ½²_-#'\"[]$+<^`|~，。、「…—·\uf900\u3400世天\U00020000\U0002a6df\U0002f800々〇カ한각😀🏽"
)
_CHARACTERS = st.one_of(
    st.sampled_from(_ODD), st.sampled_from("abcdefghelothHEuns0189"), st.characters(exclude_categories=["Cs"])
)
_PIECES = st.one_of(
    _CHARACTERS,
    st.sampled_from([*BERT, "[mask]", "hello", "Hello", "unaffable", " the ", "cats", "[MASK", "é", "café"]),
    st.sampled_from(["a" * 99, "a" * 100, "a" * 101, "é" * 60, "世" * 120]),
)
_TEXTS = st.lists(st.lists(_PIECES, max_size=12).map("".join), max_size=6)


def _tokenizers(folder: Path) -> list[LineVocabularyTokenizer]:
    """All combinations of the options that bear on where a text is cut."""
    vocab = lines(folder / "v.txt", [*wordpieces(), "hello,", "the,", "a世b", "ß", "ss"])
    choices: dict[str, list[Any]] = {
        "lowercase": [True, False],
        "strip_accents": [None, True, False],
        "split_chinese": [True, False],
        "special_in_text": [True, False],
    }
    options: list[dict[str, Any]] = [{}]
    for name, values in choices.items():
        options = [{**chosen, name: value} for chosen in options for value in values]
    made = [WordPieceConfig(vocab=vocab, **each).build(DATA) for each in options]
    for lowercase in (True, False):
        made += [SpaceConfig(vocab=vocab, lowercase=lowercase, special_in_text=s).build(DATA) for s in (True, False)]
    return [tokenizer for tokenizer in made if isinstance(tokenizer, LineVocabularyTokenizer)]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> list[LineVocabularyTokenizer]:
    made = _tokenizers(tmp_path_factory.mktemp("memo"))
    assert len(made) == 28
    return made


@settings(max_examples=60, deadline=None)
@given(texts=_TEXTS)
def test_texts_have_the_ids_that_the_library_gives(tokenizers: list[LineVocabularyTokenizer], texts: list[str]) -> None:
    for tokenizer in tokenizers:
        expected = library_ids(tokenizer._backend, texts)
        assert tokenizer.encode_batch(texts) == expected
        ids, ends = tokenizer.encode_flat(texts)
        assert ids.tolist() == [i for row in expected for i in row]
        assert [0, *ends.tolist()] == [sum(map(len, expected[:n])) for n in range(len(texts) + 1)]


@pytest.mark.slow
def test_every_character_is_cut_as_the_library_cuts_it(tokenizers: list[LineVocabularyTokenizer]) -> None:
    """The whole of the basic plane and samples beyond, between letters and next to a mark."""
    codes = [code for code in [*range(0x10000), *range(0x10000, 0x110000, 97)] if not 0xD800 <= code < 0xE000]
    texts = [f"a{chr(code)}b {chr(code)}\u0301{chr(code)}\u0323c" for code in codes]
    for tokenizer in (tokenizers[0], tokenizers[-1]):
        assert tokenizer.encode_batch(texts) == library_ids(tokenizer._backend, texts)


def test_a_memo_that_is_full_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tokenizer, *_) = _tokenizers(tmp_path)
    assert tokenizer._memo is not None
    monkeypatch.setattr(words, "_WORDS", 8)
    monkeypatch.setattr(words, "_TOGETHER", 10)
    texts = [*TEXTS, *(f"word{n} 世 b" for n in range(50)), *TEXTS]
    assert tokenizer.encode_batch(texts) == library_ids(tokenizer._backend, texts)
    assert len(tokenizer._memo._units) < 30


def test_an_interrupted_call_leaves_no_word_without_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tokenizer, *_) = _tokenizers(tmp_path)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(words, "library_ids", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tokenizer.encode_batch(["hello thé cats"])
    assert tokenizer.encode_batch(["hello thé cats"]) == library_ids(tokenizer._backend, ["hello thé cats"])


def test_a_text_that_is_not_unicode_is_an_error_that_leaves_the_memo_whole(tmp_path: Path) -> None:
    (tokenizer, *_) = _tokenizers(tmp_path)
    with pytest.raises(DataError, match=r"character 2 of the text is half of a surrogate pair"):
        tokenizer.encode_batch(["cats", "a\ud83d"])
    assert tokenizer.encode_batch(TEXTS) == library_ids(tokenizer._backend, TEXTS)


def test_threads_and_copies_in_other_processes_get_the_same_ids(tmp_path: Path) -> None:
    (tokenizer, *_) = _tokenizers(tmp_path)
    expected = library_ids(tokenizer._backend, TEXTS * 20)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(tokenizer.encode_batch(TEXTS * 20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert pickle.loads(pickle.dumps(tokenizer)).encode_batch(TEXTS * 20) == expected
