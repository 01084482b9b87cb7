"""Checks a proof of `bourse audit prove` with nothing but Python's own library.

    python check_proof.py proof.json ROOT

It prints the command's sequence, its time and its bytes, and ends with code 0 if the proof holds, 4 if not.
"""

import json
import struct
import sys
from hashlib import sha256


def holds(proof: dict, root: str) -> bool:
    """Tell whether the leaf is that of its sequence, and the path leads from it to the root (RFC 6962)."""
    leaf, path = bytes.fromhex(proof["leaf"]), [bytes.fromhex(node) for node in proof["path"]]
    index, last = proof["index"], proof["leaves"] - 1
    digest = sha256(b"\x00" + leaf).digest()
    while last and 0 <= index <= last:
        if index % 2 or index < last:  # it has a neighbour; the odd one goes up as it is
            beside = path.pop(0) if path else b""
            digest = sha256(b"\x01" + (beside + digest if index % 2 else digest + beside)).digest()
        index, last = index // 2, last // 2
    (sequence,) = struct.unpack_from("<q", leaf)
    return sequence == proof["sequence"] and not path and index == last == 0 and digest.hex() == root


def main() -> int:
    """Read the proof and the root from the command line."""
    with open(sys.argv[1]) as file:
        proof = json.load(file)
    leaf = bytes.fromhex(proof["leaf"])
    sequence, time_ns = struct.unpack_from("<qq", leaf)
    print(f"sequence {sequence}, {time_ns} ns since 1970\ncommand {leaf[16:144].hex()}\nact {leaf[144:]!r}")
    is_good = holds(proof, sys.argv[2])
    print("the proof holds" if is_good else "the proof does NOT hold")
    return 0 if is_good else 4


if __name__ == "__main__":
    sys.exit(main())
