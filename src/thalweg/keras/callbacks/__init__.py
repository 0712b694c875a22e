"""keras.callbacks: what a program may do at the beginning and end of training, epochs, batches."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.callbacks.backup_and_restore import BackupAndRestore
    from thalweg.keras.callbacks.callback import Callback
    from thalweg.keras.callbacks.callback_list import CallbackList
    from thalweg.keras.callbacks.csv_logger import CSVLogger
    from thalweg.keras.callbacks.early_stopping import EarlyStopping
    from thalweg.keras.callbacks.history import History
    from thalweg.keras.callbacks.lambda_callback import LambdaCallback
    from thalweg.keras.callbacks.learning_rate_scheduler import LearningRateScheduler
    from thalweg.keras.callbacks.model_checkpoint import ModelCheckpoint
    from thalweg.keras.callbacks.orbax_checkpoint import OrbaxCheckpoint
    from thalweg.keras.callbacks.progbar_logger import ProgbarLogger
    from thalweg.keras.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
    from thalweg.keras.callbacks.remote_monitor import RemoteMonitor
    from thalweg.keras.callbacks.swap_ema_weights import SwapEMAWeights
    from thalweg.keras.callbacks.tensorboard import TensorBoard
    from thalweg.keras.callbacks.terminate_on_nan import TerminateOnNaN
