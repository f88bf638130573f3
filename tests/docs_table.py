"""The tables of functions in docs/differentiable-functions.md, made from the rules themselves.

``python tests/docs_table.py`` writes them into the page; a test holds it equal to what they give.
"""

from __future__ import annotations

from pathlib import Path

from gradlab.autodiff.composites import COMPOSITES
from gradlab.autodiff.fourier import FOURIER
from gradlab.autodiff.linalg import LINEAR_ALGEBRA
from gradlab.autodiff.namespace import CREATION, PLAIN, UNSUPPORTED
from gradlab.autodiff.numpy_names import FUNCTIONS, METHODS, UFUNCS
from gradlab.autodiff.rule import DISCRETE, RULES

PAGE = Path(__file__).parents[1] / "docs" / "differentiable-functions.md"
START, END = "<!-- made by tests/docs_table.py: start -->\n", "<!-- end -->\n"


def rows():
    """Headings, each with the names of functions under it."""
    public = {name for name, rule in RULES.items() if not rule.is_internal and "." not in name}
    operators = {"getitem", "setitem"}
    special = {n.split(".")[1] for n in RULES if n.startswith("special.") and "._" not in n}
    linalg = set(LINEAR_ALGEBRA) - {"matrix_rank"}
    frequencies = {"fftfreq", "rfftfreq"}
    return {
        "`xp.`": (public | set(COMPOSITES)) - operators - set(UNSUPPORTED),
        "`xp.linalg.`": linalg,
        "`xp.fft.`": set(FOURIER) - frequencies,
        "`xp.special.`": special | {"polygamma", "psi"},
        "`np.` beyond the standard's names": set(FUNCTIONS) - public - set(COMPOSITES),
        "ufuncs of `np.` by other names": set(UFUNCS),
        "methods of arrays": set(METHODS),
        "constants: discrete": DISCRETE | {"linalg.matrix_rank"},
        "constants: made of no values": set(CREATION) | {f"fft.{n}" for n in frequencies},
        "of dtypes and shapes": set(PLAIN),
    }


def table():
    """Both tables as Markdown."""
    lines = ["| where | functions |", "| --- | --- |"]
    for heading, names in rows().items():
        lines.append(f"| {heading} | {', '.join(f'`{name}`' for name in sorted(names))} |")
    lines += ["", "| refused for what is traced | why |", "| --- | --- |"]
    lines += [f"| `xp.{name}` | {reason} |" for name, reason in sorted(UNSUPPORTED.items())]
    return "\n".join(lines) + "\n"


def written():
    """The part of the page between the marks."""
    return PAGE.read_text().split(START)[1].split(END)[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text().split(START)
    PAGE.write_text(before + START + table() + END + rest.split(END)[1])
