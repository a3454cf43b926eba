"""``tp doctor`` warns of names that several distributions offer, and says how to write each."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core.cli.main import cli
from tp_core.packages.clashes import clashes


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines in which the doctor warns, once it is asked; its slow sections are tested elsewhere."""
    from tp_core.cli import doctor

    for section in ("libraries", "devices", "plugins"):
        monkeypatch.setattr(doctor, section, lambda: iter(()))
    result = CliRunner().invoke(cli, ["doctor"], prog_name="tp")
    assert result.exit_code == 0, result.output
    return [line for line in result.output.splitlines() if line.startswith("warn ")]


def test_an_installation_of_ours_alone_has_none() -> None:
    assert list(clashes()) == []


def test_a_third_partys_module_with_a_name_of_ours_is_written_with_its_distribution(shelf: Shelf) -> None:
    shelf.encoder("acme-fast", offers="transformer")
    assert list(clashes()) == [
        "encoder 'transformer' is offered by tp-core and acme-fast 1.5: 'transformer' is that of tp-core; "
        "write 'transformer@acme-fast' for that of acme-fast"
    ]


def test_so_is_one_with_the_name_of_a_package_of_ours_that_is_not_installed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tp_core.packages import first_party

    ours = {**first_party.first_party(), "tp-absent": {"encoder": ["mamba"]}}
    monkeypatch.setattr("tp_core.discovery.first_party", lambda: ours)
    shelf.encoder("acme", offers="mamba")
    assert list(clashes()) == [
        "encoder 'mamba' is offered by tp-absent and acme 1.5: 'mamba' is that of tp-absent; "
        "write 'mamba@acme' for that of acme"
    ]


def test_a_name_of_two_third_parties_is_written_with_the_distribution_of_either(shelf: Shelf) -> None:
    for name, version in (("acme-a", "1.5"), ("acme-b", "2.0")):
        shelf.encoder(name, offers="acme.gates", version=version)
    assert list(clashes()) == [
        "encoder 'acme.gates' is offered by acme-a 1.5 and acme-b 2.0: "
        "write 'acme.gates@acme-a' for that of acme-a or 'acme.gates@acme-b' for that of acme-b"
    ]


def test_one_name_in_two_kinds_is_no_clash(shelf: Shelf) -> None:
    shelf.add("acme-a", {"encoder": {"acme.both": "acme_a:A"}})
    shelf.add("acme-b", {"decoder": {"acme.both": "acme_b:B"}})
    assert list(clashes()) == []


@pytest.mark.parametrize(("group", "called"), [("commands", "command"), ("kinds", "kind")])
def test_of_names_that_no_spec_chooses_among_one_is_to_go(shelf: Shelf, group: str, called: str) -> None:
    for name in ("acme-a", "acme-b"):
        shelf.add(name, {group: {"acme_codec": f"{name.replace('-', '_')}:x"}})
    assert list(clashes()) == [
        f"{called} 'acme_codec' is offered by acme-a 1.5 and acme-b 1.5: only one of them can be used; "
        "uninstall acme-a or acme-b"
    ]


def test_the_doctor_warns_of_them_and_nothing_counts_as_broken(shelf: Shelf, request: pytest.FixtureRequest) -> None:
    shelf.encoder("acme-fast", offers="transformer")
    (line,) = request.getfixturevalue("doctor")
    assert "'transformer@acme-fast'" in line


def test_a_broken_module_with_a_name_of_ours_is_a_clash_as_well(shelf: Shelf) -> None:
    shelf.encoder("acme", "import nothing_of_that_name\n", offers="transformer")
    assert "write 'transformer@acme'" in " ".join(clashes())
