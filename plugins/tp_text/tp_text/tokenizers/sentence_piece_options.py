"""Options of SentencePiece. Torch-free."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.marks import PathStr
from tp_core.options.tokenizer import TokenizerConfig
from tp_text.tokenizers.options import BOS, EOS, SPECIAL_IN_TEXT


class SentencePieceConfig(TokenizerConfig):
    """A SentencePiece model (Kudo & Richardson, 2018).

    Special tokens are found in the model: its padding, unknown, bos and eos pieces, and the usual spellings of the
    others. Set the options if a model uses other spellings.
    """

    terms: ClassVar[Mapping[str, str]] = {
        "vocab": "vocab_path vocab_file",
        "model": "spm_model_path sp_model spm_model model_file",
    }

    implementation: ClassVar[str] = "tp_text.tokenizers.sentence_piece:SentencePieceTokenizer"

    model: PathStr = Field(description="model file (.model) trained by sentencepiece")
    vocab: PathStr | None = Field(
        None,
        description="JSON file that maps pieces to ids, if they differ from the model's own ids (fairseq, Speech2Text)",
    )
    pad_token: str | None = None
    unk_token: str | None = None
    cls_token: str | None = None
    sep_token: str | None = None
    mask_token: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    add_bos: bool = Field(False, description=BOS)
    add_eos: bool = Field(False, description=EOS)
    special_in_text: bool = Field(True, description=SPECIAL_IN_TEXT)

    def libraries(self) -> Collection[str]:
        return ("sentencepiece", "tokenizers")
