"""Where boxes stand in a drawing that flows in one direction, and how arrows go between them.

    ranks      a box stands below all that it follows; an arrow past ranks gets a place in each
    order      places of a rank are sorted by their neighbours' while fewer arrows cross
    columns    chains stand straight; columns move to what they are joined to as widths allow
    lanes      between two ranks, arrows that go sideways do so each at a height of its own

After K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System
Structures", 1981. Coordinates run across a rank (`x`) and along the flow (`y`), from 0 on.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

GAP_X, GAP_Y, LANE = 22.0, 26.0, 9.0
"""Between boxes of a rank, between ranks, and between sideways arrows."""

THIN = 10.0
"""The width that an arrow takes among boxes."""

SWEEPS = 12


@dataclass(eq=False)
class Place:
    """What stands in a rank: a box of a size, or an arrow that passes by (size 0)."""

    width: float
    height: float
    rank: int = 0
    x: float = 0.0
    y: float = 0.0
    above: list["Place"] = field(default_factory=list)
    below: list["Place"] = field(default_factory=list)

    @property
    def is_bend(self) -> bool:
        """True for an arrow that passes by."""
        return self.height == 0.0


@dataclass
class Layout:
    """Where each box stands, by its centre, and the corners of each arrow."""

    width: float
    height: float
    centres: list[tuple[float, float]]
    routes: list[list[tuple[float, float]]]


def laid_out(sizes: Sequence[tuple[float, float]], arrows: Sequence[tuple[int, int]]) -> Layout:
    """The layout of boxes of given widths and heights, numbered from 0 on, with arrows between."""
    boxes = [Place(width, height) for width, height in sizes]
    _set_ranks(boxes, arrows)
    chains = [_chain(boxes[start], boxes[end]) for start, end in arrows]
    ranks: list[list[Place]] = [[] for _ in range(max((b.rank for b in boxes), default=0) + 1)]
    for box in boxes:
        ranks[box.rank].append(box)
    for chain in chains:
        for place in chain[1:-1]:
            ranks[place.rank].append(place)
    for chain in chains:
        for upper, lower in itertools.pairwise(chain):
            upper.below.append(lower)
            lower.above.append(upper)
    ranks = _ordered(ranks)
    _set_x(ranks)
    lanes = _lanes(ranks)
    edges = _set_y(ranks, lanes)
    width = max((place.x + place.width / 2 for rank in ranks for place in rank), default=0.0)
    routes = [_route(chain, lanes, edges) for chain in chains]
    return Layout(width, edges[-1], [(box.x, box.y) for box in boxes], routes)


# ---- ranks ---------------------------------------------------------------------------------------


def _set_ranks(boxes: list[Place], arrows: Sequence[tuple[int, int]]) -> None:
    """Each box right below the last that it follows; one that follows none, as low as it can."""
    after: list[list[int]] = [[] for _ in boxes]
    before: list[list[int]] = [[] for _ in boxes]
    for start, end in arrows:
        after[start].append(end)
        before[end].append(start)
    waiting = [len(each) for each in before]
    ready = [number for number, count in enumerate(waiting) if not count]
    order = []
    while ready:
        number = ready.pop()
        order.append(number)
        for end in after[number]:
            boxes[end].rank = max(boxes[end].rank, boxes[number].rank + 1)
            waiting[end] -= 1
            if not waiting[end]:
                ready.append(end)
    for number in reversed(order):
        if after[number] and not before[number]:
            boxes[number].rank = min(boxes[end].rank for end in after[number]) - 1


def _chain(start: Place, end: Place) -> list[Place]:
    bends = [Place(THIN, 0.0, rank) for rank in range(start.rank + 1, end.rank)]
    return [start, *bends, end]


# ---- order ---------------------------------------------------------------------------------------


def _ordered(ranks: list[list[Place]]) -> list[list[Place]]:
    """The ranks in the order in which the fewest arrows cross, of those that were tried."""
    best, fewest = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for rank in ranks if down else reversed(ranks):
            position = _positions(ranks)
            rank.sort(key=lambda place: _mean_position(place, position, down))
        count = _crossings(ranks)
        if count < fewest:
            best, fewest = [list(rank) for rank in ranks], count
    return best


def _positions(ranks: list[list[Place]]) -> dict[int, int]:
    return {id(place): number for rank in ranks for number, place in enumerate(rank)}


def _mean_position(place: Place, position: dict[int, int], down: bool) -> float:
    others = place.above if down else place.below
    if not others:
        return position[id(place)]
    return sum(position[id(other)] for other in others) / len(others)


def _crossings(ranks: list[list[Place]]) -> int:
    position = _positions(ranks)
    total = 0
    for rank in ranks:
        ends = [sorted(position[id(lower)] for lower in place.below) for place in rank]
        for number, left in enumerate(ends):
            for right in ends[number + 1 :]:
                total += sum(1 for a in left for b in right if a > b)
    return total


# ---- positions -----------------------------------------------------------------------------------


@dataclass(eq=False)
class Column:
    """Places of several ranks that stand right below one another."""

    places: list[Place]
    x: float = 0.0
    left: dict["Column", float] = field(default_factory=dict)
    right: dict["Column", float] = field(default_factory=dict)
    pulls: list[tuple["Column", bool]] = field(default_factory=list)

    def wanted(self) -> float:
        """The mean of what the column is joined to; long arrows count where nothing else does."""
        pulls = [other.x for other, is_short in self.pulls if is_short]
        pulls = pulls or [other.x for other, _ in self.pulls]
        return sum(pulls) / len(pulls) if pulls else self.x


def _set_x(ranks: list[list[Place]]) -> None:
    columns = _columns(ranks)
    for column in columns:
        for other, gap in column.left.items():
            column.x = max(column.x, other.x + gap)
    for sweep in range(SWEEPS * 4):
        for column in columns if sweep % 2 else reversed(columns):
            lowest = max((other.x + gap for other, gap in column.left.items()), default=-1e9)
            highest = min((other.x - gap for other, gap in column.right.items()), default=1e9)
            column.x = max(lowest, min(column.wanted(), highest))
        if sweep % 2:
            _move_together(columns)
    for column in columns:
        for place in column.places:
            place.x = column.x
    left = min((place.x - place.width / 2 for rank in ranks for place in rank), default=0.0)
    for column in columns:
        # Rounded once, so that a column stays straight.
        x = round(column.x - left, 1)
        for place in column.places:
            place.x = x


def _move_together(columns: list[Column]) -> None:
    """Move columns that touch, and keep one another from where they want to be, by their mean."""
    done: set[int] = set()
    for column in columns:
        group = [column] if id(column) not in done else []
        done.add(id(column))
        for member in group:
            for near, side in ((member.left, 1), (member.right, -1)):
                for other, gap in near.items():
                    if id(other) not in done and (member.x - other.x) * side < gap + 0.01:
                        done.add(id(other))
                        group.append(other)
        if len(group) < 2:
            continue
        move = sum(member.wanted() - member.x for member in group) / len(group)
        for member in group:
            for other, gap in (member.right if move > 0 else member.left).items():
                if other not in group:
                    room = abs(other.x - member.x) - gap
                    move = min(move, room) if move > 0 else max(move, -room)
        for member in group:
            member.x += move


def _columns(ranks: list[list[Place]]) -> list[Column]:
    """The columns, from left to right, with their neighbours and what they are joined to."""
    heads = _joined(ranks)
    columns: dict[int, Column] = {}
    of: dict[int, Column] = {}
    for rank in ranks:
        for place in rank:
            head = heads.get(id(place))
            column = of[id(head)] if head is not None else Column([])
            columns[id(column)] = of[id(place)] = column
            column.places.append(place)
    for rank in ranks:
        for before, place in itertools.pairwise(rank):
            gap = GAP_X / 2 if place.is_bend or before.is_bend else GAP_X
            gap += (before.width + place.width) / 2
            one, other = of[id(before)], of[id(place)]
            one.right[other] = other.left[one] = max(gap, one.right.get(other, 0.0))
        for place in rank:
            for below in place.below:
                one, other = of[id(place)], of[id(below)]
                if one is not other:
                    is_short = not (place.is_bend or below.is_bend)
                    one.pulls.append((other, is_short))
                    other.pulls.append((one, is_short))
    return _left_to_right(list(columns.values()))


def _joined(ranks: list[list[Place]]) -> dict[int, Place]:
    """For a place in a column, the one above it: ends of one arrow that have no other there.

    Arrows that cross one which is straight are not made straight; those that pass ranks come first.
    """
    above: dict[int, Place] = {}
    for rank, following in itertools.pairwise(ranks):
        position = {id(place): number for number, place in enumerate(following)}
        straight: list[tuple[int, int]] = []
        single = [
            (number, place, place.below[0])
            for number, place in enumerate(rank)
            if len(place.below) == 1 and len(place.below[0].above) == 1
        ]
        for number, upper, lower in sorted(
            single, key=lambda each: not (each[1].is_bend and each[2].is_bend)
        ):
            end = position[id(lower)]
            if all((number - a) * (end - b) > 0 for a, b in straight):
                straight.append((number, end))
                above[id(lower)] = upper
    return above


def _left_to_right(columns: list[Column]) -> list[Column]:
    waiting = {id(column): len(column.left) for column in columns}
    ready = [column for column in columns if not column.left]
    order = []
    while ready:
        column = ready.pop()
        order.append(column)
        for other in column.right:
            waiting[id(other)] -= 1
            if not waiting[id(other)]:
                ready.append(other)
    return order


# ---- lanes ---------------------------------------------------------------------------------------

Lanes = dict[tuple[int, int], float]
"""By the two ends of an arrow between two ranks: where it goes sideways, from the upper rank on."""


def _lanes(ranks: list[list[Place]]) -> Lanes:
    """Lanes between ranks: arrows of one start or one end may share theirs, others must not."""
    found: Lanes = {}
    for rank in ranks:
        sideways = [
            (min(upper.x, lower.x), max(upper.x, lower.x), upper, lower)
            for upper in rank
            for lower in upper.below
            if upper.x != lower.x
        ]
        lanes: list[list[tuple[float, float, Place, Place]]] = []
        for span in sorted(sideways, key=lambda each: (each[1] - each[0], each[0])):
            fitting = (lane for lane in lanes if all(_may_share(span, other) for other in lane))
            lane = next(fitting, None)
            if lane is None:
                lanes.append([span])
            else:
                lane.append(span)
        for number, lane in enumerate(lanes):
            for _, _, upper, lower in lane:
                found[id(upper), id(lower)] = GAP_Y / 2 + number * LANE
    return found


def _may_share(
    one: tuple[float, float, Place, Place], other: tuple[float, float, Place, Place]
) -> bool:
    is_apart = one[1] + LANE < other[0] or other[1] + LANE < one[0]
    return is_apart or one[2] is other[2] or one[3] is other[3]


def _set_y(ranks: list[list[Place]], lanes: Lanes) -> list[float]:
    """Set y; gives the lower edge of each rank."""
    y, edges = 0.0, []
    for rank in ranks:
        tallest = max((place.height for place in rank), default=0.0)
        for place in rank:
            place.y = y + tallest / 2
        edges.append(y + tallest)
        depths = (lanes.get((id(each), id(end)), 0.0) for each in rank for end in each.below)
        y += tallest + max(depths, default=0.0) + GAP_Y
    return edges


def _route(chain: list[Place], lanes: Lanes, edges: list[float]) -> list[tuple[float, float]]:
    """The corners of an arrow, from the lower edge of its start to the upper edge of its end."""
    points = [(chain[0].x, chain[0].y + chain[0].height / 2)]
    for upper, lower in itertools.pairwise(chain):
        lane = lanes.get((id(upper), id(lower)))
        if lane is not None:
            y = edges[upper.rank] + lane
            points += [(upper.x, y), (lower.x, y)]
    points.append((chain[-1].x, chain[-1].y - chain[-1].height / 2))
    return points
