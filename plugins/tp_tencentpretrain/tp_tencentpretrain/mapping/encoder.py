"""Encoders of the original."""

from __future__ import annotations

from tp_tencentpretrain.mapping.piece import Piece
from tp_tencentpretrain.mapping.recurrent import gated_cnn_encoder, recurrent_encoder
from tp_tencentpretrain.mapping.transformer import transformer_encoder
from tp_tencentpretrain.original.config import OriginalConfig

_MAKERS = {
    "transformer": transformer_encoder,
    **dict.fromkeys(("rnn", "lstm", "gru", "birnn", "bilstm", "bigru"), recurrent_encoder),
    "gatedcnn": gated_cnn_encoder,
}


def encoder(config: OriginalConfig, theirs: str, ours: str) -> Piece:
    """The encoder that a config names.

    Args:
        config: the config.
        theirs: the beginning of the original's names, such as ``encoder``.
        ours: the beginning of our names.
    """
    return _MAKERS[config.one_of("encoder", *_MAKERS)](config, theirs, ours)
