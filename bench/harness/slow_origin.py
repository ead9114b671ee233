"""slow_origin - an origin that takes its time and remembers everything: /slow/SIZE/ANYTHING.

    slow_origin.py PORT FILES '{"delay_ms": 300, "mib_per_second": 20, "cache_control": "max-age=2"}'

/figures answers JSON: requests, peak (most at once), now, first_byte (CLOCK_MONOTONIC, seconds, which all processes
share); /reset begins anew.  One thread; a response without a rate is written at once.
"""
import asyncio
import email.utils
import json
import pathlib
import re
import sys
import time

CHUNK = 65536
LONG_AGO = "Mon, 06 Jan 2020 10:00:00 GMT"


class Origin:
    """What all connections share."""

    def __init__(self, files, behaviour):
        self.files, self.bodies = pathlib.Path(files), {}
        self.delay = behaviour["delay_ms"] / 1000
        self.bytes_per_second = behaviour["mib_per_second"] * (1 << 20)
        self.cache_control = behaviour["cache_control"]
        self.under_way = 0
        self.reset()

    def reset(self):
        """What is under way goes on: a refresh in the background may be."""
        self.requests = self.peak = self.first_byte = self.not_modified = 0

    def body(self, size):
        if size not in self.bodies:
            self.bodies[size] = (self.files / size).read_bytes()
        return self.bodies[size]

    def figures(self):
        return {"requests": self.requests, "peak": self.peak, "first_byte": self.first_byte, "now": self.under_way,
                "not_modified": self.not_modified}


async def send_body(origin, writer, body):
    view, began = memoryview(body), time.monotonic()
    for at in range(0, len(view), CHUNK):
        writer.write(view[at: at + CHUNK])
        if origin.bytes_per_second:
            ahead = began + (at + CHUNK) / origin.bytes_per_second - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
        await writer.drain()


async def answer(origin, writer, size, head):
    origin.requests += 1
    origin.under_way += 1
    origin.peak = max(origin.peak, origin.under_way)
    try:
        await asyncio.sleep(origin.delay)
        etag = f'"{size}"'
        now = email.utils.formatdate(usegmt=True)
        fields = (f"Date: {now}\r\nLast-Modified: {LONG_AGO}\r\nCache-Control: {origin.cache_control}\r\n"
                  f"ETag: {etag}\r\n\r\n")
        if not origin.first_byte:
            origin.first_byte = time.monotonic()
        if f"if-none-match: {etag}" in head.lower():
            origin.not_modified += 1
            writer.write(f"HTTP/1.1 304 Not Modified\r\n{fields}".encode())
        else:
            body = origin.body(size)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}".encode())
            await send_body(origin, writer, body)
        await writer.drain()
    finally:
        origin.under_way -= 1


def control(origin, path):
    if path == "/reset":
        origin.reset()
    body = json.dumps(origin.figures())
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n\r\n{body}".encode()


async def serve(origin, reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            size = re.match(r"/slow/(\w+)/", path)
            if size:
                await answer(origin, writer, size[1], head)
            else:
                writer.write(control(origin, path))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port, files, behaviour):
    origin = Origin(files, json.loads(behaviour))
    server = await asyncio.start_server(lambda r, w: serve(origin, r, w), "127.0.0.1", int(port), backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
