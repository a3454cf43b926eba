"""The share of an evaluation's time that is spent in the model, for tasks whose metrics see whole records.

For each task, a BERT-mini (random weights) is evaluated on generated data whose rows are prepared: classification, and
question answering and sequence labelling with texts that need several windows. The time in ``Model.forward``, which
computes losses and predictions, is compared with that of the whole evaluation: reading rows, collating, the model,
combining predictions of windows, metrics.

    python benchmarks/evaluation_share.py [--records 400] [--blocks 3]
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from common import MODELS, median, scratch, write_vocabulary
from tp_core import evaluate, load_spec, train
from tp_core.artifacts.load import LoadedModel, load_model

TASKS: dict[str, tuple[Any, Any]] = {
    "classification": ({"cls": {"num_labels": 3}}, {"cls": {}}),
    "question answering": ({"qa": {}}, {"qa": {}}),
    "sequence labelling": ({"token_cls": {"num_labels": 5}}, {"token_cls": {"types": ["PER", "LOC"]}}),
}


def write_records(path: Path, task: str, count: int) -> Path:
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            words = [f"w{draw.randrange(20_000)}" for _ in range(draw.choice([20, 60, 100, 300]))]
            if task == "question answering":
                start = draw.randrange(len(words) - 3)
                context, answer = " ".join(words), " ".join(words[start : start + 3])
                place = len(" ".join(words[:start])) + bool(start)
                record: dict[str, Any] = {
                    "id": str(number),
                    "question": " ".join(words[:4]),
                    "context": context,
                    "answers": [{"text": answer, "answer_start": place}],
                }
            elif task == "classification":
                record = {"text": " ".join(words), "label": draw.randrange(3)}
            else:
                record = {"tokens": words, "tags": [draw.choice(["O", "O", "O", "B-PER", "B-LOC"]) for _ in words]}
            file.write(json.dumps(record) + "\n")
    return path


def model_of(folder: Path, task: str, data: Path) -> LoadedModel:
    hidden, layers, heads = MODELS["mini"]
    target, processor = TASKS[task]
    ((kind, options),) = processor.items()
    spec = {
        "model": {
            "hidden_size": hidden,
            "embedding": ["word", {"pos": {"max_length": 128}}, "seg"],
            "encoder": {"transformer": {"num_layers": layers, "num_heads": heads}},
            "target": [target],
        },
        "data": {
            "tokenizer": {"wordpiece": {"vocab": str(write_vocabulary(folder))}},
            "processor": {kind: options},
            "train": str(data),
            "cache": str(folder / "cache"),
        },
        "train": {"steps": 1, "batch_size": 8, "loggers": []},
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    train(load_spec(path), run=folder / "run")
    return load_model(folder / "run", "cpu")


def measure(task: str, records: int, blocks: int) -> None:
    folder = scratch()
    data = write_records(folder / "records.jsonl", task, records)
    model, inside = model_of(folder, task, data), [0.0]

    def enter(*_: Any) -> None:
        inside[0] -= time.perf_counter()

    def leave(*_: Any) -> None:
        inside[0] += time.perf_counter()

    evaluate(model, str(data))  # prepares the rows, and warms up
    model.model.register_forward_pre_hook(enter)
    model.model.register_forward_hook(leave)
    shares, seconds = [], []
    for _ in range(blocks):
        inside[0], start = 0.0, time.perf_counter()
        evaluate(model, str(data))
        seconds.append(time.perf_counter() - start)
        shares.append(inside[0] / seconds[-1])
    threads = torch.get_num_threads()
    share, whole = median(shares), median(seconds)
    print(f"{task:<20} {share:6.1%} of {whole:.2f} s in the model ({records} records, {threads} threads)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--blocks", type=int, default=3)
    given = parser.parse_args()
    for name in TASKS:
        measure(name, given.records, given.blocks)
