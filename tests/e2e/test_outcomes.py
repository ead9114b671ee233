"""Every outcome that Cache-Status can name (RFC 9211), each by the shortest way to it."""


def test_a_page_that_was_fetched_once_is_a_hit(edge, origin):
    origin.serves("/news", "monday", cache_control="max-age=60")

    assert edge.get("/news") == ("miss", "monday")
    assert edge.get("/news") == ("hit", "monday")
    assert origin.saw("/news") == 1
