"""Solve a differential equation with `scan`, and learn its constants by differentiating through it.

    python examples/pendulum.py

A damped pendulum swings; from a noisy record of its angle we recover length and damping. The solver
is a fourth-order Runge-Kutta step inside `scan`; `value_and_grad` goes through all of its steps.
"""

import numpy as np

import thalweg as tw

GRAVITY = 9.81
STEP = 0.02
STEPS = 250


def slope(state, length, damping):
    """d/dt of (angle, speed)."""
    angle, speed = state
    return speed, -GRAVITY / length * tw.sin(angle) - damping * speed


def runge_kutta(state, length, damping):
    """The state one time step later, with an error of the order of STEP ** 5."""

    def ahead(by, slopes):
        return tuple(s + by * d for s, d in zip(state, slopes, strict=True))

    k1 = slope(state, length, damping)
    k2 = slope(ahead(STEP / 2, k1), length, damping)
    k3 = slope(ahead(STEP / 2, k2), length, damping)
    k4 = slope(ahead(STEP, k3), length, damping)
    total = (a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
    return ahead(STEP / 6, tuple(total))


def swing(length, damping):
    """The angle after each of STEPS time steps, started at 1 radian at rest: shape (STEPS,)."""

    def body(state, _):
        state = runge_kutta(state, length, damping)
        return state, state[0]

    start = tw.asarray(1.0, dtype="float64"), tw.asarray(0.0, dtype="float64")
    return tw.scan(body, start, length=STEPS)[1]


def misfit(constants, record):
    """The mean squared distance from a record, for the logarithms of length and damping."""
    return tw.mean((swing(*tw.exp(constants)) - record) ** 2)


@tw.function
def fit_step(constants, record):
    """One Gauss-Newton step: least squares on the linearised swing, at most a fifth at once."""

    def residual(constants):
        return swing(*tw.exp(constants)) - record

    slopes = tw.jacobian(residual, mode="forward")(constants)
    gradient = tw.grad(misfit)(constants, record) * (STEPS / 2)
    direction = tw.linalg.solve(slopes.T @ slopes, gradient)
    return constants - tw.clip(direction, -0.2, 0.2), misfit(constants, record)


def main():
    truth = np.array([0.7, 0.3])
    noise = 0.01 * np.random.default_rng(0).standard_normal(STEPS)
    record = tw.asarray(swing(*truth).numpy() + noise)
    constants = tw.asarray(np.log([1.0, 0.1]))
    for step in range(10):
        constants, error = fit_step(constants, record)
        length, damping = tw.exp(constants).tolist()
        print(f"step {step:2d}   misfit {float(error):.6f}   {length=:.4f}   {damping=:.4f}")
    print(f"true values:                    length={truth[0]:.4f}   damping={truth[1]:.4f}")
    return np.abs(np.array([length, damping]) - truth)


if __name__ == "__main__":
    main()
