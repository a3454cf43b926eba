"""Options of byte-pair encoding. Torch-free."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.marks import PathStr
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.options import BOS, EOS, PAIR_SEPARATORS, SPECIAL_IN_TEXT


class BytePairConfig(TokenizerConfig):
    """Byte-level byte-pair encoding, as in GPT-2 (Radford et al., 2019) and RoBERTa.

    The defaults are GPT-2's. RoBERTa's are ``bos_token`` and ``cls_token`` ``<s>``, ``eos_token`` and
    ``sep_token`` ``</s>``, ``pad_token`` ``<pad>``, ``unk_token`` ``<unk>`` and ``mask_token`` ``<mask>``.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "vocab": "vocab_path vocab_file",
        "merges": "merges_path merges_file",
    }

    implementation: ClassVar[str] = "tp_text.tokenizers.byte_pair:BytePairTokenizer"

    vocab: PathStr = Field(description="vocab.json (token to id), or a text file with one token per line")
    merges: PathStr = Field(description="merges.txt: one merge (two parts) per line, in order of priority")
    add_prefix_space: bool = Field(False, description="treat each text as if it began with a space")
    pad_token: str | None = "<|endoftext|>"
    unk_token: str | None = "<|endoftext|>"
    cls_token: str | None = None
    sep_token: str | None = None
    mask_token: str | None = None
    bos_token: str | None = "<|endoftext|>"
    eos_token: str | None = "<|endoftext|>"
    add_bos: bool = Field(False, description=BOS)
    add_eos: bool = Field(False, description=EOS)
    special_in_text: bool = Field(True, description=SPECIAL_IN_TEXT)
    pair_separators: Literal[1, 2] | None = Field(None, description=PAIR_SEPARATORS)

    def libraries(self) -> Collection[str]:
        return ("tokenizers",)
