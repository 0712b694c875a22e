"""Find a minimum with second derivatives: Newton's method with a Hessian from the graph.

    python examples/minimum.py

Rosenbrock's function in ten dimensions has a long curved valley; its thalweg leads to (1, ..., 1),
where the value is 0. Gradient descent needs many thousands of steps; Newton's method, which divides
the gradient by the Hessian, about twenty.
"""

import thalweg as tw


def rosenbrock(x):
    """Sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2 for x of shape (n,)."""
    return tw.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@tw.function
def newton_step(x):
    """The next point, the value here, and the length of the gradient."""
    value, gradient = tw.value_and_grad(rosenbrock)(x)
    curvature = tw.hessian(rosenbrock)(x)
    direction = tw.linalg.solve(curvature, gradient)
    # Halve the step until the value falls: a loop whose number of rounds depends on data.
    rate = tw.while_loop(
        lambda rate: (rosenbrock(x - rate * direction) > value) & (rate > 1e-6),
        lambda rate: rate / 2,
        tw.asarray(1.0, dtype="float64"),
    )
    return x - rate * direction, value, tw.linalg.vector_norm(gradient)


def main(n=10, tolerance=1e-10):
    x = tw.zeros(n, dtype="float64")
    for step in range(60):
        x, value, slope = newton_step(x)
        print(f"step {step:2d}   value {float(value):.3e}   gradient {float(slope):.3e}")
        if float(slope) < tolerance:
            break
    error = float(tw.max(tw.abs(x - 1)))
    print(f"largest distance from (1, ..., 1): {error:.1e}")
    return step, error


if __name__ == "__main__":
    main()
