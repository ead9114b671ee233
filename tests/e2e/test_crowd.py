"""A crowd at a cold address costs one fetch."""


def test_a_crowd_at_a_cold_url_costs_one_fetch(edge, origin):
    origin.serves("/news", "today", cache_control="max-age=60")

    with origin.holding("/news"):
        crowd = edge.together(20, "/news")
        edge.has_waiting(19)  # all are inside before the door opens

    assert {page.text for page in crowd} == {"today"}
    assert origin.saw("/news") == 1
