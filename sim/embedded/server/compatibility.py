"""The compatibility page of the documentation: `python -m roadcraft.sim.embedded.server.compatibility > docs/carla.md`.

What each call and sensor does is told by the tables that the server itself works by; the words around them are here.
"""

from __future__ import annotations

from collections.abc import Iterable

from roadcraft.sim.embedded.server.blueprints import definitions
from roadcraft.sim.embedded.server.calls import CALLS, Status
from roadcraft.sim.embedded.server.carlas_scripts import scripts
from roadcraft.sim.embedded.server.faults import CHANCES, MOMENTS
from roadcraft.sim.embedded.server.sensors import SENSOR_NOTES

# The complete test file of the page; the test-suite runs it as it stands.
EXAMPLE = """\
import carla


def test_full_throttle_moves_a_car(roadcraft_carla_server):
    client = carla.Client("127.0.0.1", roadcraft_carla_server)
    client.set_timeout(60.0)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    car = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
    world.tick()
    start = car.get_location()
    car.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(40):
        world.tick()
    assert car.get_location().distance(start) > 3.0
    car.destroy()
"""

FAULTS = ", ".join([f"`{name}=P`" for name in CHANCES] + [f"`{name}@FRAME`" for name in MOMENTS])

INTRO = f"""\
# The embedded CARLA server

`roadcraft serve` answers the unmodified `carla` 0.9.16 client on port 2000 (streams on 2001), without GPU and display.
This page tells what it does with each call; it is made from the server's own tables by
`python -m roadcraft.sim.embedded.server.compatibility > docs/carla.md`, and a test fails when the two differ.

It starts with an empty town, on 127.0.0.1 only. Options that scripts written for CARLA ask for:

| option | what it does |
|---|---|
| `--town grid-7@3` | grid, suburb, arterial, roundabout, highway; a number and a look are free; or an `.xodr` |
| `--maps DIR` | `load_world("Town03")` loads `DIR/Town03.xodr`; without that file the call fails and says so |
| `--alias-towns` | CARLA's names get towns of this server instead, whose coordinates are not those of CARLA's towns |
| `--vehicles 20 --walkers 20` | a town with traffic that the server itself drives |
| `--fault camera.drop=0.01,tick.stall=0.001` | faults on demand, decided by `--seed`; {FAULTS} |
| `--recordings DIR` | where recordings go, and are looked for; `recordings` in the present folder |

## In your own tests

Where Roadcraft is installed, pytest has the fixture `roadcraft_carla_server`: the port of a server that runs for the
test session, one for each worker of pytest-xdist. Three lines are a test:

```python
def test_my_stack(roadcraft_carla_server):
    client = carla.Client("127.0.0.1", roadcraft_carla_server)
    assert client.get_world().get_map().name == "Carla/Maps/grid"
```

A complete one:

```python
{EXAMPLE}```

Town, seed and the rest are chosen in a `conftest.py`:

```python
import pytest


@pytest.fixture(scope="session")
def roadcraft_carla_options():
    return {{"town": "suburb", "seed": 4, "vehicles": 20, "walkers": 10}}
```

Without pytest, `roadcraft.sim.embedded.testing.carla_server` is the same as a context manager. The server may live in
another environment than the client: `carla_server(python="/path/to/its/python")`; it needs neither torch nor OpenVINO.
A client's own TrafficManager listens on all addresses of the machine: `unshare -rn sh -c 'ip link set lo up && pytest'`
keeps it inside.

The first start on a machine prepares the simulator's kernels, which takes about a minute, more on a busy one. They and
the towns are kept under `ROADCRAFT_CACHE`, and hold for the files as they were installed: CI keeps both, on GitHub by

```yaml
jobs:
  test:
    runs-on: ubuntu-latest
    env: {{ROADCRAFT_CACHE: "${{{{ github.workspace }}}}/.cache/roadcraft"}}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.11"}}
      - uses: actions/cache@v4
        id: kept
        with:
          path: |
            .venv
            .cache
          key: roadcraft-${{{{ hashFiles('requirements.txt') }}}}
      - if: steps.kept.outputs.cache-hit != 'true'
        run: python -m venv .venv && .venv/bin/pip install -r requirements.txt
      - run: .venv/bin/pytest
```

`requirements.txt` names `carla==0.9.16`, `pytest` and Roadcraft.
"""

