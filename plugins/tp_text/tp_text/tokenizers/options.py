"""Descriptions of shared tokenizer options. Torch-free."""

BOS = "add the bos token before every text, as in LLaMA"


EOS = "add the eos token after every text"


SPECIAL_IN_TEXT = "special tokens written in a text become special tokens, as in Hugging Face; false: plain text"
