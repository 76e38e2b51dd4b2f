//! Metrics between nodes: as OpenTelemetry writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as PointValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus_client::registry::Registry;
use prost::Message as _;

use super::family::{Buckets, Family, Kind, Series, Value};
use super::text;

/// Who exports.
#[derive(Debug, Clone)]
pub struct ResourceAttributes {
    /// The id of the node.
    pub node_id: String,
    /// What it does.
    pub node_role: &'static str,
}

/// The metrics of `registry` as an encoded `ExportMetricsServiceRequest`: counters as growing sums,
/// gauges, and histograms with their buckets.
#[must_use]
pub fn export_metrics(registry: &Registry, resource: &ResourceAttributes) -> Vec<u8> {
    let families = text::families(registry).unwrap_or_else(|| {
        tracing::error!("metrics could not be read back from their own text");
        vec![]
    });
    encode(families, resource)
}

fn encode(families: Vec<Family>, resource: &ResourceAttributes) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let attributes = [
        ("service.name", "spiced"),
        ("service.instance.id", resource.node_id.as_str()),
        ("spice.node.role", resource.node_role),
    ];
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: attributes
                    .map(|(name, value)| attribute(name, value))
                    .into(),
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "spiced".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: families
                    .into_iter()
                    .map(|family| metric(family, now))
                    .collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec()
}

fn metric(family: Family, now: u64) -> Metric {
    let points = |series: Vec<Series>| {
        let points = series.into_iter();
        points
            .filter_map(|series| number_point(series, now))
            .collect()
    };
    let data = match family.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge {
            data_points: points(family.series),
        }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: points(family.series),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: family
                .series
                .into_iter()
                .filter_map(|series| histogram_point(series, now))
                .collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: family.name,
        description: family.help,
        unit: family.unit,
        data: Some(data),
        ..Metric::default()
    }
}

fn number_point(series: Series, now: u64) -> Option<NumberDataPoint> {
    let Series { labels, value } = series;
    let value = match value {
        Value::Integer(integer) => PointValue::AsInt(integer),
        Value::Number(number) => PointValue::AsDouble(number),
        Value::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(&labels),
        time_unix_nano: now,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn histogram_point(series: Series, now: u64) -> Option<HistogramDataPoint> {
    let Value::Histogram(buckets) = series.value else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(&series.labels),
        time_unix_nano: now,
        count: buckets.counts.iter().sum(),
        sum: Some(buckets.sum),
        bucket_counts: buckets.counts,
        explicit_bounds: buckets.bounds,
        ..HistogramDataPoint::default()
    })
}

fn attributes(labels: &[(String, String)]) -> Vec<KeyValue> {
    let labels = labels.iter();
    labels.map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// What another node sent, as far as it can be shown at all; `None` where it is no such message.
/// Nothing of it is believed yet: names and values are whatever that node wrote.
pub(super) fn decode(otlp: &[u8]) -> Option<Vec<Family>> {
    let request = ExportMetricsServiceRequest::decode(otlp).ok()?;
    let scopes = request.resource_metrics.into_iter();
    let scopes = scopes.flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    Some(metrics.filter_map(family).collect())
}

fn family(metric: Metric) -> Option<Family> {
    let (kind, series) = match metric.data? {
        metric::Data::Gauge(gauge) => (Kind::Gauge, numbers(gauge.data_points)),
        metric::Data::Sum(sum) if sum.aggregation_temporality == CUMULATIVE => {
            let kind = if sum.is_monotonic {
                Kind::Counter
            } else {
                Kind::Gauge
            };
            (kind, numbers(sum.data_points))
        }
        metric::Data::Histogram(histogram) if histogram.aggregation_temporality == CUMULATIVE => {
            let series = histogram.data_points.into_iter().filter_map(buckets);
            (Kind::Histogram, series.collect())
        }
        _ => return None,
    };
    Some(Family {
        name: metric.name,
        help: metric.description,
        unit: metric.unit,
        kind,
        series,
    })
}

fn numbers(points: Vec<NumberDataPoint>) -> Vec<Series> {
    let series = points.into_iter().filter_map(|point| {
        let value = match point.value? {
            PointValue::AsInt(integer) => Value::Integer(integer),
            PointValue::AsDouble(number) => Value::Number(number),
        };
        let labels = labels(point.attributes)?;
        Some(Series { labels, value })
    });
    series.collect()
}

fn buckets(point: HistogramDataPoint) -> Option<Series> {
    let buckets = Buckets {
        bounds: point.explicit_bounds,
        counts: point.bucket_counts,
        sum: point.sum?,
    };
    Some(Series {
        labels: labels(point.attributes)?,
        value: Value::Histogram(buckets),
    })
}

fn labels(attributes: Vec<KeyValue>) -> Option<Vec<(String, String)>> {
    let labels = attributes
        .into_iter()
        .map(|attribute| match attribute.value?.value? {
            any_value::Value::StringValue(value) => Some((attribute.key, value)),
            _ => None,
        });
    labels.collect()
}

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> ResourceAttributes {
        ResourceAttributes {
            node_id: "executor1:50052".to_owned(),
            node_role: "executor",
        }
    }

    #[test]
    fn what_is_exported_is_what_arrives() {
        let registry = text::sample();
        let exported = export_metrics(&registry, &resource());
        assert_eq!(decode(&exported), text::families(&registry));
    }

    #[test]
    fn the_node_is_named_in_the_resource() {
        let exported = export_metrics(&text::sample(), &resource());
        let request = ExportMetricsServiceRequest::decode(exported.as_slice()).unwrap();
        let [resource] = request.resource_metrics.as_slice() else {
            panic!("{request:?}");
        };
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        for (name, value) in [
            ("service.name", "spiced"),
            ("service.instance.id", "executor1:50052"),
            ("spice.node.role", "executor"),
        ] {
            assert!(attributes.contains(&attribute(name, value)), "{name}");
        }
    }

    #[test]
    fn noise_is_no_metrics() {
        assert_eq!(decode(b"\xff\xff\xff"), None);
        assert_eq!(decode(b""), Some(vec![]));
    }
}
