"""Pages, drawings, cost reports and dumps: complete, self-contained, well formed, and in step."""

import re
import xml.etree.ElementTree as ElementTree
from html import unescape
from html.parser import HTMLParser

import pytest

import thalweg as tw
from thalweg.base.options import set_options
from thalweg.engine.compile import Stages
from thalweg.ir.function import build
from thalweg.ir.leaves import full, items
from thalweg.ir.parse import parse
from thalweg.ir.show import show
from thalweg.ir.types import float32, float64, tensor_type
from thalweg.ops.contract import dot
from thalweg.ops.control import scan
from thalweg.ops.elementwise import add, multiply, sin, tanh
from thalweg.ops.movement import transpose
from thalweg.ops.samples import a_type
from thalweg.tools import see
from thalweg.tools.costs import breakdown, quantity
from thalweg.tools.drawing import MOST_BOXES, draw_lines, draw_nodes, graph_svg
from thalweg.tools.programs import random_function
from thalweg.tools.see import aligned, dump, lines_of, page, report
from thalweg.transforms.gradient import vjp


def small():
    return build("small", [a_type("f32[3]")] * 2, lambda x, y: add(sin(x), multiply(x, y)))


def redundant():
    def body(x):
        return add(transpose(transpose(x, axes=(1, 0)), axes=(1, 0)), sin(x)), x

    return build("redundant", [a_type("f64[2,3]")], body)


def looping():
    x, xs = a_type("f64[2]"), a_type("f64[4,2]")

    def step(weight, state, x):
        new = tanh(add(multiply(weight, state), x))
        return new, multiply(new, x)

    body = build("step", [x, x, x], step, ("weight", "state", "x"))
    attrs = {"body": body, "constants": 1, "carries": 1, "length": 4}
    return build("loop", [x, x, xs], lambda w, s, xs: items(scan(w, s, xs, **attrs)))


def long(count):
    # Of a size of its own: equal nodes are one node, which tells where it was first made.
    def body(x):
        for index in range(count):
            x = multiply(tanh(x), full(1 + index, float64, (61,)))
        return x

    return build("long", [a_type("f64[61]")], body)


