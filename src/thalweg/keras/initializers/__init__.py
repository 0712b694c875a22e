"""keras.initializers: the first values of weights."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.initializers.initializer import Initializer
    from thalweg.keras.initializers.named import deserialize, get, serialize
    from thalweg.keras.initializers.random import (
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
    )
    from thalweg.keras.initializers.random import GlorotNormal as glorot_normal
    from thalweg.keras.initializers.random import GlorotUniform as glorot_uniform
    from thalweg.keras.initializers.random import HeNormal as he_normal
    from thalweg.keras.initializers.random import HeUniform as he_uniform
    from thalweg.keras.initializers.random import LecunNormal as lecun_normal
    from thalweg.keras.initializers.random import LecunUniform as lecun_uniform
    from thalweg.keras.initializers.random import Orthogonal as OrthogonalInitializer
    from thalweg.keras.initializers.random import Orthogonal as orthogonal
    from thalweg.keras.initializers.random import RandomNormal as random_normal
    from thalweg.keras.initializers.random import RandomUniform as random_uniform
    from thalweg.keras.initializers.random import TruncatedNormal as truncated_normal
    from thalweg.keras.initializers.random import VarianceScaling as variance_scaling
    from thalweg.keras.initializers.values import STFT, Constant, Identity, Ones, Zeros
    from thalweg.keras.initializers.values import STFT as STFTInitializer
    from thalweg.keras.initializers.values import STFT as stft
    from thalweg.keras.initializers.values import Constant as constant
    from thalweg.keras.initializers.values import Identity as IdentityInitializer
    from thalweg.keras.initializers.values import Identity as identity
    from thalweg.keras.initializers.values import Ones as ones
    from thalweg.keras.initializers.values import Zeros as zeros
