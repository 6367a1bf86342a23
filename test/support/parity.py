#!/usr/bin/env python3
"""A second, independent implementation of the parity of format sv/1: docs/format.md §12, and nothing of src/.

    parity.py check VECTORS.json...   encodes each stripe, and rebuilds it from every k of its shards; prints one JSON object
                                      for each; exits 1 at the first that is not what the file says
    parity.py make                    prints new vectors over random bytes; test/vectors/sv1-parity.json was made so, once

Needs Python 3.11 and nothing else. Multiplies by shifting and adding, and finds inverses by trying.
"""

import itertools
import json
import os
import sys


def times(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return result


TIMES = [[times(a, b) for b in range(256)] for a in range(256)]
INVERSE = [None] + [next(b for b in range(256) if times(a, b) == 1) for a in range(1, 256)]


def coefficient(k, shard, i):
    if shard < k:
        return 1 if shard == i else 0
    return INVERSE[shard ^ i]


def weighted_sum(factors, chunks, length):
    result = bytearray(length)
    for factor, chunk in zip(factors, chunks):
        row = TIMES[factor]
        for at, value in enumerate(chunk):
            result[at] ^= row[value]
    return bytes(result)


def encode(k, m, data):
    """The m parity chunks of up to k data chunks."""
    length = max(len(chunk) for chunk in data)
    return [weighted_sum([coefficient(k, shard, i) for i in range(k)], data, length) for shard in range(k, k + m)]


def decode(k, count, present, sizes):
    """The `count` data chunks of a stripe, from shard → bytes of exactly `count` shards that exist."""
    length = max(sizes)
    equations = []
    for shard, chunk in present.items():
        factors = [coefficient(k, shard, i) for i in range(count)]
        equations.append((factors, bytearray(chunk.ljust(length, b"\0"))))
    for i in range(count):
        at = next(at for at in range(i, count) if equations[at][0][i])
        equations[i], equations[at] = equations[at], equations[i]
        inverse = INVERSE[equations[i][0][i]]
        equations[i] = scaled(equations[i], inverse)
        for other in range(count):
            if other != i:
                equations[other] = added(equations[other], scaled(equations[i], equations[other][0][i]))
    data = [bytes(chunk) for _, chunk in equations]
    for chunk, size in zip(data, sizes):
        if any(chunk[size:]):
            raise ValueError("a short chunk does not end in zeros")
    return [chunk[:size] for chunk, size in zip(data, sizes)]


def scaled(equation, factor):
    row = TIMES[factor]
    return [row[value] for value in equation[0]], bytearray(row[value] for value in equation[1])


def added(first, second):
    return [x ^ y for x, y in zip(first[0], second[0])], bytearray(x ^ y for x, y in zip(first[1], second[1]))


def check(vector):
    """How many ways the stripe was rebuilt in; ValueError if one of them was wrong."""
    k, m = vector["dataChunks"], vector["parityChunks"]
    data = [bytes.fromhex(text) for text in vector["data"]]
    parity = [bytes.fromhex(text) for text in vector["parity"]]
    if encode(k, m, data) != parity:
        raise ValueError("the parity differs")
    count = len(data)
    shards = {**dict(enumerate(data)), **{k + j: chunk for j, chunk in enumerate(parity)}}
    ways = 0
    for kept in itertools.combinations(shards, count):
        if decode(k, count, {shard: shards[shard] for shard in kept}, [len(chunk) for chunk in data]) != data:
            raise ValueError(f"shards {kept} give other data")
        ways += 1
    return ways


def make():
    stripes = [
        # k, m, bytes of each data chunk, what it shows
        (1, 1, [48], "a mirror"),
        (1, 2, [33], "one data chunk and two parity chunks"),
        (2, 2, [70, 70], "a full stripe"),
        (3, 2, [65, 65, 65], "a full stripe"),
        (4, 2, [80, 80, 80, 80], "a full stripe"),
        (4, 2, [80, 80, 80, 32], "a full stripe with a short last chunk"),
        (4, 2, [80, 41], "a last stripe of two chunks"),
        (4, 2, [37], "a last stripe of one short chunk"),
        (10, 4, [40] * 9 + [35], "a wider code"),
        (17, 3, [34] * 17, "more than sixteen data chunks"),
        (200, 56, [33, 32], "the most shards there can be"),
    ]
    vectors = []
    for k, m, sizes, why in stripes:
        data = [os.urandom(size) for size in sizes]
        name = f"{k}+{m}: {why}"
        parity = [chunk.hex() for chunk in encode(k, m, data)]
        vectors.append(
            {"name": name, "dataChunks": k, "parityChunks": m, "data": [chunk.hex() for chunk in data], "parity": parity}
        )
    about = "Stripes and their parity chunks, in hex. docs/format.md §12, §13."
    print(json.dumps({"about": about, "stripes": vectors}, indent=1, ensure_ascii=False))


def main(arguments):
    if arguments == ["make"]:
        make()
        return 0
    if len(arguments) < 2 or arguments[0] != "check":
        print(__doc__, file=sys.stderr)
        return 2
    for path in arguments[1:]:
        with open(path, encoding="utf-8") as file:
            vectors = json.load(file)
        for vector in vectors["stripes"]:
            try:
                print(json.dumps({"name": vector["name"], "ways": check(vector)}))
            except ValueError as error:
                print(f"{path}: {vector['name']}: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
