"""Rows for products and contractions, and for elementwise functions that are no ufuncs."""

from __future__ import annotations

import numpy as np

from .case import Case, answer, between, case, complexes, integers, real, signed

DOT_SHAPES = [
    ((), ()), ((), (3,)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)),
    ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((0,), (0,)), ((2, 0), (0, 3)),
]  # fmt: skip
INNER_SHAPES = [
    ((), (3,)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 3), (4, 3)),
    ((2, 2, 3), (4, 3)),
    ((0,), (0,)),
]


def products() -> list[Case]:
    rows = [case(np.dot, real(*a), real(*b)) for a, b in DOT_SHAPES]
    rows += [case(np.dot, complexes(*a), complexes(*b)) for a, b in DOT_SHAPES[3:7]]
    rows += [case(np.inner, real(*a), real(*b)) for a, b in INNER_SHAPES]
    rows += [case(np.dot, np.eye(2), real(2)), case(np.dot, real(2), [1.0, 2.0]), case(np.dot, 2.0, real(3))]
    rows += [case(np.inner, complexes(2), complexes(2))]
    rows += [
        case(np.vdot, real(2, 3), real(2, 3)),
        case(np.vdot, complexes(3), complexes(3)),
        case(np.vdot, real(), real()),
    ]
    rows += [case(np.vdot, complexes(3), real(3)), case(np.vdot, real(3), complexes(3))]
    rows += [
        case(np.outer, real(2), real(3)),
        case(np.outer, real(2, 2), real()),
        case(np.outer, complexes(2), real(2)),
    ]
    rows += [case(np.outer, real(0), real(2)), case(np.outer, real(2), [1, 2, 3])]
    rows += [
        case(np.tensordot, real(2, 3), real(2, 3)),
        case(np.tensordot, real(2, 3), real(3, 2), 1),
        case(np.tensordot, real(2), real(3), 0),
        case(np.tensordot, real(2, 3, 4), real(4, 3, 2), ([1, 2], [1, 0])),
        case(np.tensordot, real(2, 3, 4), real(3, 2), axes=((0, 1), (1, 0))),
        case(np.tensordot, real(2, 3, 4), real(3), axes=(1, 0)),
        case(np.tensordot, real(2, 3), real(3, 3), axes=(-1, -1)),
        case(np.tensordot, complexes(2, 2), complexes(2, 2), 1),
        case(np.tensordot, real(2, 0), real(0, 3), 1),
        case(np.tensordot, np.ones((2, 3)), real(3, 2), 1),
    ]
    return rows


EINSUM = [
    ("i,i", [(3,), (3,)]), ("i,i->", [(3,), (3,)]), ("ij,jk", [(2, 3), (3, 4)]), ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]), ("ij,kj->ik", [(2, 3), (4, 3)]), ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]), ("ij,ij->i", [(2, 3), (2, 3)]), ("i,j->ij", [(2,), (3,)]), ("i,j", [(2,), (3,)]),
    ("ii", [(3, 3)]), ("ii->", [(3, 3)]), ("ii->i", [(3, 3)]), ("iij->j", [(2, 2, 3)]), ("iji->j", [(2, 3, 2)]),
    ("iii->i", [(2, 2, 2)]), ("iijj->ij", [(2, 2, 3, 3)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]),
    ("ij->ji", [(2, 3)]), ("ba", [(2, 3)]), ("i->i", [(3,)]), (",->", [(), ()]), (",ij->ij", [(), (2, 3)]),
    ("->", [()]), ("...j->...", [(2, 2, 3)]), ("...ij->...ji", [(2, 2, 3)]), ("...", [(2, 3)]),
    ("...,...->...", [(2, 3), (3,)]), ("...i,...i", [(4, 3), (3,)]), ("...i,...i->...", [(2, 1, 3), (4, 3)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (4, 3, 2)]), ("i...,i...->...", [(2, 3), (2, 3)]), ("i...->...", [(2, 3)]),
    ("...i,ij->...j", [(2, 2, 3), (3, 2)]), ("ij...,jk->ik...", [(2, 3, 2), (3, 2)]),
    ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]), ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 2)]),
    ("i,j,k->ijk", [(2,), (3,), (2,)]), ("ij,j,i->", [(2, 3), (3,), (2,)]),
    ("ijk,jil,l->k", [(2, 3, 2), (3, 2, 2), (2,)]), ("ij,jk,kl,lm->im", [(2, 2), (2, 2), (2, 2), (2, 2)]),
    ("ii,i->i", [(2, 2), (2,)]), ("ij,ik,il->jkl", [(2, 2), (2, 3), (2, 1)]), ("ij,ij->j", [(1, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]), ("i,i->i", [(1,), (3,)]), ("i,i->", [(1,), (3,)]),
    ("ij,ij->ij", [(2, 1), (1, 3)]), ("ij,jk->ik", [(2, 0), (0, 3)]), ("ij->i", [(0, 3)]), ("i,i->", [(0,), (0,)]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]), ("aB,Bc->ac", [(2, 3), (3, 2)]),
]  # fmt: skip


