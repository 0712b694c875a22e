"""The stages of a Function for people: one static HTML page, numbered files, or standard error.

    page(stages, title, path)    text, graph, cost and parameters of each stage; what it changed
    dump(stages, folder)         00-trace.txt, 01-expanded.txt, ..., index.html
    observe(stages)              do so as options().show and .dump say
    graph_svg(function)          the drawing alone      (tools/drawing.py)
    report(function)             the cost as a table    (tools/costs.py)

A page needs nothing but itself: no network, no library. Without JavaScript it loses only the
highlighting of a value's definition and uses.
"""

import difflib
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

from thalweg.base.options import options
from thalweg.ir.function import Function
from thalweg.ir.node import type_text
from thalweg.ir.show import show
from thalweg.tools.costs import (
    NOMINAL,
    Breakdown,
    breakdown,
    count_ops,
    quantity,
    report,
    share,
    user_line_and_layer,
)
from thalweg.tools.drawing import graph_svg

__all__ = ["dump", "graph_svg", "observe", "page", "report"]

MOST_LINES = 3000
"""Of longer texts only so many lines are shown, and they are not aligned with one another."""

NEARBY = 3
"""Unchanged lines shown around a change."""

Stages = Mapping[str, Function]

# The page -----------------------------------------------------------------------------------------


def page(stages: Stages, title: str, path: str | os.PathLike | None = None) -> str:
    """One self-contained HTML page about stages in their order; also written to `path` if given."""
    functions = {name: stages[name] for name in stages}
    costs = {name: breakdown(function) for name, function in functions.items()}
    seconds = getattr(stages, "seconds", {})
    names = list(functions)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<header><h1>{escape(title)}</h1><p>{_signature(functions[names[0]])}</p></header>",
        _overview(functions, costs, seconds),
    ]
    for index, name in enumerate(names):
        if index:
            before = names[index - 1]
            parts.append(_difference(before, name, functions[before], functions[name]))
        is_open = index == len(names) - 1
        parts.append(_section(name, functions[name], costs[name], is_open))
    parts.append(f"<script>{_SCRIPT}</script></html>\n")
    text = "\n".join(parts)
    if path is not None:
        write_whole(Path(path), text)
    return text


def _signature(function: Function) -> str:
    inputs = ", ".join(
        f"{name}: {type}"
        for name, type in zip(function.parameter_names, function.parameter_types, strict=True)
    )
    results = ", ".join(map(str, function.result_types))
    text = f"{function.name}({inputs}) -> {results}"
    short = text if len(text) <= 400 else f"{text[:400]} ..."
    return f"<code>{escape(short)}</code>"


def _overview(
    functions: Stages, costs: Mapping[str, Breakdown], seconds: Mapping[str, float]
) -> str:
    rows = []
    for name, function in functions.items():
        counts = count_ops(function)
        total = costs[name].total
        taken = f"{1e3 * seconds[name]:.1f} ms" if name in seconds else ""
        rows.append(
            f'<tr><td><a href="#stage-{name}">{escape(name)}</a><td>{sum(counts.values()):,}'
            f"<td>{len(counts)}<td>{escape(quantity(total.flops))}"
            f"<td>{escape(quantity(total.bytes_read, 'B'))}"
            f"<td>{escape(quantity(total.bytes_written, 'B'))}<td>{taken}"
        )
    head = "".join(
        f"<th>{column}"
        for column in ("stage", "nodes", "ops", "FLOP", "read", "written", "made in")
    )
    note = "Bytes are those that move if no two nodes are fused."
    return f"<table class=overview><tr>{head}{''.join(rows)}</table><p class=note>{note}</p>"


def _section(name: str, function: Function, costs: Breakdown, is_open: bool) -> str:
    nodes = sum(count_ops(function).values())
    opened = " open" if is_open else ""
    plural = "node" if nodes == 1 else "nodes"
    return "\n".join([
        f'<details class=stage id="stage-{name}"{opened}>',
        f"<summary><h2>{escape(name)}</h2> <span class=note>{nodes:,} {plural}</span></summary>",
        f"<div class=columns><div>{_counts(function)}</div><div>{_dearest(name, costs)}</div>"
        f"<div>{_parameters(function)}</div></div>",
        f"<details open><summary>text</summary>{_text(name, function)}</details>",
        f"<details><summary>graph</summary><div class=graph>"
        f'{graph_svg(function, f"{name}-0-")}</div></details>',
        "</details>",
    ])  # fmt: skip


