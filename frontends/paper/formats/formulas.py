"""Formulas inside a sentence as plain text.

>>> plain(r"d_{k} = 16{,}384 \\times 2^{3} \\le \\mathrm{KV}")
'd_k = 16,384 × 2^3 ≤ KV'
"""

from __future__ import annotations

import re

_SYMBOLS = {
    "times": "×", "cdot": "·", "ast": "*", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "approx": "≈", "sim": "~",
    "to": "→", "rightarrow": "→", "dots": "…", "ldots": "…", "cdots": "…", "in": "∈", "pm": "±", "mid": "|", "ell": "l",
    "quad": " ", "qquad": " ", "%": "%", "#": "#", "&": "&", "{": "{", "}": "}", "_": "_", "$": "$",
    ",": "\u2009", ";": " ", ":": " ", " ": " ", "!": "",
}  # fmt: skip
_WRAPPED = re.compile(
    r"\\(?:text|textrm|textbf|textit|texttt|textsc|mathrm|mathbf|mathit|mathcal|mathsf|mathbb|operatorname|boldsymbol|bm"
    r"|mbox|hbox|ensuremath|num)\s*\{([^{}]*)\}"
)
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_COMMAND = re.compile(r"\\([a-zA-Z]+|.)")
_BRACED = re.compile(r"([\^_])\{([^{}\s]*)\}")


def plain(source: str) -> str:
    """A formula's source with its commands as characters: sizes, sub- and superscripts stay legible to a search."""
    text = re.sub(r"\{([=<>≈×,])\}", r"\1", source).replace("~", " ")
    for _ in range(3):
        text = _BRACED.sub(r"\1\2", _FRACTION.sub(r"\1/\2", _WRAPPED.sub(r"\1", text)))
    text = _COMMAND.sub(lambda match: _SYMBOLS.get(match[1], match[1]), text)
    return " ".join(text.split())
