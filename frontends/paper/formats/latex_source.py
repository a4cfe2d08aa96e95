"""LaTeX source made ready to parse: included files in their places, comments gone, macros of its own expanded.

\\newcommand{\\ngpu}[1]{#1~GPUs}   →   We use 16~GPUs (every character still knows the line it came from)
We use \\ngpu{16} % not many
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

Load = Callable[[str], str | None]
"""Name of an included file → its text, or None if there is none."""

MOST_FILES = 100
DEEPEST = 8
LONGEST = 20_000
"""Characters of an argument or of a macro's meaning."""
GROWTH = 500_000
"""Characters that macros may add: one that doubles itself would add without end."""
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*\n?[ \t]*")
_INCLUDE = re.compile(r"\\(?:input|include|subfile|import\{[^{}]*\})\s*\{([^{}]{1,200})\}")
_DEFINES = re.compile(
    r"\\(?:(?P<new>(?:re|provide)?newcommand|renewcommand|providecommand|DeclareRobustCommand|DeclareMathOperator)\*?\s*"
    r"\{?\s*\\(?P<name>[A-Za-z@]+|.)\s*\}?\s*(?:\[(?P<arity>\d)\])?\s*(?:\[(?P<default>[^\[\]]*)\])?"
    r"|def\s*\\(?P<def>[A-Za-z@]+)\s*(?P<parameters>(?:#\d)*))\s*(?=\{)"
)
_RULE = re.compile(r"\\cmidrule\s*(?:\[[^\]]*\]\s*)?(?:\([^()]*\)\s*)?\{[^{}]*\}")
_USE = re.compile(r"\\([A-Za-z@]+)")
_HOLE = re.compile(r"#(\d)")


@dataclass
class Marked:
    """Text whose every character knows its place: an index into the (file, line) pairs of `Source.places`."""

    text: str
    at: array[int]

    def cut(self, start: int, end: int) -> Marked:
        return Marked(self.text[start:end], self.at[start:end])


@dataclass(frozen=True)
class Macro:
    """`arity` arguments, the first optional if it has a default; `#1` … in the body stand for them."""

    arity: int
    default: str | None
    body: str


@dataclass
class Source:
    """The text to parse, and where its characters stand. `files`: name → text of those included; `missing`: others."""

    load: Load
    places: list[tuple[str, int]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[str, str, int]] = field(default_factory=list)
    text: str = ""
    at: array[int] = field(default_factory=lambda: array("l"))

    def read(self, text: str) -> None:
        """Takes in a file's text and everything that it includes, and expands its macros."""
        macros, whole = defined(without(joined(self._lines(text, "", 0)), _RULE))
        whole = expanded(whole, macros)
        self.text, self.at = whole.text, whole.at

    def place(self, offset: int) -> tuple[str, int]:
        """(file, line) of a character."""
        return self.places[self.at[min(offset, len(self.at) - 1)]] if self.at else ("", 1)

    def _lines(self, text: str, file: str, depth: int) -> Iterator[Marked]:
        for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
            bare = _COMMENT.sub(r"\1", line)
            if not bare.strip() and line.strip():
                continue
            start = 0
            for include in _INCLUDE.finditer(bare):
                yield self._marked(bare[start : include.start()], file, number)
                yield from self._included(include[1].strip(), file, number, depth)
                start = include.end()
            yield self._marked(bare[start:], file, number)

    def _included(self, name: str, file: str, line: int, depth: int) -> Iterator[Marked]:
        text = self.load(name) if depth < DEEPEST and len(self.files) < MOST_FILES and name not in self.files else None
        if text is None:
            self.missing.append((name, file, line))
            return
        self.files[name] = text
        yield from self._lines(text, name, depth + 1)

    def _marked(self, text: str, file: str, line: int) -> Marked:
        if not self.places or self.places[-1] != (file, line):
            self.places.append((file, line))
        return Marked(text, array("l", [len(self.places) - 1]) * len(text))


