"""Fourier transforms: values and derivatives of both modes and orders, cut, padded, normalised."""

from __future__ import annotations

import array_api_compat.numpy as anp
import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truths import check, loss_of, samples

import gradlab as gl
from gradlab import autodiff


def wave(x):
    return x + 1j * x**2


FUNCTIONS = {
    "fft": lambda xp, x: xp.fft.fft(wave(x)),
    "fft padded": lambda xp, x: xp.fft.fft(wave(x), n=7, axis=0, norm="ortho"),
    "fft cut": lambda xp, x: xp.fft.fft(wave(x), n=3, axis=-1, norm="forward"),
    "ifft": lambda xp, x: xp.fft.ifft(wave(x), n=6),
    "rfft": lambda xp, x: xp.fft.rfft(x),
    "rfft cut": lambda xp, x: xp.fft.rfft(x, n=3, norm="ortho"),
    "rfft padded": lambda xp, x: xp.fft.rfft(x, n=9, axis=0),
    "irfft": lambda xp, x: xp.fft.irfft(wave(x)),
    "irfft odd": lambda xp, x: xp.fft.irfft(wave(x), n=5, axis=0),
    "irfft padded": lambda xp, x: xp.fft.irfft(wave(x), n=11, norm="forward"),
    "irfft cut": lambda xp, x: xp.fft.irfft(wave(x), n=3, norm="ortho"),
    "hfft": lambda xp, x: xp.fft.hfft(wave(x)),
    "ihfft": lambda xp, x: xp.fft.ihfft(x, n=5),
    "fftn": lambda xp, x: xp.fft.fftn(wave(x)),
    "fftn padded": lambda xp, x: xp.fft.fftn(wave(x), s=(3, 6), axes=(0, 1)),
    "ifftn": lambda xp, x: xp.fft.ifftn(wave(x), axes=(1, 0)),
    "rfftn": lambda xp, x: xp.fft.rfftn(x),
    "irfftn": lambda xp, x: xp.fft.irfftn(wave(x)),
    "irfftn padded": lambda xp, x: xp.fft.irfftn(wave(x), s=(4, 5), axes=(0, 1)),
    "fftshift": lambda xp, x: xp.fft.fftshift(x),
    "ifftshift": lambda xp, x: xp.fft.ifftshift(x, axes=(1,)),
}


# beyond the standard, as NumPy takes them
OF_REAL = {
    "fft of real numbers": lambda xp, x: xp.fft.fft(x, n=7, axis=0),
    "ifft of real numbers": lambda xp, x: xp.fft.ifft(x),
}


def real(f):
    """Function of the same numbers as real ones, for differences to be compared with."""

    def call(xp, x):
        y = f(xp, x)
        if not xp.isdtype(y.dtype, "complex floating"):
            return y
        return xp.concat([xp.real(y), xp.imag(y)], axis=0)

    return call


@pytest.mark.parametrize("name", [*FUNCTIONS, *OF_REAL])
def test_derivatives_of_transforms(name):
    check(real({**FUNCTIONS, **OF_REAL}[name]), samples((3, 5), (-1.5, 1.5)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_numpy(name):
    x = samples((3, 5), (-1.5, 1.5))
    seen = []

    def f(x):
        y = real(FUNCTIONS[name])(x.__array_namespace__(), x)
        seen.append(np.asarray(autodiff.stop_gradient(y)))
        return x[0, 0]

    autodiff.gradient(f, x)
    np.testing.assert_allclose(seen[0], real(FUNCTIONS[name])(anp, x), atol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_numbers_on_every_backend(name, backend):
    x = samples((3, 5), (-1.5, 1.5))
    f = loss_of(real(FUNCTIONS[name]))
    theirs = gl.asarray(x, backend.dtype)
    got = autodiff.gradient(f, theirs)
    assert (got.device, got.dtype) == (theirs.device, theirs.dtype)
    rtol = 1e-9 if backend.dtype == "float64" else 1e-3
    np.testing.assert_allclose(gl.to_numpy(got), autodiff.gradient(f, x), rtol, rtol / 100)


@settings(max_examples=60)
@given(
    st.sampled_from(["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]),
    st.integers(2, 6),
    st.none() | st.integers(1, 8),
    st.sampled_from(["backward", "forward", "ortho"]),
    st.booleans(),
)
def test_a_transform_pulls_back_by_its_adjoint(name, m, n, norm, is_complex):
    """Re(conj(u) · F v) = Re(conj(F* u) · v), for every length and normalisation."""
    if name in ("rfft", "ihfft") and is_complex:
        return  # of real numbers alone
    rng = np.random.default_rng(m)
    v = rng.standard_normal(m) + 1j * is_complex * rng.standard_normal(m)
    v = v if is_complex else v.real
    forward = getattr(np.fft, name)(v, n=n, norm=norm)
    u = rng.standard_normal(forward.shape) + 1j * rng.standard_normal(forward.shape)
    u = u if np.iscomplexobj(forward) else u.real
    f = lambda x: getattr(x.__array_namespace__().fft, name)(x, n=n, norm=norm)  # noqa: E731
    pulled = autodiff.vjp(f, 0 * v, u)
    assert (pulled.dtype, pulled.shape) == (v.dtype, v.shape)
    np.testing.assert_allclose(
        np.sum(np.conj(pulled) * v).real, np.sum(np.conj(u) * forward).real, atol=1e-12
    )


def test_every_function_of_the_extension_is_there_and_tried():
    theirs = set(array_api_strict.fft.__all__)
    names = set()
    autodiff.gradient(lambda x: names.update(vars(x.__array_namespace__().fft)) or x[0], np.ones(1))
    assert theirs - names == set()
    assert names - {n.split()[0] for n in FUNCTIONS} == {"fftfreq", "rfftfreq"}


def test_frequencies_are_constants():
    def f(x):
        xp = x.__array_namespace__()
        k = xp.fft.fftfreq(4, d=0.5)
        return xp.sum(x * k) + xp.sum(x[:3] * xp.fft.rfftfreq(4, d=0.5))

    truth = np.fft.fftfreq(4, d=0.5)
    truth[:3] += np.fft.rfftfreq(4, d=0.5)
    np.testing.assert_array_equal(autodiff.gradient(f, np.ones(4)), truth)


def test_single_precision_stays():
    x = np.ones(4, dtype=np.float32)
    got = autodiff.gradient(loss_of(lambda xp, x: xp.abs(xp.fft.fft(x))), x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 8 * x)  # Parseval: 4 sum(x**2)
