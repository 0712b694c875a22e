"""Kernels for other machines than the one at hand: which there are, their code, their results."""

from dataclasses import replace

import pytest

import thalweg as tw
from thalweg.backends.llvm import jit
from thalweg.backends.llvm.targets import host, names, target
from thalweg.base.errors import ArgumentError
from thalweg.tools.cli import main

OTHERS = [name for name in names() if target(name).missing]
"""Targets whose code cannot run here."""


def test_the_host_is_the_first_and_runs_here():
    assert names()[0] == "host" and target("host") is host() and not host().missing
    assert {"x86-64", "x86-64-v3", "aarch64", "wasm32"} <= set(names())


def test_a_target_says_what_keeps_it_from_running_here():
    here = host()
    strange = "riscv64" if here.architecture != "riscv64" else "x86_64"
    assert here.architecture in replace(here, triple=f"{strange}-unknown-linux-gnu").missing
    assert replace(here, features=f"{here.features},+teleport").missing == "teleport"


def test_an_unknown_target_is_refused_with_what_there_is():
    with pytest.raises(ArgumentError, match=r"one of host, .*wasm32(.|\n)*Did you mean 'aarch64'"):
        target("arch64")


@pytest.mark.parametrize("name", OTHERS)
def test_code_for_another_machine_is_not_run(name):
    with pytest.raises(ArgumentError, match=f"not {name}"):
        jit.load("f", "define void @f() {\n  ret void\n}\n", target(name))


def test_a_function_shows_its_kernels_for_any_target():
    traced = tw.function(lambda x, w: tw.tanh(x @ w))
    traced(tw.ones((8, 32)), tw.ones((32, 64)))
    texts = {name: traced.show("assembly", target=name) for name in names()}
    assert texts["host"] == traced.show("assembly")
    assert len(set(texts.values())) >= len(texts) - 1, "the host may be one of the others"
    assert "fmla\tv" in texts["aarch64"] and "f32x4.mul" in texts["wasm32"]
    assert "vfmadd" in texts["x86-64-v3"] and "ymm" in texts["x86-64-v3"]
    assert "xmm" in texts["x86-64"] and "ymm" not in texts["x86-64"]
    assert "<4 x float>" in traced.show("llvm", target="aarch64")


def test_a_stage_that_is_for_no_target_refuses_one():
    traced = tw.function(lambda x: x + 1)
    traced(tw.ones((3,)))
    with pytest.raises(ArgumentError, match=r"loops, scheduled, llvm, assembly(.|\n)*'trace'"):
        traced.show("trace", target="aarch64")
    with pytest.raises(ArgumentError, match="one of host"):
        traced.show("assembly", target="pdp11")


def test_the_command_lists_the_targets(capsys):
    assert main(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == names()
    assert lines[2].endswith("yes") and all("no: " in line for line in lines if line.startswith(
        tuple(OTHERS)))  # fmt: skip
