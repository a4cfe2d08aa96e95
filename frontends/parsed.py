"""A parsed file: its plain data, and the line on which every key stands.

    >>> Parsed("ep.yaml", {"mesh": {"ep": 8}}, {("mesh",): 2, ("mesh", "ep"): 3}).where("mesh", "ep")
    'ep.yaml:3'

Readers (`yaml_reader.py`, `json_reader.py`) make these; whatever refuses a value asks them where it stands.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..diagnostics import Diagnostic, Refused

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
SHOWN = 60

Keys = tuple[str | int, ...]
"""The way from the top of a file to a value: ("rules", 0, "cut", "ep")."""


@dataclass(frozen=True)
class Parsed:
    """`name` is the file as the user gave it; `lines` maps the way to a key to its line (1-based)."""

    name: str
    data: Any
    lines: dict[Keys, int] = field(default_factory=dict)

    def where(self, *keys: str | int) -> str:
        """file:line of a key, or of the closest key above it that is written down."""
        for length in range(len(keys), -1, -1):
            if line := self.lines.get(keys[:length]):
                return f"{self.name}:{line}"
        return self.name

    def under(self, *keys: str | int) -> Parsed:
        """The part of the file below a key, as a file of its own."""
        data, size = self.data, len(keys)
        for key in keys:
            data = data[key]
        return Parsed(self.name, data, {at[size:]: line for at, line in self.lines.items() if at[:size] == keys})


def read_text(path: Path) -> str:
    """The text of a file that is small enough to be a description. Refused otherwise."""
    name = str(path)
    if not os.path.isfile(path):
        raise Refused(Diagnostic("file", "no such file", shown(name, quoted=False)))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(too_large(name, f"at most {MAX_BYTES:,} bytes", f"{path.stat().st_size:,} bytes"))
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(Diagnostic("file", f"is not UTF-8 text (byte {error.start})", name)) from error
    except OSError as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error.strerror}", name)) from error


def too_large(where: str, expected: str, actual: str) -> Diagnostic:
    """Diagnostic for an input that no honest description needs."""
    return Diagnostic("too-large", "is larger or more deeply nested than any description", where, expected, actual)


def shown(value: object, quoted: bool = True) -> str:
    """A value of the user's as a message may hold it: printable, and cut when long."""
    text = repr(value) if quoted or not str(value).isprintable() else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