def _counts(function: Function) -> str:
    counts = count_ops(function)
    most = max(counts.values(), default=1)
    rows = "".join(
        f"<tr><td>{escape(op)}<td>{count:,}<td class=bar>"
        f'<i style="width:{max(round(100 * count / most), 1)}%"></i>'
        for op, count in counts.items()
    )
    return f"<h3>nodes by op</h3><div class=scroll><table>{rows}</table></div>"


def _dearest(stage: str, costs: Breakdown) -> str:
    total = costs.total
    rows = []
    for name, node, cost in costs.by_node[:8]:
        part = share(cost.flops, total.flops)
        link = f"#{stage}-0-{name.lstrip('%')}"
        rows.append(
            f'<tr><td><a href="{link}">{escape(name)}</a><td>{escape(node.op.name)}'
            f"<td>{escape(quantity(cost.flops))}<td>{escape(quantity(cost.bytes, 'B'))}"
            f'<td class=bar><i style="width:{100 * part:.0f}%"></i>'
            f"<td class=note>{escape(user_line_and_layer(node))}"
        )
    by_op = "".join(
        f"<tr><td>{escape(row.name)}<td>{row.count:,}<td>{escape(quantity(row.cost.flops))}"
        f"<td>{escape(quantity(row.cost.bytes, 'B'))}"
        for row in costs.by_op[:12]
    )
    sizes = ", ".join(f"{name} = {NOMINAL}" for name in costs.names)
    note = f"<p class=note>order and bars for {escape(sizes)}</p>" if sizes else ""
    return (
        "<h3>most expensive nodes</h3><div class=scroll><table><tr><th>node<th>op<th>FLOP"
        f"<th>bytes<th><th>line{''.join(rows)}</table>{note}</div>"
        "<details><summary>cost by op</summary><table><tr><th>op<th>nodes<th>FLOP<th>bytes"
        f"{by_op}</table></details>"
    )


def _parameters(function: Function) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{escape(str(type))}<td>{escape(quantity(type.bytes, 'B'))}"
        for name, type in zip(function.parameter_names, function.parameter_types, strict=True)
    )
    results = "".join(
        f"<tr><td>result {index}<td>{escape(type_text(type))}"
        f"<td>{escape(quantity(type.bytes, 'B'))}"
        for index, type in enumerate(function.result_types)
    )
    return f"<h3>parameters and results</h3><div class=scroll><table>{rows}{results}</table></div>"


# The text of a stage ------------------------------------------------------------------------------
#
# A line of text belongs to a scope: the Function itself is scope 0, each body that opens in the
# text gets the next number. `stage-scope-name` is the identity of a value throughout the page.

_WORD = re.compile(r"%[0-9]+(?:\.[0-9]+)?|[A-Za-z_][A-Za-z0-9_]*|\"(?:[^\"\\]|\\.)*\"|.", re.DOTALL)
_DEFINED = re.compile(r"(%[0-9]+): (.+?) = ")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text: the parts of it with the scope each belongs to, and the user's line."""

    parts: tuple[tuple[int, str], ...]
    note: str

    @property
    def text(self) -> str:
        return "".join(part for _, part in self.parts)


def lines_of(function: Function) -> list[Line]:
    """The text of a Function, line by line, each part in its scope."""
    found = []
    scopes = [0]
    count = 0
    plain = show(function).split("\n")
    noted = show(function, comments=True).split("\n")
    for index, (line, full) in enumerate(zip(plain, noted, strict=True)):
        parts: list[tuple[int, str]] = []
        if line.lstrip().startswith("}") and len(scopes) > 1:
            scopes.pop()
        if line.endswith("{") and index:
            opening = _header(line)
            count += 1
            parts.append((scopes[-1], line[:opening]))
            scopes.append(count)
            parts.append((count, line[opening:]))
        else:
            parts.append((scopes[-1], line))
        found.append(Line(tuple(parts), full[len(line) :].lstrip(" ;")))
    return found


