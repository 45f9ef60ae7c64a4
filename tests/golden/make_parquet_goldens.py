#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small Parquet files with every form that formats/parquet.h reads or refuses by name, and their rows as JSON lines, both
by pyarrow (26 was used): tests/golden/parquet/NAME.parquet and NAME.jsonl. Some are seeds of
tests/fuzz/corpus/parquet, too. The rows are invented.

And tests/golden/hub: the rows of tests/golden/{mcq,mmlu} in the schemas, folders and names that the hub has them in.

usage: make_parquet_goldens.py
"""
import csv, datetime, decimal, json, shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
OUT, HUB, CORPUS = HERE / "parquet", HERE / "hub", HERE.parent / "fuzz/corpus/parquet"


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


def read_jsonl(path):
    return [json.loads(line) for line in open(HERE / "mcq" / path)]


def put(path, rows):
    file = HUB / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file, compression="snappy")


def hub():
    card = "---\nconfigs:\n- config_name: default\n---\n# A card that no reader of questions looks at\n"
    pick = lambda r, *keys: {k: r[k] for k in keys}
    columns = lambda choices: {k: [c[k] for c in choices] for k in ("text", "label")}
    flat = lambda r: {"id": r["id"], "question": r["question"]["stem"], "choices": columns(r["question"]["choices"]),
                      "answerKey": r["answerKey"]}
    for split, file in (("validation", "dev_rand_split"), ("train", "train_rand_split")):
        rows = [flat(r) for r in read_jsonl(f"commonsenseqa/{file}.jsonl")]
        half = len(rows) // 2
        put(f"commonsense_qa/data/{split}-00000-of-00002.parquet", rows[:half])
        put(f"commonsense_qa/data/{split}-00001-of-00002.parquet", rows[half:])
    put("ai2_arc/ARC-Easy/test/0000.parquet", [flat(r) for r in read_jsonl("arc_easy/ARC-Easy-Test.jsonl")])
    put("ai2_arc/ARC-Challenge/test/0000.parquet", [flat(r) for r in read_jsonl("arc_easy/ARC-Easy-Train.jsonl")])
    labels = [int(x) for x in open(HERE / "mcq/piqa/valid-labels.lst")]
    put("piqa/plain_text/validation/0000.parquet",
        [{**r, "label": n} for r, n in zip(read_jsonl("piqa/valid.jsonl"), labels)])
    put("MMLU-Pro/data/test-00000-of-00001-0123456789abcdef.parquet", read_jsonl("mmlu_pro/test.jsonl"))
    put("boolq/data/validation-00000-of-00001.parquet",
        [pick(r, "question", "answer", "passage") for r in read_jsonl("boolq/dev.jsonl")])
    truthful = [{"question": r["question"], **{k: {"choices": list(r[k]), "labels": list(r[k].values())} for k in ("mc1_targets", "mc2_targets")}}
                for r in json.load(open(HERE / "mcq/truthfulqa/mc_task.json"))]
    put("truthful_qa/multiple_choice/validation-00000-of-00001.parquet", truthful)
    put("truthful_qa/generation/validation-00000-of-00001.parquet", [{"question": "not this one"}])
    everything = []
    for file in sorted((HERE / "mmlu/test").glob("*_test.csv")):
        subject = file.name[: -len("_test.csv")]
        rows = [{"question": q, "subject": subject, "choices": list(c), "answer": "ABCD".index(a)}
                for q, *c, a in csv.reader(open(file, newline=""))]
        put(f"mmlu/{subject}/test-00000-of-00001.parquet", rows)
        everything += rows
        put(f"mmlu-redux/{subject}/test-00000-of-00001.parquet",
            [{**r, "error_type": "bad_question_clarity" if i == 0 else "ok"} for i, r in enumerate(rows)])
    put("mmlu-all/all/test-00000-of-00001.parquet", everything)
    for i, letters in enumerate(("ABCD", "ABCDE")):
        options = {k: f"choice {k}" for k in letters}
        put(f"medqa/data/test-0000{i}-of-00002.parquet",
            [{"id": f"m{i}", "question": "which?", "options": {**dict.fromkeys("ABCDE"), **options}, "answer_idx": letters[-1]}])
    for folder in HUB.iterdir():
        (folder / "README.md").write_text(card)


def main():
    for folder in (OUT, HUB, CORPUS):
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
    hub()


if __name__ == "__main__":
    main()
