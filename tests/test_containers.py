"""Nested containers: taken apart and put together again."""

from collections import OrderedDict, defaultdict, namedtuple

import pytest

from autodiff.containers import LEAF, builder, flatten, is_container, leaf_names, transform, unflatten

Point = namedtuple("Point", "x y")

CASES = [
    (1, [1]),
    ([1, 2], [1, 2]),
    ((1, (2, 3)), [1, 2, 3]),
    ({"b": 1, "a": [2, {"c": 3}]}, [1, 2, 3]),
    (Point(1, [2]), [1, 2]),
    (OrderedDict(z=1, a=2), [1, 2]),
    ([], []),
    ({}, []),
    ([(), {}, [1]], [1]),
    (None, [None]),
    ("text", ["text"]),
]


@pytest.mark.parametrize(("value", "leaves"), CASES, ids=repr)
def test_round_trip(value, leaves):
    found, structure = flatten(value)
    assert found == leaves
    back = unflatten(structure, iter(found))
    assert back == value
    assert type(back) is type(value)
    hash(structure)


@pytest.mark.parametrize(("value", "leaves"), CASES, ids=repr)
def test_transform_keeps_the_structure(value, leaves):
    result = transform(lambda leaf: (leaf,).__repr__(), value)
    assert flatten(result)[0] == [repr((leaf,)) for leaf in leaves]
    assert is_container(result) == is_container(value)
    if is_container(value):
        assert flatten(result)[1] == flatten(value)[1]


def test_structures_differ_where_containers_do():
    values = [1, [1], (1,), {"a": 1}, {"b": 1}, Point(1, 2), (1, 2), [[1]], OrderedDict(a=1)]
    structures = [flatten(value)[1] for value in values]
    assert len(set(structures)) == len(values)
    assert structures[0] is LEAF


def test_dicts_keep_their_order():
    result = transform(str, {"z": 1, "a": 2})
    assert list(result.items()) == [("z", "1"), ("a", "2")]


def test_defaultdict_keeps_its_items():
    value = defaultdict(list, a=1, b=2)
    assert dict(transform(lambda leaf: leaf + 1, value)) == {"a": 2, "b": 3}


@pytest.mark.parametrize(("value", "leaves"), CASES)
def test_builder_equals_unflatten(value, leaves):
    found, structure = flatten(value)
    built = builder(structure)(found)
    assert built == unflatten(structure, iter(found)) == value
    assert type(built) is type(value)


def test_builder_writes_no_keys_into_code():
    value = {"'] + __import__('os'": 1, 2: {"a": (3,)}, None: []}
    found, structure = flatten(value)
    assert builder(structure)(found) == value


def test_leaf_names_say_how_each_leaf_is_reached():
    value = {"layers": [(1, 2), 3], "scale": 4, "none": []}
    leaves, structure = flatten(value)
    names = leaf_names(structure)
    assert names == ["['layers'][0][0]", "['layers'][0][1]", "['layers'][1]", "['scale']"]
    assert [eval(f"value{name}", {"value": value}) for name in names] == leaves
    assert leaf_names(flatten(1)[1]) == [""]
