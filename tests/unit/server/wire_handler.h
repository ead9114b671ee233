/*
 * wire_handler.h - a handler that does everything the border allows, chosen by the target.
 */
#pragma once

#include "wire_stand.h"

static h2o_socket_t *upgraded_socket;

static inline void on_upgraded(void *ctx, h2o_socket_t *socket)
{
    (void)ctx;
    upgraded_socket = socket;
}

static inline void answer_with_large_head(struct bw_exchange *x, struct handling *h, size_t n)
{
    struct bw_field *fields = h2o_mem_alloc_pool(&x->req.pool, n * sizeof(*fields));

    fields[0] = h->fields[0];
    for (size_t i = 1; i < n; i++)
        fields[i] = (struct bw_field){BW_S("x"), bw_slice(filler, sizeof(filler)), BW_F_OTHER};
    h->reply.fields = (struct bw_fields){fields, n};
    bw_exchange_respond(x, &h->reply, &h->generator);
    send_text(x, "small", H2O_SEND_STATE_FINAL);
}

static inline void answer_framed(struct bw_exchange *x)
{
    struct bw_fields link = {(struct bw_field[]){{BW_S("link"), BW_S("</a>"), BW_F_LINK}}, 1};
    struct handling *h = handle(x, 200, BW_LENGTH_UNKNOWN);

    if (target_is(x, "/chunked")) {
        stream(h, 3, 4);
    } else if (target_is(x, "/chunked-404")) {
        h->reply.status = 404;
        stream(h, 2, 4);
    } else if (target_is(x, "/trailers")) {
        x->ops->trailers(x, &link);
        stream(h, 2, 4);
    } else if (target_is(x, "/short")) {
        h->reply.length = 9;
        stream(h, 2, 4);
    } else if (target_is(x, "/over")) {
        h->reply.length = 6;
        stream(h, 2, 4);
    } else if (target_is(x, "/exact")) {
        h->reply.length = 8;
        stream(h, 2, 4);
    } else if (target_is(x, "/gives-up")) {
        bw_exchange_respond(x, &h->reply, &h->generator);
        send_text(x, "abc", H2O_SEND_STATE_ERROR);
    } else if (target_is(x, "/close")) {
        h->reply.close = true;
        bw_exchange_respond(x, &h->reply, &h->generator);
        send_text(x, "bye", H2O_SEND_STATE_FINAL);
    } else if (target_is(x, "/large-head") || target_is(x, "/huge-head")) {
        answer_with_large_head(x, h, target_is(x, "/huge-head") ? 4 : 2);
    } else if (target_is(x, "/head-first")) {
        h->generator.proceed = proceed;
        h->left = 1;
        h->each = 4;
        bw_exchange_respond(x, &h->reply, &h->generator);
        h2o_send(&x->req, NULL, 0, H2O_SEND_STATE_IN_PROGRESS);
    } else {
        assert_true(target_is(x, "/big"));
        h->reply.length = 64 * sizeof(filler);
        stream(h, 64, sizeof(filler));
    }
}

static inline void answer_early(struct bw_exchange *x)
{
    struct bw_field field = {BW_S("link"), BW_S("</a>"), BW_F_LINK};
    struct bw_fields link = {&field, 1};

    x->ops->informational(x, 103, &link);
    x->ops->informational(x, 102, &(struct bw_fields){NULL, 0});
    answer(x, 200, "early");
    x->ops->informational(x, 103, &link);
}

static inline void switch_protocols(struct bw_exchange *x)
{
    struct handling *h = handle(x, 101, 0);

    h->fields[0] = (struct bw_field){BW_S("upgrade"), BW_S("websocket"), BW_F_UPGRADE};
    x->reply = &h->reply;
    x->ops->upgrade(x, on_upgraded, NULL);
}

void bw_request_start(struct bw_exchange *x)
{
    seen.started++;
    if (target_is(x, "/") || target_is(x, "*")) {
        answer(x, 200, "hello");
    } else if (target_is(x, "/late")) {
        handle(x, 200, 0);
    } else if (target_is(x, "/204") || target_is(x, "/304")) {
        struct handling *h = handle(x, target_is(x, "/204") ? 204 : 304, BW_LENGTH_UNKNOWN);

        bw_exchange_respond(x, &h->reply, &h->generator);
        h2o_send(&x->req, NULL, 0, H2O_SEND_STATE_FINAL);
    } else if (target_is(x, "/sink")) {
        take_body(x, 65536, true);
    } else if (target_is(x, "/slow-sink")) {
        take_body(x, 1000, false);
    } else if (target_is(x, "/duplex")) {
        take_body(x, 65536, true)->left = 1;
    } else if (target_is(x, "/early")) {
        answer_early(x);
    } else if (target_is(x, "/upgrade")) {
        switch_protocols(x);
    } else {
        answer_framed(x);
    }
}

void bw_request_refuse(struct bw_exchange *x, int status, enum bw_reason why)
{
    seen.refused++;
    seen.refused_status = status;
    seen.refused_why = why;
    answer(x, status, "no");
}

#define HELLO       "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 5\r\n\r\nhello"
#define OK          "HTTP/1.1 200 R\r\ndate: D\r\ncontent-length: 2\r\n\r\nok"
#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static inline void refused_with(int status)
{
    char text[200];

    snprintf(text, sizeof(text),
             "HTTP/1.1 %d R\r\ndate: D\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
             status);
    hear(text);
    assert_int_equal(seen.refused, 1);
    shutdown(stand->fd, SHUT_WR);
    hear_close();
}
