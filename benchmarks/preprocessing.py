"""Text to cached training instances against a pure-Python WordPiece that only makes ids.

The tp side reads the file, tokenizes, builds BERT's rows and writes the Arrow cache; the other side only tokenizes
lines that are already in memory, with the algorithm of the original BERT release.

    python benchmarks/preprocessing.py [--corpus FILE --vocab FILE]
"""

from __future__ import annotations

import argparse
import time
import unicodedata
from pathlib import Path

from common import median, scratch, write_corpus, write_vocabulary
from tp_core import load_spec
from tp_core.data.cache import prepared_rows
from tp_core.inference.load import build_processor, build_tokenizer


def basic_tokens(text: str) -> list[str]:
    """Lower-case, strip accents, and split at white space, punctuation and Chinese characters."""
    text = unicodedata.normalize("NFD", text.lower())
    out: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        if category == "Mn" or category.startswith("C"):
            continue
        code = ord(character)
        alone = category.startswith("P") or 0x4E00 <= code <= 0x9FFF or 33 <= code <= 47
        out.append(f" {character} " if alone else character)
    return "".join(out).split()


def word_pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    """Greedy longest match first."""
    ids, start = [], 0
    while start < len(word):
        end = len(word)
        while end > start:
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                ids.append(vocabulary[piece])
                break
            end -= 1
        else:
            return [vocabulary["[UNK]"]]
        start = end
    return ids


def main(corpus: Path | None, vocab: Path | None, runs: int) -> None:
    folder = scratch()
    corpus = corpus or write_corpus(folder, 60000)
    vocab = vocab or write_vocabulary(folder)
    lines = corpus.read_text(encoding="utf-8").splitlines()
    vocabulary = {token: i for i, token in enumerate(vocab.read_text(encoding="utf-8").splitlines())}
    ours, plain, tokens = [], [], 0
    for run in range(runs):
        spec_file = folder / "spec.yaml"
        spec_file.write_text(
            f"extends: bert-tiny\ndata:\n  tokenizer: {{wordpiece: {{vocab: {vocab}}}}}\n"
            f"  train: {corpus}\n  cache: {folder / f'cache{run}'}\n"
        )
        spec = load_spec(spec_file)
        start = time.perf_counter()
        processor = build_processor(spec, build_tokenizer(spec))
        assert processor is not None
        assert spec.data.options.train is not None
        rows = prepared_rows(spec, processor, spec.data.options.train)
        ours.append(time.perf_counter() - start)
        if run == 0:
            tokens = sum(len(rows.get("tokens", i)) for i in range(len(rows)))
        start = time.perf_counter()
        for line in lines:
            for word in basic_tokens(line):
                word_pieces(word, vocabulary)
        plain.append(time.perf_counter() - start)
    print(f"{tokens:,} tokens, medians of {runs} runs")
    print(f"  tp, text to cache     {tokens / median(ours):>12,.0f} tokens/s")
    print(f"  pure-Python WordPiece {tokens / median(plain):>12,.0f} tokens/s")
    print(f"  ratio                 {median(plain) / median(ours):>12.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--vocab", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    main(options.corpus, options.vocab, options.runs)
