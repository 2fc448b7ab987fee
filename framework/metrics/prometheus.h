// PrometheusSink: the newest metrics of a run, for who asks: http://HOST:PORT/metrics in the text
// format of Prometheus (version 0.0.4). triga_loss{run="tiny",split="train"} 2.5
//
// Every name is served once, or none of them could be read: where a metric would have that of
// another one, or one of this sink's own (triga_step, ...), it gets a number: triga_step_2.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "metrics/http_endpoint.h"
#include "metrics/metric_sink.h"

namespace triga {

class PrometheusSink final : public MetricSink {
 public:
  /// `port` 0: one that is free. Throws: Error when the port cannot be had.
  PrometheusSink(int port, const std::string& run);

  /// Gradients inside of layers are left out: they are no single numbers.
  void record(const MetricRecord& record) override;
  void record_saves(const SaveRecord& saves) override;
  void step_done(int64_t step) override;

  int port() const { return endpoint_.port(); }
  /// What is served.
  std::string text() const;

 private:
  /// Under which it is served from now on. Not under the lock: it may say something.
  void give_name(const std::string& metric);

  const std::string run_;  // as the value of a label
  // Of the thread that records.
  std::map<std::string, std::string> names_;  // of metrics that were recorded -> as served
  std::set<std::string> taken_;               // all that are served, and this sink's own

  mutable std::mutex mutex_;
  int64_t step_ = 0;
  SaveRecord saves_;
  std::map<std::string, std::map<std::string, double>> values_;  // [name as served][split]
  HttpEndpoint endpoint_;  // the last member: its thread reads the others
};

}  // namespace triga
