"""SciPy asks what arrays are for their functions only where this is set before its import."""

from __future__ import annotations

import os

os.environ["SCIPY_ARRAY_API"] = "1"
