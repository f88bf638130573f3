"""Ways down: exact gradients, optimizers, Armijo's line search, L-BFGS; and how each ends."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import gradlab as gl
from gradlab.optimizers import SGD, Adam

START = (-1.2, 1.0)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_slope(x):
    a, b = float(x[0]), float(x[1])
    return [-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)]


def bowl(x):
    return x[0] ** 2 + 9 * x[1] ** 2


def bowl_slope(x):
    return x * gl.namespace(x).asarray([2.0, 18.0], dtype=x.dtype, device=x.device)


def armijo(f, x, gradient="autodiff", *, steps=2000, **options):
    return gl.gradient_descent(
        f, x, 0.01, steps, gradient=gradient, line_search="armijo", **options
    )


def lbfgs(f, x, gradient="autodiff", *, steps=1000, **options):
    return gl.lbfgs(f, x, gradient=gradient, max_steps=steps, **options)


WAYS = {"armijo": armijo, "lbfgs": lbfgs}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def test_an_exact_gradient_takes_the_textbook_run_where_it_should(xp, assert_close):
    init_x = xp.asarray([-3.0, 4.0])
    result = gl.gradient_descent(lambda x: x[0] ** 2 + x[1] ** 2, init_x, 0.1, gradient="autodiff")
    assert_close(result.x, [-3 * 0.8**100, 4 * 0.8**100], rtol=1e-4)
    assert (result.status, result.nfev, result.njev) == ("converged", 101, 101)


RULES = {  # after 30 steps on x**2 / 20 + y**2 from (-7, 2), by torch.optim in float64
    "plain": (SGD(0.95), (-0.350392995752, 0.084782316550)),
    "momentum": (SGD(0.1, 0.9), (0.896413858494, 0.088085601715)),
    "nesterov": (SGD(0.1, 0.9, nesterov=True), (0.689614901697, -0.000679905836)),
    "adam": (Adam(0.3), (0.136014617326, 0.318245388896)),
}


@pytest.mark.parametrize("name", RULES)
def test_optimizers_descend_to_where_torch_gets(name, xp, assert_close):
    optimizer, truth = RULES[name]
    result = gl.gradient_descent(
        lambda x: x[0] ** 2 / 20 + x[1] ** 2,
        xp.asarray([-7.0, 2.0]),
        step_num=30,
        gradient="autodiff",
        optimizer=optimizer,
    )
    assert_close(result.x, truth, atol=1e-5 if result.x.dtype == xp.float32 else 1e-11)
    assert_close(result.lrs, [optimizer.lr] * 30, rtol=1e-6)


def test_the_learning_rate_of_a_schedule_is_in_the_trace_and_in_the_message():
    rates = [0.1, 0.05, 0.025, 0.0125]  # one for each step, and no more
    optimizer = SGD(lambda k: rates[k])
    result = gl.gradient_descent(bowl, [-3.0, 4.0], step_num=4, optimizer=optimizer)
    np.testing.assert_allclose(result.lrs, rates)
    assert "with lr=0.0125:" in result.message


def test_anything_with_the_methods_of_an_optimizer_will_do(xp, assert_close):
    class Halving:
        def init(self, params):
            return len(params)

        def step(self, params, grads, state):
            return {"a": params["a"] - grads["a"] / 4}, state + 1

        def lr_at(self, step):
            return 1.0 / (1 + step)

    result = gl.gradient_descent(
        lambda p: xp.sum(p["a"] ** 2),
        {"a": xp.asarray([8.0, 4.0])},
        step_num=3,
        gradient=lambda p: {"a": 2 * p["a"]},
        optimizer=Halving(),
    )
    assert_close(result.x["a"], [1.0, 0.5])
    assert_close(result.lrs, [1.0, 1 / 2, 1 / 3], rtol=1e-6)


def test_a_rate_that_nobody_knows_is_not_in_the_message():
    class Plain:
        def init(self, _):
            return {}

        def step(self, params, grads, state):
            return params - grads, state

    result = gl.gradient_descent(lambda x: x @ x, [3.0, 4.0], optimizer=Plain())
    assert result.message == "oscillating after 100 steps: steps go to and fro and do not shrink"
    still = gl.gradient_descent(lambda x: x @ x, [3.0, 4.0], optimizer=SGD(lambda step: 0.0))
    assert still.message.endswith("with lr=0: the gradient has hardly changed on the way")


def test_what_an_optimizer_returns_must_be_built_like_x():
    class Losing(SGD):
        def step(self, params, grads, state):
            return grads[:1] - params[:1], state

    with pytest.raises(
        ValueError, match=r"`optimizer.step` must return shape \(2,\) for `params`: got \(1,\)"
    ):
        gl.gradient_descent(bowl, [1.0, 2.0], optimizer=Losing(0.1))


def test_to_and_fro_by_an_optimizer_is_no_success():
    result = gl.gradient_descent(abs, 3.05, step_num=200, gradient="autodiff", optimizer=SGD(0.1))
    assert result.status == "oscillating"
    assert "try lr=0.01" in result.message


def test_armijo_goes_down_the_long_valley_where_a_fixed_rate_claims_nothing():
    start = np.asarray(START)
    options = {"step_num": 20_000, "gradient": rosenbrock_slope, "gtol": 1e-6}
    found = gl.gradient_descent(rosenbrock, start, line_search="armijo", **options)
    assert (found.status, found.nit < 20_000) == ("converged", True)
    assert np.max(np.abs(rosenbrock_slope(found.x))) <= 1e-6
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-5)
    fixed = gl.gradient_descent(rosenbrock, start, 0.005, **options)
    assert not fixed.success


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(-10, 10))
def test_every_step_of_armijo_lowers_f_as_the_gradient_promises(lr, scale, offset):
    def f(x):
        return scale * bowl(x) + offset

    start = np.asarray([-3.0, 4.0])
    result = gl.gradient_descent(
        f, start, lr, 300, gradient=lambda x: scale * bowl_slope(x), line_search="armijo"
    )
    slopes = scale * result.path[:-1] * [2.0, 18.0]
    promised = result.lrs * np.sum(slopes**2, axis=1)
    assert np.all(np.diff(result.losses) <= -1e-4 * promised + 1e-15 * np.abs(result.losses[:-1]))
    assert np.all(np.diff(result.losses) < 0)
    assert result.status in {"converged", "max_steps"}  # a rate may leap to and fro for long


def test_the_rate_grows_again_after_success():
    result = armijo(lambda x: x[0] ** 2 / 2000, np.asarray([1.0]), steps=10)
    np.testing.assert_allclose(result.lrs, 0.01 * 2.0 ** np.arange(10))


def test_the_trace_holds_point_value_gradient_norm_and_rate(xp, assert_close, way):
    result = way(bowl, xp.asarray([-3.0, 4.0]), steps=3)
    assert result.path.shape == (4, 2)
    path = gl.to_numpy(result.path).astype(float)
    assert_close(result.losses, path[:, 0] ** 2 + 9 * path[:, 1] ** 2, rtol=1e-5)
    norms = np.max(np.abs(path * [2.0, 18.0]), axis=1)
    assert_close(result.grad_norms, norms, rtol=1e-5)
    assert result.lrs.shape == (3,)
    assert gl.namespace(result.lrs) is gl.namespace(result.x)
    bare = way(bowl, xp.asarray([-3.0, 4.0]), steps=3, trace=False)
    assert (bare.path, bare.losses, bare.grad_norms, bare.lrs) == (None,) * 4


def test_both_ways_reach_the_minimum_of_a_tree(xp, assert_close, way):
    start = {"a": xp.asarray([1.0, 2.0]), "b": [xp.asarray(3.0), xp.zeros((0, 2))]}

    def f(p):
        # `sum` of the tree's own namespace: the arrays are traced
        sums = gl.namespace(p["a"]).sum
        return sums((p["a"] - 1) ** 2) + 3 * (p["b"][0] - p["a"][0]) ** 2 + sums(p["b"][1])

    result = way(f, start, gtol=1e-4)
    assert result.success
    assert_close(result.x["a"], [1.0, 1.0], atol=1e-3)
    assert_close(result.x["b"][0], 1.0, atol=1e-3)
    assert result.x["b"][1].shape == (0, 2)
    assert result.x["a"].device == start["a"].device
    assert result.x["a"].dtype == start["a"].dtype


def test_leaves_of_two_dtypes_keep_them(way):
    xp = array_api_strict
    start = {"a": xp.asarray([3.0], dtype=xp.float32), "b": xp.asarray([2.0], dtype=xp.float64)}
    result = way(lambda p: (p["a"] ** 2)[0] + 4 * ((p["b"] - 1) ** 2)[0], start, gtol=1e-3)
    assert result.success
    assert (result.x["a"].dtype, result.x["b"].dtype) == (xp.float32, xp.float64)
    assert abs(float(result.x["b"][0]) - 1) < 1e-3


def test_lbfgs_finds_the_end_of_the_valley_in_few_evaluations(xp, assert_close):
    start = xp.asarray(START)
    result = gl.lbfgs(rosenbrock, start, gtol=1e-3)
    assert result.success
    assert result.nfev == result.njev < 60
    assert_close(result.x, [1.0, 1.0], atol=5e-3)
    assert_close(start, START)
    by_differences = gl.lbfgs(rosenbrock, start, gradient="numerical", gtol=1e-2)
    assert_close(by_differences.x, [1.0, 1.0], atol=0.05)


@given(st.integers(1, 12), st.floats(1, 1e4), st.integers(0, 2**31))
@example(11, 9965.379514759554, 151)  # whose terms cancel: f is known to a thousand roundings
@example(6, 8234.531498066915, 1269212145)
@example(8, 7532.434479218982, 8)
@example(3, 8397.006351485814, 1259538516)
@example(8, 9734.263023431471, 8)
def test_lbfgs_solves_a_quadratic_as_linear_algebra_does(n, condition, seed):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    a = (q * np.geomspace(1, condition, n)) @ q.T
    b = rng.normal(size=n)
    result = gl.lbfgs(lambda x: x @ (a @ x) / 2 - b @ x, np.zeros(n), gradient=lambda x: a @ x - b)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(a, b), atol=2e-5 * math.sqrt(n))


def test_a_remembered_step_makes_the_direction_newtons_in_one_variable():
    """The secant's slope is the curvature of a parabola: two steps are enough."""
    result = gl.lbfgs(lambda x: 7 * (x - 3) ** 2, 0.0, gtol=1e-8)
    assert (result.success, result.nit) == (True, 2)
    assert float(result.x) == pytest.approx(3, abs=1e-12)


