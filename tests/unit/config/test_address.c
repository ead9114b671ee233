/*
 * test_address.c - addresses to listen on, networks, URLs of servers.
 */
#include "load.h"

#include <arpa/inet.h>

static const struct refusal refused[] = {
    {"origin: http://app\n"
     "listen: 8080\n",
     "t.yaml:2:9: error: listen: \"8080\" has no port; write ADDRESS:PORT or :PORT, IPv6 in "
     "brackets"},
    {"origin: http://app\n"
     "listen: ':http'\n",
     "t.yaml:2:9: error: listen: \":http\" has no port from 0 to 65535; IPv6 stands in brackets, "
     "[::1]:8080"},
    {"origin: http://app\n"
     "listen: ':70000'\n",
     "t.yaml:2:9: error: listen: \":70000\" has no port from 0 to 65535; IPv6 stands in brackets, "
     "[::1]:8080"},
    {"origin: http://app\n"
     "listen: localhost:80\n",
     "t.yaml:2:9: error: listen: \"localhost:80\" is not in numbers; write such as 127.0.0.1:8080, "
     "or :8080 for all addresses"},
    {"origin: http://app\n"
     "listen: ::1:80\n",
     "t.yaml:2:9: error: listen: \"::1:80\" has no port from 0 to 65535; IPv6 stands in brackets, "
     "[::1]:8080"},
    {"origin: http://app\n"
     "listen: http://:80\n",
     "t.yaml:2:9: error: listen: \"http://:80\" is a URL; write the address alone, such as :8080"},
    {"origin: http://app\n"
     "listen: unix:sock\n",
     "t.yaml:2:9: error: listen: \"unix:sock\" is not a full path; write unix:/PATH"},
    {"origin: http://app\n"
     "listen: '[::1]'\n",
     "t.yaml:2:9: error: listen: \"[::1]\" has no port; write ADDRESS:PORT or :PORT, IPv6 in "
     "brackets"},
    {"origin: http://app\n"
     "listen: '[1.2.3.4]:80'\n",
     "t.yaml:2:9: error: listen: \"[1.2.3.4]:80\" is not in numbers; write such as 127.0.0.1:8080, "
     "or :8080 for all addresses"},
    {"origin: http://app\n"
     "trusted_proxies: [10.0.0.0/33]\n",
     "t.yaml:2:19: error: trusted_proxies[1]: \"10.0.0.0/33\" has no prefix from 0 to 32 behind "
     "the '/'; such as 10.0.0.0/8"},
    {"origin: http://app\n"
     "trusted_proxies: [10.1.0.0/8]\n",
     "t.yaml:2:19: error: trusted_proxies[1]: \"10.1.0.0/8\" has bits set behind its prefix; set "
     "them to zero"},
    {"origin: http://app\n"
     "trusted_proxies: [office]\n",
     "t.yaml:2:19: error: trusted_proxies[1]: \"office\" is not a network; write such as "
     "10.0.0.0/8 or fd00::/8"},
    {"origin: http://app\n"
     "trusted_proxies: ['fd00::/129']\n",
     "t.yaml:2:19: error: trusted_proxies[1]: \"fd00::/129\" has no prefix from 0 to 128 behind "
     "the '/'; such as fd00::/8"},
    {"origin: app:3000\n", "t.yaml:1:9: error: origin: \"app:3000\" is no URL of a server; write "
                           "http://HOST, https://HOST or unix:/PATH"},
    {"origin: ftp://app\n", "t.yaml:1:9: error: origin: \"ftp://app\" is no URL of a server; write "
                            "http://HOST, https://HOST or unix:/PATH"},
    {"origin: http://app/\n", "t.yaml:1:9: error: origin: \"http://app/\" goes on behind the host; "
                              "remove path, query and the last '/'"},
    {"origin: http://u:p@app\n", "t.yaml:1:9: error: origin: \"http://u:p@app\" holds a user or "
                                 "password; remove it, requests bring their own"},
    {"origin: http://app?x\n", "t.yaml:1:9: error: origin: \"http://app?x\" goes on behind the "
                               "host; remove path, query and the last '/'"},
    {"origin: http://\n", "t.yaml:1:9: error: origin: \"http://\" has no host name or address; "
                          "write such as http://app:3000"},
    {"origin: http://app:0\n", "t.yaml:1:9: error: origin: \"http://app:0\" has no port from 1 to "
                               "65535; IPv6 stands in brackets, http://[::1]:80"},
    {"origin: http://app:x\n", "t.yaml:1:9: error: origin: \"http://app:x\" has no port from 1 to "
                               "65535; IPv6 stands in brackets, http://[::1]:80"},
    {"origin: http://[::1\n", "t.yaml:1:9: error: origin: \"http://[::1\" has no host name or "
                              "address; write such as http://app:3000"},
    {"origin: unix:x\n",
     "t.yaml:1:9: error: origin: \"unix:x\" is not a full path; write unix:/PATH"},
    {"origin: http://a b\n", "t.yaml:1:9: error: origin: \"http://a b\" has no host name or "
                             "address; write such as http://app:3000"},
};

