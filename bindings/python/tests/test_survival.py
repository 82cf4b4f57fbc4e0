"""Misuse through the C ABI gives a status, and the host lives.

Each script runs in a process of its own, so that a trap in the library is a failed test and not the end of the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from farebox import Farebox

from .conftest import PluginFolder

PRELUDE = '''
import ctypes, json, os, random, struct, sys, threading
import farebox
from farebox import Farebox, FareboxError, HandleError
from farebox import _frames as frames, _layout as layout, _statuses as status
from farebox._library import library

lib = library()

def error():
    return layout.Error(struct_size=ctypes.sizeof(layout.Error))

def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    buffer = ctypes.create_string_buffer(data, len(data) + 1)
    kept.append(buffer)
    return layout.Str(ctypes.addressof(buffer), len(data))

kept = []

def at(value):
    if value is None:
        return None
    kept.append(value)  # until the call is over
    return ctypes.addressof(value)

def open_engine():
    engine = Farebox.open("memory:")
    engine.open_account("user:ana")
    engine.deposit("user:ana", 10)
    engine.register_skill({"id": "s", "version": "1.0.0", "tools": [{"name": "t", "pricing": {"cost": "0.01"}}]})
    return engine

def charge(**fields):
    fields.setdefault("payer", text("user:ana"))
    fields.setdefault("tool", text("t"))
    return layout.ChargeArgs(struct_size=ctypes.sizeof(layout.ChargeArgs), **fields)

def reserve(**fields):
    fields.setdefault("payer", text("user:ana"))
    fields.setdefault("tool", text("t"))
    return layout.ReserveArgs(struct_size=ctypes.sizeof(layout.ReserveArgs), **fields)

def tool(**fields):
    fields.setdefault("payer", text("user:ana"))
    fields.setdefault("tool", text("t"))
    return layout.ToolArgs(struct_size=ctypes.sizeof(layout.ToolArgs), **fields)

def begin(**fields):
    fields.setdefault("payer", text("user:ana"))
    fields.setdefault("tool", text("t"))
    return layout.BeginArgs(struct_size=ctypes.sizeof(layout.BeginArgs), **fields)

def receipt():
    return layout.Receipt(struct_size=ctypes.sizeof(layout.Receipt))

def sized(kind, **fields):
    return kind(struct_size=ctypes.sizeof(kind), **fields)

def everything(handle):
    """Calls each function of an engine with good arguments; gives the statuses by name."""
    e = error()
    out = layout.Text()
    capture = sized(layout.CaptureArgs, hold=1)
    price = sized(layout.PriceArgs, tool=text("t"))
    quote = sized(layout.Quote)
    balance = sized(layout.BalanceResult)
    tick = sized(layout.TickResult)
    args, held, called, got = charge(), reserve(), tool(), receipt()
    return {
        "tick": lib.tick(handle, at(tick), at(e)),
        "price_tool": lib.price_tool(handle, at(price), at(quote), at(e)),
        "charge": lib.charge(handle, at(args), at(got), at(e)),
        "charge_many": lib.charge_many(handle, at(args), 1, at(got), at(e)),
        "reserve": lib.reserve(handle, at(held), at(got), at(e)),
        "capture": lib.capture(handle, at(capture), at(got), at(e)),
        "release": lib.release(handle, 1, at(got), at(e)),
        "extend": lib.extend(handle, 1, 1000, at(got), at(e)),
        "increase": lib.increase(handle, at(sized(layout.IncreaseArgs, hold=1)), at(got), at(e)),
        "begin": lib.begin(handle, at(begin()), at(sized(layout.MeteredCall)), at(e)),
        "finish": lib.finish(
            handle, at(sized(layout.MeteredCall)), at(sized(layout.FinishArgs)), at(got), at(e)),
        "balance": lib.balance(handle, text("user:ana"), layout.Str(), at(balance), at(e)),
        "call_tool": lib.call_tool(handle, at(called), ctypes.byref(out), at(got), at(e)),
        "call": lib.call(handle, text("asset.list"), text("{}"), ctypes.byref(out), at(e)),
        "close": lib.close(handle, at(e)),
    }
'''


def survives(script: str, timeout: float = 120, ending: str = "alive\n") -> str:
    places = os.pathsep.join(map(os.path.abspath, sys.path))
    environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no", "PYTHONPATH": places}
    with tempfile.TemporaryDirectory() as folder:  # garbage may name files
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(script) + "\nprint('alive')"],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=folder,
            check=False,
        )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.endswith(ending)
    return done.stdout


def test_null_foreign_and_closed_handles() -> None:
    survives(
        """
        engine = open_engine()
        handle = engine._handle
        page = ctypes.create_string_buffer(4096)
        page_at = ctypes.addressof(page)
        for bad in (None, 1, 2, 8, 0xDEADBEEF, 2**63, 2**64 - 1, page_at, handle + 1, handle ^ (1 << 40)):
            for name, code in everything(bad).items():
                assert code == status.HANDLE, (bad, name, code)
        assert lib.close(handle, None) == 0
        for name, code in everything(handle).items():
            assert code == status.CLOSED, (name, code)
        again = open_engine()
        for name, code in everything(handle).items():  # the new engine does not take the old one's handle
            assert code == status.CLOSED, (name, code)
        assert again.balance("user:ana").balance == 10
        """
    )


def test_the_object_after_close() -> None:
    survives(
        """
        engine = open_engine()
        payment = engine.paying("user:ana")
        hold = engine.reserve("user:ana", amount=1)
        engine.close()
        engine.close()
        for work in (
            lambda: engine.charge("user:ana", amount=1),
            lambda: engine.charge_many([{"payer": "user:ana", "amount": 1}]),
            lambda: engine.reserve("user:ana", amount=1),
            lambda: hold.capture(),
            lambda: hold.release(),
            lambda: hold.extend(1),
            lambda: engine.price_tool("t"),
            lambda: engine.balance("user:ana"),
            lambda: engine.tick(),
            lambda: engine.call("asset.list"),
            lambda: engine.call_tool("t", payer="user:ana"),
            lambda: engine.plugins.list(),
            lambda: engine.deposit("user:ana", 1),
            lambda: engine.verify_webhook(b"", {"x-robutler-signature": "00" * 32}, "secret", event_id="1"),
        ):
            try:
                work()
            except HandleError as closed:
                assert closed.code == status.CLOSED
            else:
                raise AssertionError
        """
    )


def test_null_pointers() -> None:
    survives(
        """
        engine = open_engine()
        handle, e, got = engine._handle, error(), receipt()
        args, held = charge(), reserve()
        assert lib.open(None, text("memory:"), None, None) == status.INVALID_ARGUMENT
        handle_out = ctypes.c_void_p()
        assert lib.open(at(handle_out), layout.Str(), None, None) != 0
        assert lib.describe(None, None) == status.INVALID_ARGUMENT
        assert lib.price_tool(handle, None, None, None) == status.INVALID_ARGUMENT
        price = sized(layout.PriceArgs, tool=text("t"))
        assert lib.price_tool(handle, at(price), None, at(e)) == status.INVALID_ARGUMENT
        assert lib.charge(handle, None, None, None) == status.INVALID_ARGUMENT
        assert lib.charge_many(handle, None, 1, None, None) == status.INVALID_ARGUMENT
        assert lib.charge_many(handle, at(args), 1, None, at(e)) == status.INVALID_ARGUMENT
        assert lib.charge_many(handle, None, 0, None, at(e)) in (0, status.INVALID_ARGUMENT)
        assert lib.reserve(handle, None, None, None) == status.INVALID_ARGUMENT
        assert lib.capture(handle, None, None, None) == status.INVALID_ARGUMENT
        assert lib.balance(handle, text("user:ana"), layout.Str(), None, None) == status.INVALID_ARGUMENT
        assert lib.call(handle, text("asset.list"), text("{}"), None, None) == status.INVALID_ARGUMENT
        answer = layout.Text()
        assert lib.call_tool(handle, None, ctypes.byref(answer), None, None) == status.INVALID_ARGUMENT
        assert lib.call_tool(handle, at(tool()), None, None, at(e)) == status.INVALID_ARGUMENT
        assert lib.call_tool(handle, at(tool()), ctypes.byref(answer), None, None) == status.PLUGIN_INACTIVE
        assert not answer.ptr
        assert lib.set_plugin_policy(layout.Str(), None) != 0
        assert lib.set_plugin_policy(layout.Str(None, 8), at(e)) != 0
        out = layout.Text()
        assert lib.call(handle, layout.Str(), layout.Str(), ctypes.byref(out), None) != 0
        assert lib.verify_webhook(None, None, None) == status.INVALID_ARGUMENT
        assert lib.verify_webhook(None, at(sized(layout.WebhookArgs, secret_count=3)), None) != 0
        assert lib.tick(handle, None, None) == 0
        assert lib.charge(handle, at(args), None, None) == 0
        assert lib.reserve(handle, at(held), None, None) == 0
        lib.text_free(None)
        lib.text_free(ctypes.byref(layout.Text()))
        nowhere = charge()
        nowhere.payer = layout.Str(None, 8)
        assert lib.charge(handle, at(nowhere), at(got), at(e)) != 0
        """
    )


def test_wrong_sizes_reserved_bytes_and_flags() -> None:
    survives(
        """
        engine = open_engine()
        handle, e = engine._handle, error()
        balance = lambda out: lib.balance(handle, text("user:ana"), layout.Str(), at(out), at(e))
        calls = {
            layout.ChargeArgs: (charge, lambda a: lib.charge(handle, at(a), at(receipt()), at(e))),
            layout.ReserveArgs: (reserve, lambda a: lib.reserve(handle, at(a), at(receipt()), at(e))),
            layout.CaptureArgs: (
                lambda: sized(layout.CaptureArgs, hold=1), lambda a: lib.capture(handle, at(a), at(receipt()), at(e))),
            layout.ToolArgs: (
                tool, lambda a: lib.call_tool(handle, at(a), ctypes.byref(layout.Text()), at(receipt()), at(e))),
            layout.IncreaseArgs: (
                lambda: sized(layout.IncreaseArgs, hold=1), lambda a: lib.increase(handle, at(a), at(receipt()), at(e))),
            layout.BeginArgs: (begin, lambda a: lib.begin(handle, at(a), at(sized(layout.MeteredCall)), at(e))),
            layout.MeteredCall: (
                lambda: sized(layout.MeteredCall),
                lambda a: lib.finish(handle, at(a), at(sized(layout.FinishArgs)), at(receipt()), at(e))),
            layout.FinishArgs: (
                lambda: sized(layout.FinishArgs),
                lambda a: lib.finish(handle, at(sized(layout.MeteredCall)), at(a), at(receipt()), at(e))),
            layout.Tally: (lambda: sized(layout.Tally), lambda a: lib.record(at(a), text("1"), at(e))),
            layout.PriceArgs: (
                lambda: sized(layout.PriceArgs, tool=text("t")),
                lambda a: lib.price_tool(handle, at(a), at(sized(layout.Quote)), at(e))),
            layout.WebhookArgs: (
                lambda: sized(layout.WebhookArgs), lambda a: lib.verify_webhook(None, at(a), at(e))),
            layout.Receipt: (receipt, lambda a: lib.charge(handle, at(charge()), at(a), at(e))),
            layout.Quote: (
                lambda: sized(layout.Quote),
                lambda a: lib.price_tool(handle, at(sized(layout.PriceArgs, tool=text("t"))), at(a), at(e))),
            layout.BalanceResult: (lambda: sized(layout.BalanceResult), balance),
            layout.TickResult: (lambda: sized(layout.TickResult), lambda a: lib.tick(handle, at(a), at(e))),
            layout.Options: (
                lambda: sized(layout.Options),
                lambda a: lib.open(at(ctypes.c_void_p()), text("memory:"), at(a), at(e))),
        }
        before = engine.balance("user:ana").balance
        for kind, (make, call) in calls.items():
            size = ctypes.sizeof(kind)
            for wrong in (0, 1, 3, 4, 7, 8, size - 1, size + 1, size + 8, 2**31, 2**32 - 1):
                value = make()
                value.struct_size = wrong
                assert call(value) == status.STRUCT_SIZE, (kind.__name__, wrong, e.message)
            inputs = kind not in (layout.Receipt, layout.Quote, layout.BalanceResult, layout.TickResult)
            if inputs and hasattr(kind, "reserved"):
                for index in (0, len(make().reserved) - 1):
                    value = make()
                    value.reserved[index] = 1
                    assert call(value) == status.RESERVED, (kind.__name__, index, e.message)
            if hasattr(kind, "usage"):
                value = make()
                value.usage.reserved_meters[3] = 1
                assert call(value) == status.RESERVED, kind.__name__
                value = make()
                value.usage.reserved = 1
                assert call(value) == status.RESERVED, kind.__name__
            if inputs and hasattr(kind, "flags"):
                for flag in (1 << 4, 1 << 31):
                    value = make()
                    value.flags = flag
                    assert call(value) == status.RESERVED, (kind.__name__, flag)
        assert engine.balance("user:ana").balance == before
        """
    )


def test_the_library_writes_nothing_past_a_small_error() -> None:
    survives(
        """
        for size in (0, 4, 8, 12, 16, 17, 144, 656, ctypes.sizeof(layout.Error)):
            memory = (ctypes.c_uint8 * 8192)(*([0xAA] * 8192))
            ctypes.c_uint32.from_buffer(memory).value = size
            assert lib.close(None, ctypes.addressof(memory)) == status.HANDLE
            assert all(byte == 0xAA for byte in memory[max(size, 4):]), size
        """
    )


def test_texts_that_are_not_texts() -> None:
    survives(
        """
        engine = open_engine()
        handle, e = engine._handle, error()
        fields = ("payer", "tool", "idempotency_key", "run", "call", "description", "metadata")
        for field in fields:
            # A key is bytes, and need not be text.
            for bad in () if field == "idempotency_key" else (b"\\xff", b"user:\\xc0\\xaf", b"\\xed\\xa0\\x80", b"a\\xf0\\x9f\\x92", b"\\xf5\\x80\\x80\\x80"):
                args = charge(**{field: text(bad)})
                code = lib.charge(handle, at(args), at(receipt()), at(e))
                assert code == status.INVALID_UTF8, (field, bad, code, e.message)
            args = charge()
            good = getattr(charge(**{field: text("x")}), field)
            setattr(args, field, layout.Str(good.ptr, 2**62))
            code = lib.charge(handle, at(args), at(receipt()), at(e))
            assert code == status.TOO_LONG, (field, code, e.message)
            args = charge(**{field: text("x" * 100_000)})
            code = lib.charge(handle, at(args), at(receipt()), at(e))
            assert code == status.TOO_LONG, (field, code, e.message)
        for bad in ("", "user:\\0ana", "user:\\n", " ", "user:ana/", "/", "user:" + "x/" * 20):
            try:
                engine.open_account(bad)
            except FareboxError as refused:
                assert refused.code in (status.INVALID_ARGUMENT, status.MISSING_FIELD, status.TOO_LONG), (bad, refused)
            else:
                raise AssertionError(bad)
        try:
            engine.charge("user:\\ud800", amount=1)
        except FareboxError as refused:
            assert refused.code == status.INVALID_UTF8
        else:
            raise AssertionError
        assert engine.balance("user:ana").balance == 10
        """
    )


def test_numbers_that_are_too_large_or_negative() -> None:
    survives(
        """
        engine = open_engine()
        handle, e = engine._handle, error()
        top, bottom = 2**63 - 1, -2**63
        none = layout.Str()
        refused = set()
        for number in (bottom, -1):
            for args in (
                charge(tool=none, amount=number), charge(max_cost=number),
                *(charge(usage=layout.Usage(**{meter: number})) for meter in layout.METERS),
            ):
                refused.add(lib.charge(handle, at(args), at(receipt()), at(e)))
                held = reserve(usage=args.usage, amount=args.amount, max_cost=args.max_cost, tool=args.tool)
                refused.add(lib.reserve(handle, at(held), at(receipt()), at(e)))
        assert 0 not in refused, refused
        assert refused <= {status.INVALID_AMOUNT, status.INVALID_ARGUMENT, status.OVERFLOW}, refused
        refused = set()
        for args in (
            charge(tool=none, amount=top), charge(usage=layout.Usage(requests=top)),
            *(charge(usage=layout.Usage(**{meter: top})) for meter in layout.METERS),
            charge(usage=layout.Usage(units=1, units_micro=2**32 - 1)),
            charge(durability=99), charge(durability=-1), charge(amount=1),
        ):
            refused.add(lib.charge(handle, at(args), at(receipt()), at(e)))
        assert 0 not in refused, refused
        for held in (
            reserve(expires_in_ms=2**64 - 1), reserve(over_capture=99), reserve(over_capture=-1),
            reserve(durability=99),
            reserve(tool=none, amount=top), reserve(max_cost=top),
        ):
            code = lib.reserve(handle, at(held), at(receipt()), at(e))
            assert 0 <= code < 1000
        good = charge()
        for count in (2**20, 2**40, 2**62, 2**64 - 1):
            assert lib.charge_many(handle, at(good), count, at(receipt()), at(e)) == status.TOO_LONG
        for hold in (0, 1, 2**63, 2**64 - 1):
            assert lib.release(handle, hold, at(receipt()), at(e)) == status.HOLD_NOT_FOUND
            assert lib.extend(handle, hold, 2**64 - 1, at(receipt()), at(e)) != 0
            args = sized(layout.CaptureArgs, hold=hold)
            assert lib.capture(handle, at(args), at(receipt()), at(e)) == status.HOLD_NOT_FOUND
        hold = engine.reserve("user:ana", "t").id
        for flags, fields in (
            (layout.CAPTURE_AMOUNT, {"amount": bottom}), (layout.CAPTURE_AMOUNT, {"amount": -1}),
            (layout.CAPTURE_AMOUNT, {"amount": top}), (layout.CAPTURE_USAGE, {"usage": layout.Usage(requests=top)}),
            (layout.CAPTURE_USAGE, {"usage": layout.Usage(requests=-1)}),
            (layout.CAPTURE_AMOUNT | layout.CAPTURE_USAGE, {}),
        ):
            args = sized(layout.CaptureArgs, hold=hold, flags=flags, **fields)
            code = lib.capture(handle, at(args), at(receipt()), at(e))
            assert code != 0, (flags, fields)
        engine.release(hold)
        for price in ({"max_cost": bottom}, {"max_cost": -1}, {"at": bottom}, {"at": top}):
            args = sized(layout.PriceArgs, tool=text("t"), **price)
            code = lib.price_tool(handle, at(args), at(sized(layout.Quote)), at(e))
            assert 0 <= code < 1000
        options = sized(layout.Options, durability=77)
        assert lib.open(at(ctypes.c_void_p()), text("memory:"), at(options), at(e)) == status.INVALID_ARGUMENT
        for url in ("", "memory:x", "sqlite:", "mysql://x", "sqlite:/nonexistent/dir/x.db", "\\0", "sqlite:a\\0b"):
            assert lib.open(at(ctypes.c_void_p()), text(url), None, at(e)) != 0, url
        assert engine.balance("user:ana").balance == 10
        """
    )


def test_the_json_door_under_noise() -> None:
    survives(
        """
        engine = open_engine()
        handle, e = engine._handle, error()
        def call(operation, data):
            out = layout.Text()
            code = lib.call(handle, text(operation), text(data), ctypes.byref(out), at(e))
            lib.text_free(ctypes.byref(out))
            return code
        assert call("asset.list", b"[" * 100_000) in (status.INVALID_JSON, status.TOO_LONG)
        assert call("asset.list", b'{"a":' * 100_000) in (status.INVALID_JSON, status.TOO_LONG)
        for bad in (b"", b"null", b"[]", b"7", b"{", b"{}x", b'{"a"}', b"\\xff", b'{"\\xff":1}', b'{"a":01}',
                    b'{"a":1,"a":2}', b'{"a":"\\\\ud800"}', b'{"a":NaN}', b"{'a':1}", b"{\\0}", b'{"account":"\\\\u0000"}'):
            code = call("balance.get", bad)
            assert 100 <= code < 400, (bad, code)
        for number in (b"1e999999999", b"-1e-999999999", b"9" * 5000, b"0." + b"1" * 5000, b"-0", b"1e400"):
            for operation in ("balance.get", "account.deposit", "transfer.get", "hold.get", "event.list"):
                fields = b'{"account":"user:ana","amount":%s,"id":%s,"at":%s,"limit":%s}' % ((number,) * 4)
                assert call(operation, fields) != 0
        operations = farebox.describe()["operations"]
        names = [operation["name"] for operation in operations]
        chance = random.Random(20260)
        pieces = ["user:ana", "", "\\u0000", "x" * 300, -1, 2**63 - 1, -2**63, 2**64, 0, 1.5, True, None, [], {}, [[]],
                  {"a": 1}, "0.1", "-1", "1e9", "USD", "t", [{"account": "user:ana", "amount": "1"}], "9" * 40]
        fields = {operation["name"]: [field["name"] for field in operation["input"]] for operation in operations}
        for _ in range(6000):
            name = chance.choice(names)
            body = {field: chance.choice(pieces) for field in fields[name] if chance.random() < 0.7}
            code = call(name, json.dumps(body))
            assert code < 900 or code >= 1000, (name, body, code, e.message)
        seeds = [json.dumps({"account": "user:ana", "amount": "1", "asset": "USD"}).encode()]
        for _ in range(6000):
            data = bytearray(chance.choice(seeds))
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            code = call("account.deposit", bytes(data))
            assert 0 <= code < 900, (data, code)
        assert engine.call("ledger.verify")
        """
    )


def test_close_while_other_threads_charge() -> None:
    survives(
        """
        for _ in range(5):
            engine = open_engine()
            seen = set()
            started = threading.Barrier(9)
            def work():
                started.wait()
                while True:
                    try:
                        engine.charge("user:ana", amount="0.000000001")
                        engine.balance("user:ana")
                        with engine.reserve("user:ana", amount="0.000000001"):
                            pass
                    except FareboxError as stopped:
                        seen.add(stopped.code)
                        return
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            started.wait()
            threading.Event().wait(0.02)
            engine.close()
            for thread in threads:
                thread.join()
            assert seen == {status.CLOSED}, seen
        """
    )


def test_the_child_of_a_fork_opens_its_own(tmp_path: Path) -> None:
    survives(
        f"""
        path = {str(tmp_path / "ledger.db")!r}
        engine = Farebox.open(path)
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        engine.charge("user:ana", amount=1)
        child = os.fork()
        if child == 0:
            answer = 1
            try:
                codes = {{name: code for name, code in everything(engine._handle).items() if name != "close"}}
                own = Farebox.open(path)
                own.charge("user:ana", amount=2)
                own.close()
                answer = 0 if set(codes.values()) == {{status.FORKED}} else 2
                if answer:
                    print(codes, flush=True)
            except BaseException as failure:
                print(repr(failure), flush=True)
            finally:
                os._exit(answer)
        _, ended = os.waitpid(child, 0)
        assert os.WIFEXITED(ended) and os.WEXITSTATUS(ended) == 0, ended
        engine.charge("user:ana", amount=3)
        assert engine.balance("user:ana").balance == 4
        """
    )


def test_a_child_that_drops_its_parents_engine_harms_nobody(tmp_path: Path) -> None:
    survives(
        f"""
        import gc, multiprocessing
        engine = Farebox.open({str(tmp_path / "ledger.db")!r})
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        def child():
            global engine
            try:
                engine.charge("user:ana", amount=1)
            except HandleError as forked:
                assert forked.code == status.FORKED
            else:
                raise AssertionError
            engine = None
            gc.collect()
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        assert process.exitcode == 0
        engine.charge("user:ana", amount=1)
        assert engine.balance("user:ana").balance == 9
        """
    )


def test_a_clock_that_raises_is_told_and_the_engine_goes_on() -> None:
    survives(
        """
        told = []
        sys.excepthook = lambda kind, error, trace: told.append(kind)
        at = [1_750_000_000_000_000]
        trouble = [None]
        def clock():
            if trouble[0] is not None:
                raise trouble[0]
            return at[0]
        engine = Farebox.open("memory:", clock=clock)
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        for error in (ValueError("no time"), KeyboardInterrupt(), SystemExit(3), MemoryError()):
            trouble[0] = error
            told.clear()
            receipt = engine.charge("user:ana", amount=1)
            assert told and set(told) == {type(error)}, told
            assert receipt.id > 0
        trouble[0] = None
        told.clear()
        engine.charge("user:ana", amount=1)
        assert not told
        assert engine.balance("user:ana").balance == 5
        assert engine.call("ledger.verify")
        """
    )


def test_a_clock_that_calls_back() -> None:
    survives(
        """
        codes = []
        busy = [False]
        def clock():
            if busy[0]:
                busy[0] = False
                for work in (
                    lambda: engine.charge("user:ana", amount=1), lambda: engine.close(), lambda: engine.tick(),
                    lambda: other.balance("user:ana"), lambda: engine.call("ledger.info"),
                ):
                    try:
                        work()
                    except FareboxError as refused:
                        codes.append(refused.code)
                    else:
                        codes.append(0)
            return 1_750_000_000_000_000
        other = open_engine()
        engine = Farebox.open("memory:", clock=clock)
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        busy[0] = True
        engine.charge("user:ana", amount=1)
        assert codes == [status.REENTRANT] * 5, codes
        assert engine.balance("user:ana").balance == 9
        other.charge("user:ana", amount=1)
        """
    )


@pytest.mark.parametrize("daemon", [True, False])
def test_the_interpreter_ends_with_engines_open_and_threads_in_them(tmp_path: Path, daemon: bool) -> None:
    path = tmp_path / "ledger.db"
    said = survives(
        f"""
        engine = Farebox.open({str(path)!r}, durability="normal")
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        left = Farebox.open("memory:", clock=lambda: 1_750_000_000_000_000)
        left.open_account("user:ana")
        started = threading.Barrier(5)
        may_end = threading.Event()
        lines = threading.Lock()
        def work(number):
            started.wait()
            count = 0
            while not may_end.is_set():
                receipt = engine.charge("user:ana", amount="0.000000001", key=f"{{number}}-{{count}}")
                left.balance("user:ana")
                os.write(1, f"receipt {{number}}-{{count}} {{receipt.id}}\\n".encode())
                count += 1
        for number in range(4):
            threading.Thread(target=work, args=(number,), daemon={daemon}).start()
        started.wait()
        threading.Event().wait(0.1)
        if not {daemon}:
            may_end.set()
        # The daemons are in the middle of their calls when the interpreter ends.
        import atexit
        atexit.register(lambda: threading.Event().wait(0.02))
        os.write(1, b"end\\n")
        """,
        ending="",
    )
    receipts = [line.split()[1:] for line in said.splitlines() if line.startswith("receipt ") and line.count(" ") == 2]
    assert receipts
    engine = Farebox.open(path)
    for key, number in receipts:
        again = engine.charge("user:ana", amount="0.000000001", key=key)
        assert again.replayed and again.id == int(number)
    engine.call("ledger.verify")
    engine.close()


def test_forks_while_threads_are_in_their_calls(tmp_path: Path) -> None:
    survives(
        f"""
        path = {str(tmp_path / "ledger.db")!r}
        engine = Farebox.open(path, durability="normal")
        engine.open_account("user:ana")
        engine.deposit("user:ana", 10)
        may_end = threading.Event()
        counts = [0] * 4
        def work(number):
            while not may_end.is_set():
                engine.charge("user:ana", amount="0.000000001")
                counts[number] += 1
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for round in range(10):
            child = os.fork()
            if child == 0:
                answer = 1
                try:
                    try:
                        engine.charge("user:ana", amount=1)
                    except HandleError as forked:
                        assert forked.code == status.FORKED
                    own = Farebox.open(path)
                    own.charge("user:ana", amount="0.000000001")
                    if round % 2:
                        own.close()
                    answer = 0
                except BaseException as failure:
                    print(repr(failure), flush=True)
                finally:
                    os._exit(answer)
            _, ended = os.waitpid(child, 0)
            assert ended == 0, ended
        may_end.set()
        for thread in threads:
            thread.join()
        from decimal import Decimal
        assert engine.balance("user:ana").balance == Decimal(10) - Decimal(sum(counts) + 10) / 10**9
        assert engine.call("ledger.verify")
        """
    )


def test_more_engines_than_there_may_be() -> None:
    survives(
        """
        engines = []
        try:
            for _ in range(1100):
                engines.append(Farebox.open("memory:"))
        except FareboxError as full:
            assert full.code in (status.TOO_LONG, status.BUSY, status.NO_MEMORY), full
        assert len(engines) >= 100
        for engine in engines:
            engine.close()
        Farebox.open("memory:").close()
        """
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_structs_of_noise(seed: int) -> None:
    survives(
        f"""
        engine = open_engine()
        handle, e = engine._handle, error()
        chance = random.Random({seed})
        interesting = (0, 1, -1, 2, 255, 2**31 - 1, -2**31, 2**32 - 1, 2**63 - 1, -2**63, 10**9, 4096)
        def noise(make):
            value = make()
            for _ in range(chance.randrange(1, 4)):
                name, declared = chance.choice([field for field in type(value)._fields_ if field[0] != "struct_size"])
                number = chance.choice(interesting)
                if declared in (ctypes.c_int64, ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64):
                    setattr(value, name, number)
                elif declared is layout.Usage:
                    setattr(value.usage, chance.choice(layout.METERS), number)
                elif declared is layout.Str:
                    setattr(value, name, text(bytes(chance.randrange(256) for _ in range(chance.randrange(300)))))
            return value
        for _ in range(4000):
            charge_args, reserve_args = noise(charge), noise(reserve)
            capture_args = noise(lambda: sized(layout.CaptureArgs, hold=1))
            price_args = noise(lambda: sized(layout.PriceArgs, tool=text("t")))
            tool_args = noise(tool)
            called = lib.call_tool(handle, at(tool_args), ctypes.byref(layout.Text()), at(receipt()), at(e))
            assert 0 < called < 900 or called == status.PLUGIN_INACTIVE, (called, e.message)
            codes = (
                lib.charge(handle, at(charge_args), at(receipt()), at(e)),
                lib.reserve(handle, at(reserve_args), at(receipt()), at(e)),
                lib.capture(handle, at(capture_args), at(receipt()), at(e)),
                lib.price_tool(handle, at(price_args), at(sized(layout.Quote)), at(e)),
            )
            assert all(0 <= code < 900 for code in codes), (codes, e.message)
            kept.clear()
        assert engine.call("ledger.verify")
        """
    )


def survives_with_plugins(script: str, plugins: PluginFolder, timeout: float = 120) -> str:
    """The same in a process that may load the plugins of the tests."""
    manifests = {name: str(path) for name, path in {**plugins.manifests, "zlib": plugins.zlib}.items()}
    prelude = f"""
        policy = {{"directories": [{str(plugins.path)!r}], "trust": "unsigned", "system_libraries": True}}
        farebox.set_plugin_policy(policy)
        manifests = {manifests!r}
        engine = open_engine()
        engine.open_account("user:author")
        for name in ("good-1.0.0", "hostile", "zlib"):
            engine.plugins.load(manifests[name])
    """
    return survives(textwrap.dedent(prelude) + textwrap.dedent(script), timeout)


def test_tools_under_noise(plugins: PluginFolder) -> None:
    survives_with_plugins(
        """
        chance = random.Random(1104)
        pieces = ["", "\\0", "x" * 300, -1, 2**63 - 1, -2**63, 2**64, 0, 1.5, True, None, [], {}, [[]], b"\\xff" * 99,
                  {"base64": "AAAA"}, {"base64": "!"}, {"base64": 1}, "9" * 40, "-1", 10**400]
        names = ["crc", "data", "adler", "source", "level", "dest", "text", "a", "b", "count", "micro", "meter", "key"]
        tools = ["zlib.crc32", "zlib.compress", "zlib.uncompress", "zlib.version", "good.add", "good.count", "good.echo"]
        paid = 0
        for _ in range(1500):
            body = {name: chance.choice(pieces) for name in chance.sample(names, chance.randrange(5))}
            try:
                paid += engine.call_tool(chance.choice(tools), body, payer="user:ana", max_cost="0.001").receipt.units
            except FareboxError as refused:
                assert refused.code < 900 or refused.code >= 1000, (body, refused)
        for _ in range(500):
            data = bytearray(b'{"crc":0,"data":"fare","source":"fare","level":1}')
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                paid += engine.call_tool(chance.choice(tools), bytes(data), payer="user:ana", max_cost="0.001").receipt.units
            except FareboxError as refused:
                assert refused.code < 900 or refused.code >= 1000, (data, refused)
        assert engine.balance("user:ana").units == 10 * 10**9 - paid
        assert engine.balance("user:ana").held == 0 and engine.call("ledger.reconcile")["balanced"]
        """,
        plugins,
    )


def test_policies_under_noise() -> None:
    survives(
        """
        chance = random.Random(7)
        names = ["directories", "trust", "keys", "pins", "revoked", "in_process", "system_libraries", "permissions",
                 "lock", "locked", "cache", "worker", "processes", "x"]
        pieces = ["", "/", "/nowhere", "unsigned", -1, 2**64, 0, 1.5, True, None, [], {}, [[]], ["/nowhere"], {"a": 1},
                  {"network": True}, {"memory_bytes": -1}, ["../x"], ["\\0"], "x" * 5000]
        for _ in range(3000):
            body = {name: chance.choice(pieces) for name in chance.sample(names, chance.randrange(6))}
            try:
                farebox.set_plugin_policy(body)
            except FareboxError as refused:
                assert refused.code < 900 or refused.code >= 1000, (body, refused)
        for bad in (b"", b"null", b"[]", b"{", b"\\xff", b"[" * 100_000, b'{"directories":[],"directories":[]}'):
            assert lib.set_plugin_policy(text(bad), at(error())) != 0
        """
    )


def test_crashes_on_many_threads_leave_the_interpreter_alive(plugins: PluginFolder) -> None:
    survives_with_plugins(
        """
        codes, lock = {}, threading.Lock()
        def work(number):
            chance = random.Random(number)
            for _ in range(12):
                tool = chance.choice(["segfault", "abort", "exit", "flood_output", "sleep", "bytes_any"])
                try:
                    engine.call_tool(f"hostile.{tool}", payer="user:ana", max_cost="0.01", deadline=0.2)
                    code = 0
                except FareboxError as refused:
                    code = refused.code
                with lock:
                    codes[code] = codes.get(code, 0) + 1
                engine.call_tool("good.add", {"a": 1, "b": 1}, payer="user:ana", deadline=10)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(codes.values()) == 72 and all(code == 0 or code >= 1000 for code in codes), codes
        spent = 72 * 20_000_000 + codes.get(0, 0) * 10_000_000
        assert engine.balance("user:ana").units == 10 * 10**9 - spent, codes
        assert engine.balance("user:ana").held == 0
        """,
        plugins,
    )


def test_close_and_end_while_tools_run(plugins: PluginFolder) -> None:
    survives_with_plugins(
        """
        seen = set()
        started = threading.Barrier(5)
        def work():
            started.wait()
            while True:
                try:
                    engine.call_tool("good.sleep", {"ms": 20}, payer="user:ana", deadline=10)
                except FareboxError as stopped:
                    seen.add(stopped.code)
                    return
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        started.wait()
        threading.Event().wait(0.1)
        engine.close()
        for thread in threads:
            thread.join()
        allowed = {status.CLOSED, status.PLUGIN_CANCELLED, status.PLUGIN_INACTIVE, status.PLUGIN_UNAVAILABLE}
        assert seen and seen <= allowed, seen
        left = open_engine()
        left.open_account("user:author")
        left.plugins.load(manifests["hostile"])
        threading.Thread(
            target=lambda: left.call_tool("hostile.loop", payer="user:ana", max_cost=1), daemon=True
        ).start()
        threading.Event().wait(0.1)
        """,
        plugins,
    )


def test_the_child_of_a_fork_has_no_plugins_of_its_parent(plugins: PluginFolder) -> None:
    survives_with_plugins(
        """
        child = os.fork()
        if child == 0:
            answer = 1
            try:
                try:
                    engine.call_tool("good.echo", payer="user:ana")
                except HandleError as forked:
                    assert forked.code == status.FORKED
                own = open_engine()
                own.open_account("user:author")
                own.plugins.load(manifests["good-1.0.0"])
                assert own.call_tool("good.add", {"a": 1, "b": 1}, payer="user:ana").json() == {"sum": 2}
                own.close()
                answer = 0
            except BaseException as failure:
                print(repr(failure), flush=True)
            finally:
                os._exit(answer)
        _, ended = os.waitpid(child, 0)
        assert ended == 0, ended
        assert engine.call_tool("good.add", {"a": 2, "b": 1}, payer="user:ana").json() == {"sum": 3}
        assert engine.balance("user:ana").units == 10 * 10**9 - 20_000_000
        """,
        plugins,
    )
