"""Training of networks: the mini-batch loop, its history, and what it makes of divergence."""

from gradlab.training.divergence import DivergenceError
from gradlab.training.history import History
from gradlab.training.loop import fit

__all__ = ["DivergenceError", "History", "fit"]
