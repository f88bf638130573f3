"""Verdicts on gradients whose truth is known: by hand, or made wrong on purpose."""

from __future__ import annotations

import math
from collections import Counter

import gradient_checks
import numpy as np
import pytest

import gradlab as gl
from gradlab.check import CheckReport, GradientMismatchError, check_gradient
from gradlab.numerical.directional import climb


def check(f, gradient, x, **options):
    return check_gradient(f, gradient, x, raise_on_failure=False, **options)


def wave(x):
    return np.sum(x * np.sin(x))


def wave_slope(x):
    return np.sin(x) + x * np.cos(x)


def normal(n, dtype="float64"):
    return np.random.default_rng(5).normal(size=n).astype(dtype)


# What other checkers are known to let pass ----------------------------------------------------


@pytest.mark.parametrize("mode", ["directional", "taylor", "full"])
def test_a_zero_gradient_of_a_small_loss_is_caught(mode):
    report = check(lambda x: 1e-6 * np.sum(x**2), np.zeros_like, normal(20), mode=mode)
    assert report.verdict == "failed"
    assert report.given == 0.0
    assert report.numerical == pytest.approx(2e-6 * normal(20)[report.worst[1]], rel=1e-6)


def test_one_element_of_3000_wrong_by_half_is_caught_and_named_with_both_values():
    x = normal(3000).reshape(30, 100)
    wrong = wave_slope(x)
    wrong[17, 42] *= 0.5
    report = check(wave, wrong, x)
    assert (report.verdict, report.worst) == ("failed", ("x", (17, 42)))
    assert report.given == pytest.approx(wave_slope(x)[17, 42] / 2, rel=1e-9)
    assert report.numerical == pytest.approx(wave_slope(x)[17, 42], rel=1e-6)
    assert report.max_abs_err == pytest.approx(abs(report.given - report.numerical))
    assert abs(report.numerical - wave_slope(x)[17, 42]) <= report.error_bar < 1e-6


def two_leaves(dtype, weight):
    x = {"W": normal(100, dtype).reshape(10, 10), "b": normal(10, dtype)}
    c = np.asarray(weight, dtype)

    def gradient(p, of_b):
        return {"W": 2 * p["W"], "b": of_b * c * p["b"]}

    return lambda p: np.sum(p["W"] ** 2) + c * np.sum(p["b"] ** 2), gradient, x


EITHER = pytest.mark.parametrize("mode", ["directional", "full"])


@EITHER
@pytest.mark.parametrize(("dtype", "weight"), [("float32", 1e-2), ("float64", 1e-10)])
def test_a_zero_gradient_of_a_leaf_that_another_drowns_is_caught(dtype, weight, mode):
    f, gradient, x = two_leaves(dtype, weight)
    report = check(f, lambda p: gradient(p, 0), x, mode=mode)
    assert (report.verdict, report.worst[0]) == ("failed", "x['b']")
    assert check(f, lambda p: gradient(p, 2), x).passed


@EITHER
@pytest.mark.parametrize(
    ("dtype", "weight"), [("float32", 1e-5), ("float32", 1e-9), ("float64", 1e-14)]
)
def test_a_leaf_that_round_off_hides_is_named(dtype, weight, mode):
    f, gradient, x = two_leaves(dtype, weight)
    report = check(f, lambda p: gradient(p, 0), x, mode=mode)
    assert report.verdict == "inconclusive"
    assert report.message.startswith("`x['b']")


@EITHER
def test_a_leaf_that_f_ignores_hides_nothing(mode):
    x = {"W": normal(20), "unused": normal(5)}
    slope = lambda p: {"W": 2 * p["W"], "unused": 0 * p["unused"]}  # noqa: E731
    assert check(lambda p: np.sum(p["W"] ** 2), slope, x, mode=mode).passed


