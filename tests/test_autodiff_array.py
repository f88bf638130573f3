"""The traced array as an array: protocol, operators, constants, namespace, refusals."""

from __future__ import annotations

import array_api_compat
import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff
from gradlab.autodiff import gradient, value_and_grad


def ns(x):
    return x.__array_namespace__()


def inside(look, x):
    """Run `look` on a traced array."""
    seen = []

    def f(x):
        seen.append(look(x))
        return ns(x).sum(x * 1.0)

    gradient(f, x)
    return seen[0]


def test_it_shows_what_it_is():
    x = np.asarray([[1.0, 2.0]])
    assert inside(repr, x) == f"<traced {x!r}>"
    assert inside(lambda x: repr(ns(x).ones(1)), x) == "<constant array([1.])>"
    assert "gradlab.autodiff.namespace(array_api_compat.numpy)" in inside(lambda x: repr(ns(x)), x)


def test_it_has_the_attributes_of_the_standard():
    x = np.zeros((2, 3))
    looks = inside(lambda x: (x.shape, x.ndim, x.size, len(x), x.dtype, x.device, x.T.shape), x)
    assert looks == ((2, 3), 2, 6, 2, np.float64, "cpu", (3, 2))
    assert inside(lambda x: x.to_device("cpu") is x, x)
    with pytest.raises(NotImplementedError, match="stays on its device cpu"):
        inside(lambda x: x.to_device("cuda"), x)
    with pytest.raises(ValueError, match=r"x.T needs two dimensions, x has 3"):
        inside(lambda x: x[None, ...].T, x)
    with pytest.raises(TypeError, match="without dimensions"):
        inside(lambda x: len(x[0, 0]), x)
    with pytest.raises(TypeError, match="functions of a namespace"):
        inside(lambda x: type(x)([1.0]), x)
    with pytest.raises(TypeError, match="unhashable"):
        inside(hash, x)


def test_one_namespace_stands_for_a_library_at_every_depth():
    x = np.ones(2)

    def look(x):
        inner = []
        gradient(lambda y: (inner.append(ns(y)), y[0])[1], x)
        return ns(x) is inner[0] is array_api_compat.array_namespace(x) is gl.namespace(x, x[0])

    assert inside(look, x)
    assert inside(lambda y: gl.namespace(y, x) is gl.namespace(x, y) is ns(y), x)
    names = {inside(lambda x: ns(x).__name__, a) for a in (x, array_api_strict.ones(2))}
    assert len(names) == 2


def test_the_namespace_has_the_constants_dtypes_and_inspection_of_its_library():
    def look(x):
        xp = ns(x)
        assert xp.pi == np.pi
        assert xp.float32 == np.float32
        assert xp.newaxis is None
        assert xp.finfo(x.dtype).eps == np.finfo(float).eps
        assert xp.result_type(x, xp.float32) == np.float64
        assert xp.isdtype(x.dtype, "real floating")
        assert xp.__array_namespace_info__().default_device() == "cpu"
        with pytest.raises(AttributeError, match="has no 'nonsense'"):
            _ = xp.nonsense
        return True

    assert inside(look, np.ones(2))


def test_creation_gives_constants_of_the_namespace():
    def look(x):
        xp = ns(x)
        made = [
            xp.zeros(2), xp.ones_like(x), xp.full((2,), 3.0), xp.arange(2.0), xp.eye(2),
            xp.linspace(0.0, 1.0, 2), xp.asarray([1.0, 2.0]), xp.asarray(np.ones(2)),
            xp.asarray(x, dtype=xp.float32), xp.asarray([x[0], x[1] * 2]),
            xp.asarray([[x[0]], [x[1]]], dtype=xp.float32), xp.asarray(x, copy=False),
        ]  # fmt: skip
        assert all(type(m) is type(x) for m in made)
        assert xp.asarray(x) is x
        assert xp.asarray(x, copy=True) is not x
        return [float(m) for m in xp.unstack(made[-3].__array_namespace__().zeros(2))]

    assert inside(look, np.ones(2)) == [0.0, 0.0]
    stacked = lambda x: ns(x).sum(ns(x).asarray([x[0], x[1] * 2]) * ns(x).asarray([1.0, 3.0]))  # noqa: E731
    np.testing.assert_array_equal(gradient(stacked, np.ones(2)), [1.0, 6.0])


