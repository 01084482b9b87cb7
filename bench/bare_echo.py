"""The least that a durable venue could do: read under CURVE, write, sync, answer. The yardstick.

`python -m bench.bare_echo FILE SECRET_KEY` prints its endpoint, and echoes until it is ended.
"""

from __future__ import annotations

import os
import sys

import zmq

BATCH = 4096
SEGMENT_BYTES = 256 << 20


def main() -> None:
    """Echo frames, each batch of them written and synced before any of it is answered."""
    path, secret = sys.argv[1:]
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(SEGMENT_BYTES >> 20):
        os.write(handle, bytes(1 << 20))
    os.fsync(handle)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.CURVE_SERVER, 1)
    router.setsockopt(zmq.CURVE_SECRETKEY, secret.encode())
    router.setsockopt(zmq.LINGER, 0)
    router.setsockopt(zmq.SNDHWM, 100_000)
    router.setsockopt(zmq.RCVHWM, 100_000)
    router.bind("tcp://127.0.0.1:0")
    print(router.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    offset = 0
    parent = os.getppid()
    while os.getppid() == parent:
        batch = []
        if not router.poll(100):
            continue
        for _ in range(BATCH):
            try:
                session = router.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            batch.append((session, router.recv()))
        data = b"".join(body for _, body in batch)
        offset = offset if offset + len(data) <= SEGMENT_BYTES else 0
        os.pwrite(handle, data, offset)
        os.fdatasync(handle)
        offset += len(data)
        for session, body in batch:
            router.send(session, zmq.SNDMORE)
            router.send(body)


if __name__ == "__main__":
    main()
