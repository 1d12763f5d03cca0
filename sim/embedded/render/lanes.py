"""Vectors of eight numbers for the kernels: what a loop over the pixels of a short run does in a few instructions.

The compiler makes vectors of long loops by itself; the runs of a picture are short and are left to it one number at a
time. `load` and `store` may reach up to eight numbers beyond a run: buffers have as many to spare, see `spare`.
Both sides of an operator are lanes of one kind, or lanes and a scalar: float32 for floating-point lanes, for the others
any integer, of which the lower bits count.
"""

# Kernels take arrays and lanes, whose types only the compiler knows.
# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import operator
from math import prod

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import gep, get_or_insert_function
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numpy.typing import DTypeLike, NDArray

from roadcraft.sim.embedded.render.compiled import part

LANES = 8
MARKED = 16  # bytes that `mark` changes at once
FENCE = "llvm.arithmetic.fence.v8f32"


class Lanes(types.Type):
    """LANES numbers of a scalar type."""

    def __init__(self, scalar: types.Type) -> None:
        self.scalar = scalar
        super().__init__(name=f"lanes({scalar})")


FLOATS, INTS, LONGS, MASK = (Lanes(scalar) for scalar in (types.float32, types.int32, types.int64, types.boolean))
_KIND = {types.float32: FLOATS, types.int32: INTS, types.uint32: INTS, types.int64: LONGS}
_ELEMENT = {FLOATS: ir.FloatType(), INTS: ir.IntType(32), LONGS: ir.IntType(64), MASK: ir.IntType(1)}


def _vector(kind: Lanes) -> ir.VectorType:
    return ir.VectorType(_ELEMENT[kind], LANES)


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _vector(kind))


def spare(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """An array of zeros after whose last number MARKED more may be read and written."""
    count = prod(shape)
    return np.zeros(count + MARKED, dtype)[:count].reshape(shape)


def _splat(builder, kind, scalar):
    vector = ir.Constant(_vector(kind), ir.Undefined)
    vector = builder.insert_element(vector, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(vector, ir.Constant(_vector(kind), ir.Undefined), zeros)


def _both(a, b):
    """The kind of two sides that an operator combines, or None."""
    kind = a if isinstance(a, Lanes) else b
    if not isinstance(kind, Lanes):
        return None
    fits = all(side == kind or _may_join(side, kind) for side in (a, b))
    return kind if fits else None


def _may_join(scalar, kind):
    return scalar == types.float32 if kind == FLOATS else isinstance(scalar, types.Integer)


def _operator(function, emit, result=None):
    """Teaches the compiler an operator; `emit(builder, kind)` makes its instruction."""

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            kind = _both(*args) if len(args) == 2 else None
            if kind is None:
                return None
            sides = [side if side == kind else types.unliteral(side) for side in args]
            return signature(result or kind, *sides)

    def lower(context, builder, sig, args):
        kind = _both(*sig.args)

        def spread(value, side):
            return value if side == kind else _splat(builder, kind, context.cast(builder, value, side, kind.scalar))

        return emit(builder, kind, *map(spread, args, sig.args))

    for sides in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *sides)(lower)


def _either(floats, ints):
    """Emits by kind."""
    return lambda builder, kind, a, b: getattr(builder, floats if kind == FLOATS else ints)(a, b)


def _compare(sign):
    def emit(builder, kind, a, b):
        return (builder.fcmp_ordered if kind == FLOATS else builder.icmp_signed)(sign, a, b)

    return emit


for _function, _names in (
    (operator.add, ("fadd", "add")),
    (operator.iadd, ("fadd", "add")),
    (operator.sub, ("fsub", "sub")),
    (operator.mul, ("fmul", "mul")),
    (operator.truediv, ("fdiv", "sdiv")),
    (operator.and_, ("and_", "and_")),
    (operator.or_, ("or_", "or_")),
    (operator.xor, ("xor", "xor")),
    (operator.lshift, ("shl", "shl")),
    (operator.rshift, ("lshr", "lshr")),
):
    _operator(_function, _either(*_names))
for _function, _sign in (
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.lt, "<"),
    (operator.eq, "=="),
    (operator.ne, "!="),
):
    _operator(_function, _compare(_sign), MASK)


def _larger(sign):
    def emit(builder, kind, a, b):
        return builder.select(_compare(sign)(builder, kind, a, b), a, b)

    return emit


def least(a, b):
    """The lesser of each pair of lanes; b where they do not compare."""


def most(a, b):
    """The greater of each pair of lanes; b where they do not compare."""


_operator(least, _larger("<"))
_operator(most, _larger(">"))


@intrinsic
def lanes(typing, scalar):
    """LANES times the same number."""
    kind = _KIND[types.unliteral(scalar)]
    return kind(types.unliteral(scalar)), lambda context, builder, sig, args: _splat(builder, kind, args[0])


@intrinsic
def count_up(typing):
    """0, 1, 2, ..."""
    return INTS(), lambda *_: ir.Constant(_vector(INTS), list(range(LANES)))


@intrinsic
def to_floats(typing, ints):
    """Whole numbers as floating-point ones."""
    return FLOATS(INTS), lambda context, builder, sig, args: builder.sitofp(args[0], _vector(FLOATS))


@intrinsic
def to_ints(typing, floats):
    """Cut towards zero."""
    return INTS(FLOATS), lambda context, builder, sig, args: builder.fptosi(args[0], _vector(INTS))


