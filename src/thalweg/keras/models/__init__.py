"""keras.models: models, and how they are saved, loaded and cloned."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.models.cloning import clone_model
    from thalweg.keras.models.functional import Functional
    from thalweg.keras.models.model import Model, model_from_json
    from thalweg.keras.models.sequential import Sequential
    from thalweg.keras.saving.archive import load_model, save_model
