"""Specs drawn at random from all modules and options train for two steps where ``tp check`` passes them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.drawn_data import write_data
from tests.drawn_specs import Drawer
from tp_core import load_spec, train
from tp_core.errors import TPError
from tp_core.hookspecs import hook_manager, run_checks
from tp_core.spec.checks.run import check_run
from tp_core.spec.schema import Spec

#: Specs that are trained in the fast and in the slow suite, and draws for them at most.
FAST, SLOW = (36, 1200), (1500, 40_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("drawn"))


def checked(tree: dict[str, Any]) -> Spec | None:
    """The spec that ``tp check`` passes; None for one that it refuses."""
    try:
        spec = load_spec(tree)
        check_run(spec)
        run_checks(hook_manager((hook.name, hook.config.build()) for hook in spec.train.hooks), spec)
    except TPError:
        return None
    return spec


def trained(folder: Path, wanted: int, draws: int) -> Counter[str]:
    """Train drawn specs until there are enough; how many were trained, by processor."""
    found: Counter[str] = Counter()
    count = 0
    for seed in range(draws):
        spec = checked(Drawer(seed).spec(folder))
        if spec is None:
            continue
        run = folder / f"run{seed}"
        try:
            result = train(spec, run)
        except BaseException as error:
            pytest.fail(f"draw {seed} passes the check, and is not trained: {error}\n{spec.to_yaml()}")
        assert result.step == 2
        shutil.rmtree(run)
        found.update({each.name for each in spec.data.chosen() if each.kind == "processor"})
        count += 1
        if count == wanted:
            return found
    pytest.fail(f"only {count} of {draws} draws fit")


def test_drawn_specs_that_pass_the_check_are_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(folder, *FAST)
    capsys.readouterr()
    assert len(found) >= 8, "the specs are of many kinds"


@pytest.mark.slow
def test_many_drawn_specs_that_pass_the_check_are_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(folder, *SLOW)
    capsys.readouterr()
    assert len(found) > 20, "the specs are of nearly all kinds"
