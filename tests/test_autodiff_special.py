"""Special functions: values, first and second derivatives, tails, kinks and refusals."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

import gradlab as gl
from gradlab import autodiff
from gradlab.autodiff.array import plain
from gradlab.autodiff.namespace import traced_namespace

# Functions that need no SciPy: where they are tried, and by what formula
PORTABLE = {
    "expit": ((-3, 3), lambda x: 1 / (1 + np.exp(-x))),
    "logit": ((0.2, 0.8), lambda x: np.log(x / (1 - x))),
    "log_expit": ((-3, 3), lambda x: -np.log(1 + np.exp(-x))),
    "entr": ((0.3, 2), lambda x: -x * np.log(x)),
    "sinc": ((-2, 2), np.sinc),
    "softmax": ((-2, 2), lambda x: np.exp(x) / np.sum(np.exp(x))),
    "log_softmax": ((-2, 2), lambda x: x - np.log(np.sum(np.exp(x)))),
    "logsumexp": ((-2, 2), lambda x: np.log(np.sum(np.exp(x)))),
}
PORTABLE_PAIRS = {
    "xlogy": ((0.3, 2), lambda x, y: x * np.log(y)),
    "xlog1py": ((0.3, 2), lambda x, y: x * np.log(1 + y)),
    "rel_entr": ((0.6, 2), lambda x, y: x * np.log(x / y)),
    "kl_div": ((0.6, 2), lambda x, y: x * np.log(x / y) - x + y),
}
BY_SCIPY = {
    "digamma": (0.6, 4), "erf": (-2, 2), "erfc": (-2, 2), "erfcx": (-2, 4),
    "erfinv": (-0.7, 0.7), "gamma": (0.6, 3), "gammaln": (0.6, 4), "i0": (-3, 3),
    "i0e": (0.2, 14), "i1": (-3, 3), "i1e": (0.2, 14), "log_ndtr": (-4, 4), "ndtr": (-3, 3),
    "ndtri": (0.2, 0.8), "psi": (0.6, 4),
}  # fmt: skip
PAIRS_BY_SCIPY = {"beta": (0.6, 2), "betaln": (0.6, 2)}
SHAPED = ("gammainc", "gammaincc", "stdtr")  # without a derivative in the first argument
OPTIONS = {
    "softmax": ({"axis": 0}, {"axis": -1}, {"axis": (0, 2)}),
    "log_softmax": ({"axis": 0}, {"axis": -1}, {"axis": (0, 2)}),
    "logsumexp": ({"axis": 1}, {"axis": (0, 2), "keepdims": True}, {"keepdims": True}),
}


def special(name, **options):
    """Function of that name, from the namespace of its arrays."""
    return lambda *args: getattr(gl.namespace(*args).special, name)(*args, **options)


def values(name, *args, **options):
    """What the function gives of plain arrays."""
    xp = traced_namespace(gl.namespace(*args))
    return gl.to_numpy(plain(getattr(xp.special, name)(*args, **options)))


def samples(shape, interval, seed=0):
    return np.random.default_rng(seed).uniform(*interval, shape)


def differences(f, x, v):
    """Derivative along v: central differences, Richardson of order 6."""
    table = []
    for k in range(3):
        h = 2.0**-k * 0.02
        table.append((np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h))
    first = [(4 * b - a) / 3 for a, b in pairwise(table)]
    return (16 * first[1] - first[0]) / 15


def check(f, formula, x, rtol=1e-7):
    """Compare f's first and second derivatives at x, both modes, with those of `formula`."""
    rng = np.random.default_rng(1)
    v = rng.standard_normal(x.shape) * 0.5
    truth = differences(formula, x, v)
    u = rng.standard_normal(truth.shape)
    pushed, pulled = autodiff.jvp(f, x, v), autodiff.vjp(f, x, u)
    scale = max(1.0, float(np.max(np.abs(truth))))
    np.testing.assert_allclose(pushed, truth, atol=rtol * scale, strict=True)
    np.testing.assert_allclose(np.sum(pulled * v), np.sum(u * pushed), atol=1e-10 * scale)

    def slope(x):
        return autodiff.vjp(f, x, u)

    second, truth = autodiff.jvp(slope, x, v), differences(slope, x, v)
    scale = max(1.0, float(np.max(np.abs(truth))))
    np.testing.assert_allclose(second, truth, atol=10 * rtol * scale)
    np.testing.assert_allclose(autodiff.vjp(slope, x, v), second, atol=1e-9 * scale)


