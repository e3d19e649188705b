"""The table of each backend: its rows are of primitives and have what they need, and nothing is left without a way.

A primitive runs by a row, by its ufunc where a library has NumPy's, or by the meaning on its card; what a backend lacks
is an error of this library that names it, before anything runs.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pytest

import autodiff as ad
import autodiff_backends
from autodiff import ops
from autodiff.backend import OF_COMPLEX
from autodiff.core.avals import intern_aval
from autodiff.core.primitives import PRIMITIVES, Primitive, by_primitive
from autodiff.core.program import Program
from autodiff.errors import BackendError
from autodiff.operator import Operator
from autodiff.ops.elementwise import infer_elementwise
from autodiff.plan.ranges import checked
from autodiff_backends.cupy.backend import CupyBackend

# Programs have no places, and positions are checked before a plan is made.
EXECUTED = [p for p in PRIMITIVES.values() if p.name not in ("place", "in_range")]

TABLES = {
    "numpy": "numpy.primitives",
    "loops": "loops.statements",
    "llvm": "llvm.expressions",
    "cuda": "cuda.expressions",
    "cupy": "cupy.calls",
    "array_api": "array_api.calls",
    "torch": "torch.calls",
}

SOURCES = Path(next(iter(autodiff_backends.__path__)))


def table(name: str) -> dict[Primitive, Any]:
    """The rows of a backend."""
    if name == "torch":
        pytest.importorskip("torch")
    rows: dict[Primitive, Any] = importlib.import_module(f"autodiff_backends.{TABLES[name]}").OVERRIDES
    return rows


def rows(name: str) -> dict[Primitive, Any]:
    """The rows, without those of primitives that other tests have registered and removed."""
    return {primitive: row for primitive, row in table(name).items() if PRIMITIVES.get(primitive.name) is primitive}


def operands(primitive: Primitive) -> int:
    """How many operands an elementwise primitive takes."""
    if primitive.numpy_ufunc is not None:
        return primitive.numpy_ufunc.nin
    return {"where": 3, "tanh_slope": 2}.get(primitive.name, 1)


def places(template: str) -> set[int]:
    """The operands that a template names."""
    return {int(field) for _, field, _, _ in Formatter().parse(template) if field and field.isdigit()}


@pytest.mark.parametrize("name", TABLES)
def test_a_folder_with_rows_has_one_table_of_them(name):
    table(name)
    owners = [p for p in (SOURCES / name).glob("*.py") if re.search(r"^OVERRIDES\b.*=", p.read_text(), re.M)]
    assert [f"{name}.{p.stem}" for p in owners] == [TABLES[name]]


def test_every_folder_with_a_table_is_tried():
    found = {p.parent.name for p in SOURCES.glob("*/*.py") if re.search(r"^OVERRIDES\b.*=", p.read_text(), re.M)}
    assert found == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_of_primitives_and_say_something(name):
    assert table(name)
    for primitive, row in table(name).items():
        assert PRIMITIVES[primitive.name] is primitive
        if isinstance(row, tuple):
            assert row != type(row)(), f"the row of {primitive.name} says nothing"


def test_a_row_of_no_primitive_is_an_error():
    with pytest.raises(KeyError, match="sinus"):
        by_primitive({"sin": 1, "sinus": 2})


# --- what rows need --------------------------------------------------------------------------------------------------


def test_rows_of_numpy():
    for primitive, row in rows("numpy").items():
        elementwise = primitive.kind == "elementwise"
        assert elementwise or row.block is row.scalar is None, primitive.name
        # What has no ufunc is written by its row wherever it may be.
        assert row.array is not None or row.block is None or primitive.numpy_ufunc is not None, primitive.name
        assert (row.in_place is not None) == primitive.writes, primitive.name
        if row.scalar is not None:
            assert max(places(row.scalar.text)) < operands(primitive), primitive.name
            assert row.scalar.first < operands(primitive), primitive.name
    assert all(primitive in rows("numpy") for primitive in EXECUTED if primitive.writes)


def test_rows_of_loops():
    for primitive, row in rows("loops").items():
        # An elementwise view is its operand as it is, and other statements are expressions.
        assert primitive.kind != "elementwise", primitive.name
        assert (row.look is not None) == (primitive.view is not False), primitive.name
        assert row.lower is not None or primitive.view is True, primitive.name
    needed = {p for p in EXECUTED if p.kind in ("view", "indexing", "contraction")}
    assert needed <= set(rows("loops"))


def test_rows_of_llvm():
    for primitive, row in rows("llvm").items():
        assert primitive.kind == "elementwise", primitive.name
        assert (row.own is None) == bool(row.kinds), primitive.name
        assert set(row.kinds) <= set("biuf"), primitive.name
        assert row.cost is None or not primitive.cheap, f"{primitive.name} is cheap by its card"
    # The two generators know the same primitives without a ufunc, but for what is not real.
    written = {p for p, row in rows("llvm").items() if row.own is not None}
    others = {p for p, row in rows("cuda").items() if row.text is not None}
    assert others - written == {ops.real, ops.imag}
    assert written <= others


def test_rows_of_cuda():
    kinds = "biufc"
    for primitive, row in rows("cuda").items():
        assert primitive.kind == "elementwise", primitive.name
        assert (row.text is None) == bool(row.kinds), primitive.name
        assert set(row.kinds) <= set(kinds), primitive.name
        for template in [*row.kinds.values(), row.mixed, row.half]:
            if template is not None:
                assert places(template) <= set(range(operands(primitive))), primitive.name
        if row.kinds:
            # A kind is there if NumPy has a loop for it: what is not is left to a call, which there is none of.
            loops = [t for t in primitive.numpy_ufunc.types if set(t) <= set("?bhilqBHILQefdFD->")]
            wanted = {np.dtype(t[0]).kind for t in loops}
            if primitive.name + OF_COMPLEX in CupyBackend.capabilities.missing:
                wanted.discard("c")
            assert wanted <= set(row.kinds), (primitive.name, wanted - set(row.kinds))


def test_rows_of_the_standard():
    for primitive, row in rows("array_api").items():
        assert row.kinds or row.call, primitive.name
        assert primitive.kind == "elementwise" or primitive.several or not row.kinds, primitive.name
        text = "".join(row.kinds)
        assert len(text) == len(set(text)), f"{primitive.name} has two meanings for one kind of number"


def test_rows_of_pytorch():
    for primitive, row in rows("torch").items():
        assert primitive.kind == "elementwise" or primitive.several or not row.kinds, primitive.name
        standard = table("array_api").get(primitive)
        if standard is None:
            # A routine is called by its meaning there.
            assert primitive.module != "numpy" or primitive.kind == "routine", primitive.name
        else:
            assert set("".join(row.kinds)) <= set("".join(standard.kinds)), primitive.name


# --- every primitive has a way ---------------------------------------------------------------------------------------


def ways(name: str) -> dict[str, list[Primitive]]:
    """For a backend the primitives that it has rows for."""
    own = {
        "llvm": ["numpy"],
        "dask": ["numpy"],
        "cupy": ["cuda", "loops", "cupy"],
        "torch": ["torch", "array_api"],
        "array_api_strict": ["array_api"],
    }
    return {table_name: list(table(table_name)) for table_name in own.get(name, [name])}


@pytest.mark.parametrize("primitive", EXECUTED, ids=lambda p: p.name)
@pytest.mark.parametrize("name", ["numpy", "llvm", "dask", "cupy", "torch", "array_api_strict"])
def test_every_primitive_has_a_row_or_a_meaning_or_a_reason(name, primitive):
    if name == "cupy":
        capabilities = importlib.import_module("autodiff_backends.cupy.backend").CupyBackend.capabilities
        primitives: Any = importlib.import_module("autodiff_backends.cupy.backend").CupyBackend.primitives
    else:
        if importlib.util.find_spec({"llvm": "llvmlite"}.get(name, name)) is None:
            pytest.skip(f"{name} is not installed")
        backend = ad.get_backend(name)
        capabilities, primitives = backend.capabilities, backend.primitives
    if primitive.name in capabilities.missing:
        assert capabilities.missing[primitive.name]
        return
    row = any(primitive in own for own in ways(name).values())
    own_ufunc = primitive.numpy_ufunc is not None and name in ("numpy", "llvm", "dask")
    composed = primitive in ops.COMPOSITIONS and primitive.name not in primitives
    reduces = primitive.kind == "reduction" and primitive.reduces is not None
    assert row or own_ufunc or composed or reduces or primitive.meaning is not None


@pytest.fixture
def unknown() -> Iterator[Primitive]:
    """A ufunc that nobody has a row for, and whose card has no meaning."""
    name = "unheard_of"
    primitive = Operator(name, infer_elementwise, kind="elementwise", numpy_ufunc=np.hypot)
    yield primitive
    del PRIMITIVES[name]


@pytest.mark.parametrize("name", ["torch", "array_api_strict", "cupy"])
def test_what_nobody_knows_is_an_error_before_anything_runs(name, unknown):
    x = intern_aval((3,), np.dtype(np.float64))
    program = Program([x, x])
    program.outputs = (program.call(unknown, 0, 1),)
    if name == "cupy":
        calls = importlib.import_module("autodiff_backends.cupy.calls")
        with pytest.raises(BackendError, match="unheard_of"):
            calls.call_for(program.applications()[0][1], np)
        return
    pytest.importorskip(name)
    backend = ad.get_backend(name)
    with pytest.raises(BackendError, match="unheard_of"):
        checked(program, backend, backend.compile)


# --- nobody asks for names -------------------------------------------------------------------------------------------


def asks_for_names(tree: ast.AST) -> list[int]:
    """The lines that compare the name of a primitive with a text, or look it up in texts."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        named = any(
            isinstance(x, ast.Attribute) and x.attr == "name" and "primitive" in ast.unparse(x.value)
            for x in [node.left, *node.comparators]
        )
        texts = [x for side in [node.left, *node.comparators] for x in ast.walk(side) if isinstance(x, ast.Constant)]
        if named and any(isinstance(x.value, str) for x in texts):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda p: "/".join(p.relative_to(SOURCES).parts))
def test_no_module_asks_for_the_name_of_a_primitive(path):
    assert asks_for_names(ast.parse(path.read_text())) == []


def test_lines_that_ask_for_names_are_found():
    text = """
if signature.primitive.name == "matmul" or x.name == "torch": pass
if signature.primitive.name in ("index", "index_add") and not signature.primitive.name in TABLE: pass
"""
    assert asks_for_names(ast.parse(text)) == [2, 3]
