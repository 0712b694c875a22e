"""`keras.optimizers.legacy`: names that old programs import and that nothing stands behind."""

from typing import Any

from thalweg.base.errors import explain


class LegacyOptimizerWarning:
    """Refuses to be made: the optimizers of Keras 2 are not here."""

    def __init__(self, *args: Any, **kwargs: Any):
        raise ImportError(
            explain(
                "keras.optimizers.legacy",
                "the optimizers of Keras 3; `keras.optimizers.legacy` is not supported in Keras 3",
                "one of Keras 2",
                "Write keras.optimizers.Adam (or another) instead.",
            )
        )


Adagrad = Adam = Ftrl = Optimizer = RMSprop = SGD = LegacyOptimizerWarning
