"""What can be spawned: CARLA 0.9.16's vehicles, walkers and props, with true dimensions.

Outer dimensions are those that a CARLA 0.9.16 server reports as bounding boxes, rounded to a millimetre. Mass,
wheelbase, engine power and drag area (drag coefficient times frontal area) are the published figures of the real cars,
or of a typical one of the class where the model is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from roadcraft.sim.embedded import props
from roadcraft.sim.embedded.props import Color, Prop
from roadcraft.sim.errors import UserError
from roadcraft.sim.messages import Kind


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One kind of vehicle, walker or prop."""

    id: str  # CARLA's blueprint id
    kind: Kind
    extent: tuple[float, float, float]  # [m] half sizes: length, width, height
    mass: float  # [kg]
    wheels: int = 0
    wheelbase: float = 0.0  # [m]
    power: float = 0.0  # [W] of the engine (bicycles: of the rider)
    drag_area: float = 0.0  # [m^2] drag coefficient times frontal area
    base_type: str = ""  # CARLA's attribute: car, truck, van, bus, motorcycle, bicycle
    special_type: str = ""  # CARLA's attribute: emergency, taxi, electric or nothing
    generation: int = 0
    has_lights: bool = False
    has_dynamic_doors: bool = False
    gender: str = ""  # walkers: female, male
    age: str = ""  # walkers: adult, child
    size: str = ""  # props: tiny, small, medium, big
    colors: tuple[Color, ...] = ()  # those recommended

    @property
    def is_vehicle(self) -> bool:
        return self.kind <= Kind.BICYCLE

    @property
    def semantic_tag(self) -> int:
        """CARLA's semantic tag of its pixels."""
        return _TAGS[self.kind]


_TAGS = {
    Kind.CAR: 14,
    Kind.TRUCK: 15,
    Kind.BUS: 16,
    Kind.MOTORCYCLE: 18,
    Kind.BICYCLE: 19,
    Kind.PEDESTRIAN: 12,
    Kind.PROP: 21,
}
_TYPES = {"truck": Kind.TRUCK, "bus": Kind.BUS, "motorcycle": Kind.MOTORCYCLE, "bicycle": Kind.BICYCLE}

# id, base type, length, width, height [m], mass [kg], wheelbase [m], power [kW], drag area [m^2],
# flags: 2 second generation, l lights, d doors that open, e emergency, t taxi, c charged by a plug
_VEHICLES = """
audi.a2                       car        3.705 1.789 1.549  1030 2.405   66 0.56 -
audi.etron                    car        4.856 2.033 1.649  2490 2.928  300 0.72 lc
audi.tt                       car        4.181 1.994 1.385  1365 2.505  169 0.63 l
bh.crossbike                  bicycle    1.509 0.866 1.612    90 1.060 0.40 0.45 -
bmw.grandtourer               car        4.611 2.242 1.667  1555 2.780  141 0.72 -
carlamotors.carlacola         truck      5.204 2.627 2.467  4500 3.100  140 3.50 l
carlamotors.european_hgv      truck      7.936 2.891 3.462 13000 4.600  330 6.00 2ld
carlamotors.firetruck         truck      8.468 2.891 3.827 14000 4.700  330 6.50 2lde
chevrolet.impala              car        5.357 2.033 1.411  1690 2.837  228 0.72 l
citroen.c3                    car        3.988 1.851 1.617  1125 2.539   81 0.68 -
diamondback.century           bicycle    1.656 0.582 1.620    88 1.010 0.50 0.40 -
dodge.charger_2020            car        5.008 1.882 1.535  1945 3.052  272 0.70 2ld
dodge.charger_police          car        4.974 2.038 1.542  1945 3.052  272 0.74 le
dodge.charger_police_2020     car        5.238 1.930 1.638  1985 3.052  272 0.76 2lde
ford.ambulance                van        6.366 2.351 2.431  3800 3.505  187 2.30 2lde
ford.crown                    car        5.366 1.801 1.575  1880 2.912  178 0.78 2ldt
ford.mustang                  car        4.718 1.895 1.301  1700 2.720  338 0.76 l
gazelle.omafiets              bicycle    1.843 0.659 1.776    95 1.150 0.30 0.60 -
harley-davidson.low_rider     motorcycle 2.350 0.766 1.649   390 1.615   64 0.65 l
jeep.wrangler_rubicon         car        3.866 1.905 1.878  1930 2.459  209 1.30 -
kawasaki.ninja                motorcycle 2.044 0.797 1.523   270 1.410   92 0.55 l
lincoln.mkz_2017              car        4.902 2.128 1.511  1800 2.850  183 0.66 l
lincoln.mkz_2020              car        4.892 1.837 1.490  1800 2.850  183 0.66 2ld
mercedes.coupe                car        5.027 2.152 1.651  1800 2.874  245 0.72 -
mercedes.coupe_2020           car        4.674 1.812 1.442  1615 2.840  190 0.60 2ld
mercedes.sprinter             van        5.915 1.988 2.561  2400 3.665  120 1.60 2ld
micro.microlino               car        2.207 1.481 1.376   590 1.566   13 0.60 lc
mini.cooper_s                 car        3.806 1.970 1.475  1210 2.467  128 0.70 -
mini.cooper_s_2021            car        4.553 2.097 1.767  1365 2.670  141 0.74 2ld
mitsubishi.fusorosa           bus       10.273 3.944 4.253  8500 4.550  129 5.50 2ld
nissan.micra                  car        3.633 1.845 1.501  1015 2.450   66 0.68 -
nissan.patrol                 car        4.605 1.932 1.855  1985 2.650  118 1.15 -
nissan.patrol_2021            car        5.566 2.150 2.045  2750 3.075  298 1.15 2ld
seat.leon                     car        4.193 1.816 1.474  1300 2.636  110 0.62 -
tesla.cybertruck              truck      6.274 2.390 2.098  3100 3.807  447 1.05 2lc
tesla.model3                  car        4.792 2.163 1.488  1845 2.875  211 0.51 lc
toyota.prius                  car        4.514 2.007 1.525  1375 2.700   90 0.57 l
vespa.zx125                   motorcycle 1.817 0.866 1.590   190 1.280    7 0.55 l
volkswagen.t2                 van        4.480 2.069 2.038  1300 2.400   51 1.35 l
volkswagen.t2_2021            van        4.442 1.775 1.987  1350 2.400   51 1.30 2ld
yamaha.yzf                    motorcycle 2.191 0.866 1.530   275 1.405  147 0.55 l
"""
_PAINTS: tuple[Color, ...] = (
    (17, 37, 103),
    (137, 0, 0),
    (38, 38, 38),
    (158, 158, 158),
    (225, 225, 225),
    (23, 69, 52),
    (180, 44, 44),
    (99, 99, 102),
    (65, 84, 105),
    (196, 176, 140),
)
_CLOTHES: tuple[Color, ...] = (
    (60, 70, 110),
    (140, 50, 45),
    (70, 90, 70),
    (40, 40, 45),
    (190, 180, 160),
    (110, 80, 60),
    (90, 110, 140),
    (170, 120, 60),
)
_FIXED_PAINT: dict[str, tuple[Color, ...]] = {
    "carlamotors.firetruck": ((170, 20, 20),),
    "ford.ambulance": ((235, 235, 230),),
    "ford.crown": ((230, 170, 30),),
    "dodge.charger_police": ((30, 30, 34),),
    "dodge.charger_police_2020": ((30, 30, 34),),
    "carlamotors.carlacola": ((190, 25, 35),),
    "mitsubishi.fusorosa": ((210, 205, 190),),
    "tesla.cybertruck": ((150, 152, 156),),
}
# Children by height [m]; the others are adults of 1.86 m.
_CHILDREN = {9: 1.1, 10: 1.1, 11: 1.1, 12: 1.3, 13: 1.3, 14: 1.3, 48: 1.1, 49: 1.1}
_WOMEN = frozenset(
    {1, 5, 6, 7, 8, 9, 10, 11, 15, 19, 22, 23, 26, 27, 28, 29, 31, 33, 35, 36, 37, 40, 41, 46, 47, 48, 52}
)
_WALKERS = 52


