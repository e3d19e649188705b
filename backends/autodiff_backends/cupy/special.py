"""SciPy's special functions that CuPy has, and those of them that are computed here, where CuPy's are not SciPy's.

CuPy's formulas were compiled for the processor and compared with SciPy: over four ranges, and at zero, near the places
where they cancel, at large numbers, infinity and NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]

# CuPy has them; and of these, those of complex numbers too. (Of others it drops digits.)
_SPECIAL = """
bdtr bdtrc bdtri beta betainc betaincinv betaln binom boxcox boxcox1p chdtr chdtrc chdtri cosdg cosm1 cotdg
ellipeinc ellipj ellipk ellipkinc ellipkm1 entr erf erfc erfcinv erfcx erfinv exp1 exp10 expi expit expn exprel fdtr
fdtrc fdtri gamma gammainc gammaincc gammainccinv gammaincinv gammaln gammasgn gdtr gdtrc huber i0 i0e i1 i1e
inv_boxcox inv_boxcox1p k0 k0e k1 k1e kl_div log_expit log_ndtr loggamma logit lpmv nbdtr nbdtrc nbdtri ndtr
ndtri pdtr pdtrc pdtri poch pseudo_huber psi radian rel_entr rgamma round shichi sici sindg tandg wright_bessel
xlog1py xlogy zetac _zeta
"""
SPECIAL = frozenset(_SPECIAL.split())
SPECIAL_OF_COMPLEX = frozenset(("gamma", "loggamma"))

# It has these as well, which are CUDA's.
INEXACT = dict.fromkeys(("j0", "j1", "y0", "y1", "yn"), "CuPy's has errors of 5e-12 for arguments from 8 on")

# CuPy computes them in single precision, SciPy in double, the result of which it rounds.
IN_DOUBLE = frozenset(("beta", "betainc", "gamma", "i0e", "i1e", "k0e", "k1e", "rgamma"))

# CuPy's are numbers for NaN among these operands.
_LOSE_NAN = {
    **dict.fromkeys(("chdtr", "chdtrc", "gammainc", "gammaincc"), (0, 1)),
    **dict.fromkeys(("gdtr", "gdtrc"), (0, 1, 2)),
    **dict.fromkeys(("pdtr", "pdtrc", "xlog1py"), (1,)),
}


class Special:
    """SciPy's special functions by their names.

    Parameters
    ----------
    xp : module
        CuPy.
    module : module
        What it mirrors ``scipy.special`` with.
    """

    def __init__(self, xp: Any, module: Any):
        self._xp, self._module = xp, module

    def __getattr__(self, name: str) -> Function:
        function: Function = getattr(self._module, name)
        if name in _LOSE_NAN:
            function = self._keeping_nan(function, _LOSE_NAN[name])
        setattr(self, name, function)
        return function

    def _keeping_nan(self, function: Function, places: tuple[int, ...]) -> Function:
        def keep(*arrays: Any) -> Any:
            xp, found = self._xp, function(*arrays)
            for place in places:
                found = xp.where(xp.isnan(arrays[place]), math.nan, found)
            return found

        return keep

    # --- what cancels ------------------------------------------------------------------------------------------------

    def logit(self, x: Any) -> Any:
        """log(x / (1 - x)), and where that is near 0 by what x is off 1/2."""
        xp = self._xp
        twice = 2 * (x - 0.5)
        near = xp.log1p(twice) - xp.log1p(-twice)
        return xp.where((x < 0.3) | (x > 0.65), xp.log(x / (1 - x)), near)

    def pseudo_huber(self, delta: Any, r: Any) -> Any:
        """delta^2 (sqrt(1 + (r / delta)^2) - 1)."""
        xp = self._xp
        ratio = r / xp.where(delta > 0, delta, 1)
        found = delta * delta * xp.expm1(0.5 * xp.log1p(ratio * ratio))
        found = xp.where((delta == 0) | (r == 0), 0.0, found)
        return xp.where(delta < 0, math.inf, found)

    # --- what overflows ----------------------------------------------------------------------------------------------

    def exprel(self, x: Any) -> Any:
        """(exp(x) - 1) / x."""
        xp = self._xp
        at = xp.where(x == 0, 1, x)
        return xp.where(x == 0, 1, xp.where(x == math.inf, x, xp.expm1(at) / at))

    def expi(self, x: Any) -> Any:
        """The integral of exp(t) / t."""
        return self._xp.where(x == math.inf, x, self._module.expi(x))

    def i0e(self, x: Any) -> Any:
        """exp(-|x|) I_0(x)."""
        return self._scaled(abs(x), 0, -1, self._module.i0)

    def i1e(self, x: Any) -> Any:
        """exp(-|x|) I_1(x)."""
        return self._xp.copysign(self._scaled(abs(x), 1, -1, self._module.i1), x)

    def k0e(self, x: Any) -> Any:
        """exp(x) K_0(x)."""
        return self._scaled(x, 0, 1, self._module.k0)

    def k1e(self, x: Any) -> Any:
        """exp(x) K_1(x)."""
        return self._scaled(x, 1, 1, self._module.k1)

    def _scaled(self, x: Any, order: int, sign: int, function: Function) -> Any:
        """A modified Bessel function times exp(sign x): far out, where both leave the range, by DLMF 10.40.1 and 2."""
        xp = self._xp
        far = x > _FAR
        inverse, near = 1 / xp.where(far, x, _FAR), xp.where(far, 1, x)
        total = 0 * inverse
        for k in range(_TERMS, -1, -1):
            total = total * inverse + sign**k * _hankel(order, k)
        total = total * xp.sqrt(inverse * (0.5 / math.pi if sign < 0 else 0.5 * math.pi))
        return xp.where(far, total, xp.exp(sign * near) * function(near))

    # --- at the ends of their domains ---------------------------------------------------------------------------------

    def rgamma(self, x: Any) -> Any:
        """1 / Gamma(x), 0 at the poles."""
        xp = self._xp
        pole = (x <= 0) & (x == xp.floor(x))
        return xp.where(pole, xp.copysign(0.0, xp.where(x == 0, x, 1)), 1 / self._module.gamma(xp.where(pole, 1, x)))

    def gammasgn(self, x: Any) -> Any:
        """The sign of Gamma(x)."""
        xp = self._xp
        found = xp.where(x == 0, xp.copysign(1.0, x), self._module.gammasgn(x))
        return xp.where(x == -math.inf, math.nan, found)

    def fdtri(self, a: Any, b: Any, p: Any) -> Any:
        """The quantile of the F distribution."""
        return self._xp.where((a > 0) & (b > 0) & (p == 0), 0.0, self._module.fdtri(a, b, p))

    # --- of degrees --------------------------------------------------------------------------------------------------

    def cosdg(self, x: Any) -> Any:
        """The cosine of degrees."""
        return self._of_degrees(x, self._module.cosdg)

    def sindg(self, x: Any) -> Any:
        """The sine of degrees."""
        return self._of_degrees(x, self._module.sindg)

    def _of_degrees(self, x: Any, function: Function) -> Any:
        """A function of the rest of full turns, which is exact; of what SciPy calls too large it is 0, as there."""
        xp = self._xp
        small = ~(abs(x) > _LOST)
        return xp.where(small, function(xp.fmod(xp.where(small, x, 0), 360)), 0)


# From where on seven terms of the expansion are exact, and both factors are within the range.
_FAR = 500.0
_TERMS = 6

# Degrees beyond which SciPy has no digits.
_LOST = 1e14


def _hankel(order: int, k: int) -> float:
    """The coefficient a_k (DLMF 10.17.1)."""
    factors = [4 * order * order - (2 * j - 1) * (2 * j - 1) for j in range(1, k + 1)]
    return math.prod(factors) / (math.factorial(k) * 8.0**k)
