#!/usr/bin/env python3
"""A second, independent reader of format sv/1, written from docs/format.md alone.

    decrypt.py VECTORS.json...      prints one JSON object for each vector opened; exits 1 at the first that does not open

Needs Python 3.11 and its `cryptography` package (Debian: python3 python3-cryptography), for AES-256-GCM only. Argon2id is
written out below, since Debian 12's `cryptography` has none; it is slow, and the vectors are cheap on purpose.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Refused(Exception):
    """The bytes are not valid sv/1, or not under this key."""


def require(condition, why):
    if not condition:
        raise Refused(why)


# --- §1 notation -------------------------------------------------------------------------------------------------------


def u8(value):
    return struct.pack(">B", value)


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


def expand(hash_name, key, info, length):
    """HKDF-Expand, RFC 5869 section 2.3."""
    output, block, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(key, block + info + u8(counter), hash_name).digest()
        output += block
        counter += 1
    return output[:length]


def expand256(key, info, length=32):
    return expand("sha256", key, info, length)


def open_box(key, aad, box):
    require(len(box) >= 28, "a box is too short")
    try:
        return AESGCM(key).decrypt(box[:12], box[12:], aad)
    except InvalidTag:
        raise Refused("a box is not authentic") from None


# --- §4 layout ---------------------------------------------------------------------------------------------------------


def layout_of(chunk_bytes):
    require(1024 <= chunk_bytes <= 67108864, "chunk size out of bounds")
    if chunk_bytes <= 262144:
        return chunk_bytes, chunk_bytes
    for n in range(1, chunk_bytes // 65536 + 1):
        if chunk_bytes % n == 0 and 65536 <= chunk_bytes // n <= 262144:
            return chunk_bytes, chunk_bytes // n
    return layout_of(chunk_bytes - chunk_bytes % 65536)


def segments_of(segment_bytes, plain_bytes):
    return max(1, -(-plain_bytes // (segment_bytes - 32)))


# --- §5 FLOE -----------------------------------------------------------------------------------------------------------


class Message:
    def __init__(self, key, aad, header, segment_bytes):
        self.params = b"\0\0" + u32(segment_bytes) + u32(32)
        require(len(header) == 74 and header[:10] == self.params, "a FLOE header has other parameters")
        self.iv, self.aad, self.segment_bytes = header[10:42], aad, segment_bytes
        tag = self.kdf(key, b"HEADER_TAG:", 32)
        require(hmac.compare_digest(tag, header[42:]), "a FLOE header is not of this key and AAD")
        self.message_key = self.kdf(key, b"MESSAGE_KEY:", 48)

    def kdf(self, key, purpose, length):
        return expand("sha384", key, self.params + self.iv + purpose + self.aad, length)

    def open_segment(self, segment, position, is_last):
        (word,) = struct.unpack(">I", segment[:4].rjust(4, b"\0"))
        if is_last:
            require(32 <= len(segment) <= self.segment_bytes and word == len(segment), "the last segment's length")
        else:
            require(len(segment) == self.segment_bytes and word == 0xFFFFFFFF, "a segment's length")
        key = self.kdf(self.message_key, b"DEK:" + u64(position - position % 2**20), 32)
        return open_box(key, u64(position) + u8(1 if is_last else 0), segment[4:])

    def open_all(self, stored, count):
        size = self.segment_bytes
        require((count - 1) * size < len(stored) <= count * size, "the stored length")
        parts = (stored[p * size : (p + 1) * size] for p in range(count))
        return b"".join(self.open_segment(part, p, p == count - 1) for p, part in enumerate(parts))


# --- §6 wraps ----------------------------------------------------------------------------------------------------------

KINDS = {"password": (1, 24), "link": (2, 12), "upload": (3, 8)}


def unwrap(kind, record, file_id, ikm_of):
    """The DEK and the decoded params; `ikm_of` gives the ikm for the params."""
    number, params_bytes = KINDS[kind]
    require(len(record) == 2 + params_bytes + 92, "a wrap's length")
    require(record[:2] == b"\x01" + u8(number), "a wrap's version or kind")
    params, commit, box = record[2 : 2 + params_bytes], record[-92:-60], record[-60:]
    decoded = decode_params(kind, params)
    context = record[: 2 + params_bytes] + file_id
    keys = expand256(ikm_of(decoded), b"sv/1/kek" + context, 64)
    require(hmac.compare_digest(keys[32:], commit), "this is not the key of the wrap")
    return open_box(keys[:32], b"sv/1/wrap" + context, box), decoded


def decode_params(kind, params):
    if kind == "link":
        not_after, max_uses = struct.unpack(">QI", params)
        require(not_after < 2**53, "a time out of bounds")
        return {"notAfter": not_after, "maxUses": max_uses}
    if kind == "upload":
        (not_after,) = struct.unpack(">Q", params)
        require(not_after < 2**53, "a time out of bounds")
        return {"notAfter": not_after}
    kdf, memory, passes, lanes, pepper_id, salt = struct.unpack(">BIBBB16s", params)
    require(kdf == 1, "an unknown KDF")
    require(1 <= lanes <= 16 and 1 <= passes <= 16 and 8 * lanes <= memory <= 1048576, "a cost out of bounds")
    return {"memoryKiB": memory, "passes": passes, "lanes": lanes, "pepperId": pepper_id, "salt": salt.hex()}


def password_ikm(password, pepper, file_id):
    def ikm_of(params):
        return argon2id(
            unicodedata.normalize("NFKC", password).encode("utf-8"),
            bytes.fromhex(params["salt"]),
            pepper if params["pepperId"] else b"",
            b"sv/1/pw" + file_id,
            params["memoryKiB"],
            params["passes"],
            params["lanes"],
            32,
        )

    return ikm_of


def token_bytes(text):
    token = base64.urlsafe_b64decode(text + "=")
    spelling = base64.urlsafe_b64encode(token).decode().rstrip("=")
    require(len(token) == 32 and spelling == text, "a token's spelling")
    return token


# --- §7 core, §8 metadata, §9 opening ----------------------------------------------------------------------------------


def decode_core(core):
    require(len(core) == 188, "a core's length")
    magic, version, flags, segment, chunk, plain, count = struct.unpack(">4sBBIQQQ", core[:34])
    require(magic == b"SCVT" and version == 1 and flags == 0, "a core's magic, version or flags")
    require(layout_of(chunk) == (chunk, segment), "a core's layout")
    segments = segments_of(segment, plain)
    require(segments <= 2**40 and plain + 32 * segments < 2**53, "a core's length out of bounds")
    require(count == -(-segments // (chunk // segment)), "a core's chunk count")
    return {
        "segmentBytes": segment,
        "chunkBytes": chunk,
        "plainBytes": plain,
        "segments": segments,
        "chunkCount": count,
        "fileId": core[34:50],
        "header": core[50:124],
        "commit": core[124:156],
        "root": core[156:188],
    }


def open_meta(dek, file_id, record):
    require(29 <= len(record) <= 262144 and record[0] == 1, "a metadata record's size or version")
    plain = open_box(expand256(dek, b"sv/1/meta"), b"sv/1/meta" + file_id, record[1:])
    require(len(plain) % 64 == 0, "metadata are not padded")
    meta = json.loads(plain.decode("utf-8"))
    return {"name": meta["name"], "mediaType": meta["mediaType"], "sha256": meta["sha256"]}


def open_file(vector):
    core_bytes = bytes.fromhex(vector["core"])
    require(hashlib.sha256(b"sv/1/hash" + core_bytes).hexdigest() == vector["hash"], "the hash")
    core = decode_core(core_bytes)
    file_id = core["fileId"]
    pepper = bytes.fromhex(vector["pepper"] or "")
    ikm_of = password_ikm(vector["password"], pepper, file_id)
    dek, _ = unwrap("password", bytes.fromhex(vector["wrap"]), file_id, ikm_of)
    require(hmac.compare_digest(expand256(dek, b"sv/1/commit"), core["commit"]), "the commitment")
    seal = hmac.new(expand256(dek, b"sv/1/seal"), core_bytes, "sha256").digest()
    require(hmac.compare_digest(seal, bytes.fromhex(vector["seal"])), "the seal")

    objects = [base64.b64decode(text, validate=True) for text in vector["objects64"]]
    digests = b"".join(hashlib.sha256(object_).digest() for object_ in objects)
    require(hashlib.sha256(b"sv/1/root" + digests).digest() == core["root"], "the root")
    require(len(objects) == core["chunkCount"], "the number of objects")
    require(all(len(object_) == core["chunkBytes"] for object_ in objects[:-1]), "an object's length")

    message = Message(expand256(dek, b"sv/1/body"), b"sv/1" + file_id, core["header"], core["segmentBytes"])
    plain = message.open_all(b"".join(objects), core["segments"])
    require(len(plain) == core["plainBytes"], "the length")
    return {
        "hash": vector["hash"],
        "chunkBytes": core["chunkBytes"],
        "segmentBytes": core["segmentBytes"],
        "plain": {"bytes": len(plain), "sha256": hashlib.sha256(plain).hexdigest()},
        "meta": open_meta(dek, file_id, bytes.fromhex(vector["sealedMeta"])),
    }


def open_wrap(vector):
    kind, record, file_id = vector["kind"], bytes.fromhex(vector["record"]), bytes.fromhex(vector["fileId"].replace("-", ""))
    if kind == "password":
        ikm_of = password_ikm(vector["password"], bytes.fromhex(vector["pepper"] or ""), file_id)
        token_id = None
    else:
        token = token_bytes(vector["token"])
        token_id = expand256(token, f"sv/1/{kind}-id".encode(), 16).hex()
        ikm_of = lambda _params: expand256(token, f"sv/1/{kind}-key".encode())
    dek, params = unwrap(kind, record, file_id, ikm_of)
    return {"dek": dek.hex(), "params": params, "tokenId": token_id}


def open_tail(vector):
    dek, file_id = bytes.fromhex(vector["dek"]), bytes.fromhex(vector["fileId"].replace("-", ""))
    stored = base64.b64decode(vector["object64"], validate=True)
    aad = b"sv/1/tail" + file_id + u64(vector["tailStart"])
    message = Message(expand256(dek, b"sv/1/tail"), aad, stored[:74], vector["segmentBytes"])
    plain = message.open_all(stored[74:], -(-(len(stored) - 74) // vector["segmentBytes"]))
    return {"plain": {"bytes": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}}


def open_segments(vector):
    dek, file_id = bytes.fromhex(vector["dek"]), bytes.fromhex(vector["fileId"].replace("-", ""))
    size, stored, first = vector["segmentBytes"], bytes.fromhex(vector["stored"]), vector["position"]
    message = Message(expand256(dek, b"sv/1/body"), b"sv/1" + file_id, bytes.fromhex(vector["header"]), size)
    plain = b""
    for at in range(0, len(stored), size):
        is_last = vector["isLast"] and at + size >= len(stored)
        plain += message.open_segment(stored[at : at + size], first + at // size, is_last)
    return {"plain": {"bytes": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}}


def open_meta_vector(vector):
    file_id = bytes.fromhex(vector["fileId"].replace("-", ""))
    return {"meta": open_meta(bytes.fromhex(vector["dek"]), file_id, bytes.fromhex(vector["sealed"]))}


# --- §14 recovery manifest -----------------------------------------------------------------------------------------------


def manifest_prefixes(hash_):
    return [expand256(hash_, b"sv/1/manifest-name" + u8(slot), 8).hex() for slot in range(16)]


def escrowed(kind, operator_key, key, object_, length):
    """What the operator may read, or None where the object is not of this kind, or of another operator."""
    if not hmac.compare_digest(expand256(operator_key, b"sv/1/" + kind + b"-mark" + key, 16), object_[:16]):
        return None
    aad = b"sv/1/" + kind + b"-escrow" + key
    plain = open_box(expand256(operator_key, aad, 32), aad, object_[16 : 44 + length])
    require(len(plain) == length, "an escrow's length")
    return plain


def open_escrow(operator_key, key, manifest):
    """Hash and map key, or None where it is no manifest of this operator's."""
    plain = escrowed(b"manifest", operator_key, key, manifest, 64)
    return plain and (plain[:32], plain[32:])


