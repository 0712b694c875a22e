"""Kernels for other machines, run all the same: WebAssembly by Node, AArch64 by QEMU.

    run(program, arrays)    the results of a Program for "wasm32" or "aarch64", kernel by kernel

Both take the object code as the compiler writes it. A module of WebAssembly needs its function
exported, which a linker would do; AArch64 needs a `main` around it. What a kernel is called with
goes there as one block of bytes, and its arrays come back as another.
"""

import atexit
import functools
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.program import Kernel, Program
from thalweg.backends.llvm.targets import Target
from thalweg.transforms.evaluate import bind_sizes, concrete, prepared

COMPILER = "aarch64-linux-gnu-gcc"
NEEDED = {"wasm32": ("node",), "aarch64": ("qemu-aarch64", COMPILER)}

# Both read from standard input, as int64: how many arrays, sizes, tasks, bytes of scratch; the
# bytes of each array; the sizes; then the arrays. Both write the arrays as they are at the end.
MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
void KERNEL(void**, int64_t*, int64_t, int64_t, int64_t);
static void take(void* to, size_t bytes) { if (fread(to, 1, bytes, stdin) != bytes) abort(); }
static void* room(int64_t bytes) {
  return (char*)aligned_alloc(64, (bytes + 191) / 64 * 64) + 64;
}
int main(void) {
  int64_t head[4];
  take(head, sizeof head);
  int64_t* lengths = calloc(head[0] + 1, 8);
  int64_t* sizes = calloc(head[1] + 1, 8);
  void** table = calloc(head[0] + 1, sizeof(void*));
  take(lengths, 8 * head[0]);
  take(sizes, 8 * head[1]);
  for (int64_t i = 0; i < head[0]; i++) take(table[i] = room(lengths[i]), lengths[i]);
  table[head[0]] = room(head[3]);
  KERNEL(table, sizes, 0, head[2], 0);
  for (int64_t i = 0; i < head[0]; i++) fwrite(table[i], 1, lengths[i], stdout);
  return 0;
}
"""

SCRIPT = """
const fs = require("fs");
const [file, name] = process.argv.slice(2);
const given = fs.readFileSync(0);
const number = (index) => Number(given.readBigInt64LE(8 * index));
const [arrays, sizes, tasks, scratch] = [0, 1, 2, 3].map(number);
let place = 1 << 20, at = 8 * (4 + arrays + sizes);
const room = (bytes) => { const here = place; place += Math.ceil((bytes + 64) / 64) * 64;
                          return here; };
const table = room(4 * (arrays + 1)), named = room(8 * (sizes + 1));
const places = [];
for (let i = 0; i < arrays; i++) places.push(room(number(4 + i)));
places.push(room(scratch));
const memory = new WebAssembly.Memory({ initial: (place >> 16) + 1 });
const view = new DataView(memory.buffer), bytes = new Uint8Array(memory.buffer);
places.forEach((each, i) => view.setUint32(table + 4 * i, each, true));
for (let i = 0; i < sizes; i++) view.setBigInt64(named + 8 * i, BigInt(number(4 + arrays + i)),
                                                 true);
for (let i = 0; i < arrays; i++) {
  bytes.set(given.subarray(at, at + number(4 + i)), places[i]);
  at += number(4 + i);
}
const library = { sin: Math.sin, cos: Math.cos, tan: Math.tan, fmod: (x, y) => x % y,
                  fmodf: (x, y) => x % y };
const env = { ...library, __linear_memory: memory,
              __stack_pointer: new WebAssembly.Global({ value: "i32", mutable: true }, 1 << 20) };
const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), { env });
instance.exports[name](table, named, 0n, BigInt(tasks), 0n);
for (let i = 0; i < arrays; i++)
  for (let done = 0; done < number(4 + i);)
    done += fs.writeSync(1, bytes, places[i] + done, number(4 + i) - done);
"""


def lacking(name: str) -> str:
    """The programs that running code for a target needs and that are not there."""
    return ", ".join(each for each in NEEDED[name] if shutil.which(each) is None)


def run(program: Program, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a program for another machine."""
    sizes = bind_sizes(program.function, arrays)
    values = dict(enumerate(arrays))
    for step in program.steps:
        args = [np.ascontiguousarray(values[number]) for number in step.args]
        if step.kernel is None:
            found = prepared(step.node, sizes)(*args)
            found = found if isinstance(found, tuple) else (found,)
        else:
            found = _run_kernel(step.kernel, args, sizes)
        values |= zip(step.results, found, strict=True)
    return [values[number] for number in program.results]


