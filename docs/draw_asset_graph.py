"""Draw the resolved asset graph, stage by stage, into docs/images/asset_graph.svg: ``python docs/draw_asset_graph.py``.

A stage is a band, read from top to bottom. An arrow is left out where a longer way along the arrows says the same.
Rows are laid out as by Sugiyama, Tagawa and Toda (1981): an arrow that passes a row takes a place of its own in it, so
that it runs between boxes and not behind them.
"""

import random
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib
import networkx as nx
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

warnings.simplefilter("ignore")
matplotlib.use("svg")
# The same graph gives the same file: no random ids, no date. Text stays text, so that it can be searched.
matplotlib.rcParams.update({"svg.hashsalt": "causeway", "svg.fonttype": "none", "font.family": "sans-serif"})

INTO = Path(__file__).parent / "images" / "asset_graph.svg"
STAGES = (
    "registry", "raw", "events", "experiments", "features", "models", "twins", "design", "estimates", "decisions",
    "serving",
)  # fmt: skip
COLOURS = {"observed": "#e5e7eb", "dbt": "#fde9cf", "python": "#d6e8fb"}
LABELS = {"observed": "observed, not made here", "dbt": "made by dbt", "python": "made by Python"}
HEIGHT, BETWEEN_ROWS, BETWEEN_STAGES = 0.5, 1.0, 1.3
ROOM_FOR_AN_ARROW, ROOM_BESIDE_A_BOX = 0.3, 0.45
ATTEMPTS, SWEEPS = 60, 24

Rows = list[list[str]]


def graph_of_assets() -> nx.DiGraph:
    """Assets as "stage/name" with what they are made by."""
    from definitions import defs

    resolved = defs.resolve_asset_graph()
    graph = nx.DiGraph()
    for key in resolved.toposorted_asset_keys:
        node = resolved.get(key)
        maker = "observed" if not node.is_materializable else "dbt" if "dbt" in node.kinds else "python"
        graph.add_node(key.to_user_string(), maker=maker)
    for key in resolved.toposorted_asset_keys:
        graph.add_edges_from(
            (parent.to_user_string(), key.to_user_string()) for parent in sorted(resolved.get(key).parent_keys)
        )
    return graph


def stage_of(name: str) -> str:
    """The first part of an asset's key."""
    return name.partition("/")[0]


def rows_of(graph: nx.DiGraph) -> Rows:
    """Assets by row: a stage is one row, or several where its assets follow from one another."""
    rows: Rows = []
    for stage in STAGES:
        members = graph.subgraph(sorted(name for name in graph if stage_of(name) == stage))
        rows += [sorted(layer) for layer in nx.topological_generations(members)]
    return rows


def with_passing_places(graph: nx.DiGraph, rows: Rows) -> tuple[nx.DiGraph, Rows, dict[tuple[str, str], list[str]]]:
    """The graph with arrows from each row to the next only, the rows with passing places, and the way of each arrow."""
    row_of = {name: index for index, row in enumerate(rows) for name in row}
    short, filled, ways = nx.DiGraph(), [list(row) for row in rows], {}
    short.add_nodes_from(graph)
    for start, end in sorted(graph.edges):
        places = [f"{start}>{end}@{index}" for index in range(row_of[start] + 1, row_of[end])]
        for index, place in enumerate(places, row_of[start] + 1):
            filled[index].append(place)
        ways[start, end] = [start, *places, end]
        nx.add_path(short, ways[start, end])
    return short, filled, ways


def ordered(graph: nx.DiGraph, rows: Rows) -> Rows:
    """The rows in an order with few crossings: the best of many attempts, each swept down and up by mean position."""
    chance = random.Random(0)
    best, fewest = rows, float("inf")
    for _ in range(ATTEMPTS):
        tried = [chance.sample(row, len(row)) for row in rows]
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 0
            for index in range(1, len(tried)) if downwards else range(len(tried) - 2, -1, -1):
                fixed = {name: place for place, name in enumerate(tried[index - 1 if downwards else index + 1])}
                beside = graph.predecessors if downwards else graph.successors
                wanted = {}
                for place, name in enumerate(tried[index]):
                    near = [fixed[other] for other in beside(name)]
                    wanted[name] = sum(near) / len(near) if near else place
                tried[index].sort(key=lambda name: wanted[name])
            found = crossings(graph, tried)
            if found < fewest:
                best, fewest = [list(row) for row in tried], found
    return best


