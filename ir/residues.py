"""Numbers of the finite field GF(p), p = 2³¹ − 1, in place of floats: sums are exact in whatever order they are taken.

Operators compute on `Residues` as on float arrays, by the same text: ring operations, division, einsum, selections are
those of the field. A function that is not made of those (exp, √, an activation) is a random function of the residue,
and so is the reading of a float constant: two programs that agree for random inputs and functions agree as expressions
over uninterpreted functions, but for an accident of probability about (operations) / p per `salt` (Schwartz–Zippel).

Only what has a meaning over the field is defined: any other numpy function or method of residues is a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

P = 2**31 - 1
"""The field's size, a Mersenne prime: a product of two residues fits 62 bits. numpy's `%` is as fast as shifts here."""

IDENTITIES = frozenset({"expert"})
"""Fields of structured residues that are plain integers: they say which, not how much."""

MASKED = -1e30
"""The score of what may not be seen: exp makes it 0, in float64 as in the field."""

EXACT: dict[str, dict[float, float]] = {"exp": {MASKED: 0.0}}
"""Where a random function is none: by function, the constants whose value programs count on, with that value."""


class Residues(np.ndarray):
    """An int64 array of residues in [0, p), or a structured one whose fields are those or `IDENTITIES`.

    In mixed operations integers and booleans are themselves, floats what `residues` makes of them.
    `salt` says which random functions are meant; of two operands the first one's.
    """

    salt: int

    def __array_finalize__(self, obj: object) -> None:
        self.salt = getattr(obj, "salt", 0)
        fields = self.dtype.fields or {}
        if any(kind != np.int64 for kind in ([kind for kind, *_ in fields.values()] or [self.dtype])):
            raise TypeError(f"residues are int64, not {self.dtype}")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        meaning = UFUNCS.get((ufunc, method))
        if meaning is None:
            raise TypeError(f"{ufunc.__name__} has no meaning over a finite field")
        salt = _salt(inputs)
        made = meaning(*(_values(x, salt) for x in inputs), **options)
        if made.dtype == bool:
            return made
        if out is None:
            return _wrapped(made, salt)
        if not isinstance(out[0], Residues):
            raise TypeError("residues do not go into an array of other numbers")
        out[0][...] = made
        return out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in FUNCTIONS:
            return FUNCTIONS[func](*args, **kwargs)
        if func in ARRANGING:
            return super().__array_function__(func, types, args, kwargs)
        raise TypeError(f"{func.__name__} has no meaning over a finite field")

    def __getitem__(self, key: Any, /) -> Any:
        made = super().__getitem__(key)
        if isinstance(key, str) and key in IDENTITIES:
            return made.view(np.ndarray)
        return made if isinstance(made, Residues) else _wrapped(made, self.salt)

    def __setitem__(self, key: Any, value: Any, /) -> None:
        super().__setitem__(key, _values(value, self.salt))

    def random_function(self, name: str) -> Residues:
        """A random function of every element but at the points of `EXACT`; equal names and salts mean the same one."""
        x = _values(self, self.salt)
        made = _mixed(x.view(np.uint64), _key(name, self.salt))
        for point, value in EXACT.get(name, {}).items():
            made = np.where(x == _constant(point, self.salt), _constant(value, self.salt), made)
        return _wrapped(made, self.salt)


def residues(value: Any, salt: int) -> Residues:
    """An array as residues: integers mod p; of floats whole ones exactly, any other a random residue of its bits.

    −x is the negative of what x is. Residues stay as they are.
    """
    return _wrapped(_values(value, salt), salt)


def random_residues(key: object, shape: tuple[int, ...], salt: int) -> Residues:
    """Residues that depend on the key's text, the position and the salt alone."""
    count = int(np.prod(shape))
    return _wrapped(_mixed(np.arange(count, dtype=np.uint64), _key(f"random {key!r}", salt)).reshape(shape), salt)


