"""Reads JSON into plain data with the line of every top-level key, safely."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, Refused
from .parsed import MAX_DEPTH, Keys, Parsed, read_text, shown, too_large

_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*+)"?(\s*:)?|[{}\[\]]', re.DOTALL)
"""Strings, with the colon that makes them keys, and brackets. An unclosed string matches too: time stays linear."""


def read_json(path: Path) -> Parsed:
    """A JSON file. Refused with file, line and column if it does not parse."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, name: str) -> Parsed:
    """JSON text as plain data. Duplicate keys, and numbers that are not JSON (NaN), hide mistakes and are refused."""
    lines = dict(_top_level_keys(text, name))
    try:
        return Parsed(name, json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json), lines)
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}:{error.colno}"
        raise Refused(Diagnostic("syntax", f"is not JSON: {error.msg}", where)) from error
    except _Duplicate as error:
        raise Refused(Diagnostic("duplicate", f"key {shown(error.key)} is given twice", name)) from error
    except ValueError as error:
        raise Refused(Diagnostic("syntax", f"is not JSON: {shown(str(error), quoted=False)}", name)) from error


class _Duplicate(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Duplicate(key)
        found[key] = value
    return found


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _top_level_keys(text: str, name: str) -> Iterator[tuple[Keys, int]]:
    """(key,) → line for the keys of the outermost object. Refused when nested too deeply to be a configuration."""
    depth, line, seen = 0, 1, 0
    for token in _TOKENS.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth > MAX_DEPTH:
            raise Refused(too_large(name, f"at most {MAX_DEPTH} levels", "more"))
        if depth == 1 and token[2] is not None:
            line += text.count("\n", seen, token.start())
            seen = token.start()
            yield (token[1],), line
