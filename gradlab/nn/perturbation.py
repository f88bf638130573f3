"""Central differences of a network's loss in every parameter, by what each one moves.

To perturb ``W[i, j]`` of a dense layer by h moves, in sample n, one pre-activation, that of unit j,
by ``u = h x[n, i]``, and the loss of that sample by some ``phi_nj(u)``: the same function whatever
i is. So the central difference in the weight is, exactly,

    sum_n (phi_nj(h x[n, i]) - phi_nj(-h x[n, i])) / (2 h).

Changes are carried on by formulas that lose nothing to rounding, from the unit through the rest of
the network (`change` of layers and losses): nothing is computed twice and subtracted. For each
sample and unit phi is computed at three arguments to either side, as far out as any input goes.
Where polynomials through two of them, ``a u + b u**3`` for the odd part and ``a u**2 + b u**4`` for
the even one, agree with the third to rounding, they *are* phi to rounding, and the sum over n is
two matrix products. Where they do not (large steps, kinks of ReLU within reach), phi is computed at
every input itself.
"""

from __future__ import annotations

from typing import Any

from gradlab.backend import Array, Namespace, chunk_bytes, namespace, nonfinite_expected
from gradlab.numerical.steps import step_rules
from gradlab.tree import Tree

__all__ = ["central_differences"]

# Arguments, as parts of the largest, and how far the third may be off what the others foretell
_NODES = (0.5, 0.75, 1.0)
_ROUNDINGS = 64

# Elements that are carried through the network at once, at the least: with fewer the calls count
_ELEMENTS = 2**17


def central_differences(
    network: Any, params: Tree, x: Array, rows: Array, step: Any
) -> dict[str, Array]:
    """Central difference of the mean loss in every parameter; arguments as `loss_at` takes them."""
    leaves = list(params.values())
    xp = namespace(*leaves, x, rows)
    if x.ndim == 1:
        x, rows = x[None, :], rows[None, :]
    eps = float(xp.finfo(x.dtype).eps)
    half_widths = {}
    for (name, leaf), rule in zip(
        params.items(), step_rules("central", step, None, params, leaves), strict=True
    ):
        above, below = rule.stencil(leaf, eps).points
        half_widths[name] = (above - below) / 2  # the step taken, not the one asked for
    forward = _Forward(xp, network, params, x, rows)
    layers = []
    for k, names in enumerate(forward.names):
        if names:
            h = xp.concat([half_widths[names[0]], half_widths[names[1]][None, :]], axis=0)
            inputs = forward.values[k]
            inputs = xp.concat([inputs, xp.ones_like(inputs[:, :1])], axis=1)
            with nonfinite_expected():  # it is no cubic, and left out
                layers.append((k, inputs, h, *_of_cubics(forward, k, inputs, h, eps)))
    all_exact = bool(xp.all(xp.concat([is_exact for *_, is_exact in layers])))
    slopes: dict[str, Array] = {}
    for k, inputs, h, slope, is_exact in layers:
        if not all_exact:
            rest = xp.nonzero(~is_exact)[0]
            slope = slope + _one_by_one(forward, k, inputs, h, rest)  # noqa: PLW2901
        weights, biases = forward.names[k]
        slopes[weights] = slope[:-1, :] / x.shape[0]
        slopes[biases] = slope[-1, :] / x.shape[0]
    return {name: slopes[name] for name in params}


class _Forward:
    """One pass through the network: the input of every layer, and the scores at the end."""

    def __init__(self, xp: Namespace, network: Any, params: Tree, x: Array, rows: Array) -> None:
        self.xp, self.network, self.params = xp, network, params
        self.names = network.names_of_layers
        self.values = [x]
        for layer, names in zip(network.layers, self.names, strict=True):
            x = self.values[-1]
            if names:
                self.values.append(x @ params[names[0]] + params[names[1]])
            else:
                self.values.append(layer.function(x))
        self.state = network.loss_function.state(xp, self.values[-1], rows)

    def changes(
        self, k: int, n: Array, j: Array, u: Array, *, is_large: bool
    ) -> tuple[Array, Array]:
        """Change of the loss of samples n where the output of layer k moves by u in unit j.

        Shapes (p,), (p,) and (p, m). Gives two: (p, m), and the size of the terms, (outputs, p, m).
        """
        xp, units = self.xp, self.values[k + 1].shape[1]
        is_wide = False  # one unit alone has moved so far; then all do, along the first axis
        for i in range(k + 1, len(self.network.layers)):
            if self.names[i]:
                weights = self.params[self.names[i][0]].mT
                if is_wide:
                    shape = (weights.shape[0], *u.shape[1:])
                    u = xp.reshape(weights @ xp.reshape(u, (u.shape[0], -1)), shape)
                else:
                    u, is_wide = xp.take(weights, j, axis=1)[..., None] * u, True
            else:
                before, after = (
                    xp.take(v.mT, n, axis=1) if is_wide else _elements(xp, v, n, j)
                    for v in (self.values[i], self.values[i + 1])
                )
                u = self.network.layers[i].change(xp, before[..., None], after[..., None], u)
        if not is_wide:
            own = xp.arange(units, device=j.device)[:, None] == j
            u = xp.astype(own, u.dtype)[..., None] * u
        state = tuple(xp.take(part, n, axis=1)[..., None] for part in self.state)
        change: tuple[Array, Array] = self.network.loss_function.change(
            xp, state, u, is_large=is_large
        )
        return change


