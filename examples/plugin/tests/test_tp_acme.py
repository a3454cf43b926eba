"""The conformance kit proves what tp asks of a module; the rest is this package's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tp_acme.config import MixerConfig
from tp_acme.mixer import Layer
from tp_core import BuildContext, Sequence, SpecError, load_spec
from tp_core.testing import check_module


@pytest.mark.parametrize("options", [{}, {"mask": "causal", "kernel_size": 4}, {"hidden_size": 16}])
def test_the_mixer_keeps_the_contracts_of_an_encoder(options: dict[str, Any]) -> None:
    check_module("acme.mixer", "encoder", {"num_layers": 2, **options})


def test_from_end_keeps_the_contracts_of_an_embedding() -> None:
    # The batches of the kit are shorter than the table.
    check_module("acme.from_end", "embedding", {"max_length": 12})


def test_packed_documents_do_not_see_each_other() -> None:
    config = MixerConfig(hidden_size=8, num_layers=2, dropout=0.0)
    mixer = config.build(BuildContext(embedding_size=8))
    torch.manual_seed(0)
    states = torch.randn(1, 6, 8)
    packed = Sequence(states, document_ids=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    for module in mixer.modules():
        if isinstance(module, Layer | nn.Linear | nn.LayerNorm):
            module.reset_parameters()
    alone = mixer(Sequence(states[:, 3:])).states
    assert torch.allclose(mixer(packed).states[:, 3:], alone, atol=1e-6)


def test_an_even_kernel_is_refused_where_it_would_be_lopsided(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("model: {embedding: word, encoder: {acme.mixer: {kernel_size: 4}}}\n")
    with pytest.raises(SpecError, match=r"model\.encoder\.acme\.mixer\.kernel_size: must be odd"):
        load_spec(spec)
