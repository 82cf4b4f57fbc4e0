"""C functions that ctypes has loaded, with a price."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import gc
import threading
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint, c_ulong, c_void_p
from decimal import Decimal
from typing import Any

import pytest

import farebox
from farebox import Farebox, HandleError, PaymentRefused, Receipt, RequestError, StateError
from farebox import _statuses as status

ZLIB = ctypes.CDLL("libz.so.1")
LIBM = ctypes.CDLL("libm.so.6")


def c_crc32() -> Any:
    function = ZLIB["crc32"]
    function.restype = c_ulong
    function.argtypes = [c_ulong, c_char_p, c_uint]
    return function


def c_pow() -> Any:
    function = LIBM["pow"]
    function.restype = c_double
    function.argtypes = [c_double, c_double]
    return function


def balance(engine: Farebox, account: str = "user:ana") -> Decimal:
    found = engine.balance(account)
    assert found.held == 0
    return found.balance


def test_a_function_of_libm_is_charged_and_returns_what_it_does(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.02", payer="user:ana")
    assert isinstance(power, farebox.MeteredFunction)
    assert power(2, 10) == 1024.0
    receipt = farebox.metered()
    assert receipt is not None and receipt.amount == Decimal("0.02") and receipt.final
    assert balance(engine) == Decimal("9.98")
    assert power.signature == "double(double, double)"
    assert repr(power) == "<MeteredFunction pow double(double, double)>"


def test_zlib_is_charged_by_byte(engine: Farebox) -> None:
    signature = "u64(u64 crc, bytes:u32 source)"
    crc32 = engine.meter_function(
        c_crc32(), cost="0.000001", signature=signature, units="bytes:source", payer="user:ana"
    )
    assert crc32(0, b"123456789", 9) == 0xCBF43926
    receipt = farebox.metered()
    assert receipt is not None and receipt.amount == Decimal("0.000009")

    # Without argtypes the signature says the prototype.
    compress = engine.meter_function(
        ZLIB["compress2"],
        cost="0.000001",
        signature="i32(out:u64* dest, bytes:u64 source, i32 level)",
        units="bytes:source",
        failure="nonzero",
        payer="user:ana",
    )
    source = b"to be or not to be " * 20
    dest = ctypes.create_string_buffer(256)
    count = ctypes.c_uint64(256)
    assert compress(dest, ctypes.byref(count), source, len(source), 9) == 0
    receipt = farebox.metered()
    assert receipt is not None and receipt.amount == Decimal("0.00038")
    assert count.value < len(source)
    count.value = 5
    assert compress(dest, ctypes.byref(count), source, len(source), 9) == -5
    assert farebox.metered() is None
    assert balance(engine) == Decimal("10") - Decimal("0.000389")


def test_a_length_that_is_a_parameter_of_its_own_counts_too(engine: Farebox) -> None:
    crc32 = engine.meter_function(c_crc32(), cost="0.000001", units="value:2", payer="user:ana")
    assert crc32.signature == "u64(u64, string, u32)"
    assert crc32(0, b"12\x003456789", 10) > 0
    receipt = farebox.metered()
    assert receipt is not None and receipt.amount == Decimal("0.00001")


def test_a_refused_call_raises_or_returns_what_was_declared(engine: Farebox) -> None:
    dear = engine.meter_function(c_pow(), cost=11, tool="dear", payer="user:ana")
    with pytest.raises(PaymentRefused) as raised:
        dear(2, 10)
    assert raised.value.code == status.INSUFFICIENT_FUNDS
    with pytest.raises(PaymentRefused):
        farebox.metered()
    declared = engine.meter_function(c_pow(), tool="dear", payer="user:ana", refused=-1.5)
    assert declared(2, 10) == -1.5
    with pytest.raises(PaymentRefused):
        farebox.metered()
    crc32 = engine.meter_function(c_crc32(), tool="dear", payer="user:ana", refused=2**64 - 1)
    assert crc32(0, b"", 0) == 2**64 - 1
    assert balance(engine) == 10


def test_the_context_pays(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.02")
    with pytest.raises(RequestError) as raised:
        power(2, 2)
    assert raised.value.code == status.MISSING_FIELD and raised.value.field == "payer"
    receipts: list[Receipt] = []
    with engine.paying("user:ana", run="run-1", on_receipt=receipts.append):
        assert power(2, 3) == 8
        with engine.paying("user:bob"):
            assert power(2, 4) == 16
        assert power(2, 5) == 32
    assert [receipt.amount for receipt in receipts] == [Decimal("0.02")] * 2
    assert balance(engine) == Decimal("9.96") and balance(engine, "user:bob") == Decimal("0.03")
    with pytest.raises(RequestError):
        power(2, 2)
    transfers = engine.call("transfer.list", account="user:ana", limit=10)["transfers"]
    assert {one.get("run") for one in transfers if one["kind"] == "reserve"} == {"run-1"}


def test_c_that_calls_a_metered_function_is_paid_for_by_the_context(engine: Farebox) -> None:
    compare_type = CFUNCTYPE(c_int, c_void_p, c_void_p)
    compare = compare_type(
        lambda left, right: ctypes.c_int.from_address(left).value - ctypes.c_int.from_address(right).value
    )
    metered = engine.meter_function(compare, cost="0.001", tool="compare")
    qsort = ctypes.CDLL(None)["qsort"]
    qsort.restype = None
    qsort.argtypes = [c_void_p, c_size_t, c_size_t, compare_type]
    numbers = (c_int * 5)(5, 3, 1, 4, 2)
    with engine.paying("user:ana"):
        qsort(numbers, 5, 4, metered)
        receipt = farebox.metered()
    assert list(numbers) == [1, 2, 3, 4, 5]
    assert receipt is not None and receipt.amount == Decimal("0.001")
    calls = (10 - balance(engine)) / Decimal("0.001")
    assert 4 <= calls <= 20 and calls == int(calls)


def test_tasks_and_threads_pay_for_themselves(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.01")

    async def task(payer: str, calls: int) -> None:
        with engine.paying(payer):
            for _ in range(calls):
                power(2, 2)
                await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(task("user:ana", 5), task("user:bob", 3))

    asyncio.run(both())
    assert balance(engine) == Decimal("9.95") and balance(engine, "user:bob") == Decimal("0.02")

    refusals: list[int] = []

    def alone() -> None:
        try:
            power(2, 2)
        except RequestError as error:
            refusals.append(error.code)

    with engine.paying("user:ana"):
        inherited = contextvars.copy_context()
        for target in (alone, lambda: inherited.run(power, 2, 2)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert refusals == [status.MISSING_FIELD]
    assert balance(engine) == Decimal("9.94")


def test_another_ledgers_payer_does_not_pay_here(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.02")
    with Farebox.open("memory:") as other:
        other.open_account("user:ana")
        with other.paying("user:ana"), pytest.raises(RequestError):
            power(2, 2)
    assert balance(engine) == 10


def test_a_price_check_writes_nothing(engine: Farebox) -> None:
    engine.meter_function(c_pow(), cost="0.02", payer="user:ana")
    power = engine.meter_function(c_pow(), tool="pow", payer="user:ana", max_cost="0.02", check_only=True)
    records = engine.call("ledger.verify")["records"]
    for _ in range(3):
        assert power(2, 3) == 8
        assert farebox.metered() is None
    assert engine.call("ledger.verify")["records"] == records
    cheap = engine.meter_function(c_pow(), tool="pow", payer="user:ana", max_cost="0.01", check_only=True)
    with pytest.raises(PaymentRefused) as raised:
        cheap(2, 3)
    assert raised.value.code == status.OVER_MAX_COST


def test_errno_and_errcheck_are_the_functions(engine: Farebox) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    function = libc["close"]
    function.argtypes = [c_int]
    close = engine.meter_function(function, cost="0.01", failure="negative", payer="user:ana")
    ctypes.set_errno(0)
    assert close(-1) == -1
    assert ctypes.get_errno() == 9
    assert farebox.metered() is None

    checked = c_pow()
    checked.errcheck = lambda result, function, arguments: int(result)
    power = engine.meter_function(checked, cost="0.01", payer="user:ana")
    result = power(2, 3)
    assert result == 8 and isinstance(result, int)


def test_what_was_collected_is_given_back(engine: Farebox) -> None:
    kind = CFUNCTYPE(c_int32, c_int32)

    def meter() -> Any:
        return engine.meter_function(
            kind(lambda number: -number), cost="0.01", tool="negate", payer="user:ana", refused=-7
        )

    address = ctypes.cast(meter(), c_void_p).value
    gc.collect()
    assert address is not None
    late = kind(address)
    assert late(5) == -7
    # More than there may be at once.
    for _ in range(5000):
        meter()
    assert meter()(1) == -1
    assert balance(engine) == Decimal("9.99")


def test_a_closed_engine_refuses(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.02", payer="user:ana", refused=0.5)
    loud = engine.meter_function(c_pow(), tool="pow", payer="user:ana")
    engine.close()
    assert power(2, 2) == 0.5
    with pytest.raises(HandleError) as raised:
        loud(2, 2)
    assert raised.value.code == status.CLOSED


def test_every_type_of_ctypes_has_its_place_in_a_signature(engine: Farebox) -> None:
    types: dict[Any, str] = {
        ctypes.c_bool: "u8",
        ctypes.c_char: "i8",
        ctypes.c_byte: "i8",
        ctypes.c_ubyte: "u8",
        ctypes.c_short: "i16",
        ctypes.c_ushort: "u16",
        ctypes.c_int: "i32",
        ctypes.c_uint: "u32",
        ctypes.c_long: "i64",
        ctypes.c_ulong: "u64",
        ctypes.c_longlong: "i64",
        ctypes.c_ulonglong: "u64",
        ctypes.c_size_t: "u64",
        ctypes.c_double: "double",
        ctypes.c_char_p: "string",
        ctypes.c_wchar_p: "pointer",
        ctypes.c_void_p: "pointer",
        ctypes.py_object: "pointer",
        POINTER(ctypes.c_int): "pointer",
        ctypes.c_int * 3: "pointer",
        CFUNCTYPE(None): "pointer",
    }
    for kind, name in types.items():
        function = LIBM["pow"]
        function.restype, function.argtypes = None, [kind]
        metered = engine.meter_function(function, cost=1, payer="user:ana")
        assert metered.signature == f"void({name})", kind


def test_what_cannot_be_metered_is_refused_with_its_field(engine: Farebox) -> None:
    class Pair(ctypes.Structure):
        _fields_ = [("a", c_int)]

    def prepared(restype: Any, argtypes: Any) -> Any:
        function = LIBM["pow"]
        function.restype = restype
        if argtypes is not None:
            function.argtypes = argtypes
        return function

    cases: list[tuple[Any, dict[str, Any], str]] = [
        (len, {"tool": "x"}, "function"),
        (ctypes.PYFUNCTYPE(None)(lambda: None), {"tool": "x"}, "function"),
        (CFUNCTYPE(None)(lambda: None), {"cost": 1, "tool": None}, "tool"),
        (prepared(c_double, None), {}, "signature"),
        (prepared(c_double, [ctypes.c_float]), {}, "argtypes[0]"),
        (prepared(Pair, [c_int]), {}, "restype"),
        (c_pow(), {"signature": "double(double"}, "args.signature"),
        (c_pow(), {"units": "bytes:0"}, "args.usage"),
        (c_pow(), {"failure": "zero"}, "args.failure"),
        (c_crc32(), {"refused": 0.5}, "refused"),
        (c_pow(), {"durability": "none"}, "durability"),
        (c_pow(), {"max_cost": -1}, "args.max_cost"),
    ]
    for function, arguments, field in cases:
        with pytest.raises(RequestError) as raised:
            engine.meter_function(function, **{"cost": 1, **arguments})
        assert raised.value.field == field
    with pytest.raises(StateError) as missing:
        engine.meter_function(c_pow(), tool="none")
    assert missing.value.code == status.TOOL_NOT_FOUND


def test_a_signature_that_does_not_fit_the_prototype_is_refused(engine: Farebox) -> None:
    for signature in ("double(double)", "double(bytes:u64, double)", "double(double, double, double)"):
        with pytest.raises(RequestError) as raised:
            engine.meter_function(c_pow(), cost=1, signature=signature)
        assert raised.value.field == "signature"


def comparing(engine: Farebox) -> tuple[Any, Any]:
    """A metered comparison, and the sort of C that calls it back once for two numbers."""
    compare = CFUNCTYPE(c_int, c_void_p, c_void_p)(lambda left, right: 0)
    metered = engine.meter_function(compare, cost="0.01", tool="compare")
    qsort = ctypes.CDLL(None)["qsort"]
    qsort.restype, qsort.argtypes = None, [c_void_p, c_size_t, c_size_t, c_void_p]
    return metered, lambda: qsort((c_int * 2)(2, 1), 2, 4, ctypes.cast(metered, c_void_p))


def test_what_c_calls_back_is_paid_by_the_task_that_called_c(engine: Farebox) -> None:
    kept, sort = comparing(engine)

    async def agent(user: str, seconds: float) -> None:
        with engine.paying(user):
            await asyncio.sleep(seconds)
            sort()
            await asyncio.sleep(0.02)
            await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, sort)

    async def main() -> None:
        await asyncio.gather(agent("user:ana", 0.001), agent("user:bob", 0.01))
        sort()  # nobody pays: refused
        assert kept is not None

    asyncio.run(main())
    assert balance(engine) == Decimal("9.98") and balance(engine, "user:bob") == Decimal("0.03")


def test_what_c_calls_back_belongs_to_the_named_call(engine: Farebox) -> None:
    kept, sort = comparing(engine)
    power = engine.meter_function(c_pow(), cost="0.02")
    for _ in range(2):
        with engine.paying("user:ana", run="r"), farebox.call_id("c"):
            assert power(2, 3) == 8
            assert power(2, 3) == 8  # alike, and another call
            assert power(2, 4) == 16
    assert balance(engine) == Decimal("9.94")
    with engine.paying("user:ana", run="r"), farebox.call_id("other"):
        assert power(2, 3) == 8
    assert balance(engine) == Decimal("9.92") and kept is not None


def test_c_functions_of_one_name_have_a_price_each(engine: Farebox) -> None:
    cheap, dear = (engine.meter_function(c_pow(), cost=cost, max_cost=1) for cost in ("0.02", "0.5"))
    with engine.paying("user:ana") as payment:
        for function in (cheap, dear, cheap):
            assert function(2, 3) == 8
    assert [receipt.amount for receipt in payment.receipts] == [Decimal("0.02"), Decimal("0.5"), Decimal("0.02")]
    assert cheap.tool == dear.tool == "pow"


def test_a_payer_of_another_ledger_pays_for_no_c_function(engine: Farebox) -> None:
    power = engine.meter_function(c_pow(), cost="0.02")
    with Farebox.open("memory:") as other:
        other.open_account("user:ana")
        other.deposit("user:ana", 1)
        with other.paying("user:ana"), pytest.raises(farebox.FareboxError):
            power(2, 3)
        assert other.balance("user:ana").balance == 1
    assert balance(engine) == 10