TEST(an_address_that_cannot_be_meant_is_refused)
{
    assert_refused(refused, BW_ARRAY_LEN(refused));
}

TEST(addresses_to_listen_on_are_taken_apart)
{
    struct bw_conf *c = load("origin: http://app\n"
                             "listen: [':8080', '127.0.0.1:80', '[::1]:81', 'unix:/run/x.sock']\n");

    assert_int_equal(c->listen_n, 4);
    assert_null(c->listen[0].host);
    assert_int_equal(c->listen[0].port, 8080);
    assert_string_equal(c->listen[1].host, "127.0.0.1");
    assert_int_equal(c->listen[1].port, 80);
    assert_string_equal(c->listen[2].host, "::1");
    assert_string_equal(c->listen[2].address, "[::1]:81");
    assert_string_equal(c->listen[3].unix_path, "/run/x.sock");
    assert_null(c->listen[3].host);
    bw_conf_put(c);
}

TEST(urls_of_servers_are_taken_apart)
{
    struct bw_conf *c = load("origin: [http://App.example, 'https://[::1]', http://10.0.0.1:3000,\n"
                             "         unix:/run/app.sock]\n");
    const struct bw_server_conf *s = c->pools[0].servers;

    assert_int_equal(c->pools[0].servers_n, 4);
    assert_string_equal(s[0].url, "http://App.example");
    assert_string_equal(s[0].host, "app.example");
    assert_int_equal(s[0].port, 80);
    assert_false(s[0].tls);
    assert_string_equal(s[1].host, "::1");
    assert_int_equal(s[1].port, 443);
    assert_true(s[1].tls);
    assert_int_equal(s[2].port, 3000);
    assert_null(s[3].host);
    assert_string_equal(s[3].unix_path, "/run/app.sock");
    assert_int_equal(s[3].weight, 1);
    bw_conf_put(c);
}

static bool contains(const struct bw_conf *c, const char *address)
{
    uint8_t bytes[16] = {[10] = 0xFF, [11] = 0xFF};
    bool v6 = strchr(address, ':') != NULL;

    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, bytes + (v6 ? 0 : 12)), 1);
    return bw_networks_contain(c->trusted_proxies, c->trusted_proxies_n, bytes);
}

TEST(a_network_contains_its_addresses_and_no_other)
{
    struct bw_conf *c =
        load("origin: http://app\n"
             "trusted_proxies: [10.0.0.0/8, 192.0.2.7, 172.16.0.0/12, 'fd00::/8']\n");

    assert_true(contains(c, "10.255.0.1"));
    assert_false(contains(c, "11.0.0.1"));
    assert_true(contains(c, "192.0.2.7"));
    assert_false(contains(c, "192.0.2.6"));
    assert_true(contains(c, "172.31.255.255"));
    assert_false(contains(c, "172.32.0.0"));
    assert_true(contains(c, "fd12::1"));
    assert_false(contains(c, "fe80::1"));
    assert_false(contains(c, "::ffff:0:0"));
    bw_conf_put(c);
}

TEST(every_address_is_in_the_network_of_zero_bits)
{
    struct bw_conf *c = load("origin: http://app\ntrusted_proxies: ['::/0']\n");

    assert_true(contains(c, "10.0.0.1"));
    assert_true(contains(c, "2001:db8::1"));
    bw_conf_put(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(an_address_that_cannot_be_meant_is_refused),
        RUN(addresses_to_listen_on_are_taken_apart),
        RUN(urls_of_servers_are_taken_apart),
        RUN(a_network_contains_its_addresses_and_no_other),
        RUN(every_address_is_in_the_network_of_zero_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
