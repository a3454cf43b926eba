"""The modules of our own distributions. Nothing is imported."""

from __future__ import annotations

#: Names that our own distributions offer. A spec's bare name means these, whatever others offer; one that is missing is
#: answered with what to install.
FIRST_PARTY: dict[str, dict[str, tuple[str, ...]]] = {
    "tp-text": {
        "embedding": ("word", "seg"),
        "target": ("mlm", "sp", "lm", "bilm", "sgns"),
        "tokenizer": ("wordpiece", "bpe", "sentencepiece", "char", "space", "huggingface"),
        "processor": (
            *("bert", "mlm", "lm", "cls", "bilm", "prefixlm", "sft", "skipgram", "mt", "t5", "bart", "gsg"),
            *("cls_mlm", "pair"),
        ),
        "converter": (
            *("albert", "bart", "bert", "bloom", "distilbert", "fnet", "gpt2", "llama", "mistral", "pegasus"),
            *("roberta", "t5", "xlm-roberta"),
        ),
        "commands": ("tokenizer",),
    },
    "tp-vision": {
        "embedding": ("patch", "masked_patch", "conv_patch", "visible", "patch_pos", "patch_sinusoidal"),
        "target": ("deit", "patch_cls", "pixels", "vq", "visual_tokens"),
        "decoder": ("mae",),
        "visual_tokenizer": ("vq", "vqgan", "random_projection"),
        "processor": ("image", "plain_image", "masked_image"),
        "converter": ("beit", "deit", "vit", "vit_mae"),
        "hooks": ("reconstructions",),
    },
    "tp-audio": {
        "embedding": ("speech", "waveform", "conv_pos"),
        "encoder": ("conformer", "wavlm"),
        "target": ("ctc", "wav2vec2", "units"),
        "processor": (
            *("speech_text", "speech_cls", "speech_ctc", "wav2vec2", "units", "waveform_cls", "waveform_ctc"),
        ),
        "converter": ("speech_to_text", "wav2vec2", "hubert", "wavlm", "wav2vec2-conformer"),
        "hooks": ("gumbel_decay", "transcripts"),
        "commands": ("units", "wer"),
    },
    "tp-crossmodal": {
        "embedding": ("word_patch", "patch_word", "region"),
        "encoder": ("co_attention",),
        "target": ("itm",),
        "processor": ("image_text_lm", "image_text", "image_text_pair", "region_text", "region_text_pair"),
        "converter": ("clip", "vilt", "visual_bert"),
        "hooks": ("similarities",),
        "commands": ("draw", "retrieve"),
    },
}

#: Our own distributions: of a name that several offer, theirs is the one that is meant without saying so.
OWN = ("tp-core", *FIRST_PARTY)
