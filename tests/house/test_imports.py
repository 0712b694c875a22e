"""What an import takes along: namespaces hand on names, and import what a program uses.

Each test that looks at what is loaded does so in a process of its own.
"""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "thalweg"

HEAVY = (
    "llvmlite", "h5py", "rich", "matplotlib", "pandas", "PIL", "scipy", "jax", "torch", "keras",
    "tensorflow", "urllib.request", "multiprocessing", "asyncio", "unittest",
)  # fmt: skip
"""What no program has to wait for that does not use it."""


def fresh(program: str, folder: Path = ROOT) -> dict:
    """The variables `found` and `loaded`, names of modules, after a program in a new process."""
    ending = textwrap.dedent("""
        import json, sys
        print(json.dumps({"found": globals().get("found"), "loaded": sorted(sys.modules)}))
        """)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program) + ending],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def ours(loaded: list[str]) -> set[str]:
    return {name for name in loaded if name.split(".")[0] == "thalweg"}


# ---- how little is imported ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "program", ["import thalweg", "import thalweg.keras", "from thalweg import keras"]
)
def test_an_import_loads_next_to_nothing(program):
    loaded = fresh(program)["loaded"]
    assert not {*HEAVY, "numpy", "ml_dtypes"} & set(loaded)
    assert len(ours(loaded)) <= 8, ours(loaded)


def test_a_small_model_loads_what_it_uses():
    program = """
        import numpy as np
        from thalweg import keras

        model = keras.Sequential([
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(np.ones((32, 4)), np.zeros(32), epochs=2, verbose=0)
        found = model.predict(np.ones((2, 4)), verbose=0).shape
        """
    found = fresh(program)
    loaded = ours(found["loaded"])
    assert found["found"] == [2, 3] and not set(HEAVY) & set(found["loaded"])
    assert len(loaded) <= 210, len(loaded)  # of some 450
    unused = (
        "layers.rnn", "layers.convolutional", "layers.attention", "saving.archive", "datasets",
        "quantizers.gptq", "models.summary", "preprocessing", "visualization",
    )  # fmt: skip
    for part in unused:
        assert not [name for name in loaded if name.startswith(f"thalweg.keras.{part}")], part


def test_tools_for_looking_are_imported_when_somebody_looks():
    program = """
        import thalweg as tw
        tw.set_options(show=SHOWN)
        found = float(tw.function(lambda x: x + 1)(2.0))
        """
    quiet = fresh(program.replace("SHOWN", "()"))
    seen = fresh(program.replace("SHOWN", "('trace',)"))
    assert quiet["found"] == seen["found"] == 3.0
    assert "thalweg.tools.see" in set(seen["loaded"]) - set(quiet["loaded"])


@pytest.mark.parametrize(
    "program",
    [
        "import thalweg as tw; found = float(tw.Variable(1.0) + 1)",
        "import thalweg as tw; found = float(tw.function(lambda x: x + 1)(1.0))",
        "from thalweg import Tensor; found = len(dir(Tensor)) > 100 and 2.0",
        "from thalweg.keras import Variable; found = float(1 + Variable(1.0))",
        "from thalweg.keras import KerasTensor; found = (KerasTensor((2,)) + 1).shape[0]",
        "from thalweg.data import Dataset; import thalweg as tw; found = [float(tw.asarray(x) + 1) "
        "for x in Dataset.from_tensor_slices([1.0])][0]",
    ],
)
def test_operators_are_there_whoever_comes_first(program):
    assert fresh(program)["found"] == 2


# ---- how complete it is --------------------------------------------------------------------------


