"""``prepared_sweep`` checks everything about a sweep that can be checked before a run trains."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tp_core.data.cache.contents import data_contents
from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.prepared import cache_folder
from tp_core.data.sources.names import expanded
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import SOURCES
from tp_core.spec.trained.portable import dump_by_names
from tp_core.sweep.axes import SEED
from tp_core.sweep.checked import Measure, measure_of, need_good_specs
from tp_core.sweep.folder import SweepFolder
from tp_core.sweep.folds import Folds, folds_of
from tp_core.sweep.optuna_search import OptunaSearch
from tp_core.sweep.plan import Plan
from tp_core.sweep.search import Listed, Search, Trials, listed
from tp_core.sweep.sweep import Say, Sweep


def prepared_sweep(plan: Plan, resume: bool, say: Say) -> Sweep:
    """Check all specs, the folds, the metric and the folder.

    Raises:
        SpecError: the specs have problems; the error lists all of them.
        TPError: the plan does not fit the spec, or the folder holds something else.
        DataError: the data cannot be divided.
    """
    # A spec may be valid only with values of the grid, so the first values stand for the spec without them.
    first, last = ([f"{axis.key}={axis.probes()[place]}" for axis in plan.axes] for place in (0, -1))
    seed = [f"{SEED}={value}" for value in plan.seeds[:1]]
    combinations = listed(plan)
    need_good_specs(plan, None, [first, last, *(each.settings() for each in combinations)])
    spec = load_spec(plan.spec, [*plan.settings, *first, *seed])
    folder = SweepFolder(plan.run or Path("runs") / f"{spec.name}-sweep")
    folds = folds_of(plan, spec)
    one = spec if folds is None else load_spec(plan.spec, [*plan.settings, *first, *seed, *folds.settings(0)])
    measure = measure_of(plan.options.metric, one)
    identity = _identity(plan, spec, folds, measure)
    folder.check(identity, resume)
    if folds is not None:
        need_good_specs(plan, folds, [first])
    search: Search = Listed(combinations)
    if plan.options.search == "optuna":
        search = OptunaSearch(plan, measure.high, Trials(folder.trials))
    return Sweep(plan, one, folds, measure, search, folder, identity, resume, say)


def _identity(plan: Plan, spec: Spec, folds: Folds | None, measure: Measure) -> dict[str, Any]:
    options = plan.options
    found: dict[str, Any] = {
        "spec": dump_by_names(spec),
        "grid": {axis.key: axis.dump() for axis in plan.axes},
        "seeds": list(plan.seeds),
        "search": options.search,
        "folds": None if folds is None else folds.dump(),
    }
    found |= {} if options.search == "grid" else {"seed": options.seed}
    found |= {"metric": measure.name} if options.search == "optuna" else {}
    return found | {"data": _data_digests(spec, SOURCES if folds is None else SOURCES[:1])}


def _data_digests(spec: Spec, keys: Sequence[Any]) -> dict[str, str]:
    """Digests of the data of all runs."""
    found = {}
    with DigestCache(cache_folder(spec)) as digest_cache:
        for name, own in spec.sets().items():
            for key in keys:
                given = own.data.options.given(key)
                total = hashlib.blake2b(digest_size=16)
                for each in data_contents(own, expanded(given), digest_cache) if given else []:
                    total.update(each.digest.encode())
                found[f"{name}.{key}".lstrip(".")] = total.hexdigest()
    return found
