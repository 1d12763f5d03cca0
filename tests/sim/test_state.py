"""The simulation's state: coming and going, collisions, forces, twins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from math import hypot, pi

import numpy as np
import pytest

from roadcraft.sim.embedded.bins import CELL
from roadcraft.sim.embedded.catalogue import CATALOGUE, INDEX
from roadcraft.sim.embedded.scenery import Scenery, Shape
from roadcraft.sim.embedded.state import Simulation, SpawnError
from roadcraft.sim.embedded.town import Town, load_town
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind, LightState, Weather

EGO = "vehicle.lincoln.mkz_2020"
WALKER = "walker.pedestrian.0021"


@pytest.fixture(scope="module")
def town() -> Town:
    return load_town("grid")


@pytest.fixture
def sim(town: Town) -> Simulation:
    """The town's roads with nothing beside them."""
    return Simulation(replace(town, scenery=Scenery(town.scenery.static[:0])))


def outside(sim: Simulation) -> np.ndarray:
    """A place (2,) outside the town: nothing within 20 m."""
    return sim._bins.frame["limits"][0, :2] + 25.0


def meet(
    sim: Simulation, gap: float, speeds: tuple[float, float], blueprints: tuple[str, str] = (EGO, EGO)
) -> list[int]:
    """Two bodies `gap` m apart on a line, heading east, with velocities along it."""
    x, y = outside(sim)
    halves = [CATALOGUE[INDEX[name]].extent[0] for name in blueprints]
    ids = [
        sim.spawn(blueprints[0], (x, y, 0.0), 0.0),
        sim.spawn(blueprints[1], (x + sum(halves) + gap, y, 0.0), 0.0),
    ]
    for number, speed in zip(ids, speeds, strict=True):
        sim.set_velocity(number, (speed, 0.0))
    return ids


def listed(heads: np.ndarray, follows: np.ndarray) -> dict[int, list[int]]:
    """The rows of bodies in each cell or lane that has any, in order."""
    out: dict[int, list[int]] = {}
    for place in np.flatnonzero(heads >= 0).tolist():
        row = int(heads[place])
        while row >= 0:
            out.setdefault(place, []).append(row)
            row = int(follows[row])
    return {place: sorted(rows) for place, rows in out.items()}