def joined(pieces: Iterable[Marked]) -> Marked:
    """One text of many."""
    texts, at = [], array("l")
    for piece in pieces:
        texts.append(piece.text)
        at.extend(piece.at)
    return Marked("".join(texts), at)


def without(source: Marked, pattern: re.Pattern[str]) -> Marked:
    """The text with all that matches cut out."""
    ends = [(0, 0), *(match.span() for match in pattern.finditer(source.text)), (len(source.text), 0)]
    return joined(source.cut(past, start) for (_, past), (start, _) in pairwise(ends))


def defined(source: Marked) -> tuple[dict[str, Macro], Marked]:
    """The macros that a text defines, and the text without their definitions."""
    macros: dict[str, Macro] = {}
    kept, start, open_ = [], 0, 0
    for match in _DEFINES.finditer(source.text):
        if match.start() < start or open_ > DEEPEST:
            continue
        end = group_end(source.text, match.end())
        if end is None:
            open_ += 1
            continue
        name = match["name"] or match["def"]
        arity = int(match["arity"] or 0) if match["name"] else (match["parameters"] or "").count("#")
        macros[name] = Macro(arity, match["default"], source.text[match.end() + 1 : end - 1])
        kept.append(source.cut(start, match.start()))
        start = end
    return macros, joined([*kept, source.cut(start, len(source.text))])


def expanded(source: Marked, macros: dict[str, Macro]) -> Marked:
    """The text with macros replaced, also those in what they stand for, as deep and as long as any paper needs."""
    most = len(source.text) + GROWTH
    for _ in range(DEEPEST):
        after = joined(_once(source, macros, most))
        if after.text == source.text or len(after.text) > most:
            break
        source = after
    return source


def _once(source: Marked, macros: dict[str, Macro], most: int) -> Iterator[Marked]:
    """One pass; it ends when it has added too much, or met too many arguments that never close."""
    start, length, open_ = 0, 0, 0
    for match in _USE.finditer(source.text):
        macro = macros.get(match[1])
        if macro is None or match.start() < start or length > most or open_ > DEEPEST:
            continue
        arguments, end = _arguments(source, match.end(), macro)
        if arguments is None:
            open_ += 1
            continue
        yield source.cut(start, match.start())
        for piece in _filled(macro.body, arguments, source.at[match.start()]):
            length += len(piece.text)
            yield piece
        start = end
    yield source.cut(start, len(source.text))


def _filled(body: str, arguments: list[Marked], place: int) -> Iterator[Marked]:
    """A body with its holes filled: what it brings stands where the macro was used, arguments where they stood."""
    start = 0
    for hole in _HOLE.finditer(body):
        yield _put(body[start : hole.start()], place)
        if 0 < int(hole[1]) <= len(arguments):
            yield arguments[int(hole[1]) - 1]
        start = hole.end()
    yield _put(body[start:], place)


def _put(text: str, place: int) -> Marked:
    return Marked(text, array("l", [place]) * len(text))


def _arguments(source: Marked, at: int, macro: Macro) -> tuple[list[Marked] | None, int]:
    """The arguments that follow, and where they end; None if one is missing."""
    found: list[Marked] = []
    if macro.default is not None:
        optional = re.compile(r"\s*\[([^\[\]]*)\]").match(source.text, at)
        found.append(source.cut(*optional.span(1)) if optional else _put(macro.default, source.at[at - 1]))
        at = optional.end() if optional else at
    while len(found) < macro.arity:
        space = re.compile(r"\s*").match(source.text, at)
        start = space.end() if space else at
        end = group_end(source.text, start)
        if end is None:
            return None, at
        found.append(source.cut(start + 1, end - 1))
        at = end
    return found, at


def group_end(text: str, at: int) -> int | None:
    """The index past the `{…}` that begins at a place; None if there is none, or none that ends soon."""
    if text[at : at + 1] != "{":
        return None
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, at, at + LONGEST):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return None
