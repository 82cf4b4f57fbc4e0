"""C functions that ctypes has loaded, with a price: each call is reserved, made, and captured or released."""

from __future__ import annotations

import ctypes
import threading
import weakref
from ctypes import POINTER, c_void_p
from typing import TYPE_CHECKING, Any, Final, NoReturn

from . import _frames as frames
from . import _layout as layout
from . import _statuses as status
from ._encoding import DURABILITY, given_flags
from ._frames import text_bytes
from ._library import Library
from .context import Borrowed, Payment, current_scope, fill_payer, scope_variable
from .errors import RequestError
from .money import Money, to_units
from .values import Receipt

if TYPE_CHECKING:
    from .engine import Farebox

__all__ = ["MeteredFunction", "meter_c", "metered"]

_USE_ERRNO: Final = 8
_PYTHON_API: Final = 4
_CODES: Final[dict[str, str]] = {
    **dict.fromkeys("cbhilq", "i"),
    **dict.fromkeys("?BHILQ", "u"),
    "d": "double",
    "z": "string",
    "Z": "pointer",
    "P": "pointer",
    "O": "pointer",
}
_SCALARS: Final[dict[str, Any]] = {
    "i8": ctypes.c_int8,
    "i16": ctypes.c_int16,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "u64": ctypes.c_uint64,
    "double": ctypes.c_double,
    "string": ctypes.c_char_p,
    "pointer": c_void_p,
    "void": None,
}
_last = threading.local()


def _resolve(context: int | None, payer: Any) -> int:
    try:
        return 0 if fill_payer(payer.contents) else 1
    except Exception:
        return 1  # nobody pays, and the call fails


_resolver = ctypes.CFUNCTYPE(ctypes.c_int, c_void_p, POINTER(layout.Payer))(_resolve)


class MeteredFunction:
    """A ctypes function whose calls are charged; made by ``Farebox.meter_function``.

    It has the prototype of ``function``, so it can be called from Python and be given to C as a callback. Called from
    Python, a call that is refused or cannot be charged raises, unless ``refused`` was declared: then it returns that,
    and ``farebox.metered`` raises. Called from C it returns ``refused``, or zero.

    Ownership: it keeps ``function`` and the engine alive. When it is collected, the C function is given back, and a C
    caller that still has its address gets ``refused``.
    Threads: any, if ``function`` may be called from any.
    """

    engine: Farebox
    function: Any
    tool: str
    signature: str
    payer: str | None
    refused: Any
    _fields: tuple[Any, ...]

    def __call__(self, *args: Any) -> Any:
        payment: Payment | None = None
        if self.payer is None:
            scope = current_scope()
            payment = scope.payment if scope is not None else None
        result = super().__call__(*args)  # type: ignore[misc]
        _last.engine = self.engine
        if self.refused is None or (payment is not None and payment.on_receipt is not None):
            try:
                receipt = metered(self.engine)
            except Exception:
                if self.refused is None:
                    raise
                return result
            if receipt is not None and payment is not None:
                payment.tell(receipt)
        return result

    def __copy__(self) -> MeteredFunction:
        return self

    def __deepcopy__(self, memo: Any) -> MeteredFunction:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A metered C function cannot be pickled: call engine.meter_function() where it is used.")

    def __repr__(self) -> str:
        return f"<MeteredFunction {self.tool} {self.signature}>"


def metered(engine: Farebox | None = None) -> Receipt | None:
    """Returns the receipt of the last call of a metered C function on this thread, or None where nothing was charged.

    ``engine`` is needed only where C has made the call, outside of ``engine.paying``.

    Threads: each has its own.
    Errors: that of the call, such as PaymentRefused where it was refused and its function did not run.
    """
    if engine is None:
        scope = scope_variable.get()
        engine = getattr(_last, "engine", None) or (scope.payment.engine if scope and scope.payment else None)
    if engine is None:
        raise RequestError(status.MISSING_FIELD, "No metered function was called here: give engine=.", field="engine")
    frame = frames.take()
    try:
        code = engine._library.metered(frame.receipt, frame.error)
        if code:
            raise frame.failure(code)
        receipt = engine._receipt(frame.raw)
        return receipt if receipt.id else None
    finally:
        frames.give(frame)


