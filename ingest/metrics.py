"""What the gateway counts of itself, for Prometheus. Plain integers on the hot way; text only when asked."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

APPEND_S_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Counts(Collector):
    """The counts since the start. No label holds what a client sent."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # route, status
        self.problems: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()  # lines by code
        self.unauthenticated = 0
        self.accepted = 0
        self.batches = 0
        self.bytes_received = 0
        self.bytes_in_flight = 0
        self.requests_in_flight = 0
        self.append_s_sum = 0.0
        self.append_s_buckets = [0] * (len(APPEND_S_BUCKETS) + 1)

    def appended(self, took_s: float) -> None:
        """Count one batch made durable."""
        self.batches += 1
        self.append_s_sum += took_s
        self.append_s_buckets[next((i for i, bound in enumerate(APPEND_S_BUCKETS) if took_s <= bound), -1)] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as Prometheus metrics."""
        yield _by("cz_gateway_requests", "Requests answered.", ("route", "status"), {(r, str(s)): n for (r, s), n in self.requests.items()})
        yield _by(
            "cz_gateway_problems", "Requests answered with a problem.", ("problem",), {(slug,): n for slug, n in self.problems.items()}
        )
        yield _by("cz_gateway_rejected_lines", "Lines put in quarantine.", ("code",), {(code,): n for code, n in self.rejected.items()})
        yield CounterMetricFamily("cz_gateway_accepted_lines", "Records accepted and durable.", self.accepted)
        yield CounterMetricFamily(
            "cz_gateway_unauthenticated", "Requests without a valid key; nothing of them is kept.", self.unauthenticated
        )
        yield CounterMetricFamily("cz_gateway_received_bytes", "Bytes of bodies read, as received.", self.bytes_received)
        yield GaugeMetricFamily("cz_gateway_in_flight_bytes", "Bytes of bodies held now.", self.bytes_in_flight)
        yield GaugeMetricFamily("cz_gateway_in_flight_requests", "Requests being answered now.", self.requests_in_flight)
        histogram = HistogramMetricFamily("cz_gateway_append_seconds", "From an admitted batch to its being durable.")
        histogram.add_metric([], list(self._cumulative()), self.append_s_sum)
        yield histogram

    def _cumulative(self) -> Iterator[tuple[str, float]]:
        below = 0
        for bound, count in zip([*map(str, APPEND_S_BUCKETS), "+Inf"], self.append_s_buckets, strict=True):
            below += count
            yield bound, below


def _by(name: str, documentation: str, labels: tuple[str, ...], values: dict[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for label_values, count in values.items():
        family.add_metric(label_values, count)
    return family
