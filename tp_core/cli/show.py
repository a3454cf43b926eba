"""``tp show``: show a resolved spec, the tree of its model, and its costs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tp_core.cli.output import new_file, whole_file
from tp_core.cli.records import say
from tp_core.cli.show_strategies import strategy_lines
from tp_core.cli.specs import spec_file
from tp_core.cli.trust import trust_code_option, trust_of
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.errors import TPError
from tp_core.spec.trained.use import using
from tp_core.terminal import tell

if TYPE_CHECKING:
    from tp_core.cost.distribution import Estimate
    from tp_core.cost.pricing import Price
    from tp_core.spec.schema import Spec


#: Sizes of tensors, with the same maximum as in a spec.
_SIZE = click.IntRange(1, 2**31 - 1)


@click.command(
    epilog=examples(
        "tp show bert-base",
        "tp show my_bert.yaml --batch-size 64 --length 512",
        "tp show my_bert.yaml train.optimizer=lion train.precision=bf16",
        "tp show runs/my_bert --json",
        "tp show clip-vit-base-patch32 --image clip.svg",
        "tp show llama-7b train.batch_size=512 train.precision=bf16 --devices 64x80GB",
    )
)
@click.argument("spec", metavar="SPEC|MODEL")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--batch-size", type=_SIZE, help="Samples per micro-batch; default: that of the spec.")
@click.option("--length", type=_SIZE, help="Positions per sample; default: the maximum length.")
@click.option(
    "--devices",
    metavar="COUNTxDEVICE",
    help="Estimate memory, exchanged bytes and time of a step for each strategy on these devices, such as 64x80GB or "
    "16xH100.",
)
@click.option("--json", "as_json", is_flag=True, help="Print {spec, tree, price, notes} as JSON.")
@click.option("--image", metavar="FILE.svg", help="Write the model as a diagram, and print nothing else.")
@click.option("--overwrite", is_flag=True, help="Replace an image that exists.")
@trust_code_option
@verify_option
def show(
    spec: str,
    overrides: tuple[str, ...],
    batch_size: int | None,
    length: int | None,
    devices: str | None,
    as_json: bool,
    image: str | None,
    overwrite: bool,
) -> None:
    """Show a resolved spec, the tree of its model and the costs of training, without allocating the model.

    SPEC is a file or the name of a preset; MODEL is the folder of a run or of an exported model. FLOPs count matrix
    products, convolutions and attention. Memory is that of one process without sharding. The memory of activations is
    estimated for kernels that do not keep attention weights.
    """
    from tp_core.spec.load import load_spec

    if image is not None and as_json:
        raise TPError("--image and --json: choose one of the two")
    if image is None and overwrite:
        raise TPError("--overwrite belongs to --image")
    if image is not None and (batch_size or length):
        raise TPError("--batch-size and --length are about the costs, which --image does not show")
    if image is not None and devices:
        raise TPError("--image and --devices: choose one of the two")
    cluster = None
    if devices is not None:
        from tp_core.cost.devices import cluster_of

        cluster = cluster_of(devices)
    picture = None if image is None else _image_file(image, overwrite)
    # Before the slow import of torch, so that a mistake is reported at once.
    with using(os.path.isdir(spec)):
        loaded = load_spec(spec_file(spec), overrides, trust_of(spec))

    from tp_core.cost.model_tree import model_tree, render
    from tp_core.cost.pricing import price
    from tp_core.model import meta_model
    from tp_core.spec.trained.provenance import other_versions

    model = meta_model(loaded)
    tree = model_tree(model)
    if picture is not None:
        from tp_core.diagram import contents, draw

        with whole_file(picture) as file:
            file.write(draw(contents(loaded, tree)))
        say(f"the model as a diagram: {picture}")
        return
    cost = price(loaded, batch_size, length, model)
    notes = [*other_versions(Path(spec_file(spec)).parent), *_notes(loaded, cost)]
    strategies: list[Estimate] = []
    if cluster is not None:
        from tp_core.cost.distribution import estimates

        try:
            strategies = estimates(loaded, cluster, length)
        except (NotImplementedError, RuntimeError) as error:
            raise TPError(f"--devices: the model does not run without data: {error}") from None
    if as_json:
        import json

        parts: dict[str, object] = {"spec": loaded.dump(), "tree": tree.dump(), "price": cost.dump(), "notes": notes}
        if cluster is not None:
            parts["strategies"] = [each.dump() for each in strategies]
        tell(json.dumps(parts, indent=2, ensure_ascii=False))
        return
    if cluster is not None:
        tell("\n".join(strategy_lines(strategies, cluster, loaded)))
        return
    lines = [loaded.to_yaml(), *render(tree), "", *_cost(cost)]
    if notes:
        lines += ["", *(f"note: {note}" for note in notes)]
    tell("\n".join(lines))


def _image_file(name: str, overwrite: bool) -> Path:
    if not name.lower().endswith(".svg"):
        raise TPError(f"--image {name}: a diagram is an SVG file; expected a name that ends in .svg")
    return new_file(name, overwrite)


def _notes(spec: Spec, cost: Price) -> Iterator[str]:
    from tp_core.options.ports import WORD
    from tp_core.spec.choices.available_ports import shared_weights

    uses_vocabulary = WORD in shared_weights(spec)
    if uses_vocabulary and spec.model.options.vocab_size is None and spec.data.tokenizer is None:
        yield (
            f"the vocabulary size is the default, {spec.model.vocab_size}: "
            "neither model.vocab_size nor a tokenizer is given"
        )
    if cost.note:
        yield cost.note


def _cost(cost: Price) -> Iterator[str]:
    size = f"{cost.batch_size} samples" + (f" of {cost.length} positions" if cost.unit == "token" else "")
    frozen = f" ({cost.trainable:,} trained)" if cost.trainable != cost.parameters else ""
    flops = cost.forward_flops_per_unit, cost.training_flops_per_unit, cost.training_flops
    rows = [
        ("parameters", f"{cost.parameters:,}{frozen}"),
        (f"FLOPs per {cost.unit}", f"{_flops(flops[0])} forward, {_flops(flops[1])} forward and backward"),
        ("FLOPs of the batch", f"{_flops(flops[2])} forward and backward"),
        ("weights", _bytes(cost.weight_memory)),
        ("gradients", _bytes(cost.gradient_memory)),
        ("optimizer", _bytes(cost.optimizer_memory)),
        (
            "activations",
            "unknown" if cost.activation_memory is None else f"about {_bytes(cost.activation_memory)}",
        ),
        ("memory in all", f"about {_bytes(cost.memory)}"),
    ]
    yield f"cost of a micro-batch of {size}"
    for key, value in rows:
        yield f"  {key:<18}  {value}"


def _flops(value: float | None) -> str:
    if value is None:
        return "unknown"
    for factor, unit in ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")):
        if value >= factor:
            return f"{value / factor:.4g} {unit}"
    return f"{value:.0f} FLOP"


def _bytes(value: int) -> str:
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value} bytes"
