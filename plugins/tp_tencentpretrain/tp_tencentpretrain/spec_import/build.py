"""A spec for a config and a command line of the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tp_core.errors import TPError
from tp_core.spec.choices.part_names import key_of
from tp_tencentpretrain.mapping.model import converted, weigh_segments
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig, read_original
from tp_tencentpretrain.spec_import.data import DataPart
from tp_tencentpretrain.spec_import.flags import MODEL, parse
from tp_tencentpretrain.spec_import.shortest import shortest
from tp_tencentpretrain.spec_import.tasks import script_of, task_of
from tp_tencentpretrain.spec_import.train import TrainPart
from tp_tencentpretrain.spec_import.yaml_text import written

#: Options that have no counterpart, with what to do instead.
_WITHOUT: Mapping[str, str] = {
    "deepspeed": "there is no strategy for DeepSpeed yet: data-parallel training is torchrun -m tp_core -- train SPEC",
    "use_mp": "tensor parallelism is not there yet",
    "tensor_model_parallel_size": "tensor parallelism is not there yet",
    "pipeline_model_parallel_size": "pipeline parallelism is not there",
    "use_lora": "low-rank adapters are not there; all weights are trained",
    "deep_init": "set scale_residual_init: true of the transformer for a model that starts at random",
    "resume_from_checkpoint": "a run goes on with tp train SPEC --resume",
    "full_sentences": "rows are always packed from whole documents",
    "vqgan_model_path": "image tokens come from data.processor or from a target's tokenizer",
    "soft_targets": "set data.processor.cls.logits to the column of the teacher's logits",
    "dataset_path_list": "write each folder as an entry of data.sets",
    "batch_size_list": "a grid is tp sweep SPEC --grid train.batch_size=...",
    "learning_rate_list": "a grid is tp sweep SPEC --grid train.optimizer.adamw.lr=...",
    "epochs_num_list": "a grid is tp sweep SPEC --grid train.epochs=...",
    "folds_num": "cross-validation is tp sweep SPEC --folds N",
    "prompt_path": "write the template and its words into data.processor.prompt",
}


class Imported(NamedTuple):
    """An imported spec.

    Attributes:
        tree: the spec.
        notes: sentences for the user.
    """

    tree: dict[str, Any]
    notes: list[str]

    def text(self) -> str:
        """The spec in YAML."""
        return written(self.tree)


def import_spec(config: Path, arguments: Sequence[str]) -> Imported:
    """The spec for a config and a command line.

    Args:
        config: the config, a JSON file.
        arguments: the command line of one of the original's scripts, or of several (preprocess.py and pretrain.py).

    Raises:
        TPError: the config or the command line is not valid.
    """
    given, script = parse(arguments), script_of(arguments)
    own = read_original(config)
    values = {**own.given, **{key: value for key, value in given.items() if key in MODEL}}
    original = OriginalConfig(values, own.where)
    notes = original.notes()
    fine_tuning = "train_path" in given or "dataset_path_list" in given
    if fine_tuning and "corpus_path" in given:
        raise TPError("the command lines of a pre-training and of a fine-tuning are two specs; import one at a time")
    task = None if script is None else task_of(script, given, original)
    if task is not None and task.targets:
        original = OriginalConfig({**values, "target": None}, own.where)
    original.unused_segments = script == "run_chid"
    found = converted(original, NoTensors())
    model = found.model
    if task is not None and task.targets:
        model["target"] = task.targets
        weigh_segments(original, model)
    tree: dict[str, Any] = shortest(model)
    data = DataPart(
        given, str(given.get("data_processor") or original["data_processor"] or "bert"), original, script, task
    )
    if fine_tuning and task is None:
        notes.append(
            "the command line does not name its script; with it (-- python3 finetune/run_classifier.py ...), the spec "
            "has the target and the processor of its task"
        )
    train = TrainPart(given, original, fine_tuning)
    tree |= {"data": data.tree} if data.tree else {}
    tree["train"] = train.tree
    if "pretrained_model_path" in given:
        path = Path(given["pretrained_model_path"])
        tree["init_from"] = f"models/{key_of(path.stem)}"
        notes.append(
            f"convert the weights first: tp convert --from tencentpretrain {path} --config {config} --to tp "
            f"{tree['init_from']}"
        )
    notes += [f"--{name}: {_WITHOUT[name]}" for name in given if name in _WITHOUT]
    return Imported(tree, [*notes, *found.notes, *data.notes, *train.notes])
