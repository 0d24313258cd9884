"""Errors that users can do something about: one message, and the right exit status."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import click

from haizea.cli.interrupts import INTERRUPTED

#: Wrong use or wrong input; the same as click's own.
WRONG_USE = 2

#: The medium is to blame rather than what the user gave.
_OF_THE_MEDIUM = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])


class WrongInput(click.ClickException):
    """Input from the user that cannot be used."""

    exit_code = WRONG_USE


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors in what the user gave into :class:`WrongInput`; let bugs through.

    An interrupt (Ctrl-C) becomes exit status 130. A broken pipe is left to click, which
    ends quietly: nobody reads on.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted() from None
    except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except OSError as error:
        kind = click.ClickException if error.errno in _OF_THE_MEDIUM else WrongInput
        raise kind(_describe(error)) from error
    except ModuleNotFoundError as error:
        told = missing_extra(error)
        if told is None:
            raise
        raise told from error
    except Exception as error:
        if _comes_of_an_interrupt(error):
            raise _interrupted() from None
        if isinstance(error, _of_users()):
            raise WrongInput(str(error)) from error
        raise


@contextmanager
def unanswered(told: str) -> Iterator[None]:
    """Say what may have been done where an interrupt comes while an answer is waited for."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"interrupted: {told}", err=True)
        raise _interrupted() from None


def missing_extra(
    error: ModuleNotFoundError, what: str = "this command", extras: Collection[str] = ()
) -> WrongInput | None:
    """The error to raise for ``what`` lacks a module; ``None`` where no extra brings that.

    ``extras`` are all that it will need; by default the one that brings the module.
    """
    from haizea.extras import advice, extra_of

    extra = extra_of(error)
    if extra is None:
        return None
    return WrongInput(f"{what} {advice(str(error.name), *(extras or [extra]))}")


def _interrupted() -> click.exceptions.Exit:
    click.echo("interrupted", err=True)
    return click.exceptions.Exit(INTERRUPTED)


def _comes_of_an_interrupt(error: BaseException | None) -> bool:
    """Tell whether it stands for a Ctrl-C, as where Python wraps what happens in making a class."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def _describe(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    # Files that are written are named; what has no name is where the output goes.
    told = error.errno in _OF_THE_MEDIUM
    return f"standard output cannot be written: {reason}" if told else reason


def _of_users() -> tuple[type[Exception], ...]:
    """Imported only now that something went wrong: a command starts with what it needs."""
    from haizea.accounting.errors import ResultsError
    from haizea.config import ConfigError
    from haizea.plugins import PluginError
    from haizea.workloads.errors import WorkloadError

    return ConfigError, PluginError, ResultsError, WorkloadError


def run(command: click.Command, program: str) -> None:
    """Run ``command`` as the console script ``program``, and exit with its status."""
    _open_closed_streams()
    try:
        sys.exit(_status_of(command, program))
    finally:
        _give_up_unwritten()
        gc.freeze()  # or Python looks for garbage among all that there is, twice, as it ends


def _status_of(command: click.Command, program: str) -> int:
    """The exit status, once all that the command prints is written."""
    try:
        with explained():
            result = command.main(
                prog_name=program,
                standalone_mode=False,
                help_option_names=["-h", "--help"],
            )
            sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return 1
    return result if isinstance(result, int) else 0


def _open_closed_streams() -> None:
    """Have what goes to a closed standard stream (``>&-``) go nowhere, rather than fail.

    Besides, no file that is opened later gets the number of such a stream.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number is what a new file gets: this one, as those below are open.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _give_up_unwritten() -> None:
    """Have nothing left that Python would fail to write as it ends: it has been told."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
