"""Colours of patterns: those of one colour can be told apart, and there are few."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff.sparse.colouring import alone, columns_apart, in_turn, star
from autodiff.sparse.sets import of_entries
from autodiff.sparse.ways import grouped

RNG = np.random.default_rng(5)


def pattern(matrix):
    matrix = np.asarray(matrix)
    return of_entries(*np.nonzero(matrix), *matrix.shape)


def random(m, n, density):
    return RNG.random((m, n)) < density


def tridiagonal(n):
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1


def grid(n, m):
    """Five points: each and its neighbours."""
    rows, columns = np.divmod(np.arange(n * m), m)
    return np.abs(np.subtract.outer(rows, rows)) + np.abs(np.subtract.outer(columns, columns)) <= 1


def arrow(n):
    found = np.eye(n, dtype=bool)
    found[0] = found[:, 0] = True
    return found


SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (5, 5), (30, 12), (12, 30), (40, 40)]


def check_columns(matrix, colours):
    """No row has two entries of one colour, and what has no entries has no colour."""
    used = matrix.any(axis=0)
    assert ((colours.of >= 0) == used).all()
    assert sorted({*colours.of[used].tolist()}) == list(range(colours.number))
    for row in matrix:
        own = colours.of[row]
        assert len({*own.tolist()}) == len(own)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_columns_apart(shape, density):
    matrix = random(*shape, density)
    colours = columns_apart(pattern(matrix))
    check_columns(matrix, colours)
    assert colours.number >= matrix.sum(axis=1).max(initial=0)


def test_bands_and_grids():
    assert columns_apart(pattern(tridiagonal(50))).number == 3
    assert columns_apart(pattern(np.eye(50))).number == 1
    for n, m in [(7, 7), (8, 9), (9, 10), (6, 11)]:
        colours = columns_apart(pattern(grid(n, m)))
        check_columns(grid(n, m), colours)
        assert colours.number <= 7
    repeated = in_turn(pattern(grid(20, 22)), 5)
    assert repeated.number == 5
    assert in_turn(pattern(arrow(99)), 99) is None


@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.4, 1.0])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 30, 60])
def test_star(n, density):
    matrix = random(n, n, density)
    matrix |= matrix.T
    check_star(matrix, star(pattern(matrix)))


def check_star(matrix, colours):
    sets = pattern(matrix)
    one = alone(sets, colours.of)
    rows, columns = np.nonzero(matrix)
    expected = [np.sum(colours.of[matrix[i]] == colours.of[j]) == 1 for i, j in zip(rows, columns)]
    assert one.tolist() == expected
    known = np.zeros(matrix.shape, bool)
    known[rows[one], columns[one]] = True
    assert (known | known.T)[rows, columns].all()


def test_star_of_known_graphs():
    check_star(arrow(50), star(pattern(arrow(50))))
    assert star(pattern(arrow(50))).number == 2
    assert star(pattern(tridiagonal(50))).number == 3
    assert star(pattern(np.ones((6, 6), bool))).number == 6
    assert star(pattern(np.eye(6, dtype=bool))).number == 1
    colours = star(pattern(grid(12, 12)))
    check_star(grid(12, 12), colours)
    assert colours.number <= 7
    # Without the diagonal as with it.
    hollow = tridiagonal(9) & ~np.eye(9, dtype=bool)
    check_star(hollow, star(pattern(hollow)))


def entries_of(matrix, groups):
    """The matrix from products with ones for each colour, as groups of entries say."""
    sets = pattern(matrix != 0)
    rows, columns = sets.row_of_each(), sets.members
    found = np.zeros(matrix.shape)
    covered = []
    for forward, colours, entries, _ in groups:
        seeds = np.zeros((colours.number, matrix.shape[1 if forward else 0]))
        places = np.nonzero(colours.of >= 0)[0]
        seeds[colours.of[places], places] = 1
        products = seeds @ (matrix.T if forward else matrix)
        i, j = rows[entries], columns[entries]
        found[i, j] = products[colours.of[j], i] if forward else products[colours.of[i], j]
        covered += entries.tolist()
    assert sorted(covered) == list(range(len(rows)))
    return found


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_give_all_entries(shape, density):
    matrix = random(*shape, density) * RNG.normal(size=shape)
    for either, forward in [(True, True), (False, True), (False, False)]:
        np.testing.assert_array_equal(entries_of(matrix, grouped(pattern(matrix != 0), either, forward)), matrix)


def test_dense_lines_are_taken_apart():
    for matrix, most in [
        (arrow(100), 3),
        (np.vstack([np.ones((1, 100)), tridiagonal(100)]), 4),
        (np.hstack([np.ones((100, 2)), tridiagonal(100)]), 5),
        (np.vstack([np.ones((3, 100)), np.eye(100)]), 4),
        (np.ones((100, 2)), 2),
        (np.ones((2, 100)), 2),
    ]:
        groups = grouped(pattern(matrix), True, True)
        assert sum(group.colours.number for group in groups) <= most
        numbers = matrix * RNG.normal(size=matrix.shape)
        np.testing.assert_array_equal(entries_of(numbers, groups), numbers)
