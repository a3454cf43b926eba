"""tp: models of text, vision, audio and several modalities from five components picked by name.

The public interface is what this module exports; everything is imported when it is first used, so that
``import tp_core`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "load_spec": "tp_core.spec.load",
    "Spec": "tp_core.spec.schema",
    "SpecError": "tp_core.spec.errors",
    "TPError": "tp_core.errors",
    "DataError": "tp_core.errors",
    "CheckpointError": "tp_core.errors",
    "build_model": "tp_core.model",
    "Model": "tp_core.model",
    "ModelOutput": "tp_core.model",
    "load_model": "tp_core.inference.load",
    "LoadedModel": "tp_core.inference.load",
    "train": "tp_core.training.run",
    "TrainResult": "tp_core.training.run",
    "evaluate": "tp_core.inference.evaluate",
    "predict": "tp_core.inference.predict",
    "generate": "tp_core.inference.generate",
    "embed": "tp_core.inference.embed",
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
    "Tokenizer": "tp_core.tokenizer",
    "Record": "tp_core.interfaces",
    "EmbeddingConfig": "tp_core.config",
    "EncoderConfig": "tp_core.config",
    "DecoderConfig": "tp_core.config",
    "TargetConfig": "tp_core.config",
    "ProcessorConfig": "tp_core.config",
    "TokenizerConfig": "tp_core.config",
    "HooksConfig": "tp_core.config",
    "ConverterConfig": "tp_core.config",
    "FusionConfig": "tp_core.config",
    "VisualTokenizer": "tp_core.interfaces",
    "VisualTokenizerConfig": "tp_core.config",
    "BuildContext": "tp_core.config",
    "DataContext": "tp_core.config",
    "FieldSpec": "tp_core.config",
    "Preprocessing": "tp_core.config",
    "Problem": "tp_core.config",
    "hookimpl": "tp_core.hookspecs",
}

__all__ = sorted(_PUBLIC)
__version__ = "0.1.0"

if TYPE_CHECKING:
    from tp_core.config import BuildContext as BuildContext
    from tp_core.config import ConverterConfig as ConverterConfig
    from tp_core.config import DataContext as DataContext
    from tp_core.config import DecoderConfig as DecoderConfig
    from tp_core.config import EmbeddingConfig as EmbeddingConfig
    from tp_core.config import EncoderConfig as EncoderConfig
    from tp_core.config import FieldSpec as FieldSpec
    from tp_core.config import FusionConfig as FusionConfig
    from tp_core.config import HooksConfig as HooksConfig
    from tp_core.config import Preprocessing as Preprocessing
    from tp_core.config import Problem as Problem
    from tp_core.config import ProcessorConfig as ProcessorConfig
    from tp_core.config import TargetConfig as TargetConfig
    from tp_core.config import TokenizerConfig as TokenizerConfig
    from tp_core.config import VisualTokenizerConfig as VisualTokenizerConfig
    from tp_core.errors import CheckpointError as CheckpointError
    from tp_core.errors import DataError as DataError
    from tp_core.errors import TPError as TPError
    from tp_core.hookspecs import hookimpl as hookimpl
    from tp_core.inference.embed import embed as embed
    from tp_core.inference.evaluate import evaluate as evaluate
    from tp_core.inference.generate import generate as generate
    from tp_core.inference.load import LoadedModel as LoadedModel
    from tp_core.inference.load import load_model as load_model
    from tp_core.inference.predict import predict as predict
    from tp_core.interfaces import Batch as Batch
    from tp_core.interfaces import Decoder as Decoder
    from tp_core.interfaces import Embedding as Embedding
    from tp_core.interfaces import Encoder as Encoder
    from tp_core.interfaces import Features as Features
    from tp_core.interfaces import GenerationTokens as GenerationTokens
    from tp_core.interfaces import Joined as Joined
    from tp_core.interfaces import Processor as Processor
    from tp_core.interfaces import Record as Record
    from tp_core.interfaces import Sequence as Sequence
    from tp_core.interfaces import Target as Target
    from tp_core.interfaces import TargetOutput as TargetOutput
    from tp_core.interfaces import VisualTokenizer as VisualTokenizer
    from tp_core.interop.convert import convert as convert
    from tp_core.metrics.facts import MetricFacts as MetricFacts
    from tp_core.model import Model as Model
    from tp_core.model import ModelOutput as ModelOutput
    from tp_core.model import build_model as build_model
    from tp_core.spec.errors import SpecError as SpecError
    from tp_core.spec.load import load_spec as load_spec
    from tp_core.spec.schema import Spec as Spec
    from tp_core.tokenizer import Tokenizer as Tokenizer
    from tp_core.training.run import TrainResult as TrainResult
    from tp_core.training.run import train as train


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tp_core' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