def _elements(xp: Namespace, x: Array, n: Array, j: Array) -> Array:
    """``x[n, j]`` of a matrix, element by element."""
    return xp.take(xp.reshape(x, (-1,)), n * x.shape[1] + j)


def _of_cubics(
    forward: _Forward, k: int, inputs: Array, h: Array, eps: float
) -> tuple[Array, Array]:
    """Sum over the samples of the central differences in a layer's weights and, last, biases.

    It leaves out the pairs of samples and units whose change is no cubic of the step to rounding,
    and tells which are right.
    """
    xp, units = forward.xp, h.shape[1]
    reach = xp.max(h[:-1, :]) * xp.max(xp.abs(inputs[:, :-1]), axis=1)
    reach = xp.maximum(reach, xp.max(h[-1, :]) + xp.zeros_like(reach))
    linear, cubic, is_exact = [], [], []
    for n, j in _pairs(xp, inputs.shape[0] * units, units, inputs, _chunk(forward, k, 6)):
        c = xp.take(reach, n)
        u = xp.stack([sign * part * c for part in _NODES for sign in (1, -1)], axis=1)
        change, size = forward.changes(k, n, j, u, is_large=False)
        near, check, far = ((change[:, 2 * m] - change[:, 2 * m + 1]) / 2 for m in range(3))
        third = (8 / 3) * (far / 2 - near)
        first = far - third
        off = xp.abs(0.75 * first + 0.75**3 * third - check)
        # The odd part does not see a kink whose effect is the same to both sides
        near, check, far = ((change[:, 2 * m] + change[:, 2 * m + 1]) / 2 for m in range(3))
        fourth = (4 / 3) * (far - 4 * near)
        even_off = xp.abs(0.75**2 * (far - fourth) + 0.75**4 * fourth - check)
        rounding = _ROUNDINGS * eps * xp.max(size[:, :, -1], axis=0)
        is_exact.append((off <= rounding) & (even_off <= rounding))
        linear.append(first)
        cubic.append(third)
    exact = xp.concat(is_exact)
    zero = xp.zeros_like(exact, dtype=h.dtype)
    shape = (inputs.shape[0], units)
    a, b = (xp.reshape(xp.where(exact, xp.concat(parts), zero), shape) for parts in (linear, cubic))
    # In units of the widest move, as powers of inputs or steps themselves may overflow
    widest = xp.max(h, axis=1, keepdims=True)
    moves, share = inputs * widest.mT / reach[:, None], h / widest
    slope = moves.mT @ a + share * share * ((moves * moves * moves).mT @ b)
    return slope / widest, exact


def _one_by_one(forward: _Forward, k: int, inputs: Array, h: Array, pairs: Array) -> Array:
    """The same for the pairs of samples and units left out, at every input itself."""
    xp, units = forward.xp, h.shape[1]
    count = inputs.shape[1]
    rows = _chunk(forward, k, 2 * count)
    slope = xp.zeros_like(h)
    for start in range(0, pairs.shape[0], rows):
        chosen = pairs[start : min(start + rows, pairs.shape[0])]
        n, j = chosen // units, chosen % units
        own = xp.take(h.mT, j, axis=0)
        u = own * xp.take(inputs, n, axis=0)
        change, _ = forward.changes(k, n, j, xp.concat([u, -u], axis=1), is_large=True)
        difference = (change[:, :count] - change[:, count:]) / (2 * own)
        unit = xp.astype(j[:, None] == xp.arange(units, device=j.device), h.dtype)
        slope = slope + difference.mT @ unit
    return slope


def _chunk(forward: _Forward, k: int, count: int) -> int:
    """How many pairs are computed at once, each with so many changes."""
    widest: int = max(v.shape[1] for v in forward.values[k + 1 :])
    elements = max(_ELEMENTS, chunk_bytes(forward.values[0]) // 8)
    return max(1, elements // (count * widest))


def _pairs(xp: Namespace, total: int, units: int, like: Array, rows: int) -> Any:
    """Samples and units of all pairs, some at a time."""
    index = xp.arange(total, device=like.device)
    for start in range(0, total, rows):
        chosen = index[start : min(start + rows, total)]
        yield chosen // units, chosen % units