def einsums() -> list[Case]:
    rows = [case(np.einsum, text, *[real(*s) for s in shapes]) for text, shapes in EINSUM]
    rows += [case(np.einsum, text, *[complexes(*s) for s in shapes]) for text, shapes in EINSUM[:6]]
    for optimize in [False, "greedy", "optimal", ["einsum_path", (1, 2), (0, 1)]]:
        rows += [case(np.einsum, "ij,jk,kl->il", real(2, 3), real(3, 2), real(2, 2), optimize=optimize)]
    rows += [
        case(np.einsum, real(2, 3), [0, 1], real(3, 2), [1, 2], [0, 2]),
        case(np.einsum, real(2, 3), [0, 1], real(3, 2), [1, 2]),
        case(np.einsum, real(2, 3), [7, 3]),
        case(np.einsum, real(3, 3), [0, 0], [0]),
        case(np.einsum, real(3, 3), [0, 0]),
        case(np.einsum, real(2, 2, 3), [Ellipsis, 0], real(3), [0], [Ellipsis]),
        case(np.einsum, "ij,jk->ik", real(2, 3), np.ones((3, 2))),
        case(np.einsum, "ij,jk->ik", real(2, 2), np.array([[1, 2], [3, 4]])),
        case(np.einsum, "ij,jk->ik", complexes(2, 3), real(3, 2)),
        case(np.einsum, "i,i->", real(3), real(3), dtype=np.float64, single=False),
    ]
    return rows


def vectors() -> list[Case]:
    rows = [case(np.kron, real(*a), real(*b)) for a, b in [((2,), (3,)), ((2, 2), (3,)), ((2, 1), (1, 2)), ((), (3,))]]
    rows += [case(np.kron, np.eye(2), real(2, 2)), case(np.kron, complexes(2), real(2))]
    rows += [case(np.cross, real(*a), real(*b)) for a, b in [((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3))]]
    rows += [case(np.cross, real(3, 2), real(3, 2), axis=0), case(np.cross, real(3, 2), real(2, 3), axisa=0, axisc=0)]
    rows += [case(np.cross, [1.0, 2.0, 3.0], real(3)), case(np.cross, real(2, 3), real(3, 2), axisb=0)]
    forms = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}, {"axis": (1, 0), "keepdims": True}]
    rows += [case(np.linalg.norm, signed(2, 3), **form) for form in [*forms, {"keepdims": True}]]
    rows += [case(np.linalg.norm, signed(*shape)) for shape in [(3,), (1,), (2, 1, 2), ()]]
    for order in [1, 2, 3, 0.5, -1, 2.5, np.inf, -np.inf]:
        rows += [
            case(np.linalg.norm, signed(3), order),
            case(np.linalg.norm, signed(2, 3), order, axis=1, keepdims=True),
        ]
    for order in ["fro", 1, -1, np.inf, -np.inf]:
        rows += [
            case(np.linalg.norm, signed(2, 3), order),
            case(np.linalg.norm, signed(2, 3, 2), ord=order, axis=(2, 0)),
        ]
        rows += [case(np.linalg.norm, signed(2, 3, 2), order, (0, 1), True)]
    rows += [case(np.linalg.norm, signed(3), 0, gradient="zero"), case(np.linalg.norm, complexes(2, 2))]
    rows += [case(np.linalg.norm, complexes(3), 1), case(np.linalg.norm, complexes(2, 3), axis=1)]
    return rows


def elementwise() -> list[Case]:
    return [
        case(np.real, complexes(2, 3)),
        case(np.real, real(2, 3)),
        case(np.real, complexes()),
        case(np.imag, complexes(2, 3)),
        case(np.imag, real(2, 3), gradient="zero"),
        case(np.angle, complexes(2, 3)),
        case(np.angle, complexes(2), deg=True),
        case(np.angle, signed(3), gradient="zero"),
        case(np.sinc, signed(2, 3)),
        case(np.sinc, real(3, low=-0.002, high=0.002), rtol=1e-5),
        case(np.sinc, real()),
        case(np.sinc, real(0)),
        case(np.round, between(2, 3), gradient="zero"),
        answer(np.round, integers(3)),
    ]


CASES = [*products(), *vectors(), *einsums(), *elementwise()]