@pytest.mark.parametrize("seed", range(10))
def test_two_swapped_neighbours_are_caught(seed):
    x = normal(3000)
    wrong = wave_slope(x)
    wrong[[1234, 1235]] = wrong[[1235, 1234]]
    report = check(wave, wrong, x, seed=seed)
    assert report.verdict == "failed"
    assert report.worst in {("x", (1234,)), ("x", (1235,))}


def test_the_seed_of_a_check_is_in_its_report():
    x = normal(5)
    found = check(wave, 1.001 * wave_slope(x), x, seed=None)
    assert check(wave, 1.001 * wave_slope(x), x, seed=found.seed) == found
    assert check(wave, wave_slope(x), x).seed == 0
    assert check(wave, wave_slope(x), x, mode="full").seed is None


def test_a_zero_jvp_is_caught():
    """A jvp is a gradient in t, of the result along a cotangent."""
    x, v, u = normal(5), normal(5) + 1, np.cos(normal(5))

    def along(t):
        return np.sum(u * np.sin(x + t * v))

    assert check(along, float(np.sum(u * np.cos(x) * v)), 0.0).passed
    assert check(along, 0.0, 0.0).verdict == "failed"


# Correct gradients ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "gradient", "x"),
    [
        (lambda x: x**2, lambda x: 2 * x, 1e8),
        (lambda x: np.sum(x**2), lambda x: 2 * x, np.asarray([1e8, 3e8], dtype="float32")),
        (lambda x: 1e12 * np.sum(x**4), lambda x: 4e12 * x**3, normal(300)),
        (lambda x: 1e-12 * wave(x), lambda x: 1e-12 * wave_slope(x), normal(300)),
        (wave, wave_slope, normal(300, "float32")),
        (lambda x: wave(x.astype("float32")).astype("float64"), wave_slope, normal(30)),
        (lambda x: wave(x.astype("float32")), wave_slope, normal(30)),
        (lambda x: 1e10 + np.sin(x), np.cos, 1.0),
        (np.log, lambda x: 1 / x, 1e-6),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), 1e-300),
        (lambda x: np.sin(1 / x), -math.cos(1 / 0.05) / 0.05**2, 0.05),
        (np.sin, np.cos, 1e10),
        (lambda x: np.exp(-1 / x**2), 3.0642713547425447e-170, 0.05),
        (lambda x: np.sum(x**2), lambda x: 2 * x, np.zeros(4)),
        (lambda x: x**3, lambda x: 3 * x**2, 0.0),
        (lambda x: x * abs(x), 0.0, 0.0),
        (lambda x: x / (x + 1.44e-9), 1.44e-9 / (2.144e-8) ** 2, 2e-8),
        (np.sum, np.ones_like, normal(7)),
    ],
    ids=map(str, range(18)),
)
@pytest.mark.parametrize("mode", ["directional", "taylor"])
def test_a_correct_gradient_passes_whatever_the_scale(f, gradient, x, mode):
    report = check(f, gradient, x, mode=mode)
    assert report.verdict == "passed", report.message
    assert report.passed
    assert report.max_abs_err <= report.error_bar


def test_a_correct_gradient_passes_on_every_backend(xp):
    x = {"w": xp.asarray([[0.5, -1.0], [2.0, 0.25]]), "b": [xp.asarray(0.5), xp.asarray([])]}

    def f(p):
        return xp.sum(xp.sin(p["w"]) * p["b"][0])

    def slope(p):
        w, (b, e) = p["w"], p["b"]
        return {"w": xp.cos(w) * b, "b": [xp.sum(xp.sin(w)), e]}

    for mode in ("directional", "full", "taylor"):
        report = check_gradient(f, slope, x, mode=mode)
        assert report.passed, report.message

    def wrong(p):
        g = slope(p)
        g["w"] = g["w"] * xp.asarray([[1.0, 1.0], [1.0, 1.25]])
        return g

    for mode in ("directional", "full", "taylor"):
        report = check(f, wrong, x, mode=mode)
        assert (report.verdict, report.worst) == ("failed", ("x['w']", (1, 1)))
        assert report.given == pytest.approx(1.25 * report.numerical, rel=1e-2)


