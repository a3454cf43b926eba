"""Every option of ``inference.generate`` that transformers has too does what it does in ``generate`` of transformers.

Ours writes all texts in one batch; theirs writes each alone, since their lengths count the padding of others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.text import hf_weights
from tests.text.parity import VOCABULARY
from tests.text.test_decoder_parity import t5
from tests.text.test_generate_parity import LENGTHS, encoder_decoder, gpt2, prompts
from tp_core import Batch, LoadedModel, load_spec
from tp_core.evaluation.mode import evaluating
from tp_core.generation.logits_chain import filters_of, rules_of
from tp_core.generation.logits_rules import Written
from tp_core.generation.sampling_filters import MinP, Temperature, TopK, TopP, Typical
from tp_core.generation.search import Generated
from tp_core.generation.writer import TextWriter
from tp_core.interfaces import GenerationTokens, Record
from tp_core.interop.generation_keys import MAPPED
from tp_core.spec.sections.generate import GenerateOptions

transformers = pytest.importorskip("transformers")

#: The token that ends texts, of the causal and of the encoder-decoder model.
ENDS = {"causal": 0, "seq2seq": 18}
#: Options in the terms of transformers, beside ``max_new_tokens: 12``; of those with a value per model, that of each.
OPTIONS: dict[str, dict[str, Any]] = {
    "min_new_tokens": {"min_new_tokens": 8},
    "min_length": {"min_length": 9},
    "max_length": {"max_length": 8, "max_new_tokens": None},
    "repetition_penalty": {"repetition_penalty": 1.7},
    "repetition_reward": {"repetition_penalty": 0.6},
    "no_repeat_ngram_size 1": {"no_repeat_ngram_size": 1},
    "no_repeat_ngram_size 2": {"no_repeat_ngram_size": 2},
    "no_repeat_ngram_size 3": {"no_repeat_ngram_size": 3, "repetition_penalty": 0.6},
    "encoder_no_repeat_ngram_size": {"encoder_no_repeat_ngram_size": 1, "min_new_tokens": 10},
    "encoder_no_repeat_ngram_size 2": {"encoder_no_repeat_ngram_size": 2, "repetition_penalty": 0.6},
    "suppress_tokens": {"suppress_tokens": [*range(3, 15)]},
    "begin_suppress_tokens": {"begin_suppress_tokens": [*range(1, 30)]},
    "forced_bos_token_id": {"forced_bos_token_id": 7},
    "forced_bos and begin_suppress": {"forced_bos_token_id": 7, "begin_suppress_tokens": [*range(1, 30)]},
    "forced_eos_token_id": {"forced_eos_token_id": 9, "min_new_tokens": 10},
    "eos_token_id": {"eos_token_id": [*range(20, 30)]},
}
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "early": {"num_beams": 3, "early_stopping": True, "length_penalty": 2.0},
}


def written_by(
    loaded: Any, tokens: GenerationTokens, options: GenerateOptions, batch: Batch, records: list[Record]
) -> list[Generated]:
    writer = TextWriter(loaded.model, loaded.spec, loaded.processor, options, tokens)
    with evaluating(loaded.model):
        return writer(batch, range(batch.size), records)


class Pair:
    """A model of ours and the same of theirs."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.end = ENDS[kind]
        self.start = () if kind == "causal" else (0,)
        model, self.theirs = gpt2(folder) if kind == "causal" else encoder_decoder(folder)
        with torch.no_grad():
            if kind == "causal":  # ends have to be probable to be seen
                self.theirs.transformer.wte.weight[0] *= 2
                weights = hf_weights.gpt2(self.theirs.state_dict(), heads=4)
            else:  # otherwise each text repeats one token
                for name, weight in self.theirs.decoder.named_parameters():
                    weight *= 2 if "Attention" in name else 3 if "Dense" in name else 4 if "final" in name else 1
                weights = t5(self.theirs.state_dict(), gated=True, tied=True)
        model.load_weights(weights)
        spec = load_spec(folder / "spec.yaml")
        self.loaded = LoadedModel(model, spec, None, None, torch.device("cpu"))
        self._free: dict[str, list[list[int]]] = {}

    def free(self, search: str) -> list[list[int]]:
        """The ids that theirs writes by a search without other options."""
        if search not in self._free:
            self._free[search] = self.expected(SEARCHES[search])
        return self._free[search]

    def expected(self, options: dict[str, Any]) -> list[list[int]]:
        """The ids that theirs writes behind each prompt, up to the end."""
        eos = [self.end, *options.get("eos_token_id", [])]
        given = {"max_new_tokens": 12, "do_sample": False, **options, "eos_token_id": eos, "pad_token_id": 0}
        texts = []
        for row, length in zip(prompts(left=False)["input_ids"], LENGTHS):
            with torch.inference_mode():
                output = self.theirs.generate(input_ids=row[:length][None], **given)
            text = output[0].tolist()[len(self.start) or length :]
            ends = [place for place, token in enumerate(text) if token in eos]
            texts.append(text[: ends[0]] if ends else text)
        return texts

    def written(self, options: dict[str, Any]) -> list[list[int]]:
        given = {"max_new_tokens": 12, **options}
        ours = GenerateOptions(**{MAPPED[name]: value for name, value in given.items()})
        batch = Batch.of(prompts(left=False), len(LENGTHS))
        tokens = GenerationTokens(self.start, (self.end,))
        records = [Record({}, "prompts", line) for line in range(len(LENGTHS))]
        texts = written_by(self.loaded, tokens, ours, batch, records)
        # What a decoder's text begins with is no part of the text, and theirs shows it.
        forced = [options["forced_bos_token_id"]] if self.start and "forced_bos_token_id" in options else []
        return [[*forced, *text.ids] for text in texts]


