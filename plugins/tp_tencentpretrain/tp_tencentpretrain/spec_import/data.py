"""The ``data:`` part of a spec for a command line of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.original.flags import TOKENIZERS as KNOWN_TOKENIZERS
from tp_tencentpretrain.processors import TOKENIZERS, processor, reading_padding
from tp_tencentpretrain.spec_import.corpora import corpus
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.shortest import plain, without_defaults
from tp_tencentpretrain.spec_import.task import LENGTH, Task
from tp_tencentpretrain.tokenizers import SPECIAL, TokenizerFiles, first_columns

#: Processors that mask tokens, and those whose two sides have a length each.
_MASKING, _PAIRS = ("bert", "mlm", "cls_mlm", "image_text"), ("mt", "gsg")

#: Processors without texts, or whose texts have another option for their length.
_WITHOUT_LENGTH = ("image", "speech_text")

#: Options that are in the options of a processor.
_READ_BY = {
    "speech_text": ("audio_preprocess", "sampling_rate"),
    **dict.fromkeys(("image", "image_text", "image_text_pair", "image_text_lm"), ("image_preprocess",)),
}

#: Data processors whose texts have a token at their begin and their end.
_LANGUAGE_MODELS = ("lm", "llm_pretrain", "llm_sft")

#: Processors of rows that are filled across documents if ``full_sentences`` is given.
_PACKING = ("mlm", "lm", "bilm", "t5")


class DataPart:
    """The data of a command line.

    Attributes:
        tree: the ``data:`` part of a spec.
        notes: sentences for the user.
    """

    def __init__(self, given: Given, config: OriginalConfig, task: Task | None, fine_tuning: bool) -> None:
        self.tree: dict[str, Any] = {}
        self.notes: list[str] = []
        self._reads_words = bool({"dual", "word", "word_patch"} & {*config.names("embedding")})
        self._tokenizers(given, task)
        if task is not None:
            self.tree |= task.data
            if "processor" in task.data:
                self.tree["processor"] = _shown(config, task.data["processor"])
            for each in task.data.get("sets", {}).values():
                each["processor"] = _shown(config, each["processor"])
        else:
            name = str(given.get("data_processor", "bert"))
            if not fine_tuning:
                self._processor(given, name, config)
            self._files(given, name)
        if "test_path" in given:
            self.notes.append(f"for the test data: tp evaluate runs/NAME --data {given['test_path']}")

    def _tokenizers(self, given: Given, task: Task | None) -> None:
        sides = [("", "tokenizer")]
        if task is None and given.get("data_processor") == "mt":
            sides.append(("tgt_", "target_tokenizer"))
        for side, key in sides:
            tree = self._tokenizer(given, side, None if task is None else task.name)
            if tree is not None:
                self.tree[key] = without_defaults("tokenizer", tree)

    def _tokenizer(self, given: Given, side: str, task: str | None) -> dict[str, Any] | None:
        """The tokenizer of one side, as in a spec; None if the command line names none of its files."""
        vocab, merges, model = (given.get(f"{side}{each}") for each in ("vocab_path", "merges_path", "spm_model_path"))
        name = given.get(f"{side}tokenizer", "bert")
        if task in TOKENIZERS:
            name = TOKENIZERS[str(task)]  # its script does not read --tokenizer
        if name not in KNOWN_TOKENIZERS:
            if name == "hfpretrained" and vocab is not None:
                return {"huggingface": {"path": vocab}}
            if f"{side}tokenizer" in given:
                self.notes.append(
                    f"--{side}tokenizer {name}: pictures need no tokenizer; for texts, set data.tokenizer"
                )
            return None
        if vocab is None and model is None and merges is None:
            if not side and self._reads_words:
                self.notes.append("the command line names no vocabulary; set data.tokenizer if the model reads texts")
            return None
        flags = tuple(f"--{side}{each}" for each in ("tokenizer", "vocab_path", "merges_path", "spm_model_path"))
        cased = given.get(f"{side}do_lower_case", "true") == "false"
        if vocab is not None and _has_columns(Path(vocab)):
            self.notes.append(
                f"{vocab} has further columns, which tp reads as parts of the tokens: use the vocabulary in the folder "
                "of the converted model, or keep the first column alone"
            )
        framed = task is None and given.get("data_processor") in _LANGUAGE_MODELS
        files = TokenizerFiles(name, vocab, merges, model, cased, SPECIAL, flags)  # type: ignore[arg-type]
        return files.tree(framed)

    def _processor(self, given: Given, name: str, config: OriginalConfig) -> None:
        found = processor(config.with_processor(name))
        if found is None:
            self.notes.append(f"the data processor '{name}' has no counterpart; choose a processor in data.processor")
            return
        ((ours, usual),) = found.items()
        options = dict(usual)
        given.use(*_READ_BY.get(ours, ()))
        length = given.get("seq_length", LENGTH)
        options |= {} if ours in _WITHOUT_LENGTH else {"max_length": length}
        if ours in _PAIRS:
            own = given.get("tgt_seq_length", LENGTH)
            options |= {"target_max_length": own} if own != length else {}
        # Only MlmDataset reads the option; the others have each document in rows of its own.
        if ours in _PACKING and not (ours in ("mlm", "t5") and given.get("full_sentences")):
            options["pack"] = False
        self._masks(given, ours, options)
        if ours == "bert" and "short_seq_prob" in given:
            options["short_rate"] = given["short_seq_prob"]
        if ours == "gsg":
            self.tree["on_bad_record"] = "skip"  # documents of one sentence
        if ours in ("prefixlm", "sft", "image_text_lm") and not given.get("prefix_lm_loss"):
            self.notes.append(
                "without --prefix_lm_loss, the original also learns to predict the token 0 at all positions of a "
                "prefix; the spec learns the rest alone"
            )
        if ours == "image_text_lm":
            self.notes.append(
                "pictures become tokens by data.processor.image_text_lm.image_tokenizer, which is to be set"
            )
        if ours == "speech_text" and config.given.get("specaugment"):
            self.notes.append(
                "the original never applies 'specaugment', whose name it misspells; time_masks and frequency_masks of "
                "data.processor.speech_text do it"
            )
        self.tree["processor"] = _shown(config, {ours: options})

    def _masks(self, given: Given, name: str, options: dict[str, Any]) -> None:
        """The options of masks."""
        if name not in (*_MASKING, "t5", "bart"):
            return
        spans = bool(given.get("span_masking"))
        chance, longest = (given.get("span_geo_prob", 0.2), given.get("span_max_length", 10)) if spans else (0.2, 10)
        if name in _MASKING:
            if given.get("whole_word_masking"):  # which goes before spans
                options |= {"whole_word": True}
                self.notes.append(
                    "--whole_word_masking: the pieces of a word are masked together; a Chinese character is a word of "
                    "its own here, while the original cuts Chinese words with jieba"
                )
            elif spans:
                options |= {"span": True}
                options |= {"span_p": chance} if chance != 0.2 else {}
                options |= {"span_max_length": longest} if longest != 10 else {}
            if not given.get("dynamic_masking"):
                self.notes.append("masks are drawn anew in each epoch, as with --dynamic_masking")
            return
        given.use("dynamic_masking")
        # The mean of the geometric distribution, as far as it is not cut off.
        mean = round(sum((1 - chance) ** length for length in range(longest)), 2) if spans else 1.0
        if name == "t5":
            options["mean_span_length"] = mean
        elif spans:
            options |= {"infill_rate": 0.15, "span_lambda": mean}
        else:
            options |= {"infill_rate": 0.0, "mask_rate": 0.15}

    def _files(self, given: Given, name: str) -> None:
        if "corpus_path" in given:
            found = corpus(given["corpus_path"], name, bool(given.get("json_format_corpus")))
            given.use("dataset_path")  # the file between the two commands
            self.tree |= {"columns": found.columns} if found.columns else {}
            self.tree["train"] = found.source
        elif "train_path" in given:
            self.tree["train"] = given["train_path"]
        elif "dataset_path" in given:
            self.notes.append(
                f"{given['dataset_path']} is a pickle of prepared instances, which is not read: set data.train to the "
                "corpus (--corpus_path of preprocess.py); tp prepares it at the start of the training, or with "
                "tp preprocess SPEC"
            )
        else:
            self.notes.append("the command line names no corpus; set data.train")
        if "dev_path" in given:
            self.tree["eval"] = given["dev_path"]


def _shown(config: OriginalConfig, processor: dict[str, Any]) -> Any:
    """A processor as people write it, with rows of one length if the model reads padding."""
    return plain(without_defaults("processor", reading_padding(config, processor)))


def _has_columns(path: Path) -> bool:
    """True if lines of a vocabulary have more than a token; False if it cannot be read."""
    if not path.is_file() or path.suffix == ".json":
        return False
    try:
        tokens = first_columns(path)
        with path.open(encoding="utf-8", newline="") as file:
            return [line.rstrip("\r\n") for line in file] != tokens
    except TPError:
        return False
