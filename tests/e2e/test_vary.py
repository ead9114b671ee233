"""Variants (RFC 9111, 4.1)."""
from vocabulary.origin import Answer


def test_each_variant_is_stored(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("accept-language", "none"), cache_control="max-age=60",
                                             vary="Accept-Language"))

    for language in ("de", "en"):
        assert edge.get("/news", headers={"Accept-Language": language}) == ("miss", language)
    for language in ("de", "en"):
        assert edge.get("/news", headers={"Accept-Language": language}) == ("hit", language)
    assert origin.saw("/news") == 2


def test_a_new_variant_says_why_it_was_fetched(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-a", "none"), cache_control="max-age=60", vary="X-A"))
    edge.get("/news", headers={"X-A": "1"})

    page = edge.get("/news", headers={"X-A": "2"})

    assert page.cache_status["fwd"] == "vary-miss"


def test_encodings_are_told_apart_but_not_spellings(edge, origin):
    def choose(request):
        packed = "gzip" in request.headers.get("accept-encoding", "")
        fields = {"content_encoding": "gzip"} if packed else {}
        return Answer("packed" if packed else "plain", cache_control="max-age=60", vary="Accept-Encoding", **fields)
    origin.decides("/news", choose)

    assert edge.get("/news", headers={"Accept-Encoding": "gzip, deflate"}) == ("miss", "packed")
    assert edge.get("/news", headers={"Accept-Encoding": "deflate,gzip"}) == ("hit", "packed")
    assert edge.get("/news", headers={"Accept-Encoding": "GZIP;q=1.0"}) == ("hit", "packed")
    assert edge.get("/news").text == "plain"
    assert edge.get("/news", headers={"Accept-Encoding": "gzip;q=0"}).text == "plain"


def test_vary_star_is_never_stored(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60", vary="*")

    edge.get("/news")

    assert edge.get("/news").cache == "pass"
    assert origin.saw("/news") == 2


def test_a_field_that_is_not_sent_is_a_value_too(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-a", "none"), cache_control="max-age=60", vary="X-A"))

    assert edge.get("/news", headers={"X-A": "a"}) == ("miss", "a")
    assert edge.get("/news") == ("miss", "none")
    assert edge.get("/news") == ("hit", "none")


def test_several_fields_make_one_variant(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers.get("x-a", "") + r.headers.get("x-b", ""),
                                             cache_control="max-age=60", vary="X-A, X-B"))

    assert edge.get("/news", headers={"X-A": "1", "X-B": "2"}) == ("miss", "12")
    assert edge.get("/news", headers={"X-A": "12"}) == ("miss", "12")
    assert edge.get("/news", headers={"X-B": "2", "X-A": "1"}) == ("hit", "12")


def test_a_page_in_the_language_that_is_wanted_most_is_a_hit(edge, origin):
    origin.serves("/news", "Montag", cache_control="max-age=60", vary="Accept-Language", content_language="de")

    assert edge.get("/news", headers={"Accept-Language": "en, de"}) == ("miss", "Montag")
    assert edge.get("/news", headers={"Accept-Language": "fr;q=0.5, de"}) == ("hit", "Montag")
    assert edge.get("/news", headers={"Accept-Language": "de, fr"}).cache == "miss"


def test_of_more_than_thirty_two_variants_the_oldest_goes(edge, origin):
    origin.decides("/news", lambda r: Answer(r.headers["x-a"], cache_control="max-age=60", vary="X-A"))

    for number in range(35):
        assert edge.get("/news", headers={"X-A": str(number)}) == ("miss", str(number))

    assert edge.get("/news", headers={"X-A": "0"}) == ("miss", "0")
    for number in range(10, 35):
        assert edge.get("/news", headers={"X-A": str(number)}) == ("hit", str(number))
    assert edge.stats()["store"]["objects"] <= 32 + 1 + 2


def test_more_than_eight_names_are_never_stored(edge, origin):
    origin.serves("/eight", "x", cache_control="max-age=60", vary=", ".join(f"X-{n}" for n in range(8)))
    origin.serves("/nine", "x", cache_control="max-age=60", vary=", ".join(f"X-{n}" for n in range(9)))
    for path in ("/eight", "/nine"):
        edge.get(path)

    assert edge.get("/eight").cache == "hit"
    page = edge.get("/nine")
    assert (page.cache, page.why) in (("pass", "vary-any"), ("pass", "pass-learnt"), ("miss", None))
    assert origin.saw("/nine") == 2
