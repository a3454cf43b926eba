"""Specs drawn at random from all modules and options train for two steps where ``tp check`` passes them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drawn_data import write_data
from tests.drawn_specs import Drawer
from tp_core import load_spec, train
from tp_core.spec.errors import SpecError

#: Specs that are trained in the fast and in the slow suite, and draws for them at most.
FAST, SLOW = (16, 600), (1500, 40_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("drawn"))


def trained(folder: Path, wanted: int, draws: int, show: Callable[[str], None]) -> Counter[str]:
    """Train drawn specs until there are enough; how many were trained, by processor."""
    found: Counter[str] = Counter()
    for seed in range(draws):
        tree = Drawer(seed).spec(folder)
        try:
            spec = load_spec(tree)
        except SpecError:
            continue
        run = folder / f"run{seed}"
        try:
            result = train(spec, run)
        except BaseException as error:
            pytest.fail(f"draw {seed} passes the check, and is not trained: {error}\n{spec.to_yaml()}")
        assert result.step == 2
        shutil.rmtree(run)
        found.update(tree["data"]["processor"].keys())
        if found.total() == wanted:
            return found
    show(f"only {found.total()} of {draws} draws fit")
    return found


def test_drawn_specs_that_pass_the_check_are_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(folder, *FAST, print)
    capsys.readouterr()
    assert found.total() == FAST[0]
    assert len(found) >= 8, "the specs are of many kinds"


@pytest.mark.slow
def test_many_drawn_specs_that_pass_the_check_are_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(folder, *SLOW, print)
    capsys.readouterr()
    assert found.total() == SLOW[0]
    assert len(found) > 20, "the specs are of nearly all kinds"
