"""The generated table equals what the library says of itself, and each family has its exception."""

from __future__ import annotations

import pickle

import pytest

import farebox
from farebox import _statuses as status
from farebox._library import library
from farebox.errors import error_of

FAMILIES = {
    "request": farebox.RequestError,
    "handle": farebox.HandleError,
    "state": farebox.StateError,
    "refused": farebox.PaymentRefused,
    "hold": farebox.HoldError,
    "conflict": farebox.KeyConflict,
    "webhook": farebox.WebhookError,
    "store": farebox.StoreError,
    "internal": farebox.InternalError,
    "plugin": farebox.PluginError,
}


def test_the_table_is_that_of_the_library() -> None:
    described = farebox.describe()["statuses"]
    assert [(row["code"], row["name"], row["family"], row["retryable"], row["doc"]) for row in described] == [
        (code, *row) for code, row in status.STATUSES.items()
    ]


def test_names_are_those_of_the_library() -> None:
    for code, row in status.STATUSES.items():
        assert library().status_name(code).decode() == row.name
        assert getattr(status, row.name) == code
    assert library().status_name(-1) == b"UNKNOWN"


@pytest.mark.parametrize("code", [code for code in status.STATUSES if code])
def test_a_status_becomes_the_exception_of_its_family(code: int) -> None:
    row = status.STATUSES[code]
    error = error_of(code, "Because.", field="a.b", details={"limit": "1"})
    assert type(error) is FAMILIES[row.family]
    assert isinstance(error, farebox.FareboxError)
    assert (error.code, error.name, error.message, error.field) == (code, row.name, "Because.", "a.b")
    assert error.retryable is row.retryable
    assert error.details == {"limit": "1"}
    if isinstance(error, farebox.PaymentRefused):  # agent frameworks give this to the model
        assert str(error) == error.user_message and "Because" not in str(error)
        assert repr(error) == f"{type(error).__name__}({f'{row.name} (a.b): Because.'!r})"
    else:
        assert str(error) == f"{row.name} (a.b): Because."
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is type(error) and vars(copied) == vars(error)


def test_a_number_outside_of_the_table_is_an_internal_error_that_keeps_it() -> None:
    error = error_of(12345)
    assert type(error) is farebox.InternalError
    assert (error.code, error.name) == (12345, "UNKNOWN")


def test_the_binding_constraint_of_a_refusal_is_at_hand() -> None:
    error = farebox.PaymentRefused(status.OVER_BUDGET, details={"constraint": "budget", "limit": "1"})
    assert error.constraint["limit"] == "1"
    assert farebox.PaymentRefused(status.OVER_BUDGET).constraint == {}
