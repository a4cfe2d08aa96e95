"""What titles mean: words → the operator's family, and the kinds of node it may be. The first match counts.

Titles are lower case, with `_` and `-` as blanks: `all_reduce`, `All-Reduce` and `all reduce` are one word.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ...ir.drawing import Family, Kind

_COMM, _COMPUTE, _ROUTE = Kind.COMM, Kind.COMPUTE, Kind.ROUTE
_PROJECTION = (
    r"(^|\b)(\w*proj(ection|s|ections)?|linear|dense|matmul|matrix mult\w*|gemm|fc ?\d?|w ?[123qkvo]|lm head"
    r"|ff?n ?[12])\b"
)
_MODULES = (
    r"^((masked|causal|cross|local|sliding window|full|multi ?head|self|grouped query|multi query|multi latent"
    r"|scaled dot product|flash|paged|fused|ring) ?)*(mha|gqa|mqa|mla|attention|attn|sdpa)( ?\d)?"
    r"( (block|layer|module|sub ?layer|op|kernel|computation|compute|core|mechanism))?$",
    r"^((position ?wise|gated|dense|shared|swiglu) )*(ffn|mlp|feed ?forward)( network)?( (block|layer|module|\d+))*$",
    r"^(sparse )?(moe|mixture of experts)( (ffn|block|layer|module|layers))?$",
    r"^((transformer|decoder|encoder|attention|model) )+(block|layer|stack)s?( \d+)?( (to|of|through) \d+)?$",
    r"^(pipeline |pp )?(layers?|stages?) \d+( (to|through)? ?\d+)?( layers? \d+( (to|through)? ?\d+)?)?$",
    r"^(routed |shared |local )?experts?( \d+)*"
    r"( (ffn|mlp|computation|compute|network|processing|forward|layer|group))*$",
    r"^flash ?attention( ?\d)?$",
)


class Entry(NamedTuple):
    pattern: re.Pattern[str]
    family: Family
    kinds: frozenset[Kind]


def _entry(pattern: str, family: Family, *kinds: Kind) -> Entry:
    return Entry(re.compile(pattern), family, frozenset(kinds))


TABLE = (
    _entry(r"^(split|slice|chunk|partition) ?:", Family.SPLIT, _ROUTE),  # of whatever it names then
    _entry(r"^concat ?:", Family.CONCAT, _ROUTE),
    _entry(r"^add ?:", Family.ADD, _COMPUTE, _ROUTE),
    _entry(r"\ball ?reduce", Family.ALL_REDUCE, _COMM),
    _entry(r"\breduce ?scatter", Family.REDUCE_SCATTER, _COMM),
    _entry(r"\ball ?gather", Family.ALL_GATHER, _COMM),
    _entry(r"\b(all ?(to|2) ?all(v|single)?|a2a)\b", Family.ALL_TO_ALL, _COMM),
    _entry(r"\b(send|i?recv|receive|p2p|point to point|transfer)\b", Family.TRANSFER, _COMM),
    _entry(r"\b(collective ?permute|ppermute|ring (shift|pass|rotation))\b", Family.PERMUTE, _COMM),
    _entry(r"\b(broadcast|bcast)\b", Family.BROADCAST, _COMM),
    _entry(r"\b(communication|comm|nccl|exchange)\b", Family.EXCHANGE, _COMM),
    _entry(r"\b(routing|token|expert) counts?\b", Family.COUNT, _ROUTE),
    _entry(r"\b(dispatch|token split|permute tokens|token permut\w+)", Family.DISPATCH, _ROUTE),
    _entry(r"^(split|slice|chunk|partition)\b|\b(split|slice)$", Family.SPLIT, _ROUTE),
    _entry(r"\bmerge\b.*\b(log ?sum ?exp|lse|soft ?max|attention)|\b(lse|soft ?max|attention) merge\b", Family.MERGE,
           _COMPUTE, _ROUTE),
    _entry(r"^(concat\w*|merge|aggregate)\b", Family.CONCAT, _ROUTE),
    _entry(r"\btop ?[k\d]\b", Family.TOP_K, _ROUTE, _COMPUTE),
    _entry(r"\b(combine|weighted sum|unpermute\w*|expert aggregation)\b", Family.COMBINE, _ROUTE),
    *(_entry(pattern, Family.MODULE, _COMPUTE) for pattern in _MODULES),
    _entry(r"\b(rms|layer|batch|group)? ?norm(alization|alisation)?\b|^ln ?\d?\b", Family.NORM, _COMPUTE),
    _entry(r"\b(rope|rotary|positional encoding|position encoding)\b", Family.ROPE, _COMPUTE),
    _entry(r"\b(bias|dropout|multiply|mul|(?<!dot )product|hadamard)\b|\bgated$", Family.POINTWISE, _COMPUTE),
    _entry(r"\b(kv|k|v|key|value) cache\b|\bcache (append|update|write)", Family.CACHE, _COMPUTE),
    _entry(r"\b(residual|add|addition|skip connection)\b", Family.ADD, _COMPUTE, _ROUTE),
    _entry(r"\b(attn|attention|probs?|weights|p|softmax|scores?)( weights| probs?)? ?[·*@×⋅] ?v(alues?)?\b"
           r"|\battention weighted sum\b", Family.CONTEXT, _COMPUTE),
    _entry(r"\bq ?[·*@×⋅] ?k\b|\bqk ?(\^ ?)?(t|ᵀ|transposed?)?\b(?! ?(proj|linear))", Family.SCORES, _COMPUTE),
    _entry(_PROJECTION, Family.PROJECT, _COMPUTE),
    _entry(r"\b(activation|gelu|silu|swiglu|geglu|relu|swish|glu)\b", Family.ACTIVATION, _COMPUTE),
    _entry(r"\bsoft ?max\b", Family.SOFTMAX, _COMPUTE),
    _entry(r"\bembed(ding|dings)?\b", Family.EMBED, _COMPUTE),
    _entry(r"\bscores?\b|\bscaled dot ?product\b|\bq ?[·*@×x]? ?k ?(\^ ?)?(t|ᵀ|transposed?)\b|\bqk(t|ᵀ)?\b",
           Family.SCORES, _COMPUTE),
    _entry(r"\b(scale|scaling|mask|masking)\b", Family.POINTWISE, _COMPUTE),
    _entry(r"\b(context|attention values?|p ?[·*@×x]? ?v|av)\b", Family.CONTEXT, _COMPUTE),
    _entry(r"\b(mlp|ff?n|feed ?forward|swiglu|glu|experts? \d+) ?\d? ?(gate|up|down)\b", Family.PROJECT, _COMPUTE),
    _entry(r"\b(output|shared( expert)?) gate\b", Family.OUTPUT_GATE, _COMPUTE),
    _entry(r"\b(gate|router|gating)\b", Family.GATE, _COMPUTE, _ROUTE),
    _entry(r"\b(expert|token|moe) rout(e|ing)\b|\broutes? (tokens )?to\b", Family.DISPATCH, _ROUTE, _COMM),
    _entry(r"\b(split|slice|chunk|partition|unstack)\b", Family.SPLIT, _ROUTE),
    _entry(r"\b(concat\w*|cat)\b", Family.CONCAT, _ROUTE),
    _entry(r"\b(aggregat\w+|merge|join)\b", Family.CONCAT, _ROUTE),
    _entry(r"\bgather\b", Family.GATHER, _ROUTE, _COMM),
    _entry(r"\bscatter\b", Family.SCATTER, _ROUTE, _COMM),
    _entry(r"\b(reshape|view|flatten|unflatten)\b", Family.RESHAPE, _COMPUTE, _ROUTE),
    _entry(r"\b(up|down)\b", Family.PROJECT, _COMPUTE),
)  # fmt: skip

_ENDS = {
    Kind.INPUT: re.compile(
        r"((total|model|global|graph|raw|network) )?inputs?( (tokens?|token ids|ids|batch|data|sequences?|layer|node|"
        r"tensor|hidden states|x))?|(input )?tokens?( ids)?|prompts?|source|start"
    ),
    Kind.OUTPUT: re.compile(
        r"((total|final|model|global|graph|network) )?outputs?( (tokens?|logits|layer|node|tensor|batch|data|"
        r"probabilities|hidden states|y))?|(output )?logits|sink|end|result"
    ),
}
_BESIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_NUMBER = re.compile(r"(?<![A-Za-z\d])\d+")
_WHERE = re.compile(
    r"[|:,·–]? ?\b(layers?|l|block|(pipeline )?stage|[ptdesc]p|replica|rep|shard|part|slice|rank|head group|chunk|"
    r"micro ?batch) ?[#:=]? ?"
    r"\d+( ?(/|of|to|…|\.\.) ?\d+| \d+)?\b ?[|:,·–]?(?! ?(→|->))"
)
"""Which of many it is: the layer, the stage, the part; no matter what it does."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_JOINT = re.compile(r"\s\+\s|\s?&\s?|\sand\s")
_ELIDED = re.compile(
    r"^(\.{2,}|…|⋮|⋯|\W*$)|\b(omitted|elided|same as|identical to|as above|and so on|repeats? layer)\b"
)


