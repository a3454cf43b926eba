"""Write docs/models.md: every model with its preset, the modules it picks, its paper and the code it needed.

python docs/generate_models.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from tp_core import load_spec
from tp_core.spec.schema import Spec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "benchmarks"))
from implementation_cost import own_classes, parts  # noqa: E402

#: Model, preset (or none), example (a folder of examples/ and a name; text/ if no folder), paper; in the order in which
#: the toolkit's code is counted.
MODELS = [
    ("Transformer", "transformer-base", "transformer", "Vaswani et al., 2017"),
    ("BERT", "bert-base", "bert", "Devlin et al., 2019"),
    ("RoBERTa", "roberta-base", "roberta", "Liu et al., 2019"),
    ("GPT-2", "gpt2", "gpt2", "Radford et al., 2019"),
    ("T5", "t5-small", "t5", "Raffel et al., 2020"),
    ("T5 v1.1", "t5-v1.1-small", "t5-v1.1", "Shazeer, 2020"),
    ("XLM-RoBERTa", "xlm-roberta-base", "xlm-roberta", "Conneau et al., 2020"),
    ("ALBERT", "albert-base", "albert", "Lan et al., 2020"),
    ("ERNIE 2.0", "ernie-2.0-base", "ernie-2.0", "Sun et al., 2020"),
    ("DistilBERT", "distilbert-base", "distilbert", "Sanh et al., 2019"),
    ("FNet", "fnet-base", "fnet", "Lee-Thorp et al., 2021"),
    ("RealFormer", "realformer-base", "realformer", "He et al., 2021"),
    ("UniLM", "unilm-base", "unilm", "Dong et al., 2019"),
    ("LLaMA", "llama-7b", "llama", "Touvron et al., 2023"),
    ("Llama 2", "llama-2-70b", "llama-2", "Touvron et al., 2023b"),
    ("Mistral", "mistral-7b", "mistral", "Jiang et al., 2023"),
    ("Llama 3.1", "llama-3.1-8b", "llama-3.1", "Dubey et al., 2024"),
    ("Qwen3", "qwen3-8b", "qwen3", "Yang et al., 2025"),
    ("Gemma 2", "gemma-2-2b", "gemma-2", "Gemma Team, 2024"),
    ("Gemma 3", "gemma-3-1b", "gemma-3", "Gemma Team, 2025"),
    ("ModernBERT", "modernbert-base", "modernbert", "Warner et al., 2024"),
    ("BLOOM", "bloom-560m", "bloom", "BigScience, 2022"),
    ("BART", "bart-base", "bart", "Lewis et al., 2020"),
    ("PEGASUS", "pegasus-base", "pegasus", "Zhang et al., 2020"),
    ("SBERT", "sbert-base", "sbert", "Reimers & Gurevych, 2019"),
    ("SimCSE", "simcse-base", "simcse", "Gao et al., 2021"),
    ("ELMo", "elmo", "elmo", "Peters et al., 2018"),
    ("InferSent", "infersent", "infersent", "Conneau et al., 2017"),
    ("Siamese LSTM", "siamese-lstm", "siamese-lstm", "Mueller & Thyagarajan, 2016"),
    ("CoVe", "cove", "cove", "McCann et al., 2017"),
    ("Quick-Thoughts", "quick-thoughts", "quick-thoughts", "Logeswaran & Lee, 2018"),
    ("word2vec", "word2vec", "word2vec", "Mikolov et al., 2013"),
    ("Ngram2vec", "ngram2vec", "ngram2vec", "Zhao et al., 2017"),
    ("Gated CNN", "gatedcnn", "gatedcnn", "Dauphin et al., 2017"),
    ("TextCNN", "textcnn", "textcnn", "Kim, 2014"),
    ("ViT", "vit-base", "vision/vit", "Dosovitskiy et al., 2021"),
    ("DeiT", "deit-tiny-distilled", "vision/deit", "Touvron et al., 2021"),
    ("SimMIM", "simmim-base", "vision/simmim", "Xie et al., 2022"),
    ("BEiT", "beit-base", "vision/beit", "Bao et al., 2022"),
    ("MAE", "mae-base", "vision/mae", "He et al., 2022"),
    ("VQ-VAE", "vqvae", "vision/vqvae", "van den Oord et al., 2017"),
    ("Speech2Text", "s2t-small", "audio/s2t", "Wang et al., 2020"),
    ("Conformer", "conformer-ctc-small", "audio/conformer-ctc", "Gulati et al., 2020"),
    ("wav2vec 2.0", "wav2vec2-base", "audio/wav2vec2", "Baevski et al., 2020"),
    ("HuBERT", "hubert-base", "audio/hubert", "Hsu et al., 2021"),
    ("WavLM", "wavlm-base", "audio/wavlm", "Chen et al., 2022"),
    ("CLIP", "clip-vit-base-patch32", "crossmodal/clip", "Radford et al., 2021"),
    ("ViLT", "vilt-b32", "crossmodal/vilt", "Kim et al., 2021"),
    ("VisualBERT", "visualbert-base", "crossmodal/visualbert", "Li et al., 2019"),
    ("ImageBERT", "imagebert-base", "crossmodal/imagebert", "Qi et al., 2020"),
    ("ViLBERT", "vilbert-base", "crossmodal/vilbert", "Lu et al., 2019"),
    ("DALL-E", "dall-e-base", "crossmodal/dall-e", "Ramesh et al., 2021"),
    ("ERNIE-ViLG", "ernie-vilg-base", "crossmodal/ernie-vilg", "Zhang et al., 2021"),
    ("PolyViT", "", "crossmodal/polyvit", "Likhosherstov et al., 2021"),
    ("Talk2Face", "talk2face-base", "crossmodal/talk2face", "Li et al., 2022"),
]

HEAD = """\
# Models

