"""The ctypes structures equal the header's structs, and the formats equal the structures."""

from __future__ import annotations

import ctypes
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from farebox import _layout as layout
from farebox import _statuses as status


def fields_of(kind: type[ctypes.Structure]) -> list[str]:
    return [str(field[0]) for field in kind._fields_]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What gcc says about the header: sizes, offsets, sizes of fields, constants."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("needs gcc")
    header = Path(__file__).resolve().parents[3] / "Include" / "farebox.h"
    lines = ["#include <stdio.h>", f'#include "{header}"', "int main(void) {"]
    for name, kind in layout.STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field in fields_of(kind):
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));')
            lines.append(f'printf("{name}.{field}# %zu\\n", sizeof((({name} *)0)->{field}));')
    for constant in sorted(set(re.findall(r"\b(FAREBOX_[A-Z_0-9]+)\s+= ", header.read_text()))):
        lines.append(f'printf("{constant} %lld\\n", (long long){constant});')
    lines += ['printf("VERSION %d\\n", FAREBOX_VERSION_NUMBER);', "return 0; }"]
    folder = tmp_path_factory.mktemp("layout")
    (folder / "layout.c").write_text("\n".join(lines))
    subprocess.run([gcc, "-std=c11", "-o", "layout", "layout.c"], cwd=folder, check=True)
    output = subprocess.run([str(folder / "layout")], capture_output=True, text=True, check=True).stdout
    return {name: int(number) for name, number in (line.split() for line in output.splitlines())}


@pytest.mark.parametrize("name", layout.STRUCTS)
def test_a_structure_is_laid_out_as_in_c(name: str, compiled: dict[str, int]) -> None:
    kind = layout.STRUCTS[name]
    assert ctypes.sizeof(kind) == compiled[name]
    for field in fields_of(kind):
        assert layout.offset(kind, field) == compiled[f"{name}.{field}"], field
        assert getattr(kind, field).size == compiled[f"{name}.{field}#"], field


def test_every_struct_and_field_of_the_header_is_known() -> None:
    header = (Path(__file__).resolve().parents[3] / "Include" / "farebox.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, flags=re.S)
    structs = {name: body for body, name in found}
    assert set(structs) == set(layout.STRUCTS)
    for name, body in structs.items():
        declared = re.findall(r"\(\*(\w+)\)|(\w+)(?:\[\d+\])?;", body)
        assert [first or second for first, second in declared] == fields_of(layout.STRUCTS[name])


def flattened(kind: type[ctypes.Structure], base: int = 0) -> list[tuple[int, int]]:
    """Offset and size of each number or text of a structure, without what is reserved."""
    found: list[tuple[int, int]] = []
    for entry in kind._fields_:
        name, declared = str(entry[0]), entry[1]
        if name.startswith("reserved"):
            continue
        at = base + layout.offset(kind, name)
        if isinstance(declared, type) and issubclass(declared, ctypes.Structure):
            found += flattened(declared, at)
        else:
            found.append((at, ctypes.sizeof(declared)))
    return found


@pytest.mark.parametrize("name", layout.FORMATS)
def test_a_format_packs_each_field_where_the_structure_has_it(name: str) -> None:
    form, kind = layout.FORMATS[name], layout.STRUCTS[name]
    assert form.size == ctypes.sizeof(kind)
    fields = flattened(kind)
    blank = list(form.unpack(bytes(form.size)))
    assert len(blank) == len(fields)
    for index, (at, size) in enumerate(fields):
        values = list(blank)
        values[index] = b"\x01" * size if isinstance(blank[index], bytes) else int.from_bytes(b"\x01" * size, "little")
        packed = form.pack(*values)
        assert [place for place, byte in enumerate(packed) if byte] == list(range(at, at + size))


def test_statuses_equal_the_header(compiled: dict[str, int]) -> None:
    for code, row in status.STATUSES.items():
        assert compiled[f"FAREBOX_{row.name}"] == code


def test_constants_equal_the_header(compiled: dict[str, int]) -> None:
    assert compiled["VERSION"] == layout.VERSION_NUMBER
    for table, prefix in (
        (layout.DURABILITY, "FAREBOX_DURABILITY_"),
        (layout.OVER_CAPTURE, "FAREBOX_OVER_CAPTURE_"),
        (layout.SCHEMES, "FAREBOX_WEBHOOK_"),
        ({meter: number for number, meter in enumerate(layout.METERS)}, "FAREBOX_METER_"),
    ):
        expected = {name: number for name, number in compiled.items() if name.startswith(prefix)}
        if prefix == "FAREBOX_WEBHOOK_":  # the statuses have one of this prefix
            expected.pop("FAREBOX_WEBHOOK_REPLAYED", None)
        assert {f"{prefix}{name.upper()}": number for name, number in table.items()} == expected
    for name in (
        "OPEN_EXCLUSIVE",
        "OPEN_EXISTING",
        "AMOUNT_GIVEN",
        "MAX_COST_GIVEN",
        "CAPTURE_PARTIAL",
        "CAPTURE_AMOUNT",
        "CAPTURE_USAGE",
        "METERED_CHECK_ONLY",
        "TOOL_UNCHARGED",
        "CALL_AMOUNT_GIVEN",
        "CALL_MAX_COST_GIVEN",
        "CALL_CHARGE_AFTERWARDS",
        "CALL_RELEASE_UNREPORTED",
        "CALL_LINE_AMOUNT",
        "FINISH_DELIVERED",
        "FINISH_AMOUNT",
        "ENDING_RETURNED",
        "ENDING_REPORTED_FAILURE",
        "ENDING_FAILED",
        "ENDING_LEFT",
    ):
        assert getattr(layout, name) == compiled[f"FAREBOX_{name}"]
    for kind in ("TOOL", "METERED"):
        for name in ("CHARGE_AFTERWARDS", "RELEASE_UNREPORTED"):
            assert compiled[f"FAREBOX_{kind}_{name}"] == getattr(layout, f"CALL_{name}")
    for name in ("REPLAYED", "UNCOMMITTED", "FINAL", "CAPPED", "UNREPORTED", "RELEASED"):
        assert getattr(layout, f"RECEIPT_{name}") == compiled[f"FAREBOX_RECEIPT_{name}"]


def test_the_frame_areas_do_not_overlap() -> None:
    from farebox import _frames as frames

    areas = [
        (frames.ARGS, max(layout.CHARGE.size, layout.RESERVE.size, layout.PRICE.size, layout.WEBHOOK.size)),
        (frames.CAPTURE, max(layout.CAPTURE.size, layout.BALANCE.size)),
        (frames.RECEIPT, layout.RECEIPT.size),
        (frames.QUOTE, layout.QUOTE.size),
        (frames.ERROR, ctypes.sizeof(layout.Error)),
        (frames.FIRST, layout.STR.size),
        (frames.SECOND, layout.STR.size),
        (frames.LINES, frames.LINE_CAPACITY * layout.QUOTE_LINE.size),
        (frames.CALL, layout.METERED_CALL.size),
        (frames.FINISH, layout.FINISH.size),
        (frames.TALLY, ctypes.sizeof(layout.Tally)),
        (frames.ARENA, 0),
    ]
    for (start, size), (following, _) in zip(areas, areas[1:]):
        assert start + size <= following
        assert following % 8 == 0
    assert struct.calcsize("P") == 8