def meter_c(
    engine: Farebox,
    function: Any,
    *,
    name: str,
    tool: str,
    payer: str | None,
    signature: str | None,
    units: str | None,
    failure: str | None,
    refused: Any,
    max_cost: Money | None,
    durability: str | None,
    terms: int,
) -> Any:
    """Meters a ctypes function; see ``Farebox.meter_function``, which registers the price."""
    if not isinstance(function, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        raise RequestError(status.INVALID_ARGUMENT, "It is not a ctypes function.", field="function")
    flags = type(function)._flags_
    if flags & _PYTHON_API:
        raise RequestError(
            status.INVALID_ARGUMENT,
            "A function that keeps the interpreter's lock cannot wait for a ledger.",
            field="function",
        )
    result, arguments = _types(function, signature)
    text = signature if signature is not None else _signature(result, arguments)
    engine._library.set_payer_resolver(ctypes.cast(_resolver, c_void_p), None, None)
    out = c_void_p()
    given = [Borrowed(text_bytes(value or "", "text")) for value in (text, tool, payer, units, failure)]
    maximum = 0 if max_cost is None else to_units(max_cost, engine._scale(engine._tool_asset(tool)), "max_cost")
    args = layout.MeterArgs(
        struct_size=ctypes.sizeof(layout.MeterArgs),
        flags=given_flags(None, max_cost) | terms,
        function=ctypes.cast(function, c_void_p).value,
        **{
            name: layout.Str(value.address, value.size)
            for name, value in zip(("signature", "tool", "payer", "usage", "failure"), given)
        },
        **_refused(result, refused),
        max_cost=maximum,
        durability=DURABILITY[durability],
    )
    frame = frames.take()
    try:
        code = engine._library.meter(engine._handle, ctypes.addressof(args), ctypes.addressof(out), frame.error)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)
    try:
        if signature is not None:
            _compare(signature, result, arguments)
        prototype = ctypes.CFUNCTYPE(result, *arguments, use_errno=bool(flags & _USE_ERRNO))
        # ctypes reads these from the class itself, not from what it inherits.
        own = {name: getattr(prototype, name) for name in ("_flags_", "_restype_", "_argtypes_")}
        made: Any = type("MeteredFunction", (MeteredFunction, prototype), own)(out.value)
    except BaseException:
        engine._library.unmeter(out, None)
        raise
    made.engine, made.function, made.tool, made.signature = engine, function, name, text
    made.payer, made.refused = payer, refused
    check = getattr(function, "errcheck", None)
    if check is not None:
        made.errcheck = check
    # The finalizer keeps alive what C may still call until the function is given back.
    weakref.finalize(made, _unmeter, engine._library, out.value, function)
    return made


def _unmeter(library: Library, address: int | None, function: Any) -> None:
    library.unmeter(address, None)


# ---- Prototypes and signatures ----


def _types(function: Any, signature: str | None) -> tuple[Any, list[Any]]:
    """The result and parameters as ctypes says them, or else as the signature does."""
    if function.argtypes is not None:
        return function.restype, list(function.argtypes)
    if signature is None:
        raise RequestError(
            status.MISSING_FIELD, "Set the function's argtypes and restype, or give signature=.", field="signature"
        )
    return _written(signature)


def _written(signature: str) -> tuple[Any, list[Any]]:
    """The types of C that a signature stands for; what is wrong with it the library says, with the column."""
    head, _, rest = signature.partition("(")
    arguments: list[Any] = []
    for parameter in filter(None, (part.strip() for part in rest.rstrip(" )").split(","))):
        kind, _, width = parameter.split()[0].partition(":")
        if width:
            number = _SCALARS.get(width.rstrip("*"), c_void_p)
            arguments += [c_void_p, POINTER(number) if width.endswith("*") else number]
        else:
            arguments.append(_SCALARS.get(kind, c_void_p))
    return _SCALARS.get(head.strip()), arguments


def _compare(signature: str, result: Any, arguments: list[Any]) -> None:
    """Refuses a signature whose types are of other sizes than those that ctypes will pass."""
    written = _written(signature)
    if [_size(kind) for kind in (written[0], *written[1])] != [_size(kind) for kind in (result, *arguments)]:
        raise RequestError(
            status.INVALID_ARGUMENT, "The signature and the function's argtypes and restype differ.", field="signature"
        )


def _size(kind: Any) -> tuple[bool, int]:
    if kind is None:
        return False, 0
    name = _name(kind, "argtypes")
    return name == "double", 8 if name == "pointer" else ctypes.sizeof(kind)


def _signature(result: Any, arguments: list[Any]) -> str:
    """The signature of a ctypes prototype; a pointer to data of a known length needs one that is written by hand."""
    head = "void" if result is None else _name(result, "restype")
    return f"{head}({', '.join(_name(kind, f'argtypes[{index}]') for index, kind in enumerate(arguments))})"


def _name(kind: Any, field: str) -> str:
    code = getattr(kind, "_type_", None)
    if isinstance(kind, type) and issubclass(kind, (ctypes._Pointer, ctypes.Array, ctypes._CFuncPtr)):  # type: ignore[attr-defined]
        return "pointer"
    name = _CODES.get(code) if isinstance(code, str) else None
    if name is None:
        shown = getattr(kind, "__name__", kind)
        raise RequestError(status.UNSUPPORTED, f"A signature has no type for {shown}.", field=field)
    return name if len(name) > 1 else f"{name}{8 * ctypes.sizeof(kind)}"


def _refused(result: Any, value: Any) -> dict[str, Any]:
    if value is None or result is None:
        return {}
    if result is ctypes.c_double:
        return {"refused_double": float(value)}
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise RequestError(status.INVALID_ARGUMENT, "It is a whole number of 64 bits.", field="refused")
    return {"refused_integer": value if value < 2**63 else value - 2**64}
