"""Reading of Sentence Transformers folders: a transformers model with settings for text vectors. Torch-free.

``modules.json`` lists the modules that convert a text to a vector: a transformer, a pooling, and optionally a
normalisation. Their settings become ``inference.embed`` of the spec and options of its processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.interop.accounting import KeyRules, account, shown
from tp_core.interop.folder_contents import FolderContents
from tp_core.interop.folders import length_option, spec_of
from tp_core.interop.ignored_keys import IgnoredKeys
from tp_core.interop.keys import Keys, Memory
from tp_core.options.converter import ConverterConfig
from tp_core.options.facts import Comparison
from tp_core.spec.context import data_context
from tp_core.spec.schema import Spec

MODULES, MODEL, POOLING = "modules.json", "config_sentence_transformers.json", "config.json"

#: The names of the file with the transformer's options, which depended on the kind of model.
TRANSFORMER = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

#: Names of poolings in Sentence Transformers → names in a spec.
MODES = {"cls": "first", "max": "max", "mean": "mean", "lasttoken": "last"}

#: Keys of the older format, which enables each pooling by its own key → name of the pooling. The order is that in which
#: the vectors of several poolings are concatenated.
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

#: Options for loading the transformer's parts that do not change its results.
_LOADING = ("add_pooling_layer", "torch_dtype", "dtype", "attn_implementation", "trust_remote_code", "padding_side")
_LOADED = ("model_args", "tokenizer_args", "config_args", "model_kwargs", "processor_kwargs", "config_kwargs")
_FORWARD = {"method": "forward", "method_output_name": "last_hidden_state"}
_OWN = {"module_input_name": ("sentence_embedding",), "module_output_name": ("sentence_embedding",)}


class SentenceTransformer(NamedTuple):
    """The settings of a Sentence Transformers folder, without the model itself.

    Attributes:
        body: the folder of the model and its tokenizer: the same folder, or a folder inside it.
        read: the files and folders that were read.
        embed: ``inference.embed`` of the spec.
        max_length: maximum length of a text in tokens, special tokens included; None if only the model limits it.
        notes: notes for the user about keys.
    """

    body: Path
    read: tuple[str, ...]
    embed: dict[str, Any]
    max_length: int | None
    notes: tuple[str, ...]

    def shortened(self, processor: Mapping[str, Any] | None, model: Mapping[str, Any]) -> dict[str, Any] | None:
        """A processor in the form of a spec, with its length limited by the folder and by the model's positions.

        Args:
            processor: the processor in the form of a spec, or None.
            model: the ``model:`` part of the spec.
        """
        positions = data_context(spec_of({"tp": 1, "model": model})).length_limit
        lengths = [length for length in (self.max_length, positions) if length is not None]
        if processor is None or not lengths:
            return None if processor is None else dict(processor)
        ((name, options),) = processor.items()
        return {name: {**options, length_option(name): min(lengths)}}

    def contents(self, around: FolderContents) -> FolderContents:
        """The files of the model's folder, which may be inside the whole folder ``around``."""
        return around if self.body == around.folder else FolderContents(self.body)

    def finish(self, spec: Spec, around: FolderContents, contents: FolderContents) -> list[str]:
        """Record the files that were read, and return notes for the user.

        Args:
            spec: the spec of the converted model.
            around: the files of the whole folder.
            contents: the files of the model's folder.
        """
        around.mark(*self.read)
        contents.mark(*(Path(name).name for name in self.read))
        notes = [*self.notes, *([] if contents is around else around.notes())]
        if spec.data.processor is None:
            notes.append("the model has no processor, which tp embed needs to read texts")
        return notes


def read_sentence_transformer(folder: Path, ignored: IgnoredKeys) -> SentenceTransformer | None:
    """The settings of a folder, or None for a folder that does not come from Sentence Transformers.

    Args:
        folder: the folder.
        ignored: keys of its files to ignore; the keys of modules.json are the names of the modules' folders.

    Raises:
        TPError: the folder has settings that a spec cannot express, or a file has an unexpected form.
    """
    if not (folder / MODULES).is_file():
        return None
    reading = _Reading(folder, ignored)
    chain = reading.modules()
    whole = reading.whole()
    inside = next((path for kind, path in chain if kind == "Transformer"), "")
    max_length = reading.transformer(inside)
    pooling = next(reading.pooling(path, "prompts" in whole) for kind, path in chain if kind == "Pooling")
    embed = {"pooling": pooling, **whole}
    for kind, path in chain:
        if kind == "Normalize":
            reading.check_normalize(path)
            embed["normalize"] = True
    read = (MODULES, *reading.files, *(path for _, path in chain if path))
    return SentenceTransformer(folder / inside, read, embed, max_length, tuple(reading.notes))


