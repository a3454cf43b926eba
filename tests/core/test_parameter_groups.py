"""Parameter groups: which weights decay, what hooks make of them, and a state that finds its parameters by name."""

from __future__ import annotations

import copy
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.core import runs
from tests.core.installed import option_class
from tp_core.errors import TPError
from tp_core.options.optimizer import OptimizerConfig
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.optimizers.groups import checked_groups, parameter_groups
from tp_core.training.optimizers.options import AdamWConfig
from tp_core.training.strategies.options import SingleConfig
from tp_core.training.strategies.single import SingleStrategy
from tp_core.training.strategies.update import Update


def config_of(name: str, **options: Any) -> OptimizerConfig:
    config = option_class("optimizer", name)(**{"lr": 0.02, "weight_decay": 0.1, **options})
    assert isinstance(config, OptimizerConfig)
    return config


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm((3, 6))  # its weight has two dimensions
        self.rms = nn.RMSNorm(6)
        self.inner = nn.Linear(6, 6)
        self.output = nn.Linear(6, 11)
        self.output.weight = self.word.weight
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.rms(self.inner(self.norm(self.word(ids)))) * self.scale)
        return logits


def names(model: nn.Module, parameters: list[nn.Parameter]) -> set[str]:
    known = {id(p): name for name, p in model.named_parameters()}
    return {known[id(p)] for p in parameters}


def test_weight_decay_spares_biases_norms_and_scalars() -> None:
    model = Network()
    decayed, others = parameter_groups(model, AdamWConfig(weight_decay=0.1))
    assert names(model, decayed["params"]) == {"word.weight", "inner.weight"}
    assert names(model, others["params"]) == {
        "norm.weight", "norm.bias", "rms.weight", "inner.bias", "output.bias", "scale",
    }  # fmt: skip
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_decay_all_decays_everything() -> None:
    model = Network()
    (group,) = parameter_groups(model, AdamWConfig(weight_decay=0.1, decay_all=True))
    assert names(model, group["params"]) == {name for name, _ in model.named_parameters()}


def test_a_shared_parameter_appears_once() -> None:
    groups = parameter_groups(Network(), AdamWConfig())
    ids = [id(p) for group in groups for p in group["params"]]
    assert len(ids) == len(set(ids)) == 8


def test_frozen_parameters_are_left_out_and_empty_groups_too() -> None:
    model = Network()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.scale.requires_grad = True
    (group,) = parameter_groups(model, AdamWConfig())
    assert names(model, group["params"]) == {"scale"}


def test_a_wholly_frozen_model_is_refused() -> None:
    with pytest.raises(TPError, match="frozen"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), AdamWConfig())


def test_the_undecayed_group_does_not_decay() -> None:
    model = Network()
    config = config_of("lion", weight_decay=0.5)
    optimizer = build_optimizer(config, parameter_groups(model, config))
    before = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model.norm.weight, before.norm.weight)
    torch.testing.assert_close(model.inner.weight, before.inner.weight * (1 - 0.02 * 0.5))


# -- groups of hooks -------------------------------------------------------------------------------------------------


def groups_of(model: nn.Module, *, apart: str = "word.weight", **own: Any) -> list[dict[str, Any]]:
    """The model's groups, with one parameter in a group of its own."""
    alone = model.get_parameter(apart)
    groups = parameter_groups(model, config_of("adamw"))
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if parameter is not alone]
    return [*groups, {"params": [alone], **own}]


