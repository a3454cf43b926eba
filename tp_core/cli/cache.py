"""``tp cache``: list and clear prepared data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_core.suggest import instead
from tp_core.terminal import tell

F = Callable[..., Any]


def _folder_option(function: F) -> F:
    option: Callable[[F], F] = click.option(
        "--folder",
        type=click.Path(),
        help="Folder of prepared data, as data.cache names it.  [default: $TP_CACHE, $XDG_CACHE_HOME/tp, ~/.cache/tp]",
    )
    return option(function)


@click.group()
def cache() -> None:
    """List and clear the prepared data of training and evaluation.

    Deleted data are prepared again when a command needs them.
    """


@cache.command("list", epilog=examples("tp cache list", "tp cache list --folder cache --json"))
@_folder_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(folder: str | None, as_json: bool) -> None:
    """Sizes and ages of prepared data, the least recently used first."""
    from tp_core.data.cache.files import kept
    from tp_core.files.sizes import shown_size

    place = _folder(folder)
    found, now = kept(place), time.time()
    total = sum(each.size for each in found)
    if as_json:
        rows = [{"name": each.name, "size": each.size, "used": each.used, "whole": each.whole} for each in found]
        tell(json.dumps({"folder": str(place), "size": total, "kept": rows}, indent=2))
        return
    for each in found:
        note = "" if each.whole else "  not finished"
        tell(f"{each.name:32}  {shown_size(each.size):>9}  used {_days(now - each.used)}{note}")
    tell(f"{place}: {shown_size(total)} in {len(found)}")


@cache.command(
    epilog=examples(
        "tp cache clear --older-than 30d", "tp cache clear --max-size 50GB --dry-run", "tp cache clear --folder cache"
    )
)
@_folder_option
@click.option(
    "--older-than", metavar="AGE", help="Delete only data that were last used longer ago than this: 12h, 30d, 2w."
)
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Delete the least recently used data until the rest has at most this size: 50GB.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be deleted, and delete nothing.")
def clear(folder: str | None, older_than: str | None, max_size: str | None, dry_run: bool) -> None:
    """Delete prepared data: all of them, or those that are too old or exceed a total size.

    Other files in the folder stay. Data that another process is writing stay, too. Do not delete the data of a run that
    is still training: it may open them again.
    """
    from tp_core.data.cache.files import kept, parse_age, unexpected
    from tp_core.files.sizes import parse_size, shown_size

    place = _folder(folder)
    age = None if older_than is None else parse_age(older_than)
    found = kept(place)
    gone = unexpected(found, age, None if max_size is None else parse_size(max_size))
    for each in gone:
        if dry_run:
            tell(f"{each.name:32}  {shown_size(each.size):>9}  used {_days(time.time() - each.used)}")
        else:
            each.remove()
    size = sum(each.size for each in gone)
    left = sum(each.size for each in found) - size
    done = "would be deleted" if dry_run else "deleted"
    tell(f"{place}: {shown_size(size)} {done} in {len(gone)}, {shown_size(left)} left in {len(found) - len(gone)}")


def _folder(given: str | None) -> Path:
    from tp_core.data.cache.place import user_cache

    place = user_cache() if given is None else Path(given)
    if given is not None and not place.is_dir():
        raise TPError(f"--folder {given}: there is no such folder{instead(given)}")
    return place


def _days(seconds: float) -> str:
    if seconds < 3600:
        return "within the hour"
    hours = seconds / 3600
    return f"{hours:.0f} hours ago" if hours < 48 else f"{hours / 24:.0f} days ago"
