"""XML elements of OpenNebula's objects, written as dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from haizea.backends.opennebula.model.template import Tree


def element(name: str, content: Tree) -> Element:
    """The element of this name with texts, elements, and lists of several of one name in it."""
    found = Element(name)
    if isinstance(content, str):
        found.text = content
        return found
    assert isinstance(content, Mapping)
    for inner, one in content.items():
        several = [one] if isinstance(one, (str, Mapping)) else one
        found.extend(element(inner, part) for part in several)
    return found
