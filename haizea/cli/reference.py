"""The reference page of all commands, written from the commands themselves.

``python -m haizea.cli.reference`` prints it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from haizea.cli.commands import COMMANDS, cli, load_command
from haizea.cli.help import HELP

_HEAD = """\
# Commands

<!-- Written by `python -m haizea.cli.reference` from the commands' own help. -->

`haizea COMMAND --help` says the same as this page. Errors go to standard error. The exit status
is 0 if what was asked is done, 1 if it was refused or failed, 2 for wrong use or wrong input,
130 after Ctrl-C.

## Asking a service

`request`, `list`, `show`, `cancel`, `queue`, `hosts`, `watch`, `status` and `token` ask a
service that runs, over HTTP.

* **Where it is**: `--server`, or the environment variable `HAIZEA_SERVER`, or this machine's,
  `http://127.0.0.1:42493`. `HOST` alone means port 42493, with TLS if it is another machine.
  `--ca-file` or `HAIZEA_CA_FILE` names the authority of a certificate that the system does not
  know.
* **Who you are**: a token, from `--token-file`, or else `HAIZEA_TOKEN`, or else
  `~/.haizea/token`, where a service puts the first one. Keep it to yourself: `chmod 600`. No
  command takes a token as an argument, since others on the machine could see it.
* **Output**: a table as wide as the terminal, with colours unless `NO_COLOR` is set; with
  `--output json` what the [HTTP interface](api.md) answers, for programs: a list is an object,
  whose `next` says that there is more. An error is one line there, `{"error": {"code": …,
  "message": …, "field": …}}`, as the interface tells it (`no-answer` is the code where there is
  none, `wrong-use` for a command that cannot be meant so), and the exit status tells of it too.
  Options that a command does not have are told as text.
* **Times** are shown in local time with its zone, and taken in [many forms](times.md). *Now* is
  what the service's clock says.
* **A lost connection** does no harm. `request` sends its request again, with the same
  idempotency key, so that there is one lease; `watch` and `--wait` go on where they were.

## Times

`-t +1h30m`, `-t 'tomorrow 9:00'`, `-t '2027-03-01 09:00 Europe/Berlin'`, `-d 90m`, `--since
yesterday`: [one page](times.md) has all forms of times and durations.

`--cpu` is in cores (`1`, `0.5`) or percent of a core (`50%`); `CPU` in tables and files is in
percent. `--mem` and `--image-size` are in MB, or `512M`, `2G`.

## Old names

`haizea-request-lease`, `haizea-cancel-lease`, `haizea-list-leases`, `haizea-list-hosts` and
`haizea-show-queue` are `haizea request`, `cancel`, `list`, `hosts` and `queue`, with the
options they always had. A best-effort lease is preemptible unless `--non-preemptible` says
otherwise.
"""


def reference_page() -> str:
    """``docs/cli.md``, in Markdown."""
    parts = [_HEAD]
    top = click.Context(cli, info_name="haizea", **HELP)
    for name in COMMANDS:
        parts += _entries(load_command(name), name, top, "##")
    return "".join(parts)


def _entries(command: click.Command, name: str, parent: click.Context, level: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, **HELP)
    yield f"\n{level} {context.command_path}\n\n"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    yield f"\n{_text(command.help or '')}\n"
    yield from _options(command, context)
    if isinstance(command, click.Group):
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None, "a group has the commands that it lists"
            yield from _entries(child, child_name, context, level + "#")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [
        record
        for parameter in command.params
        if (record := parameter.get_help_record(context)) is not None
    ]
    if not records:
        return
    yield "\n| option | |\n| --- | --- |\n"
    for names, help_text in records:
        words = " ".join(help_text.split()).replace("|", "\\|").replace("<", "\\<")
        yield f"| `{names.replace('|', '/')}` | {words} |\n"


def _text(help_text: str) -> str:
    """Help as Markdown: what stands after ``\\b`` keeps its lines."""
    paragraphs = []
    for paragraph in inspect.cleandoc(help_text).split("\n\n"):
        if paragraph.startswith("\b"):
            paragraphs.append(f"```text\n{paragraph[1:].strip(chr(10))}\n```")
        else:
            paragraphs.append(paragraph.replace("<", "\\<"))
    return "\n\n".join(paragraphs)


if __name__ == "__main__":
    sys.stdout.write(reference_page())
