"""``tp doctor``: report the installed packages, the abilities of this machine, and everything that is broken."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from tp_core.cli.streams import results_alone
from tp_core.cli.usage import examples
from tp_core.data.cache.place import user_cache
from tp_core.errors import TPError, describe_error
from tp_core.packages.third_party import interrupts
from tp_core.terminal import tell

#: Distributions that are useful in a report, although nothing requires them.
_OPTIONAL = ("transformers", "datasets", "torchvision", "torchaudio")


class Line(NamedTuple):
    """One finding. A ``broken`` finding makes the exit status 1; a ``warn`` finding does not."""

    topic: str
    text: str
    broken: bool = False
    warn: bool = False

    @property
    def verdict(self) -> str:
        return "BROKEN" if self.broken else "warn" if self.warn else "ok"


@click.command(epilog=examples("tp doctor", "tp doctor > report.txt   # for a bug report"))
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Report versions, plugins, devices, memory and disk space, and everything that is broken.

    The exit status is 1 if something is broken.
    """
    status = 0
    for section in (versions, libraries, plugins, clashes, devices, compilers, memory, disk):
        for line in _told(section):
            tell(f"{line.verdict:<6}  {line.topic:<18}  {line.text}")
            status |= line.broken
    ctx.exit(int(status))


def _told(section: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """The findings of a section. If the section fails, its exception is the only finding."""
    try:
        with results_alone():
            found = list(section())
    except Exception as error:
        found = [Line(section.__name__, f"cannot be examined: {describe_error(error)}", True)]
    yield from found


def versions() -> Iterator[Line]:
    """The versions of Python and of the core."""
    from tp_core.packages.installed import installed_version

    yield Line(
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})",
    )
    core = installed_version("tp-core")
    yield Line("tp-core", core or "not installed: pip install tp-core", not core)


def libraries() -> Iterator[Line]:
    """The libraries that our distributions require. Each must be installed completely and importable."""
    from tp_core.packages.installed import installed_version
    from tp_core.packages.libraries import fault, module_of, required

    for name in sorted({*required(), *_OPTIONAL}):
        version = installed_version(name)
        if not version:  # plugins() reports a missing required library as a defect of the distribution that requires it
            continue
        error = _import_error(module_of(name))
        if why := fault(name):
            yield Line(name, f"{version} {why}", True)
        elif error is not None:
            advice = f"pip install --force-reinstall '{name}'"
            yield Line(name, f"{version} cannot be imported: {describe_error(error)}: {advice}", True)
        else:
            yield Line(name, version)


def _import_error(module: str) -> BaseException | None:
    """The exception that importing a module raises; None if the import succeeds."""
    import importlib

    try:
        importlib.import_module(module)
    except BaseException as error:
        if interrupts(error):
            raise
        return error
    return None


def plugins() -> Iterator[Line]:
    """Every distribution that offers modules, and its defects and those of its modules."""
    from tp_core.cli.modules import PACKAGE, rows

    count: dict[tuple[str, str], int] = {}
    for row in rows():
        if row.kind == PACKAGE:
            yield Line("package", f"{row.distribution} {row.version}: {row.note}", True)
            continue
        count[row.distribution, row.version] = count.get((row.distribution, row.version), 0) + 1
        if row.status == "broken":
            text = f"{row.kind} '{row.name}' of {row.distribution} {row.version}: {row.note}"
            yield Line("module", text, True)
    for (name, number), modules in sorted(count.items()):
        yield Line("modules", f"{name} {number}: {modules}")


def clashes() -> Iterator[Line]:
    """Module names that several distributions offer."""
    from tp_core.packages.clashes import clashes as found

    for sentence in found():
        yield Line("name", sentence, warn=True)


def devices() -> Iterator[Line]:
    """The devices that torch finds, and their support of bfloat16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch
    except Exception as error:  # a broken installation raises OSError, ImportError and others
        yield Line("torch", f"cannot be imported: {type(error).__name__}: {error}", True)
        return
    yield Line("cpu", f"{cores} cores, {torch.get_num_threads()} threads, {_cpu_bf16()}")
    if not torch.cuda.is_available():
        yield Line("cuda", "no device" + ("" if torch.version.cuda else "; this torch is built without CUDA"))
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        bf16 = "bf16" if native else "no native bf16: use fp16"
        yield Line(f"cuda:{number}", f"{about.name}, {_size(about.total_memory)}, {bf16}, CUDA {torch.version.cuda}")


def _cpu_bf16() -> str:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "bf16 unknown"
    native = [name for name in ("amx_bf16", "avx512_bf16", "bf16") if f" {name}" in flags]
    return f"bf16 in hardware ({native[0]})" if native else "bf16 emulated: fp32 is as fast"


def compilers() -> Iterator[Line]:
    """The tools that ``train.compile`` needs: a C++ compiler, and Triton for CUDA devices."""
    import importlib.util

    compiler = os.environ.get("CXX") or next((c for c in ("g++", "clang++", "c++", "cl") if shutil.which(c)), None)
    yield Line("compiler", compiler or "no C++ compiler: train.compile will not work on the CPU")
    triton = importlib.util.find_spec("triton") is not None
    yield Line("triton", "installed" if triton else "not installed: train.compile will not work on CUDA devices")


def memory() -> Iterator[Line]:
    """Size of the main memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        yield Line("memory", "unknown")
        return
    free = ""
    try:
        for row in Path("/proc/meminfo").read_text().splitlines():
            if row.startswith("MemAvailable:"):
                free = f", {_size(int(row.split()[1]) * 1024)} available"
    except OSError:
        pass
    yield Line("memory", f"{_size(total)}{free}")


def disk() -> Iterator[Line]:
    """Free disk space in the folders of runs and of prepared data."""
    places = [("disk", Path.cwd())]
    try:
        places.append(("cache", user_cache()))
    except TPError as error:
        yield Line("cache", str(error), True)
    for topic, folder in places:
        there = next(f for f in (folder, *folder.absolute().parents) if f.exists())
        try:
            free = shutil.disk_usage(there).free
        except OSError as error:
            yield Line(topic, f"{folder}: {error.strerror}", True)
            continue
        writable = there.is_dir() and os.access(there, os.W_OK)
        text = f"{folder}: {_size(free)} free" + ("" if writable else "; it cannot be written")
        yield Line(topic, text, not writable)


def _size(value: Any) -> str:
    return f"{value / 2**30:.1f} GiB"