def _half(*sizes: float) -> tuple[float, float, float]:
    length, width, height = (round(size / 2, 4) for size in sizes)
    return length, width, height


def _vehicle(line: str) -> Blueprint:
    name, base, *numbers, flags = line.split()
    length, width, height, mass, wheelbase, power, drag = map(float, numbers)
    special = "emergency" if "e" in flags else "taxi" if "t" in flags else "electric" if "c" in flags else ""
    kind = _TYPES.get(base, Kind.CAR)
    if name in ("ford.ambulance", "mercedes.sprinter"):
        kind = Kind.TRUCK
    return Blueprint(
        id=f"vehicle.{name}",
        kind=kind,
        extent=_half(length, width, height),
        mass=mass,
        wheels=2 if base in ("motorcycle", "bicycle") else 4,
        wheelbase=wheelbase,
        power=1000 * power,
        drag_area=drag,
        base_type=base,
        special_type=special,
        generation=2 if "2" in flags else 1,
        has_lights="l" in flags,
        has_dynamic_doors="d" in flags,
        colors=_FIXED_PAINT.get(name, _PAINTS),
    )


def _walker(number: int) -> Blueprint:
    height = _CHILDREN.get(number, 1.86)
    across = 0.5 if height == 1.1 else 0.375
    return Blueprint(
        id=f"walker.pedestrian.{number:04d}",
        kind=Kind.PEDESTRIAN,
        extent=_half(across, across, height),
        mass=75.0 if height > 1.5 else 30.0,
        generation=2 if number >= 15 else 1,
        gender="female" if number in _WOMEN else "male",
        age="adult" if height > 1.5 else "child",
        colors=_CLOTHES,
    )


def _prop(prop: Prop) -> Blueprint:
    return Blueprint(
        id=f"static.prop.{prop.name}",
        kind=Kind.PROP,
        extent=_half(prop.length, prop.width, prop.height),
        mass=prop.mass,
        size=prop.size,
        colors=(prop.color,),
    )


VEHICLES: tuple[Blueprint, ...] = tuple(map(_vehicle, _VEHICLES.strip().splitlines()))
WALKERS: tuple[Blueprint, ...] = tuple(map(_walker, range(1, _WALKERS + 1)))
PROPS: tuple[Blueprint, ...] = tuple(map(_prop, props.TABLE))
CATALOGUE: tuple[Blueprint, ...] = VEHICLES + WALKERS + PROPS
INDEX: dict[str, int] = {blueprint.id: k for k, blueprint in enumerate(CATALOGUE)}


def find(name: str) -> Blueprint:
    """The blueprint of that id. Raises UserError where there is none."""
    if name not in INDEX:
        raise UserError(
            f"there is no blueprint '{name}'; the catalogue has {len(CATALOGUE)}, such as '{CATALOGUE[0].id}'"
        )
    return CATALOGUE[INDEX[name]]
