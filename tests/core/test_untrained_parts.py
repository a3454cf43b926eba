"""Targets, streams and decoders that training does not reach are told before it begins."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core import runs
from tp_core.errors import TPError
from tp_core.spec.checks.run import check_run
from tp_core.spec.checks.training import render_note, training_notes
from tp_core.spec.load import load_spec

SMALL = {"num_layers": 1, "num_heads": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.write_project(tmp_path_factory.mktemp("untrained"), documents=8, steps=2)
    (folder / "labelled.tsv").write_text("text\tlabel\nba be\t0\nda do\t1\n")
    return folder


def spec_of(home: Path, model: dict[str, Any], sets: dict[str, Any] | None = None, **train: Any) -> Any:
    """A spec with other parts of the model; ``sets`` takes the place of the only data set."""
    plain = runs.read_spec(home)
    plain["model"] = {**plain["model"], **model}
    plain["train"].update(train)
    if sets is not None:
        plain["data"] = {**{key: plain["data"][key] for key in ("tokenizer", "cache")}, "sets": sets}
    (home / "case.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    return load_spec(home / "case.yaml")


RUNNING = {"processor": {"bert": {"max_length": 32}}, "train": "corpus.txt"}
LABELLED = {"processor": {"cls": {"max_length": 16}}, "train": "labelled.tsv"}


def two_sets(running: list[str], labelled: list[str], **more: Any) -> dict[str, Any]:
    return {"a": {**RUNNING, "targets": running, **more}, "b": {**LABELLED, "targets": labelled}}


def streams(**other: Any) -> dict[str, Any]:
    """Two streams of texts, in place of a model's only one."""
    embedding = ["word", {"pos": {"max_length": 32}}, "seg"]
    text = {"embedding": embedding, "encoder": {"transformer": SMALL}}
    second = {"embedding": embedding, **(other or {"encoder": {"transformer": SMALL}})}
    return {"embedding": None, "encoder": None, "num_layers": None, "streams": {"text": text, "other": second}}


def without_nulls(model: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if value is not None}


# -- data sets in turn ----------------------------------------------------------------------------------------------


def test_a_target_that_no_set_feeds_is_an_error_with_its_line_and_the_sets(home: Path) -> None:
    spec = spec_of(home, {"target": ["mlm", "sp", "cls"]}, two_sets(["mlm"], ["cls"]))
    with pytest.raises(TPError) as caught:
        check_run(spec)
    message = str(caught.value)
    line = (home / "case.yaml").read_text().splitlines().index("  - sp") + 1
    assert message.startswith(f"{home / 'case.yaml'}:{line}:"), message
    assert (
        "model.target.sp: no data set feeds the target 'sp' (data.sets.a feeds mlm; data.sets.b feeds cls): "
        "add it to one of them, or remove it" in message
    )


def test_training_refuses_it_as_check_does(home: Path) -> None:
    spec_of(home, {"target": ["mlm", "sp", "cls"]}, two_sets(["mlm"], ["cls"]))
    for arguments in (("check",), ("train",)):
        said = runs.run_tp(home, *arguments, "case.yaml", status=2)
        assert said.count("no data set feeds the target 'sp'") == 1


def test_a_set_that_names_no_targets_feeds_all(home: Path) -> None:
    sets = {"a": RUNNING, "b": {**RUNNING, "train": "held_out.txt", "targets": ["mlm"]}}
    check_run(spec_of(home, {"target": ["mlm", "sp"]}, sets))


def test_a_named_target_is_meant_by_its_name(home: Path) -> None:
    sets = two_sets(["mlm", "sp"], ["first"])
    target = ["mlm", "sp", {"cls": {"name": "first"}}, {"cls": {"name": "second"}}]
    with pytest.raises(TPError, match=r"no data set feeds the target 'second' \(data.sets.a feeds mlm, sp"):
        check_run(spec_of(home, {"target": target}, sets))


