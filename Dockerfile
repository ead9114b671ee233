# Breakwater in a container.  One variable is enough:
#
#   docker build -t breakwater .
#   docker run -p 8080:8080 -e ORIGIN=http://app:3000 --read-only -v cache:/var/cache/breakwater breakwater
#
# Further variables: LISTEN (:8080), CACHE_SIZE (10GiB), ADMIN (127.0.0.1:9180).  With a file of your own instead:
#
#   docker run -v ./breakwater.yaml:/etc/breakwater.yaml:ro ... breakwater run --config /etc/breakwater.yaml

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tools/packages.build tools/
RUN apt-get update \
    && sed '/^#/d; s/ .*//' tools/packages.build | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*
COPY Makefile VERSION ./
COPY make make
COPY include include
COPY src src
RUN make -j"$(nproc)" all

FROM debian:bookworm-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libc-ares2 \
       libh2o-evloop0.13 libjansson4 liblmdb0 libnghttp2-14 libpcre2-8-0 libssl3 libxxhash0 libyaml-0-2 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 8080 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin breakwater \
    && install -d -o breakwater -g breakwater -m 700 /var/cache/breakwater
COPY --from=build /src/build/breakwater /usr/local/bin/breakwater
USER breakwater
VOLUME /var/cache/breakwater
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD breakwater stats --admin "${ADMIN:-127.0.0.1:9180}" --json >/dev/null || exit 1
ENTRYPOINT ["breakwater"]
CMD ["run"]
