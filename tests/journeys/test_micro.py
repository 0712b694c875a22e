"""`examples/micro.py` keeps its promises: short, standalone, right, and it learns."""

import ast
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "micro.py"


def load_micro():
    """The example as a module; registered, because `dataclass` looks its module up."""
    spec = importlib.util.spec_from_file_location("thalweg_example_micro", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


micro = load_micro()


def declare(dtype="f64", **shapes):
    """One parameter for each keyword."""
    return [micro.parameter(name=k, type=micro.Type(v, dtype)) for k, v in shapes.items()]


def program():
    """A scalar through every differentiable op, its parameters and arrays away from the kink."""
    x, w, b = declare(x=(3, 2), w=(2, 4), b=(4,))
    z = micro.add(micro.matmul(x, w), micro.broadcast(b, size=3))
    h = micro.multiply(z, micro.greater(z, micro.like(z, 0)))
    y = micro.log(micro.add(micro.exp(micro.negative(h)), micro.like(h, 1)))
    square = micro.matmul(y, micro.transpose(y))
    random = np.random.default_rng(1)
    arrays = [random.normal(size=node.type.shape) for node in (x, w, b)]
    (values,) = micro.evaluate(micro.Function("z", (x, w, b), (z,)), *arrays)
    assert np.abs(values).min() > 1e-2
    return micro.sum(micro.sum(micro.multiply(square, square))), (x, w, b), arrays


def slope(function, arrays, directions, step=1e-5):
    """The first result's directional derivative, by central differences."""
    ahead = [a + step * d for a, d in zip(arrays, directions, strict=True)]
    behind = [a - step * d for a, d in zip(arrays, directions, strict=True)]
    return (micro.evaluate(function, *ahead)[0] - micro.evaluate(function, *behind)[0]) / (2 * step)


def along(nodes, directions):
    """The inner product of two lists of matrices and vectors, as a node."""
    total = None
    for node, direction in zip(nodes, directions, strict=True):
        product = micro.multiply(node, direction)
        while product.type.shape:
            product = micro.sum(product)
        total = product if total is None else micro.add(total, product)
    return total


def derivatives():
    """`(parameters, directions) -> first, second` directional derivative of the program."""
    loss, inputs, arrays = program()
    tangents = declare(dx=(3, 2), dw=(2, 4), db=(4,))
    first = along(micro.gradient(loss, *inputs), tangents)
    second = along(micro.gradient(first, *inputs), tangents)
    random = np.random.default_rng(2)
    directions = [random.normal(size=a.shape) for a in arrays]
    return loss, first, second, (*inputs, *tangents), arrays, directions


def test_the_file_is_short_and_stands_alone():
    source = PATH.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 300
    assert max(map(len, source.splitlines())) <= 100
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module.split(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"llvmlite", "numpy"}


def test_equal_nodes_are_one_object():
    (x,) = declare(x=(2,))
    assert micro.add(x, x) is micro.add(x, x)
    assert micro.like(x, 0.0) is micro.like(x, 0)
    assert micro.like(x, 0.0) is not micro.like(x, -0.0)
    assert micro.like(x, float("nan")) is micro.like(x, float("nan"))
    with pytest.raises(AttributeError):
        x.type = None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda x, m: micro.add(x, m),
            r"\[add\] wants equal types.\nReceived \[f64\[3\], f64\[2,4\]",
        ),
        (lambda x, m: micro.matmul(m, m), r"\[matmul\] wants \(i, j\) @ \(j, k\)"),
        (lambda x, m: micro.matmul(x, m), r"\[matmul\] wants"),
        (lambda x, m: micro.sum(micro.sum(x)), r"\[sum\] wants an axis to sum over"),
    ],
)
def test_infer_refuses(build, message):
    with pytest.raises(TypeError, match=message):
        build(*declare(x=(3,), m=(2, 4)))


def test_text():
    x, y = declare("f32", x=(2, 3), y=(2,))
    result = micro.multiply(
        micro.sum(micro.transpose(x)), micro.exp(micro.add(y, micro.like(y, 1)))
    )
    assert repr(micro.Function("f", (x, y), (result, y))) == (
        "f(x: f32[2,3], y: f32[2]) {\n"
        "  %0: f32[3,2] = transpose(x)\n"
        "  %1: f32[2] = sum(%0)\n"
        "  %2: f32[2] = add(y, 1.0)\n"
        "  %3: f32[2] = exp(%2)\n"
        "  %4: f32[2] = multiply(%1, %3)\n"
        "  return %4, y }"
    )