TRAFFIC = """\
## TrafficManager and AI walkers

Both run inside the client, and rely on this: a walker that the crowd leads tells its velocity; the mesh ends half a
metre before the kerb; a dead walker lies for 10 s and is gone; a light governs a vehicle until its front is a metre
past the stop line; from 12 m before a stop sign a vehicle's `traffic_light_state` is red although it is at no light,
which makes the TrafficManager stop there. As in CARLA it is green again after two seconds if nobody is on the ways that
cross, and otherwise a second after that was last so. It differs from CARLA in this: there red begins 3 m before the
sign, and the two seconds with it; here they begin as well when the first car in the lane stands. There whoever comes
along a way that crosses counts within its last metres; here from five seconds before it, until somebody has waited for
a minute. Of two who wait at signs whose ways cross one goes at a time, and who is a metre over the line goes on. The
TrafficManager looks at none of that: it goes on two seconds after its car stood still, to within 1 mm/s, and its cars
met inside junctions and waited for each other there. So a car that stands at a sign and is controlled in batches, as
the TrafficManager's are, is told to creep at 2 mm/s as long as somebody comes, for a minute at most; who has stood
inside the junction for three seconds does not count.

In ten simulated minutes with 30 cars and 30 walkers, by two seeds of the TrafficManager in each style of town, no car
left its lane, ran a red light, touched a walker or another car, or was given up. Rarely a client hangs by itself: its
two threads in `TrafficManagerLocal`, `Run` and `SynchronousTick`, were found waiting for each other. `make test-slow`
asks that for one seed in each style.

The map that clients get of this server's own towns has the town's lanes and crosswalks to the millimetre, but some
turns through junctions have another reference line than the town's own file: the TrafficManager knows roads by points
5 m apart along that line, and where a turn ended far from the last of them it cut the corner by a metre. In such turns
the `s` of a waypoint and the length of the road differ from those in that file. OpenDRIVE files and texts, those of
these towns as well, are told as they are written.

What belongs to the client shows here as well:

- The TrafficManager removes a car that has stood for 90 s, at a red light 180 s.
- The crowd takes a walker for dead whose middle comes within 0.8 m of a vehicle, touched or not: up to 3 of 30 in those
  ten minutes. After that `go_to_location` prints "NAV: Failed to set request".
- Where no stop sign is, it does not stop before a junction without lights, only for whom it sees there: in crowded
  towns cars may wait for each other inside until it removes them.
- Its two threads may miss each other's signal in synchronous mode, on a busy machine once in some hundred thousand
  ticks: `world.tick()` then waits for ever, whatever timeout is set. The server goes on and serves other clients.
- `listen` on a sensor that listens already, without `stop` in between, may end the client with "close: Bad file
  descriptor": two of its threads close one socket. Where it does not, both callbacks get the messages, the second one
  even after `stop`.
- Coordinates have 24 bits: they are 0.03 m apart at 500 km from the origin, where walkers walk, and 0.5 m at 5000 km,
  where its crowd does not get them forward. `carla.Osm2Odr` puts the origin in the map's middle unless told otherwise.
"""

# What acts of the attributes of `sensor.camera.rgb`; those that no row names are listed as having no effect.
CAMERA_NOTES = {
    ("image_size_x", "image_size_y", "fov", "sensor_tick"): "all cameras",
    (
        "lens_k", "lens_kcube", "lens_x_size", "lens_y_size", "lens_circle_multiplier", "lens_circle_falloff",
    ): "colour, depth, semantic and instance cameras, by what they differ from CARLA's defaults: those draw what a "
    "pinhole sees. The dark rim (`lens_circle_*`) is on colours only",
    ("gamma", "exposure_compensation"): "the film's curve, by what it differs from CARLA's default",
    ("exposure_mode", "iso", "shutter_speed", "fstop"): "with `manual`, the light is iso / (shutter_speed fstop²), by "
    "CARLA's defaults of the three; with `histogram` they have no effect, as the exposure meter makes up for them. No "
    "noise and no depth of field follow from them",
    (
        "motion_blur_intensity", "motion_blur_max_distortion", "motion_blur_min_object_screen_size",
    ): "as CARLA's engine does, the shutter is open for the intensity times 1/30 s, and streaks end at so many percent "
    "of the width: CARLA's default of 0.35 is two pixels of 640. The default blurs and costs time: set the intensity "
    "to 0 where sharp pictures will do. The first picture after `listen` has no blur, nor have shadows and limbs",
    ("enable_postprocess_effects",): "`false` turns motion blur, gamma and exposure off",
    ("noise_stddev", "noise_seed"): "not in CARLA, whose cameras have no noise; named after its lidar's. Standard "
    "deviation of each colour of each pixel, in levels of 255; the n-th picture's noise depends on seed and n alone: "
    "cameras of one seed have the same",
}  # fmt: skip