def _header(line: str) -> int:
    """Where the header `name(parameters) {` of the body that a line opens begins."""
    depth = 0
    for index in range(len(line) - 1, -1, -1):
        depth += (line[index] == ")") - (line[index] == "(")
        if line[index] == "(" and not depth:
            while index and (line[index - 1].isalnum() or line[index - 1] == "_"):
                index -= 1
            return index
    return 0


def _text(stage: str, function: Function) -> str:
    lines = lines_of(function)
    known = _names(lines)
    rows = []
    for number, line in enumerate(lines[:MOST_LINES]):
        code = "".join(_marked(stage, scope, part, known) for scope, part in line.parts)
        wide = "<td>" if number else "<td colspan=2>"
        note = f"<td>{escape(line.note)}" if number else ""
        rows.append(f"<tr><td>{number + 1}{wide}{code}{note}")
    if len(lines) > MOST_LINES:
        rows.append(f"<tr><td><td>and {len(lines) - MOST_LINES:,} more lines")
    columns = "<col class=number><col><col class=origin>"
    return f"<div class=code><table class=lines>{columns}{''.join(rows)}</table></div>"


def _names(lines: Sequence[Line]) -> dict[int, set[str]]:
    """The names of parameters in each scope."""
    known: dict[int, set[str]] = {}
    for index, line in enumerate(lines):
        scope, part = line.parts[-1]
        if index == 0 or len(line.parts) == 2:
            known[scope] = set(re.findall(r"([A-Za-z_][A-Za-z0-9_]*): ", part))
    return known


def _marked(stage: str, scope: int, part: str, known: Mapping[int, set[str]]) -> str:
    """A part of a line as HTML: values linked to their definitions, ops and types set apart."""
    parameters = known.get(scope, set())
    definition = _DEFINED.match(part.lstrip())
    defined = definition.group(1) if definition else None
    words = _WORD.findall(part)
    marked = []
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("%") and len(word) > 1:
            base = word.split(".")[0]
            identity = f"{stage}-{scope}-{base[1:]}"
            if word == defined:
                defined = None
                marked.append(f'<a class=v id="{identity}" data-v="{identity}">{word}</a>')
            else:
                marked.append(f'<a class=v href="#{identity}" data-v="{identity}">{word}</a>')
        elif word in parameters and following != "(" and not _is_attribute(words, index):
            identity = f"{stage}-{scope}-{word}"
            is_header = following == ":"
            place = f'id="{identity}"' if is_header else f'href="#{identity}"'
            marked.append(f'<a class="v p" {place} data-v="{identity}">{word}</a>')
        elif following == "(" and word[0].isalpha():
            marked.append(f"<b>{escape(word)}</b>")
        else:
            marked.append(escape(word, quote=False))
    return "".join(marked)


def _is_attribute(words: Sequence[str], index: int) -> bool:
    """True for a name that is no value: an attribute's name, or a size inside of a type."""
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    if after == "=":
        return True
    for word in reversed(words[:index]):
        if word == "[":
            return True
        if word in "](":
            break
    return before in ("=", "+", "-", "*", "/")


# What a stage changed -----------------------------------------------------------------------------


def _difference(before: str, after: str, old: Function, new: Function) -> str:
    title = f"<h2>{escape(before)} &rarr; {escape(after)}</h2>"
    if old == new:
        return f"<div class=diff>{title} <span class=note>no change</span></div>"
    left, right = show(old).split("\n"), show(new).split("\n")
    if max(len(left), len(right)) > MOST_LINES:
        note = f"{len(left):,} and {len(right):,} lines: too long to be aligned"
        return f"<div class=diff>{title} <span class=note>{note}</span></div>"
    rows = list(aligned(left, right))
    gone = sum(kind in ("-", "!") for kind, _, _ in rows)
    come = sum(kind in ("+", "!") for kind, _, _ in rows)
    note = f"&minus;{gone} +{come} lines; numbers of values are not compared"
    body = "".join(_diff_rows(rows))
    return (
        f"<details class=diff><summary>{title} <span class=note>{note}</span></summary>"
        f"<div class=code><table class=pair>{body}</table></div></details>"
    )


_NUMBERED = re.compile(r"%[0-9]+")


