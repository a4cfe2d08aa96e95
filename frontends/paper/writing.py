"""A reading → the experiment as YAML, every value with where the paper says it, or how it was come by.

    # contradiction   layers: the conclusion says 4, the setup 16: 16 is taken (lines 25, 63)
    models:
      - name: large-ep
        hidden: 4096        # line 25: "Token dimension 4096"
        d_k: 128            # derived: 4096 / 32 (line 25: "32 heads")

It is a description like any other (`frontends/description.py`); what a person would write by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import yaml

from ..json_schema import modeline
from .facts import Fact, How, Reading, Remark, Source

_WIDTH = 100
"""Of what is remarked."""
_AT = 36
"""Column at which comments begin, where the value leaves room."""
_LONGEST = 160
_BLANK = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ufeff]+")
"""What would end a comment's line, or is not seen in it."""

Path = tuple[str, ...]


def yaml_of(reading: Reading) -> str:
    """The experiment's text: a modeline, what was remarked, the description."""
    head = [modeline(), f"# Read from {_flat(reading.document.name)}"]
    head += [f"# {line}" for remark in reading.remarks for line in _remark(remark)]
    return "\n".join((*head, *_mapping(reading.description, [*reading.facts, *_of_methods(reading)], (), 0))) + "\n"


def _of_methods(reading: Reading) -> Iterator[Fact]:
    """Methods as facts of the keys under which they stand."""
    for method in reading.methods:
        key = "baseline" if method.role == "baseline" else method.strategy if method.body else "strategies"
        for source in method.sources[:1]:
            yield Fact(key, method.strategy, source)


def _remark(remark: Remark) -> Iterator[str]:
    at = f" ({', '.join(dict.fromkeys(map(str, remark.sources)))})" if remark.sources else ""
    shown = f"{remark.about}: {remark.text}" if remark.about else remark.text
    said = (f"{shown}{at}", remark.arithmetic, *(f"or: {other}" for other in remark.instead))
    lines = [line for text in said if text for line in wrap(_BLANK.sub(" ", text), _WIDTH)]
    yield from (f"{label:<14}{line}" for label, line in zip((remark.verdict, *[""] * len(lines)), lines, strict=False))


def _mapping(data: dict[str, Any], facts: Sequence[Fact], path: Path, indent: int) -> Iterator[str]:
    of = data.get("name", "")
    for key, value in data.items():
        at = (*path, str(key))
        own = [fact for fact in facts if fact.of in ("", of)] if of else facts
        yield from _entry(f"{' ' * indent}{_scalar(key)}:", value, own, at, indent)


def _entry(start: str, value: Any, facts: Sequence[Fact], path: Path, indent: int) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield _commented(start, _why(path, path[-1], facts))
        yield from _mapping(value, facts, path, indent + 2)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        yield start
        for one in value:
            yield from _item(one, facts, path, indent + 2)
    else:
        yield _commented(f"{start} {_scalar(value)}", _why(path, value, facts))


def _item(value: Any, facts: Sequence[Fact], path: Path, indent: int) -> Iterator[str]:
    """An entry of a list: its first key stands behind the dash."""
    if not isinstance(value, dict) or not value:
        yield _commented(f"{' ' * indent}- {_scalar(value)}", _why(path, value, facts))
        return
    for i, line in enumerate(_mapping(value, facts, path, indent + 2)):
        yield line if i else f"{' ' * indent}- {line.lstrip()}"


def _commented(line: str, comment: str) -> str:
    return f"{line:<{_AT}}  # {comment}" if comment else line


def _why(path: Path, value: Any, facts: Sequence[Fact]) -> str:
    """Where a value comes from: its key may have several parts (`links.inside`)."""
    names = {path[-1], ".".join(path[-2:])}
    found = [fact for fact in facts if fact.key in names]
    said = next((fact for fact in found if _same(fact.value, value)), None)
    if said is None:
        return ""
    rule = f"{said.how}: {said.why}" if said.how is not How.STATED and said.why else ""
    rule = rule or (str(said.how) if said.how is How.MODEL else "")
    return _flat(" ".join(filter(None, (rule, _quoted(said.source, bool(rule))))))


def _same(stated: Any, value: Any) -> bool:
    return stated == value or (isinstance(value, list) and (stated in value or stated == tuple(value)))


def _quoted(source: Source, bracketed: bool) -> str:
    if not source.quote:
        return ""
    text = f'{source}: "{source.quote}"'
    return f"({text})" if bracketed else text


def _flat(text: str) -> str:
    """On one line, of a length that is read."""
    flat = _BLANK.sub(" ", text).strip()
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def _scalar(value: Any) -> str:
    """A value on one line, quoted where YAML needs it."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()