def along(f, x):
    """First and second derivative of an elementwise function."""
    one = np.ones_like(x)
    first = lambda x: autodiff.vjp(f, x, one)  # noqa: E731
    return first(x), autodiff.jvp(first, x, one)


@pytest.mark.parametrize("name", PORTABLE)
def test_a_function_by_the_standard_alone(name):
    interval, formula = PORTABLE[name]
    x = samples((2, 3), interval)
    check(special(name), formula, x)
    np.testing.assert_allclose(values(name, x), formula(x), rtol=1e-13)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 2))])
@pytest.mark.parametrize("name", PORTABLE_PAIRS)
def test_a_function_of_two_arrays_by_the_standard_alone(name, shapes):
    interval, formula = PORTABLE_PAIRS[name]
    a, b = (samples(shape, interval, k) for k, shape in enumerate(shapes))
    f = special(name)
    np.testing.assert_allclose(values(name, a, b), formula(a, b), rtol=1e-13, atol=1e-15)
    check(lambda x: f(x, b), lambda x: formula(x, b), a)
    check(lambda x: f(a, x), lambda x: formula(a, x), b)
    check(lambda x: f(x, x * x), lambda x: formula(x, x * x), b)


@pytest.mark.parametrize("name", BY_SCIPY)
def test_a_function_by_the_library(name):
    scipy = pytest.importorskip("scipy.special", reason="values are SciPy's")
    check(special(name), getattr(scipy, name), samples((2, 3), BY_SCIPY[name]))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 2))])
@pytest.mark.parametrize("name", PAIRS_BY_SCIPY)
def test_a_function_of_two_arrays_by_the_library(name, shapes):
    scipy = pytest.importorskip("scipy.special", reason="values are SciPy's")
    a, b = (samples(shape, PAIRS_BY_SCIPY[name], k) for k, shape in enumerate(shapes))
    formula, f = getattr(scipy, name), special(name)
    check(lambda x: f(x, b), lambda x: formula(x, b), a)
    check(lambda x: f(a, x), lambda x: formula(a, x), b)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_polygamma(n):
    scipy = pytest.importorskip("scipy.special", reason="values are SciPy's")
    check(lambda x: special("polygamma")(n, x), lambda x: scipy.polygamma(n, x), samples(4, (1, 4)))


@pytest.mark.parametrize("shape", [1.0, 2.5, np.asarray([[0.8], [4.0]])])
@pytest.mark.parametrize("name", SHAPED)
def test_a_distribution_in_its_argument(name, shape):
    scipy = pytest.importorskip("scipy.special", reason="values are SciPy's")
    formula, f = getattr(scipy, name), special(name)
    check(lambda x: f(shape, x), lambda x: formula(shape, x), samples(3, (0.4, 3)))


@pytest.mark.parametrize("name", OPTIONS)
def test_the_axes_of_a_sum_of_exponentials(name):
    x = samples((2, 3, 2), (-2, 2))
    for options in OPTIONS[name]:
        axis, keepdims = options.get("axis"), options.get("keepdims", False)
        kept = keepdims or name != "logsumexp"
        log = lambda x, axis=axis, kept=kept: np.log(np.sum(np.exp(x), axis, keepdims=kept))  # noqa: E731
        formula = {
            "softmax": lambda x, log=log: np.exp(x - log(x)),
            "log_softmax": lambda x, log=log: x - log(x),
            "logsumexp": log,
        }[name]
        np.testing.assert_allclose(values(name, x, **options), formula(x), rtol=1e-13)
        check(special(name, **options), formula, x)


