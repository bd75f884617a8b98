"""Send files as many clients at once, in a process of its own: `python -m benchmarks.senders`.

Python runs one thread at a time, so that senders in the process that measures would hold it up.
It takes JSON from its input: `url`, `headers`, `clients`, `seconds`, `size_bytes`. It prints a line
when it begins, and at the end, as JSON, how many files were `taken` and `refused`.
"""

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

_CHUNK = (b"C1,Ann,ann@example.org\n" * 12_000)[: 256 * 1024]


def body(size: int) -> Iterator[bytes]:
    """Give so many bytes, piece by piece."""
    for _ in range(size // len(_CHUNK)):
        yield _CHUNK


def send(asked: dict[str, Any]) -> dict[str, int]:
    """Let every client send one file after the other until the time is over."""
    until = time.monotonic() + asked["seconds"]

    def one(number: int) -> list[bool]:
        taken: list[bool] = []
        with httpx2.Client(base_url=asked["url"], headers=asked["headers"], timeout=300) as client:
            while time.monotonic() < until:
                path = asked["path"].format(name=f"f{number}-{len(taken)}.csv")
                answer = client.put(path, content=body(asked["size_bytes"]))
                taken.append(answer.is_success)
        return taken

    with ThreadPoolExecutor(asked["clients"]) as pool:
        taken = [one for its in pool.map(one, range(asked["clients"])) for one in its]
    return {"taken": sum(taken), "refused": len(taken) - sum(taken)}


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    print("begun", flush=True)
    print(json.dumps(send(wanted)), flush=True)
