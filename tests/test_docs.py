"""The documents say what is so."""

from __future__ import annotations

import docs_table


def test_the_table_of_functions_is_that_of_the_rules():
    """Where it fails: ``python tests/docs_table.py`` writes the table anew."""
    assert docs_table.written() == docs_table.table()


def test_every_function_stands_in_the_table_once():
    for heading, names in docs_table.rows().items():
        assert names, heading
        assert all(isinstance(name, str) for name in names)
