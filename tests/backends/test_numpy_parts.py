"""Long plans as functions of some hundred statements each, which give the same results."""

import numpy as np
import pytest

import autodiff as ad
from autodiff.plan import build
from autodiff_backends.numpy import parts as _numpy_parts
from autodiff_backends.numpy import source as _numpy_source
from autodiff_backends.numpy.parts import in_parts
from autodiff_backends.numpy.reference import Interpreted
from autodiff_backends.numpy.source import Generated


def test_each_part_takes_what_it_needs_and_gives_what_others_do(monkeypatch):
    monkeypatch.setattr(_numpy_parts, "LONGEST_PART", 2)
    statements = ["v1 = x0 + 1", "v2 = v1 * c0", "add(v2, v1, b0)", "v3 = b0[c0]", "b0[...] = v3"]
    functions, calls = in_parts(statements, ["x0", "x1", "b0"], ["array(v1)", "v3"])
    assert calls == ["(v1, v2, ) = part0(x0)", "(v3, ) = part1(b0, v1, v2)", "part2(b0, v3)"]
    assert functions[0] == "def part0(x0):\n    v1 = x0 + 1\n    v2 = v1 * c0\n    return (v1, v2, )\n"


@pytest.mark.parametrize("length", [1, 3, 7, 50])
@pytest.mark.parametrize("size", [1, 5, 30_000])
def test_plans_in_parts_give_the_same(monkeypatch, length, size):
    rng = np.random.default_rng(size)
    x, s = ad.Tensor(rng.uniform(0.2, 0.9, size)), ad.Tensor(0.7)
    y = x
    for i in range(12):
        y = np.concatenate([y[: size // 2] * s, np.sqrt(y[size // 2 :])]) + np.where(x > 0.5, x, s) / (1.5 + i)
        s = np.sin(s + np.sum(y) / size)
    outputs = [y, *ad.Graph().gradient(np.sum(y * s), [x], as_tensors=True), s]
    program = build([x.node, ad.Tensor(0.7).node], [t.node for t in outputs])
    monkeypatch.setattr(_numpy_source, "LONGEST_PART", 1 << 20)
    whole = Generated(program)
    monkeypatch.setattr(_numpy_source, "LONGEST_PART", length)
    monkeypatch.setattr(_numpy_parts, "LONGEST_PART", length)
    cut = Generated(program)
    assert "def part1(" in cut.source
    assert "def part0(" not in whole.source
    for _ in range(2):
        for one, other, exact in zip(cut(x.value, 0.7), whole(x.value, 0.7), Interpreted(program)(x.value, 0.7)):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_allclose(one, exact, rtol=1e-12)