def bare_architecture(converter: ConverterConfig) -> str | None:
    """The architecture without a head, which Sentence Transformers loads from any checkpoint; None if there is none."""
    return next((name for name, heads in converter.architectures.items() if not heads), None)


class _Reading:
    """Reads the files of a folder.

    Attributes:
        files: names of the files that were read.
        notes: notes for the user about keys.
    """

    def __init__(self, folder: Path, ignored: IgnoredKeys) -> None:
        self.folder, self.ignored = folder, ignored
        self.files: list[str] = []
        self.notes: list[str] = []

    def modules(self) -> list[tuple[str, str]]:
        """The kinds and folders of the modules, in order."""
        listed = _json(self.folder / MODULES)
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise TPError(f"{MODULES}: expected a list of modules, each an object with path and type")
        named = {str(each.get("path") or each.get("name") or number): each for number, each in enumerate(listed)}
        kept = self.ignored.without(named, MODULES)
        found: list[tuple[str, str]] = []
        refused: list[str] = []
        for name, entry in kept.items():
            path, given = str(entry.get("path") or ""), str(entry.get("type"))
            if Path(path).is_absolute() or ".." in Path(path).parts:
                raise TPError(f"{MODULES}: the path '{path}' leads out of the folder")
            package, _, kind = given.rpartition(".")
            own = package.startswith("sentence_transformers.")
            usual = {"Transformer": not found, "Pooling": len(found) == 1, "Normalize": len(found) > 1}.get(kind, False)
            if own and usual:
                found.append((kind, path))
            elif not (own and kind == "Dropout"):  # dropout only matters in training
                refused.append(f"'{name}' is {self._what(kind, path, given if not own else '', bool(found))}")
        if refused:
            lines = "\n".join(f"  {line}" for line in refused)
            raise TPError(
                f"{MODULES}: not all modules can be converted; expected a Transformer, a Pooling and optionally a "
                f"Normalize:\n{lines}\n--ignore-key NAME ignores a module, as if the file did not list it"
            )
        if [kind for kind, _ in found[:2]] != ["Transformer", "Pooling"]:
            kinds = ", ".join(kind for kind, _ in found) or "none"
            raise TPError(f"{MODULES}: expected a Transformer and then a Pooling, got {kinds}")
        return found

    def _what(self, kind: str, path: str, foreign: str, later: bool) -> str:
        """A description of a module that cannot be converted, for the error message."""
        if foreign:
            return f"of the type {foreign}, code that comes with the checkpoint and is never run"
        if kind in ("Transformer", "Pooling", "Normalize"):
            return f"another {kind}" if later and kind != "Normalize" else f"a {kind} in an unusual place"
        if kind != "Dense":
            return f"a {kind}"
        config = self._object(f"{path}/{POOLING}") if (self.folder / path / POOLING).is_file() else {}
        sizes = f"from {config.get('in_features', '?')} to {config.get('out_features', '?')}"
        activation = str(config.get("activation_function", "")).rpartition(".")[2]
        return f"a Dense layer {sizes}{f' with {activation}' if activation else ''}"

    def whole(self) -> dict[str, Any]:
        """The prompts, the default prompt and the similarity, as options of ``inference.embed``."""
        if not (self.folder / MODEL).is_file():
            return {}
        keys = self._keys(MODEL)
        texts = {name: text or "" for name, text in (keys.plain("prompts") or {}).items()}
        usual = keys.get("default_prompt_name")
        by = keys.get("similarity_fn_name") or "cosine"
        irrelevant = ("__version__", "requirements")
        self._account(keys, KeyRules(required={"model_type": ("SentenceTransformer",)}, irrelevant=irrelevant))
        if by not in get_args(Comparison):
            known = ", ".join(get_args(Comparison))
            raise TPError(f"{MODEL}: 'similarity_fn_name' is {shown(by)}; tp has {known}")
        compared = {} if by == "cosine" else {"similarity": by}
        if not any(texts.values()):
            return compared
        if usual is not None and usual not in texts:
            raise TPError(f"{MODEL}: 'default_prompt_name' is {shown(usual)}; the prompts are {', '.join(texts)}")
        return {**compared, "prompts": texts, **({"prompt": usual} if usual and texts[usual] else {})}

    def transformer(self, inside: str) -> int | None:
        """The maximum length of a text in the transformer's options, or else in its tokenizer's; None if unlimited."""
        body = self.folder / inside
        name = next((each for each in TRANSFORMER if (body / each).is_file()), None)
        length = None
        if name is not None:
            keys = self._keys(f"{inside}/{name}" if inside else name)
            length = keys.get("max_seq_length")
            lowers = bool(keys.get("do_lower_case")) and not _lowercases(body)
            for each in ("modality_config", *_LOADED):
                keys.get(each)
            rules = KeyRules(
                required={
                    "transformer_task": ("feature-extraction",),
                    "modality_config.text": (_FORWARD,),
                    "module_output_name": ("token_embeddings",),
                    **({"do_lower_case": (False,)} if lowers else {}),
                },
                irrelevant={
                    "unpad_inputs",
                    *(f"modality_config.{kind}" for kind in ("message", "image", "audio", "video")),
                    *(f"{part}.{option}" for part in _LOADED for option in _LOADING),
                },
            )
            self._account(keys, rules)
        if length is None and (body / "tokenizer_config.json").is_file():
            length = _json(body / "tokenizer_config.json").get("model_max_length")
        # transformers writes 1e30 for "no limit".
        return int(length) if isinstance(length, (int, float)) and 0 < length < 1e9 else None

    def pooling(self, path: str, prompted: bool) -> str:
        """The pooling, by its name in a spec."""
        keys = self._keys(f"{path}/{POOLING}")
        flags = {mode: bool(keys.get(flag)) for flag, mode in FLAGS.items()}
        given = keys.get("pooling_mode", [mode for mode, on in flags.items() if on] or "mean")
        modes = [given] if isinstance(given, str) else list(given)
        irrelevant = {"word_embedding_dimension", "embedding_dimension", *(() if prompted else ("include_prompt",))}
        required = {"include_prompt": (True,)} if prompted else {}
        self._account(keys, KeyRules(required=required, irrelevant=irrelevant))
        if len(modes) != 1:
            several = f"'pooling_mode' is {' and '.join(map(str, modes))}, whose vectors are concatenated"
            raise TPError(f"{path}/{POOLING}: {several}; only one pooling can be converted")
        if modes[0] not in MODES:
            known = " or ".join(MODES)
            raise TPError(f"{path}/{POOLING}: 'pooling_mode' is {modes[0]}; only {known} can be converted")
        return MODES[modes[0]]

    def check_normalize(self, path: str) -> None:
        """Check that a normalisation applies to the vector of the text."""
        if (self.folder / path / POOLING).is_file():
            self._account(self._keys(f"{path}/{POOLING}"), KeyRules(required=_OWN))

    def _keys(self, name: str) -> Keys:
        content = self.ignored.without(self._object(name), name)
        self.files.append(name)
        return Keys(content, Memory(name, content))

    def _object(self, name: str) -> dict[str, Any]:
        content = _json(self.folder / name)
        if not isinstance(content, dict):
            raise TPError(f"{name}: expected a JSON object")
        return content

    def _account(self, keys: Keys, rules: KeyRules) -> None:
        found = account(keys, rules)
        found.check()
        self.notes += found.notes


def _lowercases(body: Path) -> bool:
    """True if the model's tokenizer lower-cases texts, according to its files."""
    file = body / "tokenizer.json"
    if not file.is_file():
        config = body / "tokenizer_config.json"
        return config.is_file() and bool(_json(config).get("do_lower_case"))
    normalizer = _json(file).get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    return any(step.get("type") == "Lowercase" or step.get("lowercase") is True for step in steps)


def _json(file: Path) -> Any:
    try:
        return read_json(file)
    except FileNotFoundError:
        raise TPError(f"{_named(file)}: there is no such file, but {MODULES} refers to it") from None
    except (OSError, ValueError) as error:
        raise TPError(f"{_named(file)}: this is no JSON: {error}") from None


def _named(file: Path) -> str:
    """The name of a file, with its folder if several files have this name."""
    return f"{file.parent.name}/{file.name}" if file.name == POOLING else file.name
