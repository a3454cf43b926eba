"""``tp modules``: list the installed modules and presets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from tp_core.cli.streams import results_alone
from tp_core.cli.usage import examples
from tp_core.terminal import tell

#: Kind of the rows that describe whole packages.
PACKAGE = "package"


class Row(NamedTuple):
    """One row of the list. ``note`` states the problem if the status is not ``ok``."""

    kind: str
    name: str
    distribution: str
    version: str
    status: str
    description: str
    note: str = ""


@click.command(
    epilog=examples(
        "tp modules", "tp modules --kind encoder", "tp modules --json | jq '.[] | select(.status != \"ok\")'"
    )
)
@click.option("--kind", metavar="KIND", help="Only modules of this kind: embedding, encoder, optimizer, presets, ...")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects as JSON.")
def modules(kind: str | None, as_json: bool) -> None:
    """List the modules that a spec may name, with their packages.

    A module that cannot be loaded is listed as broken, with the cause. If one of our own packages has a module of the
    same name, a module is listed as shadowed, with the name that selects it. A package with damaged metadata is listed
    as a package.
    """
    from tp_core.discovery import index

    known = [*index().kinds, PACKAGE]
    if kind is not None and kind not in known:
        from tp_core.suggest import did_you_mean

        near = did_you_mean(kind, known) or f"the kinds are {', '.join(known)}"
        raise click.BadParameter(f"unknown kind '{kind}'; {near}", param_hint="--kind")
    with results_alone():
        found = list(rows(kind))
    if as_json:
        import json

        tell(json.dumps([row._asdict() for row in found], indent=2, ensure_ascii=False))
    else:
        tell(table(found))


def rows(kind: str | None = None) -> Iterator[Row]:
    """The modules of one kind or of all kinds, sorted by kind and name, and the packages with damaged metadata."""
    from tp_core.discovery import index

    for each in [k for k in index().kinds if kind in (None, k)]:
        entries = list(index().entries(each))
        names = [entry.name for entry in entries]
        for entry in entries:
            yield _row(entry, ambiguous=names.count(entry.name) > 1)
    if kind in (None, PACKAGE):
        from tp_core.packages.defects import defects

        for defect in defects():
            yield Row(PACKAGE, defect.distribution, defect.distribution, defect.version, "broken", "", defect.text)


def _row(entry: Any, ambiguous: bool) -> Row:
    """The row of one entry; ``ambiguous`` is True if several packages offer its name."""
    from tp_core.discovery import BrokenModuleError, is_own, owner_of
    from tp_core.errors import describe_error

    start = (entry.kind, entry.name, entry.distribution, entry.version)
    try:
        description = _preset(entry) if entry.kind == "presets" else _described(entry)
    except BrokenModuleError as error:
        return Row(*start, "broken", "", describe_error(error.cause))
    way = f"write {entry.name}@{entry.distribution} for this one"
    if is_own(entry):
        return Row(*start, "ok", description)
    if owner := owner_of(entry.kind, entry.name) or _owner_among(entry):
        return Row(*start, "shadowed", description, f"{entry.name} alone is that of {owner}; {way}")
    return Row(*start, "ambiguous", description, way) if ambiguous else Row(*start, "ok", description)


def _owner_among(entry: Any) -> str:
    """Our own distribution that offers the same name as an entry, if there is one."""
    from tp_core.discovery import index, is_own

    same = (each for each in index().entries(entry.kind) if each.name == entry.name and is_own(each))
    return next((each.distribution for each in same), "")


def _described(entry: Any) -> str:
    """The description of the object that an entry names, such as a config class or a command."""
    from tp_core.discovery import BrokenModuleError, load
    from tp_core.options.base import ModuleConfig

    value = load(entry)
    if isinstance(value, type) and issubclass(value, ModuleConfig) and value.kind == entry.kind:
        return value.summary().replace("``", "")
    if isinstance(value, click.Command):
        return value.get_short_help_str(200)
    if entry.kind in ("converter", "commands"):
        return (getattr(value, "__doc__", None) or "").strip().partition("\n")[0]
    raise BrokenModuleError(entry, TypeError(f"{value!r} is no config class of the kind {entry.kind}"))


def _preset(entry: Any) -> str:
    """The comment in the first line of a preset's file."""
    from tp_core.discovery import preset_file

    with open(preset_file(entry), encoding="utf-8") as file:
        first = file.readline()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def table(found: list[Row]) -> str:
    """The rows as aligned columns. The last column is the description, or the note of a row with a problem."""
    if not found:
        return "no installed package offers any module of this kind"
    head = ("KIND", "NAME", "PACKAGE", "VERSION", "STATUS", "DESCRIPTION")
    lines = [head, *((*row[:5], row.note or row.description) for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths)), line[5].partition("\n")[0]]).rstrip()
        for line in lines
    )
