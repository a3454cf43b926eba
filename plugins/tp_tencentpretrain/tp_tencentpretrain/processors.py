"""The processors that stand for the original's data processors."""

from __future__ import annotations

from typing import Any

from tp_tencentpretrain.original.config import OriginalConfig

#: The original's names → ours, with the options that make the same instances.
PROCESSORS: dict[str, dict[str, Any]] = {
    "bert": {"bert": {}},
    "albert": {"bert": {"sentence_task": "order"}},
    "mlm": {"mlm": {}},
    "lm": {"lm": {}},
    "llm_pretrain": {"lm": {}},
    "llm_sft": {"sft": {}},
    "bilm": {"bilm": {}},
    "prefixlm": {"prefixlm": {}},
    "mt": {"mt": {}},
    "t5": {"t5": {}},
    "gsg": {"gsg": {}},
    "bart": {"bart": {}},
    "cls": {"cls": {}},
    "cls_mlm": {"cls_mlm": {}},
    "vit": {"image": {}},
    "vilt": {"image_text": {}},
    "clip": {"image_text_pair": {}},
    "s2t": {"speech_text": {}},
}


def processor(config: OriginalConfig, model: dict[str, Any]) -> dict[str, Any] | None:
    """The processor of a converted model, as in a spec; None if the config names none that we have."""
    return PROCESSORS.get(str(config["data_processor"]))
