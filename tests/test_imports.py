"""No module imports itself by way of others: type-only imports and imports inside functions count."""

from __future__ import annotations

from .import_graph import circles, import_graph


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


def test_no_module_imports_itself_by_way_of_others():
    graph = import_graph()
    assert len(graph) > 100
    assert sum(map(len, graph.values())) > 400
    assert circles(graph) == []
