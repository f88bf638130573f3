"""Functions that others wrote over the array API standard: name -> (function of one array, point).

They run unchanged: SciPy's and scikit-learn's switch for other arrays is all that is set.
"""

from __future__ import annotations

import array_api_extra as xpx
import numpy as np
from array_api_compat import array_namespace
from scipy import (
    constants,
    differentiate,
    fft,
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    spatial,
    special,
    stats,
)  # fmt: skip
from scipy.cluster import vq
from scipy.optimize import elementwise
from scipy.spatial.transform import RigidTransform, Rotation
from sklearn import metrics, preprocessing
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import pairwise
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import extmath

__all__ = ["CANDIDATES"]


# Points: no two numbers that come together are within a differences' step of each other
_rng = np.random.default_rng(0)
UNIT = np.asarray([0.22, 0.71, 0.38, 0.83, 0.55])  # probabilities
SIGNED = np.asarray([-1.3, -0.6, 0.2, 0.9, 1.7])
POSITIVE = np.asarray([0.4, 2.3, 1.1, 3.2, 0.8, 1.9])
_grid = _rng.permutation(np.linspace(-1.9, 2.3, 51) ** 3 / 5 + np.linspace(-1, 1, 51))
MATRIX, OTHER = _grid[:12].reshape(4, 3), _grid[12:27].reshape(5, 3)
SAMPLE, SECOND = _grid[27:39], _grid[39:]
LONG = np.tile(SAMPLE, 2) + np.arange(24) / 9
QUATERNIONS = np.asarray([[0.3, -0.2, 0.5, 0.8], [0.1, 0.7, -0.4, 0.5]])
VECTORS = np.asarray([[0.3, -0.8, 0.5], [0.9, 0.2, -0.4]])
LABELS = np.asarray([0, 1, 0, 1])
TARGETS = np.asarray([0.3, -0.7, 1.1, 0.4])


def like(x, values):
    """Constant in the namespace of `x`."""
    return array_namespace(x).asarray(values)


SPECIAL = {
    **dict.fromkeys((
        "erf", "erfc", "erfcx", "expit", "log_expit", "log_ndtr", "ndtr", "cosm1", "exp10", "exp2",
        "exprel", "i0", "i0e", "i1", "i1e", "sinc", "cbrt", "j0", "j1", "sindg", "cosdg", "tandg",
        "dawsn", "expm1", "softmax", "log_softmax", "logsumexp",
    ), SIGNED),
    **dict.fromkeys(("ndtri", "logit", "entr", "erfinv", "ellipk", "ellipkm1", "log1p"), UNIT),
    **dict.fromkeys((
        "gammaln", "digamma", "psi", "gamma", "rgamma", "loggamma", "exp1", "expi", "k0", "k0e",
        "k1", "y0", "zetac", "spence",
    ), POSITIVE),
}  # fmt: skip
SECOND_ARGUMENT = {
    "xlogy": POSITIVE, "xlog1py": POSITIVE, "rel_entr": POSITIVE, "kl_div": POSITIVE,
    "betaln": POSITIVE, "gammainc": POSITIVE, "gammaincc": POSITIVE, "boxcox": POSITIVE,
    "huber": POSITIVE, "pseudo_huber": POSITIVE, "chdtr": POSITIVE, "chdtrc": POSITIVE,
    "poch": POSITIVE, "stdtr": SIGNED, "inv_boxcox": UNIT, "zeta": POSITIVE + 1,
}  # fmt: skip

SCALERS = (
    *(preprocessing.MaxAbsScaler, preprocessing.MinMaxScaler, preprocessing.Normalizer),
    *(preprocessing.PolynomialFeatures, preprocessing.PowerTransformer),
    *(preprocessing.RobustScaler, preprocessing.StandardScaler),
)

