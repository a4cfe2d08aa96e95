"""Markdown from any text: nothing that a user or a paper wrote becomes markup, ends a cell, or opens a tag.

table(("rule", "says"), [["DAG1", "a | b"]])   →   | rule | says |
                                                   | --- | --- |
                                                   | DAG1 | a \\| b |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

_MARKUP = re.compile(r"([\\`*\[\]<>|#~$!&{}]|(?<![^\W_])_|_(?![^\W_])|://|@|(?<=www)\.)")
_START = re.compile(r"^(\d*)([.)+=-])(?=\s|$)|^()(=+|-+)$")
LONGEST = 600
"""Signs of one text that are shown."""


def escaped(text: object) -> str:
    """Text as text: one line, without control signs (of direction, too), nothing in it markup."""
    plain = _shown(str(text))
    safe = _MARKUP.sub(lambda sign: "".join(f"\\{each}" for each in sign.group()), plain)
    return _START.sub(lambda start: f"{start[1] or ''}\\{start[2] or start[4]}", safe)


def code(text: object) -> str:
    """Text in a code span: of its signs only the back-tick cannot be shown, and a bar would end a table's cell."""
    plain = _shown(str(text)).replace("`", "ˋ").replace("|", "\\|").strip()
    return f"`{plain}`" if plain else ""


def link(text: str, path: str) -> str:
    """A link to a file of the folder, whatever its name."""
    return f"[{escaped(text)}]({quote(path, safe='/=,+')})"


def section(text: str, heading: str) -> str:
    """A link to the section of this heading; text is escaped already. Anchors as GitHub makes them."""
    plain = "".join(sign for sign in _shown(heading).lower() if sign.isalnum() or sign in "-_ ")
    return f"[{text}](#{quote(plain.replace(' ', '-'))})"


def bold(text: str) -> str:
    """Of text that is escaped already."""
    return f"**{text}**"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> Iterator[str]:
    """A table of cells that are escaped already; columns `right` are aligned so. None, if there are no rows."""
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    if lines:
        yield "| " + " | ".join(head) + " |"
        yield "| " + " | ".join("--:" if i in right else "---" for i in range(len(head))) + " |"
        yield from lines
        yield ""


def _shown(text: str) -> str:
    clean = "".join(sign if _visible(sign) else " " for sign in text)
    short = " ".join(clean.split())
    return short if len(short) <= LONGEST else short[: LONGEST - 2] + " …"


def _visible(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
