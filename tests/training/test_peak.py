"""The peak of a matrix product: by precision, from products whose FLOPs are known."""

from app.training import peak


def test_each_precision_has_a_peak():
    found = peak.matmul_flops_per_s()
    assert set(found) == set(peak.PRECISIONS)
    assert all(value > 1e8 for value in found.values())  # one scalar multiply-add a 20 ns


def test_the_side_grows_until_a_product_takes_long_enough(monkeypatch):
    sides = []

    def taken(ones):
        sides.append(ones.shape[0])
        return ones.shape[0] / 40_000  # 1024: 26 ms, 2048: 51 ms

    monkeypatch.setattr(peak, "_seconds", taken)
    found = peak.matmul_flops_per_s()
    more = int(peak.LONG_S / (2048 / 40_000))
    once = [side for side in (512, 1024, 2048) for _ in range(peak.REPEATS)] + more * [2048]
    assert sides == 2 * once
    assert found["float32"] == 2 * 2048**3 / (2048 / 40_000)


def test_the_best_of_the_repeated_products_counts(monkeypatch):
    taken_s = iter([0.9, 0.8, 0.7, 0.2, 0.4, 0.1] * 2)
    monkeypatch.setattr(peak, "_seconds", lambda _: next(taken_s))
    assert peak.matmul_flops_per_s()["float32"] == 2 * 512**3 / 0.1
