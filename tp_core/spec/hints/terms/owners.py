"""The owners of the parts of a spec, in words. Torch-free."""

from __future__ import annotations

#: A part of a spec → the owner of its options, as part of a sentence.
OWNERS = {
    "train.optimizer": "train.optimizer",
    "train.schedule": "train.schedule",
    "train.early_stopping": "train.early_stopping",
    "train.strategy": "train.strategy: {ddp: ...}",
    "model.encoder": "the encoder and the decoder, or a key of model for both",
    "model.encoder.mixer": "attention: {transformer: {mixer: {attention: ...}}}",
    "model.encoder.positions": "the positions of attention: {transformer: {mixer: {attention: {positions: ...}}}}",
    "model.encoder.feed_forward": "the feed-forward layer: {transformer: {feed_forward: {dense: ...}}}",
    "model.encoder.norm": "the norm: {transformer: {norm: {layernorm: ...}}}",
    "model.embedding": "the embeddings, or a key of model for all of them",
    "model.target": "the targets",
    "data.processor": "data.processor",
    "data.tokenizer": "data.tokenizer",
    "inference.generate": "inference.generate",
}