def test_a_stream_that_no_set_feeds_is_an_error(home: Path) -> None:
    plain = runs.read_spec(home)
    plain["model"] = without_nulls({**plain["model"], **streams(), "target": [{"mlm": {"stream": "text"}}]})
    plain["data"] = {"tokenizer": plain["data"]["tokenizer"], "sets": {"a": {**RUNNING, "streams": ["text"]}}}
    (home / "streams.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    with pytest.raises(TPError, match=r"model.streams.other: no data set feeds this stream \(data.sets.a feeds text\)"):
        check_run(load_spec(home / "streams.yaml"))
    plain["model"]["streams"]["other"] = "text"  # the same stream, with the same weights
    (home / "streams.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    check_run(load_spec(home / "streams.yaml"))


def test_a_decoder_that_a_set_does_not_feed_is_an_error(home: Path) -> None:
    decoder = {"target_embedding": ["word"], "decoder": {"transformer": {"num_layers": 1}}, "target": ["lm"]}
    with pytest.raises(TPError, match=r"needs the decoder side's field 'input_ids'; data.sets.a.processor"):
        check_run(spec_of(home, decoder, {"a": {**RUNNING, "targets": ["lm"]}}))


@pytest.mark.parametrize("share", [0, -1])
def test_a_share_of_nothing_is_refused(home: Path, share: int) -> None:
    with pytest.raises(TPError, match=f"data.sets.a.share: must be greater than 0, got {share}"):
        spec_of(home, {"target": ["mlm", "cls"]}, two_sets(["mlm"], ["cls"], share=share))


# -- weights of 0 ---------------------------------------------------------------------------------------------------


def notes(spec: Any) -> list[str]:
    return [f"{note.path}: {note.message}" for note in training_notes(spec)]


def test_a_target_of_weight_0_is_noted(home: Path) -> None:
    spec = spec_of(home, {"target": ["mlm", {"sp": {"weight": 0.0}}]})
    check_run(spec)
    assert notes(spec) == ["model.target.sp.weight: is 0: the loss of 'sp' is measured, and trains nothing"]
    (note,) = training_notes(spec)
    assert re.match(r".*case\.yaml:\d+:\d+: model\.target\.sp\.weight: note: is 0", render_note(note))


def test_nothing_is_noted_of_a_model_whose_parts_are_all_trained(home: Path) -> None:
    assert notes(spec_of(home, {})) == []


def test_a_model_that_would_learn_nothing_is_refused(home: Path) -> None:
    nothing = {"target": [{"mlm": {"weight": 0.0}}, {"sp": {"weight": 0.0}}]}
    with pytest.raises(TPError, match="the targets of the model have weight 0: mlm, sp; nothing would be trained"):
        check_run(spec_of(home, nothing))


def test_a_set_that_would_train_nothing_is_refused(home: Path) -> None:
    target = ["mlm", {"cls": {"weight": 0.0}}]
    with pytest.raises(
        TPError, match=r"data\.sets\.b: the targets of the data set 'b' have weight 0: cls; nothing would"
    ):
        check_run(spec_of(home, {"target": target}, two_sets(["mlm"], ["cls"])))


def test_a_target_of_weight_0_is_measured_and_stays_as_it_was_drawn(home: Path) -> None:
    from tests.core.runs import metrics, weights
    from tp_core import build_model

    spec = spec_of(home, {"target": ["mlm", {"sp": {"weight": 0.0}}]}, optimizer={"adamw": {"weight_decay": 0.5}})
    runs.run_tp(home, "train", "case.yaml", "--run", "measured", "train.log_every=1")
    before, after = build_model(spec).weights(), weights(home / "measured")
    heads = [name for name in before if name.startswith("targets.sp.")]
    assert heads
    assert all(bool((before[name] == after[name]).all()) for name in heads)
    lines = metrics(home / "measured")
    assert all(line["loss/sp"] > 0.1 for line in lines)
    assert all(line["loss"] == pytest.approx(line["loss/mlm"]) for line in lines)


# -- parts that no target reads -------------------------------------------------------------------------------------


def model_spec(home: Path, **model: Any) -> Any:
    """A spec of two streams, to be looked at and not trained: no processor feeds them so."""
    plain = runs.read_spec(home)
    plain["model"] = without_nulls({**plain["model"], **model})
    del plain["data"]["processor"]
    (home / "model.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    return load_spec(home / "model.yaml")


UNREAD = "model.streams.other: no target reads this stream: it is computed, and not trained"
READS_TEXT = [{"mlm": {"stream": "text"}}]


@pytest.mark.parametrize(
    ("target", "other", "expected"),
    [
        (READS_TEXT, {}, [UNREAD]),
        (["mlm"], {}, [UNREAD]),  # the first one, where it says nothing else
        ([{"mlm": {"stream": "text"}}, {"mlm": {"stream": "other", "name": "more"}}], {}, []),
        (["clr"], {}, []),
        ([*READS_TEXT, {"clr": {"weight": 0.0}}], {}, [UNREAD]),
        (
            *(READS_TEXT, {"encoder_of": "text"}),
            ["model.streams.other: no target reads this stream: its embedding is computed, and not trained"],
        ),
        ([{"mlm": {"stream": "other"}}], {}, [UNREAD.replace("other", "text")]),
    ],
)
def test_a_stream_that_no_target_is_trained_on_is_noted(
    home: Path, target: list[Any], other: dict[str, Any], expected: list[str]
) -> None:
    found = notes(model_spec(home, **streams(**other), target=target))
    assert [note for note in found if ".streams." in note] == expected


def test_a_stream_that_is_another_is_trained_with_it(home: Path) -> None:
    parts = streams()
    parts["streams"]["other"] = "text"
    assert notes(model_spec(home, **parts, target=READS_TEXT)) == []


def test_a_target_of_weight_0_whose_scores_another_learns_through_is_trained(home: Path) -> None:
    teacher = home / "teacher"
    teacher.mkdir(exist_ok=True)
    distill = {"distill": {"teacher": "teacher", "of": "mlm"}}
    target = [{"mlm": {"stream": "text", "weight": 0.0}}, {**distill}]
    spec = spec_of(home, {"target": [{"mlm": {"weight": 0.0}}, distill]})
    assert notes(spec) == ["model.target.mlm.weight: is 0: the loss of 'mlm' is measured, and trains nothing"]
    found = notes(
        model_spec(home, **streams(), target=[{**target[0]}, {"distill": {**distill["distill"], "stream": "text"}}])
    )
    assert [note for note in found if ".streams." in note] == [UNREAD]
    shutil.rmtree(teacher)


def test_the_notes_are_a_part_of_the_json(home: Path) -> None:
    spec_of(home, {"target": ["mlm", {"sp": {"weight": 0.0}}]})
    found = json.loads(runs.run_tp(home, "check", "case.yaml", "--json"))
    assert found["ok"]
    assert [note["path"] for note in found["notes"]] == ["model.target.sp.weight"]