<!-- Written by docs/generate_models.py; do not edit. -->

Every model below is a spec: `tp train SPEC` trains it, and another spec changes it. A *preset* has the sizes of the
paper (`extends: bert-base`); its *example* is a small version that trains in less than a minute on two cores, on
English that comes with every Python:

    python examples/text/make_data.py
    tp train examples/text/bert.yaml

Examples of vision train for one to two minutes on scans of digits that scikit-learn ships;
`python examples/vision/digits.py` makes them and trains a ViT.

Examples of pictures with texts train on pictures of two of these scans and captions in words (`python
examples/crossmodal/make_data.py`); `python examples/crossmodal/demo.py` measures CLIP and ViLT on unseen ones. Those
that write image tokens need `examples/crossmodal/vqvae.yaml`, trained before into `runs/crossmodal/vqvae`.
Examples of speech train for some minutes on spoken digits, which `python examples/audio/make_data.py` has a synthesiser
say.

*Code* is the number of lines in `nn.Module` classes that the model needed beyond those above it in the table, comments
and docstrings not counted (`python benchmarks/implementation_cost.py` compares with the paper's own figures).

| model | preset | example | embedding → encoder (→ target embedding → decoder) → target | processor | paper | code |
|---|---|---|---|---|---|---|
"""


def picks(spec: Spec) -> str:
    """The modules of the five components."""
    model = spec.model
    sides = []
    for name, stream in model.streams.items():
        if stream.same_as:
            sides.append(f"{name} = {stream.same_as}")
            continue
        encoder = f"that of {stream.encoder_of}" if stream.encoder_of else stream.encoder.name
        side = f"{', '.join(m.name for m in stream.embedding.modules)} → {encoder}"
        sides.append(f"{name}: {side}" if name else side)
    text = "; ".join(sides) + (f" → {model.fusion.name}" if model.fusion is not None else "")
    if model.decoder is not None and model.target_embedding is not None:
        text += f" → {', '.join(m.name for m in model.target_embedding.modules)} → {model.decoder.name}"
    return f"{text} → {', '.join(t.display_name for t in model.targets)}"


def processors(spec: Spec) -> str:
    names = [part.data.processor.name for part in spec.sets().values() if part.data.processor is not None]
    return ", ".join(dict.fromkeys(names))


def table() -> str:
    """The rows, with the lines of code that each model adds to those before it."""
    seen: set[type] = set()
    rows = []
    for model, preset, example, paper in MODELS:
        folder, _, name = example.rpartition("/")
        file = f"examples/{folder or 'text'}/{name}.yaml"
        # An example's vocabulary is made together with its data, which need not be there.
        spec = load_spec(preset) if preset else load_spec(HERE.parent / file, ["data.tokenizer=null"])
        new = [cls for cls in own_classes(spec) if cls not in seen]
        seen.update(new)
        lines = sum(parts(sys.modules[cls.__module__])[0][cls.__name__] for cls in new)
        link = f"[{name}.yaml](../{file})"
        shown = f"`{preset}`" if preset else "none"
        rows.append(f"| {model} | {shown} | {link} | {picks(spec)} | {processors(spec)} | {paper} | {lines} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    (HERE / "models.md").write_text(HEAD + table(), encoding="utf-8")