def nonlinear(name: str, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """`function` of every float; of residues the random function of that name."""
    return x.random_function(name) if isinstance(x, Residues) else function(x)


# Residues as plain int64 arrays or Python integers. In this part nothing is wrapped.


def _wrapped(values: np.ndarray, salt: int) -> Residues:
    made = np.asarray(values).view(Residues)  # numpy makes lone numbers of arrays without axes
    made.salt = salt
    return made


def _salt(inputs: Any) -> int:
    return next(x.salt for x in inputs if isinstance(x, Residues))


def _values(x: Any, salt: int) -> Any:
    """Anything as plain residues."""
    if isinstance(x, Residues):
        return x.view(np.ndarray)
    if isinstance(x, int | np.integer | np.bool_):
        return int(x) % P
    if isinstance(x, float | np.floating):
        return _constant(float(x), salt)
    array = np.asarray(x)
    match array.dtype.kind:
        case "f":
            return _of_floats(array.astype(np.float64), salt)
        case "i" | "b":
            return array.astype(np.int64) % P
        case "u":
            return (array.astype(np.uint64) % np.uint64(P)).astype(np.int64)
    raise TypeError(f"{array.dtype} has no meaning over a finite field")


@lru_cache(maxsize=4096)
def _constant(x: float, salt: int) -> int:
    return int(_of_floats(np.array([x]), salt)[0])


def _of_floats(x: np.ndarray, salt: int) -> np.ndarray:
    size = np.asarray(np.abs(x))
    whole = (size < 2.0**53) & (size == np.floor(size))
    exact = np.where(whole, size, 0).astype(np.int64) % P
    made = np.where(whole, exact, _mixed(size.view(np.uint64), _key("float", salt)))
    return np.where(x < 0, -made, made) % P


@lru_cache(maxsize=4096)
def _key(name: str, salt: int) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(f"{salt} {name}".encode(), digest_size=8).digest()))


_GOLDEN, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_SHIFTS = tuple(np.uint64(s) for s in (30, 27, 31))


def _mixed(x: np.ndarray, key: np.uint64) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014) over x · golden + key, mod p. x is uint64."""
    z = x.reshape(-1) * _GOLDEN  # numpy warns when a lone number overflows, and arrays without axes give such
    z += key
    z ^= z >> _SHIFTS[0]
    z *= _FIRST
    z ^= z >> _SHIFTS[1]
    z *= _SECOND
    z ^= z >> _SHIFTS[2]
    z %= np.uint64(P)
    return z.view(np.int64).reshape(x.shape)


def _sum(x: np.ndarray, axis: Any = 0, keepdims: bool = False, dtype: Any = None, where: bool = True) -> np.ndarray:
    if dtype is not None or where is not True:
        raise TypeError("residues are summed as they are, and all")
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims)) % P


def _inverse(x: np.ndarray) -> np.ndarray:
    """1/x, and 0 of 0: x to the power p − 2 = 2³¹ − 3, whose bits but the second are ones."""
    if np.ndim(x) == 0:
        return np.asarray(pow(int(x), P - 2, P))
    runs = {1: x}  # x to the power of so many ones
    for a, b in ((1, 1), (2, 1), (3, 3), (6, 1), (7, 7), (14, 14), (28, 1)):
        runs[a + b] = _squared(runs[a], b) * runs[b] % P
    return _squared(runs[29], 2) * x % P


def _squared(x: np.ndarray, times: int) -> np.ndarray:
    made = x * x % P
    for _ in range(times - 1):
        made *= made
        made %= P
    return made


UFUNCS: dict[tuple[np.ufunc, str], Callable[..., np.ndarray]] = {
    (np.add, "__call__"): lambda a, b: (a + b) % P,
    (np.subtract, "__call__"): lambda a, b: (a - b) % P,
    (np.multiply, "__call__"): lambda a, b: a * b % P,
    (np.true_divide, "__call__"): lambda a, b: a * _inverse(b) % P,
    (np.negative, "__call__"): lambda a: -a % P,
    (np.equal, "__call__"): lambda a, b: np.equal(a, b),
    (np.not_equal, "__call__"): lambda a, b: np.not_equal(a, b),
    (np.add, "reduce"): _sum,
}


# Contractions: exact by float64 matrix products, which run on BLAS.

_HALF = 16
"""The second factor is taken apart into 15 high and 16 low bits: a product with 31 bits is below 2⁴⁷ …"""
_TERMS = 2 ** (53 - 31 - _HALF)
"""… so that so many of them are summed exactly by float64."""


def _einsum(spec: str, a: Any, b: Any) -> Residues:
    """A contraction of two operands; a letter of neither the result nor the other operand is refused."""
    salt = _salt((a, b))
    first, second, order, together, kept = _contraction(spec)
    left, right = _values(a, salt).transpose(first), _values(b, salt).transpose(second)
    batch, rows, columns = left.shape[:together], left.shape[together:kept], right.shape[together + left.ndim - kept :]
    terms = int(np.prod(left.shape[kept:]))
    if batch != right.shape[:together] or left.shape[kept:] != right.shape[together : together + left.ndim - kept]:
        raise ValueError(f"{spec} of shapes {a.shape} and {b.shape}")
    count = int(np.prod(batch))
    left = left.reshape(count, int(np.prod(rows)), terms)
    product = _matmul(left, right.reshape(count, terms, int(np.prod(columns))))
    return _wrapped(product.reshape((*batch, *rows, *columns)).transpose(order), salt)


@lru_cache(maxsize=4096)
def _contraction(spec: str) -> tuple[list[int], list[int], list[int], int, int]:
    """How operands and product are transposed: (batch, rows, terms), (batch, terms, columns), (batch, rows, columns).

    Then how many letters are batch, and how many batch or rows.
    """
    operands, out = spec.split("->")
    a, b = operands.split(",")
    batch, rows = [x for x in a if x in b and x in out], [x for x in a if x not in b]
    terms, columns = [x for x in a if x in b and x not in out], [x for x in b if x not in a]
    product = [*batch, *rows, *columns]
    if sorted(product) != sorted(out):
        raise ValueError(f"{spec} sums a letter of one operand alone")
    transposed = [a.index(x) for x in (*batch, *rows, *terms)], [b.index(x) for x in (*batch, *terms, *columns)]
    return *transposed, [product.index(x) for x in out], len(batch), len(batch) + len(rows)


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[batch, rows, terms] × [batch, terms, columns], `_TERMS` at a time."""
    parts = [_short_matmul(a[..., i : i + _TERMS], b[:, i : i + _TERMS]) for i in range(0, a.shape[-1] or 1, _TERMS)]
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0]) % P


