"""CARLA 0.9.16's props as one table.

Sizes along x, y, z are those that a CARLA 0.9.16 server reports as bounding boxes (taken from Scenic's published list
of them), rounded to a millimetre, and the word is CARLA's attribute `size`. Masses and colours are estimated from what
the thing is: CARLA tells neither.
"""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int]

_COLORS: dict[str, Color] = {
    "orange": (200, 90, 30), "white": (220, 220, 215), "grey": (130, 130, 130), "black": (40, 40, 42),
    "brown": (110, 80, 55), "green": (60, 100, 50), "red": (170, 35, 35), "blue": (45, 75, 130),
    "straw": (196, 170, 100),
}  # fmt: skip

# id after `static.prop.`, CARLA's size, x, y, z [m], mass [kg], colour
_TABLE = """
advertisement       small   1.549 0.287  2.443   80.0 white
atm                 medium  0.713 0.874  2.276  600.0 blue
barbeque            small   0.946 0.499  1.264   40.0 black
barrel              small   0.460 0.471  0.807   30.0 orange
bench01             medium  1.544 0.736  0.970   60.0 orange
bench02             medium  1.564 0.545  0.509   50.0 orange
bench03             medium  1.583 0.513  0.513   50.0 brown
bike helmet         tiny    0.186 0.277  0.171    0.3 red
bin                 medium  0.548 0.638  1.059   15.0 green
box01               small   0.66  0.67   0.65    10.0 orange
box02               small   0.66  0.67   0.65    10.0 orange
box03               small   0.661 0.670  0.649   10.0 orange
briefcase           small   0.543 0.181  0.433    3.0 black
brokentile01        tiny    0.134 0.176  0.007    0.3 red
brokentile02        tiny    0.210 0.152  0.008    0.4 red
brokentile03        tiny    0.154 0.145  0.009    0.3 red
brokentile04        tiny    0.130 0.126  0.010    0.3 red
busstop             big     3.876 1.894  2.739  800.0 orange
busstoplb           big     1.894 3.876  2.739  800.0 grey
calibrator          small   1.548 0.690  0.202   10.0 white
chainbarrier        medium  1.494 0.239  0.889   30.0 grey
chainbarrierend     small   0.239 0.239  0.889   20.0 grey
clothcontainer      medium  1.239 1.887  1.810  300.0 orange
clothesline         big     6.652 1.118  2.061   60.0 white
colacan             tiny    0.068 0.072  0.110    0.1 red
constructioncone    small   0.344 0.344  0.586    2.0 orange
container           medium  1.932 1.012  1.714  300.0 orange
creasedbox01        small   0.809 0.713  0.118    1.0 orange
creasedbox02        small   1.633 0.713  0.212    2.0 orange
creasedbox03        small   1.669 0.713  0.022    1.0 orange
dirtdebris01        small   1.857 1.514  0.149   60.0 orange
dirtdebris02        small   1.857 1.514  0.149   60.0 orange
dirtdebris03        small   1.857 1.514  0.188   70.0 orange
doghouse            small   1.079 1.272  1.094   40.0 brown
foodcart            big     2.285 4.638  3.573  700.0 white
fountain            big     8.402 8.402  6.924 20000.0 grey
garbage01           tiny    0.053 0.053  0.087    0.1 grey
garbage02           tiny    0.053 0.053  0.009    0.1 grey
garbage03           tiny    0.060 0.059  0.079    0.1 red
garbage04           tiny    0.057 0.056  0.069    0.1 red
garbage05           tiny    0.232 0.233  0.058    0.1 white
garbage06           tiny    0.366 0.213  0.077    0.1 white
gardenlamp          small   0.297 0.281  0.648    5.0 black
glasscontainer      medium  1.955 2.009  1.788  400.0 orange
gnome               small   0.367 0.376  0.883   12.0 red
guitarcase          small   1.242 0.125  0.494    6.0 black
haybale             medium  1.248 1.193  1.195  200.0 orange
haybalelb           medium  1.248 1.193  1.195  200.0 straw
ironplank           small   1.452 1.174  0.021   50.0 orange
kiosk_01            medium  1.625 1.654  3.245  900.0 orange
mailbox             small   0.527 0.438  1.157   60.0 orange
maptable            medium  1.573 0.617  1.181   60.0 brown
mobile              tiny    0.080 0.007  0.166    0.2 black
motorhelmet         small   0.200 0.259  0.258    1.5 black
pergola             big     5.029 5.085  3.542  600.0 brown
plantpot01          small   1.089 0.476  0.557   80.0 orange
plantpot02          small   1.051 0.431  0.487   70.0 green
plantpot03          small   1.051 0.431  0.487   70.0 green
plantpot04          small   4.967 0.737  0.125  150.0 green
plantpot05          small   0.400 0.400  0.280   15.0 green
plantpot06          small   1.593 1.593  0.850  300.0 green
plantpot07          small   0.495 0.476  0.557   40.0 green
plantpot08          small   0.530 0.530  0.489   40.0 green
plasticbag          small   0.311 0.403  0.552    1.0 white
plasticchair        small   0.730 0.750  1.271    3.0 white
plastictable        medium  2.482 2.482  2.480   15.0 white
platformgarbage01   medium  3.633 1.711  0.332  200.0 grey
purse               small   0.159 0.333  0.585    1.0 brown
shoppingbag         small   0.474 0.243  0.601    3.0 white
shoppingcart        medium  0.669 1.208  1.079   20.0 orange
shoppingtrolley     small   0.506 0.331  1.094    8.0 blue
slide               big     0.943 4.122  1.977  150.0 red
streetbarrier       small   1.215 0.372  1.069   40.0 orange
streetfountain      small   0.287 0.670  1.259  150.0 grey
streetsign          small   1.064 0.125  2.154   40.0 white
streetsign01        medium  2.470 0.303  3.878  150.0 white
streetsign04        small   1.171 0.125  2.773   50.0 white
swing               medium  4.105 1.577  2.572  150.0 blue
swingcouch          medium  1.357 2.362  2.249   60.0 white
table               medium  2.156 2.152  0.846   60.0 brown
trafficcone01       small   0.883 0.882  1.133    5.0 orange
trafficcone02       small   0.456 0.395  1.183    4.0 orange
trafficwarning      big     2.373 2.871  3.570  600.0 orange
trampoline          big     4.132 4.132  2.802  100.0 black
trashbag            small   0.378 0.430  0.702    5.0 orange
trashcan01          small   0.635 0.568  0.848   20.0 orange
trashcan02          small   0.524 0.514  1.045   20.0 orange
trashcan03          small   0.629 0.545  0.934   20.0 orange
trashcan04          small   0.789 0.580  1.016   20.0 green
trashcan05          small   0.789 0.580  1.016   20.0 grey
travelcase          small   0.567 0.328  1.263   15.0 blue
vendingmachine      medium  0.873 1.102  2.108  250.0 orange
warningaccident     medium  1.305 1.055  1.860   15.0 orange
warningconstruction medium  1.305 1.055  1.860   15.0 orange
wateringcan         small   0.070 0.194  0.135    0.5 green
"""


@dataclass(frozen=True, slots=True)
class Prop:
    """One row of the table."""

    name: str
    size: str  # CARLA's attribute: tiny, small, medium, big
    length: float  # [m] along x
    width: float  # [m] along y
    height: float  # [m]
    mass: float  # [kg]
    color: Color


def _prop(line: str) -> Prop:
    name, size, length, width, height, mass, color = line.rsplit(maxsplit=6)
    return Prop(name, size, float(length), float(width), float(height), float(mass), _COLORS[color])


TABLE: tuple[Prop, ...] = tuple(map(_prop, _TABLE.strip().splitlines()))
