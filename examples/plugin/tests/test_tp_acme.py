"""Tests of the package with tp's conformance kit, and tests that are specific to its modules."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tp_acme.adan_options import AdanConfig
from tp_acme.gates import Layer
from tp_acme.gates_options import GatesConfig
from tp_acme.sqlite_options import SqliteConfig
from tp_acme.triangle_options import TriangleConfig
from tp_core import BuildContext, LoggedRun, Sequence, SpecError, load_spec
from tp_core.testing import check_module


@pytest.mark.parametrize("options", [{}, {"mask": "causal", "kernel_size": 4}, {"hidden_size": 16}])
def test_the_gates_keep_the_contracts_of_an_encoder(options: dict[str, Any]) -> None:
    check_module("acme.gates", "encoder", {"num_layers": 2, **options})


def test_the_token_shift_keeps_the_contracts_of_a_mixer() -> None:
    check_module("acme.shift", "mixer")


def test_from_end_keeps_the_contracts_of_an_embedding() -> None:
    # The batches of the kit are shorter than the table.
    check_module("acme.from_end", "embedding", {"max_length": 12})


@pytest.mark.parametrize(
    ("name", "options"),
    [("adan", {}), ("adan", {"weight_decay": 0.2}), ("triangle", {}), ("triangle", {"warmup": 0.1}), ("csv", {})],
)
def test_modules_of_the_training_keep_their_contracts(name: str, options: dict[str, Any]) -> None:
    check_module(f"acme.{name}", options=options)


def test_the_hook_keeps_its_contracts() -> None:
    check_module("acme.print_norms")


def test_packed_documents_do_not_see_each_other() -> None:
    config = GatesConfig(hidden_size=8, num_layers=2, dropout=0.0)
    gates = config.build(BuildContext(embedding_size=8))
    torch.manual_seed(0)
    states = torch.randn(1, 6, 8)
    packed = Sequence(states, document_ids=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    for module in gates.modules():
        if isinstance(module, Layer | nn.Linear | nn.LayerNorm):
            module.reset_parameters()
    alone = gates(Sequence(states[:, 3:])).states
    assert torch.allclose(gates(packed).states[:, 3:], alone, atol=1e-6)


def test_an_even_kernel_is_refused_where_it_would_be_lopsided(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("model: {embedding: word, encoder: {acme.gates: {kernel_size: 4}}}\n")
    with pytest.raises(SpecError, match=r"model\.encoder\.acme\.gates\.kernel_size: must be odd"):
        load_spec(spec)


def test_adan_is_that_of_the_paper() -> None:
    """Compare with algorithm 1 in float64. The paper's betas are 1 minus those of tp."""
    torch.manual_seed(0)
    start, gradients = torch.randn(7, dtype=torch.float64), torch.randn(9, 7, dtype=torch.float64)
    rate, decay, eps = 0.03, 0.02, 1e-8
    config = AdanConfig(lr=rate, weight_decay=decay, eps=eps)
    weight = nn.Parameter(start.clone())
    group = {"params": [weight], **config.model_dump(exclude={"decay_all"})}
    optimizer = config.build([group])

    b1, b2, b3 = 0.02, 0.08, 0.01
    theta, m, v, n = start.numpy().copy(), 0.0, 0.0, 0.0
    for k, gradient in enumerate(gradients, 1):
        weight.grad = gradient.clone()
        optimizer.step()
        g = gradient.numpy()
        change = g - (g if k == 1 else gradients[k - 2].numpy())
        m, v = (1 - b1) * m + b1 * g, (1 - b2) * v + b2 * change
        n = (1 - b3) * n + b3 * (g + (1 - b2) * change) ** 2
        full = m / (1 - (1 - b1) ** k) + (1 - b2) * v / (1 - (1 - b2) ** k)
        theta = (theta - rate * full / (np.sqrt(n / (1 - (1 - b3) ** k)) + eps)) / (1 + decay * rate)
    np.testing.assert_allclose(weight.detach().numpy(), theta, rtol=1e-12)


def test_the_triangle_goes_down_and_up_behind_its_warmup() -> None:
    schedule = TriangleConfig(cycles=2, low=0.2, warmup=10.0).build(50)
    assert [round(schedule.factor(step), 6) for step in (0, 5, 10, 20, 30, 40)] == [0.0, 0.5, 1.0, 0.2, 1.0, 0.2]


def test_the_spec_names_them_and_the_logger_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    spec = load_spec(Path(__file__).parents[1] / "gates.yaml", ["data.tokenizer=null", "model.vocab_size=50"])
    assert spec.train.optimizer.name == "acme.adan"
    assert spec.train.schedule.name == "acme.triangle"
    (logger,) = spec.train.loggers
    log = logger.config.build(LoggedRun(tmp_path, "acme", {}))
    log.scalars(3, {"loss": 0.5, "lr": 0.1, "speed": 9.0})
    log.scalars(4, {"loss": 0.25})
    log.close()
    written = {file.name: file.read_text() for file in (tmp_path / "csv").iterdir()}
    assert written == {"loss.csv": "3,0.5\n4,0.25\n", "lr.csv": "3,0.1\n"}


def database(path: Path, *statements: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return str(path)


def test_the_table_keeps_the_contracts_of_a_source(tmp_path: Path) -> None:
    path = database(
        tmp_path / "shop.db",
        "create table reviews (body text, stars integer)",
        "insert into reviews values ('good', 5), ('né', 1), (cast(x'ff' as text), 3), (null, 2)",
    )
    check_module(
        "acme.sqlite",
        "source",
        {"path": path, "table": "reviews"},
        change=lambda: database(Path(path), "update reviews set stars = 4 where body = 'good'"),
        bad=1,
    )


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"table": "review"}, "table", "there is no table 'review'; did you mean 'reviews'?"),
        ({"table": "reviews", "columns": ["body", "star"]}, "columns", "the table has no column 'star'; did you mean"),
        ({"table": "x", "path": __file__}, "path", "cannot be read as an SQLite database: file is not a database"),
    ],
)
def test_what_a_database_lacks_is_said_before_it_is_read(
    tmp_path: Path, options: dict[str, Any], option: str, message: str
) -> None:
    path = database(tmp_path / "shop.db", "create table reviews (body text, stars integer)")
    (problem,) = SqliteConfig(**{"path": path, **options}).check_data()
    assert problem.option == option
    assert problem.message.startswith(message)
