// Clocks of a run's hosts, compared by messages that go there and back: log files, TensorBoard and
// the heartbeat of a lease are compared by time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace triga {

/// Seconds since 1970: sent and received by the own clock, `there` by the other's.
struct RoundTrip {
  double sent = 0, there = 0, received = 0;
};

struct ClockOffset {
  double seconds = 0;      // how far the other clock is ahead
  double uncertainty = 0;  // seconds
};

/// By the fastest of some round trips: the message was there at some moment between sent and
/// received.
ClockOffset clock_offset(std::span<const RoundTrip> trips);

/// A sentence where a clock is wrong by more than a second for certain; "": it is not.
std::string clock_warning(const std::string& host, const ClockOffset& offset,
                          const std::string& first_host);

/// On rank 0: how far the clock of each leader (host_leaders.h) is ahead of its own; on others
/// empty. Collective.
std::vector<ClockOffset> measure_clocks(Communicator& world, const std::vector<int>& leaders,
                                        const std::function<double()>& now);

}  // namespace triga