def test_the_same_directions_are_taken_on_every_backend(backend):
    x = gl.asarray([0.5, -1.0, 3.0], dtype="float32")
    report = check(lambda x: gl.namespace(x).sum(x), gl.asarray([1.0, 1.0, 1.5], "float32"), x)
    seen = report.message.partition("; so it is")[0]
    assert seen.startswith("the gradient is wrong along random direction ")
    with gl.use_backend("numpy"):
        x = gl.to_numpy(x)
        theirs = check(np.sum, np.asarray([1.0, 1.0, 1.5], "float32"), x).message
    assert theirs.startswith(seen.partition("+-")[0])


def test_exact_gradients_of_a_network_pass_and_are_named_where_they_do_not():
    (x, t), _ = gl.data.load_digits()
    x, t = x[:20], t[:20]
    network = gl.TwoLayerNetwork(64, 5, 10, weight_init_std="glorot", seed=0)
    params = dict(network.params)

    def loss(p):
        network.params.update(p)
        return network.loss(x, t)

    gradient = network.gradient(x, t)
    assert check_gradient(loss, gradient, params).passed
    gradient["W2"][3, 7] += 1e-3
    report = check(loss, gradient, params)
    assert (report.verdict, report.worst) == ("failed", ("x['W2']", (3, 7)))


def test_a_foreign_gradient_is_judged_like_any_other():
    torch = pytest.importorskip("torch")

    def foreign(x):
        p = torch.tensor(x, requires_grad=True)
        torch.sum(p * torch.sin(p)).backward()
        return p.grad.numpy()

    assert check_gradient(wave, foreign, normal(50)).passed


def test_a_gradient_in_another_order_of_its_keys_passes():
    x = {"a": np.ones(2), "b": np.full(3, 2.0)}
    f = lambda p: np.sum(p["a"]) + np.sum(p["b"] ** 2)  # noqa: E731
    assert check_gradient(f, {"b": 2 * x["b"], "a": x["a"]}, x).passed
    report = check(f, {"b": 3 * x["b"], "a": x["a"]}, x, mode="full")
    assert (report.verdict, report.worst[0]) == ("failed", "x['b']")


@pytest.mark.parametrize("mode", ["directional", "full", "taylor"])
@pytest.mark.parametrize("x", [np.zeros((0, 2)), {"a": np.zeros(0)}], ids=["array", "tree"])
def test_an_argument_without_elements_passes(mode, x):
    assert check_gradient(lambda x: 0.0, x, x, mode=mode).message == "x has no element"


# Where nothing can be said --------------------------------------------------------------------


def test_one_wrong_element_of_100000_in_float32_is_inconclusive_and_so_is_none():
    x = normal(100_000, "float32")
    wrong = wave_slope(x)
    assert check(wave, wrong, x, n_probes=3).verdict == "inconclusive"
    wrong[7] *= 0.5
    report = check(wave, wrong, x, n_probes=3)
    assert report.verdict == "inconclusive"
    assert report.message.startswith("round-off hides the answer")
    assert not report.passed


@pytest.mark.parametrize(
    ("f", "gradient", "x", "why"),
    [
        (np.abs, 0.0, 0.0, "kink"),
        (lambda x: np.maximum(x, 0), 0.0, 0.0, "kink"),
        (lambda x: 1 + 1e-20 * x * x, 6e-20, 3.0, "round-off"),
        (lambda x: 5.0, 0.0, 3.0, "round-off"),
        (np.sin, np.cos, 1e14, "noise alone"),
        (np.sqrt, math.inf, 0.0, "not finite"),
        (np.exp, np.exp, 709.7, "not finite"),
        (lambda x: x * math.nan, 1.0, 1.0, "f(x) is nan"),
        (lambda x: (1 - np.cos(x)) / x**2, -1e-4 / 12, 1e-4, "slopes that differ"),
    ],
    ids=map(str, range(9)),
)
def test_what_differences_cannot_tell_is_inconclusive_and_says_why(f, gradient, x, why):
    report = check(f, gradient, x)
    assert report.verdict == "inconclusive"
    assert why in report.message


