"""The original's checkpoints: one file, or the blocks of a folder; with the names of all its versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from tp_core.errors import CheckpointError
from tp_core.interop.rules import Shape
from tp_core.interop.tensors import Tensors, open_files, open_shards
from tp_tencentpretrain.mapping.piece import Mirror

#: The indexes of blocks: those of the original's convert_model_into_blocks.py, and those of other tools.
INDEXES = ("tencentpretrain_model.bin.index.json", "pytorch_model.bin.index.json", "model.safetensors.index.json")

#: The files by which a folder of DeepSpeed is recognised.
_DEEPSPEED = ("zero_to_fp32.py", "latest")

#: Beginnings of names in UER → their beginnings today. Later ones apply to the results of earlier ones.
_OLD = (
    ("target.decoder.", "decoder."),
    ("target.embedding.", "tgt_embedding."),
    ("embedding.word_embedding.", "embedding.word.embedding."),
    ("embedding.position_embedding.", "embedding.pos.embedding."),
    ("embedding.segment_embedding.", "embedding.seg.embedding."),
    ("embedding.pe", "embedding.sinusoidalpos.pe"),
    ("tgt_embedding.word_embedding.", "tgt_embedding.word.embedding."),
    ("tgt_embedding.position_embedding.", "tgt_embedding.pos.embedding."),
    ("tgt_embedding.segment_embedding.", "tgt_embedding.seg.embedding."),
    ("tgt_embedding.pe", "tgt_embedding.sinusoidalpos.pe"),
    ("target.mlm_linear_1.", "target.mlm.linear_1."),
    ("target.mlm_linear_2.", "target.mlm.linear_2."),
    ("target.layer_norm.", "target.mlm.layer_norm."),
    *(
        (f"target.{task}_linear_{number}.", f"target.sp.linear_{number}.")
        for task in ("sp", "nsp", "sop")
        for number in (1, 2)
    ),
)


class NoTensors:
    """The facts of a checkpoint that is to be written: the config decides nearly everything.

    Attributes:
        shapes: those of the head of a fine-tuned model, which the config does not describe; else empty.
        one_norm: True if dual streams with shared weights also share the second norm after their embeddings.
        task_names: the names of the heads of a model of several tasks; by default ``task_0``, ``task_1``, ...
        apart: True for a pre-training of the original, in which an output matrix that is tied to words that both sides
            share becomes a third matrix.
    """

    one_norm = True
    apart = False
    task_names: Sequence[str] = ()

    def __init__(
        self,
        one_norm: bool = True,
        shapes: Mapping[str, Shape] | None = None,
        task_names: Sequence[str] = (),
        apart: bool = False,
    ) -> None:
        self.apart = apart
        self.shapes: Mapping[str, Shape] = shapes or {}
        self.one_norm, self.task_names = one_norm, task_names

    def equal(self, name: str, other: str) -> bool:
        return True


class Checkpoint(NoTensors):
    """The tensors of a checkpoint under the names that the original uses today.

    Attributes:
        tensors: the tensors.
        shapes: name → shape.
        old: number of names that were of an older version.
        half: the types of tensors that are not of single precision.
    """

    def __init__(self, tensors: Tensors, targets: Sequence[str] = ()) -> None:
        alone = _alone([without_wrappers(name) for name in tensors.shapes], targets)
        new = {name: modern(without_wrappers(name), alone) for name in tensors.shapes}
        self.old = sum(name != own for own, name in new.items())
        tensors.rename(new.__getitem__)
        self.tensors, self.shapes = tensors, tensors.shapes
        halves = {tensors.dtypes[name] for name in tensors.shapes} - {torch.float32, torch.float64, torch.int64}
        self.half = sorted(str(each).removeprefix("torch.") for each in halves)

    def equal(self, name: str, other: str) -> bool:
        """True if two tensors have the same values."""
        if self.shapes[name] != self.shapes[other]:
            return False
        return torch.equal(self.tensors.read(name), self.tensors.read(other))

    def drop_mirrors(self, mirrors: Iterable[Mirror]) -> None:
        """Remove tensors that the original stores twice.

        Raises:
            CheckpointError: a tensor differs from the one that it repeats.
        """
        for mirror in mirrors:
            for name in [name for name in self.shapes if name.startswith(mirror.theirs)]:
                of = mirror.of + name.removeprefix(mirror.theirs)
                if of in self.shapes and not self.equal(name, of):
                    raise CheckpointError(
                        f"'{name}' differs from '{of}', but the config has 'tie_weights', which makes them one"
                    )
                if of in self.shapes:
                    self.tensors.remove(name)


def without_wrappers(name: str) -> str:
    """The name without the beginnings that wrappers of data-parallel training add."""
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _alone(names: Sequence[str], targets: Sequence[str]) -> str:
    """The target whose tensors have no name of their own: the model has the target itself, not a container."""
    if any(name.startswith("target.layer_norm.") for name in names):
        return "mlm"
    if any(name.startswith("target.linear_1.") for name in names):
        return "cls"
    return "bilm" if "bilm" in targets else "lm"


def modern(name: str, alone: str) -> str:
    """The name of a tensor in the original today.

    Args:
        name: a name of any version.
        alone: the target whose tensors have no name of their own.
    """
    for old, new in _OLD:
        if name.startswith(old):
            name = new + name.removeprefix(old)
    for part in ("linear_1.", "linear_2.", "output_layer."):
        if name.startswith(f"target.{part}"):
            return f"target.{alone}.{name.removeprefix('target.')}"
    return name


def open_checkpoint(path: Path, targets: Sequence[str] = ()) -> Checkpoint:
    """Open a checkpoint: a .bin or .safetensors file, an index of blocks, or a folder with one.

    Args:
        path: the file or the folder.
        targets: the targets of the config, which decide the meaning of some old names.

    Raises:
        CheckpointError: it is missing, damaged, contains code, or is of another kind.
    """
    if not path.is_dir():
        shards = path.name.endswith(".index.json")
        return Checkpoint(open_shards(path) if shards else open_files([path]), targets)
    for index in INDEXES:
        if (path / index).is_file():
            return Checkpoint(open_shards(path / index), targets)
    if any((path / name).exists() for name in _DEEPSPEED) or [*path.glob("*mp_rank_*")]:
        folder = path.parent if [*path.glob("*mp_rank_*")] else path
        raise CheckpointError(
            f"{path}: this is a folder of DeepSpeed, whose files contain code; DeepSpeed itself makes a file of "
            f"weights of it: python {folder / 'zero_to_fp32.py'} {folder} model.bin"
        )
    files = sorted([*path.glob("*.bin"), *path.glob("*.safetensors")])
    if len(files) == 1:
        return Checkpoint(open_files(files), targets)
    found = f"it has {', '.join(each.name for each in files[:4])}; name one" if files else "it has no .bin file"
    raise CheckpointError(f"{path}: expected a file, or a folder with {INDEXES[0]}; {found}")
