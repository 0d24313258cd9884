"""Marks classes of compiled modules that others may derive from, or stand in for.

Without the mark, a compiled build takes nobody but the class itself for one of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    # What the compiler, which comes with mypy, knows it by. Nothing else needs that package.
    from mypy_extensions import mypyc_attr
else:
    _Class = TypeVar("_Class", bound=type)

    def mypyc_attr(**marks: bool) -> Callable[[_Class], _Class]:
        """Leaves a class as it is."""
        return lambda made: made


__all__ = ["mypyc_attr"]
