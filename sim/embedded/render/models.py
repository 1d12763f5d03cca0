"""All meshes of the renderer as one library, and which of them shows what."""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from roadcraft.sim.embedded.catalogue import CATALOGUE, Blueprint
from roadcraft.sim.embedded.render import people, street, vehicles
from roadcraft.sim.embedded.render.mesh import Library, Mesh, pack
from roadcraft.sim.embedded.render.things import Models
from roadcraft.sim.messages import Kind


class Model(IntEnum):
    """Rows of Models."""

    BOX = 0
    SEDAN = auto()
    COUPE = auto()
    HATCH = auto()
    SUV = auto()
    PICKUP = auto()
    VAN = auto()
    TRUCK = auto()
    BUS = auto()
    MOTORCYCLE = auto()
    BICYCLE = auto()
    CONE = auto()
    POST = auto()
    HOUSE_FLAT = auto()
    HOUSE_PITCHED = auto()
    TRUNK = auto()
    BUSH = auto()
    SIGNAL_HEAD = auto()
    STOP_SIGN = auto()
    YIELD_SIGN = auto()
    SPEED_SIGN = auto()
    LAMP_HEAD = auto()
    TREE = auto()
    TREE_1 = auto()
    TREE_2 = auto()
    TREE_3 = auto()


TREES = 4
# Radius on the screen [pixels] above which a model's first and second level of detail show.
_VEHICLE, _STREET, _TREE = (30.0, 9.0), (40.0, 20.0), (60.0, 22.0)
_SHAPES = {
    "audi.a2": Model.HATCH,
    "audi.etron": Model.SUV,
    "audi.tt": Model.COUPE,
    "bmw.grandtourer": Model.HATCH,
    "citroen.c3": Model.HATCH,
    "ford.mustang": Model.COUPE,
    "jeep.wrangler_rubicon": Model.SUV,
    "mercedes.coupe": Model.COUPE,
    "mercedes.coupe_2020": Model.COUPE,
    "micro.microlino": Model.HATCH,
    "mini.cooper_s": Model.HATCH,
    "mini.cooper_s_2021": Model.HATCH,
    "nissan.micra": Model.HATCH,
    "nissan.patrol": Model.SUV,
    "nissan.patrol_2021": Model.SUV,
    "seat.leon": Model.HATCH,
    "tesla.cybertruck": Model.PICKUP,
}
_KINDS = {
    Kind.CAR: Model.SEDAN,
    Kind.TRUCK: Model.TRUCK,
    Kind.BUS: Model.BUS,
    Kind.MOTORCYCLE: Model.MOTORCYCLE,
    Kind.BICYCLE: Model.BICYCLE,
}


def _model_of(blueprint: Blueprint) -> Model:
    name = blueprint.id.removeprefix("vehicle.")
    if name in _SHAPES:
        return _SHAPES[name]
    if blueprint.base_type == "van":
        return Model.VAN
    if blueprint.kind == Kind.PROP and "cone" in blueprint.id:
        return Model.CONE
    return _KINDS.get(blueprint.kind, Model.BOX)


MODEL_OF = np.array([_model_of(blueprint) for blueprint in CATALOGUE], np.int32)


def build() -> tuple[Library, Models, NDArray[np.int32]]:
    """The library, the models and the meshes of a walker: torso, leg, arm, whole."""
    meshes: list[Mesh] = []
    rows = np.zeros((len(Model), 3), np.int32)
    switch = np.zeros((len(Model), 2), np.float32)

    def put(model: int, levels: list[Mesh], at: tuple[float, float] = _STREET) -> None:
        levels = levels + [levels[-1]] * (3 - len(levels))
        for k, mesh in enumerate(levels):
            if mesh not in meshes:
                meshes.append(mesh)
            rows[model, k] = meshes.index(mesh)
        switch[model] = at

    put(Model.BOX, [street.box()])
    for model, shape in (
        (Model.SEDAN, vehicles.SEDAN),
        (Model.COUPE, vehicles.COUPE),
        (Model.HATCH, vehicles.HATCH),
        (Model.SUV, vehicles.SUV),
        (Model.PICKUP, vehicles.PICKUP),
        (Model.VAN, vehicles.VAN),
    ):
        put(model, vehicles.car(shape), _VEHICLE)
    put(Model.TRUCK, vehicles.truck(), (20.0, 9.0))
    put(Model.BUS, vehicles.bus(), (20.0, 9.0))
    put(Model.MOTORCYCLE, vehicles.motorcycle(), (9.0, 4.0))
    put(Model.BICYCLE, vehicles.bicycle(), (9.0, 4.0))
    put(Model.CONE, [street.cone()])
    put(Model.POST, [street.post(8), street.post(5), street.post(4)], (60.0, 25.0))
    put(Model.HOUSE_FLAT, street.building(0), (30.0, 30.0))
    put(Model.HOUSE_PITCHED, street.building(1), (30.0, 30.0))
    put(Model.TRUNK, [street.trunk()])
    put(Model.BUSH, street.bush(), (16.0, 16.0))
    put(Model.SIGNAL_HEAD, street.signal_head(), (7.0, 7.0))
    put(Model.STOP_SIGN, [street.stop_sign()])
    put(Model.YIELD_SIGN, [street.yield_sign()])
    put(Model.SPEED_SIGN, [street.speed_sign()])
    put(Model.LAMP_HEAD, [street.street_lamp_head()])
    for k in range(TREES):
        put(Model.TREE + k, street.tree(k), _TREE)
    walker = np.arange(len(meshes), len(meshes) + 4, dtype=np.int32)
    meshes += [*people.walker_parts(), people.walker_far()]
    return pack(meshes), Models(rows, switch), walker
