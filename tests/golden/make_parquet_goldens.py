#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small Parquet files with every form that formats/parquet.h reads or refuses by name, and their rows as JSON lines, both
by pyarrow (26 was used): tests/golden/parquet/NAME.parquet and NAME.jsonl. Some are seeds of
tests/fuzz/corpus/parquet, too. The rows are invented.

usage: make_parquet_goldens.py
"""
import datetime, decimal, json, shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUT, CORPUS = HERE / "parquet", HERE.parent / "fuzz/corpus/parquet"


def plain(v):
    """A value as the JSON lines of the same set would have it."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, (datetime.date, datetime.time)):
        return v.isoformat()
    if isinstance(v, decimal.Decimal):
        return str(v)
    if isinstance(v, float) and (v != v or abs(v) == float("inf")):
        return None
    return v


def write(name, table, **options):
    options = {"compression": "none", "store_schema": False, **options}
    pq.write_table(table, OUT / f"{name}.parquet", **options)
    rows = pq.read_table(OUT / f"{name}.parquet").to_pylist()
    with open(OUT / f"{name}.jsonl", "w") as f:
        f.writelines(json.dumps(plain(r), ensure_ascii=False) + "\n" for r in rows)


def questions(n):
    texts = [f"How much is {i} plus {i * i}? \u00e9\u4e2d\U0001f600"[: 12 + i % 17] for i in range(n)]
    return pa.table({
        "question": texts,
        "subject": [("law", "astronomy")[i * 2 // n] for i in range(n)],
        "choices": pa.array([[f"{i}", "none", f"{i * i + i}", ""] for i in range(n)], pa.list_(pa.string())),
        "answer": pa.array([i % 4 for i in range(n)], pa.int64()),
    })


def nested(n):
    answer = pa.struct([("value", pa.string()), ("aliases", pa.list_(pa.string())),
                        ("deep", pa.struct([("k", pa.int32()), ("l", pa.list_(pa.list_(pa.int16())))]))])
    pick = lambda i, *values: values[i % len(values)]
    return pa.table({
        "id": list(range(n)),
        "answer": pa.array([pick(i, None, {"value": None, "aliases": [], "deep": None},
                                 {"value": f"v{i}", "aliases": ["a", None, ""], "deep": {"k": i, "l": [[], [1, None], [2]]}},
                                 {"value": "", "aliases": None, "deep": {"k": None, "l": None}}) for i in range(n)], answer),
        "choices": pa.array([pick(i, [], [{"text": "a", "label": "A", "ok": True}], None,
                                  [{"text": None, "label": "A", "ok": None}, None, {"text": "c", "label": "C", "ok": False}])
                             for i in range(n)],
                            pa.list_(pa.struct([("text", pa.string()), ("label", pa.string()), ("ok", pa.bool_())]))),
        "grid": pa.array([pick(i, [[]], None, [[], [1], [2, 3]], [], [None, [4]]) for i in range(n)],
                         pa.list_(pa.list_(pa.int64()))),
    })


def numbers(n):
    some = lambda i, v: None if i % 5 == 3 else v
    of = lambda kind, f: pa.array([some(i, f(i)) for i in range(n)], kind)
    return pa.table({
        "i8": of(pa.int8(), lambda i: i % 256 - 128), "u8": of(pa.uint8(), lambda i: 255 - i % 256),
        "i16": of(pa.int16(), lambda i: -7 * i), "u16": of(pa.uint16(), lambda i: 65535 - i),
        "i32": of(pa.int32(), lambda i: -(2**31) + i * 77777777 % 2**31), "u32": of(pa.uint32(), lambda i: 2**32 - 1 - i),
        "i64": of(pa.int64(), lambda i: (-1) ** i * (i * 1234567890123 % 2**53)), "u64": of(pa.uint64(), lambda i: 2**63 + 2048 * i),
        "b": of(pa.bool_(), lambda i: i % 3 == 0), "f32": of(pa.float32(), lambda i: i / 8 - 3),
        "f64": of(pa.float64(), lambda i: float("nan") if i == 7 else 1.1 ** i),
        "s": of(pa.string(), lambda i: "x" * (i % 4) + "y" * (i % 3)),
    })


def others(n):
    moment = datetime.datetime(1969, 12, 31, 23, 59, 58)
    later = lambda i: moment + datetime.timedelta(days=97 * i, microseconds=i * 250000)
    dec = lambda i: decimal.Decimal(37 * i - 100).scaleb(-2)
    return pa.table({
        "d": [later(i).date() for i in range(n)],
        "t": pa.array([later(i).time() for i in range(n)], pa.time64("us")),
        "ms": pa.array([later(i) for i in range(n)], pa.timestamp("ms")),
        "us": pa.array([later(i) for i in range(n)], pa.timestamp("us", "UTC")),
        "dec": pa.array([dec(i) for i in range(n)], pa.decimal128(5, 2)),
        "wide": pa.array([dec(i) * 10**25 for i in range(n)], pa.decimal128(38, 2)),
        "flba": pa.array([bytes([i] * 5) for i in range(n)], pa.binary(5)),
        "bin": pa.array([bytes(range(i)) for i in range(n)], pa.binary()),
        "f16": pa.array([i / 2 for i in range(n)], pa.float16()),
        "nothing": pa.nulls(n),
    })


def main():
    for folder in (OUT, CORPUS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        write(f"codec_{codec}", questions(60 if codec != "brotli" else 4), compression=codec)
    for version in ("1.0", "2.0"):
        name = "v" + version[0]
        write(f"nested_{name}", nested(23), data_page_version=version, compression="snappy")
        write(f"numbers_{name}", numbers(40), data_page_version=version, use_dictionary=False)
    write("groups_pages_checksums", questions(90), row_group_size=40, data_page_size=256, write_batch_size=8,
          write_page_checksum=True, data_page_version="2.0", compression="gzip")
    write("others", others(20))
    delta = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "u16": "DELTA_BINARY_PACKED", "b": "RLE",
             "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "u64": "BYTE_STREAM_SPLIT", "s": "DELTA_BYTE_ARRAY"}
    write("numbers_delta", numbers(300), use_dictionary=False, column_encoding=delta, compression="zstd")
    text = {"question": "DELTA_BYTE_ARRAY", "subject": "DELTA_LENGTH_BYTE_ARRAY", "choices.list.element": "DELTA_BYTE_ARRAY"}
    write("texts_delta", questions(60), use_dictionary=False, column_encoding=text, data_page_version="2.0")
    strict = pa.schema([("q", pa.string(), False), ("l", pa.list_(pa.field("element", pa.int32(), False)), False)])
    write("required", pa.table({"q": ["a", "b"], "l": [[1, 2], []]}, strict))
    write("no_rows", questions(3).slice(0, 0))
    write("dictionary_full", questions(120), dictionary_pagesize_limit=200, data_page_size=512, write_batch_size=16)
    write("map", pa.table({"m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32()))}))
    for seed in ("nested_v1", "nested_v2", "numbers_v2", "others", "texts_delta", "codec_snappy", "numbers_delta"):
        shutil.copy(OUT / f"{seed}.parquet", CORPUS / seed)


if __name__ == "__main__":
    main()
