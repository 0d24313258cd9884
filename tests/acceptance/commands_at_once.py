"""A program that runs several commands of Haizea, for those who would wait for each to start."""

from __future__ import annotations

#: Runs several commands in one process, and marks where the output of each one ends.
COMMANDS = """\
import sys
from haizea.cli.main import main
for command in sys.argv[1:]:
    sys.argv = ["haizea", *command.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, command
    sys.stdout.write("\\0")
"""
