"""The traced array, and how what is computed with it is recorded.

An `Array` is a mutable reference to immutable data: ``x[k] = v`` and ``x += v`` rebind it, so that
what a node has saved never changes. Its data are what one trace less would have computed on: an
array of a library, or an `Array` of an outer trace (traces nest to any depth).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from types import ModuleType
from typing import Any, NoReturn

from gradlab.autodiff import structural  # noqa: F401  (fills the table, as the next line does)
from gradlab.autodiff.alias import Alias, Family
from gradlab.autodiff.elementwise import is_inexact_dtype
from gradlab.autodiff.node import LEVEL, Node, next_serial
from gradlab.autodiff.numpy_protocols import NumPyProtocols
from gradlab.autodiff.rule import RULES, Rule
from gradlab.backend import is_array, kind_of, namespace, snapshot, to_numpy, with_namespace

__all__ = [
    "Array",
    "apply",
    "apply_parts",
    "below",
    "computed",
    "constant",
    "frozen",
    "is_traced",
    "lift",
    "namespace_source",
    "plain",
    "record",
    "traced_at",
]

# What gives the namespace of traced arrays for that of a library: namespace.py enters it here,
# for it is written over this module.
namespace_source: list[Callable[[Any], Any]] = []

_new = object.__new__
_NONE: dict[str, Any] = {}  # options of an operator
_WIDER = ("bool", "integral", "real floating", "complex floating", "other")  # from each to the next


def lift(data: Any, level: int) -> Array:
    """Array that stands for `data` in the trace of `level`: what it is differentiated in."""
    if type(data) is Array:
        data = frozen(data)
    out = _new(Array)
    out._inner, out._alias = data, None
    out._node = (next_serial(), level, None, (), (), (), None, data.shape, data.dtype, None)
    return out


def constant(data: Any) -> Array:
    """Array without a derivative; what is one already is returned."""
    if type(data) is Array:
        return data
    out = _new(Array)
    out._inner, out._node, out._alias = data, None, None
    return out


def apply(rule: Rule, operands: Sequence[Any], options: dict[str, Any]) -> Array:
    """Compute a function, and record a node where an operand is traced."""
    inner, traced = _taken_apart(rule, operands)
    xp, inner = with_namespace(inner)
    if is_traced(xp):  # operators of a library may refuse what is traced
        inner = [constant(x) if is_array(x) else x for x in inner]
    result = computed(rule, xp, inner, options)
    results = result if rule.has_extra else (result,)
    return _recorded(rule, operands, options, inner, traced, xp, results)


def is_traced(xp: Any) -> bool:
    """Whether a namespace is that of traced arrays."""
    return xp is not None and type(xp) is not ModuleType and hasattr(xp, "is_traced")


def apply_parts(
    rules: Sequence[Rule], operands: Sequence[Any], options: dict[str, Any]
) -> list[Array]:
    """Compute a function of several results, and record a node for each: its part of the rules.

    The rules share their `forward`; what their pulls call ``e`` are all the results.
    """
    inner, traced = _taken_apart(rules[0], operands)
    xp, inner = with_namespace(inner)
    parts = rules[0].forward(xp, *inner, **options)
    return [
        _recorded(rule, operands, options, inner, traced, xp, (part, tuple(parts)))
        for rule, part in zip(rules, parts, strict=True)
    ]


def _taken_apart(rule: Rule, operands: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Operands as `below` has them, and which are of their innermost trace."""
    level, plans = -1, rule.plans
    inner: list[Any] = []
    traced: list[int] = []
    for k, x in enumerate(operands):
        if type(x) is not Array:
            inner.append(x)
            continue
        node = x._node
        inner.append(x._inner if x._alias is None else x._read())
        if node is not None:
            if node[LEVEL] != level and level >= 0:
                return _of_many_traces(rule, operands)
            level = node[LEVEL]
            if plans[k if rule.arity else 0] is not None:
                traced.append(k)
    return inner, traced


