"""Grid: four by four streets at right angles, some missing; lights inside, stop signs at the edges."""

from __future__ import annotations

import numpy as np

from roadcraft.sim.embedded.layout import Control, Edge, Layout, Node, Profile, Side
from roadcraft.sim.planview import Plan, straight

COLUMNS = ROWS = 4
CORNER = 18.0  # [m] radius of the bends at the town's corners
MISSING = 2  # streets that are left out


def grid_layout(name: str, rng: np.random.Generator) -> Layout:
    """Crossings with four arms inside, with three at the edges, bends at the corners."""
    xs = np.concatenate([[0.0], np.cumsum(rng.integers(90, 121, COLUMNS - 1))])
    ys = np.concatenate([[0.0], np.cumsum(rng.integers(90, 121, ROWS - 1))])
    xs, ys = xs - xs.mean(), ys - ys.mean()
    places = {(i, j): (float(xs[i]), float(ys[j])) for i in range(COLUMNS) for j in range(ROWS)}
    links = [((i, j), (i + 1, j)) for j in range(ROWS) for i in range(COLUMNS - 1)]
    links += [((i, j), (i, j + 1)) for i in range(COLUMNS) for j in range(ROWS - 1)]
    links = _without_some(links, rng)
    layout = Layout(name)
    index: dict[tuple[int, int], int] = {}
    for place, xy in places.items():
        arms = _arms(place, links)
        if arms > 2:
            index[place] = len(layout.nodes)
            layout.nodes.append(Node(xy, _control(arms, rng)))
    if not any(node.control is Control.LIGHT for node in layout.nodes):
        layout.nodes[0].control = Control.LIGHT
    _streets(layout, places, links, index, rng)
    return layout


def _arms(place: tuple[int, int], links: list) -> int:
    return sum(place in link for link in links)


def _without_some(links: list, rng: np.random.Generator) -> list:
    """Leaves out streets between two crossings with four arms, so that no crossing loses more than one."""
    touched: set[tuple[int, int]] = set()
    for k in rng.permutation(len(links)):
        a, b = links[k]
        if _arms(a, links) == _arms(b, links) == 4 and not touched & {a, b} and len(touched) < 2 * MISSING:
            touched |= {a, b}
    inner = [link for link in links if link[0] in touched and link[1] in touched]
    drop: set[tuple] = set()
    used: set[tuple[int, int]] = set()
    for link in inner:
        if len(drop) < int(rng.integers(0, MISSING + 1)) and not used & set(link):
            drop.add(link)
            used |= set(link)
    return [link for link in links if link not in drop]


def _control(arms: int, rng: np.random.Generator) -> Control:
    if arms == 4:
        return Control.LIGHT if rng.random() < 0.75 else Control.ALL_STOP
    return Control.LIGHT if rng.random() < 0.35 else Control.MINOR_STOP


def _streets(layout: Layout, places: dict, links: list, index: dict, rng: np.random.Generator) -> None:
    """One edge a street; two streets that meet in a bend are one."""
    bends = [place for place in places if place not in index]
    for bend in bends:
        (a, b) = [link[0] if link[1] == bend else link[1] for link in links if bend in link]
        layout.edges.append(
            Edge(index[a], index[b], _bend(places[a], places[bend], places[b]), _profile(rng), _name(rng))
        )
    for a, b in links:
        if a in index and b in index:
            layout.edges.append(Edge(index[a], index[b], straight(places[a], places[b]), _profile(rng), _name(rng)))


def _bend(a: tuple[float, float], corner: tuple[float, float], b: tuple[float, float]) -> Plan:
    """Line, quarter circle, line."""
    first, second = straight(a, corner), straight(corner, b)
    turn = np.sign(np.sin(second.start[2] - first.start[2]))
    arc = (CORNER * np.pi / 2, float(turn) / CORNER)
    return Plan(first.start, ((first.length - CORNER, 0.0), arc, (second.length - CORNER, 0.0)))


def _profile(rng: np.random.Generator) -> Profile:
    parking = 2.4 if rng.random() < 0.4 else 0.0
    side = Side(parking=parking)
    other = Side(parking=parking if rng.random() < 0.7 else 0.0)
    return Profile(side, other, center="broken" if rng.random() < 0.5 else "solid", speed=float(rng.choice([40, 50])))


def _name(rng: np.random.Generator) -> str:
    first = ("Oak", "Mill", "Church", "Harbour", "Linden", "Station", "Park", "River", "Maple", "King", "Market", "Elm")
    return f"{rng.choice(first)} {rng.choice(('Street', 'Road', 'Avenue', 'Lane'))}"