def jump_up(x):
    return -x[0] if float(x[0]) < 1 else 10 - x[0]


def ramp(x):
    return gl.namespace(x).zeros_like(x) - 1


ENDS = {  # f, start, gradient, status, what the message says
    "smooth": (lambda x: 7 + bowl(x), (-3.0, 4.0), bowl_slope, "converged", ""),
    "wrong gradient": (bowl, (-3.0, 4.0), lambda x: -bowl_slope(x), "stalled", "not that of f"),
    "kink": (lambda x: 7 + abs(x[0]), (3.05,), "autodiff", "stalled", "look for a kink"),
    "jump up": (jump_up, (0.0,), ramp, "stalled", "a jump"),
    "jump in a valley": (
        lambda x: (x[0] - 2) ** 2 + (5.0 if float(x[0]) > 1 else 0.0),
        (0.0,),
        lambda x: 2 * (x - 2),
        "stalled",
        "a jump",
    ),
    "jump down": (
        lambda x: (x[0] + 2) ** 2 + (5.0 if float(x[0]) > 1 else 0.0),
        (3.0,),
        lambda x: 2 * (x + 2),
        "converged",
        "",
    ),
    "NaN beyond an edge": (
        lambda x: x[0] if float(x[0]) > 1 else math.nan,
        (3.0,),
        lambda x: -ramp(x),
        "stalled",
        "an edge",
    ),
    "infinity beyond an edge": (
        lambda x: x[0] if float(x[0]) > 1 else math.inf,
        (3.0,),
        lambda x: -ramp(x),
        "stalled",
        "an edge",
    ),
    "saddle": (lambda x: x[0] ** 2 - x[1] ** 2, (1.0, 0.0), "autodiff", "converged", ""),
    "plateau": (lambda x: 1 + x[0] * 0, (1.0,), "autodiff", "converged", "gtol"),
    "no bottom": (lambda x: -x[0], (0.0,), ramp, "diverged", "not finite"),
    "NaN at once": (lambda x: x[0] * math.nan, (3.0,), ramp, "diverged", "start elsewhere"),
    "out of range": (
        lambda x: 1e200 * bowl(x),
        (3.0, 1.0),
        lambda x: 1e200 * bowl_slope(x),
        "stalled",
        "scale f",
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_every_run_ends_with_its_status_and_the_best_point(what, way):
    f, start, gradient, status, says = ENDS[what]
    result = way(f, np.asarray(start), gradient)
    assert (result.status, result.success) == (status, status == "converged")
    assert says in result.message
    finite = gl.to_numpy(result.losses)[np.isfinite(result.losses)]
    if finite.size:
        assert float(result.best_fun) == np.min(finite)
        assert float(f(result.best_x)) == float(result.best_fun)
        assert math.isfinite(float(result.fun))


@pytest.mark.parametrize("start", [(1.0, 1.0), (0.0, 1.0), (1.0, 1e-8)])
def test_a_line_search_that_finds_no_bottom_claims_no_success(start):
    """From a saddle f falls as far as numbers go, where slope times distance is out of range."""
    with np.errstate(all="ignore"):
        result = gl.gradient_descent(
            lambda x: x[0] ** 2 - x[1] ** 2,
            np.asarray(start),
            step_num=1000,
            gradient="autodiff",
            line_search="armijo",
        )
    assert (result.status, result.success) == ("diverged", False)
    assert -math.inf < float(result.fun) < -1e200


@pytest.mark.parametrize(("of_x", "of_f"), [(1.0, 1e23), (1e-19, 1.0), (1e19, 1e-40)])
def test_armijo_goes_down_in_units_of_any_size(of_x, of_f):
    """The first steps are far too long by their size alone; each is halved until it fits."""
    result = gl.gradient_descent(
        lambda x: of_f * rosenbrock(x / of_x),
        of_x * np.asarray(START),
        gradient="autodiff",
        line_search="armijo",
    )
    assert (result.status, float(result.fun) < 5 * of_f) == ("max_steps", True)


def test_where_every_trial_is_far_above_x_is_no_minimum():
    x = 1e-80 * np.asarray(START)
    result = armijo(lambda x: rosenbrock(1e80 * x), x)
    assert (result.status, result.nit) == ("stalled", 0)


@pytest.mark.parametrize("x", [(-1.2, 1.0), (0.3, 2.0), (2.5, -1.0), (-0.4, 0.1), (1.7, 0.2)])
def test_a_kink_that_a_search_ends_at_is_no_minimum(x):
    """Armijo's steps along a bent kink get as short as rounding; its tries must not."""

    def f(x):
        return abs(1 - x[0]) + 10 * abs(x[1] - x[0] ** 2)

    result = armijo(f, np.asarray(x))
    assert float(result.fun) > 0.1
    assert result.status in {"stalled", "max_steps"}


@pytest.mark.parametrize("seed", range(10))
def test_no_tolerance_at_all_is_met_at_a_smooth_minimum(seed, way):
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(5, 3)), rng.normal(size=5)
    result = way(lambda x: np.log(np.sum(np.exp(w @ x + b))) + 0.1 * (x @ x), w[0], gtol=0.0)
    assert (result.status, float(np.max(np.abs(result.grad))) < 1e-7) == ("converged", True)


def test_a_gradient_that_shrinks_from_that_of_a_leap_is_not_converged():
    result = gl.gradient_descent(
        rosenbrock, START, step_num=500, optimizer=Adam(100.0), gradient="autodiff"
    )
    assert float(result.fun) > float(result.best_fun)
    assert not result.success


def test_a_step_out_of_the_domain_is_taken_back(way):
    """x - log(x) / 1000 has its minimum at 1 / 1000, beside where it is not a number."""

    def f(x):
        return x[0] - 1e-3 * math.log(float(x[0])) if float(x[0]) > 0 else math.nan

    result = way(f, np.asarray([3.0]), lambda x: 1 - 1e-3 / x, gtol=1e-6)
    assert result.success
    np.testing.assert_allclose(result.x, [1e-3], rtol=1e-5)


@pytest.mark.parametrize("beyond", [10.0, math.nan, -math.inf])
def test_at_a_fixed_rate_too_an_edge_claims_no_success_and_the_best_is_kept(beyond):
    def f(x):
        return 1 - x[0] if float(x[0]) < 1 else beyond - x[0]

    result = gl.gradient_descent(f, np.asarray([0.0]), 0.15, 60, gradient=ramp)
    assert not result.success
    assert math.isfinite(float(result.fun))
    losses = gl.to_numpy(result.losses)
    assert float(result.best_fun) == np.min(losses[np.isfinite(losses)])


def test_an_exception_of_f_passes_with_a_note_of_the_step(way):
    def f(x):
        if float(x[0]) < 1:
            message = "too low"
            raise ArithmeticError(message)
        return x[0] ** 2

    with pytest.raises(ArithmeticError, match="too low") as caught:
        way(f, np.asarray([3.0]), lambda x: 2 * x)
    (note,) = caught.value.__notes__
    assert note.startswith("in step ")
    assert ("gradient_descent with lr=" in note) or note.endswith("of lbfgs")


def test_a_callback_sees_every_point_and_stops(way):
    seen = []

    def callback(result):
        seen.append((result.nit, result.status, float(result.best_fun)))
        return result.nit == 3

    result = way(rosenbrock, np.asarray(START), callback=callback)
    assert (result.status, result.nit) == ("stopped", 3)
    assert [nit for nit, _, _ in seen] == [0, 1, 2, 3]
    assert {status for _, status, _ in seen} == {"running"}
    assert [best for _, _, best in seen] == list(result.losses)


def test_what_a_callback_writes_into_its_result_changes_nothing(way):
    def scribble(result):
        for array in (result.x, result.grad, result.best_x, result.fun, result.best_fun):
            array[...] = 100.0

    result, reference = (
        way(rosenbrock, np.asarray(START), callback=callback) for callback in (scribble, None)
    )
    for name in ("x", "fun", "grad", "best_x", "best_fun", "path", "losses"):
        np.testing.assert_array_equal(getattr(result, name), getattr(reference, name))


def test_an_interrupt_returns_what_was_reached(way):
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return rosenbrock(x)

    result = way(f, np.asarray(START))
    assert result.status == "interrupted"
    assert float(result.fun) < rosenbrock(START)


def test_no_step_at_all_evaluates_the_start(way):
    result = way(bowl, np.asarray([3.0, 4.0]), steps=0)
    assert (result.nit, result.status, float(result.fun)) == (0, "max_steps", 153.0)
    assert result.lrs.shape == (0,)


def test_an_optimizer_lets_the_host_look_seldom(waits):
    counts = {}
    for steps in (160, 320):
        waits.clear()
        start = array_api_strict.asarray([-3.0, 4.0])
        gl.gradient_descent(
            bowl, start, step_num=steps, gradient=bowl_slope, optimizer=Adam(1e-3), gtol=1e-9
        )
        counts[steps] = len(waits)
    assert counts[320] - counts[160] <= 160 / 16


def test_searches_wait_for_their_trials_and_twice_a_step(waits, way):
    def slope(x):
        a, b = x[0], x[1]
        xp = array_api_strict
        return xp.stack([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)])

    result = way(rosenbrock, array_api_strict.asarray(START), slope, steps=30, gtol=1e-9)
    assert result.nit == 30
    assert len(waits) <= result.nfev + 2 * result.nit


