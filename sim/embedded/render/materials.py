"""What faces are made of: colour, how much of the body's own paint shows, what glows with which light."""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np

# CARLA's semantic tags that the renderer needs by name.
ROAD, SIDEWALK, BUILDING, POLE, TRAFFIC_LIGHT, TRAFFIC_SIGN = 1, 2, 3, 6, 7, 8
VEGETATION, TERRAIN, SKY, PEDESTRIAN, RIDER, CAR = 9, 10, 11, 12, 13, 14
TRUCK, BUS, MOTORCYCLE, BICYCLE, STATIC_TAG, DYNAMIC, ROAD_LINE = (
    15,
    16,
    18,
    19,
    20,
    21,
    24,
)

# CARLA's VehicleLightState bits.
(
    POSITION,
    LOW_BEAM,
    HIGH_BEAM,
    BRAKE,
    RIGHT_BLINKER,
    LEFT_BLINKER,
    REVERSE,
    FOG,
    SPECIAL,
) = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
    512,
)
# Bits for the lamps of a traffic light, by the same mechanism.
LIT_RED, LIT_YELLOW, LIT_GREEN = 1, 2, 4


class Material(IntEnum):
    """Rows of MATERIALS. Some have variants, chosen by the body's id: the numbers in between are theirs."""

    PAINT = 0
    PAINT_LOW = auto()  # paint in the shade of the sills
    TRIM = auto()
    GLASS = auto()
    TYRE = auto()
    HUB = auto()
    HEAD_LAMP = auto()
    TAIL_LAMP = auto()
    BLINKER_LEFT = auto()
    BLINKER_RIGHT = auto()
    SIREN = auto()
    PLATE = auto()
    CHROME = auto()
    CARGO = auto()
    SKIN = auto()
    SKIN_1 = auto()
    SKIN_2 = auto()
    HAIR = auto()
    HAIR_1 = auto()
    HAIR_2 = auto()
    TROUSERS = auto()
    TROUSERS_1 = auto()
    TROUSERS_2 = auto()
    TROUSERS_3 = auto()
    SHOES = auto()
    RIDER_CLOTHES = auto()
    RIDER_CLOTHES_1 = auto()
    RIDER_CLOTHES_2 = auto()
    RIDER_LEGS = auto()
    RIDER_SKIN = auto()
    HELMET = auto()
    HELMET_1 = auto()
    BARK = auto()
    LEAVES = auto()
    LEAVES_LOW = auto()
    WALL = auto()  # a facade: its windows are drawn when pixels are resolved
    ROOF = auto()
    CONCRETE = auto()
    METAL = auto()
    HOUSING = auto()
    LENS_RED = auto()
    LENS_YELLOW = auto()
    LENS_GREEN = auto()
    SIGN_RED = auto()
    SIGN_WHITE = auto()
    SIGN_BACK = auto()
    WOOD = auto()
    STREET_LAMP = auto()
    CONE = auto()


MATERIAL = np.dtype(
    [
        ("rgb", np.float32, 3),  # [0, 1] as displayed in full light
        ("paint", np.float32),  # share of the body's own colour
        (
            "variants",
            np.uint8,
        ),  # rows that follow it from which the body's id chooses, itself included
        ("tag", np.uint8),  # CARLA's semantic tag, 0: the body's
        ("gloss", np.float32),  # share of mirrored sky
        ("dim_bits", np.uint32),  # lights that make it glow a little
        ("bright_bits", np.uint32),  # lights that make it glow fully
        ("glow", np.float32, 3),  # [0, 1] colour when it glows
        ("facade", np.bool_),  # carries a facade
    ]
)


