"""Errors that users can do something about: one message, and the right exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

#: Wrong use or wrong input; the same as click's own.
WRONG_USE = 2
INTERRUPTED = 130


class WrongInput(click.ClickException):
    """What the user gave cannot be used."""

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
        click.echo("interrupted", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except OSError as error:
        raise WrongInput(_describe(error)) from error
    except Exception as error:
        if isinstance(error, _of_users()):
            raise WrongInput(str(error)) from error
        raise


def _describe(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _of_users() -> tuple[type[Exception], ...]:
    """Imported only now that something went wrong: a command starts with what it needs."""
    from haizea.accounting.errors import ResultsError
    from haizea.config import ConfigError
    from haizea.plugins import PluginError
    from haizea.workloads.errors import WorkloadError

    return ConfigError, PluginError, ResultsError, WorkloadError


def run(command: click.Command, program: str) -> None:
    """Run ``command`` as the console script ``program``, and exit with its status."""
    try:
        with explained():
            result = command.main(
                prog_name=program,
                standalone_mode=False,
                help_option_names=["-h", "--help"],
            )
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)
