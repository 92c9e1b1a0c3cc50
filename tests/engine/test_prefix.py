"""Entries are found by their rows; the least recently used one is evicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from causerie.engine.prefix import PrefixCache
from causerie.engine.runner import Rows


@dataclass
class Saved:
    num_rows: int
    num_bytes: int = 1_000


def rows(*values: int) -> Rows:
    return np.array(values, np.int32)[:, None].repeat(2, axis=1)


def keep(store: PrefixCache, values: Rows, *ends: int) -> Saved:
    saved = Saved(len(values))
    store.add(values, ends or (len(values),), saved)
    return saved


@pytest.mark.parametrize("invariant", [True, False])
def test_the_longest_common_rows_are_found(invariant: bool) -> None:
    store = PrefixCache(10**6, row_invariant=invariant)
    short, long = keep(store, rows(1, 2), 2), keep(store, rows(1, 2, 3, 4), 2, 4)
    assert store.find(rows(1, 2, 3, 4, 5), (2, 4, 5)) == (long, 4)
    assert store.find(rows(1, 2, 9), (2, 3)) in [(short, 2), (long, 2)]
    assert store.find(rows(9, 2, 3), (2, 3)) is None
    assert (store.num_hits, store.num_rows_saved) == (2, 6)


def test_one_row_is_always_left_to_be_read() -> None:
    store = PrefixCache(10**6, row_invariant=True)
    saved = keep(store, rows(1, 2, 3))
    assert store.find(rows(1, 2, 3), (3,)) == (saved, 2)
    assert store.find(rows(1), (1,)) is None


def test_rows_in_the_middle_of_a_chunk_are_shared_only_where_they_do_not_depend_on_it() -> None:
    for invariant, found in ((True, 3), (False, 2)):
        store = PrefixCache(10**6, row_invariant=invariant)
        saved = keep(store, rows(1, 2, 3, 4), 2, 4)
        assert store.find(rows(1, 2, 3, 9), (2, 4)) == (saved, found)


def test_rows_that_were_cut_otherwise_are_other_rows() -> None:
    for invariant, found in ((True, 4), (False, None)):
        store = PrefixCache(10**6, row_invariant=invariant)
        saved = keep(store, rows(1, 2, 3, 4), 2, 4)
        assert store.find(rows(1, 2, 3, 4, 5), (3, 4, 5)) == (found and (saved, found))
        assert store.has(rows(1, 2, 3), (3,)) == invariant
        assert store.has(rows(1, 2), (2,))


def test_the_least_recently_used_goes() -> None:
    size = 1_000 + rows(1, 2).nbytes
    store = PrefixCache(2 * size, row_invariant=True)
    keep(store, rows(1, 1))
    keep(store, rows(2, 2))
    assert store.find(rows(1, 1, 1), (3,))
    keep(store, rows(3, 3))
    assert store.num_bytes == 2 * size
    assert len(store) == 2
    assert store.find(rows(1, 1, 1), (3,))
    assert store.find(rows(2, 2, 2), (3,)) is None


def test_an_entry_above_the_limit_is_not_cached() -> None:
    store = PrefixCache(500, row_invariant=True)
    keep(store, rows(1, 2))
    assert (len(store), store.num_bytes, store.version) == (0, 0, 0)


def test_entries_are_copies() -> None:
    store = PrefixCache(10**6, row_invariant=True)
    mine = rows(1, 2)
    keep(store, mine)
    mine[:] = 7
    assert store.has(rows(1, 2), (2,))