def aligned(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Pairs of lines: kind, old, new. Kinds: "=" alike but for numbers, "!" changed, "-", "+"."""
    left = [_NUMBERED.sub("%", line) for line in old]
    right = [_NUMBERED.sub("%", line) for line in new]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            yield from (("=", a, b) for a, b in zip(old[i:j], new[k:m], strict=True))
            continue
        yield from _changed(old[i:j], new[k:m])


_OP = re.compile(r" = ([A-Za-z_0-9]+)\(")


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Pairs within a stretch of changes: lines with the same op stand side by side."""
    ops = [[match.group(1) if (match := _OP.search(line)) else line for line in lines]
           for lines in (old, new)]  # fmt: skip
    matcher = difflib.SequenceMatcher(None, ops[0], ops[1], autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            yield from (("!", a, b) for a, b in zip(old[i:j], new[k:m], strict=True))
            continue
        yield from (("-", a, "") for a in old[i:j])
        yield from (("+", "", b) for b in new[k:m])


def _diff_rows(rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    changed = [index for index, (kind, _, _) in enumerate(rows) if kind != "="]
    shown = {
        near
        for index in changed
        for near in range(max(index - NEARBY, 0), min(index + NEARBY + 1, len(rows)))
    }
    hidden = 0
    for index, (kind, a, b) in enumerate(rows):
        if index not in shown:
            hidden += 1
            continue
        if hidden:
            yield _hidden(hidden)
            hidden = 0
        if kind == "!":
            a, b = _changed_words(a, b)
        else:
            a, b = escape(a), escape(b)
        name = {"=": "same", "!": "both", "-": "gone", "+": "come"}[kind]
        yield f"<tr class={name}><td>{a}<td>{b}"
    if hidden:
        yield _hidden(hidden)


def _hidden(count: int) -> str:
    plural = "line" if count == 1 else "lines"
    return f"<tr class=hidden><td colspan=2>{count} {plural} unchanged"


def _changed_words(a: str, b: str) -> tuple[str, str]:
    """Both lines as HTML with the words marked in which they differ."""
    left, right = _WORD.findall(a), _WORD.findall(b)
    # Numbers differ everywhere once a line is gone; they tell nothing.
    keys = [["%" if word.startswith("%") else word for word in words] for words in (left, right)]
    matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
    found: tuple[list[str], list[str]] = ([], [])
    for kind, i, j, k, m in matcher.get_opcodes():
        for out, words in ((found[0], left[i:j]), (found[1], right[k:m])):
            text = escape("".join(words))
            out.append(text if kind == "equal" or not text else f"<mark>{text}</mark>")
    return "".join(found[0]), "".join(found[1])


# Files --------------------------------------------------------------------------------------------


def dump(stages: Stages, folder: str | os.PathLike) -> Path:
    """Write the text of every stage, 00-trace.txt and so on, and index.html; gives back the folder.

    Each file appears whole or not at all. Texts hold comments and can be parsed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(stages):
        text = show(stages[name], comments=True)
        write_whole(folder / f"{index:02}-{name}.txt", f"{text}\n")
    title = stages[next(iter(stages))].name
    page(stages, title, folder / "index.html")
    return folder


def write_whole(path: Path, text: str) -> None:
    """Write a file under another name and rename it: a crash leaves the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


# Watching -----------------------------------------------------------------------------------------

_serial = itertools.count()


def observe(stages: Stages) -> None:
    """Print and dump the stages of one Function as the options say.

    `THALWEG_SHOW=trace,simplified` prints these stages to standard error when a function is first
    run; `THALWEG_DUMP=folder` writes each function's files into a folder of its own below that.
    """
    wanted, folder = options().show, options().dump
    if not wanted and not folder:
        return
    name = stages[next(iter(stages))].name
    for stage in wanted:
        if stage in list(stages):
            text = show(stages[stage], comments=True)
            print(f"; {name}: {stage}\n{text}\n", file=sys.stderr)
        else:
            known = ", ".join(stages)
            print(f"; {name} has no stage {stage!r}; there are: {known}\n", file=sys.stderr)
    if folder:
        dump(stages, Path(folder) / f"{next(_serial):03}-{name}")


# What makes it look well --------------------------------------------------------------------------

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2433;--soft:#68728a;--paper:#fbfbfd;--card:#fff;
--rim:#dfe3ea;--link:#2563c9;--op:#7b3fb8;--hot:#fff0b8;--hot-rim:#d9a400;--bar:#9cc3f5;
--gone:#ffe9e9;--come:#e4f7e9;--gone-mark:#ffc4c4;--come-mark:#b5e8c3}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8f0;--soft:#939db2;--paper:#14171d;
--card:#1b2029;--rim:#323a48;--link:#7fb2ff;--op:#cf9bff;--hot:#4a3f14;--hot-rim:#c79a1c;
--bar:#2f5f9c;--gone:#3a2023;--come:#18321f;--gone-mark:#6d3036;--come-mark:#2a6239}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem;max-width:1500px;
color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0}h2{display:inline;font-size:1.1rem}
h3{font-size:.85rem;margin:.6rem 0 .3rem;color:var(--soft);font-weight:600}
code,.code,td,svg{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
header code{font-size:.85rem;color:var(--soft);overflow-wrap:anywhere}
.note{color:var(--soft);font-size:.85rem;font-weight:400}
table{border-collapse:collapse;font-size:.82rem}
th{font-weight:600;text-align:left;color:var(--soft);padding:.1rem .8rem .1rem 0}
td{padding:.1rem .8rem .1rem 0;vertical-align:top;white-space:nowrap}
.overview{margin-top:1rem}.overview td{padding-right:2rem}.overview th{padding-right:2rem}
details.stage,.diff{background:var(--card);border:1px solid var(--rim);border-radius:8px;
padding:.6rem 1rem;margin:.8rem 0}
.diff{border-style:dashed;background:none}
summary{cursor:pointer}details details{margin-top:.6rem}
.columns{display:flex;flex-wrap:wrap;gap:.5rem 3rem}.scroll{max-height:15rem;overflow:hidden auto;
scrollbar-gutter:stable}
.bar{width:7rem;min-width:7rem}.bar i{display:block;height:.7rem;margin-top:.28rem;
background:var(--bar);border-radius:2px}
.code{overflow:auto;max-height:40rem;border:1px solid var(--rim);border-radius:6px;
padding:.4rem .6rem;margin-top:.4rem}
.code table{font-size:.8rem;width:100%}.code td{white-space:pre}
.code td:first-child{color:var(--soft);text-align:right;user-select:none}
.code td:nth-child(3){color:var(--soft)}
table.lines{table-layout:fixed;min-width:60rem}.lines td{white-space:pre-wrap;
overflow-wrap:anywhere}.number{width:4.5em}.origin{width:26em}
.lines td:nth-child(2){padding-left:6ch;text-indent:-6ch}
.code b{color:var(--op);font-weight:500}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
.v{color:inherit;border-radius:3px;padding:0 1px}.v.p{color:var(--link)}
.hot{background:var(--hot)}.v.hot[id],.v:target{outline:1px solid var(--hot-rim)}
.graph{overflow:auto;max-height:50rem;margin-top:.4rem}
table.pair{table-layout:fixed}.pair td,.pair td:first-child{white-space:pre-wrap;text-align:left;
color:inherit;user-select:auto;overflow-wrap:anywhere;width:50%;padding:.05rem .5rem}
.gone td:first-child,.both td:first-child{background:var(--gone)}
.come td:last-child,.both td:last-child{background:var(--come)}
.both td:first-child mark{background:var(--gone-mark);color:inherit}
.both td:last-child mark{background:var(--come-mark);color:inherit}
.same td,.pair .same td:first-child{color:var(--soft)}
.pair .hidden td{color:var(--soft);text-align:center;font-style:italic}
"""

_SCRIPT = """
let kept = null;
const light = v => {
  document.querySelectorAll('.hot').forEach(e => e.classList.remove('hot'));
  if (v) document.querySelectorAll(`[data-v="${CSS.escape(v)}"]`)
    .forEach(e => e.classList.add('hot'));
};
const value = e => e.target.closest ? e.target.closest('[data-v]') : null;
document.addEventListener('mouseover', e => { const v = value(e); light(v ? v.dataset.v : kept); });
document.addEventListener('click', e => {
  const v = value(e);
  kept = v ? v.dataset.v : null;
  light(kept);
});
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let e = target; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
  if (target) target.scrollIntoView({block: 'center'});
};
window.addEventListener('hashchange', reveal);
reveal();
"""
