"""Steps that contract: products of matrices and vectors, einsum, norms."""

from __future__ import annotations

from .growing import Growing, Maker
from .program import EXACT, Slack, Step


def _slack(g: Growing, *names: str) -> Slack:
    if all(g[n].dtype.kind in "biu" for n in names):
        return EXACT
    return Slack(max([1, *[g[n].size for n in names]]) + 2, 2)


def _bounds(x: str, y: str) -> str:
    """All products of elements: what any order of the sums stays below."""
    return f"np.multiply.outer({x}, {y})"


def matmul(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.ndim > 0)
    a = g[x]

    def fits(b: object) -> bool:
        if not b.ndim:  # type: ignore[attr-defined]
            return False
        inner = b.shape[-2] if b.ndim > 1 else b.shape[0]  # type: ignore[attr-defined]
        return bool(inner == a.shape[-1])

    y = g.pick(fits)
    forms = ["{x} @ {y}", "np.matmul({x}, {y})", "np.dot({x}, {y})", "{x}.dot({y})", "np.tensordot({x}, {y}, 1)"]
    step = g.step(g.rng.choice(forms).format(x=x, y=y), _slack(g, x, y), bounded=_bounds(x, y))
    return step


def product(g: Growing) -> Step | None:
    x = g.pick()
    y = g.pick(lambda b: b.shape == g[x].shape)
    forms = [
        "np.outer({x}, {y})", "np.vdot({x}, {y})", "np.inner({x}, {y})", "np.tensordot({x}, {y}, 0)",
        "np.kron({x}, {y})",
        "np.tensordot({x}, {y}, axes=([0], [0]))", "np.tensordot({x}, {y}, axes=(-1, -1))", "np.vecdot({x}, {y})",
        "np.multiply.outer({x}, {y})", "np.add.outer({x}, {y})",
    ]  # fmt: skip
    form = g.rng.choice(forms)
    # Products of two numbers, none of which are added up; np.tensordot adds them to 0.
    single = ".outer(" in form or "np.outer" in form or "kron" in form
    slack = EXACT if single and not g.is_complex(x, y) else _slack(g, x, y)
    return g.step(form.format(x=x, y=y), slack, bounded="" if single else _bounds(x, y))


def einsum(g: Growing) -> Step | None:
    x = g.pick(lambda a: 1 <= a.ndim <= 3)
    letters = "ijk"[: g[x].ndim]
    y = g.pick(lambda b: 1 <= b.ndim <= 3 and b.shape[0] == g[x].shape[-1])
    others = (letters[-1] + "lmn")[: g[y].ndim]
    every = list(dict.fromkeys(letters + others))
    g.rng.shuffle(every)
    out = "".join(every[: g.rng.randint(0, len(every))])
    if g.rng.random() < 0.4:
        return g.step(f"np.einsum('{letters}->{''.join(sorted(out.translate(str.maketrans('', '', 'lmn'))))}', {x})",
                      _slack(g, x), bounded=x)  # fmt: skip
    sizes = f"np.multiply.outer(np.sum(np.abs({x})), np.sum(np.abs({y})))"
    return g.step(f"np.einsum('{letters},{others}->{out}', {x}, {y})", _slack(g, x, y), bounded=sizes)


def norm(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.dtype.kind in "fc" and a.ndim in (1, 2))
    slack = Slack(g[x].size + 4, g[x].size + 8)
    if g[x].ndim == 2 and g.rng.random() < 0.5:
        order = g.rng.choice(["'fro'", "1", "-1", "np.inf", "-np.inf"])
        return g.step(f"np.linalg.norm({x}, {order})", slack, bounded=f"np.multiply({x}, {x})")
    order = g.rng.choice(["None", "1", "2", "3", "np.inf", "-np.inf", "0.5"])
    axis = g.rng.choice(["0", "-1"])
    keep = g.rng.choice(["", ", keepdims=True"])
    return g.step(f"np.linalg.norm({x}, {order}, axis={axis}{keep})", slack, bounded=f"np.multiply({x}, {x})")


def cross(g: Growing) -> Step | None:
    x = g.pick(lambda a: a.ndim > 0 and a.shape[-1] == 3 and a.dtype.kind != "b")
    y = g.pick(lambda a: a.shape == g[x].shape and a.dtype.kind != "b")
    return g.step(f"np.cross({x}, {y})", Slack(2, 1) if g.is_complex(x, y) else EXACT)


MAKERS: list[tuple[Maker, int]] = [(matmul, 6), (product, 4), (einsum, 3), (norm, 2), (cross, 1)]
