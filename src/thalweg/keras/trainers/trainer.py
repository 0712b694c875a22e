"""Trainer: `compile`, `fit`, `evaluate`, `predict`, for anything that is a layer as well.

    fit  =  for each epoch, for each batch:  logs = train_function(batch)

`train_function` is `train_step` traced once: forward, loss, gradient, optimizer and metrics are one
graph, and the state is threaded through it. A `train_step` of the user's own is traced alike.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.array.derivatives import GradientTape
from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.engine.context import outside
from thalweg.engine.tensor import Tensor, from_buffer
from thalweg.engine.variable import Variable as EngineVariable
from thalweg.keras import metrics as metrics_module
from thalweg.keras import ops, optimizers, settings, tree
from thalweg.keras.callbacks.callback_list import CallbackList
from thalweg.keras.operation import SymbolicScope, infer, known_shape
from thalweg.keras.optimizers.loss_scale import LossScaleOptimizer
from thalweg.keras.saving.serialization import (
    deserialize_keras_object,
    serialize_keras_object,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.trainers.adapters import train_validation_split
from thalweg.keras.trainers.adapters.sample_weight import class_weight_to_sample_weights
from thalweg.keras.trainers.compiling import CompileLoss, CompileMetrics
from thalweg.keras.trainers.epoch_iterator import EpochIterator
from thalweg.keras.trainers.step import TracedStep
from thalweg.keras.utils.sample_weight import pack_x_y_sample_weight, unpack_x_y_sample_weight
from thalweg.keras.variable import StatelessScope

COMPILE_ARGUMENTS = (
    "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly",
    "steps_per_execution", "jit_compile",
)  # fmt: skip


class Trainer:
    """Training, evaluation and prediction for a layer; `Model` is a layer with it."""

    def __init__(self) -> None:
        self.compiled = False
        self.loss: Any = None
        self.optimizer: Any = None
        self.steps_per_execution = 1
        self.stop_training = False
        self.stop_evaluating = False
        self.stop_predicting = False
        self.train_function: Callable | None = None
        self.test_function: Callable | None = None
        self.predict_function: Callable | None = None
        self.history: Any = None
        self._run_eagerly = False
        self._jit_compile: Any = "auto"
        self._under_way: FitUnderWay | None = None
        self._compile_loss: CompileLoss | None = None
        self._compile_metrics: CompileMetrics | None = None
        self._loss_tracker: Any = None
        self._compile_config: dict[str, Any] | None = None
        self._steps: dict[str, Any] = {}

    # Compiling -----------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say how to train: the optimizer, the losses and the metrics, as objects or names.

        `run_eagerly` runs steps without tracing, for a debugger; `steps_per_execution` batches are
        run between two calls of callbacks. Raises ArgumentError for names that there are not.
        """
        given = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        optimizer = optimizers.get(optimizer)
        is_half = getattr(self, "compute_dtype", None) == "float16"
        is_scaled = optimizer is None or isinstance(optimizer, LossScaleOptimizer)
        if auto_scale_loss and is_half and not is_scaled:
            optimizer = LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
        if run_eagerly and jit_compile is True:
            warnings.warn(
                "If `run_eagerly` is True, then `jit_compile` cannot also be True. Disabling "
                "`jit_compile`.",
                stacklevel=outer_level(),
            )
            jit_compile = False
        self._clear_previous()
        self.optimizer = optimizer
        self._loss_tracker = metrics_module.Mean(name="loss")
        names = getattr(self, "output_names", None) if _is_drawn(self) else None
        if loss is not None:
            self._compile_loss = CompileLoss(loss, loss_weights, output_names=names)
            self.loss = loss
        if metrics is not None or weighted_metrics is not None:
            self._compile_metrics = CompileMetrics(metrics, weighted_metrics, output_names=names)
        self._run_eagerly = bool(run_eagerly)
        self._jit_compile = jit_compile
        self.steps_per_execution = steps_per_execution
        self.stop_training = False
        self.compiled = True
        self._compile_config = {**given, "optimizer": optimizer}
        self.train_function = self.test_function = self.predict_function = None
        self._steps.clear()

    def _clear_previous(self) -> None:
        tracker = getattr(self, "_tracker", None)
        for name in ("_loss_tracker", "_compile_loss", "_compile_metrics"):
            old = getattr(self, name, None)
            if old is not None and tracker is not None:
                tracker.untrack(old)
            self.__dict__[name] = None

    def __setattr__(self, name: str, value: Any) -> None:
        # What compiling makes is no state of the layer.
        if name in _OWN:
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @property
    def jit_compile(self) -> Any:
        """Whether steps are compiled; "auto" leaves it to the engine."""
        return self._jit_compile if self._jit_compile != "auto" else not self._run_eagerly

    @jit_compile.setter
    def jit_compile(self, value: Any) -> None:
        self._jit_compile = value

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run without being traced."""
        return self._run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._run_eagerly = value

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the compiled metrics, and the metrics of the model and its layers."""
        found: list[Any] = []
        if self.compiled:
            found.extend(self._own_metrics())
        for layer in self._flatten_layers(include_self=False):  # type: ignore[attr-defined]
            if not isinstance(layer, Trainer):
                found.extend(layer._metrics)
        return found

    def _own_metrics(self) -> list[Any]:
        found = [] if self._loss_tracker is None else [self._loss_tracker]
        if self._compile_metrics is not None:
            found.append(self._compile_metrics)
        if self._compile_loss is not None:
            found.extend(self._compile_loss.metrics)
        found.extend(self._metrics)  # type: ignore[attr-defined]
        return found

    @property
    def metrics_names(self) -> list[str]:
        """The names of the metrics."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Let all metrics begin again."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """The values of all metrics by name."""
        found: dict[str, Any] = {}
        for metric in self.metrics:
            result = metric.result()
            if isinstance(result, dict):
                found.update(result)
            else:
                found[metric.name] = result
        return found

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as plain data; {} before it was called."""
        if not self.compiled or self._compile_config is None:
            return {}
        return {key: serialize_keras_object(self._compile_config[key]) for key in COMPILE_ARGUMENTS}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says."""
        if not config:
            return
        if type(self).compile is not Trainer.compile:
            parameters = inspect.signature(self.compile).parameters
            if not set(config) <= set(parameters):
                warnings.warn(
                    "`compile()` was not called as part of model loading because the model's "
                    "`compile()` method is custom. All subclassed Models that have `compile()` "
                    "overridden should also override `get_compile_config()` and "
                    "`compile_from_config(config)`. Alternatively, you can call `compile()` "
                    "manually after loading.",
                    stacklevel=outer_level(),
                )
                return
        config = {key: deserialize_keras_object(value) for key, value in config.items()}
        self.compile(**config)
        if self.optimizer is not None and self.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    # One step ------------------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The scalar to minimise: the compiled losses and those that layers added.

        Raises ArgumentError where there is none.
        """
        found = []
        if self._compile_loss is not None:
            loss = self._compile_loss(y, y_pred, sample_weight)
            if loss is not None:
                found.append(loss)
        for extra in self.losses:  # type: ignore[attr-defined]
            found.append(ops.sum(ops.cast(extra, settings.floatx())))
        if not found:
            raise ArgumentError(
                explain(
                    self.name,  # type: ignore[attr-defined]
                    "a loss",
                    "No loss to compute. Provide a `loss` argument in `compile()`.",
                    "Write model.compile(loss='mse', ...), or call add_loss in a layer.",
                )
            )
        total = found[0]
        for each in found[1:]:
            total = total + each
        return total

    def _loss_of(self, training: bool, **values: Any) -> Any:
        """`compute_loss`, also of a user's that does not know `training`."""
        if "training" in inspect.signature(self.compute_loss).parameters:
            values["training"] = training
        return self.compute_loss(**values)

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss with given values of the state, and the states that it leads to."""
        pairs = [
            *zip(self.trainable_variables, trainable_variables, strict=True),  # type: ignore[attr-defined]
            *zip(self.non_trainable_variables, non_trainable_variables, strict=True),  # type: ignore[attr-defined]
            *zip(self.metrics_variables, metrics_variables, strict=True),  # type: ignore[attr-defined]
        ]
        with StatelessScope(state_mapping=pairs, collect_losses=True) as scope:
            loss = self._loss_of(training, x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)

        def state(variables: Sequence[Any]) -> list[Any]:
            values = [(scope.get_current_value(each), each) for each in variables]
            return [each.value if value is None else value for value, each in values]

        return loss, (
            state(self.trainable_variables),  # type: ignore[attr-defined]
            state(self.non_trainable_variables),  # type: ignore[attr-defined]
            state(self.metrics_variables),  # type: ignore[attr-defined]
        )

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Gather a batch into the compiled metrics; returns the values of all metrics."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch (x, y, sample_weight); returns the metrics."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self._predicted(x, training=True)
            loss = self._loss_of(True, x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
            self._track_loss(loss, x)
            if self.optimizer is not None:
                loss = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights  # type: ignore[attr-defined]
        if weights:
            gradients = tape.gradient(loss, weights)
            self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        else:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """The metrics of a batch (x, y, sample_weight), without training."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._predicted(x, training=False)
        loss = self._loss_of(False, x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch (x,), in inference mode."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._predicted(x, training=False)

    def _predicted(self, x: Any, training: bool) -> Any:
        if getattr(self, "_call_has_training_arg", False):
            return self(x, training=training)  # type: ignore[operator]
        return self(x)  # type: ignore[operator]

    def _track_loss(self, loss: Any, x: Any) -> None:
        if self._loss_tracker is not None:
            first = next((leaf for leaf in tree.flatten(x) if leaf is not None), None)
            count = ops.shape(first)[0] if first is not None and len(first.shape) else 1
            self._loss_tracker.update_state(loss, sample_weight=count)

    # From a step to a function -------------------------------------------------------------------

    def make_train_function(self, force: bool = False) -> Callable:
        """The function from an iterator over batches to logs that `fit` calls."""
        if self.train_function is None or force:
            self.train_function = self._execution("train_step")
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable:
        """As `make_train_function`, for `evaluate`."""
        if self.test_function is None or force:
            self.test_function = self._execution("test_step")
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Callable:
        """As `make_train_function`, for `predict`: gives the outputs of the batches, joined."""
        if self.predict_function is None or force:
            step = self._step("predict_step")

            def predict_function(iterator: Iterator[Any]) -> Any:
                found = [
                    step(_tensors(data))
                    for _, data in zip(range(self.steps_per_execution), iterator, strict=False)
                ]
                if not found:
                    raise StopIteration
                return found[0] if len(found) == 1 else _joined(found)

            self.predict_function = predict_function
        return self.predict_function

    def _execution(self, name: str) -> Callable:
        step = self._step(name)

        def execution(iterator: Iterator[Any]) -> dict[str, Any]:
            logs = None
            for _, data in zip(range(self.steps_per_execution), iterator, strict=False):
                logs = step(self._batch(data))
            if logs is None:
                raise StopIteration
            return logs

        return execution

    def _batch(self, data: Any) -> Any:
        """A batch as tensors; its class numbers are looked at while they are at hand."""
        found = _tensors(data)
        if self._compile_loss is not None:
            self._compile_loss.check_classes(found)
        return found

    def _step(self, name: str) -> Callable:
        """The step as a function of a batch of tensors: traced, unless steps run eagerly."""
        if self.run_eagerly or not getattr(self, "supports_jit", True):
            return getattr(self, name)
        if name not in self._steps:
            self._steps[name] = TracedStep(self, name)
        return self._steps[name]

    def train_stages(self) -> Any:
        """The stages of the traced training step by name: trace, expanded, simplified, ...

        Raises ArgumentError before the first step.
        """
        step = self._steps.get("train_step")
        if step is None:
            raise ArgumentError(
                explain(
                    "train_stages",
                    "a model that has been trained for a step",
                    "no traced step",
                    "Call fit or train_on_batch first, without run_eagerly.",
                )
            )
        return step.traced.stages

    def _expect(self, name: str, iterator: Any, epochs: int = 1) -> None:
        """Tell a traced step how often it will be called, so that it can choose its backend."""
        step = self._steps.get(name)
        if step is not None:
            count = iterator.num_batches
            step.expect(None if count is None else count * epochs)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Make the state of layers, metrics and optimizer before the first step, on symbols."""
        has_metrics = self._compile_metrics is not None and not self._compile_metrics.built
        has_loss = self._compile_loss is not None and not self._compile_loss.built
        has_model = all(layer.built for layer in self._flatten_layers())  # type: ignore[attr-defined]
        if (has_metrics or has_loss or not has_model) and (data_batch is not None or iterator):
            if data_batch is None:
                data_batch = next(self._batches(iterator))
            self._build_on_symbols(
                tree.map_structure(_symbol, data_batch), has_model, has_metrics, has_loss
            )
        if self.optimizer is not None and not self.optimizer.built:
            with outside():
                self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _batches(self, iterator: Any) -> Iterator[Any]:
        for _, _, batches in iterator:
            yield from batches

    def _build_on_symbols(self, data: Any, has_model: bool, metrics: bool, loss: bool) -> None:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with SymbolicScope():
            try:
                infer(lambda x: self._predicted(x, training=False), (x,), {})
            except Exception as error:
                if not has_model:
                    raise RuntimeError(
                        explain(
                            self.name,  # type: ignore[attr-defined]
                            "a model that is built by its first call",
                            f"Unable to automatically build the model. {type(error).__name__}: "
                            f"{error}",
                            "Call it on a batch first, or give it a build(input_shape).",
                        )
                    ) from error
                return
            finally:
                self._clear_losses()  # type: ignore[attr-defined]

            def step(x: Any, y: Any, sample_weight: Any) -> None:
                y_pred = self._predicted(x, training=False)
                if metrics:
                    self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
                if loss:
                    self._loss_of(False, x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)

            if metrics or loss:
                infer(step, (x, y, sample_weight), {})
        self._clear_losses()  # type: ignore[attr-defined]

    # Loops ---------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> Any:
        """Train for some epochs; returns the History.

        `x` and `y` are arrays, tensors, data frames or nestings of them, or `x` alone is a data set
        that gives batches. Raises ArgumentError for data that does not fit together.
        """
        self._assert_compile_called("fit")
        epochs = _limited(epochs, settings.max_epochs())
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split=validation_split
            )
        iterator = EpochIterator(
            x=x,
            y=y,
            sample_weight=sample_weight,
            batch_size=batch_size,
            steps_per_epoch=_limited(steps_per_epoch, settings.max_steps_per_epoch()),
            shuffle=shuffle,
            class_weight=class_weight,
            steps_per_execution=self.steps_per_execution,
        )
        self._symbolic_build(iterator=iterator)
        iterator.reset()
        callbacks = self._callback_list(callbacks, verbose, epochs, iterator.num_batches, True)
        self.stop_training = False
        self.make_train_function()
        assert self.train_function is not None
        self._expect("train_step", iterator, epochs)
        training_logs: dict[str, Any] | None = None
        logs: dict[str, Any] = {}
        self._eval_iterator: Any = None
        under_way = self.__dict__["_under_way"] = FitUnderWay(iterator)
        under_way.begin_at(initial_epoch)
        callbacks.on_train_begin()
        for epoch in range(under_way.epoch, epochs):
            if not under_way.is_within_epoch:
                self.reset_metrics()
            under_way.is_within_epoch = False
            callbacks.on_epoch_begin(epoch)
            for begin, end, batches in iterator:
                under_way.batches = batches
                callbacks.on_train_batch_begin(begin)
                logs = self.train_function(batches)
                callbacks.on_train_batch_end(end, logs)
                if self.stop_training:
                    break
            epoch_logs = dict(_plain(self._metrics_or(logs)))
            if validation_data is not None and _is_due(epoch, validation_freq):
                size = validation_batch_size or batch_size
                epoch_logs.update(
                    self._validate(validation_data, size, validation_steps, callbacks)
                )
            callbacks.on_epoch_end(epoch, epoch_logs)
            training_logs = epoch_logs
            if self.stop_training:
                break
        if self.optimizer is not None and epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_weights)  # type: ignore[attr-defined]
        self._eval_iterator = self._under_way = None
        callbacks.on_train_end(logs=training_logs)
        return self.history

    def _validate(
        self, data: Any, batch_size: Any, steps: Any, callbacks: CallbackList
    ) -> dict[str, Any]:
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        if self._eval_iterator is None:
            self._eval_iterator = EpochIterator(
                x=x,
                y=y,
                sample_weight=sample_weight,
                batch_size=batch_size,
                steps_per_epoch=steps,
                steps_per_execution=self.steps_per_execution,
                shuffle=False,
            )
        logs = self._evaluated(self._eval_iterator, callbacks)
        return {f"val_{name}": value for name, value in logs.items()}

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and the metrics over some data: a number, a list, or a dict by name."""
        self._assert_compile_called("evaluate")
        if kwargs:
            received = f"Arguments not recognized: {kwargs}"
            raise ArgumentError(explain("evaluate", "known arguments", received))
        iterator = EpochIterator(
            x=x,
            y=y,
            sample_weight=sample_weight,
            batch_size=batch_size,
            steps_per_epoch=_limited(steps, settings.max_steps_per_epoch()),
            shuffle=False,
            steps_per_execution=self.steps_per_execution,
        )
        self._symbolic_build(iterator=iterator)
        iterator.reset()
        callbacks = self._callback_list(callbacks, verbose, 1, iterator.num_batches, False)
        logs = self._evaluated(iterator, callbacks)
        return logs if return_dict else self._flat_logs(logs)

    def _evaluated(self, iterator: Any, callbacks: CallbackList) -> dict[str, Any]:
        self.make_test_function()
        assert self.test_function is not None
        self._expect("test_step", iterator)
        self.stop_evaluating = False
        callbacks.on_test_begin()
        logs: dict[str, Any] = {}
        self.reset_metrics()
        for begin, end, batches in iterator:
            callbacks.on_test_batch_begin(begin)
            logs = self.test_function(batches)
            callbacks.on_test_batch_end(end, logs)
            if self.stop_evaluating:
                break
        found = dict(_plain(self._metrics_or(logs)))
        callbacks.on_test_end(found)
        return found

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The outputs for all of some data, as NumPy arrays in the nesting of the outputs."""
        iterator = EpochIterator(
            x=x,
            batch_size=batch_size,
            steps_per_epoch=_limited(steps, settings.max_steps_per_epoch()),
            shuffle=False,
            steps_per_execution=self.steps_per_execution,
        )
        self._symbolic_predict_build(iterator)
        callbacks = self._callback_list(callbacks, verbose, 1, iterator.num_batches, False)
        self.make_predict_function()
        assert self.predict_function is not None
        self._expect("predict_step", iterator)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        batches_of: Any = None
        structure: Any = None
        for begin, end, batches in iterator:
            callbacks.on_predict_batch_begin(begin)
            outputs = self.predict_function(batches)
            structure = outputs
            leaves = [_array(leaf) for leaf in tree.flatten(outputs)]
            if batches_of is None:
                batches_of = [[] for _ in leaves]
            for rows, leaf in zip(batches_of, leaves, strict=True):
                rows.append(leaf)
            callbacks.on_predict_batch_end(end, {"outputs": outputs})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if batches_of is None:
            return None
        joined = [rows[0] if len(rows) == 1 else np.concatenate(rows) for rows in batches_of]
        return tree.pack_sequence_as(structure, joined)

    def _symbolic_predict_build(self, iterator: Any) -> None:
        if all(layer.built for layer in self._flatten_layers()):  # type: ignore[attr-defined]
            return
        data = next(self._batches(iterator), None)
        if data is not None:
            x, _, _ = unpack_x_y_sample_weight(tree.map_structure(_symbol, data))
            with SymbolicScope():
                infer(lambda x: self._predicted(x, training=False), (x,), {})
        iterator.reset()

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step of training on one batch; the metrics as a list or a dict."""
        self._assert_compile_called("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ArgumentError(
                    explain(
                        "train_on_batch",
                        "one of them; Arguments `sample_weight` and `class_weight` cannot be "
                        "specified at the same time",
                        "both",
                    )
                )
            sample_weight = class_weight_to_sample_weights(y, class_weight)
        data = self._one_batch(x, y, sample_weight)
        self._symbolic_build(data_batch=data)
        self.reset_metrics()
        logs = self._step("train_step")(self._batch(data))
        found = dict(_plain(logs))
        return found if return_dict else self._flat_logs(found)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """The metrics of one batch, as a list or a dict."""
        self._assert_compile_called("test_on_batch")
        data = self._one_batch(x, y, sample_weight)
        self._symbolic_build(data_batch=data)
        self.reset_metrics()
        logs = self._step("test_step")(self._batch(data))
        found = dict(_plain(logs))
        return found if return_dict else self._flat_logs(found)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch, as NumPy arrays."""
        data = self._one_batch(x, None, None)
        return tree.map_structure(_array, self._step("predict_step")(_tensors(data)))

    def _one_batch(self, x: Any, y: Any, sample_weight: Any) -> Any:
        given = pack_x_y_sample_weight(x, y, sample_weight)
        given = given if isinstance(given, tuple) else (given,)
        return tree.map_structure(_batch_array, given)

    # Logs and callbacks --------------------------------------------------------------------------

    def _callback_list(
        self, callbacks: Any, verbose: Any, epochs: int, steps: int | None, is_training: bool
    ) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        verbose = 1 if verbose == "auto" else verbose
        return CallbackList(
            callbacks,
            add_history=is_training,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
            model=self,
        )

    def _metrics_or(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The metrics at the end of an epoch, unless a step of the user's own returned others."""
        results = self.get_metrics_result()
        if not logs or (isinstance(logs, dict) and set(logs) == set(results)):
            return results
        if isinstance(logs, dict):
            return {**results, **logs} if set(results) & set(logs) or not results else logs
        return results

    def _flat_logs(self, logs: dict[str, Any]) -> Any:
        """The values alone: in the order of the metrics, then those under other names."""
        names = dict.fromkeys(
            each.name
            for metric in self.metrics
            for each in (metric.metrics if isinstance(metric, CompileMetrics) else [metric])
        )
        values = [logs[name] for name in names if name in logs]
        values.extend(logs[name] for name in sorted(logs) if name not in names)
        return values[0] if len(values) == 1 else values

    def _assert_compile_called(self, method: str) -> None:
        if not self.compiled:
            raise ArgumentError(
                explain(
                    f"{method}",
                    f"a compiled model; You must call `compile()` before calling `{method}()`",
                    "a model that is not compiled",
                    "Write model.compile(optimizer='adam', loss=...) first.",
                )
            )


_OWN = frozenset(
    {
        "_compile_config", "_compile_loss", "_compile_metrics", "_eval_iterator", "_loss_tracker",
        "_steps", "_under_way", "history", "loss", "optimizer", "predict_function",
        "test_function", "train_function",
    }
)  # fmt: skip
"""Attributes that hold no state of the layer."""


class FitUnderWay:
    """Where `fit` stands: what callbacks need that find a fault or let a run go on."""

    def __init__(self, iterator: EpochIterator):
        self.iterator = iterator
        self.batches: Sequence[Any] = ()  # of the step that runs
        self.epoch = 0  # the first one
        self.is_within_epoch = False

    def begin_at(self, epoch: int, batch: int = 0) -> None:
        """Begin with this epoch and this batch of it; within an epoch metrics are not reset."""
        self.epoch = epoch
        self.is_within_epoch = batch > 0
        self.iterator.start_at(epoch, batch)


def _is_drawn(model: Any) -> bool:
    try:
        return bool(model.output_names)
    except AttributeError:
        return False


def _tensors(data: Any) -> Any:
    """A batch as tensors, without a copy: a step has used its inputs when it returns."""
    if isinstance(data, (list, tuple)):
        found = [_tensors(each) for each in data]
        return found if isinstance(data, list) else tuple(found)
    if isinstance(data, dict):
        return {key: _tensors(each) for key, each in data.items()}
    if isinstance(data, np.ndarray):
        return from_buffer(np.ascontiguousarray(data)) if data.ndim else from_buffer(data)
    return data


def _batch_array(value: Any) -> Any:
    """What `*_on_batch` is given, as arrays in the types that `fit` would feed."""
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, EngineVariable):
        return value.value
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype.name != settings.floatx():
        array = array.astype(settings.floatx())
    return array


