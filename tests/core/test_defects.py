"""Damaged metadata, unknown groups and unmet requirements are listed, and hide nothing that is sound."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from packaging.metadata import Metadata

from tests.core.shelf import Shelf, shelf_alone
from tests.core.shelf import shelf as shelf
from tp_core import discovery
from tp_core.cli.main import cli
from tp_core.packages import defects, metadata
from tp_core.packages.first_party import FILE, first_party

ROOT = Path(__file__).resolve().parents[2]


def tp(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="tp")


def listed() -> dict[str, list[str]]:
    """Distribution → what ``tp modules`` says of its metadata."""
    result = tp("modules", "--kind", "package", "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, list[str]] = {}
    for row in json.loads(result.output):
        found.setdefault(row["distribution"], []).append(row["note"])
    return found


def change(shelf: Shelf, name: str, file: str, content: bytes) -> None:
    """Replace a file of an installed distribution's metadata."""
    (shelf.folder / f"{name.replace('-', '_')}-1.5.dist-info" / file).write_bytes(content)


HEAD = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n"
POINTS = b"[tp.v1.encoder]\nacme.gates = acme:Config\n"

DAMAGED = {
    "latin-1": ("METADATA", HEAD + b"Author: Zo\xe9\n", "METADATA is not UTF-8: line 4 has the byte 0xe9"),
    "mark": (
        "entry_points.txt",
        b"\xef\xbb\xbf" + POINTS,
        "entry_points.txt begins with a byte order mark (UTF-8); expected UTF-8 without one",
    ),
    "utf-16": (
        "entry_points.txt",
        POINTS.decode().encode("utf-16"),
        "entry_points.txt begins with a byte order mark (UTF-16); expected UTF-8 without one",
    ),
    "zero bytes": ("entry_points.txt", POINTS + b"\0\0\n", "entry_points.txt, line 3: '\\x00\\x00' is no"),
    "no value": ("entry_points.txt", POINTS + b"half\n", "line 3: 'half' is no 'name = module:attribute'"),
    "a bad value": ("entry_points.txt", POINTS + b"b = x y:z\n", "line 3: 'b = x y:z' is no 'name = module:attribute'"),
    "an open group": (
        "entry_points.txt",
        POINTS + b"[tp.v1.target\nb = x:y\n",
        "line 3: '[tp.v1.target' is no [group]",
    ),
    "no version": (
        "METADATA",
        b"Metadata-Version: 2.1\nName: acme\n",
        "METADATA has no Version; '1.5' is that of the folder acme-1.5",
    ),
    "empty": ("METADATA", b"", "METADATA has no Name; 'acme' is that of the folder acme-1.5"),
    "a plural": (
        "entry_points.txt",
        POINTS + b"[tp.v1.encoders]\nb = x:y\n",
        "entry_points.txt, line 3: unknown group 'tp.v1.encoders'; did you mean 'encoder'?",
    ),
    "no such kind": (
        "entry_points.txt",
        POINTS + b"[tp.v1.quantum]\nb = x:y\n",
        "unknown group 'tp.v1.quantum'; the kinds are commands, converter",
    ),
    "a future core": (
        "METADATA",
        HEAD + b"Requires-Dist: tp-core>=9\n",
        "requires tp-core>=9, and 0.1.0 is installed: pip install 'tp-core>=9'",
    ),
    "a missing library": (
        "METADATA",
        HEAD + b"Requires-Dist: acme-nothing[fast]>=2,<3 ; python_version >= '3'\n",
        "requires acme-nothing<3,>=2, which is not installed: pip install 'acme-nothing<3,>=2'",
    ),
    "no requirement": ("METADATA", HEAD + b"Requires-Dist: tp-core>=>9\n", "'tp-core>=>9' is no requirement"),
}


