"""The sample configuration and the reference page, written from the options' declarations.

``python -m haizea.config.reference`` prints the page, ``--sample`` the sample.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from haizea.config.option import Option, options_of
from haizea.config.sections import SECTIONS

_PAGE_HEAD = """\
# The configuration file

<!-- Written by `python -m haizea.config.reference` from the options' declarations. -->

A configuration is a text file (UTF-8) of sections and options:

```ini
[scheduling]
backfilling: aggressive      # a comment
suspension = all
```

* The order of sections and options does not matter, nor does the case of an option's name. A line
  that is indented goes on with the value above it.
* A comment is a line that starts with `#` or `;`, or what follows a `#` after a space. (Not `;`:
  it separates groups of hosts.)
* A duration is a number of seconds, `HH:MM:SS`, `90m`, `1h30m` or another
  [length of time](times.md).
* A date and time is ISO 8601, `2006-11-25 13:00:00`. It is UTC where no zone follows, as `+01:00`
  or `Europe/Madrid`.
* A path is relative to the current directory, the one Haizea is started in, wherever the
  configuration file is. `~` is the home directory.
* An option without a default can be unset with `none`.
* An option that has no effect with the others – `migration` without `suspension`,
  `diskimage-reuse` where images are `unmanaged` – is no error, so that the profiles of a study
  can share what they have in common. What contradicts another option is one.

A policy, a mapper or a probe is named by its short name, by the name under which an installed
package registers it, or as `package.module.Class`; `docs/policies.md` shows how to write one.

Whatever is wrong is told at once, with file, line, section, option and what would be right, and
the exit status is 2. `haizea sample-config` prints a commented sample.
"""

_SAMPLE_HEAD = """\
A configuration of Haizea that runs as it is, from the directory that has
traces/ in it:

    haizea -c etc/sample.conf

What is commented out shows the default or, where there is none, an example.
`haizea sample-config` prints this file; docs/configuration.md says the same.
"""


def reference_page() -> str:
    """``docs/configuration.md``, in Markdown."""
    parts = [_PAGE_HEAD]
    for name, section in SECTIONS.items():
        parts.append(f"\n## `[{name}]`\n\n{_summary(section)}\n")
        parts += [_entry(option) for _, option in options_of(section)]
    return "".join(parts)


def sample_configuration() -> str:
    """``etc/sample.conf``: every option with its explanation, ready to run."""
    lines = list(_comment(_SAMPLE_HEAD))
    for name, section in SECTIONS.items():
        lines += ["", "", *_comment(_summary(section)), f"[{name}]"]
        for _, option in options_of(section):
            lines += ["", *_explanation(option), _setting(option)]
    return "\n".join(lines) + "\n"


def _summary(section: Any) -> str:
    return str(section.__doc__).strip()


def _entry(option: Option) -> str:
    facts = [f"* Valid: {_code(option.type.describe())}"]
    if option.default is not None:
        facts.append(f"* Default: `{option.default}`")
    elif option.required is None:
        facts.append(f"* Default: none. Example: `{option.example}`")
    else:
        facts.append(f"* Required {option.required.where}. Example: `{option.example}`")
    return f"\n### `{option.name}`\n\n{option.help}\n\n" + "\n".join(facts) + "\n"


def _code(text: str) -> str:
    """Markdown takes ``<`` and ``*`` for its own; no description has any."""
    assert not set("<*`") & set(text), f"{text!r} needs escaping in Markdown"
    return text


def _explanation(option: Option) -> Iterator[str]:
    yield from _comment(option.help)
    if option.default is not None:
        more = f" Default: {option.default}."
    elif option.required is not None:
        more = f" Required {option.required.where}."
    else:
        more = ""
    yield from _comment(f"Valid: {option.type.describe()}.{more}")


def _setting(option: Option) -> str:
    setting = f"{option.name}: {option.example}"
    return setting if option.in_sample else f"#{setting}"


def _comment(text: str) -> Iterator[str]:
    """The text as comment lines of at most 80 columns; paragraphs that are indented stay."""
    for number, paragraph in enumerate(text.strip("\n").split("\n\n")):
        if number:
            yield "#"
        if paragraph.startswith(" "):
            yield from (f"# {line}" for line in paragraph.splitlines())
        else:
            flow = f"# {' '.join(paragraph.split())}"
            yield from textwrap.wrap(flow, 80, subsequent_indent="# ", break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(sample_configuration() if "--sample" in sys.argv else reference_page())