@pytest.mark.parametrize("weight", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kink_beside_x_never_makes_a_correct_gradient_wrong(dtype, weight):
    rng = np.random.default_rng(6)
    w, x = np.asarray(weight, dtype), np.ones(30, dtype)
    least = -7 if dtype == "float32" else -15
    verdicts = []
    for _ in range(25):
        d = np.asarray(10.0 ** rng.uniform(least, -1) * rng.choice([-1, 1]), dtype)
        f = lambda x, d=d: np.sum(x * x) + w * np.maximum(x[0] - 1 - d, 0 * d)  # noqa: E731
        g = 2 * x
        g[0] += w * (x[0] - 1 - d > 0)
        verdicts.append(check(f, g, x, n_probes=4).verdict)
    assert "failed" not in verdicts
    assert verdicts.count("passed") >= 15


COARSE = {
    "a wave beyond all steps but the finest": (np.sin, np.cos, 1.3e12, 0),
    "a fast wave": (lambda x: np.sin(1e12 * x), lambda x: 1e12 * np.cos(1e12 * x), 1.1, 0),
    "a small fast wave": (
        lambda x: np.sum(x**2 + 1e-3 * np.sin(1e12 * x)),
        lambda x: 2 * x + 1e9 * np.cos(1e12 * x),
        np.ones(20),
        0.1,
    ),
    "single precision, scaled": (
        lambda x: 3.3 * float(np.sum(np.tanh(x.astype("float32")))),
        lambda x: 3.3 * (1 - np.tanh(x) ** 2),
        np.ones(5),
        0.3,
    ),
    "single precision in part": (
        lambda x: float(np.sum(np.sin(x.astype("float32")))) + np.sum(x),
        lambda x: np.cos(x) + 1,
        np.ones(20),
        0.3,
    ),
    "few decimals": (lambda x: np.round(np.sum(x**2), 6), lambda x: 2 * x, np.ones(20), 0.3),
}


@pytest.mark.parametrize("what", COARSE)
def test_a_correct_gradient_that_steps_are_too_coarse_for_is_never_wrong(what):
    f, slope, x, width = COARSE[what]
    for seed in range(12):
        spread = np.random.default_rng(seed).normal(size=np.shape(x))
        at = x + width * spread if width else x * (1 + 0.1 * float(spread))
        assert check(f, slope, at, seed=seed, n_probes=4).verdict != "failed"


def test_a_change_from_where_large_terms_cancel_is_judged_within_their_rounding():
    offset, few = np.float32(100), np.float32(1e-3)
    energy = lambda x: offset + np.sum(few * np.tanh(x))  # noqa: E731
    verdicts = []
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=6).astype("float32")
        right, at = few * (1 - np.tanh(x) ** 2), energy(x)
        change = lambda x, at=at: energy(x) - at  # noqa: E731
        assert check(change, right, x, seed=seed, mode="full").verdict != "failed"
        assert check(change, right, x, seed=seed).verdict != "failed"
        verdicts.append(check(change, -10 * right, x, seed=seed).verdict)
    assert verdicts.count("failed") >= 18


def test_a_flat_bottom_is_judged():
    hinge = lambda x: np.sum(np.maximum(0 * x, 1 - x))  # noqa: E731
    x = normal(6) ** 2 + 1.5
    assert check(hinge, 0 * x, x).verdict == "passed"
    assert check(hinge, 0 * x - 1, x).verdict == "failed"


