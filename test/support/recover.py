#!/usr/bin/env python3
"""A stranger gets a file back, with docs/format.md §14 and none of our programs.

    recover.py HASH PASSWORD OUT BUCKET...      each BUCKET is the folder of a file:/// bucket

Finds the newest manifest, opens it, puts the chunks together and decrypts them. Says where it was refused, and exits 1.
"""

import glob
import os
import sys

from decrypt import (
    Message,
    Refused,
    decode_core,
    expand256,
    hashlib,
    hmac,
    manifest_prefixes,
    open_body,
    open_head,
    open_meta,
    open_part,
    password_ikm,
    require,
    unwrap,
)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def fetch(buckets, key):
    """The object, from whichever bucket has it."""
    for bucket in buckets:
        path = os.path.join(bucket, key[:2], key)
        if os.path.exists(path):
            return read(path)
    raise Refused(f"no bucket has object {key}")


def heads(hash_, buckets):
    for prefix in manifest_prefixes(hash_):
        for bucket in buckets:
            for path in glob.glob(os.path.join(bucket, prefix[:2], prefix + "*")):
                key, manifest = bytes.fromhex(os.path.basename(path)), read(path)
                try:
                    yield (*open_head(hash_, key, manifest), key, manifest)
                except Refused as refused:
                    print(f"{path}: {refused}", file=sys.stderr)


def recover(hash_, password, buckets):
    found = sorted(heads(hash_, buckets), key=lambda head: -head[0])
    require(found, "no manifest of this hash")
    _, core_bytes, wrap, key, manifest = found[0]
    core = decode_core(core_bytes)
    file_id = core["fileId"]
    dek, _ = unwrap("password", wrap, file_id, password_ikm(password, b"", file_id))
    map_key = expand256(dek, b"sv/1/map")
    body = open_body(map_key, key, manifest, core_bytes)
    seal = hmac.new(expand256(dek, b"sv/1/seal"), core_bytes, "sha256").digest()
    require(hmac.compare_digest(seal, body["seal"]), "the seal")
    rows = body["rows"]
    for number, copies in enumerate(body["parts"]):
        count = min(body["rowsPerPart"], body["rowCount"] - number * body["rowsPerPart"])
        part = copies[0]["key"]
        rows += open_part(map_key, bytes.fromhex(part), number, fetch(buckets, part), count)
    # Of each stripe the data chunks come first; parity is not needed while they are all there.
    k, m, chunks, data = body["dataChunks"], body["parityChunks"], core["chunkCount"], []
    while rows:
        in_stripe = min(k, chunks - len(data))
        data += rows[:in_stripe]
        rows = rows[in_stripe + m :]
    objects = [fetch(buckets, row["key"]) for row in data]
    require(all(hashlib.sha256(o).hexdigest() == row["digest"] for o, row in zip(objects, data)), "a digest")
    message = Message(expand256(dek, b"sv/1/body"), b"sv/1" + file_id, core["header"], core["segmentBytes"])
    plain = message.open_all(b"".join(objects), core["segments"])
    require(len(plain) == core["plainBytes"], "the length")
    return plain, open_meta(dek, file_id, body["meta"])


if __name__ == "__main__":
    try:
        content, meta = recover(bytes.fromhex(sys.argv[1]), sys.argv[2], sys.argv[4:])
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    with open(sys.argv[3], "wb") as out:
        out.write(content)
    print(meta["name"])
