"""The tokenizers of published speech models, which transformers has in Python only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tests.building import randomised
from tests.text.published import trained
from tp_core import LoadedModel

transformers = pytest.importorskip("transformers")

CHARACTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]
#: As facebook/wav2vec2-base-960h has it: no class is named.
WAV2VEC2 = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "do_lower_case": False}
SPEECH2TEXT = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


def wav2vec2(folder: Path, more: dict[str, Any]) -> Any:
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(CHARACTERS)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({**WAV2VEC2, **more}))
    config = transformers.Wav2Vec2Config(
        vocab_size=len(CHARACTERS), hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        conv_dim=(8, 8), conv_stride=(5, 4), conv_kernel=(10, 8), num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    randomised(transformers.Wav2Vec2ForCTC(config)).save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def speech2text(folder: Path, more: dict[str, Any]) -> Any:
    import sentencepiece

    folder.mkdir()
    model = trained(vocab_size=120)
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    own = [pieces.id_to_piece(n) for n in range(3, pieces.vocab_size())]
    # fairseq's order: its own special tokens, then the pieces, here the other way round.
    ids = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *reversed(own)])}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "tokenizer_config.json").write_text(json.dumps({**SPEECH2TEXT, **more}))
    config = transformers.Speech2TextConfig(
        vocab_size=len(ids), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, conv_channels=16, max_source_positions=100,
        max_target_positions=64, input_feat_per_channel=80,
    )  # fmt: skip
    randomised(transformers.Speech2TextForConditionalGeneration(config)).save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def converted(tmp_path: Path) -> LoadedModel:
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    loaded = tp_core.load_model(tmp_path / "ours", "cpu")
    assert loaded.processor is not None
    return loaded


@pytest.mark.parametrize("more", [{}, {"do_lower_case": True}, {"unk_token": "Q"}])
def test_characters_have_the_ids_of_transformers_and_become_the_same_text(tmp_path: Path, more: dict[str, Any]) -> None:
    theirs = wav2vec2(tmp_path / "theirs", more)
    ours = converted(tmp_path).tokenizer
    assert ours is not None
    texts = ["THE CAT'S HAT", "A  B", "QUIZ 7", "the cat", "A <unk> B", "</s>", ""]
    ids = [theirs(text)["input_ids"] for text in texts]
    assert ours.encode_batch(texts) == ids
    said = theirs.decode(ids[0], group_tokens=False)
    assert ours.decode(ids[0]) == said
    assert ours.special == {role: getattr(theirs, f"{role}_token_id") for role in ("bos", "eos", "unk", "pad")}


def test_a_recording_is_transcribed_as_transformers_does_it(tmp_path: Path) -> None:
    theirs = wav2vec2(tmp_path / "theirs", {})
    loaded = converted(tmp_path)
    model = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path / "theirs").eval()
    wave = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.no_grad():
        ids = model((wave - wave.mean()) / (wave.var(unbiased=False) + 1e-7).sqrt()).logits.argmax(-1)[0]
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", wave[0].numpy().astype(np.float32), 16000, subtype="FLOAT")
    (found,) = tp_core.predict(loaded, [{"audio": str(tmp_path / "a.wav")}])
    said = re.sub("<s>|</s>|<unk>", "", theirs.decode(ids))  # random weights say these, too
    assert found.get("ctc", found)["text"] == said.strip()


@pytest.mark.parametrize("more", [{}, {"do_upper_case": True}])
def test_pieces_with_ids_of_their_own_are_those_of_transformers(tmp_path: Path, more: dict[str, Any]) -> None:
    theirs = speech2text(tmp_path / "theirs", more)
    ours = converted(tmp_path).tokenizer
    assert ours is not None
    frame = ours.frame()
    assert frame is not None
    texts = ["the cat is", "rose  and lie", "Ünknown 9", ""]
    assert [frame.join(ids).tolist() for ids in ours.encode_batch(texts)] == [theirs(t)["input_ids"] for t in texts]
    ids = theirs(texts[0])["input_ids"]
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("make", [wav2vec2, speech2text])
def test_the_files_go_back_as_they_came(tmp_path: Path, make: Any) -> None:
    theirs = make(tmp_path / "theirs", {})
    converted(tmp_path)
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    names = [path.name for path in (tmp_path / "theirs").iterdir() if path.suffix != ".safetensors"]
    names = [name for name in names if name not in ("config.json", "generation_config.json")]
    assert all((tmp_path / "back" / n).read_bytes() == (tmp_path / "theirs" / n).read_bytes() for n in names)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert type(again) is type(theirs)
    assert again("the cat")["input_ids"] == theirs("the cat")["input_ids"]


@pytest.mark.parametrize(("make", "more"), [(wav2vec2, {"target_lang": "eng"}), (speech2text, {"lang_codes": "mustc"})])
def test_a_vocabulary_of_several_languages_is_named(tmp_path: Path, make: Any, more: dict[str, Any]) -> None:
    make(tmp_path / "theirs", {})
    file = tmp_path / "theirs" / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    said: list[str] = []
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours", say=said.append)
    assert any("the tokenizer is not read" in line and "several languages" in line for line in said)
