vcl 4.1;
# Varnish as it is by default but for /pass/, which it would otherwise look up.  Its memory, its threads and no grace
# beyond what the origin grants are flags (bench/harness/products.py).  Debian's has no TLS.
backend origin { .host = "127.0.0.1"; .port = "@ORIGIN@"; .max_connections = 1000; }
sub vcl_recv { if (req.url ~ "^/pass/") { return (pass); } }