def crossings(graph: nx.DiGraph, rows: Rows) -> int:
    """How often arrows cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {name: index for index, name in enumerate(lower)}
        ends = [sorted(place[end] for end in graph.successors(name)) for name in upper]
        arrows = [(index, end) for index, each in enumerate(ends) for end in each]
        total += sum(a[0] < b[0] and a[1] > b[1] for a in arrows for b in arrows)
    return total


def width_of(name: str) -> float:
    """Room that a box, or an arrow on its way past, takes in its row."""
    return 0.0 if "@" in name else 0.098 * len(name.partition("/")[2]) + 0.35


def positions(graph: nx.DiGraph, rows: Rows) -> dict[str, float]:
    """Where each place lies across, as near to what it is joined with as its neighbours allow."""
    across: dict[str, float] = {}
    for row in rows:
        across |= dict(zip(row, _apart([0.0] * len(row), row), strict=True))
    for sweep in range(200):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for name in row:
                near = [across[other] for other in (*graph.predecessors(name), *graph.successors(name))]
                wanted.append(sum(near) / len(near) if near else across[name])
            across |= dict(zip(row, _apart(wanted, row), strict=True))
    return across


def _apart(wanted: Sequence[float], row: Sequence[str]) -> list[float]:
    """The positions closest to those wanted that keep the order and leave room: least squares by pooling neighbours."""
    offsets = [0.0]
    for left, right in pairwise(row):
        gap = ROOM_FOR_AN_ARROW if "@" in left and "@" in right else ROOM_BESIDE_A_BOX
        offsets.append(offsets[-1] + (width_of(left) + width_of(right)) / 2 + gap)
    pools: list[list[float]] = []
    for value in (want - offset for want, offset in zip(wanted, offsets, strict=True)):
        pools.append([value])
        while len(pools) > 1 and _mean(pools[-2]) >= _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [mean + offset for mean, offset in zip([_mean(p) for p in pools for _ in p], offsets, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def draw(graph: nx.DiGraph) -> None:
    """Write the picture."""
    shown = nx.transitive_reduction(graph)
    short, filled, ways = with_passing_places(shown, rows_of(graph))
    rows = ordered(short, filled)
    across = positions(short, rows)
    stages = [next(stage_of(name) for name in row if "@" not in name) for row in rows]
    down = [0.0]
    for upper, lower in pairwise(stages):
        down.append(down[-1] - (BETWEEN_ROWS if upper == lower else BETWEEN_STAGES))
    height_at = {name: down[index] for index, row in enumerate(rows) for name in row}

    left = min(across[name] - width_of(name) / 2 for name in across) - 1.75
    right = max(across[name] + width_of(name) / 2 for name in across) + 0.3
    top, bottom = 0.75, down[-1] - 1.35
    figure = Figure(figsize=((right - left) * 0.72, (top - bottom) * 0.72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")

    for position, stage in enumerate(STAGES):
        at = [down[index] for index, name in enumerate(stages) if name == stage]
        shade = "#f1f5f9" if position % 2 == 0 else "#ffffff"
        low, high = at[-1] - BETWEEN_STAGES / 2, at[0] + BETWEEN_STAGES / 2
        axes.axhspan(low, high, color=shade, lw=0, zorder=0)
        axes.text(left + 0.15, (low + high) / 2, stage, va="center", fontsize=12, weight="bold", color="#0f172a")
    for way in ways.values():
        axes.add_patch(_arrow([(across[name], height_at[name]) for name in way]))
    for name in sorted(graph):
        axes.add_patch(_box(across[name], height_at[name], width_of(name), HEIGHT, graph.nodes[name]["maker"]))
        axes.text(
            across[name], height_at[name], name.partition("/")[2], ha="center", va="center", fontsize=10, zorder=4
        )
    for position, (maker, label) in enumerate(LABELS.items()):
        x = left + 2.0 + position * 3.9
        axes.add_patch(_box(x, bottom + 0.35, 0.4, 0.26, maker))
        axes.text(x + 0.4, bottom + 0.35, label, va="center", fontsize=11)
    INTO.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(INTO, format="svg", metadata={"Date": None}, facecolor="white")


def _box(x: float, y: float, width: float, height: float, maker: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height,
        boxstyle="round,pad=0,rounding_size=0.1", fc=COLOURS[maker], ec="#475569", lw=0.9, zorder=3,
    )  # fmt: skip


def _arrow(points: Sequence[tuple[float, float]]) -> FancyArrowPatch:
    """A curve that leaves downwards, passes each point vertically, and arrives from above."""
    points = [(points[0][0], points[0][1] - HEIGHT / 2), *points[1:-1], (points[-1][0], points[-1][1] + HEIGHT / 2)]
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        vertices += [(x, middle), (to_x, middle), (to_x, to_y)]
        codes += [Curve.CURVE4] * 3
    return FancyArrowPatch(
        path=Curve(vertices, codes), arrowstyle="-|>", mutation_scale=10, color="#64748b", lw=1.0, zorder=2
    )


if __name__ == "__main__":
    draw(graph_of_assets())
