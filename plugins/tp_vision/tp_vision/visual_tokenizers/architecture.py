"""Reading of ``model.yaml``, the file that describes a published VQGAN. Torch-free."""

import os
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tp_core.errors import CheckpointError

#: Classes whose tokens are the nearest codes, and classes whose tokens have the largest scores.
_NEAREST = ("VQModel", "VQModelInterface", "VQNoDiscModel")
_SCORED = ("GumbelVQ",)

#: Number of groups of all group norms; every width is a multiple of it.
GROUPS = 32


class Convolutions(BaseModel):
    """The key ``ddconfig``: options of the encoder and decoder. Keys that do not change them are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ch: int = Field(gt=0, multiple_of=GROUPS)
    ch_mult: tuple[int, ...] = Field(min_length=1)
    num_res_blocks: int = Field(gt=0)
    attn_resolutions: tuple[int, ...]
    in_channels: int = Field(gt=0)
    out_ch: int | None = Field(None, gt=0)
    resolution: int = Field(gt=0)
    z_channels: int = Field(gt=0)
    # Other values of these would give another network: one without codes, or with other weights.
    double_z: Literal[False] = False
    resamp_with_conv: Literal[True] = True
    tanh_out: Literal[False] = False
    attn_type: Literal["vanilla", "vanilla-xformers"] = "vanilla"


class Architecture(NamedTuple):
    """The sizes of a VQGAN.

    Attributes:
        convolutions: options of the encoder and the decoder.
        embed_dim: width of the codes.
        n_embed: number of codes.
        scored: True if tokens have the largest scores (``GumbelVQ``); False if they are the nearest codes.
    """

    convolutions: Convolutions
    embed_dim: int
    n_embed: int
    scored: bool

    @property
    def patch_size(self) -> int:
        """Height and width, in pixels, of the patch that becomes one token."""
        return int(2 ** (len(self.convolutions.ch_mult) - 1))


def read_architecture(path: str) -> Architecture:
    """Read the architecture from a ``model.yaml`` of a VQGAN, or of a model that contains one.

    Raises:
        CheckpointError: the file does not exist, or does not describe a VQGAN.
    """
    stage = _stage(path)
    params = stage["params"]
    kind = str(stage.get("target", _NEAREST[0])).rpartition(".")[2]
    if kind not in _NEAREST + _SCORED:
        known = ", ".join(_NEAREST + _SCORED)
        raise CheckpointError(f"{path}: describes a model of the class {kind}; expected one of {known}")
    counts = {}
    for name in ("embed_dim", "n_embed"):
        value = params.get(name)
        if not isinstance(value, int) or value < 1:
            raise CheckpointError(f"{path}: params.{name}: expected a positive integer, got {value!r}")
        counts[name] = value
    try:
        convolutions = Convolutions.model_validate(params["ddconfig"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("ddconfig", *first["loc"])))
        message = first["msg"] if first["type"] == "missing" else f"{first['msg']}, got {first['input']!r}"
        raise CheckpointError(f"{path}: params.{place}: {message}") from None
    return Architecture(convolutions, **counts, scored=kind in _SCORED)


def _stage(path: str) -> dict[str, Any]:
    """Part of the file with ``target`` and ``params`` of the VQGAN."""
    from tp_core.spec.errors import SpecError
    from tp_core.spec.tree.yaml_loader import parse

    try:
        with open(path, encoding="utf-8") as file:
            tree = parse(file.read(), os.fspath(path)).plain()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{os.fspath(path)}: cannot be read: {error}") from None
    except SpecError as error:
        raise CheckpointError(str(error)) from None
    stage = tree.get("model", tree) if isinstance(tree, dict) else None
    for _ in range(2):
        params = stage.get("params") if isinstance(stage, dict) else None
        if not isinstance(stage, dict) or not isinstance(params, dict):
            break
        if isinstance(params.get("ddconfig"), dict):
            return stage
        stage = params.get("first_stage_config")
    raise CheckpointError(f"{path}: there is no model.params.ddconfig; it should describe the VQGAN")