# mpmath 1.3 with 100 digits: the functions' definitions, differentiated by mpmath.diff
TAILS = {
    "expit": [
        (-40.0, [4.248354255291589e-18, 4.248354255291589e-18, 4.248354255291589e-18]),
        (-5.0, [0.0066928509242848554, 0.006648056670790155, 0.006559067766322563]),
        (0.0, [0.5, 0.25, 0.0]),
        (5.0, [0.9933071490757152, 0.006648056670790155, -0.006559067766322563]),
        (40.0, [1.0, 4.248354255291589e-18, -4.248354255291589e-18]),
    ],
    "log_expit": [
        (-40.0, [-40.0, 1.0, -4.248354255291589e-18]),
        (-5.0, [-5.006715348489118, 0.9933071490757152, -0.006648056670790155]),
        (0.0, [-0.6931471805599453, 0.5, -0.25]),
        (5.0, [-0.006715348489118068, 0.0066928509242848554, -0.006648056670790155]),
        (40.0, [-4.248354255291589e-18, 4.248354255291589e-18, -4.248354255291589e-18]),
    ],
    "log_ndtr": [
        (-10000.0, [-50000010.12927891, 10000.000099999997, -0.9999999900000006]),
        (-40.0, [-804.6084420137538, 40.02496884720726, -0.9993773316214086]),
        (-5.0, [-15.064998393988725, 5.186503967125842, -0.9673035653828878]),
        (0.0, [-0.6931471805599453, 0.7978845608028654, -0.6366197723675814]),
        (5.0, [-2.866516129637636e-07, 1.4867199409049056e-06, -7.433601914860711e-06]),
        (30.0, [-4.906713927148187e-198, 1.4736461348785476e-196, -4.420938404635642e-195]),
    ],
    "ndtr": [
        (-30.0, [4.906713927148187e-198, 1.4736461348785476e-196, 4.420938404635642e-195]),
        (-5.0, [2.866515718791939e-07, 1.4867195147342977e-06, 7.433597573671489e-06]),
        (0.0, [0.5, 0.3989422804014327, 0.0]),
        (5.0, [0.9999997133484281, 1.4867195147342977e-06, -7.433597573671489e-06]),
    ],
    "erfc": [
        (-5.0, [1.9999999999984626, -1.5670866531017336e-11, -1.5670866531017336e-10]),
        (5.0, [1.537459794428035e-12, -1.5670866531017336e-11, 1.5670866531017336e-10]),
        (20.0, [5.395865611607901e-176, -2.1610374743867984e-174, 8.644149897547193e-173]),
    ],
    "erfcx": [
        (-5.0, [144009798674.66104, -1440097986747.7388, 14688999464826.709]),
        (1.999, [0.2555025145905779, -0.10688011376238205, 0.08369833435915235]),
        (2.001, [0.2552889216359497, -0.10671290270844205, 0.08351280663271429]),
        (40.0, [0.014100335983377814, -0.0003522884252874839, 1.75979437569139e-05]),
        (1000000.0, [5.641895835474742e-07, -5.6418958354691e-13, 1.1283791670921275e-18]),
    ],
    "gammaln": [
        (-2.5, [-0.056243716497674054, 1.103156640645243, 9.539246644989124]),
        (0.001, [6.907178885383853, -1000.5755719318103, 1000001.6425331958]),
        (300.0, [1409.2020674704117, 5.702114882064637, 0.0033388950617146778]),
    ],
    "digamma": [
        (-2.5, [1.103156640645243, 9.539246644989124, -0.1082040516417274]),
        (0.001, [-1000.5755719318103, 1000001.6425331958, -2000000002.3976321]),
        (300.0, [5.702114882064637, 0.0033388950617146778, -1.1148209876314589e-05]),
    ],
    "ndtri": [
        (1e-12, [-7.034483825301132, 139442738525.04333, -1.3678045435400881e+23]),
        (0.4999, [-0.00025066283008800747, 2.506628353379053, -0.0015749611100227458]),
        (0.999, [3.090232306167813, 296.9923515892309, 272572.2622680962]),
    ],
    "logit": [
        (1e-12, [-27.63102111592755, 1000000000001.0, -1e+24]),
        (0.4999, [-0.0004000000053332894, 4.000000160000006, -0.003200000255999663]),
        (0.999, [6.906754778648553, 1001.0010010010001, 999998.9979969942]),
    ],
    "i0e": [
        (-40.0, [0.06327827987523534, 0.0007960508007932696, 3.004587472548751e-05]),
        (0.001, [0.9990007495835156, -0.9985012492711614, 1.4975021861881013]),
        (9.9, [0.1284955220071385, -0.006673485609177065, 0.0010417150165398443]),
        (10.1, [0.12718130354436347, -0.006470445305876389, 0.0009893204891302956]),
        (100000.0, [0.0012615678379767768, -6.307854959639557e-09, 9.461806094270259e-14]),
    ],
    "i1": [
        (-40.0, [-1.4707396163259352e+16, 1.4527089889338416e+16, -1.435341103862793e+16]),
        (0.001, [0.0005000000625000026, 0.5000001875000131, 0.00037500005208333564]),
        (10.1, [2938.4655597279148, 2805.038486657506, 2689.5446386857334]),
    ],
    "sinc": [
        (0.0001, [0.9999999835506594, -0.0003289868101226756, -3.2898680362873622]),
        (0.63, [0.46369900070811976, -1.366423637052223, -0.23867288213079377]),
        (0.64, [0.4500240563851148, -1.3684427311721679, -0.16517587258158992]),
        (12.3, [0.02093643149595466, 0.046085269983456634, -0.2141278362702884]),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "x", "truth"), [(n, *row) for n, t in TAILS.items() for row in t])
