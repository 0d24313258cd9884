"""The reference of the HTTP interface in Markdown, written from its own description.

``python -m haizea.api.reference FILE`` writes it into the file, between the two lines that
mark its place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from haizea.api.app import description

BEGIN = "<!-- The reference begins here; it is written by python -m haizea.api.reference -->"
END = "<!-- The reference ends here -->"

Schema = Mapping[str, Any]


def reference() -> str:
    """The routes and the schemas, as Markdown."""
    described = description()
    lines: list[str] = []
    for tag in described["tags"]:
        lines += [f"### {tag['name'].capitalize()}", "", tag["description"], ""]
        for path, methods in described["paths"].items():
            for method, route in methods.items():
                if tag["name"] in route["tags"]:
                    lines += _route(method, path, route)
    lines += ["### Schemas", ""]
    for name, schema in sorted(described["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _route(method: str, path: str, route: Schema) -> Iterator[str]:
    roles = ", ".join(route["x-roles"]) or "anybody, without a token"
    yield f"#### {method.upper()} {path}"
    yield ""
    yield f"{route['summary']}. For: {roles}."
    yield ""
    yield from route["description"].splitlines()
    yield ""
    if parameters := route.get("parameters"):
        yield from _table(
            ("parameter", "in", "type", "meaning"),
            (
                (f"`{p['name']}`", p["in"], _type(p["schema"]), p.get("description", ""))
                for p in parameters
            ),
        )
    if body := route.get("requestBody"):
        forms = (f"`{media}`: {_type(form['schema'])}" for media, form in body["content"].items())
        yield f"Body: {'; '.join(forms)}."
        yield ""
    yield from _table(
        ("status", "body", "meaning"),
        (
            (status, _body(answer), answer["description"])
            for status, answer in sorted(route["responses"].items())
        ),
    )


def _schema(name: str, schema: Schema) -> Iterator[str]:
    yield f"#### {name}"
    yield ""
    if words := schema.get("description"):
        yield from (words if "enum" not in schema else words.split("\n\n")[0]).splitlines()
        yield ""
    if "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
        yield ""
        return
    required = schema.get("required", ())
    yield from _table(
        ("field", "type", "meaning"),
        (
            (
                f"`{field}`" + ("" if field in required else " (may be left out)"),
                _type(part),
                part.get("description", ""),
            )
            for field, part in schema["properties"].items()
        ),
    )


def _body(answer: Schema) -> str:
    return ", ".join(_type(form["schema"]) for form in answer.get("content", {}).values())


def _type(schema: Schema) -> str:
    match schema:
        case {"$ref": ref}:
            name = str(ref).rsplit("/", 1)[-1]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [*parts]}:
            return " or ".join(dict.fromkeys(_type(part) for part in parts))
        case {"enum": [*values]}:
            return " or ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": values}:
            return f"map to {_type(values)}"
        case {"format": "date-time"}:
            return "date and time"
        case {"type": kind}:
            return f"{kind}{_bounds(schema)}"
        case _:
            return "anything"


def _bounds(schema: Schema) -> str:
    told = [
        f"{word} {schema[name]}"
        for name, word in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
            ("maxLength", "up to"),
        )
        if name in schema
    ]
    return f" {' '.join(told)}" + (" characters" if "maxLength" in schema else "") if told else ""


def _table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield _row(head)
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield _row(row)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"


def placed(page: str) -> str:
    """The page with the reference in its place. Raises :class:`ValueError` where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the reference")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def main() -> None:
    """Write the reference into the file that is named."""
    page = Path(sys.argv[1])
    page.write_text(placed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
