"""Ports of a third party's module in a form that they must not have: one message, at the module's place."""

from __future__ import annotations

from pathlib import Path

import pytest

import tp_core

_FILE = """
from typing import ClassVar

from tp_core import EncoderConfig, FieldSpec, Port, TargetConfig


def made(ports):
    return eval(ports)


class OddTargetConfig(TargetConfig):
    '''A target with odd ports.'''

    ports: str

    def requires(self, context):
        return made(self.ports)


class OddEncoderConfig(EncoderConfig):
    '''An encoder with odd ports.'''

    ports: str = "{}"
    gone: str = "()"

    def provides(self, context):
        return made(self.ports)

    def withdraws(self, context):
        return made(self.gone)
"""

_SPEC = """
model:
  hidden_size: 8
  embedding: word
  encoder: {encoder}
  target: {target}
data:
  processor: bert
"""


def _message(folder: Path, encoder: str = "gru", target: str = "mlm") -> str:
    (folder / "odd_ports.py").write_text(_FILE)
    spec = folder / "spec.yaml"
    spec.write_text(_SPEC.format(encoder=encoder, target=target))
    with pytest.raises(tp_core.TPError) as error:
        tp_core.load_spec(spec)
    return str(error.value)


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ("{'labels:mlm': FieldSpec()}", "gave back 'labels:mlm'; expected a dict of Ports and FieldSpecs"),
        ("{('labels', 'mlm', ''): FieldSpec()}", "gave back a tuple; expected a dict of Ports and FieldSpecs"),
        ("None", "gave back None; expected a dict of Ports and FieldSpecs"),
        ("{Port('label', 'mlm'): FieldSpec()}", "did you mean 'labels'?"),
        ("{Port.labels(''): FieldSpec()}", "expected a Port with a name"),
        ("{Port.labels('mlm', 'topic'): FieldSpec()}", "expected a Port without 'of'"),
        ("{Port.labels('mlm'): FieldSpec(3)}", "expected a shape that is a tuple"),
        ("{Port.labels('mlm'): FieldSpec(('btch', 'length'))}", "expected a shape that is a tuple"),
        ("{Port.labels('mlm'): FieldSpec(dtype='int32')}", "did you mean 'int64'?"),
        ("{Port.labels('mlm'): FieldSpec(high=2.5)}", "expected high, an integer from 0 or None"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_a_target_asks_for_in_another_form_is_told_at_its_place(tmp_path: Path, ports: str, message: str) -> None:
    told = _message(tmp_path, target=f'{{odd_ports:OddTargetConfig: {{ports: "{ports}"}}}}')
    assert "spec.yaml:6:12: model.target.odd_ports:OddTargetConfig: the local file odd_ports.py failed: " in told
    assert message in told


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("FieldSpec(('batch',))", "needs the labels 'mlm' of shape (batch); data.processor.bert gives (batch, length)"),
        (
            "FieldSpec(('length', 'batch'))",
            "needs the labels 'mlm' of shape (length, batch); data.processor.bert gives",
        ),
        ("FieldSpec(dtype='float32')", "needs the labels 'mlm' of the type float32; data.processor.bert gives int64"),
    ],
)
def test_labels_of_another_shape_or_type_do_not_fit(tmp_path: Path, spec: str, message: str) -> None:
    ports = f"{{Port.labels('mlm'): {spec}}}"
    told = _message(tmp_path, target=f'{{odd_ports:OddTargetConfig: {{ports: "{ports}"}}}}')
    assert f"spec.yaml:6:12: model.target.odd_ports:OddTargetConfig: {message}" in told


@pytest.mark.parametrize("gone", ["None", "'patches'", "['patches']", "[3]", "[Port.labels('mlm')]"])
def test_only_published_ports_are_withdrawn(tmp_path: Path, gone: str) -> None:
    told = _message(tmp_path, encoder=f'{{odd_ports:OddEncoderConfig: {{gone: "{gone}"}}}}')
    assert "model.encoder.odd_ports:OddEncoderConfig: " in told
    assert "expected a collection of published Ports" in told


def test_an_encoder_provides_ports_of_the_known_kinds(tmp_path: Path) -> None:
    told = _message(
        tmp_path, encoder="{odd_ports:OddEncoderConfig: {ports: \"{Port('state', 'causal'): FieldSpec()}\"}}"
    )
    assert "OddEncoderConfig.provides() gave back Port(kind='state'" in told
    assert "did you mean 'states'?" in told
