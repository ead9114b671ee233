"""The four fixtures of every scenario: origin, edge, clock, certs.

A scenario reads as three paragraphs: the origin's offer, the clients' wishes, the expectations.  The words live in
vocabulary/: origin.py (what an origin offers and saw), edge.py (Breakwater as a process), wire.py (bytes).

    def test_a_page_is_kept(edge, origin, clock):
        origin.serves("/news", "monday", cache_control="max-age=60")

        assert edge.get("/news") == ("miss", "monday")
        assert edge.get("/news") == ("hit", "monday")
"""
import resource

import pytest
from vocabulary.certs import Certs
from vocabulary.edge import Clock, Edge, Way
from vocabulary.origin import Answer, Origin


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the scenarios marked long: minutes, gigabytes")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes or gigabytes; run by make e2e-long")
    config.addinivalue_line("markers", "ways(*names): the ways that its requests can take, where they are not all")
    config.addinivalue_line("markers", "seldom(*names): ways that only make e2e-long takes, for they add little")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        chosen = [item for item in items if "long" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if "long" in item.keywords])
        items[:] = chosen


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def origins():
    """Makes origins, and closes them: origins(tls=...), origins(unix=...)."""
    made = []

    def make(**options):
        made.append(Origin(**options))
        return made[-1]
    make.all = made
    yield make
    for one in made:
        one.stops()
        assert not one.nonsense, f"the origin was sent what is not HTTP: {one.nonsense[0]!r}"


@pytest.fixture
def origin(origins):
    return origins()


@pytest.fixture(scope="module")
def way(request, certs):
    """How requests come."""
    return Way(request.param, certs if request.param in ("HTTPS", "HTTP/2 over TLS") else None)


def pytest_generate_tests(metafunc):
    """Every scenario is played once for each way, but for those that say by @pytest.mark.ways which."""
    if "way" in metafunc.fixturenames:
        said, seldom = (metafunc.definition.get_closest_marker(name) for name in ("ways", "seldom"))
        names = said.args if said else ["HTTP/1.1", "HTTPS", "HTTP/2"]
        late = seldom.args if seldom and not said else ()
        metafunc.parametrize("way", indirect=True, argvalues=[
            pytest.param(name, marks=[pytest.mark.long] if name in late else []) for name in names])


@pytest.fixture
def edges(tmp_path, way):
    """Makes edges, and ends them in good order."""
    made = []

    def make(origin=None, **settings):
        settings.setdefault("way", way)
        made.append(Edge(tmp_path / f"edge-{len(made)}", origin, **settings))
        return made[-1]
    yield make
    faults = []
    for one in made:
        for end in (one.close, one.check_reports):
            try:
                end()
            except AssertionError as fault:
                faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def edge(edges, origin):
    return edges(origin)


@pytest.fixture
def clock(edge, origins):
    return Clock(edge, origins.all)


class Shared:
    """One Breakwater and its origin for a whole table of rows."""

    anything = staticmethod(lambda request: Answer("anything", cache_control="no-store"))

    def __init__(self, folder, way):
        self.origin = Origin()
        self.edge = Edge(folder, self.origin, way, limits={"head_timeout": "1s"})


@pytest.fixture(scope="module")
def shared(tmp_path_factory, way):
    one = Shared(tmp_path_factory.mktemp("shared"), way)
    yield one
    one.edge.close()
    one.edge.check_reports()
    one.origin.stops()