def test_a_group_keeps_its_part_of_a_learning_rate_that_changes() -> None:
    model, config = Network(), config_of("adamw")
    optimizer = build_optimizer(config, checked_groups(model, groups_of(model, lr=0.005)))
    strategy = SingleStrategy(SingleConfig())
    strategy.setup(TrainOptions(device="cpu"))
    update = Update(optimizer, strategy, None, half=False)
    for lr in (0.0, 0.02, 0.013, 1e-5):
        update(lr)
        assert [group["lr"] for group in optimizer.param_groups] == [lr, lr, lr * 0.25]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adamw", {"betas": (0.5, 0.6), "eps": 1e-3, "weight_decay": 0.0, "bias_correction": False}),
        ("sgd", {"momentum": 0.0, "nesterov": False}),
        ("lion", {"betas": (0.5, 0.6)}),
        ("adafactor", {"clip_threshold": 2.0, "beta1": 0.5, "scale_parameter": True, "eps": (1e-20, 0.1)}),
    ],
)
def test_a_group_has_its_own_options_and_the_optimizers_for_the_rest(name: str, options: dict[str, Any]) -> None:
    model, config = Network(), config_of(name)
    optimizer = build_optimizer(config, checked_groups(model, groups_of(model, **options)))
    decayed, _, own = optimizer.param_groups
    assert {key: own[key] for key in options} == options
    assert {key: own[key] for key in decayed.keys() - options.keys() - {"params", "param_names"}} == {
        key: decayed[key] for key in decayed.keys() - options.keys() - {"params", "param_names"}
    }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adamw", {"bettas": (0.9, 0.9)}, "unknown option 'bettas'; did you mean 'betas'?"),
        (
            "adamw",
            {"momentum": 0.9},
            "unknown option 'momentum'; the options of a group are lr, weight_decay, betas",
        ),
        ("adamw", {"decay_all": True}, "unknown option 'decay_all'"),
        ("sgd", {"weigth_decay": 0.1}, "unknown option 'weigth_decay'; did you mean 'weight_decay'?"),
        ("adamw", {"lr": -0.1}, "lr: expected a number of at least 0, got -0.1"),
        ("adamw", {"lr": float("nan")}, "lr: expected a number of at least 0, got nan"),
        ("adamw", {"lr": torch.tensor(0.1)}, "lr: expected a number of at least 0, got a tensor of shape ()"),
        ("adamw", {"betas": (0.9, 1.0)}, "betas[1]: must be less than 1, got 1.0"),
        ("lion", {"betas": (0.9,)}, "betas: expected at least 2 items, got 1"),
        ("adafactor", {"weight_decay": -1.0}, "weight_decay: must be at least 0, got -1.0"),
        ("sgd", {"momentum": 0.0, "nesterov": True}, "nesterov: looks ahead along the momentum, which is 0"),
    ],
)
def test_an_option_that_an_optimizer_does_not_take_is_named(name: str, options: dict[str, Any], message: str) -> None:
    model, config = Network(), config_of(name)
    with pytest.raises(TPError) as caught:
        build_optimizer(config, checked_groups(model, groups_of(model, **options)))
    assert str(caught.value).startswith(f"tp_parameter_groups: the group of 'word.weight', train.optimizer: {message}")


def test_a_parameter_is_in_one_group() -> None:
    model = Network()
    word, groups = model.word.weight, groups_of(model)
    with pytest.raises(TPError, match=r"the parameter 'word\.weight' is in the groups 1 and 3"):
        checked_groups(model, [{"params": [word, *groups[0]["params"]]}, *groups[1:]])
    with pytest.raises(TPError, match=r"the parameter 'word\.weight' is twice in one group"):
        checked_groups(model, [*groups[:2], {"params": [word, word]}])
    with pytest.raises(TPError, match=r"the parameter 'word\.weight' is in no group"):
        checked_groups(model, groups[:2])
    with pytest.raises(TPError, match=r"the parameter 'scale' \(and 6 more\) is in no group"):
        checked_groups(model, [groups[2], {"params": []}])
    checked_groups(model, [*groups[:2], {"params": word}])  # as torch has it, one parameter may stand alone


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (
            {"params": [nn.Parameter(torch.zeros(3, 2))]},
            r"'params' has a tensor of shape \(3, 2\), which is no",
        ),
        ({"params": ["word.weight"]}, "group 4: 'params' has 'word.weight', which is no parameter of the model"),
        ({"params": 3}, "group 4: 'params' is 3; expected parameters"),
        ({"lr": 0.1}, "group 4: expected a dictionary with the key 'params', got {'lr': 0.1}"),
        ([1], r"group 4: expected a dictionary with the key 'params', got \[1\]"),
    ],
)
def test_what_is_no_group_is_refused(group: Any, message: str) -> None:
    model = Network()
    with pytest.raises(TPError, match=message):
        checked_groups(model, [*groups_of(model), group])


