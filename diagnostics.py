"""What dagc says when an input is wrong: one grammar for every message, everything needed to act.

    error[indivisible] ep.yaml:4 at layers.moe.experts.up_proj
      axis ep (12 GPUs) does not divide experts = 64
      expected: a divisor of 64 (1, 2, 4, 8, 16, 32, 64)
      actual:   12
      hint:     use --mesh ep=16

The codes and what they mean are data: `codes.py`. `Refused` carries all diagnostics of one step at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from .codes import CODES


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `where` is a file, file:line, key or module path; `severity` is "error" or "warning"."""

    code: str
    problem: str
    where: str = ""
    expected: str = ""
    actual: str = ""
    hint: str = ""
    severity: str = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"diagnostic code {self.code!r} is not in codes.py")

    def __str__(self) -> str:
        head = f"{self.severity}[{self.code}]" + (f" {self.where}" if self.where else "")
        fields = (("expected", self.expected), ("actual", self.actual), ("hint", self.hint))
        return "\n".join([head, f"  {self.problem}", *(f"  {name + ':':<9} {text}" for name, text in fields if text)])

    def at(self, where: str) -> Diagnostic:
        """The same finding, placed: used by callers that know the file of what a callee refused."""
        return replace(self, where=where if not self.where else f"{where} at {self.where}")

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Refused(Exception):
    """An input, strategy or graph is wrong; carries every diagnostic found, in order. Exit code 1 (or 2 for usage)."""

    def __init__(self, *diagnostics: Diagnostic, usage: bool = False) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics
        self.usage = usage


def nearest(word: str, known: Iterable[str]) -> str:
    """ "did you mean …" for an unknown name, or the list of the known ones."""
    from difflib import get_close_matches

    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(choices)}"
