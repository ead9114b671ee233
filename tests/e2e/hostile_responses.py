"""Responses as bytes, and what becomes of each: the table behind test_hostile_responses.py  (RFC 9112).

REFUSED: answered 502, not stored, the origin's connection closed.
BROKEN: the head was passed on before the fault came; the client sees a response that is visibly not whole; not stored.
TAKEN: (name, bytes, body, kept): answered with that body; `kept` says whether the connection may be used again.
All are close-free: the origin keeps its connection open, so that closing it is Breakwater's own decision.
"""

OK = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def ok(*lines, body=b""):
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


REFUSED = [
    # --- framing
    ("two different CL", ok(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
    ("CL as an unequal list", ok(b"Content-Length: 5, 6", body=b"hello!")),
    ("CL and TE", ok(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("TE and CL", ok(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("CL negative", ok(b"Content-Length: -5", body=b"hello")),
    ("CL with plus", ok(b"Content-Length: +5", body=b"hello")),
    ("CL in hex", ok(b"Content-Length: 0x5", body=b"hello")),
    ("CL empty", ok(b"Content-Length:", body=b"hello")),
    ("CL too large", ok(b"Content-Length: 18446744073709551617", body=b"hello")),
    ("TE unknown", ok(b"Transfer-Encoding: xchunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("TE gzip, chunked", ok(b"Transfer-Encoding: gzip, chunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("TE twice", ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("TE with blank before colon", ok(b"Transfer-Encoding : chunked", body=b"5\r\nhello\r\n0\r\n\r\n")),
    ("TE from HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    # --- lines and fields
    ("bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello\r\n\r\n"),
    ("bare LF behind a field", b"HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 5\r\n\r\nhello"),
    ("bare CR in a value", ok(b"X: a\rb", b"Content-Length: 5", body=b"hello")),
    ("obs-fold", ok(b"X: a\r\n b", b"Content-Length: 5", body=b"hello")),
    ("NUL in a value", ok(b"X: a\0b", b"Content-Length: 5", body=b"hello")),
    ("0x01 in a value", ok(b"X: a\x01b", b"Content-Length: 5", body=b"hello")),
    ("name with blank", ok(b"X Y: a", b"Content-Length: 5", body=b"hello")),
    ("blank before colon", ok(b"X : a", b"Content-Length: 5", body=b"hello")),
    ("line without colon", ok(b"nonsense", b"Content-Length: 5", body=b"hello")),
    ("field without name", ok(b": a", b"Content-Length: 5", body=b"hello")),
    ("120 fields", ok(*[b"X-%d: a" % i for i in range(120)], b"Content-Length: 5", body=b"hello")),
    ("head of 70 KB", ok(b"X: " + b"a" * 70_000, b"Content-Length: 5", body=b"hello")),
    ("endless head", OK + b"X: " + b"a" * 400_000),
    # --- status lines
    ("HTTP/0.9", b"hello, this is no head\r\n\r\n"),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("HTTP/1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("lower case", b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("status 099", b"HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("status in letters", b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("NUL in the reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello"),
    ("101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    ("304 that nobody asked for", b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    ("hundred interim responses of 1 KB", (b"HTTP/1.1 103 Early\r\nX: " + b"a" * 1000 + b"\r\n\r\n") * 1000),
    ("TLS alert", b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n"),
]

BROKEN = [
    ("chunk size in 0x", CHUNKED + b"5\r\nhello\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    ("chunk size with blank", CHUNKED + b"5\r\nhello\r\n3 \r\nabc\r\n0\r\n\r\n"),
    ("chunk size negative", CHUNKED + b"5\r\nhello\r\n-3\r\nabc\r\n0\r\n\r\n"),
    ("chunk size of 17 digits", CHUNKED + b"5\r\nhello\r\n10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("chunk data too long", CHUNKED + b"5\r\nhelloo\r\n0\r\n\r\n"),
    ("chunk lines by LF", CHUNKED + b"5\r\nhello\r\n3\nabc\n0\n\n"),
    ("bare CR in an extension", CHUNKED + b"5\r\nhello\r\n3;a\rb\r\nabc\r\n0\r\n\r\n"),
    ("extension of 100 KB", CHUNKED + b"5\r\nhello\r\n3;" + b"a" * 100_000 + b"\r\nabc\r\n0\r\n\r\n"),
    ("trailers of 100 KB", CHUNKED + b"5\r\nhello\r\n0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
    ("trailer folded", CHUNKED + b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
]

TAKEN = [
    ("plain", ok(b"Content-Length: 5", body=b"hello"), b"hello", True),
    ("no reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    ("chunked", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello", True),
    ("chunk with an extension", CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello", True),
    ("bytes behind the body", ok(b"Content-Length: 5", body=b"helloHTTP/1.1 200 OK\r\n\r\n"), b"hello", False),
    ("bytes behind the last chunk", CHUNKED + b"5\r\nhello\r\n0\r\n\r\nextra", b"hello", False),
    ("ten announced, thirty-six sent", ok(b"Content-Length: 10", body=b"0123456789" + b"x" * 26), b"0123456789",
     False),
    ("Connection: close", ok(b"Content-Length: 5", b"Connection: close", body=b"hello"), b"hello", False),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    ("204 with a body", b"HTTP/1.1 204 No Content\r\n\r\nhello", b"", False),
    ("interim response before", b"HTTP/1.1 103 Early\r\n\r\n" + ok(b"Content-Length: 5", body=b"hello"), b"hello",
     True),
    ("100 that nobody asked for", b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"Content-Length: 5", body=b"hello"), b"hello",
     True),
]
