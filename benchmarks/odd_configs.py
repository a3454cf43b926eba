"""Conversion of Hugging Face's JSON files with values of wrong types: counts conversions without a crash.

python benchmarks/odd_configs.py [--seconds 20] [--models Bert,GPT2]

Each key of each file gets each odd value in turn, and the folder is converted. A conversion passes if it ends with a
model or with one message. Tracebacks and conversions beyond the time limit are printed as failures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from common import scratch
from tp_core.cli.main import cli

VALUES: tuple[Any, ...] = (
    *(None, True, "text", "", -1, 0, 0.5, 1e300, 10**9, 2**60, 10**30, [], [1], ["a"], {}, {"a": 1}, [[1, 2], [3]]),
)

MODELS: dict[str, dict[str, Any]] = {
    "Bert": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 30,
    },
    "GPT2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 30, "n_positions": 16},
    "Llama": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 30,
    },
    "T5": {"d_model": 16, "num_layers": 1, "num_heads": 2, "d_ff": 16, "d_kv": 8, "vocab_size": 30},
    "ViT": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 32,
    },
    "Wav2Vec2": {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 30,
        "conv_dim": [8, 8],
        "conv_kernel": [3, 3],
        "conv_stride": [2, 2],
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    },
}


class TooLate(BaseException):
    """A conversion exceeded its time limit."""


def main(seconds: int, models: list[str], every: int) -> None:
    folder, tried, failed = scratch(), 0, Counter[str]()
    signal.signal(signal.SIGALRM, _late)
    for model in models:
        source = folder / model
        _save(model, source)
        for file in sorted(source.glob("*config.json")):
            content = json.loads(file.read_text())
            cases = [(key, value) for key in content for value in VALUES][::every]
            for key, value in cases:
                file.write_text(json.dumps({**content, key: value}))
                tried += 1
                if said := _fault(source, folder / "written", seconds):
                    failed[model] += 1
                    print(f"{model} {file.name} {key}={json.dumps(value)[:40]}: {said}")
            file.write_text(json.dumps(content))
    print(f"survived {tried - sum(failed.values())} of {tried}", dict(failed) or "")


def _late(*_: object) -> None:
    raise TooLate


def _save(model: str, folder: Path) -> None:
    import transformers

    config = getattr(transformers, f"{model}Config")(**MODELS[model])
    getattr(transformers, f"{model}Model")(config).save_pretrained(folder)


def _fault(source: Path, target: Path, seconds: int) -> str:
    """The failure of a conversion that ended with neither a model nor one message; empty if it did not fail."""
    arguments = ["convert", "--from", "huggingface", str(source), "--to", "tp", str(target)]
    begin = time.perf_counter()
    with _alarm(seconds):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=True)
    shutil.rmtree(target, ignore_errors=True)
    if isinstance(result.exception, TooLate) or time.perf_counter() - begin > seconds:
        return f"over {seconds} s"
    if result.exit_code in (0, 2) and isinstance(result.exception, (SystemExit, type(None))):
        return ""
    return f"{type(result.exception).__name__}: {result.exception}".partition("\n")[0][:150]


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=sys.modules[__name__].__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--every", type=int, default=1, help="only try every n-th case")
    options = parser.parse_args()
    main(options.seconds, options.models.split(","), options.every)