def test_values_and_derivatives_keep_their_digits_in_the_tails(name, x, truth):
    if name not in PORTABLE:
        pytest.importorskip("scipy.special", reason="values are SciPy's")
    x = np.asarray([x])
    got = (values(name, x), *along(special(name), x))
    np.testing.assert_allclose(np.concatenate(got), truth, rtol=2e-12)


# --- conventions


def test_xlogy_at_zero_has_the_gradients_that_it_documents():
    x, y = np.asarray([0.0, 0.0, 0.0]), np.asarray([2.0, 0.0, np.nan])
    f = special("xlogy")
    np.testing.assert_array_equal(values("xlogy", x, y), [0, 0, np.nan])
    one = np.ones(3)
    with np.errstate(divide="ignore"):
        in_x = autodiff.vjp(lambda x: f(x, y), x, one)
    np.testing.assert_allclose(in_x, [np.log(2), -np.inf, np.nan])
    np.testing.assert_array_equal(autodiff.vjp(lambda y: f(x, y), y, one)[:2], [0, 0])


@pytest.mark.parametrize(("name", "slope"), [("xlogy", 0.5), ("xlog1py", 1 / 3)])
def test_the_mixed_second_derivative_at_zero_is_not_lost(name, slope):
    """Of x * log(y), it is 1 / y everywhere."""
    x, y = np.asarray(0.0), np.asarray(2.0)
    f = special(name)
    in_y = lambda x: autodiff.gradient(lambda y: f(x, y), y)  # noqa: E731
    in_x = lambda y: autodiff.gradient(lambda x: f(x, y), x)  # noqa: E731
    assert autodiff.jvp(in_y, x, np.asarray(1.0)) == pytest.approx(slope)
    assert autodiff.jvp(in_x, y, np.asarray(1.0)) == pytest.approx(slope)


def test_no_finite_second_derivative_where_there_is_none():
    zero = np.asarray(0.0)
    for f in map(special, ("xlogy", "rel_entr")):
        in_y = lambda x, f=f: autodiff.gradient(lambda y: f(x, y), zero)  # noqa: E731
        with np.errstate(all="ignore"):
            assert not np.isfinite(autodiff.jvp(in_y, zero, np.asarray(1.0)))


