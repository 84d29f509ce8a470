"""Groups: work that only some examples of a batch need, done for these in groups of one size and for no others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Tree = TypeVar("Tree")
Branch = Callable[[jax.Array], Tree]

# Groups of fewer examples are not worth it: on a CPU, fewer than four large images at a time take up to twice as long
# for each (benchmarks/along_path.py).
FEWEST = 4


def in_groups(
    branches: Sequence[Branch[Tree]],
    kinds: jax.Array,
    onto: Tree,
    size: int,
    *,
    branch_of: Sequence[int] | None = None,
    rank: jax.Array | None = None,
    groups: int | None = None,
) -> Tree:
    """Change the examples of a batch, each by the branch of its kind, in groups of one kind and one size.

    How many groups a kind needs may be traced; those that no kind needs are passed over, except under `vmap`.

    Args:
        branches: Functions of examples, int32 [size], to what these become, a tree like `onto` with the leading axis
            `size`.
        kinds: int [B], 0 for an example that stays as it is in `onto`, or the number of its kind.
        onto: A tree of arrays with the leading axis B.
        size: The number of examples in a group, at least 1 (static).
        branch_of: For each kind from 1 on the place of its branch (static); None gives each branch the kind of its
            place.
        rank: Numbers [B] by which the examples of a kind are put in order, so that a group has those nearest to one
            another; None leaves them in the order of the batch.
        groups: A number of groups that is known to be enough (static); None takes the most that any kinds can ask for.

    Returns:
        A tree like `onto`.
    """
    lookup = np.arange(len(branches)) if branch_of is None else np.asarray(branch_of)
    count, num_kinds = len(kinds), len(lookup)
    groups = most_groups(count, num_kinds, size) if groups is None else groups
    if not groups:
        return onto
    order = jnp.argsort(kinds) if rank is None else jnp.lexsort((rank, kinds))
    kind, examples, filled = _groups(kinds, order, num_kinds, size, groups)

    def as_it_is(examples: jax.Array) -> Tree:
        return jax.tree.map(lambda leaf: leaf[examples], onto)

    def one(group: tuple[jax.Array, jax.Array]) -> Tree:
        kind, examples = group
        branch = jnp.asarray(np.append(0, 1 + lookup), jnp.int32)[kind]
        return jax.lax.switch(branch, [as_it_is, *branches], examples)

    changed = jax.lax.map(one, (kind, examples))
    places = jnp.where(filled, examples, count)
    return jax.tree.map(lambda leaf, new: leaf.at[places].set(new, mode="drop"), onto, changed)


def most_groups(count: int, num_kinds: int, size: int) -> int:
    """The most groups of a size that `count` examples of some kinds can ask for."""
    return (count + num_kinds * (size - 1)) // size


def _groups(
    kinds: jax.Array, order: jax.Array, num_kinds: int, size: int, groups: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The groups: the kind of each [G], its examples [G, size], and which of these count, bool [G, size].

    The examples come in the order of their kinds. The last group of a kind is filled up with an example of its own;
    kind 0 stands for groups that nobody needs.
    """
    numbers = jnp.bincount(kinds, length=1 + num_kinds)
    ends, needed = jnp.cumsum(numbers), -(-numbers[1:] // size)
    group, last = jnp.arange(groups), jnp.cumsum(needed)
    is_used = group < last[-1]
    kind = jnp.where(is_used, 1 + jnp.searchsorted(last, group, side="right"), 0)
    within = group - (last - needed)[kind - 1]
    begin = jnp.where(is_used, (ends - numbers)[kind] + size * within, 0)
    places = begin[:, None] + jnp.arange(size)[None]
    filled = is_used[:, None] & (places < ends[kind][:, None])
    return kind, order[jnp.where(filled, places, begin[:, None])], filled
