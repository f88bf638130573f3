"""Exact derivatives of SciPy's, scikit-learn's and array-api-extra's functions, as they stand.

Truth: differences of order 6 of the same function on plain arrays. What raises is listed with why.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context

import gradlab as gl
from gradlab import autodiff

sys.path.insert(0, str(Path(__file__).parent))
from third_party import CANDIDATES

ASARRAY = r"np\.asarray\(x\) would cut"
FLOAT = r"float\(x\) would cut"
WRITTEN = "shares memory with one that was written to"
UNIQUE = "which values are unique has no derivative"

REFUSED = {
    # SciPy's own compiled code, and code that makes every argument an array of NumPy
    **dict.fromkeys((
        "cluster.vq.vq", "fft.dct", "integrate.simpson", "integrate.simpson of an even number",
        "integrate.simpson over points", "interpolate.CubicSpline of its query",
        "interpolate.CubicSpline of its values", "linalg.det", "linalg.expm", "linalg.norm",
        "linalg.solve", "ndimage.gaussian_filter", "ndimage.laplace", "ndimage.map_coordinates",
        "signal.detrend", "signal.detrend constant", "signal.lfilter", "signal.savgol_filter",
        "spatial.distance.cdist",
        "spatial.distance.cosine", "spatial.distance.pdist", "spatial.procrustes",
        "stats.Normal.logpdf", "stats.expectile", "stats.gaussian_kde", "stats.linregress",
        "stats.multivariate_normal.logpdf", "stats.norm.logpdf",
        # special functions with no rule, and what asks for them
        "special.betainc", "special.boxcox of its first", "special.boxcox of its second",
        "special.cbrt", "special.cosdg", "special.cosm1", "special.ellipk", "special.ellipkm1",
        "special.exp1", "special.exp10", "special.exp2", "special.expi", "special.exprel",
        "special.huber of its second", "special.inv_boxcox of its second", "special.j0",
        "special.j1", "special.k0", "special.k0e", "special.k1", "special.loggamma",
        "special.multigammaln", "special.poch of its second",
        "special.pseudo_huber of its second", "special.rgamma", "special.sindg",
        "special.spence", "special.tandg", "special.y0", "special.zeta of its second",
        "special.zetac", "stats.cramervonmises", "stats.f_oneway", "stats.ks_1samp",
        "stats.levene", "stats.pearsonr",
        # and scikit-learn's that compute with NumPy on the host
        "extmath.weighted_mode", "metrics.median_absolute_error", "preprocessing.scale",
        "xpx.lazy_apply as NumPy",
    ), ASARRAY),
    "special.dawsn": r"np\.dawsn would cut",
    # code of NumPy alone, part by part
    "extmath.squared_norm": "np.ravel cannot honour `order`",
    "integrate.quad_vec of a parameter": FLOAT,
    "interpolate.RBFInterpolator": r"no x\.view\(\)",
    "interpolate.pchip": WRITTEN,
    "linalg.toeplitz": "'strides'",
    "preprocessing.PowerTransformer.fit_transform": ASARRAY,
    "preprocessing.RobustScaler.fit_transform": "np.nanmedian with `axis` would cut",
    # Python numbers: of scores, and to choose a method by
    **dict.fromkeys((
        "metrics.brier_score_loss", "metrics.explained_variance_score", "metrics.log_loss",
        "metrics.max_error", "metrics.mean_absolute_error", "metrics.mean_gamma_deviance",
        "metrics.mean_pinball_loss", "metrics.mean_poisson_deviance",
        "metrics.mean_squared_error", "metrics.mean_squared_log_error", "metrics.r2_score",
        "metrics.root_mean_squared_error", "stats.boxcox_llf of lambda",
    ), FLOAT),
    **dict.fromkeys(("signal.convolve", "signal.correlate"), r"int\(x\) would cut"),
    # writes into views of what is read later
    **dict.fromkeys((
        "GaussianMixture.score_samples", "integrate.tanhsinh of a limit",
        "integrate.tanhsinh of a parameter", "preprocessing.PowerTransformer.transform",
        "signal.oaconvolve",
    ), WRITTEN),
    **dict.fromkeys(("xpx.nunique", "xpx.setdiff1d", "xpx.union1d"), UNIQUE),
}  # fmt: skip

# NaN in branches that are not taken, which `nan_safe` keeps from the gradient
NAN_SAFE = (
    *("preprocessing.StandardScaler.fit_transform", "stats.tsem", "stats.tstd", "stats.tvar"),
)
WORKS = [name for name in CANDIDATES if name not in {*REFUSED, *NAN_SAFE}]


@pytest.fixture(autouse=True)
def _dispatch():
    # on NumPy, scikit-learn keeps the warnings of 0 / 0 to itself; on other arrays, it cannot
    with config_context(array_api_dispatch=True), np.errstate(divide="ignore", invalid="ignore"):
        yield


def differences(f, x, v):
    """Derivative along v on plain NumPy: central differences, Richardson of order 6."""
    table = []
    for k in range(3):
        h = 2.0**-k * 0.004
        table.append((np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h))
    first = [(4 * b - a) / 3 for a, b in pairwise(table)]
    return (16 * first[1] - first[0]) / 15


def truth_of(name):
    """The function, its point, a cotangent of its value, and what that is pulled back to."""
    f, x = CANDIDATES[name]
    slopes = [differences(f, x, e.reshape(x.shape)) for e in np.eye(x.size)]
    u = np.random.default_rng(1).standard_normal(slopes[0].shape)
    return f, x, u, np.asarray([np.sum(u * slope) for slope in slopes]).reshape(x.shape)


def assert_same(got, truth):
    scale = max(np.max(np.abs(truth)), 1e-3)  # differences of what is 0 are round-off
    np.testing.assert_allclose(got, truth, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("name", WORKS)
def test_the_gradient_is_that_of_differences(name):
    f, x, u, truth = truth_of(name)
    assert_same(autodiff.vjp(f, x, u), truth)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_leaves_the_arrays_raises_and_says_why(name):
    f, x, u, _ = truth_of(name)
    errors = (AttributeError, NotImplementedError, TypeError, autodiff.AliasError)
    with pytest.raises(errors, match=REFUSED[name]):
        autodiff.vjp(f, x, u)


@pytest.mark.parametrize("name", NAN_SAFE)
def test_branches_of_nan_need_nan_safe_and_give_no_finite_gradient_without(name):
    f, x, u, truth = truth_of(name)

    def loss(x):
        xp = gl.namespace(x)
        return xp.sum(f(x) * xp.asarray(u))

    assert not np.all(np.isfinite(autodiff.gradient(loss, x)))
    assert_same(gl.grad(loss, nan_safe=True)(x), truth)


def test_at_least_250_functions_of_others_work():
    assert len(WORKS) >= 250
