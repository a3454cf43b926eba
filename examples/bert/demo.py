"""BERT from end to end: vocabulary, pre-training, evaluation, fine-tuning, prediction.

    make demo

Each step is a ``tp`` command. It is printed before it runs, so that you can copy and change it. Results are in
runs/demo.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RUN = ROOT / "runs" / "demo"
DATA = RUN / "data"
TP = [sys.executable, "-m", "tp_core"]


def tp(*arguments: str) -> str:
    """Run a ``tp`` command from the root of the repository. Returns its standard output."""
    print(f"\n$ tp {' '.join(arguments)}", flush=True)
    # On a machine that does other work too, spinning threads would take CPU time from each other.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    done = subprocess.run([*TP, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def unigram_cross_entropy() -> float:
    """Nats per held-out token for a model that only knows the frequency of each token in the training text."""
    from tp_core import DataContext
    from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig

    tokenizer = WordPieceConfig(vocab=str(DATA / "vocab.txt")).build(DataContext())

    def count(name: str) -> Counter[int]:
        lines = (DATA / name).read_text(encoding="utf-8").splitlines()
        return Counter(token for ids in tokenizer.encode_batch(lines) for token in ids)

    train, held_out = count("train.txt"), count("held_out.txt")
    total = sum(train.values()) + tokenizer.vocab_size  # add-one smoothing
    nats = sum(n * -math.log((train[token] + 1) / total) for token, n in held_out.items())
    return nats / sum(held_out.values())


def main() -> None:
    began = time.monotonic()
    if RUN.exists():
        shutil.rmtree(RUN)  # from an earlier demo
    subprocess.run([sys.executable, str(HERE / "make_data.py"), str(DATA)], check=True)
    print(f"Data from Python's own documentation topics in {shown(DATA)}")

    vocabulary = ["--kind", "wordpiece", "--vocab-size", "4000", "--output", shown(DATA / "vocab.txt")]
    tp("tokenizer", "train", shown(DATA / "train.txt"), *vocabulary)
    pretrained, classifier = RUN / "pretrain", RUN / "classify"
    tp("train", shown(HERE / "pretrain.yaml"), "--run", shown(pretrained))
    held_out = json.loads(tp("evaluate", shown(pretrained), "--data", shown(DATA / "held_out.txt"), "--json"))
    masked = RUN / "masked.txt"
    masked.write_text("The for statement is [MASK] to iterate over the elements of a sequence.\n", encoding="utf-8")
    tp("predict", shown(pretrained), "--input", shown(masked), "--output", shown(RUN / "filled.jsonl"))

    tp("train", shown(HERE / "classify.yaml"), "--run", shown(classifier))
    found = json.loads(tp("evaluate", shown(classifier), "--data", shown(DATA / "topics_test.tsv"), "--json"))
    predictions = RUN / "predictions.tsv"
    tp("predict", shown(classifier), "--input", shown(DATA / "topics_test.tsv"), "--output", shown(predictions))

    filled = json.loads((RUN / "filled.jsonl").read_text(encoding="utf-8").splitlines()[0])
    words = ", ".join(f"{t['token']} {t['probability']:.2f}" for t in filled["mlm"]["tokens"][0][:4])
    unigram = unigram_cross_entropy()
    loss = held_out["loss/mlm"]
    print(f"""
held-out masked language model   {loss:.2f} nats per token
held-out unigram cross entropy   {unigram:.2f} nats per token: the model is {unigram - loss:.2f} below
[MASK] in "{masked.read_text(encoding="utf-8").strip()}"   {words}
classifier on held-out sentences {found["cls/accuracy"]:.1%} of four topics

pre-trained model    {shown(pretrained / "model")}
its metrics          {shown(pretrained / "metrics.jsonl")}   (tensorboard --logdir {shown(RUN)})
classifier           {shown(classifier / "model")}
predictions          {shown(predictions)}
took                 {time.monotonic() - began:.0f} s""")
    if unigram - loss < 1.5:
        sys.exit("the masked language model is less than 1.5 nats below the unigram cross entropy")


if __name__ == "__main__":
    main()
