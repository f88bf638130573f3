"""Training of networks: the mini-batch loop, what it leaves behind, and the search of its rate."""

from gradlab.training.divergence import DivergenceError
from gradlab.training.history import History
from gradlab.training.loop import fit
from gradlab.training.tuning import LearningRates, Sweep, lr_find, sweep

__all__ = ["DivergenceError", "History", "LearningRates", "Sweep", "fit", "lr_find", "sweep"]
