"""Options of our own hooks. Torch-free."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tp_core.options.hooks import HooksConfig


class AdversarialConfig(HooksConfig):
    """Base of the hooks that repeat the passes of a step with moved embedding weights."""

    terms: ClassVar[Mapping[str, str]] = {
        "epsilon": "eps radius fgm_epsilon pgd_epsilon adv_epsilon",
        "parts": "emb_name embedding_name emb param_name",
    }

    epsilon: float = Field(1.0, gt=0, description="length of the move of each embedding module's weights")
    parts: list[str] | None = Field(
        None,
        min_length=1,
        description="embedding modules whose weights are moved, such as word, or text.word for the stream text; "
        "default: the first of each stream",
    )


class FgmConfig(AdversarialConfig):
    """Adversarial training with the fast gradient method (FGM; Miyato et al., 2017)."""

    implementation: ClassVar[str] = "tp_core.training.hooks.fgm:Fgm"


class PgdConfig(AdversarialConfig):
    """Adversarial training with projected gradient descent (PGD; Madry et al., 2018)."""

    implementation: ClassVar[str] = "tp_core.training.hooks.pgd:Pgd"
    terms: ClassVar[Mapping[str, str]] = {
        **AdversarialConfig.terms,
        "alpha": "step_size adv_lr lr pgd_alpha",
        "steps": "k pgd_k num_steps iterations adv_steps",
    }

    epsilon: float = Field(1.0, gt=0, description="maximum length of the move of each embedding module's weights")
    alpha: float = Field(0.3, gt=0, description="length of each step of the move")
    steps: int = Field(3, gt=0, description="steps of the move, each with passes over the whole batch")


class RDropConfig(HooksConfig):
    """R-Drop (Wu et al., 2021): two passes with different dropout, whose predictions are pulled together."""

    implementation: ClassVar[str] = "tp_core.training.hooks.rdrop:RDrop"
    terms: ClassVar[Mapping[str, str]] = {"alpha": "weight coef coefficient kl_weight rdrop_alpha reg_alpha"}

    alpha: float = Field(1.0, ge=0, description="factor of the divergence of the two passes' distributions")
    target: str | None = Field(
        None, description="target whose distributions are compared; default: the only one with logits"
    )
