"""The command line.

thalweg cache           where compiled code is kept, how many entries there are, and their bytes
thalweg cache list      each entry: its bytes and its key
thalweg cache clear     remove them all
thalweg targets         what kernels can be compiled for, and which of it runs here
"""

import argparse
import sys
from collections.abc import Sequence

from thalweg.backends.llvm import jit, targets
from thalweg.base.errors import ThalwegError
from thalweg.tools.costs import columns


def summary() -> str:
    """The cache in one line."""
    folder = jit.cache_folder()
    if folder is None:
        return "Compiled code is not kept on disk."
    found = jit.entries()
    return f"{folder}: {_count(len(found))}, {sum(size for _, size in found)} bytes"


def listing() -> str:
    """A line for each entry."""
    return "\n".join(f"{size:>10}  {key}" for key, size in jit.entries())


def cleared() -> str:
    """Remove every entry; says how many there were."""
    return f"Removed {_count(jit.clear())}."


ACTIONS = {"": summary, "list": listing, "clear": cleared}


def targets_listed() -> str:
    """A line for each target: its name, CPU, vectors, and what keeps it from running here."""
    rows = [("name", "CPU", "vectors", "registers", "runs here")]
    for name in targets.names():
        each = targets.target(name)
        runs = f"no: {each.missing}" if each.missing else "yes"
        cpu = f"{each.architecture} {each.cpu}"
        rows.append((name, cpu, f"{each.vector_bits} bits", str(each.registers), runs))
    return "\n".join(columns(rows, "<<>><"))


def _count(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 1 where it could not be done, 2 for a wrong command."""
    parser = argparse.ArgumentParser(prog="thalweg", description="Tools of Thalweg.")
    commands = parser.add_subparsers(dest="command", required=True)
    cache = commands.add_parser("cache", help="compiled code that is kept on disk")
    cache.add_argument("action", nargs="?", choices=["list", "clear"], help="instead of a summary")
    commands.add_parser("targets", help="what kernels can be compiled for")
    options = parser.parse_args(arguments)
    try:
        is_cache = options.command == "cache"
        text = ACTIONS[options.action or ""]() if is_cache else targets_listed()
    except (ThalwegError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if text:
        print(text)
    return 0
