"""keras.random: random numbers from seeds and seed generators."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.random.draws import (
        beta,
        binomial,
        categorical,
        dropout,
        gamma,
        normal,
        randint,
        shuffle,
        truncated_normal,
        uniform,
    )
    from thalweg.keras.random.seed_generator import SeedGenerator
