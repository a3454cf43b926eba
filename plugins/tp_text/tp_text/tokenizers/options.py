"""Descriptions of options that tokenizers share. Torch-free."""

BOS = "every text begins with the bos token, as LLaMA's do"


EOS = "every text ends with the eos token"


SPECIAL_IN_TEXT = "a special token spelled out in a text is that token, as in Hugging Face; false: plain text"
