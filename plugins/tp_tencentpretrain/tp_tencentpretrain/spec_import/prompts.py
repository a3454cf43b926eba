"""The prompts of the original's run_classifier_prompt.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tp_core.errors import TPError
from tp_core.files.bounded_reads import read_json
from tp_core.suggest import did_you_mean

#: The places in a template → ours.
_PLACES = {"[TEXT_A]": "{text_a}", "[TEXT_B]": "{text_b}", "[ANS]": "{mask}"}


def prompt_of(path: str, name: str) -> dict[str, Any]:
    """The options ``template`` and ``verbalizer`` of the processor ``prompt``.

    Args:
        path: the file of prompts, such as prompts.json.
        name: the name of one of them.

    Raises:
        TPError: the file cannot be read, or has no such prompt.
    """
    try:
        prompts = dict(read_json(Path(path)))
    except (OSError, ValueError, TypeError) as error:
        raise TPError(f"{path}: this is no file of prompts: {error}") from None
    if name not in prompts:
        near = did_you_mean(name, prompts) or f"it has {', '.join(prompts)}"
        raise TPError(f"{path}: it has no prompt '{name}' (--prompt_id); {near}")
    prompt = prompts[name]
    words = prompt.get("answer_words") if isinstance(prompt, dict) else None
    if not isinstance(words, dict) or not isinstance(prompt.get("template"), str):
        raise TPError(f"{path}: the prompt '{name}' needs 'template', a text, and 'answer_words', a mapping")
    template = prompt["template"].replace("{", "{{").replace("}", "}}")
    # The original puts a separator behind the first text of a pair.
    first = "{text_a}[SEP]" if "[TEXT_B]" in template else "{text_a}"
    for theirs, ours in {**_PLACES, "[TEXT_A]": first}.items():
        template = template.replace(theirs, ours)
    # Labels are numbers: the words are in their order, so that both readings of a label agree.
    ordered = sorted(words.items(), key=lambda item: (not item[0].isdigit(), item[0].zfill(9)))
    return {"template": template, "verbalizer": dict(ordered)}