@pytest.fixture(scope="module", params=["causal", pytest.param("seq2seq", marks=pytest.mark.slow)])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("pair"), request.param)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_does_what_it_does_in_transformers(pair: Pair, name: str) -> None:
    changed = 0
    for search, how in SEARCHES.items():
        options = {**OPTIONS[name], **how}
        expected = pair.expected(options)
        assert pair.written(options) == expected
        changed += expected != pair.free(search)
    # An option that had no effect on these texts would not be tested by them.
    assert changed > 1


def test_of_several_forced_ends_one_is_written(pair: Pair) -> None:
    # Not by beams: among ends that are forced, and so of one score, the choice is nobody's.
    options = {"forced_eos_token_id": [9, 4], "min_new_tokens": 12}
    expected = pair.expected(options)
    assert pair.written(options) == expected
    assert {text[-1] for text in expected} <= {9, 4}


def test_rows_of_tokens_that_may_not_be_written_are_not(pair: Pair) -> None:
    for search, how in SEARCHES.items():
        free = pair.free(search)
        longest = max(free, key=len)
        words = [longest[1:3], longest[2:6], [longest[0]], [pair.end], *([text[0]] for text in free if text)]
        options = {"bad_words_ids": words, **how}
        expected = pair.expected(options)
        assert pair.written(options) == expected
        assert expected != free


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("early_stopping", [False, True, "never"])
def test_searches_stop_when_those_of_transformers_do(
    pair: Pair, early_stopping: bool | str, length_penalty: float
) -> None:
    for beams in (2, 4):
        options = {"num_beams": beams, "early_stopping": early_stopping, "length_penalty": length_penalty}
        assert pair.written(options) == pair.expected(options)


def test_kinds_of_stopping_differ(pair: Pair) -> None:
    texts = [pair.expected({"num_beams": 4, "early_stopping": how, "length_penalty": 3.0}) for how in (True, "never")]
    assert texts[0] != texts[1]


def test_the_options_of_a_published_summariser_together(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "seq2seq")
    options = {  # those of bart-large-cnn, and shorter
        "num_beams": 4,
        "max_length": 14,
        "min_length": 6,
        "no_repeat_ngram_size": 3,
        "length_penalty": 2.0,
        "early_stopping": True,
        "forced_bos_token_id": 5,
        "forced_eos_token_id": pair.end,
        "max_new_tokens": None,
    }
    expected = pair.expected(options)
    assert pair.written(options) == expected
    assert {len(text) for text in expected} != {12}