SENSORS_INTRO = """\
## Sensors

Blueprints that are not listed do not exist here (RSS, wide-angle lenses); the client's library says so
when they are looked up.

| blueprint | what it sends |
|---|---|
"""

PROPS = """\
## Props and actors without a body

All `static.prop.*` of CARLA's documentation are here, with the boxes that a CARLA 0.9.16 server reports (as Scenic's
catalogue of that server has them) and CARLA's `size`; for `foodcart`, `haybale`, `haybalelb`, `busstoplb`,
`warningaccident` and `warningconstruction` that word is by analogy. Masses and colours are estimated. A prop is drawn
as a box of its size, a cone as a cone, under CARLA's tag 21 (dynamic), and met as that box. As in CARLA it stays where
it is put, in the air too and whatever drives against it, until `set_simulate_physics(True)`. Nothing is met further
than 1.45 m to its left or right, which cuts `busstoplb`, `foodcart`, `fountain`, `pergola`, `slide` and `trampoline`.
Three trees that a 0.9.16 server lists besides (`aporosatree`, `coconutpalm`, `cypresstree`) are not here: their boxes
are those of crowns.

`static.prop.mesh` has CARLA's attributes `mesh_path`, `mass` and `scale`. There are no Unreal meshes here, so it is
what CARLA makes of a mesh that it cannot load: an actor that is neither seen nor met; a line on stderr says so.
`util.actor.empty` has no body either, and carries what is attached to it.
"""

CAMERAS_INTRO = """\
### Attributes of `sensor.camera.rgb`

| attribute | what it does |
|---|---|
"""

CALLS_INTRO = """\
## Calls

Everything that the client asks of a server, by the names on the wire. What lives in the client itself (maps, waypoints,
TrafficManager, walkers' crowd, lane invasions) needs no call of its own and works as in CARLA. A refused call raises
`RuntimeError` with the reason where the client waits for an answer; where it does not, the server says on
stderr which call for which actor was refused and why: at once, and again after ten seconds with how often it came.

| call | status | note |
|---|---|---|
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def calls_table() -> str:
    """One row for each call, by name."""
    # The modules that fill the table are imported by the server.
    import roadcraft.sim.embedded.server.app  # noqa: F401

    rows = (f"| `{name}` | {call.status.value} | {_cell(call.note)} |\n" for name, call in sorted(CALLS.items()))
    return "".join(rows)


def sensors_table() -> str:
    """One row for each sensor of the blueprint library."""
    names = [definition[1] for definition in definitions() if definition[1].startswith("sensor.")]
    return "".join(f"| `{name}` | {_cell(SENSOR_NOTES[name])} |\n" for name in names)


def camera_table() -> str:
    """One row for the attributes of a colour camera that act in the same way, and the sentence about those without
    effect."""
    found = next(definition for definition in definitions() if definition[1] == "sensor.camera.rgb")
    idle = [attribute[0] for attribute in found[3]]
    idle.remove("role_name")
    rows = []
    for names, note in CAMERA_NOTES.items():
        rows.append(f"| {_codes(names)} | {_cell(note)} |\n")
        for name in names:
            idle.remove(name)
    return "".join(rows) + f"| {_codes(idle)} | taken, and have no effect |\n"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page() -> str:
    """The page as Markdown."""
    table = calls_table()
    counts = ", ".join(f"{sum(call.status is status for call in CALLS.values())} {status.value}" for status in Status)
    sensors, calls = (
        f"{SENSORS_INTRO}{sensors_table()}\n{CAMERAS_INTRO}{camera_table()}",
        f"{CALLS_INTRO}{table}\n{len(CALLS)} calls: {counts}.",
    )
    return f"{INTRO}\n{scripts()}\n{TRAFFIC}\n{sensors}\n{PROPS}\n{calls}\n"


if __name__ == "__main__":
    print(page(), end="")
