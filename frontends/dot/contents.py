"""What Graphviz found in one graph, by name: attributes of nodes, edges and clusters as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Attributes = Mapping[str, str]


class Contents:
    """An answer of `cgraph.parsed`, its numbered texts resolved."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._texts: list[str] = [_clean(text) for text in answer["texts"]]
        self.directed: bool = answer["directed"]
        self.name: str = self._texts[answer["name"]]
        self.attributes = self._resolved(answer["attributes"])
        self.names: list[str] = [self._texts[number] for number in answer["names"]]
        self.keys = [_bytewise(answer["texts"][number]) for number in answer["names"]]
        self.ends: list[tuple[int, int]] = list(zip(answer["tails"], answer["heads"], strict=True))
        self.clusters: list[dict[str, Any]] = answer["clusters"]
        self._nodes: dict[str, list[int]] = answer["nodes"]
        self._edges: dict[str, list[int]] = answer["edges"]

    def nodes(self) -> Iterator[Attributes]:
        """Each node's attributes that are not empty."""
        return self._rows(self._nodes, len(self.names))

    def edges(self) -> Iterator[Attributes]:
        return self._rows(self._edges, len(self.ends))

    def cluster(self, number: int) -> tuple[str, Attributes]:
        found = self.clusters[number]
        name: int = found["name"]
        return self._texts[name], self._resolved(found["attributes"])

    def _resolved(self, numbers: Mapping[str, int]) -> Attributes:
        return {name: self._texts[number] for name, number in numbers.items() if number}

    def _rows(self, columns: dict[str, list[int]], count: int) -> Iterator[Attributes]:
        names, texts = list(columns), self._texts
        if not names:
            yield from ({} for _ in range(count))
        for row in zip(*columns.values(), strict=True):
            yield {name: texts[number] for name, number in zip(names, row, strict=True) if number}


def _clean(text: str) -> str:
    """Text whose bytes are not UTF-8 is Latin-1."""
    return text if text.isascii() or text.isprintable() else _decoded(text)


def _decoded(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def _bytewise(text: str) -> str:
    """A name as the scanner spells it: a character per byte."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")
