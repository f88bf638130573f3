"""Update rules: how parameters move, given their gradients.

A rule is a frozen dataclass of plain numbers. What it remembers is a tree that the caller keeps,
`state`; the step count in it is a Python int, so that a schedule never waits for the device.
Formulas and defaults are those of torch.optim.
"""

from gradlab.optimizers.clipping import clip_norm
from gradlab.optimizers.rule import Optimizer, advance_of, lr_of
from gradlab.optimizers.rules import SGD, AdaGrad, Adam, AdamW, RMSprop

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "advance_of",
    "clip_norm",
    "lr_of",
]
