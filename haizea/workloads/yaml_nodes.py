"""YAML as nodes that know their lines, for files of people: no aliases, no deep nesting."""

from __future__ import annotations

import yaml

from haizea.workloads.errors import WorkloadError

MAX_DEPTH = 12


class _Loader(yaml.SafeLoader):
    """Composes nodes without aliases and without deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not taken here",
                problem_mark=event.start_mark,
            )
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem="this is nested too deep", problem_mark=event.start_mark
            )
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(content: bytes, name: str) -> yaml.Node | None:
    """The root of what is written in ``content``, or nothing; ``name`` is the file's, for messages.

    Raises :class:`WorkloadError` for what is not YAML, or has anchors or aliases.
    """
    try:
        return yaml.compose(content, Loader=_Loader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        raise WorkloadError(
            name,
            None if mark is None else mark.line + 1,
            message=f"this is not YAML as taken here: {wrong.problem or wrong.context}",
        ) from None
    except yaml.YAMLError as wrong:
        raise WorkloadError(
            name, message=f"this is not YAML: {str(wrong).splitlines()[0]}"
        ) from None
