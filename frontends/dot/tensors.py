"""Dimensions, however they are written → `Tensor`s.

[batch_size=8, seq_len=1024], [heads=4]      (B: 8, S: 1024)      batch_size=8 x seq_len=1024      (B=8)×(S=1024)
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...ir.drawing import Fact, Product, Size, Tensor, Unreadable

_NOTHING = {"", "-", "–", "none", "n/a", "na", "nil", "null", "[]", "()", "∅"}
_DTYPE = re.compile(r"(dtype|type)?[\s=:]*(torch\.)?(bf16|fp?(8|16|32|64)|b?float\d*|u?int\d+|half|fp8\w*|bool)", re.I)
_GROUP = re.compile(r"\[([^\[\]]*)\]|\(((?:[^()]|\([^()]*\))*)\)|\{([^{}]*)\}")
_COMMA = re.compile(r"[,;](?![^(]*\))")
_CROSS = re.compile(
    r"(?<=[\w)])\s+[x×X*]\s+(?=[^\W\d][\w ]*[=:])|×(?=\s*[^\W\d]\w*\s*[=:])|(?<=[\d)])\s+(?=[^\W\d]\w*\s*[=:])"
)
_NUMBERS = re.compile(r"\d+(?:\s*[x×X*]\s*\d+)+")
_ITEM = re.compile(r"([^\W\d][\w .\-·*×/']*?)\s*[=:]\s*(.+)", re.DOTALL)
_CALL = re.compile(r"([^\W\d]\w*)\s*\(\s*(\d+)\s*\)")
_NOTE = re.compile(r"(?:\s|(?<=\d))\(\s*[=:]?\s*([^()]*)\)\s*$")
_BETWEEN = re.compile(r"[\s,;+&×x¦|]*(and|plus)?[\s,;+&×x¦|]*", re.I)
_BRACKETS = str.maketrans("⟨⟩〈〉【】［］", "[][][][]")
_THOUSANDS = re.compile(r"(?<=[=:])(\s*\d{1,3})((?:,\d{3})+)(?!\d)")
_TIMES_BEFORE = re.compile(r"(?:^|[\s,;])(\d{1,6})\s*[×x*]\s*$")
_TIMES_BEHIND = re.compile(r"[ \t]*[×x*][ \t]*(\d{1,6})\b(?!\s*[×x*=\d])(?:[ ]+[a-z]+)?", re.I)
MOST_COPIES = 4096
"""Tensors that one `16 × […]` stands for; of more, one is read."""
_NOTE_BEHIND = re.compile(r"\([A-Za-z_][\w \-/]*\)")
"""`(hidden states)` behind a tensor."""
_CROSSED = re.compile(r"\s*[×x]\s*")
_NAMES = re.compile(r"[ ,;]*[A-Za-z]\w{0,15}(?: ?[,/] ?[A-Za-z]\w{0,15})+ ?:? ?")
"""`Q,K,V` before one tensor that all of them are like."""
_LINES = re.compile(r"(?:[ \t•*\-–]*[^\W\d][\w .]*?[ ]*[=:][ ]*[^\s\[(,;]+[ ]*(?:\n|$))+")
"""Dimensions a line each, below their key."""


def tensors(text: str) -> Fact:
    """The tensors that a text states; Unreadable when it states something else."""
    return split_tensors(text)[0]


@lru_cache(65536)
def split_tensors(text: str) -> tuple[Fact, str]:
    """The tensors at the beginning of a text, and what stands behind them."""
    text = re.sub(r"torch\.Size", "", text).translate(_BRACKETS).strip(" ¦|")
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    if text.lower() in _NOTHING:
        return (), ""
    found, rest = _groups(text)
    if found:
        return tuple(found), rest
    first, _, rest = text.partition("\n")
    if not first and (below := _LINES.match(rest)):
        first, rest = ", ".join(below.group().strip().split("\n")), rest[below.end() :]
    if first.strip().lower() in _NOTHING:
        return (), rest
    bare = [_tensor(part) for part in re.split(r"\s*;\s*|\s+and\s+", first.strip()) if part]
    if all(tensor.dims or tensor.unnamed for tensor in bare):
        return tuple(bare), rest
    return Unreadable(first), rest


def _groups(text: str) -> tuple[list[Tensor], str]:
    """Bracketed tensors, in a list of their own or not; a few words may stand before each: `hidden states [B=8]`."""
    if re.match(r"\[\s*[\[(]", text):
        text = re.sub(r"([\])])\s*\]", r"\1", text[1:], count=1)
    found: list[Tensor] = []
    at = 0
    while match := _GROUP.search(text, at):
        before, content = text[at : match.start()], next(part for part in match.groups() if part is not None)
        if found and _NOTE_BEHIND.fullmatch(match.group()) and not before.strip():
            at = match.end()
            continue
        tensor = _tensor(content)
        if "\n" in before.strip() or "=" in before or not (tensor.dims or tensor.unnamed or tensor.unsized):
            break
        if found and (":" in before or not (_BETWEEN.fullmatch(before) or "," in before)):
            break
        if (
            found
            and _CROSSED.fullmatch(before)
            and len(tensor.dims) == 1
            and not tensor.dims.keys() & found[-1].dims.keys()
        ):
            found[-1] = Tensor({**found[-1].dims, **tensor.dims}, merges={**found[-1].merges, **tensor.merges})
            at = match.end()
            continue
        count, at = _copies(before, text, match.end())
        found += [tensor] * count
    return found, text[at:]


def _copies(before: str, text: str, at: int) -> tuple[int, int]:
    """How many tensors like this one there are, `16 × […]`, `[…] × 2` or `Q,K,V […]`, and where the statement ends."""
    ahead, behind = _TIMES_BEFORE.search(before), _TIMES_BEHIND.match(text, at)
    if said := ahead or behind:
        count = int(said.group(1))
    else:
        count = len(re.split(r"[,/]", before.strip(" ,;:"))) if _NAMES.fullmatch(before) else 1
    return count if 0 < count <= MOST_COPIES else 1, behind.end() if behind and not ahead else at


def _tensor(text: str) -> Tensor:
    dims: dict[str, Size] = {}
    unnamed, unsized, twice, merges = list[str](), list[str](), list[str](), dict[str, str]()
    for item in _items(text):
        if _DTYPE.fullmatch(item):
            continue
        match = _ITEM.fullmatch(item) or _CALL.fullmatch(item)
        if match is None:
            (unnamed if re.match(r"[\d?]", item) else unsized).append(item)
            continue
        name, size, merged = _named(match.group(1), match.group(2))
        if name in dims:
            twice.append(name)
        dims[name] = size
        if merged:
            merges[name] = merged
    return Tensor(dims, tuple(unnamed), tuple(unsized), tuple(twice), merges)


def _items(text: str) -> list[str]:
    if _NUMBERS.fullmatch(text.strip()):
        return re.findall(r"\d+", text)
    parts = [part for piece in _COMMA.split(text) for part in _CROSS.split(piece)]
    return [
        part.strip(" \n¦()'\"") if _unmatched(part) else part.strip(" \n¦'\"") for part in parts if part.strip(" \n¦")
    ]


def _unmatched(text: str) -> bool:
    """Whether a bracket around a single dimension was cut: `(B=8)`."""
    return text.strip().startswith("(") or text.count("(") != text.count(")")


def _named(name: str, size: str) -> tuple[str, Size, str]:
    """A dimension's name, its size, and what it says that it merges: `expert_tokens=4096 (= batch_size·seq_len)`."""
    merged = ""
    if note := _NOTE.search(size):
        product = Product.parse(note.group(1))
        merged = note.group(1).strip() if product and len(product.times) > 1 else ""
        size = size[: note.start()] or size
    first, *_, last = size.split("=") if "=" in size else (size, size)
    if first is not last and Product.parse(first) and re.search(r"[^\W\d]", first):
        merged = first.strip()
    words = dimension(name)
    if not merged and re.search(r"[·*×]", name):
        merged = name.strip()
    return words, size_of(last), merged


def dimension(name: str) -> str:
    """
    >>> dimension("Batch size")
    'batch_size'
    """
    return re.sub(r"[\s.\-]+", "_", name.strip().lower()) if len(name.strip()) > 1 else name.strip()


@lru_cache(4096)
def size_of(text: str) -> Size:
    """
    >>> size_of("4096/8"), size_of("1024"), size_of("B / 16")
    (512, 1024, 'B/16')
    """
    word = re.sub(r"\s+|(?<=\d)_(?=\d)", "", text)
    if word.isdecimal() and word.isascii():
        return int(word) if len(word) < 40 else word
    product = Product.parse(word.replace("//", "/"))
    value = product.value({}) if product else None
    return int(value) if value is not None and value.denominator == 1 else word
