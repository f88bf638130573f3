"""The same training on the host and on each backend, and on both in turn; what a GPU alone has."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import gradlab as gl
from gradlab.optimizers import SGD, Adam
from gradlab.training import fit

OPTIONS = {"batch_size": 20, "optimizer": SGD(0.5, momentum=0.5), "seed": 2}


def train(spec, steps, dtype, **options):
    """Read 200 digits, on the backend of that name."""
    with gl.use_backend(spec, dtype=dtype):
        (x, t), _ = gl.data.load_digits()
        network = gl.TwoLayerNetwork(64, 20, 10, "glorot", seed=1)
        history = fit(network, x[:200, :], t[:200], steps=steps, **{**OPTIONS, **options})
    return {k: gl.to_numpy(v) for k, v in network.params.items()}, history.train_loss_list


def assert_near(got, truth, dtype):
    rtol = 1e-10 if dtype == "float64" else 1e-4
    for key, value in truth[0].items():
        np.testing.assert_allclose(got[0][key], value, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(got[1], truth[1], rtol=rtol)


def test_a_hundred_steps_end_where_those_on_the_host_end(backend):
    got = train(str(backend), 100, backend.dtype)
    assert_near(got, train("numpy", 100, backend.dtype), backend.dtype)


@pytest.mark.parametrize("optimizer", [SGD(0.5, momentum=0.5), Adam(0.01)])
@pytest.mark.parametrize("to_host", [True, False])
def test_a_checkpoint_goes_on_on_the_host_and_back(tmp_path, backend, to_host, optimizer):
    specs = [str(backend), "numpy"] if to_host else ["numpy", str(backend)]
    options = {"checkpoint": tmp_path / "checkpoint.npz", "optimizer": optimizer}
    for spec, steps in zip(specs, (25, 60), strict=True):
        got = train(spec, steps, backend.dtype, **options)
    truth = train("numpy", 60, backend.dtype, optimizer=optimizer)
    assert_near(got, truth, backend.dtype)


def test_a_full_gpu_is_a_memory_error_that_leaves_all_as_it_was(cupy):
    pool = cupy.get_default_memory_pool()
    with gl.use_backend("cupy", dtype="float64"):
        network = gl.TwoLayerNetwork(1000, 4000, 10, "glorot", seed=0)  # of 32 MB
        x, t = gl.asarray(np.ones((100, 1000))), gl.asarray(np.arange(100) % 10)
        kept = {key: gl.to_numpy(value) for key, value in network.params.items()}
        gc.collect()
        gl.backend.free_cached_memory()
        used = pool.used_bytes()
        pool.set_limit(size=used + 2**24)
        try:
            with pytest.raises(MemoryError):
                fit(network, x, t, steps=2)
        finally:
            pool.set_limit(size=0)
        gc.collect()
        assert pool.used_bytes() <= used + 2**20
        for key, value in kept.items():
            np.testing.assert_array_equal(gl.to_numpy(network.params[key]), value)
        fit(network, x, t, steps=2)


def test_arrays_are_made_and_computed_with_on_the_gpu_that_is_named(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("one GPU alone")
    with gl.use_backend("cupy:1"):
        network = gl.TwoLayerNetwork(4, 3, 2, seed=0)
        arrays = [gl.asarray(np.ones(3)), gl.asarray([1, 2]), *network.params.values()]
        x, t = gl.asarray(np.ones((6, 4))), gl.asarray([0, 1] * 3)
        fit(network, x, t, epochs=1, batch_size=2)
        arrays += [network.loss(x, t), *network.numerical_gradient(x, t).values()]
    assert [array.device.id for array in arrays] == [1] * len(arrays)
    assert cupy.cuda.runtime.getDevice() == 0
