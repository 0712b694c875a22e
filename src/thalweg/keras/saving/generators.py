"""The states of a model's random generators, beside its weights: what Keras' format leaves out.

They stand in `metadata.json` as `random_generators`, a pair of numbers for each generator, in the
order of the layers. A model that is loaded goes on with the numbers that it would have drawn.
"""

from typing import Any

import numpy as np

NAME = "random_generators"


def generators_of(model: Any) -> list[Any]:
    """The generators of a model's layers, each once, from the outside in."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    found = {id(each): each for layer in layers for each in layer._seed_generators}
    return list(found.values())


def states_of(model: Any) -> list[list[int]]:
    """Their states as plain numbers."""
    return [generator.state.numpy().tolist() for generator in generators_of(model)]


def set_states(model: Any, states: Any) -> None:
    """Give a model's generators the states of a file, where it has as many of them."""
    generators = generators_of(model)
    if not isinstance(states, list) or len(states) != len(generators):
        return
    if not all(_is_state(state) for state in states):
        return
    for generator, state in zip(generators, states, strict=True):
        generator.state.assign(np.array(state, np.uint32))


def _is_state(state: Any) -> bool:
    return (
        isinstance(state, list)
        and len(state) == 2
        and all(type(word) is int and 0 <= word < 2**32 for word in state)
    )