def _run_kernel(kernel: Kernel, args: Sequence[np.ndarray], sizes: dict) -> list[np.ndarray]:
    outputs = [np.zeros(concrete(type.shape, sizes), type.dtype.numpy) for type in kernel.outputs]
    named = [concrete(size, sizes) for size in kernel.sizes]
    tasks, scratch = concrete(kernel.tasks, sizes), concrete(kernel.scratch, sizes)
    found = call(kernel.name, kernel.text, kernel.target, [*args, *outputs], named, tasks, scratch)
    return found[len(args) :]


def call(
    name: str,
    text: str,
    target: Target,
    arrays: Sequence[np.ndarray],
    sizes: Sequence[int] = (),
    tasks: int = 1,
    scratch: int = 0,
) -> list[np.ndarray]:
    """The arrays as a kernel, given as LLVM IR, leaves them."""
    head = [len(arrays), len(sizes), tasks, scratch, *(each.nbytes for each in arrays), *sizes]
    given = struct.pack(f"<{len(head)}q", *head) + b"".join(each.tobytes() for each in arrays)
    command = _command(name, text, target)
    done = subprocess.run(command, input=given, capture_output=True, timeout=300)
    if done.returncode or len(done.stdout) != sum(each.nbytes for each in arrays):
        raise RuntimeError(f"{name}: {done.stderr.decode()[-2000:]}")
    found, place = [], 0
    for array in arrays:
        data = np.frombuffer(done.stdout, array.dtype, array.size, place)
        found.append(data.reshape(array.shape))
        place += array.nbytes
    return found


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="emulation")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def _command(name: str, text: str, target: Target) -> list[str]:
    """What runs a kernel on an emulated machine."""
    handle, path = tempfile.mkstemp(dir=_folder())
    os.close(handle)
    compiled = jit.compile_object(text, target)
    if target.name == "wasm32":
        Path(path).write_bytes(exported(compiled, name))
        script = _folder() / "run.js"
        script.write_text(SCRIPT)
        return ["node", str(script), path, name]
    Path(f"{path}.o").write_bytes(compiled)
    Path(f"{path}.c").write_text(MAIN)
    command = [COMPILER, "-O1", "-static", f"-DKERNEL={name}", f"{path}.c", f"{path}.o", "-o", path]
    subprocess.run([*command, "-lm"], check=True, capture_output=True)
    return ["qemu-aarch64", path]


# WebAssembly --------------------------------------------------------------------------------------


def sections(module: bytes) -> list[tuple[int, bytes]]:
    """The numbers and contents of a module's sections."""
    assert module[:8] == b"\0asm\1\0\0\0"
    found, place = [], 8
    while place < len(module):
        kind = module[place]
        size, place = _number(module, place + 1)
        found.append((kind, module[place : place + size]))
        place += size
    return found


def exported(module: bytes, name: str) -> bytes:
    """A module as the compiler writes it, with a function of that name for others to call."""
    parts = sections(module)
    index = next(found[name] for kind, part in parts if kind == 0 and (found := _functions(part)))
    text = name.encode()
    export = b"\1" + _bytes(len(text)) + text + b"\0" + _bytes(index)
    # Before what starts, fills tables, counts data, and code.
    at = next(place for place, (kind, _) in enumerate(parts) if kind in (8, 9, 12, 10))
    parts.insert(at, (7, export))
    return module[:8] + b"".join(
        bytes([kind]) + _bytes(len(part)) + part for kind, part in parts
    )  # fmt: skip


def _functions(part: bytes) -> dict[str, int]:
    """The functions that a section `linking` names, by their numbers."""
    size, place = _number(part, 0)
    if part[place : place + size] != b"linking":
        return {}
    _, place = _number(part, place + size)
    found = {}
    while place < len(part):
        kind = part[place]
        size, place = _number(part, place + 1)
        end = place + size
        if kind == 8:  # the table of symbols
            count, place = _number(part, place)
            for _ in range(count):
                kind = part[place]
                flags, place = _number(part, place + 1)
                index, place = _number(part, place) if kind != 1 else (0, place)
                is_named = kind in (0, 2, 4, 5) and (not flags & 0x10 or flags & 0x40)
                text = ""
                if is_named or kind == 1:
                    length, place = _number(part, place)
                    text = part[place : place + length].decode()
                    place += length
                if kind == 0:
                    found[text] = index
                elif kind == 1 and not flags & 0x10:
                    for _ in range(3):
                        _, place = _number(part, place)
        place = end
    return found


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number in LEB128, and the place behind it."""
    value = shift = 0
    while True:
        value |= (data[place] & 127) << shift
        shift += 7
        place += 1
        if data[place - 1] < 128:
            return value, place


def _bytes(value: int) -> bytes:
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
