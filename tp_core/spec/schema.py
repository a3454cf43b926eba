"""The validated spec: plain values that hold chosen modules and their configs. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.choice import Chosen
from tp_core.options.decoder import DecoderConfig
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import Pooling
from tp_core.options.hooks import HooksConfig
from tp_core.options.logger import LoggerConfig
from tp_core.options.optimizer import OptimizerConfig
from tp_core.options.schedule import ScheduleConfig
from tp_core.options.section import Section
from tp_core.options.strategy import StrategyConfig
from tp_core.options.target import TargetConfig
from tp_core.spec.sections.data import DataSpec
from tp_core.spec.sections.embedding import EmbeddingSpec
from tp_core.spec.sections.inference import InferenceSpec
from tp_core.spec.sections.train import TrainOptions
from tp_core.spec.tree.nodes import Node, Origin

#: Default number of rows of the word embedding, without a tokenizer: the size of BERT's English vocabulary.
DEFAULT_VOCAB_SIZE = 30522


#: ``vocabulary``: ids and classes have the same tokens and names; ``weights``: no weight is initialised at random.
REQUIRED_OF_INIT = ("vocabulary", "weights")


class ModelOptions(Section):
    """Keys of ``model:`` that belong to the composition itself."""

    vocab_size: int | None = Field(
        None,
        gt=0,
        description="rows of the word embedding; default: number of ids of the tokenizer and the processor",
    )
    target_vocab_size: int | None = Field(
        None,
        gt=0,
        description="rows of the word embedding on the decoder's side; default: size of its tokenizer, else vocab_size",
    )
    embedding_size: int | None = Field(None, gt=0, description="width of the embeddings; default: hidden_size")
    pooling: Pooling = Field("first", description="default method of modules that reduce a sequence to one vector")
    share_embeddings: bool = Field(False, description="the target embedding uses the embedding's word vectors")


class StreamSpec(NamedTuple):
    """One input side: an embedding component and an encoder.

    Attributes:
        same_as: the stream whose modules and weights this stream uses; empty if it has its own modules.
        encoder_of: the stream whose encoder this stream uses after its own embedding; empty if it has its own encoder.
    """

    embedding: EmbeddingSpec
    encoder: Chosen[EncoderConfig]
    pooling: Pooling = "first"
    same_as: str = ""
    encoder_of: str = ""

    def dump(self) -> dict[str, Any] | str:
        if self.same_as:
            return self.same_as
        if self.encoder_of:
            return {"embedding": self.embedding.dump(), "encoder_of": self.encoder_of, "pooling": self.pooling}
        return {"embedding": self.embedding.dump(), "encoder": self.encoder.dump(), "pooling": self.pooling}


class ModelSpec(NamedTuple):
    """The five components. Without named streams, there is one stream with an empty name.

    Attributes:
        streams: the input sides by name.
        target_embedding: the decoder side's embedding component, or None.
        decoder: the decoder, or None.
        fusion: the encoder after the streams' own encoders, which reads all streams, or None.
        targets: the tasks, in order.
        vocab_size: rows of the word embedding.
        target_vocab_size: rows of the word embedding on the decoder's side.
        options: the options of the model itself.
    """

    streams: dict[str, StreamSpec]
    targets: tuple[Chosen[TargetConfig], ...]
    vocab_size: int
    target_vocab_size: int
    options: ModelOptions
    target_embedding: EmbeddingSpec | None = None
    decoder: Chosen[DecoderConfig] | None = None
    fusion: Chosen[EncoderConfig] | None = None

    def chosen(self) -> list[Chosen[Any]]:
        """All modules of the model, in the order of the data flow."""
        found: list[Chosen[Any]] = []
        for stream in self.streams.values():
            found += [] if stream.same_as else stream.embedding.chosen()
            found += [] if stream.same_as or stream.encoder_of else [stream.encoder]
        if self.fusion is not None:
            found.append(self.fusion)
        if self.target_embedding is not None:
            found += self.target_embedding.chosen()
        if self.decoder is not None:
            found.append(self.decoder)
        return [*found, *self.targets]

    def dump(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        if "" in self.streams:
            only = self.streams[""]
            parts |= {"embedding": only.embedding.dump(), "encoder": only.encoder.dump()}
        else:
            parts["streams"] = {name: stream.dump() for name, stream in self.streams.items()}
            if self.fusion is not None:
                parts["encoder"] = self.fusion.dump()
        if self.target_embedding is not None:
            parts["target_embedding"] = self.target_embedding.dump()
        if self.decoder is not None:
            parts["decoder"] = self.decoder.dump()
        parts["target"] = [t.dump() for t in self.targets]
        sizes = {"vocab_size": self.vocab_size}
        if self.target_vocab_size != self.vocab_size:
            sizes["target_vocab_size"] = self.target_vocab_size
        return parts | self.options.model_dump(mode="json", exclude_none=True) | sizes


class TrainSpec(NamedTuple):
    """The ``train:`` part of a spec."""

    options: TrainOptions
    optimizer: Chosen[OptimizerConfig]
    schedule: Chosen[ScheduleConfig]
    strategy: Chosen[StrategyConfig]
    hooks: tuple[Chosen[HooksConfig], ...] = ()
    loggers: tuple[Chosen[LoggerConfig], ...] = ()

    def chosen(self) -> list[Chosen[Any]]:
        return [self.optimizer, self.schedule, self.strategy, *self.hooks, *self.loggers]

    def dump(self) -> dict[str, Any]:
        parts: dict[str, Any] = self.options.model_dump(mode="json", exclude_none=True)
        fields = type(self.options).model_fields
        # If an option has a default, null must be written, since it differs from the default.
        parts |= {key: None for key in fields if fields[key].default is not None and getattr(self.options, key) is None}
        parts |= {
            "optimizer": self.optimizer.dump(),
            "schedule": self.schedule.dump(),
            "strategy": self.strategy.dump(),
            "loggers": [each.dump() for each in self.loggers],
        }
        return parts | ({"hooks": [h.dump() for h in self.hooks]} if self.hooks else {})


@dataclass(frozen=True)
class Spec:
    """A whole spec, resolved and validated.

    Attributes:
        name: the spec's name: its ``name`` key, or the file's name.
        base: folder of the spec's file.
        has_data: True if the spec has a ``data:`` part.
        init_from: paths of models with the initial weights, by part of the model; the empty name is for the whole.
        require_init: requirements on the models in ``init_from``, some of :data:`REQUIRED_OF_INIT`.
        inference: defaults of the commands that use the trained model.
        tree: the merged tree from which the spec was made, for messages with positions.
        trust_code: True if the code of models that the spec names may run.
    """

    name: str
    base: Path
    model: ModelSpec
    data: DataSpec
    train: TrainSpec
    has_data: bool = False
    init_from: Mapping[str, str] = field(default_factory=dict)
    inference: InferenceSpec = field(default_factory=InferenceSpec)
    tree: Node = field(default=Node({}, Origin("")), repr=False, compare=False)
    require_init: tuple[str, ...] = ()
    trust_code: bool = field(default=False, compare=False)

    def of_set(self, name: str) -> "Spec":
        """The spec limited to one data set: the data, streams and targets of that set only."""
        if not name:
            return self
        data = self.data.sets[name]
        streams, targets = data.mixing.streams, data.mixing.targets
        model = self.model._replace(
            streams={n: s for n, s in self.model.streams.items() if streams is None or n in streams},
            targets=tuple(t for t in self.model.targets if targets is None or t.instance_name in targets),
        )
        return replace(self, model=model, data=data)

    def sets(self) -> "dict[str, Spec]":
        """The spec limited to each data set, by name; with only one data set, the spec itself under the empty name."""
        return {name: self.of_set(name) for name in self.data.sets or ("",)}

    def dump(self) -> dict[str, Any]:
        """The resolved spec as plain values without ``extends``; loading them gives an equal spec."""
        parts: dict[str, Any] = {"tp": 1, "name": self.name, "model": self.model.dump()}
        if self.has_data:
            parts["data"] = self.data.dump()
        parts["train"] = self.train.dump()
        if inference := self.inference.dump():
            parts["inference"] = inference
        if self.init_from:
            parts["init_from"] = self.init_from.get("") or dict(self.init_from)
        if self.require_init:
            parts["require_init"] = list(self.require_init)
        return parts

    def to_yaml(self) -> str:
        import yaml

        return yaml.dump(self.dump(), Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)


def spec_dumper() -> Any:
    """A dumper whose output the YAML 1.2 loader reads back as the same values."""
    import yaml

    from tp_core.spec.tree.yaml_loader import scalar

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C library is four times as fast

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        # PyYAML's emitter breaks lines at these characters, but a YAML 1.2 reader does not join such lines.
        style = '"' if set(value) & set("\x85\u2028\u2029") else None if scalar(value) == value else "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def number(dumper: Any, value: float) -> Any:
        shown = repr(value)
        shown = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(shown, shown)
        if "e" in shown and "." not in shown:  # YAML 1.1 readers need a decimal point in a float
            shown = shown.replace("e", ".0e")
        return dumper.represent_scalar("tag:yaml.org,2002:float", shown)

    Dumper.add_representer(str, text)
    Dumper.add_representer(float, number)
    return Dumper


def need_spec(spec: object) -> None:
    """Raise a :class:`TPError` if an argument is not a spec."""
    if not isinstance(spec, Spec):
        kind = type(spec).__name__
        raise TPError(f"expected a spec, got {kind}; load_spec makes one of a file, a preset's name or a dictionary")
