"""Where everything stands in a DOT file: its graphs, and on which line each node and edge was written.

It follows the grammar loosely and never fails: whether a text is DOT, Graphviz decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise

from .tokens import Token, tokens

MAX_PRODUCT = 10_000
"""Edges of one `{…} -> {…}` that get a line each."""
MAX_TOKENS = 3_000_000
"""Tokens of a file that are looked at: what comes after them belongs to the graph before, and has no lines."""
_KEYWORDS = {"node", "edge", "graph"}
_NODES = tuple[str, ...]


@dataclass
class Scanned:
    """One graph of a file: its text from `start` to `stop`, and lines.

    `nodes`: where each node is declared, else first mentioned; `declared`: those that are more than an edge's end;
    `edges`: lines of all edges of a pair, in order; `stuck`: where a string begins that never ends.
    """

    start: int
    stop: int
    line: int
    stuck: int = 0
    nodes: dict[str, int] = field(default_factory=dict[str, int])
    declared: set[str] = field(default_factory=set[str])
    edges: dict[tuple[str, str], list[int]] = field(default_factory=dict[tuple[str, str], list[int]])


def scan(text: str) -> list[Scanned]:
    """The graphs of a file, in order; one that is never closed reaches to the end. Names are Latin-1, as `text` is."""
    found: list[Scanned] = []
    stream, lines = islice(tokens(text), MAX_TOKENS), Lines(text)
    for token in stream:
        graph = Scanned(token.start, len(text), lines.at(token.start))
        found.append(graph)
        if not _head(token, stream):
            break
        end = _Body(graph, stream, lines).read()
        if end is None:
            break
        graph.stop = end
    return found


class Lines:
    """Line numbers of ascending offsets."""

    def __init__(self, text: str) -> None:
        self._text, self._offset, self._line = text, 0, 1

    def at(self, offset: int) -> int:
        self._line += self._text.count("\n", self._offset, offset)
        self._offset = offset
        return self._line


def _head(token: Token, stream: Iterator[Token]) -> bool:
    """Whether `strict digraph name {` stands here."""
    for each in chain([token], islice(stream, 3)):
        if each.text == "{" and each.kind == "mark":
            return True
        if each.kind != "name":
            return False
    return False


@dataclass
class _Frame:
    """A `{…}` being read: the nodes in it, and the statement being read: its ends so far, and its last word."""

    named: bool
    line: int
    members: list[str] = field(default_factory=list[str])
    ends: list[tuple[_NODES, int]] = field(default_factory=list[tuple[_NODES, int]])
    last: _NODES = ()
    awaits_end: bool = False
    port: bool = False
    assigned: bool = False
    joined: bool = False
    subgraph: bool = False


class _Body:
    """Reads what stands between a graph's braces."""

    def __init__(self, graph: Scanned, stream: Iterator[Token], lines: Lines) -> None:
        self.graph, self.stream, self.lines = graph, stream, lines
        self.frames = [_Frame(True, graph.line)]

    def read(self) -> int | None:
        """The offset after the closing brace; None when there is none."""
        for token in self.stream:
            frame = self.frames[-1]
            if token.kind in ("node", "link"):
                self._statement(frame, token)
            elif token.kind == "name":
                self._word(frame, token)
            elif token.kind == "list":
                self._finish(frame, attributes=True)
            elif token.kind == "edge":
                self._link(frame)
            elif token.kind == "end":
                self.graph.stuck = self.lines.at(token.start)
                return None
            elif self._mark(frame, token):
                return token.stop
        return None

    def _statement(self, frame: _Frame, token: Token) -> None:
        """The tokens of a whole statement, one after the other."""
        self._word(frame, token)
        if token.kind == "link":
            self._link(frame)
            self._word(frame, Token("name", token.other, token.other_start, token.stop))
        self._finish(frame, attributes=True)

    def _word(self, frame: _Frame, token: Token) -> None:
        if frame.port or frame.assigned:
            frame.port = frame.assigned = False
            return
        if frame.joined and frame.last:
            frame.last, frame.joined = (frame.last[0] + token.text,), False
        elif not frame.subgraph:
            self._begin(frame, token)

    def _begin(self, frame: _Frame, token: Token) -> None:
        if frame.last and not frame.awaits_end:
            self._finish(frame)
        if token.text.lower() == "subgraph":
            frame.subgraph = True
            return
        frame.awaits_end = False
        frame.line = self.lines.at(token.start)
        frame.last = (token.text,)

    def _mark(self, frame: _Frame, token: Token) -> bool:
        """Whether the graph ends here."""
        mark = token.text
        if mark == "{":
            self._open(frame, token)
        elif mark == "}":
            return self._close(frame)
        elif mark == "[":
            self._slow_list()
            self._finish(frame, attributes=True)
        elif mark == ":":
            frame.port = True
        elif mark == "=":
            frame.assigned, frame.last, frame.ends = True, (), []
        elif mark == "+":
            frame.joined, frame.assigned = bool(frame.last), not frame.last
        else:
            self._finish(frame)
        return False

    def _slow_list(self) -> None:
        """To the end of an attribute list with HTML or comments in it."""
        for token in self.stream:
            if token.kind == "end":
                self.graph.stuck = self.lines.at(token.start)
            if token.text == "]" and token.kind == "mark":
                return

    def _open(self, frame: _Frame, token: Token) -> None:
        if not frame.awaits_end and not frame.subgraph:
            self._finish(frame)
        in_chain = frame.awaits_end
        frame.awaits_end = False
        self.frames.append(_Frame(frame.subgraph and not in_chain, self.lines.at(token.start)))

    def _close(self, frame: _Frame) -> bool:
        self._finish(frame)
        self.frames.pop()
        if not self.frames:
            return True
        outer = self.frames[-1]
        outer.members += frame.members
        outer.last, outer.subgraph, outer.line = tuple(dict.fromkeys(frame.members)), False, frame.line
        return False

    def _link(self, frame: _Frame) -> None:
        frame.ends.append((frame.last, frame.line))
        frame.last, frame.awaits_end = (), True

    def _finish(self, frame: _Frame, attributes: bool = False) -> None:
        """The statement ends: note its node, or its edges."""
        if frame.ends:
            self._edges([*frame.ends, (frame.last, frame.line)], frame)
        elif len(frame.last) == 1 and frame.last[0].lower() not in _KEYWORDS:
            self._node(frame, frame.last[0], attributes)
        frame.ends, frame.last, frame.awaits_end, frame.port, frame.subgraph = [], (), False, False, False

    def _node(self, frame: _Frame, name: str, attributes: bool) -> None:
        frame.members.append(name)
        if (attributes or frame.named) and name not in self.graph.declared:
            self.graph.nodes[name] = frame.line
            self.graph.declared.add(name)
        else:
            self.graph.nodes.setdefault(name, frame.line)

    def _edges(self, ends: list[tuple[_NODES, int]], frame: _Frame) -> None:
        for names, line in ends:
            for name in names:
                frame.members.append(name)
                self.graph.nodes.setdefault(name, line)
        for (tails, _), (heads, line) in pairwise(ends):
            if len(tails) * len(heads) <= MAX_PRODUCT:
                for tail in tails:
                    for head in heads:
                        self.graph.edges.setdefault((tail, head), []).append(line)