# -- sampling ------------------------------------------------------------------------------------------------------


def scores() -> Tensor:
    made = torch.randn(40, 50, generator=torch.Generator().manual_seed(0)) * 2
    made[5:20, ::7] = -torch.inf  # tokens that another rule has excluded
    made[3] = made[3].round()  # several of the same score
    return made


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Temperature(0.6), ("TemperatureLogitsWarper", 0.6)),
        (TopK(5), ("TopKLogitsWarper", 5)),
        (TopK(99), ("TopKLogitsWarper", 99)),
        (TopP(0.9), ("TopPLogitsWarper", 0.9)),
        (TopP(0.05), ("TopPLogitsWarper", 0.05)),
        (MinP(0.1), ("MinPLogitsWarper", 0.1)),
        (Typical(0.9), ("TypicalLogitsWarper", 0.9)),
        (Typical(0.2), ("TypicalLogitsWarper", 0.2)),
    ],
    ids=str,
)
def test_a_filter_leaves_what_that_of_transformers_leaves(ours: Any, theirs: tuple[str, float]) -> None:
    given = scores()
    expected = getattr(transformers, theirs[0])(theirs[1])(torch.zeros(40, 0, dtype=torch.long), given.clone())
    assert torch.equal(ours(given.clone(), Written.of([[]] * 40, [1] * 40, given.device)), expected)
    assert not torch.equal(expected, given) or ours == TopK(99)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7, "top_k": 12, "top_p": 0.8, "min_p": 0.05, "typical_p": 0.9},
        {"top_k": 20, "repetition_penalty": 1.4, "no_repeat_ngram_size": 1, "temperature": 2.0},
        {"top_k": 0, "top_p": 0.7, "suppress_tokens": [3, 4], "min_new_tokens": 2, "begin_suppress_tokens": [8]},
    ],
    ids=str,
)
def test_rules_and_filters_are_applied_in_the_order_of_transformers(pair: Pair, options: dict[str, Any]) -> None:
    ours = GenerateOptions(sample=True, **options)
    for row, length in zip(prompts(left=False)["input_ids"], LENGTHS):
        ids = row[:length][None]
        given = {"do_sample": True, "eos_token_id": pair.end, "pad_token_id": 0, "output_logits": True, **options}
        with torch.inference_mode():
            found = pair.theirs.generate(
                input_ids=ids, max_new_tokens=3, output_scores=True, return_dict_in_generate=True, **given
            )
        prompt = [*pair.start] or ids[0].tolist()
        texts = Written.of([prompt], [3], ids.device)
        chain = [*rules_of(ours, (pair.end,), (), [ids[0].tolist()], ids.device)]
        assert chain[-len([*filters_of(ours)]) :] == [*filters_of(ours)]
        for step, (raw, expected) in enumerate(zip(found.logits, found.scores)):
            if step:
                texts.append(found.sequences[:, len(prompt) + step - 1])
            left = raw.clone()
            for rule in chain:
                left = rule(left, texts)
            assert torch.equal(left, expected)
            assert torch.isneginf(left).sum() < VOCABULARY


def test_samples_are_drawn_from_what_the_filters_leave(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "causal")
    row = prompts(left=False)["input_ids"][0][: LENGTHS[0]]
    with torch.inference_mode():
        logits = pair.theirs(row[None]).logits[0, -1]
    kept = TopK(3)(logits[None], Written.of([[]], [1], logits.device))[0]
    count = 600
    batch = Batch.of({"input_ids": row.expand(count, -1)}, count)
    options = GenerateOptions(max_new_tokens=1, sample=True, top_k=3, seed=4)
    records = [Record({}, "prompts", 1)] * count
    texts = written_by(pair.loaded, GenerationTokens((), ()), options, batch, records)
    shares = torch.bincount(torch.tensor([text.ids[0] for text in texts]), minlength=VOCABULARY) / count
    assert torch.allclose(shares, kept.softmax(0), atol=0.07)
    assert int((shares > 0).sum()) == 3
