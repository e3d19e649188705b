"""A thousand wrong calls, a line each in ``wrong_calls.txt``: the call, the error, and what its message says.

Each raises an error of this library where it is made, which names what is wrong; and everything is usable afterwards.
"""

import gc
import math
import re
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

import autodiff as ad
from autodiff import errors, optim
from autodiff.places import block_here

HERE = Path(__file__).parent
LINES = [line for line in (HERE / "wrong_calls.txt").read_text().splitlines() if line and not line.startswith("#")]
# A call may hold a bar itself.
ROWS = dict(re.fullmatch(r"(.*) \| (\w+Error \| .+)", line).groups() for line in LINES)
CALLER = "<the user's line>"
# Where frames of NumPy are.
NUMPYS = (str(Path(np.__file__).parent), "<__array_function__ internals>")


GRAPH = ad.Graph()


class NoText:
    def __repr__(self):
        raise RuntimeError("no text")


def recursive():
    found = [1.0]
    found.append(found)
    return found


def deep():
    found = 1.0
    for _ in range(300):
        found = [found]
    return found


def names():
    """What the calls are made with, made anew for each."""
    v = ad.Tensor([1.0, 2.0, 3.0])
    return {
        "np": np,
        "ad": ad,
        "optim": optim,
        "math": math,
        "v": v,
        "m": ad.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        "s": ad.Tensor(np.eye(3) + 1),
        "t": ad.Tensor(2.0),
        "i": ad.Tensor([1, 2, 3], constant=True),
        "i8": ad.Tensor(np.array([1, 2, 3], "i1"), constant=True),
        "b": ad.Tensor([True, False, True], constant=True),
        "z": ad.Tensor([1j, 2j, 3j]),
        "c": ad.Tensor([1.0, 2.0, 3.0], constant=True),
        "loss": np.sum(np.tanh(v) ** 2),
        "graph": GRAPH,
        "sgd": optim.SGD([v], 0.5),
        "BIG": 10**5000,
        "DEEP": deep(),
        "RECURSIVE": recursive(),
        "NoText": NoText,
        # For transformations: arrays, a container, and functions.
        "x": np.ones(3),
        "y": np.ones((2, 3)),
        "tree": {"weights": [np.ones(3), np.ones(3), np.ones(3)], "b": 1.0},
        "f": lambda x: np.sum(x**2),
        "F": lambda x: x**2,
        "third": lambda p: np.sum(p["weights"][2] ** 2) * p["b"],
    }


def available(call):
    """Whether this NumPy has the functions of a call."""
    return all(hasattr(np, name) for name in re.findall(r"\bnp\.(\w+)", call))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of np.matrix
@pytest.mark.parametrize("call", ROWS)
def test_wrong_calls(call):
    if not available(call):
        pytest.skip("of a later NumPy")
    kind, words = ROWS[call].split(" | ")
    given = names()
    tensors = {name: x for name, x in given.items() if isinstance(x, ad.Tensor)}
    before = {name: (x.node, x.name, np.array(x.value)) for name, x in tensors.items()}
    code = compile(call, CALLER, "eval")
    begin = time.process_time()
    with pytest.raises(errors.AutodiffError, match=re.escape(words)) as caught:
        eval(code, given)
    # Not only after all memory is gone.
    assert time.process_time() - begin < 10
    assert type(caught.value) is getattr(errors, kind)
    assert len(str(caught.value)) < 1000
    # The traceback ends at the call: below the user's line are frames of NumPy's functions which it called, if any.
    frames = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    below = frames[len(frames) - frames[::-1].index(CALLER) :]
    assert all(name.startswith(NUMPYS) for name in below)
    assert_usable(given, tensors, before)


def assert_usable(given, tensors, before):
    assert gc.isenabled()
    assert block_here() is None
    for name, (node, title, value) in before.items():
        x = tensors[name]
        assert x.node is node, f"{name} stands for another node"
        assert x.name == title
        np.testing.assert_array_equal(x.value, value)
    v, loss, graph, sgd = given["v"], given["loss"], given["graph"], given["sgd"]
    value, (slope,) = graph.value_and_gradient(loss, [v])
    tanh = np.tanh([1.0, 2.0, 3.0])
    np.testing.assert_allclose(value, np.sum(tanh**2), rtol=1e-14)
    np.testing.assert_allclose(slope, 2 * tanh * (1 - tanh**2), rtol=1e-12)
    assert sgd.state_dict()["steps"] == 0
    sgd.step([np.full(3, 2.0)])
    np.testing.assert_array_equal(v.value, [0.0, 1.0, 2.0])


def test_the_table_is_large():
    assert len(ROWS) == len(LINES) > 1000
