"""Trees: what is one, how it is taken apart and put together."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

from gradlab import tree

Pair = namedtuple("Pair", "left right")  # noqa: PYI024  (typed ones are the same to a tree)


def test_dicts_are_trees_and_lists_only_where_they_hold_arrays():
    assert tree.is_tree({})
    assert tree.is_tree([np.ones(2)])
    assert tree.is_tree(([1.0], np.ones(2)))
    assert tree.is_tree([{"a": 1.0}])
    assert not tree.is_tree([1.0, 2.0])
    assert not tree.is_tree([[1.0], [2.0]])
    assert not tree.is_tree([np.float64(1.0), np.float64(2.0)])
    assert not tree.is_tree(np.ones(2))


def test_a_nested_tree_survives_being_taken_apart():
    x = {"a": [np.zeros(1), Pair(np.ones(2), {"c": np.ones(3)})], "b": (np.ones(4), 5.0)}
    leaves, build = tree.flatten(x)
    assert [np.size(leaf) for leaf in leaves] == [1, 2, 3, 4, 1]
    again = build(range(5))
    assert again == {"a": [0, Pair(1, {"c": 2})], "b": (3, 4)}
    assert isinstance(again["a"][1], Pair)


def test_a_leaf_alone_is_a_tree_of_one():
    leaves, build = tree.flatten(3.0)
    assert leaves == [3.0]
    assert build([4.0]) == 4.0


def test_each_leaf_is_named_by_the_expression_that_reaches_it():
    x = {"a": [np.ones(1), (np.ones(1),)], "b": np.ones(1)}
    names = [name for name, _ in tree.items(x, "params")]
    assert names == ["params['a'][0]", "params['a'][1][0]", "params['b']"]


def test_map_goes_through_trees_side_by_side():
    x = {"a": np.ones(1), "b": [np.ones(2)]}
    got = tree.map(lambda u, v: u + v, x, x)
    np.testing.assert_array_equal(got["b"][0], [2.0, 2.0])
    assert tree.map(lambda u, v: u + v, 1.0, 2.0) == 3.0


def test_dicts_are_matched_by_their_keys_in_any_order():
    one, two = np.ones(1), np.ones(2)
    for x, y in (
        ({"a": one, "b": two}, {"b": two, "a": one}),
        ({"c": [{"a": one, "b": two}]},) * 2,
    ):
        got = tree.map(lambda u, v: u + v, x, y)
        assert [leaf.size for leaf in tree.leaves(got)] == [1, 2]
    with pytest.raises(ValueError, match="built alike"):
        tree.map(lambda u, v: u, {"a": one}, [one])


def test_map_refuses_trees_that_differ():
    with pytest.raises(ValueError, match=r"built alike: one has \[\"tree\['a'\]\"\], the other"):
        tree.map(lambda u, v: u, {"a": np.ones(1)}, {"b": np.ones(1)})