@pytest.mark.parametrize("mode", ["directional", "full"])
@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1e-30, "float64"), (1e-12, "float64"), (1e-7, "float32"), (1e-30, "float32")],
)
def test_a_slope_that_rounding_hides_beside_0_is_never_wrong(size, dtype, mode):
    x = np.asarray([size, -size], dtype)
    for f in (lambda x: np.sum(np.exp(x) - 1), lambda x: np.sum((100 + x) - 100)):
        assert check(f, np.ones_like(x), x, mode=mode).verdict != "failed"


@pytest.mark.parametrize("mode", ["directional", "full"])
@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1e-310, "float64"), (1.7e308, "float64"), (1e-40, "float32"), (2e38, "float32")],
)
def test_arguments_at_the_ends_of_their_range_are_judged(size, dtype, mode):
    x = np.asarray([size, -size], dtype)
    c = np.asarray(1e-3, dtype)
    right = np.full_like(x, c)
    assert check(lambda x: np.sum(c * x), right, x, mode=mode).verdict == "passed"
    assert check(lambda x: np.sum(c * x), -right, x, mode=mode).verdict == "failed"


def test_a_slope_outside_of_those_at_a_kink_is_wrong():
    assert check(np.abs, 1.5, 0.0).verdict == "failed"
    assert check(np.abs, 1.0, 0.0).verdict == "inconclusive"


def test_an_f_that_draws_is_reported():
    rng = np.random.default_rng(0)
    report = check(lambda x: np.sum(x**2) * rng.uniform(1, 2), lambda x: 2 * x, normal(10))
    assert report.verdict == "inconclusive"
    assert "f is not deterministic" in report.message


def test_an_f_of_a_little_noise_is_judged_within_it():
    rng = np.random.default_rng(0)

    def f(x):
        return np.sum(x**2) + 1e-9 * rng.uniform()

    report = check(f, lambda x: 2 * x, normal(10))
    assert report.passed
    assert report.error_bar > 1e-9
    assert check(f, lambda x: 2.001 * x, normal(10)).verdict == "failed"


def test_a_gradient_that_draws_is_wrong_in_one_of_its_answers():
    answers = iter([1.0, 1.1] * 2)
    report = check(lambda x: np.sum(x**2), lambda x: 2 * x * next(answers), np.ones(10))
    assert report.verdict == "failed"
    assert "`gradient` is not deterministic: two calls at x differ by 2.0e-01" in report.message
    steady = check(lambda x: np.sum(x**2), lambda x: 2.2 * x, np.ones(10))
    assert "deterministic" not in steady.message


# What is no gradient --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gradient", "said"),
    [
        (lambda x: (2 * x)[1:], r"must have shape \(4,\) for `x`: it has \(3,\)"),
        (lambda x: (2 * x).astype("float32"), "must have dtype float64 for `x`: it has float32"),
        (lambda x: {"a": x}, r"must be built like x, with \['x'\]"),
        (lambda _: None, r"gave None for `x` \(does it lack a return\?\)"),
        (lambda x: np.where(x == x[2], np.nan, 2 * x), r"not finite at `x\[2\]`: given nan, num"),
        (lambda x: np.where(x == x[2], np.inf, 2 * x), r"not finite at `x\[2\]`: given inf, num"),
    ],
    ids=["shape", "dtype", "structure", "none", "nan", "inf"],
)
def test_what_is_no_gradient_fails_and_says_why(gradient, said):
    x = normal(4)
    with pytest.raises(GradientMismatchError, match=said) as caught:
        check_gradient(lambda x: np.sum(x**2), gradient, x)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value.report, CheckReport)
    assert caught.value.report.verdict == "failed"
    assert str(caught.value) == caught.value.report.message


