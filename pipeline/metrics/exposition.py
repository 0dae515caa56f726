"""Metrics in the text formats of Prometheus and OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from pipeline.metrics.catalogue import Metric
from pipeline.metrics.samples import BOUNDS, Histogram, Samples

_TOTAL: Final = "_total"


class Exposed(NamedTuple):
    """Everything that one scrape returns."""

    samples: Samples
    histograms: Mapping[Metric, Histogram] = {}


class Exposition:
    """Renders what `read` returns. Any thread may call it."""

    def __init__(self, read: Callable[[], Exposed]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Reader(read))

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Return content type and body in the format that the header `Accept` prefers."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)


class _Reader(Collector):
    def __init__(self, read: Callable[[], Exposed]) -> None:
        self._read = read

    def describe(self) -> Iterator[Family]:
        """Return nothing: all names are in the catalogue."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """Yield a family for each metric that has values, in the catalogue's order."""
        samples, histograms = self._read()
        for metric in Metric:
            if metric in histograms:
                yield _histogram(metric, histograms[metric])
            elif samples.get(metric):
                yield _family(metric, samples)


def _family(metric: Metric, samples: Samples) -> Family:
    name, kind, meaning, labels = metric.value
    family: CounterMetricFamily | GaugeMetricFamily
    if kind == "counter":
        family = CounterMetricFamily(name.removesuffix(_TOTAL), meaning, labels=labels)
    else:
        family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in samples[metric].items():
        family.add_metric(values, value)
    return family


def _histogram(metric: Metric, histogram: Histogram) -> Family:
    family = HistogramMetricFamily(metric.value.name, metric.value.meaning)
    count, buckets = 0, []
    for bound, number in zip((*BOUNDS[metric], inf), histogram.buckets, strict=True):
        count += number
        buckets.append(("+Inf" if bound == inf else str(float(bound)), count))
    family.add_metric((), buckets, histogram.total)
    return family
