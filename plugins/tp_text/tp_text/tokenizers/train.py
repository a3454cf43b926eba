"""Training of tokenizers on text files."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.whole_files import write_whole
from tp_core.suggest import did_you_mean
from tp_text.tokenizers import learn
from tp_text.tokenizers.files import not_utf8
from tp_text.tokenizers.roles import USUAL

_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Kind → special tokens; sentencepiece also has <pad>, <unk>, <s> and </s>.
SPECIAL: dict[str, tuple[str, ...]] = {
    "wordpiece": _BERT,
    "bpe": ("<|endoftext|>",),
    "sentencepiece": ("[CLS]", "[SEP]", "[MASK]"),
    "char": _BERT,
    "space": _BERT,
}
KINDS = tuple(SPECIAL)
#: The largest number that the libraries accept.
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Trained:
    """A trained tokenizer.

    Attributes:
        kind: name of the tokenizer in a spec.
        files: the written files.
        options: the options in a spec that load it, without defaults; paths are relative if ``output`` was.
        vocab_size: number of tokens; it may be lower than requested if the text is small.
    """

    kind: str
    files: list[Path]
    options: dict[str, Any]
    vocab_size: int


def train_tokenizer(
    files: Sequence[str | Path],
    kind: str,
    vocab_size: int,
    output: str | Path,
    *,
    min_frequency: int | None = None,
    lowercase: bool | None = None,
    special: Sequence[str] = (),
    character_coverage: float | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Trained:
    """Train a tokenizer on plain text files; the same text gives the same files.

    Args:
        files: UTF-8 text files, which may be gzipped (``.gz``).
        kind: ``wordpiece``, ``bpe``, ``sentencepiece`` (a unigram model), ``char`` or ``space``.
        vocab_size: maximum number of tokens, including special tokens.
        output: the vocabulary file (wordpiece, char, space), the model file (sentencepiece) or the folder of
            ``vocab.json`` and ``merges.txt`` (bpe).
        min_frequency: tokens and merges with a lower frequency are left out; 2 if None. Not for sentencepiece.
        lowercase: True to lower-case the text; None means True for wordpiece, else False. Not for bpe.
        special: special tokens besides the kind's own (:data:`SPECIAL`).
        character_coverage: share of the text's characters that the vocabulary must cover; other characters become the
            unknown token. 0.9995 if None. Only for wordpiece and sentencepiece.
        overwrite: True to replace existing files.
        progress: True to show progress on standard error.

    Raises:
        TPError: the options contradict each other; a file is missing, empty or not UTF-8; the output exists.
    """
    _check_options(kind, vocab_size, min_frequency, lowercase, character_coverage)
    written = _outputs(kind, Path(output), overwrite)
    text = _Text([Path(file) for file in files])
    text.check()
    if lowercase is None:
        lowercase = kind == "wordpiece"
    tokens = list(dict.fromkeys([*SPECIAL[kind], *special]))
    if any(not token or token != token.strip() or "\n" in token for token in tokens):
        raise TPError("a special token must not be empty, begin or end with white space, or hold a line end")
    if len(tokens) >= vocab_size:
        raise TPError(
            f"vocab_size is {vocab_size}, but must be larger than the number of special tokens, {len(tokens)}"
        )
    options = learn.Learning(
        vocab_size,
        2 if min_frequency is None else min_frequency,
        lowercase,
        tokens,
        0.9995 if character_coverage is None else character_coverage,
        progress,
    )
    contents, size = _learn(kind, text, options)
    for path, content in zip(written, contents):
        _write(path, content)
    return Trained(kind, written, _spec_options(kind, written, lowercase, tokens), size)


def _learn(kind: str, text: _Text, options: learn.Learning) -> tuple[list[bytes], int]:
    """The contents of each file to write, and the number of tokens."""
    if kind == "sentencepiece":
        import sentencepiece

        model = learn.learn_sentencepiece(text, options)
        return [model], sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
    if kind == "bpe":
        ids, merges = learn.learn_byte_pairs(text, options)
        lines = "".join(f"{left} {right}\n" for left, right in merges)
        vocabulary = json.dumps(ids, ensure_ascii=False, indent=0)
        return [vocabulary.encode(), f"#version: 0.2\n{lines}".encode()], len(ids)
    learners: dict[str, Callable[[_Text, learn.Learning], list[str]]] = {
        "wordpiece": learn.learn_wordpiece,
        "char": learn.learn_characters,
        "space": learn.learn_words,
    }
    tokens = learners[kind](text, options)
    return ["".join(f"{token}\n" for token in tokens).encode()], len(tokens)


def _check_options(
    kind: str, vocab_size: int, min_frequency: int | None, lowercase: bool | None, character_coverage: float | None
) -> None:
    if kind not in KINDS:
        near = did_you_mean(kind, KINDS) or f"choose from {', '.join(KINDS)}"
        raise TPError(f"unknown kind of tokenizer '{kind}'; {near}")
    if vocab_size < 1:
        raise TPError(f"vocab_size must be at least 1, got {vocab_size}")
    for name, value in (("vocab_size", vocab_size), ("min_frequency", min_frequency)):
        if value is not None and value > _MOST:
            raise TPError(f"{name} must be at most {_MOST}, got {value}")
    if character_coverage is not None and not 0 < character_coverage <= 1:
        raise TPError(f"character_coverage must be above 0 and at most 1, got {character_coverage}")
    if character_coverage is not None and kind not in ("wordpiece", "sentencepiece"):
        raise TPError(f"character_coverage is no option of {kind}, only of wordpiece and sentencepiece")
    if kind == "sentencepiece" and min_frequency is not None:
        raise TPError("min_frequency is no option of sentencepiece, which chooses pieces by likelihood")
    if min_frequency is not None and min_frequency < 1:
        raise TPError(f"min_frequency must be at least 1, got {min_frequency}")
    if kind == "bpe" and lowercase:
        raise TPError("lowercase is no option of bpe, which keeps every byte of the text")


def _outputs(kind: str, output: Path, overwrite: bool) -> list[Path]:
    if kind == "bpe":
        if output.exists() and not output.is_dir():
            raise TPError(f"{output} is a file; bpe writes vocab.json and merges.txt into a folder")
        written = [output / "vocab.json", output / "merges.txt"]
    else:
        if output.is_dir():
            name = "tokenizer.model" if kind == "sentencepiece" else "vocab.txt"
            raise TPError(f"{output} is a folder; {kind} writes one file, {output / name} for example")
        written = [output]
    there = [str(path) for path in written if path.exists()]
    if there and not overwrite:
        raise TPError(f"{' and '.join(there)} exists already; choose another output, or overwrite it (--overwrite)")
    return written


def _write(path: Path, content: bytes) -> None:
    """Write to a temporary name first, so that an interrupted run never leaves a partial file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise TPError(f"{path} cannot be written: {error.strerror or error}") from error