class Reader(HTMLParser):
    """Collects identities, references and the text of the code cells of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.values, self.sources = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.values += [given["data-v"]] if "data-v" in given else []
        self.sources += [given[name] for name in ("src", "srcset", "action") if name in given]
        if tag in ("link", "iframe", "img", "object", "embed"):
            self.sources.append(tag)


PROGRAMS = {"small": small, "redundant": redundant, "looping": looping}


def code_of(text, stage):
    """The text of a stage as a reader sees it, without line numbers and notes."""
    start = text.index(f'id="stage-{stage}"')
    table = text[text.index("<div class=code>", start) : text.index("</div>", text.index(
        "<div class=code>", start))]  # fmt: skip
    rows = table.split("<tr>")[1:]
    cells = [re.split(r"<td[^>]*>", row)[2] for row in rows]
    return "\n".join(unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells)


# The page -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_page_needs_nothing_but_itself(name):
    text = page(Stages(PROGRAMS[name]()), "a title & more")
    found = Reader(text)
    assert not found.sources
    assert all(link.startswith("#") for link in found.links)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "@import" not in text and "url(" not in text
    assert "<title>a title &amp; more</title>" in text
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_link_of_a_page_has_a_place_and_every_place_is_one(name):
    found = Reader(page(Stages(PROGRAMS[name]()), name))
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert set(found.values) <= set(found.ids)
    assert found.values


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_page_shows_the_text_of_every_stage(name):
    stages = Stages(PROGRAMS[name]())
    text = page(stages, name)
    for stage in stages:
        assert code_of(text, stage) == show(stages[stage])


def test_a_value_is_linked_within_its_own_body():
    lines = lines_of(looping())
    scopes = {part.strip().split("(")[0]: scope for line in lines for scope, part in line.parts}
    assert scopes["loop"] == 0 and scopes["step"] == 1
    text = page({"trace": looping()}, "loop")
    found = Reader(text)
    # The state of the loop's body and of the function around it are two values.
    assert {"trace-0-x0", "trace-1-state", "trace-0-0", "trace-1-0"} <= set(found.ids)
    uses = found.values.count("trace-1-state")
    assert uses == 2


def test_a_page_shows_user_lines_and_times_and_counts(tmp_path):
    stages = Stages(redundant())
    text = page(stages, "t", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    assert "test_see.py:" in text
    assert text.count(" ms") == len(stages) - 1
    assert "most expensive nodes" in text and "parameters and results" in text


def test_a_page_of_random_programs_is_complete():
    for seed in range(12):
        stages = Stages(random_function(seed))
        text = page(stages, f"seed {seed}")
        found = Reader(text)
        assert {link[1:] for link in found.links} <= set(found.ids)
        for stage in stages:
            assert code_of(text, stage) == show(stages[stage])


def test_names_that_mean_something_in_html_are_plain_text():
    function = build("f", [a_type("f32[2]")], sin, ("x",))
    text = page({"<b>&": function}, "<script>alert(1)</script>")
    assert "<script>alert" not in text and "<b>&<" not in text


# What a stage changed -----------------------------------------------------------------------------


def test_lines_that_differ_in_numbers_alone_are_alike():
    old = ["f(x: f32[2]) {", "  %0: f32[2] = sin(x)", "  %1: f32[2] = cos(x)", "  return %1"]
    new = ["f(x: f32[2]) {", "  %0: f32[2] = cos(x)", "  return %0"]
    kinds = [kind for kind, _, _ in aligned(old, new)]
    assert kinds == ["=", "-", "=", "="]


def test_changed_lines_stand_beside_lines_of_the_same_op():
    old = ["  %0: f32[2] = negative(x)", "  %1: f32[2] = sum(%0, axes=(0,))"]
    new = ["  %0: f32[2] = sum(x, axes=(1,))"]
    assert list(aligned(old, new)) == [("-", old[0], ""), ("!", old[1], new[0])]


def test_a_page_shows_what_a_stage_changed():
    text = page(Stages(redundant()), "t")
    assert "trace &rarr; expanded" in text and "expanded &rarr; simplified" in text
    difference = text[text.index("expanded &rarr; simplified") :]
    difference = difference[: difference.index("</details>")]
    assert difference.count("<tr class=gone>") == 2 and "transpose" in difference


# Drawings -----------------------------------------------------------------------------------------


def check_layout(drawing):
    boxes = drawing.boxes
    for box in boxes:
        assert box.x >= -1e-6 and box.x + box.width <= drawing.width + 1e-6
        assert box.y >= -1e-6 and box.y + box.height <= drawing.height + 1e-6
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            apart = (
                one.x + one.width <= other.x + 1e-6
                or other.x + other.width <= one.x + 1e-6
                or one.y + one.height <= other.y + 1e-6
                or other.y + other.height <= one.y + 1e-6
            )
            assert apart, (one.lines, other.lines)
    for box in boxes:
        for inner in box.inner:
            check_layout(inner)


@pytest.mark.parametrize("name", PROGRAMS)
def test_boxes_do_not_overlap_and_edges_go_down(name):
    drawing = draw_nodes(vjp(PROGRAMS[name]()))
    check_layout(drawing)
    assert all(source.y + source.height <= target.y for source, target in drawing.edges)


def test_random_drawings_are_well_formed():
    for seed in range(25):
        function = random_function(seed, 20)
        check_layout(draw_nodes(function))
        ElementTree.fromstring(graph_svg(function, "here-"))


def test_a_drawing_marks_parameters_and_results_and_says_op_type_and_line():
    root = ElementTree.fromstring(graph_svg(small()))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"x0", "%0 sin", "%1 multiply", "%2 add", "f32[3]", "result"} <= set(texts)
    assert any("test_see.py:" in text for text in texts)
    kinds = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}g")]
    assert kinds.count("parameter") == 2 and kinds.count("op result") == 1


def test_the_body_of_a_loop_is_drawn_inside_of_it():
    drawing = draw_nodes(looping())
    (loop,) = [box for box in drawing.boxes if box.kind == "loop"]
    (inner,) = loop.inner
    assert inner.width <= loop.width and inner.height <= loop.height
    assert any(line.endswith("tanh") for box in inner.boxes for line in box.lines[:1])


def test_a_number_stands_inside_the_box_that_reads_it():
    function = build("f", [a_type("f32[2]")], lambda x: multiply(x, full(2.5, float32, (2,))))
    lines = [box.lines[0] for box in draw_nodes(function).boxes]
    assert lines == ["x0", "%1 multiply 2.5"]


def test_large_graphs_are_drawn_by_line():
    function = long(MOST_BOXES)
    drawing = draw_lines(function)
    lines = [box.lines for box in drawing.boxes]
    assert ["parameters", "1 node", ""] in lines
    assert any(f"{2 * MOST_BOXES} nodes" in each for each in lines)
    svg = graph_svg(function)
    assert "test_see.py:" in svg and svg.count("<rect") == len(lines)
    # The backward pass is of the same lines, told apart by what made it.
    backward = {tuple(box.lines[:2]) for box in draw_lines(vjp(function)).boxes}
    assert any("gradient" in each for each in backward)


# Cost ---------------------------------------------------------------------------------------------


def test_a_report_adds_up():
    x, w = a_type("f32[8,16]"), a_type("f32[16,4]")
    function = build("f", [x, w], lambda x, w: tanh(dot(x, w, contract=((1,), (0,)))))
    found = breakdown(function)
    assert found.total.flops == sum(row.cost.flops for row in found.by_op)
    assert found.total.bytes == sum(cost.bytes for _, _, cost in found.by_node)
    assert found.by_op[0].name == "dot" and found.by_op[0].cost.flops == 2 * 8 * 16 * 4
    text = report(function)
    assert text.startswith("f: ") and "1.02 k" in text and "test_see.py:" in text
    assert text.index("dot") < text.index("tanh")


def test_a_report_of_named_sizes_is_a_formula():
    function = tw.function(lambda x: tw.sin(x) * x, shapes={"x": ("b", 3)})
    function(tw.ones((2, 3)))
    text = report(function.stages["simplified"])
    assert "*b" in text and "shares for b = 32" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12345, "12.3 kB"), (10**9, "1 GB")],
)
def test_quantities_read_well(value, text):
    assert quantity(value, "B") == text


# Files --------------------------------------------------------------------------------------------


def test_a_dump_can_be_parsed_and_leaves_nothing_else(tmp_path):
    stages = Stages(looping())
    folder = dump(stages, tmp_path / "inner")
    names = sorted(each.name for each in folder.iterdir())
    assert names[:2] == ["00-trace.txt", "01-expanded.txt"]
    assert names == [*(f"{i:02}-{stage}.txt" for i, stage in enumerate(stages)), "index.html"]
    for name, stage in zip(names, stages, strict=False):
        assert parse((folder / name).read_text(encoding="utf-8")) == stages[stage]
    assert "test_see.py:" in (folder / names[0]).read_text(encoding="utf-8")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    see.write_whole(path, "old")

    def full_disk(descriptor):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(see.os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        see.write_whole(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


# Observing ----------------------------------------------------------------------------------------


@pytest.fixture
def watched():
    """The options as they were afterwards."""
    former = set_options()
    yield
    set_options(show=former.show, dump=former.dump)


def test_stages_are_printed_once_when_a_function_is_first_run(watched, capsys):
    set_options(show=("trace", "polished"))

    @tw.function
    def doubled(x):
        return x + x

    doubled(tw.ones((2,)))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "; doubled: trace\ndoubled(x: f32[2]) {" in printed.err
    assert "doubled has no stage 'polished'; there are: trace, expanded, " in printed.err
    doubled(tw.ones((2,)))
    assert doubled.show("simplified")
    assert capsys.readouterr().err == ""


def test_each_traced_function_is_dumped_into_a_folder_of_its_own(watched, tmp_path):
    set_options(dump=str(tmp_path))

    @tw.function
    def tripled(x):
        return x * 3.0

    tripled(tw.ones((2,)))
    tripled(tw.ones((5,)))
    folders = sorted(each.name for each in tmp_path.iterdir())
    assert [name[3:] for name in folders] == ["-tripled", "-tripled"]
    for name in folders:
        assert (tmp_path / name / "index.html").exists()


def test_nothing_is_computed_for_observers_that_want_nothing(watched):
    set_options(show=(), dump="")
    stages = Stages(small())
    assert stages["trace"] == small()
    assert set(stages._made) == {"trace"}


def test_types_of_a_large_shape_do_not_break_the_table():
    function = build("f", [tensor_type(float32, (1000, 1000, 1000))], sin)
    assert "4 GB" in page({"trace": function}, "large")
