"""Descriptions of shared tokenizer options. Torch-free."""

BOS = "add the bos token before every text, as in LLaMA"


EOS = "add the eos token after every text"


SPECIAL_IN_TEXT = "special tokens written in a text become special tokens, as in Hugging Face; false: plain text"


PAIR_SEPARATORS = "number of sep tokens between the texts of a pair; default: 2 with `<s>` and `</s>` (RoBERTa), else 1"
