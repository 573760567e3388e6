# SPDX-License-Identifier: MIT
"""docs/protocol.md says the numbers that src/wire has, and its example is what the shim sends."""
import pathlib
import re
import struct

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/protocol.md").read_text()
HEADERS = {v: (ROOT / f"src/wire/{v}.h").read_text() for v in ("v1", "v2")}

# Sizes of parts, which the page gives as tables of offsets, and masks of several flags.
NOT_NAMED = re.compile(r"_(SIZE|ALL)$|^V2_MAGIC$")


def number(text):
    text = text.strip().rstrip("u)").lstrip("(")
    if m := re.fullmatch(r"(\d+)u? << (\d+)", text):
        return int(m[1]) << int(m[2])
    return int(text, 0)


def constants(version):
    text = re.sub(r"/\*.*?\*/", "", HEADERS[version], flags=re.S)
    found = {name: number(value) for name, value in
             re.findall(r"#define (V\d_\w+) +(\(?[\dx]\w*(?: << \d+\)?)?)", text)}
    for body in re.findall(r"enum v\d_\w+ \{(.*?)\}", text, re.S):
        found.update({n: int(v, 0) for n, v in re.findall(r"(V\d_\w+) = (\w+)", body)})
    return {n: v for n, v in found.items() if not NOT_NAMED.search(n)}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_constant_stands_on_the_page_with_its_value(version):
    all_of_them = constants(version)
    assert len(all_of_them) > 8
    for name, value in all_of_them.items():
        near = [line for line in PAGE.splitlines() if f"`{name}`" in line]
        spelled = (f"{value:,}", str(value), f"0x{value:02x}")
        assert any(re.search(rf"(?<![\w,]){re.escape(s)}(?![\w,])", line.replace(f"`{name}`", ""))
                   for line in near for s in spelled), (name, value)


def test_the_forwarded_signals_are_those_of_the_page():
    code = re.search(r"int v2_signal_ok.*?return", (ROOT / "src/wire/v2.c").read_text(), re.S)[0]
    in_code = dict(re.findall(r"([A-Z]+\d?) = (\d+)", code))
    said = re.search(r"One of (.*?); anything else", PAGE, re.S)[1]
    assert dict(re.findall(r"([A-Z]+\d?) (\d+)", said)) == in_code and len(in_code) == 10


def test_the_example_is_a_request():
    block = re.search(r"with `A=1`:\n\n```\n(.*?)```", PAGE, re.S)[1]
    data = b"".join(bytes.fromhex(re.match(r"(?:[0-9a-f]{2} +)+", line + " ")[0]) for line in block.splitlines())
    payload = struct.pack(">IIII16x", 0, 0o22, 2, 1) + b"git\0/app\0git\0push\0A=1\0"
    assert data == b"CLAWRDN2" + struct.pack(">B3xI", 1, len(payload)) + payload
