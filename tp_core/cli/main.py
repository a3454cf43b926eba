"""The ``tp`` command: a group that imports a command only when it is called."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from tp_core.cli.nproc import ARGUMENTS
from tp_core.cli.processes import linger, need_one_process, told_elsewhere
from tp_core.cli.streams import any_encoding, open_streams
from tp_core.cli.usage import CommandError, answered, examples, traceback_option
from tp_core.errors import TPError, system_error
from tp_core.packages.libraries import broken_library
from tp_core.processes.leaving import SAVE, left_on_signals
from tp_core.terminal import printable, tell

if TYPE_CHECKING:
    from tp_core.discovery import PluginEntry


class BuiltIn(NamedTuple):
    """The location of a core command, and its line in ``tp --help``, which is shown without importing the command.

    Attributes:
        brief: True for a command that ends soon. It runs without garbage collection and without the search for plugins
            of pydantic, both of which would take a noticeable part of its time.
    """

    module: str
    attribute: str
    help: str
    brief: bool = False


BUILT_IN = {
    "train": BuiltIn("tp_core.cli.train", "train", "Train, or continue to train, the model of a spec."),
    "check": BuiltIn("tp_core.cli.check", "check", "Check a spec and the files of its data, without training.", True),
    "show": BuiltIn("tp_core.cli.show", "show", "Show a resolved spec, its model tree and its costs."),
    "modules": BuiltIn("tp_core.cli.modules", "modules", "List the installed modules and presets.", True),
    "preprocess": BuiltIn("tp_core.cli.preprocess", "preprocess", "Prepare the data of a spec ahead of training."),
    "sweep": BuiltIn("tp_core.cli.sweep", "sweep", "Train and compare runs: a grid of settings, seeds and folds."),
    "evaluate": BuiltIn("tp_core.cli.evaluate", "evaluate", "Measure a trained model on labelled data."),
    "predict": BuiltIn("tp_core.cli.predict", "predict", "Predict with a trained model."),
    "generate": BuiltIn("tp_core.cli.generate", "generate", "Write texts with a trained model."),
    "embed": BuiltIn("tp_core.cli.embed", "embed", "Turn records into vectors with a trained model."),
    "retrieve": BuiltIn("tp_core.cli.retrieve", "retrieve", "Search in texts and pictures with a trained model."),
    "convert": BuiltIn("tp_core.cli.convert", "convert", "Convert a model from Hugging Face to tp, or back."),
    "cache": BuiltIn("tp_core.cli.cache", "cache", "List and clear prepared data."),
    "schema": BuiltIn("tp_core.cli.schema", "schema", "Write the JSON Schema of specs, for editors.", True),
    "doctor": BuiltIn("tp_core.cli.doctor", "doctor", "Report on the installation, its plugins and devices."),
}


def _import(module: str, attribute: str) -> Any:
    import importlib

    return getattr(importlib.import_module(module), attribute)


def _plugins() -> dict[str, list[PluginEntry]]:
    """Commands of installed plugins by name, without those that have the name of a built-in command."""
    from tp_core import discovery

    found: dict[str, list[PluginEntry]] = {}
    for entry in discovery.index().entries("commands"):
        if entry.name not in BUILT_IN:
            found.setdefault(entry.name, []).append(entry)
    return found


def _broken(name: str, error: TPError, cause: str) -> click.Command:
    """A replacement for a command that cannot be loaded. It is listed in the help text and fails when called."""

    def fail(**_: object) -> None:
        raise error

    return click.Command(
        name,
        callback=fail,
        short_help=f"[broken] {cause}",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _load_plugin(name: str) -> click.Command:
    from tp_core import discovery

    try:
        # Two distributions may offer the name. The index raises an error, as a command line cannot choose between them.
        entry = discovery.index().find("commands", name)
        command = discovery.load(entry)
        if not isinstance(command, click.Command):
            raise discovery.BrokenModuleError(entry, TypeError(f"{entry.value} is no click command"))
    except discovery.BrokenModuleError as error:
        return _broken(name, error, f"{type(error.cause).__name__}: {error.cause}")
    except TPError as error:
        return _broken(name, error, str(error))
    return command


def _add_traceback(command: click.Command) -> None:
    """Add the option ``--traceback`` to a command, or to every command of a group."""
    if not any("--traceback" in each.opts for each in command.params):
        command.params.append(traceback_option())
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _add_traceback(each)


class Commands(click.Group):
    """Built-in commands from a table, plugin commands from entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*BUILT_IN, *_plugins()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = self._command(cmd_name)
        if command is not None:
            _add_traceback(command)
        return command

    def _command(self, cmd_name: str) -> click.Command | None:
        if cmd_name in BUILT_IN:
            built_in = BUILT_IN[cmd_name]
            command: click.Command = _import(built_in.module, built_in.attribute)
            if built_in.brief:
                # Plugins of pydantic only watch validation. To find them, it reads the metadata of all distributions.
                os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
            else:
                gc.enable()
            return command
        if cmd_name not in _plugins():
            return None
        gc.enable()
        return _load_plugin(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            from tp_core.suggest import did_you_mean

            ctx.fail(f"unknown command '{name}'; " + (did_you_mean(name, self.list_commands(ctx)) or "see tp --help"))
        if command is not None and not ctx.resilient_parsing:
            need_one_process(name, command)
            ctx.meta[ARGUMENTS] = list(args)
        return name, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, built_in.help) for name, built_in in BUILT_IN.items()])
        rows = [(printable(name), printable(_load_plugin(name).get_short_help_str(200))) for name in _plugins()]
        if rows:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TPError as error:
            raise CommandError(error) from error
        except click.NoSuchOption as error:
            raise answered(error) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except BaseException as error:
            if isinstance(error, SystemExit) and ctx.invoked_subcommand not in BUILT_IN:
                raise  # a plugin's command may end with any exit status
            from tp_core.packages.plugin_errors import plugin_error

            told: TPError | None = plugin_error(error)
            if told is None and isinstance(error, OSError):
                told = system_error(error)
            if told is None:
                raise
            raise CommandError(told) from error


_SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.group(
    cls=Commands,
    context_settings=dict(_SETTINGS),
    epilog=examples(
        "tp show bert-base                     the modules and costs of a preset",
        "tp check my_bert.yaml                 every problem of a spec, with its line",
        "tp train my_bert.yaml train.steps=100",
    ),
)
@click.version_option(package_name="tp-core", message="tp %(version)s")
@click.option("--local_rank", expose_value=False, hidden=True)  # the launcher of DeepSpeed adds it
def cli() -> None:
    """Pre-train and fine-tune models for text, vision, audio and more, described by a spec."""


def run() -> NoReturn:
    """Run the command line and exit: status 0, 1, 2 for a user's error, 130 after an interrupt."""
    # Start-up creates many objects that live until the end; collecting garbage would not free them.
    gc.disable()
    open_streams()
    any_encoding()
    status: object = 0
    try:
        try:
            with left_on_signals(unheard=[SAVE]):  # also during the import of torch
                status = cli.main(prog_name="tp", standalone_mode=False)
        except click.ClickException as error:
            if told_elsewhere(error):
                linger()
            else:
                shown = io.StringIO()
                error.show(shown)
                tell(shown.getvalue().removesuffix("\n"), err=True)
            status = error.exit_code
        except SystemExit as error:  # a signal has ended the command
            if not isinstance(error.code, int):
                raise
            status = error.code
        except (KeyboardInterrupt, click.Abort) as error:
            status = 130
            if isinstance(error.__cause__, EOFError):  # click treats EOFError as the end of the user's input
                sys.excepthook(EOFError, error.__cause__, error.__cause__.__traceback__)
                status = 1
        except BrokenPipeError:
            raise
        except Exception as error:  # outside the commands: while plugins are listed or errors are reported
            message = broken_library(error)
            if message and "--traceback" not in sys.argv:
                tell(f"error: {message}", err=True)
            else:
                sys.excepthook(*sys.exc_info())  # as the interpreter would do before its slow shutdown
            status = 2 if message else 1
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        # The reader (``| head``) has gone; without this, the interpreter's own flush at exit would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    _end(status if isinstance(status, int) else 0)


def _end(status: int) -> NoReturn:
    """End the process without the interpreter's shutdown.

    With torch loaded, the shutdown takes a second or more. Threads of torch.distributed that are still running would
    make it abort.
    """
    import signal

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        # All output is written; a signal during exit functions of libraries would print a traceback for each of them.
        signal.signal(signal.SIGINT, lambda *_: os._exit(status))
    if "multiprocessing" in sys.modules:
        if hasattr(signal, "SIGCHLD"):  # Windows has no SIGCHLD
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises when one of its workers dies
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
