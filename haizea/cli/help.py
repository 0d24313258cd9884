"""Help is asked for in the same way everywhere, also where a command runs under its old name."""

from __future__ import annotations

from typing import Any

#: The context settings of every command.
HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
