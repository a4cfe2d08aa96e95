"""Options of a mechanism that a paper names in words: which capacity, what counts, how stages are cut."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..document import Kind, Part
from .mechanisms import Mechanism
from .statements import Role, Statement

_FIRST = (Part.RESULTS, Part.SETUP)


def options_of(mechanism: Mechanism, statements: Sequence[Statement]) -> dict[str, object]:
    """Of every choice of the table the option, or the list of options, that the paper names."""
    own = [s for s in statements if s.role in (Role.PROPOSED, Role.NEUTRAL)]
    telling = sorted(own, key=lambda s: (s.block.kind is not Kind.ROW, s.block.part not in _FIRST))
    one = {name: _first(options, telling) for name, options in mechanism.one.items()}
    return {**one, **{name: _most(options, own) for name, options in mechanism.several.items()}}


def _first(options: Mapping[str, re.Pattern[str]], statements: Sequence[Statement]) -> str:
    """The option that is named first where it tells most: in a row of results, then in the setup."""
    named = (option for s in statements for option, says in options.items() if says.search(s.text))
    return next(named, next(iter(options)))


def _most(options: Mapping[str, re.Pattern[str]], statements: Sequence[Statement]) -> list[str]:
    """The options that one statement lists together: those of the statement that lists most."""
    listed = [[option for option, says in options.items() if says.search(s.text)] for s in statements]
    return max(listed, key=len, default=[])
