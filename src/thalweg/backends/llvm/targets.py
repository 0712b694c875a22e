"""What kernels are compiled for: the CPU at hand, or another one by its name.

A target is all that the emitter and the schedules know of a machine, so whatever they do for one
they do for each of them. Kernels for another CPU can be read and kept, not run; of the CPUs of this
machine's own kind, those can be run that ask for nothing it does not have.
"""

import functools
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from thalweg.backends.llvm.door import llvm
from thalweg.base.errors import ArgumentError, explain

HOST = "host"


@dataclass(frozen=True, slots=True)
class Target:
    """A machine: its name here, how LLVM calls it, and what is asked when code is written.

    `vector_bits` are those of a vector register, of which there are `registers`; `pointer_bits`
    those of each address in a kernel's table. `has_fma`: it multiplies and adds, rounding once.
    `has_half`: it converts to and from float16; elsewhere LLVM calls functions that no library at
    hand has.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    registers: int
    pointer_bits: int = 64
    has_fma: bool = True
    has_half: bool = True

    def lanes(self, bits: int) -> int:
        """How many elements of so many bits fit a vector register."""
        return max(1, self.vector_bits // bits)

    @property
    def architecture(self) -> str:
        """The kind of CPU: x86_64, aarch64, wasm32, ..."""
        return _architecture(self.triple)

    @property
    def missing(self) -> str:
        """What keeps its code from running on this machine; empty where nothing does."""
        here = host()
        if self.architecture != here.architecture:
            return f"this machine is {here.architecture}"
        has = set(here.features.split(","))
        wanted = [each for each in self.features.split(",") if each.startswith("+")]
        return ", ".join(each[1:] for each in wanted if each not in has)


SSE2 = "+cx8,+fxsr,+mmx,+sse,+sse2"
AVX2 = (
    f"{SSE2},+cx16,+sahf,+popcnt,+sse3,+sse4.1,+sse4.2,+ssse3,"
    "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
)
AVX512 = f"{AVX2},+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl"
NAMED: dict[str, dict[str, Any]] = {
    "x86-64": {"architecture": "x86_64", "features": SSE2, "vector_bits": 128, "registers": 16,
               "has_fma": False, "has_half": False},
    "x86-64-v3": {"architecture": "x86_64", "features": AVX2, "vector_bits": 256, "registers": 16},
    "x86-64-v4": {"architecture": "x86_64", "features": AVX512, "vector_bits": 512,
                  "registers": 32},
    "aarch64": {"architecture": "aarch64", "features": "+neon,+fp-armv8", "vector_bits": 128,
                "registers": 32},
    "wasm32": {"architecture": "wasm32",
               "features": "+bulk-memory,+bulk-memory-opt,+mutable-globals,+nontrapping-fptoint,"
                           "+sign-ext,+simd128",
               "vector_bits": 128, "registers": 16, "pointer_bits": 32, "has_fma": False,
               "has_half": False},
}  # fmt: skip
"""The levels of x86-64 that its psABI defines, the baseline of 64-bit ARM, and WebAssembly with
its fixed vectors, of which engines keep as many in registers as their own CPU has, 16 at least."""


@functools.cache
def host() -> Target:
    """The CPU at hand."""
    llvm().initialize_native_target()
    llvm().initialize_native_asmprinter()
    found = llvm().get_host_cpu_features()
    if found.get("avx512f") and found.get("avx512bw") and found.get("avx512vl"):
        bits, registers = 512, 32
    elif found.get("avx2"):
        bits, registers = 256, 16
    else:
        bits, registers = 128, 32 if found.get("neon") else 16
    return Target(
        HOST, llvm().get_default_triple(), llvm().get_host_cpu_name(), found.flatten(), bits,
        registers,
        # Named on x86 alone; others have both from the start.
        has_fma=found.get("fma", True), has_half=found.get("f16c", True),
    )  # fmt: skip


def target(name: str) -> Target:
    """A target by its name: "host", or one of `names()`. Raises ArgumentError for any other."""
    if name == HOST:
        return host()
    if name not in NAMED:
        close = get_close_matches(str(name), names(), 1)
        do = f"Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(explain("target", f"one of {', '.join(names())}", repr(name), do))
    facts = NAMED[name].copy()
    architecture = facts.pop("architecture")
    triple = host().triple
    if _architecture(triple) != architecture:
        system = "unknown" if architecture == "wasm32" else "linux-gnu"
        triple = f"{architecture}-unknown-{system}"
    cpu = name if architecture == "x86_64" else "generic"
    return Target(name, triple, cpu, **facts)


def names() -> list[str]:
    """The names of all targets, that of the CPU at hand first."""
    return [HOST, *NAMED]


def _architecture(triple: str) -> str:
    first = triple.split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(first, first)


@functools.cache
def machine_of(target: Target) -> Any:
    """LLVM's target machine."""
    is_here = target.architecture == host().architecture
    if not is_here:
        llvm().initialize_all_targets()
        llvm().initialize_all_asmprinters()
    return (
        llvm()
        .Target.from_triple(target.triple)
        .create_target_machine(
            cpu=target.cpu,
            features=target.features,
            opt=3,
            # One module of WebAssembly has nothing to be independent of.
            reloc="static" if target.architecture == "wasm32" else "pic",
            codemodel="jitdefault" if is_here else "default",
            jit=is_here,
        )
    )
