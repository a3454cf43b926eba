"""Tables of an evaluation: figures per class and the confusion matrix, against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from tests.building import CONTENT, batch_of, build, randomised, tokens
from tp_core.diagram.matrix import draw_matrix
from tp_core.errors import TPError
from tp_core.evaluation.totals import Totals, divided
from tp_core.interfaces import IGNORE
from tp_core.metrics.counts import class_counts, confusion_counts
from tp_core.metrics.table_forms import as_json, as_text, as_tsv
from tp_core.metrics.tables import PER_CLASS, Matrix, Table, TableFacts, confusion, per_class
from tp_core.modules.targets.classification_options import ClassificationConfig
from tp_core.options.context import BuildContext
from tp_core.processes.group import ProcessGroup
from tp_core.testing.metrics import check_tables

SVG = "{http://www.w3.org/2000/svg}"


def drawn(classes: int, among: list[int] | None, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    labels, others = rng.choice(among or classes, (2, 150))
    return labels, np.where(rng.random(150) < 0.5, labels, others)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("classes", "among"), [(2, None), (5, None), (7, [0, 2, 5]), (3, [1])])
def test_figures_per_class_are_those_of_scikit_learns_report(classes: int, among: list[int] | None, seed: int) -> None:
    labels, predicted = drawn(classes, among, seed)
    names = [f"class {number}" for number in range(classes)]
    found = per_class(names, class_counts(torch.tensor(predicted), torch.tensor(labels), classes).numpy())
    rows = {str(name): figures for name, *figures in found.rows}
    whole = sklearn.classification_report(
        labels, predicted, labels=range(classes), target_names=names, output_dict=True
    )
    for name in names:
        assert rows[name] == pytest.approx([whole[name][key] for key in ("precision", "recall", "f1-score", "support")])
    there = sklearn.classification_report(labels, predicted, output_dict=True)  # averages over the classes that occur
    for ours, theirs in (("macro average", "macro avg"), ("weighted average", "weighted avg")):
        expected = [there[theirs][key] for key in ("precision", "recall", "f1-score", "support")]
        assert rows[ours] == pytest.approx(expected)
    assert rows["accuracy"] == [None, None, pytest.approx(there["accuracy"]), 150]


@pytest.mark.parametrize(("classes", "among"), [(2, None), (5, None), (7, [0, 2, 5])])
def test_the_confusion_matrix_is_scikit_learns(classes: int, among: list[int] | None) -> None:
    labels, predicted = drawn(classes, among, 0)
    counted = np.random.default_rng(1).random(150) < 0.7
    given = torch.tensor(np.where(counted, labels, IGNORE))
    counts = confusion_counts(torch.tensor(predicted), given, classes, torch.tensor(counted))
    expected = sklearn.confusion_matrix(labels[counted], predicted[counted], labels=range(classes))
    assert counts.dtype == torch.int64
    found = confusion(None, counts.double().numpy())
    assert found.matrix is not None
    assert np.array_equal(found.matrix.counts, expected)
    assert [list(row[1:]) for row in found.rows] == expected.tolist()
    assert found.columns[1:] == found.matrix.names == tuple(map(str, range(classes)))


def test_a_classifier_gives_the_states_of_the_tables_that_it_declares(tmp_path: Path) -> None:
    model = {
        "hidden_size": 8,
        "vocab_size": 41,
        "embedding": [CONTENT],
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
        "target": [{"cls": {"num_labels": 3}}],
    }
    made = randomised(build(tmp_path, model), std=0.6)
    target, totals, every = made.named_targets()["cls"], Totals(torch.device("cpu")), []
    for seed in range(3):
        labels = torch.tensor([0, 2, IGNORE, 1])
        soft = {"labels": torch.eye(3)[[0, 1, 2, 0]], "classes": torch.tensor([0, 1, 2, 1])}
        batch = batch_of({"cls": soft if seed else {"labels": labels}}, input_ids=tokens(4, 6, seed=seed))
        features = made.encode(batch)
        totals.add(divided(target.tables(features, batch))[0])
        predicted = [each["label"] for each in target.predict(features, batch)]
        given = soft["classes"].tolist() if seed else labels.tolist()
        every += [(label, found) for label, found in zip(given, predicted) if label != IGNORE]
    states = totals.read(ProcessGroup())
    facts = ClassificationConfig(num_labels=3).tables(BuildContext())
    assert states.keys() == facts.keys() == {"classes", "confusion"}
    expected = sklearn.confusion_matrix(*zip(*every), labels=range(3))
    found = facts["confusion"].compute(["a", "b", "c"], *states["confusion"])
    assert [list(row) for row in found.rows] == [[name, *row] for name, row in zip("abc", expected.tolist())]
    rows = facts["classes"].compute(["a", "b", "c"], *states["classes"]).rows
    assert [row[4] for row in rows[:3]] == expected.sum(axis=1).tolist()


def test_the_conformance_kit_finds_tables_that_are_not_declared_or_not_rectangular() -> None:
    states: dict[str, Any] = {"classes": (torch.zeros(3, 2),)}
    check_tables(states, {"classes": PER_CLASS})
    with pytest.raises(AssertionError, match=r"the target gives classes; tables\(\) of its config declares none"):
        check_tables(states, {})
    odd = TableFacts(lambda names, counts: Table(("class", "f1"), (("a", 1.0), ("b",))))
    with pytest.raises(AssertionError, match="the table 'classes' has 2 columns, but a row has 1 cells"):
        check_tables(states, {"classes": odd})


def test_very_many_classes_have_no_confusion_matrix() -> None:
    assert set(ClassificationConfig(num_labels=2000).tables(BuildContext())) == {"classes", "confusion"}
    assert set(ClassificationConfig(num_labels=2001).tables(BuildContext())) == {"classes"}


def test_averages_of_nothing_have_no_value() -> None:
    *classes, accuracy, macro, weighted = per_class(None, np.zeros((3, 2))).rows
    assert classes == [("0", 0.0, 0.0, 0.0, 0), ("1", 0.0, 0.0, 0.0, 0)]
    assert accuracy == ("accuracy", None, None, None, 0)
    assert macro[1:] == weighted[1:] == (None, None, None, 0)


def test_names_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(TPError, match="expected 2 names of classes, got 3"):
        per_class(["a", "b", "c"], np.zeros((3, 2)))


TABLE = Table(
    ("class", "f1", "labels"), (("差评", 1 / 3, 12), ("tab\tand\nline", float("nan"), 3), ("accuracy", None, 15))
)


def test_text_has_aligned_columns_also_with_wide_letters() -> None:
    assert as_text(TABLE).splitlines() == [
        "class             f1  labels",
        "差评          0.3333      12",
        "tab and line               3",
        "accuracy                  15",
    ]


def test_tsv_has_all_digits_and_one_line_per_row() -> None:
    assert as_tsv(TABLE).splitlines() == [
        "class\tf1\tlabels",
        f"差评\t{1 / 3!r}\t12",
        "tab and line\t\t3",
        "accuracy\t\t15",
    ]


def test_json_has_the_same_values_with_null_for_none() -> None:
    found = json.loads(as_json(TABLE))
    assert found == {
        "columns": ["class", "f1", "labels"],
        "rows": [["差评", 1 / 3, 12], ["tab\tand\nline", None, 3], ["accuracy", None, 15]],
    }


def colours(picture: str) -> list[str]:
    """The colours of the cells of a picture, in order."""
    found = [each.get("fill") or "" for each in ElementTree.fromstring(picture).iter(f"{SVG}rect")]
    return [colour for colour in found if colour not in ("#ffffff", "none")]


def test_the_picture_has_the_names_and_a_cell_for_each_pair_of_classes() -> None:
    counts = np.array([[5, 0, 0], [1, 3, 0], [2, 2, 1204]])
    picture = draw_matrix(Matrix(("<b>", "good & fair", "差"), counts), "A & B")
    texts = [each.text or "" for each in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    assert {"A & B (1.22K samples)", "<b>", "good & fair", "差", "prediction", "label"} <= set(texts)
    assert [text for text in texts if text[0].isdigit()] == ["5", "0", "0", "1", "3", "0", "2", "2", "1.2K"]
    found = colours(picture)
    assert len(found) == 9
    assert found[0] == "#175494"  # the share of its row is 1
    assert found[1] == found[5] == "#f7fafd"


@pytest.mark.parametrize("size", [31, 400])
def test_a_large_matrix_is_drawn_without_numbers_and_empty_cells(size: int) -> None:
    counts = np.eye(size, dtype=np.int64) * 3
    counts[0, 5] = 1
    picture = draw_matrix(Matrix(tuple(f"class {n}" for n in range(size)), counts))
    assert len(colours(picture)) == size + 1
    root = ElementTree.fromstring(picture)
    assert float(root.get("width") or 0) < 1700
    texts = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert ("class 7" in texts) == (size == 31)
    assert "3" not in texts