def _spec_options(kind: str, written: Sequence[Path], lowercase: bool, special: Sequence[str]) -> dict[str, Any]:
    if kind == "sentencepiece":
        return {"model": str(written[0])}
    if kind == "bpe":
        # bpe's default special tokens are GPT-2's; others, such as RoBERTa's, are named.
        roles = {role: next((token for token in usual if token in special), None) for role, usual in USUAL.items()}
        found = {f"{r}_token": t for r, t in roles.items() if t is not None and t != "<|endoftext|>"}
        return {"vocab": str(written[0]), "merges": str(written[1]), **found}
    changed = {} if lowercase == (kind == "wordpiece") else {"lowercase": lowercase}
    return {"vocab": str(written[0]), **changed}


class _Text:
    """The stripped, non-empty lines of text files; can be iterated several times."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def check(self) -> None:
        """Check that there is text.

        Raises:
            TPError: there are no files, a file is missing or can be read only once, or no file has text.
        """
        if not self.files:
            raise TPError("there are no files to train on")
        missing = [str(file) for file in self.files if not file.exists()]
        if missing:
            raise TPError(f"there is no file {', no file '.join(missing)}")
        folders = [str(file) for file in self.files if file.is_dir()]
        if folders:
            raise TPError(f"{folders[0]} is a folder; name the text files in it, {folders[0]}/*.txt for example")
        once = [str(file) for file in self.files if not file.is_file()]
        if once:
            raise TPError(
                f"{once[0]} can be read only once, and training reads twice; write the text into a file first"
            )
        if next(iter(self), None) is None:
            names = ", ".join(str(file) for file in self.files)
            raise TPError(f"there is no text to train on in {names}: only empty lines")

    def __iter__(self) -> Iterator[str]:
        for file in self.files:
            try:
                with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
                    for number, line in enumerate(stream, 1):
                        try:
                            text = line.decode("utf-8").strip()
                        except UnicodeDecodeError as error:
                            raise not_utf8(file, number) from error
                        if text:
                            yield text
            except (OSError, EOFError, zlib.error) as error:  # the last two: a damaged .gz file
                raise TPError(f"{file} cannot be read: {getattr(error, 'strerror', '') or error}") from error
