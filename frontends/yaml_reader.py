"""Reads YAML into plain data with line numbers, safely.

Only mappings, lists, texts, numbers, truth values and null are read; no tag runs code. Files that are nested or grow
(by aliases: "YAML bombs") beyond what any description needs are refused before they are expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ..diagnostics import Diagnostic, Refused
from .parsed import MAX_DEPTH, Keys, Parsed, read_text, shown, too_large

MAX_NODES = 20_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
_TEXT = {f"tag:yaml.org,2002:{name}" for name in ("str", "timestamp")}


def read_yaml(path: Path) -> Parsed:
    """A YAML file. Refused with file and line if it does not parse."""
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, name: str) -> Parsed:
    """YAML text as plain data: `parse_yaml("a: 1", "x.yaml").data == {"a": 1}`."""
    with _syntax_errors(name):
        _check_size(yaml.parse(text, Loader=_LOADER), name)
        node = yaml.compose(text, Loader=_LOADER)
    reader = _Reader(name)
    data = reader.value(node, ()) if node is not None else None
    if reader.problems:
        raise Refused(*reader.problems)
    return Parsed(name, data, reader.lines)


@contextmanager
def _syntax_errors(name: str) -> Iterator[None]:
    """Turn what the YAML library raises into a diagnostic with a line."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise Refused(Diagnostic("syntax", f"is not YAML: {error.problem or error.context}", where)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Refused(Diagnostic("syntax", f"is not YAML: {shown(str(error), quoted=False)}", name)) from error


def _check_size(events: Iterator[Any], name: str) -> None:
    """Refuse what would be too deep to compose, or too long, without composing it."""
    depth = 0
    for count, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Refused(too_large(name, f"at most {MAX_DEPTH} levels", "more"))
        if count > 2 * MAX_NODES:
            raise Refused(too_large(name, f"at most {MAX_NODES:,} values", "more"))


class _Reader:
    """Walks composed nodes, counting as it goes, so that an alias costs what it expands to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {}
        self.problems: list[Diagnostic] = []
        self.nodes = 0

    def value(self, node: yaml.Node, at: Keys) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(at) > MAX_DEPTH:
            limit = f"at most {MAX_NODES:,} values, {MAX_DEPTH} levels deep, after aliases are expanded"
            raise Refused(too_large(self.name, limit, "more"))
        self.lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*at, i)) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse("syntax", key_node, "a key must be a text")
                continue
            key = key_node.value
            if key in found:
                self._refuse("duplicate", key_node, f"key {shown(key)} is given twice")
                continue
            self.lines[(*at, key)] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, (*at, key))
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in _TEXT:
            return node.value
        try:
            if node.tag in _PLAIN:
                return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, OverflowError, yaml.YAMLError):
            pass
        self._refuse("syntax", node, f"{shown(node.value)} is not a text, number, truth value or null ({node.tag})")
        return None

    def _refuse(self, code: str, node: yaml.Node, problem: str) -> None:
        mark = node.start_mark
        self.problems.append(Diagnostic(code, problem, f"{self.name}:{mark.line + 1}:{mark.column + 1}"))