CANDIDATES = {
    **{
        f"special.{name}": (lambda x, name=name: getattr(special, name)(x), x)
        for name, x in SPECIAL.items()
    },
    **{
        f"special.{name} of its second": (
            lambda x, name=name: getattr(special, name)(like(x, 1.3 + 0 * POSITIVE[: len(x)]), x),
            x,
        )
        for name, x in SECOND_ARGUMENT.items()
    },
    **{
        f"special.{name} of its first": (
            lambda x, name=name: getattr(special, name)(x, like(x, POSITIVE)), POSITIVE[::-1],
        )
        for name in ("xlogy", "xlog1py", "rel_entr", "kl_div", "betaln", "boxcox")
    },
    "special.polygamma": (lambda x: special.polygamma(1, x), POSITIVE),
    "special.multigammaln": (lambda x: special.multigammaln(x, 2), POSITIVE + 1),
    "special.betainc": (lambda x: special.betainc(like(x, 1.5), like(x, 2.5), x), UNIT),
    "special.logsumexp with weights": (
        lambda x: special.logsumexp(x, axis=0, b=like(x, TARGETS**2)[:, None]), MATRIX),
    "special.softmax of rows": (lambda x: special.softmax(x, axis=1), MATRIX),
    "special.log_softmax of rows": (lambda x: special.log_softmax(x, axis=1), MATRIX),
    # --- stats: descriptions of a sample
    "stats.gmean": (stats.gmean, POSITIVE),
    "stats.gmean with weights": (lambda x: stats.gmean(x, weights=like(x, POSITIVE)), POSITIVE),
    "stats.hmean": (stats.hmean, POSITIVE),
    "stats.pmean": (lambda x: stats.pmean(x, 3), POSITIVE),
    "stats.gstd": (stats.gstd, POSITIVE),
    "stats.moment": (lambda x: stats.moment(x, order=3), SAMPLE),
    "stats.moment about a center": (lambda x: stats.moment(x, order=4, center=0.5), SAMPLE),
    "stats.skew": (stats.skew, SAMPLE),
    "stats.skew unbiased": (lambda x: stats.skew(x, bias=False), SAMPLE),
    "stats.kurtosis": (stats.kurtosis, SAMPLE),
    "stats.kurtosis unbiased of columns": (lambda x: stats.kurtosis(x, axis=0, bias=False), MATRIX),
    "stats.variation": (lambda x: stats.variation(x, ddof=1), POSITIVE),
    "stats.sem": (stats.sem, SAMPLE),
    "stats.zscore": (stats.zscore, SAMPLE),
    "stats.zscore of rows": (lambda x: stats.zscore(x, axis=1, ddof=1), MATRIX),
    "stats.gzscore": (stats.gzscore, POSITIVE),
    "stats.zmap": (lambda x: stats.zmap(x, like(x, SECOND)), SAMPLE),
    "stats.zmap of its second": (lambda x: stats.zmap(like(x, SECOND), x), SAMPLE),
    "stats.tmean": (lambda x: stats.tmean(x, (-1, 1)), SAMPLE),
    "stats.tvar": (lambda x: stats.tvar(x, (-1, 1)), SAMPLE),
    "stats.tstd": (lambda x: stats.tstd(x, (-1, 1)), SAMPLE),
    "stats.tsem": (lambda x: stats.tsem(x, (-1, 1)), SAMPLE),
    "stats.tmin": (lambda x: stats.tmin(x, -0.5), SAMPLE),
    "stats.tmax": (lambda x: stats.tmax(x, 1.0), SAMPLE),
    "stats.trim_mean": (lambda x: stats.trim_mean(x, 0.2), SAMPLE),
    "stats.kstat": (lambda x: stats.kstat(x, 3), SAMPLE),
    "stats.kstat of order 4": (lambda x: stats.kstat(x, 4), SAMPLE),
    "stats.kstatvar": (lambda x: stats.kstatvar(x, 2), SAMPLE),
    "stats.lmoment": (lambda x: stats.lmoment(x, order=2), SAMPLE),
    "stats.iqr": (stats.iqr, SAMPLE),
    "stats.quantile": (lambda x: stats.quantile(x, like(x, 0.3)), SAMPLE),
    "stats.quantile of its probability": (lambda x: stats.quantile(like(x, SAMPLE), x), UNIT),
    "stats.median_abs_deviation": (stats.median_abs_deviation, SAMPLE),
    "stats.circmean": (stats.circmean, UNIT),
    "stats.circvar": (stats.circvar, UNIT),
    "stats.circstd": (stats.circstd, UNIT),
    "stats.directional_stats": (lambda x: stats.directional_stats(x).mean_direction, MATRIX),
    "stats.describe mean": (lambda x: stats.describe(x).mean, SAMPLE),
    "stats.describe variance": (lambda x: stats.describe(x).variance, SAMPLE),
    "stats.describe kurtosis": (lambda x: stats.describe(x).kurtosis, SAMPLE),
    "stats.entropy": (stats.entropy, POSITIVE),
    "stats.entropy relative": (lambda x: stats.entropy(x, like(x, POSITIVE[::-1])), POSITIVE),
    "stats.differential_entropy": (stats.differential_entropy, SAMPLE),
    "stats.differential_entropy by van Es": (
        lambda x: stats.differential_entropy(x, method="van es"), SAMPLE),
    "stats.boxcox_llf": (lambda x: stats.boxcox_llf(0.7, x), POSITIVE),
    "stats.boxcox_llf of lambda": (
        lambda x: stats.boxcox_llf(x, like(x, POSITIVE)), np.asarray(0.7)),
    "stats.yeojohnson_llf": (lambda x: stats.yeojohnson_llf(0.7, x), SAMPLE),
    "stats.sigmaclip": (lambda x: stats.sigmaclip(x, 2.0, 2.0).clipped, SAMPLE),
    "stats.expectile": (stats.expectile, SAMPLE),
    "stats.false_discovery_control": (stats.false_discovery_control, UNIT),
    "stats.combine_pvalues": (lambda x: stats.combine_pvalues(x).statistic, UNIT),
    "stats.combine_pvalues by Stouffer": (
        lambda x: stats.combine_pvalues(x, method="stouffer").statistic, UNIT),
    "stats.combine_pvalues by Pearson": (
        lambda x: stats.combine_pvalues(x, method="pearson").statistic, UNIT),
    # --- stats: statistics of tests
    "stats.ttest_1samp": (lambda x: stats.ttest_1samp(x, 0.1).statistic, SAMPLE),
    "stats.ttest_1samp p-value": (lambda x: stats.ttest_1samp(x, 0.1).pvalue, SAMPLE),
    "stats.ttest_ind": (lambda x: stats.ttest_ind(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.ttest_ind by Welch": (
        lambda x: stats.ttest_ind(x, like(x, SECOND), equal_var=False).statistic, SAMPLE),
    "stats.ttest_rel": (lambda x: stats.ttest_rel(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.ttest_ind_from_stats": (
        lambda x: stats.ttest_ind_from_stats(
            x, like(x, 1.2), like(x, 10.0), like(x, 0.5), like(x, 0.9), like(x, 12.0)
        ).statistic, np.asarray(0.7)),
    "stats.pearsonr": (lambda x: stats.pearsonr(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.spearmanrho": (lambda x: stats.spearmanrho(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.linregress": (lambda x: stats.linregress(x, like(x, SECOND)).slope, SAMPLE),
    "stats.f_oneway": (lambda x: stats.f_oneway(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.bartlett": (lambda x: stats.bartlett(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.bartlett p-value": (lambda x: stats.bartlett(x, like(x, SECOND)).pvalue, SAMPLE),
    "stats.levene": (lambda x: stats.levene(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.alexandergovern": (
        lambda x: stats.alexandergovern(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.jarque_bera": (lambda x: stats.jarque_bera(x).statistic, SAMPLE),
    "stats.jarque_bera p-value": (lambda x: stats.jarque_bera(x).pvalue, SAMPLE),
    "stats.skewtest": (lambda x: stats.skewtest(x).statistic, SAMPLE),
    "stats.skewtest p-value": (lambda x: stats.skewtest(x).pvalue, SAMPLE),
    "stats.kurtosistest": (lambda x: stats.kurtosistest(x).statistic, LONG),
    "stats.normaltest": (lambda x: stats.normaltest(x).statistic, LONG),
    "stats.power_divergence": (
        lambda x: stats.power_divergence(
            x, like(x, np.roll(POSITIVE, 1)) * (array_namespace(x).sum(x) / 9.7), lambda_=2 / 3
        ).statistic, POSITIVE),
    "stats.power_divergence of expected": (
        lambda x: stats.power_divergence(
            like(x, POSITIVE), x[::-1] * (9.7 / array_namespace(x).sum(x)), lambda_=0
        ).statistic, POSITIVE),
    "stats.chisquare": (lambda x: stats.chisquare(x).statistic, POSITIVE),
    "stats.chisquare p-value": (lambda x: stats.chisquare(x).pvalue, POSITIVE),
    "stats.cramervonmises": (lambda x: stats.cramervonmises(x, special.ndtr).statistic, SAMPLE),
    "stats.ks_1samp": (lambda x: stats.ks_1samp(x, special.ndtr).statistic, SAMPLE),
    "stats.epps_singleton_2samp": (
        lambda x: stats.epps_singleton_2samp(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.mood": (lambda x: stats.mood(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.kruskal": (lambda x: stats.kruskal(x, like(x, SECOND)).statistic, SAMPLE),
    "stats.norm.logpdf": (stats.norm.logpdf, SIGNED),
    "stats.Normal.logpdf": (lambda x: stats.Normal(mu=0.2, sigma=1.3).logpdf(x), SIGNED),
    "stats.multivariate_normal.logpdf": (
        lambda x: stats.multivariate_normal.logpdf(x, mean=np.zeros(3)), MATRIX),
    "stats.gaussian_kde": (lambda x: stats.gaussian_kde(SAMPLE)(x), SIGNED),
    # --- integrate
    "integrate.trapezoid": (integrate.trapezoid, SAMPLE),
    "integrate.trapezoid over points": (
        lambda x: integrate.trapezoid(like(x, SECOND), x=x), np.sort(SAMPLE)),
    "integrate.trapezoid of columns": (lambda x: integrate.trapezoid(x, dx=0.2, axis=0), MATRIX),
    "integrate.simpson": (lambda x: integrate.simpson(x, dx=0.3), SAMPLE[:7]),
    "integrate.simpson of an even number": (lambda x: integrate.simpson(x, dx=0.3), SAMPLE[:8]),
    "integrate.simpson over points": (
        lambda x: integrate.simpson(SECOND[:7], x=x), np.sort(SAMPLE)[:7]),
    "integrate.cumulative_trapezoid": (
        lambda x: integrate.cumulative_trapezoid(x, dx=0.3, initial=0), SAMPLE),
    "integrate.cumulative_trapezoid over points": (
        lambda x: integrate.cumulative_trapezoid(like(x, SECOND), x=x), np.sort(SAMPLE)),
    "integrate.cumulative_simpson": (lambda x: integrate.cumulative_simpson(x, dx=0.3), SAMPLE),
    "integrate.cumulative_simpson over points": (
        lambda x: integrate.cumulative_simpson(like(x, SECOND), x=x), np.sort(SAMPLE)),
    "integrate.romb": (lambda x: integrate.romb(x, dx=0.25), SAMPLE[:9]),
    "integrate.fixed_quad of a parameter": (
        lambda x: integrate.fixed_quad(lambda t: x[0] * like(x, t), 0, 1)[0], UNIT),
    "integrate.quad_vec of a parameter": (
        lambda x: integrate.quad_vec(lambda t: x * t, 0.0, 1.0)[0], UNIT),
    "integrate.tanhsinh of a parameter": (
        lambda x: integrate.tanhsinh(
            lambda t, c: array_namespace(t).exp(-c * t), like(x, 0.0), like(x, 1.0), args=(x,)
        ).integral, UNIT),
    "integrate.tanhsinh of a limit": (
        lambda x: integrate.tanhsinh(
            lambda t: array_namespace(t).exp(-t), like(x, 0.0), x
        ).integral, UNIT),
    "integrate.cubature of a limit": (
        lambda x: integrate.cubature(
            lambda t: array_namespace(t).exp(-t[:, 0]), like(x, [0.0]), x
        ).estimate, UNIT[:1]),
    "integrate.nsum": (
        lambda x: integrate.nsum(
            lambda k, c: c**k, like(x, 0.0), like(x, 9.0), args=(x,)
        ).sum, UNIT),
    # --- optimize, differentiate, constants, cluster, linalg
    "optimize.rosen": (optimize.rosen, SIGNED),
    "optimize.rosen of columns": (optimize.rosen, MATRIX),
    "optimize.rosen_der": (optimize.rosen_der, SIGNED),
    "optimize.rosen_hess": (optimize.rosen_hess, SIGNED),
    "optimize.rosen_hess_prod": (lambda x: optimize.rosen_hess_prod(x, like(x, SIGNED**2)), SIGNED),
    # of the value at the minimum alone: where an iteration ends has the derivative of its last step
    "elementwise.find_minimum": (
        lambda x: elementwise.find_minimum(
            lambda t, c: (t - c) ** 2 + c**3, (like(x, -1.0), like(x, 0.3), like(x, 2.0)), args=(x,)
        ).f_x, UNIT),
    "differentiate.derivative": (
        lambda x: differentiate.derivative(array_namespace(x).exp, x).df, SIGNED),
    "differentiate.jacobian": (lambda x: differentiate.jacobian(lambda t: t**3, x).df, UNIT),
    "constants.convert_temperature": (
        lambda x: constants.convert_temperature(x, "Celsius", "Fahrenheit"), SIGNED),
    "constants.lambda2nu": (lambda x: constants.lambda2nu(x) / constants.c, POSITIVE),
    "constants.nu2lambda": (lambda x: constants.nu2lambda(x) / constants.c, POSITIVE),
    "cluster.vq.whiten": (vq.whiten, MATRIX),
    "cluster.vq.vq": (lambda x: vq.vq(x, like(x, OTHER))[1], MATRIX),
    "linalg.block_diag": (lambda x: linalg.block_diag(x, x * 2), MATRIX),
    "linalg.fiedler": (linalg.fiedler, SIGNED),
    "linalg.orthogonal_procrustes": (
        lambda x: linalg.orthogonal_procrustes(x, like(x, OTHER[:4]))[0], MATRIX),
    "linalg.norm": (linalg.norm, MATRIX),
    "linalg.det": (linalg.det, MATRIX[:3]),
    "linalg.solve": (lambda x: linalg.solve(x, TARGETS[:3]), MATRIX[:3]),
    "linalg.expm": (linalg.expm, MATRIX[:3]),
    "linalg.toeplitz": (linalg.toeplitz, SIGNED),
    # --- spatial
    "Rotation.from_quat": (lambda x: Rotation.from_quat(x).as_matrix(), QUATERNIONS),
    "Rotation.as_quat": (lambda x: Rotation.from_quat(x).as_quat(), QUATERNIONS),
    "Rotation.from_rotvec": (lambda x: Rotation.from_rotvec(x).as_matrix(), VECTORS),
    "Rotation.as_rotvec": (lambda x: Rotation.from_quat(x).as_rotvec(), QUATERNIONS),
    "Rotation.from_euler": (lambda x: Rotation.from_euler("xyz", x).as_matrix(), VECTORS),
    "Rotation.as_euler": (lambda x: Rotation.from_quat(x).as_euler("xyz"), QUATERNIONS),
    "Rotation.from_mrp": (lambda x: Rotation.from_mrp(x).as_matrix(), VECTORS),
    "Rotation.as_mrp": (lambda x: Rotation.from_quat(x).as_mrp(), QUATERNIONS),
    "Rotation.from_matrix": (  # the nearest rotation to a matrix that is none
        lambda x: Rotation.from_matrix(x).as_matrix(),
        Rotation.from_quat(QUATERNIONS).as_matrix() + 0.05 * MATRIX[:3]),
    "Rotation.apply": (lambda x: Rotation.from_quat(x).apply(like(x, VECTORS)), QUATERNIONS),
    "Rotation.apply to vectors": (
        lambda x: Rotation.from_quat(like(x, QUATERNIONS)).apply(x), VECTORS),
    "Rotation products": (
        lambda x: (
            Rotation.from_quat(x) * Rotation.from_quat(like(x, QUATERNIONS[::-1]))
        ).as_matrix(), QUATERNIONS),
    "Rotation.inv": (lambda x: Rotation.from_quat(x).inv().as_matrix(), QUATERNIONS),
    "Rotation.magnitude": (lambda x: Rotation.from_quat(x).magnitude(), QUATERNIONS),
    "Rotation powers": (lambda x: (Rotation.from_quat(x) ** 0.4).as_matrix(), QUATERNIONS),
    "Rotation.mean": (lambda x: Rotation.from_quat(x).mean().as_matrix(), QUATERNIONS),
    "RigidTransform.apply": (
        lambda x: RigidTransform.from_translation(x).apply(like(x, VECTORS)), VECTORS),
    "RigidTransform.from_exp_coords": (
        lambda x: RigidTransform.from_exp_coords(x).as_matrix(),
        np.hstack([VECTORS, VECTORS[::-1]])),
    "spatial.distance.cdist": (lambda x: spatial.distance.cdist(x, OTHER), MATRIX),
    "spatial.distance.pdist": (spatial.distance.pdist, MATRIX),
    "spatial.distance.cosine": (lambda x: spatial.distance.cosine(x, SECOND), SAMPLE),
    "spatial.procrustes": (lambda x: spatial.procrustes(OTHER[:4], x)[2], MATRIX),
    # --- signal, ndimage, interpolate, fft
    "signal.gauss_spline": (lambda x: signal.gauss_spline(x, 3), SIGNED),
    "signal.vectorstrength": (lambda x: signal.vectorstrength(x, 0.7)[0], UNIT),
    "signal.detrend constant": (lambda x: signal.detrend(x, type="constant"), SAMPLE),
    "signal.detrend": (signal.detrend, SAMPLE),
    "signal.hilbert": (lambda x: abs(signal.hilbert(x)), SAMPLE),
    "signal.envelope": (signal.envelope, SAMPLE),
    "signal.fftconvolve": (lambda x: signal.fftconvolve(x, like(x, SECOND)), SAMPLE),
    "signal.oaconvolve": (lambda x: signal.oaconvolve(x, like(x, SECOND[:3])), SAMPLE),
    "signal.convolve": (lambda x: signal.convolve(x, like(x, SECOND)), SAMPLE),
    "signal.correlate": (lambda x: signal.correlate(x, like(x, SECOND)), SAMPLE),
    "signal.lfilter": (
        lambda x: signal.lfilter(like(x, [1.0, 0.5]), like(x, [1.0, -0.3]), x), SAMPLE),
    "signal.savgol_filter": (lambda x: signal.savgol_filter(x, 5, 2), SAMPLE),
    "signal.resample": (lambda x: signal.resample(x, 9), SAMPLE),
    "signal.freqz_zpk": (
        lambda x: abs(signal.freqz_zpk(x, like(x, [0.2, -0.3]), 1.0, worN=like(x, UNIT))[1]),
        UNIT[:2]),
    "signal.freqz": (lambda x: abs(signal.freqz(x, worN=like(x, UNIT))[1]), SIGNED),
    "signal.lp2lp_zpk": (
        lambda x: signal.lp2lp_zpk(x, like(x, [0.2, -0.3]), 1.0, wo=2.0)[0], UNIT[:2]),
    "signal.bilinear_zpk": (
        lambda x: signal.bilinear_zpk(x, like(x, [-0.2, -0.3]), 1.0, fs=2.0)[0], UNIT[:2]),
    "signal.lp2lp": (lambda x: signal.lp2lp(x, like(x, [1.0, 0.5, 0.2]), wo=2.0)[0], UNIT[:2]),
    "signal.abcd_normalize": (lambda x: signal.abcd_normalize(A=x, B=x, C=x, D=x)[0], MATRIX[:3]),
    "ndimage.gaussian_filter": (lambda x: ndimage.gaussian_filter(x, 1.0), MATRIX),
    "ndimage.laplace": (ndimage.laplace, MATRIX),
    "ndimage.map_coordinates": (
        lambda x: ndimage.map_coordinates(like(x, MATRIX), x), np.ones((2, 3))),
    "interpolate.CubicSpline of its query": (
        lambda x: interpolate.CubicSpline(np.arange(6.0), POSITIVE)(x), UNIT),
    "interpolate.CubicSpline of its values": (
        lambda x: interpolate.CubicSpline(like(x, np.arange(6.0)), x)(like(x, UNIT)), POSITIVE),
    "interpolate.RBFInterpolator": (
        lambda x: interpolate.RBFInterpolator(like(x, OTHER), like(x, SIGNED))(x), MATRIX),
    "interpolate.pchip": (
        lambda x: interpolate.PchipInterpolator(like(x, np.arange(6.0)), x)(like(x, UNIT)),
        POSITIVE),
    **{
        f"fft.{name}": (lambda x, name=name: abs(getattr(fft, name)(x)), SAMPLE)
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    },
    **{
        f"fft.{name}": (lambda x, name=name: abs(getattr(fft, name)(x)), MATRIX)
        for name in ("fft2", "ifft2", "fftn", "rfft2", "rfftn", "ifftn")
    },
    "fft.fftshift": (fft.fftshift, SAMPLE),
    "fft.ifftshift": (fft.ifftshift, SAMPLE),
    "fft.dct": (fft.dct, SAMPLE),
    "fft.fht": (lambda x: fft.fht(x, 0.1, 0.3), SAMPLE),
    # --- scikit-learn
    "pairwise.euclidean_distances": (
        lambda x: pairwise.euclidean_distances(x, like(x, OTHER)), MATRIX),
    "pairwise.euclidean_distances squared": (
        lambda x: pairwise.euclidean_distances(like(x, OTHER), x, squared=True), MATRIX),
    "pairwise.cosine_similarity": (
        lambda x: pairwise.cosine_similarity(x, like(x, OTHER)), MATRIX),
    "pairwise.cosine_distances": (
        lambda x: pairwise.cosine_distances(x, like(x, OTHER)), MATRIX),
    "pairwise.linear_kernel": (lambda x: pairwise.linear_kernel(x, like(x, OTHER)), MATRIX),
    "pairwise.rbf_kernel": (lambda x: pairwise.rbf_kernel(x, like(x, OTHER)), MATRIX),
    "pairwise.rbf_kernel of itself": (lambda x: pairwise.rbf_kernel(x, gamma=0.3), MATRIX),
    "pairwise.polynomial_kernel": (
        lambda x: pairwise.polynomial_kernel(x, like(x, OTHER), degree=2), MATRIX),
    "pairwise.sigmoid_kernel": (lambda x: pairwise.sigmoid_kernel(x, like(x, OTHER)), MATRIX),
    "pairwise.laplacian_kernel": (lambda x: pairwise.laplacian_kernel(x, like(x, OTHER)), MATRIX),
    "pairwise.manhattan_distances": (
        lambda x: pairwise.manhattan_distances(x, like(x, OTHER)), MATRIX),
    "pairwise.additive_chi2_kernel": (
        lambda x: pairwise.additive_chi2_kernel(x, like(x, OTHER**2)), MATRIX**2 + 0.1),
    "pairwise.chi2_kernel": (lambda x: pairwise.chi2_kernel(x, like(x, OTHER**2)), MATRIX**2 + 0.1),
    "pairwise.paired_euclidean_distances": (
        lambda x: pairwise.paired_euclidean_distances(x, like(x, OTHER[:4])), MATRIX),
    "pairwise.paired_cosine_distances": (
        lambda x: pairwise.paired_cosine_distances(x, like(x, OTHER[:4])), MATRIX),
    "pairwise.paired_manhattan_distances": (
        lambda x: pairwise.paired_manhattan_distances(x, like(x, OTHER[:4])), MATRIX),
    **{
        f"metrics.{name}": (
            lambda x, name=name: getattr(metrics, name)(like(x, TARGETS), x), TARGETS + 0.4)
        for name in ("mean_squared_error", "mean_absolute_error", "r2_score",
                     "root_mean_squared_error", "explained_variance_score", "max_error",
                     "mean_pinball_loss", "median_absolute_error")
    },
    **{
        f"metrics.{name} of each output": (
            lambda x, name=name: getattr(metrics, name)(
                like(x, OTHER[:4]), x, multioutput="raw_values"), MATRIX)
        for name in ("mean_squared_error", "mean_absolute_error", "r2_score",
                     "root_mean_squared_error", "mean_pinball_loss", "explained_variance_score")
    },
    **{
        f"metrics.{name}": (
            lambda x, name=name: getattr(metrics, name)(like(x, TARGETS**2), x), TARGETS**2 + 0.4)
        for name in ("mean_squared_log_error", "mean_gamma_deviance", "mean_poisson_deviance")
    },
    "metrics.log_loss": (
        lambda x: metrics.log_loss(like(x, LABELS), x), np.asarray([0.3, 0.6, 0.2, 0.9])),
    "metrics.brier_score_loss": (
        lambda x: metrics.brier_score_loss(like(x, LABELS), x), np.asarray([0.3, 0.6, 0.2, 0.9])),
    **{
        f"preprocessing.{cls.__name__}.{what}": (
            (lambda x, cls=cls: cls().fit_transform(x)) if what == "fit_transform" else
            (lambda x, cls=cls: cls().fit(like(x, OTHER)).transform(x)), MATRIX)
        for cls in SCALERS
        for what in ("transform", "fit_transform")
    },
    "preprocessing.StandardScaler.inverse_transform": (
        lambda x: preprocessing.StandardScaler().fit(like(x, OTHER)).inverse_transform(x), MATRIX),
    "preprocessing.MinMaxScaler.inverse_transform": (
        lambda x: preprocessing.MinMaxScaler().fit(like(x, OTHER)).inverse_transform(x), MATRIX),
    "preprocessing.KernelCenterer": (
        lambda x: preprocessing.KernelCenterer().fit_transform(x), MATRIX[:3]),
    "preprocessing.normalize": (preprocessing.normalize, MATRIX),
    "preprocessing.normalize by sums": (lambda x: preprocessing.normalize(x, norm="l1"), MATRIX),
    "preprocessing.normalize by maxima": (lambda x: preprocessing.normalize(x, norm="max"), MATRIX),
    "preprocessing.scale": (preprocessing.scale, MATRIX),
    "preprocessing.minmax_scale": (preprocessing.minmax_scale, MATRIX),
    "preprocessing.maxabs_scale": (preprocessing.maxabs_scale, MATRIX),
    "PCA.transform": (lambda x: PCA(2, svd_solver="full").fit(like(x, OTHER)).transform(x), MATRIX),
    "PCA.fit_transform": (lambda x: PCA(2, svd_solver="full").fit_transform(x), MATRIX),
    "PCA.score_samples": (
        lambda x: PCA(2, svd_solver="full").fit(like(x, OTHER)).score_samples(x), MATRIX),
    "LinearDiscriminantAnalysis.transform": (
        lambda x: LinearDiscriminantAnalysis().fit(
            like(x, OTHER), like(x, [0, 1, 0, 1, 1])).transform(x), MATRIX),
    "LinearDiscriminantAnalysis.predict_proba": (
        lambda x: LinearDiscriminantAnalysis().fit(
            like(x, OTHER), like(x, [0, 1, 0, 1, 1])).predict_proba(x), MATRIX),
    "GaussianNB.predict_joint_log_proba": (
        lambda x: GaussianNB().fit(
            like(x, OTHER), like(x, [0, 1, 0, 1, 1])).predict_joint_log_proba(x), MATRIX),
    "GaussianNB.predict_proba": (
        lambda x: GaussianNB().fit(
            like(x, OTHER), like(x, [0, 1, 0, 1, 1])).predict_proba(x), MATRIX),
    "GaussianMixture.score_samples": (
        lambda x: GaussianMixture(1, init_params="random", random_state=0).fit(
            like(x, OTHER)).score_samples(x), MATRIX),
    "Ridge.predict": (
        lambda x: Ridge(solver="svd").fit(like(x, OTHER), like(x, SIGNED)).predict(x), MATRIX),
    "Ridge.fit": (
        lambda x: Ridge(solver="svd").fit(x, like(x, TARGETS)).coef_, MATRIX),
    "LinearRegression.predict": (
        lambda x: LinearRegression().fit(like(x, OTHER), like(x, SIGNED)).predict(x), MATRIX),
    "LogisticRegression.predict_proba": (
        lambda x: LogisticRegression().fit(
            like(x, OTHER), like(x, [0, 1, 0, 1, 1])).predict_proba(x), MATRIX),
    "Nystroem.transform": (
        lambda x: Nystroem(n_components=3, random_state=0).fit(like(x, OTHER)).transform(x),
        MATRIX),
    "extmath.softmax": (lambda x: extmath.softmax(x, copy=True), MATRIX),
    "extmath.row_norms": (extmath.row_norms, MATRIX),
    "extmath.row_norms squared": (lambda x: extmath.row_norms(x, squared=True), MATRIX),
    "extmath.safe_sparse_dot": (lambda x: extmath.safe_sparse_dot(x, x.T), MATRIX),
    "extmath.fast_logdet": (
        lambda x: extmath.fast_logdet(x.T @ x), MATRIX),
    "extmath.weighted_mode": (lambda x: extmath.weighted_mode(like(x, SIGNED), x)[1], UNIT),
    "extmath.squared_norm": (extmath.squared_norm, MATRIX),
    # --- array-api-extra
    "xpx.angle": (lambda x: xpx.angle(x + 1j * x * x), SIGNED),
    "xpx.apply_where": (
        lambda x: xpx.apply_where(x > 0, x, lambda x: x**1.5, lambda x: -x), SIGNED),
    "xpx.apply_where with a fill value": (
        lambda x: xpx.apply_where(x > 0, x, lambda x: x**1.5, fill_value=0.3), SIGNED),
    "xpx.at set": (lambda x: xpx.at(x)[1:3].set(0.7) * x, SIGNED),
    "xpx.at set to traced": (lambda x: xpx.at(x)[1].set(x[0] ** 2), SIGNED),
    "xpx.at set a mask": (lambda x: xpx.at(x)[x < 0].set(0.0) * x, SIGNED),
    "xpx.at add": (lambda x: xpx.at(x)[1:3].add(x[:2]), SIGNED),
    "xpx.at subtract": (lambda x: xpx.at(x)[1:3].subtract(x[:2]), SIGNED),
    "xpx.at multiply": (lambda x: xpx.at(x)[1:3].multiply(x[:2]), SIGNED),
    "xpx.at divide": (lambda x: xpx.at(x)[1:3].divide(x[:2]), SIGNED),
    "xpx.at power": (lambda x: xpx.at(x)[1:3].power(2), SIGNED),
    "xpx.at min": (lambda x: xpx.at(x)[1:3].min(x[:2]), SIGNED),
    "xpx.at max": (lambda x: xpx.at(x)[1:3].max(x[:2]), SIGNED),
    "xpx.at set in place": (lambda x: xpx.at(x * 1.0)[1:3].set(x[:2], copy=False), SIGNED),
    "xpx.atleast_nd": (lambda x: xpx.atleast_nd(x, ndim=3), SIGNED),
    "xpx.cov": (lambda x: xpx.cov(x), MATRIX),
    "xpx.create_diagonal": (lambda x: xpx.create_diagonal(x, offset=1), SIGNED),
    "xpx.deg2rad": (xpx.deg2rad, SIGNED),
    "xpx.rad2deg": (xpx.rad2deg, SIGNED),
    "xpx.diag_indices": (lambda x: x[xpx.diag_indices(3, xp=array_namespace(x))], MATRIX),
    "xpx.kron": (lambda x: xpx.kron(x, like(x, OTHER[:2, :2])), MATRIX),
    "xpx.kron with itself": (lambda x: xpx.kron(x, x), MATRIX[:2]),
    "xpx.lazy_apply": (lambda x: xpx.lazy_apply(lambda x: x * x, x), SIGNED),
    "xpx.lazy_apply as NumPy": (lambda x: xpx.lazy_apply(np.exp, x, as_numpy=True), SIGNED),
    "xpx.nan_to_num": (xpx.nan_to_num, SIGNED),
    "xpx.nanmax": (xpx.nanmax, SIGNED),
    "xpx.nanmin": (lambda x: xpx.nanmin(x, axis=0), MATRIX),
    "xpx.nanmean": (lambda x: xpx.nanmean(x, axis=1), MATRIX),
    "xpx.nansum": (xpx.nansum, MATRIX),
    "xpx.one_hot": (
        lambda x: xpx.one_hot(like(x, LABELS), 3, dtype=x.dtype) * x, MATRIX),
    "xpx.pad": (lambda x: xpx.pad(x, (1, 2), constant_values=0.5), MATRIX),
    "xpx.pad unevenly": (lambda x: xpx.pad(x, [(1, 0), (0, 2)]), MATRIX),
    "xpx.partition": (lambda x: xpx.partition(x, 2), SIGNED[::-1]),
    "xpx.argpartition": (lambda x: x[xpx.argpartition(x, 2)[:2]], SIGNED[::-1]),
    "xpx.sinc": (xpx.sinc, SIGNED),
    "xpx.tril_indices": (lambda x: x[xpx.tril_indices(3, xp=array_namespace(x))], MATRIX),
    "xpx.triu_indices": (lambda x: x[xpx.triu_indices(3, xp=array_namespace(x))], MATRIX),
    "xpx.unravel_index": (lambda x: x[xpx.unravel_index(like(x, [1, 5, 7]), x.shape)], MATRIX),
    "xpx.union1d": (lambda x: xpx.union1d(x, like(x, [0.3])), SIGNED),
    "xpx.setdiff1d": (lambda x: xpx.setdiff1d(x, like(x, [0.5])), SIGNED),
    "xpx.isclose": (
        lambda x: array_namespace(x).where(xpx.isclose(x, like(x, 0.2)), x * x, -x), SIGNED + 0.1),
    "xpx.isin": (
        lambda x: array_namespace(x).where(xpx.isin(x, like(x, [0.5])), x * x, -x), SIGNED),
    "xpx.nunique": (lambda x: x * xpx.nunique(x), SIGNED),
    "xpx.searchsorted": (lambda x: x[xpx.searchsorted(x, like(x, [0.0, 1.0]))], SIGNED),
    "xpx.default_dtype": (
        lambda x: x * array_namespace(x).ones(5, dtype=xpx.default_dtype(array_namespace(x))),
        SIGNED),
}  # fmt: skip