def test_constants_are_plain_numbers_on_request():
    def look(x):
        c = ns(x).asarray(3)
        assert (float(c), int(c), c.item(), complex(c), [0, 1, 2, 3][c]) == (3.0, 3, 3, 3 + 0j, 3)
        assert f"{c:.1f} {c}" == f"3.0 {c!r}"
        np.testing.assert_array_equal(np.asarray(ns(x).ones(2)), [1.0, 1.0])
        np.testing.assert_array_equal(gl.to_numpy(autodiff.stop_gradient(x)), [1.0, 2.0])
        return bool(x[0] < x[1])

    assert inside(look, np.asarray([1.0, 2.0]))


OPERATIONS = {
    "x + c": (lambda x, c: x + c, [1.0, 1.0]),
    "c - x": (lambda x, c: c - x, [-1.0, -1.0]),
    "c * x": (lambda x, c: c * x, [2.0, 3.0]),
    "x / c": (lambda x, c: x / c, [0.5, 1 / 3]),
    "c / x": (lambda x, c: c / x, [-2.0, -3.0 / 4]),
    "x ** c": (lambda x, c: x**c, [2.0, 12.0]),
    "c % x": (lambda x, c: c % x, [-2.0, -1.0]),
    "-x": (lambda x, c: -x, [-1.0, -1.0]),
    "+abs(x)": (lambda x, c: +abs(x), [1.0, 1.0]),
    "x @ c": (lambda x, c: x @ c, [2.0, 3.0]),
    "x // c": (lambda x, c: x // c + 0 * x, [0.0, 0.0]),
    "c // x": (lambda x, c: c // x + 0 * x, [0.0, 0.0]),
    "comparison": (lambda x, c: x * ((x < c) | (x == c) & ~(c <= x)), [1.0, 1.0]),
    "equality": (lambda x, c: x * ((x != c) ^ (x >= c) ^ (x > c)), [1.0, 1.0]),
}


@pytest.mark.parametrize("constant", ["of the namespace", "of the library"])
@pytest.mark.parametrize("what", OPERATIONS)
def test_an_operator_has_the_derivative_of_its_formula(what, constant):
    f, expected = OPERATIONS[what]

    def loss(x):
        c = np.asarray([2.0, 3.0])
        return ns(x).sum(f(x, ns(x).asarray(c) if constant == "of the namespace" else c))

    np.testing.assert_allclose(gradient(loss, np.asarray([1.0, 2.0])), expected)


def test_bits_are_shifted_and_combined():
    def look(x):
        i = ns(x).asarray([1, 2])
        made = [i << 1, i >> 1, i & 1, i | 4, i ^ 3, 3 & i, 4 | i, 3 ^ i, 1 << i, 8 >> i]
        return [np.asarray(m).tolist() for m in made]

    i = np.asarray([1, 2])
    plain = [i << 1, i >> 1, i & 1, i | 4, i ^ 3, 3 & i, 4 | i, 3 ^ i, 1 << i, 8 >> i]
    assert inside(look, np.ones(2)) == [p.tolist() for p in plain]


@pytest.mark.parametrize("other", ["a", None, [1.0, 2.0], {}])
def test_what_is_no_array_is_no_operand(other):
    for operate in (
        lambda x: x + other,
        lambda x: other * x,
        lambda x: x < other,
        lambda x: x @ other,
        lambda x: other @ x,
        lambda x: x.__iadd__(other) + 1 if x.__iadd__(other) is NotImplemented else x,
    ):
        with pytest.raises(TypeError):
            gradient(operate, np.ones(2))


def test_in_place_operators_keep_shape_and_dtype():
    def f(x):
        y = ns(x).ones(2, dtype=ns(x).float32)
        y += x
        assert y.dtype == np.float32
        y -= 1.0
        y *= x
        y /= 2.0
        y **= 2
        y %= 1e6
        return ns(x).sum(y)

    x = np.asarray([1.0, 2.0])
    np.testing.assert_allclose(gradient(f, x), x**3, rtol=1e-6)  # of (x * x / 2) ** 2
    with pytest.raises(ValueError, match=r"cannot change the shape \(2,\) to \(2, 2\)"):
        gradient(lambda x: x.__iadd__(np.ones((2, 2))), x)

    def turned(x):
        y = x * 1
        y @= ns(x).asarray([[0.0, 1.0], [1.0, 0.0]])
        return y[0] * 3 + y[1]

    np.testing.assert_array_equal(gradient(turned, x), [1.0, 3.0])


def test_custom_rules_must_give_a_cotangent_for_each_argument():
    def make(bwd, fwd=lambda x: (x * 1, None)):
        f = autodiff.custom_vjp(lambda x: x * 1, fwd, bwd)
        return lambda: gradient(lambda x: ns(f(x)).sum(f(x)), np.ones(2))

    with pytest.raises(TypeError, match="must return a tuple of 1 cotangents: got ndarray"):
        make(lambda saved, g: g)()
    with pytest.raises(TypeError, match="must return a tuple of 1 cotangents: got 2"):
        make(lambda saved, g: (g, g))()
    with pytest.raises(ValueError, match=r"the shape of argument 0, \(2,\): got \(\)"):
        make(lambda saved, g: (g[0],))()
    with pytest.raises(TypeError, match="must return one array: got float"):
        make(lambda saved, g: (g,), lambda x: (1.0, None))()
    with pytest.raises(TypeError, match="must return arrays or None: got float for argument 0"):
        make(lambda saved, g: (1.0,))()
    with pytest.raises(TypeError, match=r"must return \(out, saved\): got ndarray"):
        make(lambda saved, g: (g,), lambda x: x * 1)()


@pytest.mark.parametrize("how", ["custom_vjp", "checkpoint"])
def test_trees_of_traced_arrays_are_no_arguments(how):
    def double(p):
        return p["a"] * 2

    f = autodiff.checkpoint(double)
    if how == "custom_vjp":
        f = autodiff.custom_vjp(double, lambda p: (double(p), None), lambda _, g: ({"a": 10 * g},))
    x = np.ones(2)
    np.testing.assert_array_equal(f({"a": x}), [2.0, 2.0])
    with pytest.raises(TypeError, match="takes arrays: argument 0 is a dict that holds traced"):
        gradient(lambda x: ns(x).sum(f({"a": x})), x)


def test_a_function_with_aux_must_return_a_pair():
    for f in (lambda x: ns(x).sum(x), lambda x: x, lambda x: (x[0], x, x)):
        with pytest.raises(TypeError, match=r"must return \(value, aux\) with has_aux: got"):
            value_and_grad(f, has_aux=True)(np.ones(2))


def test_a_checkpoint_of_what_is_no_longer_traced_has_gradient_zero():
    x = np.ones(2)
    f = autodiff.checkpoint(lambda x: np.full(2, 3.0))
    np.testing.assert_array_equal(gradient(lambda x: ns(x).sum(f(x) * x), x), [3.0, 3.0])


def test_the_hessian_in_a_number_is_an_array():
    got = autodiff.hessian(lambda x: x**3, np.asarray(2.0))
    assert isinstance(got, np.ndarray)
    assert float(got) == 12.0


def test_rules_are_checked_when_they_are_made():
    with pytest.raises(TypeError, match="rule 'odd': 'q' of a pull is neither saved nor an option"):
        autodiff.primitive("odd", "other", lambda q: q, forward=lambda xp, a: a)
    with pytest.raises(ValueError, match="`kind` of odd must be one of elementwise, linear"):
        autodiff.primitive("odd", "local", lambda g: g, forward=lambda xp, a: a)
    with pytest.raises(TypeError, match="and an array for each of 1 pulls"):
        autodiff.primitive("odd", "linear", lambda g: g, forward=lambda xp, a, b: a + b)


@pytest.mark.parametrize("name", ["sum", "mean", "setitem"])
def test_a_step_of_ones_own_is_not_taken_for_the_librarys_of_the_same_name(name):
    weighted = autodiff.primitive(
        name,
        "linear",
        lambda xp, g: g * xp.arange(1.0, g.shape[0] + 1),
        forward=lambda xp, a: a * xp.arange(1.0, a.shape[0] + 1),
    )
    x = np.ones(3)
    np.testing.assert_array_equal(gradient(lambda x: ns(x).sum(weighted(x)), x), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(autodiff.jvp(weighted, x, x), [1.0, 2.0, 3.0])


def test_a_linear_step_of_two_arrays_is_pushed_where_one_of_them_is_a_constant():
    join = autodiff.primitive(
        "join",
        "linear",
        lambda g: g[:2],
        lambda g: g[2:],
        forward=lambda xp, a, b: xp.concat([a, b]),
    )
    a, b = np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0, 5.0])
    for f, x, truth in (
        (lambda a: join(a, b), a, [1.0, 2.0, 0.0, 0.0, 0.0]),
        (lambda b: join(a, b), b, [0.0, 0.0, 3.0, 4.0, 5.0]),
        (lambda p: join(p["a"], p["b"]), {"a": a, "b": b}, [1.0, 2.0, 3.0, 4.0, 5.0]),
    ):
        np.testing.assert_array_equal(autodiff.jvp(f, x, x), truth)


def test_numbers_and_constants_as_results_have_zero_gradients():
    x = np.ones(2)
    for f in (
        lambda x: 2.0,
        lambda x: np.float32(2.0),
        lambda x: np.asarray(2.0),
        lambda x: ns(x).asarray(2.0),
    ):
        value, slope = autodiff.value_and_gradient(f, x)
        assert float(value) == 2.0
        np.testing.assert_array_equal(slope, [0.0, 0.0])
    assert float(autodiff.jvp(lambda x: ns(x).asarray(2.0), x, x)) == 0.0
    np.testing.assert_array_equal(autodiff.hessian(lambda x: x[0], x), np.zeros((2, 2)))


def test_norms_of_every_order():
    x = np.asarray([3.0, -4.0, 0.0])
    norm = lambda p: lambda x: ns(x).linalg.vector_norm(x, ord=p)  # noqa: E731
    truths = {
        2: x / 5,
        1: np.sign(x),
        np.inf: [0.0, -1.0, 0.0],
        -np.inf: [0.0, 0.0, 0.0],
        0: [0.0, 0.0, 0.0],
    }
    for order, truth in truths.items():
        np.testing.assert_allclose(gradient(norm(order), x), truth, atol=1e-15)
        value = autodiff.value_and_gradient(norm(order), x)[0]
        assert float(value) == anp.linalg.vector_norm(x, ord=order)


@pytest.mark.parametrize("order", [-0.5, -1, -2, -3, 0.5, 1.5, 2, 3, 4])
def test_norms_of_what_is_far_apart_or_infinite_are_those_of_the_library(order):
    for x, truth in (([1e200, 1.0], [0.0, 1.0]), ([1.0, np.inf], [1.0, 0.0])):
        with np.errstate(all="ignore"):
            value, slope = autodiff.value_and_gradient(
                lambda x: np.linalg.norm(x, order), np.asarray(x)
            )
            expected = np.linalg.norm(x, order)
        if order > 0 and x[0] == 1e200:  # where NumPy's overflows
            expected = 1e200
        assert float(value) == pytest.approx(expected)
        if order < 0:
            assert np.all(np.isnan(slope) | np.isclose(slope, truth))


def test_numerical_derivatives_do_not_cut_a_trace_silently():
    def f(a):
        return gl.numerical_gradient(lambda x: a * x, 1.0)

    with pytest.raises(TypeError, match="cut a traced array off"):
        gl.grad(f)(np.asarray(2.0))


@pytest.mark.parametrize("power", [1, 2, 3])
def test_traces_nest_where_operators_of_the_library_refuse_other_classes(xp, power, assert_close):
    """array-api-strict raises at strict * traced, so gradlab never asks it to."""
    f = lambda x: x**4 * x / 2 - (x @ x if x.ndim else x)  # noqa: E731
    for _ in range(power):
        f = gl.grad(f)
    truth = {1: 2.5 * 16 - 1, 2: 10 * 8, 3: 30 * 4}[power]
    assert_close(f(xp.asarray(2.0)), truth)

    def g(x):
        return autodiff.gradient(lambda y: (x @ y) * (y @ x), x) @ x

    assert_close(autodiff.gradient(g, xp.asarray([1.0, 2.0])), [40.0, 80.0])


WITH_SCALARS = {
    "right": lambda xp, x: x * np.float64(2),
    "left": lambda xp, x: np.float64(2) * x,
    "function": lambda xp, x: xp.multiply(x, np.float64(2)),
    "power": lambda xp, x: x ** np.float64(1) * 2,
    "three": lambda xp, x: xp.where(x > 0, x * np.sqrt(4.0), np.float64(0)),
}


@pytest.mark.parametrize("f", WITH_SCALARS.values(), ids=WITH_SCALARS)
def test_scalars_of_numpy_are_constants_beside_arrays_of_any_library(f):
    x = array_api_strict.asarray([1.0, 2.0], device=array_api_strict.Device("device1"))
    got = gl.grad(lambda x: (xp := x.__array_namespace__()).sum(f(xp, x)))(x)
    assert (got.device, got.dtype) == (x.device, x.dtype)
    np.testing.assert_array_equal(gl.to_numpy(got), [2.0, 2.0])