def test_nothing_of_the_caller_s_is_modified():
    x, g = normal(5), 2 * normal(5)

    def f(x):
        total = np.sum(x**2)
        x[...] = math.nan
        return total

    def gradient(x):
        slope = 2 * x
        x[...] = math.nan
        return slope

    assert check_gradient(f, gradient, x).passed
    assert check_gradient(f, g, x).passed
    np.testing.assert_array_equal(x, normal(5))
    np.testing.assert_array_equal(g, 2 * normal(5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "quick"}, "`mode` must be one of directional, full, taylor"),
        ({"n_probes": 0}, "`n_"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        check_gradient(wave, wave_slope, normal(3), **options)


def test_arrays_of_two_libraries_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="two libraries"):
        check_gradient(wave, torch.ones(3, dtype=torch.float64), normal(3))


# Modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "order"), [(0.0, 2.0), (0.1, 1.0)])
def test_the_order_of_the_remainder_is_2_and_of_a_wrong_gradient_1(wrong, order):
    report = check(wave, lambda x: wave_slope(x) + wrong, normal(30), mode="taylor")
    assert report.observed_order == pytest.approx(order, abs=0.05)
    assert report.passed == (wrong == 0.0)
    assert check(wave, wave_slope, normal(30)).observed_order is None


def test_a_linear_function_has_no_remainder():
    assert check(np.sum, np.ones_like, normal(30), mode="taylor").observed_order is None


def test_mode_full_finds_the_worst_of_several():
    x = normal(30)
    wrong = wave_slope(x)
    wrong[[3, 20]] += [1e-3, -2e-3]
    report = check(wave, wrong, x, mode="full")
    assert report.worst == ("x", (20,))
    assert report.message.startswith("2 of 30 elements are wrong; `x[20]`: given")
    assert report.max_abs_err == pytest.approx(2e-3, rel=1e-4)


def test_an_error_too_small_for_each_element_is_seen_in_their_sum():
    x = np.ones(10_000)
    report = check(lambda x: np.sum(x**4), lambda x: 4 * x**3 + 1e-8, x)
    assert report.verdict == "failed"
    assert "spread over many elements" in report.message


# The difference itself ------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "sharp"), [("float32", 1e-2), ("float64", 1e-9)])
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (np.sin, np.cos),
        (np.exp, np.exp),
        (lambda x: x**5, lambda x: 5 * x**4),
        (lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2),
        (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
        (lambda x: np.sin(50 * x), lambda x: 50 * np.cos(50 * x)),
    ],
    ids=["sin", "exp", "power", "quotient", "tanh", "fast"],
)
def test_the_error_bar_of_a_slope_is_honest_and_sharp(f, slope, dtype, sharp):
    for x in np.linspace(0.1, 3.0, 30).astype(dtype):
        ladder = climb(lambda a: f(a[0]), list, [np.asarray(x)], [np.ones_like(np.asarray(x))])
        truth = float(slope(np.float64(x)))
        assert abs(ladder.value - truth) <= ladder.error
        assert ladder.error <= sharp * max(abs(truth), abs(float(f(x))))


def test_the_trial_in_small_has_no_false_alarm_and_misses_nothing():
    outcomes, failures = gradient_checks.trial(60, seed=1, largest=300)
    assert failures == []
    assert sum(n for outcome, n in outcomes.items() if outcome.startswith("correct")) == 60
    assert outcomes["correct: passed"] >= 50
    assert outcomes["corrupted, visible: failed"] >= 40


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ({"correct: passed": 9, "corrupted, visible: failed": 1000}, 0),
        ({"correct: failed": 1, "corrupted, visible: failed": 1000}, 1),
        ({"corrupted, visible: failed": 990, "corrupted, visible: passed": 10}, 1),
    ],
    ids=["right", "false alarm", "missed"],
)
def test_the_trial_fails_on_a_false_alarm_and_on_misses(monkeypatch, capsys, verdicts, code):
    monkeypatch.setattr(gradient_checks, "trial", lambda *_: (Counter(verdicts), []))
    monkeypatch.setattr("sys.argv", ["gradient_checks.py"])
    assert gradient_checks.main() == code
    assert "caught" in capsys.readouterr().out
