"""Settings for computing vectors of records. By default, they follow the model's targets. Torch-free."""

from __future__ import annotations

from typing import NamedTuple

from tp_core.errors import TPError
from tp_core.options.facts import Comparison, VectorFacts
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.suggest import did_you_mean

_POOLED = {
    "first": "the first state",
    "last": "the last state",
    "mean": "the mean of the states",
    "max": "the maximum of the states",
}


class VectorPlan(NamedTuple):
    """Settings for computing one vector per record.

    Attributes:
        stream: the stream to embed; empty for a model without streams.
        facts: the pooling, the projection and the normalisation.
        target: name of the target that provides the projection or the pooling; empty if no target does.
        reason: the reason for this pooling, for the user.
    """

    stream: str
    facts: VectorFacts
    target: str
    reason: str

    def size(self, spec: Spec) -> int:
        """Width of the vectors."""
        return self.facts.projection_size or int(spec.model.streams[self.stream].encoder.config.hidden_size)

    def compared_by(self, options: EmbedOptions) -> Comparison:
        """The function that compares two such vectors: as the options say, else as the target does, else the cosine."""
        return options.similarity or self.facts.compared or "cosine"

    def describe(self) -> str:
        """A sentence that describes the vectors, for the user."""
        pooling = self.facts.pooling
        how = f"what the target {self.target} pools" if pooling is None else _POOLED[pooling]
        of = f" of the stream {self.stream}" if self.stream else ""
        projected = "" if self.facts.projection_size is None else f", projected to {self.facts.projection_size}"
        length = ", of length 1" if self.facts.normalize else ""
        return f"vectors: {how}{of}{projected}{length} ({self.reason})"


def vector_plan(spec: Spec, options: EmbedOptions) -> VectorPlan:
    """The settings for computing vectors with a spec's model and the given options.

    Options that are not given follow a target: one that projects vectors, else one that compares vectors, else all
    targets that pool, if they agree. Otherwise the mean is used. For a model with a decoder, whose targets read the
    decoder, it is the mean of the encoder's states.

    Raises:
        TPError: the stream does not exist, or a projection is requested and no target has one.
    """
    stream = _stream(spec, options.stream)
    facts, target, reason = _trained(spec, stream)
    if options.projection and facts.projection_size is None:
        where = f" of the stream '{stream}'" if stream else ""
        raise TPError(f"no target projects vectors{where}; one that does is clr with a projection_size")
    if options.pooling is not None:
        facts, reason = facts._replace(pooling=options.pooling), "the pooling is as asked for"
    if options.projection is False:
        facts = facts._replace(projection_size=None)
    if options.normalize is not None:
        facts = facts._replace(normalize=options.normalize)
    return VectorPlan(stream, facts, target, reason)


def _stream(spec: Spec, asked: str | None) -> str:
    names = [name for name in spec.model.streams if name]
    if asked is not None and asked not in names:
        near = did_you_mean(asked, names) or f"its streams are {', '.join(names) or 'none'}"
        raise TPError(f"the model has no stream '{asked}'; {near}")
    return asked or next(iter(names), "")


def _trained(spec: Spec, stream: str) -> tuple[VectorFacts, str, str]:
    """The targets' settings for vectors of a stream, the target that provides them, and the reason."""
    mean = VectorFacts("mean")
    if spec.model.decoder is not None:
        return mean, "", "of the encoder; the targets read the decoder"
    found: dict[str, VectorFacts] = {}
    for chosen in spec.model.targets:
        made = chosen.config.embeds(context_of(spec, chosen.config.stream or "", side="target"))
        if stream in made:
            found[chosen.instance_name] = made[stream]
    best = max(found, key=lambda name: _rank(found[name]), default="")
    if not best:
        return mean, "", "no target reads one vector of a record"
    facts = found[best]
    if facts.projection_size is None and facts.compared is None and len(set(found.values())) > 1:
        ways = ", ".join(f"{name}: {each.pooling or 'its own'}" for name, each in found.items())
        return mean, "", f"the targets do not agree, {ways}"
    return facts, best, f"as the target {best} was trained"


def _rank(facts: VectorFacts) -> tuple[bool, bool]:
    """The order in which targets determine vectors: a projection first, then a comparison."""
    return facts.projection_size is not None, facts.compared is not None