def test_lanes_and_cells_list_who_is_in_them_also_after_some_have_gone(town: Town) -> None:
    sim = Simulation(town)
    ids = [
        sim.spawn(EGO, (*town.network.spawns[k, :2], 0.0), town.network.spawns[k, 2], autopilot=k + 1)
        for k in range(12)
    ]
    for tick in range(60):
        if tick == 20:
            for number in ids[6:]:
                sim.remove(number)
        if tick == 40:
            sim.place(ids[0], (*town.network.spawns[20, :2], 0.0), town.network.spawns[20, 2])
        before = {row: sim.bodies["xyz"][row, :2].copy() for row in map(sim.row, ids[:6])}
        sim.step()
        rows = [sim.row(number) for number in (ids if tick < 20 else ids[:6])]
        lanes = listed(sim._graph.lanes["head"], sim._chain["in_lane"])
        assert sorted(row for some in lanes.values() for row in some) == sorted(rows)
        assert all(sim.bodies["lane"][row] == lane for lane, some in lanes.items() for row in some)
        cells = listed(sim._bins.cells["head"], sim._chain["in_cell"])
        assert sorted(row for some in cells.values() for row in some) == sorted(rows)
        columns, low = int(sim._bins.frame["columns"][0]), np.array([sim._bins.frame[name][0] for name in ("x", "y")])
        for cell, some in cells.items():
            for row in set(some) & set(before):
                column, line = ((before[row] - low) // CELL).astype(int)
                assert cell == line * columns + column


def test_ids_never_return_and_rows_stay(sim: Simulation) -> None:
    x, y = outside(sim)
    ids = [sim.spawn(EGO, (x + 8 * k, y), 0.0) for k in range(5)]
    row = sim.row(ids[3])
    sim.remove(ids[1])
    fresh = sim.spawn(WALKER, (x + 8, y), 0.0)
    assert fresh not in ids
    assert sim.row(ids[3]) == row
    assert sim.body(fresh)["kind"] == Kind.PEDESTRIAN
    assert sim.new_id() > fresh
    with pytest.raises(KeyError):
        sim.row(ids[1])


def test_there_is_room_for_more_than_a_hundred(sim: Simulation) -> None:
    x, y = outside(sim)
    ids = [sim.spawn(WALKER, (x + 2 * (k % 12), y + 2 * (k // 12)), 0.1) for k in range(130)]
    sim.step()
    assert sorted(sim.bodies["id"].tolist()) == sorted(ids)
    for number in ids:
        sim.remove(number)
    assert len(sim.bodies) == 0


def test_a_taken_place_is_refused_and_changes_nothing(sim: Simulation, town: Town) -> None:
    x, y = outside(sim)
    sim.spawn(EGO, (x, y), 0.3)
    before = sim.bodies.copy()
    for blueprint, dx in ((EGO, 3.0), (WALKER, 1.0)):
        with pytest.raises(SpawnError, match="collision at spawn position"):
            sim.spawn(blueprint, (x + dx, y), 0.0)
    building = town.scenery.static[town.scenery.static["shape"] == Shape.BUILDING][0]
    with pytest.raises(SpawnError):
        Simulation(town).spawn(EGO, building["xyz"][:2], 0.0)
    with pytest.raises(UserError, match="no blueprint"):
        sim.spawn("vehicle.unknown", (x + 10, y), 0.0)
    with pytest.raises(UserError, match="not finite"):
        sim.spawn(EGO, (float("nan"), y), 0.0)
    assert (sim.bodies == before).all()


def test_controls_are_those_that_fit_on_the_wire(sim: Simulation) -> None:
    number = sim.spawn(EGO, outside(sim), 0.0)
    sim.control_vehicle(number, 0.1, 0.2, 0.3)
    body = sim.body(number)
    assert [body["throttle"], body["steer"], body["brake"]] == [float(np.float32(v)) for v in (0.1, 0.2, 0.3)]


def test_momentum_is_kept_in_a_collision(sim: Simulation) -> None:
    a, b = meet(sim, 0.2, (10.0, 0.0), (EGO, "vehicle.carlamotors.firetruck"))
    masses = [sim.physics(number).mass for number in (a, b)]
    before = sum(m * sim.body(n)["velocity"][0] for m, n in zip(masses, (a, b), strict=True))
    sim.step()
    after = sum(m * sim.body(n)["velocity"][0] for m, n in zip(masses, (a, b), strict=True))
    assert after == pytest.approx(before, rel=0.02)  # engine drag and air have one tick
    contacts = sim.contacts
    assert {(int(c["a"]), int(c["b"])) for c in contacts} == {(a, b), (b, a)}
    assert contacts["impulse"][0] == contacts["impulse"][1] > 0
    assert (contacts["normal"][0] == -contacts["normal"][1]).all()
    assert contacts["normal"][contacts["a"] == a][0] == pytest.approx([-1, 0], abs=1e-9)
    reduced = masses[0] * masses[1] / sum(masses)
    assert contacts["impulse"][0] == pytest.approx(1.1 * reduced * 10.0, rel=0.03)


@pytest.mark.parametrize("speed", [15.0, 30.0])
@pytest.mark.parametrize("gap", [0.05, 0.4, 0.77, 1.3])
def test_nothing_passes_through_anything(sim: Simulation, speed: float, gap: float) -> None:
    a, b = meet(sim, gap, (speed, -speed))
    impulse = 0.0
    for _ in range(10):
        sim.step()
        impulse += sim.contacts["impulse"].sum()
        assert sim.body(a)["xyz"][0] < sim.body(b)["xyz"][0]
    assert impulse > 0
    assert abs(sim.body(a)["xyz"][1] - outside(sim)[1]) < 0.5, "head-on means straight back"


@pytest.mark.parametrize("shape", [Shape.BUILDING, Shape.TREE, Shape.LAMP])
def test_scenery_stops_a_fast_car(town: Town, shape: Shape) -> None:
    sim = Simulation(town)
    static = town.scenery.static
    things = static[(static["shape"] == shape) & static["solid"]]
    for thing in things:
        yaw = float(thing["yaw"]) + 0.0
        reach = thing["extent"][0] if shape == Shape.BUILDING else 0.3
        back = reach + 2.446 + 6.0
        start = thing["xyz"][:2] - back * np.array([np.cos(yaw), np.sin(yaw)])
        try:
            number = sim.spawn(EGO, start, yaw)
        except SpawnError:
            continue
        sim.set_velocity(number, 30.0 * np.array([np.cos(yaw), np.sin(yaw)]))
        met = []
        for _ in range(12):
            sim.step()
            met += sim.contacts["b"].tolist()
        travelled = float((sim.body(number)["xyz"][:2] - start) @ [np.cos(yaw), np.sin(yaw)])
        assert met
        assert set(met) == {0}
        assert travelled < back - reach - 2.0
        return
    pytest.fail(f"no {shape.name} has room before it")


def test_the_world_ends(sim: Simulation) -> None:
    number = sim.spawn(EGO, outside(sim), pi)
    sim.set_velocity(number, (-30.0, 0.0))
    for _ in range(60):
        sim.step()
    assert sim.body(number)["xyz"][0] > sim._bins.frame["limits"][0, 0] - 0.1


def test_a_walker_that_is_hit_falls_and_gets_up(sim: Simulation) -> None:
    car, walker = meet(sim, 0.2, (8.0, 0.0), (EGO, WALKER))
    sim.step()
    contacts = sim.contacts
    assert contacts["kind"][contacts["a"] == car].tolist() == [Kind.PEDESTRIAN]
    sim.control_vehicle(car, 0.0, 0.0, 1.0)
    sim.control_walker(walker, (0.0, 1.0), 1.5)
    assert sim.body(walker)["velocity"][0] > 7.0
    for _ in range(100):
        sim.step()
    lying = sim.body(walker)["xyz"].copy()
    assert sim.body(walker)["pitch"] != 0.0
    for _ in range(100):
        sim.step()
    assert sim.body(walker)["pitch"] == 0.0
    assert sim.body(walker)["xyz"][1] > lying[1] + 1.0


def test_a_walker_that_lies_is_not_pushed_along(sim: Simulation) -> None:
    car = sim.spawn("vehicle.lincoln.mkz_2020", (0, 0), 0.0)
    walker = sim.spawn("walker.pedestrian.0021", (12, 0), 0.0)
    touched = []
    for _ in range(160):
        sim.set_velocity(car, (6.0, 0.0, 0.0))
        sim.step()
        touched.append(bool((sim.contacts["a"] == walker).any()))
    assert any(touched)
    assert sum(touched) < 10
    assert sim.body(walker)["xyz"][0] < sim.body(car)["xyz"][0] - 5.0


def test_cones_fly_and_bodies_without_physics_or_collisions_do_not(sim: Simulation) -> None:
    car, cone = meet(sim, 0.2, (10.0, 0.0), (EGO, "static.prop.trafficcone01"))
    sim.step()
    assert sim.body(cone)["velocity"][0] > 9.0
    assert sim.body(car)["velocity"][0] > 9.5
    sim.reset()
    car, other = meet(sim, 0.2, (10.0, 0.0))
    sim.set_physics(other, False)
    place = sim.body(other)["xyz"].copy()
    for _ in range(20):
        sim.step()
    assert (sim.body(other)["xyz"] == place).all()
    assert sim.body(car)["speed"] < 1.0
    sim.reset()
    car, other = meet(sim, 0.2, (10.0, 0.0))
    sim.set_collides(other, False)
    for _ in range(20):
        sim.step()
        assert len(sim.contacts) == 0
    assert sim.body(car)["xyz"][0] > sim.body(other)["xyz"][0] - 1.0


def test_forces_impulses_and_held_velocities(sim: Simulation) -> None:
    number = sim.spawn(EGO, outside(sim), 0.5)
    mass = sim.physics(number).mass
    sim.add_impulse(number, (mass * 2.0 * np.cos(0.5), mass * 2.0 * np.sin(0.5), 0.0))
    assert sim.body(number)["speed"] == pytest.approx(2.0)
    sim.set_velocity(number, (0.0, 0.0))
    sim.add_force(number, mass * 10.0 * np.array([np.cos(0.5), np.sin(0.5), 0.0]))
    sim.step()
    assert sim.body(number)["speed"] == pytest.approx(0.5, rel=0.05)
    sim.step()
    assert sim.body(number)["speed"] < 0.5, "a force lasts one tick"
    sim.set_constant_velocity(number, (7.0, 0.0, 0.0))
    sim.control_vehicle(number, 0.0, 0.3, 1.0)
    sim.step()
    assert hypot(*sim.body(number)["velocity"][:2]) == pytest.approx(7.0)
    sim.set_constant_velocity(number, None)
    for _ in range(40):
        sim.step()
    assert sim.body(number)["speed"] == 0.0


def test_ackermann_control_reaches_speed_and_angle(sim: Simulation) -> None:
    number = sim.spawn(EGO, outside(sim), 0.0)
    sim.control_ackermann(number, 0.1, 0.2, 4.0, 2.0)
    angles = []
    for _ in range(120):
        sim.step()
        angles.append(float(sim.body(number)["wheel_angle"]))
    assert sim.body(number)["speed"] == pytest.approx(4.0, abs=0.1)
    assert angles[-1] == pytest.approx(0.1, abs=1e-3)
    assert max(np.diff(angles)) < 0.2 * 0.05 * 1.2
    sim.control_ackermann(number, 0.0, 0.0, -2.0)
    for _ in range(160):
        sim.step()
    assert sim.body(number)["speed"] == pytest.approx(-2.0, abs=0.1)


def test_things_fall_to_the_ground(sim: Simulation) -> None:
    number = sim.spawn(EGO, (*outside(sim), 5.0), 0.0)
    ticks = 0
    while sim.body(number)["xyz"][2] > 0.0:
        sim.step()
        ticks += 1
    assert ticks * 0.05 == pytest.approx((2 * 5.0 / 9.81) ** 0.5, abs=0.1)
    sim.step()
    assert sim.body(number)["velocity"][2] == 0.0
    x, y = outside(sim)
    floating = sim.spawn(EGO, (x + 12.0, y, 2.0), 0.0)
    sim.set_gravity(floating, False)
    sim.step()
    assert sim.body(floating)["xyz"][2] == 2.0
    sim.set_constant_velocity(floating, (0.0, 0.0, -1.0))
    for _ in range(20):
        sim.step()
    assert sim.body(floating)["xyz"][2] == pytest.approx(1.0)
    for _ in range(60):
        sim.step()
    assert sim.body(floating)["xyz"][2] == 0.0, "without gravity too, the ground holds"
    assert sim.body(floating)["velocity"][2] == 0.0


def test_rain_makes_roads_slippery(sim: Simulation) -> None:
    ways = []
    for weather in (Weather(), Weather(precipitation=100.0, precipitation_deposits=100.0)):
        sim.reset()
        sim.weather = weather
        number = sim.spawn(EGO, outside(sim), 0.0)
        sim.set_velocity(number, (15.0, 0.0))
        sim.control_vehicle(number, 0.0, 0.0, 1.0)
        for _ in range(100):
            sim.step()
        ways.append(float(sim.body(number)["xyz"][0] - outside(sim)[0]))
    assert ways[1] > 1.3 * ways[0]


def test_reset_is_a_new_beginning(sim: Simulation, town: Town) -> None:
    def drive(simulation: Simulation) -> bytes:
        for k, spawn in enumerate(town.network.spawns[:6]):
            simulation.spawn(EGO, spawn[:2], spawn[2], autopilot=k + 1)
        for _ in range(100):
            simulation.step()
        return simulation.bodies.tobytes() + simulation.lights.rows.tobytes()

    first = drive(sim)
    sim.set_light(0, LightState.OFF)
    sim.reset()
    assert sim.frame == 0
    assert drive(sim) == first == drive(Simulation(sim.town))
    sim.reset(5)
    assert drive(sim) != first


TWIN = """
import hashlib
from roadcraft.sim.embedded.state import Simulation
from roadcraft.sim.embedded.town import load_town
town = load_town("grid")
sim = Simulation(town, 4)
for k, spawn in enumerate(town.network.spawns[:24]):
    sim.spawn("vehicle.tesla.model3", spawn[:2], spawn[2], autopilot=k * 7 % 23)
sim.spawn("walker.pedestrian.0012", town.network.spawns[30, :2], 0.0, autopilot=77)
for frame in range(400):
    sim.control_vehicle(1, 0.4, 0.02 * (frame % 7 - 3), 0.0)
    sim.step()
print(hashlib.sha256(sim.bodies.tobytes() + sim.lights.rows.tobytes()).hexdigest())
"""


def test_twins_in_two_processes_are_the_same_to_the_bit() -> None:
    found = [
        subprocess.run([sys.executable, "-c", TWIN], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == len(hashlib.sha256().hexdigest())
