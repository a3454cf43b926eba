"""Options of modules: the base classes of every kind, and what their methods give and take. Torch-free.

A name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tp_core.lazy import lazy_import

if TYPE_CHECKING:
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
    from tp_core.options.facts import BatchFields as BatchFields
    from tp_core.options.facts import ClassFacts as ClassFacts
    from tp_core.options.facts import FieldSpec as FieldSpec
    from tp_core.options.facts import HeadFacts as HeadFacts
    from tp_core.options.facts import OutputFacts as OutputFacts
    from tp_core.options.facts import StreamFacts as StreamFacts
    from tp_core.options.facts import Usual as Usual
    from tp_core.options.facts import VectorFacts as VectorFacts
    from tp_core.options.feed_forward import FeedForwardConfig as FeedForwardConfig
    from tp_core.options.hooks import HooksConfig as HooksConfig
    from tp_core.options.huggingface import PreprocessorFile as PreprocessorFile
    from tp_core.options.huggingface import TokenizerFiles as TokenizerFiles
    from tp_core.options.logger import LoggerConfig as LoggerConfig
    from tp_core.options.marks import ModelSize as ModelSize
    from tp_core.options.marks import PathStr as PathStr
    from tp_core.options.marks import TrainingOnly as TrainingOnly
    from tp_core.options.mixer import MixerConfig as MixerConfig
    from tp_core.options.norm import NormConfig as NormConfig
    from tp_core.options.optimizer import OptimizerConfig as OptimizerConfig
    from tp_core.options.ports import ATTENTION_MASK as ATTENTION_MASK
    from tp_core.options.ports import CAUSAL as CAUSAL
    from tp_core.options.ports import INPUT_IDS as INPUT_IDS
    from tp_core.options.ports import LENGTHS as LENGTHS
    from tp_core.options.ports import TARGET_ATTENTION_MASK as TARGET_ATTENTION_MASK
    from tp_core.options.ports import TARGET_INPUT_IDS as TARGET_INPUT_IDS
    from tp_core.options.ports import TASK_IDS as TASK_IDS
    from tp_core.options.ports import TOKEN_TYPE_IDS as TOKEN_TYPE_IDS
    from tp_core.options.ports import TWO_DIRECTIONS as TWO_DIRECTIONS
    from tp_core.options.ports import WORD as WORD
    from tp_core.options.ports import Port as Port
    from tp_core.options.positions import PositionsConfig as PositionsConfig
    from tp_core.options.processor import ProcessorConfig as ProcessorConfig
    from tp_core.options.schedule import ScheduleConfig as ScheduleConfig
    from tp_core.options.source import SourceConfig as SourceConfig
    from tp_core.options.strategy import StrategyConfig as StrategyConfig
    from tp_core.options.target import TargetConfig as TargetConfig
    from tp_core.options.tokenizer import TokenizerConfig as TokenizerConfig

_PUBLIC = {
    "ModuleConfig": "tp_core.options.base",
    "Preprocessing": "tp_core.options.base",
    "Problem": "tp_core.options.base",
    "Chosen": "tp_core.options.choice",
    "BuildContext": "tp_core.options.context",
    "DataContext": "tp_core.options.context",
    "TargetFacts": "tp_core.options.context",
    "ConverterConfig": "tp_core.options.converter",
    "DecoderConfig": "tp_core.options.decoder",
    "EmbeddingConfig": "tp_core.options.embedding",
    "EncoderConfig": "tp_core.options.encoder",
    "FusionConfig": "tp_core.options.encoder",
    "BatchFields": "tp_core.options.facts",
    "ClassFacts": "tp_core.options.facts",
    "FieldSpec": "tp_core.options.facts",
    "HeadFacts": "tp_core.options.facts",
    "OutputFacts": "tp_core.options.facts",
    "StreamFacts": "tp_core.options.facts",
    "Usual": "tp_core.options.facts",
    "VectorFacts": "tp_core.options.facts",
    "FeedForwardConfig": "tp_core.options.feed_forward",
    "HooksConfig": "tp_core.options.hooks",
    "PreprocessorFile": "tp_core.options.huggingface",
    "TokenizerFiles": "tp_core.options.huggingface",
    "LoggerConfig": "tp_core.options.logger",
    "ModelSize": "tp_core.options.marks",
    "PathStr": "tp_core.options.marks",
    "TrainingOnly": "tp_core.options.marks",
    "MixerConfig": "tp_core.options.mixer",
    "NormConfig": "tp_core.options.norm",
    "OptimizerConfig": "tp_core.options.optimizer",
    "ATTENTION_MASK": "tp_core.options.ports",
    "CAUSAL": "tp_core.options.ports",
    "INPUT_IDS": "tp_core.options.ports",
    "LENGTHS": "tp_core.options.ports",
    "TARGET_ATTENTION_MASK": "tp_core.options.ports",
    "TARGET_INPUT_IDS": "tp_core.options.ports",
    "TASK_IDS": "tp_core.options.ports",
    "TOKEN_TYPE_IDS": "tp_core.options.ports",
    "TWO_DIRECTIONS": "tp_core.options.ports",
    "WORD": "tp_core.options.ports",
    "Port": "tp_core.options.ports",
    "PositionsConfig": "tp_core.options.positions",
    "ProcessorConfig": "tp_core.options.processor",
    "ScheduleConfig": "tp_core.options.schedule",
    "SourceConfig": "tp_core.options.source",
    "StrategyConfig": "tp_core.options.strategy",
    "TargetConfig": "tp_core.options.target",
    "TokenizerConfig": "tp_core.options.tokenizer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    return lazy_import(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return __all__