def open_head(hash_, key, manifest):
    secret = expand256(hash_, b"sv/1/manifest-head" + key, 32)
    plain = open_box(secret, b"sv/1/manifest-head" + key, manifest[108:450])
    (revision,), core, wrap = struct.unpack(">Q", plain[:8]), plain[8:196], plain[196:]
    require(revision < 2**53 and len(wrap) == 118, "a head's revision or length")
    require(hashlib.sha256(b"sv/1/hash" + core).digest() == hash_, "the hash of a manifest's core")
    return revision, core, wrap


class Taker:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, length):
        require(self.at + length <= len(self.data), "a manifest ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, length):
        value = int.from_bytes(self.bytes(length), "big")
        require(value < 2**53, "a number out of bounds")
        return value


def decode_row(row):
    return {"bucket": int.from_bytes(row[:2], "big"), "key": row[2:18].hex(), "digest": row[18:50].hex()}


def open_body(map_key, key, manifest, core_bytes):
    before = hashlib.sha256(manifest[:450]).digest()
    body = Taker(open_box(map_key, b"sv/1/manifest-body" + key + before, manifest[450:]))
    core = decode_core(core_bytes)
    require(body.number(1) == 1, "a manifest's version")
    seal, k, m = body.bytes(32), body.number(1), body.number(1)
    require(k >= 1 and k + m <= 256, "a parity profile")
    created, expires, retained = body.number(8), body.number(8), body.number(8)
    allowed, so_far = body.number(4), body.number(4)
    meta_bytes = body.number(4)
    require(meta_bytes <= 262144, "a metadata record's size")
    meta = body.bytes(meta_bytes)
    buckets = {}
    for _ in range(body.number(2)):
        number = body.number(2)
        buckets[number] = body.bytes(body.number(2)).decode("utf-8")
    stripes = -(-core["chunkCount"] // k)
    row_count = core["chunkCount"] + stripes * m
    copies = body.number(1)
    require((copies > 0) == (row_count > 16384), "a map's shape")
    per_part = 16384 // (k + m)
    rows, parts = [], []
    if copies == 0:
        rows = [decode_row(body.bytes(50)) for _ in range(row_count)]
    else:
        for _ in range(-(-stripes // per_part)):
            parts.append([{"bucket": body.number(2), "key": body.bytes(16).hex()} for _ in range(copies)])
    return {
        "seal": seal,
        "dataChunks": k,
        "parityChunks": m,
        "created": created,
        "expires": expires,
        "retained": retained,
        "allowed": allowed,
        "soFar": so_far,
        "meta": meta,
        "buckets": buckets,
        "rowCount": row_count,
        "rowsPerPart": per_part * (k + m),
        "rows": rows,
        "parts": parts,
    }


def open_part(map_key, key, part, object_, row_count):
    plain = open_box(map_key, b"sv/1/map-part" + key + u64(part), object_)
    require(len(plain) >= 50 * row_count, "a part's length")
    return [decode_row(plain[50 * i : 50 * i + 50]) for i in range(row_count)]


def open_manifest_vector(vector):
    key, manifest = bytes.fromhex(vector["objectKey"]), base64.b64decode(vector["object64"], validate=True)
    hash_ = bytes.fromhex(vector["hash"])
    require(vector["objectKey"][:16] in manifest_prefixes(hash_), "a manifest's name")
    revision, core, wrap = open_head(hash_, key, manifest)
    file_id = core[34:50]
    dek, _ = unwrap("password", wrap, file_id, password_ikm(vector["password"], b"", file_id))
    map_key = expand256(dek, b"sv/1/map")
    body = open_body(map_key, key, manifest, core)
    seal = hmac.new(expand256(dek, b"sv/1/seal"), core, "sha256").digest()
    require(hmac.compare_digest(seal, body["seal"]), "the seal")
    escrow = None
    if vector["operatorKey"] is not None:
        escrow = open_escrow(bytes.fromhex(vector["operatorKey"]), key, manifest)
        require(escrow == (hash_, map_key), "the escrow")
    where = [[row["bucket"], row["key"], row["digest"]] for row in body["rows"]]
    where += [[ref["bucket"], ref["key"]] for copies in body["parts"] for ref in copies]
    kept = ("dataChunks", "parityChunks", "created", "expires", "retained", "allowed", "soFar", "rowCount")
    return {
        "revision": revision,
        "isEscrowed": escrow is not None,
        **{name: body[name] for name in kept},
        "meta": open_meta(dek, file_id, body["meta"]),
        "buckets": {str(number): name for number, name in body["buckets"].items()},
        "copies": len(body["parts"][0]) if body["parts"] else 0,
        "where": where,
    }


def open_part_vector(vector):
    key, object_ = bytes.fromhex(vector["objectKey"]), base64.b64decode(vector["object64"], validate=True)
    rows = open_part(bytes.fromhex(vector["mapKey"]), key, vector["part"], object_, vector["rowCount"])
    return {"where": [[row["bucket"], row["key"], row["digest"]] for row in rows]}


# --- Argon2id, RFC 9106 ------------------------------------------------------------------------------------------------

WORD = 2**64 - 1


def mix(v, a, b, c, d):
    """GB of RFC 9106 section 3.6: BLAKE2b's quarter round with a multiplication in each addition."""
    for first, second in ((32, 24), (16, 63)):
        v[a] = (v[a] + v[b] + 2 * (v[a] & 0xFFFFFFFF) * (v[b] & 0xFFFFFFFF)) & WORD
        x = v[d] ^ v[a]
        v[d] = (x >> first) | (x << (64 - first)) & WORD
        v[c] = (v[c] + v[d] + 2 * (v[c] & 0xFFFFFFFF) * (v[d] & 0xFFFFFFFF)) & WORD
        x = v[b] ^ v[c]
        v[b] = (x >> second) | (x << (64 - second)) & WORD


def permute(block, at):
    v = [block[i] for i in at]
    for i in range(4):
        mix(v, i, 4 + i, 8 + i, 12 + i)
    for i in range(4):
        mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    for i, value in zip(at, v):
        block[i] = value


ROWS = [[16 * row + i for i in range(16)] for row in range(8)]
COLUMNS = [[16 * row + 2 * column + i for row in range(8) for i in range(2)] for column in range(8)]


def compress(x, y):
    r = [a ^ b for a, b in zip(x, y)]
    z = r[:]
    for at in ROWS + COLUMNS:
        permute(z, at)
    return [a ^ b for a, b in zip(z, r)]


def long_hash(data, length):
    """H' of RFC 9106 section 3.3."""
    data = struct.pack("<I", length) + data
    if length <= 64:
        return hashlib.blake2b(data, digest_size=length).digest()
    value, output = hashlib.blake2b(data).digest(), b""
    while length - len(output) > 64:
        output += value[:32]
        rest = length - len(output)
        value = hashlib.blake2b(value, digest_size=min(64, rest)).digest()
    return output + value


def argon2id(password, salt, secret, associated, memory, passes, lanes, length):
    h0 = hashlib.blake2b(struct.pack("<6I", lanes, length, memory, passes, 0x13, 2))
    for field in (password, salt, secret, associated):
        h0.update(struct.pack("<I", len(field)) + field)
    h0 = h0.digest()
    segment = memory // (4 * lanes)
    columns = 4 * segment
    zero = [0] * 128
    b = [[zero] * columns for _ in range(lanes)]
    for lane in range(lanes):
        for column in (0, 1):
            seed = h0 + struct.pack("<2I", column, lane)
            b[lane][column] = list(struct.unpack("<128Q", long_hash(seed, 1024)))

    for pass_ in range(passes):
        for slice_ in range(4):
            for lane in range(lanes):
                for index in range(segment):
                    column = slice_ * segment + index
                    if pass_ == 0 and slice_ < 2 and (index == 0 or index % 128 == 0):
                        head = [pass_, lane, slice_, lanes * columns, passes, 2, index // 128 + 1]
                        addresses = compress(zero, compress(zero, head + [0] * 121))
                    if pass_ == 0 and column < 2:
                        continue
                    previous = b[lane][column - 1]
                    word = addresses[index % 128] if pass_ == 0 and slice_ < 2 else previous[0]
                    j1, j2 = word & 0xFFFFFFFF, word >> 32
                    from_lane = lane if pass_ == 0 and slice_ == 0 else j2 % lanes
                    finished = slice_ * segment if pass_ == 0 else columns - segment
                    area = finished + (index - 1 if from_lane == lane else -(index == 0))
                    offset = area - 1 - ((area * (j1 * j1 >> 32)) >> 32)
                    start = 0 if pass_ == 0 else (slice_ + 1) % 4 * segment
                    new = compress(previous, b[from_lane][(start + offset) % columns])
                    if pass_ > 0:
                        new = [x ^ y for x, y in zip(new, b[lane][column])]
                    b[lane][column] = new

    last = zero
    for lane in range(lanes):
        last = [x ^ y for x, y in zip(last, b[lane][-1])]
    return long_hash(struct.pack("<128Q", *last), length)


def self_test():
    """RFC 9106 section 5.3."""
    tag = argon2id(b"\1" * 32, b"\2" * 16, b"\3" * 8, b"\4" * 12, 32, 3, 4, 32)
    assert tag.hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659", tag.hex()


# --- §15 signposts -------------------------------------------------------------------------------------------------------


def signpost_prefixes(file_id):
    return [expand256(file_id, b"sv/1/signpost-name" + u8(slot), 8).hex() for slot in range(16)]


def open_signpost(file_id, key, signpost):
    aad = b"sv/1/signpost" + key
    return open_box(expand256(file_id, aad, 32), aad, signpost[60:])[:32]


def open_signpost_vector(vector):
    key, signpost = bytes.fromhex(vector["objectKey"]), base64.b64decode(vector["object64"], validate=True)
    file_id = bytes.fromhex(vector["fileId"].replace("-", ""))
    require(vector["objectKey"][:16] == signpost_prefixes(file_id)[vector["slot"]], "a signpost's name")
    owner = vector["operatorKey"] and escrowed(b"signpost", bytes.fromhex(vector["operatorKey"]), key, signpost, 16)
    require(owner in (None, file_id), "a signpost's escrow")
    return {"isEscrowed": owner is not None, "hash": open_signpost(file_id, key, signpost).hex()}


# -----------------------------------------------------------------------------------------------------------------------

READERS = {
    "files": open_file,
    "wraps": open_wrap,
    "tails": open_tail,
    "segments": open_segments,
    "metas": open_meta_vector,
    "manifests": open_manifest_vector,
    "parts": open_part_vector,
    "signposts": open_signpost_vector,
}


def main(paths):
    self_test()
    for path in paths:
        with open(path, encoding="utf-8") as file:
            vectors = json.load(file)
        for group, reader in READERS.items():
            for vector in vectors.get(group, []):
                try:
                    opened = reader(vector)
                except Refused as refused:
                    print(f"{path}: {group}: {vector['name']}: refused: {refused}", file=sys.stderr)
                    return 1
                print(json.dumps({"group": group, "name": vector["name"], **opened}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