def _short_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left = a.astype(np.float64)
    made = (left @ (b >> _HALF).astype(np.float64)).astype(np.int64)
    made %= P
    made <<= _HALF
    made += (left @ (b & (2**_HALF - 1)).astype(np.float64)).astype(np.int64)
    made %= P
    return made


# numpy's functions.


def _where(condition: np.ndarray, a: Any, b: Any) -> Residues:
    if isinstance(condition, Residues):
        raise TypeError("residues are neither true nor false")
    salt = _salt((a, b))
    return _wrapped(np.where(condition, _values(a, salt), _values(b, salt)), salt)


def _total(x: Residues, axis: Any = None, keepdims: bool = False) -> Residues:
    return _wrapped(_sum(x.view(np.ndarray), axis, keepdims), x.salt)


def _mean(x: Residues, axis: int | None = None, keepdims: bool = False) -> Residues:
    count = x.size if axis is None else x.shape[axis]
    return _wrapped(_sum(x.view(np.ndarray), axis, keepdims) * pow(count, -1, P) % P, x.salt)


def _argsort(x: Residues, axis: int = -1, kind: Any = None) -> np.ndarray:
    """By the order of 0 … p − 1: arbitrary, but the same everywhere."""
    return np.argsort(x.view(np.ndarray), axis=axis, kind=kind)


def _joined(join: Callable[..., np.ndarray]) -> Callable[..., Residues]:
    def joined(arrays: Sequence[Any], axis: int = 0) -> Residues:
        salt = _salt(arrays)
        return _wrapped(join([_values(x, salt) for x in arrays], axis=axis), salt)

    return joined


def _array_equal(a: Any, b: Any) -> bool:
    salt = _salt((a, b))
    return np.array_equal(_values(a, salt), _values(b, salt))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.einsum: _einsum,
    np.where: _where,
    np.sum: _total,
    np.mean: _mean,
    np.argsort: _argsort,
    np.array_equal: _array_equal,
    np.concatenate: _joined(np.concatenate),
    np.stack: _joined(np.stack),
    np.broadcast_to: lambda x, shape: _wrapped(np.broadcast_to(x.view(np.ndarray), shape), x.salt),
    np.zeros_like: lambda x, shape=None: _wrapped(np.zeros(x.shape if shape is None else shape, x.dtype), x.salt),
}

ARRANGING = frozenset({
    np.array_split, np.empty_like, np.expand_dims, np.moveaxis, np.ndim, np.repeat, np.reshape, np.shape, np.split,
    np.squeeze, np.swapaxes, np.take, np.take_along_axis, np.transpose,
})  # fmt: skip
"""They only put elements elsewhere: numpy's own, which keep the class."""


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(self: Residues, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{name} has no meaning over a finite field")

    return refuse


for _method in ("argmax", "argmin", "argpartition", "argsort", "byteswap", "choose", "cumprod", "cumsum", "dot", "fill",
                "getfield", "mean", "nonzero", "partition", "put", "resize", "round", "searchsorted", "setfield",
                "sort", "std", "trace", "var"):  # fmt: skip
    setattr(Residues, _method, _refusing(_method))
"""Methods that numpy would run on the integers without asking the class; what is meant has a function of that name."""