ARGUMENTS = {
    "two rates": (
        {"lr": 0.1, "optimizer": Adam(0.1)},
        ValueError,
        "`lr` is that of the optimizer: give it there alone; got lr=0.1",
    ),
    "two methods": (
        {"optimizer": Adam(0.1), "line_search": "armijo"},
        ValueError,
        "give it or `optimizer`, not both",
    ),
    "search": ({"line_search": "wolfe"}, ValueError, "`line_search` must be None or 'armijo'"),
    "first rate": ({"line_search": "armijo", "lr": 0.0}, ValueError, "`lr` must be a positive"),
    "optimizer": ({"optimizer": 0.1}, TypeError, r"such as SGD\(0.1\): got 0.1"),
    "optimizer's class": ({"optimizer": Adam}, TypeError, "`optimizer` must be an update rule"),
    "gradient": ({"gradient": [1]}, ValueError, "`gradient` must be 'numerical', 'autodiff' or"),
    "callback": ({"callback": 3}, TypeError, "`callback` must be a function"),
}


def test_what_is_no_function_is_refused(way):
    with pytest.raises(TypeError, match="`f` must be a function of `x`: got 3"):
        way(3, np.asarray(START))


@pytest.mark.parametrize("what", ARGUMENTS)
def test_gradient_descent_refuses(what):
    options, error, message = ARGUMENTS[what]
    with pytest.raises(error, match=message):
        gl.gradient_descent(bowl, np.asarray([3.0, 4.0]), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": 0}, "`history` must be a positive integer: got 0"),
        ({"max_steps": -1}, "`max_steps` must be a non-negative integer: got -1"),
        ({"gtol": math.nan}, "`gtol` must be a non-negative number"),
        ({"gradient": "exact"}, "`gradient` must be 'numerical', 'autodiff' or a function"),
    ],
)
def test_lbfgs_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        gl.lbfgs(bowl, np.asarray([3.0, 4.0]), **options)