def _recorded(
    rule: Rule,
    operands: Sequence[Any],
    options: dict[str, Any],
    inner: list[Any],
    traced: list[int],
    xp: Any,
    results: Sequence[Any],
) -> Array:
    """Array of the first of the results, with a node that keeps what the rule's pulls need."""
    value = results[0]
    if not traced or ("dtype" in rule.defaults and not is_inexact_dtype(value.dtype)):
        return constant(value)  # whole numbers are steps
    argnums, n = tuple(traced), len(inner)
    saved: list[Any] = [None] * (n + len(results))
    for k in rule.needed(argnums):
        saved[k] = _saved(inner[k], operands[k]) if k < n else results[k - n]
    if rule.defaults:
        options = {**rule.defaults, **options}
    parents = tuple([operands[k]._node for k in argnums])
    return record(value, rule, parents, argnums, tuple(saved), options, xp)


def computed(rule: Rule, xp: Any, operands: list[Any], options: dict[str, Any]) -> Any:
    """What the rule's function gives, at the depth of the operands."""
    if rule.is_internal and any(type(x) is Array for x in operands):
        return apply(rule, operands, options)
    return rule.forward(xp, *([operands] if rule.arity == 0 else operands), **options)


def _of_many_traces(rule: Rule, operands: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """What `_taken_apart` gives where operands of an outer trace are among them."""
    level = max(x._node[LEVEL] for x in operands if type(x) is Array and x._node is not None)
    traced = [
        k for k in traced_at(operands, level) if rule.plans[k if rule.arity else 0] is not None
    ]
    return [below(x, level) for x in operands], traced


def record(
    result: Any,
    rule: Any,
    parents: tuple[Node, ...],
    argnums: tuple[int, ...],
    saved: tuple[Any, ...],
    options: Any,
    xp: Any,
) -> Array:
    """Array of a result that depends on the arguments `argnums`, under a node of its own."""
    out = _new(Array)
    out._inner, out._alias = result, None
    shape, dtype = result.shape, result.dtype
    serial, level = next_serial(), parents[0][LEVEL]
    out._node = (serial, level, rule, argnums, parents, saved, options, shape, dtype, xp)
    return out


def traced_at(operands: Sequence[Any], level: int) -> list[int]:
    """Positions of the operands that are traced at `level`."""
    return [
        k
        for k, x in enumerate(operands)
        if type(x) is Array and x._node is not None and x._node[LEVEL] == level
    ]


def below(x: Any, level: int) -> Any:
    """Operand as one trace less than `level` has it: what a function is computed on."""
    if type(x) is not Array:
        return x
    data = x._read()
    return data if x._node is None or x._node[LEVEL] == level else frozen(x)


def frozen(x: Any) -> Any:
    """Reference of its own to what an Array holds now; anything else is returned as it is."""
    if type(x) is not Array:
        return x
    out = _new(Array)
    out._inner, out._node, out._alias = x._read(), x._node, None
    return out


def _saved(x: Any, operand: Any) -> Any:
    """What a rule keeps of an operand: a plain array of the caller's may change, so a copy."""
    return snapshot(x) if operand is x and is_array(x) and type(x) is not Array else x


def _binary(name: str, op: Callable[[Any, Any], Any]) -> Callable[[Array, Any], Array]:
    """Operator of the class; arrays of one trace, constants and numbers take the short way."""
    rule = RULES[name]
    left, right, both = ((k, _keeps(rule, k)) for k in ((0,), (1,), (0, 1)))
    asks = _asks(rule)

    def operate(self: Array, other: Any) -> Array:
        node, kind = self._node, type(other)
        if kind is Array and other._alias is None:
            b, theirs = other._inner, other._node
        elif kind is float or kind is int:
            b, theirs = other, None
        else:
            return apply(rule, (self, other), {}) if _is_operand(other) else NotImplemented
        if self._alias is not None:
            return apply(rule, (self, other), {})
        parents: tuple[Node, ...]
        if node is not None and theirs is not None and node[LEVEL] == theirs[LEVEL]:
            parents, (argnums, (keep_a, keep_b, keep_y)) = (node, theirs), both
        elif node is not None and theirs is None:
            parents, (argnums, (keep_a, keep_b, keep_y)) = (node,), left
        elif node is None and theirs is not None:
            parents, (argnums, (keep_a, keep_b, keep_y)) = (theirs,), right
        else:
            return apply(rule, (self, other), {})
        a = self._inner
        if kind is Array and (type(a) is Array) != (type(b) is Array):  # of an outer trace, and not
            a, b = constant(a), constant(b)
        y = op(a, b)
        out = _new(Array)
        out._inner, out._alias = y, None
        saved = (a if keep_a else None, b if keep_b else None, y if keep_y else None)
        xp = namespace(a, b) if asks else None
        serial, level, shape, dtype = next_serial(), parents[0][LEVEL], y.shape, y.dtype
        out._node = (serial, level, rule, argnums, parents, saved, _NONE, shape, dtype, xp)
        return out

    return operate


def _keeps(rule: Rule, argnums: tuple[int, ...]) -> tuple[bool, ...]:
    """Which of the arguments, and whether the result, the pulls of `argnums` use."""
    needed = rule.needed(argnums)
    return tuple(k in needed for k in range(rule.arity + 1))


def _asks(rule: Rule) -> bool:
    """Whether a pull uses the namespace."""
    return any("xp" in plan for plan in rule.plans if plan is not None)


def _reflected(name: str, op: Callable[[Any, Any], Any]) -> Callable[[Array, Any], Array]:
    """Operator of the class for what stands left of it; a number takes the short way."""
    rule = RULES[name]
    right = (1,)
    keep_a, keep_b, keep_y = _keeps(rule, right)
    asks = _asks(rule)

    def operate(self: Array, other: Any) -> Array:
        node = self._node
        if node is not None and self._alias is None and type(other) in (float, int):
            b = self._inner
            y = op(other, b)
            saved = (other if keep_a else None, b if keep_b else None, y if keep_y else None)
            return record(y, rule, (node,), right, saved, _NONE, namespace(b) if asks else None)
        return apply(rule, (other, self), {}) if _is_operand(other) else NotImplemented

    return operate


def _unary(name: str, op: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """Operator of the class on one array, by the short way where it is traced."""
    rule = RULES[name]
    keep_a, keep_y = _keeps(rule, (0,))
    asks = _asks(rule)

    def operate(self: Array) -> Array:
        node = self._node
        if node is not None and self._alias is None:
            a = self._inner
            y = op(a)
            saved = (a if keep_a else None, y if keep_y else None)
            return record(y, rule, (node,), (0,), saved, _NONE, namespace(a) if asks else None)
        return apply(rule, (self,), {})

    return operate


def _in_place(op: Callable[[Any, Any], Any]) -> Callable[[Array, Any], Array]:
    def operate(self: Array, other: Any) -> Array:
        result = op(self, other)
        if result is NotImplemented or _is_scalar(self):
            return result  # NumPy's scalars are immutable: the name alone refers to the result
        if result.shape != self.shape:
            msg = f"an in-place operator cannot change the shape {self.shape} to {result.shape}"
            raise ValueError(msg)
        if not self.shape and _may_be_scalar(self):
            return self._replaced(result)
        self._rebind(result)
        return self

    return operate


def _is_scalar(x: Array) -> bool:
    """Whether the data are a scalar of a library that has them beside 0-d arrays: NumPy."""
    return not x.shape and not is_array(plain(x))


def _may_be_scalar(x: Array) -> bool:
    """Whether an element of 0-d data would be such a scalar, which a function may have made 0-d."""
    return not is_array(plain(x)[()])


def _discrete_operator(op: Callable[..., Any]) -> Callable[..., Array]:
    def operate(self: Array, *other: Any) -> Array:
        if not all(_is_operand(x) for x in other):
            if isinstance(other[0], list | tuple | range | Number):  # Python's == would be False
                msg = (
                    "beside a traced array stand arrays and Python's own numbers: got "
                    f"{type(other[0]).__name__}; convert it, such as by xp.asarray"
                )
                raise TypeError(msg)
            return NotImplemented
        return constant(op(*(plain(x) for x in (self, *other))))

    return operate


def _is_operand(x: Any) -> bool:
    return isinstance(x, bool | int | float | complex) or is_array(x) or hasattr(x, "dtype")


def plain(x: Any) -> Any:
    """Array of a library that holds the values of `x`, of however many traces."""
    while type(x) is Array:
        x = x._read()
    return x


_matmul = _binary("matmul", operator.matmul)


class Array(NumPyProtocols):
    """An array of the standard that records what is computed from it.

    It behaves as the library's own arrays do; see `gradlab.autodiff` for what raises and why.
    """

    __slots__ = ("_alias", "_inner", "_node")
    _alias: Alias | None
    _inner: Any
    _node: Node | None
    __array_priority__ = 1000.0  # NumPy and CuPy leave mixed operators to this class

    def __init__(self, *_: Any) -> None:
        msg = "make arrays with the functions of a namespace, such as xp.asarray"
        raise TypeError(msg)

    # --- what the standard asks of an array

    @property
    def dtype(self) -> Any:
        return self._inner.dtype

    @property
    def device(self) -> Any:
        return self._inner.device

    @property
    def shape(self) -> tuple[int, ...]:
        return self._inner.shape

    @property
    def ndim(self) -> int:
        return len(self._inner.shape)

    @property
    def size(self) -> int:
        return math.prod(self._inner.shape)

    @property
    def T(self) -> Array:  # noqa: N802  (the standard's name)
        if self.ndim != 2:  # noqa: PLR2004
            msg = f"x.T needs two dimensions, x has {self.ndim}: use xp.permute_dims or x.mT"
            raise ValueError(msg)
        return self.mT

    @property
    def mT(self) -> Array:  # noqa: N802
        return self._view(apply(RULES["matrix_transpose"], (self,), {}))

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        if device == self.device:
            return self
        msg = f"a traced array stays on its device {self.device}: move the arguments of f instead"
        raise NotImplementedError(msg)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return namespace_source[0](namespace(plain(self)))

    # --- values

    def __repr__(self) -> str:
        kind = "constant" if self._node is None else "traced"
        return f"<{kind} {plain(self)!r}>"

    def __format__(self, spec: str) -> str:
        return format(self._value(f"format(x, {spec!r})"), spec) if spec else str(self)

    def __bool__(self) -> bool:
        return bool(plain(self))

    def __len__(self) -> int:
        if not self.shape:
            msg = "len() of an array without dimensions"
            raise TypeError(msg)
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[k] if self.ndim == 1 else self[k, ...] for k in range(len(self)))

    def __float__(self) -> float:
        return float(self._value("float(x)"))

    def __int__(self) -> int:
        return int(self._value("int(x)"))

    def __index__(self) -> int:
        value = self._value("operator.index(x)")
        if not hasattr(value, "__index__"):  # of CuPy
            value = value.item()
        return operator.index(value)

    def __complex__(self) -> complex:
        return complex(self._value("complex(x)"))

    def item(self) -> Any:
        """Python number of a constant; a traced array raises."""
        return self._value("x.item()").item()

    def __array__(self, *args: Any, **options: Any) -> Any:
        return self._on_host("np.asarray(x)").__array__(*args, **options)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: Any = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        values = self._value("DLPack")
        if copy is False:
            msg = (
                "x.__dlpack__ cannot share memory, which nodes may have saved: leave `copy=False` "
                "away, as in np.from_dlpack(x)"
            )
            raise BufferError(msg)
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device}
        options = {name: given for name, given in options.items() if given is not None}
        return namespace(values).asarray(values, copy=True).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return plain(self).__dlpack_device__()

    def __reduce__(self) -> NoReturn:
        self._refuse("pickle")

    __hash__ = None  # type: ignore[assignment]  # as arrays are

    # --- indexing

    def __getitem__(self, key: Any) -> Array:
        key = self._plain_key(key)
        result = apply(RULES["getitem"], (self,), {"key": key})
        return self._view(result, key) if _is_view_key(key) else result

    def __setitem__(self, key: Any, value: Any) -> None:
        alias = self._alias
        if alias is not None and alias.family.is_stale:
            written = alias.family.written
            if written is not None and written[0] is value and written[1] is self:  # y[k] += v
                if _is_view_key(key) and written[2] == key:
                    self._alias = None
                    alias.family.spoil()  # what is written here from now on, it does not hear of
                view, value = value, frozen(value)
                view._alias = alias  # NumPy would show in it what is written here from now on
        key = self._plain_key(key)
        self._check_castable(value)
        self._rebind(apply(RULES["setitem"], (self, value), {"key": key}))

    # --- operators

    __add__ = _binary("add", operator.add)
    __sub__ = _binary("subtract", operator.sub)
    __mul__ = _binary("multiply", operator.mul)
    __truediv__ = _binary("divide", operator.truediv)
    __pow__ = _binary("pow", operator.pow)
    __mod__ = _binary("remainder", operator.mod)
    __radd__ = _reflected("add", operator.add)
    __rsub__ = _reflected("subtract", operator.sub)
    __rmul__ = _reflected("multiply", operator.mul)
    __rtruediv__ = _reflected("divide", operator.truediv)
    __rpow__ = _reflected("pow", operator.pow)
    __rmod__ = _reflected("remainder", operator.mod)

    def __matmul__(self, other: Any) -> Array:
        if type(other) is not Array and not is_array(other):
            return NotImplemented
        if self.ndim > 1 and other.ndim > 1:
            return _matmul(self, other)
        return self.__array_namespace__().matmul(self, other)

    def __rmatmul__(self, other: Any) -> Array:
        return self.__array_namespace__().matmul(other, self) if is_array(other) else NotImplemented

    __neg__ = _unary("negative", operator.neg)
    __pos__ = _unary("positive", operator.pos)
    __abs__ = _unary("abs", operator.abs)

    __iadd__ = _in_place(operator.add)
    __isub__ = _in_place(operator.sub)
    __imul__ = _in_place(operator.mul)
    __itruediv__ = _in_place(operator.truediv)
    __ipow__ = _in_place(operator.pow)
    __imod__ = _in_place(operator.mod)
    __imatmul__ = _in_place(operator.matmul)
    __ifloordiv__ = _in_place(operator.floordiv)
    __iand__ = _in_place(operator.and_)
    __ior__ = _in_place(operator.or_)
    __ixor__ = _in_place(operator.xor)
    __ilshift__ = _in_place(operator.lshift)
    __irshift__ = _in_place(operator.rshift)

    __eq__ = _discrete_operator(operator.eq)  # type: ignore[assignment]
    __ne__ = _discrete_operator(operator.ne)  # type: ignore[assignment]
    __lt__ = _discrete_operator(operator.lt)
    __le__ = _discrete_operator(operator.le)
    __gt__ = _discrete_operator(operator.gt)
    __ge__ = _discrete_operator(operator.ge)
    __floordiv__ = _discrete_operator(operator.floordiv)
    __rfloordiv__ = _discrete_operator(lambda a, b: b // a)
    __invert__ = _discrete_operator(operator.invert)
    __and__ = _discrete_operator(operator.and_)
    __or__ = _discrete_operator(operator.or_)
    __xor__ = _discrete_operator(operator.xor)
    __lshift__ = _discrete_operator(operator.lshift)
    __rshift__ = _discrete_operator(operator.rshift)
    __rand__ = _discrete_operator(lambda a, b: b & a)
    __ror__ = _discrete_operator(lambda a, b: b | a)
    __rxor__ = _discrete_operator(lambda a, b: b ^ a)
    __rlshift__ = _discrete_operator(lambda a, b: b << a)
    __rrshift__ = _discrete_operator(lambda a, b: b >> a)

    # --- references, aliases, refusals

    def _view(self, result: Array, key: Any = None) -> Array:
        """Make `result`, a view in NumPy, share the fate of what it is a view of."""
        if result is self:
            return result
        if self._alias is None:
            self._alias = Alias(Family())
        result._alias = Alias(self._alias.family, self, key)
        return result

    def _read(self) -> Any:
        if self._alias is not None:
            self._alias.check()
        return self._inner

    def _plain_key(self, key: Any) -> Any:
        """Key of plain arrays that nobody writes to."""
        if type(key) is tuple:
            return tuple(self._plain_key(k) for k in key)
        if type(key) is slice:
            return _plain_slice(key)
        if type(key) is list:
            xp = namespace(plain(self))
            made = xp.asarray(key, device=self.device)
            return xp.astype(made, xp.int64) if 0 in made.shape else made  # floating, if of nothing
        if type(key) is not Array:
            return snapshot(key) if is_array(key) else key
        if key._node is not None:
            msg = "a traced array cannot index: it is differentiated in, and indices are integers"
            raise TypeError(msg)
        return plain(key)

    def _read_only(self) -> Array:
        """Refuse writes from now on, as what NumPy gives in its place does."""
        self._alias = self._alias or Alias(Family())
        self._alias.is_read_only = True
        return self

    def _cast_to_own(self, result: Array) -> Array:
        if self._alias is not None and self._alias.is_read_only:
            msg = (
                "what broadcast_to and diagonal give is read-only, as it is in NumPy: write to a "
                "copy, xp.asarray(x, copy=True)"
            )
            raise ValueError(msg)
        self._check_castable(result)
        if result.dtype == self.dtype:
            return result
        return apply(RULES["astype"], (result,), {"dtype": self.dtype})

    def _replaced(self, result: Array) -> Array:
        """Array for the name that was written to: what others would see, NumPy alone knows."""
        options = {"new_shape": ()}  # of a scalar, this makes what the name refers to: 0-d
        result = apply(RULES["broadcast_to"], (self._cast_to_own(result),), options)
        alias = self._alias = self._alias or Alias(Family())
        alias.family.write(result, alias.base, alias.key)
        return result

    def _rebind(self, result: Array) -> None:
        """Refer to `result` from now on, in the dtype of before; views of before are stale."""
        result = self._cast_to_own(result)
        if self._alias is not None:
            self._alias.family.write(self, self._alias.base, self._alias.key)
            self._alias = None
        self._inner, self._node = result._inner, result._node

    def _check_castable(self, value: Any) -> None:
        """Raise where writing `value` into this array would lose more than precision."""
        if not hasattr(value, "dtype"):
            return
        own, new = (_WIDER.index(kind_of(dtype)) for dtype in (self.dtype, value.dtype))
        if new > own:
            msg = (
                f"cannot write {value.dtype} into an array of {self.dtype}: it would be cut off; "
                "make the array in the wider dtype"
            )
            raise TypeError(msg)

    def _value(self, what: str) -> Any:
        if self._node is not None:
            self._refuse(what)
        return plain(self)

    def _on_host(self, what: str) -> Any:
        values = to_numpy(self._value(what)).view()
        values.flags.writeable = False  # nodes may have saved them
        return values

    def _refuse(self, what: str) -> NoReturn:
        msg = (
            f"{what} would cut a traced array off from its derivative: compute with the functions "
            "of its own namespace (x.__array_namespace__()), or take autodiff.stop_gradient(x) if "
            "no derivative is wanted"
        )
        raise TypeError(msg)


def _plain_slice(key: slice) -> slice:
    """Slice whose ends are integers: an array without dimensions may change."""
    ends = (key.start, key.stop, key.step)
    for end in ends:
        if end is not None and type(end) is not int:
            return slice(*(None if k is None else operator.index(k) for k in ends))
    return key


def _is_view_key(key: Any) -> bool:
    parts = key if type(key) is tuple else (key,)
    return not any(hasattr(part, "dtype") and part.ndim for part in parts)
