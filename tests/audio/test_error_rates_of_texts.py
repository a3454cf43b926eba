"""Error rates count the texts as they are written, whatever the vocabulary lacks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jiwer
import pytest

from tests.audio.tones import RATE, recordings
from tp_audio.processors.gaps import Gaps
from tp_audio.processors.speech_ctc_options import SpeechCtcProcessorConfig
from tp_audio.processors.waveform_options import WaveformCtcProcessorConfig
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import TPError
from tp_core.interfaces import Tokenizer
from tp_core.options.context import DataContext
from tp_text.tokenizers.line_vocabulary_options import CharacterConfig, SpaceConfig

TEXTS = ["Zoë naïve", "ab  ñandú b", "ba ab", "x  ÿ"]
#: Lower case without accents, as many a vocabulary of speech.
LETTERS = ["[PAD]", "[UNK]", *"abdeinouvxz"]


def characters(folder: Path, *tokens: str) -> Tokenizer:
    (folder / "letters.txt").write_text("\n".join([*LETTERS, *tokens]) + "\n", encoding="utf-8")
    options: dict[str, Any] = {"lowercase": False}
    return CharacterConfig(vocab=str(folder / "letters.txt"), **options).build(DataContext())


def written(folder: Path) -> Path:
    """A manifest of recordings with the texts."""
    recordings(folder / "data", len(TEXTS))
    rows = [f"{number}.wav\t{text}" for number, text in enumerate(TEXTS)]
    (folder / "data" / "list.tsv").write_text("\n".join(["audio\ttext", *rows]) + "\n", encoding="utf-8")
    return folder / "data" / "list.tsv"


@pytest.mark.parametrize("kind", ["filter banks", "waveforms"])
def test_words_and_characters_are_counted_against_the_text_itself(tmp_path: Path, kind: str) -> None:
    tokenizer = characters(tmp_path, " ")
    config: Any = WaveformCtcProcessorConfig(sampling_rate=RATE)
    if kind == "filter banks":
        config = SpeechCtcProcessorConfig(sampling_rate=RATE, num_mel_bins=20)
    made = config.build(DataContext(), tokenizer)
    bad = BadRecords("skip")
    write_rows(tmp_path / "rows.arrow", made.prepare(read_records([str(written(tmp_path))]), bad.report))
    rows = ArrowRows(tmp_path / "rows.arrow")
    assert (len(rows), bad.count) == (4, 0)
    samples = [made.evaluation_sample(rows, index, generator(0, EVALUATION, 0, index)) for index in range(4)]
    # What the vocabulary has of the texts, written without a mistake.
    heard = [tokenizer.decode(rows.get("text", index).tolist()) for index in range(4)]
    assert heard != TEXTS
    predictions = [{"token_ids": rows.get("text", index).tolist()} for index in range(4)]
    wanted = [" ".join(text.split()) for text in TEXTS]
    for size in (4, 1):  # padded and alone
        totals: dict[str, list[float]] = {}
        for start in range(0, 4, size):
            part = slice(start, start + size)
            for name, (errors, count) in made.score(
                made.describe(predictions[part]), [[made.carried(each)] for each in samples[part]]
            ).items():
                total = totals.setdefault(name, [0, 0])
                total[0] += errors
                total[1] += count
        rates = {name: errors / count for name, (errors, count) in totals.items()}
        found = [" ".join(text.split()) for text in heard]
        assert rates["word_error_rate"] == pytest.approx(jiwer.wer(wanted, found))
        assert rates["character_error_rate"] == pytest.approx(jiwer.cer(wanted, found))
        assert rates["word_error_rate"] > 0.3
    assert made.remarks() == [
        "3 of 4 texts contain characters that the vocabulary lacks, 6 of 22 characters: "
        "'Z' 1, 'ë' 1, 'ï' 1, 'ñ' 1, 'ú' 1, 'ÿ' 1"
    ]
    with pytest.raises(TPError, match="need evaluation samples"):
        made.carried(made.sample(rows, 0, generator(0, TRAIN, 0, 0)))


def counted(tokenizer: Tokenizer, *texts: str) -> str | None:
    unknown = tokenizer.special["unk"]
    gaps = Gaps(tokenizer, lambda number: number != unknown and bool(tokenizer.token(number).strip()))
    for text, ids in zip(texts, tokenizer.encode_batch(list(texts))):
        gaps.add(text, ids)
    return gaps.remark()


def test_what_a_vocabulary_of_words_lacks_is_counted_in_the_words_that_it_has_not(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("[PAD]\n[UNK]\nlow\nhigh\na\n", encoding="utf-8")
    tokenizer = SpaceConfig(vocab=str(tmp_path / "words.txt")).build(DataContext())
    assert counted(tokenizer, "low high", "a a") is None
    said = counted(tokenizer, "low high", "low owl owl a")
    assert said == "1 of 2 texts contain characters that the vocabulary lacks, 6 of 17 characters: 'o' 2, 'w' 2, 'l' 2"


def test_white_space_that_a_vocabulary_lacks_is_told(tmp_path: Path) -> None:
    assert (
        counted(characters(tmp_path), "ab ab")
        == "1 of 1 texts contain characters that the vocabulary lacks: white space"
    )
    assert counted(characters(tmp_path, " "), "ab ab") is None


def test_many_characters_that_are_lacking_are_listed_in_part(tmp_path: Path) -> None:
    said = counted(characters(tmp_path), "ABCDEFGHIJKLM" + "Z" * 1000)
    assert said is not None
    assert "1,013 of 1,013 characters: 'Z' 1,000, 'A' 1, 'B' 1," in said
    assert said.endswith("'I' 1 and 4 others")


def test_preparation_says_what_the_vocabulary_lacks_and_again_from_the_cache(tmp_path: Path) -> None:
    import yaml
    from click.testing import CliRunner

    from tp_core.cli.main import cli

    characters(tmp_path, " ")
    written(tmp_path)
    spec = {
        "model": {
            "hidden_size": 8,
            "embedding": {"modules": [{"speech": {"num_mel_bins": 20, "channels": 8}}], "norm": "none"},
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": "ctc",
        },
        "data": {
            "tokenizer": {"char": {"vocab": "letters.txt", "lowercase": False}},
            "processor": {"speech_ctc": {"sampling_rate": RATE, "num_mel_bins": 20}},
            "train": "data/list.tsv",
            "cache": "cache",
        },
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    for _ in range(2):
        done = CliRunner().invoke(cli, ["preprocess", str(tmp_path / "spec.yaml")])
        assert done.exit_code == 0, done.output
        assert "3 of 4 texts contain characters that the vocabulary lacks, 6 of 22 characters: 'Z' 1" in done.output