def test_deep_graphs_need_no_recursion():
    (x,) = declare(x=())
    y = x
    for _ in range(3_000):
        y = micro.negative(y)
    function = micro.Function("deep", (x,), (y, *micro.gradient(y, x)))
    assert micro.evaluate(function, np.float64(3)) == [3, 1]
    assert micro.rewrite(function, micro.RULES).results[0] is x


def test_first_derivative():
    loss, first, _, parameters, arrays, directions = derivatives()
    (got,) = micro.evaluate(micro.Function("f", parameters, (first,)), *arrays, *directions)
    function = micro.Function("f", parameters[:3], (loss,))
    np.testing.assert_allclose(got, slope(function, arrays, directions), rtol=1e-7)


def test_each_partial_derivative():
    loss, inputs, arrays = program()
    partials = micro.evaluate(micro.Function("g", inputs, micro.gradient(loss, *inputs)), *arrays)
    function = micro.Function("f", inputs, (loss,))
    for position, partial in enumerate(partials):
        assert partial.shape == arrays[position].shape
        for index in np.ndindex(partial.shape):
            directions = [np.zeros_like(array) for array in arrays]
            directions[position][index] = 1
            expected = slope(function, arrays, directions)
            np.testing.assert_allclose(partial[index], expected, rtol=1e-6, atol=1e-8)


def test_second_derivative():
    _, first, second, parameters, arrays, directions = derivatives()
    (got,) = micro.evaluate(micro.Function("f", parameters, (second,)), *arrays, *directions)
    still = [np.zeros_like(array) for array in directions]
    function = micro.Function("f", parameters, (first,))
    expected = slope(function, [*arrays, *directions], [*directions, *still])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_gradient_of_what_does_not_depend_is_zero():
    x, y = declare(x=(2,), y=(3,))
    (dy,) = micro.gradient(micro.sum(micro.exp(x)), y)
    assert dy is micro.like(y, 0)


def agree(rule, seed=3):
    """Whether both sides of a rule have one type and, save the sign of zero, the same values."""
    count = rule.__code__.co_argcount
    holes = declare(**{f"x{i}": (3, 3) for i in range(count)})
    left, right = rule(*holes)
    arrays = np.random.default_rng(seed).normal(size=(count, 3, 3))
    values = micro.evaluate(micro.Function("rule", tuple(holes), (left, right)), *arrays)
    return left.type == right.type and np.array_equal(*values)


@pytest.mark.parametrize("name", micro.RULES)
def test_each_rule_holds_and_fires(name):
    assert agree(micro.RULES[name])
    step = micro.network(rows=5, hidden=3, rate=0.5)
    fewer = {key: rule for key, rule in micro.RULES.items() if key != name}
    assert micro.rewrite(step, fewer) != micro.rewrite(step, micro.RULES)


@pytest.mark.parametrize(
    "canary",
    [
        lambda x, y: (micro.add(x, micro.negative(y)), micro.add(y, micro.negative(x))),
        lambda x, y: (micro.matmul(x, y), micro.matmul(y, x)),
        lambda x: (micro.exp(micro.negative(x)), micro.negative(micro.exp(x))),
    ],
)
def test_false_rules_are_found_out(canary):
    assert not agree(canary)


def test_a_repeated_hole_matches_one_node_only():
    rules = {"double": lambda x: (micro.add(x, x), micro.multiply(micro.like(x, 2), x))}
    x, y = declare(x=(2,), y=(2,))
    same, other = micro.add(x, x), micro.add(x, y)
    after = micro.rewrite(micro.Function("f", (x, y), (same, other)), rules)
    assert after.results == (micro.multiply(micro.like(x, 2), x), other)


def test_rewriting_keeps_values():
    loss, first, second, parameters, arrays, directions = derivatives()
    before = micro.Function("f", parameters, (loss, first, second))
    after = micro.rewrite(before, micro.RULES)
    assert after != before
    expected = micro.evaluate(before, *arrays, *directions)
    assert micro.evaluate(after, *arrays, *directions) == expected