class Meaning(NamedTuple):
    """What a title says; `families` has several where it joins operators: `Add & Norm`."""

    families: tuple[Family, ...]
    kinds: frozenset[Kind]
    is_expert: bool
    elided: bool


def meaning(title: str) -> Meaning:
    """What a title means; nothing for one that is not recognised. Which number stands in it means nothing."""
    return _meaning(_NUMBER.sub("1", title))


@lru_cache(65536)
def _meaning(title: str) -> Meaning:
    words = " ".join(re.sub(r"[_\-]", " ", title.lower()).split())
    elided = bool(_ELIDED.search(words) or re.search(r"….*\blayers?\b|\blayers?\b.*…", words))
    bare = _plain(words)
    for kind, pattern in _ENDS.items():
        if pattern.fullmatch(bare):
            return Meaning((), frozenset({kind}), False, elided)
    found = _entries(bare) or _entries(words) or _entries(_CAMEL.sub(" ", title).lower())
    kinds = found[0].kinds if found else frozenset[Kind]()
    families = tuple(dict.fromkeys(entry.family for entry in found))
    expert = bool(re.search(r"\bexperts?\b", words)) and not re.search(r"\bshared\b", words)
    return Meaning(families, kinds, expert and not kinds - {_COMPUTE}, elided)


def _entries(words: str) -> list[Entry]:
    """The operators that a title joins; which of many it is counts only where nothing else is said."""
    bare = " ".join(_WHERE.sub(" ", words).split()).strip(" :.,")
    return [entry for part in _parts(bare or words) if (entry := _lookup(part))]


_COMMUNICATION = frozenset(entry.family for entry in TABLE if entry.kinds == frozenset({_COMM}))


def _plain(words: str) -> str:
    """Without what stands in brackets, or without the brackets where nothing else is left."""
    bare = " ".join(_BESIDE.sub(" ", words).split()).strip(" :.,")
    return bare or words.strip("()[] ")


def _parts(words: str) -> list[str]:
    """Communication is one operator, whatever it stands between."""
    whole = _lookup(words)
    if whole and whole.family in _COMMUNICATION:
        return [words]
    return [part.strip() for part in _JOINT.split(words)]


def _lookup(words: str) -> Entry | None:
    return next((entry for entry in TABLE if entry.pattern.search(words)), None)
