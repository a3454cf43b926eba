"""Installed distributions are found as Python finds them, without the library that every command would wait for."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import discovery
from tp_core.packages import metadata
from tp_core.packages.installed import distributions, installed_version


def test_they_are_those_that_importlib_finds() -> None:
    found = [metadata.header(each, "Name") for each in distributions()]
    assert sorted(found) == sorted(each.metadata["Name"] for each in importlib.metadata.distributions())


@pytest.mark.parametrize("written", ["acme-fast.codec", "acme_fast_codec", "Acme-Fast-Codec"])
def test_a_distribution_is_found_by_its_name_however_it_is_written(shelf: Shelf, written: str) -> None:
    shelf.add("acme-fast-codec", {}, version="2.1")
    shelf.add("acme", {}, version="9")
    assert installed_version(written) == "2.1"


def test_the_first_one_on_the_path_is_meant(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add("acme", {}, version="1", folder="first")
    shelf.add("acme", {}, version="2", folder="second")
    for each in ("second", "first"):
        monkeypatch.syspath_prepend(str(shelf.folder / each))
    assert installed_version("acme") == "1"


def test_a_distribution_in_an_archive_offers_its_modules(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.encoder("acme", folder="packed")
    folder, archive = shelf.folder / "packed", shelf.folder / "acme.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in folder.rglob("*"):
            packed.write(file, file.relative_to(folder))
    monkeypatch.syspath_prepend(str(archive))
    assert discovery.index().find("encoder", "acme.gates").version == "1.5"
    assert installed_version("acme") == "1.5"


def test_an_egg_offers_its_modules(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    info = shelf.folder / "acme-1.5-py3.11.egg" / "EGG-INFO"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[tp.v1.encoder]\nacme.gates = acme:Config\n")
    monkeypatch.syspath_prepend(str(info.parent))
    assert discovery.index().find("encoder", "acme.gates").distribution == "acme"
    assert installed_version("acme") == "1.5"


def test_a_folder_that_cannot_be_listed_offers_nothing(tmp_path: Path) -> None:
    assert list(distributions([str(tmp_path / "absent")])) == []


def test_the_list_of_modules_reads_metadata_without_the_library_for_it() -> None:
    code = "import sys; from tp_core import discovery; list(discovery.index().entries()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"importlib.metadata", "importlib_metadata", "email", "zipfile"}
