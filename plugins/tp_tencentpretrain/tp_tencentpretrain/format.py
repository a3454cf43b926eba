"""The format of TencentPretrain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_core.artifacts.layout import WEIGHTS
from tp_core.errors import CheckpointError, TPError
from tp_core.interfaces.format import Format, Say
from tp_tencentpretrain.format_options import TencentPretrainFormatConfig
from tp_tencentpretrain.original.config import OriginalConfig, read_original
from tp_tencentpretrain.processors import (
    TOKENIZERS,
    columns,
    original_processor,
    processor,
    reading_padding,
    task_processor,
    write_tags,
)
from tp_tencentpretrain.tokenizers import (
    TokenizerFiles,
    copied,
    special_tokens,
    vocabulary_size,
    write_vocabularies,
)

_FLAGS = ("--tokenizer", "--vocab", "--merges", "--spm-model")
_TARGET_FLAGS = ("--target-tokenizer", "--target-vocab", "--target-merges", "--target-spm-model")


class TencentPretrain(Format):
    """Checkpoints of TencentPretrain and UER."""

    def __init__(self, config: TencentPretrainFormatConfig, name: str) -> None:
        super().__init__(config, name)
        self.config = config

    def read(self, source: Path, folder: Path, say: Say) -> None:
        from tp_core.interop.folders import reason, write_spec
        from tp_core.interop.matching import WeightMap
        from tp_core.interop.weight_files import our_shapes, write_joined
        from tp_core.spec.choices.module_nodes import all_modules
        from tp_core.spec.trained.provenance import write_provenance
        from tp_tencentpretrain.mapping.head import task_of
        from tp_tencentpretrain.mapping.model import converted
        from tp_tencentpretrain.original.checkpoint import open_checkpoint
        from tp_tencentpretrain.original.facts import check_facts

        original = read_original(self._config(source))
        notes = original.notes()
        checkpoint = open_checkpoint(source, original.names("target") if original["target"] else ())
        task = task_of(checkpoint, self.config.task)
        if self.config.labels is not None and task != "ner":
            raise TPError(f"--labels is for models of ner, not of {task or 'a pre-training'}")
        original = original if task is None else original.without_decoder()
        check_facts(original, checkpoint, source)
        found = converted(original, checkpoint, task)
        checkpoint.drop_mirrors(found.mirrors)
        tokenizer, target_tokenizer = self._tokenizers(task, _writes_texts(original, task))
        for key, tree, files in (
            ("vocab_size", tokenizer, self.config.vocab or self.config.spm_model),
            ("target_vocab_size", target_tokenizer, self.config.target_vocab or self.config.target_spm_model),
        ):
            self._check_vocabulary(found.model, key, tree, str(files))
        tokenizer = tokenizer and copied(tokenizer, folder, "tokenizer")
        target_tokenizer = target_tokenizer and copied(target_tokenizer, folder, "target_tokenizer")
        chosen = None
        if tokenizer or not _reads_words(found.model):
            chosen = processor(original) if task is None else task_processor(task, self.config.labels)
            chosen = chosen and reading_padding(original, chosen)
        try:
            spec, said = write_spec(
                folder,
                source.resolve().stem,
                found.model,
                tokenizer,
                chosen,
                target_tokenizer=target_tokenizer,
                labels=columns(found.model) if task == "multi_task" else None,
            )
        except TPError as error:
            raise TPError(f"{source}: {reason(error)}") from None
        weight_map = WeightMap(found.rules, our_shapes(spec), self.name)
        try:
            fit = weight_map.fit(checkpoint.tensors, self.config.resize_vocabulary)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from None
        if fit.left_out:
            say(f"left out, since {original.where} has no such target: {', '.join(fit.left_out)}")
        write_joined(folder / WEIGHTS, weight_map, checkpoint.tensors, fit)
        write_provenance(all_modules(spec, training=False), folder)
        if checkpoint.old:
            notes.append(f"{checkpoint.old} tensors have the names of an older version of the original")
        if "word_patch" in original.names("embedding") and "seq_length" not in original.given:
            notes.append(
                f"{original.where} has no 'seq_length', the length that texts are padded to before a picture; 128 is "
                "assumed: if --seq_length was another, write it there"
            )
        if chosen and "pad" in next(iter(chosen.values())):
            notes.append(
                "the model reads padding: set max_length of data.processor to the --seq_length of its training"
            )
        if checkpoint.half:
            notes.append(f"tensors of the checkpoint are of type {' and '.join(checkpoint.half)}, and stay so")
        for note in [*notes, *found.notes, *said]:
            say(note)

    def write(self, source: Path, folder: Path, say: Say) -> None:
        import torch

        from tp_core.artifacts.specs import find_spec
        from tp_core.interop.comparison import differences
        from tp_core.interop.folders import reason, spec_of, write_json
        from tp_core.interop.matching import WeightMap, listed
        from tp_core.interop.tensors import open_stored
        from tp_core.interop.weight_files import check_ours, our_shapes, split
        from tp_tencentpretrain.mapping.model import converted
        from tp_tencentpretrain.mapping.written import config_of
        from tp_tencentpretrain.mapping.written_head import task_and_facts

        spec, _, weights = find_spec(source, say)
        tree = spec.dump()["model"]
        try:
            task, facts = task_and_facts(tree, self.config.task, say)
            config = config_of(tree, task)
            facts.one_norm = any(s.same_as for s in spec.model.streams.values())
            found = converted(OriginalConfig(config, "the config"), facts, task)
            sizes = {key: tree[key] for key in ("vocab_size", "target_vocab_size") if key in tree}
            other = spec_of({"model": {**found.model, **sizes}})
            reasons = [*differences(spec, other, "the original's model").values()]
        except TPError as error:
            raise TPError(f"{source}: the model is no model of the original: {reason(error)}") from None
        if reasons:
            raise TPError(listed(f"{source}: the model is no model of the original:", reasons))
        tensors = open_stored(weights)
        check_ours(tensors, our_shapes(spec), weights)
        planned, read = split(WeightMap(found.rules, our_shapes(spec), self.name), tensors)
        whole = {each.name: read(each.name).contiguous() for each in planned}
        for mirror in found.mirrors:
            whole |= {mirror.theirs + n.removeprefix(mirror.of): t for n, t in whole.items() if n.startswith(mirror.of)}
        used = None if task else original_processor(spec.dump().get("data", {}).get("processor"))
        config |= {"data_processor": used} if used else {}
        torch.save(whole, folder / "model.bin")
        if "max_seq_length" not in config and _limited(config):
            say("config.json has no 'max_seq_length', whose default is 512: set it for longer texts")
        write_json(folder / "config.json", config)
        if task == "ner":
            write_tags(spec, folder)
        for note in write_vocabularies(spec, folder):
            say(note)

    def _check_vocabulary(self, model: dict[str, Any], key: str, tokenizer: dict[str, Any] | None, file: str) -> None:
        """Compare a vocabulary with the checkpoint's, whose size is changed if the user allows it."""
        rows = model.get(key) or model.get("vocab_size")
        size = None if tokenizer is None else vocabulary_size(tokenizer)
        if size is None or rows is None or size == rows:
            return
        if not self.config.resize_vocabulary:
            raise TPError(
                f"{file} has {size:,} tokens, the checkpoint {rows:,}: the vocabulary is of another model; "
                "--resize-vocabulary cuts rows off or draws new ones"
            )
        model[key] = size

    def _config(self, source: Path) -> Path:
        """The config that the user names, or the config.json beside the checkpoint."""
        if self.config.config is not None:
            return Path(self.config.config)
        beside = (source if source.is_dir() else source.parent) / "config.json"
        if not beside.is_file():
            raise TPError(f"{source}: a checkpoint of the original has no config in it; name it with --config")
        return beside

    def _tokenizers(self, task: str | None, framed: bool) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The tokenizers of both sides as in a spec, with the paths of the user's files."""
        own, special = self.config, special_tokens(self.config.special_tokens)
        # The scripts of these tasks do not read --tokenizer.
        usual = TOKENIZERS.get(str(task)) if own.vocab else None
        source = TokenizerFiles(
            own.tokenizer or usual, own.vocab, own.merges, own.spm_model, own.cased, special, _FLAGS
        )
        target = TokenizerFiles(
            own.target_tokenizer,
            own.target_vocab,
            own.target_merges,
            own.target_spm_model,
            own.target_cased,
            special,
            _TARGET_FLAGS,
        )
        source.check()
        target.check()
        unread = {"--cased": own.cased, "--special-tokens": own.special_tokens, "--tokenizer": own.tokenizer}
        for flag, value in unread.items():
            if value and not (own.vocab or own.merges or own.spm_model):
                raise TPError(f"{flag} belongs to a tokenizer; name its files with {', '.join(_FLAGS[1:])}")
        return source.tree(framed), target.tree(framed=False)


def _limited(config: dict[str, Any]) -> bool:
    """True if the original limits the length of texts to 'max_seq_length', without a table of positions."""
    return bool(config.get("rotary_position_embedding")) or "sinusoidalpos" in config.get("embedding", ())


def _writes_texts(config: OriginalConfig, task: str | None) -> bool:
    """True for a language model, whose texts begin and end with the tokens of all texts."""
    targets = config.names("target") if config["target"] else []
    return task is None and config["decoder"] is None and "lm" in targets


def _reads_words(model: dict[str, Any]) -> bool:
    """True if a model has a word embedding, so that its processor needs a tokenizer."""
    sides = [model.get("embedding"), model.get("target_embedding")]
    sides += [each.get("embedding") for each in model.get("streams", {}).values() if isinstance(each, dict)]
    modules = [
        next(iter(each)) if isinstance(each, dict) else each for side in sides if side for each in side["modules"]
    ]
    return any(name in ("word", "word_patch") for name in modules)
