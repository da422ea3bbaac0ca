"""Finding and changing keys anywhere inside a configuration."""

from __future__ import annotations

from cvtk.recipe.nodes import each_dict, set_where_present


def test_every_dict_is_found_the_outermost_first():
    tree = {"a": [{"b": 1}, ({"c": 2},)], "d": {"e": {}}}
    assert list(each_dict(tree)) == [tree, {"b": 1}, {"c": 2}, {"e": {}}, {}]
    assert list(each_dict(None)) == []


def test_a_key_is_set_wherever_it_is_and_nowhere_else():
    tree = {"a": 1, "b": [{"a": 2, "c": {"a": [3]}}, {"d": 4}]}
    set_where_present(tree, d=None, e=5)
    assert tree["b"][1] == {"d": None}
    set_where_present(tree["b"], a=7, d=8)
    assert tree == {"a": 1, "b": [{"a": 7, "c": {"a": 7}}, {"d": 8}]}
