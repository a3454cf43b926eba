"""The tokens that stand for hidden spans. Torch-free."""

from collections.abc import Mapping

#: Spellings of sentinels in published vocabularies, the likeliest first.
USUAL_SENTINELS = ("<extra_id_{}>", "[unused{}]")


def find_sentinels(tokens: Mapping[str, int], pattern: str | None = None) -> list[int]:
    """Ids of the sentinels, in order of their numbers; those of the first pattern that the vocabulary has.

    Args:
        tokens: of the vocabulary, with their ids.
        pattern: the spelling, with {} for the number; None for the usual ones.
    """
    for each in USUAL_SENTINELS if pattern is None else (pattern,):
        # Some vocabularies count from 0, others from 1, and some leave numbers out.
        found = [tokens[token] for number in range(1000) if (token := each.replace("{}", str(number))) in tokens]
        if found:
            return found
    return []
