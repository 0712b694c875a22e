"""clear_session: back to how things are after import."""

import gc

from thalweg.keras import dtype_policies, naming


def clear_session(free_memory: bool = True) -> None:
    """Start automatic names again and return to the default dtype policy.

    With `free_memory` what nothing refers to any more is released now.
    """
    naming.reset_uids()
    dtype_policies.reset_dtype_policy()
    if free_memory:
        gc.collect()