def test_no_negative_is_left_in_the_backward_pass():
    step = micro.network(rows=5, hidden=3, rate=0.5)

    def negatives(function):
        return [x for x in micro.walk(function.results) if x.op is micro.negative]

    simplified = micro.rewrite(step, micro.RULES)
    assert len(negatives(step)) == 6
    # exp(-margin) in the forward pass, and the 1 / x = exp(-log x) of the gradient of log
    assert len(negatives(simplified)) == 2


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (37,), (4, 5)])
def test_kernel_equals_interpreter(dtype, shape):
    x, y = declare(dtype, x=shape, y=shape)
    exact = micro.multiply(micro.add(x, micro.like(x, 0.1)), micro.greater(x, micro.negative(y)))
    smooth = micro.log(micro.add(micro.exp(exact), micro.like(x, 1)))
    random = np.random.default_rng(4)
    arrays = [np.array(random.normal(size=shape), micro.DTYPES[dtype]) for _ in "xy"]
    arrays[1].flat[:1] = -arrays[0].flat[:1]  # a tie: not greater
    for result, rtol in ((exact, 0), (smooth, 1e-6 if dtype == "f32" else 1e-14)):
        body = micro.Function("body", (x, y), (result,))
        (expected,) = micro.evaluate(body, *arrays)
        got = micro.jit(body)(*arrays)
        assert got.dtype == micro.DTYPES[dtype]
        np.testing.assert_allclose(got, expected, rtol=rtol, strict=shape != ())


def test_emitted_text():
    (x,) = declare(x=(3,))
    body = micro.Function("body", (x,), (micro.exp(micro.multiply(x, micro.like(x, -2))),))
    assert micro.emit(body) == (
        "define void @kernel(ptr %x0s, ptr %out, i64 %size) {\n"
        "entry:\n"
        "  %some = icmp ne i64 %size, 0\n"
        "  br i1 %some, label %loop, label %done\n"
        "loop:\n"
        "  %i = phi i64 [0, %entry], [%next, %loop]\n"
        "  %x0p = getelementptr double, ptr %x0s, i64 %i\n"
        "  %x0 = load double, ptr %x0p\n"
        "  %y2 = fmul double %x0, 0xc000000000000000\n"
        "  %y3 = call double @llvm.exp.f64(double %y2)\n"
        "  %p = getelementptr double, ptr %out, i64 %i\n"
        "  store double %y3, ptr %p\n"
        "  %next = add i64 %i, 1\n"
        "  %more = icmp ult i64 %next, %size\n"
        "  br i1 %more, label %loop, label %done\n"
        "done:\n"
        "  ret void\n"
        "}"
    )


def test_kernel_takes_strided_inputs_and_refuses_wrong_shapes():
    x, y = declare(x=(3, 2), y=(3, 2))
    body = micro.Function("body", (x, y), (micro.add(x, y),))
    a, b = np.arange(6.0).reshape(2, 3).T, np.arange(12.0).reshape(3, 4)[:, ::2]
    np.testing.assert_array_equal(micro.jit(body)(a, b), a + b)
    with pytest.raises(ValueError, match="broadcast"):
        micro.jit(body)(a, b[:2])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_fused_step_equals_interpreter(dtype):
    step = micro.network(rows=7, hidden=5, rate=0.5, dtype=dtype)
    fused = micro.fuse(micro.rewrite(step, micro.RULES))
    ops = {node.op.name for node in micro.walk(fused.results)}
    assert ops == {"parameter", "constant", "matmul", "transpose", "broadcast", "sum", "kernel"}
    random = np.random.default_rng(5)
    arrays = [random.normal(size=x.type.shape).astype(micro.DTYPES[dtype]) for x in step.parameters]
    tolerance = 1e-5 if dtype == "f32" else 1e-13
    pairs = zip(micro.evaluate(fused, *arrays), micro.evaluate(step, *arrays), strict=True)
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def test_fusing_keeps_constants_inside_and_shared_values_whole():
    (x,) = declare(x=(4,))
    y = micro.exp(micro.add(x, micro.like(x, 1)))
    function = micro.Function("f", (x,), (micro.negative(y), micro.sum(y), micro.like(x, 1)))
    fused = micro.fuse(function)
    kernels = [node for node in micro.walk(fused.results) if node.op is micro.kernel]
    assert [len(node.args) for node in kernels] == [1, 1]
    array = np.linspace(-1, 1, 4)
    pairs = zip(micro.evaluate(fused, array), micro.evaluate(function, array), strict=True)
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_main_learns_and_shows_each_stage(capsys):
    loss = micro.main()
    printed = capsys.readouterr().out
    assert loss < 0.1
    assert printed.count("step(x: f32[128,2]") == 2
    assert "define void @kernel(" in printed
    assert "@llvm.exp.f32" in printed
