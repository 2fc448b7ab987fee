#include "trainer/host_clocks.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace triga {
namespace {

constexpr int kRoundTrips = 3;
constexpr double kTolerated = 1;  // seconds

at::Tensor message() {
  return at::empty({1}, at::TensorOptions().dtype(at::kDouble));
}

RoundTrip ask(Communicator& world, int rank, const std::function<double()>& now) {
  const at::Tensor text = message();
  RoundTrip trip;
  trip.sent = now();
  world.send(message(), rank, "what time is it").synchronize();
  world.recv(text, rank, "the time").synchronize();
  trip.received = now();
  trip.there = *text.const_data_ptr<double>();
  return trip;
}

void answer(Communicator& world, const std::function<double()>& now) {
  const at::Tensor text = message();
  world.recv(message(), 0, "what time is it").synchronize();
  *text.mutable_data_ptr<double>() = now();
  world.send(text, 0, "the time").synchronize();
}

}  // namespace

ClockOffset clock_offset(std::span<const RoundTrip> trips) {
  const auto fastest = std::min_element(
      trips.begin(), trips.end(),
      [](const auto& a, const auto& b) { return a.received - a.sent < b.received - b.sent; });
  return {fastest->there - (fastest->sent + fastest->received) / 2,
          (fastest->received - fastest->sent) / 2};
}

std::string clock_warning(const std::string& host, const ClockOffset& offset,
                          const std::string& first_host) {
  if (std::abs(offset.seconds) - offset.uncertainty <= kTolerated) return "";
  return fmt::format(
      "the clock of {} is {:.1f} s {} that of {}: times in logs do not compare, and files seem "
      "older or newer than they are. Both should take the time from one server (chrony, ntpd)",
      host, std::abs(offset.seconds), offset.seconds > 0 ? "ahead of" : "behind", first_host);
}

std::vector<ClockOffset> measure_clocks(Communicator& world, const std::vector<int>& leaders,
                                        const std::function<double()>& now) {
  std::vector<ClockOffset> offsets;
  const bool is_leader = std::find(leaders.begin(), leaders.end(), world.rank()) != leaders.end();
  if (world.rank() != 0) {
    for (int i = 0; is_leader && i < kRoundTrips; ++i) answer(world, now);
    return offsets;
  }
  for (const int leader : leaders) {
    if (leader == 0) {
      offsets.push_back({});
      continue;
    }
    std::vector<RoundTrip> trips;
    for (int i = 0; i < kRoundTrips; ++i) trips.push_back(ask(world, leader, now));
    offsets.push_back(clock_offset(trips));
  }
  return offsets;
}

}  // namespace triga
