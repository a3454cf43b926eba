"""Training of vocabularies from text, one function per kind. The same text always gives the same vocabulary."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tp_core.errors import TPError
from tp_text.tokenizers.pipelines import bert_normalizer, lowercase_normalizer

#: Maximum line length, in bytes, of sentencepiece; it skips longer lines.
_LONGEST_LINE = 1_000_000
#: Maximum number of lines that sentencepiece holds in memory; if there are more, it takes a random sample.
_MOST_LINES = 10_000_000


@dataclass(frozen=True)
class Learning:
    """Training options of all kinds of tokenizers.

    Attributes:
        vocab_size: maximum number of tokens, including special tokens.
        min_frequency: tokens and merges with a lower frequency are left out.
        lowercase: True to lower-case the text.
        special: special tokens; they get the first ids.
        character_coverage: share of the text's characters that the vocabulary must cover.
        progress: True to show progress on standard error.
    """

    vocab_size: int
    min_frequency: int
    lowercase: bool
    special: Sequence[str]
    character_coverage: float
    progress: bool


def learn_characters(lines: Iterable[str], options: Learning) -> list[str]:
    """The most frequent characters."""
    normalize = _normalizer(options.lowercase)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    normalized: Counter[str] = Counter()
    for character, count in counts.items():
        # The normaliser would strip a text that is only white space.
        text = character if character.isspace() else normalize(character)
        for each in text:
            normalized[each] += count
    # The vocabulary file has one token per line, so it cannot contain line ends.
    for line_end in "\n\r":
        normalized.pop(line_end, None)
    return _most_frequent(normalized, options)


def learn_words(lines: Iterable[str], options: Learning) -> list[str]:
    """The most frequent words, separated by white space."""
    normalize = _normalizer(options.lowercase)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split())
    normalized: Counter[str] = Counter()
    for word, count in counts.items():
        normalized[normalize(word)] += count
    return _most_frequent(normalized, options)


def _normalizer(lowercase: bool) -> Callable[[str], str]:
    if not lowercase:
        return lambda text: text
    normalize: Callable[[str], str] = lowercase_normalizer(True).normalize_str
    return normalize


def _most_frequent(counts: Counter[str], options: Learning) -> list[str]:
    frequent = [token for token, count in counts.items() if count >= options.min_frequency]
    frequent.sort(key=lambda token: (-counts[token], token))
    return list(dict.fromkeys([*options.special, *frequent]))[: options.vocab_size]


def learn_wordpiece(lines: Iterable[str], options: Learning) -> list[str]:
    """Train WordPiece by merging frequent pairs, with BERT's normalisation.

    The function reads the text twice. By itself, the library would number the continuing characters (``##a``) in the
    order of a hash table. This order changes from run to run and decides between equally frequent merges. So the first
    pass counts the characters, and the library gets them in a fixed order.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    normalizer = bert_normalizer(options.lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    normalized: Counter[str] = Counter()
    for character, count in counts.items():
        for each in normalizer.normalize_str(character).replace(" ", ""):
            normalized[each] += count

    def continuing(character: str) -> bool:
        return len(splitter.pre_tokenize_str(normalizer.normalize_str("a" + character))) == 1

    alphabet, continued = _alphabet(normalized, continuing, options)
    fixed = list(dict.fromkeys([*options.special, *alphabet, *(f"##{c}" for c in continued)]))
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=fixed,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=options.progress,
    )
    backend = Tokenizer(models.WordPiece())
    backend.normalizer = normalizer
    backend.pre_tokenizer = splitter
    backend.train_from_iterator(lines, trainer)
    return _in_order(backend.get_vocab())


def _alphabet(
    counts: Counter[str], continuing: Callable[[str], bool], options: Learning
) -> tuple[list[str], list[str]]:
    """The covered characters, and those of them that can continue a word; both sorted.

    The most frequent characters are taken until the text is covered or the vocabulary is full. A character that can
    continue a word needs a second token (``##a``).
    """
    room = options.vocab_size - len(options.special)
    wanted = options.character_coverage * sum(counts.values())
    covered = 0
    alphabet: list[str] = []
    continued: list[str] = []
    for character in sorted(counts, key=lambda c: (-counts[c], c)):
        also = continuing(character)
        room -= 2 if also else 1
        if room < 0 or covered >= wanted:
            break
        covered += counts[character]
        alphabet.append(character)
        if also:
            continued.append(character)
    return sorted(alphabet), sorted(continued)


def learn_byte_pairs(lines: Iterable[str], options: Learning) -> tuple[dict[str, int], list[list[str]]]:
    """Train byte-level BPE as in GPT-2; returns token → id, and the merges in order of priority."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    least = len(alphabet) + len(options.special)
    if options.vocab_size < least:
        message = f"vocab_size is {options.vocab_size}, but bpe needs at least {least}"
        raise TPError(f"{message}: {len(alphabet)} bytes and {len(options.special)} special tokens")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=list(options.special),
        initial_alphabet=alphabet,
        show_progress=options.progress,
    )
    backend.train_from_iterator(lines, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    return {token: index for index, token in enumerate(_in_order(model["vocab"]))}, merges


def learn_sentencepiece(lines: Iterable[str], options: Learning) -> bytes:
    """Train a unigram model (Kudo, 2018); returns the content of the model file.

    Raises:
        TPError: sentencepiece cannot train, for example because the vocabulary is too small for the characters.
    """
    import sentencepiece

    failed: list[TPError] = []

    def guarded() -> Iterator[str]:
        # The library would replace an error from reading the lines by its own; so it is kept here.
        try:
            yield from lines
        except TPError as error:
            failed.append(error)
            raise

    sentencepiece.set_random_generator_seed(0)  # for the sample of lines, if there are too many
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=guarded(),
            model_writer=model,
            model_type="unigram",
            vocab_size=options.vocab_size,
            hard_vocab_limit=False,
            character_coverage=options.character_coverage,
            normalization_rule_name="nmt_nfkc_cf" if options.lowercase else "nmt_nfkc",
            pad_id=0,
            unk_id=1,
            bos_id=2,
            eos_id=3,
            pad_piece="<pad>",
            control_symbols=list(options.special),
            input_sentence_size=_MOST_LINES,
            shuffle_input_sentence=True,
            max_sentence_length=_LONGEST_LINE,
            minloglevel=0 if options.progress else 2,
        )
    except RuntimeError as error:
        if failed:
            raise failed[0] from None
        reason = str(error).strip().rpartition("] ")[2] or str(error).strip()
        raise TPError(f"sentencepiece cannot train: {reason}") from error
    return model.getvalue()


def _in_order(vocabulary: dict[str, int]) -> list[str]:
    return sorted(vocabulary, key=lambda token: vocabulary[token])