def _symbol(value: Any) -> Any:
    if value is None or not hasattr(value, "shape"):
        return value
    dtype = getattr(value.dtype, "name", str(value.dtype))
    shape = known_shape(tuple(value.shape))
    return KerasTensor((None, *shape[1:]) if shape else shape, dtype=dtype)


def _array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _joined(outputs: list[Any]) -> Any:
    columns = [tree.flatten(each) for each in outputs]
    joined = [np.concatenate([_array(row[i]) for row in columns]) for i in range(len(columns[0]))]
    return tree.pack_sequence_as(outputs[0], joined)


def _plain(logs: dict[str, Any]) -> dict[str, Any]:
    """Logs in the order of names, as Python numbers, or arrays where they are no scalars.

    A metric whose result is a dict has an entry for each of its values.
    """
    found: dict[str, Any] = {}
    for key, value in sorted(logs.items()):
        if isinstance(value, dict):
            found.update(_plain(value))
            continue
        if hasattr(value, "numpy"):
            value = value.numpy()
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        found[key] = value
    return found


def _limited(count: int | None, limit: int | None) -> Any:
    if limit is None:
        return count
    return limit if count is None else min(count, limit)


def _is_due(epoch: int, frequency: int | Sequence[int]) -> bool:
    """Whether the epoch ends with a validation."""
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    if isinstance(frequency, (list, tuple, set)):
        return epoch + 1 in frequency
    raise ArgumentError(
        explain("fit", "validation_freq to be an integer or a list of epochs", repr(frequency))
    )