def test_what_a_hook_freezes_and_the_groups_that_it_empties_are_left_out() -> None:
    model = Network()
    groups = groups_of(model)
    model.scale.requires_grad = model.word.weight.requires_grad = False
    found = checked_groups(model, groups)
    assert [[name for name, _ in group["params"]] for group in found] == [
        ["inner.weight"], ["norm.weight", "norm.bias", "rms.weight", "inner.bias", "output.bias"],
    ]  # fmt: skip
    with pytest.raises(TPError, match="frozen"):
        checked_groups(model.requires_grad_(False), groups)


# -- saved state -----------------------------------------------------------------------------------------------------


def train(model: Network, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (step + 1) * group["lr_factor"]
        ids = torch.randint(0, 11, (4, 3), generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()


def reloaded(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("adamw", {}),
    ("adamw", {"bias_correction": False}),
    ("sgd", {}),
    ("sgd", {"momentum": 0.0}),
    ("lion", {}),
    ("adafactor", {}),
    ("adafactor", {"beta1": 0.9, "relative_step": True}),
]


@pytest.mark.parametrize("order", ["the same order", "another order"])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_saved_state_continues_bit_for_bit(name: str, options: dict[str, Any], order: str) -> None:
    torch.manual_seed(3)
    whole = Network()
    groups = groups_of(whole, lr=0.005, weight_decay=0.3)
    optimizer = build_optimizer(config_of(name, **options), checked_groups(whole, groups))
    train(whole, optimizer, range(3))

    saved = reloaded({"model": whole.state_dict(), "optimizer": optimizer.state_dict()})
    resumed = Network()
    resumed.load_state_dict(saved["model"])
    groups = groups_of(resumed, lr=0.005, weight_decay=0.3)
    if order == "another order":
        groups = [{**group, "params": group["params"][::-1]} for group in reversed(groups)]
    again = build_optimizer(config_of(name, **options), checked_groups(resumed, groups))
    again.load_state_dict(saved["optimizer"])

    train(whole, optimizer, range(3, 6))
    train(resumed, again, range(3, 6))
    for expected, found in zip(whole.parameters(), resumed.parameters()):
        assert torch.equal(expected, found)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("adamw", {"bias_correction": True}, {"bias_correction": False}),
        ("adamw", {"bias_correction": False}, {"bias_correction": True}),
        ("sgd", {"momentum": 0.0}, {"momentum": 0.9}),
        ("adafactor", {"beta1": None}, {"beta1": 0.9}),
        ("lion", {"lr": 0.02}, {"lr": 0.5, "weight_decay": 0.9}),
    ],
)
def test_options_that_have_changed_hold_for_a_state_that_was_saved_before(
    name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """As if the optimizer had been given its options now, with the moments and counts that it has."""
    torch.manual_seed(3)
    model = Network()
    first = build_optimizer(config_of(name, **before), checked_groups(model, groups_of(model, lr=0.005)))
    train(model, first, range(4))
    again = build_optimizer(config_of(name, **after), checked_groups(model, groups_of(model, lr=0.01)))
    options = [{k: v for k, v in group.items() if k != "params"} for group in again.param_groups]
    again.load_state_dict(reloaded(first.state_dict()))
    assert [{k: v for k, v in group.items() if k != "params"} for group in again.param_groups] == options
    for parameter, state in first.state.items():
        for key, value in state.items():
            assert torch.equal(again.state[parameter][key], value)
    train(model, again, range(4, 5))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("frozen", ["before", "after"])
def test_a_state_of_other_parameters_is_refused(frozen: str) -> None:
    models = {"before": Network(), "after": Network()}
    models[frozen].scale.requires_grad = False
    optimizers = {
        when: build_optimizer(config_of("adamw"), checked_groups(model, parameter_groups(model, config_of("adamw"))))
        for when, model in models.items()
    }
    train(models["before"], optimizers["before"], range(1))
    message = {"before": "is trained now, and was not before", "after": "was trained before, and is not now"}[frozen]
    with pytest.raises(ValueError, match=f"the parameter 'scale' {message}"):
        optimizers["after"].load_state_dict(optimizers["before"].state_dict())


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an undisturbed run, ``whole``, whose embedding learns at another rate."""
    folder = runs.write_project(tmp_path_factory.mktemp("groups"), steps=12, log_every=1, checkpoint_every=4)
    for helper in ("own_groups.py", "sudden_death.py"):
        shutil.copy(Path(__file__).with_name(helper), folder)
    runs.train(folder, "--run", "whole", hooks())
    return folder


def hooks(*more: str, **options: Any) -> str:
    given = ", ".join(f"{name}: {str(value).lower()}" for name, value in options.items())
    return f"train.hooks=[{', '.join([f'own_groups:Config: {{{given}}}', *more])}]"


def rates(run: Path) -> dict[int, dict[str, Any]]:
    return {line["step"]: line for line in map(json.loads, (run / "rates.jsonl").read_text().splitlines())}


def test_the_groups_of_a_hook_follow_the_schedule_of_a_run(home: Path) -> None:
    found, logged = rates(home / "whole"), {line["step"]: line["lr"] for line in runs.metrics(home / "whole")}
    assert len(found) == 12
    assert len({line["lr"] for line in found.values()}) > 10
    for step, line in found.items():
        assert line["lr"] == logged[step]  # the rate of the optimizer
        assert line["groups"] == {"0.01": line["lr"], "0.0": line["lr"], "0.5": pytest.approx(0.4 * line["lr"])}


def test_the_groups_of_a_hook_survive_a_resume(home: Path) -> None:
    (home / "death.json").write_text(json.dumps(["step_end", 7]))
    both = hooks("sudden_death:Config")
    runs.train(home, "--run", "killed", both, status=-9)
    runs.train(home, "--run", "killed", both, "--resume")
    runs.assert_same_run(home / "killed", home / "whole")
    assert rates(home / "killed") == rates(home / "whole")


def test_what_a_hook_says_on_resume_is_what_holds(home: Path) -> None:
    shutil.copytree(home / "whole", home / "changed")
    for last in ("model", "checkpoints/step_000012"):
        shutil.rmtree(home / "changed" / last)
    runs.train(home, "--run", "changed", hooks(lr=0.02, last=False), "--resume", "--allow-change", "hooks")
    found = rates(home / "changed")
    assert [found[step]["groups"]["0.5"] / found[step]["lr"] for step in (8, 9)] == pytest.approx([0.4, 2.0])
    assert runs.metrics(home / "changed")[8]["loss"] == runs.metrics(home / "whole")[8]["loss"]
    assert runs.metrics(home / "changed")[-1]["loss"] != runs.metrics(home / "whole")[-1]["loss"]


def test_a_language_model_learns_with_adafactor_as_with_adamw(home: Path) -> None:
    """At the same rate: nothing lowers Adafactor's behind the schedule's back."""
    losses = {}
    for name in ("adamw", "adafactor"):
        options = ["train.steps=60", "train.log_every=10", "train.checkpoint_every=60", "model.dropout=0"]
        runs.train(home, "--run", name, f"train.optimizer={{{name}: {{lr: 0.005}}}}", *options)
        losses[name] = [line["loss"] for line in runs.metrics(home / name)]
    assert losses["adafactor"][-1] < losses["adafactor"][0] - 0.05
    assert losses["adafactor"] == pytest.approx(losses["adamw"], abs=0.03)
