"""Sentinel tokens, which replace hidden spans. Torch-free."""

from collections.abc import Mapping

#: Spellings of sentinels in published vocabularies, most common first.
USUAL_SENTINELS = ("<extra_id_{}>", "[unused{}]")


def find_sentinels(tokens: Mapping[str, int], pattern: str | None = None) -> list[int]:
    """Ids of the sentinels, sorted by sentinel number; uses the first pattern that the vocabulary contains.

    Args:
        tokens: token → id.
        pattern: spelling of the sentinels, with {} for the number; None to try the usual ones.
    """
    for each in USUAL_SENTINELS if pattern is None else (pattern,):
        # Some vocabularies count from 0, others from 1, and some skip numbers.
        found = [tokens[token] for number in range(1000) if (token := each.replace("{}", str(number))) in tokens]
        if found:
            return found
    return []