def _table() -> np.ndarray:
    table = np.zeros(len(Material), MATERIAL)
    table["variants"] = 1

    def put(material: Material, rgb: tuple[float, float, float], **fields: object) -> None:
        table[material]["rgb"] = np.array(rgb) / 255
        for name, value in fields.items():
            table[material][name] = value

    m, lit = Material, np.array([255, 244, 214]) / 255
    put(m.PAINT, (0, 0, 0), paint=1.0, gloss=0.12)
    put(m.PAINT_LOW, (14, 14, 16), paint=0.55)
    put(m.TRIM, (34, 34, 36))
    put(m.GLASS, (26, 32, 38), gloss=0.42)
    put(m.TYRE, (24, 24, 25))
    put(m.HUB, (150, 152, 156))
    put(
        m.HEAD_LAMP,
        (205, 212, 220),
        dim_bits=POSITION,
        bright_bits=LOW_BEAM | HIGH_BEAM,
        glow=(1.0, 0.97, 0.88),
    )
    put(
        m.TAIL_LAMP,
        (128, 16, 18),
        dim_bits=POSITION | LOW_BEAM,
        bright_bits=BRAKE,
        glow=(1.0, 0.13, 0.10),
    )
    put(m.BLINKER_LEFT, (166, 84, 24), bright_bits=LEFT_BLINKER, glow=(1.0, 0.66, 0.10))
    put(
        m.BLINKER_RIGHT,
        (166, 84, 24),
        bright_bits=RIGHT_BLINKER,
        glow=(1.0, 0.66, 0.10),
    )
    put(m.SIREN, (40, 60, 150), bright_bits=SPECIAL, glow=(0.35, 0.5, 1.0))
    put(m.PLATE, (214, 214, 206))
    put(m.CHROME, (150, 154, 160), gloss=0.3)
    put(m.CARGO, (214, 214, 210))
    put(m.SKIN, (224, 178, 150), variants=3)
    put(m.SKIN_1, (176, 126, 94))
    put(m.SKIN_2, (112, 76, 56))
    put(m.HAIR, (48, 36, 28), variants=3)
    put(m.HAIR_1, (26, 24, 24))
    put(m.HAIR_2, (140, 106, 62))
    put(m.TROUSERS, (46, 56, 84), variants=4)
    put(m.TROUSERS_1, (44, 44, 48))
    put(m.TROUSERS_2, (128, 110, 84))
    put(m.TROUSERS_3, (88, 92, 98))
    put(m.SHOES, (36, 32, 30))
    put(m.RIDER_CLOTHES, (60, 74, 128), variants=3, tag=RIDER)
    put(m.RIDER_CLOTHES_1, (158, 62, 48), tag=RIDER)
    put(m.RIDER_CLOTHES_2, (52, 54, 58), tag=RIDER)
    put(m.RIDER_LEGS, (46, 50, 66), tag=RIDER)
    put(m.RIDER_SKIN, (206, 160, 132), tag=RIDER)
    put(m.HELMET, (224, 224, 220), variants=2, tag=RIDER)
    put(m.HELMET_1, (40, 42, 46), tag=RIDER)
    put(m.BARK, (92, 74, 58))
    put(m.LEAVES, (84, 118, 50), paint=0.45)
    put(m.LEAVES_LOW, (56, 84, 38), paint=0.3)
    put(m.WALL, (62, 68, 76), paint=0.75, facade=True)
    put(m.ROOF, (116, 110, 104), paint=0.2)
    put(m.CONCRETE, (168, 165, 158))
    put(m.METAL, (112, 116, 120))
    put(m.HOUSING, (30, 31, 30), tag=TRAFFIC_LIGHT)
    put(
        m.LENS_RED,
        (58, 14, 12),
        bright_bits=LIT_RED,
        glow=(1.0, 0.16, 0.10),
        tag=TRAFFIC_LIGHT,
    )
    put(
        m.LENS_YELLOW,
        (62, 48, 12),
        bright_bits=LIT_YELLOW,
        glow=(1.0, 0.78, 0.12),
        tag=TRAFFIC_LIGHT,
    )
    put(
        m.LENS_GREEN,
        (10, 50, 32),
        bright_bits=LIT_GREEN,
        glow=(0.16, 1.0, 0.58),
        tag=TRAFFIC_LIGHT,
    )
    put(m.SIGN_RED, (186, 28, 34), tag=TRAFFIC_SIGN)
    put(m.SIGN_WHITE, (238, 238, 234), tag=TRAFFIC_SIGN)
    put(m.SIGN_BACK, (130, 133, 136), tag=TRAFFIC_SIGN)
    put(m.WOOD, (128, 92, 60))
    put(m.STREET_LAMP, (196, 196, 188), bright_bits=1, glow=tuple(lit))
    put(m.CONE, (232, 104, 32))
    return table


MATERIALS = _table()
