"""Streams that share an encoder, an encoder that reads all streams, targets that read one of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tp_core import build_model
from tp_core.testing import features, random_batch, weights
from tp_core.testing.specs import minimal_spec, reloaded

SMALL = {"num_layers": 1, "num_heads": 2}


def tree(**more: Any) -> dict[str, Any]:
    """A wide and a narrow stream, and a target on the second."""
    return {
        "vocab_size": 31,
        "streams": {
            "wide": {"embedding": ["word"], "encoder": {"transformer": {**SMALL, "hidden_size": 24}}},
            "narrow": {"embedding": ["word", "seg"], "encoder": {"transformer": {**SMALL, "hidden_size": 16}}},
        },
        "target": {"mlm": {"stream": "narrow", "tie": False}},
        **more,
    }


def even(**more: Any) -> dict[str, Any]:
    stream = {"embedding": ["word"], "encoder": {"transformer": SMALL}}
    both = {"one": stream, "two": {"embedding": ["word", "seg"], "encoder_of": "one"}}
    return {"hidden_size": 16, "vocab_size": 31, "streams": both, "target": "clr", **more}


def test_a_target_reads_the_stream_that_it_names() -> None:
    model = build_model(minimal_spec(tree()))
    assert model.targets["mlm"].dense.in_features == 16  # type: ignore[union-attr]
    batch = random_batch(model, [5, 3])
    found = model.encode(batch)
    assert model.view(found, "mlm").sequence is found.streams["narrow"]
    model(batch).loss.backward()


def test_a_target_on_a_stream_that_is_not_there_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"the model has no stream 'narow'; did you mean 'narrow'\?"):
        minimal_spec(tree(target={"mlm": {"stream": "narow"}}))


def test_an_encoder_of_another_stream_is_the_same_module_behind_another_embedding() -> None:
    spec = minimal_spec(even())
    model = build_model(spec)
    one, two = model.streams["one"], model.streams["two"]
    assert one.encoder is two.encoder
    assert one.embedding is not two.embedding
    assert len(spec.model.chosen()) == 7  # word, a norm, transformer; word, seg, a norm; clr
    weights.check_round_trip(spec, model, [5, 3])
    assert reloaded(spec.dump()).dump() == spec.dump()


def test_a_lent_encoder_publishes_in_the_stream_that_borrows_it_too() -> None:
    patches = {"embedding": [{"patch": {"image_size": 16, "patch_size": 8}}]}
    streams = {
        "one": {**patches, "encoder": {"tests.core.odd_modules:PublishesConfig": {}}},
        "two": {**patches, "encoder_of": "one"},
    }

    def asking(**options: str) -> dict[str, Any]:
        return even(streams=streams, target={"tests.core.odd_modules:AsksForPublishedConfig": options})

    minimal_spec(asking(stream="one"))
    minimal_spec(asking(stream="two"))
    with pytest.raises(AssertionError, match="needs the published value 'patches', which no module before it provides"):
        minimal_spec(asking(stream="two", value="patches"))


def test_an_encoder_of_a_stream_that_is_not_above_is_refused() -> None:
    streams = even()["streams"]
    with pytest.raises(AssertionError, match=r"encoder_of: there is no stream 'two' above with an encoder of its own"):
        minimal_spec(even(streams={"two": streams["two"] | {"encoder_of": "two"}, "one": streams["one"]}))


def test_a_fusion_encoder_reads_all_streams_and_keeps_samples_apart() -> None:
    spec = minimal_spec(even(encoder="tests.core.joining:Config"))
    assert reloaded(spec.dump()).dump() == spec.dump()
    model = build_model(spec).eval()
    batch = random_batch(model, [5, 3, 4])
    with torch.no_grad():
        joined = model.encode(batch).streams["one"].states
        model.fusion = None
        apart = model.encode(batch).streams["one"].states
    assert not torch.allclose(joined, apart)
    features.check_independence(build_model(spec), [5, 3, 4], 1e-5)


def test_a_fusion_encoder_stands_beside_the_streams_and_nowhere_else() -> None:
    streams = even()["streams"]
    inside = {**streams, "one": streams["one"] | {"encoder": "tests.core.joining:Config"}}
    with pytest.raises(AssertionError, match=r"write it at model.encoder, beside the streams"):
        minimal_spec(even(streams=inside))
    with pytest.raises(AssertionError, match="'transformer' reads one sequence, and the model has streams"):
        minimal_spec(even(encoder={"transformer": SMALL}))