@pytest.mark.parametrize(("file", "content", "said"), DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_wrong_with_metadata_is_listed_and_the_sound_entry_can_be_used(
    shelf: Shelf, file: str, content: bytes, said: str
) -> None:
    shelf.encoder("acme")
    change(shelf, "acme", file, content)
    assert any(said in note for note in listed()["acme"])
    assert discovery.index().find("encoder", "acme.gates").value == "acme:Config"
    assert tp("check", "bert-tiny").exit_code == 0


@pytest.mark.parametrize(
    "requirement", ["numpy", "tp-core", "tp-core>=0.1.dev0", "absent; extra == 'more'", "absent; python_version < '3'"]
)
def test_a_requirement_that_is_met_or_does_not_apply_is_no_defect(shelf: Shelf, requirement: str) -> None:
    shelf.encoder("acme")
    change(shelf, "acme", "METADATA", HEAD + f"Requires-Dist: {requirement}\n".encode())
    assert "acme" not in listed()


def test_an_upgrade_that_was_cut_short_is_listed(shelf: Shelf) -> None:
    shelf.encoder("acme")
    shelf.add("acme", {"encoder": {"acme.other": "acme:Config"}}, version="1.6")
    assert "version 1.6 is installed in" in " ".join(listed()["acme"])


def test_the_doctor_lists_them_and_ends_with_status_1(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from tp_core.cli import doctor

    monkeypatch.setattr(doctor, "libraries", lambda: iter(()))  # which takes seconds, and is tested elsewhere
    shelf.encoder("acme")
    change(shelf, "acme", "METADATA", HEAD + b"Requires-Dist: tp-core>=9\n")
    result = tp("doctor")
    assert result.exit_code == 1
    assert "BROKEN  package             acme 1.5: requires tp-core>=9, and 0.1.0 is installed" in result.output


def test_the_doctor_reports_a_group_that_no_kind_stands_behind(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from tp_core.cli import doctor

    monkeypatch.setattr(doctor, "libraries", lambda: iter(()))
    shelf.add("acme", {"optimiser": {"acme.adan": "acme:Config"}})
    result = tp("doctor")
    assert result.exit_code == 1
    told = "acme 1.5: entry_points.txt, line 1: unknown group 'tp.v1.optimiser'; did you mean 'optimizer'?"
    assert f"BROKEN  package             {told}" in result.output


def test_our_own_distributions_have_no_defects() -> None:
    assert [each for each in defects.defects() if each.distribution in first_party()] == []


def test_the_names_that_are_ours_are_those_of_our_packages() -> None:
    found = importlib.util.spec_from_file_location("generate_first_party", ROOT / "docs" / "generate_first_party.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    written = FILE.read_text(encoding="utf-8")
    assert written == module.first_party(), "run: python docs/generate_first_party.py"


def test_headers_are_those_that_packaging_reads() -> None:
    """Of the metadata of every distribution that is installed here."""
    import importlib.metadata

    for distribution in list(importlib.metadata.distributions())[:80]:
        content = metadata.raw(distribution, "METADATA")
        if not content:
            continue
        expected = Metadata.from_email(content, validate=False)
        assert metadata.header(distribution, "Name") == expected.name
        assert metadata.header(distribution, "Version") == str(expected.version)
        assert len(list(metadata.headers(distribution, "Requires-Dist"))) == len(expected.requires_dist or ())


# -- names that are ours -----------------------------------------------------------------------------------------


def spec(folder: Path, encoder: str) -> str:
    model = (
        f"{{hidden_size: 16, vocab_size: 50, embedding: word, encoder: {{{encoder}: {{num_layers: 1, num_heads: 2}}}}}}"
    )
    (folder / "spec.yaml").write_text(f"model: {model}\n")
    return str(folder / "spec.yaml")


def test_a_name_of_ours_is_ours_whoever_offers_it_too(shelf: Shelf, tmp_path: Path) -> None:
    shelf.encoder("acme", offers="transformer")
    assert discovery.index().find("encoder", "transformer").distribution == "tp-core"
    assert discovery.index().find("encoder", "transformer@acme").distribution == "acme"
    assert tp("check", spec(tmp_path, "transformer")).exit_code == 0
    assert tp("check", spec(tmp_path, "transformer@acme")).exit_code == 0
    assert tp("check", "bert-tiny").exit_code == 0


def test_a_name_of_ours_that_is_not_installed_is_not_taken_by_others(shelf: Shelf) -> None:
    shelf.add("acme", {"target": {"mlm": "acme:Config"}})
    alone = shelf_alone([str(shelf.folder)])
    with pytest.raises(discovery.UnknownModuleError) as caught:
        alone.find("target", "mlm")
    expected = "unknown target 'mlm'; it comes with tp-text: pip install tp-text; write 'mlm@acme' for that of acme 1.5"
    assert str(caught.value) == expected


@pytest.mark.parametrize("code", ["raise RuntimeError('broken')", "raise SystemExit(1)", "Config = 3"])
def test_a_converter_of_others_that_is_broken_or_named_like_ours_does_not_stop_conversions(
    shelf: Shelf, code: str
) -> None:
    from tp_core import load_spec
    from tp_core.interop.description import describe

    shelf.add("acme", {"converter": {"acme": "acme:Config", "bert": "acme:Config"}}, code)
    shelf.add("acme-two", {"converter": {"acme": "acme_two:Config"}}, code)
    found = describe(load_spec("bert-tiny", ["model.target=[mlm, sp]"]), None, None)
    assert found.name == "bert"