def test_entropies_at_zero_and_outside_their_domain():
    x = np.asarray([0.0, -1.0, np.nan])
    np.testing.assert_array_equal(values("entr", x), [0, -np.inf, np.nan])
    with np.errstate(all="ignore"):
        slope = autodiff.vjp(special("entr"), x, np.ones(3))
    np.testing.assert_array_equal(slope, [np.inf, np.nan, np.nan])
    a, b = np.asarray([0.0, 0.0, 1.0, -1.0, np.nan]), np.asarray([2.0, 0.0, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(values("rel_entr", a, b), [0, 0, np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(values("kl_div", a, b), [2, 0, np.inf, np.inf, np.nan])
    for name, in_b in (("rel_entr", [0, 0, -np.inf, np.nan]), ("kl_div", [1, 1, -np.inf, np.nan])):
        f = special(name)
        with np.errstate(all="ignore"):
            slope = autodiff.vjp(lambda b, f=f: f(a, b), b, np.ones(5))
            upper = autodiff.vjp(lambda a, f=f: f(a, b), a, np.ones(5))
        np.testing.assert_array_equal(slope[:4], in_b)
        np.testing.assert_array_equal(upper[[0, 2, 3]], [-np.inf, np.inf, np.nan])


def test_the_relative_entropy_of_neighbours_keeps_its_digits():
    """Truth: log(1 + d) = d - d**2/2, to the digits of a double."""
    d = 2.0**-30
    b, a = np.asarray(3.0), np.asarray(3.0 * (1 + d))
    assert values("rel_entr", a, b) == pytest.approx(float(a) * (d - d * d / 2), rel=1e-15)
    slope = autodiff.gradient(lambda a: special("kl_div")(a, b), a)
    assert float(slope) == pytest.approx(d - d * d / 2, rel=1e-15)


def test_logsumexp_of_infinities():
    inf = np.inf
    rows = np.asarray([[-inf, 1.0, 1.0], [-inf, -inf, -inf], [inf, 1000.0, -inf], [1, np.nan, inf]])
    f = special("logsumexp", axis=1)
    np.testing.assert_allclose(
        values("logsumexp", rows, axis=1), [1 + np.log(2), -inf, inf, np.nan]
    )
    slope = autodiff.vjp(f, rows, np.ones(4))
    np.testing.assert_allclose(slope[:3], [[0, 0.5, 0.5], [1 / 3] * 3, [1, 0, 0]], rtol=1e-15)
    assert np.all(np.isnan(slope[3]))


def test_the_second_derivative_of_logsumexp_at_ties_is_that_of_a_smooth_function():
    got = autodiff.hessian(special("logsumexp"), np.zeros(3))
    np.testing.assert_allclose(got, np.eye(3) / 3 - np.ones((3, 3)) / 9, atol=1e-16)


def test_what_is_small_beside_the_maximum_is_not_lost():
    x = np.asarray([0.0, -40.0])
    small = np.exp(-40.0)
    np.testing.assert_allclose(values("logsumexp", x), small, rtol=1e-15)
    np.testing.assert_allclose(values("log_softmax", 1000 + x), [-small, -40], rtol=1e-15)


def test_log_softmax_of_infinities_is_no_number():
    with np.errstate(invalid="ignore"):
        got = values("log_softmax", np.asarray([[np.inf, 1.0], [-np.inf, -np.inf]]), axis=1)
    np.testing.assert_array_equal(got, [[np.nan, -np.inf], [np.nan, np.nan]])
    got = values("log_softmax", np.asarray([-np.inf, 2.0]))
    np.testing.assert_array_equal(got, [-np.inf, 0])


def test_logit_at_the_ends_of_its_interval_and_at_its_zero():
    got = values("logit", np.asarray([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(got, [-np.inf, 0, np.inf])


def test_scaled_bessel_functions_at_their_kink_take_the_mean_of_both_sides():
    """By their series: i0e = 1 - |x| + 3/4 x**2 ..., i1e = x/2 - x|x|/2 ..."""
    pytest.importorskip("scipy.special", reason="values are SciPy's")
    zero = np.asarray([0.0])
    np.testing.assert_allclose(along(special("i0e"), zero), [[0], [1.5]])
    np.testing.assert_allclose(along(special("i1e"), zero), [[0.5], [0]])
    np.testing.assert_allclose(along(special("i0"), zero), [[0], [0.5]])
    np.testing.assert_allclose(along(special("i1"), zero), [[0.5], [0]])


def test_sinc_is_smooth_at_zero():
    """By its series: 1 - (pi x)**2 / 6 + (pi x)**4 / 120 ..."""
    f = special("sinc")
    fourth = f
    for _ in range(4):
        fourth = lambda x, f=fourth: autodiff.jvp(f, x, np.asarray(1.0))  # noqa: E731
    first, second = along(f, np.asarray([0.0]))
    np.testing.assert_allclose([first[0], second[0]], [0, -(np.pi**2) / 3])
    assert float(fourth(np.asarray(0.0))) == pytest.approx(np.pi**4 / 5)


# --- arguments


@pytest.mark.parametrize("name", SHAPED)
def test_a_parameter_of_shape_is_refused(name):
    pytest.importorskip("scipy.special", reason="values are SciPy's")
    x, f = np.asarray(1.5), special(name)
    with pytest.raises(NotImplementedError, match=f"special.{name} has no derivative in its arg"):
        autodiff.gradient(lambda a: f(a, x), x)
    with pytest.raises(NotImplementedError, match="stop_gradient"):
        autodiff.jvp(lambda a: f(a, a), x, x)
    got = autodiff.gradient(lambda a: f(autodiff.stop_gradient(a), a), x)
    assert float(got) == pytest.approx(float(autodiff.gradient(lambda a: f(1.5, a), x)))


def test_numbers_and_whole_numbers_take_the_dtype_of_what_is_traced():
    counts = np.asarray([0, 2, 3])
    p = np.asarray([0.2, 0.3, 0.5], dtype=np.float32)
    got = autodiff.vjp(lambda p: special("xlogy")(counts, p), p, np.ones(3, np.float32))
    np.testing.assert_allclose(got, np.asarray([0, 2 / 0.3, 6], np.float32), rtol=1e-6, strict=True)
    got = autodiff.vjp(lambda p: special("xlogy")(2, p), p, np.ones(3, np.float32))
    np.testing.assert_allclose(got, np.asarray(2 / p, np.float32), rtol=1e-6, strict=True)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x, s: s.expit(x * 1j), "special.expit takes real arguments: got complex ones"),
        (lambda x, s: s.xlogy(x, 1j), "special.xlogy takes real arguments: got complex ones"),
        (lambda x, s: s.expit(x, x), "special.expit takes 1 to 1 positional arguments: got 2"),
        (lambda x, s: s.logsumexp(x, 0, x), "special.logsumexp takes 1 to 2 positional arg"),
        (lambda x, s: s.polygamma(x, x), "`n` of special.polygamma must be an int from 0 on"),
        (lambda x, s: s.polygamma(-1, x), "must be an int from 0 on: got -1"),
    ],
)
def test_wrong_arguments_are_named(f, message):
    with pytest.raises(TypeError, match=message):
        autodiff.vjp(lambda x: f(x, x.__array_namespace__().special), np.asarray([0.5]), np.ones(1))


def test_a_function_without_a_rule_is_no_attribute():
    with pytest.raises(AttributeError, match="special has no 'zeta': it has beta, betaln"):
        autodiff.gradient(lambda x: special("zeta")(x), np.asarray(0.5))


def test_without_scipy_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"special.erf needs SciPy: .* 'gradlab\[special\]'"):
        autodiff.gradient(special("erf"), np.asarray(0.5))
    assert float(autodiff.gradient(special("expit"), np.asarray(0.0))) == 0.25


def functions_of_one():
    """Every function, where it is tried, with constants for the other argument."""
    found = {name: (special(name), interval) for name, (interval, _) in PORTABLE.items()}
    found |= {name: (special(name), interval) for name, interval in BY_SCIPY.items()}
    pairs = {name: interval for name, (interval, _) in PORTABLE_PAIRS.items()} | PAIRS_BY_SCIPY
    for name, interval in pairs.items():
        f = special(name)
        found[f"{name} first"] = (lambda x, c, f=f: f(x, c), interval)
        found[f"{name} second"] = (lambda x, c, f=f: f(c, x), interval)
        found[f"{name} both"] = (lambda x, c, f=f: f(x * c, x + c), interval)
    for name in SHAPED:
        found[f"{name} second"] = (lambda x, c, f=special(name): f(c, x), (0.4, 3))  # noqa: B008
    return found


FUNCTIONS = functions_of_one()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_numbers_on_every_backend(name, xp):
    """Gradients, dtype and device; truth: the same rule on NumPy."""
    if name.split()[0] not in (*PORTABLE, *PORTABLE_PAIRS):
        pytest.importorskip("scipy.special", reason="values are SciPy's")
    f, interval = FUNCTIONS[name]
    host = samples((2, 3), interval).astype(np.float32)
    if name == "stdtr second" and gl.get_backend().name == "cupy":
        with pytest.raises(NotImplementedError, match="cupy has no special function 'stdtr'"):
            autodiff.gradient(lambda x: f(x, x), xp.asarray(host))
        return
    found = []
    for x in (xp.asarray(host), host.astype(np.float64)):
        given = (x * 0 + 1.25,) if " " in name else ()

        def loss(x, given=given):
            y = f(x, *given)
            return x.__array_namespace__().sum(y * y)

        found.append((x, autodiff.gradient(loss, x), autodiff.hvp(loss, x, x)))
    (x, *got), (_, *expected) = found
    for a, b in zip(got, expected, strict=True):
        assert (a.dtype, a.device) == (x.dtype, x.device)
        np.testing.assert_allclose(gl.to_numpy(a), b, rtol=2e-4, atol=2e-5 * np.max(np.abs(b)))


def test_scipys_own_functions_take_what_is_traced():
    """By NumPy's protocol for ufuncs, which most of them are."""
    scipy = pytest.importorskip("scipy.special", reason="the functions are SciPy's")
    x = np.asarray([0.3, 0.7])
    for name in ("erf", "log_expit", "psi"):
        got, expected = (autodiff.jvp(f, x, x) for f in (getattr(scipy, name), special(name)))
        np.testing.assert_array_equal(got, expected)
    got = autodiff.jvp(lambda x: scipy.xlogy(2.0, x), x, x)
    np.testing.assert_allclose(got, [2, 2])
    with pytest.raises(TypeError, match="cut a traced array off"):
        autodiff.jvp(scipy.zetac, x, x)
