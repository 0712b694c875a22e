"""What models do seldom: imported when it is used."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.models.quantization import quantize_layers
    from thalweg.keras.models.summary import print_summary
    from thalweg.keras.saving.archive import load_weights, save_model, save_weights
