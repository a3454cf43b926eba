"""tp: models of text, vision, audio and several modalities from five components picked by name.

The names that this module exports are the public interface. Each is imported on first use, so that ``import tp_core``
is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

_PUBLIC = {
    "load_spec": "tp_core.spec.load",
    "Spec": "tp_core.spec.schema",
    "SpecError": "tp_core.spec.errors",
    "TPError": "tp_core.errors",
    "DataError": "tp_core.errors",
    "CheckpointError": "tp_core.errors",
    "build_model": "tp_core.model",
    "Model": "tp_core.model",
    "ModelOutput": "tp_core.model_output",
    "load_model": "tp_core.artifacts.load",
    "LoadedModel": "tp_core.artifacts.load",
    "train": "tp_core.training.run",
    "TrainResult": "tp_core.training.run",
    "Trainer": "tp_core.training.trainer",
    "evaluate": "tp_core.inference.evaluate",
    "predict": "tp_core.inference.predict",
    "predict_ensemble": "tp_core.inference.ensemble",
    "generate": "tp_core.inference.generate",
    "embed": "tp_core.inference.embed",
    "retrieve": "tp_core.inference.retrieve",
    "convert": "tp_core.interop.convert",
    "Batch": "tp_core.interfaces",
    "Sequence": "tp_core.interfaces",
    "Features": "tp_core.interfaces",
    "GenerationTokens": "tp_core.interfaces",
    "TargetOutput": "tp_core.interfaces",
    "Joined": "tp_core.interfaces",
    "MetricFacts": "tp_core.metrics.facts",
    "Embedding": "tp_core.interfaces",
    "Encoder": "tp_core.interfaces",
    "Decoder": "tp_core.interfaces",
    "Target": "tp_core.interfaces",
    "Processor": "tp_core.interfaces",
    "Tokenizer": "tp_core.interfaces.tokenizer",
    "Record": "tp_core.interfaces.record",
    "Report": "tp_core.interfaces.record",
    "TokenizerFacts": "tp_core.interfaces.tokenizer",
    "EncodedText": "tp_core.interfaces.tokenizer",
    "Rows": "tp_core.interfaces",
    "Sample": "tp_core.interfaces",
    "IGNORE": "tp_core.interfaces",
    "EmbeddingConfig": "tp_core.options.embedding",
    "EncoderConfig": "tp_core.options.encoder",
    "DecoderConfig": "tp_core.options.decoder",
    "TargetConfig": "tp_core.options.target",
    "ProcessorConfig": "tp_core.options.processor",
    "TokenizerConfig": "tp_core.options.tokenizer",
    "HooksConfig": "tp_core.options.hooks",
    "Format": "tp_core.interfaces.format",
    "FormatConfig": "tp_core.options.format",
    "ConverterConfig": "tp_core.options.converter",
    "FusionConfig": "tp_core.options.encoder",
    "BuildContext": "tp_core.options.context",
    "DataContext": "tp_core.options.context",
    "FieldSpec": "tp_core.options.facts",
    "Usual": "tp_core.options.facts",
    "Port": "tp_core.options.ports",
    "TargetFacts": "tp_core.options.context",
    "Preprocessing": "tp_core.options.base",
    "PreprocessorFile": "tp_core.options.huggingface",
    "Problem": "tp_core.options.base",
    "Inputs": "tp_core.interfaces",
    "KVCache": "tp_core.interfaces",
    "Mixer": "tp_core.interfaces.layer_parts",
    "FeedForward": "tp_core.interfaces.layer_parts",
    "Positions": "tp_core.interfaces.layer_parts",
    "PositionTable": "tp_core.interfaces.layer_parts",
    "PositionValues": "tp_core.interfaces.layer_parts",
    "StackPass": "tp_core.interfaces.layer_parts",
    "CacheEntry": "tp_core.interfaces.kv_cache",
    "MixerConfig": "tp_core.options.mixer",
    "FeedForwardConfig": "tp_core.options.feed_forward",
    "PositionsConfig": "tp_core.options.positions",
    "NormConfig": "tp_core.options.norm",
    "HeadFacts": "tp_core.options.facts",
    "OptimizerConfig": "tp_core.options.optimizer",
    "Optimizer": "tp_core.training.optimizers.base",
    "ScheduleConfig": "tp_core.options.schedule",
    "Schedule": "tp_core.training.schedules.base",
    "StrategyConfig": "tp_core.options.strategy",
    "Strategy": "tp_core.training.strategies.base",
    "SourceConfig": "tp_core.options.source",
    "Source": "tp_core.data.sources.base",
    "LoggerConfig": "tp_core.options.logger",
    "Logger": "tp_core.training.loggers.base",
    "LoggedRun": "tp_core.training.loggers.base",
    "ModuleConfig": "tp_core.options.base",
    "Chosen": "tp_core.options.choice",
    "PathStr": "tp_core.options.marks",
    "hookimpl": "tp_core.hookspecs",
}

__all__ = sorted(_PUBLIC)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from tp_core.artifacts.load import LoadedModel as LoadedModel
    from tp_core.artifacts.load import load_model as load_model
    from tp_core.data.sources.base import Source as Source
    from tp_core.errors import CheckpointError as CheckpointError
    from tp_core.errors import DataError as DataError
    from tp_core.errors import TPError as TPError
    from tp_core.hookspecs import hookimpl as hookimpl
    from tp_core.inference.embed import embed as embed
    from tp_core.inference.ensemble import predict_ensemble as predict_ensemble
    from tp_core.inference.evaluate import evaluate as evaluate
    from tp_core.inference.generate import generate as generate
    from tp_core.inference.predict import predict as predict
    from tp_core.inference.retrieve import retrieve as retrieve
    from tp_core.interfaces import IGNORE as IGNORE
    from tp_core.interfaces import Batch as Batch
    from tp_core.interfaces import Decoder as Decoder
    from tp_core.interfaces import Embedding as Embedding
    from tp_core.interfaces import Encoder as Encoder
    from tp_core.interfaces import Features as Features
    from tp_core.interfaces import GenerationTokens as GenerationTokens
    from tp_core.interfaces import Inputs as Inputs
    from tp_core.interfaces import Joined as Joined
    from tp_core.interfaces import KVCache as KVCache
    from tp_core.interfaces import Processor as Processor
    from tp_core.interfaces import Rows as Rows
    from tp_core.interfaces import Sample as Sample
    from tp_core.interfaces import Sequence as Sequence
    from tp_core.interfaces import Target as Target
    from tp_core.interfaces import TargetOutput as TargetOutput
    from tp_core.interfaces.format import Format as Format
    from tp_core.interfaces.kv_cache import CacheEntry as CacheEntry
    from tp_core.interfaces.layer_parts import FeedForward as FeedForward
    from tp_core.interfaces.layer_parts import Mixer as Mixer
    from tp_core.interfaces.layer_parts import Positions as Positions
    from tp_core.interfaces.layer_parts import PositionTable as PositionTable
    from tp_core.interfaces.layer_parts import PositionValues as PositionValues
    from tp_core.interfaces.layer_parts import StackPass as StackPass
    from tp_core.interfaces.record import Record as Record
    from tp_core.interfaces.record import Report as Report
    from tp_core.interfaces.tokenizer import EncodedText as EncodedText
    from tp_core.interfaces.tokenizer import Tokenizer as Tokenizer
    from tp_core.interfaces.tokenizer import TokenizerFacts as TokenizerFacts
    from tp_core.interop.convert import convert as convert
    from tp_core.metrics.facts import MetricFacts as MetricFacts
    from tp_core.model import Model as Model
    from tp_core.model import build_model as build_model
    from tp_core.model_output import ModelOutput as ModelOutput
    from tp_core.options.base import ModuleConfig as ModuleConfig
    from tp_core.options.base import Preprocessing as Preprocessing
    from tp_core.options.base import Problem as Problem
    from tp_core.options.choice import Chosen as Chosen
    from tp_core.options.context import BuildContext as BuildContext
    from tp_core.options.context import DataContext as DataContext
    from tp_core.options.context import TargetFacts as TargetFacts
    from tp_core.options.converter import ConverterConfig as ConverterConfig
    from tp_core.options.decoder import DecoderConfig as DecoderConfig
    from tp_core.options.embedding import EmbeddingConfig as EmbeddingConfig
    from tp_core.options.encoder import EncoderConfig as EncoderConfig
    from tp_core.options.encoder import FusionConfig as FusionConfig
    from tp_core.options.facts import FieldSpec as FieldSpec
    from tp_core.options.facts import HeadFacts as HeadFacts
    from tp_core.options.facts import Usual as Usual
    from tp_core.options.feed_forward import FeedForwardConfig as FeedForwardConfig
    from tp_core.options.format import FormatConfig as FormatConfig
    from tp_core.options.hooks import HooksConfig as HooksConfig
    from tp_core.options.huggingface import PreprocessorFile as PreprocessorFile
    from tp_core.options.logger import LoggerConfig as LoggerConfig
    from tp_core.options.marks import PathStr as PathStr
    from tp_core.options.mixer import MixerConfig as MixerConfig
    from tp_core.options.norm import NormConfig as NormConfig
    from tp_core.options.optimizer import OptimizerConfig as OptimizerConfig
    from tp_core.options.ports import Port as Port
    from tp_core.options.positions import PositionsConfig as PositionsConfig
    from tp_core.options.processor import ProcessorConfig as ProcessorConfig
    from tp_core.options.schedule import ScheduleConfig as ScheduleConfig
    from tp_core.options.source import SourceConfig as SourceConfig
    from tp_core.options.strategy import StrategyConfig as StrategyConfig
    from tp_core.options.target import TargetConfig as TargetConfig
    from tp_core.options.tokenizer import TokenizerConfig as TokenizerConfig
    from tp_core.spec.errors import SpecError as SpecError
    from tp_core.spec.load import load_spec as load_spec
    from tp_core.spec.schema import Spec as Spec
    from tp_core.training.loggers.base import LoggedRun as LoggedRun
    from tp_core.training.loggers.base import Logger as Logger
    from tp_core.training.optimizers.base import Optimizer as Optimizer
    from tp_core.training.run import TrainResult as TrainResult
    from tp_core.training.run import train as train
    from tp_core.training.schedules.base import Schedule as Schedule
    from tp_core.training.strategies.base import Strategy as Strategy
    from tp_core.training.trainer import Trainer as Trainer


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