@intrinsic
def to_longs(typing, ints):
    """The same numbers with 64 bits."""
    return LONGS(INTS), lambda context, builder, sig, args: builder.sext(args[0], _vector(LONGS))


@intrinsic
def low_words(typing, longs):
    """The lower 32 bits."""
    return INTS(LONGS), lambda context, builder, sig, args: builder.trunc(args[0], _vector(INTS))


@intrinsic
def select(typing, mask, a, b):
    """Lanes of a where the mask is set, else of b."""
    return a(mask, a, b), lambda context, builder, sig, args: builder.select(*args)


def _across(sign):
    """Emits the reduction of all lanes to one, halving them three times."""

    def emit(context, builder, sig, args):
        value = args[0]
        for step in (4, 2, 1):
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(k + step) % LANES for k in range(LANES)])
            turned = builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)
            value = builder.select(_compare(sign)(builder, sig.args[0], value, turned), value, turned)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return emit


@intrinsic
def lowest(typing, values):
    """The least of all lanes."""
    return values.scalar(values), _across("<")


@intrinsic
def highest(typing, values):
    """The greatest of all lanes."""
    return values.scalar(values), _across(">")


@intrinsic
def bits(typing, mask):
    """One bit a lane, the first the lowest."""

    def emit(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(mask), emit


def _place(context, builder, array_type, array, at, width, element):
    """Pointer to `width` elements from the flat index `at` on."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(gep(builder, data, at), ir.VectorType(element, width).as_pointer())


@intrinsic
def load(typing, array, at):
    """LANES numbers of a contiguous array from a flat index on."""
    kind = _KIND[array.dtype]

    def emit(context, builder, sig, args):
        place = _place(context, builder, sig.args[0], *args, LANES, _ELEMENT[kind])
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return kind(array, types.intp), emit


@intrinsic
def pick(typing, array, places):
    """The numbers of a contiguous array at LANES flat indices."""
    kind = _KIND[array.dtype]

    def emit(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        found = ir.Constant(_vector(kind), ir.Undefined)
        for k in range(LANES):
            lane = ir.Constant(ir.IntType(32), k)
            place = builder.zext(builder.extract_element(args[1], lane), ir.IntType(64))
            found = builder.insert_element(found, builder.load(gep(builder, data, place)), lane)
        return found

    return kind(array, places), emit


@intrinsic
def store(typing, array, at, values):
    """Writes LANES numbers of 32 bits to a contiguous array from a flat index on."""

    def emit(context, builder, sig, args):
        kind = _vector(FLOATS)
        # Without the fence the compiler makes a masked store of a selected one, which takes many times as long.
        fence = get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), FENCE)
        place = _place(context, builder, sig.args[0], args[0], args[1], LANES, kind.element)
        builder.store(builder.call(fence, [builder.bitcast(args[2], kind)]), place, align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, values), emit


def _pack(count):
    """Emits the writing of the lowest `count` bytes of each lane, packed."""

    def emit(context, builder, sig, args):
        byte = ir.IntType(8)
        whole = builder.bitcast(args[2], ir.VectorType(byte, 4 * LANES))
        chosen = [4 * lane + k for lane in range(LANES) for k in range(count)]
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(chosen)), chosen)
        packed = builder.shuffle_vector(whole, ir.Constant(whole.type, ir.Undefined), order)
        builder.store(packed, _place(context, builder, sig.args[0], *args[:2], len(chosen), byte), align=1)
        return context.get_dummy_value()

    return emit


@intrinsic
def store_bytes(typing, array, at, ints):
    """Writes the lowest byte of each lane to a contiguous array of bytes from a flat index on."""
    return types.none(array, types.intp, ints), _pack(1)


@intrinsic
def repeat_byte(typing, array, at, value):
    """Writes LANES times the same byte likewise."""

    def emit(context, builder, sig, args):
        word = ir.IntType(8 * LANES)
        repeated = builder.mul(builder.zext(args[2], word), ir.Constant(word, sum(1 << 8 * k for k in range(LANES))))
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(repeated, builder.bitcast(gep(builder, data, args[1]), word.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.none(array, types.intp, types.uint8), emit


@intrinsic
def store_triples(typing, array, at, ints):
    """Writes the three lowest bytes of each lane likewise."""
    return types.none(array, types.intp, ints), _pack(3)


@intrinsic
def mark(typing, array, at, count, bit):
    """Sets bits in the first `count`, or MARKED if that is less, bytes of a contiguous array from a flat index on."""

    def emit(context, builder, sig, args):
        byte, kind = ir.IntType(8), ir.VectorType(ir.IntType(8), MARKED)
        place = _place(context, builder, sig.args[0], args[0], args[1], MARKED, byte)
        limit = ir.Constant(args[2].type, MARKED)
        count = builder.select(builder.icmp_signed("<", args[2], limit), args[2], limit)

        def spread(value):
            one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), MARKED), [0] * MARKED)
            return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)

        among = builder.icmp_signed("<", ir.Constant(kind, list(range(MARKED))), spread(builder.trunc(count, byte)))
        added = builder.select(among, spread(args[3]), ir.Constant(kind, [0] * MARKED))
        builder.store(builder.or_(builder.load(place, align=1), added), place, align=1)
        return context.get_dummy_value()

    return types.none(array, types.intp, types.intp, types.uint8), emit


@part
def round_down(floats):
    """The greatest whole numbers that are not greater."""
    ints = to_ints(floats)
    return ints - select(floats < to_floats(ints), lanes(np.int32(1)), lanes(np.int32(0)))
