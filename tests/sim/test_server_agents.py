"""What driving agents ask of a CARLA server: a graph of the lanes, where lights and signs hold, a drive by both."""

from __future__ import annotations

import math
from typing import Any

import pytest
from test_server import spawn, ticks

from roadcraft.sim.embedded.server.live import LiveWorld
from roadcraft.sim.embedded.server.wire import compose
from roadcraft.sim.embedded.town import load_town
from roadcraft.sim.roads import SignalKind

carla = pytest.importorskip("carla", reason="the carla wheel does not exist for this machine")
STEP = 2.0  # m


def lane_of(waypoint: Any) -> tuple[int, int, int]:
    return waypoint.road_id, waypoint.section_id, waypoint.lane_id


def trigger(actor: Any) -> Any:
    """The middle of a light's or sign's trigger volume in the world."""
    return actor.get_transform().transform(actor.trigger_volume.location)


def test_the_topology_is_a_graph_that_leads_everywhere(world: Any) -> None:
    """Steps from each entry come to its exit; all spawn points lie on edges, and each is reached from the first."""
    roads = world.get_map()
    ahead: dict[tuple[int, int, int], set[tuple[int, int, int]]] = {}
    for entry, leaving in roads.get_topology():
        end, way = leaving.transform.location, entry
        for _ in range(1000):
            if way.transform.location.distance(end) <= STEP:
                break
            way = way.next(STEP)[0]
        assert way.transform.location.distance(end) <= STEP
        ahead.setdefault(lane_of(entry), set()).update(map(lane_of, leaving.next(0.5)))
        ahead[lane_of(entry)].discard(lane_of(entry))
    wanted = [lane_of(roads.get_waypoint(place.location)) for place in roads.get_spawn_points()]
    assert set(wanted) <= set(ahead)
    reached, edge = {wanted[0]}, [wanted[0]]
    while edge:
        new = ahead[edge.pop()] - reached
        reached |= new
        edge += new
    assert set(wanted) <= reached


def test_lights_hold_on_the_road_before_their_junction(world: Any) -> None:
    """Where an agent looks for a light's line: a lane outside of junctions, beside the light's stop waypoints."""
    roads, lights = world.get_map(), world.get_actors().filter("*traffic_light*")
    for light in lights:
        place, stops = roads.get_waypoint(trigger(light)), light.get_stop_waypoints()
        assert not place.is_junction
        assert place.road_id in {stop.road_id for stop in stops}
        assert min(stop.transform.location.distance(place.transform.location) for stop in stops) < 6.0
        assert light.id in {each.id for each in world.get_traffic_lights_from_waypoint(stops[0], 30.0)}
        assert light.get_affected_lane_waypoints()
        (beyond,) = {each.junction_id for each in stops[0].next(12.0)}
        assert light.id in {each.id for each in world.get_traffic_lights_in_junction(beyond)}


@pytest.mark.parametrize("name", ["grid", "roundabout", "highway"])
def test_trigger_volumes_of_signs_lie_across_their_lanes(name: str) -> None:
    live = LiveWorld(load_town(name), name)
    network = live.town.network
    for actor in live.actors:
        if actor.signal < 0:
            continue
        signal = network.signals[actor.signal]
        middle = compose(actor.pose, actor.centre)
        lane, at, lateral = network.nearest(middle.xyz[:2], float(signal["yaw"]))
        assert abs(lateral) <= network.point(lane, at)[3] / 2 + 1e-6, signal
        turned = math.cos(network.point(lane, at)[2] - float(signal["yaw"]))
        assert turned > 0.9
        if signal["kind"] != SignalKind.LIGHT:
            assert actor.extent[0] >= 0.45 * network.point(lane, at)[3]


def test_an_agent_stops_at_red_and_goes_at_green(world: Any) -> None:
    """It steers by waypoints ahead and brakes for a light that governs its lane, as told by trigger volumes alone."""
    light = world.get_actors().filter("*traffic_light*")[0]
    light.freeze(True)
    light.set_state(carla.TrafficLightState.Red)
    roads = world.get_map()
    (line, *_) = light.get_stop_waypoints()
    begin = line.previous(40.0)[0].transform
    car = spawn(world, at=0)
    begin.location.z += 0.3
    car.set_transform(begin)
    ticks(world, 5)
    stop = trigger(light)
    distances = []
    for k in range(400):
        if k == 250:
            light.set_state(carla.TrafficLightState.Green)
        pose, speed = car.get_transform(), car.get_velocity().length()
        aim = roads.get_waypoint(pose.location).next(4.0 + speed)[0].transform.location
        local = aim - pose.location
        side = local.dot(pose.get_right_vector()) / max(local.length(), 1e-3)
        to_line = (stop - pose.location).dot(pose.get_forward_vector()) - car.bounding_box.extent.x
        held = light.state == carla.TrafficLightState.Red and 0.0 < to_line < 3.0 + 0.25 * speed * speed
        fast = speed > 8.0
        car.apply_control(
            carla.VehicleControl(throttle=0.0 if held or fast else 0.5, brake=1.0 if held else 0.0, steer=side)
        )
        world.tick()
        distances.append(to_line)
    assert 0.0 < distances[249] < 8.0, "it waits before the line"
    assert distances[-1] < -10.0, "and drives on"