def namespaces() -> dict[str, tuple[Path, ast.With]]:
    """The files with a block of names on demand, by module, and the block."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.With) and "on_demand(" in ast.unparse(node.items[0]):
                name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = path, node
    return found


NAMESPACES = namespaces()


def names_of(block: ast.With) -> set[str]:
    assert all(isinstance(each, ast.ImportFrom) for each in block.body)
    return {alias.asname or alias.name for each in block.body for alias in each.names}


def test_every_name_is_what_its_module_has():
    """In a new process: resolved by its namespace, by `import *`, and by a plain import."""
    program = f"""
        import importlib, sys
        found = []
        for namespace, names in {[(n, sorted(names_of(b))) for n, (_, b) in NAMESPACES.items()]}:
            module = importlib.import_module(namespace)
            before = [name for name in names if name not in dir(module)]
            everything = {{}}
            if hasattr(module, "__path__"):
                exec(f"from {{namespace}} import *", everything)
                before += set(names) ^ set(module.__all__)
            for name in names:
                value = getattr(module, name)
                same = everything.get(name, value)
                again = {{}}
                exec(f"from {{namespace}} import {{name}} as again", again)
                if value is not same or value is not again["again"]:
                    before.append(name)
            if before:
                found.append([namespace, before])
        """
    assert len(NAMESPACES) >= 28 and "thalweg.keras.layers" in NAMESPACES
    assert fresh(program)["found"] == []


@pytest.mark.parametrize("namespace", sorted(NAMESPACES))
def test_no_name_is_hidden_by_a_module_beside_it(namespace):
    """The first import of a module puts it into its package, under its own name."""
    path, block = NAMESPACES[namespace]
    beside = {each.stem for each in path.parent.iterdir()} if path.stem == "__init__" else set()
    modules = {
        alias.asname or alias.name
        for each in block.body
        for alias in each.names
        if each.module == namespace
    }
    assert not (names_of(block) & beside) - modules


@pytest.mark.parametrize("namespace", sorted(NAMESPACES))
def test_a_namespace_does_not_use_its_own_names(namespace):
    """Python does not ask a module's __getattr__ for a plain name: they are `later`'s."""
    path, block = NAMESPACES[namespace]
    inside = set(map(id, ast.walk(block)))
    used = {
        node.id
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in inside
    }
    assert not used & names_of(block)
    assert path.stem in ("__init__", "parts")


# ---- what is found by name -----------------------------------------------------------------------


def test_objects_are_found_by_names_that_nobody_has_imported():
    program = """
        import sys
        from thalweg import keras

        found = []
        for space, name, module in (
            ("losses", "mse", "losses.functions"), ("losses", "Dice", "losses.classes"),
            ("metrics", "AUC", "metrics.confusion"), ("activations", "relu", "ops.nn"),
            ("optimizers", "lion", "optimizers.momentum"),
            ("initializers", "orthogonal", "initializers.random"),
            ("regularizers", "l2", "regularizers"), ("constraints", "max_norm", "constraints"),
            ("quantizers", "AbsMaxQuantizer", "quantizers.quantizer"),
        ):
            early = f"thalweg.keras.{module}" in sys.modules
            value = getattr(keras, space).get(name)
            late = f"thalweg.keras.{module}" in sys.modules
            found.append([name, early, late and value is not None])
        """
    found = fresh(program)["found"]
    assert len(found) == 9 and all(late for *_, late in found)
    assert {"mse", "AUC", "lion", "AbsMaxQuantizer"} <= {
        name for name, early, _ in found if not early
    }


def test_every_class_that_a_file_may_name_is_found_in_a_new_process():
    program = """
        import sys
        from thalweg.keras.saving import registration

        found = []
        for space in registration.NAMESPACES:
            module = registration.namespace(space)
            for name in filter(lambda name: name[0].isupper(), module.__all__):
                value = registration.builtin(space, name)
                home = registration.home_of(value) if isinstance(value, type) else None
                if home is not None and registration.builtin(*home) is not value:
                    found.append([space, name, home])
                if value is not None and value is not getattr(module, name):
                    found.append([space, name, str(value)])
                if value is None and hasattr(getattr(module, name), "from_config"):
                    found.append([space, name, "not found"])
        """
    assert fresh(program)["found"] == []


def test_a_file_is_read_by_a_process_that_has_imported_nothing(tmp_path):
    write = """
        from thalweg import keras

        x = keras.Input((8, 8, 3))
        y = keras.layers.Conv2D(4, 3, kernel_regularizer="l2", activation="gelu")(x)
        y = keras.layers.MaxPool2D()(keras.layers.BatchNormalization()(y)) * 2.0
        y = keras.layers.LSTM(5)(keras.layers.Reshape((9, 4))(keras.ops.sqrt(y + 10.0)))
        model = keras.Model(x, keras.layers.Dense(2, dtype="mixed_bfloat16")(y))
        rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
        model.compile(keras.optimizers.Lion(rate), "huber", metrics=[keras.metrics.R2Score()])
        model.save("model.keras")
        found = [float(keras.ops.sum(model(keras.ops.ones((1, 8, 8, 3))))), model.get_config()]
        """
    read = """
        from thalweg.keras.saving import load_model
        model = load_model("model.keras")
        from thalweg import keras
        found = [float(keras.ops.sum(model(keras.ops.ones((1, 8, 8, 3))))), model.get_config()]
        assert type(model.optimizer).__name__ == "Lion"
        assert type(model.optimizer._learning_rate).__name__ == "CosineDecay"
        """
    written = fresh(write, tmp_path)["found"]
    assert fresh(read, tmp_path)["found"] == written


def test_files_of_older_keras_find_their_layers():
    program = """
        from thalweg.keras.saving.legacy_config import modern
        from thalweg.keras.saving.serialization import deserialize_keras_object
        config = {"class_name": "GlobalAveragePooling1D", "config": {"name": "pool"}}
        found = type(deserialize_keras_object(modern(config))).__name__
        """
    assert fresh(program)["found"] == "GlobalAveragePooling1D"


def test_pickles_are_read_by_a_process_that_has_imported_nothing(tmp_path):
    write = """
        import pickle
        import thalweg as tw
        from thalweg import keras
        things = [keras.layers.Conv1D, keras.layers.MaxPool1D, keras.losses.dice, tw.matmul,
                  keras.metrics.AUC, tw.bfloat16, keras.initializers.Zeros()]
        with open("things.pickle", "wb") as file:
            pickle.dump(things, file)
        """
    read = """
        import pickle
        with open("things.pickle", "rb") as file:
            things = pickle.load(file)
        import thalweg as tw
        from thalweg import keras
        assert things[0] is keras.layers.Conv1D and things[1] is keras.layers.MaxPooling1D
        assert things[2] is keras.losses.dice and things[3] is tw.matmul
        assert things[4] is keras.metrics.AUC and things[5] is tw.bfloat16
        found = isinstance(things[6], keras.Initializer)
        """
    fresh(write, tmp_path)
    assert fresh(read, tmp_path)["found"] is True


def test_threads_that_use_names_at_once_meet_no_half_module():
    program = """
        import sys, threading
        import thalweg as tw
        from thalweg import keras

        sys.setswitchinterval(1e-5)
        uses = [
            lambda: keras.layers.LSTM(2), lambda: keras.layers.Conv2D(2, 3),
            lambda: keras.layers.MultiHeadAttention(2, 2), lambda: keras.metrics.AUC(),
            lambda: keras.optimizers.get("adam"), lambda: keras.losses.get("mse"),
            lambda: keras.ops.softmax([1.0, 2.0]), lambda: tw.linalg.qr(tw.eye(2)),
            lambda: keras.Sequential(), lambda: keras.callbacks.EarlyStopping(),
            lambda: keras.saving.load_model, lambda: keras.utils.plot_model,
            lambda: keras.initializers.get("zeros"), lambda: tw.random.normal((2,)),
        ]
        gate, failures = threading.Barrier(len(uses)), []

        def run(use):
            gate.wait()
            try:
                use()
            except BaseException as error:
                failures.append(repr(error))

        threads = [threading.Thread(target=run, args=(use,)) for use in uses]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        found = failures
        """
    assert fresh(program)["found"] == []
