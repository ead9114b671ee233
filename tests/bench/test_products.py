"""When a product counts as idle, with the seconds of CPU that one has used made up."""
import types

from harness import products


class Product:
    """Has used `used[i]` seconds of CPU when it is asked for the i-th time, and the last of them from then on."""

    def __init__(self, monkeypatch, *used):
        self.used, self.now = list(used), 0.0
        monkeypatch.setattr(products, "time", types.SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds):
        self.now += seconds

    def cpu(self):
        return self.used.pop(0) if len(self.used) > 1 else self.used[0]


def test_who_reads_its_index_is_waited_for(monkeypatch):
    product = Product(monkeypatch, 0.1, 0.6, 1.1, 1.3, 1.31)

    products.Server.wait_until_idle(product)

    assert product.now == 4 * products.IDLE_EVERY


def test_who_is_never_idle_is_waited_for_half_a_minute(monkeypatch):
    product = Product(monkeypatch, *range(1000))

    products.Server.wait_until_idle(product)

    assert product.now == products.IDLE_PATIENCE
