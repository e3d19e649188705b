"""SciPy's functions on Tensors. SciPy asks no operand what to do, as NumPy does; so its names get handlers here.

When a module of SciPy is imported, its public functions that have a handler are replaced by ones that look for a Tensor
among their arguments, and call SciPy's own function if there is none. `uninstall` puts SciPy's own back.
"""

from __future__ import annotations

from .replacing import REPLACEMENTS

install = REPLACEMENTS.install
uninstall = REPLACEMENTS.uninstall
